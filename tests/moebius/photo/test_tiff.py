import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from moebius.photo import images, tiff, tiff_tags
from moebius.photo.photo_file import PhotoError, encode_photo, open_photo

W, H = 75, 67


def rng() -> np.random.Generator:
    """A generator of its own for every caller, so that no test depends on those that ran before."""
    return np.random.default_rng(4)


def make(shape: tuple[int, ...], dtype=np.uint8, **options) -> bytes:
    """A TIFF by tifffile, an independent writer."""
    out = io.BytesIO()
    pixels = rng().integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    tifffile.imwrite(out, pixels, metadata=None, **options)
    return out.getvalue()


def edit(data: bytes):
    photo = open_photo(data)
    changed = np.zeros((H, W), bool)
    changed[20:31, 17:60] = True
    rgb = images.to_rgb(photo.raster)
    rgb[changed] = 9
    edited = images.put_back(photo.raster, rgb, changed)
    return photo, changed, encode_photo(photo, edited, changed), edited


def read(data: bytes) -> np.ndarray:
    return tifffile.imread(io.BytesIO(data))


KINDS = {
    "grey": ((H, W), np.uint8, {"photometric": "minisblack"}),
    "grey inverted": ((H, W), np.uint8, {"photometric": "miniswhite"}),
    "grey 16": ((H, W), np.uint16, {"photometric": "minisblack"}),
    "grey 16 big-endian": ((H, W), np.uint16, {"photometric": "minisblack", "byteorder": ">"}),
    "grey and alpha": ((H, W, 2), np.uint8, {"photometric": "minisblack", "extrasamples": [2]}),
    "rgb": ((H, W, 3), np.uint8, {"photometric": "rgb"}),
    "rgb lzw": ((H, W, 3), np.uint8, {"photometric": "rgb", "compression": "lzw"}),
    "rgb lzw predictor": ((H, W, 3), np.uint8, {"photometric": "rgb", "compression": "lzw", "predictor": 2}),
    "rgb deflate strips": ((H, W, 3), np.uint8, {"photometric": "rgb", "compression": "zlib", "rowsperstrip": 8}),
    "rgb packbits": ((H, W, 3), np.uint8, {"photometric": "rgb", "compression": "packbits"}),
    "rgb tiles": ((H, W, 3), np.uint8, {"photometric": "rgb", "compression": "zlib", "tile": (32, 32)}),
    "rgb bigtiff": ((H, W, 3), np.uint8, {"photometric": "rgb", "bigtiff": True, "compression": "zlib"}),
    "rgba": ((H, W, 4), np.uint8, {"photometric": "rgb", "extrasamples": [2]}),
    "cmyk": ((H, W, 4), np.uint8, {"photometric": "separated"}),
    "rgb 16": ((H, W, 3), np.uint16, {"photometric": "rgb"}),
    "rgb 16 big-endian lzw": (
        (H, W, 3),
        np.uint16,
        {"photometric": "rgb", "byteorder": ">", "compression": "lzw", "predictor": 2, "rowsperstrip": 16},
    ),
    "rgba 16 tiles": (
        (H, W, 4),
        np.uint16,
        {"photometric": "rgb", "extrasamples": [2], "compression": "zlib", "tile": (32, 16)},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_changed_samples_differ_and_the_form_stays(kind):
    shape, dtype, options = KINDS[kind]
    data = make(shape, dtype, **options)
    photo, changed, encoded, edited = edit(data)
    assert (encoded.format, encoded.notes) == ("TIFF", ())
    before, after = read(data), read(encoded.data)
    assert after.dtype == before.dtype and after.shape == before.shape
    np.testing.assert_array_equal(after[~changed], before[~changed])
    assert (after[changed] != before[changed]).any(axis=-1).mean() > 0.9
    if "extrasamples" in options:
        np.testing.assert_array_equal(after[..., -1], before[..., -1])
    again = open_photo(encoded.data).raster
    np.testing.assert_array_equal(np.asarray(again), np.asarray(edited))
    with tifffile.TiffFile(io.BytesIO(data)) as old, tifffile.TiffFile(io.BytesIO(encoded.data)) as new:
        moved = ("StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts")
        tags = [{t.name: t.value for t in f.pages[0].tags if t.name not in moved} for f in (old, new)]
        assert tags[0] == tags[1] and old.byteorder == new.byteorder


def test_planar_16_bit():
    out = io.BytesIO()
    pixels = rng().integers(0, 65536, (3, H, W)).astype(np.uint16)
    tifffile.imwrite(out, pixels, photometric="rgb", planarconfig="separate", metadata=None, rowsperstrip=20)
    data = out.getvalue()
    np.testing.assert_array_equal(open_photo(data).raster, pixels.transpose(1, 2, 0))
    _, changed, encoded, _ = edit(data)
    after = read(encoded.data)
    np.testing.assert_array_equal(after[:, ~changed], pixels[:, ~changed])
    assert (after[:, changed] == 9).all()


def test_nothing_of_the_old_strip_remains():
    """A strip that has to move leaves zeros behind, not what was removed."""
    out = io.BytesIO()
    flat = np.full((H, W, 3), 7, np.uint8)
    tifffile.imwrite(out, flat, photometric="rgb", compression="zlib", metadata=None)
    data = out.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        where, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    photo, changed = open_photo(data), np.ones((H, W), bool)
    noise = Image.fromarray(rng().integers(0, 256, (H, W, 3), np.uint8))
    encoded = encode_photo(photo, noise, changed)
    assert encoded.data[where : where + length] == bytes(length)
    np.testing.assert_array_equal(read(encoded.data), np.asarray(noise))


def test_other_forms_are_written_by_pillow_with_their_tags():
    image = Image.fromarray(rng().integers(0, 2, (H, W), np.uint8) * 255).convert("1")
    out = io.BytesIO()
    image.save(out, "TIFF", compression="group4", tiffinfo={270: "a drawing", 315: "someone"}, dpi=(300, 300))
    photo, changed, encoded, edited = edit(out.getvalue())
    after = Image.open(io.BytesIO(encoded.data))
    assert after.info["compression"] == "group4" and after.tag_v2[270] == "a drawing" and after.tag_v2[315] == "someone"
    assert after.info["dpi"] == (300, 300) and encoded.notes == ()
    np.testing.assert_array_equal(np.asarray(after), np.asarray(edited))


def test_lossy_compression_is_replaced_by_a_lossless_one_and_says_so():
    image = Image.fromarray(rng().integers(0, 256, (H, W, 3), np.uint8))
    out = io.BytesIO()
    image.save(out, "TIFF", compression="jpeg", quality=80)
    photo, changed, encoded, edited = edit(out.getvalue())
    assert "(jpeg) was replaced by a lossless" in encoded.notes[0]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded.data))), np.asarray(edited))


def test_thumbnails_in_tags_show_the_edited_picture():
    small = io.BytesIO()
    Image.new("RGB", (40, 36), "red").save(small, "JPEG", quality=95)
    resources = b"8BIM\x04\x0c\0\0" + bytes(32) + small.getvalue() + bytes(200)
    data = make((H, W), photometric="minisblack", extratags=[(34377, 1, len(resources), resources, True)])
    photo = open_photo(data)
    encoded = encode_photo(photo, Image.new("L", (W, H), 200), np.ones((H, W), bool))
    with tifffile.TiffFile(io.BytesIO(encoded.data)) as file:
        after = bytes(file.pages[0].tags[34377].value)
    assert len(after) == len(resources) and after[:40] == resources[:40]
    thumbnail = Image.open(io.BytesIO(after[40:]))
    assert thumbnail.size == (40, 36) and abs(np.asarray(thumbnail).astype(int) - 200).max() <= 3


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "zstd"])
def test_previews_in_maker_notes_show_the_edited_picture(compression):
    small = io.BytesIO()
    Image.new("RGB", (40, 36), "red").save(small, "JPEG", quality=95)
    note = b"ACME\0\1\0\0" + small.getvalue() + b"behind"
    bare = io.BytesIO()
    Image.fromarray(rng().integers(0, 256, (H, W), np.uint8)).save(bare, "TIFF", compression=compression)
    data = tiff_tags.add_tags(bare.getvalue(), {34665: tiff_tags.Tag(4, b"", "<", {37500: tiff_tags.bytes_tag(note)})})
    photo = open_photo(data)
    encoded = encode_photo(photo, Image.new("L", (W, H), 200), np.ones((H, W), bool))
    with tifffile.TiffFile(io.BytesIO(encoded.data)) as file:
        after = file.pages[0].tags[34665].value["MakerNote"]
    assert len(after) == len(note) and after[:8] == note[:8] and after[-6:] == b"behind"
    thumbnail = Image.open(io.BytesIO(after[8:]))
    assert thumbnail.size == (40, 36) and abs(np.asarray(thumbnail).astype(int) - 200).max() <= 3


def test_shared_strips_are_parted():
    """Some writers store equal strips once; an edit must not show twice."""
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((H, W), np.uint8), photometric="minisblack", rowsperstrip=1, metadata=None)
    data = bytearray(out.getvalue())
    strips = tiff.read_strips(bytes(data))
    first = struct.unpack_from("<I", data, strips.offsets.offset)[0]
    struct.pack_into(f"<{H}I", data, strips.offsets.offset, *[first] * H)
    _, changed, encoded, _ = edit(bytes(data))
    np.testing.assert_array_equal(read(encoded.data), np.where(changed, 9, 0))


def test_where_all_that_share_a_strip_are_changed_its_old_bytes_go():
    out = io.BytesIO()
    tifffile.imwrite(out, np.full((H, W), 77, np.uint8), photometric="minisblack", rowsperstrip=1, metadata=None)
    data = bytearray(out.getvalue())
    strips = tiff.read_strips(bytes(data))
    offsets = list(struct.unpack_from(f"<{H}I", data, strips.offsets.offset))
    offsets[20:31] = offsets[20:21] * 11
    struct.pack_into(f"<{H}I", data, strips.offsets.offset, *offsets)
    data[offsets[20] : offsets[20] + W] = bytes([251]) * W  # the object
    photo, changed = open_photo(bytes(data)), np.zeros((H, W), bool)
    changed[20:31] = True
    encoded = encode_photo(photo, Image.new("L", (W, H), 77), changed)
    assert bytes([251]) * 8 not in encoded.data and (read(encoded.data) == 77).all()


FURTHER = {
    "infrared": ((H, W, 4), np.uint8, {"photometric": "rgb", "extrasamples": [0], "rowsperstrip": 8}),
    "infrared, 16 bits": ((H, W, 4), np.uint16, {"photometric": "rgb", "extrasamples": [0], "compression": "zlib"}),
    "alpha and a selection": ((H, W, 5), np.uint8, {"photometric": "rgb", "extrasamples": [2, 0], "tile": (16, 16)}),
    "two spot colours": ((H, W, 6), np.uint8, {"photometric": "separated", "extrasamples": [0, 0]}),
}


@pytest.mark.parametrize("kind", FURTHER)
def test_further_channels_do_not_show_what_was_removed(kind):
    """An infrared channel is a picture of the scene, and a selection is the outline of the object."""
    shape, dtype, options = FURTHER[kind]
    pixels = np.full(shape, 40, dtype)
    pixels[20:31, 17:60, 3:] = 200  # the object
    pixels[:, 60:, -1] = 83
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **options)
    _, changed, encoded, _ = edit(out.getvalue())
    after, colours = read(encoded.data), 4 if "spot" in kind else 3
    assert "infrared, spot colours or selections) were smoothed over" in encoded.notes[0]
    np.testing.assert_array_equal(after[~changed], pixels[~changed])
    if "alpha" in kind:
        np.testing.assert_array_equal(after[..., 3], pixels[..., 3])
    else:
        assert after[20:31, 17:60, colours:-1].size == 0 or (after[20:31, 17:60, colours:-1] == 40).all()
    line = np.rint(np.interp(np.arange(17, 60), [16, 60], [40, 83]))  # from the left edge to the right one
    assert (after[20:31, 17:60, -1] == line).all()
    again = encode_photo(*_unchanged_further(encoded.data))
    assert again.notes == ()  # nothing is there any more, so nothing is told


def _unchanged_further(data: bytes):
    photo, changed = open_photo(data), np.zeros((H, W), bool)
    changed[20:31, 17:60] = True
    return photo, photo.raster, changed


def test_further_channels_are_left_out_with_the_compression_and_that_is_told():
    data = make((H, W, 4), photometric="rgb", extrasamples=[0], compression="zstd")
    encoded = edit(data)[2]
    assert read(encoded.data).shape == (H, W, 3)
    assert encoded.notes == ("The TIFF's further channels (infrared, spot colours or selections) were left out.",)


def test_unsupported_16_bit_forms_say_what_they_are():
    data = make((H, W, 3), np.uint16, photometric="rgb", compression="zstd")
    with pytest.raises(PhotoError, match="16 bits.*compression 50000"):
        open_photo(data)
    data = make((H, W, 4), np.uint16, photometric="separated")
    with pytest.raises(PhotoError, match="16-bit CMYK"):
        open_photo(data)


# ---- how grey is stored ----


@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
@pytest.mark.parametrize(("dtype", "order"), [(np.uint8, "<"), (np.uint8, ">"), (np.uint16, "<")])
def test_white_is_zero_at_every_depth(dtype, order, compression):
    """White on the left as stored by an independent writer: shown, filled and converted as white."""
    top = np.iinfo(dtype).max
    stored = np.full((H, W), top - 5, dtype)
    stored[:, :40] = 3
    out = io.BytesIO()
    tifffile.imwrite(out, stored, photometric="miniswhite", byteorder=order, compression=compression, metadata=None)
    photo = open_photo(out.getvalue())
    assert (np.asarray(photo.raster)[5, [0, 60]] == [top - 3, 5]).all()
    changed = np.zeros((H, W), bool)
    changed[20:30, 50:60] = True
    rgb = images.to_rgb(photo.raster)
    rgb[changed] = top
    edited = images.put_back(photo.raster, rgb, changed)
    encoded = encode_photo(photo, edited, changed)
    with tifffile.TiffFile(io.BytesIO(encoded.data)) as file:
        white_is_zero = file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE
        after = file.pages[0].asarray()
        after = top - after if white_is_zero else after
    np.testing.assert_array_equal(after[~changed], (top - stored)[~changed])
    assert (after[changed] == top).all()
    as_png = np.asarray(Image.open(io.BytesIO(encode_photo(photo, edited, changed, ".png").data)))
    np.testing.assert_array_equal(as_png, after)


def test_12_bits_keep_their_brightness():
    stored = (np.add.outer(np.arange(H), np.arange(W)) * 29).clip(0, 4095).astype(np.uint16)
    out = io.BytesIO()
    tifffile.imwrite(out, stored, photometric="minisblack", bitspersample=12, metadata=None)
    photo = open_photo(out.getvalue())
    assert photo.notes == ("The photo has 12 bits a sample; it is edited and written with 16.",)
    shown = np.round(stored / 4095 * 65535)
    assert abs(np.asarray(photo.raster) - shown).max() <= 1
    changed = np.zeros((H, W), bool)
    changed[0, 0] = True
    new = read(encode_photo(photo, photo.raster, changed).data)
    assert new.dtype == np.uint16 and abs(new - shown).max() <= 1
