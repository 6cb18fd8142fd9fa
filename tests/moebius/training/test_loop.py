"""The loop: killed and resumed it is one run, two processes are one, what goes wrong is named."""

import json
import signal
import socket
from pathlib import Path

import pytest
import torch

from moebius.training import checkpoints, loop, metrics
from moebius.training.config import ConfigError, Run, TrainConfig, build
from moebius.training.distillation import Distillation
from moebius.training.loop import Diverged, Smooth, positions
from tests.helpers.forked import Command
from tests.helpers.tiny_training import environment, start, table, toml


def run(settings: dict, minutes: float | None = None) -> tuple[Distillation, dict]:
    config = build(TrainConfig, settings)
    accelerator = loop.accelerator(config.run)
    trainee = Distillation(config, accelerator)
    return trainee, loop.run(trainee, config, accelerator, minutes=minutes)


def losses(folder) -> list[dict]:
    return [line for line in metrics.read(folder) if "loss" in line]


def same(a, b) -> bool:
    """Nested states, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_processes_share_the_positions_of_a_step():
    settings = Run(out=Path("x"), steps=3, batch_size=12, accumulate=2)
    whole = [p for group in positions(settings, 0, 1, 0) for p in group]
    assert whole == list(range(36))
    shared = [list(positions(settings, rank, 3, 1)) for rank in range(3)]  # from step 1 on
    parts = [sum((process[part] for process in shared), []) for part in range(4)]
    assert parts == [list(range(12 + 6 * part, 18 + 6 * part)) for part in range(4)]


KILLED = """
import os, signal, sys
from moebius.__main__ import main
from moebius.training.metrics import Metrics

scalars = Metrics.scalars


def scalars_or_die(self, step, values):  # past the checkpoint at 3, before that at 6
    scalars(self, step, values)
    if step == 4 and "loss" in values:
        os.kill(os.getpid(), signal.SIGKILL)


Metrics.scalars = scalars_or_die
sys.exit(main(["train", sys.argv[1]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("on_device", [False, True])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, on_device):
    """SIGKILL in the middle, between checkpoints; the same command again; against a run that nobody disturbed."""
    changes = {
        "run": {"steps": 14, "checkpoint_every": 3, "validate_every": 7},
        "optimizer": {"learning_rate": 1e-3, "warmup_steps": 5, "decay_steps": 8},
        "data": {"on_device": on_device, "holes": 20},
    }
    # A command too: the process of the tests may have another number of threads, and so another order of sums.
    (tmp_path / "straight.toml").write_text(toml(table(tmp_path, "straight", **changes)))
    _, errors = start("train", tmp_path / "straight.toml", "--json").communicate(timeout=240)
    assert (tmp_path / "straight" / "checkpoints").is_dir(), errors
    file = tmp_path / "killed.toml"
    file.write_text(toml(table(tmp_path, "killed", **changes)))
    killed = Command("killed", file, environment=environment(), code=KILLED)
    _, errors = killed.communicate(timeout=240)
    assert killed.returncode == -signal.SIGKILL, errors
    assert [line["step"] for line in losses(tmp_path / "killed")] == list(range(5))
    before = checkpoints.checkpoints(tmp_path / "killed" / "checkpoints")
    assert before and checkpoints.facts(before[-1])["step"] < 14
    again = start("train", file, "--json")
    out, errors = again.communicate(timeout=240)
    assert again.returncode == 0, errors
    assert f"resuming from {before[-1]}" in errors
    assert json.loads(out)["finished"] is True
    assert metrics.read(tmp_path / "killed") == metrics.read(tmp_path / "straight")
    assert [line["step"] for line in losses(tmp_path / "killed")] == list(range(14))
    last = [
        checkpoints.load(checkpoints.checkpoints(tmp_path / name / "checkpoints")[-1])
        for name in ("killed", "straight")
    ]
    assert same(last[0]["trainee"], last[1]["trainee"])


@pytest.mark.slow
def test_two_processes_with_half_the_batch_each_are_one_with_the_whole(tmp_path):
    """With a teacher, every term and its adaptive weight, and statistics of batches: all are those of the whole."""
    teacher = table(tmp_path, "teacher", run={"steps": 1}, student={"block_out_channels": [16, 64]})
    run(teacher)
    changes = {
        "run": {"steps": 3, "batch_size": 4, "checkpoint_every": 100},
        "loss": {"output": 0.01, "feature": 0.01},
        "teacher": {"kind": "moebius", "weights": str(tmp_path / "teacher" / "pipeline")},
        "optimizer": {"learning_rate": 1e-5, "warmup_steps": 0},  # small: both optimizers magnify rounding errors
    }
    one, _ = run(table(tmp_path, "one", **changes))
    file = tmp_path / "two.toml"
    changes["teacher"]["shard"] = True  # FSDP: each holds half of it
    file.write_text(toml(table(tmp_path, "two", **changes)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    port = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(number), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    pair = [start("train", file, RANK=str(rank), LOCAL_RANK=str(rank), **port) for rank in range(2)]
    for process in pair:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    whole, halves = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert {"task", "output", "feature", "perceptual", "w_task", "w_output", "w_perceptual"} <= set(whole[0])
    for a, b in zip(whole, halves, strict=True):
        for name, value in a.items():
            # Ratios of gradients, and what is made with them, magnify rounding errors; the losses agree closely.
            tight = name in ("task", "output", "feature", "perceptual")
            assert b[name] == pytest.approx(value, rel=1e-5 if tight else 1e-4, abs=1e-5), name
    state = checkpoints.load(checkpoints.checkpoints(tmp_path / "two" / "checkpoints")[-1])["trainee"]
    # Biases that the next normalisation takes away: their gradient is rounding, and AdamW steps by its sign.
    without_gradient = ("block.norm1.bias", "block.norm2.bias", "encoder_hid_proj.bias")
    begun = Distillation(one.config, one.accelerator).learner.state_dict()
    moved, apart = [], []
    for name, tensor in one.learner.state_dict().items():
        moved.append((tensor - begun[name]).double().norm())
        apart.append((tensor - state["learner"][name]).double().norm())
        if not name.endswith(without_gradient):  # a number whose gradient is near 0 may go either way
            torch.testing.assert_close(state["learner"][name], tensor, rtol=1e-5, atol=3e-5)
            assert apart[-1] <= 0.3 * moved[-1] + 1e-9, name
    assert torch.stack(apart).norm() < 0.01 * torch.stack(moved).norm()  # and not because nothing had moved


def test_accumulated_parts_add_up(tmp_path):
    """Without batch statistics (in eval mode) two parts of a step have the gradient of one."""
    gradients = []
    for name, accumulate in (("whole", 1), ("parts", 2)):
        config = build(TrainConfig, table(tmp_path, name, run={"accumulate": accumulate}, loss={"adaptive": False}))
        trainee = Distillation(config, loop.accelerator(config.run))
        trainee.learner.eval()
        trainee.learner.train = lambda: None
        trainee.optimizers.step = lambda number: None
        trainee.begin(0)
        trainee.step(0)
        gradients.append([parameter.grad.clone() for parameter in trainee.learner.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_run_stops_after_its_minutes_and_goes_on(tmp_path):
    settings = table(tmp_path)
    _, first = run(settings, minutes=0.0)
    assert (first["finished"], first["step"]) == (False, 1)
    record = tmp_path / "run" / "pipeline" / checkpoints.RECORD
    then = json.loads(record.read_text())
    _, second = run(settings)
    now = json.loads(record.read_text())
    assert (then["step"], now["step"], now["config"]["run"]["batch_size"]) == (1, 4, 4)
    assert 0 < then["seconds"] < now["seconds"] < 240 and " thread" in now["device"]
    assert now["seconds"] == pytest.approx(then["seconds"] + second["seconds"], rel=0.5)
    assert (second["finished"], second["step"]) == (True, 4)
    assert [line["step"] for line in losses(tmp_path / "run")] == [0, 1, 2, 3]


def test_another_configuration_does_not_go_on(tmp_path):
    run(table(tmp_path, run={"steps": 1}))
    with pytest.raises(ConfigError, match=r"another configuration \(optimizer.learning_rate\)"):
        run(table(tmp_path, run={"steps": 2}, optimizer={"learning_rate": 5e-4}))


def test_a_setting_that_a_checkpoint_did_not_know_yet_has_its_default(tmp_path):
    run(table(tmp_path, run={"steps": 1}))
    facts = next((tmp_path / "run" / "checkpoints").glob("step-*/*.json"))
    held = json.loads(facts.read_text())
    del held["config"]["optimizer"]["decay_steps"]
    facts.write_text(json.dumps(held))
    with pytest.raises(ConfigError, match=r"another configuration \(optimizer.decay_steps\)"):
        run(table(tmp_path, run={"steps": 2}, optimizer={"decay_steps": 1}))
    _, found = run(table(tmp_path, run={"steps": 2}))
    assert found["step"] == 2


def test_a_checkpoint_of_an_earlier_version_is_refused_by_name(tmp_path):
    run(table(tmp_path, run={"steps": 1}))
    facts = next((tmp_path / "run" / "checkpoints").glob("step-*/*.json"))
    held = json.loads(facts.read_text())
    assert held.pop("format") == checkpoints.FORMAT
    facts.write_text(json.dumps(held))
    with pytest.raises(ConfigError, match=r"step-00000001 is of format 1, .* reads format 2. Give another run.out"):
        run(table(tmp_path, run={"steps": 2}))


def test_nan_stops_with_the_last_good_checkpoint(tmp_path):
    config = build(TrainConfig, table(tmp_path, run={"steps": 6}))
    accelerator = loop.accelerator(config.run)
    trainee = Distillation(config, accelerator)
    terms = trainee.terms

    def poisoned(batch, draws, step, part=0):
        found = terms(batch, draws, step, part)
        return type(found)(task=found.task * (float("nan") if step == 4 else 1), perceptual=found.perceptual)

    trainee.terms = poisoned
    with pytest.raises(Diverged, match=r"is not a number at step 5; the last good checkpoint is .*step-00000004"):
        loop.run(trainee, config, accelerator)
    kept = checkpoints.load(checkpoints.checkpoints(tmp_path / "run" / "checkpoints")[-1])["trainee"]
    assert all(torch.isfinite(tensor).all() for tensor in kept["learner"].values())


class Growing:
    """A trainee whose loss falls to 1 and then doubles every ten steps."""

    watched = "loss"

    def begin(self, step): ...

    def step(self, step):
        return {"loss": max(1.0, 3.0 - step / 30) * 2 ** max(0.0, (step - 120) / 10)}

    def state(self):
        return {}

    def load_state(self, state): ...


def test_a_growing_loss_stops_and_names_a_checkpoint_from_before(tmp_path):
    settings = table(tmp_path, run={"steps": 1000, "checkpoint_every": 5, "keep": 20, "device": "cpu"})
    config = build(TrainConfig, settings)
    with pytest.raises(Diverged, match="the loss has grown from") as caught:
        loop.run(Growing(), config, loop.accelerator(config.run))
    good = checkpoints.checkpoints(tmp_path / "run" / "checkpoints")
    named = next(path for path in good if str(path) in str(caught.value))
    smooth = checkpoints.facts(named)["smooth"]
    assert smooth["value"] <= 2 * smooth["lowest"]
    assert good.index(named) < len(good) - 1  # later ones are there, and were not named


def test_smoothing_waits_before_it_knows_the_lowest():
    smooth = Smooth()
    for _ in range(49):
        smooth.update(2.0)
    assert smooth.lowest == float("inf")
    smooth.update(2.0)
    assert smooth.lowest == pytest.approx(2.0)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, monkeypatch):
    settings = Run(out=tmp_path, steps=1, batch_size=4, accumulate=1, device="cpu")

    class Three:
        num_processes = 3

        def __init__(self, **options): ...

    monkeypatch.setattr(loop, "Accelerator", Three)
    with pytest.raises(ConfigError, match=r"batch_size \(4\) must be divisible by accumulate · processes \(1 · 3\)"):
        loop.accelerator(settings)


def test_checkpoints_are_whole_and_the_oldest_go(tmp_path):
    for step in (1, 2, 3, 4):
        checkpoints.save(tmp_path, step, {"x": torch.tensor([step])}, {"loss": 0.5}, keep=2)
    (tmp_path / ".moebius-0123.tmp").mkdir()  # what a kill leaves
    (tmp_path / "step-00000006").mkdir()
    found = checkpoints.checkpoints(tmp_path)
    assert [checkpoints.facts(path)["step"] for path in found] == [3, 4]
    assert checkpoints.load(found[-1])["x"].tolist() == [4]
    (tmp_path / "step-00000006").rmdir()
    checkpoints.save(tmp_path, 5, {"x": torch.tensor([5])}, {}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000005"]


def test_global_generators_are_put_back():
    import random

    import numpy as np

    state = json.loads(json.dumps({k: v for k, v in checkpoints.random_state().items() if k in ("python", "numpy")}))
    state |= {"torch": checkpoints.random_state()["torch"], "cuda": []}
    drawn = [(random.random(), np.random.rand(), torch.rand(1).item())]  # noqa: NPY002
    checkpoints.set_random_state(state)
    drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert drawn[0] == drawn[1]
