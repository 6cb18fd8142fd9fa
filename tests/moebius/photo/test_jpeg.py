import io
import tempfile
from pathlib import Path

import jpeglib
import numpy as np
import pytest
from PIL import Image, ImageFilter

from moebius.photo import jpeg
from moebius.photo.jpeg_segments import read_segments

W, H = 203, 157  # no multiples of 8, 16 or 32


def scene(width: int = W, height: int = H, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).point(lambda v: min(255, max(0, 3 * v - 256)))


def save(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 85, **options})
    return out.getvalue()


def sampled(vertical: int, horizontal: int, flags: tuple[str, ...] = ()) -> bytes:
    """A JPEG with luma sampling factors that Pillow does not write."""
    image = jpeglib.from_spatial(np.asarray(scene()))
    image.samp_factor = ((vertical, horizontal), (1, 1), (1, 1))
    with tempfile.TemporaryDirectory() as folder:
        image.write_spatial(f"{folder}/a.jpg", qt=85)
        if flags:
            jpeglib.version.set("turbo210")
            jpeglib.read_dct(f"{folder}/a.jpg").write_dct(f"{folder}/a.jpg", flags=list(flags))
        return Path(f"{folder}/a.jpg").read_bytes()


def rgb_without_adobe() -> bytes:
    data = save(scene(), keep_rgb=True)
    at = data.index(b"\xff\xee")
    assert data[at + 4 : at + 9] == b"Adobe"
    data = data[:at] + data[at + 16 :]
    np.testing.assert_allclose(decode(data).mean(axis=(0, 1)), np.asarray(scene()).mean(axis=(0, 1)), atol=3)
    return data


def cmyk_scene() -> Image.Image:
    return Image.merge("CMYK", [scene(seed=n).convert("L") for n in range(4)])


def ycck(**options) -> bytes:
    """A CMYK file whose Adobe segment says YCCK (transform 2): the same coefficients, of other colours."""
    data = bytearray(save(cmyk_scene(), **options))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def app(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def coefficients(data: bytes) -> list[np.ndarray]:
    """Per component (rows, columns, 8, 8), read by jpeglib."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(data)
        file.flush()
        jpeglib.version.set("turbo210")
        dct = jpeglib.read_dct(file.name)
        dct.load()
        return [c for c in (dct.Y, dct.Cb, dct.Cr, dct.K) if c is not None]


def edit(data: bytes, box: tuple[int, int, int, int], colour=(20, 200, 60)) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Paint a box (left, top, right, bottom): the new file, `changed`, the edited picture."""
    pixels, changed = decode(data).copy(), np.zeros(decode(data).shape[:2], bool)
    changed[box[1] : box[3], box[0] : box[2]] = True
    pixels[changed] = (*colour, 90)[: pixels.shape[2]] if pixels.ndim == 3 else colour[0]
    mode = Image.open(io.BytesIO(data)).mode
    new, notes = jpeg.encode_jpeg(data, Image.frombytes(mode, changed.shape[::-1], pixels.tobytes()), changed)
    assert notes == ()
    return new, changed, pixels


def touched_blocks(changed: np.ndarray, shape: tuple[int, ...], block_h: int, block_w: int) -> np.ndarray:
    """Which blocks, of that many pixels, hold a changed pixel: by looping, to be independent."""
    touched = np.zeros(shape[:2], bool)
    for y, x in zip(*np.nonzero(changed), strict=True):
        touched[y // block_h, x // block_w] = True
    return touched


KINDS = {
    "4:4:4": lambda: save(scene(), subsampling="4:4:4"),
    "4:2:2": lambda: save(scene(), subsampling="4:2:2"),
    "4:2:0": lambda: save(scene(), subsampling="4:2:0"),
    "4:4:0": lambda: sampled(2, 1),
    "4:1:1": lambda: sampled(1, 4),
    "grey": lambda: save(scene().convert("L")),
    "progressive": lambda: save(scene(), progressive=True),
    "progressive grey": lambda: save(scene().convert("L"), progressive=True),
    "restarts": lambda: save(scene(), restart_marker_blocks=3),
    "rgb": lambda: save(scene(), keep_rgb=True),
    "rgb by its component numbers": lambda: rgb_without_adobe(),
    "no jfif": lambda: save(scene()).replace(app(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), b""),
    "arithmetic": lambda: sampled(2, 2, ("+ARITH_CODE",)),
    "cmyk": lambda: save(cmyk_scene()),
    "ycck": lambda: ycck(),
    "ycck 4:2:0": lambda: ycck(subsampling="4:2:0"),
    "quality 100": lambda: save(scene(), quality=100),
    "quality 5": lambda: save(scene(), quality=5),
}
BOXES = {"inside": (50, 40, 83, 61), "corner": (190, 140, W, H), "whole": (0, 0, W, H), "pixel": (100, 99, 101, 100)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_untouched_blocks_keep_their_coefficients_and_pixels(kind, box):
    data = KINDS[kind]()
    new, changed, pixels = edit(data, box)
    luma = coefficients(data)[0]
    for before, after in zip(coefficients(data), coefficients(new), strict=True):
        block_h = 8 * round(luma.shape[0] / before.shape[0])
        block_w = 8 * round(luma.shape[1] / before.shape[1])
        touched = touched_blocks(changed, before.shape, block_h, block_w)
        np.testing.assert_array_equal(after[~touched], before[~touched])
    if kind not in ("quality 5",) and changed.sum() > 1 and not changed.all():
        inner = decode(new)[changed].astype(int) - pixels[changed]
        assert np.median(abs(inner)) <= 4
    ys, xs = np.nonzero((decode(new) != decode(data)).reshape(H, W, -1).any(axis=2))
    if len(ys):
        assert ys.min() >= box[1] - 33 and xs.min() >= box[0] - 33
        assert ys.max() < box[3] + 33 and xs.max() < box[2] + 33


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [60, 90])
def test_new_blocks_are_those_of_libjpeg(subsampling, quality):
    """An independent encoder, libjpeg-turbo in Pillow, makes the same coefficients, but for rounding."""
    data = save(scene(), subsampling=subsampling, quality=quality)
    other = scene(seed=1)
    new, _ = jpeg.encode_jpeg(data, other, np.ones((H, W), bool))
    for ours, theirs in zip(
        coefficients(new), coefficients(save(other, subsampling=subsampling, quality=quality)), strict=True
    ):
        ours, theirs = ours[:-2, :-2].astype(int), theirs[:-2, :-2]  # libjpeg pads edges in other ways
        assert abs(ours - theirs).max() <= 1
        assert (ours != theirs).mean() < 0.03


def test_tables_mode_and_sampling_stay():
    for kind, data in {k: make() for k, make in KINDS.items()}.items():
        new, _, _ = edit(data, BOXES["inside"])
        before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(new))
        assert (after.mode, after.size, after.quantization) == (before.mode, before.size, before.quantization), kind
        assert [c[:3] for c in after.layer] == [c[:3] for c in before.layer], kind
        assert after.info.get("progressive") == before.info.get("progressive"), kind
        frame = {s.marker for s in read_segments(new)[0]} & {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
        assert (frame == {0xC9}) == (kind == "arithmetic"), kind


def test_nothing_of_the_old_picture_remains_under_a_large_edit():
    """Two photos that differ only under the edit become the same file."""
    one = scene()
    two = one.copy()
    two.paste((255, 0, 0), (64, 48, 128, 96))
    a, _, _ = edit(save(one), (64, 48, 128, 96))
    b, _, _ = edit(save(two), (64, 48, 128, 96))
    # whole 16×16 units; at their rim decoders interpolate chroma with the neighbours'
    np.testing.assert_array_equal(decode(a)[50:94, 66:126], decode(b)[50:94, 66:126])
    for one_plane, other, size in zip(coefficients(a), coefficients(b), (8, 16, 16), strict=True):
        window = np.s_[48 // size : 96 // size, 64 // size : 128 // size]
        np.testing.assert_array_equal(one_plane[window], other[window])


def test_twenty_edits_elsewhere_lose_nothing():
    data = first = save(scene(), subsampling="4:2:0")
    original = coefficients(first)
    rng, everything = np.random.default_rng(3), np.zeros((H, W), bool)
    for _ in range(20):
        x, y = int(rng.integers(64, W - 20)), int(rng.integers(48, H - 20))
        data, changed, _ = edit(data, (x, y, x + 12, y + 9), tuple(int(c) for c in rng.integers(0, 256, 3)))
        everything |= changed
    for before, after, size in zip(original, coefficients(data), (8, 16, 16), strict=True):
        touched = touched_blocks(everything, before.shape, size, size)
        assert touched.any() and not touched.all()
        np.testing.assert_array_equal(after[~touched], before[~touched])
    np.testing.assert_array_equal(decode(data)[:32], decode(first)[:32])  # two blocks from the nearest edit
    np.testing.assert_array_equal(decode(data)[:, :48], decode(first)[:, :48])


# ---- metadata ----


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Insert segments behind the JFIF header, as cameras and editors do."""
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + b"".join(segments) + data[end:]


def test_metadata_segments_are_copied_byte_for_byte_and_in_order():
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0" + b"MakerNote with offsets \xff\xe1\xff\xd9" * 9
    icc = [b"ICC_PROFILE\0" + bytes((n, 3)) + bytes([n]) * 60000 for n in (1, 2, 3)]
    segments = [
        app(0xE1, exif),
        app(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>hello</x:xmpmeta>"),
        *(app(0xE2, part) for part in icc),
        app(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08caption!"),
        app(0xFE, b"a comment"),
        app(0xEC, b"Ducky" + bytes(10)),
        *(app(0xFE, b"%d" % n) for n in range(80)),  # more than jpeglib could hold
    ]
    data = with_segments(save(scene(), dpi=(300, 300)), *segments)
    new, _, _ = edit(data, BOXES["inside"])
    metadata = [s.raw for s in read_segments(new)[0] if s.is_metadata]
    assert metadata[0].startswith(b"\xff\xe0\x00\x10JFIF") and metadata[1:] == segments
    assert new.startswith(data[: len(b"".join(segments)) + 20])
    assert Image.open(io.BytesIO(new)).info["dpi"] == (300, 300)


def test_what_lies_behind_the_photo_is_left_out_and_said():
    out = io.BytesIO()
    scene().save(out, "MPO", save_all=True, append_images=[scene(seed=1)], quality=80)
    data = out.getvalue()
    changed = np.zeros((H, W), bool)
    changed[:10, :10] = True
    new, notes = jpeg.encode_jpeg(data, Image.fromarray(decode(data)), changed)
    assert "left out" in notes[0] and len(notes) == 1
    assert b"MPF\0" not in new and new.count(b"\xff\xd8\xff") == 1 and new.endswith(b"\xff\xd9")
    assert Image.open(io.BytesIO(new)).format == "JPEG"


def test_content_credentials_are_left_out_and_said():
    data = with_segments(save(scene()), app(0xEB, b"JP\0\1\0\0\0\1jumb c2pa"))
    changed = np.ones((H, W), bool)
    new, notes = jpeg.encode_jpeg(data, scene(), changed)
    assert "credentials" in notes[0] and b"c2pa" not in new


def unreadable(path):
    raise OSError("reading failed")


def test_cmyk_that_jpeglib_cannot_read_is_encoded_anew_with_the_same_tables(monkeypatch):
    monkeypatch.setattr(jpeglib, "read_dct", unreadable)
    data = with_segments(save(cmyk_scene(), quality=80), app(0xFE, b"kept"))
    changed = np.zeros((H, W), bool)
    changed[20:60, 20:60] = True
    pixels = decode(data).copy()
    pixels[changed] = (10, 20, 30, 40)
    edited = Image.frombytes("CMYK", (W, H), pixels.tobytes())
    new, notes = jpeg.encode_jpeg(data, edited, changed)
    assert len(notes) == 1 and "damaged or unusual" in notes[0]
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(new))
    assert after.mode == "CMYK" and after.quantization == before.quantization
    assert after.info["comment"] == b"kept" and new.count(b"Adobe") == 1
    assert np.median(abs(decode(new).astype(int) - pixels)) <= 2  # not inverted


def test_unusual_sampling_is_encoded_anew():
    data = bytearray(save(scene(), subsampling="4:4:4"))
    at = data.index(b"\xff\xc0")
    data[at + 11] = 0x32  # 3×2 luma samples; Pillow cannot know, we only ask what would be said
    assert jpeg._reason_to_recode(read_segments(bytes(data))[0]) is None  # 3 and 2 are multiples of 1
    data[at + 14] = 0x22  # now chroma has 2 of 3
    assert "subsampling" in jpeg._reason_to_recode(read_segments(bytes(data))[0])


def test_what_jpeglib_cannot_read_is_encoded_anew_and_says_so(monkeypatch):
    monkeypatch.setattr(jpeglib, "read_dct", unreadable)
    data, changed = with_segments(save(scene(), progressive=True), app(0xFE, b"kept")), np.ones((H, W), bool)
    new, notes = jpeg.encode_jpeg(data, scene(seed=1), changed)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(new))
    assert "damaged" in notes[0] and after.quantization == before.quantization
    assert after.info["progressive"] and after.info["comment"] == b"kept"
