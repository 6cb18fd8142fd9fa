"""`python -m moebius pack-photos`: the photos of a training as one small file. Heavy imports stand inside."""

from __future__ import annotations

import argparse
from pathlib import Path

from moebius.units import file_size


def add(commands) -> None:
    parser = commands.add_parser(
        "pack-photos",
        help="the photos of a training as one small file",
        description="Shrink photos, leave out nothing, and write them with outlines and a list of licences as a ZIP. "
        "`python -m zipfile -e FILE data` unpacks it where configs/mini*.toml look.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="photos, searched in depth")
    parser.add_argument(
        "--licences", type=Path, required=True, metavar="TSV", help="columns file, licence, sha256; of all of it"
    )
    parser.add_argument("--shapes", type=Path, metavar="FOLDER", help="outlines for holes, white = object")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.zip")
    parser.add_argument("--short", type=int, default=1024, metavar="N", help="largest short side (default: 1024)")
    parser.add_argument("--quality", type=int, default=90, metavar="N", help="of the JPEGs (default: 90)")
    parser.add_argument("--most-mb", type=float, default=60, metavar="X", help="largest file (default: 60)")
    parser.add_argument("--json", action="store_true", help="tell what was done as JSON")
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Pack, and return what was packed."""
    for name, low, high in (("short", 64, 8192), ("quality", 1, 100), ("most_mb", 0, 10_000)):
        if not low <= getattr(options, name) <= high:
            raise ValueError(f"--{name.replace('_', '-')} must be between {low} and {high}")
    from moebius.training.data import packing

    most = int(options.most_mb * 1e6)
    return packing.pack(
        options.folders, options.output, options.licences, options.shapes, options.short, options.quality, most
    )


def describe(report: dict) -> str:
    return (
        f"{report['output']}: {report['photos']} photos and {report['silhouettes']} outlines, "
        f"{file_size(report['bytes'])}; licences: {', '.join(report['licences'])}"
    )
