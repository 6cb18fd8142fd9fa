"""Which pixels belong to the object under a point, by SAM 2.1 (Ravi et al. 2024, arXiv:2408.00714) of `transformers`.

Looking at a photo takes seconds on a CPU, each point after that less than a tenth of one: `look` once, `find` often.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moebius import devices
from moebius.files import read_json
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import without_library_bars
from moebius.weights import WeightsError, first_line
from moebius.weights.segmenter import SegmenterFiles

MARGIN_SHARE = 1 / 200
"""Of a picture's shorter side: how far a selection reaches beyond its object, as removing one needs. As much as one
press of the page's Grow, so that one of Shrink takes it back."""
MOST_POINTS = 100

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Look:
    """What the network has seen in a photo."""

    features: tuple
    """Of float32 (1, C, s, s), finest first; 17 MB for the published network."""
    size: tuple[int, int]
    """Width and height of the photo."""


class Selector:
    """The network and the library's own preparation of pictures and points for it."""

    def __init__(self, network, device: str) -> None:
        from transformers import Sam2ImageProcessor, Sam2Processor

        side = network.config.prompt_encoder_config.image_size
        self.side, self.device = side, device
        self._network = network.to(device).eval()
        self._processor = Sam2Processor(Sam2ImageProcessor(size={"height": side, "width": side}))

    def look(self, raster: Raster) -> Look:
        """See a photo, at most twice as large as the network wants it; `find` needs it."""
        import torch

        size = raster.size if not isinstance(raster, np.ndarray) else raster.shape[1::-1]
        seen = self._processor(images=images.preview(raster, self.side), return_tensors="pt")
        with torch.inference_mode():
            features = self._network.get_image_embeddings(seen["pixel_values"].to(self.device))
        return Look(tuple(features), size)

    def find(
        self,
        look: Look,
        points: Sequence[tuple[float, float]],
        margin_px: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """The objects under the points, together.

        Of the three masks that the network gives for a point (a part, a larger one, the whole) the one counts that
        it trusts most.

        Args:
            points: x and y in pixels of the photo, from its upper left corner; each is an object of its own.
            margin_px: grow the mask by so many pixels of it; None: `margin`.
            size: width and height of the mask; None: the photo's.

        Returns:
            (H, W) bool, empty where the network saw nothing.

        Raises:
            ValueError: no point, too many, or one beside the photo.
        """
        import torch

        check_points(points, look.size)
        width, height = size or look.size
        asked = self._processor(
            original_sizes=[[look.size[1], look.size[0]]],
            input_points=[[[list(map(float, point))] for point in points]],
            input_labels=[[[1]] * len(points)],
            return_tensors="pt",
        )
        with torch.inference_mode():
            told = self._network(
                input_points=asked["input_points"].to(self.device),
                input_labels=asked["input_labels"].to(self.device),
                image_embeddings=list(look.features),
                multimask_output=True,
            )
            every, best = told.pred_masks[0].float().cpu(), told.iou_scores[0].argmax(dim=1)  # (P, 3, s, s), (P,)
            # united before they are scaled, which takes 4 bytes a pixel
            united = every[torch.arange(len(points)), best.cpu()].amax(dim=0)[None, None]
            mask = self._processor.post_process_masks([united], [[height, width]])[0][0, 0].numpy()
        return grow(mask, margin((width, height)) if margin_px is None else margin_px)


def check_points(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> None:
    """Raises ValueError unless there are 1 to `MOST_POINTS` points, all in a photo of `size`, width and height."""
    if not 1 <= len(points) <= MOST_POINTS:
        raise ValueError(f"1 to {MOST_POINTS} points are needed, got {len(points)}")
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y) and 0 <= x < size[0] and 0 <= y < size[1]):
            raise ValueError(f"the point {x:g},{y:g} is not in the photo, which has {size[0]}×{size[1]} pixels")


def margin(size: tuple[int, int]) -> int:
    """Pixels that a selection in a picture of that width and height is grown by."""
    return max(1, round(min(size) * MARGIN_SHARE))


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """(H, W) bool and every pixel within `radius` of it, by Euclid."""
    if radius < 0:
        raise ValueError(f"a mask cannot be grown by {radius} pixels; give 0 or more")
    if radius == 0 or not mask.any():
        return mask
    import cv2

    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius + 1e-4


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
    told = read_json(folder / "config.json", WeightsError)
    if told.get("model_type") not in ("sam2", "sam2_video"):
        raise WeightsError(f"{folder} holds a {told.get('model_type')}, not a sam2 or sam2_video")
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    try:
        # The published file is the network for videos, of which the one for pictures is a part.
        config = Sam2Config(**{name: told[name] for name in parts if name in told})
        with without_library_bars():
            network, report = Sam2Model.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise WeightsError(f"{folder} cannot be read as SAM 2: {first_line(error)}") from error
    lacking = sorted(report["missing_keys"])
    if lacking:  # the library would go on with random numbers
        raise WeightsError(f"{folder} is not complete: {len(lacking)} tensors are missing, first {lacking[0]}")
    return Selector(network.requires_grad_(False), device)
