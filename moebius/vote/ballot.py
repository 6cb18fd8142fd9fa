"""What is voted on: photos with the fills of several models, whose names no voter sees.

A ballot is a folder that `python -m eval vote` writes: `ballot.json`, and pictures whose file names say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path

from moebius.files import read_json

FILE, VOTES = "ballot.json", "votes.sqlite"
MAX_PICTURE_BYTES = 16 << 20


@dataclass(frozen=True)
class Comparison:
    """Two models' fills of one photo; `first` comes before `second` in the alphabet."""

    photo: str
    first: str
    second: str


@dataclass(frozen=True)
class Ballot:
    folder: Path
    name: str
    identity: str
    """Votes belong to it: other fills are another ballot."""
    photos: dict[str, Path]
    """The photo with its hole outlined, by id."""
    fills: dict[tuple[str, str], Path]
    """By photo and model."""

    @property
    def comparisons(self) -> list[Comparison]:
        """Every two models on every photo."""
        models = sorted({model for _, model in self.fills})
        return [Comparison(photo, *pair) for photo in sorted(self.photos) for pair in combinations(models, 2)]


def read_ballot(folder: Path) -> Ballot:
    """Raises ValueError where the folder holds none, or a file of it is missing."""
    content = read_json(folder / FILE)
    try:
        photos = {row["id"]: _picture(folder, row["photo"]) for row in content["photos"]}
        fills = {
            (row["id"], model): _picture(folder, file)
            for row in content["photos"]
            for model, file in row["fills"].items()
        }
        ballot = Ballot(folder, content["name"], content["identity"], photos, fills)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / FILE} is no ballot ({type(error).__name__}: {error})") from None
    if any((photo, model) not in fills for photo in photos for _, model in fills):
        raise ValueError(f"{folder / FILE} is no ballot: a model has no fill of some photo")
    if not ballot.comparisons:
        raise ValueError(f"{folder / FILE} has nothing to compare: a vote needs photos and two models")
    return ballot


def _picture(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise ValueError(f"{folder / FILE} names a picture that is not there: {name}")
    return path


# ---- in which order ----


def order(ballot: Ballot, voter: str) -> list[Comparison]:
    """All comparisons in an order of this voter's own, the same every time."""
    return sorted(ballot.comparisons, key=lambda one: ticket(ballot, voter, one))


def ticket(ballot: Ballot, voter: str, one: Comparison) -> str:
    """Names a comparison to its voter without saying what it is: 64 hexadecimal digits."""
    text = "\n".join((ballot.identity, voter, one.photo, one.first, one.second))
    return sha256(text.encode()).hexdigest()


def is_swapped(ballot: Ballot, voter: str, one: Comparison) -> bool:
    """Whether this voter sees the second model on the left."""
    return int(sha256(f"side\n{ticket(ballot, voter, one)}".encode()).hexdigest()[-1], 16) % 2 == 1


def next_comparison(ballot: Ballot, voter: str, done: Iterable[Comparison]) -> Comparison | None:
    """The first of this voter's that is not done; None: all are."""
    seen = set(done)
    return next((one for one in order(ballot, voter) if one not in seen), None)
