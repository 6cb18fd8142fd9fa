import numpy as np

from moebius.patchmatch import compile as kernels_ahead
from moebius.patchmatch import features, kernels
from moebius.patchmatch.detail import detail
from moebius.patchmatch.filler import fill


def kernels_that_python_calls():
    """By name; those that only kernels call have no signatures of their own once they come from the cache."""
    found = {name: kernel for module in (kernels, features) for name, kernel in vars(module).items()}
    return {
        name: kernel
        for name, kernel in found.items()
        if name.endswith("_band") or name in ("write_high", "write_mean", "add_high")
    }


def test_every_kernel_is_compiled_and_real_work_compiles_nothing_more():
    kernels_ahead.run_every_kernel()
    found = kernels_that_python_calls()
    assert len(found) >= 7
    before = {name: list(kernel.signatures) for name, kernel in found.items()}
    assert all(before.values())
    image = np.random.default_rng(0).integers(0, 256, (900, 700, 3), dtype=np.uint8)
    hole = np.zeros((900, 700), bool)
    hole[400:440, 300:350] = True
    fill(image, hole, threads=2)
    detail(image, hole, np.full((450, 350, 3), 100, np.float32))
    assert {name: list(kernel.signatures) for name, kernel in found.items()} == before
