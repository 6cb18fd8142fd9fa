"""Which pixels belong to the object under a point, by SAM 2.1 (Ravi et al. 2024, arXiv:2408.00714) of `transformers`.

Embedding a photo takes seconds on a CPU, each point after that less than a tenth of one: `embed` once, `predict` often.
Command line, page and API share everything here; they differ in what they show.
"""

from __future__ import annotations

import functools
import io
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from moebius import devices
from moebius.files import read_json
from moebius.masking.grow import grow
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import without_library_bars
from moebius.weights import WeightsError, first_line, locate
from moebius.weights.segmenter import SegmenterFiles

if TYPE_CHECKING:
    import torch

MARGIN_SHARE = 1 / 200
"""A selection is grown by this share of the picture's shorter side, because removing an object needs a margin. One
press of the page's Grow or Shrink changes it by as much."""
MAX_POINTS = 100

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class ImageEmbedding:
    """The network's embedding of a photo, before any point is known."""

    features: tuple
    """Tensors float32 (1, C, s, s), finest first; 17 MB for the published network."""
    size: tuple[int, int]
    """Width and height of the photo."""


class Selector:
    """The network, with transformers' preprocessing of pictures and points."""

    def __init__(self, network: torch.nn.Module, device: str) -> None:
        from transformers import Sam2ImageProcessor, Sam2Processor

        side = network.config.prompt_encoder_config.image_size
        self.side, self.device = side, device
        self._network = network.to(device).eval()
        self._processor = Sam2Processor(Sam2ImageProcessor(size={"height": side, "width": side}))

    def embed(self, raster: Raster) -> ImageEmbedding:
        """The embedding of a photo, which is first scaled down to at most twice the network's size."""
        import torch

        size = raster.size if not isinstance(raster, np.ndarray) else raster.shape[1::-1]
        inputs = self._processor(images=images.preview(raster, self.side), return_tensors="pt")
        with torch.inference_mode():
            features = self._network.get_image_embeddings(inputs["pixel_values"].to(self.device))
        return ImageEmbedding(tuple(features), size)

    def predict(
        self,
        embedding: ImageEmbedding,
        points: Sequence[tuple[float, float]],
        margin_px: int | None = None,
        size: tuple[int, int] | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """The mask of the objects under the points.

        The network predicts three masks for a point (a part, a larger part, the whole); the best-scored one is used.

        Args:
            points: x and y in pixels of the photo, from its upper left corner; each is an object of its own.
            margin_px: grow the mask by this many of its pixels; None: `margin`.
            size: width and height of the mask; None: the photo's.
            level: 1: of the three masks the next larger one than the best-scored, -1: the next smaller one, and so on;
                where there is none, the largest or smallest.

        Returns:
            (H, W) bool, all False if the network found nothing; see `mask_png`.

        Raises:
            ValueError: no point, too many points, or a point outside the photo.
        """
        check_points(points, embedding.size)
        clicks = [[(*point, True)] for point in points]
        union = self._union(embedding, _points(clicks), size or embedding.size, level)
        return grow(union, margin(size or embedding.size) if margin_px is None else margin_px)

    def predict_object(
        self, embedding: ImageEmbedding, clicks: Sequence[tuple[float, float, bool]], margin_px: int | None = None
    ) -> np.ndarray:
        """The one object that several clicks show: x, y, and whether the click is on it or beside it.

        Otherwise as `predict`.
        """
        check_points([(x, y) for x, y, _ in clicks], embedding.size)
        mask = self._union(embedding, _points([list(clicks)]), embedding.size)
        return grow(mask, margin(embedding.size) if margin_px is None else margin_px)

    def predict_box(
        self,
        embedding: ImageEmbedding,
        box: tuple[float, float, float, float],
        margin_px: int | None = None,
        size: tuple[int, int] | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """The mask of the object in a box: left, top, right, bottom in pixels of the photo. Otherwise as `predict`."""
        left, top, right, bottom = box
        check_points([(left, top), (right, bottom)], embedding.size)
        if not (left < right and top < bottom):
            raise ValueError(f"the box {left:g},{top:g} to {right:g},{bottom:g} is empty; give two opposite corners")
        mask = self._union(embedding, {"input_boxes": [[list(map(float, box))]]}, size or embedding.size, level)
        return grow(mask, margin(size or embedding.size) if margin_px is None else margin_px)

    def _union(self, embedding: ImageEmbedding, prompts: dict, size: tuple[int, int], level: int = 0) -> np.ndarray:
        """The mask of each object together, (H, W) bool at `size`; `prompts`: for the processor, see `_points`."""
        import torch

        inputs = self._processor(
            original_sizes=[[embedding.size[1], embedding.size[0]]], return_tensors="pt", **prompts
        )
        with torch.inference_mode():
            outputs = self._network(
                **{name: inputs[name].to(self.device) for name in prompts},
                image_embeddings=list(embedding.features),
                multimask_output=True,
            )
            masks, scores = outputs.pred_masks[0].float().cpu(), outputs.iou_scores[0].cpu()  # (P, 3, s, s), (P, 3)
            by_size = (masks > 0).sum(dim=(2, 3)).argsort(dim=1, stable=True)
            rank = (by_size == scores.argmax(dim=1, keepdim=True)).int().argmax(dim=1)
            chosen = by_size.gather(1, (rank + level).clamp(0, masks.shape[1] - 1)[:, None])[:, 0]
            # unite before scaling, which takes 4 bytes per pixel
            union = masks[torch.arange(len(masks)), chosen].amax(dim=0)[None, None]
            return self._processor.post_process_masks([union], [[size[1], size[0]]])[0][0, 0].numpy()


def _points(objects: list[list[tuple[float, float, bool]]]) -> dict:
    """For the processor: as many clicks for each object, and whether each is on it or beside it."""
    return {
        "input_points": [[[[float(x), float(y)] for x, y, _ in clicks] for clicks in objects]],
        "input_labels": [[[int(on) for _, _, on in clicks] for clicks in objects]],
    }


def check_points(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> None:
    """Raises ValueError unless there are 1 to `MAX_POINTS` points, all in a photo of `size`, width and height."""
    if not 1 <= len(points) <= MAX_POINTS:
        raise ValueError(f"1 to {MAX_POINTS} points are needed, got {len(points)}")
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y) and 0 <= x < size[0] and 0 <= y < size[1]):
            raise ValueError(f"the point {x:g},{y:g} is not in the photo, which has {size[0]}×{size[1]} pixels")


def margin(size: tuple[int, int]) -> int:
    """Number of pixels by which a selection in a picture of this width and height is grown."""
    return max(1, round(min(size) * MARGIN_SHARE))


def mask_png(mask: np.ndarray) -> bytes:
    """(H, W) bool as a PNG: white = object, black = everything else. Raises ValueError: nothing was found."""
    if not mask.any():
        raise ValueError("nothing was found there; try another point, or paint the mask")
    encoded = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(encoded, "PNG")
    return encoded.getvalue()


def locate_weights(weights: Path | str | None) -> SegmenterFiles:
    """Its files, where `weights` is the folder of other models' weights, see `locate.segmenter_folder`.

    Raises:
        WeightsError: missing or incomplete; says where it looked and what to do.
    """
    return locate.locate(weights=locate.segmenter_folder(weights), network="select")


def load(files: SegmenterFiles, device: str | None = None) -> Selector:
    """The selector of these files, from before if it was the last one. Thread-safe.

    Raises:
        WeightsError: damaged files, or those of another network.
        ValueError: a device that is not there.
    """
    with _one_at_a_time:
        return _load(files.folder, device or devices.best_device())


@functools.lru_cache(maxsize=1)
def _load(folder: Path, device: str) -> Selector:
    from transformers import Sam2Config, Sam2Model

    devices.check_device(device)
    stored = read_json(folder / "config.json", WeightsError)
    if stored.get("model_type") not in ("sam2", "sam2_video"):
        raise WeightsError(f"{folder} holds a {stored.get('model_type')}, not a sam2 or sam2_video")
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    try:
        # The published file is the network for videos, of which the one for pictures is a part.
        config = Sam2Config(**{name: stored[name] for name in parts if name in stored})
        with without_library_bars():
            network, report = Sam2Model.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise WeightsError(f"{folder} cannot be read as SAM 2: {first_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # the library would fill them with random numbers
        raise WeightsError(f"{folder} is not complete: {len(missing)} tensors are missing, first {missing[0]}")
    return Selector(network.requires_grad_(False), device)
