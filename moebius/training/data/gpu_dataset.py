"""The GPU data set: photos and holes lie on the device, which cuts, scales and flips the crops of a whole batch at
once.

A sample still depends only on (configuration, seed, number). Holes come from a stock that is drawn once; each is used
in eight orientations.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor

from moebius import masks
from moebius.training import counter
from moebius.training.config import ConfigError, Data
from moebius.training.data.latents import Batch, Encoder
from moebius.training.data.samples import Pictures, Samples, shuffled

_HALVED_FROM = 1.5
"""Crops that are at least this many times as wide as the network's input are cut from the picture at half its size,
because bilinear sampling would skip pixels."""


class GpuDataset:
    """Cuts batches of samples; with an encoder a `BatchSource`."""

    def __init__(
        self, samples: Samples, config: Data, device: torch.device, workers: int, encoder: Encoder | None = None
    ):
        """Decode every picture and draw the stock of holes. Raises ConfigError for sources other than pictures."""
        if any(source.kind != "pictures" for source in config.sources):
            raise ConfigError("data.on_device takes sources of kind 'pictures' only; set it to false")
        self.seed, self.size, self.config, self.device, self.encoder = (
            samples.seed,
            config.size,
            config,
            device,
            encoder,
        )
        unique = list(dict.fromkeys(samples.items))
        with ThreadPoolExecutor(workers) as threads:
            photos = list(threads.map(lambda item: item[0].read(item[0].found[item[1]].path), unique))
            sources = [items for items in dict.fromkeys(items for items, _ in unique) if isinstance(items, Pictures)]
            holes = list(threads.map(lambda number: self._hole(sources, number), range(config.holes)))
        place = {item: i for i, item in enumerate(unique)}
        self.items = [place[item] for item in samples.items]
        levels = [level for photo in photos for level in (photo, _halved(photo))]
        ends = np.cumsum([level.shape[0] * level.shape[1] for level in levels])
        starts = [0, *ends[:-1].tolist()]
        self.starts = torch.tensor(starts, device=device).view(-1, 2)  # (N, 2 levels), in pixels
        self.sides = torch.tensor([level.shape[:2] for level in levels], device=device).view(-1, 2, 2)
        pixels = np.concatenate([level.reshape(-1, 3) for level in levels])
        self.pixels = torch.from_numpy(pixels).to(device)  # (P, 3) uint8
        self.holes = torch.from_numpy(np.stack(holes)).to(device)  # (M, S, S) bool

    def _hole(self, sources: list[Pictures], number: int) -> np.ndarray:
        random = masks.random_of(masks.seed_of(self.seed, f"hole:{number}"))
        return sources[number % len(sources)].hole(random)

    # ---- what a training calls ----

    def prepare(self, position: int) -> int:
        """Nothing to prepare."""
        return position

    def collate(self, positions: list[int]) -> Batch:
        """Latents of the samples at these positions of the endless stream."""
        pictures, holes = self.cut(positions)
        return self.encoder.encode(pictures, holes, foreground=[False] * len(positions))

    def pictures(self, positions: list[int]) -> Tensor:
        """Their pictures alone, (B, 3, S, S) in [-1, 1]."""
        return self.cut(positions)[0]

    @torch.no_grad()
    def cut(self, positions: list[int]) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, S, S) float32 in [-1, 1] and holes (B, 1, S, S) float32, 1 = hole."""
        keys = [masks.seed_of(self.seed, f"sample:{position}") >> 1 for position in positions]
        share, x, y, flip, hole, turn = counter.uniform(torch.tensor(keys, device=self.device), 6).T
        chosen = torch.tensor([self._item(position) for position in positions], device=self.device)
        return self._crops(chosen, share, x, y, flip < 0.5), self._turned(hole, turn)

    def _item(self, position: int) -> int:
        epoch, place = divmod(position, len(self.items))
        return self.items[shuffled(self.seed, epoch, len(self.items))[place]]

    # ---- geometry, all (B,) at once ----

    def _crops(self, chosen: Tensor, share: Tensor, x: Tensor, y: Tensor, flip: Tensor) -> Tensor:
        """A square of each chosen picture, as `data.square` draws it, at the network's size."""
        size, (low, high) = self.size, self.config.crop
        whole = self.sides[chosen, 0]  # (B, 2) height, width
        short = whole.amin(dim=1)
        side = (short * (low + (high - low) * share)).round().long()
        side = torch.maximum(side, short.clamp(max=size)).minimum(short)
        left, top = ((by * (length - side + 1)).long() for by, length in ((x, whole[:, 1]), (y, whole[:, 0])))
        level = (side >= _HALVED_FROM * size).long()
        height, width = self.sides[chosen, level].unbind(dim=1)
        start = self.starts[chosen, level]
        steps = (torch.arange(size, device=self.device) + 0.5) / size  # centres of the pixels to be
        mirrored = torch.where(flip[:, None], 1 - steps, steps)
        across = _taps(left, side, mirrored, level, width)
        down = _taps(top, side, steps.expand_as(mirrored), level, height)
        made = torch.zeros((len(chosen), size, size, 3), device=self.device)
        for row, row_share in down:
            for column, column_share in across:
                places = (start[:, None] + row * width[:, None])[:, :, None] + column[:, None, :]
                made += (row_share[:, :, None] * column_share[:, None, :])[..., None] * self.pixels[places]
        return made.permute(0, 3, 1, 2).contiguous() / 127.5 - 1

    def _turned(self, hole: Tensor, turn: Tensor) -> Tensor:
        """A hole of the stock for each sample, in one of its eight orientations."""
        number, way = (hole * len(self.holes)).long(), (turn * 8).long()
        line = torch.arange(self.size, device=self.device).expand(len(hole), -1)
        rows, columns = (torch.where((way >> bit & 1 == 1)[:, None], self.size - 1 - line, line) for bit in range(2))
        rows, columns = rows[:, :, None], columns[:, None, :]
        kept, swapped = (
            self.holes[number[:, None, None], rows, columns],
            self.holes[number[:, None, None], columns, rows],
        )
        return torch.where((way >> 2 == 1)[:, None, None], swapped, kept).unsqueeze(1).float()


def _taps(first: Tensor, side: Tensor, steps: Tensor, level: Tensor, length: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The two pixels around each centre along one axis, and their bilinear shares: (B, S) int64 and float32 each."""
    centre = (first[:, None] + side[:, None] * steps) / (1 + level[:, None]) - 0.5
    centre = torch.minimum(centre.clamp(min=0), (length[:, None] - 1).float())
    before = centre.floor()
    share = centre - before
    before = before.long()
    return [(before, 1 - share), (torch.minimum(before + 1, length[:, None] - 1), share)]


def _halved(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 at half its sides, rounded down."""
    height, width = picture.shape[:2]
    return cv2.resize(picture, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
