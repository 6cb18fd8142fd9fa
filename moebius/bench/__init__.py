"""Time of a fill on this computer, by model, mode, type and batch size."""
