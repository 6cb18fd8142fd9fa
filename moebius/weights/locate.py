"""Find weights on this computer: in a named folder, else in the Hugging Face cache.

`moebius.weights.hub` fetches what is missing, `moebius.weights.load` builds the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from moebius import environment
from moebius.units import file_size
from moebius.weights import WeightsError, denoiser, first_line, flux, segmenter
from moebius.weights.catalog import (
    AUTOENCODER_BYTES,
    AUTOENCODER_REPO,
    DEFAULT_VARIANT,
    FLUX,
    NETWORKS,
    PUBLISHED_NAME,
    SEGMENTER,
    VARIANTS,
    Denoiser,
    Network,
    check_variant,
    download_bytes,
    download_command,
)
from moebius.weights.denoiser import WeightFiles
from moebius.weights.flux import FluxFiles
from moebius.weights.segmenter import SegmenterFiles

Found = WeightFiles | FluxFiles | SegmenterFiles


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a repository on the hub."""

    repo: str
    name: str
    revision: str = "main"
    """Branch, tag or commit."""
    about_bytes: int


@overload
def locate(*, weights: Path | str | None = None, network: Literal["flux-fill"]) -> FluxFiles: ...
@overload
def locate(*, weights: Path | str | None = None, network: Literal["select"]) -> SegmenterFiles: ...
@overload
def locate(
    variant: str | None = None,
    weights: Path | str | None = None,
    revision: str | None = None,
    network: str = "moebius",
) -> WeightFiles: ...
def locate(
    variant: str | None = None,
    weights: Path | str | None = None,
    revision: str | None = None,
    network: str = "moebius",
) -> Found:
    """Find the files of a network without downloading anything.

    Looks into the folder `weights`, else the folder that the network's environment variable names, else the Hugging
    Face cache. For a denoiser a folder may be

    - a copy of the published repository: `DIR/ft_places2/diffusion_pytorch_model.bin` (or .safetensors), or
      the same under `DIR/Moebius/` or `DIR/PixelHacker/`, with the autoencoder's `vae/` inside it, beside it, or
      in a `PixelHacker/` inside or beside it;
    - a diffusers pipeline written by `download --to` or `save_pretrained`: `DIR/model_index.json`, or the same under
      `DIR/Moebius/` or `DIR/PixelHacker/`;
    - a folder of those, one a variant, as `download all --to` writes it: `DIR/places2/model_index.json`.

    For the others see `moebius.weights.flux.find` and `moebius.weights.segmenter.find`.

    Args:
        variant: of a denoiser, a name in `catalog.VARIANTS`. None: the variant in the folder if it has only one, else
            `places2`.
        revision: of a denoiser's repository in the cache: branch, tag or commit.
        network: a name in `catalog.NETWORKS`.

    Raises:
        WeightsError: missing or incomplete; says where it looked and what to do.
        ValueError: no such variant.
    """
    check_variant(variant)
    published, folder = NETWORKS[network], chosen_folder(weights, network)
    if folder is None:
        return in_cache(network, variant, revision)
    if not folder.is_dir():
        raise WeightsError(
            f"the weights folder {folder} of {published.title} does not exist (--weights or {published.variable})"
        )
    if isinstance(published, Denoiser):
        return denoiser.find(published, folder, variant)
    return flux.find(folder) if published is FLUX else segmenter.find(folder)


def chosen_folder(weights: Path | str | None, network: str = "moebius") -> Path | None:
    """The weights folder named in the call or by the network's variable; None: the Hugging Face cache."""
    named = weights or NETWORKS[network].variable.read()
    return Path(named).expanduser() if named else None


def segmenter_folder(weights: Path | str | None) -> Path | None:
    """The folder of the segmenter where `weights` is a folder of other models' weights.

    That is the folder that its variable names, else the one in `weights` with its repository's name, if there is one;
    None: the Hugging Face cache.
    """
    if folder := chosen_folder(None, SEGMENTER.name):
        return folder
    beside = Path(weights).expanduser() / SEGMENTER.folder_name if weights else None
    return beside if beside and beside.is_dir() else None


# ---- the Hugging Face cache ----


def in_cache(network: str, variant: str | None = None, revision: str | None = None) -> Found:
    """The files of a network in the Hugging Face cache. Raises WeightsError if not all are there."""
    from huggingface_hub import try_to_load_from_cache

    published, paths, missing = NETWORKS[network], [], []
    for file in needed_files(published, variant, revision):
        path = try_to_load_from_cache(file.repo, file.name, revision=file.revision)
        if isinstance(path, str):
            paths.append(Path(path))
        else:
            missing.append(f"{file.name} of {file.repo}")
    if published is FLUX and paths and (part := flux.missing_file(paths[0].parent)):
        missing.append(part)
    if missing:
        what = f"are not complete ({missing[0]} is missing)" if paths else "are not on this computer"
        raise WeightsError(not_here(published, variant, what))
    return from_cache(published, variant, paths)


def needed_files(published: Network, variant: str | None = None, revision: str | None = None) -> list[HubFile]:
    """The files that a network needs from the hub; for FLUX only the index, the hub lists the others.

    revision: branch, tag or commit of a denoiser's repository; None: MOEBIUS_REVISION, else `main`.
    """
    if published is FLUX:
        return [HubFile(repo=published.repo, name="model_index.json", about_bytes=1_000)]
    if published is SEGMENTER:
        sizes = (1_000, published.download_bytes)
        return [
            HubFile(repo=published.repo, name=name, about_bytes=size)
            for name, size in zip(SEGMENTER.files, sizes, strict=True)
        ]
    folder = VARIANTS[variant or DEFAULT_VARIANT].folder
    own = revision or environment.REVISION.read()
    shared = environment.AUTOENCODER_REVISION.read()
    return [
        HubFile(
            repo=published.repo, name=f"{folder}/{PUBLISHED_NAME}", revision=own, about_bytes=published.download_bytes
        ),
        HubFile(repo=AUTOENCODER_REPO, name="vae/config.json", revision=shared, about_bytes=1_000),
        HubFile(repo=AUTOENCODER_REPO, name=f"vae/{PUBLISHED_NAME}", revision=shared, about_bytes=AUTOENCODER_BYTES),
    ]


def from_cache(published: Network, variant: str | None, paths: list[Path]) -> Found:
    """The result of `locate` for the files of `needed_files`, in the same order."""
    where = f"Hugging Face cache, commit {commit_of(paths[0])}"
    if published is FLUX:
        return FluxFiles(folder=paths[0].parent, where=where)
    if published is SEGMENTER:
        return SegmenterFiles(folder=paths[0].parent, where=where)
    weights, _, autoencoder = paths
    return WeightFiles(
        network=published.name,
        variant=variant or DEFAULT_VARIANT,
        denoiser=weights,
        autoencoder=autoencoder,
        layout="published",
        where=where,
        revisions=(commit_of(weights), commit_of(autoencoder)),
    )


def commit_of(path: Path) -> str | None:
    """The commit in .../snapshots/<commit>/..."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


# ---- messages about missing weights ----


def not_here(published: Network, variant: str | None, what: str, cause: BaseException | None = None) -> str:
    """A message that the weights of a network `what` ("are not on this computer"), where they were looked for, and what
    to do."""
    from huggingface_hub import constants

    named, size, command = published.title, published.download_bytes, published.command
    other = ""
    if isinstance(published, Denoiser):
        variant = variant or DEFAULT_VARIANT
        named, size = f"{named}, variant {variant},", download_bytes(published.name)
        command, other = download_command(published.name, variant), "; or take --model classical, which needs none"
    elif published is SEGMENTER:
        named = f"{named}, which selects objects,"
    about = f"about {file_size(size)}" + (f", {SEGMENTER.license}" if published is SEGMENTER else "")
    connect = "connect"
    if published.license_page:
        connect = f"accept the licence at {published.license_page}, run `hf auth login`"
    because = f" ({first_line(cause)})" if cause else ""
    return (
        f"the weights of {named} {what}{because}. "
        f"Looked at: --weights and {published.variable} (not set), the Hugging Face cache {constants.HF_HUB_CACHE}. "
        f"What to do: {connect} and run `{command}` ({about}); "
        f"or copy a folder of weights from another computer and name it with --weights or {published.variable}{other}."
    )
