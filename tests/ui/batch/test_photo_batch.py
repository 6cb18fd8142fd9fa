"""Many photos of a visitor: what is taken, which mask counts, what the archive holds."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moebius.batch.run import Outcome
from moebius.photo.orientation import as_shown
from moebius.ui.batch.archive import NOT_FILLED
from moebius.ui.batch.photo_batch import PhotoBatch
from tests.helpers.deterministic import picture

SIZE = (60, 40)


@pytest.fixture
def batch(tmp_path) -> PhotoBatch:
    return PhotoBatch(tmp_path / "private", tmp_path / "public")


def save(path: Path, seed: int = 1, size: tuple[int, int] = SIZE, orientation: int = 1) -> Path:
    """A photo of this size as it is stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(picture(seed, max(size))).crop((0, 0, *size)).save(path, exif=exif)
    return path


def save_mask(path: Path, size: tuple[int, int] = SIZE, box=(10, 5, 20, 15)) -> Path:
    mask = Image.new("L", size)
    mask.paste(255, box)
    mask.save(path)
    return path


def hole(size: tuple[int, int] = SIZE, box=(10, 5, 20, 15)) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros(size[::-1], bool)
    mask[top:bottom, left:right] = True
    return mask


def take(batch: PhotoBatch, *paths: Path, names: list[str] | None = None) -> list[str]:
    return batch.add(list(zip(paths, names or [path.name for path in paths], strict=True)))


def mask_of(batch: PhotoBatch, name: str) -> np.ndarray | str:
    path, why = batch.mask_of(batch.entries[name])
    return np.asarray(Image.open(path).convert("1")) if path else why


# ---- files in ----


def test_photos_and_their_masks_by_name(batch, tmp_path):
    a, b = save(tmp_path / "a.jpg"), save(tmp_path / "b.png", 2)
    assert take(batch, save_mask(tmp_path / "a_mask.png")) == []
    assert [entry.name for entry in batch.listed()] == ["a_mask.png"], "a photo until its owner is there"
    assert take(batch, b, a) == []
    assert [entry.name for entry in batch.listed()] == ["a.jpg", "b.png"]
    np.testing.assert_array_equal(mask_of(batch, "a.jpg"), hole())
    assert mask_of(batch, "b.png") == "nothing is painted yet"
    items = batch.items()
    assert [(item.name, item.output.name, bool(item.mask)) for item in items] == [("a.jpg", "a_filled.jpg", True)]
    assert batch.why_skipped(batch.entries["b.png"]) == "nothing is painted yet"
    assert (batch.photos / "a.jpg").read_bytes() == a.read_bytes()

    save_mask(tmp_path / "a_mask.png", box=(1, 1, 3, 3))
    take(batch, tmp_path / "a_mask.png")
    np.testing.assert_array_equal(mask_of(batch, "a.jpg"), hole(box=(1, 1, 3, 3)))
    take(batch, save_mask(tmp_path / "a_mask.bmp"))
    assert "several masks (a_mask.bmp, a_mask.png)" in mask_of(batch, "a.jpg")


def test_the_same_photo_is_taken_once_and_another_of_its_name_beside_it(batch, tmp_path):
    first, second = save(tmp_path / "x" / "a.jpg", 1), save(tmp_path / "y" / "a.jpg", 2)
    assert take(batch, first, first, second) == []
    assert [(entry.name, entry.output) for entry in batch.listed()] == [
        ("a (2).jpg", "a (2)_filled.jpg"),
        ("a.jpg", "a_filled.jpg"),
    ]


BOXES = ((1, 1, 5, 5), (20, 10, 30, 20))


def of_one_name(tmp_path, number: int) -> tuple[Path, Path]:
    """A photo and its mask, called like others of that camera."""
    photo = save(tmp_path / str(number) / "IMG_0001.jpg", number)
    return photo, save_mask(photo.with_name("IMG_0001_mask.png"), box=BOXES[number - 1])


def test_a_mask_goes_with_the_photo_it_came_with(batch, tmp_path):
    first, second = of_one_name(tmp_path, 1), of_one_name(tmp_path, 2)
    assert take(batch, *first) == take(batch, *reversed(second)) == []
    np.testing.assert_array_equal(mask_of(batch, "IMG_0001.jpg"), hole(box=BOXES[0]))
    np.testing.assert_array_equal(mask_of(batch, "IMG_0001 (2).jpg"), hole(box=BOXES[1]))
    (why,) = take(batch, save_mask(tmp_path / "IMG_0001_mask.png", box=(0, 0, 9, 9)))
    assert why.startswith("IMG_0001_mask.png: 2 photos are called IMG_0001")
    assert take(batch, *second) == [], "the same files again"
    np.testing.assert_array_equal(mask_of(batch, "IMG_0001.jpg"), hole(box=BOXES[0]))
    new = save_mask(tmp_path / "IMG_0001 (2)_mask.png", box=(0, 0, 9, 9))
    assert take(batch, new) == [], "by the name in the list"
    np.testing.assert_array_equal(mask_of(batch, "IMG_0001 (2).jpg"), hole(box=(0, 0, 9, 9)))


def test_masks_of_one_name_in_one_drop_are_refused_in_words(batch, tmp_path):
    whys = take(batch, *of_one_name(tmp_path, 1), *of_one_name(tmp_path, 2))
    assert len(whys) == 2 and all(
        "2 photos are called IMG_0001 (IMG_0001.jpg, IMG_0001 (2).jpg)" in why for why in whys
    )
    assert mask_of(batch, "IMG_0001.jpg") == mask_of(batch, "IMG_0001 (2).jpg") == "nothing is painted yet"
    batch.remove("IMG_0001 (2).jpg")
    masks = (of_one_name(tmp_path, number)[1] for number in (1, 2))
    (why,) = take(batch, *masks)
    assert "several masks are called so" in why and mask_of(batch, "IMG_0001.jpg") == "nothing is painted yet"


def test_photos_of_one_stem_in_other_formats_or_case_do_not_share_a_mask(batch, tmp_path):
    take(batch, *of_one_name(tmp_path, 1))
    take(batch, save(tmp_path / "b" / "IMG_0001.png", 2), save(tmp_path / "c" / "img_0001.JPG", 3))
    assert sorted(batch.entries) == ["IMG_0001 (2).png", "IMG_0001.jpg", "IMG_0001_mask.png", "img_0001 (2).JPG"]
    assert mask_of(batch, "IMG_0001 (2).png") == mask_of(batch, "img_0001 (2).JPG") == "nothing is painted yet"
    take(batch, save_mask(tmp_path / "img_0001_mask.png", box=BOXES[1]))
    np.testing.assert_array_equal(mask_of(batch, "img_0001 (2).JPG"), hole(box=BOXES[1]))
    np.testing.assert_array_equal(mask_of(batch, "IMG_0001.jpg"), hole(box=BOXES[0]))


def test_names_stay_in_their_folder_and_the_content_decides_the_suffix(batch, tmp_path):
    hostile = ("../../evil.jpg", "/etc/evil.jpg", "C:\\evil.exe", "a\0b.png", "CON.jpg", "." * 300)
    for seed, name in enumerate(hostile):
        assert take(batch, save(tmp_path / "in" / f"{seed}.jpg", seed), names=[name]) == []
    inside = sorted(file.name for file in batch.photos.iterdir())
    assert inside == ["_CON.jpg", "ab.jpg", "evil (2).jpg", "evil (3).jpg", "evil.jpg", "photo.jpg"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in", "private", "public"]


def test_what_is_no_photo_is_listed_with_its_reason(batch, tmp_path):
    (tmp_path / "a.jpg").write_bytes(save(tmp_path / "whole.jpg").read_bytes()[:400])
    (tmp_path / "b.txt").write_text("a letter, which is longer than a few words and has no pixels at all")
    assert take(batch, tmp_path / "a.jpg", tmp_path / "b.txt", tmp_path / "whole.jpg") == []
    reasons = {entry.name: entry.refused for entry in batch.listed()}
    assert reasons["a.jpg"].startswith("a.jpg is damaged") and reasons["b"].startswith("b.txt is text")
    assert reasons["whole.jpg"] == "" and not (batch.photos / "a.jpg").exists()
    problems = {item.name: item.problem for item in batch.items()}
    assert problems["a.jpg"] == reasons["a.jpg"]
    assert all(Image.open(path).size for _, path in batch.pictures())


def test_limits(batch, tmp_path, monkeypatch):
    paths = [save(tmp_path / f"{index}.jpg", index) for index in range(3)]
    monkeypatch.setenv("MOEBIUS_MAX_BATCH", "2")
    assert take(batch, *paths, save_mask(tmp_path / "1_mask.png")) == ["2.jpg: 2 photos are the most at once here"]
    monkeypatch.setenv("MOEBIUS_MAX_BATCH", "20")
    monkeypatch.setenv("MOEBIUS_MAX_BATCH_BYTES", str(sum(one.stat().st_size for one in paths)))
    assert "all photos together may have" in take(batch, paths[2])[0]
    assert len(batch.listed()) == 2


# ---- masks ----


def test_one_mask_for_all_fits_the_same_size_and_a_camera_held_otherwise(batch, tmp_path):
    upright, turned = save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg", 2, orientation=6)
    other, upside = save(tmp_path / "c.jpg", 3, (40, 40)), save(tmp_path / "d.jpg", 4, orientation=3)
    take(batch, upright, turned, other, upside)
    assert batch.entries["b.jpg"].size == SIZE[::-1]
    batch.keep_mask(batch.entries["a.jpg"], hole())
    np.testing.assert_array_equal(mask_of(batch, "a.jpg"), hole())
    np.testing.assert_array_equal(mask_of(batch, "d.jpg"), hole())  # as it is seen, as on the command line
    np.testing.assert_array_equal(mask_of(batch, "b.jpg"), as_shown(hole(), 6))  # the same place of the sensor
    np.testing.assert_array_equal(mask_of(batch, "b.jpg"), np.rot90(hole(), k=-1))
    assert mask_of(batch, "c.jpg") == "the mask is for 60×40 pixels, this photo has 40×40; paint a mask of its own"

    batch.keep_mask(batch.entries["c.jpg"], hole((40, 40)))  # its own: the one for all stays
    np.testing.assert_array_equal(mask_of(batch, "c.jpg"), hole((40, 40)))
    np.testing.assert_array_equal(mask_of(batch, "a.jpg"), hole())
    batch.keep_mask(batch.entries["a.jpg"], hole() & False)
    assert mask_of(batch, "a.jpg") == "nothing is painted yet"


def test_each_photo_its_own(batch, tmp_path):
    take(batch, save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg", 2))
    batch.keep_mask(batch.entries["a.jpg"], hole())
    batch.mask_for = "each"
    assert mask_of(batch, "a.jpg") == mask_of(batch, "b.jpg") == "nothing is painted on it"
    batch.keep_mask(batch.entries["b.jpg"], hole(box=(0, 0, 5, 5)))
    assert mask_of(batch, "a.jpg") == "nothing is painted on it"
    batch.mask_for = "all"
    np.testing.assert_array_equal(mask_of(batch, "a.jpg"), hole())
    np.testing.assert_array_equal(mask_of(batch, "b.jpg"), hole(box=(0, 0, 5, 5)))


def test_the_list_shows_the_mask_and_then_the_result(batch, tmp_path):
    take(batch, save(tmp_path / "a.png"))
    entry = batch.entries["a.png"]

    def reddish() -> float:
        pixels = np.asarray(Image.open(batch.pictures()[0][1])).astype(int)
        return (pixels[5:15, 10:20, 0] - pixels[5:15, 10:20, 2]).mean()

    plain, (_, path) = reddish(), batch.pictures()[0]
    assert batch.pictures()[0][1] == path, "drawn once"
    batch.keep_mask(entry, hole())
    assert reddish() > plain + 30 and batch.pictures()[0][1] != path
    batch.begin(iter(()), batch.items())
    Image.new("RGB", SIZE, "blue").save(batch.out / "a_filled.png")
    entry.outcome = Outcome(item=batch.items()[0], state="done")
    assert reddish() < -150


# ---- results ----


def test_the_archive_holds_results_as_they_are_and_says_what_is_missing(batch, tmp_path):
    take(batch, *(save(tmp_path / f"{name}.jpg", seed) for seed, name in enumerate(("a", "b", "ü"))))
    batch.keep_mask(batch.entries["a.jpg"], hole())
    items = batch.items()

    def work():
        for item in items[:1]:
            item.output.write_bytes(b"result of " + item.name.encode())
            yield Outcome(item=item, state="done")
        yield Outcome(item=items[1], state="failed", error="it is green")
        yield Outcome(item=items[2], state="done")

    batch.begin(work(), items)
    assert batch.take().item.name == "a.jpg" and batch.take().state == "failed"
    batch.end()
    batch.end()
    with zipfile.ZipFile(batch.archive) as archive:
        assert archive.namelist() == ["a_filled.jpg", NOT_FILLED] and archive.testzip() is None
        assert archive.read("a_filled.jpg") == b"result of a.jpg"
        assert archive.read(NOT_FILLED).decode() == "b.jpg: it is green\nü.jpg: stopped before its turn\n"
    before = batch.archive
    take(batch, save(tmp_path / "new.jpg", 9))
    assert batch.archive is None and not before.exists(), "an archive of other photos is not offered"
    batch.delete()
    assert not batch.folder.exists() and not batch.public.exists()
