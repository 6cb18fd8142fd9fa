"""Metrics of a run: one JSON line per logged step, TensorBoard if it is installed, grids of pictures."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from moebius.files import read_lines, write_atomic

METRICS = "metrics.jsonl"


class Metrics:
    """Writes into a run's folder. Lines of steps from `resume_at` on, which will be repeated, are dropped."""

    def __init__(self, folder: Path, resume_at: int):
        self.folder, self.path = folder, folder / METRICS
        folder.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read(folder) if line["step"] < resume_at]
        write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self.board = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_at)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """One line; floats are written so that they read back exactly."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: np.ndarray) -> Path:
        """(H, W, 3) uint8 -> FOLDER/grids/NAME-00000120.png."""
        path = self.folder / "grids" / f"{name}-{step:08d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
        if self.board:
            self.board.add_image(name, picture, step, dataformats="HWC")
        return path

    def close(self) -> None:
        if self.board:
            self.board.close()


def read(folder: Path) -> list[dict]:
    """The metrics of a run, without a line that a kill cut off."""
    return read_lines(folder / METRICS)
