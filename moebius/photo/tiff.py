"""TIFF: an edited photo back into its file, strip by strip; directory, tags and untouched strips stay as they are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from moebius.photo import images
from moebius.photo.embedded_thumbnails import hide_pictures
from moebius.photo.ifd import (
    Entry,
    Layout,
    read_directory,
    read_layout,
    read_values,
    repeated_tags,
    write_values,
)
from moebius.photo.tiff_parts import without_other_pictures, zero
from moebius.photo.tiff_tags import DIRECTORIES, PROFILE, STRUCTURE

_WHITE_IS_ZERO, _COLOURS = 0, {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}  # photometric interpretation -> colour samples
_PREMULTIPLIED = 1
_MIN_PICTURE_BYTES = 100
_BYTES = (1, 2, 7)
"""Types of values that may be a picture or hold one: XMP, Photoshop's resources, MakerNotes, descriptions."""


FURTHER_FILLED = "The TIFF's further channels (infrared, spot colours or selections) were smoothed over in the hole."
FURTHER_LEFT_OUT = "The TIFF's further channels (infrared, spot colours or selections) were left out."


class UnsupportedTiff(ValueError):
    """A TIFF whose strips this module cannot write."""


@dataclass(frozen=True)
class Strips:
    """Where the samples of a TIFF's first picture lie and how they are stored."""

    layout: Layout
    width: int
    height: int
    samples: int
    """Samples a pixel, extra ones included."""
    dtype: np.dtype
    photometric: int
    extra: int | None
    """Meaning of the first extra sample: 1 premultiplied alpha, 2 alpha, 0 unspecified; None: there is none."""
    further: tuple[int, ...]
    """Samples that are neither colours nor that alpha: infrared, spot colours, selections."""
    planar: bool
    """Whether every sample has strips of its own."""
    compression: int
    predictor: bool
    tile: tuple[int, int]
    """Height and width of a strip or tile."""
    tiled: bool
    offsets: Entry
    counts: Entry

    def boxes(self) -> Iterator[tuple[int, slice, int, int, int]]:
        """(sample plane, samples, top, left, stored rows) of every strip or tile, in the file's order."""
        height, width = self.tile
        planes = range(self.samples) if self.planar else (None,)
        for plane in planes:
            samples = slice(plane, plane + 1) if self.planar else slice(0, self.samples)
            for top in range(0, self.height, height):
                for left in range(0, self.width, width):
                    rows = height if self.tiled else min(height, self.height - top)
                    yield plane or 0, samples, top, left, rows


def read_orientation(data: bytes) -> int:
    """The orientation tag, 1 where there is none. Raises ValueError where the directory is damaged."""
    layout = read_layout(data)
    entries, _ = read_directory(data, layout, layout.first)
    return read_values(data, layout, entries[274])[0] if 274 in entries else 1


def grey_scale(data: bytes) -> tuple[bool, int]:
    """Whether 0 is white, and the bits a sample, of a grey TIFF. Raises ValueError where the directory is damaged."""
    layout = read_layout(data)
    entries, _ = read_directory(data, layout, layout.first)
    meaning, bits = (read_values(data, layout, entries[tag])[0] if tag in entries else 1 for tag in (262, 258))
    return meaning == _WHITE_IS_ZERO, bits


def count_samples(data: bytes) -> int:
    """Samples a pixel; 0 where that cannot be read."""
    try:
        layout = read_layout(data)
        entries, _ = read_directory(data, layout, layout.first)
        return read_values(data, layout, entries[277])[0] if 277 in entries else 1
    except (ValueError, IndexError):
        return 0


def read_strips(data: bytes) -> Strips:
    """Raises UnsupportedTiff for all but 8 or 16 bits a sample, unsigned, in a compression of `_codec`."""
    layout = read_layout(data)
    entries, _ = read_directory(data, layout, layout.first)
    if repeated := STRUCTURE & repeated_tags(data, layout, layout.first):
        raise UnsupportedTiff(f"the TIFF has tag {min(repeated)} twice")

    def get(tag: int, default: tuple) -> tuple:
        return read_values(data, layout, entries[tag]) if tag in entries else default

    tiled = 324 in entries
    where, lengths = (324, 325) if tiled else (273, 279)
    if not {256, 257, where, lengths} <= entries.keys():
        raise UnsupportedTiff("the TIFF has no complete directory")
    (width,), (height,), (samples,) = get(256, ()), get(257, ()), get(277, (1,))
    bits, formats = set(get(258, (1,))), set(get(339, (1,)))
    (photometric,), (compression,), (predictor,) = get(262, (1,)), get(259, (1,)), get(317, (1,))
    if bits not in ({8}, {16}) or formats != {1} or get(266, (1,)) != (1,):
        raise UnsupportedTiff(f"TIFF samples of {bits} bits, format {formats}")
    if photometric not in _COLOURS or samples < _COLOURS[photometric] or predictor not in (1, 2):
        raise UnsupportedTiff(f"TIFF colours {photometric} with {samples} samples, predictor {predictor}")
    _codec(compression)
    missing = 2 if photometric == 2 and samples == 4 else None  # RGBA of writers that forget to say so
    colours = _COLOURS[photometric]
    extra = get(338, (missing,))[0] if samples > colours else None
    return Strips(
        layout=layout,
        width=width,
        height=height,
        samples=samples,
        dtype=np.dtype(np.uint8 if bits == {8} else np.uint16),
        photometric=photometric,
        extra=extra,
        further=tuple(range(colours + (extra in (1, 2)), samples)),
        planar=get(284, (1,)) == (2,) and samples > 1,
        compression=compression,
        predictor=predictor == 2,
        tile=(get(323, ())[0], get(322, ())[0]) if tiled else (min(get(278, (height,))[0], height), width),
        tiled=tiled,
        offsets=entries[where],
        counts=entries[lengths],
    )


def read_16bit(data: bytes) -> np.ndarray:
    """A 16-bit RGB TIFF, which Pillow reads as 8 bits, as (H, W, 3 | 4) uint16.

    Raises:
        ValueError: the file is damaged, or not of the kind of `read_strips`.
    """
    strips = read_strips(data)
    out = np.zeros((strips.height, strips.width, strips.samples), strips.dtype)
    for (_, samples, top, left, rows), where, length in zip(strips.boxes(), *_places(data, strips), strict=False):
        stored = _decode(data[where : where + length], strips, rows, samples)
        here = out[top : top + rows, left : left + strips.tile[1], samples]
        here[:] = stored[: here.shape[0], : here.shape[1]]
    colours = _COLOURS[strips.photometric]
    return np.ascontiguousarray(out[..., : colours + (strips.extra in (1, 2))])


def encode_tiff(data: bytes, raster: Image.Image | np.ndarray, changed: np.ndarray) -> tuple[bytes, tuple[str, ...]]:
    """The TIFF `data` with the colours of `raster` where `changed`, and notes; alpha stays, see `_further` for others.

    A changed strip is written over the old one where it fits, else behind the file's end. No old pixels remain:
    what is left of the old strip is zeroed.

    Args:
        raster: as stored, of the mode in which `data` was opened.
        changed: (H, W) bool, as stored.

    Raises:
        UnsupportedTiff: as `read_strips`.
    """
    data, notes = without_other_pictures(data)
    strips = read_strips(data)
    out = bytearray(data)
    _hide_pictures(out, strips.layout, images.preview(raster))
    pixels = np.asarray(raster)
    offsets, counts = _places(data, strips)
    further, is_smoothed = _further(data, strips, changed)
    notes += (FURTHER_FILLED,) if is_smoothed else ()
    shared, gone = _overlap(offsets, counts), []
    for index, (_, samples, top, left, rows) in enumerate(strips.boxes()):
        window = slice(top, top + rows), slice(left, left + strips.tile[1])
        if not changed[window].any():
            continue
        where, length = offsets[index], counts[index]
        stored = _decode(data[where : where + length], strips, rows, samples)
        _put(stored, strips, pixels, changed, window, samples)
        for sample in set(strips.further).intersection(range(samples.start, samples.stop)):
            mask = changed[window]
            here = stored[: mask.shape[0], : mask.shape[1], sample - samples.start]
            here[mask] = further[sample][window][mask]
        new = _encode(stored, strips)
        if len(new) <= length and not shared:
            out[where : where + length] = new.ljust(length, b"\0")
        else:
            gone.append((where, where + length))
            out += b"\0" * (len(out) % 2)
            offsets[index] = len(out)
            out += new
        counts[index] = len(new)
    kept = [(where, where + count) for where, count in zip(offsets, counts, strict=True)] if gone else []
    for start, end in gone:
        zero(out, start, end, kept)
    try:
        write_values(out, strips.layout, strips.offsets, tuple(offsets))
        write_values(out, strips.layout, strips.counts, tuple(counts))
    except struct.error as error:  # 16-bit offsets, or more than 4 GiB
        raise UnsupportedTiff("the TIFF's directory has no room for the new strips") from error
    return bytes(out), notes


def _hide_pictures(data: bytearray, layout: Layout, preview: Image.Image) -> None:
    """Make the pictures inside of tags show the edited picture, in place."""
    for start, end in _long_values(data, layout, layout.first):
        data[start:end] = hide_pictures(bytes(data[start:end]), preview)


def _long_values(data: bytearray, layout: Layout, at: int, above: tuple[int, ...] = ()) -> Iterator[tuple[int, int]]:
    """(start, end) of values that have room for a picture, in a directory and those below it (EXIF, GPS).

    Args:
        above: offsets of the directories that this one lies in.
    """
    try:
        entries, _ = read_directory(data, layout, at)
    except ValueError:
        return
    for tag, entry in entries.items():
        if tag in DIRECTORIES and at not in above:
            yield from _long_values(data, layout, read_values(data, layout, entry)[0], (*above, at))
        elif entry.kind in _BYTES and entry.count >= _MIN_PICTURE_BYTES and tag != PROFILE:
            yield entry.offset, min(entry.offset + entry.count, len(data))


def _places(data: bytes, strips: Strips) -> tuple[list[int], list[int]]:
    """Offsets and byte counts; some writers claim more bytes than the file has."""
    offsets = read_values(data, strips.layout, strips.offsets)
    counts = read_values(data, strips.layout, strips.counts)
    if len(offsets) != len(counts) or len(counts) < sum(1 for _ in strips.boxes()):
        raise UnsupportedTiff("the TIFF's directory lacks strips")
    if max(offsets) >= len(data):
        raise UnsupportedTiff("a strip of the TIFF lies outside the file")
    return list(offsets), [min(c, len(data) - o) for o, c in zip(offsets, counts, strict=True)]


def _overlap(offsets: list[int], counts: list[int]) -> bool:
    """Whether strips have bytes in common: of strips that are alike some writers store one."""
    end = 0
    for where, count in sorted(zip(offsets, counts, strict=True)):
        if where < end:
            return True
        end = max(end, where + count)
    return False


def _further(data: bytes, strips: Strips, changed: np.ndarray) -> tuple[dict[int, np.ndarray], bool]:
    """The samples `strips.further`, (H, W) each, without what is under the hole, and whether anything was there.

    In every row the values where `changed` go straight from those on the left to those on the right. Rows without
    changed pixels are not read.
    """
    planes = {sample: np.zeros((strips.height, strips.width), strips.dtype) for sample in strips.further}
    for (_, samples, top, left, count), where, length in zip(strips.boxes(), *_places(data, strips), strict=False):
        inside = planes.keys() & range(samples.start, samples.stop)
        if inside and changed[top : top + count].any():
            stored = _decode(data[where : where + length], strips, count, samples)
            for sample in inside:
                here = planes[sample][top : top + count, left : left + strips.tile[1]]
                here[:] = stored[: here.shape[0], : here.shape[1], sample - samples.start]
    is_smoothed = False
    for plane in planes.values():
        for row in np.flatnonzero(changed.any(axis=1)):
            hole, known = np.flatnonzero(changed[row]), np.flatnonzero(~changed[row])
            new = np.rint(np.interp(hole, known, plane[row, known])) if known.size else np.zeros(hole.size)
            is_smoothed |= not np.array_equal(new, plane[row, hole])
            plane[row, hole] = new
    return planes, is_smoothed


def _put(
    stored: np.ndarray,
    strips: Strips,
    pixels: np.ndarray,
    changed: np.ndarray,
    window: tuple[slice, slice],
    samples: slice,
) -> None:
    """Write the changed pixels' colours into the decoded strip (rows, width, samples), in place."""
    pixels = pixels[window]
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    mask = changed[window]
    here = stored[: mask.shape[0], : mask.shape[1]]  # a tile may reach over the edge
    for sample in range(_COLOURS[strips.photometric])[samples]:
        new = pixels[..., sample][mask]
        if strips.photometric == _WHITE_IS_ZERO:
            new = np.iinfo(strips.dtype).max - new
        if strips.extra == _PREMULTIPLIED:
            alpha = pixels[..., -1][mask]
            new = (new.astype(int) * alpha + 127) // 255 if new.dtype == np.uint8 else np.minimum(new, alpha)
        here[..., sample - samples.start][mask] = new


# ---- one strip ----


def _codec(compression: int) -> tuple[Callable[[bytes], bytes | bytearray], Callable[[bytes], bytes | bytearray]]:
    """Decoder and encoder of a TIFF compression; all of them are lossless."""
    if compression == 1:
        return bytes, bytes
    if compression in (8, 32946):
        return zlib.decompress, zlib.compress
    if compression in (5, 32773):
        import imagecodecs

        if compression == 5:
            return imagecodecs.lzw_decode, imagecodecs.lzw_encode
        return imagecodecs.packbits_decode, imagecodecs.packbits_encode
    raise UnsupportedTiff(f"TIFF compression {compression}")


def _decode(raw: bytes, strips: Strips, rows: int, samples: slice) -> np.ndarray:
    """Bytes of a strip -> (rows, tile width, samples)."""
    shape = rows, strips.tile[1], samples.stop - samples.start
    try:
        plain = bytes(_codec(strips.compression)[0](raw))
        stored = strips.dtype.newbyteorder(strips.layout.order)
        values = np.frombuffer(plain, stored, count=shape[0] * shape[1] * shape[2])
    except (zlib.error, RuntimeError, ValueError) as error:  # imagecodecs raises RuntimeError
        raise UnsupportedTiff(f"a damaged strip ({error})") from error
    values = values.astype(strips.dtype).reshape(shape)
    return values.cumsum(axis=1, dtype=strips.dtype) if strips.predictor else values


def _encode(values: np.ndarray, strips: Strips) -> bytes:
    """The inverse of `_decode`."""
    if strips.predictor:
        values = np.diff(values, axis=1, prepend=np.zeros_like(values[:, :1]))
    plain = values.astype(strips.dtype.newbyteorder(strips.layout.order)).tobytes()
    return bytes(_codec(strips.compression)[1](plain))
