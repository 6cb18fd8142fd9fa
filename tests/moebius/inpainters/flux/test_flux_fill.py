"""FLUX.1 Fill: diffusers' own pipeline class, tiny and with random weights, through the path of the real one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from moebius import model_cache
from moebius.__main__ import main
from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.flux.flux_fill import FluxFillInpainter
from moebius.inpainters.flux.memory_plans import PLANS
from moebius.inpainters.flux.prompts import Prompts
from moebius.progress import Cancelled
from moebius.weights import locate
from tests.helpers.deterministic import picture
from tests.helpers.standin_flux import SIDE, write_flux

ROOT = Path(__file__).parents[4]
PHOTO = Image.fromarray(picture(3, 96))
MASK = Image.new("L", PHOTO.size)
MASK.paste(255, (30, 30, 50, 60))
HOLE = np.asarray(MASK) > 127
QUICK = SamplingConfig(num_inference_steps=2, feather_px=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_flux(tmp_path_factory.mktemp("flux"))


@pytest.fixture(autouse=True)
def alone(tmp_path_factory, monkeypatch):
    """Nothing in memory, a prompt cache of its own, no weights by the environment or from the hub's cache."""
    monkeypatch.setenv("MOEBIUS_CACHE", str(tmp_path_factory.mktemp("prompts")))
    monkeypatch.delenv("MOEBIUS_FLUX_FILL_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
    model_cache.release()
    yield
    model_cache.release()


def load(folder: Path, *plans: str) -> FluxFillInpainter:
    return FluxFillInpainter.from_files(
        locate.locate(weights=folder, network="flux-fill"), tuple(PLANS[name] for name in plans), "cpu"
    )


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


# ---- filling ----


@pytest.mark.parametrize("plan", ["cpu", "cpu-fp8"])
def test_every_plan_that_a_processor_allows_fills_the_hole_alone(folder, plan):
    model = load(folder, plan)
    calls = []
    fill = fill_photo(model, PHOTO, MASK, QUICK, seeded(), lambda share, text: calls.append((share, text)))
    after, before = np.asarray(fill.raster), np.asarray(PHOTO)
    assert model.size == SIDE and np.array_equal(after[~HOLE], before[~HOLE])
    assert (after[HOLE] != before[HOLE]).mean() > 0.9
    assert fill.notes == (f"Plan {plan}: {PLANS[plan].text}.",) and fill.step_ms > 0
    shares = [share for share, _ in calls]
    assert shares == sorted(shares) and "Step 2 of 2" in [text for _, text in calls]
    stored = {parameter.dtype for parameter in model.pipeline.transformer.transformer_blocks.parameters()}
    assert (torch.float8_e4m3fn in stored) == (plan == "cpu-fp8")
    assert model.facts()["dtype"] == "bfloat16"  # what is computed in


@pytest.mark.gpu
@pytest.mark.parametrize("plan", ["bf16", "bf16-offload", "fp8", "group-offload", "sequential-offload"])
def test_every_plan_of_a_gpu_gives_nearly_the_same_fill(folder, plan):
    files = locate.locate(weights=folder, network="flux-fill")
    model = FluxFillInpainter.from_files(files, (PLANS[plan],), "cuda")
    fills = [fill_photo(each, PHOTO, MASK, QUICK, seeded()).raster for each in (model, load(folder, "cpu"))]
    ours, reference = (np.asarray(fill, np.float32) for fill in fills)
    assert np.abs(ours - reference)[HOLE].mean() < 8


def test_it_is_told_its_own_steps_guidance_and_size(folder, monkeypatch):
    model = load(folder, "cpu")
    given = {}
    real = type(model.pipeline).__call__

    def spy(self, **arguments):
        given.update(arguments)
        return real(self, **arguments | {"num_inference_steps": 1})

    monkeypatch.setattr(type(model.pipeline), "__call__", spy)
    fill_photo(model, PHOTO, MASK, None, seeded())
    assert (given["num_inference_steps"], given["guidance_scale"], given["strength"]) == (50, 30.0, 1.0)
    assert (given["height"], given["width"]) == (SIDE, SIDE) and "prompt" not in given


def test_what_stands_under_the_hole_does_not_matter(folder):
    model = load(folder, "cpu")
    other = PHOTO.copy()
    other.paste((255, 0, 255), MASK.getbbox())
    fills = [np.asarray(fill_photo(model, photo, MASK, QUICK, seeded()).raster) for photo in (PHOTO, other)]
    np.testing.assert_array_equal(*fills)


def test_seed_and_prompt_change_the_fill(folder):
    model = load(folder, "cpu")
    config = SamplingConfig(num_inference_steps=2, prompt="a red door")
    fills = [
        fill_photo(model, PHOTO, MASK, QUICK, seeded()).raster.tobytes(),
        fill_photo(model, PHOTO, MASK, QUICK, seeded()).raster.tobytes(),
        fill_photo(model, PHOTO, MASK, QUICK, torch.Generator().manual_seed(2)).raster.tobytes(),
        fill_photo(model, PHOTO, MASK, config, seeded()).raster.tobytes(),
    ]
    assert fills[0] == fills[1] and len(set(fills)) == 3


def test_cancelling_stops_and_the_next_fill_works(folder):
    model = load(folder, "cpu")

    def stop(share, text):
        if text == "Step 2 of 2":
            raise Cancelled

    with pytest.raises(Cancelled):
        fill_photo(model, PHOTO, MASK, QUICK, seeded(), stop)
    assert fill_photo(model, PHOTO, MASK, QUICK, seeded()).changed.any()


# ---- prompts ----


def test_a_prompt_is_encoded_once_and_the_encoders_leave(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_CACHE", str(tmp_path))
    model = load(folder, "cpu")
    assert model.pipeline.text_encoder is None and model.pipeline.text_encoder_2 is None
    prompts = Prompts(locate.locate(weights=folder, network="flux-fill"), "cpu", torch.bfloat16)
    embeds, pooled = prompts("a red door")
    assert embeds.shape == (1, 512, 32) and pooled.shape == (1, 32) and embeds.dtype == torch.bfloat16
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2  # the default one and this

    monkeypatch.setattr(Prompts, "_encode", lambda *_: pytest.fail("encoded again"))
    again = Prompts(locate.locate(weights=folder, network="flux-fill"), "cpu", torch.bfloat16)("a red door")
    assert torch.equal(again[0], embeds) and torch.equal(again[1], pooled)
    with pytest.raises(pytest.fail.Exception):  # other weights, other embeddings
        Prompts(locate.locate(weights=write_flux(tmp_path / "other"), network="flux-fill"), "cpu", torch.bfloat16)(
            "a red door"
        )


# ---- memory ----


def test_memory_that_runs_out_becomes_the_next_plan_and_is_said(folder, monkeypatch):
    tried = []
    real = FluxFillInpainter.fill_square

    def short(self, *arguments):
        tried.append(self.plan.name)
        if self.plan.name == "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, *arguments)

    monkeypatch.setattr(FluxFillInpainter, "fill_square", short)
    model = load(folder, "cpu", "cpu-fp8")
    fill = fill_photo(model, PHOTO, MASK, QUICK, seeded())
    assert tried == ["cpu", "cpu-fp8"] and model.plan.name == "cpu-fp8"
    assert "not enough memory for the plan cpu; cpu-fp8 is used instead" in fill.notes[1]


def test_memory_that_runs_out_while_loading_becomes_the_next_plan(folder, monkeypatch):
    from moebius.inpainters.flux import flux_fill

    real = flux_fill.load_pipeline

    def short(files, plan, device, dtype):
        if plan.name == "cpu":
            raise MemoryError
        return real(files, plan, device, dtype)

    monkeypatch.setattr(flux_fill, "load_pipeline", short)
    assert load(folder, "cpu", "cpu-fp8").plan.name == "cpu-fp8"
    with pytest.raises(MemoryError):
        load(folder, "cpu")


# ---- the command line ----


def test_the_command_line_fills_and_tells_the_plan_and_the_licence(folder, tmp_path, capfd):
    PHOTO.save(tmp_path / "photo.png")
    MASK.save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    command = ["inpaint", f"{tmp_path / 'photo.png'}", f"{tmp_path / 'mask.png'}", "-o", f"{out}", "--steps", "2"]
    command += ["--model", "flux-fill", "--weights", f"{folder}", "--device", "cpu", "--seed", "4", "--feather", "0"]
    assert main([*command, "--json"]) == 0
    said, complaint = capfd.readouterr()
    report = json.loads(said)
    assert complaint == "" and (report["model"], report["plan"], report["seed"]) == ("flux-fill", "cpu", 4)
    assert report["weights"] == f"folder {folder}" and report["config"]["guidance_scale"] == 30.0
    assert any("Non-commercial" in note for note in report["notes"]) and report["step_ms"] > 0
    with Image.open(out) as filled:
        after = np.asarray(filled)
    assert np.array_equal(after[~HOLE], np.asarray(PHOTO)[~HOLE]) and (after != np.asarray(PHOTO)).any()

    assert main([*command, "--plan", "cpu-fp8"]) == 0
    assert "Plan cpu-fp8: stored in 8-bit floats" in capfd.readouterr().out
    assert main([*command, "--plan", "nf4"]) == 2
    assert "the plan nf4 cannot run here" in capfd.readouterr().err
    assert main([*command[:-4], "--plan", "tiny"]) == 2
    assert "unknown plan 'tiny'; choose from bf16" in capfd.readouterr().err
