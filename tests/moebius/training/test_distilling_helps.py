"""Distillation is worth its cost: a tiny teacher learns from a few photos, a tinier student from it, or alone.

Output and feature term count as much as the task: with the published weights, 0.01, a training of so few steps shows
more of the adaptive weights than of the teacher. Each student has a twin whose teacher knows nothing, so that what
the terms do by themselves does not pass for knowledge.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.helpers.tiny_training import STUDENT, table, trained

SEEDS = (0, 1)
STEPS = 60
NARROW, WIDE = STUDENT | {"block_out_channels": [32]}, STUDENT | {"block_out_channels": [64]}
ALONE = {"perceptual": 0, "output": 0, "feature": 0, "adaptive": False}
DISTILLED = {"perceptual": 0, "output": 1.0, "feature": 1.0}


@pytest.mark.slow
def test_a_distilled_student_beats_the_same_student_alone(tmp_path, capsys):
    table(tmp_path)  # photos and autoencoder, before two processes want them
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        knows = pool.submit(trained, tmp_path, "knows", 0, 100, 8, 1e-2, student=WIDE, loss=ALONE)
        blank = pool.submit(trained, tmp_path, "blank", 0, 1, 16, 1e-9, student=WIDE, loss=ALONE)

        def students(name: str, loss: dict, teacher: str | None = None) -> list:
            changes = {"student": NARROW, "loss": loss}
            if teacher:
                changes["teacher"] = {"kind": "moebius", "weights": str(tmp_path / teacher / "pipeline")}
            return [pool.submit(trained, tmp_path, f"{name}{s}", s, STEPS, 4, 1e-2, **changes) for s in SEEDS]

        running = {"alone": students("alone", ALONE)}
        taught, untaught = knows.result(), blank.result()
        running["of a teacher"] = students("distilled", DISTILLED, "knows")
        running["of a teacher that knows nothing"] = students("control", DISTILLED, "blank")
        losses = {name: [one.result() for one in found] for name, found in running.items()}
    with capsys.disabled():
        print(f"\nheld-out task loss after {STEPS} steps; teacher {taught:.3f}, knowing nothing {untaught:.3f}")  # noqa: T201
        for name, found in losses.items():
            each = ", ".join(f"{value:.3f}" for value in found)
            print(f"  {name}: {each}")  # noqa: T201
    alone, distilled, control = losses.values()
    assert taught < min(distilled)
    assert max(distilled) < min(alone + control)
