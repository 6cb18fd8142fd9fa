"""A model that needs no weights and no time: it fills with the mean colour of what it sees."""

import numpy as np

from moebius import registry
from moebius.inpainters.base import Inpainter
from moebius.inpainters.loaders import Availability


class MeanColour(Inpainter):
    name = "mean-colour"
    size = None

    def fill_squares(self, tiles, masks, config, generators, progress):
        progress(0.5, "Halfway")
        return [
            np.full(tile.shape, tile[~mask].mean(axis=0), np.float32) for tile, mask in zip(tiles, masks, strict=True)
        ]


def card(load=lambda options, progress: MeanColour(), **fields) -> registry.ModelCard:
    """Its card; `auto` takes it where it is alone."""
    facts = {
        "name": MeanColour.name,
        "title": "The mean colour",
        "license": "none",
        "source": "tests",
        "learned": False,
        "automatic": True,
        "comparison_order": 0,
        "find_weights": lambda options: Availability(can_run=True, reason="it has none", weights=""),
    }
    return registry.ModelCard(load=load, **(facts | fields))
