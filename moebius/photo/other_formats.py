"""Photos that are written whole, by Pillow: WebP, GIF, BMP, AVIF, HEIF, odd TIFFs, and one format as another."""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import replace
from typing import Any, cast

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from moebius.photo import ai_mark, cicp, gif, images, iptc, png, tiff, tiff_tags, trailer
from moebius.photo.embedded_thumbnails import hide_pictures
from moebius.photo.ifd import read_directory, read_layout, write_values
from moebius.photo.jpeg_segments import Segment, join_segments, read_segments, with_clean_end
from moebius.photo.silence import quiet
from moebius.photo.xmp import blank_descriptions

_LOSSLESS_FORMATS = ("PNG", "TIFF", "BMP", "GIF")
_LOSSLESS_WEBP: dict[str, Any] = {
    "lossless": True,
    "exact": True,
    "quality": 80,
}  # quality: effort; exact: colours under alpha 0
_LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    # Tiles as phones make them: of one piece above 16 MiB libheif cannot read what it wrote. 4:2:0, because few
    # programs read anything else. Preset: x265's own takes 6 times as long and makes files 1 to 6 % smaller.
    "HEIF": {"quality": 95, "chroma": 420, "tile_size": 512, "enc_params": {"preset": "ultrafast"}},
}
_MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
    "AVIF": ("L", "RGB", "RGBA"),
    "HEIF": ("L", "RGB", "RGBA"),
}
"""What each format can hold."""
_WEBP_CHUNKS = {"VP8 ", "VP8L", "VP8X", "ALPH", "ICCP", "EXIF", "XMP ", "ANIM", "ANMF"}
_NO_BMP_PROFILE = "The BMP's colour profile was left out."
_PROFILE_SPACE = {"1": b"GRAY", "L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "I;16B": b"GRAY", "CMYK": b"CMYK"}
_MAX_EXIF_BYTES = 65533
_BYTE_TYPES = (1, 7)
"""A TIFF's types for XMP and Photoshop's resources."""
_TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4", "zstd", "lzma")
"""Those that Pillow writes and that lose nothing."""


def encode_again(data: bytes, kind: str, raster: Image.Image, mark: str | None = None) -> tuple[bytes, tuple[str, ...]]:
    """The photo in its own format, all of it encoded again, with its metadata.

    Args:
        data: the original file.
        kind: WEBP, GIF, BMP, AVIF, HEIF or TIFF.
        raster: the edited picture as stored.
        mark: for the XMP of WEBP, AVIF and HEIF, see `moebius.photo.ai_mark`.
    """
    with quiet(), Image.open(io.BytesIO(data)) as original:
        info: dict[Any, Any] = original.info
    if kind == "TIFF":
        return _tiff_again(data, raster, info.get("compression", "raw"))
    if kind == "GIF":
        kept: dict[str, Any] = {k: info[k] for k in ("transparency", "background", "comment") if k in info}
        return gif.keep_extensions(data, _save(raster, kind, kept | {"optimize": False}), images.preview(raster))
    if kind == "BMP":
        return _save(raster, kind, _resolution(info)), (_NO_BMP_PROFILE,) if _has_bmp_profile(data) else ()
    options: dict[str, Any] = {k: info[k] for k in ("icc_profile", "exif", "xmp") if info.get(k)}
    for key in {"exif", "xmp"} & options.keys():
        options[key] = hide_pictures(options[key], images.preview(raster))
    if "xmp" in options:
        options["xmp"] = blank_descriptions(options["xmp"])
    notes = _mark(options, mark)
    if kind == "WEBP" and (unknown := sorted(_webp_chunks(data) - _WEBP_CHUNKS)):
        notes += (f"The WebP's own data ({', '.join(unknown)}) were left out.",)
    colours = cicp.read_cicp(data, kind, info) if kind == "AVIF" else None  # a HEIC's go their own way, below
    if kind == "WEBP" and _is_lossless_webp(data):
        return _save(raster, kind, options | _LOSSLESS_WEBP), notes
    notes = (f"{kind} cannot be edited in part: the whole photo was compressed again, at high quality.", *notes)
    encoding: dict[str, Any] = _LOSSY[kind]
    if kind == "HEIF":
        encoding = encoding | {key: info[key] for key in ("chroma", "nclx_profile") if key in info}
        if info.get("depth_images") or info.get("aux"):
            notes += ("Its depth map and gain map were left out: they still show what was there.",)
    new = _save(raster, kind, options | encoding)
    return (cicp.write_into_avif(new, colours) if colours else new), notes


def _mark(options: dict, mark: str | None) -> tuple[str, ...]:
    """Put the mark into the XMP packet of Pillow's options; a note where that cannot be."""
    if mark is None:
        return ()
    packet, notes = ai_mark.packet(options.get("xmp"), mark)
    options |= {"xmp": packet} if packet else {}
    return notes


def _tiff_again(data: bytes, raster: Image.Image, compression: str) -> tuple[bytes, tuple[str, ...]]:
    """A TIFF whose strips cannot be changed one by one: new pixels, and all tags that do not describe strips.

    libtiff gets pixels only: given tags of unusual types it was seen to end the process (Pillow 12.3).
    """
    layout = read_layout(data)
    tags, notes = tiff_tags.read_tags(data, layout, layout.first)
    tags = _hide_in_tags(tags, images.preview(raster))
    for tag in {tiff_tags.XMP, tiff_tags.PHOTOSHOP} & tags.keys():
        if tags[tag].kind not in _BYTE_TYPES:  # Pillow could not read the file
            tags[tag] = replace(tags[tag], kind=_BYTE_TYPES[0])
    if tiff.count_samples(data) > _count_channels(raster):
        notes.append(tiff.FURTHER_LEFT_OUT)
    if compression not in _TIFF_COMPRESSIONS:
        notes.append(f"The TIFF's compression ({compression}) was replaced by a lossless one.")
        compression = "tiff_lzw"  # the one in TIFF 6.0 itself
    return tiff_tags.add_tags(_save(raster, "TIFF", {"compression": compression}), tags), tuple(notes)


def _hide_in_tags(tags: dict[int, tiff_tags.Tag], preview: Image.Image) -> dict[int, tiff_tags.Tag]:
    """TIFF tags whose pictures show `preview`, those in the directories below included."""
    return {
        number: replace(tag, values=hide_pictures(tag.values, preview))
        if tag.directory is None
        else replace(tag, directory=_hide_in_tags(tag.directory, preview))
        for number, tag in tags.items()
    }


def convert(
    data: bytes, old: str, kind: str, raster: Image.Image | np.ndarray, mark: str | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """A photo as a file of another format, with profile, EXIF, XMP and resolution where the format has them.

    Args:
        data: the original file, for its metadata.
        old, kind: the old and the new format, keys of `_MODES`.
        raster: the edited picture as shown.
        mark: for the XMP of WEBP, AVIF and HEIF, see `moebius.photo.ai_mark`.
    """
    complete = with_clean_end(data) if old == "JPEG" else None
    with quiet(), Image.open(io.BytesIO(complete or data)) as original:
        original.load()  # a PNG's metadata may come last
        info = original.info
    picture, notes = _adapt(raster, kind)
    exif, more = _tiff_exif(data) if old == "TIFF" else (info.get("exif"), [])
    resources = hide_pictures(iptc.read_resources(data, old), images.preview(raster))
    notes += more
    if old == "JPEG":
        note = trailer.describe_left_out(data, *read_segments(data))
        notes += [note] if note else []
    if old == "BMP" and _has_bmp_profile(data):
        notes.append(_NO_BMP_PROFILE)
    if old == "TIFF" and tiff.count_samples(data) > _count_channels(raster):
        notes.append(tiff.FURTHER_LEFT_OUT)
    profile, xmp = info.get("icc_profile"), info.get("xmp") or info.get("XML:com.adobe.xmp")
    if old == "GIF":
        profile, xmp = gif.read_metadata(data)
    if kind in ("BMP", "GIF"):
        if exif or profile or xmp:
            notes.append(f"{kind} files are written without EXIF data, XMP and colour profile; these were left out.")
        notes += _iptc_note(resources, kind)
        return _save(cast(Image.Image, picture), kind, _resolution(info) if kind == "BMP" else {}), tuple(notes)
    options: dict[str, Any] = {}
    colours = cicp.read_cicp(data, old, info)
    colours = None if colours is None or colours.is_srgb or _is_grey(picture) else colours
    if colours and kind not in ("AVIF", "HEIF"):
        profile = cicp.make_profile(colours)
        notes += [] if profile or kind == "PNG" else [colours.note(kind)]
    if profile and _profile_fits(profile, picture):
        options["icc_profile"] = profile
    if exif:
        options["exif"] = hide_pictures(_upright_exif(exif), images.preview(raster))
    if xmp:
        xmp = hide_pictures(xmp if isinstance(xmp, bytes) else xmp.encode(), images.preview(raster))
        xmp = blank_descriptions(xmp)
        options["xmp"] = re.sub(rb"(tiff:Orientation(?:=[\"']|>))[1-8]", rb"\g<1>1", xmp)
    if kind not in ai_mark.IN_PLACE:
        notes.extend(_mark(options, mark))
    options |= _resolution(info)
    if isinstance(picture, np.ndarray):
        notes += _iptc_note(resources, kind)
        return _with_png_colours(png.new_png(picture, _png_chunks(options)), colours), tuple(notes)
    if kind == "PNG" and "xmp" in options:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode(errors="replace"))
    if kind == "TIFF":
        tags = {**tiff_tags.read_exif(options.pop("exif", b"")), **iptc.tags(resources)}
        if "xmp" in options:
            tags[tiff_tags.XMP] = tiff_tags.bytes_tag(options.pop("xmp"), 1)
        bare = _save(picture, kind, options | {"compression": "tiff_adobe_deflate"})
        return tiff_tags.add_tags(bare, tags), tuple(notes)
    if kind == "JPEG":
        options["exif"], more = _short_exif(options.get("exif", b""))
        notes += more
    lossless = kind == "WEBP" and old in _LOSSLESS_FORMATS
    options |= _LOSSLESS_WEBP if lossless else _LOSSY.get(kind, {})
    if kind == "HEIF" and colours:
        options |= {"color_primaries": colours.primaries, "transfer_characteristics": colours.transfer}
        options |= {"matrix_coefficients": 6, "full_range_flag": 1}
    new = _save(picture, kind, options)
    if kind == "AVIF" and colours:
        new = cicp.write_into_avif(new, colours)
    if kind == "PNG":
        new = _with_png_colours(new, colours)
    if kind == "JPEG" and resources:
        new = _with_segments(new, iptc.jpeg_segments(resources))
    elif kind != "JPEG":
        notes += _iptc_note(resources, kind)
    return new, tuple(notes)


def _resolution(info: dict) -> dict:
    """Pillow's option for dots per inch, where the file gives two sensible numbers."""
    given = info.get("dpi")
    try:
        numbers = tuple(float(one) for one in given or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return {}
    return {"dpi": numbers} if len(numbers) == 2 and all(0 < one < 2**31 for one in numbers) else {}


def _count_channels(picture: Image.Image | np.ndarray) -> int:
    return picture.shape[2] if isinstance(picture, np.ndarray) else len(picture.getbands())


def _is_grey(picture: Image.Image | np.ndarray) -> bool:
    return picture.shape[2] == 2 if isinstance(picture, np.ndarray) else picture.mode in ("1", "L", "LA", "I;16")


def _with_png_colours(data: bytes, colours: cicp.Cicp | None) -> bytes:
    """A PNG with a cICP chunk (RGB, full range) behind its header."""
    if colours is None:
        return data
    chunks = png.read_chunks(data)
    return png.join_chunks([chunks[0], (b"cICP", bytes((*colours, 0, 1))), *chunks[1:]])


def _iptc_note(resources: bytes, kind: str) -> list[str]:
    return [f"The IPTC data were left out: {kind} files have no place for them."] if iptc.holds_iptc(resources) else []


def _with_segments(jpeg: bytes, new: list[Segment]) -> bytes:
    """A JPEG with further metadata segments behind those that it has."""
    segments, _ = read_segments(jpeg)
    first = next((i for i, segment in enumerate(segments) if not segment.is_metadata), len(segments))
    return join_segments([*segments[:first], *new, *segments[first:]])


def _short_exif(exif: bytes) -> tuple[bytes, list[str]]:
    """EXIF data that fit into a JPEG's segment, and notes on the tags that were too long for it."""
    if len(exif) <= _MAX_EXIF_BYTES:
        return exif, []
    tags, notes = tiff_tags.read_exif(exif), []
    while tags and len(packed := tiff_tags.pack_exif(tags)) > _MAX_EXIF_BYTES:
        owner = max((tags, *(t.directory for t in tags.values() if t.directory)), key=_longest)
        longest = max(owner, key=lambda tag: len(owner[tag].values))
        del owner[longest]
        notes.append(f"The EXIF data were too long for a JPEG: tag {longest} was left out.")
    if not tags:
        return b"", ["The EXIF data were too long for a JPEG and were left out."]
    return packed, ["The preview in the EXIF data was left out: a JPEG has no room for it."] if not notes else notes


def _longest(tags: dict[int, tiff_tags.Tag]) -> int:
    return max((len(tag.values) for tag in tags.values()), default=0)


def _tiff_exif(data: bytes) -> tuple[bytes | None, list[str]]:
    """A TIFF's tags as EXIF data, without those about strips, and notes; None where there are none."""
    try:
        layout = read_layout(data)
        tags, notes = tiff_tags.read_tags(data, layout, layout.first)
    except ValueError:
        return None, []
    for tag in (tiff_tags.PROFILE, tiff_tags.XMP, tiff_tags.IPTC, tiff_tags.PHOTOSHOP):  # these go their own way
        tags.pop(tag, None)
    return (tiff_tags.pack_exif(tags) if tags else None), notes


def _save(picture: Image.Image, kind: str, options: dict) -> bytes:
    bare = picture.copy()
    bare.info = {k: v for k, v in picture.info.items() if k == "transparency"}  # only what is asked for is saved
    out = io.BytesIO()
    with quiet():
        bare.save(out, kind, **options)
        if kind == "HEIF":
            Image.open(out).load()  # its encoder was seen to write files that its decoder cannot read
    return out.getvalue()


def _adapt(raster: Image.Image | np.ndarray, kind: str) -> tuple[Image.Image | np.ndarray, list[str]]:
    """The picture in a mode that the format can hold, and notes on what that costs."""
    notes: list[str] = []
    allowed = _MODES[kind]
    if isinstance(raster, np.ndarray):
        if kind == "PNG":
            return raster, notes
        raster = images.to_8bit(raster)
        notes.append(f"{kind} files are written with 8 bits a channel here; the photo had 16.")
    mode, keyed = raster.mode, raster.info.get("transparency") is not None
    if mode in allowed and not (keyed and kind in ("JPEG", "BMP", "TIFF")):
        return raster, notes
    if mode.startswith("I;16"):
        if "I;16" in allowed:
            return Image.frombytes("I;16", raster.size, np.asarray(raster).astype("<u2").tobytes()), notes
        notes.append(f"{kind} files are written with 8 bits a channel here; the photo had 16.")
        grey = (np.asarray(raster).astype(np.uint32) + 128) // 257
        return _adapt(Image.fromarray(grey.astype(np.uint8)), kind)[0], notes
    if mode == "CMYK":
        return _adapt(Image.fromarray(images.to_rgb(raster)), kind)[0], notes
    has_alpha = keyed or mode in ("LA", "RGBA")
    rgba = raster.convert("RGBA") if has_alpha else None
    if kind == "GIF":
        colours = (rgba or raster.convert("RGB")).quantize(256, method=Image.Quantize.FASTOCTREE)
        notes.append("GIF files have at most 256 colours; the nearest were taken.")
        return colours, notes
    if has_alpha and "RGBA" in allowed:
        return rgba, notes
    if has_alpha:
        notes.append(f"{kind} files have no transparency; transparent parts became white.")
        white = Image.new("RGBA", raster.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
        return (flat.convert("L") if mode in ("L", "LA") else flat), notes
    return raster.convert("L" if mode in ("1", "L") and "L" in allowed else "RGB"), notes


def _profile_fits(profile: bytes, picture: Image.Image | np.ndarray) -> bool:
    """Whether an ICC profile's colour space (bytes 16 to 19) is that of the picture."""
    if isinstance(picture, np.ndarray):
        return profile[16:20] == (b"GRAY" if picture.shape[2] == 2 else b"RGB ")
    return profile[16:20] == _PROFILE_SPACE.get(picture.mode, b"RGB ")


def _png_chunks(options: dict) -> list[tuple[bytes, bytes]]:
    """Chunks for `png.new_png`."""
    chunks = []
    if "icc_profile" in options:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(options["icc_profile"])))
    if "dpi" in options:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(float(d) / 0.0254) for d in options["dpi"]), 1)))
    if "exif" in options:
        chunks.append((b"eXIf", options["exif"].removeprefix(b"Exif\0\0")))
    if "xmp" in options:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + options["xmp"]))
    return chunks


def _upright_exif(exif: bytes) -> bytes:
    """EXIF data that say 'upright', for a picture that was turned; otherwise unchanged."""
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    body = bytearray(exif[start:])
    try:
        layout = read_layout(body)
        entries, _ = read_directory(body, layout, layout.first)
        if 274 in entries and entries[274].count == 1:
            write_values(body, layout, entries[274], (1,))
    except (ValueError, struct.error):
        return exif  # damaged EXIF has no orientation either
    return exif[:start] + bytes(body)


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the picture is a VP8L chunk (RFC 9649)."""
    return "VP8L" in _webp_chunks(data)


def _webp_chunks(data: bytes) -> set[str]:
    """Names of the chunks of a WebP."""
    at, names = 12, set()
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        names.add(name.decode("latin1"))
        at += 8 + length + length % 2
    return names


def _has_bmp_profile(data: bytes) -> bool:
    """Whether a BMP's header, of Windows' fifth version, embeds or names a colour profile."""
    return len(data) > 74 and struct.unpack_from("<I", data, 14)[0] >= 124 and data[70:74] in (b"DEBM", b"KNIL")
