import io

import numpy as np
import pytest
from PIL import Image

from moebius.photo import mask_file
from moebius.photo.photo_file import PhotoError, open_mask

H, W = 40, 60
HOLE = np.zeros((H, W), bool)
HOLE[10:20, 15:40] = True


def save(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def palette() -> Image.Image:
    """PASCAL VOC's colours: index 1 is (128, 0, 0)."""
    image = Image.frombytes("P", (W, H), HOLE.astype(np.uint8).tobytes())
    image.putpalette([0, 0, 0, 128, 0, 0])
    return image


TWO_VALUES = {
    "labels": lambda: Image.fromarray(HOLE.astype(np.uint8)),
    "grey 100": lambda: Image.fromarray(HOLE.astype(np.uint8) * 100),
    "16-bit labels": lambda: Image.fromarray(HOLE.astype(np.uint16)),
    "red": lambda: Image.fromarray(HOLE[..., None] * np.array([255, 0, 0], np.uint8)),
    "blue with alpha": lambda: Image.fromarray(
        HOLE[..., None] * np.array([0, 0, 255, 0], np.uint8) + np.uint8([0, 0, 0, 255])
    ),
    "palette": palette,
    "white": lambda: Image.fromarray(HOLE.astype(np.uint8) * 255),
}


@pytest.mark.parametrize("kind", TWO_VALUES)
def test_of_two_values_the_one_that_is_not_black_is_painted(kind):
    np.testing.assert_array_equal(open_mask(save(TWO_VALUES[kind]()), (W, H)), HOLE)


@pytest.mark.parametrize("value", [0, 1, 100, 127])
def test_one_dark_value_is_an_empty_mask(value):
    assert not open_mask(save(Image.new("L", (W, H), value)), (W, H)).any()


def test_several_dark_colours_are_refused():
    labels = HOLE.astype(np.uint8)
    labels[0, :5] = 2
    with pytest.raises(PhotoError, match="3 colours and none is at least half white"):
        open_mask(save(Image.fromarray(labels)))
    two = np.where(HOLE, np.uint8(100), np.uint8(50))
    with pytest.raises(PhotoError, match="2 colours and none"):
        open_mask(save(Image.fromarray(two)))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_the_photo_itself_with_the_hole_erased_is_refused(kind):
    photo = np.random.default_rng(3).integers(0, 256, (H, W, 4)).astype(np.uint8)
    photo[..., 3] = np.where(HOLE, 0, 255)
    with pytest.raises(PhotoError, match=r"picture with a part erased.*90% of it is opaque"):
        open_mask(save(Image.fromarray(photo), kind))


def test_paint_of_one_colour_on_a_transparent_layer_stays_a_mask():
    soft = np.zeros((H, W, 4), np.uint8)
    soft[..., 0] = np.arange(W)  # colours under alpha 0 are arbitrary
    soft[HOLE] = (200, 10, 90, 255)
    soft[9, 15:40] = (200, 10, 90, 40)
    expected = HOLE.copy()
    expected[9, 15:40] = True
    np.testing.assert_array_equal(open_mask(save(Image.fromarray(soft)), (W, H)), expected)


def test_our_own_masks_are_read_above_pillows_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", H * W // 4)  # of 179 million, which is Pillow's own
    mask_file.save_bits(HOLE, tmp_path / "mask.png")
    np.testing.assert_array_equal(mask_file.load_bits(tmp_path / "mask.png"), HOLE)
