"""What programs do to photo files: the forty files are what they say, and the figures are right for known programs."""

import io

import numpy as np
import pytest
from PIL import Image

from eval.faithfulness.measure import measure
from eval.faithfulness.photos import PhotoFile, photo_files, scene
from eval.faithfulness.tools import tools
from moebius.photo import gain_map, privacy
from moebius.photo.photo_file import open_photo

FILES = {file.name: file for file in photo_files()}
TOOLS = {tool.name: tool for tool in tools()}
PHOTO, HOLE = scene()
FILLED = np.where(HOLE[..., None], np.uint8(90), np.asarray(PHOTO))


def written(tool: str, name: str, tmp_path) -> dict:
    (tmp_path / name).write_bytes(FILES[name].data)
    out = tmp_path / f"out-{name}"
    TOOLS[tool].write(tmp_path / name, FILLED, HOLE, out)
    return measure(FILES[name], out.read_bytes(), HOLE, {"a": "1", "b": "2"}, {"a": "1"})


def test_forty_files_that_show_the_object():
    assert len(FILES) == 40
    for file in FILES.values():
        photo = open_photo(file.data, file.name)
        assert photo.size == PHOTO.size
        assert file.has_gain_map == (gain_map.read(file.data) is not None)
    shown = [name for name, file in FILES.items() if _shows(file)]
    assert {"420-exif.jpg", "xmp-preview.jpg", "ultra-hdr.jpg", "exif-text.png", "layers.tif", "exif.heic"} <= set(
        shown
    )


def _shows(file: PhotoFile) -> bool:
    photo = open_photo(file.data, file.name)
    try:
        privacy.check(file.data, photo.format, photo.raster, Image.fromarray(FILLED), HOLE, photo.orientation)
    except privacy.StillShown:
        return True
    return False


@pytest.mark.parametrize("name", ["420-exif.jpg", "turned-180.jpg", "ultra-hdr.jpg"])
def test_ours_leaves_every_other_block_alone(name, tmp_path):
    row = written("ours", name, tmp_path)
    assert row["changed_blocks"] in (0.0, None) and row["upright"] and row["still_shown"] == ""
    assert row["gain_map_kept"] is (True if name == "ultra-hdr.jpg" else None)
    assert row["depth_kept"] and row["profile_kept"] and (row["tags"], row["tags_lost"]) == (2, 1)


@pytest.mark.parametrize("name", ["16-bit.png", "16-bit.tif", "alpha.png", "display-p3-cicp.png"])
def test_ours_leaves_every_other_pixel_alone(name, tmp_path):
    row = written("ours", name, tmp_path)
    assert (row["changed_outside"], row["depth_kept"], row["profile_kept"]) == (0.0, True, True)
    assert row["changed_blocks"] is None, "no JPEG"


def test_a_script_recodes_a_jpeg_and_loses_depth_profile_and_map(tmp_path):
    assert written("pillow", "420-exif.jpg", tmp_path)["changed_blocks"] > 0.9
    assert written("pillow", "16-bit.tif", tmp_path)["depth_kept"] is False
    assert written("pillow", "444-p3.jpg", tmp_path)["profile_kept"] is False
    assert written("opencv", "ultra-hdr.jpg", tmp_path)["gain_map_kept"] is False


def test_a_preview_that_was_left_is_named_and_a_turned_picture_is_not_upright():
    file = FILES["420-exif.jpg"]
    with Image.open(io.BytesIO(file.data)) as image:
        exif = image.info["exif"]
    out = io.BytesIO()
    Image.fromarray(FILLED).save(out, "JPEG", quality=95, exif=exif)
    assert measure(file, out.getvalue(), HOLE, {}, {})["still_shown"] == "the EXIF data"
    out = io.BytesIO()
    Image.fromarray(FILLED[::-1]).save(out, "JPEG")
    assert measure(file, out.getvalue(), HOLE, {}, {})["upright"] is False
    assert "unreadable" in measure(file, b"\xff\xd8 no picture", HOLE, {}, {})
