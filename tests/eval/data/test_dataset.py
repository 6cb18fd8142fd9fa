"""Pictures found and paired with masks; what cannot be used is listed, what is ambiguous is refused."""

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from eval.data.dataset import Request, read_picture, scan
from moebius import masks
from tests.helpers.synthetic import picture


def ask(**fields):
    return scan(Request(**fields), quiet=True)


def test_generated_masks_are_the_documented_ones(pictures):
    dataset = ask(data=str(pictures), masks="object", seed=3)
    assert [sample.id for sample in dataset.samples] == [f"p{index}" for index in range(7)]
    rgb, mask = dataset.load(dataset.samples[2])
    np.testing.assert_array_equal(rgb, picture(2))
    np.testing.assert_array_equal(mask, masks.make("object", masks.seed_of(3, "p2"), 64))
    assert dataset.samples[2].hole == mask.mean()


def test_identity_depends_on_content_not_on_place(pictures, tmp_path):
    before = ask(data=str(pictures), masks="object").identity()
    moved = shutil.copytree(pictures, tmp_path / "elsewhere")
    assert ask(data=str(moved), masks="object").identity() == before
    assert ask(data=str(moved), masks="object", seed=1).identity() != before
    Image.fromarray(picture(99)).save(moved / "p3.png")
    assert ask(data=str(moved), masks="object").identity() != before


def test_unusable_pictures_are_listed_with_their_reasons(pictures):
    (pictures / "text.png").write_text("no picture")
    (pictures / "cut.png").write_bytes((pictures / "p0.png").read_bytes()[:300])
    Image.fromarray(picture(1)[:40]).save(pictures / "oblong.png")
    dataset = ask(data=str(pictures), masks="object")
    assert len(dataset.samples) == 7
    reasons = {problem["id"]: problem["reason"] for problem in dataset.problems}
    assert set(reasons) == {"text", "cut", "oblong"}
    assert "text.png is" in reasons["text"] and "64×40; say --size" in reasons["oblong"]
    assert dataset.describe()["unusable"] == 3


def test_pictures_too_small_to_be_scored_are_listed_before_anything_is_filled(pictures):
    Image.fromarray(picture(1)[:31]).save(pictures / "flat.png")
    Image.fromarray(picture(1)[:32, :32]).save(pictures / "small.png")
    dataset = ask(data=str(pictures), masks="object")
    assert "small" in {sample.id for sample in dataset.samples}
    assert [(problem["id"], "64×31; scored are" in problem["reason"]) for problem in dataset.problems] == [
        ("flat", True)
    ]


def test_pictures_are_opened_as_photos_are(tmp_path):
    stored = picture(3)[:40]
    for name, content in (("colour.tif", stored), ("grey.tif", stored[..., 0])):
        tifffile.imwrite(tmp_path / name, content, extratags=[(274, "H", 1, 6, True)])
        rgb = read_picture(tmp_path / name, None)
        np.testing.assert_array_equal(rgb, np.rot90(np.broadcast_to(content.reshape(40, 64, -1), (40, 64, 3)), -1))


def test_masks_from_a_folder_are_paired_by_name(pictures):
    holes = pictures / "masks"
    holes.mkdir()
    for index in range(5):
        mask = np.zeros((64, 64), np.uint8)
        mask[index : index + 20, 10:30] = 255
        name = f"p{index}_mask000.png" if index % 2 else f"p{index}.png"
        Image.fromarray(mask).save(holes / name)
    Image.fromarray(np.full((64, 64), 255, np.uint8)).save(holes / "p5.png")
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(holes / "p6.png")
    dataset = ask(data=str(pictures), masks=str(holes))
    assert [sample.id for sample in dataset.samples] == ["p0", "p1", "p2", "p3", "p4"]
    for index, sample in enumerate(dataset.samples):
        mask = dataset.load(sample)[1]
        assert mask.sum() == 400 and mask[index, 10]
    reasons = [problem["reason"] for problem in dataset.problems]
    assert "covers the whole picture" in reasons[0] and "is 32×32 but its picture is 64×64" in reasons[1]


def test_a_list_file(pictures):
    (pictures / "some.txt").write_text("# two of them\np4.png\np1.png\n")
    dataset = ask(data=str(pictures / "some.txt"), masks="object")
    assert [sample.id for sample in dataset.samples] == ["p1", "p4"]


def test_two_pictures_of_one_name_are_refused(pictures):
    Image.fromarray(picture(0)).save(pictures / "p0.jpg")
    with pytest.raises(ValueError, match="two pictures are named 'p0'"):
        ask(data=str(pictures), masks="object")


def test_scaling_takes_the_middle_square(tmp_path):
    rgb = np.zeros((60, 120, 3), np.uint8)
    rgb[:, 30:90] = 200
    Image.fromarray(rgb).save(tmp_path / "wide.png")
    assert (read_picture(tmp_path / "wide.png", 60) == 200).all()
    assert read_picture(tmp_path / "wide.png", 30).shape == (30, 30, 3)


def test_questions_that_cannot_be_answered(pictures, tmp_path):
    with pytest.raises(ValueError, match="not a folder, list file or protocol"):
        ask(data="nowhere")
    with pytest.raises(ValueError, match="needs --folder DIR with its pictures; get them: http://places2"):
        ask(data="places2-large")
    with pytest.raises(ValueError, match="say with --masks"):
        ask(data=str(pictures))
    with pytest.raises(ValueError, match="neither a folder nor a kind"):
        ask(data=str(pictures), masks="thickish")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no usable picture"):
        ask(data=str(tmp_path / "empty"), masks="object")


def test_a_protocol_sets_masks_and_size(tmp_path):
    Image.fromarray(picture(0, 300)).save(tmp_path / "a.jpg")
    dataset = ask(data="places2-256", folder=str(tmp_path))
    assert (dataset.samples[0].width, dataset.request.masks) == (256, "mat-large")
    assert "the paper does not say" in dataset.describe()["open_points"]


def test_what_was_found_is_kept_until_a_file_changes(pictures, tmp_path):
    cache, request = tmp_path / "data.json", Request(data=str(pictures), masks="object")
    first = scan(request, cache, quiet=True)
    assert scan(request, cache, quiet=True) == first
    Image.fromarray(picture(50)).save(pictures / "p1.png")
    assert scan(request, cache, quiet=True).samples[1].sha256 != first.samples[1].sha256
    Image.fromarray(picture(51)).save(pictures / "p9.png")
    assert len(scan(request, cache, quiet=True).samples) == 8
