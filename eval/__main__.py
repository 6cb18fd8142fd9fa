"""The command line: `python -m eval run | generate | score | time | report | sheet | …`; `--help` names them all.

Exit status 0; 2, with one line on stderr, for a user's mistake; 130 after Ctrl-C; finished work is kept. Heavy packages
are imported inside the commands, so that help is shown at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from eval.data.protocols import PROTOCOLS
from eval.metrics.names import FEATURES, OFFLINE, PERCEPTUAL, REMOVAL
from moebius.config import RECIPES, SCHEDULERS

SAMPLING = {
    "recipe": "recipe",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "strength": "strength",
    "noise_offset": "noise_offset",
    "scheduler": "scheduler",
    "feather": "feather_px",
    "prompt": "prompt",
    "detail": "detail",
    "match_colours": "match_colours",
}
"""Options, and the fields of `SamplingConfig` that they set."""


STEPS = {
    "run": "all steps; the same command resumes a run that was stopped",
    "generate": "make the fills, one PNG per picture",
    "score": "score the existing fills",
    "time": "measure times, memory and multiply-adds",
    "report": "write results.json, results.md and results.html",
    "sheet": "pictures of fills: the first 24 of the set, and each model's 24 worst",
}
"""Commands that are methods of `Evaluation`, and their help."""
STARTING = ("run", "generate")
"""Steps that begin an evaluation; the others read its settings from its folder."""
VALIDATE = "validate-metrics"
FAITHFULNESS = "faithfulness"


class OneLineParser(argparse.ArgumentParser):
    """Reports a mistake in one line on stderr, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(argv)
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("stopped; the same command resumes", file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"eval {options.name}: {message}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m eval",
        description="Measure how well models fill holes: fills, scores, times and a report, each step resumable.",
    )
    commands = parser.add_subparsers(
        dest="name", required=True, metavar=" | ".join((*STEPS, VALIDATE, FAITHFULNESS, "models"))
    )
    for name, text in STEPS.items():
        command = _command(commands, name, text)
        kept = "" if name in STARTING else " (default: as in the run before)"
        for add_options in (_add_data, _add_models, _add_metrics, _add_timing):
            add_options(command, kept)
        if name == "run":
            command.add_argument("--no-time", action="store_true", default=False, help="leave the timing step out")
        command.set_defaults(command=_step)
    text = "test which metrics rank blurred, swapped and otherwise damaged fills as people do"
    validation = _command(commands, VALIDATE, text)
    _add_data(validation, " (default: samples/heldout)")
    _add_metrics(validation, " (default here: efficientnet-lite0)")
    validation.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: cpu)")
    validation.set_defaults(command=_validate)
    text = "what programs change in photo files outside the hole: pixels, metadata, previews"
    files = _command(commands, FAITHFULNESS, text)
    files.add_argument("--iopaint", type=Path, metavar="DIR", help="IOPaint's unpacked wheel, with loguru beside it")
    files.set_defaults(command=_faithfulness)
    listing = commands.add_parser("models", help="list the names for --models")
    listing.set_defaults(command=_models)
    return parser


def _command(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    """A subcommand with an output folder; options that are not given are not in the parsed options."""
    parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", argument_default=argparse.SUPPRESS
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="fills, scores and report")
    return parser


def _add_data(parser: argparse.ArgumentParser, kept: str) -> None:
    data = parser.add_argument_group("data" + kept)
    data.add_argument("--data", metavar="DATA", help=f"folder, list file or protocol: {', '.join(PROTOCOLS)}")
    data.add_argument("--folder", metavar="DIR", help="with a protocol: where its pictures are")
    data.add_argument("--masks", metavar="MASKS", help="folder of masks, or a kind: lama-thick, mat-large, object, …")
    data.add_argument("--size", type=int, metavar="N", help="scale the short side to N and crop the middle square")
    data.add_argument("--seed", type=int, metavar="N", help="of masks and fills (default: 0)")
    data.add_argument("--limit", type=int, metavar="N", help="only the first N pictures by name")


def _add_models(parser: argparse.ArgumentParser, kept: str) -> None:
    models = parser.add_argument_group("models" + kept)
    models.add_argument("--models", type=_names, metavar="A,B", help="by name, see: python -m eval models")
    models.add_argument("--reference", metavar="MODEL", help="the others are compared with it (default: the first)")
    models.add_argument("--weights", action="append", metavar="[MODEL=]DIR", help="folder of weights; repeatable")
    models.add_argument("--variant", metavar="NAME", help="of the published weights")
    models.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best available)")
    models.add_argument("--dtype", help="float32, bfloat16, float16 (default: float32)")
    models.add_argument("--batch", type=int, metavar="N", help="pictures filled at a time (default: 1)")
    models.add_argument("--recipe", choices=RECIPES)
    models.add_argument("--steps", type=int, metavar="N")
    models.add_argument("--guidance", type=float, metavar="X")
    models.add_argument("--strength", type=float, metavar="X")
    models.add_argument("--noise-offset", type=float, metavar="X")
    models.add_argument("--scheduler", choices=SCHEDULERS)
    models.add_argument("--feather", type=int, metavar="PX")
    models.add_argument("--prompt", metavar="TEXT")
    models.add_argument(
        "--detail",
        type=_on_off,
        metavar="on|off",
        help="copy fine texture from the photo if a model works at a smaller size (default: on)",
    )
    models.add_argument(
        "--match-colours",
        type=_on_off,
        metavar="on|off",
        help="adjust a model's colours to the photo's around the hole (default: on)",
    )
    models.add_argument(
        "--set",
        action="append",
        metavar="MODEL.OPTION=VALUE",
        help="one of these for one model, e.g. flux-fill.steps=50; repeatable",
    )


def _add_metrics(parser: argparse.ArgumentParser, kept: str) -> None:
    metrics = parser.add_argument_group("metrics" + kept)
    metrics.add_argument(
        "--features",
        choices=FEATURES,
        help="inception: FID and KID (default); efficientnet-lite0: "
        "substitutes under their own names, without a download",
    )
    metrics.add_argument("--perceptual", choices=PERCEPTUAL, help="LPIPS network (default: alex)")
    metrics.add_argument(
        "--removal",
        choices=REMOVAL,
        help="network of the removal scores (default: efficientnet-lite2, without a download)",
    )
    metrics.add_argument("--dinov2", metavar="DIR", help="with --removal dinov2-giant: its weights")
    metrics.add_argument(
        "--antialias",
        action=argparse.BooleanOptionalAction,
        help="resize before Inception (default: off, as in published figures)",
    )
    metrics.add_argument("--download", action=argparse.BooleanOptionalAction, help="fetch the metrics' networks")


def _add_timing(parser: argparse.ArgumentParser, kept: str) -> None:
    timing = parser.add_argument_group("time" + kept)
    timing.add_argument("--rounds", type=int, metavar="N", help="fills per model after warm-up (default: 5)")
    timing.add_argument("--time-batches", type=_numbers, metavar="1,4", help="batch sizes that are timed (default: 1)")


def _step(options: argparse.Namespace) -> int:
    _quieten()
    from eval.settings import Settings, load
    from eval.steps import Evaluation
    from eval.workers import Workers

    given = _given(vars(options))
    if options.name in STARTING:
        settings = Settings(**given)
    else:
        import dataclasses

        settings = dataclasses.replace(load(options.output), **given)
    workers = Workers.from_environment()
    try:
        evaluation = Evaluation(settings, options.output, workers=workers)
        if workers.first:
            settings.save(options.output)
        if options.name == "run":
            results = evaluation.run(with_timing=not options.no_time)
        else:
            results = getattr(evaluation, options.name)()
    finally:
        workers.close()
    if options.name == "sheet":
        print(*results, sep="\n")
    elif results and workers.first:
        _print_results(results, options.output)
    return 0


def _faithfulness(options: argparse.Namespace) -> int:
    _quieten()
    from eval.faithfulness.run import faithfulness
    from moebius.presentation.faithfulness import table

    shown = table(faithfulness(options.output, getattr(options, "iopaint", None)))
    print(shown.text(), shown.note, sep="\n\n")
    return 0


def _given(options: dict) -> dict:
    """The fields of `Settings` that the parsed options set."""
    from dataclasses import fields

    from eval.settings import Settings

    plain = {field.name for field in fields(Settings)} - {"weights", "sampling", "overrides"}
    given = {name: value for name, value in options.items() if name in plain}
    sampling = {field: options[name] for name, field in SAMPLING.items() if name in options}
    if sampling:
        given["sampling"] = sampling
    if "weights" in options:
        pairs = [text.partition("=") for text in options["weights"]]
        given["weights"] = {name if mark else "": folder if mark else name for name, mark, folder in pairs}
    if "set" in options:
        given["overrides"] = _overrides(options["set"])
    return given


def _overrides(texts: list[str]) -> dict[str, dict]:
    """`flux-fill.steps=50` -> {"flux-fill": {"num_inference_steps": 50}}."""
    kinds: dict[str, Callable[[str], object]] = {
        "steps": int,
        "feather": int,
        "guidance": float,
        "strength": float,
        "noise_offset": float,
        "detail": _on_off,
        "match_colours": _on_off,
    }
    found: dict[str, dict] = {}
    for text in texts:
        target, mark, value = text.partition("=")
        model, dot, option = target.rpartition(".")
        option = option.replace("-", "_")
        if not (mark and dot and option in SAMPLING):
            raise ValueError(f"--set {text}: write MODEL.OPTION=VALUE with one of {', '.join(SAMPLING)}")
        try:
            found.setdefault(model, {})[SAMPLING[option]] = kinds.get(option, str)(value)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"--set {text}: {error}") from None
        except ValueError:
            raise ValueError(f"--set {text}: {value!r} is not a number") from None
    return found


def _print_results(results: dict, out: Path) -> None:
    from moebius.presentation.results import main_table, suspicions

    print(*suspicions(results), main_table(results, None).first(-2).text(), sep="\n")
    print(f"Report: {out / 'results.html'}")


def _validate(options: argparse.Namespace) -> int:
    _quieten()
    from eval import validate
    from eval.data.heldout import SHIPPED_SET
    from eval.settings import Settings

    given = {"data": str(SHIPPED_SET), "features": OFFLINE} | _given(vars(options))
    result = validate.validate(Settings(**given), options.output)
    shown = validate.table(result)
    print(shown.text(), shown.note, f"Figures: {options.output / validate.FILE}", sep="\n")
    return 0


def _models(options: argparse.Namespace) -> int:
    from eval.controls import CONTROLS
    from moebius import registry

    for card in registry.MODELS.values():
        state = card.availability(registry.LoadOptions())
        print(f"{card.name:22} {card.title}: {'can run here' if state.can_run else state.reason}")
    for name, (title, _) in CONTROLS.items():
        print(f"{name:22} {title}")
    return 0


def _quieten() -> None:
    """Hide the warnings of libraries."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _on_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"write on or off, got {text!r}")
    return text == "on"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"write whole numbers with commas between, got {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
