"""Many photos at once: which photo takes which mask and where its result goes. Nothing is decoded or written here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from moebius.files import check_output_folder
from moebius.photo.photo_file import suffixes

MASK_ENDING = "_mask"
_KNOWN = frozenset(suffixes())


@dataclass(frozen=True, kw_only=True)
class Job:
    """One photo of a batch."""

    name: str
    """The photo's path below the folder of photos, with forward slashes: what seeds, records and messages go by."""
    photo: Path
    mask: Path | None
    """None: `problem` says why."""
    output: Path
    problem: str = ""
    """Why it cannot be done, known before anything is opened; empty if it can."""
    fitting: tuple[Path, ...] = ()
    """The masks that have this photo's name, where masks go by names: one if all is well."""


def plan(photos: Path, masks: Path | None, out: Path) -> list[Job]:
    """Pair every photo with its mask, sorted by name.

    Args:
        photos: a folder, searched through with everything below it, or one photo. Hidden files and files without a
            photo's suffix are passed over, and so are `masks` and `out` where they lie inside.
        masks: one mask for all; or a folder of masks with the photos' relative paths, their suffix aside, `_mask`
            behind the name or not; or None: `name_mask.png` (or another suffix) beside each photo.
        out: the folder of results, which have the photos' relative paths.

    Raises:
        ValueError: a path is not there or of the wrong kind, there is no photo, or results would replace photos.
    """
    if not photos.exists():
        raise ValueError(f"{photos} does not exist; give a folder of photos")
    if masks is not None and not masks.exists():
        raise ValueError(f"{masks} does not exist; give a mask, or a folder of masks")
    check_output_folder(out)
    root = photos.parent if photos.is_file() else photos
    if out.resolve() == root.resolve():
        raise ValueError(f"-o {out} is the folder of the photos, and results have their names; give another folder")
    if masks is not None and masks.resolve() == root.resolve():
        masks = None
    aside = {path.resolve() for path in (masks, out) if path is not None}
    found = [photos] if photos.is_file() else find_photos(photos, aside)
    if masks is None:
        found = [path for path in found if not _is_mask_beside(path, found)]
    if not found:
        raise ValueError(f"there is no photo in {photos} ({', '.join(sorted(_KNOWN))})")
    listings: dict[Path, dict[str, list[Path]]] = {}
    return [_job(path, root, masks, out, listings) for path in found]


def find_photos(folder: Path, aside: set[Path]) -> list[Path]:
    """Files with a photo's suffix below `folder`, sorted; links to folders are not followed.

    Args:
        aside: resolved paths of files and folders to pass over.
    """
    found = []
    for where, folders, files in os.walk(folder):
        here = Path(where)
        folders[:] = [name for name in folders if name[0] != "." and (here / name).resolve() not in aside]
        paths = [here / name for name in files if name[0] != "." and Path(name).suffix.lower() in _KNOWN]
        found.extend(path for path in paths if path.resolve() not in aside)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def share(jobs: list[Job], rank: int, processes: int) -> list[Job]:
    """The jobs of one of several processes; together they have every job once."""
    return jobs[rank::processes]


def stays_inside(output: Path, out: Path) -> bool:
    """Whether a result lands in the folder `out` even where links lie on its way."""
    return output.resolve().is_relative_to(out.resolve())


def _job(photo: Path, root: Path, masks: Path | None, out: Path, listings: dict[Path, dict[str, list[Path]]]) -> Job:
    relative = photo.relative_to(root)
    mask, problem, fitting = masks, "", []
    if masks is None or masks.is_dir():
        folder = photo.parent if masks is None else masks / relative.parent
        stems = (photo.stem + MASK_ENDING,) if masks is None else (photo.stem, photo.stem + MASK_ENDING)
        if folder not in listings:
            listings[folder] = _by_stem(folder)
        fitting = [path for stem in stems for path in listings[folder].get(stem, ())]
        mask = fitting[0] if len(fitting) == 1 else None
        if not fitting:
            problem = f"it has no mask; put {stems[0]}.png into {folder}"
        elif mask is None:
            problem = f"it has several masks ({', '.join(path.name for path in fitting)}); keep one of them"
    name = relative.as_posix().encode("utf-8", "backslashreplace").decode()  # some names are no text
    return Job(name=name, photo=photo, mask=mask, output=out / relative, problem=problem, fitting=tuple(fitting))


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """The pictures that lie in a folder, by their names without suffix."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in _KNOWN and path.name[0] != ".":
            found.setdefault(path.stem, []).append(path)
    return found


def _is_mask_beside(path: Path, found: list[Path]) -> bool:
    if not path.stem.endswith(MASK_ENDING):
        return False
    owner = path.with_name(path.stem.removesuffix(MASK_ENDING))
    return any(other.parent == owner.parent and other.stem == owner.name for other in found)
