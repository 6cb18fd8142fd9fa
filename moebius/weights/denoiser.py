"""Folders that hold a denoiser and its autoencoder: the layouts that exist, and the files in them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moebius.files import read_json
from moebius.weights import WeightsError
from moebius.weights.catalog import (
    AUTOENCODER_REPO,
    DEFAULT_VARIANT,
    DENOISERS,
    PUBLISHED_NAME,
    VARIANTS,
    WEIGHT_NAMES,
    Denoiser,
)


@dataclass(frozen=True, kw_only=True)
class WeightFiles:
    """The files of one variant, found on this computer. `moebius.weights.load` turns them into networks."""

    network: str
    """A name in `catalog.DENOISERS`."""
    variant: str | None
    """None: a pipeline folder that does not say (written by save_pretrained)."""
    denoiser: Path
    """The weights; a `config.json` beside them describes a network of another size than the published one."""
    autoencoder: Path
    """The weights; `config.json` lies beside them."""
    layout: Literal["published", "diffusers"]
    where: str
    """For messages: the folder, or the cache and the commit."""
    revisions: tuple[str | None, str | None] = (None, None)
    """Commits of the denoiser's and the autoencoder's repository, where known."""


def weights_in(folder: Path) -> Path | None:
    """The weights in the folder of one network, safetensors before pickle."""
    return next((folder / name for name in WEIGHT_NAMES if (folder / name).is_file()), None)


def find(network: Denoiser, folder: Path, variant: str | None) -> WeightFiles:
    """The files of a variant in a folder, of any layout that `locate.locate` lists.

    Raises:
        WeightsError: the folder holds something else, or not everything; says what was looked for.
    """
    for place in (folder / network.folder_name, folder):
        if found := _pipeline_folder(network, place, variant) or _folder_of_pipelines(network, place, variant):
            return found
    return _published(network, folder, variant)


def _pipeline_folder(network: Denoiser, folder: Path, variant: str | None) -> WeightFiles | None:
    if not (folder / "model_index.json").is_file():
        return None
    index = read_json(folder / "model_index.json", WeightsError)
    pipeline = index.get("_class_name")
    if pipeline != "MoebiusInpaintPipeline":
        raise WeightsError(f"{folder} holds a {pipeline}, not a MoebiusInpaintPipeline")
    class_name = (index.get("unet") or ["", ""])[1]
    if class_name != network.class_name:
        other = next((one.title for one in DENOISERS.values() if one.class_name == class_name), f"a {class_name}")
        raise WeightsError(f"{folder} holds {other}, not {network.title}")
    manifest = folder / "moebius.json"
    recorded = read_json(manifest, WeightsError).get("variant") if manifest.is_file() else None
    if variant and recorded and variant != recorded:
        raise WeightsError(
            f"{folder} holds the variant {recorded}, not {variant}; pass --variant {recorded} or another folder"
        )
    denoiser, autoencoder = weights_in(folder / "unet"), weights_in(folder / "vae")
    for name, path in (("unet", denoiser), ("vae", autoencoder)):
        if path is None:
            raise WeightsError(f"{folder / name} has no weights ({' or '.join(WEIGHT_NAMES)})")
    return WeightFiles(
        network=network.name,
        variant=recorded or variant,
        denoiser=denoiser,
        autoencoder=autoencoder,
        layout="diffusers",
        where=f"folder {folder}",
    )


def _folder_of_pipelines(network: Denoiser, folder: Path, variant: str | None) -> WeightFiles | None:
    present = [name for name in VARIANTS if (folder / name / "model_index.json").is_file()]
    if not present:
        return None
    name = _choose(variant, present, folder)
    return _pipeline_folder(network, folder / name, name)


def _published(network: Denoiser, folder: Path, variant: str | None) -> WeightFiles:
    for root in (folder, folder / network.folder_name):
        found = {name: weights_in(root / VARIANTS[name].folder) for name in VARIANTS}
        present = [name for name, path in found.items() if path and not _belongs_to_another(network, path)]
        if present:
            break
    else:
        tried = ", ".join(f"{VARIANTS[name].folder}/{PUBLISHED_NAME}" for name in VARIANTS)
        raise WeightsError(f"{folder} holds no weights of {network.title}: looked for model_index.json and {tried}")
    name = _choose(variant, present, folder)
    places = [
        root / "vae",
        root / "PixelHacker" / "vae",
        root.parent / "PixelHacker" / "vae",
        root.parent / "vae",
    ]
    for place in places:
        autoencoder = weights_in(place)
        if autoencoder and (place / "config.json").is_file():
            break
    else:
        raise WeightsError(
            f"{folder} has {network.title} but not its autoencoder: copy vae/config.json and vae/{PUBLISHED_NAME} "
            f"of {AUTOENCODER_REPO} to {root / 'vae'}"
        )
    return WeightFiles(
        network=network.name,
        variant=name,
        denoiser=found[name],
        autoencoder=autoencoder,
        layout="published",
        where=f"folder {folder}",
    )


def _belongs_to_another(network: Denoiser, path: Path) -> bool:
    """Whether a file's parameter names are another denoiser's: the repositories have the same folders."""
    try:
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                names = file.read(min(int.from_bytes(file.read(8), "little"), 2**24))
        else:
            with zipfile.ZipFile(path) as archive:  # torch's; the pickle inside is searched, not opened
                names = next((archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")), b"")
    except (OSError, zipfile.BadZipFile):
        return False  # an old or a damaged file: loading it will report that
    return network.parameter_mark not in names and any(other.parameter_mark in names for other in DENOISERS.values())


def _choose(variant: str | None, present: list[str], folder: Path) -> str:
    if variant is None:
        variant = DEFAULT_VARIANT if DEFAULT_VARIANT in present else present[0]
        if variant != DEFAULT_VARIANT and len(present) > 1:
            raise WeightsError(f"{folder} holds {', '.join(present)}: say which with --variant")
    if variant not in present:
        raise WeightsError(f"{folder} does not hold {variant}; it holds {', '.join(present)}")
    return variant
