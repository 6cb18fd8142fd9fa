"""Pair photos of a batch with masks and results. No file is decoded or written here."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from moebius.batch.records import PREFIX
from moebius.files import check_output_folder
from moebius.photo.photo_file import suffixes

MASK_ENDING = "_mask"
_KNOWN = frozenset(suffixes())
_NOT_PHOTOS = {"@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found", "__macosx"}
"""Folders, in lower case, in which storage systems keep thumbnails, deleted files and copies."""


@dataclass(frozen=True, kw_only=True)
class BatchItem:
    """One photo of a batch."""

    name: str
    """The photo's path below the folder of photos, with forward slashes; identifies it in records and messages."""
    photo: Path
    mask: Path | None
    """None: `problem` says why."""
    output: Path
    problem: str = ""
    """Why it cannot be filled, found before any file is opened; empty: no problem."""
    turns: bool = False
    """Whether the mask, which serves all photos, is turned for photos with another orientation."""
    grows: bool = True
    """Whether `run.Task.grow_mask` is for its mask."""
    fitting: tuple[Path, ...] = ()
    """The masks with this photo's name, if masks are paired by names; there should be one."""
    seed: int | None = None
    """In place of the task's, where the model is seeded; None: the task's."""


def plan(photos: Path, masks: Path | None, out: Path) -> list[BatchItem]:
    """Pair every photo with its mask, sorted by name.

    Args:
        photos: a folder, searched through with everything below it, or one photo. Hidden files, files without a
            photo's suffix, storage systems' folders and results of batches are passed over, and so are `masks` and
            `out` where they lie inside. Folders that cannot be read, and links that lead out, become items with a
            `problem`.
        masks: one mask for all; or a folder of masks with the photos' relative paths, their suffix kept or not, `_mask`
            behind the name or not; or None: `name_mask.png` (or another suffix) beside each photo. Names may differ in
            case and in how accents are encoded where only one photo is called so.
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
    unread: dict[Path, str] = {}
    found = [photos] if photos.is_file() else find_photos(photos, aside, unread)
    if masks is None:
        owned = _Stems(found)
        found = [path for path in found if not _is_mask_beside(path, owned)]
    if not found and not unread:
        raise ValueError(f"there is no photo in {photos} ({', '.join(sorted(_KNOWN))})")
    listings: dict[Path, dict[str, list[Path]]] = {}
    stems = _Stems(found)
    items = [_item(path, root, masks, out, listings, stems) for path in found]
    for path, problem in unread.items():
        name = path.relative_to(root)
        items.append(BatchItem(name=_text(name), photo=path, mask=None, output=out / name, problem=problem))
    return items


def find_photos(folder: Path, aside: set[Path], unread: dict[Path, str]) -> list[Path]:
    """Files with a photo's suffix below `folder`, sorted; links to folders are not followed.

    Args:
        aside: resolved paths of files and folders to pass over.
        unread: gets the folders that may hold photos and were not searched, and why.
    """
    found: list[Path] = []

    def refused(error: OSError) -> None:
        unread[Path(error.filename)] = f"this folder cannot be read: {error.strerror}"

    for where, folders, files in os.walk(folder, onerror=refused):
        here = Path(where)
        below = (here / name for name in folders)
        folders[:] = [one.name for one in below if _may_hold_photos(one) and one.resolve() not in aside]
        for one in (here / name for name in folders):
            if one.is_symlink() and not one.resolve().is_relative_to(folder.resolve()):
                unread[one] = f"this folder is a link, which is not followed; its photos are in {one.resolve()}"
        paths = [here / name for name in files if name[0] != "." and Path(name).suffix.lower() in _KNOWN]
        found.extend(path for path in paths if path.resolve() not in aside)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def share(items: list[BatchItem], rank: int, processes: int) -> list[BatchItem]:
    """The items for one of several processes; together they get every item once."""
    return items[rank::processes]


def stays_inside(output: Path, out: Path) -> bool:
    """Whether a result is inside the folder `out` after links are followed."""
    return output.resolve().is_relative_to(out.resolve())


def loose(name: str) -> str:
    """A name for comparing: accents in one encoding (NFC), without case."""
    return unicodedata.normalize("NFC", name).casefold()


def mask_owner(stem: str) -> str | None:
    """The stem of the photo that a file of this stem is a mask for, by its name alone; None: it is no mask."""
    return stem[: -len(MASK_ENDING)] if loose(stem).endswith(MASK_ENDING) else None


class _Stems:
    """The stems of photos, by folder, as they are written and for comparing."""

    def __init__(self, photos: Iterable[Path]) -> None:
        self._written: dict[tuple[Path, str], set[str]] = {}
        for path in photos:
            for name in (path.stem, path.name):
                self._written.setdefault((path.parent, loose(name)), set()).add(path.stem)

    def __contains__(self, path: Path) -> bool:
        """Whether there is a photo of this folder and stem."""
        return (path.parent, loose(path.name)) in self._written

    def is_unique(self, path: Path) -> bool:
        """Whether all photos that are called like this one, case aside, have one stem."""
        return len(self._written[path.parent, loose(path.stem)]) == 1


def _may_hold_photos(folder: Path) -> bool:
    name = folder.name
    return name[0] != "." and name.lower() not in _NOT_PHOTOS and not any(folder.glob(f"{PREFIX}*.jsonl"))


def _item(
    photo: Path, root: Path, masks: Path | None, out: Path, listings: dict[Path, dict[str, list[Path]]], stems: _Stems
) -> BatchItem:
    relative = photo.relative_to(root)
    mask, problem, fitting = masks, "", []
    by_name = masks is None or masks.is_dir()
    if by_name:
        folder = photo.parent if masks is None else _below(masks, relative.parent)
        endings = ("", MASK_ENDING) if masks else (MASK_ENDING,)
        names = [name + ending for name in (photo.stem, photo.name) for ending in endings]
        if folder not in listings:
            listings[folder] = _by_stem(folder)
        fitting = [path for name in names for path in listings[folder].get(name, ())]
        if not fitting and stems.is_unique(photo):
            wanted = {loose(name) for name in names}
            fitting = [path for stem, paths in listings[folder].items() if loose(stem) in wanted for path in paths]
        mask = fitting[0] if len(fitting) == 1 else None
        if not fitting:
            problem = f"it has no mask; put {names[0]}.png into {folder}"
        elif mask is None:
            problem = f"it has several masks ({', '.join(path.name for path in fitting)}); keep one of them"
    return BatchItem(
        name=_text(relative),
        photo=photo,
        mask=mask,
        output=out / relative,
        problem=problem,
        turns=not by_name,
        fitting=tuple(fitting),
    )


def _text(relative: Path) -> str:
    return relative.as_posix().encode("utf-8", "backslashreplace").decode()  # some names are no text


def _below(masks: Path, relative: Path) -> Path:
    """The folder of masks for a folder of photos; its parts' accents may be encoded otherwise."""
    folder = masks
    for part in relative.parts:
        if not (folder / part).is_dir() and folder.is_dir():
            alike = [one for one in folder.iterdir() if one.is_dir() and loose(one.name) == loose(part)]
            part = alike[0].name if len(alike) == 1 else part
        folder /= part
    return folder


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """The pictures that lie in a folder, by their names without suffix."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in _KNOWN and path.name[0] != ".":
            found.setdefault(path.stem, []).append(path)
    return found


def _is_mask_beside(path: Path, photos: _Stems) -> bool:
    owner = mask_owner(path.stem)
    return bool(owner) and path.with_name(owner) in photos
