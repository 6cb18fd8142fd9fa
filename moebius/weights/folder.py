"""Weights as a diffusers pipeline folder in safetensors: written atomically, with a manifest of hashes beside
it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from moebius.files import check_output_folder, read_json, replacing_folder, sha256
from moebius.weights.locate import (
    AUTOENCODER_REPO,
    NETWORKS,
    Progress,
    WeightFiles,
    WeightsError,
)

if TYPE_CHECKING:
    import torch

CARD = "README.md"
MANIFEST = "moebius.json"
"""{"variant", "sources": [{repo, file, commit, sha256, bytes}], "files": {path: {sha256, bytes}}}"""


def check_target(target: Path) -> None:
    """Raises WeightsError if `target` is there and is anything but an empty folder or one that `save`
    wrote."""
    check_output_folder(target, option="--to", error=WeightsError)
    if not target.exists():
        return
    present = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    ours: set[str] = set()
    if MANIFEST in present:
        ours = {MANIFEST, CARD, *read_json(target / MANIFEST, WeightsError).get("files", {})}
    if foreign := sorted(present - ours):
        raise WeightsError(f"{target} holds other files ({foreign[0]}); give --to a new or empty folder")


def save(
    files: WeightFiles,
    target: Path,
    progress: Progress = lambda share, text: None,
    shared: Path | None = None,
    dtype: torch.dtype | None = None,
    most: int | None = None,
    card: Callable[[dict], str] | None = None,
) -> dict:
    """Write `files` to the folder `target` in diffusers layout; return the manifest.

    `MoebiusInpaintPipeline.from_pretrained(target)` and `--weights target` read it, for either network. The folder
    appears whole or not at all; one that an earlier call wrote is replaced.

    Args:
        shared: a folder written before; an identical autoencoder becomes a hard link to it instead of a copy.
        dtype: None keeps the stored precision.
        most: bytes that the folder may have.
        card: what README.md says of a folder with this manifest; it is not in the manifest, so that it may be rewritten
            when there is more to say.

    Raises:
        WeightsError: `target` holds other files, the weights do not fit the networks or leave the range of `dtype`, or
            the folder would be too large.
    """
    from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
    from moebius.weights.load import load_autoencoder, load_denoiser

    target = target.expanduser().absolute()
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(target) as part:
        progress(0.0, "Reading")
        unet, vae = load_denoiser(files, dtype), load_autoencoder(files, dtype)
        for network in (unet, vae):
            _check_finite(network, files)
        progress(0.4, "Writing")
        pipeline = MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler("ddim"))
        pipeline.save_pretrained(part, safe_serialization=True)
        mode = (part / "model_index.json").stat().st_mode
        for path in part.rglob("*.safetensors"):  # safetensors makes its files private
            path.chmod(mode)
        if shared is not None:
            _link_equal(part / "vae", shared / "vae")
        progress(0.7, "Hashing")
        manifest = {
            "variant": files.variant,
            "sources": _sources(files),
            "files": {
                path.relative_to(part).as_posix(): _facts(path) for path in sorted(part.rglob("*")) if path.is_file()
            },
        }
        size = sum(facts["bytes"] for facts in manifest["files"].values())
        if most is not None and size > most:
            raise WeightsError(f"{target} would have {size / 1e6:.1f} MB, more than {most / 1e6:g}")
        (part / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if card is not None:
            (part / CARD).write_text(card(manifest), encoding="utf-8")
    progress(1.0, "Written")
    return manifest


def verify(folder: Path) -> None:
    """Compare a pipeline folder with its manifest; one without a manifest (save_pretrained) passes.

    Raises:
        WeightsError: names the first file that is missing or has another SHA-256.
    """
    if not (folder / MANIFEST).is_file():
        return
    for name, facts in read_json(folder / MANIFEST, WeightsError).get("files", {}).items():
        path = folder / name
        if not path.is_file() or _facts(path) != facts:
            state = "damaged or changed (its SHA-256 is not the recorded one)" if path.is_file() else "missing"
            raise WeightsError(f"{path} is {state}; write the folder again with `python -m moebius download --to`")


def _check_finite(network: torch.nn.Module, files: WeightFiles) -> None:
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{name} of {files.where} is not a number or leaves the range of {kind}")


def _sources(files: WeightFiles) -> list[dict]:
    names = (NETWORKS[files.network].repo, AUTOENCODER_REPO)
    paths = (files.denoiser, files.autoencoder)
    return [
        {
            "repo": repo if commit else None,
            "file": f"{path.parent.name}/{path.name}",
            "commit": commit,
            **_facts(path),
        }
        for repo, path, commit in zip(names, paths, files.revisions, strict=True)
    ]


def _facts(path: Path) -> dict:
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def _link_equal(folder: Path, other: Path) -> None:
    """Replace files of `folder` that are equal to those of `other` by hard links, where the file system
    can."""
    for path in folder.iterdir():
        twin = other / path.name
        if twin.is_file() and _facts(twin) == _facts(path):
            link = path.with_suffix(".link")
            try:
                os.link(twin, link)
            except OSError:  # another file system, or one without links: the copy stays
                return
            link.replace(path)
