"""Models side by side: order, figures, a teacher that cannot run, the sheet, the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from moebius import model_cache, registry
from moebius.__main__ import main
from moebius.compare import Outcome, compare, fastest_first, table
from moebius.config import SamplingConfig
from moebius.contact_sheet import CELL_PX, make_sheet
from moebius.fill import geometry
from moebius.fill.result import Fill
from moebius.progress import Cancelled
from moebius.registry import LoadOptions
from tests.helpers.deterministic import picture
from tests.helpers.standin_flux import write_flux
from tests.helpers.standin_weights import write_published

PHOTO = Image.fromarray(picture(3, 128))
MASK = Image.new("L", PHOTO.size)
MASK.paste(255, (30, 40, 60, 70))
HOLE = np.asarray(MASK) > 127


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    """A folder by model, of small networks. The student's has its position tables for 128 pixels, which is quick."""
    root = tmp_path_factory.mktemp("weights")
    student = write_published(root / "student", small=True)
    config = json.loads((student / "ft_places2" / "config.json").read_text())
    _crop_tables(student / "ft_places2" / "diffusion_pytorch_model.bin")
    (student / "ft_places2" / "config.json").write_text(json.dumps(config | {"sample_size": 16}))
    return {
        "moebius": student,
        "pixelhacker": write_published(root / "teacher", small=True, network="pixelhacker"),
        "flux-fill": write_flux(root / "flux"),
    }


def _crop_tables(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    for key, table_ in state.items():
        if key.endswith("attn2.rel_pos_emb"):
            state[key] = table_[: len(table_) // 16].clone()
    torch.save(state, file)


@pytest.fixture(autouse=True)
def alone(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MOEBIUS_CACHE", str(tmp_path_factory.mktemp("prompts")))
    for name in ("MOEBIUS_WEIGHTS", "MOEBIUS_PIXELHACKER_WEIGHTS", "MOEBIUS_FLUX_FILL_WEIGHTS", "MOEBIUS_HOSTED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
    model_cache.release()
    yield
    model_cache.release()


def run(names, weights, progress=lambda share, text: None):
    config = SamplingConfig(num_inference_steps=3, feather_px=0)

    def options(name: str) -> LoadOptions:
        return LoadOptions(weights=weights.get(name), device="cpu")

    return compare(PHOTO, HOLE, names, config, 7, options, progress)


def test_the_fastest_comes_first_and_no_name_twice():
    names = ["flux-fill", "pixelhacker", "flux-fill-pro", "moebius", "flux-fill", "classical"]
    assert fastest_first(names) == ["classical", "moebius", "pixelhacker", "flux-fill-pro", "flux-fill"]
    with pytest.raises(ValueError, match="unknown model 'lama'"):
        fastest_first(["lama"])


def test_every_model_fills_the_same_hole_and_is_measured(weights):
    shares = []
    outcomes = list(
        run(["flux-fill", "moebius", "pixelhacker", "classical"], weights, lambda s, t: shares.append((s, t)))
    )
    before = np.asarray(PHOTO)
    for outcome in outcomes:
        after = np.asarray(outcome.fill.raster)
        assert np.array_equal(after[~HOLE], before[~HOLE]) and (after[HOLE] != before[HOLE]).any(), outcome.card.name
    rows = {row["model"]: row for row in table(outcomes)}
    assert list(rows) == ["classical", "moebius", "pixelhacker", "flux-fill"]
    assert [row["steps"] for row in rows.values()] == [None, 3, 3, 3]
    assert rows["classical"]["step_ms"] is None and rows["flux-fill"]["plan"] == "cpu"
    assert rows["pixelhacker"]["parameters"] < 10**7  # what was loaded, not what is published
    assert all(row["ran"] and row["seconds"]["model"] > 0 for row in rows.values())
    assert [s for s, _ in shares] == sorted(s for s, _ in shares) and shares[-1] == (1.0, "Done")


def filled(seconds: float, step_ms: float | None) -> Fill:
    squares = (geometry.Square(0, 0, 64, ((1, 2, 3, 4),)),) * 2
    parts = {"model": seconds, "geometry": 0.25}
    return Fill(raster=PHOTO, changed=HOLE, squares=squares, seconds=parts, notes=("a note",), step_ms=step_ms)


def test_figures_are_worked_out_by_hand():
    """8 seconds are 4 times the student's 2; the one that could not run has none, and nothing is divided by it."""
    made = [
        Outcome(
            card=registry.card(name),
            config=SamplingConfig(num_inference_steps=3),
            fill=filled(seconds, step_ms),
            seconds={"load": 1.0005, "model": seconds, "geometry": 0.25},
            facts={"device": "cpu", "parameters": 12},
            peak_gib={"memory": 1.5, "gpu": None},
        )
        for name, seconds, step_ms in (("classical", 0.5, None), ("moebius", 2.0, 12.3456), ("pixelhacker", 8.0, 99.0))
    ]
    lost = Outcome(card=registry.card("flux-fill"), config=SamplingConfig(), error="no weights")
    classical, student, teacher, flux = table([*made, lost])
    assert [row["times_student"] for row in (classical, student, teacher, flux)] == [0.25, 1.0, 4.0, None]
    assert [row["step_ms"] for row in (classical, student, teacher, flux)] == [None, 12.35, 99.0, None]
    assert [row["steps"] for row in (classical, student, teacher)] == [None, 3, 3]
    assert student["seconds"] == {"load": 1.0, "model": 2.0, "geometry": 0.25} and student["squares"] == 2
    assert (student["parameters"], flux["parameters"]) == (12, 11_902_391_360)
    assert (flux["ran"], flux["error"], flux["squares"], flux["notes"]) == (False, "no weights", None, [])
    assert teacher["notes"] == ["a note"] and teacher["peak_gib"] == {"memory": 1.5, "gpu": None}
    assert [row["times_student"] for row in table([made[2], lost])] == [None, None], "the student was not asked for"


def test_a_teacher_that_cannot_run_gives_its_reason_and_the_student_is_not_delayed(weights):
    outcomes = run(["flux-fill", "moebius", "flux-fill-pro"], {"moebius": weights["moebius"]})
    first = next(outcomes)
    assert first.card.name == "moebius" and first.fill is not None
    pro, flux = outcomes
    assert "accept the licence" in flux.error and "MOEBIUS_HOSTED=1" in pro.error and flux.fill is None
    row = table([first, flux])[1]
    assert not row["ran"] and row["times_student"] is None and row["seconds"] == {}


def test_models_stay_in_memory_for_the_next_comparison(weights):
    list(run(["moebius", "pixelhacker"], weights))
    held = model_cache.residents()
    list(run(["moebius", "pixelhacker"], weights))
    assert [model.name for model in held] == ["moebius", "pixelhacker"] and model_cache.residents() == held


def test_cancelling_ends_the_comparison(weights):
    def stop(share, text):
        if text.startswith("Moebius: Step"):
            raise Cancelled

    outcomes = run(["classical", "moebius", "pixelhacker"], weights, stop)
    assert next(outcomes).card.name == "classical"
    with pytest.raises(Cancelled):
        next(outcomes)


def test_the_sheet_shows_photo_results_and_reasons():
    outcomes = list(run(["classical", "flux-fill"], {}))
    sheet = make_sheet(PHOTO, HOLE, outcomes, "a footer")
    assert sheet.width == 3 * (CELL_PX + 16) + 16 and sheet.height > 2 * CELL_PX
    cells = [np.asarray(sheet.crop((16 + i * (CELL_PX + 16), 116, 496 + i * (CELL_PX + 16), 590))) for i in range(3)]
    outline = (226, 30, 90)
    assert [(cell == outline).all(axis=2).any() for cell in cells] == [True, False, False]
    small = [np.asarray(Image.fromarray(cell).resize((16, 16), Image.Resampling.BOX)).astype(int) for cell in cells]
    assert np.abs(small[0] - small[1])[:4].mean() < 3  # the same photo above the hole
    assert (cells[2][-40:] == (232, 232, 236)).all()  # the grey panel with the reason
    assert (cells[2][:60] != (232, 232, 236)).any()


# ---- the command ----


def test_the_command_writes_results_sheet_and_figures(weights, tmp_path, capfd):
    PHOTO.save(tmp_path / "photo.jpg", quality=90)
    MASK.save(tmp_path / "mask.png")
    out = tmp_path / "out"
    command = ["compare", f"{tmp_path / 'photo.jpg'}", f"{tmp_path / 'mask.png'}", "-o", f"{out}", "--steps", "2"]
    command += ["--models", "moebius,flux-fill,pixelhacker,classical", "--seed", "5", "--device", "cpu"]
    named = [part for name in ("moebius", "flux-fill") for part in ("--weights", f"{name}={weights[name]}")]
    assert main([*command, *named]) == 0
    said, complaint = capfd.readouterr()
    assert complaint == "" and "PixelHacker" in said and "cannot run here" in said and "Non-commercial" in said
    assert {path.name for path in out.iterdir()} == {
        "moebius.jpg",
        "flux-fill.jpg",
        "classical.jpg",
        "comparison.png",
        "comparison.json",
    }
    report = json.loads((out / "comparison.json").read_text())
    rows = {row["model"]: row for row in report["results"]}
    assert rows["moebius"]["file"] == "moebius.jpg" and rows["pixelhacker"]["file"] is None and report["seed"] == 5
    assert "download places2 --model pixelhacker" in rows["pixelhacker"]["error"]
    assert report["paper"]["flux-fill"] == {"step_ms": 161.01, "steps": 50, "total_s": 8.05}
    with Image.open(out / "comparison.png") as sheet, Image.open(out / "flux-fill.jpg") as result:
        assert sheet.width == 5 * (CELL_PX + 16) + 16 and result.size == PHOTO.size

    # the same by the command for one photo
    single = ["inpaint", *command[1:3], "-o", f"{tmp_path / 'one.jpg'}", *command[5:7], *command[9:]]
    assert main([*single, "--model", "moebius", "--weights", f"{weights['moebius']}"]) == 0
    assert (tmp_path / "one.jpg").read_bytes() == (out / "moebius.jpg").read_bytes()


def test_mistakes_are_one_line(weights, tmp_path, capfd):
    PHOTO.save(tmp_path / "photo.png")
    MASK.save(tmp_path / "mask.png")
    Image.new("L", PHOTO.size).save(tmp_path / "empty.png")
    photo, mask, out = (str(tmp_path / name) for name in ("photo.png", "mask.png", "out"))
    for arguments, part in (
        ((photo, mask, "-o", out, "--models", "lama"), "unknown model 'lama'"),
        ((photo, mask, "-o", out, "--models", ","), "names no model"),
        ((photo, mask, "-o", photo), "is a file; -o needs a folder"),
        ((photo, str(tmp_path / "empty.png"), "-o", out, "--models", "classical"), "nothing to compare"),
        ((photo, mask, "-o", out, "--models", "pixelhacker"), "PixelHacker: the weights of PixelHacker"),
        ((photo, mask, "-o", out, "--seed", "-1"), "--seed must be between 0"),
    ):
        assert main(["compare", *arguments]) == 2
        said, complaint = capfd.readouterr()
        assert said == "" and complaint.count("\n") == 1 and part in complaint, complaint
