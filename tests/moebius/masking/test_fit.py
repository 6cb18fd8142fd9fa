"""Rough strokes over shapes whose outlines are known."""

import cv2
import numpy as np
import pytest

from moebius.masking import fit as fitting
from moebius.masking.fit import fit

SIDE = 240


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A textured reddish ellipse on textured green ground: picture and outline."""
    rng = np.random.default_rng(seed)
    outline = cv2.ellipse(np.zeros((SIDE, SIDE), np.uint8), (120, 110), (58, 34), 25, 0, 360, 1, -1) > 0
    ground = np.array([70, 120, 60]) + rng.normal(0, 14, (SIDE, SIDE, 3))
    shape = np.array([170, 70, 60]) + rng.normal(0, 14, (SIDE, SIDE, 3))
    mixed = np.where(outline[..., None], shape, ground)
    return cv2.GaussianBlur(mixed.clip(0, 255).astype(np.uint8), (0, 0), 0.8), outline


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def rough(outline: np.ndarray) -> np.ndarray:
    """A blob that overshoots on one side and misses the other."""
    grown = cv2.dilate(outline.astype(np.uint8), np.ones((15, 15), np.uint8))
    return np.roll(grown, (6, 9), (0, 1)) > 0


def line(outline: np.ndarray) -> np.ndarray:
    return cv2.line(np.zeros(outline.shape, np.uint8), (85, 92), (155, 128), 1, 22) > 0


@pytest.mark.parametrize("draw", [rough, line])
@pytest.mark.parametrize("zoom", [1, 3], ids=["as it is", "larger than is worked at"])
def test_a_rough_stroke_becomes_the_object(draw, zoom):
    image, outline = scene()
    stroke = draw(outline)
    image, outline, stroke = (
        np.kron(one, np.ones((zoom, zoom) + (1,) * (one.ndim - 2), np.uint8)) for one in (image, outline, stroke)
    )
    outline, stroke = outline > 0, stroke > 0
    fitted = fit(image, stroke)
    assert overlap(stroke, outline) < 0.75 and overlap(fitted, outline) > 0.95
    np.testing.assert_array_equal(fit(image, stroke), fitted, "the same again")


def test_two_strokes_are_two_objects():
    (one, first), (other, second) = scene(1), scene(2)
    image = np.hstack([one, other[:, ::-1]])
    outline = np.hstack([first, second[:, ::-1]])
    stroke = np.hstack([rough(first), rough(second[:, ::-1])])
    assert overlap(fit(image, stroke), outline) > 0.95


def test_where_no_object_is_nothing_is_proposed():
    flat = np.full((SIDE, SIDE, 3), 128, np.uint8)
    grainy = np.random.default_rng(0).normal(128, 8, flat.shape).clip(0, 255).astype(np.uint8)
    _, outline = scene()
    stroke = rough(outline)
    for image in (flat, grainy):
        assert fit(image, stroke) is None
    assert fit(flat, np.ones((SIDE, SIDE), bool)) is None, "the whole picture is painted"
    assert fit(flat, np.zeros((SIDE, SIDE), bool)) is None


def test_a_piece_that_is_not_plausible_stays_as_it_was_painted(monkeypatch):
    image, outline = scene()
    stroke = rough(outline)
    far = np.zeros_like(stroke)
    far[200:215, 10:60] = True  # on plain ground
    monkeypatch.setattr(fitting, "LEAST_SHARE", 0.9)
    monkeypatch.setattr(fitting, "MOST_SHARE", 0.95)
    assert fit(image, stroke | far) is None
    monkeypatch.undo()
    fitted = fit(image, stroke | far)
    assert overlap(fitted[:190], outline[:190]) > 0.95
