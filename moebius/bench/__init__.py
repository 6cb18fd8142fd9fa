"""How long a fill takes on this computer, by model, mode, type and batch size."""
