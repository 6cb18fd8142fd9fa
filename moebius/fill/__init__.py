"""The one way of a fill: plan tiles, cut them, have a model fill them, paste them. Knows nothing of files."""
