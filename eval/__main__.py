"""The command line: `python -m eval run | generate | score | time | report | sheet | …`; `--help` names them all.

Exit status 0; 2, with one line on stderr, for a user's mistake; 130 after Ctrl-C; finished work is kept. Heavy packages
are imported inside the commands, so that help is shown at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from eval.metrics.names import OFFLINE
from eval.options import add_data, add_metrics, add_models, add_timing, given_settings

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
VALIDATE_METRICS = "validate-metrics"
FAITHFULNESS, PAIRS, VOTE = "faithfulness", "pairs", "vote"


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
        dest="name", required=True, metavar=" | ".join((*STEPS, PAIRS, VOTE, VALIDATE_METRICS, FAITHFULNESS, "models"))
    )
    for name, text in STEPS.items():
        command = _command(commands, name, text)
        kept = "" if name in STARTING else " (default: as in the run before)"
        for add_options in (add_data, add_models, add_metrics, add_timing):
            add_options(command, kept)
        if name == "run":
            command.add_argument("--no-time", action="store_true", default=False, help="leave the timing step out")
        command.set_defaults(command=_step)
    text = "compose photos with an object and the same without it, for --pairs"
    composing = _command(commands, PAIRS, text)
    composing.add_argument("--count", type=int, metavar="N", help="pairs (default: 200)")
    composing.add_argument("--seed", type=int, metavar="N", help="of what stands where (default: 0)")
    composing.add_argument("--photos", type=Path, metavar="DIR", help="backgrounds (default: samples/heldout)")
    composing.add_argument("--objects", type=Path, metavar="DIR", help="what is pasted (default: samples/objects)")
    composing.add_argument("--megapixels", type=float, metavar="X", help="scale larger photos down to so many")
    composing.set_defaults(command=_pairs)
    text = "a blind vote on an evaluation's fills: prepare it, serve the page, count the votes"
    voting = _command(commands, VOTE, text)
    voting.add_argument("--pictures", type=int, metavar="N", help="photos to vote on (default: 60)")
    voting.add_argument("--port", type=int, metavar="N", help="of the page (default: the first free one from 7860)")
    doing = voting.add_mutually_exclusive_group()
    doing.add_argument("--prepare", action="store_true", help="only prepare it, for a page with MOEBIUS_VOTE=1")
    doing.add_argument("--count", action="store_true", help="count the votes that are there, into votes.json")
    doing.add_argument("--export", type=Path, metavar="FILE", help="write all votes to a CSV file")
    doing.add_argument("--delete", type=int, metavar="ID", help="delete the vote with this id of the CSV file")
    voting.set_defaults(command=_vote)
    text = "test which metrics rank blurred, swapped and otherwise damaged fills as people do"
    validation = _command(commands, VALIDATE_METRICS, text)
    add_data(validation, " (default: samples/heldout)")
    add_metrics(validation, " (default here: efficientnet-lite0)")
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


def _step(options: argparse.Namespace) -> int:
    _quieten()
    from eval.settings import Settings, load
    from eval.steps import Evaluation
    from eval.workers import Workers

    given = given_settings(vars(options))
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


def _pairs(options: argparse.Namespace) -> int:
    from eval.compose.run import Recipe, make_pairs

    names = ("count", "seed", "photos", "objects", "megapixels")
    manifest = make_pairs(
        Recipe(**{name: getattr(options, name) for name in names if hasattr(options, name)}), options.output
    )
    print(f"{len(manifest['pairs'])} pairs in {options.output}; python -m eval run --pairs {options.output} …")
    return 0


def _vote(options: argparse.Namespace) -> int:
    _quieten()
    from eval import tally, vote
    from eval.report.votes import tables
    from eval.settings import load
    from eval.steps import Evaluation
    from moebius.files import write_atomic
    from moebius.vote.store import as_csv

    if hasattr(options, "export") or hasattr(options, "delete"):
        votes = vote.open_store(options.output)
        if hasattr(options, "export"):
            kept = votes.votes()
            write_atomic(options.export, as_csv(kept).encode())
            print(f"{len(kept)} votes in {options.export}")
        elif not votes.delete(options.delete):
            raise ValueError(f"there is no vote {options.delete}")
        return 0
    evaluation = Evaluation(load(options.output), options.output)
    if hasattr(options, "count"):
        result = tally.tally(evaluation)
        if result is None:
            raise ValueError("nobody has voted yet")
        for shown in tables(result):
            print(shown.title, shown.text(), shown.note, sep="\n", end="\n\n")
        return 0
    ballot = vote.prepare(evaluation, getattr(options, "pictures", vote.PICTURES))
    print(f"{len(ballot.comparisons)} comparisons on {len(ballot.photos)} photos in {ballot.folder}")
    if hasattr(options, "prepare"):
        return 0
    return vote.serve(options.output, ["--port", str(options.port)] if hasattr(options, "port") else [])


def _faithfulness(options: argparse.Namespace) -> int:
    _quieten()
    from eval.faithfulness.run import faithfulness
    from moebius.presentation.faithfulness import table

    shown = table(faithfulness(options.output, getattr(options, "iopaint", None)))
    print(shown.text(), shown.note, sep="\n\n")
    return 0


def _print_results(results: dict, out: Path) -> None:
    from moebius.presentation.results import main_table, suspicions

    print(*suspicions(results), main_table(results, None).first(-2).text(), sep="\n")
    print(f"Report: {out / 'results.html'}")


def _validate(options: argparse.Namespace) -> int:
    _quieten()
    from eval import validate
    from eval.data.heldout import SHIPPED_SET
    from eval.report.figures import VALIDATION
    from eval.settings import Settings
    from eval.workers import Workers

    given = {"data": str(SHIPPED_SET), "features": OFFLINE} | given_settings(vars(options))
    workers = Workers.from_environment()
    try:
        result = validate.validate(Settings(**given), options.output, workers)
    finally:
        workers.close()
    if result:
        shown = validate.table(result)
        print(shown.text(), shown.note, f"Figures: {options.output / VALIDATION}", sep="\n")
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


if __name__ == "__main__":
    sys.exit(main())
