"""`python -m moebius bench`: time of a fill and of a step, beside the paper's."""

from __future__ import annotations

import argparse

from moebius import paper
from moebius.commands import arguments

MODELS = tuple(paper.TIMINGS)


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "bench",
        help="time the models, with random weights",
        description="Time one fill of a 512 × 512 square by each model at its own default steps, beside the paper's "
        "figures. The weights are random numbers, made on the device. Without a GPU the networks are tiny.",
    )
    parser.add_argument(
        "--models",
        type=lambda text: [name for name in text.split(",") if name],
        default=list(MODELS),
        metavar="A,B,…",
        help=f"from {', '.join(MODELS)} (default: all)",
    )
    arguments.add_device(parser, dtype="bfloat16 on a GPU, float32 on a CPU")
    parser.add_argument("--steps", type=int, metavar="N", help="sampling steps (default: each model's own)")
    parser.add_argument(
        "--size",
        choices=("real", "tiny"),
        help="real: the published sizes; tiny: to try the command (default: real on a GPU, tiny elsewhere)",
    )
    # not in --help: kernels for CUDA that have not run there yet, see benchmarks/waiting-for-gpu.md
    parser.add_argument("--kernel", choices=("torch", "fla", "triton"), default="torch", help=argparse.SUPPRESS)
    arguments.add_json(parser)
    modes = parser.add_argument_group("the student alone")
    modes.add_argument(
        "--all-modes",
        action="store_true",
        help="time a guided step in every mode, number format and batch size that can run here, interleaved; then a "
        "whole fill in each, in a separate process",
    )
    modes.add_argument("--rounds", type=int, default=5, metavar="N", help="timed rounds (default: 5)")
    modes.add_argument(
        "--batches",
        type=lambda text: tuple(int(number) for number in text.split(",")),
        metavar="N,N,…",
        help="pictures in one step (default: 1,2; on a GPU 1,16)",
    )
    modes.add_argument("--steps-only", action="store_true", help="time no whole fills")
    modes.add_argument("--minutes", type=float, default=30.0, metavar="M", help="start nothing after M (default: 30)")
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    from moebius.progress import TerminalProgress

    if unknown := [name for name in options.models if name not in MODELS]:
        raise ValueError(f"cannot measure {unknown[0]!r}; choose from {', '.join(MODELS)}")
    with TerminalProgress() as progress:
        from moebius.bench.fills import bench

        tiny = None if options.size is None else options.size == "tiny"
        if options.all_modes:
            from moebius.bench.student import all_modes

            return all_modes(
                options.device,
                options.batches,
                options.rounds,
                tiny,
                whole=not options.steps_only,
                minutes=options.minutes,
                progress=progress,
            )
        return bench(options.models, options.device, options.dtype, options.steps, tiny, options.kernel, progress)


def describe(report: dict) -> str:
    if "rows" in report:
        from moebius.bench.student import describe as describe_modes

        return describe_modes(report)
    from moebius.presentation.table import NONE, Table

    header = (
        "model",
        "M parameters",
        "side",
        "steps",
        "ms/step",
        "total s",
        "peak GiB",
        "the paper: ms/step × steps = s",
    )
    rows = []
    for row in report["results"]:
        peak = row["peak_gib"]["gpu"] if row["peak_gib"]["gpu"] is not None else row["peak_gib"]["memory"]
        published = row["paper"]
        rows.append(
            (
                row["model"],
                f"{row['parameters'] / 1e6:,.1f}",
                str(row["side"]),
                str(row["steps"]),
                NONE if row["step_ms"] is None else f"{row['step_ms']:.2f}",
                f"{row['total_s']:.2f}",
                f"{peak:.2f}",
                f"{published['step_ms']:.2f} × {published['steps']} = {published['total_s']:.2f}",
            )
        )
    lines = [
        f"{report['device']}, {report['dtype']}, torch {report['torch']}; random weights, batch 1",
        Table("Time of a fill", header, tuple(rows)).text(),
    ]
    if report["tiny"]:
        lines.append("These networks are tiny, because there is no GPU: the figures say nothing about the real ones.")
    return "\n".join(lines)
