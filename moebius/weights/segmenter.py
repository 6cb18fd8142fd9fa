"""Where the weights of the click that selects an object are, and how they get here. No torch in this file.

They are SAM 2.1's smallest (Ravi et al. 2024, arXiv:2408.00714), in the layout of the library `transformers`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from moebius import environment
from moebius.files import replacing
from moebius.weights.locate import Progress, WeightsError, first_line

REPO = "facebook/sam2.1-hiera-tiny"
TITLE = "SAM 2.1 tiny"
SOURCE = f"https://huggingface.co/{REPO} (arXiv:2408.00714)"
LICENSE = "Apache-2.0"
PARAMETERS = 38_962_498
"""Of the file. 31.4 million are used: the rest follows objects through videos."""
DOWNLOAD_BYTES = 156_000_000
"""About, in single precision."""
VARIABLE = environment.SELECT_WEIGHTS
NAMES = ("config.json", "model.safetensors")
COMMAND = "python -m moebius download select"


@dataclass(frozen=True, kw_only=True)
class SelectionFiles:
    folder: Path
    """With `NAMES` in it."""
    where: str
    """For people."""


def chosen_folder(weights: Path | str | None) -> Path | None:
    """The folder that the variable names, else the one of the repository's name in `weights`, a folder of other
    models' weights, where there is one; None: the Hugging Face cache."""
    if named := VARIABLE.read():
        return Path(named).expanduser()
    beside = Path(weights).expanduser() / REPO.split("/")[1] if weights else None
    return beside if beside and beside.is_dir() else None


def locate(folder: Path | str | None = None) -> SelectionFiles:
    """Find the files without downloading anything: in `folder`, or in the Hugging Face cache where it is None.

    Raises:
        WeightsError: not there or incomplete; says what was looked at and the ways out.
    """
    if folder is None:
        return _in_cache()
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"the folder {folder} of {TITLE} does not exist (--weights or {VARIABLE})")
    for place in (folder / REPO.split("/")[1], folder):
        if all((place / name).is_file() for name in NAMES):
            return SelectionFiles(folder=place, where=f"folder {place}")
    raise WeightsError(f"{folder} does not hold {TITLE}: it needs {' and '.join(NAMES)} of {REPO}")


def fetch(progress: Progress = lambda share, text: None, target: Path | None = None) -> SelectionFiles:
    """Download what is missing into the Hugging Face cache.

    Args:
        progress: called with the share of all bytes; an exception that it raises stops the download.
        target: a folder to copy the files to, which is made, for a computer without a connection.

    Raises:
        WeightsError: no connection and nothing cached, or a file whose SHA-256 is not the hub's.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from moebius.weights.hub import _bar_class, _check_hub_hash

    commit, paths = "main", []
    try:
        for name, start, span in zip(NAMES, (0.0, 0.01), (0.01, 0.99), strict=True):
            bar = _bar_class(progress, start, span, f"Downloading {REPO} {name}")
            path = Path(hf_hub_download(REPO, name, revision=commit, tqdm_class=bar))
            _check_hub_hash(path)
            commit = path.parent.name  # both files from the same commit
            paths.append(path)
    except LocalEntryNotFoundError as error:
        raise WeightsError(_not_here("could not be downloaded", error.__cause__ or error)) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise WeightsError(_not_here("could not be downloaded", error)) from error
    progress(1.0, "Downloaded")
    if target is None:
        return SelectionFiles(folder=paths[0].parent, where=_cache(paths[0]))
    target = target.expanduser().absolute()
    target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        with replacing(target / path.name) as temporary:
            shutil.copyfile(path, temporary)
    return SelectionFiles(folder=target, where=f"folder {target}")


def _in_cache() -> SelectionFiles:
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(REPO, name) for name in NAMES]
    for path, name in zip(paths, NAMES, strict=True):
        if not isinstance(path, str):
            what = f"are not complete ({name} is missing)" if any(isinstance(one, str) for one in paths) else ""
            raise WeightsError(_not_here(what or "are not on this computer"))
    return SelectionFiles(folder=Path(paths[0]).parent, where=_cache(Path(paths[0])))


def _cache(path: Path) -> str:
    return f"Hugging Face cache, commit {path.parent.name}"


def _not_here(what: str, cause: BaseException | None = None) -> str:
    because = f" ({first_line(cause)})" if cause else ""
    return (
        f"the weights of {TITLE}, which selects objects, {what}{because}. Ways out: connect and run `{COMMAND}` "
        f"(about {DOWNLOAD_BYTES // 10**6} MB, {LICENSE}); or name a folder with {' and '.join(NAMES)} of {REPO} "
        f"with --weights or {VARIABLE}"
    )
