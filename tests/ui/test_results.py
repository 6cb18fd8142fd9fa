"""The results tab: the newest file, its figures, and files that are not what they should be."""

import json
import os

import pytest

from moebius.ui import results
from tests.helpers.browser import DESKTOP, visit


def written(folder, score=0.25, **changes):
    """A results.json in the shape that `python -m eval` writes, of one model and one figure."""
    figure = {"key": "lpips", "name": "LPIPS <alex>", "unit": "", "higher_is_better": False}
    whole = {"key": "fid", "name": "FID", "unit": "", "higher_is_better": False}
    told = {
        "schema": 1,
        "data": {"pictures": 105, "photos": 49, "name": "<b>mine</b>", "masks": "shipped", "mean_hole": 0.19},
        "figures": {"pictures": [figure], "sets": [whole]},
        "features": {"pictures": 105},
        "models": [
            {
                "name": "classical",
                "title": "The classical filler",
                "settings": {"text": "no settings"},
                "composited": {
                    "pictures": {"lpips": {"mean": score, "low": 0.2, "high": 0.3}},
                    "sets": {"fid": {"value": "inf"}},
                },
                "parameters": 0,
                "suspicious": ["returns <i>the truth</i>"],
            }
        ],
        "hardware": {"processor": "a processor", "threads": 2},
        "commit": None,
        "intervals": "95 %",
        "warnings": ["FID below 2,048 pictures"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(told | changes))
    return folder / "results.json"


def test_the_newest_of_several_is_taken(tmp_path):
    old, new = written(tmp_path / "a"), written(tmp_path)
    os.utime(old, (1, 1))
    assert results.newest(tmp_path) == new
    os.utime(new, (0, 0))
    assert results.newest(tmp_path) == old


def test_figures_intervals_and_seconds_are_shown_and_escaped(tmp_path, monkeypatch):
    written(tmp_path)
    times = {"models": {"classical": {"batches": {"4": {"per_picture_ms": 900}, "1": {"per_picture_ms": 1230}}}}}
    (tmp_path / "timing.json").write_text(json.dumps(times))
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    shown = results.report()
    for text in ("0.25 [0.20, 0.30]", "1.23", "same 105 pictures", "49 photos", "LPIPS &lt;alex&gt; ↓"):
        assert text in shown
    assert "⚠ suspicious" in shown and "<i>" not in shown and "<b>mine" not in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "Expecting"),
        (b"[]", "no table"),
        (b'{"schema": 99}', "schema 99"),
        (b'{"schema": 1}', "models"),
        (b"\xff", "decode"),
    ],
)
def test_a_broken_file_is_named_with_the_reason(tmp_path, monkeypatch, caplog, content, said):
    caplog.set_level("WARNING")  # which a run of the evaluation in this process has turned off
    (tmp_path / "results.json").write_bytes(content)
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    shown = results.report()
    assert "cannot be shown" in shown and said in shown and f"{tmp_path.name}/results.json" in shown
    assert str(tmp_path) not in shown and str(tmp_path) in caplog.text, "whoever runs the page is told the folder"


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.setattr(results, "LARGEST", 100)
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    assert "at most 100" in results.report()


def test_without_any_results_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path / "none"))
    monkeypatch.setattr(results, "SHIPPED", tmp_path)
    assert "python -m eval run" in results.report()


def test_the_page_has_a_tab_with_the_shipped_results(server, browser):
    with visit(browser, server, DESKTOP) as page:
        page.get_by_role("tab", name="Results").click()
        table = page.get_by_role("table", name="Results")
        table.wait_for()
        assert "PatchMatch" in table.inner_text() and not page.locator("#photo").is_visible()


def test_the_table_of_files_stands_below_the_newest_or_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    shown = results.beside()[-1]
    assert "What happens to a photo file beside the hole" in shown and "This project" in shown
    (tmp_path / "faithfulness.json").write_text('{"schema": 9}')
    assert "cannot be shown: the table of files has schema 9" in results.beside()[-1]


def test_models_that_are_missing_are_named_with_the_command_that_measures_them(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    shown = results.report()
    assert shown.count("<td>not measured yet</td>") == 3 and "FLUX.1 Fill [pro]" not in shown
    models = "moebius,pixelhacker,flux-fill,classical"
    assert f"<code>python -m eval run --models {models} --data path/to/&lt;b&gt;mine" in shown


def test_fills_and_the_whole_report_lie_beside_the_results(tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    fills, sheet, place, whole, _ = results.beside()
    assert place["visible"] and "\n#### Results\n" in whole and "\n# " not in whole, "the shipped report"
    written(tmp_path)
    fills, sheet, place, whole, _ = results.beside()
    assert (fills["visible"], sheet["value"], place["visible"], whole) == (False, None, False, "")
    (tmp_path / results.SHEET).write_bytes(b"a picture")
    (tmp_path / results.WHOLE).write_text("# Inpainting\n\n## Results\n")
    fills, sheet, place, whole, _ = results.beside()
    assert fills["visible"] and sheet["value"] == str(tmp_path / results.SHEET)
    assert place["visible"] and whole == "### Inpainting\n\n#### Results\n"
