"""Checkpoints of the whole state of a run, written whole or not at all."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moebius.files import delete_abandoned, read_json, replacing, replacing_folder, write_atomic

STATE, FACTS = "state.pt", "facts.json"
FORMAT = 2
"""Of `STATE`; 1 held an average of our own making, which nothing reads any more."""
RECORD = "training.json"
"""Beside the result of a training: the facts of the checkpoint that it came from."""


def save(folder: Path, step: int, state: dict[str, Any], facts: dict[str, Any], keep: int) -> Path:
    """Write `folder/step-00000120/` and delete all but the `keep` newest. A kill leaves the old ones as they were.

    Args:
        state: tensors, numbers, strings, and lists and dicts of them.
        facts: what can be read without torch: the step, its losses, the configuration.
    """
    target = folder / f"step-{step:08d}"
    folder.mkdir(parents=True, exist_ok=True)
    delete_abandoned(folder)
    with replacing_folder(target) as part:
        with replacing(part / STATE) as temporary, temporary.open("wb") as file:
            torch.save(state, file)  # given a path, torch would write its name, which is random, into the file
        write_atomic(part / FACTS, json.dumps({"step": step, "format": FORMAT, **facts}).encode())
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / STATE).is_file() and (path / FACTS).is_file())


def facts(checkpoint: Path) -> dict[str, Any]:
    return read_json(checkpoint / FACTS)


def write_record(folder: Path, facts: dict[str, Any]) -> None:
    """Write `facts` into the folder of a training's result."""
    write_atomic(folder / RECORD, (json.dumps(facts, indent=1) + "\n").encode())


def load(checkpoint: Path) -> dict[str, Any]:
    """The state, on the CPU; no pickled code is run."""
    return torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)


def random_state() -> dict[str, Any]:
    """States of Python's, numpy's and torch's global generators, which libraries may use; our own code does not."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - kept for libraries, not used here
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, [int(key) for key in keys], position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the result of `random_state`."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
