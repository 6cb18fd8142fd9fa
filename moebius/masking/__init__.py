"""Masks of a photo, found from its pixels: fit a stroke to its object, shadows, dust. Arrays in, arrays out."""
