"""Which photo a mask file is for, where cameras' counters give several photos one name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from moebius.batch.plan import loose

if TYPE_CHECKING:
    from moebius.ui.batch.entry import Entry


class Ambiguous(ValueError):
    """Several photos, or several masks, are called so."""


def stem_for_mask(owner: str, came_with: Iterable[Entry], others: Iterable[Entry]) -> str:
    """The stem of the photos that a mask is for; `owner` itself where there is none yet.

    A mask goes with the photo that came in the same drop, else with the one that is there already.

    Args:
        owner: the mask's name without ending and suffix.
        came_with, others: photos of the same drop, and all that were there before.

    Raises:
        Ambiguous: several photos are called so.
    """
    for photos in (list(came_with), list(others)):
        for key in (str, loose):  # as it is written; else without case
            found = [entry for entry in photos if key(entry.given) == key(owner)]
            found = found or [entry for entry in photos if key(PurePath(entry.name).stem) == key(owner)]
            stems = sorted({PurePath(entry.name).stem for entry in found})
            if len(stems) > 1:
                raise Ambiguous(
                    f"{len(stems)} photos are called {owner} ({', '.join(entry.name for entry in found)}), and it is "
                    "not clear whose mask it is; drop each photo with its mask, one pair after the other"
                )
            if stems:
                return stems[0]
    return owner
