"""Write weights to a folder: a pipeline in diffusers layout with a manifest of hashes, or copies of files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moebius.files import replacing, replacing_folder
from moebius.progress import Progress, no_progress
from moebius.units import file_size
from moebius.weights import WeightsError
from moebius.weights.catalog import AUTOENCODER_REPO, NETWORKS
from moebius.weights.denoiser import WeightFiles
from moebius.weights.verify import CARD, MANIFEST, check_target, hash_and_size

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


def save(
    pipeline: DiffusionPipeline,
    files: WeightFiles,
    target: Path,
    progress: Progress = no_progress,
    shared: Path | None = None,
    max_bytes: int | None = None,
    card: Callable[[dict], str] | None = None,
) -> dict:
    """Write a pipeline to the folder `target` in diffusers layout, in safetensors; return the manifest.

    `MoebiusInpaintPipeline.from_pretrained(target)` and `--weights target` read it. The folder appears whole or not at
    all; one that an earlier call wrote is replaced.

    Args:
        pipeline: with the parts `unet` and `vae`, of any precision.
        files: where its weights were loaded from.
        shared: a folder written before; an identical autoencoder becomes a hard link to it instead of a copy.
        max_bytes: largest size of the folder.
        card: the text of README.md for a folder with this manifest; it is not in the manifest, so that it may be
            rewritten when there is more to say.

    Raises:
        WeightsError: `target` holds other files, a weight is not finite (as when it leaves the range of a smaller
            precision), or the folder would be too large.
    """
    target = target.expanduser().absolute()
    check_target(target)
    for part in (pipeline.unet, pipeline.vae):
        for name, tensor in part.state_dict().items():
            if not tensor.isfinite().all():
                dtype = str(tensor.dtype).removeprefix("torch.")
                raise WeightsError(f"{name} of {files.where} is not a number or leaves the range of {dtype}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(target) as folder:
        progress(0.4, "Writing")
        pipeline.save_pretrained(folder, safe_serialization=True)
        mode = (folder / "model_index.json").stat().st_mode
        for path in folder.rglob("*.safetensors"):  # safetensors makes its files private
            path.chmod(mode)
        if shared is not None:
            _link_equal(folder / "vae", shared / "vae")
        progress(0.7, "Hashing")
        written = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        manifest: dict[str, Any] = {
            "variant": files.variant,
            "sources": _sources(files),
            "files": {path.relative_to(folder).as_posix(): hash_and_size(path) for path in written},
        }
        size = sum(file["bytes"] for file in manifest["files"].values())
        if max_bytes is not None and size > max_bytes:
            raise WeightsError(f"{target} would have {file_size(size)}, more than {file_size(max_bytes)}")
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if card is not None:
            (folder / CARD).write_text(card(manifest), encoding="utf-8")
    progress(1.0, "Written")
    return manifest


def copy(paths: Sequence[Path], target: Path) -> Path:
    """Copy files into a folder, which is created if missing, each whole or not at all; returns the folder."""
    target = target.expanduser().absolute()
    target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        with replacing(target / path.name) as temporary:
            shutil.copyfile(path, temporary)
    return target


def _sources(files: WeightFiles) -> list[dict]:
    repositories = (NETWORKS[files.network].repo, AUTOENCODER_REPO)
    return [
        {
            "repo": repo if commit else None,
            "file": f"{path.parent.name}/{path.name}",
            "commit": commit,
            **hash_and_size(path),
        }
        for repo, path, commit in zip(repositories, (files.denoiser, files.autoencoder), files.revisions, strict=True)
    ]


def _link_equal(folder: Path, other: Path) -> None:
    """Replace files of `folder` that are equal to those of `other` by hard links, if the file system supports them."""
    for path in folder.iterdir():
        twin = other / path.name
        if twin.is_file() and hash_and_size(twin) == hash_and_size(path):
            link = path.with_suffix(".link")
            try:
                os.link(twin, link)
            except OSError:  # another file system, or one without links: the copy stays
                return
            link.replace(path)
