"""The options of the commands that make and score fills, and the settings that they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from eval.data.protocols import OWN, PAIR_PROTOCOLS, PROTOCOLS
from eval.metrics.names import FEATURES, PERCEPTUAL, REMOVAL, SECOND
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


def add_data(parser: argparse.ArgumentParser, kept: str) -> None:
    data = parser.add_argument_group("data" + kept)
    data.add_argument(
        "--data", metavar="DATA", help=f"folder, list file or protocol: {', '.join((*PROTOCOLS, *PAIR_PROTOCOLS))}"
    )
    data.add_argument("--folder", metavar="DIR", help="with a protocol: where its pictures are")
    data.add_argument(
        "--pairs",
        metavar="DIR",
        help="photos with an object, the same without it, and masks: folders with, without, masks",
    )
    data.add_argument(
        "--masks",
        metavar="MASKS",
        help="folder of masks, or a kind: lama-thick, mat-large, object, …; with pairs: careless, careless:tight, …",
    )
    data.add_argument("--size", type=int, metavar="N", help="scale the short side to N and crop the middle square")
    data.add_argument("--seed", type=int, metavar="N", help="of masks and fills (default: 0)")
    data.add_argument("--limit", type=int, metavar="N", help="only the first N pictures by name")


def add_models(parser: argparse.ArgumentParser, kept: str) -> None:
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


def add_metrics(parser: argparse.ArgumentParser, kept: str) -> None:
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
        "--second",
        choices=SECOND,
        help="second feature space of the sets (default: efficientnet-lite2, without a download)",
    )
    metrics.add_argument("--dinov2-large", metavar="DIR", help="with --second dinov2-large: its weights")
    metrics.add_argument(
        "--antialias",
        action=argparse.BooleanOptionalAction,
        help="resize before Inception (default: off, as in published figures)",
    )
    metrics.add_argument("--download", action=argparse.BooleanOptionalAction, help="fetch the metrics' networks")


def add_timing(parser: argparse.ArgumentParser, kept: str) -> None:
    timing = parser.add_argument_group("time" + kept)
    timing.add_argument("--rounds", type=int, metavar="N", help="fills per model after warm-up (default: 5)")
    timing.add_argument("--time-batches", type=_numbers, metavar="1,4", help="batch sizes that are timed (default: 1)")


def given_settings(options: dict) -> dict:
    """The fields of `Settings` that the parsed options set."""
    from dataclasses import fields

    from eval.settings import Settings

    if "pairs" in options:
        if {"data", "folder"} & set(options):
            raise ValueError("--pairs takes the place of --data and --folder; leave these out")
        options = options | {"data": OWN, "folder": options["pairs"]}
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
