"""Which weight files exist and where they are on this computer. No torch in this file.

The denoisers' variants are published one folder each, the student's in `hustvl/Moebius`, PixelHacker's in
`hustvl/PixelHacker`, which also holds the autoencoder of both. `moebius.weights.hub` fetches them,
`moebius.weights.load` builds the networks.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moebius import environment
from moebius.files import read_json

AUTOENCODER_REPO = "hustvl/PixelHacker"
PUBLISHED_NAME = "diffusion_pytorch_model.bin"
NAMES = ("diffusion_pytorch_model.safetensors", PUBLISHED_NAME)
"""File names of one network, best first."""

AUTOENCODER_BYTES = 168_000_000
"""About what its download weighs, in half precision."""

MINI_FOLDER = Path("weights/moebius-mini")
"""Where `pack-weights` writes one, and where it is found from the working folder."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A published denoiser. `VARIANTS` and the autoencoder are the same for all."""

    name: str
    """As the model is called in the registry."""
    title: str
    repo: str
    download_bytes: int
    """About what one variant weighs."""
    variable: environment.Variable
    """The environment variable that names its folder."""
    kind: str
    """Its class in a diffusers folder."""
    mark: bytes
    """Part of parameter names that no other network has."""


NETWORKS = {
    network.name: network
    for network in (
        Network(
            name="moebius",
            title="Moebius",
            repo="hustvl/Moebius",
            download_bytes=453_000_000,  # half precision
            variable=environment.WEIGHTS,
            kind="MoebiusUNet",
            mark=b".rel_pos_emb",
        ),
        Network(
            name="pixelhacker",
            title="PixelHacker",
            repo="hustvl/PixelHacker",
            download_bytes=3_449_000_000,  # single precision
            variable=environment.PIXELHACKER_WEIGHTS,
            kind="PixelHackerUNet",
            mark=b".gk_proj.",
        ),
    )
}


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
    """The files of one variant, found on this computer. `moebius.weights.load` turns them into networks."""

    network: str
    """A name in `NETWORKS`."""
    variant: str | None
    """None: a pipeline folder that does not say (written by save_pretrained)."""
    denoiser: Path
    """The weights; a `config.json` beside them describes a network of another size than the published one."""
    autoencoder: Path
    """The weights; `config.json` lies beside them."""
    layout: Literal["published", "diffusers"]
    where: str
    """For people: the folder, or the cache and the commit."""
    revisions: tuple[str | None, str | None] = (None, None)
    """Commits of the denoiser's and the autoencoder's repository, where known."""


def locate(
    variant: str | None = None,
    weights: Path | str | None = None,
    revision: str | None = None,
    network: str = "moebius",
) -> WeightFiles:
    """Find the files of a variant without downloading anything.

    Looks into the folder `weights`, else the folder that the network's environment variable names, else the Hugging
    Face cache. A folder may be

    - a copy of the published repository: `DIR/ft_places2/diffusion_pytorch_model.bin` (or .safetensors), or
      the same under `DIR/Moebius/` or `DIR/PixelHacker/`, with the autoencoder's `vae/` inside it, beside it, or
      in a `PixelHacker/` inside or beside it;
    - a diffusers pipeline written by `download --to` or `save_pretrained`: `DIR/model_index.json`, or the same under
      `DIR/Moebius/` or `DIR/PixelHacker/`;
    - a folder of those, one a variant, as `download all --to` writes it: `DIR/places2/model_index.json`.

    Args:
        variant: a name in `VARIANTS`. None: what the folder holds if that is one variant, else `places2`.
        network: a name in `NETWORKS`.

    Raises:
        WeightsError: not there or incomplete; says what was looked at and the ways out.
        ValueError: no such variant.
    """
    check_variant(variant)
    wanted, folder = NETWORKS[network], chosen_folder(weights, network)
    if folder is None:
        from moebius.weights.hub import in_cache

        return in_cache(variant or DEFAULT_VARIANT, revision, wanted)
    if not folder.is_dir():
        raise WeightsError(f"the weights folder {folder} does not exist (--weights or {wanted.variable})")
    own = folder / wanted.repo.split("/")[1]  # several networks may lie side by side under their repositories' names
    for place in (own, folder):
        if found := _pipeline_folder(wanted, variant, place) or _folder_of_pipelines(wanted, variant, place):
            return found
    return _published(wanted, variant, folder)


def check_variant(variant: str | None) -> None:
    """Raises ValueError, listing the variants, for a name that is none of them."""
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose from {', '.join(VARIANTS)}")


def chosen_folder(weights: Path | str | None, network: str = "moebius") -> Path | None:
    """The folder that was asked for, in the call or by the network's variable; None: the Hugging Face cache."""
    named = weights or NETWORKS[network].variable.read()
    return Path(named).expanduser() if named else None


def mini_folder() -> Path | None:
    """The folder of a small student: the one that the variable names, else `MINI_FOLDER` if it holds one."""
    if named := environment.MINI_WEIGHTS.read():
        return Path(named).expanduser()
    return MINI_FOLDER if (MINI_FOLDER / "model_index.json").is_file() else None


def network_file(folder: Path) -> Path | None:
    """The weights in a network's folder, safetensors before pickle."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def download_bytes(network: str = "moebius") -> int:
    """About what one variant weighs, its autoencoder included."""
    return NETWORKS[network].download_bytes + AUTOENCODER_BYTES


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


# ---- folders ----


def _pipeline_folder(wanted: Network, variant: str | None, folder: Path) -> WeightFiles | None:
    if not (folder / "model_index.json").is_file():
        return None
    index = read_json(folder / "model_index.json", WeightsError)
    kind = index.get("_class_name")
    if kind != "MoebiusInpaintPipeline":
        raise WeightsError(f"{folder} holds a {kind}, not a MoebiusInpaintPipeline")
    kind = (index.get("unet") or ["", ""])[1]
    if kind != wanted.kind:
        held = next((network.title for network in NETWORKS.values() if network.kind == kind), f"a {kind}")
        raise WeightsError(f"{folder} holds {held}, not {wanted.title}")
    manifest = folder / "moebius.json"
    held = read_json(manifest, WeightsError).get("variant") if manifest.is_file() else None
    if variant and held and variant != held:
        raise WeightsError(f"{folder} holds the variant {held}, not {variant}; pass --variant {held} or another folder")
    denoiser, autoencoder = network_file(folder / "unet"), network_file(folder / "vae")
    for name, path in (("unet", denoiser), ("vae", autoencoder)):
        if path is None:
            raise WeightsError(f"{folder / name} has no weights ({' or '.join(NAMES)})")
    return WeightFiles(
        network=wanted.name,
        variant=held or variant,
        denoiser=denoiser,
        autoencoder=autoencoder,
        layout="diffusers",
        where=f"folder {folder}",
    )


def _folder_of_pipelines(wanted: Network, variant: str | None, folder: Path) -> WeightFiles | None:
    present = [name for name in VARIANTS if (folder / name / "model_index.json").is_file()]
    if not present:
        return None
    name = _choose(variant, present, folder)
    return _pipeline_folder(wanted, name, folder / name)


def _published(wanted: Network, variant: str | None, folder: Path) -> WeightFiles:
    for root in (folder, folder / wanted.repo.split("/")[1]):
        found = {name: network_file(root / VARIANTS[name].folder) for name in VARIANTS}
        present = [name for name, path in found.items() if path and not _belongs_to_another(wanted, path)]
        if present:
            break
    else:
        tried = ", ".join(f"{VARIANTS[name].folder}/{PUBLISHED_NAME}" for name in VARIANTS)
        raise WeightsError(f"{folder} holds no weights of {wanted.title}: looked for model_index.json and {tried}")
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
            f"{folder} has {wanted.title} but not its autoencoder: copy vae/config.json and vae/{PUBLISHED_NAME} "
            f"of {AUTOENCODER_REPO} to {root / 'vae'}"
        )
    return WeightFiles(
        network=wanted.name,
        variant=name,
        denoiser=found[name],
        autoencoder=autoencoder,
        layout="published",
        where=f"folder {folder}",
    )


def _belongs_to_another(wanted: Network, path: Path) -> bool:
    """Whether a file's parameter names are another network's; repositories have the same folders, names tell."""
    try:
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                names = file.read(min(int.from_bytes(file.read(8), "little"), 2**24))
        else:
            with zipfile.ZipFile(path) as archive:  # torch's; the pickle inside is searched, not opened
                names = next((archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")), b"")
    except (OSError, zipfile.BadZipFile):
        return False  # an old or a damaged file: loading it will tell
    return wanted.mark not in names and any(network.mark in names for network in NETWORKS.values())


def _choose(variant: str | None, present: list[str], folder: Path) -> str:
    if variant is None:
        variant = DEFAULT_VARIANT if DEFAULT_VARIANT in present else present[0]
        if variant != DEFAULT_VARIANT and len(present) > 1:
            raise WeightsError(f"{folder} holds {', '.join(present)}: say which with --variant")
    if variant not in present:
        raise WeightsError(f"{folder} does not hold {variant}; it holds {', '.join(present)}")
    return variant
