"""`python -m moebius compare`: several models on one photo; their results, a labelled sheet, and the figures."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
from dataclasses import replace
from pathlib import Path

from moebius import paper, registry
from moebius.commands import arguments
from moebius.files import check_output_folder, write_atomic

SHEET, REPORT = "comparison.png", "comparison.json"


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare models on the same photo, hole and seed",
        description="Fill the white part of MASK in PHOTO with several models, and write the results, a labelled sheet "
        "and their figures into a folder. Nothing is downloaded unless --download is given.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture file")
    parser.add_argument("mask", type=Path, metavar="MASK", help="a picture of the same size; white = fill")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="a folder; created if it is missing"
    )
    parser.add_argument(
        "--models",
        type=lambda text: [name for name in text.split(",") if name],
        default=registry.compared(),
        metavar="A,B,…",
        help=f"from {', '.join(registry.MODELS)} (default: {','.join(registry.compared())})",
    )
    parser.add_argument("--download", action="store_true", default=False, help="download weights that are missing")
    parser.add_argument(
        "--weights",
        action="append",
        metavar="[MODEL=]DIR",
        help="folder with the weights, of one model or of all; repeatable",
    )
    arguments.add_variant(parser)
    arguments.add_device(parser)
    arguments.add_plan(parser)
    arguments.add_json(parser)
    arguments.add_sampling(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Compare models, write the folder, and return the content of its JSON file."""
    from moebius.progress import TerminalProgress

    config, seed = arguments.sampling_config(options), arguments.seed(options)
    for name in options.models:
        registry.card(name)
    if not options.models:
        raise ValueError("--models names no model")
    folders = _folders(vars(options).pop("weights", []))
    shared = arguments.load_options(options, allow_download=options.download)
    target = options.output
    check_output_folder(target, needs_parent=True)
    target.mkdir(exist_ok=True)

    with TerminalProgress() as progress:
        from moebius import compare
        from moebius.contact_sheet import make_sheet
        from moebius.photo import photo_file

        progress(0.0, "Reading")
        photo = photo_file.open_photo(options.photo)
        mask = photo_file.open_mask(options.mask, photo.size)
        if not mask.any():
            raise ValueError("the mask is empty: nothing is white in it, so there is nothing to compare")
        outcomes, files = [], {}
        for outcome in compare.compare(
            photo.raster,
            mask,
            options.models,
            config,
            seed,
            lambda name: replace(shared, weights=folders.get(name, folders.get(""))),
            progress,
        ):
            outcomes.append(outcome)
            if outcome.fill:
                encoded = photo_file.encode_photo(photo, outcome.fill.raster, outcome.fill.changed)
                path = target / f"{outcome.card.name}{photo.suffix}"
                write_atomic(path, encoded.data)
                files[outcome.card.name] = path.name
        if not files:
            raise ValueError(" ".join(f"{outcome.card.title}: {outcome.error}." for outcome in outcomes))
        footer = f"{photo.name}, {photo.size[0]} x {photo.size[1]} pixels, seed {seed}"
        buffer = io.BytesIO()
        make_sheet(photo.raster, mask, outcomes, footer).save(buffer, "PNG")
        write_atomic(target / SHEET, buffer.getvalue())
    report = {
        "photo": str(options.photo),
        "size": list(photo.size),
        "seed": seed,
        "config": dataclasses.asdict(config),
        "results": [{**row, "file": files.get(row["model"])} for row in compare.table(outcomes)],
        "paper": {name: dataclasses.asdict(figures) for name, figures in paper.TIMINGS.items()},
        "output": str(target),
        "sheet": SHEET,
    }
    write_atomic(target / REPORT, (json.dumps(report, indent=2) + "\n").encode())
    return report


def _folders(given: list[str]) -> dict[str, Path]:
    """Weights folders by model; the key of the folder for all models is the empty name."""
    folders = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if equals and name in registry.MODELS:
            folders[name] = Path(folder)
        else:
            folders[""] = Path(text)
    return folders


def describe(report: dict) -> str:
    lines = [f"{'model':<28}{'seconds':>9}{'steps':>7}{'ms/step':>10}{'× student':>11}{'peak GiB':>10}  file"]
    for row in report["results"]:
        if not row["ran"]:
            lines.append(f"{row['title']:<28}cannot run here: {row['error']}")
            continue
        peak = row["peak_gib"]["gpu"] if row["peak_gib"]["gpu"] is not None else row["peak_gib"]["memory"]
        cells = (
            f"{row['seconds']['model']:.2f}",
            str(row["steps"] or "–"),
            "–" if row["step_ms"] is None else f"{row['step_ms']:.1f}",
            "–" if row["times_student"] is None else f"{row['times_student']:.2f}",
            f"{peak:.2f}",
        )
        widths = (9, 7, 10, 11, 10)
        lines.append(
            f"{row['title']:<28}"
            + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            + f"  {row['file']}"
        )
    notices = [f"{row['title']}: {row['notice']}" for row in report["results"] if row["ran"] and row["notice"]]
    return "\n".join([*lines, *notices, f"Sheet and figures: {report['output']}/{SHEET}, {REPORT}"])
