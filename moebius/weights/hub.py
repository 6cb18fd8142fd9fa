"""Download weights from the Hugging Face hub into its cache.

No commit is pinned here, because the hashes could not be looked up where this was written: the revision is
`main` unless `--revision` or MOEBIUS_REVISION says otherwise (MOEBIUS_AUTOENCODER_REVISION for the
autoencoder's repository). The hub resolves it once, and all files of a repository come from that commit. Every large
file must have the SHA-256 that the hub announces. Commit and SHA-256 are recorded in the `moebius.json` that
`python -m moebius download --to` writes, and the files of that folder are checked against it on every load.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

from moebius.files import sha256
from moebius.progress import Progress, no_progress
from moebius.weights import WeightsError, first_line
from moebius.weights.catalog import DEFAULT_VARIANT, DENOISERS, FLUX, NETWORKS, Denoiser, Network, check_variant
from moebius.weights.denoiser import WeightFiles
from moebius.weights.flux import FluxFiles, is_needed
from moebius.weights.locate import Found, HubFile, commit_of, from_cache, locate, needed_files, not_here
from moebius.weights.segmenter import SegmenterFiles


@overload
def fetch(*, progress: Progress = no_progress, network: Literal["flux-fill"]) -> FluxFiles: ...
@overload
def fetch(*, progress: Progress = no_progress, network: Literal["select"]) -> SegmenterFiles: ...
@overload
def fetch(
    variant: str | None = None,
    progress: Progress = no_progress,
    revision: str | None = None,
    repo: str | None = None,
    network: str = "moebius",
) -> WeightFiles: ...
def fetch(
    variant: str | None = None,
    progress: Progress = no_progress,
    revision: str | None = None,
    repo: str | None = None,
    network: str = "moebius",
) -> Found:
    """Download missing files into the Hugging Face cache; huggingface_hub's variables apply (HF_HUB_OFFLINE, ...).

    A broken connection is resumed, and complete files are kept for the next attempt. A file appears in the cache whole
    or not at all.

    Args:
        variant: of a denoiser, a name in `catalog.VARIANTS`; None: the default one.
        progress: called with the share of all bytes; an exception that it raises stops the download.
        revision: branch, tag or commit of a denoiser's repository; None: MOEBIUS_REVISION, else `main`.
        repo: of a denoiser; None: the one that it is published in.
        network: a name in `catalog.NETWORKS`.

    Raises:
        WeightsError: no connection and nothing cached, no such revision, a licence that was not accepted, or a file
            whose SHA-256 is not the hub's, which is deleted.
    """
    check_variant(variant)
    published = NETWORKS[network]
    if isinstance(published, Denoiser):
        variant = variant or DEFAULT_VARIANT
    files = needed_files(published, variant, revision)
    if repo:
        files = [replace(files[0], repo=repo), *files[1:]]
    if published is FLUX:
        progress(0.0, "Asking the hub")
        index = _download(published, variant, files[0], lambda share, text: progress(0.0, text), 0.0, 0.0)
        files += _other_files_of_flux(commit_of(index))
    total, done = sum(file.about_bytes for file in files) or 1, 0
    commits: dict[tuple[str, str], str | None] = {}
    paths = []
    for file in files:
        asked = file.repo, file.revision
        pinned = replace(file, revision=commits.get(asked) or file.revision)
        path = _download(published, variant, pinned, progress, done / total, file.about_bytes / total)
        commits.setdefault(asked, commit_of(path))
        paths.append(path)
        done += file.about_bytes
    progress(1.0, "Downloaded")
    return from_cache(published, variant, paths)


def find_or_fetch(
    source: Path | str, variant: str | None = None, revision: str | None = None, network: str | None = None
) -> WeightFiles:
    """The files of a denoiser in a folder (any that `locate` reads), or of a hub id, which is downloaded.

    network: a name in `catalog.DENOISERS`; None: the one that the hub id belongs to, else the student.
    """
    network = network or next((one.name for one in DENOISERS.values() if one.repo == str(source)), "moebius")
    if Path(source).expanduser().is_dir():
        return locate(variant, source, network=network)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        return fetch(variant, revision=revision, repo=str(source), network=network)
    raise WeightsError(f"{source} is neither a folder nor a hub id such as hustvl/Moebius")


def _other_files_of_flux(commit: str | None) -> list[HubFile]:
    """All files but the index that the pipeline needs, as the hub lists them."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        listed = HfApi().model_info(FLUX.repo, revision=commit, files_metadata=True).siblings or []
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise WeightsError(not_here(FLUX, None, "could not be downloaded", error)) from error
    return [
        HubFile(repo=FLUX.repo, name=file.rfilename, revision=commit or "main", about_bytes=file.size or 0)
        for file in listed
        if is_needed(file.rfilename) and file.rfilename != "model_index.json"
    ]


def _download(
    published: Network, variant: str | None, file: HubFile, progress: Progress, start: float, span: float
) -> Path:
    """Download one file into the cache and check it; `progress` goes from `start` to `start + span`."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    bar = _bar_class(progress, start, span, f"Downloading {file.repo} {file.name}")
    try:
        path = Path(hf_hub_download(file.repo, file.name, revision=file.revision, tqdm_class=bar))
    except LocalEntryNotFoundError as error:
        raise WeightsError(not_here(published, variant, "could not be downloaded", error.__cause__ or error)) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        refused = isinstance(error, GatedRepoError | RepositoryNotFoundError) or status in (401, 403)
        if published.license_page and refused:
            raise WeightsError(how_to_get_access(published)) from error
        raise WeightsError(
            f"cannot download {file.name} of {file.repo} at {file.revision!r}: {first_line(error)}"
        ) from error
    _check_announced_hash(path)
    return path


def how_to_get_access(published: Network) -> str:
    """A message on what to do when the hub refuses gated files."""
    return (
        f"{published.title} is given only to people who have accepted its licence (non-commercial). "
        f"1. Log in at huggingface.co, open {published.license_page} and accept the licence. "
        "2. Make a token with read access at https://huggingface.co/settings/tokens. "
        "3. Run `hf auth login` and paste it, or set HF_TOKEN. Then try again."
    )


def _check_announced_hash(path: Path) -> None:
    """The cache names a large file after the SHA-256 that the hub announced; the bytes must have it."""
    stored = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", stored.name) and sha256(path) != stored.name:
        path.unlink()
        stored.unlink(missing_ok=True)
        raise WeightsError(f"{path} is damaged: its SHA-256 is not {stored.name}; it was deleted, download it again")


def _bar_class(progress: Progress, start: float, span: float, text: str) -> type:
    """A progress bar class for huggingface_hub that draws nothing and calls `progress`.

    It reports from `update`: tqdm calls its own hook, `display`, with a lock held that an exception would not release.
    """
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        furthest = 0.0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
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
