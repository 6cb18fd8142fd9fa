"""Which models are in memory: loaded on first use, kept while they fit; the one used least recently leaves first."""

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

    Two requests for one model load it once. Models that are in the way leave before the next is loaded; a fill that
    still runs with one keeps it alive until it is done.

    Raises:
        ValueError: unknown name, weights that are not there or do not fit, a device that is not there.
        MemoryError: it does not fit even alone.
    """
    card = registry.card(name)
    if card.needs is None:  # nothing to keep, and it must not wait for another model's download
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
    """From now on every model that is loaded is handed out as `lend(name, options, model)`; None: as it is."""
    global _lend
    _lend = lend


def residents() -> list[Inpainter]:
    """The models in memory, the one used least recently first."""
    with _lock:
        return list(_resident.values())


def release() -> None:
    """Drop every model from memory."""
    with _lock:
        _resident.clear()
        devices.let_go()


def _load(card: registry.ModelCard, options: registry.LoadOptions, progress: Progress) -> Inpainter:
    """Load; where memory runs out in spite of the estimate, again with one model less beside it."""
    while True:
        try:
            return card.load(options, progress)
        except (MemoryError, RuntimeError) as error:
            if not devices.is_out_of_memory(error):
                raise
        devices.let_go()
        if not _drop_oldest():
            raise MemoryError(f"not enough memory for {card.title}, even with nothing else loaded")


def _drop_oldest(keep: tuple | None = None) -> bool:
    """Drop the model that was used least recently, but not `keep`; False: there is none."""
    with _lock:
        key = next((key for key in _resident if key != keep), None)
        if key is None:
            return False
        del _resident[key]
        devices.let_go()
        return True
