"""The scores of single pictures: what a fill is compared with, the networks that are asked, and the figures by key."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.data.pairs import Judged
from eval.metrics import pixels
from eval.metrics.crops import SIDE, chosen_crops, window
from eval.metrics.names import (
    DINOV2_LARGE,
    FEATURES,
    INVENTED,
    OFFLINE_REMOVAL,
    PERCEPTUAL,
    REMOVAL,
    SECOND,
    SECOND_OFFLINE,
)
from eval.metrics.pair import pair_scores
from eval.metrics.sharpness import BLOCKS, octaves, ring_px, sharpness

if TYPE_CHECKING:
    from eval.metrics.features import Extractor
    from eval.metrics.invented import EffNetClasses
    from eval.metrics.perceptual import Perceptual
    from eval.metrics.tokens import Tokens

LARGE = 1_500_000
"""Pixels from which a picture is scored around its hole only, the networks seeing pieces at native resolution."""
MARGIN = 4
"""Pixels beyond a hole's surroundings that its scores look at: gradients, and SSIM's windows."""
SHARPNESS = ("gradient_truth", "gradient_around", "fine_truth", "fine_around")
"""Ratios of `metrics.sharpness` that are kept beside the figures."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is measured."""

    features: str = "inception"
    """A name in `names.FEATURES`."""
    perceptual: str | None = None
    """A name in `names.PERCEPTUAL`; None: the one that goes with the features."""
    antialias: bool = False
    """Resize of the pictures before Inception; off is the published recipe."""
    allow_download: bool = False
    removal: str = OFFLINE_REMOVAL
    """A name in `names.REMOVAL`."""
    removal_folder: str | None = None
    """Of DINOv2 giant's weights."""
    second: str = SECOND_OFFLINE
    """A name in `names.SECOND`."""
    second_folder: str | None = None
    """Of DINOv2 large's weights."""

    def __post_init__(self) -> None:
        chosen = (
            (self.features, FEATURES),
            (self.perceptual, PERCEPTUAL),
            (self.removal, REMOVAL),
            (self.second, SECOND),
        )
        for value, known in chosen:
            if value is not None and value not in known:
                raise ValueError(f"unknown metric network {value!r}; choose from {', '.join(known)}")

    @property
    def distance(self) -> str:
        return self.perceptual or FEATURES[self.features].perceptual

    @property
    def distance_key(self) -> str:
        return PERCEPTUAL[self.distance][0]

    @property
    def second_distance(self) -> str | None:
        """The second judge of the hole: another network than the first; None where that is the same one."""
        return None if self.distance == SECOND_OFFLINE else SECOND_OFFLINE

    def describe(self) -> dict:
        """Everything that a score depends on, beside fill, device and code."""
        return {
            "features": self.features,
            "perceptual": self.distance,
            "removal": self.removal,
            "second": self.second,
            "antialias": self.antialias if self.features == "inception" else None,
        }


class Networks:
    """The networks of the metrics, loaded once for all contestants."""

    def __init__(self, metrics: Metrics, device: str) -> None:
        from eval.metrics import features, invented, perceptual, tokens

        self.extractor: Extractor = features.make(
            metrics.features, metrics.antialias, device, allow_download=metrics.allow_download
        )
        folder = metrics.second_folder if metrics.second == DINOV2_LARGE else None
        self.second: Extractor = features.make_second(metrics.second, Path(folder) if folder else None, device)
        self.distances: dict[str, Perceptual] = {
            PERCEPTUAL[name][0]: perceptual.make(name, device, metrics.allow_download)
            for name in (metrics.distance, metrics.second_distance)
            if name
        }
        self.tokens: Tokens = tokens.make(
            metrics.removal, Path(metrics.removal_folder) if metrics.removal_folder else None, device
        )
        self.classes: EffNetClasses = invented.EffNetClasses(device)
        kind = REMOVAL[metrics.removal]
        self.removal_keys = (kind.published[0], kind.spread[0], kind.cosine[0])


Row = dict[str, float | None]


def picture_scores(fills: list[np.ndarray], judged: list[Judged], networks: Networks) -> list[Row]:
    """Scores by key of every fill (H, W, 3) uint8: of the whole picture and, with `_hole`, of the hole.

    Removal scores and invented objects are seen in the fill alone. A value may be None: what cannot be said of this
    picture; of a picture of more than `LARGE` pixels nothing is said but of its hole and what is around it.
    """
    rows: list[Row] = []
    for fill, one in zip(fills, judged, strict=True):
        large = one.region.size > LARGE
        rows.append((_around_the_hole if large else _of_the_picture)(fill, one))
        rows[-1] |= _without_truth(fill, one.region, networks)
        if one.picture is not None:
            rows[-1] |= pair_scores(fill, one)
        if large:
            rows[-1] |= _distances_of_crops(fill, one, networks)
    for places in by_size([one.truth for one in judged]):
        if judged[places[0]].region.size <= LARGE:
            for index, found in zip(places, _distances(fills, judged, places, networks), strict=True):
                rows[index] |= found
    return rows


def _of_the_picture(fill: np.ndarray, one: Judged) -> Row:
    psnr, psnr_hole = pixels.psnr(fill, one.truth, one.region)
    ssim, ssim_hole = pixels.ssim(fill, one.truth, one.region)
    return {"psnr": psnr, "psnr_hole": psnr_hole, "ssim": ssim, "ssim_hole": ssim_hole} | _sharpness(fill, one)


def _around_the_hole(fill: np.ndarray, one: Judged) -> Row:
    """The same for a large picture, without the figures of the whole."""
    # spectra are taken of blocks half a block apart: begun elsewhere they would be others
    at = window(one.region, math.ceil(ring_px(one.region)) + MARGIN, grid=BLOCKS[0] // 2)
    fill, truth, region = np.ascontiguousarray(fill[at]), np.ascontiguousarray(one.truth[at]), one.region[at]
    row = {"psnr": None, "psnr_hole": pixels.psnr(fill, truth, region)[1]}
    row |= {"ssim": None, "ssim_hole": pixels.ssim(fill, truth, region)[1]}
    return row | _sharpness(fill, Judged(truth, region))


def _sharpness(fill: np.ndarray, one: Judged) -> Row:
    found = sharpness(fill, one.truth, one.region)
    gaps = {"gradient_gap": octaves(found["gradient_truth"]), "fine_gap": octaves(found["fine_truth"])}
    return gaps | {name: found[name] for name in SHARPNESS}


def _without_truth(fill: np.ndarray, region: np.ndarray, networks: Networks) -> Row:
    from eval.metrics.invented import invented
    from eval.metrics.removal import removal_scores

    row: Row = dict(zip(networks.removal_keys, removal_scores(fill, region, networks.tokens), strict=True))
    return row | {INVENTED[0]: invented(fill, region, networks.classes)}


def _distances(
    fills: list[np.ndarray], judged: list[Judged], places: list[int], networks: Networks
) -> list[dict[str, float]]:
    """Perceptual distances of pictures of one size, each seen whole."""
    import torch

    a = pixels.to_bytes([fills[index] for index in places])
    b = pixels.to_bytes([judged[index].truth for index in places])
    holes = torch.from_numpy(np.stack([judged[index].region for index in places]))
    rows: list[dict[str, float]] = [{} for _ in places]
    for key, distance in networks.distances.items():
        picture, hole = distance(a, b, holes)
        for row, whole, inside in zip(rows, picture.tolist(), hole.tolist(), strict=True):
            row |= {key: whole, f"{key}_hole": inside}
    return rows


def _distances_of_crops(fill: np.ndarray, one: Judged, networks: Networks) -> Row:
    """Perceptual distances in the hole of a large picture, from pieces of it at native resolution.

    A pixel that two pieces share counts twice.
    """
    import torch

    row: Row = {}
    for key, distance in networks.distances.items():
        total, count = 0.0, 0
        for y, x in chosen_crops(one.region):
            at = np.s_[y : y + SIDE, x : x + SIDE]
            a, b = (pixels.to_bytes([np.ascontiguousarray(picture[at])]) for picture in (fill, one.truth))
            inside = torch.from_numpy(one.region[at].copy())[None]
            size = int(inside.sum())
            total += float(distance(a, b, inside)[1]) * size
            count += size
        row |= {key: None, f"{key}_hole": total / count}
    return row


def features_of(extractor: Extractor, pictures: list[np.ndarray]) -> np.ndarray:
    """Features (N, D) float32 of pictures (H, W, 3) uint8 of any sizes."""
    found = np.empty((len(pictures), extractor.dims), np.float32)
    for places in by_size(pictures):
        found[places] = extractor(pixels.to_bytes([pictures[index] for index in places])).numpy()
    return found


def by_size(pictures: list[np.ndarray]) -> list[list[int]]:
    """Indices of pictures of one size, together."""
    sizes: dict[tuple, list[int]] = {}
    for index, picture in enumerate(pictures):
        sizes.setdefault(picture.shape[:2], []).append(index)
    return list(sizes.values())
