"""Moebius: fill holes in photos with a small network (arXiv:2606.19195).

The public names below are imported when they are first used, so that `import moebius` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moebius.config import SamplingConfig
    from moebius.models.pixelhacker import PixelHackerUNet
    from moebius.models.unet import MoebiusUNet
    from moebius.photo.photo_file import encode_photo, open_photo
    from moebius.pipeline import MoebiusInpaintPipeline
    from moebius.python_api import inpaint

__version__ = "0.1.0"

__all__ = [
    "MoebiusInpaintPipeline",
    "MoebiusUNet",
    "PixelHackerUNet",
    "SamplingConfig",
    "encode_photo",
    "inpaint",
    "open_photo",
]

_HOMES = {
    "MoebiusInpaintPipeline": "moebius.pipeline",
    "MoebiusUNet": "moebius.models.unet",
    "PixelHackerUNet": "moebius.models.pixelhacker",
    "SamplingConfig": "moebius.config",
    "encode_photo": "moebius.photo.photo_file",
    "inpaint": "moebius.python_api",
    "open_photo": "moebius.photo.photo_file",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
