"""Photo files in and out: what is opened and within which limits, and how the edited photo becomes a file."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from moebius.photo import (
    ai_mark,
    cicp,
    file_kinds,
    gain_map,
    heif_boxes,
    images,
    jpeg,
    mask_file,
    other_formats,
    png,
    privacy,
    tiff,
    tiff_parts,
)
from moebius.photo.errors import NotAPhotoError, PhotoError, TooLargeError
from moebius.photo.ifd import read_directory, read_layout
from moebius.photo.jpeg_segments import with_clean_end
from moebius.photo.limits import max_bytes, max_pixels
from moebius.photo.orientation import as_shown, as_stored
from moebius.photo.silence import quiet
from moebius.units import memory_size

if TYPE_CHECKING:
    from moebius.photo.raster import Raster

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""The formats that are read and written, with the suffixes of their files, the usual one first."""


def suffixes(*formats: str) -> tuple[str, ...]:
    """The suffixes of files of these formats; of all formats where none is given."""
    return tuple(suffix for name in formats or SUFFIXES for suffix in SUFFIXES[name])


def size_of(raster: Raster) -> tuple[int, int]:
    """Width and height in pixels."""
    return (raster.shape[1], raster.shape[0]) if isinstance(raster, np.ndarray) else raster.size


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo as it is shown, and the file it came from."""

    raster: Raster
    """Pillow image of a mode in `images.MODES`, or (H, W, 2 | 3 | 4) uint16; orientation applied."""
    format: str
    """A key of `SUFFIXES`."""
    data: bytes
    """The file, untouched."""
    orientation: int
    """EXIF orientation of the stored picture, 1 (upright) to 8."""
    name: str
    profile: bytes | None = None
    """The ICC profile of the colours of an array in `raster`; a Pillow image has its own, in `info`."""
    notes: tuple[str, ...] = ()
    """Sentences for the user on what is unusual about the file."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as shown."""
        return size_of(self.raster)

    @property
    def suffix(self) -> str:
        """The file name's suffix where it fits the content, else the format's usual one."""
        own = Path(self.name).suffix
        return own if own.lower() in SUFFIXES[self.format] else SUFFIXES[self.format][0]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A file to be written, and notes on it for the user."""

    data: bytes
    format: str
    notes: tuple[str, ...] = ()


# ---- opening ----


def open_photo(source: Path | str | bytes, name: str | None = None) -> Photo:
    """Open a photo from a file or from its bytes. The content decides what it is, not the suffix.

    The limits `max_bytes` and `max_pixels` hold before anything is decoded.

    Args:
        name: what messages call it; by default the file's name.

    Raises:
        PhotoError: there is no such file, it is too large, or it is no photo that can be read.
    """
    name = name_of(source, name)
    data = read_file(source, name)
    with quiet(stderr=data[:2] in (b"II", b"MM")):
        image = _decode(data, name)
        orientation, notes = _orientation(image, data)
    kind = "JPEG" if image.format == "MPO" else image.format
    if image.format == "MPO":
        if gain_map.read(data) is None:
            notes += ("The file holds several pictures; the first one is used.",)
    elif image.format == "HEIF" and (pictures := getattr(image, "n_frames", 1)) > 1:
        notes += (f"The file holds {pictures} pictures; the main one is used, and the result holds no other.",)
    if image.info.get("bit_depth", 8) > 8 and image.mode in ("RGB", "RGBA"):  # of a HEIC photo
        notes += (f"The photo has {image.info['bit_depth']} bits a channel, of which 8 are used.",)
    if kind == "AVIF" and cicp.avif_depth(data) > 8:
        notes += (f"The photo has {cicp.avif_depth(data)} bits a channel, of which 8 are used.",)
    if kind == "AVIF" and (cropped := heif_boxes.cropped(image, data)):  # libheif crops by itself
        image, notes = cropped, (*notes, heif_boxes.CROPPED)
    if kind == "TIFF" and image.mode.startswith("I;16") and (bits := tiff.grey_scale(data)[1]) != 16:
        notes += (f"The photo has {bits} bits a sample; it is edited and written with 16.",)
    raster = _raster(image, data, name, orientation)
    profile = image.info.get("icc_profile") if isinstance(raster, np.ndarray) else None
    return Photo(
        raster=raster, format=kind, data=data, orientation=orientation, name=name, profile=profile, notes=notes
    )


def open_mask(source: Path | str | bytes, size: tuple[int, int] | None = None, name: str | None = None) -> np.ndarray:
    """Open a mask, (H, W) bool, True = repaint (see `mask_file.read_mask`).

    Args:
        size: width and height of the photo as shown; None leaves that check to the caller.
        name: what messages call it; by default the file's name.

    Raises:
        PhotoError: as `open_photo`; the size is another one; the mask is full, or what is painted cannot be known.
    """
    photo = open_photo(source, name or ("the mask" if isinstance(source, bytes) else None))
    try:
        mask = mask_file.read_mask(photo.raster)
        if size is not None:
            images.check_mask(mask, (size[1], size[0]))
    except ValueError as error:
        raise PhotoError(f"{photo.name}: {error}") from error
    return mask


def name_of(source: Path | str | bytes, name: str | None = None) -> str:
    """What messages call a file."""
    return name or ("the picture" if isinstance(source, bytes) else Path(source).name or str(source))


def read_file(source: Path | str | bytes, name: str | None = None) -> bytes:
    """A file's bytes, within the limit `max_bytes`, which holds before it is read.

    Raises:
        PhotoError: there is no such file, it cannot be read, is empty or too large.
    """
    name = name_of(source, name)
    if isinstance(source, bytes):
        data, size = source, len(source)
    else:
        try:
            path = Path(source)
            if not path.is_file():
                what = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is not a file"
                raise PhotoError(f"{name} {what}; give the path of a photo ({file_kinds.KNOWN})")
            size = path.stat().st_size
            data = path.read_bytes() if size <= max_bytes() else b""
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            if isinstance(error, PhotoError):
                raise
            raise PhotoError(f"{name} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if size > max_bytes():
        raise TooLargeError(
            f"{name} has {memory_size(size)}, allowed are {memory_size(max_bytes())}; "
            "save it smaller, or set MOEBIUS_MAX_BYTES"
        )
    if not data:
        raise PhotoError(f"{name} is empty (0 bytes); copy or download it again")
    return data


def _decode(data: bytes, name: str) -> Image.Image:
    """The first picture of a file, loaded, as it is stored."""
    try:
        complete = with_clean_end(data) if data[:2] == b"\xff\xd8" else None
        image = Image.open(io.BytesIO(complete or data), formats=file_kinds.readable_formats())
        _check_pixels(image.width * image.height, name, f" ({image.width}×{image.height})")
        if image.format == "TIFF" and _is_raw(image, data):
            raise NotAPhotoError(f"{name} is {file_kinds.RAW}; it must be a photo: {file_kinds.KNOWN}")
        frames = _count_pictures(image, data)
        if frames > 1:
            raise PhotoError(
                f"{name} holds {frames} pictures (an animation, or several pages); save the one you want as a "
                "file of its own"
            )
        image.load()
        if image.format == "TIFF":
            tiff.grey_scale(data)  # a directory that Pillow alone can read is damaged
        if complete:
            _check_whole(image, complete)
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        raise NotAPhotoError(f"{name} {file_kinds.guess(data)}; it must be a photo: {file_kinds.KNOWN}") from error
    except Image.DecompressionBombError as error:
        pixels = next(iter(re.findall(r"\((\d+) pixels", str(error))), 0)
        _check_pixels(int(pixels), name, "")
        raise TooLargeError(f"{name} is too large: {error}") from error
    except Exception as error:  # Pillow's decoders raise nearly everything on damaged files
        raise PhotoError(
            f"{name} is damaged or cut off ({_one_line(error)}); copy or download it again, or save it again"
        ) from error
    return image


def _check_whole(image: Image.Image, data: bytes) -> None:
    """Raise ValueError where the scans of a JPEG whose end marker was missing break off.

    A decoder takes what stands behind the scans for pixels only where pixels are missing.
    """
    with Image.open(io.BytesIO(data[:-2] + b"\x35\x5a" * 2048 + data[-2:]), formats=("JPEG", "MPO")) as longer:
        if longer.tobytes() != image.tobytes():
            raise ValueError("the image file is truncated")


def _count_pictures(image: Image.Image, data: bytes) -> int:
    """Pictures among which one would have to choose: frames of an animation, pages of a TIFF."""
    if image.format in ("MPO", "HEIF"):
        return 1
    frames = getattr(image, "n_frames", 1)
    return tiff_parts.count_pages(data) if image.format == "TIFF" and frames > 1 else frames


def _check_pixels(pixels: int, name: str, size: str) -> None:
    if pixels > max_pixels():
        raise TooLargeError(
            f"{name} is too large: {pixels / 1e6:.0f} megapixels{size}, allowed are {max_pixels() / 1e6:.0f}; "
            "scale it down, or set MOEBIUS_MAX_PIXELS"
        )
    if pixels == 0:
        raise PhotoError(f"{name} has no pixels{size}; copy or download it again")


def _is_raw(image: Image.Image, data: bytes) -> bool:
    """Whether a TIFF is a camera's raw file (DNG, NEF, ARW, CR2): its first picture is a smaller copy of another."""
    tags = getattr(image, "tag_v2", {})
    return data[8:10] == b"CR" or 50706 in tags or bool(tags.get(254, 0) & 1)  # 50706: DNGVersion


def _raster(image: Image.Image, data: bytes, name: str, orientation: int) -> Raster:
    """The picture as it is shown. Pillow cuts 16-bit colour to 8 bits, so that is read again."""
    depths = getattr(image, "tag_v2", {}).get(258, (8,))
    try:
        if image.format == "PNG" and png.read_header(data).depth == 16 and not image.mode.startswith("I;16"):
            return as_shown(png.read_16bit(data), orientation)
        if image.format == "TIFF" and max(depths) > 8 and image.mode in ("RGB", "RGBA"):
            return as_shown(tiff.read_16bit(data), orientation)
    except ValueError as error:
        raise PhotoError(f"{name} has 16 bits a channel in a form that cannot be read: {error}") from error
    if image.mode not in images.MODES or (image.mode == "CMYK" and max(depths) > 8):
        what = "16-bit CMYK" if image.mode == "CMYK" else image.mode
        raise PhotoError(f"{name} has colours of the kind {what}, which are not supported; save it as RGB")
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        image = _grey_as_shown(image, data)
    raster = image.copy() if image.format == "TIFF" else as_shown(image.copy(), orientation)  # Pillow turns TIFFs
    raster.info = {k: v for k, v in image.info.items() if k in ("icc_profile", "transparency")}
    return raster


def _grey_as_shown(image: Image.Image, data: bytes) -> Image.Image:
    """A grey TIFF of more than 8 bits, which Pillow gives as stored: 0 may be white, and 12 bits end at 4095."""
    white_is_zero, bits = tiff.grey_scale(data)
    if not white_is_zero and bits == 16:
        return image
    grey = np.asarray(image).astype(np.uint32)
    grey = grey if bits == 16 else (grey * 65535 + (2**bits - 1) // 2) // (2**bits - 1)
    grey = 65535 - grey if white_is_zero else grey
    shown = Image.frombytes(image.mode, image.size, grey.astype(">u2" if image.mode == "I;16B" else "<u2").tobytes())
    shown.format, shown.info = image.format, image.info
    return shown


def _orientation(image: Image.Image, data: bytes) -> tuple[int, tuple[str, ...]]:
    """EXIF orientation, 1 where there is none, and a note where the EXIF data are damaged."""
    try:
        exif = image.info.get("exif")
        if exif:
            body = exif.removeprefix(b"Exif\0\0")
            read_directory(body, layout := read_layout(body), layout.first)
        # Pillow forgets a TIFF's orientation when it has loaded and turned it
        orientation = tiff.read_orientation(data) if image.format == "TIFF" else image.getexif().get(274, 1)
    except Exception:  # Pillow's parser, too, raises nearly everything
        return 1, ("The photo's EXIF data are damaged, so it is taken as it is stored.",)
    return (orientation if orientation in range(1, 9) else 1), ()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return re.sub(r" ?<_?io\.BytesIO[^>]*>", "", text)[:160] or type(error).__name__


# ---- writing ----


def encode_photo(
    photo: Photo, raster: Raster, changed: np.ndarray, suffix: str | None = None, mark: str | None = None
) -> Encoded:
    """The edited photo as a file of the same format, or of the one that `suffix` (".png") names.

    In the same format it stays what it was: stored orientation and its EXIF tag, metadata, bit depth, and as far
    as the format allows the coded data of everything that was not touched. Thumbnails show the edited photo.

    Args:
        raster: the edited `photo.raster`, same size and mode; one of another size is written whole.
        changed: (H, W) bool, the pixels that may differ; if none and no other format: the original file, verbatim.
        mark: how the edit was made, a word of `moebius.photo.ai_mark`, for the file's XMP; None: no mark. An unchanged
            photo is never marked.

    Raises:
        PhotoError: the suffix is unknown, or the format cannot hold this photo.
    """
    kind = photo.format if suffix is None else format_of(suffix)
    if kind == "HEIF" and kind not in file_kinds.readable_formats():
        raise PhotoError("HEIC files are written with the package pillow-heif, which is missing; choose .avif")
    size = size_of(raster)
    if changed.shape != size[::-1]:
        raise ValueError(f"the edited photo is {size}, `changed` {changed.shape[::-1]}")
    mark = mark if changed.any() else None
    resized = size != photo.size  # the published recipe's picture: nothing of the original's coding fits it
    if kind == photo.format and not changed.any() and not resized:
        return Encoded(data=photo.data, format=kind)
    hdr = gain_map.read(photo.data) if kind == photo.format == "JPEG" and not resized else None
    try:
        if kind != photo.format or resized:
            data, notes = other_formats.convert(photo.data, photo.format, kind, raster, mark)
        else:
            stored, where = as_stored(raster, photo.orientation), as_stored(changed, photo.orientation)
            hdr = gain_map.fill(hdr, where, cast(Image.Image, stored)) if hdr else None
            data, notes = _encode_stored(photo, stored, where, mark, hdr is not None)
    except Exception as error:  # damaged metadata make Pillow's encoders, too, raise nearly everything
        raise PhotoError(
            f"{photo.name} cannot be written as {kind} ({_one_line(error)}); choose another format, e.g. .png"
        ) from error
    if mark and kind in ai_mark.IN_PLACE:
        data, more = ai_mark.add(data, kind, mark)
        notes = (*notes, *more)
    elif mark and kind in ("BMP", "GIF"):
        notes = (*notes, ai_mark.cannot(kind))
    if hdr:  # last, because it counts the photo's bytes
        data = gain_map.attach(data, hdr)
    if changed.any():
        try:
            privacy.check(data, kind, photo.raster, raster, changed, photo.orientation)
        except privacy.StillShown as error:
            raise PhotoError(f"{photo.name}: {error}; choose another format, e.g. .png") from error
    return Encoded(data=data, format=kind, notes=notes)


def format_of(suffix: str) -> str:
    """The format that a file name's suffix stands for. Raises PhotoError for an unknown one."""
    for kind, known in SUFFIXES.items():
        if suffix.lower() in known:
            return kind
    raise PhotoError(f"cannot write files with the suffix {suffix!r}; choose from {', '.join(suffixes())}")


def _encode_stored(
    photo: Photo, stored: Raster, changed: np.ndarray, mark: str | None, keeps_map: bool
) -> tuple[bytes, tuple[str, ...]]:
    """The edited photo in its own format; `stored` and `changed` are not turned."""
    if photo.format == "JPEG":
        return jpeg.encode_jpeg(photo.data, cast(Image.Image, stored), changed, keeps_map)
    if photo.format == "PNG":
        before = as_stored(photo.raster, photo.orientation)
        return png.encode_png(photo.data, before, stored, changed)
    if photo.format == "TIFF":
        try:
            return tiff.encode_tiff(photo.data, stored, changed)
        except ValueError:  # odd, or damaged; Pillow may know more
            if isinstance(stored, np.ndarray):
                raise
    # arrays of 16 bits are PNG's and TIFF's alone
    return other_formats.encode_again(photo.data, photo.format, cast(Image.Image, stored), mark)
