"""Flat pictures as thumbnails, recognised by their mean colour."""

import io

import numpy as np
from PIL import Image

RED, BLUE = (220, 20, 20), (20, 20, 220)


def jpeg(colour, size=(160, 120), quality=95) -> bytes:
    """A flat JPEG, made long by a comment as cameras' thumbnails are."""
    out = io.BytesIO()
    noise = np.random.default_rng(1).integers(-20, 20, (size[1], size[0], 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=quality)
    return out.getvalue()


def mean(image: Image.Image) -> np.ndarray:
    return np.asarray(image).reshape(-1, 3).mean(axis=0)
