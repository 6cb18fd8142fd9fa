"""`python -m moebius train-vae CONFIG.toml`: a small autoencoder. Heavy imports stand inside."""

from __future__ import annotations

import argparse

from moebius.commands.train import add_training, run_training


def add(commands: argparse._SubParsersAction) -> None:
    add_training(
        commands,
        "train-vae",
        "train an autoencoder",
        "Train an autoencoder as CONFIG says; docs/training.md explains how.",
        run,
    )


def run(options: argparse.Namespace) -> dict:
    """Train an autoencoder and write it."""
    from moebius.training import config

    settings = config.load(options.config, config.AutoencoderConfig, options.set)
    from moebius.training.autoencoder import AutoencoderTraining

    return run_training(AutoencoderTraining, settings, options.minutes, "autoencoder")
