"""The models in memory: loaded on first use, kept while they fit; the least recently used one is dropped first."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from moebius import devices, registry

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.progress import Progress

_resident: OrderedDict[tuple, Inpainter] = OrderedDict()  # least recently used first
_lock = threading.RLock()
_lend: Callable[[str, registry.LoadOptions, Inpainter], Inpainter] | None = None


def acquire(name: str, options: registry.LoadOptions, progress: Progress = lambda share, text: None) -> Inpainter:
    """The model `name` (not `auto`: see `registry.resolve`), loaded now or kept from before. Thread-safe.

    Two requests for one model load it once. Other models are dropped first if their memory is needed; a fill that still
    runs with one of them keeps it alive until it ends.

    Raises:
        ValueError: unknown name, missing or wrong weights, a device that does not exist.
        MemoryError: the model does not fit, even alone.
    """
    card = registry.card(name)
    if card.needs is None:  # nothing to keep; it need not wait for another model's download
        return card.load(options, progress)
    key = (name, str(card.folder(options)), options.variant, options.device, options.dtype, options.plan)
    with _lock:
        if key not in _resident:
            device = options.device or devices.best_device()
            devices.check_device(device)
            needs = card.needs(options, devices.total_memory(device))
            while not devices.free_memory(device).covers(needs) and _drop_oldest():
                pass
            model = _load(card, options, progress)
            model.make_room = functools.partial(_drop_oldest, key)
            _resident[key] = _lend(name, options, model) if _lend else model
        _resident.move_to_end(key)
        return _resident[key]


def lend_through(lend: Callable[[str, registry.LoadOptions, Inpainter], Inpainter] | None) -> None:
    """From now on `acquire` returns `lend(name, options, model)` for every model it loads; None: the model itself."""
    global _lend
    _lend = lend


def residents() -> list[Inpainter]:
    """The models in memory, least recently used first."""
    with _lock:
        return list(_resident.values())


def release() -> None:
    """Drop every model from memory."""
    with _lock:
        _resident.clear()
        devices.release_memory()


def _load(card: registry.ModelCard, options: registry.LoadOptions, progress: Progress) -> Inpainter:
    """Load a model; if memory runs out in spite of the estimate, drop another model and try again."""
    while True:
        try:
            return card.load(options, progress)
        except (MemoryError, RuntimeError) as error:
            if not devices.is_out_of_memory(error):
                raise
        devices.release_memory()
        if not _drop_oldest():
            raise MemoryError(f"not enough memory for {card.title}, even with nothing else loaded")


def _drop_oldest(keep: tuple | None = None) -> bool:
    """Drop the least recently used model other than `keep`; False: there is none."""
    with _lock:
        key = next((key for key in _resident if key != keep), None)
        if key is None:
            return False
        del _resident[key]
        devices.release_memory()
        return True
