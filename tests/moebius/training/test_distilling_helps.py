"""Distillation is worth its cost: a tiny teacher overfits a few photos, a tinier student learns from it or alone."""

import statistics

import pytest
from tiny_training import STUDENT, table

from moebius.training.config import TrainConfig, build
from moebius.training.distillation import Distillation
from moebius.training.loop import accelerator, run

SEEDS = (0, 1, 2)
STEPS = 150
QUIET = {"validate_every": 0, "checkpoint_every": 10**6, "log_every": 50}
ALONE = {"perceptual": 0, "output": 0, "feature": 0, "adaptive": False}
DISTILLED = {"perceptual": 0, "output": 0.5, "feature": 0, "task": 0.05, "adaptive": False}


def trained(folder, out: str, seed: int, steps: int, batch_size: int, rate: float, **changes) -> float:
    """Train one network; the held-out task loss of its average."""
    data = {"validation": 2, "validation_draws": 8, "cache": str(folder / f"cache{seed}"), "cache_variants": 8}
    settings = table(
        folder,
        out,
        run=QUIET | {"steps": steps, "batch_size": batch_size, "seed": seed},
        optimizer={"learning_rate": rate, "warmup_steps": 10, "ema_decay": 0.95},
        data=data,
        **changes,
    )
    config = build(TrainConfig, settings)
    made = Distillation(config, accelerator(config.run))
    run(made, config, made.accelerator)
    return made.validate()["heldout_task"]


def test_a_distilled_student_beats_the_same_student_alone(tmp_path, capsys):
    wide = STUDENT | {"block_out_channels": [32, 64]}
    taught = trained(tmp_path, "teacher", 0, 400, 16, 5e-3, student=wide, loss=ALONE)
    teacher = {"kind": "moebius", "weights": str(tmp_path / "teacher" / "pipeline")}
    alone, distilled = [], []
    for seed in SEEDS:
        for found, name, changes in (
            (alone, "alone", {"loss": ALONE}),
            (distilled, "distilled", {"loss": DISTILLED, "teacher": teacher}),
        ):
            found.append(trained(tmp_path, f"{name}{seed}", seed, STEPS, 4, 2e-2, **changes))
    with capsys.disabled():
        told = {name: f"{statistics.mean(v):.3f} ± {statistics.stdev(v):.3f}" for name, v in
                (("alone", alone), ("distilled", distilled))}  # fmt: skip
        print(f"\nheld-out task loss after {STEPS} steps, {len(SEEDS)} seeds: {told}; teacher {taught:.3f}")  # noqa: T201
    assert taught < min(distilled)
    assert all(b < a for a, b in zip(alone, distilled, strict=True))
    assert statistics.mean(distilled) < statistics.mean(alone)
    assert alone == pytest.approx(alone)  # no NaN
