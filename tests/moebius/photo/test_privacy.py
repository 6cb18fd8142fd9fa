"""The check at the end of every write, with every part that once kept the removed object put into a finished file."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from moebius.photo import jpeg_metadata, photo_file, png, privacy
from moebius.photo.jpeg_segments import Segment, join_segments, read_segments
from moebius.photo.orientation import as_shown

SIZE = (320, 240)
BOX = (130, 90, 200, 160)


def _background() -> np.ndarray:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    grey = 110 + 40 * np.sin(x / 23) + 30 * np.cos(y / 17)
    return np.stack([grey, grey * 0.9, grey * 0.8], axis=2).clip(0, 255).astype(np.uint8)


EDITED = Image.fromarray(_background())
PHOTO = EDITED.copy()
ImageDraw.Draw(PHOTO).ellipse(BOX, fill=(250, 20, 30))
CHANGED = np.zeros(SIZE[::-1], bool)
CHANGED[BOX[1] - 4 : BOX[3] + 4, BOX[0] - 4 : BOX[2] + 4] = True


def encoded(picture: Image.Image, kind: str = "JPEG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def thumbnail(picture: Image.Image, kind: str = "JPEG", size=(160, 120)) -> bytes:
    return encoded(picture.resize(size), kind)


def exif(picture: Image.Image) -> bytes:
    """EXIF data with a JPEG thumbnail in the second directory."""
    small = thumbnail(picture)
    head = b"Exif\0\0II*\0" + struct.pack("<IHII", 8, 0, 14, 0)[:10]  # an empty first directory
    at = 14 + 2 + 24 + 4
    entries = struct.pack("<HHII", 513, 4, 1, at) + struct.pack("<HHII", 514, 4, 1, len(small))
    return head + struct.pack("<H", 2) + entries + bytes(4) + small


def raw_exif(picture: Image.Image) -> bytes:
    """EXIF data whose thumbnail is not compressed."""
    pixels = picture.resize((80, 60)).tobytes()
    tags = {256: 80, 257: 60, 259: 1, 262: 2, 277: 3, 279: len(pixels), 273: 14 + 2 + 7 * 12 + 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    head = b"Exif\0\0II*\0" + struct.pack("<IHII", 8, 0, 14, 0)[:10]
    return head + struct.pack("<H", 7) + entries + bytes(4) + pixels


def with_segments(*segments: Segment, behind: bytes = b"") -> bytes:
    own = [segment for segment in read_segments(encoded(EDITED))[0]]
    return join_segments([*segments, *own]) + behind


def xmp(picture: Image.Image) -> bytes:
    return b'<x xmlns:p="urn:x"><p:image>' + base64.b64encode(thumbnail(picture)) + b"</p:image></x>"


def extended(picture: Image.Image) -> tuple[Segment, ...]:
    body, head = xmp(picture), jpeg_metadata.EXTENDED_XMP + b"0" * 32
    parts = [(at, body[at : at + 900]) for at in range(0, len(body), 900)]
    return tuple(Segment.of(0xE1, head + struct.pack(">II", len(body), at) + part) for at, part in parts)


def png_with(*chunks: tuple[bytes, bytes], behind: bytes = b"") -> bytes:
    own = png.read_chunks(encoded(EDITED, "PNG"))
    return png.join_chunks([*own[:1], *chunks, *own[1:]]) + behind


def raw_profile(picture: Image.Image) -> bytes:
    content = exif(picture)
    lines = "\n".join(content.hex()[i : i + 72] for i in range(0, len(content) * 2, 72))
    return f"\nexif\n{len(content):8}\n{lines}\n".encode()


def tiff(picture: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(np.asarray(EDITED), **options)
        if not options:
            writer.write(np.asarray(picture.resize((80, 60))), subfiletype=1, photometric="rgb")
    return out.getvalue()


def webp_with(name: bytes, content: bytes) -> bytes:
    own = encoded(EDITED, "WEBP")
    body = own[8:] + name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


PARTS = {
    "EXIF thumbnail": ("JPEG", "the EXIF data", lambda p: with_segments(Segment.of(0xE1, exif(p)))),
    "raw EXIF thumbnail": ("JPEG", "the EXIF data", lambda p: with_segments(Segment.of(0xE1, raw_exif(p)))),
    "XMP": ("JPEG", "the XMP data", lambda p: with_segments(Segment.of(0xE1, jpeg_metadata.XMP + xmp(p)))),
    "extended XMP": ("JPEG", "the extended XMP", lambda p: with_segments(*extended(p))),
    "Photoshop": (
        "JPEG",
        "Photoshop's resources",
        lambda p: with_segments(Segment.of(0xED, jpeg_metadata.PHOTOSHOP + b"8BIM\4\x0c" + thumbnail(p))),
    ),
    "JFXX": ("JPEG", "the JFIF thumbnail", lambda p: with_segments(Segment.of(0xE0, b"JFXX\0\x10" + thumbnail(p)))),
    "maker's segment": ("JPEG", "APP7", lambda p: with_segments(Segment.of(0xE7, b"MAKER\0" + thumbnail(p)))),
    "comment": ("JPEG", "the comment", lambda p: with_segments(Segment.of(0xFE, thumbnail(p)))),
    "trailer": ("JPEG", "behind the photo", lambda p: with_segments(behind=thumbnail(p))),
    "cut preview": ("JPEG", "the EXIF data", lambda p: with_segments(Segment.of(0xE1, exif(p)[:-2]))),
    "gain map": (
        "JPEG",
        "behind the photo",
        lambda p: with_segments(behind=encoded(Image.eval(p.convert("L"), lambda v: 255 - v // 2), quality=95)),
    ),
    "zTXt profile": (
        "PNG",
        "zTXt",
        lambda p: png_with((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(p)))),
    ),
    "tEXt base64": ("PNG", "tEXt", lambda p: png_with((b"tEXt", b"x\0" + base64.b64encode(thumbnail(p, "PNG"))))),
    "iTXt": (
        "PNG",
        "iTXt",
        lambda p: png_with((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(p)))),
    ),
    "eXIf": ("PNG", "eXIf", lambda p: png_with((b"eXIf", exif(p)[6:]))),
    "unknown chunk": ("PNG", "prVt", lambda p: png_with((b"prVt", thumbnail(p, "WEBP")))),
    "behind a PNG": ("PNG", "behind the photo", lambda p: png_with(behind=thumbnail(p, "GIF"))),
    "second directory": ("TIFF", "smaller copy", tiff),
    "TIFF's XMP": ("TIFF", "the metadata", lambda p: tiff(p, extratags=[(700, "B", len(xmp(p)), xmp(p), True)])),
    "WebP's EXIF": ("WEBP", "EXIF", lambda p: webp_with(b"EXIF", exif(p))),
    "unknown WebP chunk": ("WEBP", "PRIV", lambda p: webp_with(b"PRIV", thumbnail(p, "AVIF"))),
    "AVIF's EXIF": ("AVIF", "the EXIF data", lambda p: encoded(EDITED, "AVIF", exif=exif(p))),
    "behind a BMP": ("BMP", "behind the photo", lambda p: encoded(EDITED, "BMP") + thumbnail(p)),
    "comment of a GIF": ("GIF", "the comment", lambda p: encoded(EDITED, "GIF", comment=xmp(p))),
}


def check(data: bytes, kind: str, orientation: int = 1) -> None:
    privacy.check(data, kind, PHOTO, EDITED, CHANGED, orientation)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_shows_the_original_is_named_and_one_that_shows_the_edit_passes(name):
    kind, words, make = PARTS[name]
    check(make(EDITED), kind)
    with pytest.raises(privacy.StillShown, match="would still show what was removed") as caught:
        check(make(PHOTO), kind)
    assert words in str(caught.value)


OPAQUE = {
    "thermal": ("JPEG", "the thermal camera's raw", lambda: with_segments(Segment.of(0xE1, b"FLIR\0" + bytes(500)))),
    "large unknown": ("JPEG", "private data (APP5)", lambda: with_segments(Segment.of(0xE5, bytes(40000)))),
    "video": ("JPEG", "behind the photo", lambda: with_segments(behind=b"\0\0\0\x18ftypmp42" + bytes(90) + b"mdat")),
    "layers": ("TIFF", "Photoshop's layers", lambda: tiff(PHOTO, extratags=[(37724, "B", 90, bytes(90), True)])),
    "animation": ("PNG", "fdAT", lambda: png_with((b"fdAT", bytes(99)))),
    "frames": ("WEBP", "ANMF", lambda: webp_with(b"ANMF", bytes(99))),
}


@pytest.mark.parametrize("name", OPAQUE)
def test_a_part_that_holds_a_picture_nobody_can_compare_is_refused(name):
    kind, words, make = OPAQUE[name]
    with pytest.raises(privacy.StillShown) as caught:
        check(make(), kind)
    assert words in str(caught.value)


@pytest.mark.parametrize("size", [(64, 48), (160, 160), (1024, 768)])
def test_previews_of_all_sizes_and_with_bars(size):
    fitted = Image.new("RGB", size)
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    inner = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    fitted.paste(PHOTO.resize(inner), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    with pytest.raises(privacy.StillShown):
        check(with_segments(behind=encoded(fitted)), "JPEG")


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_previews_are_stored_as_the_photo_is(orientation):
    shown = {name: as_shown(one, orientation) for name, one in (("photo", PHOTO), ("edited", EDITED))}
    data = with_segments(behind=thumbnail(PHOTO))
    with pytest.raises(privacy.StillShown):
        privacy.check(data, "JPEG", shown["photo"], shown["edited"], as_shown(CHANGED, orientation), orientation)


def test_other_pictures_and_darker_copies():
    other = Image.fromarray(_background()[::-1, ::-1])
    check(with_segments(behind=thumbnail(other)), "JPEG")
    with pytest.raises(privacy.StillShown):
        check(with_segments(behind=thumbnail(Image.eval(PHOTO, lambda value: value // 3))), "JPEG")


def test_16_bit_pictures_are_compared_too():
    deep = [np.asarray(one).astype(np.uint16) * 257 for one in (PHOTO, EDITED)]
    with pytest.raises(privacy.StillShown):
        privacy.check(png_with((b"eXIf", exif(PHOTO)[6:])), "PNG", *deep, CHANGED, 1)


def test_encode_photo_hands_out_no_such_file(monkeypatch):
    photo = photo_file.open_photo(encoded(PHOTO, exif=exif(PHOTO)), "a.jpg")
    assert photo_file.encode_photo(photo, EDITED, CHANGED).data
    monkeypatch.setattr(jpeg_metadata, "hide_pictures", lambda metadata, preview: metadata)  # as if it were not mended
    with pytest.raises(photo_file.PhotoError, match="a.jpg: the EXIF data would still show .* choose another format"):
        photo_file.encode_photo(photo, EDITED, CHANGED)


def test_damaged_parts_end_in_no_traceback():
    check(encoded(EDITED)[:40] + thumbnail(EDITED), "JPEG")
    check(b"II*\0\xff\xff\xff\xff" + thumbnail(EDITED), "TIFF")
    check(png.SIGNATURE + bytes(3), "PNG")
