"""Where FLUX.1 Fill [dev] is on this computer, and how it gets here. No torch in this file.

The repository is gated: the hub gives the files only to people who have accepted the licence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moebius import environment
from moebius.files import read_json
from moebius.weights.locate import Progress, WeightsError, first_line

REPO = "black-forest-labs/FLUX.1-Fill-dev"
VARIABLE = environment.FLUX_FILL_WEIGHTS
LICENSE_PAGE = f"https://huggingface.co/{REPO}"
TRANSFORMER_BYTES = 23_805_000_000
"""In bfloat16."""
DOWNLOAD_BYTES = 33_900_000_000
"""About: transformer 23.8 GB, T5 9.5, CLIP 0.25, autoencoder 0.17, in bfloat16."""
PARTS = ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "transformer", "vae")
"""Folders of the diffusers layout. The repository also holds the transformer as one file, which is not needed."""


@dataclass(frozen=True, kw_only=True)
class FluxFiles:
    folder: Path
    """In diffusers layout: model_index.json and `PARTS`."""
    where: str
    """For people."""
    gguf: Path | None = None
    """The transformer in GGUF quantisation, which lies in the folder or beside it."""

    def bytes_of(self, part: str) -> int:
        """What a part's weights weigh on disk."""
        return sum(path.stat().st_size for path in (self.folder / part).glob("*.safetensors"))


def chosen_folder(weights: Path | str | None) -> Path | None:
    """The folder that was asked for, in the call or by the environment; None: the Hugging Face cache."""
    named = weights or VARIABLE.read()
    return Path(named).expanduser() if named else None


def locate(weights: Path | str | None = None) -> FluxFiles:
    """Find the files without downloading anything: in a folder in diffusers layout, or one with `FLUX.1-Fill-dev/`
    in it, else in the Hugging Face cache.

    Raises:
        WeightsError: not there or incomplete; says what was looked at and the ways out.
    """
    folder = chosen_folder(weights)
    if folder is None:
        return _in_cache()
    if not folder.is_dir():
        raise WeightsError(f"the weights folder {folder} does not exist (--weights or {VARIABLE})")
    for place in (folder / REPO.split("/")[1], folder):
        if (place / "model_index.json").is_file():
            break
    else:
        raise WeightsError(f"{folder} holds no FLUX.1 Fill [dev]: looked for model_index.json of a FluxFillPipeline")
    kind = read_json(place / "model_index.json", WeightsError).get("_class_name")
    if kind != "FluxFillPipeline":
        raise WeightsError(f"{place} holds a {kind}, not a FluxFillPipeline")
    if lacking := _lacking(place):
        raise WeightsError(f"{place} is not complete: {lacking} is missing")
    gguf = next(iter(sorted([*place.glob("*.gguf"), *folder.glob("*.gguf")])), None)
    return FluxFiles(folder=place, where=f"folder {place}", gguf=gguf)


def fetch(progress: Progress = lambda share, text: None) -> FluxFiles:
    """Download what is missing into the Hugging Face cache.

    Raises:
        WeightsError: the licence has not been accepted or no token is there, no connection, not enough disk.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    from moebius.weights.hub import _bar_class

    progress(0.0, "Asking the hub")
    try:
        info = HfApi().model_info(REPO, files_metadata=True)
        wanted = [(file.rfilename, file.size or 0) for file in info.siblings if _is_needed(file.rfilename)]
        everything, done = max(1, sum(size for _, size in wanted)), 0
        for name, size in wanted:
            bar = _bar_class(progress, done / everything, size / everything, f"Downloading {REPO} {name}")
            hf_hub_download(REPO, name, revision=info.sha, tqdm_class=bar)
            done += size
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise WeightsError(gated()) from error
    except LocalEntryNotFoundError as error:
        raise WeightsError(_not_here("could not be downloaded", error.__cause__ or error)) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        if getattr(getattr(error, "response", None), "status_code", None) in (401, 403):
            raise WeightsError(gated()) from error
        raise WeightsError(_not_here("could not be downloaded", error)) from error
    progress(1.0, "Downloaded")
    return _in_cache()


def gated() -> str:
    """What to do when the hub refuses."""
    return (
        "FLUX.1 Fill [dev] is given only to people who have accepted its licence (non-commercial). "
        f"1. Log in at huggingface.co, open {LICENSE_PAGE} and accept the licence. "
        "2. Make a token with read access at https://huggingface.co/settings/tokens. "
        "3. Run `hf auth login` and paste it, or set HF_TOKEN. Then try again."
    )


def _in_cache() -> FluxFiles:
    from huggingface_hub import try_to_load_from_cache

    index = try_to_load_from_cache(REPO, "model_index.json")
    if not isinstance(index, str):
        raise WeightsError(_not_here("are not on this computer"))
    folder = Path(index).parent
    if lacking := _lacking(folder):
        raise WeightsError(_not_here(f"are not complete ({lacking} is missing)"))
    return FluxFiles(folder=folder, where=f"Hugging Face cache, commit {folder.name}")


def _is_needed(name: str) -> bool:
    return name == "model_index.json" or name.split("/")[0] in PARTS


def _lacking(folder: Path) -> str:
    """The first file that the pipeline needs and that is not there; empty: all are."""
    for part in PARTS:
        if not (folder / part).is_dir():
            return part
    for part in ("text_encoder", "text_encoder_2", "transformer", "vae"):
        for index in (folder / part).glob("*.safetensors.index.json"):
            for shard in sorted(set(read_json(index, WeightsError).get("weight_map", {}).values())):
                if not (folder / part / shard).is_file():
                    return f"{part}/{shard}"
        if not any((folder / part).glob("*.safetensors")):
            return f"{part}/*.safetensors"
    return ""


def _not_here(what: str, cause: BaseException | None = None) -> str:
    because = f" ({first_line(cause)})" if cause else ""
    return (
        f"the weights of FLUX.1 Fill [dev] {what}{because}. Ways out: accept the licence at {LICENSE_PAGE}, run "
        "`hf auth login`, then `python -m moebius download --model flux-fill` "
        f"(about {DOWNLOAD_BYTES // 10**9} GB); or name a folder that holds them with --weights or {VARIABLE}"
    )
