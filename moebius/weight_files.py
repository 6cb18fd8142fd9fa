"""Which weight files exist and where they are on this computer. No torch in this file.

The student's variants are published in `hustvl/Moebius`, one folder each; their autoencoder in
`hustvl/PixelHacker`. `moebius.hub` fetches them, `moebius.weights` makes networks of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

STUDENT_REPO = "hustvl/Moebius"
AUTOENCODER_REPO = "hustvl/PixelHacker"
PUBLISHED_NAME = "diffusion_pytorch_model.bin"
NAMES = ("diffusion_pytorch_model.safetensors", PUBLISHED_NAME)
"""File names of one network, best first."""

STUDENT_BYTES = 453_000_000
AUTOENCODER_BYTES = 168_000_000
"""About what the downloads weigh: both are stored in half precision."""

Progress = Callable[[float, str], None]


class WeightsError(ValueError):
    """Weights that are not there, damaged, or not what they should be; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    folder: str
    """In the published repository."""
    title: str


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(name="places2", folder="ft_places2", title="tuned on Places2: scenes and everyday photos"),
        Variant(name="pretrained", folder="pretrained", title="before tuning on one data set"),
        Variant(name="celebahq", folder="ft_celebahq", title="tuned on CelebA-HQ: faces"),
        Variant(name="ffhq", folder="ft_ffhq", title="tuned on FFHQ: faces"),
    )
}
DEFAULT_VARIANT = "places2"


@dataclass(frozen=True, kw_only=True)
class WeightFiles:
    """The files of one variant, found on this computer. `moebius.weights` turns them into networks."""

    variant: str | None
    """None: a pipeline folder that does not say (written by save_pretrained)."""
    student: Path
    """The weights; a `config.json` beside them describes a student of another size than the published one."""
    autoencoder: Path
    """The weights; `config.json` lies beside them."""
    layout: Literal["published", "diffusers"]
    where: str
    """For people: the folder, or the cache and the commit."""
    revisions: tuple[str | None, str | None] = (None, None)
    """Commits of the student's and the autoencoder's repository, where known."""


def locate(variant: str | None = None, weights: Path | str | None = None, revision: str | None = None) -> WeightFiles:
    """Find the files of a variant without downloading anything.

    Looks into the folder `weights`, else the folder in MOEBIUS_WEIGHTS, else the Hugging Face cache. A folder
    may be

    - a copy of the published repository: `DIR/ft_places2/diffusion_pytorch_model.bin` (or .safetensors), or
      the same under `DIR/Moebius/`, with the autoencoder's `vae/` inside it, beside it, or in a
      `PixelHacker/` inside or beside it;
    - a diffusers pipeline written by `download --to` or `save_pretrained`: `DIR/model_index.json`;
    - a folder of those, one a variant, as `download all --to` writes it: `DIR/places2/model_index.json`.

    Args:
        variant: a name in `VARIANTS`. None: what the folder holds if that is one variant, else `places2`.

    Raises:
        WeightsError: not there or incomplete; says what was looked at and the ways out.
        ValueError: no such variant.
    """
    check_variant(variant)
    folder = chosen_folder(weights)
    if folder is None:
        from moebius.hub import in_cache

        return in_cache(variant or DEFAULT_VARIANT, revision)
    if not folder.is_dir():
        raise WeightsError(f"the weights folder {folder} does not exist (--weights or MOEBIUS_WEIGHTS)")
    return _pipeline_folder(variant, folder) or _folder_of_pipelines(variant, folder) or _published(variant, folder)


def check_variant(variant: str | None) -> None:
    """Raises ValueError, listing the variants, for a name that is none of them."""
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose from {', '.join(VARIANTS)}")


def chosen_folder(weights: Path | str | None) -> Path | None:
    """The folder that was asked for, in the call or by MOEBIUS_WEIGHTS; None: the Hugging Face cache."""
    named = weights or os.environ.get("MOEBIUS_WEIGHTS")
    return Path(named).expanduser() if named else None


def network_file(folder: Path) -> Path | None:
    """The weights in a network's folder, safetensors before pickle."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def download_bytes() -> int:
    """About what one variant weighs, its autoencoder included."""
    return STUDENT_BYTES + AUTOENCODER_BYTES


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


# ---- folders ----


def _pipeline_folder(variant: str | None, folder: Path) -> WeightFiles | None:
    index = folder / "model_index.json"
    if not index.is_file():
        return None
    kind = read_json(index).get("_class_name")
    if kind != "MoebiusInpaintPipeline":
        raise WeightsError(f"{folder} holds a {kind}, not a MoebiusInpaintPipeline")
    manifest = folder / "moebius.json"
    held = read_json(manifest).get("variant") if manifest.is_file() else None
    if variant and held and variant != held:
        raise WeightsError(f"{folder} holds the variant {held}, not {variant}; pass --variant {held} or another folder")
    student, autoencoder = network_file(folder / "unet"), network_file(folder / "vae")
    for name, path in (("unet", student), ("vae", autoencoder)):
        if path is None:
            raise WeightsError(f"{folder / name} has no weights ({' or '.join(NAMES)})")
    return WeightFiles(
        variant=held or variant,
        student=student,
        autoencoder=autoencoder,
        layout="diffusers",
        where=f"folder {folder}",
    )


def _folder_of_pipelines(variant: str | None, folder: Path) -> WeightFiles | None:
    present = [name for name in VARIANTS if (folder / name / "model_index.json").is_file()]
    if not present:
        return None
    name = _choose(variant, present, folder)
    return _pipeline_folder(name, folder / name)


def _published(variant: str | None, folder: Path) -> WeightFiles:
    for root in (folder, folder / "Moebius"):
        present = [name for name in VARIANTS if network_file(root / VARIANTS[name].folder)]
        if present:
            break
    else:
        tried = ", ".join(f"{VARIANTS[name].folder}/{PUBLISHED_NAME}" for name in VARIANTS)
        raise WeightsError(f"{folder} holds no weights of Moebius: looked for model_index.json and {tried}")
    name = _choose(variant, present, folder)
    homes = [
        root / "vae",
        root / "PixelHacker" / "vae",
        root.parent / "PixelHacker" / "vae",
        root.parent / "vae",
    ]
    for home in homes:
        autoencoder = network_file(home)
        if autoencoder and (home / "config.json").is_file():
            break
    else:
        raise WeightsError(
            f"{folder} has the student but not its autoencoder: copy vae/config.json and vae/{PUBLISHED_NAME} "
            f"of {AUTOENCODER_REPO} to {root / 'vae'}"
        )
    return WeightFiles(
        variant=name,
        student=network_file(root / VARIANTS[name].folder),
        autoencoder=autoencoder,
        layout="published",
        where=f"folder {folder}",
    )


def _choose(variant: str | None, present: list[str], folder: Path) -> str:
    if variant is None:
        variant = DEFAULT_VARIANT if DEFAULT_VARIANT in present else present[0]
        if variant != DEFAULT_VARIANT and len(present) > 1:
            raise WeightsError(f"{folder} holds {', '.join(present)}: say which with --variant")
    if variant not in present:
        raise WeightsError(f"{folder} does not hold {variant}; it holds {', '.join(present)}")
    return variant


def read_json(path: Path) -> dict:
    """A JSON object; WeightsError, naming the file, for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing") from error
    except ValueError as error:
        raise WeightsError(f"{path} is not valid JSON: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no JSON object")
    return content
