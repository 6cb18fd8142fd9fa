"""`python -m moebius train-vae CONFIG.toml`: train a small autoencoder. Heavy packages are imported inside."""

from __future__ import annotations

import argparse

from moebius.commands.train import add_training, run_training


def add(commands: argparse._SubParsersAction) -> None:
    add_training(
        commands,
        "train-vae",
        "train an autoencoder",
        "Train an autoencoder with the settings in CONFIG; see docs/training.md.",
        run,
    )


def run(options: argparse.Namespace) -> dict:
    """Train an autoencoder and write it."""
    from moebius.training import config

    settings = config.load(options.config, config.AutoencoderConfig, options.set)
    from moebius.training.autoencoder import AutoencoderTraining

    return run_training(AutoencoderTraining, settings, options.minutes, "autoencoder")
