"""The steps of a fill: plan squares, cut tiles, let a model fill them, paste them. No file is read or written here."""
