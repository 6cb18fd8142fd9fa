import threading

import numpy as np
import pytest

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
        if name.endswith("_band") or name in ("write_high", "write_mean", "add_high", "add_energies")
    }


def test_every_kernel_is_compiled_and_real_work_compiles_nothing_more():
    kernels_ahead.run_every_kernel()
    found = kernels_that_python_calls()
    assert len(found) >= 8
    before = {name: list(kernel.signatures) for name, kernel in found.items()}
    assert all(before.values())
    image = np.random.default_rng(0).integers(0, 256, (900, 700, 3), dtype=np.uint8)
    hole = np.zeros((900, 700), bool)
    hole[400:440, 300:350] = True
    fill(image, hole, threads=2)
    detail(image, hole, np.full((450, 350, 3), 100, np.float32))
    assert {name: list(kernel.signatures) for name, kernel in found.items()} == before


def test_what_is_on_the_disk_is_known_and_what_changed_since_is_not(monkeypatch, tmp_path):
    kernels_ahead.run_every_kernel()
    assert kernels_ahead.on_disk()
    edited = tmp_path / "features.py"
    edited.write_text("")
    monkeypatch.setattr(features, "__file__", str(edited))
    assert not kernels_ahead.on_disk()


def test_who_comes_too_early_hears_why_and_can_stop(monkeypatch):
    finished, heard = threading.Event(), []
    loader = threading.Thread(target=finished.wait, daemon=True)
    loader.start()
    monkeypatch.setattr(kernels_ahead, "_loader", loader)
    monkeypatch.setattr(kernels_ahead, "POLL_S", 0.001)

    def stop(share, text):
        heard.append((share, text))
        if len(heard) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        kernels_ahead.ready(stop)
    assert {share for share, _ in heard} == {0.0} and "the filler" in heard[0][1]
    finished.set()
    loader.join()
    kernels_ahead.ready()
    assert len(heard) == 3


def test_the_background_loads_once_and_compiles_apart_only_what_is_not_there(monkeypatch):
    runs = []
    monkeypatch.setattr(kernels_ahead, "_loader", None)
    monkeypatch.setattr(kernels_ahead, "run_every_kernel", lambda: runs.append("loaded"))
    monkeypatch.setattr(kernels_ahead.subprocess, "run", lambda command, **more: runs.append("compiled"))
    monkeypatch.setattr(kernels_ahead, "on_disk", lambda: False)
    kernels_ahead.start(apart=True)
    kernels_ahead.ready()
    assert runs == ["compiled", "loaded"]
    monkeypatch.setattr(kernels_ahead, "_loader", None)
    monkeypatch.setattr(kernels_ahead, "on_disk", lambda: True)
    kernels_ahead.start(apart=True)
    kernels_ahead.start(apart=True)
    kernels_ahead.ready()
    assert runs[2:] == ["loaded"]
