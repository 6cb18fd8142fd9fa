"""`python -m moebius pack-weights`: a trained pipeline in half precision, to be shipped. Heavy imports stand inside."""

from __future__ import annotations

import argparse
from pathlib import Path

from moebius.units import file_size
from moebius.weights import locate


def add(commands) -> None:
    parser = commands.add_parser(
        "pack-weights",
        help="a trained pipeline in half precision",
        description="Write a pipeline that `train` left as safetensors in half precision, with a list of hashes and a "
        "README.md that tells how it was trained. A folder that would be too large is not written.",
    )
    parser.add_argument("pipeline", type=Path, metavar="DIR", help="such as runs/mini/pipeline")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("weights/moebius-mini"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--most-mb", type=float, default=60, metavar="X", help="largest folder (default: 60)")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="an evaluation of these weights, for its figures in README.md"
    )
    parser.add_argument("--json", action="store_true", help="tell what was done as JSON")
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Convert, check, write, and return what was written."""
    import torch

    from moebius.pipeline import MoebiusInpaintPipeline
    from moebius.training import card
    from moebius.weights import save

    files = locate.locate(None, options.pipeline)
    results = card.read_results(options.results) if options.results else None
    manifest = save.save(
        MoebiusInpaintPipeline.from_files(files, torch.float16),
        files,
        options.output,
        max_bytes=int(options.most_mb * 1e6),
        card=lambda manifest: card.card(options.pipeline, manifest, results),
    )
    size = sum(facts["bytes"] for facts in manifest["files"].values())
    return {"output": str(options.output), "bytes": size, "files": manifest["files"]}


def describe(report: dict) -> str:
    return f"{report['output']}: {file_size(report['bytes'])} in half precision"
