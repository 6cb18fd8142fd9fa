import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from moebius.photo import images
from tests.helpers.cmyk_profile import cmyk_profile

H, W = 37, 53
COLOURS = np.random.default_rng(5).integers(0, 256, (H, W, 3), np.uint8)
ALPHA = np.random.default_rng(6).integers(0, 256, (H, W), np.uint8)


def rng() -> np.random.Generator:
    """A generator of its own for every caller, so that no test depends on those that ran before."""
    return np.random.default_rng(5)


def picture(mode: str) -> Image.Image:
    """Noise in every band of every mode; palette pictures have a fully and a half transparent entry."""
    if mode == "1":
        return Image.fromarray((COLOURS[..., 0] > 128).astype(np.uint8) * 255).convert("1")
    if mode == "P":
        image = Image.frombytes("P", (W, H), (COLOURS[..., 0] % 40).tobytes())
        image.putpalette(rng().integers(0, 256, 3 * 40, np.uint8).tobytes())
        image.info["transparency"] = bytes([0, 128]) + bytes([255] * 38)
        return image
    if mode.startswith("I;16"):
        values = rng().integers(0, 65536, (H, W)).astype(">u2" if mode == "I;16B" else "<u2")
        return Image.frombytes(mode, (W, H), values.tobytes())
    bands = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    return Image.frombytes(mode, (W, H), rng().integers(0, 256, (H, W, bands), np.uint8).tobytes())


def box() -> np.ndarray:
    changed = np.zeros((H, W), bool)
    changed[10:20, 7:30] = True
    return changed


def raw(raster) -> np.ndarray:
    return raster if isinstance(raster, np.ndarray) else np.asarray(raster)


@pytest.mark.parametrize("mode", images.MODES)
def test_only_changed_pixels_differ_and_the_rest_is_bit_identical(mode):
    before = picture(mode)
    rgb = images.to_rgb(before)
    assert rgb.shape == (H, W, 3) and rgb.dtype == (np.uint16 if mode.startswith("I;16") else np.uint8)
    edited = rgb.copy()
    edited[box()] = np.iinfo(rgb.dtype).max - rgb[box()]
    after = images.put_back(before, edited, box())
    assert (after.mode, after.size, after.info) == (before.mode, before.size, before.info)
    np.testing.assert_array_equal(raw(after)[~box()], raw(before)[~box()])
    assert (raw(after)[box()] != raw(before)[box()]).mean() > 0.4
    if mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(raw(after)[..., -1], raw(before)[..., -1])


@pytest.mark.parametrize("mode", [m for m in images.MODES if m != "P"])  # palettes may hold a colour twice
def test_putting_back_the_same_colours_changes_nothing(mode):
    before = picture("1" if mode == "1" else mode)
    after = images.put_back(before, images.to_rgb(before), np.ones((H, W), bool))
    if mode == "CMYK":  # many inks make one colour; the colour is kept
        np.testing.assert_array_equal(images.to_rgb(after), images.to_rgb(before))
    else:
        np.testing.assert_array_equal(raw(after), raw(before))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_arrays_keep_full_precision_and_alpha(channels):
    before = rng().integers(0, 65536, (H, W, channels)).astype(np.uint16)
    rgb = images.to_rgb(before)
    np.testing.assert_array_equal(rgb[..., 0], before[..., 0])
    edited = rgb.copy()
    edited[box()] = (12345, 12345, 12345)
    after = images.put_back(before, edited, box())
    np.testing.assert_array_equal(after[~box()], before[~box()])
    assert (after[box()][:, 0] == 12345).all()
    if channels in (2, 4):
        np.testing.assert_array_equal(after[..., -1], before[..., -1])


def test_values_that_can_be_worked_by_hand():
    grey = images.to_rgb(Image.new("L", (1, 1), 77))
    np.testing.assert_array_equal(grey[0, 0], [77, 77, 77])
    np.testing.assert_array_equal(images.to_rgb(Image.new("1", (1, 1), 1))[0, 0], [255, 255, 255])
    cmyk = Image.new("CMYK", (1, 1), (0, 255, 255, 0))
    np.testing.assert_array_equal(images.to_rgb(cmyk)[0, 0], [255, 0, 0])
    one = np.ones((1, 1), bool)
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert images.put_back(Image.new("L", (1, 1)), red, one).getpixel((0, 0)) == 76  # 0.299 * 255
    assert images.put_back(Image.new("LA", (1, 1), (0, 9)), red, one).getpixel((0, 0)) == (76, 9)
    assert images.put_back(Image.new("1", (1, 1)), red, one).getpixel((0, 0)) == 0
    assert images.put_back(cmyk.copy(), red, one).getpixel((0, 0)) == (0, 255, 255, 0)


def test_palette_takes_the_nearest_entry_of_the_same_opacity():
    image = Image.frombytes("P", (3, 1), bytes([1, 0, 3]))
    image.putpalette([255, 0, 0, 0, 0, 255, 250, 5, 5, 0, 255, 0])
    image.info["transparency"] = bytes([0, 255, 255, 128])
    red = np.array([[[255, 0, 0]] * 3], np.uint8)
    after = images.put_back(image, red, np.ones((1, 3), bool))
    # opaque: the nearest opaque red, not the transparent exact one; transparent and half transparent stay so
    assert raw(after).tolist() == [[2, 0, 3]]
    assert after.getpalette() == image.getpalette()


def test_palette_against_a_search_by_brute_force():
    image = picture("P")
    del image.info["transparency"]
    after = images.put_back(image, COLOURS, np.ones((H, W), bool))
    table = np.array(image.getpalette(), int).reshape(-1, 3)
    distance = ((COLOURS[:, :, None].astype(int) - table) ** 2).sum(axis=3)
    chosen = np.take_along_axis(distance, raw(after)[..., None].astype(int), axis=2)[..., 0]
    np.testing.assert_array_equal(chosen, distance.min(axis=2))


def test_cmyk_goes_through_its_profile_both_ways():
    image = picture("CMYK")
    plain = images.to_rgb(image)
    image.info["icc_profile"] = cmyk_profile()
    ours = images.to_rgb(image)
    theirs = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(cmyk_profile())),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    np.testing.assert_array_equal(ours, np.asarray(theirs))
    assert abs(ours.astype(int) - plain).mean() > 5  # the profile matters
    after = images.put_back(image, ours, box())
    error = abs(images.to_rgb(after).astype(int) - ours)[box()]
    assert np.median(error) <= 3 and np.percentile(error, 95) <= 12  # its tables have 9 and 17 steps
    np.testing.assert_array_equal(raw(after)[~box()], raw(image)[~box()])


@pytest.mark.parametrize("mode", ["F", "I", "HSV", "YCbCr", "LAB", "PA", "RGBa"])
def test_other_modes_are_refused_with_the_allowed_ones(mode):
    image = Image.new(mode, (4, 4))
    with pytest.raises(ValueError, match=f"'{mode}'.*RGB, RGBA.*convert"):
        images.to_rgb(image)
    with pytest.raises(ValueError, match=f"'{mode}'"):
        images.put_back(image, np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool))


def test_8_bit_arrays_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4, 3\) uint8.*Image.fromarray"):
        images.to_rgb(np.zeros((4, 4, 3), np.uint8))


# ---- masks ----


def test_masks_white_and_grey_of_at_least_half():
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    wanted = [[False, False, True, True]]
    for mask in (
        grey,
        Image.fromarray(grey),
        Image.fromarray(grey).convert("RGB"),
        Image.fromarray(grey).convert("RGBA"),
        (grey.astype(np.uint16) * 257),
        Image.fromarray(grey.astype(np.uint16) * 257),
        np.array(wanted),
    ):
        np.testing.assert_array_equal(images.mask_array(mask), wanted)


def test_masks_1_bit_and_palette():
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    np.testing.assert_array_equal(images.mask_array(bits), [[False, True]])
    palette = Image.frombytes("P", (2, 1), bytes([1, 0]))
    palette.putpalette([255, 255, 255, 0, 0, 0])  # entry 0 is white
    np.testing.assert_array_equal(images.mask_array(palette), [[False, True]])


def test_masks_by_alpha_alone():
    rgba = np.zeros((1, 4, 4), np.uint8)
    rgba[0, :, 3] = [0, 1, 128, 255]  # black strokes on nothing
    rgba[0, 0, :3] = 255  # colours under alpha 0 are arbitrary
    np.testing.assert_array_equal(images.mask_array(Image.fromarray(rgba)), [[False, True, True, True]])
    empty = Image.new("RGBA", (3, 2), (255, 255, 255, 0))
    assert not images.mask_array(empty).any()
    palette = Image.frombytes("P", (2, 1), bytes([0, 1]))
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.info["transparency"] = 0
    np.testing.assert_array_equal(images.mask_array(palette), [[False, True]])


def test_masks_of_other_kinds_are_refused():
    with pytest.raises(ValueError, match="float64"):
        images.mask_array(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"\(4, 4, 3\)"):
        images.mask_array(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="'F'"):
        images.mask_array(Image.new("F", (4, 4)))


def test_check_mask_names_both_sizes_and_refuses_a_full_one():
    images.check_mask(np.zeros((4, 6), bool), (4, 6))
    with pytest.raises(ValueError, match="5×4.*6×4"):
        images.check_mask(np.zeros((4, 5), bool), (4, 6))
    with pytest.raises(ValueError, match="whole photo"):
        images.check_mask(np.ones((4, 6), bool), (4, 6))


# ---- tensors and previews ----


def test_tensors_and_back():
    tensor = images.rgb_to_tensor(COLOURS)
    assert tensor.shape == (1, 3, H, W)
    expected = COLOURS.transpose(2, 0, 1)[None] / 127.5 - 1
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(images.tensor_to_rgb(tensor)[0], COLOURS)
    np.testing.assert_array_equal(images.tensor_to_rgb(tensor * 1000)[0], np.where(COLOURS > 127, 255, 0))
    two = images.rgb_to_tensor(np.stack([COLOURS, 255 - COLOURS]))
    np.testing.assert_allclose(two[1].numpy(), -two[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("mode", images.MODES)
def test_preview_is_small_rgb(mode):
    image = picture(mode).resize((300, 200), Image.Resampling.NEAREST)
    small = images.preview(image, side=100)
    assert small.mode == "RGB" and max(small.size) <= 101
