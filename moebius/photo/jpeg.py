"""JPEG: an edited photo back into its file, block by block, so that what was not touched loses nothing.

A JPEG stores 8×8 blocks of quantised DCT coefficients. Only the blocks under the edit are computed again, with the
file's own tables and subsampling; all others keep their coefficients, and header segments are copied as they are.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, JpegImagePlugin

from moebius.photo import images, trailer
from moebius.photo.jpeg_metadata import keep_metadata
from moebius.photo.jpeg_segments import FRAMES, SOS, Segment, join_segments, read_segments, with_clean_end
from moebius.photo.silence import quiet

APP14 = 0xEE
_STORED = {"JCS_GRAYSCALE": 1, "JCS_YCbCr": 3, "JCS_RGB": 3, "JCS_CMYK": 4, "JCS_YCCK": 4}
"""jpeglib's names of the colours of files, and how many components each has. It calls YCCK CMYK, too."""
HUFFMAN, PROGRESSIVE, ARITHMETIC = (0xC0, 0xC1), (0xC2, 0xCA), (0xC9, 0xCA)


def encode_jpeg(
    data: bytes, picture: Image.Image, changed: np.ndarray, keeps_map: bool = False
) -> tuple[bytes, tuple[str, ...]]:
    """The JPEG `data` with `picture` where `changed`; every block without a changed pixel keeps its coefficients.

    Tables, subsampling, coding and metadata stay. What does not: restart markers, which only serve broken
    transmission, and the script of scans of progressive files. Thumbnails in the metadata are replaced.

    Args:
        picture: as stored (not turned), L, RGB or CMYK like the file.
        changed: (H, W) bool, as stored.
        keeps_map: the gain map behind the photo will be attached again, so its description stays.

    Returns:
        The file, without anything behind its end, and notes on what could not be kept.
    """
    segments, end = read_segments(data)
    note = None if keeps_map else trailer.describe_left_out(data, segments, end)
    complete = with_clean_end(data, segments)
    segments = read_segments(complete)[0] if complete else segments
    has_trailer = not keeps_map and (complete is not None or end < len(data))
    header, notes = keep_metadata(segments, images.preview(picture), has_trailer)
    notes += [note] if note else []
    why = _reason_to_recode(segments)
    new = None if why else _transplant(segments, np.asarray(picture), changed)
    if new is None:
        why = why or "damaged or unusual data"
        new = _compress_again(complete or data, picture)
        header = [s for s in header if s.marker != APP14] + [s for s in new if s.marker == APP14]
        notes.append(f"The whole JPEG was compressed again with the same tables, because of its {why}.")
    return join_segments(header + [s for s in new if not s.is_metadata]), tuple(notes)


def _reason_to_recode(segments: list[Segment]) -> str | None:
    """Why the coefficients cannot be taken over; None if they can."""
    frame = next(s for s in segments if s.marker in FRAMES)
    if frame.marker not in (*HUFFMAN, *PROGRESSIVE, *ARITHMETIC) or frame.payload[0] != 8:
        return "unusual coding"
    count = frame.payload[5]
    if count not in (1, 3, 4):
        return "unusual colours"
    sampling = [divmod(byte, 16) for byte in frame.payload[7 : 6 + 3 * count : 3]]
    if any(max(axis) % factor for axis in zip(*sampling, strict=True) for factor in axis):
        return "unusual subsampling"
    return None


# ---- coefficients ----


def _transplant(segments: list[Segment], pixels: np.ndarray, changed: np.ndarray) -> list[Segment] | None:
    """Segments of a JPEG with the old coefficients where nothing changed; None where jpeglib cannot read them."""
    import jpeglib

    # jpeglib stores at most 50 metadata segments; it needs those that say what the colours mean
    core = [s for s in segments if not s.is_metadata or s.payload.startswith((b"JFIF", b"Adobe"))]
    frame = next(s.marker for s in segments if s.marker in FRAMES)
    # `quiet` also lets in one thread at a time: jpeglib keeps its library and its markers in globals
    with quiet(stderr=True), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(join_segments(core))
        # The library that a JPEG is written with decides its mode: mozjpeg always writes progressive files.
        jpeglib.version.set("mozjpeg300" if frame == 0xC2 else "turbo210")
        try:
            dct = jpeglib.read_dct(str(path))
            colours = dct.jpeg_color_space.name
            dct.load()
        except OSError:
            return None
        if colours not in _STORED:
            return None
        components = [getattr(dct, name) for name in ("Y", "Cb", "Cr", "K")[: _STORED[colours]]]
        tables = [dct.get_component_qt(i) for i in range(len(components))]
        factors = np.asarray(dct.samp_factor) if len(components) > 1 else np.ones((1, 2), int)
        planes = pixels.reshape(*changed.shape, -1)
        ycbcr = colours == "JCS_YCbCr"
        if len(components) == 4:  # Adobe stores 255 - ink (TN 5116); in YCCK, ink itself is what became YCbCr
            ycbcr = _is_ycck(core)
            planes = np.dstack([planes[..., :3] if ycbcr else 255 - planes[..., :3], 255 - planes[..., 3]])
        recode_blocks(components, tables, factors, planes, changed, ycbcr)
        try:
            dct.write_dct(str(path), flags=["+ARITH_CODE" if frame in ARITHMETIC else "+OPTIMIZE_CODING"])
        except OSError:
            return None
        return _with_component_ids(read_segments(path.read_bytes())[0], _component_ids(segments))


def _is_ycck(segments: list[Segment]) -> bool:
    """Whether the Adobe segment (TN 5116) says that the first three of four components are YCbCr."""
    return any(s.marker == APP14 and s.payload[:5] == b"Adobe" and s.payload[11:12] == b"\2" for s in segments)


def _component_ids(segments: list[Segment]) -> bytes:
    frame = next(s for s in segments if s.marker in FRAMES)
    return frame.payload[6::3][: frame.payload[5]]


def _with_component_ids(segments: list[Segment], ids: bytes) -> list[Segment]:
    """The segments with other component numbers: jpeglib counts from 0, and without further markers decoders take
    the numbers "RGB" for RGB."""
    new, out = dict(zip(_component_ids(segments), ids, strict=True)), []
    for segment in segments:
        raw = bytearray(segment.raw)
        first, step = {SOS: (5, 2)}.get(segment.marker, (10, 3))
        if segment.marker == SOS or segment.marker in FRAMES:
            for at in range(first, first + step * raw[first - 1], step):
                raw[at] = new[raw[at]]
        out.append(Segment(segment.marker, bytes(raw)))
    return out


def recode_blocks(
    components: list[np.ndarray],
    tables: list[np.ndarray],
    factors: np.ndarray,
    pixels: np.ndarray,
    changed: np.ndarray,
    ycbcr: bool,
) -> None:
    """Replace, in place, the coefficients of every block that has a changed pixel.

    Args:
        components: per component (block rows, block columns, 8, 8) int16.
        tables: per component (8, 8), the quantisation steps.
        factors: (components, 2), vertical and horizontal sampling factors; each divides the largest of its axis.
        pixels: (H, W, components) uint8.
        changed: (H, W) bool.
        ycbcr: whether the file stores the first three, RGB, as YCbCr.
    """
    largest = factors.max(axis=0)
    tile_h, tile_w = 8 * largest  # the pixels of one minimum coded unit
    changed_tiles = _tiles(changed, tile_h, tile_w, "constant")
    rows, columns = np.nonzero(changed_tiles.any(axis=(2, 3)))
    pixel_tiles = _tiles(pixels, tile_h, tile_w, "edge")
    for some in np.array_split(np.arange(len(rows)), len(rows) // 4096 + 1):  # bounds the memory
        ys, xs = rows[some], columns[some]
        samples = pixel_tiles[ys, xs].astype(np.float32)  # (n, tile_h, tile_w, C)
        if ycbcr:
            samples[..., :3] = samples[..., :3] @ _YCBCR.T + np.array([0, 128, 128], np.float32)
        for c, (v, h) in enumerate(factors):
            fy, fx = largest // (v, h)
            plane = samples[..., c].reshape(len(ys), v * 8, fy, h * 8, fx).mean(axis=(2, 4)) - 128
            blocks = plane.reshape(len(ys), v, 8, h, 8).swapaxes(2, 3)  # (n, v, h, 8, 8)
            coefficients = np.rint(_DCT @ blocks @ _DCT.T / tables[c]).clip(-1023, 1023)
            touched = changed_tiles[ys, xs].reshape(len(ys), v, fy * 8, h, fx * 8).any(axis=(2, 4))
            by = np.broadcast_to(ys[:, None, None] * v + np.arange(v)[:, None], touched.shape)
            bx = np.broadcast_to(xs[:, None, None] * h + np.arange(h), touched.shape)
            # the last tiles may reach over the component's last row or column of blocks
            touched &= (by < components[c].shape[0]) & (bx < components[c].shape[1])
            components[c][by[touched], bx[touched]] = coefficients[touched]


def _tiles(array: np.ndarray, height: int, width: int, mode: Literal["constant", "edge"]) -> np.ndarray:
    """(H, W, ...) -> view (rows, columns, height, width, ...) of the padded array."""
    pad = [(0, -array.shape[0] % height), (0, -array.shape[1] % width)] + [(0, 0)] * (array.ndim - 2)
    padded = np.pad(array, pad, mode=mode)
    rows, columns = padded.shape[0] // height, padded.shape[1] // width
    return padded.reshape(rows, height, columns, width, *array.shape[2:]).swapaxes(1, 2)


_k, _x = np.mgrid[:8, :8]
_DCT = (np.cos((2 * _x + 1) * _k * np.pi / 16) * np.where(_k == 0, 8**-0.5, 0.5)).astype(np.float32)
"""Orthonormal DCT-II of 8 samples: `_DCT @ block @ _DCT.T`, the transform of ITU-T T.81, A.3.3."""
_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
"""RGB to YCbCr as in JFIF (ITU-T T.871, section 7)."""


# ---- the whole picture ----


def _compress_again(data: bytes, picture: Image.Image) -> list[Segment]:
    """All of the picture, compressed with the tables and the subsampling of `data` where Pillow can."""
    with quiet(), Image.open(io.BytesIO(data), formats=("JPEG",)) as original:
        sampling = JpegImagePlugin.get_sampling(original)
        options: dict[str, Any] = {
            "qtables": getattr(original, "quantization"),  # noqa: B009 - only JPEG files have it
            "subsampling": max(sampling, 0),
            "progressive": bool(original.info.get("progressive")),
        }
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return read_segments(out.getvalue())[0]
