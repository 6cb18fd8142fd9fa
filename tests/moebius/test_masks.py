"""Generated holes: the same everywhere, and with the statistics of the generators they follow."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from moebius import masks

ROOT = Path(__file__).parents[2]


def some(kind: str, count: int, set_seed: int = 0) -> list[np.ndarray]:
    side = (masks.KINDS[kind].sides or (512,))[0]
    return [masks.make(kind, masks.seed_of(set_seed, str(index)), side) for index in range(count)]


@pytest.mark.parametrize(("kind", "mean_hole"), [("mat-large", 0.395), ("mat-small", 0.216)])
def test_mean_hole_of_mat_over_800_draws(kind, mean_hole):
    assert np.mean([mask.mean() for mask in some(kind, 800)]) == pytest.approx(mean_hole, abs=0.02)


@pytest.mark.parametrize("kind", masks.KINDS)
def test_every_kind_is_boolean_and_neither_empty_nor_full(kind):
    for mask in some(kind, 20):
        assert mask.dtype == bool and mask.shape[0] == mask.shape[1]
        assert 0 < mask.mean() < 1
        if kind.startswith("lama"):
            assert mask.mean() <= 0.5


def test_share_stays_between_40_and_50_percent_at_both_sizes():
    for side in (256, 512):
        shares = [masks.make("share-40-50", masks.seed_of(1, str(index)), side).mean() for index in range(25)]
        assert min(shares) >= 0.40 and max(shares) <= 0.50


def test_objects_are_in_one_piece_and_of_the_size_of_objects():
    for mask in some("object", 40):
        assert cv2.connectedComponents(mask.astype(np.uint8))[0] == 2  # background and one piece
        assert 0.02 <= mask.mean() <= 0.3


@pytest.mark.parametrize(
    ("kind", "times", "max_width", "max_length"),
    [
        ("lama-thin-256", (4, 50), 10, 40),
        ("lama-medium-256", (4, 5), 50, 100),
        ("lama-thick-256", (1, 5), 100, 200),
        ("lama-thin-512", (4, 70), 20, 100),
        ("lama-medium-512", (4, 10), 100, 200),
        ("lama-thick-512", (1, 5), 250, 450),
    ],
)
def test_strokes_of_lama_have_the_published_statistics(monkeypatch, kind, times, max_width, max_length):
    side = masks.KINDS[kind].sides[0]
    drawn: list[tuple] = []
    monkeypatch.setattr(masks.cv2, "line", lambda canvas, start, end, value, width: drawn.append((start, end, width)))
    strokes = masks.KINDS[kind].generate.__closure__
    setting = next(cell.cell_contents for cell in strokes if isinstance(cell.cell_contents, masks.Strokes))
    random, chains, segments = masks.random_of(5), [], []
    for _ in range(150):
        drawn.clear()
        masks._strokes(random, side, setting)
        starts = [index for index, (start, _, _) in enumerate(drawn) if not index or start != drawn[index - 1][1]]
        chains.append(len(starts))
        segments += np.diff([*starts, len(drawn)]).tolist()
        for (x0, y0), (x1, y1), width in drawn:
            assert 5 <= width < 5 + max_width
            assert np.hypot(x1 - x0, y1 - y0) <= 10 + max_length + 1  # ends are whole pixels
    assert min(chains) >= times[0] and max(chains) <= times[1]
    assert np.mean(chains) == pytest.approx(sum(times) / 2, rel=0.1)
    counts = np.bincount(segments, minlength=6)[1:] / len(segments)  # a chain may begin where the last one ended
    np.testing.assert_allclose(counts[:5], 0.2, atol=0.07)
    assert counts[5:].sum() < 0.002


def test_boxes_take_their_share_of_lamas_masks():
    """Weight 0.3 against 1: 23 % of the masks are boxes, here of exactly 30×30 pixels."""
    random = masks.random_of(3)
    seen = 0
    strokes = masks.Strokes(times=(1, 1), max_width=5, max_length=20)
    boxes = masks.Boxes(share=0.3, times=(1, 1), sides=(30, 30))
    for _ in range(1500):
        seen += masks.lama(random, 128, strokes, boxes).sum() == 900
    assert seen / 1500 == pytest.approx(0.3 / 1.3, abs=0.03)


def test_a_seed_gives_the_same_mask_in_another_process_with_other_hashing():
    code = (
        "from hashlib import sha256; from moebius import masks\n"
        "print([sha256(masks.make(kind, masks.seed_of(0, 'a/b_01'), (masks.KINDS[kind].sides or (512,))[0]).tobytes())"
        ".hexdigest() for kind in masks.KINDS])"
    )
    sides = {kind: (masks.KINDS[kind].sides or (512,))[0] for kind in masks.KINDS}
    made = [masks.make(kind, masks.seed_of(0, "a/b_01"), side) for kind, side in sides.items()]
    here = [sha256(mask.tobytes()).hexdigest() for mask in made]
    there = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    assert there.stdout.strip() == str(here), there.stderr


def test_the_seed_is_the_documented_hash():
    assert masks.seed_of(7, "x") == int.from_bytes(sha256(b"7:x").digest()[:8], "big")
    assert masks.seed_of(7, "x") != masks.seed_of(8, "x") != masks.seed_of(8, "y")


def test_unknown_kinds_and_sides_are_refused():
    with pytest.raises(ValueError, match="unknown kind of mask 'thick'; choose from lama-thin-256"):
        masks.make("thick", 0, 512)
    with pytest.raises(ValueError, match="made for pictures of 256×256, not 512×512"):
        masks.make("lama-thin-256", 0, 512)
