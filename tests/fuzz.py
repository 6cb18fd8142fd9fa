"""Damaged photo files by the thousand, from numbered seeds: refused in words, or filled and readable again.

    python -m tests.fuzz --first 0 --count 20000 [--formats TIFF,PNG]

runs any number by hand, in the worker that the page uses; pytest runs a few (tests/moebius/photo/test_fuzz.py). Nothing
damaged is kept: a number makes its file again.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
import time
import zlib
from collections import Counter
from functools import cache

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from moebius import environment
from moebius.photo import png
from moebius.photo.jpeg_segments import read_segments
from moebius.photo.photo_file import PhotoError
from moebius.photo.worker import PhotoWorkers

SIZE = (48, 40)
_INTERESTING = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)
_OTHER = {"JPEG": ".png", "PNG": ".tif", "TIFF": ".jpg", "WEBP": ".png", "BMP": ".webp", "GIF": ".png"}
_TAGS = (254, 256, 258, 259, 262, 273, 277, 278, 317, 330, 338, 513, 700, 34665, 37724)
_MAX_SECONDS = 20.0


@cache
def originals() -> dict[str, tuple[bytes, ...]]:
    """Small valid files of each format, with metadata of all kinds."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    pixels = np.stack([x * 5, y * 6, (x + y) * 2], axis=2).astype(np.uint8)
    picture = Image.fromarray(pixels)
    exif = _exif(_encoded(picture.resize((16, 12)), "JPEG"))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    xmp += b'<rdf:Description rdf:about="" xmlns:q="urn:q" q:a="1"/></rdf:RDF></x:xmpmeta>'
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a" * 40, zip=True)
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    grey = picture.convert("L")
    return {
        "JPEG": (
            _encoded(picture, "JPEG", exif=exif, xmp=xmp, comment=b"hello", subsampling=2),
            _encoded(picture, "JPEG", progressive=True, restart_marker_blocks=2),
            _encoded(grey, "JPEG", icc_profile=bytes(140)),
            _encoded(picture.convert("CMYK"), "JPEG"),
        ),
        "PNG": (
            _encoded(picture, "PNG", pnginfo=text, exif=exif, dpi=(72, 72)),
            _encoded(picture.convert("P"), "PNG", transparency=3),
            _encoded(picture.convert("RGBA"), "PNG"),
            _encoded(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG"),
            png.new_png(np.dstack([pixels, pixels[..., :1]]).astype(np.uint16) * 257, [(b"eXIf", exif[6:])]),
        ),
        "TIFF": tuple(
            _tiff(array, **options)
            for array, options in (
                (pixels, {"photometric": "rgb", "compression": "zlib", "rowsperstrip": 16}),
                (pixels, {"photometric": "rgb", "extratags": [(700, "B", len(xmp), xmp, True)]}),
                (pixels.astype(np.uint16) * 257, {"photometric": "rgb", "tile": (16, 16), "compression": "lzw"}),
                (pixels[..., 0], {"photometric": "miniswhite", "compression": "packbits"}),
                (pixels[..., 0] > 100, {"photometric": "minisblack"}),
            )
        )
        + (_encoded(picture, "TIFF", compression="jpeg"), _encoded(picture.convert("1"), "TIFF", compression="group4")),
        "WEBP": (
            _encoded(picture, "WEBP", exif=exif, xmp=xmp, quality=60, method=0),
            _encoded(picture.convert("RGBA"), "WEBP", lossless=True, method=0),
        ),
        "BMP": (_encoded(picture, "BMP"), _encoded(picture.convert("P"), "BMP")),
        "GIF": (_encoded(picture.convert("P"), "GIF", comment=b"hello", transparency=2),),
        "AVIF": (_encoded(picture, "AVIF", exif=exif, speed=10),),
        "HEIF": (_encoded(picture, "HEIF", exif=exif, enc_params={"preset": "ultrafast"}),),
    }


def _encoded(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _tiff(array: np.ndarray, **options) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def _exif(thumbnail: bytes) -> bytes:
    """EXIF data with a maker, an orientation and a thumbnail."""
    first = struct.pack(">H", 2) + struct.pack(">HHI4s", 271, 2, 4, b"abc\0") + struct.pack(">HHIHH", 274, 3, 1, 6, 0)
    at = 8 + len(first) + 4
    second = struct.pack(">H", 2) + struct.pack(">HHII", 513, 4, 1, at + 30)
    second += struct.pack(">HHII", 514, 4, 1, len(thumbnail)) + bytes(4)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + first + struct.pack(">I", at) + second + thumbnail


# ---- damage ----


def damaged(number: int, formats: tuple[str, ...] = ()) -> tuple[str, bytes]:
    """Format and bytes of the damaged file of this number."""
    random_ = random.Random(number)
    kind = random_.choice(formats or tuple(originals()))
    data = bytearray(random_.choice(originals()[kind]))
    own = {"JPEG": _damage_segments, "PNG": _damage_chunks, "TIFF": _damage_tags}.get(kind, _damage_bytes)
    for _ in range(random_.choice((1, 1, 1, 2, 3, 8))):
        data = random_.choice((own, own, _damage_bytes))(data, random_)
    return kind, bytes(data)


def _damage_bytes(data: bytearray, random_: random.Random) -> bytearray:
    """One byte, one number, or a stretch of the file."""
    if not data:
        return data
    at, end = (random_.randrange(len(data)) for _ in range(2))
    match random_.randrange(7):
        case 0:
            data[at] ^= 1 << random_.randrange(8)
        case 1:
            data[at] = random_.choice((0, 255, random_.randrange(256)))
        case 2:
            form = random_.choice(("<H", ">H", "<I", ">I"))
            number = random_.choice(_INTERESTING) % 2 ** (8 * struct.calcsize(form))
            data[at : at + struct.calcsize(form)] = struct.pack(form, number)
        case 3:
            del data[at : at + random_.choice((1, 2, 16, 300))]
        case 4:
            data[at:at] = random_.randbytes(random_.choice((1, 2, 16, 300)))
        case 5:
            data[at:at] = data[min(at, end) : min(at, end) + 64]
        case 6:
            del data[at:]
    return data


def _damage_segments(data: bytearray, random_: random.Random) -> bytearray:
    """A JPEG with a segment that is gone, twice there, elsewhere, or has another content."""
    try:
        segments, end = read_segments(bytes(data))
    except ValueError:
        return data
    parts = [bytearray(segment.raw) for segment in segments]
    if not parts:
        return data
    _damage_parts(parts, random_, skip=4)
    return bytearray(b"\xff\xd8" + b"".join(parts) + b"\xff\xd9" + bytes(data[end:]))


def _damage_chunks(data: bytearray, random_: random.Random) -> bytearray:
    """The same for a PNG, with check sums that fit."""
    try:
        chunks = png.read_chunks(bytes(data))
    except (ValueError, struct.error):
        return data
    parts = [bytearray(name + content) for name, content in chunks]
    if not parts:
        return data
    _damage_parts(parts, random_, skip=4)
    out = png.SIGNATURE
    for part in parts:
        out += struct.pack(">I", max(0, len(part) - 4)) + bytes(part) + struct.pack(">I", zlib.crc32(part))
    return bytearray(out)


def _damage_parts(parts: list[bytearray], random_: random.Random, skip: int) -> None:
    here, there = random_.randrange(len(parts)), random_.randrange(len(parts))
    match random_.randrange(5):
        case 0:
            del parts[here]
        case 1:
            parts.insert(there, bytearray(parts[here]))
        case 2:
            parts[here], parts[there] = parts[there], parts[here]
        case _:
            parts[here][skip:] = _damage_bytes(parts[here][skip:], random_)


def _damage_tags(data: bytearray, random_: random.Random) -> bytearray:
    """A TIFF with another type, count or value in a tag of its first directory."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        entry = at + 2 + 12 * random_.randrange(max(1, count))
        match random_.randrange(4):
            case 0:
                struct.pack_into(order + "H", data, entry + 2, random_.randrange(20))
            case 1:
                struct.pack_into(order + "I", data, entry + 4, random_.choice(_INTERESTING))
            case 2:
                struct.pack_into(order + "I", data, entry + 8, random_.choice((*_INTERESTING, len(data) - 1)))
            case 3:
                struct.pack_into(
                    order + "H", data, entry, random_.choice((254, 256, 258, 259, 262, 273, 277, 330, 338))
                )
    except struct.error:
        return data
    return data


# ---- the run ----


def limit_pixels() -> None:
    """A number in a header makes a picture of a hundred megapixels, which is right and slow."""
    environment.MAX_PIXELS.set("1000000")


def fault(worker: PhotoWorkers, number: int, formats: tuple[str, ...] = ()) -> tuple[str, str]:
    """What became of a file: `refused`, `filled`, or a fault in words; and its format."""
    kind, data = damaged(number, formats)
    step = "opening"
    try:
        photo = worker.open_photo(data, f"file {number}")
        width, height = photo.size
        changed = np.zeros((height, width), bool)
        changed[height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = True
        raster = photo.raster.copy()
        if isinstance(raster, np.ndarray):
            raster[changed] = 7
        else:
            raster.paste(raster.crop((0, 0, width // 4 + 1, height // 4 + 1)), (width // 3, height // 3))
            raster.info = photo.raster.info
        changed[height // 3 : height // 3 + height // 4 + 1, width // 3 : width // 3 + width // 4 + 1] = True
        for suffix in (None, _OTHER.get(photo.format) if number % 3 == 0 else None):
            step = f"writing as {suffix or photo.format}"
            result = worker.encode_photo(photo, raster, changed, suffix, "edited" if number % 2 else None)
            step = f"reading again as {suffix or photo.format}"
            again = worker.open_photo(result.data)
            if again.size != photo.size:
                return f"{step}: the size is {again.size}, was {photo.size}", kind
            if suffix is None and number % 3:
                break
    except PhotoError as error:
        if "crashed" in str(error) or "took longer" in str(error) or step.startswith("reading"):
            return f"{step}: {error}", kind
        return "refused", kind
    except Exception as error:
        return f"{step}: {type(error).__name__}: {error}", kind
    return "filled", kind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--formats", default="", help="names, with commas; default: all")
    options = parser.parse_args()
    limit_pixels()
    formats, worker = tuple(filter(None, options.formats.split(","))), PhotoWorkers(1, _MAX_SECONDS)
    counts: Counter[str] = Counter()
    started, print_ = time.perf_counter(), sys.stdout.write
    for number in range(options.first, options.first + options.count):
        result, kind = fault(worker, number, formats)
        if result in ("refused", "filled"):
            counts[f"{kind} {result}"] += 1
        else:
            counts[f"{kind} faults"] += 1
            print_(f"{number} {kind}: {result}\n")
        if number % 1000 == 999:
            print_(f"# {number + 1 - options.first} files, {time.perf_counter() - started:.0f} s\n")
            sys.stdout.flush()
    for name, count in sorted(counts.items()):
        print_(f"{name}: {count}\n")
    worker.close()
    return 0


if __name__ == "__main__":
    import pillow_heif

    pillow_heif.register_heif_opener()
    sys.exit(main())
