"""`python -m moebius select`: a mask of the objects under given points."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from moebius.commands import arguments
from moebius.files import check_output_file, write_atomic
from moebius.units import duration
from moebius.weights import catalog, locate


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "select",
        help="write a mask of the objects at given pixels",
        description=f"Write a mask of the objects at given pixels of PHOTO, white = object, found by "
        f"{catalog.SEGMENTER.title} ({catalog.SEGMENTER.license}). `{catalog.SEGMENTER.command}` fetches its weights.",
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture file")
    parser.add_argument(
        "--point",
        dest="points",
        type=point,
        action="append",
        required=True,
        metavar="X,Y",
        help="a pixel of an object, counted from the upper left corner of the photo as shown; repeatable",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MASK.png", help="the mask's file")
    parser.add_argument(
        "--grow",
        type=int,
        metavar="N",
        help="pixels by which the mask is larger than the objects (default: 1/200 of the photo's shorter side)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help=f"folder with {' and '.join(catalog.SEGMENTER.files)} (default: {catalog.SEGMENTER.variable}, else the "
        "Hugging Face cache)",
    )
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (default: the best available)")
    arguments.add_json(parser)
    parser.set_defaults(command=run, describe=describe)


def point(text: str) -> tuple[float, float]:
    """Two numbers with a comma between them."""
    parts = text.split(",")
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a point; give X,Y such as 640,480") from None
    return x, y


def run(options: argparse.Namespace) -> dict:
    """Find the objects, write their mask and return what was done."""
    from moebius.photo import photo_file
    from moebius.progress import TerminalProgress

    started = time.perf_counter()
    output = _output(options)
    with TerminalProgress() as progress:
        progress(0.0, "Reading")
        files = locate.locate(weights=options.weights, network="select")
        photo = photo_file.open_photo(options.photo)
        from moebius import segment

        segment.check_points(options.points, photo.size)
        progress(0.1, "Loading the model")
        selector = segment.load(files, options.device)
        progress(0.3, "Looking at the photo")
        embedding = selector.embed(photo.raster)
        progress(0.9, "Selecting")
        mask = selector.predict(embedding, options.points, options.grow)
        write_atomic(output, segment.mask_png(mask))
    grown = segment.margin(photo.size) if options.grow is None else options.grow
    return {
        "output": str(output),
        "size": list(photo.size),
        "points": [list(one) for one in options.points],
        "pixels": int(mask.sum()),
        "grown_px": grown,
        "weights": files.where,
        "device": selector.device,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _output(options: argparse.Namespace) -> Path:
    output = options.output
    if output.suffix.lower() != ".png":
        raise ValueError(f"{output} has the suffix {output.suffix or 'none'}; a mask is written as .png")
    check_output_file(output, [options.photo])
    return output


def describe(report: dict) -> str:
    width, height = report["size"]
    share = report["pixels"] / (width * height)
    return (
        f"{report['output']}: {report['pixels']:,} pixels selected, {share:.1%} of the photo, "
        f"{report['grown_px']} pixels of margin included, {duration(report['seconds'])}"
    )
