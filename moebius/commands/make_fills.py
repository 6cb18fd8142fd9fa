"""`python -m moebius make-fills`: a data set of a model's finished fills to train on."""

from __future__ import annotations

import argparse
from pathlib import Path

from moebius import registry
from moebius.commands import arguments

RIGHT = "--i-have-the-right-to"


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "make-fills",
        help="make a data set of a model's finished fills",
        description="Fill random holes in the pictures of DIR, and write picture, mask, fill, model and seed to FILLS, "
        "which training can use as its target. Existing fills are kept; the same command resumes where it stopped.",
    )
    parser.add_argument(
        "--model", choices=tuple(registry.MODELS), required=True, metavar="NAME", help=", ".join(registry.MODELS)
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of pictures, or a list of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILLS", help="folder of the data set")
    parser.add_argument("--count", type=int, metavar="N", help="number of fills (default: one per picture)")
    parser.add_argument("--size", type=int, default=512, metavar="PX", help="side of the squares (default: 512)")
    parser.add_argument(
        "--mask", action="append", metavar="KIND", help="kind of hole; repeatable (default: the paper's)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of squares, holes and fills (default: 0)")
    parser.add_argument("--steps", type=int, metavar="N", help="sampling steps")
    parser.add_argument("--guidance", type=float, metavar="X", help="guidance scale")
    arguments.add_weights(parser)
    arguments.add_device(parser)
    parser.add_argument(
        RIGHT,
        action="store_true",
        dest="right",
        help="you hold a right to train on the outputs of a model whose licence forbids it (FLUX)",
    )
    arguments.add_json(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Make the missing fills, and return how many were made."""
    card = registry.card(options.model)
    if options.count is not None and options.count < 1:
        raise ValueError(f"--count must be at least 1, got {options.count}")
    from moebius.training.data import fills

    reason = fills.forbidden(card.name, card.license, card.fills_may_train)
    if reason and not options.right:
        raise ValueError(f"{reason}; if you hold another right to do so, add {RIGHT}")

    from moebius import model_cache
    from moebius.config import SamplingConfig
    from moebius.progress import TerminalProgress
    from moebius.training.config import Data, build
    from moebius.training.data.make_fills import make
    from moebius.training.data.samples import Samples

    chosen = {"num_inference_steps": options.steps, "guidance_scale": options.guidance}
    settings = SamplingConfig(**{name: value for name, value in chosen.items() if value is not None})
    source = {"kind": "pictures", "path": str(options.data)} | ({"masks": options.mask} if options.mask else {})
    data = build(Data, {"sources": [source], "size": options.size, "validation": 0})
    load = arguments.load_options(options, allow_download=True)
    with TerminalProgress() as progress:
        progress(0.0, "Reading the pictures")
        samples = Samples(data, options.seed)
        registry.resolve(card.name, load)  # raises now if it cannot run here
        model = model_cache.acquire(card.name, load, progress)
        facts = {
            "model": card.name,
            "license": card.license,
            "fills_may_train": card.fills_may_train,
            "right_declared": bool(reason),
            "weights": str(load.weights) if load.weights else None,
            "variant": load.variant,
            "masks": list(data.sources[0].masks),
        }
        count = options.count or len(samples)

        def report(done: int, of: int) -> None:
            progress(done / of, f"Fill {done} of {of}")

        made = make(model, samples, options.output, count, settings, facts, report)
    return {
        "output": str(options.output),
        "model": card.name,
        "fills": count,
        "made": made,
        "left_out": [f"{path}: {reason}" for path, reason in samples.broken],
    }


def describe(report: dict) -> str:
    lines = [f"{report['output']}: {report['fills']} fills by {report['model']}, {report['made']} of them made now"]
    return "\n".join(lines + [f"left out, cannot be read: {item}" for item in report["left_out"]])
