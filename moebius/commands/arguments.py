"""Options that several commands share, and what they become."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from moebius import environment, registry
from moebius.config import RECIPES, SCHEDULERS, SamplingConfig
from moebius.devices import DTYPES
from moebius.fill import seeds
from moebius.weights import catalog

_SAMPLING_FIELDS = tuple(field.name for field in dataclasses.fields(SamplingConfig))


def add_variant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variant",
        choices=catalog.VARIANTS,
        default=argparse.SUPPRESS,
        help=f"default: what --weights holds, else {catalog.DEFAULT_VARIANT}",
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    add_variant(parser)
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder with the weights (default: MOEBIUS_WEIGHTS, else the Hugging Face cache)",
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Device, seed and every field of `SamplingConfig`; what is not given stays out of the parsed options."""
    sampling = SamplingConfig()
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument("--dtype", choices=DTYPES, help="default: the fastest that is accurate here, measured")
    parser.add_argument("--plan", help="how FLUX is held in memory (default: the best that fits, and told)")
    parser.add_argument("--seed", type=int, help="0 to 2**63 - 1 (default: random, and told)")
    parser.add_argument("--prompt", help="for FLUX: what should be seen in the hole (default: plain background)")
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        help=f"photo: for people; published: the paper's, at the model's size (default: {sampling.recipe})",
    )
    here = {card.name: card.defaults for card in registry.MODELS.values() if card.defaults}
    own_steps = ", ".join(f"{name} {own.num_inference_steps}" for name, own in here.items())
    own_guidance = ", ".join(f"{name} {own.guidance_scale:g}" for name, own in here.items())
    for flag, field, kind, text in (
        ("--steps", "num_inference_steps", int, f"sampling steps (default: {own_steps})"),
        ("--guidance", "guidance_scale", float, f"1 turns it off, but for FLUX (default: {own_guidance})"),
        ("--guidance-share", "guidance_share", float, "share of the steps, the first ones, that are guided"),
        ("--strength", "strength", float, "share of the noise schedule that is run (default: the recipe's)"),
        ("--noise-offset", "noise_offset", float, "noise that is the same all over the picture"),
        ("--feather", "feather_px", int, "width of the blend outside the hole in pixels"),
        ("--context", "context", float, "side of the square around a hole, as a multiple of the hole's"),
        ("--max-squares", "max_squares", int, "most squares that one long hole is filled in"),
    ):
        default = getattr(sampling, field)
        told = text if default is None else f"{text} (default: {default})"
        parser.add_argument(flag, dest=field, type=kind, metavar="N" if kind is int else "X", help=told)
    parser.add_argument("--scheduler", choices=SCHEDULERS, help=f"default: {sampling.scheduler}")


def add_filling(parser: argparse.ArgumentParser) -> None:
    """What a command has that fills photos and writes files: model, weights, sampling, mark, JSON."""
    parser.add_argument(
        "--model",
        choices=(registry.AUTO, *registry.MODELS),
        default=registry.AUTO,
        help="auto: the best that can run here (default); a model by name may download its weights",
    )
    add_weights(parser)
    add_sampling(parser)
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        default=1,
        help="holes, of one photo or of several, filled in one call of the model (default: 1)",
    )
    _add_mark(parser)
    parser.add_argument("--json", action="store_true", default=False, help="tell what was done as JSON")


def _add_mark(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mark",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="say in the files' XMP, in IPTC's words, that a model edited them (default: no, or MOEBIUS_MARK)",
    )


def mark(options: argparse.Namespace, learned: bool) -> str | None:
    """What to mark results with, if at all. ValueError if MOEBIUS_MARK is neither 0 nor 1."""
    from moebius.photo import ai_mark

    wanted = environment.MARK.read() if options.mark is None else options.mark
    return ai_mark.mark_of(learned) if wanted else None


def sampling_config(options: argparse.Namespace) -> SamplingConfig:
    given = vars(options)
    return SamplingConfig(**{field: given[field] for field in _SAMPLING_FIELDS if field in given})


def load_options(options: argparse.Namespace, allow_download: bool) -> registry.LoadOptions:
    given = vars(options)
    catalog.check_variant(given.get("variant"))
    named = {field: given.get(field) for field in ("weights", "variant", "device", "dtype", "plan")}
    return registry.LoadOptions(**named, allow_download=allow_download)


def batch_size(options: argparse.Namespace) -> int:
    """The one that was given. ValueError if it is out of range."""
    if options.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, got {options.batch_size}")
    return options.batch_size


def seed(options: argparse.Namespace) -> int:
    """The one that was given, else a random one. ValueError if it is out of range."""
    given = vars(options).get("seed")
    return seeds.random_seed() if given is None else seeds.check_seed(given, "--seed")
