"""A part of a picture as a PNG of its own that says where it belongs: a layer for an editor.

The place is in the PNG's oFFs chunk (PNG extensions, 1.4.0, section 4.2.6), which GIMP and ImageMagick read.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from moebius.photo import png

_PIXELS = 0
"""The unit of an oFFs chunk."""


def encode_patch(layer: np.ndarray, corner: tuple[int, int], icc_profile: bytes | None = None) -> bytes:
    """A PNG of `layer` (h, w, 4) uint8 or uint16 that belongs at `corner`, left and top in pixels."""
    offset = (b"oFFs", struct.pack(">iiB", *corner, _PIXELS))
    if layer.dtype == np.uint16:
        profile = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))] if icc_profile else []
        return png.new_png(layer, [*profile, offset])
    out = io.BytesIO()
    Image.fromarray(layer).save(out, "PNG", icc_profile=icc_profile)
    header, *others = png.read_chunks(out.getvalue())
    return png.join_chunks([header, offset, *others])
