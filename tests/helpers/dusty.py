"""A sky with spots of dust whose places are known, above ground with texture."""

import numpy as np

HEIGHT, WIDTH = 500, 800
SPOTS = [(120.0, 90.0, 5.0), (400.0, 60.0, 8.0), (640.0, 200.0, 4.0), (300.0, 220.0, 6.0)]


def sky(spots=SPOTS, seed: int = 0, depth: float = 0.06) -> np.ndarray:
    """A gradient with grain above textured ground; spots of x, y and radius multiply its light."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    light = np.stack([150 + 0.05 * columns, 175 - 0.06 * rows, 215 - 0.03 * rows], axis=2)
    for x, y, radius in spots:
        soft = 1 / (1 + np.exp((np.hypot(columns - x, rows - y) - radius).clip(-50, 50)))
        light *= 1 - depth * soft[..., None]
    light += rng.normal(0, 1.5, light.shape)
    ground = rows > 320
    light[ground] = rng.uniform(20, 160, (int(ground.sum()), 1))
    return light.clip(0, 255).astype(np.uint8)
