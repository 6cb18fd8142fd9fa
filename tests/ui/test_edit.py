"""A photo of another program: opened, saved over, left; and what must not happen to its file."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from moebius import __main__
from moebius.photo import photo_file
from moebius.photo.photo_file import PhotoError
from moebius.ui import launch
from moebius.ui.edit import EditedFile
from moebius.ui.session import Session

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
HOLE = np.zeros((60, 80), bool)
HOLE[20:30, 30:50] = True


def tiff() -> bytes:
    """16 bits, a profile, a camera's name."""
    out = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 65536, (60, 80, 3), np.uint16)
    tags = [(34675, 7, len(PROFILE), PROFILE, True), (271, 2, 9, "A camera", True)]
    tifffile.imwrite(out, pixels, photometric="rgb", extratags=tags, metadata=None)
    return out.getvalue()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "photo.tif"
    path.write_bytes(tiff())
    return path


@pytest.fixture
def file(path, monkeypatch):
    monkeypatch.setattr("moebius.ui.edit.ANSWER_S", 0.0)
    return EditedFile(path, grace_s=0.0)


@pytest.fixture
def session(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    return Session(folder=folder)


def fill(file: EditedFile, session: Session) -> None:
    raster = file.photo.raster.copy()
    raster[HOLE] = 12345
    encoded = photo_file.encode_photo(file.photo, raster, HOLE)
    session.keep_result(encoded.data, "photo_filled.tif")


def test_a_16_bit_tiff_comes_back_with_all_else_as_it_was(file, path, session):
    before = tifffile.imread(path)
    file.enter("tab", session)
    fill(file, session)
    file.save(session)
    file.wait()
    with tifffile.TiffFile(path) as written:
        page = written.pages[0]
        after = page.asarray()
        assert page.tags[34675].value == PROFILE and page.tags[271].value == "A camera"
    assert file.saved and after.dtype == np.uint16 and (after[HOLE] == 12345).all()
    np.testing.assert_array_equal(after[~HOLE], before[~HOLE])
    assert [one.name for one in path.parent.iterdir() if one.is_file()] == ["photo.tif"]


def test_what_is_shown_is_saved_also_where_it_is_the_photo_itself(file, path, session):
    data, changed = path.read_bytes(), path.stat().st_mtime_ns
    file.enter("tab", session)
    fill(file, session)
    session.go_to(session.steps[0])
    file.save(session)
    assert file.saved and path.read_bytes() == data and path.stat().st_mtime_ns == changed


def test_the_last_tab_that_is_closed_ends_it(file, path, session):
    data = path.read_bytes()
    file.enter("one", session)
    file.enter("two", session)
    file.leave("one")
    assert not file._ended.is_set()
    fill(file, session)
    file.leave("two")
    file.wait()
    assert not file.saved and path.read_bytes() == data


def test_a_page_that_is_loaded_anew_goes_on(path, session):
    file = EditedFile(path, grace_s=1000)
    file.enter("before", session)
    file.leave("before")
    file.enter("after", session)
    assert file._timer.finished.is_set(), "nothing ends it any more"


def test_another_photo_is_not_written_over_it(file, path, session):
    data = path.read_bytes()
    file.enter("tab", session)
    session.keep_photo(b"another", "other.png", (1, 1))
    with pytest.raises(ValueError, match="shows another photo than photo.tif"):
        file.save(session)
    assert path.read_bytes() == data and not file.saved


def test_a_file_that_changed_meanwhile_is_left_alone(file, path, session):
    file.enter("tab", session)
    fill(file, session)
    path.write_bytes(b"by another program")
    with pytest.raises(ValueError, match="changed by another program meanwhile"):
        file.save(session)
    assert path.read_bytes() == b"by another program"


def test_what_is_no_photo_is_said_at_once(tmp_path):
    (tmp_path / "notes.txt").write_text("some text that is no photo")
    with pytest.raises(PhotoError, match="notes.txt is text"):
        EditedFile(tmp_path / "notes.txt")


@pytest.mark.parametrize(("saved", "status", "word"), [(True, 0, "saved"), (False, 3, "closed without saving")])
def test_the_status_says_how_it_ended(monkeypatch, capsys, saved, status, word):
    asked = []
    monkeypatch.setattr(launch, "edit", lambda *given: asked.append(given) or saved)
    monkeypatch.setattr("sys.argv", ["moebius-edit", "a.jpg"])
    assert __main__.main(["edit", "a.jpg", "--no-browser"]) == __main__.edit_one() == status
    assert word in capsys.readouterr().out and [given[3] for given in asked] == [False, True]


def test_a_jpeg_keeps_its_blocks(tmp_path, session):
    path = tmp_path / "photo.jpg"
    Image.effect_noise((80, 60), 40).convert("RGB").save(path, quality=90, subsampling=0)
    before = np.asarray(Image.open(path))
    file = EditedFile(path)
    file.enter("tab", session)
    raster = file.photo.raster.copy()
    raster.paste((1, 2, 3), (32, 16, 48, 24))
    changed = np.zeros((60, 80), bool)
    changed[16:24, 32:48] = True
    session.keep_result(photo_file.encode_photo(file.photo, raster, changed).data, "photo_filled.jpg")
    file.save(session)
    after = np.asarray(Image.open(path))
    np.testing.assert_array_equal(after[~changed], before[~changed])
    assert np.abs(after[changed].astype(int) - (1, 2, 3)).max() < 12
