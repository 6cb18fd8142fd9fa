import functools
import io
import struct
import sys
import threading
import tracemalloc
import warnings
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from moebius.photo import images, photo_file
from moebius.photo.photo_file import PhotoError, encode_photo, open_mask, open_photo
from tests.helpers.cmyk_profile import cmyk_profile
from tests.helpers.malformed import malformed_inputs

W, H = 90, 70
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


def rng() -> np.random.Generator:
    """A generator of its own for every caller, so that no test depends on those that ran before."""
    return np.random.default_rng(8)


def scene(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:H, :W]
    noise = rng().integers(0, 30, (H, W, 3))
    rgb = (np.stack([2 * x, 3 * y, 255 - x - y], axis=2) + noise).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(rgb)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(rng().integers(0, 256, (H, W), np.uint8)))
    return image.quantize(200) if mode == "P" else image.convert(mode)


def save(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int = 1) -> bytes:
    data = Image.Exif()
    data[274], data[271], data[305] = orientation, "Camera", "Software"
    data.get_ifd(34665)[36867] = "2026:01:02 03:04:05"
    return data.tobytes()


@functools.cache  # it holds the time it was made
def icc() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def edited(photo: photo_file.Photo, box=(20, 10, 45, 30), value=(200, 30, 90)):
    """The raster with a painted box (left, top, right, bottom), and `changed`."""
    rgb = images.to_rgb(photo.raster)
    changed = np.zeros(rgb.shape[:2], bool)
    changed[box[1] : box[3], box[0] : box[2]] = True
    rgb[changed] = np.array(value, rgb.dtype)
    return images.put_back(photo.raster, rgb, changed), changed


FORMATS = {
    "png": (lambda m: save(scene(m), "PNG"), ("1", "L", "LA", "P", "RGB", "RGBA")),
    "webp": (lambda m: save(scene(m), "WEBP", lossless=True, exact=True), ("RGB", "RGBA")),
    "tif": (lambda m: save(scene(m), "TIFF"), ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")),
    "bmp": (lambda m: save(scene(m), "BMP"), ("1", "L", "P", "RGB", "RGBA")),
    "gif": (lambda m: save(scene(m), "GIF"), ("L", "P")),
}


@pytest.mark.parametrize(("kind", "mode"), [(k, m) for k, (_, modes) in FORMATS.items() for m in modes])
def test_lossless_formats_change_only_what_was_changed(kind, mode):
    data = FORMATS[kind][0](mode)
    photo = open_photo(data)
    raster, changed = edited(photo)
    new = encode_photo(photo, raster, changed)
    assert (new.format, new.notes) == (photo.format, ())
    again = open_photo(new.data)
    assert again.raster.mode == photo.raster.mode
    np.testing.assert_array_equal(np.asarray(again.raster), np.asarray(raster))
    before, after = np.asarray(photo.raster), np.asarray(again.raster)
    np.testing.assert_array_equal(after[~changed], before[~changed])
    assert (after[changed] != before[changed]).mean() > 0.3
    if mode == "P":
        assert again.raster.getpalette()[: 3 * 200] == photo.raster.getpalette()[: 3 * 200]


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "HEIF"])
def test_lossy_formats_are_encoded_anew_and_say_so(kind):
    photo = open_photo(save(scene(), kind, quality=80, exif=exif(), icc_profile=icc(), xmp=XMP))
    raster, changed = edited(photo)
    new = encode_photo(photo, raster, changed)
    assert new.format == kind and "compressed again" in new.notes[0]
    after = Image.open(io.BytesIO(new.data))
    assert np.median(abs(np.asarray(after).astype(int) - np.asarray(raster))) <= 4
    assert after.info["icc_profile"] == icc() and after.info["xmp"] == XMP


METADATA = {
    "JPEG": {"dpi": (300, 300), "xmp": XMP, "comment": b"hello"},
    "PNG": {"dpi": (300, 300)},
    "WEBP": {"xmp": XMP, "lossless": True, "exact": True},
    "TIFF": {"dpi": (300, 300)},
    "AVIF": {"xmp": XMP},
    "HEIF": {"xmp": XMP},
}


@pytest.mark.parametrize("kind", METADATA)
def test_metadata_survive(kind):
    data = save(scene(), kind, exif=exif(), icc_profile=icc(), **METADATA[kind])
    photo = open_photo(data)
    raster, changed = edited(photo)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(encode_photo(photo, raster, changed).data))
    before.load(), after.load()
    keys = {"exif", "icc_profile", "dpi", "xmp", "comment", "XML:com.adobe.xmp", "gamma", "jfif_density"}
    assert {k: v for k, v in after.info.items() if k in keys} == {k: v for k, v in before.info.items() if k in keys}
    assert after.info["icc_profile"] == icc()
    assert dict(after.getexif()).keys() == dict(before.getexif()).keys() and after.getexif()[271] == "Camera"
    if kind != "TIFF":
        assert after.getexif().get_ifd(34665)[36867] == "2026:01:02 03:04:05"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_honoured_once_and_kept(kind, orientation):
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}.get(kind, {})
    data = save(scene(), kind, exif=exif(orientation), **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[274] == orientation
        shown = ImageOps.exif_transpose(image)  # Pillow's own idea of it
    photo = open_photo(data)
    assert photo.orientation == orientation and photo.size == shown.size
    np.testing.assert_array_equal(np.asarray(photo.raster), np.asarray(shown))
    raster, changed = edited(photo, box=(24, 8, 32, 16))
    new = encode_photo(photo, raster, changed).data
    with Image.open(io.BytesIO(new)) as image:
        assert image.getexif()[274] == orientation
        after = np.asarray(ImageOps.exif_transpose(image))
    if kind == "JPEG":
        touched = np.zeros_like(changed)  # blocks of 8 in the stored picture, which may not start at 0 when shown
        touched[0:32, 16:48] = True
        np.testing.assert_array_equal(after[~touched], np.asarray(shown)[~touched])
        assert np.median(abs(after[changed].astype(int) - (200, 30, 90))) <= 6
    else:
        np.testing.assert_array_equal(after, np.asarray(raster))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_pictures_and_masks(orientation):
    import imagecodecs

    from moebius.photo import png

    array = rng().integers(0, 65536, (H, W, 3)).astype(np.uint16)
    chunks = png.read_chunks(imagecodecs.png_encode(array))
    chunks.insert(1, (b"eXIf", exif(orientation).removeprefix(b"Exif\0\0")))
    photo = open_photo(png.join_chunks(chunks))
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(photo.data)))
    np.testing.assert_array_equal(photo.raster >> 8, np.asarray(shown))
    raster, changed = edited(photo, value=(1000, 2000, 3000))
    again = open_photo(encode_photo(photo, raster, changed).data)
    np.testing.assert_array_equal(again.raster, raster)
    mask = Image.new("L", (W, H))
    mask.paste(255, (3, 5, 20, 11))
    turned = open_mask(save(mask, "PNG", exif=exif(orientation)), photo.size)
    with Image.open(io.BytesIO(save(mask, "PNG", exif=exif(orientation)))) as image:
        np.testing.assert_array_equal(turned, np.asarray(ImageOps.exif_transpose(image)) > 127)


def test_avif_is_turned_once():
    photo = open_photo(save(scene(), "AVIF", exif=exif(6), quality=95))
    assert photo.size == (H, W) and photo.orientation == 6
    raster, changed = edited(photo)
    again = open_photo(encode_photo(photo, raster, changed).data)
    assert again.orientation == 6 and again.raster.getexif().get(274) is None
    assert np.median(abs(np.asarray(again.raster).astype(int) - np.asarray(raster))) <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation):
    """The file itself says how its picture is turned, and libheif turns it: the EXIF tag must not turn it again."""
    picture = scene()
    data = save(picture, "HEIF", exif=exif(orientation), quality=95, chroma=444)
    upright = Image.open(io.BytesIO(save(picture, "PNG", exif=exif(orientation))))
    photo = open_photo(data, "IMG_1.HEIC")
    shown = np.asarray(ImageOps.exif_transpose(upright)).astype(int)
    assert photo.size == shown.shape[1::-1] and photo.orientation == 1 and photo.suffix == ".HEIC"
    assert np.median(abs(np.asarray(photo.raster) - shown)) <= 3
    raster, changed = edited(photo)
    again = open_photo(encode_photo(photo, raster, changed).data)
    assert again.size == photo.size and again.format == "HEIF"
    assert np.median(abs(np.asarray(again.raster).astype(int) - np.asarray(raster))) <= 3
    assert abs(np.asarray(again.raster).astype(int) - np.asarray(raster))[~changed].max() <= 40
    jpeg = Image.open(io.BytesIO(encode_photo(photo, raster, changed, ".jpg").data))
    assert jpeg.size == photo.size and jpeg.getexif()[274] == 1


def test_heic_keeps_its_colours_and_drops_what_still_shows_the_original():
    colours = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
    see_through = save(scene("RGBA"), "HEIF", thumbnails=[32], **colours)
    kind_of_second_picture = b"urn:mpeg:hevc:2015:auxid:"  # ISO/IEC 23008-12: 1 transparency, 2 depth
    data = see_through.replace(kind_of_second_picture + b"1", kind_of_second_picture + b"2")
    before = Image.open(io.BytesIO(data))
    assert before.info["depth_images"] and before.info["thumbnails"] == [32] and before.mode == "RGB"
    photo = open_photo(data)
    raster, changed = edited(photo)
    new = encode_photo(photo, raster, changed)
    assert any("depth map" in note for note in new.notes)
    after = Image.open(io.BytesIO(new.data))
    assert after.info["nclx_profile"]["color_primaries"] == 12  # Display P3
    assert not after.info["depth_images"] and not after.info["thumbnails"] and not after.info["aux"]
    plain = open_photo(see_through)
    assert not any("depth" in note for note in encode_photo(plain, *edited(plain)).notes)


def test_a_heic_of_10_bits_says_that_8_are_used():
    array = np.asarray(scene()).astype(np.uint16) * 257
    out = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (W, H), array.tobytes()).save(out, quality=95, chroma=444)
    photo = open_photo(out.getvalue())
    assert photo.notes == ("The photo has 10 bits a channel, of which 8 are used.",)
    assert np.median(abs(np.asarray(photo.raster).astype(int) - (array >> 8))) <= 3
    assert open_photo(save(scene(), "HEIF")).notes == ()


def test_a_large_heic_is_in_tiles_and_can_be_read_again():
    """Noise of 9 megapixels has 17 MB, which libheif does not read in one piece."""
    noise = Image.fromarray(rng().integers(0, 256, (2600, 3600, 3), np.uint8))
    photo = open_photo(save(noise, "PNG", compress_level=0, exif=exif(6), icc_profile=icc()))
    new = encode_photo(photo, photo.raster, np.ones((3600, 2600), bool), ".heic")
    assert len(new.data) > 2**24
    after = Image.open(io.BytesIO(new.data))
    assert after.info["tiling"]["tile_width"] == 512 and after.info["icc_profile"] == icc()
    assert (after.size, after.getexif()[271]) == ((2600, 3600), "Camera")
    luma, before = (np.asarray(one.convert("L")).astype(int) for one in (after, photo.raster))
    assert np.median(abs(luma - before)) <= 3


def test_a_heic_that_cannot_be_read_back_is_not_handed_out(monkeypatch):
    photo, write = open_photo(save(scene(), "PNG")), Image.Image.save

    def cut_off(picture, out, *rest, **options):
        write(picture, out, *rest, **options)
        out.truncate(out.tell() - 900)

    monkeypatch.setattr(Image.Image, "save", cut_off)
    with pytest.raises(PhotoError, match="cannot be written as HEIF .*choose another format"):
        encode_photo(photo, photo.raster, np.ones((H, W), bool), ".heic")


def test_of_several_pictures_in_a_heic_the_main_one_is_taken():
    file = pillow_heif.HeifFile()
    for picture in (Image.new("RGB", (50, 40), "red"), scene(), Image.new("RGB", (40, 50), "blue")):
        file.add_from_pillow(picture)
    out = io.BytesIO()
    file.save(out, primary_index=1, quality=95, chroma=444)
    photo = open_photo(out.getvalue())
    assert photo.size == (W, H) and "holds 3 pictures; the main one is used" in photo.notes[0]
    assert np.asarray(photo.raster).std() > 20
    raster, changed = edited(photo)
    again = open_photo(encode_photo(photo, raster, changed).data)
    assert again.notes == () and np.median(abs(np.asarray(again.raster).astype(int) - np.asarray(raster))) <= 3


def test_without_its_package_heic_is_refused_in_words(monkeypatch):
    data, photo = save(scene(), "HEIF"), open_photo(save(scene(), "PNG"))
    with pytest.raises(PhotoError, match="is a damaged HEIC photo"):
        open_photo(data[:40])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match="is a HEIC photo, which needs pillow-heif"):
        open_photo(data)
    with pytest.raises(PhotoError, match="pillow-heif, which is missing"):
        encode_photo(photo, photo.raster, np.ones((H, W), bool), ".heic")


def test_gif_keeps_its_transparent_entry_and_comment():
    image = scene("P")
    image.info["transparency"] = 3
    data = save(image, "GIF", transparency=3, comment=b"made by hand")
    photo = open_photo(data)
    transparent = images._palette(photo.raster)[1][np.asarray(photo.raster)] == 0
    assert transparent.any()
    raster, changed = edited(photo)
    new = encode_photo(photo, raster, changed).data
    after = Image.open(io.BytesIO(new))
    assert after.info["comment"] == b"made by hand"
    np.testing.assert_array_equal(np.asarray(after.convert("RGBA"))[..., 3] == 0, transparent)


def test_what_a_webp_or_a_bmp_loses_is_said():
    webp = bytearray(save(scene(), "WEBP", exif=exif()) + b"C2PA" + struct.pack("<I", 8) + bytes(8))
    webp[4:8] = struct.pack("<I", len(webp) - 8)
    photo = open_photo(bytes(webp))
    notes = encode_photo(photo, *edited(photo)).notes
    assert "The WebP's own data (C2PA) were left out." in notes
    plain = save(scene(), "BMP")  # as Windows writes it from version 5 on: a longer header, the profile at the end
    header = struct.pack("<I", 124) + plain[18:54] + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<4I", 4, 124 + len(plain) - 54, len(icc()), 0)
    data = plain[:10] + struct.pack("<I", 14 + 124) + header + plain[54:] + icc()
    photo = open_photo(data)
    for suffix in (None, ".png"):
        assert "The BMP's colour profile was left out." in encode_photo(photo, *edited(photo), suffix).notes
    photo = open_photo(plain)
    assert encode_photo(photo, *edited(photo)).notes == ()


def test_nothing_changed_gives_the_original_bytes():
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF"):
        data = save(scene("P" if kind == "GIF" else "RGB"), kind)
        photo = open_photo(data)
        new = encode_photo(photo, photo.raster, np.zeros((H, W), bool))
        assert new.data is photo.data and new.notes == ()


def test_cmyk_jpeg_with_profile():
    data = save(scene("CMYK"), "JPEG", icc_profile=cmyk_profile(), quality=92)
    photo = open_photo(data)
    assert photo.raster.mode == "CMYK" and photo.raster.info["icc_profile"] == cmyk_profile()
    raster, changed = edited(photo)
    new = encode_photo(photo, raster, changed)
    assert new.notes == ()
    again = open_photo(new.data)
    assert again.raster.mode == "CMYK" and again.raster.info["icc_profile"] == cmyk_profile()
    differs = (np.asarray(again.raster) != np.asarray(photo.raster)).any(axis=2)
    ys, xs = np.nonzero(changed)
    differs[ys.min() - 8 : ys.max() + 9, xs.min() - 8 : xs.max() + 9] = False  # the blocks that the edit touches
    assert not differs.any()


# ---- other formats ----


CONVERSIONS = [
    (kind, mode, suffix)
    for kind, mode in (
        ("PNG", "1"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("TIFF", "CMYK"),
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("HEIF", "RGB"),
        ("HEIF", "RGBA"),
    )
    for suffix in (".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".avif", ".heic")
    if photo_file.format_of(suffix) != kind and not (suffix == ".gif" and mode in ("LA", "RGBA"))
]


@pytest.mark.parametrize(("kind", "mode", "suffix"), CONVERSIONS)
def test_conversion_shows_the_same_picture(kind, mode, suffix):
    photo = open_photo(save(scene(mode), kind, exif=exif(6), icc_profile=cmyk_profile() if mode == "CMYK" else icc()))
    raster, changed = edited(photo)
    new = encode_photo(photo, raster, changed, suffix)
    assert new.format == photo_file.format_of(suffix)
    again = open_photo(new.data)
    assert again.size == photo.size
    shown = Image.open(io.BytesIO(new.data))
    assert shown.getexif().get(274, 1) == 1  # turned upright, so that no reader turns it again
    if suffix not in (".bmp", ".gif", ".avif"):
        assert shown.getexif().get(271) == "Camera"
    expected = images.to_rgb(raster).astype(int)
    got = images.to_rgb(again.raster).astype(int)
    if mode in ("LA", "RGBA") and suffix == ".jpg":
        assert any("transparen" in note for note in new.notes)
        white = Image.new("RGBA", raster.size, "white")
        expected = np.asarray(Image.alpha_composite(white, raster.convert("RGBA")).convert("RGB")).astype(int)
    if suffix == ".heic":  # colours in 4:2:0: noise in them is lost, in the brightness not
        expected, got = (np.asarray(Image.fromarray(one.astype(np.uint8)).convert("L"), int) for one in (expected, got))
    assert np.median(abs(got - expected)) <= (12 if suffix == ".gif" else 3)
    profile = shown.info.get("icc_profile")
    if mode == "CMYK":
        assert profile is None or profile == cmyk_profile()
        assert (profile is not None) == (suffix in (".jpg", ".tif"))
    elif mode in ("RGB", "RGBA") and suffix in (".jpg", ".png", ".webp", ".tif", ".avif", ".heic"):
        assert profile == icc()


def test_16_bit_conversion():
    import imagecodecs

    array = rng().integers(0, 65536, (H, W, 3)).astype(np.uint16)
    photo = open_photo(imagecodecs.png_encode(array))
    new = encode_photo(photo, array, np.ones((H, W), bool), ".tif")
    assert "8 bits" in new.notes[0]
    assert abs(np.asarray(open_photo(new.data).raster).astype(int) - array / 257).max() <= 0.51
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, array, photometric="rgb", metadata=None)
    photo = open_photo(out.getvalue())
    new = encode_photo(photo, array, np.ones((H, W), bool), ".png")
    np.testing.assert_array_equal(imagecodecs.png_decode(new.data), array)


def test_unknown_suffix_and_wrong_sizes():
    photo = open_photo(save(scene(), "PNG"))
    with pytest.raises(PhotoError, match=r"'.xyz'.*\.jpg.*\.png"):
        encode_photo(photo, photo.raster, np.ones((H, W), bool), ".xyz")
    with pytest.raises(ValueError, match="edited photo"):
        encode_photo(photo, photo.raster, np.ones((5, 5), bool))


def test_properties():
    photo = open_photo(save(scene(), "PNG"), "holiday.jpg")
    assert (photo.size, photo.suffix, photo.format) == ((W, H), ".png", "PNG")
    assert open_photo(save(scene(), "JPEG"), "a.JPEG").suffix == ".JPEG"


# ---- what is refused ----


def two_pictures(version: list) -> bytes:
    """A preview, and below it what the sensor saw, as DNG and NEF have it. `version`: more tags of the preview."""
    import tifffile

    out, sensor = io.BytesIO(), rng().integers(0, 4096, (4 * H, 4 * W)).astype(np.uint16)
    pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
    with tifffile.TiffWriter(out) as file:
        preview = {"subfiletype": 0 if version else 1, "subifds": 1, "extratags": version}
        file.write(np.asarray(scene()), photometric="rgb", metadata=None, **preview)
        file.write(sensor, photometric="CFA", metadata=None, extratags=pattern)
    return out.getvalue()


def canon_raw() -> bytes:
    """A CR2: a TIFF whose header goes on, here of one grey picture of 8 × 8."""
    tags = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, 8), (279, 64))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return (b"II*\0" + struct.pack("<I", 16) + b"CR\2\0" + bytes(4) + directory).ljust(200, b"\0") + bytes(64)


def test_a_raw_file_is_refused_and_its_preview_not_taken_for_the_photo():
    dng, nef = two_pictures([(50706, "B", 4, (1, 4, 0, 0), True)]), two_pictures([])
    for data, seen in ((dng, (W, H)), (nef, (W, H)), (canon_raw(), (8, 8))):
        assert Image.open(io.BytesIO(data)).size == seen, "Pillow reads the preview"
        with pytest.raises(PhotoError, match=r"IMG_1 is a camera's raw file, not developed yet; .*TIFF"):
            open_photo(data, "IMG_1")


@pytest.mark.parametrize(
    "start", [b"\0\0\0\x18ftypcrx ", b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0"]
)
def test_other_raw_files_are_called_so(start):
    with pytest.raises(PhotoError, match="is a camera's raw file"):
        open_photo(start + bytes(500))


def test_every_malformed_input_gives_a_clear_error_or_a_result(tmp_path, capfd):
    cases = malformed_inputs(tmp_path)
    assert len(cases) >= 200 and len({case.name for case in cases}) == len(cases)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in cases:
            try:
                photo = open_photo(case.photo)
                mask = open_mask(case.mask, photo.size)
                rgb = images.to_rgb(photo.raster)
                rgb[mask] = 9
                encoded = encode_photo(photo, images.put_back(photo.raster, rgb, mask), mask)
                assert open_photo(encoded.data).size == photo.size
                outcome = "ok"
            except PhotoError as error:
                outcome, text = "error", str(error)
                assert case.photo.name in text or case.mask.name in text, (case.name, text)
                assert "\n" not in text and 20 < len(text) < 350, (case.name, text)
            assert case.expected in (outcome, "either"), (case.name, outcome)
    assert capfd.readouterr() == ("", "")


def test_malformed_inputs_are_the_same_every_time(tmp_path):
    one, two = (malformed_inputs(tmp_path / name) for name in "ab")
    for a, b in zip(one, two, strict=True):
        if a.photo.is_file():
            assert a.photo.read_bytes() == b.photo.read_bytes()


def test_enormous_headers_are_refused_before_anything_is_decoded(tmp_path):
    cases = [c for c in malformed_inputs(tmp_path) if c.name.startswith("claims-")]
    assert len(cases) > 10
    tracemalloc.start()
    for case in cases:
        with pytest.raises(PhotoError, match="megapixels"):
            open_photo(case.photo)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_limits_come_from_the_environment(monkeypatch, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(save(scene(), "PNG"))
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "6299")
    with pytest.raises(PhotoError, match="photo.png.*90×70.*MOEBIUS_MAX_PIXELS"):
        open_photo(path)
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "6300")
    open_photo(path)
    monkeypatch.setenv("MOEBIUS_MAX_BYTES", "1_000")
    for source in (path, path.read_bytes()):
        with pytest.raises(PhotoError, match="MOEBIUS_MAX_BYTES"):
            open_photo(source)
    monkeypatch.setenv("MOEBIUS_MAX_BYTES", "lots")
    with pytest.raises(ValueError, match="MOEBIUS_MAX_BYTES must be a whole number from 1, not 'lots'"):
        open_photo(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF"])
def test_our_limit_of_pixels_holds_and_not_pillows(kind, monkeypatch):
    data = save(scene("P" if kind == "GIF" else "RGB"), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", W * H // 3)  # above the double it refuses
    photo = open_photo(data)
    raster, changed = edited(photo)
    assert open_photo(encode_photo(photo, raster, changed).data).size == (W, H)
    assert open_photo(encode_photo(photo, raster, changed, ".bmp" if kind == "PNG" else ".png").data).size == (W, H)
    assert Image.MAX_IMAGE_PIXELS == W * H // 3
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", str(W * H // 3))
    with pytest.raises(PhotoError, match="MOEBIUS_MAX_PIXELS"):
        open_photo(data)


@pytest.mark.parametrize("place", ["iCCP", "zTXt", "iTXt", "plain iTXt"])
def test_long_metadata_of_a_png_are_kept(place):
    """1.5 MB unpacked, as printers' profiles and Photoshop's histories have; Pillow alone refuses the photo."""
    from moebius.photo import png

    text = np.random.default_rng(1).integers(97, 123, 1_500_000, dtype=np.uint8).tobytes()
    profile = icc()[:-1] + text
    contents = {
        "iCCP": b"printer\0\0" + zlib.compress(struct.pack(">I", len(profile)) + profile[4:]),
        "zTXt": b"Comment\0\0" + zlib.compress(text),
        "iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x:xmpmeta>" + text + b"</x:xmpmeta>"),
        "plain iTXt": b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>" + text + b"</x:xmpmeta>",
    }
    chunk = (place[-4:].encode(), contents[place])
    chunks = png.read_chunks(save(scene(), "PNG"))
    data = png.join_chunks([chunks[0], chunk, *chunks[1:]])
    photo = open_photo(data)
    raster, changed = edited(photo)
    assert chunk in png.read_chunks(encode_photo(photo, raster, changed).data)
    assert len(encode_photo(photo, raster, changed, ".webp").data) > (1_000_000 if place != "zTXt" else 1000)
    mask = Image.new("L", (W, H))
    mask.paste(255, (3, 5, 20, 11))
    chunks = png.read_chunks(save(mask, "PNG"))
    if place != "iCCP":
        assert open_mask(png.join_chunks([chunks[0], chunk, *chunks[1:]])).sum() == 17 * 6


def test_the_mask_must_fit_the_photo_as_shown():
    mask = save(Image.new("1", (W, H)), "PNG")
    assert open_mask(mask, (W, H)).shape == (H, W) and not open_mask(mask).any()
    with pytest.raises(PhotoError, match="90×70.*70×90"):
        open_mask(mask, (H, W))
    with pytest.raises(PhotoError, match="whole photo"):
        open_mask(save(Image.new("1", (W, H), 1), "PNG"), (W, H))


def test_threads_open_and_encode_side_by_side():
    data, results = save(scene(), "JPEG", quality=90), []

    def work() -> None:
        photo = open_photo(data)
        raster, changed = edited(photo)
        results.append(encode_photo(photo, raster, changed).data)

    filters = list(warnings.filters)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and len(set(results)) == 1
    assert warnings.filters == filters
