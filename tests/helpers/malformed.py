"""Two hundred and more inputs that people and broken disks produce: the same files, byte for byte, every time."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, PngImagePlugin

WIDTH, HEIGHT = 64, 48


@dataclass(frozen=True)
class Malformed:
    """One photo and mask, and what is to become of them."""

    name: str
    photo: Path
    mask: Path
    wrong: Literal["photo", "mask"]
    expected: Literal["error", "ok", "either"]
    """error: one clear message, nothing written. ok: looks wrong, but can be used. either: bits were flipped, and
    the decoder decides; a clear message or a result, but no other exception."""


def malformed_inputs(folder: Path) -> list[Malformed]:
    """Write all inputs into `folder` and list them."""
    folder.mkdir(parents=True, exist_ok=True)
    good = _good_photos()
    good_mask = folder / "good-mask.png"
    good_mask.write_bytes(_save(_mask(), "PNG"))
    good_photo = folder / "good-photo.jpg"
    good_photo.write_bytes(good["jpg"])
    cases = []

    def photo(name: str, content: bytes, expected: str = "error", mask: Path = good_mask) -> None:
        path = folder / name
        path.write_bytes(content)
        cases.append(Malformed(name, path, mask, "photo", expected))

    def mask(name: str, content: bytes, expected: str = "error") -> None:
        path = folder / name
        path.write_bytes(content)
        cases.append(Malformed(name, good_photo, path, "mask", expected))

    _cut_off(good, photo, mask)
    _not_pictures(good, photo, mask)
    _headers(photo)
    _several_pictures(photo, mask)
    _masks_that_do_not_fit(mask)
    _damaged_metadata(good, photo)
    _flipped_bits(good, photo, mask)
    _broken_png(good["png"], photo)
    _broken_jpeg(good["jpg"], photo)
    _broken_tiff(photo)
    _unsupported_colours(photo)

    one = folder / "one-pixel-mask.png"
    one.write_bytes(_save(Image.new("L", (1, 1), 0), "PNG"))
    photo("one-pixel.png", _save(Image.new("RGB", (1, 1), "red"), "PNG"), "ok", one)
    full = folder / "one-pixel-full-mask.png"
    full.write_bytes(_save(Image.new("L", (1, 1), 255), "PNG"))
    photo("one-pixel-full.png", _save(Image.new("RGB", (1, 1), "red"), "PNG"), "error", full)
    (folder / "a-folder.jpg").mkdir(exist_ok=True)
    for name in ("a-folder.jpg", "is-not-there.jpg"):
        cases.append(Malformed(f"photo-{name}", folder / name, good_mask, "photo", "error"))
        cases.append(Malformed(f"mask-{name}", good_photo, folder / name, "mask", "error"))
    return cases


Add = Callable[..., None]


# ---- what is right, to begin with ----


def _picture(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(7).integers(0, 40, (HEIGHT, WIDTH))
    rgb = np.stack([x * 3 + noise, y * 4 + noise, 200 - x - y + noise], axis=2).clip(0, 255)
    return Image.fromarray(rgb.astype(np.uint8)).convert(mode)


def _mask(size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    return mask


def _save(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[274], exif[271], exif[306] = 6, "Camera", "2026:01:02 03:04:05"
    return exif.tobytes()


def _good_photos() -> dict[str, bytes]:
    """One photo in every format, by suffix."""
    picture = _picture()
    return {
        "jpg": _save(picture, "JPEG", quality=90, exif=Image.Exif()),
        "progressive.jpg": _save(picture, "JPEG", quality=90, progressive=True),
        "png": _save(picture, "PNG"),
        "webp": _save(picture, "WEBP", lossless=True),
        "lossy.webp": _save(picture, "WEBP"),
        "tif": _save(picture, "TIFF"),
        "lzw.tif": _save(picture, "TIFF", compression="tiff_lzw"),
        "gif": _save(picture.quantize(64), "GIF"),
        "bmp": _save(picture, "BMP"),
        "avif": _save(picture, "AVIF"),
        "heic": _save(picture, "HEIF"),
    }


# ---- families ----


def _cut_off(good: dict[str, bytes], photo: Add, mask: Add) -> None:
    for suffix, data in good.items():
        for percent in (1, 5, 15, 30, 50, 70, 85, 93):
            photo(f"cut-{percent}.{suffix}", data[: len(data) * percent // 100])
    for suffix in ("jpg", "png", "gif", "bmp"):
        for length in (1, 2, 3, 8):
            photo(f"first-{length}-bytes.{suffix}", good[suffix][:length])
        photo(f"beginning-lost.{suffix}", good[suffix][20:])
    data = _save(_mask(), "PNG")
    for percent in (5, 20, 40, 60, 80):
        mask(f"mask-cut-{percent}.png", data[: len(data) * percent // 100])
    mask("mask-empty-file.png", b"")
    for suffix in ("jpg", "png", "webp", "tif"):
        photo(f"empty-file.{suffix}", b"")


def _not_pictures(good: dict[str, bytes], photo: Add, mask: Add) -> None:
    others = {
        "text.png": b"This is my holiday photo.\n" * 20,
        "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "page2.webp": b"<html><head><title>Sign in</title></head></html>",
        "document.jpg": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "script.tif": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "archive.jpg": b"PK\x03\x04" + bytes(60),
        "video.jpg": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40),
        "photoshop.png": b"8BPS\0\1" + bytes(60),
        "jxl.jpg": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40),
        "jp2.jpg": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
        "pickle.png": b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.",
        "zeros.jpg": bytes(4096),
        "ones.png": b"\xff" * 4096,
        "noise.webp": np.random.default_rng(11).bytes(4096),
        "json.avif": b'{"error": "rate limited"}',
        "ppm.png": b"P6 2 2 255\n" + bytes(12),  # Pillow could, but we do not take it
        "icon.png": _save(_picture().resize((32, 32)), "ICO"),
        "targa.bmp": _save(_picture(), "TGA"),
        "pcx.gif": _save(_picture(), "PCX"),
    }
    for name, content in others.items():
        photo(f"other-{name}", content)
    for name in ("text.png", "page.jpg", "zeros.jpg", "noise.webp"):
        mask(f"mask-other-{name}", others[name])
    for suffix, wrong in (("jpg", "png"), ("png", "jpg"), ("webp", "jpg"), ("tif", "png"), ("gif", "jpg")):
        photo(f"{suffix}-named.{wrong}", good[suffix], "ok")
    photo("no-suffix", good["jpg"], "ok")
    mask("mask-named.jpg", _save(_mask(), "PNG"), "ok")


def _headers(photo: Add) -> None:
    """Files that claim enormous or no dimensions."""
    for width, height in ((30000, 30000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (1, 2**31 - 1)):
        photo(f"claims-{width}x{height}.png", _png(width, height))
    for name, width, height in (("65535", 65535, 65535), ("30000", 30000, 30000)):
        jpeg = bytearray(_save(_picture(), "JPEG"))
        at = jpeg.index(b"\xff\xc0")
        struct.pack_into(">HH", jpeg, at + 5, height, width)
        photo(f"claims-{name}.jpg", bytes(jpeg))
        gif = bytearray(_save(_picture().quantize(8), "GIF"))
        struct.pack_into("<HH", gif, 6, width, height)
        photo(f"claims-{name}.gif", bytes(gif))
    bmp = bytearray(_save(_picture(), "BMP"))
    for name, width, height in (("30000", 30000, 30000), ("max", 2**31 - 1, 2**31 - 1), ("flipped", 30000, -30000)):
        struct.pack_into("<ii", bmp, 18, width, height)
        photo(f"claims-{name}.bmp", bytes(bmp))
    webp = bytearray(_save(_picture(), "WEBP", lossless=True))
    at = webp.index(b"VP8L") + 9
    webp[at : at + 4] = struct.pack("<I", (16383 - 1) | (16383 - 1) << 14)
    photo("claims-16383.webp", bytes(webp))
    photo("claims-30000.tif", _tiff({256: (4, [30000]), 257: (4, [30000])}))
    photo("claims-4-billion.tif", _tiff({256: (4, [2**32 - 1]), 257: (4, [2**32 - 1])}))
    photo("no-width.png", _png(0, 48))
    photo("no-height.png", _png(48, 0))
    for name, width, height in (("width", 0, 48), ("height", 48, 0)):
        struct.pack_into("<ii", bmp, 18, width, height)
        photo(f"no-{name}.bmp", bytes(bmp))
        gif = bytearray(_save(_picture().quantize(8), "GIF"))
        struct.pack_into("<HH", gif, 6, width, height)
        photo(f"no-{name}.gif", bytes(gif), "either")  # the frame has dimensions of its own
        jpeg = bytearray(_save(_picture(), "JPEG"))
        struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, height, width)
        photo(f"no-{name}.jpg", bytes(jpeg))
        photo(f"no-{name}.tif", _tiff({256: (4, [width]), 257: (4, [height])}))


def _several_pictures(photo: Add, mask: Add) -> None:
    frames = [_picture(), _picture().rotate(90), _picture().rotate(180)]
    options = {"save_all": True, "append_images": frames[1:]}
    for suffix, kind in (("gif", "GIF"), ("webp", "WEBP"), ("png", "PNG"), ("tif", "TIFF")):
        photo(f"animated.{suffix}", _save(frames[0], kind, **options))
    mask("mask-animated.gif", _save(_mask(), "GIF", save_all=True, append_images=[_mask().rotate(90)]))
    photo("two-pictures.jpg", _save(frames[0], "MPO", save_all=True, append_images=frames[1:]), "ok")


def _masks_that_do_not_fit(mask: Add) -> None:
    for width, height in ((WIDTH - 1, HEIGHT), (WIDTH, HEIGHT + 1), (HEIGHT, WIDTH), (1, 1), (2 * WIDTH, 2 * HEIGHT)):
        mask(f"mask-{width}x{height}.png", _save(_mask((width, height)), "PNG"))
    size = WIDTH, HEIGHT
    mask("mask-full.png", _save(Image.new("L", size, 255), "PNG"))
    mask("mask-full-grey.png", _save(Image.new("L", size, 128), "PNG"))
    mask("mask-full-rgb.png", _save(Image.new("RGB", size, "white"), "PNG"))
    mask("mask-full-1bit.png", _save(Image.new("1", size, 1), "PNG"))
    mask("mask-full-alpha.png", _save(Image.new("RGBA", size, (0, 0, 0, 128)), "PNG"))
    mask("mask-full-16bit.png", _save(Image.fromarray(np.full(size[::-1], 65535, np.uint16)), "PNG"))
    mask("mask-full.jpg", _save(Image.new("L", size, 255), "JPEG"))
    mask("mask-float.tif", _save(Image.new("F", size, 1.0), "TIFF"))
    mask("mask-empty.png", _save(Image.new("L", size, 0), "PNG"), "ok")
    mask("mask-empty-grey.png", _save(Image.new("L", size, 127), "PNG"), "ok")
    mask("mask-empty-alpha.png", _save(Image.new("RGBA", size, (255, 255, 255, 0)), "PNG"), "ok")


def _damaged_metadata(good: dict[str, bytes], photo: Add) -> None:
    exif = _exif()
    bad = {
        "cut": exif[:20],
        "only-header": b"Exif\0\0",
        "no-tiff": b"Exif\0\0" + b"garbage!" * 8,
        "far-offset": exif[:10] + b"\xff\xff\xff\x7f" + exif[14:],
        "loop": b"Exif\0\0MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08",
        "many-entries": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40),
        "orientation-99": exif.replace(struct.pack(">HHIH", 274, 3, 1, 6), struct.pack(">HHIH", 274, 3, 1, 99)),
        "orientation-text": exif.replace(struct.pack(">HHI", 274, 3, 1), struct.pack(">HHI", 274, 2, 1)),
    }
    for name, content in bad.items():
        photo(f"exif-{name}.jpg", _save(_picture(), "JPEG", exif=content), "ok")
        photo(f"exif-{name}.webp", _save(_picture(), "WEBP", exif=content), "ok")
        photo(f"exif-{name}.png", _insert_chunk(good["png"], b"eXIf", content[6:]), "ok")
    for name, profile in (("garbage", b"this is no profile" * 10), ("empty", b"\0" * 128)):
        photo(f"icc-{name}.jpg", _save(_picture(), "JPEG", icc_profile=profile), "ok")
        photo(f"icc-{name}.png", _save(_picture(), "PNG", icc_profile=profile), "ok")
        photo(f"icc-{name}.tif", _save(_picture(), "TIFF", icc_profile=profile), "ok")
        photo(f"icc-{name}-cmyk.jpg", _save(_picture("CMYK"), "JPEG", icc_profile=profile), "ok")


def _flipped_bits(good: dict[str, bytes], photo: Add, mask: Add) -> None:
    for suffix, data in good.items():
        for seed in range(4):
            generator, flipped = np.random.default_rng([seed, len(suffix)]), bytearray(data)
            for at in generator.integers(0, len(data), 3 + 10 * seed):
                flipped[at] ^= 1 << generator.integers(8)
            photo(f"flipped-{seed}.{suffix}", bytes(flipped), "either")
    for seed in range(3):
        generator, flipped = np.random.default_rng(seed), bytearray(_save(_mask(), "PNG"))
        flipped[generator.integers(8, len(flipped) - 12)] ^= 0x10
        mask(f"mask-flipped-{seed}.png", bytes(flipped), "either")


def _broken_png(png: bytes, photo: Add) -> None:
    chunks = [(b"IDAT", zlib.compress(bytes((WIDTH * 3 + 1) * HEIGHT)))]
    photo("crc-header.png", png[:29] + b"\0\0\0\0" + png[33:])
    at = png.index(b"IDAT")
    length = struct.unpack(">I", png[at - 4 : at])[0]
    photo("crc-data.png", png[: at + 4 + length] + b"\0\0\0\0" + png[at + 8 + length :], "either")
    photo("no-data.png", _png(WIDTH, HEIGHT, chunks=[]))
    photo("data-garbage.png", _png(WIDTH, HEIGHT, chunks=[(b"IDAT", b"not deflated at all")]))
    photo("data-too-short.png", _png(WIDTH, HEIGHT, chunks=[(b"IDAT", zlib.compress(bytes(100)))]))
    photo("data-first.png", png[:8] + png[at - 4 :])
    photo("depth-3.png", _png(WIDTH, HEIGHT, depth=3, chunks=chunks))
    photo("colour-5.png", _png(WIDTH, HEIGHT, colour=5, chunks=chunks))
    photo("rgb-1bit.png", _png(WIDTH, HEIGHT, depth=1, chunks=chunks))
    photo("filter-9.png", _png(WIDTH, HEIGHT, chunks=[(b"IDAT", zlib.compress(b"\x09" * 193 * HEIGHT))]))
    photo("chunk-of-2-GiB.png", png[: at - 4] + b"\x7f\xff\xff\xff" + png[at:], "either")
    photo("header-too-short.png", PngImagePlugin._MAGIC + _chunk(b"IHDR", b"\0\0\0\1"))
    bomb = b"ICC profile\0\0" + zlib.compress(bytes(80 * 2**20), 9)
    photo("profile-bomb.png", _insert_chunk(png, b"iCCP", bomb), "either")
    text = b"Comment\0\0" + zlib.compress(b" " * (80 * 2**20), 9)
    photo("text-bomb.png", _insert_chunk(png, b"zTXt", text), "either")


def _broken_jpeg(jpeg: bytes, photo: Add) -> None:
    def without(marker: int) -> bytes:
        at = jpeg.index(bytes((0xFF, marker)))
        return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]

    def patched(marker: int, offset: int, value: bytes) -> bytes:
        at = jpeg.index(bytes((0xFF, marker))) + offset
        return jpeg[:at] + value + jpeg[at + len(value) :]

    photo("no-frame.jpg", without(0xC0))
    photo("no-tables.jpg", without(0xDB))
    photo("no-scan.jpg", jpeg[: jpeg.index(b"\xff\xda")] + b"\xff\xd9")
    photo("12-bit.jpg", patched(0xC0, 4, b"\x0c"))
    photo("sampling-0.jpg", patched(0xC0, 11, b"\x00"))
    photo("sampling-15.jpg", patched(0xC0, 11, b"\xff"))
    photo("five-components.jpg", patched(0xC0, 9, b"\x05"))
    photo("lossless-frame.jpg", patched(0xC0, 0, b"\xff\xc3"), "either")
    photo("hierarchical-frame.jpg", patched(0xC0, 0, b"\xff\xc5"))
    photo("huffman-garbage.jpg", patched(0xC4, 4, b"\xff" * 12))
    photo("segment-length-0.jpg", patched(0xDB, 2, b"\x00\x00"))
    photo("scan-garbage.jpg", jpeg[: jpeg.index(b"\xff\xda") + 14] + b"\xff\xd9", "either")
    photo("end-missing.jpg", jpeg[:-2], "either")
    photo("appended-text.jpg", jpeg + b"appended by a mail programme" * 9, "ok")
    photo("many-comments.jpg", jpeg[:2] + b"\xff\xfe\x00\x04hi" * 300 + jpeg[2:], "ok")


def _broken_tiff(photo: Add) -> None:
    photo("directory-outside.tif", b"II*\0\xff\xff\xff\x7f" + bytes(100))
    photo("directory-empty.tif", b"II*\0\x08\0\0\0\0\0" + bytes(100))
    photo("directory-loop.tif", _tiff({}, next_directory=8), "either")
    photo("version-99.tif", b"II\x63\0\x08\0\0\0" + bytes(100))
    for name, tags in {
        "strip-outside": {273: (4, [2**31])},
        "strip-length-absurd": {279: (4, [2**32 - 1])},
        "strip-length-0": {279: (4, [0])},
        "no-bits": {258: (3, [0, 0, 0])},
        "bits-7": {258: (3, [7, 7, 7])},
        "compression-4711": {259: (3, [4711])},
        "colours-77": {262: (3, [77])},
        "samples-200": {277: (3, [200])},
        "width-text": {256: (2, [ord("a")])},
        "rows-0": {278: (4, [0])},
        "predictor-9": {259: (3, [5]), 317: (3, [9])},
        "lzw-garbage": {259: (3, [5])},
        "jpeg-garbage": {259: (3, [7])},
        "fax-garbage": {259: (3, [4]), 258: (3, [1]), 277: (3, [1]), 262: (3, [0])},
        "planes-9": {284: (3, [9])},
    }.items():
        lenient = name in ("strip-length-absurd", "strip-length-0", "rows-0", "planes-9", "fax-garbage", "width-text")
        photo(f"{name}.tif", _tiff(tags), "either" if lenient else "error")
    without = _tiff({}, leave_out=(256, 257))
    photo("no-dimensions.tif", without)
    photo("no-strips.tif", _tiff({}, leave_out=(273, 279)))


def _unsupported_colours(photo: Add) -> None:
    photo("float.tif", _save(_picture("F"), "TIFF"))
    photo("32-bit.tif", _save(_picture("I"), "TIFF"))
    photo("lab.tif", _save(Image.merge("LAB", _picture().split()), "TIFF"))
    cmyk16 = {258: (3, [16] * 4), 262: (3, [5]), 277: (3, [4]), 279: (4, [WIDTH * HEIGHT * 8])}
    photo("cmyk-16-bit.tif", _tiff(cmyk16, pixels=bytes(WIDTH * HEIGHT * 8)))


# ---- files by hand ----


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, depth: int = 8, colour: int = 2, chunks: list | None = None) -> bytes:
    chunks = [(b"IDAT", zlib.compress(bytes(4096)))] if chunks is None else chunks
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PngImagePlugin._MAGIC + header + b"".join(_chunk(*c) for c in chunks) + _chunk(b"IEND", b"")


def _insert_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    return png[:33] + _chunk(name, content) + png[33:]


def _tiff(
    tags: dict[int, tuple[int, list[int]]],
    next_directory: int = 0,
    leave_out: tuple[int, ...] = (),
    pixels: bytes = bytes(WIDTH * HEIGHT * 3),
) -> bytes:
    """An uncompressed little-endian RGB TIFF whose tags (type, values) can be replaced or left out."""
    entries = {
        256: (4, [WIDTH]),
        257: (4, [HEIGHT]),
        258: (3, [8, 8, 8]),
        259: (3, [1]),
        262: (3, [2]),
        273: (4, [400]),
        277: (3, [3]),
        278: (4, [HEIGHT]),
        279: (4, [WIDTH * HEIGHT * 3]),
        **tags,
    }
    entries = {tag: entries[tag] for tag in sorted(entries) if tag not in leave_out}
    at = 8 + 2 + 12 * len(entries) + 4
    body, extra = struct.pack("<H", len(entries)), b""
    for tag, (kind, values) in entries.items():
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I' if kind == 4 else 'B'}", *values)
        if len(packed) > 4:
            value, extra = struct.pack("<I", at + len(extra)), extra + packed
        else:
            value = packed.ljust(4, b"\0")
        body += struct.pack("<HHI", tag, kind, len(values)) + value
    head = b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", next_directory) + extra
    return head.ljust(400, b"\0") + pixels
