"""Timing: order, parts, quantiles and counted work."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from eval import contestants, timing
from eval.data.dataset import Request, scan
from moebius.config import SamplingConfig
from tests.helpers.one_by_one import OneByOne


class Autoencoder(torch.nn.Linear):
    def encode(self, x):
        return self(x)

    def decode(self, x):
        return self(x)


class Pipeline:
    """As much of a diffusers pipeline as is timed: an autoencoder, a network called once a step."""

    dtype = torch.float32

    def __init__(self) -> None:
        self.vae, self.unet = Autoencoder(4, 4), torch.nn.Linear(16, 32, bias=False)
        self.components = {"vae": self.vae, "unet": self.unet, "scheduler": SimpleNamespace()}


class Stepper(OneByOne):
    size = 64

    def __init__(self, name: str, log: list) -> None:
        self.name, self.log, self.pipeline = name, log, Pipeline()

    def fill_square(self, image, mask, config, generator, progress):
        self.log.append(self.name)
        self.pipeline.vae.encode(torch.zeros(1, 4))
        for _ in range(config.num_inference_steps):
            self.pipeline.unet(torch.zeros(8, 16))
        self.pipeline.vae.decode(torch.zeros(1, 4))
        return np.zeros(image.shape, np.float32)


@pytest.fixture
def told(pictures):
    log: list[str] = []
    dataset = scan(Request(data=str(pictures), masks="object"), quiet=True)
    steppers = {name: Stepper(name, log) for name in ("one", "two")}
    several = contestants.of(steppers, SamplingConfig(num_inference_steps=3))
    return timing.measure(several, dataset, "cpu", rounds=2, batches=(1, 2), quiet=True), log


def test_models_take_turns_round_by_round(told):
    _, log = told
    assert log[:6] == ["one", "two"] * 3  # a warm-up and two rounds at batch 1
    assert log[6:18] == ["one", "one", "two", "two"] * 3


def test_parts_are_told_apart(told):
    measured = told[0]["models"]["one"]["batches"]["1"]
    assert set(measured["parts"]) == {"encode", "step", "decode"}
    assert measured["parts"]["step"]["steps"] == 3
    inner = measured["parts"]["encode"]["median_ms"] + measured["parts"]["decode"]["median_ms"]
    assert 0 < inner < measured["total"]["median_ms"] <= measured["total"]["p90_ms"]
    pair = told[0]["models"]["one"]["batches"]["2"]
    assert pair["per_picture_ms"] == pytest.approx(pair["total"]["median_ms"] / 2, abs=0.001)


def test_work_is_counted_per_step_and_per_fill(told):
    flops = told[0]["models"]["two"]["flops"]
    assert flops["steps"] == 3
    assert told[0]["models"]["two"]["parameters"] == 4 * 4 + 4 + 16 * 32
    assert flops["fill_tflop"] == pytest.approx(3 * 2 * 8 * 16 * 32 / 1e12, abs=1e-6)


def test_what_it_was_measured_on_is_recorded(told):
    assert told[0]["hardware"]["threads"] == torch.get_num_threads()
    assert told[0]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert told[0]["rounds"] == 2 and told[0]["interleaved"] and told[0]["size"] == [64, 64]


def test_quantiles():
    assert timing.quantiles([0.1] * 9 + [0.5]) == {"median_ms": 100.0, "p90_ms": pytest.approx(140.0)}


def test_hooks_are_gone_afterwards():
    stepper, clock = Stepper("x", []), timing.Clock("cpu")
    pipeline = stepper.pipeline
    with timing.timed_parts(stepper, clock):
        pipeline.vae.encode(torch.zeros(1, 4))
    pipeline.vae.encode(torch.zeros(1, 4))
    pipeline.unet(torch.zeros(1, 16))
    assert len(clock.times["encode"]) == 1 and not clock.times["step"]
    assert "encode" not in vars(pipeline.vae) and not pipeline.unet._forward_pre_hooks
