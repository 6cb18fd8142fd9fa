"""`python -m moebius train CONFIG.toml`: train a student. Heavy packages are imported inside, so that help is fast."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from moebius.commands import arguments

if TYPE_CHECKING:
    from moebius.training.config import AutoencoderConfig, TrainConfig
    from moebius.training.loop import Trainee


def add(commands: argparse._SubParsersAction) -> None:
    add_training(
        commands, "train", "train a student", "Train a student with the settings in CONFIG; see docs/training.md.", run
    )


def add_training(
    commands: argparse._SubParsersAction, name: str, summary: str, description: str, command: Callable
) -> None:
    """Add a training command with the options that all of them share."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{description} A run that was stopped resumes from its last checkpoint. On several GPUs: "
        f"`accelerate launch -m moebius {name} CONFIG`.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file such as configs/tiny.toml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting such as run.steps=100; repeatable"
    )
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="stop after M minutes, with a checkpoint and the result so far"
    )
    arguments.add_json(parser)
    parser.set_defaults(command=command, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Train a student and write it as a pipeline."""
    from moebius.training import config

    settings = config.load(options.config, config.TrainConfig, options.set)
    from moebius.training.distillation import Distillation

    return run_training(Distillation, settings, options.minutes, "pipeline")


def run_training(
    kind: Callable[..., Trainee], settings: TrainConfig | AutoencoderConfig, minutes: float | None, written: str
) -> dict:
    """Build the trainee, train it, and return a summary; `written`: name of the folder with the result."""
    from moebius.training import loop

    def report(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    accelerator = loop.accelerator(settings.run)
    say = report if accelerator.is_main_process else lambda text: None
    trainee = kind(settings, accelerator, say)
    result = loop.run(trainee, settings, accelerator, say, minutes)
    accelerator.end_training()
    result["output"] = str(settings.run.out / written) if result.pop("written") else None
    result["steps"] = settings.run.steps
    result["device"] = str(accelerator.device)
    result["processes"] = accelerator.num_processes
    if result["pictures_per_second"]:
        rate = result["pictures_per_second"]
        result["days_for_all_steps"] = settings.run.steps * settings.run.batch_size / rate / 86400
    return result


def describe(report: dict) -> str:
    if report["finished"]:
        done = f"{report['output']}: trained for {report['step']} steps"
    else:
        done = (
            f"stopped after step {report['step']} of {report['steps']}, in {report['checkpoint']}; "
            "the same command resumes"
        )
        if report["output"]:
            done += f"; so far it is {report['output']}"
    rate = report["pictures_per_second"]
    if rate is None:
        return done
    return f"{done}, {rate:.3g} pictures/s ({report['days_for_all_steps']:.2g} days for all {report['steps']} steps)"
