"""What became of a photo file beside its hole."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from eval.faithfulness.photos import PhotoFile
from moebius.photo import cicp, gain_map, images, privacy
from moebius.photo.jpeg_segments import SOS, read_segments
from moebius.photo.photo_file import Photo, open_photo
from moebius.photo.raster import Raster

_NOT_COUNTED = re.compile(
    r"^(SourceFile|File:|ExifTool:|System:|Composite:|ICC|MPF|MPImage)|Offset|ByteCount|Thumbnail|RowsPerStrip|Compression"
    r"|Predictor|TileWidth|TileLength|PlanarConfig|:ImageWidth|:ImageHeight|ColorComponents|PNG:Filter|PNG:Interlace"
    r"|DirectoryItemLength|VP8|:JFIFVersion|XResolution|YResolution|ResolutionUnit|Brand|Meta:|BitsPerSample|Orientation"
)
"""Tags that say how pixels are stored, and those that have a column of their own."""
_MAX_UPRIGHT_ERROR = 25.0


def metadata(folder: Path) -> dict[str, dict[str, str]]:
    """What exiftool reads in each file of a folder, by name: tags with their groups."""
    command = ["exiftool", "-j", "-a", "-G1", "-s", "-n", "-b", "-r", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    return {
        Path(row["SourceFile"]).name: {key: str(value) for key, value in row.items() if not _NOT_COUNTED.search(key)}
        for row in json.loads(text or "[]")
    }


def measure(file: PhotoFile, result: bytes, hole: np.ndarray, old_tags: dict, new_tags: dict) -> dict:
    """Figures of one file; `unreadable` alone where it cannot be opened again.

    Args:
        old_tags, new_tags: of `metadata`.
    """
    before = open_photo(file.data, file.name)
    try:
        after = open_photo(result, file.name)
    except ValueError as error:
        return {"unreadable": str(error)}
    same_format = after.format == before.format
    old, new = images.to_rgb8(before.raster), images.to_rgb8(after.raster)
    upright = old.shape == new.shape and float(abs(old.astype(int) - new)[~hole].mean()) < _MAX_UPRIGHT_ERROR
    return {
        "same_format": same_format,
        "upright": upright,
        "changed_outside": float((old != new).any(axis=2)[~hole].mean()) if upright else 1.0,
        "changed_blocks": _changed_blocks(before, after, hole) if before.format == "JPEG" else None,
        "tags": len(old_tags),
        "tags_lost": sum(new_tags.get(key) != value for key, value in old_tags.items()),
        "depth_kept": _depth(after.raster) >= _depth(before.raster),
        "profile_kept": _colours(after) == _colours(before),
        "still_shown": _still_shown(after, before, hole) if upright else "",
        "gain_map_kept": gain_map.read(result) is not None if file.has_gain_map else None,
        "bytes": len(result),
        "bytes_before": len(file.data),
    }


def _depth(raster: Raster) -> int:
    return 16 if isinstance(raster, np.ndarray) or raster.mode.startswith("I;16") else 8


def _colours(photo: Photo) -> tuple:
    """What says what the colours mean."""
    from io import BytesIO

    with Image.open(BytesIO(photo.data)) as image:
        image.load()
        return image.info.get("icc_profile") or b"", cicp.read_cicp(photo.data, photo.format, image.info)


def _still_shown(after: Photo, before: Photo, hole: np.ndarray) -> str:
    """Which part of the new file still shows what was removed; empty: none."""
    try:
        privacy.check(after.data, after.format, before.raster, after.raster, hole, after.orientation)
    except privacy.StillShown as error:
        return str(error).split(" would still")[0]
    return ""


def _changed_blocks(before: Photo, after: Photo, hole: np.ndarray) -> float | None:
    """Share of the 8×8 blocks of luminance that have no pixel of the hole and have other coefficients now."""
    if after.format != "JPEG" or before.orientation not in (1, after.orientation):
        return 1.0
    if before.orientation != after.orientation or before.orientation != 1:
        return None
    old, new = _coefficients(before.data), _coefficients(after.data)
    if old is None:
        return None
    if new is None or old.shape != new.shape:
        return 1.0
    rows, columns = old.shape[:2]
    padded = np.zeros((rows * 8, columns * 8), bool)
    padded[: hole.shape[0], : hole.shape[1]] = hole
    outside = ~padded.reshape(rows, 8, columns, 8).any(axis=(1, 3))
    return float((old != new).any(axis=(2, 3))[outside].mean())


def _coefficients(data: bytes) -> np.ndarray | None:
    """Dequantised coefficients of luminance, (rows, columns, 8, 8); None where jpeglib cannot read them."""
    import jpeglib

    segments, end = read_segments(data)
    bare = [s for s in segments if not s.is_metadata or s.payload.startswith((b"JFIF", b"Adobe"))]
    if not any(segment.marker == SOS for segment in bare):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jpg"
        path.write_bytes(b"\xff\xd8" + b"".join(s.raw for s in bare) + b"\xff\xd9")
        try:
            dct = jpeglib.read_dct(str(path))
            return dct.Y * dct.get_component_qt(0)
        except OSError:
            return None
