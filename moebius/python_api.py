"""The Python API: `moebius.inpaint(photo, mask)` does a whole fill in one call, as the command line does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moebius import model_cache, registry
from moebius.config import SamplingConfig
from moebius.fill import scheduler, seeds
from moebius.fill.result import Fill
from moebius.photo import photo_file
from moebius.progress import Progress, no_progress

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from moebius.photo.photo_file import Photo
    from moebius.photo.raster import Raster


def inpaint(
    photo: Photo | Raster | Path | str,
    mask: Image.Image | np.ndarray | Path | str,
    model: str = registry.AUTO,
    *,
    seed: int | None = None,
    config: SamplingConfig | None = None,
    weights: Path | str | None = None,
    variant: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    plan: str | None = None,
    allow_download: bool = False,
    progress: Progress = no_progress,
) -> Fill:
    """Fill the white part of a mask in a photo.

    The model stays in memory for the next call. `encode_photo(photo, fill.raster, fill.changed)` makes the file.

    Args:
        photo: what `open_photo` returned, a file, a Pillow image or an array (H, W, 2, 3 or 4) uint16.
        mask: of the photo's size as shown: a file, a Pillow image, or an array (H, W) bool, uint8 or uint16.
            White (at least half) = repaint.
        model: a name in `moebius.registry.MODELS`, or `auto`: the best that can run here without a download.
        seed: the same seed gives the same fill, here and on the command line; None: a random seed.
        config: None: the `photo` recipe with the model's own choices.
        weights, variant, device, dtype, plan: see `moebius.registry.LoadOptions`.
        allow_download: download missing weights; `auto` never downloads.

    Returns:
        `Fill`: `raster`, of the photo's size and mode, `changed` (H, W) bool, squares, seconds and notes.

    Raises:
        ValueError: unknown model, one that cannot run here, settings out of range, or a mask of another size.
        moebius.weights.WeightsError: weights are missing or damaged.
        moebius.photo.photo_file.PhotoError: a file that cannot be opened.
        Cancelled: `progress` raised it.
    """
    if isinstance(photo, str | Path):
        photo = photo_file.open_photo(photo)
    raster = photo.raster if isinstance(photo, photo_file.Photo) else photo
    if isinstance(mask, str | Path):
        mask = photo_file.open_mask(mask)
    options = registry.LoadOptions(
        weights=Path(weights) if weights else None,
        variant=variant,
        device=device,
        dtype=dtype,
        plan=plan,
        allow_download=allow_download and model != registry.AUTO,
    )
    card, _ = registry.resolve(model, options)
    generator = seeds.generator(seed if card.seeded else None)
    inpainter = model_cache.acquire(card.name, options, progress)
    return scheduler.fill_photo(inpainter, raster, mask, config, generator, progress)
