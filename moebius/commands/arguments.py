"""Options that several commands share, and the settings made from them."""

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


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")


def add_device(parser: argparse._ActionsContainer, dtype: str = "the fastest that is accurate here") -> None:
    """Options for device and number format; `dtype` is the text for the format's default."""
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (default: the best available)")
    parser.add_argument("--dtype", choices=DTYPES, metavar="TYPE", help=f"{', '.join(DTYPES)} (default: {dtype})")


def add_variant(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--variant",
        choices=catalog.VARIANTS,
        metavar="NAME",
        default=argparse.SUPPRESS,
        help=f"of the published weights: {', '.join(catalog.VARIANTS)} "
        f"(default: what --weights holds, else {catalog.DEFAULT_VARIANT})",
    )


def add_weights(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder with the weights (default: MOEBIUS_WEIGHTS, else the Hugging Face cache)",
    )
    add_variant(parser)


def add_plan(parser: argparse._ActionsContainer) -> None:
    """Hidden from --help: the plans have not been tested on a GPU yet, see benchmarks/waiting-for-gpu.md."""
    parser.add_argument("--plan", help=argparse.SUPPRESS)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Seed and every field of `SamplingConfig`; options that are not given are not in the parsed options."""
    sampling = SamplingConfig()
    cards = {card.name: card.defaults for card in registry.MODELS.values() if card.defaults}
    own_steps = ", ".join(f"{name} {own.num_inference_steps}" for name, own in cards.items())
    own_guidance = ", ".join(f"{name} {own.guidance_scale:g}" for name, own in cards.items())
    fill = parser.add_argument_group("how it fills")
    fill.add_argument("--seed", type=int, metavar="N", help="0 to 2**63 - 1 (default: random; the result names it)")
    fill.add_argument("--prompt", metavar="TEXT", help="for FLUX: what the hole should show (default: background)")
    fine = parser.add_argument_group("fine tuning")
    fine.add_argument(
        "--recipe",
        choices=RECIPES,
        help=f"photo: for photos of any size; published: the paper's, at the model's size (default: {sampling.recipe})",
    )
    fine.add_argument(
        "--scheduler",
        choices=SCHEDULERS,
        metavar="NAME",
        help=f"{', '.join(SCHEDULERS)} (default: {sampling.scheduler})",
    )
    for group, flag, field, kind, text in (
        (fill, "--steps", "num_inference_steps", int, f"sampling steps (default: {own_steps})"),
        (fill, "--guidance", "guidance_scale", float, f"guidance scale (default: {own_guidance})"),
        (fill, "--feather", "feather_px", int, "width in pixels of the blend outside the mask"),
        (fill, "--context", "context", float, "side of the square that the model sees, as a multiple of the hole's"),
        (fine, "--max-squares", "max_squares", int, "most squares for one long hole"),
        (fine, "--guidance-share", "guidance_share", float, "share of the steps that use guidance, from the first one"),
        (fine, "--strength", "strength", float, "share of the noise schedule that runs (default: the recipe's)"),
        (fine, "--noise-offset", "noise_offset", float, "standard deviation of a constant added to the noise"),
    ):
        default = getattr(sampling, field)
        help_text = text if default is None else f"{text} (default: {default})"
        group.add_argument(flag, dest=field, type=kind, metavar="N" if kind is int else "X", help=help_text)
    for flag, field, text in (
        ("--detail", "detail", "copy fine texture from the photo if the model works at a smaller size"),
        ("--match-colours", "match_colours", "adjust the model's colours to the photo's around the hole"),
    ):
        default = "on" if getattr(sampling, field) else "off"
        fill.add_argument(flag, dest=field, type=on_off, metavar="on|off", help=f"{text} (default: {default})")


def on_off(text: str) -> bool:
    """The value of an option that is `on` or `off`."""
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"write on or off, got {text!r}")
    return text == "on"


def add_filling(parser: argparse.ArgumentParser) -> None:
    """Options of every command that fills photos with one model and writes them."""
    parser.add_argument(
        "--mark",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write into the files' XMP, in IPTC's terms, that a model edited them (default: MOEBIUS_MARK, else no)",
    )
    parser.add_argument(
        "--grow-mask",
        type=float,
        metavar="X",
        default=0.0,
        help="grow the mask first by this share of its size, e.g. 0.02, against the rim of what goes (default: 0)",
    )
    add_json(parser)
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        choices=(registry.AUTO, *registry.MODELS),
        metavar="NAME",
        default=registry.AUTO,
        help=f"{', '.join(registry.MODELS)}; or {registry.AUTO}: the best that can run here, without a download "
        "(default)",
    )
    add_weights(model)
    add_device(model)
    add_plan(model)
    model.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        default=1,
        help="holes, of one photo or of several, that the model fills in one call (default: 1)",
    )
    add_sampling(parser)


def grow_mask(options: argparse.Namespace) -> float:
    """The given share. Raises ValueError if it is out of range."""
    from moebius.masking.grow import MAX_SHARE

    if not 0 <= options.grow_mask <= MAX_SHARE:
        raise ValueError(
            f"--grow-mask must be a share of the mask's size from 0 to {MAX_SHARE:g}, got {options.grow_mask:g}"
        )
    return options.grow_mask


def mark(options: argparse.Namespace, learned: bool) -> str | None:
    """The mark for results; None: no mark. Raises ValueError if MOEBIUS_MARK is neither 0 nor 1."""
    from moebius.photo import ai_mark

    requested = environment.MARK.read() if options.mark is None else options.mark
    return ai_mark.mark_of(learned) if requested else None


def sampling_config(options: argparse.Namespace) -> SamplingConfig:
    """The settings of a fill that the options give. Raises ValueError out of range."""
    given = vars(options)
    return SamplingConfig(**{field: given[field] for field in _SAMPLING_FIELDS if field in given})


def load_options(options: argparse.Namespace, allow_download: bool) -> registry.LoadOptions:
    """Where weights are and on which device models run, as the options say."""
    given = vars(options)
    catalog.check_variant(given.get("variant"))
    named = {field: given.get(field) for field in ("weights", "variant", "device", "dtype", "plan")}
    return registry.LoadOptions(**named, allow_download=allow_download)


def batch_size(options: argparse.Namespace) -> int:
    """The given batch size. Raises ValueError if it is below 1."""
    if options.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, got {options.batch_size}")
    return options.batch_size


def seed(options: argparse.Namespace) -> int:
    """The given seed, else a random one. Raises ValueError if it is out of range."""
    given = vars(options).get("seed")
    return seeds.random_seed() if given is None else seeds.check_seed(given, "--seed")
