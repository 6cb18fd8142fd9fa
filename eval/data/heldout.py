"""The held-out set that ships in samples/heldout: manifest rows to pictures and masks, hashes checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moebius.files import read_json, sha256

NAME = "moebius-heldout"
MANIFEST = "manifest.json"
SHIPPED_SET = Path(__file__).parents[2] / "samples" / "heldout"


@dataclass(frozen=True, kw_only=True)
class Row:
    id: str
    group: str
    """The photograph that the crop is from; intervals resample photographs."""
    picture: Path
    picture_sha256: str
    mask: Path
    mask_sha256: str


def is_heldout(folder: Path) -> bool:
    """Whether a folder holds the set (or another one with such a manifest)."""
    path = folder / MANIFEST
    return path.is_file() and read_json(path).get("name") == NAME


def rows(folder: Path, kind: str | None = None) -> list[Row]:
    """Every picture with its mask.

    Args:
        kind: `medium`, `thick` or `object` for all; None: each picture's default, a third each.
    """
    manifest = read_json(folder / MANIFEST)
    kinds = manifest["masks"]["kinds"]
    if kind is not None and kind not in kinds:
        raise ValueError(f"the held-out set has no masks of kind {kind!r}; choose from {', '.join(kinds)}")
    found = []
    for row in manifest["pictures"]:
        mask = row["masks"][kind or row["default_mask"]]
        found.append(
            Row(
                id=row["id"],
                group=row["group"],
                picture=folder / row["file"],
                picture_sha256=row["sha256"],
                mask=folder / mask["file"],
                mask_sha256=mask["sha256"],
            )
        )
    return found


def check(row: Row) -> None:
    """Raises ValueError if the picture or its mask is not the one that was shipped."""
    for path, expected in ((row.picture, row.picture_sha256), (row.mask, row.mask_sha256)):
        if not path.is_file():
            raise ValueError(f"{path} is missing")
        if sha256(path) != expected:
            raise ValueError(f"{path} is not the file that was shipped (SHA-256 differs from the manifest's)")
