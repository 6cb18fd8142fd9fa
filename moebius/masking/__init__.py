"""Masks of a photo, found from its pixels: fit a stroke to its object, grow, find dust. Arrays in, arrays out."""
