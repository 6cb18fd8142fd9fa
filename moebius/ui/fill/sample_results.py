"""Results of the samples, kept from the first fill of each: whoever chooses it later sees it filled at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np

from moebius.config import SamplingConfig
from moebius.registry import ModelCard
from moebius.ui.session import Session

NOTE = "Filled earlier, with the page's own settings. Fill fills it anew."


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A result that any visitor may see: photo and mask are the page's own."""

    data: bytes
    """The file."""
    name: str
    label: str
    """Of the button that downloads it."""
    facts: str
    """HTML."""


class SampleResults:
    """In memory: another start, perhaps of another version, makes them anew. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], Kept] = {}
        self._lock = threading.Lock()

    def find(self, session: Session, card: ModelCard) -> Kept | None:
        """The result of the sample that a visitor has chosen, by this model; None: there is none yet, or no sample."""
        with self._lock:
            return None if session.sample is None else self._kept.get((session.sample, card.name))

    def keep(self, session: Session, card: ModelCard, kept: Kept) -> None:
        """Keep the first result of the sample by this model."""
        with self._lock:
            if session.sample is not None:
                self._kept.setdefault((session.sample, card.name), kept)


def is_untouched(session: Session, mask: np.ndarray) -> bool:
    """Whether it is a sample as it comes, with its own mask. `mask`: (H, W) bool, what is filled."""
    if session.sample is None or session.photo != session.steps[0].path:
        return False
    given = session.mask()
    return given is not None and np.array_equal(mask, given)


def is_default(config: SamplingConfig, card: ModelCard) -> bool:
    """Whether a fill has the settings that the page has at first; those that the model does not read do not count."""
    if card.defaults is None:
        config = replace(config, num_inference_steps=None, guidance_scale=None)
    if not card.reads_prompt:
        config = replace(config, prompt=None)
    return config.with_defaults(card.defaults) == SamplingConfig().with_defaults(card.defaults)
