"""Pictures out of nothing, small enough for tests that run everything."""

import cv2
import numpy as np


def picture(seed: int, side: int = 64) -> np.ndarray:
    """(side, side, 3) uint8: blotches and a little grain."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (6, 6, 3)).astype(np.float32)
    blotches = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(blotches + random.normal(0, 6, (side, side, 3)), 0, 255).astype(np.uint8)
