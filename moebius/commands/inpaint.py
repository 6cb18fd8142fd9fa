"""`python -m moebius inpaint`: one photo."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Container
from pathlib import Path

from moebius import devices, registry
from moebius.commands import arguments
from moebius.files import check_output_file, write_atomic
from moebius.units import duration

_LEARNED_ONLY = {
    "recipe": "--recipe",
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "strength": "--strength",
    "guidance_share": "--guidance-share",
    "noise_offset": "--noise-offset",
    "detail": "--detail",
    "match_colours": "--match-colours",
    "scheduler": "--scheduler",
    "seed": "--seed",
    "variant": "--variant",
    "weights": "--weights",
    "device": "--device",
    "dtype": "--dtype",
}
"""Options that only learned models use, by their names in the parsed options."""


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "inpaint",
        help="fill the white part of a mask in a photo",
        description="Fill the white part of MASK in PHOTO. The photo keeps its size, format and metadata.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture file")
    parser.add_argument("mask", type=Path, metavar="MASK", help="a picture of the same size; white = fill")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="a file, whose suffix sets the format, or a folder",
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="OUT may be PHOTO or MASK itself")
    arguments.add_filling(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Fill one photo, write it, and return what was done."""
    from moebius.progress import TerminalProgress

    started = time.perf_counter()
    given = vars(options)
    config, seed = arguments.sampling_config(options), arguments.seed(options)
    batch_size, grow_mask = arguments.batch_size(options), arguments.grow_mask(options)
    output, suffix = _output_path(options)
    load_options = arguments.load_options(options, allow_download=options.model != registry.AUTO)

    with TerminalProgress() as progress:
        from moebius import model_cache
        from moebius.fill import seeds
        from moebius.fill.scheduler import fill_photo
        from moebius.masking.grow import grow_by_share
        from moebius.photo import photo_file

        progress(0.0, "Reading")
        card, reason = registry.resolve(options.model, load_options)
        mark = arguments.mark(options, card.learned)
        if card.needs is None:  # it has no weights to load, and prepares itself while the photo is read
            model_cache.acquire(card.name, load_options, progress)
        photo = photo_file.open_photo(options.photo)
        mask, grown = grow_by_share(photo_file.open_mask(options.mask, photo.size), grow_mask)
        read = time.perf_counter()
        model = model_cache.acquire(card.name, load_options, progress)
        loaded = time.perf_counter()
        generator = seeds.generator(seed if card.seeded else None)
        fill = fill_photo(model, photo.raster, mask, config, generator, progress, batch_size)
        progress(1.0, "Writing")
        encoding = time.perf_counter()
        encoded = photo_file.encode_photo(photo, fill.raster, fill.changed, suffix, mark)
        write_atomic(output, encoded.data)
    done = time.perf_counter()
    notes = [*grown, *photo.notes, *fill.notes, *encoded.notes]
    notes += remarks(card, given)
    facts = model.facts()
    return {
        "output": str(output),
        "format": encoded.format,
        "size": list(photo.size),
        "model": card.name,
        "reason": reason,
        **{name: facts.get(name) for name in ("variant", "weights", "device", "dtype", "plan")},
        "seed": seed if card.seeded else None,
        "config": dataclasses.asdict(config.with_defaults(card.defaults)),
        "detail": fill.detail,
        "step_ms": None if fill.step_ms is None else round(fill.step_ms, 2),
        "squares": [dataclasses.asdict(square) for square in fill.squares],
        "mark": mark if fill.changed.any() else None,
        "changed_pixels": int(fill.changed.sum()),
        "seconds": {
            "read": round(read - started, 3),
            "load": round(loaded - read, 3),
            **{part: round(seconds, 3) for part, seconds in fill.seconds.items()},
            "write": round(done - encoding, 3),
            "total": round(done - started, 3),
        },
        "peak_gib": devices.peak_gib(),
        "notes": notes,
    }


def remarks(card: registry.ModelCard, given: Container[str]) -> list[str]:
    """Notes on a model, given the names of the options that were used."""
    useless = dict(_LEARNED_ONLY) if not card.learned else {}
    useless |= {"prompt": "--prompt"} if not card.reads_prompt else {}
    useless |= {"plan": "--plan"} if not card.has_plans else {}
    ignored = [flag for name, flag in useless.items() if name in given]
    notes = [f"{card.title} ignores {', '.join(ignored)}."] if ignored else []
    return [*notes, card.notice] if card.notice else notes


def _output_path(options: argparse.Namespace) -> tuple[Path, str | None]:
    """The file to write, and the suffix that names its format; None: the photo's own format."""
    from moebius.photo.photo_file import suffixes

    output, suffix = options.output, options.output.suffix or None
    if output.is_dir():
        output, suffix = output / options.photo.name, None
    inputs = () if options.overwrite else (options.photo, options.mask)
    check_output_file(output, inputs, overwrite="--overwrite")
    if suffix is not None and suffix.lower() not in suffixes():
        raise ValueError(f"{output} has the suffix {suffix}; give the output one of {', '.join(suffixes())}")
    return output, suffix


def describe(report: dict) -> str:
    made_by = registry.card(report["model"]).title + (f" ({report['variant']})" if report["variant"] else "")
    seed = "" if report["seed"] is None else f", seed {report['seed']}"
    count = len(report["squares"])
    squares = {0: "", 1: " in one square"}.get(count, f" in {count} squares")
    lines = [
        f"{report['output']}: filled by {made_by}{seed}, {report['changed_pixels']:,} pixels changed{squares}, "
        f"{duration(report['seconds']['total'])}",
        report["reason"],
        *report["notes"],
    ]
    return "\n".join(lines)
