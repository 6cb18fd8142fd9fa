"""Which models are in memory: a model that was loaded stays until another learned one is asked for."""

from __future__ import annotations

import gc
import sys
import threading
from typing import TYPE_CHECKING

from moebius import registry, weight_files

if TYPE_CHECKING:
    from moebius.inpainter import Inpainter, Progress

_resident: dict[tuple, Inpainter] = {}  # at most one
_lock = threading.Lock()


def acquire(name: str, options: registry.LoadOptions, progress: Progress = lambda share, text: None) -> Inpainter:
    """The model `name` (not `auto`: see `registry.resolve`), loaded now or kept from before. Thread-safe.

    A learned model that is no longer the one asked for is let go before the next is loaded, so that two never
    have to fit; a fill that still runs with it keeps it alive until it is done.

    Raises:
        ValueError: unknown name, weights that are not there or do not fit.
    """
    card = registry.card(name)
    if not card.parameters:  # nothing to keep, and it must not wait for another model's download
        return card.load(options, progress)
    key = (
        name,
        str(weight_files.chosen_folder(options.weights)),
        options.variant,
        options.device,
        options.dtype,
    )
    with _lock:
        if key not in _resident:
            release()
            _resident[key] = card.load(options, progress)
        return _resident[key]


def release() -> None:
    """Let go of the model in memory and hand back the GPU memory that torch keeps for reuse."""
    _resident.clear()
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
