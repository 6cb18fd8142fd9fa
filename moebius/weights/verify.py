"""The manifest of a pipeline folder: which files it holds, with which SHA-256, and where they came from."""

from __future__ import annotations

from pathlib import Path

from moebius.files import check_output_folder, read_json, sha256
from moebius.weights import WeightsError

CARD = "README.md"
MANIFEST = "moebius.json"
"""{"variant", "sources": [{repo, file, commit, sha256, bytes}], "files": {path: {sha256, bytes}}}"""


def hash_and_size(path: Path) -> dict[str, str | int]:
    """What the manifest records of a file."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def verify(folder: Path) -> None:
    """Compare a pipeline folder with its manifest; one without a manifest (save_pretrained) passes.

    Raises:
        WeightsError: names the first file that is missing or has another SHA-256.
    """
    if not (folder / MANIFEST).is_file():
        return
    for name, recorded in read_json(folder / MANIFEST, WeightsError).get("files", {}).items():
        path = folder / name
        if not path.is_file() or hash_and_size(path) != recorded:
            state = "damaged or changed (its SHA-256 is not the recorded one)" if path.is_file() else "missing"
            raise WeightsError(f"{path} is {state}; write the folder again with `python -m moebius download --to`")


def check_target(target: Path) -> None:
    """Raises WeightsError unless `target` does not exist, is empty, or was written by `moebius.weights.save`."""
    check_output_folder(target, option="--to", error=WeightsError)
    if not target.exists():
        return
    present = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    ours: set[str] = set()
    if MANIFEST in present:
        ours = {MANIFEST, CARD, *read_json(target / MANIFEST, WeightsError).get("files", {})}
    if foreign := sorted(present - ours):
        raise WeightsError(f"{target} holds other files ({foreign[0]}); give --to a new or empty folder")
