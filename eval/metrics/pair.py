"""Figures of a removal whose truth is known: a photo with the object, the same photo without it.

The effect region is where the two differ outside the object: its shadow, its reflection, its light.
"""

from __future__ import annotations

import numpy as np

from eval.data.pairs import Judged

SEEN = 30
"""Grey levels (largest channel) between photo and truth from which a pixel of the object can be told from what was
behind it."""
KEPT = 12
"""Grey levels between fill and photo up to which a pixel still shows the object."""
MIN_STAYS = 0.01
"""Share of the object's tellable pixels from which something of it stays."""


def pair_scores(fill: np.ndarray, one: Judged) -> dict[str, float | None]:
    """Of a fill (H, W, 3) uint8.

    - `effect_error`: mean absolute difference to the truth in the effect region, in grey levels; None without one.
    - `effect_left`: the same as a share of what the photo itself has there: 1 if nothing was done about the effect.
    - `object_stays`: 1 if at least `MIN_STAYS` of the object's pixels still show it, else 0; None where the object
      cannot be told from what was behind it. A new object that the model paints is not seen by this.
    """
    found: dict[str, float | None] = {"effect_error": None, "effect_left": None, "object_stays": None}
    if one.effect is not None and one.effect.any():
        truth = one.truth[one.effect].astype(np.int16)
        error, before = (float(np.abs(each[one.effect] - truth).mean()) for each in (fill, one.picture))
        found |= {"effect_error": error, "effect_left": error / before if before else None}
    if one.object is not None:
        tellable = one.object & (_apart(one.picture, one.truth) >= SEEN)
        if tellable.any():
            stays = (_apart(fill, one.picture) <= KEPT) & tellable
            found["object_stays"] = float(stays.sum() >= MIN_STAYS * tellable.sum())
    return found


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest difference of a channel, (H, W) int16."""
    return np.abs(a.astype(np.int16) - b).max(axis=2)
