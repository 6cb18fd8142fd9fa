import numpy as np
import pytest
from PIL import Image, ImageCms

from moebius.ui import editor


def blob(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


# ---- previews ----


@pytest.mark.parametrize(
    ("size", "expected"),
    [((4000, 3000), (1536, 1152)), ((3000, 4000), (1152, 1536)), ((800, 600), (800, 600)), ((20000, 3), (1536, 1))],
)
def test_preview_is_scaled_down_never_up(size, expected):
    assert editor.preview(Image.new("RGB", size)).size == expected


def test_preview_keeps_colour_and_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.new("RGB", (3072, 100), (200, 30, 90))
    picture.info["icc_profile"] = profile
    small = editor.preview(picture)
    assert small.mode == "RGB" and small.getpixel((700, 20)) == (200, 30, 90)
    assert small.info["icc_profile"] == profile


def test_preview_of_grey_drops_a_profile_that_describes_grey():
    picture = Image.new("L", (10, 10), 77)
    picture.info["icc_profile"] = b"a grey profile"
    small = editor.preview(picture)
    assert small.mode == "RGB" and small.getpixel((0, 0)) == (77, 77, 77) and "icc_profile" not in small.info


def test_preview_keeps_transparency_of_rgba_and_of_palettes():
    rgba = Image.new("RGBA", (8, 8), (10, 20, 30, 40))
    assert editor.preview(rgba).getpixel((3, 3)) == (10, 20, 30, 40)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 50, 60, 70])
    palette.info["transparency"] = bytes([255, 128])
    assert editor.preview(palette).getpixel((3, 3)) == (50, 60, 70, 128)


def test_preview_of_16_bits_takes_the_high_byte():
    array = np.full((4, 5, 4), (0x1234, 0x5678, 0x9ABC, 0x80FF), np.uint16)
    small = editor.preview(array)
    assert small.size == (5, 4) and small.getpixel((0, 0)) == (0x12, 0x56, 0x9A, 0x80)


# ---- strokes ----


@pytest.mark.parametrize("layers", [None, [], ()])
def test_no_layers_are_no_strokes(layers):
    assert editor.strokes(layers) is None


def test_a_layer_counts_where_its_alpha_is_above_zero_whatever_its_colour():
    layer = np.zeros((6, 7, 4), np.uint8)
    layer[..., :3] = 255  # colours under alpha 0 are arbitrary
    layer[2:4, 3:5] = (0, 0, 0, 1)
    np.testing.assert_array_equal(editor.strokes([Image.fromarray(layer)]), blob(6, 7, 2, 3, 4, 5))


def test_an_opaque_grey_layer_counts_by_its_luma():
    mask = blob(6, 7, 1, 1, 3, 3)
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    for layer in (grey, grey.convert("RGBA")):  # the second: what Gradio makes of an "L" mask sent through the API
        np.testing.assert_array_equal(editor.strokes([layer]), mask)


def test_layers_are_united():
    one, two = blob(6, 7, 0, 0, 2, 2), blob(6, 7, 4, 4, 6, 6)
    np.testing.assert_array_equal(editor.strokes([editor.tint(one), editor.tint(two)]), one | two)


def test_layers_of_different_sizes_are_an_error_with_both_sizes():
    with pytest.raises(ValueError, match="7×6, 8×6"):
        editor.strokes([editor.tint(np.zeros((6, 7), bool)), editor.tint(np.zeros((6, 8), bool))])


def test_a_layer_painted_all_over_is_not_taken_for_an_opaque_picture():
    assert editor.strokes([editor.tint(np.ones((3, 3), bool))]).all()


# ---- to the photo's size ----


def test_strokes_are_scaled_by_nearest_neighbour():
    painted = blob(10, 20, 2, 5, 4, 8)
    np.testing.assert_array_equal(editor.full_mask(painted, None, (60, 30)), blob(30, 60, 6, 15, 12, 24))


def test_without_an_editor_the_given_mask_is_used_and_without_both_nothing():
    given = blob(30, 60, 1, 2, 3, 4)
    np.testing.assert_array_equal(editor.full_mask(None, given, (60, 30)), given)
    assert not editor.full_mask(None, None, (60, 30)).any()


def test_a_given_mask_keeps_every_detail_where_nobody_painted():
    given = np.zeros((300, 600), bool)
    given[100] = True  # a wire, one pixel of the photo
    painted = editor.shrink_mask(given, (60, 30))  # as the editor shows it
    assert painted[10].all() and painted.sum() == 60
    np.testing.assert_array_equal(editor.full_mask(painted, given, (600, 300)), given)


def test_strokes_add_to_a_given_mask_and_the_eraser_takes_from_it():
    given = np.zeros((300, 600), bool)
    given[100] = True
    painted = editor.shrink_mask(given, (60, 30))
    painted[10, :30] = False  # erased
    painted[20:22, 40:50] = True  # painted
    expected = given.copy()
    expected[100, :300] = False
    expected[200:220, 400:500] = True
    np.testing.assert_array_equal(editor.full_mask(painted, given, (600, 300)), expected)


def test_a_stroke_beside_a_given_mask_leaves_no_unpainted_line_between_the_two():
    given = np.zeros((300, 600), bool)
    given[100] = True
    painted = editor.shrink_mask(given, (60, 30))
    painted[9:12, 20:40] = True  # the same wire, grown
    expected = given.copy()
    expected[90:120, 200:400] = True
    expected[100:110, 190:200] = expected[100:110, 400:410] = True  # touched
    np.testing.assert_array_equal(editor.full_mask(painted, given, (600, 300)), expected)


def test_preview_of_16_bits_has_the_photos_profile_unless_it_is_grey():
    colour, grey = np.zeros((4, 5, 3), np.uint16), np.zeros((4, 5, 2), np.uint16)
    assert editor.preview(colour, profile=b"a profile").info["icc_profile"] == b"a profile"
    assert "icc_profile" not in editor.preview(grey, profile=b"a grey profile").info
