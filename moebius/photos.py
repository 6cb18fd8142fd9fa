"""Photo files in and out: what is opened, within which limits, and how the edited photo becomes a file again."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from moebius import images
from moebius.orientation import as_shown, as_stored

if TYPE_CHECKING:
    from moebius.inpainter import Raster

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
}
"""The formats that are read and written, with the suffixes of their files, the usual one first."""

_READ = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
_one_at_a_time = threading.RLock()  # warning filters belong to the whole process


class PhotoError(ValueError):
    """A file that is not a photo we can take; the message says what it is, what is allowed and what to do."""


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
    notes: tuple[str, ...] = ()
    """Plain sentences on what was peculiar about the file."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as shown."""
        if isinstance(self.raster, np.ndarray):
            return self.raster.shape[1], self.raster.shape[0]
        return self.raster.size

    @property
    def suffix(self) -> str:
        """The file name's suffix where it fits the content, else the format's usual one."""
        own = Path(self.name).suffix
        return own if own.lower() in SUFFIXES[self.format] else SUFFIXES[self.format][0]

    @property
    def mime(self) -> str:
        return f"image/{self.format.lower()}"


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A file to be written, and what is worth saying about it."""

    data: bytes
    format: str
    notes: tuple[str, ...] = ()


# ---- opening ----


def open_photo(source: Path | str | bytes, name: str | None = None) -> Photo:
    """Open a photo from a file or from its bytes. The content decides what it is, not the suffix.

    Raises:
        PhotoError: there is no such file, it is too large, or it is no photo that can be read.
    """
    name = name or (Path(source).name if not isinstance(source, bytes) else "the picture")
    data = _read(source, name)
    with _quiet():
        try:
            image = Image.open(io.BytesIO(data), formats=_READ)
            _check_size(image.size, name)
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise PhotoError(f"{name} holds {image.n_frames} pictures (animated, or several pages).")
            image.load()
        except PhotoError:
            raise
        except Exception as error:
            raise PhotoError(f"{name} cannot be read: {error}") from error
        orientation, notes = _orientation(image)
    format = "JPEG" if image.format == "MPO" else image.format  # noqa: A001
    if image.mode not in images.MODES:
        raise PhotoError(f"{name} has the colour mode {image.mode}, which is not supported.")
    raster = as_shown(image.copy(), orientation)
    return Photo(raster=raster, format=format, data=data, orientation=orientation, name=name, notes=notes)


def open_mask(source: Path | str | bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """Open a mask, (H, W) bool, True = repaint (see `images.mask_array`).

    Args:
        size: width and height of the photo; None leaves the check to the caller.

    Raises:
        PhotoError: as `open_photo`; the size is another one; the mask is full.
    """
    photo = open_photo(source, None if not isinstance(source, bytes) else "the mask")
    try:
        mask = images.mask_array(photo.raster)
        if size is not None:
            images.check_mask(mask, (size[1], size[0]))
    except ValueError as error:
        raise PhotoError(str(error)) from error
    return mask


def max_bytes() -> int:
    return int(os.environ.get("MOEBIUS_MAX_BYTES", 256 * 2**20))


def max_pixels() -> int:
    return int(os.environ.get("MOEBIUS_MAX_PIXELS", 128_000_000))


def _read(source: Path | str | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise PhotoError(f"{name} cannot be opened: {error.strerror or error}") from error
    if not data:
        raise PhotoError(f"{name} is empty.")
    if len(data) > max_bytes():
        raise PhotoError(
            f"{name} is too large: {len(data)} bytes; {max_bytes()} are allowed (MOEBIUS_MAX_BYTES)."
        )
    return data


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > max_pixels():
        raise PhotoError(f"{name} is too large: {size[0]}×{size[1]}; at most {max_pixels()} pixels.")


def _orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    try:
        orientation = image.getexif().get(274, 1)
    except Exception:
        return 1, ("The photo's EXIF data is damaged; the photo is taken as it is stored.",)
    return (orientation if orientation in range(1, 9) else 1), ()


@contextmanager
def _quiet() -> Iterator[None]:
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# ---- encoding ----


def encode_photo(photo: Photo, raster: Raster, changed: np.ndarray, suffix: str | None = None) -> Encoded:
    """The edited photo as a file of the same format, or of the one that `suffix` (".png") names.

    Args:
        raster: edited `photo.raster`, same size and mode.
        changed: (H, W) bool, the pixels that differ; none and no other format: the original file, verbatim.
    """
    format = photo.format  # noqa: A001
    if suffix is not None:
        format = next((f for f, s in SUFFIXES.items() if suffix.lower() in s), None)  # noqa: A001
        if format is None:
            raise PhotoError(f"cannot write {suffix!r} files")
    if not changed.any() and format == photo.format:
        return Encoded(data=photo.data, format=format)
    stored = as_stored(raster, photo.orientation)
    out = io.BytesIO()
    with _quiet():
        original = Image.open(io.BytesIO(photo.data), formats=_READ)
        keep = {k: original.info[k] for k in ("exif", "icc_profile", "dpi", "xmp") if original.info.get(k)}
        if format == "JPEG" and stored.mode not in ("L", "RGB", "CMYK"):
            stored = stored.convert("RGB")
        stored.save(out, format=format, **keep)
    return Encoded(data=out.getvalue(), format=format)


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write a file whole or not at all: beside its place first, then moved there.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _permissions(path))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, else what a new file gets (mkstemp makes private ones)."""
    if path.exists():
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
