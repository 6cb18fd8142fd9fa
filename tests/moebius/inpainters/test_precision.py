"""The number type: measured on the processor, checked against float32 once per checkpoint, remembered."""

import json
import types

import pytest
import torch

from moebius.inpainters import networks, precision
from moebius.inpainters.diffusion import DenoiserInpainter
from moebius.models.fused import ops
from moebius.models.fused import unet as fused
from moebius.weights import load
from moebius.weights.locate import locate
from tests.helpers.standin_weights import write_published


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return locate(None, write_published(tmp_path_factory.mktemp("weights"), small=True))


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "fastest_on_cpu", lambda: "bfloat16")


def differing(monkeypatch, step: float, decode: float) -> list:
    asked = []
    monkeypatch.setattr(precision, "differences", lambda *given: asked.append(given) or (step, decode))
    return asked


@pytest.mark.parametrize(
    ("float32_s", "bfloat16_s", "taken"), [(3.0, 1.0, "bfloat16"), (1.1, 1.0, "float32"), (1.0, 9.0, "float32")]
)
def test_bfloat16_is_taken_where_its_products_are_faster(monkeypatch, float32_s, bfloat16_s, taken):
    monkeypatch.undo()
    clock = [0.0]

    def product(x, weight):
        clock[0] += float32_s if x.dtype == torch.float32 else bfloat16_s

    monkeypatch.setattr(ops, "product", product)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])
    assert precision.fastest_on_cpu.__wrapped__() == taken


def test_within_the_tolerance_the_fast_type_is_used_without_a_word(files, monkeypatch):
    differing(monkeypatch, 0.02, 0.01)
    assert precision.choose(files, "cpu", None) == (torch.bfloat16, ())


@pytest.mark.parametrize(
    ("step", "decode"), [(0.021, 0.001), (0.001, 0.3), (float("nan"), 0.001), (0.001, float("nan"))]
)
def test_above_it_float32_is_used_and_every_fill_says_so(files, monkeypatch, step, decode):
    differing(monkeypatch, step, decode)
    model = DenoiserInpainter.from_files(files, "cpu")
    assert model.facts()["dtype"] == "float32"
    (said,) = model.remarks()
    assert f"{step:.1%} in a step and {decode:.1%} in a decoded picture" in said and "slower float32 is used" in said


def test_what_is_asked_for_is_used_with_a_word(files, monkeypatch):
    differing(monkeypatch, 0.5, 0.0)
    kind, (said,) = precision.choose(files, "cpu", "bfloat16")
    assert kind == torch.bfloat16 and "50.0% in a step" in said and "it was asked for" in said


@pytest.mark.parametrize("asked", ["bfloat16", "float16"])
def test_on_a_gpu_step_and_decode_are_tried_there_before_a_fast_type_is_used(files, monkeypatch, asked):
    """Without a GPU: who is asked for what. Without a type that is asked for, a GPU stays with float32."""
    tried, right = [], torch.ones(4)

    def try_(files, device, kind):
        tried.append((device, kind))
        return right, right if kind == torch.float32 else 1.5 * right  # the decode alone is wrong

    monkeypatch.setattr(precision, "_try", try_)
    kind, (said,) = precision.choose(files, "cuda:1", asked)
    assert tried == [("cuda:1", torch.float32), ("cuda:1", getattr(torch, asked))] and kind == tried[1][1]
    assert "0.0% in a step and 50.0% in a decoded picture" in said
    (key,) = json.loads(precision.cache_file().read_text())
    assert f" {asked} cuda " in key, "what holds on a processor need not hold on a GPU"
    assert precision.choose(files, "cuda", None) == (torch.float32, ()) and len(tried) == 2


@pytest.mark.parametrize(("step", "became"), [(0.01, torch.bfloat16), (0.03, torch.float32)])
def test_where_a_gpus_memory_runs_out_bfloat16_is_taken_only_if_it_is_accurate(files, monkeypatch, step, became):
    asked = differing(monkeypatch, step, 0.001)
    model = DenoiserInpainter.from_files(files, "cpu", "float32")
    pipeline, moved = model.pipeline, []
    unet = types.SimpleNamespace(dtype=torch.float32)
    model.pipeline = types.SimpleNamespace(device=torch.device("cuda"), unet=unet, to=lambda *to: moved.append(to))
    said = model.shrink()
    assert moved == ([(torch.bfloat16,)] if became == torch.bfloat16 else [("cpu", torch.float32)])
    assert ("bfloat16 is used" if became == torch.bfloat16 else "the processor is used") in said
    assert [(device, kind) for _, device, kind, *_ in asked] == [("cpu", torch.bfloat16)]
    model.pipeline = pipeline
    assert model.shrink() is None


def test_the_check_makes_no_fast_form_in_float32(files, monkeypatch):
    """It would be the most memory that the whole fill needs."""
    made, real = [], networks.load_denoiser
    monkeypatch.setattr(networks, "load_denoiser", lambda *given: made.append(given[2]) or real(*given))
    precision.differences(files, "cpu", torch.bfloat16)
    assert made == [torch.bfloat16]


def test_float32_is_never_checked(files, monkeypatch):
    asked = differing(monkeypatch, 1.0, 1.0)
    assert precision.choose(files, "cpu", "float32") == (torch.float32, ())
    monkeypatch.setattr(precision, "fastest_on_cpu", lambda: "float32")
    assert precision.choose(files, "cpu", None) == (torch.float32, ()) and not asked


def test_the_difference_is_that_of_a_step_and_of_a_decoded_picture(files):
    """Against the trained form and diffusers' own autoencoder."""
    step, decode = precision.differences(files, "cpu", torch.bfloat16)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(2, 9, 32, 32, generator=generator)
    sample[:, 4] = (sample[:, 4] > 0).float()
    ids = torch.tensor([range(10, 20), range(10)])

    def run(kind):
        unet, vae = load.load_denoiser(files, kind), load.load_autoencoder(files, kind)
        return unet(sample.to(kind), 500, ids).sample.float(), vae.decode(sample[:1, :4].to(kind)).sample.float()

    with torch.no_grad():
        expected = [
            float((a - b).norm() / b.norm()) for a, b in zip(run(torch.bfloat16), run(torch.float32), strict=True)
        ]
    assert step == pytest.approx(expected[0], rel=0.5) and decode == pytest.approx(expected[1], rel=0.5)
    assert 0.0005 < step < 0.2 and 0.0005 < decode < 0.2


def test_it_is_found_out_once_per_checkpoint_and_type(files, monkeypatch, tmp_path):
    tried, said = [], []
    real = precision._try
    monkeypatch.setattr(precision, "_try", lambda *given: tried.append(given[2]) or real(*given))
    first = precision.differences(files, "cpu", torch.bfloat16, lambda share, text: said.append(text))
    assert tried == [torch.float32, torch.bfloat16] and said == ["Checking bfloat16 once"]
    assert precision.differences(files, "cpu", torch.bfloat16) == first and len(tried) == 2

    other = write_published(tmp_path / "other", small=True)
    state = torch.load(locate(None, other).denoiser, weights_only=True)
    state["diff_model.conv_out.conv_pw.weight"] *= 2
    torch.save(state, locate(None, other).denoiser)
    precision.differences(locate(None, other), "cpu", torch.bfloat16)
    assert len(tried) == 4 and len(json.loads(precision.cache_file().read_text())) == 2


@pytest.mark.parametrize("content", ["{", "[1, 2]", '{"a": "b"}', "\x00"])
def test_a_damaged_memory_is_told_and_replaced(files, monkeypatch, content):
    path, said = precision.cache_file(), []
    path.parent.mkdir(parents=True)
    path.write_text(content)
    values = iter([torch.tensor([1.0]), torch.tensor([1.5])])
    monkeypatch.setattr(precision, "_try", lambda *given: (value := next(values), value))
    found = precision.differences(files, "cpu", torch.bfloat16, lambda share, text: said.append(text))
    assert found == (0.5, 0.5)
    assert any(str(path) in text for text in said)
    assert list(json.loads(path.read_text()).values()) == [[0.5, 0.5]]


def test_a_cache_that_cannot_be_written_stops_nothing(files, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOEBIUS_CACHE", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(precision, "_try", lambda *given: (torch.ones(1), torch.ones(1)))
    assert precision.differences(files, "cpu", torch.bfloat16) == (0.0, 0.0)


def test_the_networks_that_fill_are_the_fast_forms(files):
    unet = networks.load_denoiser(files, "cpu", torch.float32)
    assert isinstance(unet, fused.FusedMoebiusUNet)
