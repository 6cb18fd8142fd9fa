"""Several models on the same photo, hole and seed, one after the other, with the time and memory of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from moebius import devices, model_cache, registry
from moebius.config import SamplingConfig
from moebius.fill import seeds
from moebius.fill.result import Fill
from moebius.fill.scheduler import fill_photo
from moebius.photo.raster import Raster
from moebius.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One model's result: a fill, or the reason why it failed."""

    card: registry.ModelCard
    config: SamplingConfig
    """With the model's own steps and guidance."""
    fill: Fill | None = None
    error: str | None = None
    facts: dict[str, str | int | None] = field(default_factory=dict)
    """See `Inpainter.facts`."""
    seconds: dict[str, float] = field(default_factory=dict)
    """`load`, and the parts of `Fill.seconds`."""
    peak_gib: dict[str, float | None] = field(default_factory=dict)
    """Of this process (`memory`) and of torch on the `gpu`, while this model was loaded and ran."""


def fastest_first(names: Iterable[str]) -> list[str]:
    """The names without repetition, fast models first. Raises ValueError for an unknown model."""
    cards = [registry.card(name) for name in dict.fromkeys(names)]
    return [card.name for card in sorted(cards, key=lambda card: card.comparison_order)]


def compare(
    photo: Raster,
    mask: np.ndarray,
    names: Iterable[str],
    config: SamplingConfig,
    seed: int,
    options: Callable[[str], registry.LoadOptions],
    progress: Progress = lambda share, text: None,
) -> Iterator[Outcome]:
    """Run the models, fastest first, and yield each outcome as soon as it is ready.

    If a model cannot run here, its outcome has the reason, and the next model follows.

    Args:
        photo, mask: as for `fill_photo`.
        seed: the same for every model.
        options: how to load a model.
    """
    ordered = fastest_first(names)
    for index, name in enumerate(ordered):
        card = registry.card(name)

        def report(share: float, text: str, index: int = index, title: str = card.title) -> None:
            progress((index + share) / len(ordered), f"{title}: {text}")

        yield _run(card, photo, mask, config.with_defaults(card.defaults), seed, options(name), report)
    progress(1.0, "Done")


def _run(
    card: registry.ModelCard,
    photo: Raster,
    mask: np.ndarray,
    config: SamplingConfig,
    seed: int,
    options: registry.LoadOptions,
    progress: Progress,
) -> Outcome:
    started = time.perf_counter()
    try:
        with devices.PeakMemory() as peak:
            registry.resolve(card.name, options)
            model = model_cache.acquire(card.name, options, progress)
            loaded = time.perf_counter()
            generator = seeds.generator(seed if card.seeded else None)
            fill = fill_photo(model, photo, mask, config, generator, progress)
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not devices.is_out_of_memory(error):
            raise
        return Outcome(card=card, config=config, error=" ".join(str(error).split()) or type(error).__name__)
    seconds = {"load": loaded - started, **fill.seconds}
    return Outcome(card=card, config=config, fill=fill, facts=model.facts(), seconds=seconds, peak_gib=peak.gib)


def table(outcomes: Iterable[Outcome]) -> list[dict]:
    """One row per model with the figures to compare. `times_student`: its seconds divided by the reference model's."""
    outcomes = list(outcomes)
    student = next((o.seconds["model"] for o in outcomes if o.card.reference and o.fill), None)
    return [
        {
            "model": outcome.card.name,
            "title": outcome.card.title,
            "parameters": outcome.card.parameters,
            "ran": outcome.fill is not None,
            "error": outcome.error,
            "steps": outcome.config.num_inference_steps if outcome.card.learned else None,
            "step_ms": _rounded(outcome.fill.step_ms, 2) if outcome.fill else None,
            "seconds": {part: _rounded(value, 3) for part, value in outcome.seconds.items()},
            "times_student": _rounded(outcome.seconds["model"] / student, 2) if student and outcome.fill else None,
            "peak_gib": outcome.peak_gib,
            "squares": len(outcome.fill.squares) if outcome.fill else None,
            "notes": list(outcome.fill.notes) if outcome.fill else [],
            "license": outcome.card.license,
            "notice": outcome.card.notice,
            **outcome.facts,  # with the number of loaded parameters if it can be counted
        }
        for outcome in outcomes
    ]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
