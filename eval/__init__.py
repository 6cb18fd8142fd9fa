"""Measurement: which model fills better, by how much, at what cost, and is the difference real. `python -m eval`."""
