"""The whole of it on seven small pictures: ranks, suspicion, resuming after SIGKILL, the report."""

import json
import math
import re
import signal
from pathlib import Path

import pytest
from PIL import Image

from eval import store
from eval.report import sheets
from eval.report.summary import Figure
from eval.settings import Settings
from eval.steps import Evaluation
from moebius.files import TEMPORARY, read_json
from moebius.presentation.drawing import CELL_PX
from tests.helpers.evaluation_runs import short_run, statuses
from tests.helpers.synthetic import picture

ROOT = Path(__file__).parents[2]
MODELS = ("telea", "truth", "truth-blurred", "truth-colour-shifted", "navier-stokes")
KEY = "effnet_lite0_distance_hole"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """An evaluation of the controls: (folder, results)."""
    base = tmp_path_factory.mktemp("evaluation")
    (base / "pictures").mkdir()
    for index in range(9):
        Image.fromarray(picture(index)).save(base / "pictures" / f"p{index}.png")
    (base / "pictures" / "broken.png").write_bytes(b"\x89PNG")
    evaluation(base).run()
    return base / "out", read_json(base / "out" / "results.json")


def evaluation(base: Path) -> Evaluation:
    data = str(base / "pictures")
    settings = Settings(models=MODELS, data=data, masks="object", features="efficientnet-lite0", rounds=1)
    return Evaluation(settings, base / "out", quiet=True)


def model(results, name):
    return next(told for told in results["models"] if told["name"] == name)


def mean(results, name, key):
    return store.number(model(results, name)["composited"]["pictures"][key]["mean"])


def test_copies_of_the_truth_rank_where_they_must(done):
    _, results = done
    for key in (KEY, "effnet_lite0_distance"):
        assert mean(results, "truth", key) == 0
        assert mean(results, "truth", key) < mean(results, "truth-blurred", key) < mean(results, "telea", key)
        assert mean(results, "truth", key) < mean(results, "truth-colour-shifted", key) < mean(results, "telea", key)
    shift_db = 10 * math.log10(255**2 / ((24**2 + 24**2) / 3))  # but for values that were clipped
    assert mean(results, "truth-colour-shifted", "psnr_hole") == pytest.approx(shift_db, abs=0.3)


def test_the_truth_itself_scores_zero_zero_infinity_and_is_called_suspicious(done):
    folder, results = done
    truth = model(results, "truth")
    assert truth["composited"]["sets"]["fd_effnet_lite0"]["value"] == 0
    assert truth["composited"]["pictures"][KEY]["mean"] == 0
    assert truth["composited"]["pictures"]["psnr"]["mean"] == "inf"
    assert truth["suspicious"] == ["suspicious: 9 of 9 fills are identical to the truth inside the hole"]
    assert all(not told["suspicious"] for told in results["models"] if told["name"] != "truth")
    for name in ("results.html", "results.md"):
        assert "truth: suspicious: 9 of 9" in (folder / name).read_text()


def test_blur_and_shift_are_farther_than_the_truth_as_sets(done):
    _, results = done
    values = {told["name"]: told["composited"]["sets"]["fd_effnet_lite0"]["value"] for told in results["models"]}
    assert values["truth"] == 0 and min(value for name, value in values.items() if name != "truth") > 0


def test_differences_are_paired_with_the_reference(done):
    _, results = done
    told = model(results, "truth-blurred")["composited"]["difference"][KEY]
    assert results["reference"] == "telea"
    assert told["mean"] == pytest.approx(mean(results, "truth-blurred", KEY) - mean(results, "telea", KEY), rel=1e-4)
    assert told["verdict"] == "better" and told["low"] <= told["mean"] <= told["high"] < 0


def test_bins_cover_every_picture_and_are_compared_too(done):
    folder, results = done
    theirs = model(results, "telea")["composited"]["bins"]
    for told in results["models"]:
        bins = told["composited"]["bins"]
        assert sum(part["pictures"] for part in bins) == 9
        for part, other in zip(bins, theirs, strict=True):
            apart = part["difference"]["psnr_hole"]["mean"]
            if told["name"] == "truth":
                assert apart is None  # endlessly far
            else:
                expected = part["figures"]["psnr_hole"]["mean"] - other["figures"]["psnr_hole"]["mean"]
                assert apart == pytest.approx(expected, abs=1e-4)
    table = (folder / "results.md").read_text().split("by size of the hole, difference to telea")[1]
    first = model(results, "truth-blurred")["composited"]["bins"][0]["difference"][KEY]
    assert f"{first['mean']:.4f} [" in table and f"] {first['verdict']} |" in table


def test_unusable_pictures_and_small_numbers_are_said(done):
    folder, results = done
    assert results["data"]["unusable"] == 1 and results["data"]["problems"][0]["file"] == "broken.png"
    said = " ".join(results["warnings"])
    assert "FD-EffNet-Lite0 of 9 pictures: below 2,048" in said and "stand-ins" in said
    assert "broken.png" in (folder / "results.html").read_text()


def test_stand_ins_are_named_so_in_every_file(done):
    folder, _ = done
    for name in ("results.json", "results.md", "results.html"):
        text = (folder / name).read_text()
        assert "EffNet-Lite0" in text and "LPIPS" not in text
        assert not re.search(r"(?<!any )\bFID\b", text)


def test_the_page_stands_alone(done):
    html = (done[0] / "results.html").read_text()
    assert html.count("<svg") == 2 and html.count("data:image/jpeg;base64,") == 5 * 8 * 2
    text = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "data:", html)
    assert not re.search(r'(?:src|href)="(?!data:)', text) and "@import" not in text and "nan" not in text.lower()


def test_json_is_plain_sorted_and_without_times(done):
    text = (done[0] / "results.json").read_text()
    assert text == store.to_json(json.loads(text))
    assert "NaN" not in text and "Infinity" not in text and "_ms" not in text
    timing = read_json(done[0] / "timing.json")
    assert set(timing["models"]) == set(MODELS)


def test_scores_are_found_again_and_nothing_is_done_twice(done):
    folder, results = done
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    before |= {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}
    assert len(before) > 9 * 5
    evaluation(folder.parent).run()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert read_json(folder / "results.json") == results


def test_sheets_show_the_first_and_the_worst_of_each(done):
    folder, results = done
    made = evaluation(folder.parent)
    written = made.sheet()
    assert [path.name for path in written] == ["sheet-first.jpg", *(f"sheet-worst-{name}.jpg" for name in MODELS)]
    scores = {made.contestants[0].name: [row["composited"] for row in made._scores(made.contestants[0]).rows]}
    figure = Figure(**results["figures"]["pictures"][0])
    first, worst = sheets.choose(made.dataset, scores, figure, count=3)
    assert first.places == (0, 1, 2) and "first 3 of 9 pictures, unselected" in first.title
    distances = [store.number(row[KEY]) for row in scores["telea"]]
    assert [distances[place] for place in worst.places] == sorted(distances, reverse=True)[:3]
    assert made.dataset.samples[worst.places[0]].id == model(results, "telea")["gallery"]["worst"][0]
    fills = {made.contestants[0].name: made.folders.fills(made.contestants[0])}
    entry = next(sheets.entries(made.dataset, worst.places, fills, scores, KEY))
    sample = made.dataset.samples[worst.places[0]]
    with Image.open(fills["telea"] / "composited" / f"{sample.id}.png") as fill:
        expected = fill.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
    assert (entry.pictures[1] == expected).all() and (entry.pictures[0] != entry.pictures[1]).any()
    assert entry.caption == f"{sample.id}, hole {sample.hole:.0%}: {max(distances):.2f}"
    with Image.open(written[1]) as sheet:
        assert sheet.format == "JPEG" and sheet.width > (1 + len(MODELS)) * CELL_PX


@pytest.mark.slow
def test_killed_twice_and_continued_gives_the_same_results(pictures, tmp_path):
    """SIGKILL while fills are written, then while scores are; against a run that nobody disturbed."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = short_run(pictures)
    runs = []
    for out, kill_at in ((whole, 0), (parts, 10), (parts, 17), (parts, 0)):
        runs.append({"arguments": [*options, str(out)], "kill_at": kill_at})
    killed = -signal.SIGKILL
    assert statuses(runs) == [[0], [killed], [killed], [0]]
    for name in ("results.json", "results.md", "results.html"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert not [path for path in whole.rglob("*") if path.match(TEMPORARY)]
    abandoned = [path.relative_to(parts).parts[0] for path in parts.rglob(TEMPORARY)]
    assert sorted(abandoned) == ["fills", "scores"], "where each of the two was killed"
