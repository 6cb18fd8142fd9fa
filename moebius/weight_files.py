"""Which weight files exist, where they are on this computer, and how they get here. No torch in this file.

The student lives in `hustvl/Moebius`, one folder a variant; its autoencoder in `hustvl/PixelHacker` under `vae/`.
Nothing here pins a commit by itself, because the hashes could not be looked up where this was written: the revision
is `main` unless `revision=`, `--revision` or MOEBIUS_REVISION says otherwise (MOEBIUS_AUTOENCODER_REVISION for the
autoencoder's repository). What was really fetched is recorded: the commit that the hub resolved and the SHA-256 of
every file stand in the `moebius.json` that `python -m moebius download --to` writes, and are checked on load.
"""

from __future__ import annotations

import json
import os
import re
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
    """Weights that are not there, damaged, or not what they should be; the message says which and the way out."""


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
        Variant(name="pretrained", folder="pretrained", title="before tuning: broadest training set"),
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

    Looks into the folder `weights`, else the folder in MOEBIUS_WEIGHTS, else the Hugging Face cache. A folder may be

    - a copy of the published repository: `DIR/ft_places2/diffusion_pytorch_model.bin` (or .safetensors), or the same
      under `DIR/Moebius/`, with the autoencoder's `vae/` inside it, beside it, or in a `PixelHacker/` inside or beside it;
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
        return _in_cache(variant or DEFAULT_VARIANT, revision)
    if not folder.is_dir():
        raise WeightsError(f"the weights folder {folder} does not exist (--weights or MOEBIUS_WEIGHTS)")
    return _pipeline_folder(variant, folder) or _folder_of_pipelines(variant, folder) or _published(variant, folder)


def fetch(
    variant: str | None = None,
    progress: Progress = lambda share, text: None,
    revision: str | None = None,
    repo: str = STUDENT_REPO,
) -> WeightFiles:
    """Download what is missing into the Hugging Face cache (huggingface_hub: resume, HF_HUB_OFFLINE, HF_ENDPOINT).

    Args:
        progress: called with the share of all bytes; an exception that it raises stops the download.
        revision: branch, tag or commit of `repo`; None: MOEBIUS_REVISION, else `main`.

    Raises:
        WeightsError: no connection and nothing cached, no such revision, or a file whose SHA-256 is not the hub's.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    check_variant(variant)
    variant = variant or DEFAULT_VARIANT
    wanted = _wanted(variant, revision, repo)
    everything, done, paths = sum(size for *_, size in wanted), 0, []
    for repository, name, commit, size in wanted:
        bar = _bar_class(progress, done / everything, size / everything, f"Downloading {repository} {name}")
        try:
            path = hf_hub_download(repository, name, revision=commit, tqdm_class=bar)
        except LocalEntryNotFoundError as error:
            raise WeightsError(_not_here(variant, "could not be downloaded", error.__cause__ or error)) from error
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise WeightsError(f"cannot download {name} of {repository} at {commit!r}: {_first_line(error)}") from error
        _check_hub_hash(Path(path))
        paths.append(Path(path))
        done += size
    progress(1.0, "Downloaded")
    return _from_hub(variant, paths)


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
        variant=held or variant, student=student, autoencoder=autoencoder, layout="diffusers", where=f"folder {folder}"
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
    homes = [root / "vae", root / "PixelHacker" / "vae", root.parent / "PixelHacker" / "vae", root.parent / "vae"]
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
        raise WeightsError(f"{path} is not valid JSON: {_first_line(error)}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no JSON object")
    return content


# ---- the hub ----


def _wanted(variant: str, revision: str | None, repo: str = STUDENT_REPO) -> list[tuple[str, str, str, int]]:
    """(repository, file, revision, bytes, about) of everything that one variant needs."""
    student = revision or os.environ.get("MOEBIUS_REVISION") or "main"
    autoencoder = os.environ.get("MOEBIUS_AUTOENCODER_REVISION") or "main"
    return [
        (repo, f"{VARIANTS[variant].folder}/{PUBLISHED_NAME}", student, STUDENT_BYTES),
        (AUTOENCODER_REPO, "vae/config.json", autoencoder, 1_000),
        (AUTOENCODER_REPO, f"vae/{PUBLISHED_NAME}", autoencoder, AUTOENCODER_BYTES),
    ]


def _in_cache(variant: str, revision: str | None) -> WeightFiles:
    from huggingface_hub import try_to_load_from_cache

    paths = []
    for repository, name, commit, _ in _wanted(variant, revision):
        path = try_to_load_from_cache(repository, name, revision=commit)
        if not isinstance(path, str):
            raise WeightsError(_not_here(variant, f"are not complete ({name} of {repository} is missing)"))
        paths.append(Path(path))
    return _from_hub(variant, paths)


def _from_hub(variant: str, paths: list[Path]) -> WeightFiles:
    student, _, autoencoder = paths
    revisions = (_commit(student), _commit(autoencoder))
    return WeightFiles(
        variant=variant,
        student=student,
        autoencoder=autoencoder,
        layout="published",
        where=f"Hugging Face cache, commit {revisions[0]}",
        revisions=revisions,
    )


def _commit(path: Path) -> str | None:
    """The commit in .../snapshots/<commit>/..."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


def _check_hub_hash(path: Path) -> None:
    """The cache names a large file after the SHA-256 that the hub announced; the bytes must have it."""
    from moebius.weight_folder import sha256

    announced = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", announced) and sha256(path) != announced:
        raise WeightsError(f"{path} is damaged: its SHA-256 is not {announced}; delete it and download again")


def _not_here(variant: str, what: str, cause: BaseException | None = None) -> str:
    from huggingface_hub import constants

    because = f" ({_first_line(cause)})" if cause else ""
    return (
        f"the weights of Moebius, variant {variant}, {what}{because}. "
        f"Looked at: --weights and MOEBIUS_WEIGHTS (not set), the Hugging Face cache {constants.HF_HUB_CACHE}. "
        f"Ways out: connect and run `python -m moebius download {variant}` (about {download_bytes() // 10**6} MB); "
        "or copy a folder of weights from another computer and name it with --weights or MOEBIUS_WEIGHTS; "
        "or take --model classical, which needs none."
    )


def download_bytes() -> int:
    """About what one variant weighs, its autoencoder included."""
    return STUDENT_BYTES + AUTOENCODER_BYTES


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _bar_class(progress: Progress, start: float, span: float, text: str) -> type:
    """A progress bar class for huggingface_hub that draws nothing and tells `progress`."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        furthest = 0.0

        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})
            self.total = kwargs.get("total")
            self.n = kwargs.get("initial", 0)

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if self.total:  # some transports show two bars for one file: the one that is ahead counts
                Bar.furthest = max(Bar.furthest, min(self.n / self.total, 1.0))
                progress(start + span * Bar.furthest, text)

    progress(start, text)
    return Bar
