"""Forty photo files of all formats, with what cameras and programs put into them, made from one photo."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

from moebius.files import packaged
from moebius.photo import cicp, file_kinds, gain_map, iptc, png
from moebius.photo.jpeg_segments import Segment, join_segments, read_segments

SIDE = 384
PHOTO = packaged("samples", "images")
BOX = (150, 110, 230, 190)
"""Where the object is, which is to go."""


@dataclass(frozen=True)
class PhotoFile:
    name: str
    """With the suffix."""
    data: bytes
    has_gain_map: bool = False


def scene() -> tuple[Image.Image, np.ndarray]:
    """A photo with an object on it, and the hole, (H, W) bool."""
    source = sorted(path for path in PHOTO.iterdir() if path.suffix in (".jpg", ".jpeg", ".png", ".webp"))[0]
    with Image.open(source) as image:
        photo = image.convert("RGB").resize((SIDE, SIDE * 3 // 4), Image.Resampling.LANCZOS)
    ImageDraw.Draw(photo).ellipse(BOX, fill=(250, 10, 220))
    hole = np.zeros((photo.height, photo.width), bool)
    hole[BOX[1] - 4 : BOX[3] + 5, BOX[0] - 4 : BOX[2] + 5] = True
    return photo, hole


def photo_files() -> Iterator[PhotoFile]:
    """All forty. Raises ValueError where pillow-heif is missing."""
    if "HEIF" not in file_kinds.readable_formats():
        raise ValueError("the package pillow-heif is missing, with which HEIC files are made")
    photo, _ = scene()
    for name, make in _FILES.items():
        yield PhotoFile(name, make(photo), has_gain_map="ultra-hdr" in name)


# ---- parts ----


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _jpeg(picture: Image.Image, quality: int = 90, **options: Any) -> bytes:
    return _encoded(picture, "JPEG", quality=quality, **options)


def exif_data(photo: Image.Image, orientation: int = 1, with_thumbnail: bool = True) -> bytes:
    """Maker, model, orientation, times, place and a thumbnail."""
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = "Maker", "Model 1", orientation, "2026:01:02 03:04:05"
    exif.get_ifd(34665).update({33434: 0.01, 34855: 200, 36867: "2026:01:02 03:04:05", 42036: "Lens"})
    exif.get_ifd(34853).update({1: "N", 2: (48.0, 8.0, 5.0), 3: "E", 4: (11.0, 34.0, 1.0)})
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    if not with_thumbnail:
        return b"Exif\0\0" + body
    order = "<" if body[:2] == b"II" else ">"
    small = _jpeg(photo.resize((160, 120)))
    first = struct.unpack_from(order + "I", body, 4)[0]
    link = first + 2 + 12 * struct.unpack_from(order + "H", body, first)[0]
    at = len(body) + len(body) % 2
    tags = struct.pack(order + "HHHIHH", 3, 259, 3, 1, 6, 0)
    tags += struct.pack(order + "HHII", 513, 4, 1, at + 2 + 36 + 4) + struct.pack(order + "HHII", 514, 4, 1, len(small))
    body = body[:link] + struct.pack(order + "I", at) + body[link + 4 :]
    return b"Exif\0\0" + body.ljust(at, b"\0") + tags + bytes(4) + small


def _xmp(photo: Image.Image | None = None) -> bytes:
    image = b""
    if photo:
        digits = base64.b64encode(_jpeg(photo.resize((160, 120))))
        image = (
            b'<xmp:Thumbnails xmlns:xmp="http://ns.adobe.com/xap/1.0/"><rdf:Alt><rdf:li rdf:parseType="Resource">'
            b'<xmpGImg:image xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/">' + digits + b"</xmpGImg:image>"
            b"</rdf:li></rdf:Alt></xmp:Thumbnails>"
        )
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title</rdf:li>'
        b"</rdf:Alt></dc:title>" + image + b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _p3() -> bytes:
    return cicp.make_profile(cicp.Cicp(12, 13))


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _with_segments(data: bytes, *segments: Segment) -> bytes:
    own, _ = read_segments(data)
    return join_segments([own[0], *segments, *own[1:]])


def _ultra_hdr(photo: Image.Image) -> bytes:
    """A photo with a gain map in which the object is bright (Android's Ultra HDR 1.0)."""
    small = photo.convert("L").resize((photo.width // 4, photo.height // 4))
    hdr = b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    head = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    tail = b"</rdf:RDF></x:xmpmeta>"
    inner = _jpeg(small, xmp=head + b'<rdf:Description rdf:about="" ' + hdr + b' hdrgm:GainMapMax="2"/>' + tail)
    directory = (
        b'<rdf:Description rdf:about="" ' + hdr + b' xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        b'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><Container:Directory><rdf:Seq>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" '
        b'Item:Length="%d"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>' % len(inner)
    )
    return gain_map.attach(_jpeg(photo, exif=exif_data(photo), xmp=head + directory + tail), inner)


def _iptc_segment() -> Segment:
    dataset = b"\x1c\x02\x05" + struct.pack(">H", 5) + b"Title"
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(dataset)) + dataset + b"\0" * (len(dataset) % 2)
    return iptc.jpeg_segments(resource)[0]


def _grey16(photo: Image.Image) -> np.ndarray:
    return np.asarray(photo.convert("L")).astype(np.uint16) * 257


def _deep(photo: Image.Image) -> np.ndarray:
    ramp = np.arange(photo.width, dtype=np.uint16) % 251
    return np.asarray(photo).astype(np.uint16) * 256 + ramp[None, :, None]


def _png_text(photo: Image.Image) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "somebody")
    info.add_itxt("XML:com.adobe.xmp", _xmp(photo).decode())
    return info


def _png_chunk(photo: Image.Image, name: bytes, content: bytes) -> bytes:
    chunks = png.read_chunks(_encoded(photo, "PNG"))
    return png.join_chunks([chunks[0], (name, content), *chunks[1:]])


def _tiff(array: np.ndarray, **options: Any) -> bytes:
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def _tiff_with_copy(photo: Image.Image) -> bytes:
    import tifffile

    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(np.asarray(photo), photometric="rgb", compression="zlib")
        writer.write(np.asarray(photo.resize((96, 72))), photometric="rgb", subfiletype=1)
    return out.getvalue()


def _layers(photo: Image.Image) -> tuple:
    content = b"Adobe Photoshop Document Data Block\0" + np.asarray(photo).tobytes()
    return (37724, "B", len(content), content, True)


_FILES: dict[str, Callable[[Image.Image], bytes]] = {
    "420-exif.jpg": lambda p: _jpeg(p, exif=exif_data(p)),
    "444-p3.jpg": lambda p: _jpeg(p, subsampling=0, icc_profile=_p3(), exif=exif_data(p)),
    "422-low-quality.jpg": lambda p: _jpeg(p, 60, subsampling=1, exif=exif_data(p)),
    "progressive.jpg": lambda p: _jpeg(p, progressive=True, exif=exif_data(p), xmp=_xmp()),
    "turned-90.jpg": lambda p: _jpeg(p.transpose(Image.Transpose.ROTATE_90), exif=exif_data(p, 6, False)),
    "turned-180.jpg": lambda p: _jpeg(p.transpose(Image.Transpose.ROTATE_180), exif=exif_data(p, 3, False)),
    "xmp-preview.jpg": lambda p: _jpeg(p, xmp=_xmp(p)),
    "iptc.jpg": lambda p: _with_segments(_jpeg(p, exif=exif_data(p)), _iptc_segment()),
    "grey.jpg": lambda p: _jpeg(p.convert("L"), exif=exif_data(p)),
    "cmyk.jpg": lambda p: _jpeg(p.convert("CMYK"), exif=exif_data(p, with_thumbnail=False)),
    "restart-markers.jpg": lambda p: _jpeg(p, restart_marker_blocks=8, comment=b"A comment"),
    "ultra-hdr.jpg": _ultra_hdr,
    "exif-text.png": lambda p: _encoded(p, "PNG", exif=exif_data(p), pnginfo=_png_text(p), dpi=(300, 300)),
    "profile.png": lambda p: _encoded(p, "PNG", icc_profile=_p3()),
    "alpha.png": lambda p: _encoded(_with_alpha(p), "PNG"),
    "palette.png": lambda p: _encoded(p.quantize(200), "PNG", transparency=7),
    "16-bit.png": lambda p: png.new_png(_deep(p), [(b"eXIf", exif_data(p)[6:])]),
    "16-bit-grey.png": lambda p: _encoded(Image.fromarray(_grey16(p)), "PNG"),
    "1-bit.png": lambda p: _encoded(p.convert("1"), "PNG"),
    "display-p3-cicp.png": lambda p: _png_chunk(p, b"cICP", bytes((12, 13, 0, 1))),
    "gamma.png": lambda p: _png_chunk(p, b"gAMA", struct.pack(">I", 45455)),
    "deflate.tif": lambda p: _tiff(np.asarray(p), photometric="rgb", compression="zlib", iccprofile=_p3()),
    "lzw-tiles.tif": lambda p: _tiff(np.asarray(p), photometric="rgb", compression="lzw", tile=(64, 64)),
    "16-bit.tif": lambda p: _tiff(_deep(p), photometric="rgb", compression="zlib", predictor=True),
    "16-bit-grey.tif": lambda p: _tiff(_grey16(p), photometric="minisblack"),
    "white-is-zero.tif": lambda p: _tiff(255 - np.asarray(p.convert("L")), photometric="miniswhite"),
    "layers.tif": lambda p: _tiff(np.asarray(p), photometric="rgb", extratags=[_layers(p)]),
    "smaller-copy.tif": _tiff_with_copy,
    "cmyk.tif": lambda p: _tiff(np.asarray(p.convert("CMYK")), photometric="separated", compression="zlib"),
    "lossy.webp": lambda p: _encoded(p, "WEBP", quality=85, exif=exif_data(p), xmp=_xmp(p)),
    "lossless.webp": lambda p: _encoded(p, "WEBP", lossless=True, icc_profile=_srgb(), exif=exif_data(p)),
    "alpha.webp": lambda p: _encoded(_with_alpha(p), "WEBP", lossless=True, exact=True),
    "exif.avif": lambda p: _encoded(p, "AVIF", quality=85, exif=exif_data(p), xmp=_xmp()),
    "profile.avif": lambda p: _encoded(p, "AVIF", quality=85, icc_profile=_p3()),
    "exif.heic": lambda p: _encoded(p, "HEIF", quality=85, exif=exif_data(p), xmp=_xmp()),
    "profile.heic": lambda p: _encoded(p, "HEIF", quality=85, icc_profile=_p3()),
    "grey.heic": lambda p: _encoded(p.convert("L"), "HEIF", quality=85),
    "palette.gif": lambda p: _encoded(p.quantize(128), "GIF", comment=b"A comment"),
    "colours.bmp": lambda p: _encoded(p, "BMP", dpi=(300, 300)),
    "palette.bmp": lambda p: _encoded(p.quantize(200), "BMP"),
}


def _with_alpha(photo: Image.Image) -> Image.Image:
    alpha = Image.new("L", photo.size, 255)
    ImageDraw.Draw(alpha).rectangle((0, 0, 60, photo.height), fill=90)
    out = photo.copy()
    out.putalpha(alpha)
    return out
