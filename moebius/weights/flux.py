"""FLUX.1 Fill [dev] on disk: a folder in diffusers layout, and a transformer in GGUF where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moebius.files import read_json
from moebius.weights import WeightsError
from moebius.weights.catalog import FLUX, FLUX_PARTS


@dataclass(frozen=True, kw_only=True)
class FluxFiles:
    """The files of FLUX.1 Fill [dev] on this computer."""

    folder: Path
    """In diffusers layout: model_index.json and `FLUX_PARTS`."""
    where: str
    """Where the files are, for messages."""
    gguf: Path | None = None
    """The transformer in GGUF quantisation, in the folder or beside it."""

    def bytes_of(self, part: str) -> int:
        """Size of a part's weights on disk."""
        return sum(path.stat().st_size for path in (self.folder / part).glob("*.safetensors"))


def find(folder: Path) -> FluxFiles:
    """The files in a folder in diffusers layout, or in `FLUX.1-Fill-dev/` in it.

    Raises:
        WeightsError: the folder holds something else, or not everything.
    """
    for place in (folder / FLUX.folder_name, folder):
        if (place / "model_index.json").is_file():
            break
    else:
        raise WeightsError(f"{folder} holds no {FLUX.title}: looked for model_index.json of a FluxFillPipeline")
    pipeline = read_json(place / "model_index.json", WeightsError).get("_class_name")
    if pipeline != "FluxFillPipeline":
        raise WeightsError(f"{place} holds a {pipeline}, not a FluxFillPipeline")
    if missing := missing_file(place):
        raise WeightsError(f"{place} is not complete: {missing} is missing")
    gguf = next(iter(sorted([*place.glob("*.gguf"), *folder.glob("*.gguf")])), None)
    return FluxFiles(folder=place, where=f"folder {place}", gguf=gguf)


def is_needed(name: str) -> bool:
    """Whether the pipeline needs this file of the repository."""
    return name == "model_index.json" or name.split("/")[0] in FLUX_PARTS


def missing_file(folder: Path) -> str:
    """The first file that the pipeline needs and the folder lacks; empty: none."""
    for part in FLUX_PARTS:
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
