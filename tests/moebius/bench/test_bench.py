"""Timing: the right networks, the right number of steps, the paper's figures beside ours."""

import dataclasses
import json

import pytest
import torch

from moebius.__main__ import main
from moebius.bench import fills, networks, student
from moebius.models.fused import local_kernel
from moebius.models.fused import modes as network_modes
from moebius.models.fused.unet import FusedMoebiusUNet


def test_tiny_models_are_timed_beside_the_papers_figures(capfd):
    assert main(["bench", "--steps", "3", "--device", "cpu", "--json"]) == 0
    said, complaint = capfd.readouterr()
    report = json.loads(said)
    assert complaint == "" and report["tiny"] and report["dtype"] == "float32"
    rows = {row["model"]: row for row in report["results"]}
    assert list(rows) == ["moebius", "pixelhacker", "flux-fill"]
    for row in rows.values():
        assert (row["side"], row["batch"], row["steps"]) == (64, 1, 3)
        assert 0 < 2 * row["step_ms"] / 1000 < row["total_s"]  # the first step is left out
    assert [row["guidance_scale"] for row in rows.values()] == [2.0, 4.5, 30.0]
    assert [row["paper"]["step_ms"] for row in rows.values()] == [26.01, 46.89, 161.01]


def test_every_way_of_the_student_is_timed_against_a_large_product(capfd):
    assert main(["bench", "--all-modes", "--steps-only", "--rounds", "2", "--device", "cpu", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    rows = {(row["mode"], row["dtype"], row["batch"]): row for row in report["rows"]}
    assert set(rows) == {
        (f, d, b) for f in ("plain", "eager", "fused") for d in ("float32", "bfloat16") for b in (1, 2)
    }
    for row in rows.values():
        assert 0 < row["least_s"] <= row["step_s"] <= row["most_s"]
        reached = row["gflop"] / row["step_s"]
        assert row["share_of_product"] == pytest.approx(reached / row["product_gflops"])
    one, two = (rows["eager", "float32", batch]["gflop"] for batch in (1, 2))
    assert two == pytest.approx(2 * one, rel=0.02)
    assert rows["fused", "float32", 1]["gflop"] > 0
    assert rows["plain", "float32", 1]["gflop"] == rows["eager", "float32", 1]["gflop"]
    for (_, _, batch), row in rows.items():
        plain = rows["plain", "float32", batch]
        assert (
            plain["times"] == 1 and plain["least_s"] / row["most_s"] <= row["times"] <= plain["most_s"] / row["least_s"]
        )
    assert main(["bench", "--all-modes", "--rounds", "0", "--device", "cpu"]) == 2


@pytest.mark.slow
def test_a_whole_fill_has_a_process_of_its_own():
    found = student.whole_fill("fused", "bfloat16", 2, "cpu", tiny=True)
    assert 0 < 18 * found["step_s"] < found["total_s"] and found["decode_s"] > 0
    assert found["encode_s"] + found["decode_s"] < found["total_s"] and found["peak_gib"] > 0.2


def test_a_fill_whose_steps_were_not_all_run_is_computed_and_said_to_be(monkeypatch):
    found = {"encode_s": 2.0, "step_s": 9.0, "decode_s": 3.0, "total_s": None, "peak_gib": 1.5}
    monkeypatch.setattr(student, "whole_fill", lambda *way: dict(found))
    report = student.all_modes("cpu", (1,), rounds=1)
    assert [row["whole"] for row in report["rows"] if row["mode"] == "plain"] == [None, None]
    for row in [row for row in report["rows"] if row["mode"] != "plain"]:
        assert row["whole"]["computed"] and row["whole"]["total_s"] == 5 + 20 * row["step_s"]
    total = min(row["whole"]["total_s"] for row in report["rows"] if row["whole"])
    assert f"~{total:.1f}" in student.describe(report)
    report = student.all_modes("cpu", (1,), rounds=4, minutes=0)  # one round whatever it takes, and no fills
    assert report["rounds"] == 1 and all(row["whole"] is None for row in report["rows"])


@pytest.mark.slow
def test_the_modes_for_a_gpu_are_timed_with_the_fused_ones_operations(monkeypatch):
    """On a CPU, by a backend that compiles nothing; the Triton kernel's place is taken by torch."""
    monkeypatch.setitem(student.MODES, "cpu", student.MODES["cuda"])
    compile_graphs = FusedMoebiusUNet.compile_graphs
    monkeypatch.setattr(FusedMoebiusUNet, "compile_graphs", lambda self: compile_graphs(self, "eager"))
    asked = []
    monkeypatch.setattr(FusedMoebiusUNet, "set_local_kernel", lambda self, kernel: asked.append(kernel))
    report = student.all_modes("cpu", (1,), rounds=1, whole=False)
    rows = {(row["mode"], row["dtype"]): row for row in report["rows"]}
    assert [mode for mode, dtype in rows if dtype == "float32"] == list(network_modes.MODES) and len(rows) == 10
    assert asked == ["triton"] * 4 and report["left_out"] == []
    assert rows["triton-compiled", "bfloat16"]["gflop"] == rows["fused", "bfloat16"]["gflop"]


def test_a_mode_that_cannot_run_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setitem(student.MODES, "cpu", ("eager", "triton"))
    monkeypatch.setattr(local_kernel, "triton", None)
    report = student.all_modes("cpu", (1,), rounds=1, whole=False)
    assert [row["mode"] for row in report["rows"]] == ["eager"] * 2
    assert 'Left out: triton: kernel "triton" needs Triton' in student.describe(report)


def test_a_person_is_told_that_tiny_says_nothing(capfd):
    assert main(["bench", "--models", "moebius", "--steps", "1", "--device", "cpu"]) == 0
    said = capfd.readouterr().out
    assert "because there is no GPU" in said and "26.01 × 20 = 0.52" in said


def test_the_models_own_steps_are_run(monkeypatch):
    model = networks.build("flux-fill", "cpu", torch.float32, tiny=True)
    asked = []
    real = model.fill_squares

    def one_step(tiles, masks, config, *rest):
        asked.append(config)
        return real(tiles, masks, dataclasses.replace(config, num_inference_steps=1), *rest)

    monkeypatch.setattr(model, "fill_squares", one_step)
    assert fills.measure(model)["steps"] == 50
    assert [config.num_inference_steps for config in asked] == [2, 50]


def test_parameters_are_made_in_the_type_and_the_random_state_is_left_alone():
    state = torch.get_rng_state()
    model = networks.build("pixelhacker", "cpu", torch.bfloat16, tiny=True)
    assert {p.dtype for p in model.pipeline.unet.parameters()} == {torch.bfloat16}
    assert torch.get_default_dtype() == torch.float32 and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--models", "classical"), "cannot measure 'classical'; choose from moebius, pixelhacker, flux-fill"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--models", "moebius", "--kernel", "triton", "--steps", "1"), 'kernel "triton" needs'),
        (("--steps", "0"), "num_inference_steps must be between 1 and 1000"),
    ],
)
def test_mistakes_are_one_line(arguments, part, capfd):
    assert main(["bench", *arguments]) == 2
    said, complaint = capfd.readouterr()
    assert said == "" and complaint.count("\n") == 1 and part in complaint


@pytest.mark.gpu
def test_the_published_sizes_on_a_gpu():
    report = fills.bench(["moebius", "pixelhacker"], device="cuda")
    assert [row["parameters"] for row in report["results"]] == [226_041_531, 862_251_708]
