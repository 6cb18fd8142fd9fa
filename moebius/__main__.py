"""The command line: `python -m moebius inpaint | models | download`.

Exit status 0; 2 with one line on stderr for a user's mistake; 130 after Ctrl-C. Heavy imports stand inside
the commands, so that help answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import secrets
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moebius import __version__, registry, weight_files
from moebius.config import RECIPES, SCHEDULERS, SamplingConfig

DTYPES = ("float32", "bfloat16", "float16")
_SAMPLING_FIELDS = tuple(field.name for field in dataclasses.fields(SamplingConfig))
_LEARNED_ONLY = {
    "recipe": "--recipe",
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "strength": "--strength",
    "noise_offset": "--noise-offset",
    "scheduler": "--scheduler",
    "seed": "--seed",
    "variant": "--variant",
    "weights": "--weights",
    "device": "--device",
    "dtype": "--dtype",
}
"""Options without a meaning for a model that learned nothing, by their names in the parsed options."""


class OneLineParser(argparse.ArgumentParser):
    """A mistake is one line on stderr, without the usage in front."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(argv)
    try:
        with _libraries_quiet():
            report = options.command(options)
    except KeyboardInterrupt:
        print("cancelled, nothing was written", file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        return _fail(options.name, " ".join(str(error).split()) or type(error).__name__)
    except RuntimeError as error:  # how torch says that memory is short, on every device
        if "memory" not in str(error).lower():
            raise
        return _fail(options.name, "not enough memory; try --device cpu, --dtype bfloat16 or fewer programs at once")
    print(json.dumps(report) if options.json else options.describe(report))
    return 0


def _fail(command: str, text: str) -> int:
    print(f"moebius {command}: {text}", file=sys.stderr)
    return 2


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="moebius", description="Fill holes in photos.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="inpaint | models | download")
    _add_inpaint(commands)
    _add_models(commands)
    _add_download(commands)
    return parser


@contextmanager
def _libraries_quiet() -> Iterator[None]:
    """Warnings and log lines of libraries are not for the user of a command, who gets one line if it fails."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


# ---- inpaint ----


def _add_inpaint(commands) -> None:
    sampling = SamplingConfig()
    parser = commands.add_parser(
        "inpaint",
        help="fill the white part of a mask in a photo",
        description="Fill the white part of MASK in PHOTO. Size, format and metadata stay.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("mask", type=Path, metavar="MASK", help="same size as PHOTO; white = repaint")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="a file (its suffix sets the format) or a folder",
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="OUT may be PHOTO or MASK itself")
    parser.add_argument(
        "--model",
        choices=(registry.AUTO, *registry.MODELS),
        default=registry.AUTO,
        help="auto: the best that can run here (default); a model by name may download its weights",
    )
    _add_weights(parser)
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument("--dtype", choices=DTYPES, help="default: float32")
    parser.add_argument("--seed", type=int, help="0 to 2**63 - 1 (default: random, and told)")
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        help=f"photo: for people; published: the paper's, at the model's size (default: {sampling.recipe})",
    )
    for flag, field, kind, text in (
        ("--steps", "num_inference_steps", int, "sampling steps"),
        ("--guidance", "guidance_scale", float, "1 turns guidance off and halves the time"),
        ("--strength", "strength", float, "share of the noise schedule that is run (default: the recipe's)"),
        ("--noise-offset", "noise_offset", float, "as published"),
        ("--feather", "feather_px", int, "width of the blend outside the hole, in pixels"),
        ("--context", "context", float, "side of the square around a hole, as a multiple of the hole's"),
        ("--max-squares", "max_squares", int, "most squares that one long hole is filled in"),
    ):
        default = getattr(sampling, field)
        told = text if default is None else f"{text} (default: {default})"
        parser.add_argument(flag, dest=field, type=kind, metavar="N" if kind is int else "X", help=told)
    parser.add_argument("--scheduler", choices=SCHEDULERS, help=f"default: {sampling.scheduler}")
    parser.add_argument("--json", action="store_true", default=False, help="tell what was done as JSON")
    parser.set_defaults(command=inpaint, describe=_describe_inpaint)


def inpaint(options: argparse.Namespace) -> dict:
    """Fill one photo, write it, and return what was done."""
    from moebius.terminal import TerminalProgress

    started = time.perf_counter()
    given = vars(options)
    config = SamplingConfig(**{field: given[field] for field in _SAMPLING_FIELDS if field in given})
    seed = given.get("seed")
    if seed is not None and not 0 <= seed < 2**63:
        raise ValueError(f"--seed must be between 0 and 2**63 - 1, got {seed}")
    output, suffix = _output_path(options)
    load_options = registry.LoadOptions(
        weights=given.get("weights"),
        variant=given.get("variant"),
        device=given.get("device"),
        dtype=given.get("dtype"),
        allow_download=options.model != registry.AUTO,
    )
    weight_files.check_variant(load_options.variant)

    with TerminalProgress() as progress:
        from moebius import photos, residency

        progress(0.0, "Reading")
        photo = photos.open_photo(options.photo)
        mask = photos.open_mask(options.mask, photo.size)
        read = time.perf_counter()
        card, reason = registry.resolve(options.model, load_options)
        model = residency.acquire(card.name, load_options, progress)
        loaded = time.perf_counter()
        files, generator = None, None
        if card.parameters:
            import torch

            files = weight_files.locate(load_options.variant, load_options.weights)
            seed = secrets.randbits(32) if seed is None else seed
            generator = torch.Generator().manual_seed(seed)
        fill = model.fill(photo.raster, mask, config, generator, progress)
        progress(1.0, "Writing")
        encoding = time.perf_counter()
        encoded = photos.encode_photo(photo, fill.raster, fill.changed, suffix)
        photos.write_atomic(output, encoded.data)
    done = time.perf_counter()
    notes = [*photo.notes, *fill.notes, *encoded.notes]
    ignored = [flag for name, flag in _LEARNED_ONLY.items() if name in given]
    if ignored and not card.parameters:
        notes.append(f"{card.title} has no use for {', '.join(ignored)}.")
    return {
        "output": str(output),
        "format": encoded.format,
        "size": list(photo.size),
        "model": card.name,
        "reason": reason,
        "variant": files.variant if files else None,
        "weights": files.where if files else None,
        "seed": seed if card.parameters else None,
        "config": dataclasses.asdict(config),
        "device": str(model.pipeline.device) if card.parameters else "cpu",
        "dtype": given.get("dtype", "float32") if card.parameters else None,
        "squares": [dataclasses.asdict(square) for square in fill.squares],
        "changed_pixels": int(fill.changed.sum()),
        "seconds": {
            "read": round(read - started, 3),
            "load": round(loaded - read, 3),
            **{part: round(seconds, 3) for part, seconds in fill.seconds.items()},
            "write": round(done - encoding, 3),
            "total": round(done - started, 3),
        },
        "peak_gib": _peak_gib(),
        "notes": notes,
    }


def _output_path(options: argparse.Namespace) -> tuple[Path, str | None]:
    """The file to write, and the suffix that names its format; None: the photo's own format."""
    from moebius.photos import SUFFIXES

    output, suffix = options.output, options.output.suffix or None
    if output.is_dir():
        output, suffix = output / options.photo.name, None
    if not output.parent.is_dir():
        raise ValueError(f"the folder {output.parent} of the output does not exist")
    if not os.access(output.parent, os.W_OK):
        raise ValueError(f"the folder {output.parent} cannot be written to")
    known = [known for suffixes in SUFFIXES.values() for known in suffixes]
    if suffix is not None and suffix.lower() not in known:
        raise ValueError(f"{output} has the suffix {suffix}; give the output one of {', '.join(known)}")
    for source in (options.photo, options.mask):
        if not options.overwrite and output.exists() and source.exists() and output.samefile(source):
            raise ValueError(f"{output} is an input; give another -o, or say --overwrite")
    return output, suffix


def _describe_inpaint(report: dict) -> str:
    made_by = registry.card(report["model"]).title + (f" ({report['variant']})" if report["variant"] else "")
    seed = "" if report["seed"] is None else f", seed {report['seed']}"
    count = len(report["squares"])
    squares = {0: "", 1: " in one square"}.get(count, f" in {count} squares")
    lines = [
        f"{report['output']}: filled by {made_by}{seed}, {report['changed_pixels']:,} pixels changed{squares}, "
        f"{report['seconds']['total']:.1f} s",
        report["reason"],
        *report["notes"],
    ]
    return "\n".join(lines)


def _peak_gib() -> dict[str, float | None]:
    """Most memory that this process has held, and torch on the GPU, in GiB; None where it cannot be told."""
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = round(peak / (2**30 if sys.platform == "darwin" else 2**20), 3)  # bytes on macOS, else KiB
    except ImportError:  # Windows
        memory = None
    torch = sys.modules.get("torch")
    on_gpu = torch is not None and torch.cuda.is_initialized()
    return {"memory": memory, "gpu": round(torch.cuda.max_memory_allocated() / 2**30, 3) if on_gpu else None}


# ---- models ----


def _add_models(commands) -> None:
    parser = commands.add_parser("models", help="every model, and whether it can run here")
    _add_weights(parser)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=models, describe=_describe_models)


def models(options: argparse.Namespace) -> dict:
    """What exists and what of it can run here, without loading any of it."""
    load_options = registry.LoadOptions(
        weights=getattr(options, "weights", None), variant=getattr(options, "variant", None)
    )
    weight_files.check_variant(load_options.variant)
    cards = []
    for card in registry.MODELS.values():
        state = card.availability(load_options)
        cards.append(
            {
                "name": card.name,
                "title": card.title,
                "can_run": state.can_run,
                "reason": state.reason,
                "weights": state.weights,
                "parameters": card.parameters,
                "download_bytes": card.download_bytes,
                "variants": list(weight_files.VARIANTS) if card.parameters else [],
                "license": card.license,
                "source": card.source,
            }
        )
    return {"models": cards}


def _describe_models(report: dict) -> str:
    blocks = []
    for card in report["models"]:
        size = "nothing to download"
        if card["parameters"]:
            megabytes = card["download_bytes"] // 10**6
            size = f"{card['parameters'] / 1e6:.1f} M parameters, download about {megabytes} MB"
        lines = [
            f"{card['name']}: {'can run here' if card['can_run'] else 'cannot run here'}; {card['reason']}",
            f"  size      {size}",
            f"  weights   {card['weights']}" if card["weights"] else "",
            f"  variants  {', '.join(card['variants'])}" if card["variants"] else "",
            f"  licence   {card['license']}",
            f"  source    {card['source']}",
        ]
        blocks.append("\n".join(line for line in lines if line))
    return "\n\n".join(blocks)


# ---- download ----


def _add_download(commands) -> None:
    parser = commands.add_parser(
        "download",
        help="fetch the weights of Moebius",
        description="Fetch weights into the Hugging Face cache and, with --to, write them as safetensors.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "variants",
        nargs="?",
        choices=(*weight_files.VARIANTS, "all"),
        default=weight_files.DEFAULT_VARIANT,
        metavar="VARIANT",
        help=f"{', '.join(weight_files.VARIANTS)} or all (default: {weight_files.DEFAULT_VARIANT})",
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="write a diffusers folder; all: one in DIR per variant")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="take them from this folder, download nothing")
    parser.add_argument("--revision", help="branch, tag or commit of the repository (default: main)")
    parser.add_argument("--json", action="store_true", default=False)
    parser.set_defaults(command=download, describe=_describe_download)


def download(options: argparse.Namespace) -> dict:
    """Fetch one variant or all; with `--to`, write each as a diffusers folder."""
    from moebius import hub, weight_folder
    from moebius.terminal import TerminalProgress

    started = time.perf_counter()
    source, target = getattr(options, "weights", None), getattr(options, "to", None)
    if source and not target:
        raise ValueError("--weights DIR says where to take weights from; say with --to where to write them")
    every = options.variants == "all"
    names = list(weight_files.VARIANTS) if every else [options.variants]
    targets = {name: target / name if every else target for name in names} if target else {}
    for folder in targets.values():
        weight_folder.check_target(folder)
    done, first = [], None
    with TerminalProgress() as progress:
        for index, name in enumerate(names):

            def report(share: float, text: str, index: int = index) -> None:
                progress((index + share) / len(names), text)

            if source:
                files = weight_files.locate(name, source)
            else:
                files = hub.fetch(name, report, getattr(options, "revision", None))
            entry = {"variant": name, "from": files.where}
            if target:
                manifest = weight_folder.save(files, targets[name], report, shared=first)
                first = first or targets[name]
                entry |= {
                    "folder": str(targets[name]),
                    "sources": manifest["sources"],
                    "files": manifest["files"],
                }
            done.append(entry)
    return {"downloaded": done, "seconds": round(time.perf_counter() - started, 3)}


def _describe_download(report: dict) -> str:
    lines = []
    for entry in report["downloaded"]:
        kept = f"written to {entry['folder']}" if "folder" in entry else f"in the {entry['from']}"
        lines.append(f"{entry['variant']}: {kept}")
    return "\n".join(lines)


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variant",
        choices=weight_files.VARIANTS,
        default=argparse.SUPPRESS,
        help=f"default: what --weights holds, else {weight_files.DEFAULT_VARIANT}",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder with the weights (default: MOEBIUS_WEIGHTS, else the Hugging Face cache)",
    )


if __name__ == "__main__":
    sys.exit(main())
