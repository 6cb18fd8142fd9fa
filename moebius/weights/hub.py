"""Weights from the Hugging Face hub: fetched into its cache, or found there.

No commit is pinned here, because the hashes could not be looked up where this was written: the revision is
`main` unless `--revision` or MOEBIUS_REVISION says otherwise (MOEBIUS_AUTOENCODER_REVISION for the
autoencoder's repository). What was really fetched is recorded: the commit that the hub resolved and the
SHA-256 of every file stand in the `moebius.json` that `python -m moebius download --to` writes, and the files
of that folder are checked against it on every load.
"""

from __future__ import annotations

import re
from pathlib import Path

from moebius import environment
from moebius.weights.locate import (
    AUTOENCODER_BYTES,
    AUTOENCODER_REPO,
    DEFAULT_VARIANT,
    NETWORKS,
    PUBLISHED_NAME,
    VARIANTS,
    Network,
    Progress,
    WeightFiles,
    WeightsError,
    check_variant,
    download_bytes,
    first_line,
)


def fetch(
    variant: str | None = None,
    progress: Progress = lambda share, text: None,
    revision: str | None = None,
    repo: str | None = None,
    network: str = "moebius",
) -> WeightFiles:
    """Download what is missing into the Hugging Face cache; huggingface_hub's variables hold (HF_HUB_OFFLINE, ...).

    A connection that breaks is resumed, and files that are complete stay for the next attempt.

    Args:
        progress: called with the share of all bytes; an exception that it raises stops the download.
        revision: branch, tag or commit of `repo`; None: MOEBIUS_REVISION, else `main`.
        repo: None: the one that the network is published in.
        network: a name in `weight_files.NETWORKS`.

    Raises:
        WeightsError: no connection and nothing cached, no such revision, or a file whose SHA-256 is not the
        hub's.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    check_variant(variant)
    variant = variant or DEFAULT_VARIANT
    published = NETWORKS[network]
    wanted = _wanted(variant, revision, published, repo)
    everything, done, paths = sum(size for *_, size in wanted), 0, []
    for repository, name, commit, size in wanted:
        bar = _bar_class(progress, done / everything, size / everything, f"Downloading {repository} {name}")
        try:
            path = hf_hub_download(repository, name, revision=commit, tqdm_class=bar)
        except LocalEntryNotFoundError as error:
            raise WeightsError(
                _not_here(published, variant, "could not be downloaded", error.__cause__ or error)
            ) from error
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise WeightsError(f"cannot download {name} of {repository} at {commit!r}: {first_line(error)}") from error
        _check_hub_hash(Path(path))
        paths.append(Path(path))
        done += size
    progress(1.0, "Downloaded")
    return _from_hub(published, variant, paths)


def _wanted(
    variant: str, revision: str | None, network: Network, repo: str | None = None
) -> list[tuple[str, str, str, int]]:
    """(repository, file, revision, bytes, about) of everything that one variant needs."""
    denoiser = revision or environment.REVISION.read()
    autoencoder = environment.AUTOENCODER_REVISION.read()
    return [
        (repo or network.repo, f"{VARIANTS[variant].folder}/{PUBLISHED_NAME}", denoiser, network.download_bytes),
        (AUTOENCODER_REPO, "vae/config.json", autoencoder, 1_000),
        (AUTOENCODER_REPO, f"vae/{PUBLISHED_NAME}", autoencoder, AUTOENCODER_BYTES),
    ]


def in_cache(variant: str, revision: str | None, network: Network) -> WeightFiles:
    """The files of a variant in the Hugging Face cache; WeightsError if not all are there."""
    from huggingface_hub import try_to_load_from_cache

    paths = []
    for repository, name, commit, _ in _wanted(variant, revision, network):
        path = try_to_load_from_cache(repository, name, revision=commit)
        if not isinstance(path, str):
            raise WeightsError(_not_here(network, variant, f"are not complete ({name} of {repository} is missing)"))
        paths.append(Path(path))
    return _from_hub(network, variant, paths)


def _from_hub(network: Network, variant: str, paths: list[Path]) -> WeightFiles:
    denoiser, _, autoencoder = paths
    revisions = (_commit(denoiser), _commit(autoencoder))
    return WeightFiles(
        network=network.name,
        variant=variant,
        denoiser=denoiser,
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
    from moebius.files import sha256

    announced = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", announced) and sha256(path) != announced:
        raise WeightsError(f"{path} is damaged: its SHA-256 is not {announced}; delete it and download again")


def _not_here(network: Network, variant: str, what: str, cause: BaseException | None = None) -> str:
    from huggingface_hub import constants

    because = f" ({first_line(cause)})" if cause else ""
    return (
        f"the weights of {network.title}, variant {variant}, {what}{because}. "
        f"Looked at: --weights and {network.variable} (not set), the Hugging Face cache {constants.HF_HUB_CACHE}. "
        f"Ways out: connect and run `{download_command(network.name, variant)}` "
        f"(about {download_bytes(network.name) // 10**6} MB); "
        f"or copy a folder of weights from another computer and name it with --weights or {network.variable}; "
        "or take --model classical, which needs none."
    )


def download_command(network: str, variant: str) -> str:
    """What to type to fetch a variant."""
    return f"python -m moebius download {variant}" + ("" if network == "moebius" else f" --model {network}")


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
