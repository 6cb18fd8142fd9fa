"""`python -m eval vote`: a ballot of an evaluation's fills for the page's Vote tab, and the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from eval import score, store
from eval.steps import Evaluation
from moebius import environment
from moebius.presentation import drawing
from moebius.progress import counter
from moebius.vote import ballot as ballots
from moebius.vote.store import VoteStore

FOLDER = "vote"
PICTURES = 60
"""Photos of a ballot by default, spread evenly over the set."""
SIDE, QUALITY = 1024, 95
"""Of the pictures that are shown."""


def prepare(evaluation: Evaluation, pictures: int = PICTURES) -> ballots.Ballot:
    """Write the ballot of an evaluation's fills into its folder, where it is not there yet.

    Raises:
        ValueError: there are fewer than two models, or fills are missing.
    """
    if len(evaluation.contestants) < 2:
        raise ValueError("a vote compares the fills of at least two models")
    if pictures < 1:
        raise ValueError(f"--pictures must be >= 1, got {pictures}")
    folder = evaluation.out / FOLDER
    samples = evaluation.dataset.samples
    chosen = [
        samples[index] for index in np.unique(np.linspace(0, len(samples) - 1, min(pictures, len(samples)), dtype=int))
    ]
    fills = {one.name: evaluation.folders.fills(one) for one in evaluation.contestants}
    identity = store.fingerprint(
        {"fills": {name: path.name for name, path in fills.items()}, "ids": [s.id for s in chosen]}
    )
    if (folder / ballots.FILE).is_file() and (kept := ballots.read_ballot(folder)).identity == identity:
        return kept
    rows = []
    with counter(len(chosen), "Preparing the vote", quiet=evaluation.quiet) as progress:
        for sample in chosen:
            photo, hole = evaluation.dataset.load(sample)
            shown = {"": _shown(drawing.outlined(photo, hole, SIDE), hole)}
            shown |= {name: _shown(score.read_fill(path, sample), hole) for name, path in fills.items()}
            files = {}
            for name, picture in shown.items():
                data = drawing.jpeg(picture, QUALITY)
                files[name] = f"{store.fingerprint({'ballot': identity, 'id': sample.id, 'of': name})}.jpg"
                store.write(folder / files[name], data)
            rows.append({"id": sample.id, "group": sample.group, "photo": files.pop(""), "fills": files})
            progress.update()
    name = evaluation.dataset.describe()["name"]
    store.write_json(folder / ballots.FILE, {"name": name, "identity": identity, "photos": rows})
    return ballots.read_ballot(folder)


def _shown(photo: np.ndarray, hole: np.ndarray) -> Image.Image:
    """The hole with its surroundings, at most `SIDE` pixels wide and high."""
    part = photo if max(photo.shape) <= SIDE else drawing.close_up(photo, hole)
    picture = Image.fromarray(np.ascontiguousarray(part))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return picture


def open_store(out: Path) -> VoteStore:
    """The votes on the ballot in an evaluation's folder. ValueError where there is no ballot."""
    folder = out / FOLDER
    return VoteStore(folder / ballots.VOTES, ballots.read_ballot(folder).identity)


def serve(out: Path, arguments: list[str]) -> int:
    """The page with its Vote tab, until it is stopped; its exit status."""
    environment.VOTE.set("1")
    environment.RESULTS.set(str(out.resolve()))
    return subprocess.run([sys.executable, "-m", "moebius", "serve", *arguments]).returncode
