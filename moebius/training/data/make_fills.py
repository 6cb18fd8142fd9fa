"""Make a data set of a model's fills, for `python -m moebius make-fills`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from moebius import masks
from moebius.config import SamplingConfig
from moebius.fill import seeds
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.base import Inpainter
from moebius.training.data import fills
from moebius.training.data.samples import Samples


def make(
    model: Inpainter,
    samples: Samples,
    folder: Path,
    count: int,
    settings: SamplingConfig,
    facts: dict[str, Any],
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> int:
    """Fill squares of pictures until the data set has `count` fills. Returns the number of new ones.

    Args:
        samples: the squares and holes; fill number i is made of sample number i, with noise from the same seed.
        settings: known pixels stay identical, whatever its feather.
        facts: what the manifest says: model, licence, weights, ...

    Raises:
        ConfigError: the folder holds other files, or fills of another model or other settings.
    """
    settings = replace(settings, feather_px=0)
    manifest = {**facts, "settings": asdict(settings), "seed": samples.seed, "size": samples.size}
    there = fills.start(folder, manifest)
    made = 0
    for number in range(count):
        name = fills.fill_name(number)
        if name not in there:
            sample, origin = samples.sample(number), samples.origin(number)
            seed = masks.seed_of(samples.seed, f"fill:{name}") >> 1
            fill = fill_photo(model, Image.fromarray(sample.picture), sample.mask, settings, seeds.generator(seed))
            parts = {
                "picture": sample.picture,
                "mask": sample.mask.astype(np.uint8) * 255,
                "fill": np.asarray(fill.raster),
            }
            origin_facts = {
                "model": facts["model"],
                "seed": seed,
                "source": str(origin.path),
                "source_sha256": origin.sha256,
                "source_pixels_sha256": origin.pixels_sha256,
            }
            fills.add(folder, number, parts, origin_facts)
            made += 1
        progress(number + 1, count)
    return made
