"""A model for tests that is written for one tile a call."""

from __future__ import annotations

from moebius.inpainters.base import Inpainter, one_by_one


class OneByOne(Inpainter):
    """Fills by `fill_square(tile, mask, config, generator, progress)`, which the test writes."""

    def fill_squares(self, tiles, masks, config, generators, progress):
        return one_by_one(self.fill_square, tiles, masks, config, generators, progress)
