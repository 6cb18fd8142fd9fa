"""Photos for benchmarks/mini.md's recipe in one small file: shrunk, as JPEG, with outlines for holes and every licence.

The file is a ZIP of `photos/`, `silhouettes/` and `SOURCES.tsv`; unpacked into `data/` it is what configs/mini*.toml
and configs/cpu*.toml read.

    PYTHONPATH=. python benchmarks/mini_photos.py PHOTOS --licences LIST.tsv --shapes OUTLINES -o photos.zip
    python -m zipfile -e photos.zip data
"""

from __future__ import annotations

import argparse
import csv
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from moebius.files import sha256, write_atomic
from moebius.photo import images, photo_file
from moebius.photo.raster import bounding_box
from moebius.training.config import ConfigError
from moebius.training.data import pictures
from moebius.units import file_size

SOURCES = "SOURCES.tsv"
OUTLINE = 256
"""Longest side of an outline, in pixels."""


def pack(
    folders: list[Path],
    target: Path,
    licences: Path,
    shapes: Path | None = None,
    short: int = 1024,
    quality: int = 90,
    max_bytes: int = 60_000_000,
) -> dict:
    """Write `target`, whole or not at all, and return what is in it. The same input gives the same bytes.

    Args:
        folders: of photos, searched in depth.
        licences: a TSV with columns `file`, `licence` and `sha256`, and any others; every photo and every outline must
            be in it.
        shapes: folder of outlines, white = object.
        short: short side in pixels to which larger photos are shrunk.
        max_bytes: of the file.

    Raises:
        ConfigError: a photo cannot be read, something has no licence, nothing is there, or the file would be too large.
        heldout.HeldOutError: a photo is held out for evaluation.
    """
    known = _licences(licences)
    files = [file for folder in folders for file in pictures.find(folder)]
    found = pictures.index(files, pictures.heldout_hashes(()))
    if found.broken:
        path, reason = found.broken[0]
        raise ConfigError(f"{path} cannot be read ({reason}); take it out of the folder")
    rows, contents = [], {}
    for number, picture in enumerate(found.pictures):
        if picture.sha256 not in known:
            raise ConfigError(f"{picture.path} has no licence in {licences}; take it out or list it")
        name = f"photos/{number:05d}.jpg"
        rgb = pictures.shrunk(images.to_rgb8(photo_file.open_photo(picture.path).raster), short)
        contents[name] = _jpeg(rgb, quality)
        rows.append({"packed": name} | known[picture.sha256])
    photo_count = len(rows)
    for number, path in enumerate(pictures.find(shapes) if shapes else []):
        digest = sha256(path)
        if digest not in known:
            raise ConfigError(f"{path} has no licence in {licences}; take it out or list it")
        name = f"silhouettes/{number:05d}.png"
        contents[name] = _outline(photo_file.open_mask(path))
        rows.append({"packed": name} | known[digest])
    contents[SOURCES] = _table(rows)
    size = _write(target, contents, max_bytes)
    return {
        "output": str(target),
        "photos": photo_count,
        "silhouettes": len(rows) - photo_count,
        "bytes": size,
        "licences": sorted({row["licence"] for row in rows}),
    }


def _licences(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a list of licences by SHA-256."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not rows or not {"file", "licence", "sha256"} <= rows[0].keys():
        raise ConfigError(f"{path} must be a TSV with the columns file, licence and sha256")
    return {row["sha256"]: row for row in rows if row["licence"]}


def _jpeg(rgb: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _outline(mask: np.ndarray) -> bytes:
    """(H, W) bool -> a PNG of one bit, cropped to the object."""
    if not mask.any():
        raise ConfigError("an outline is empty; take it out of the folder")
    left, top, right, bottom = bounding_box(mask)
    part = mask[top:bottom, left:right].astype(np.uint8) * 255
    part = np.pad(part, 1)  # an outline has an outside
    if max(part.shape) > OUTLINE:
        factor = OUTLINE / max(part.shape)
        size = tuple(max(2, round(side * factor)) for side in part.shape[::-1])
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(part >= 128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _table(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, delimiter="\t", lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(target: Path, contents: dict[str, bytes], max_bytes: int) -> int:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in contents.items():
            how = zipfile.ZIP_DEFLATED if name == SOURCES else zipfile.ZIP_STORED  # pictures are compressed already
            archive.writestr(zipfile.ZipInfo(name), data, how)  # without a date: the same bytes every time
    size = buffer.tell()
    if size > max_bytes:
        raise ConfigError(
            f"{target} would have {file_size(size)}, more than {file_size(max_bytes)}; "
            "lower --short or --quality, or take fewer photos"
        )
    write_atomic(target, buffer.getvalue(), make_folder=True)
    return size


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="photos, searched in depth")
    parser.add_argument("--licences", type=Path, required=True, metavar="TSV", help="columns file, licence, sha256")
    parser.add_argument("--shapes", type=Path, metavar="FOLDER", help="outlines for holes, white = object")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.zip")
    parser.add_argument("--short", type=int, default=1024, metavar="N", help="largest short side (default: 1024)")
    parser.add_argument("--quality", type=int, default=90, metavar="N", help="of the JPEGs, 1 to 100 (default: 90)")
    parser.add_argument("--max-mb", type=float, default=60, metavar="X", help="largest file (default: 60)")
    options = parser.parse_args(argv)
    report = pack(
        options.folders,
        options.output,
        options.licences,
        options.shapes,
        options.short,
        options.quality,
        int(options.max_mb * 1e6),
    )
    print(  # noqa: T201
        f"{report['output']}: {report['photos']} photos and {report['silhouettes']} outlines, "
        f"{file_size(report['bytes'])}; licences: {', '.join(report['licences'])}"
    )


if __name__ == "__main__":
    main()
