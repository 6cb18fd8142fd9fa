"""What can run here, what `auto` takes, and which model stays in memory."""

import dataclasses
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from moebius import devices, model_cache, registry
from moebius.devices import Memory
from moebius.registry import MODELS, LoadOptions, resolve
from moebius.weights import WeightsError
from tests.helpers.standin_weights import write_published

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return write_published(tmp_path_factory.mktemp("weights"), small=True)


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """No weights by the environment or in a cache, nothing in memory, and no download that goes unseen."""
    monkeypatch.delenv("MOEBIUS_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty-cache"))
    monkeypatch.setattr("moebius.weights.hub.fetch", lambda *_, **__: pytest.fail("downloaded unasked"))
    model_cache.release()
    yield
    model_cache.release()


def test_the_sizes_are_the_networks():
    import torch

    from moebius.bench.networks import REAL

    for name, (kind, config, _) in REAL.items():
        with torch.device("meta"):
            network = kind(**config)
        assert MODELS[name].parameters == sum(parameter.numel() for parameter in network.parameters()), name


def test_without_weights_auto_is_the_classical_filler_and_says_why():
    card, reason = resolve("auto", LoadOptions(allow_download=True))
    assert card is MODELS["classical"]
    assert "its weights are not on this computer" in reason and "python -m moebius download places2" in reason
    state = MODELS["moebius"].availability(LoadOptions(variant="ffhq"))
    assert not state.can_run and "download ffhq" in state.reason and "hustvl/Moebius" in state.weights


def test_with_weights_auto_is_the_student(published):
    card, reason = resolve("auto", LoadOptions(weights=published))
    assert card is MODELS["moebius"] and reason == "Moebius is the best that can run here."
    assert MODELS["moebius"].availability(LoadOptions(weights=published)).weights == f"folder {published}"


def test_weights_that_were_asked_for_are_never_replaced_by_another_model(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="holds no weights of Moebius"):
        resolve("auto", LoadOptions(weights=tmp_path))
    monkeypatch.setenv("MOEBIUS_WEIGHTS", str(tmp_path / "gone"))
    with pytest.raises(WeightsError, match="does not exist"):
        resolve("auto", LoadOptions())


def test_a_model_by_name_is_that_model():
    card, reason = resolve("classical", LoadOptions())
    assert card.name == "classical" and reason == "PatchMatch was asked for."
    with pytest.raises(ValueError, match="unknown model 'lama'; choose from auto, moebius, pixelhacker, flux-fill"):
        resolve("lama", LoadOptions())
    with pytest.raises(ValueError, match="unknown variant"):
        resolve("auto", LoadOptions(variant="cats"))


def test_a_package_that_is_missing_is_named(monkeypatch):
    card = dataclasses.replace(MODELS["classical"], packages=("no_such_package",))
    monkeypatch.setitem(MODELS, "classical", card)
    state = MODELS["classical"].availability(LoadOptions())
    assert not state.can_run and "no_such_package" in state.reason
    with pytest.raises(ValueError, match="Moebius cannot run here: .*PatchMatch cannot run here"):
        resolve("auto", LoadOptions())


def test_asking_what_can_run_imports_no_network_library(published):
    code = (
        "import sys; from pathlib import Path; from moebius import registry as r\n"
        f"o = r.LoadOptions(weights=Path({str(published)!r}))\n"
        "assert [c.name for c in r.MODELS.values() if c.availability(o).can_run] == ['moebius', 'classical']\n"
        "print(sorted({'torch', 'diffusers', 'cv2', 'PIL', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# ---- in memory ----


def test_nothing_is_downloaded_unasked():
    with pytest.raises(WeightsError, match="python -m moebius download"):
        model_cache.acquire("moebius", LoadOptions())


def test_a_download_that_was_asked_for_happens_and_a_folder_that_was_named_is_not_replaced(
    published, tmp_path, monkeypatch
):
    from moebius.weights.locate import locate

    asked = []
    monkeypatch.setattr(
        "moebius.weights.hub.fetch", lambda *args, **_: asked.append(args[0]) or locate(None, published)
    )
    with pytest.raises(WeightsError, match="holds no weights"):
        model_cache.acquire("moebius", LoadOptions(weights=tmp_path, allow_download=True))
    assert asked == []
    model = model_cache.acquire("moebius", LoadOptions(variant="places2", allow_download=True))
    assert asked == ["places2"] and model.name == "moebius"


def test_a_model_stays_until_another_is_asked_for(published):
    options = LoadOptions(weights=published, device="cpu")
    first = model_cache.acquire("moebius", options)
    assert model_cache.acquire("moebius", options) is first
    assert model_cache.acquire("classical", options).name == "classical"
    assert model_cache.acquire("moebius", options) is first
    other = model_cache.acquire("moebius", dataclasses.replace(options, dtype="bfloat16"))
    assert other is not first and str(other.pipeline.unet.dtype) == "torch.bfloat16"
    assert model_cache.residents() == [first, other]  # both fit


def test_threads_that_ask_while_a_model_loads_get_that_model(monkeypatch):
    loads, models, loading, finish, asking = [], [], threading.Event(), threading.Event(), threading.Barrier(4)

    def load(options, progress):
        loads.append(threading.get_ident())
        loading.set()
        assert finish.wait(10)
        return SimpleNamespace()

    monkeypatch.setitem(MODELS, "moebius", dataclasses.replace(MODELS["moebius"], load=load))

    def ask(*before):
        for wait in before:
            wait()
        models.append(model_cache.acquire("moebius", LoadOptions()))

    threads = [threading.Thread(target=ask)] + [threading.Thread(target=ask, args=(asking.wait,)) for _ in range(3)]
    threads[0].start()
    assert loading.wait(10)
    for thread in threads[1:]:
        thread.start()
    asking.wait()  # all three are at the door
    finish.set()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len(models) == 4 and len(set(map(id, models))) == 1


def test_a_load_that_fails_leaves_the_next_one_free(published, tmp_path):
    with pytest.raises(WeightsError):
        model_cache.acquire("moebius", LoadOptions(weights=tmp_path))
    with pytest.raises(ValueError, match="float8"):
        model_cache.acquire("moebius", LoadOptions(weights=published, dtype="float8"))
    assert model_cache.acquire("moebius", LoadOptions(weights=published)).name == "moebius"


def test_the_classical_filler_does_not_wait_for_a_download(monkeypatch):
    loading, finish = threading.Event(), threading.Event()

    def load(options, progress):
        loading.set()
        assert finish.wait(10)
        return SimpleNamespace()

    monkeypatch.setitem(MODELS, "moebius", dataclasses.replace(MODELS["moebius"], load=load))
    thread = threading.Thread(target=model_cache.acquire, args=("moebius", LoadOptions()))
    thread.start()
    assert loading.wait(10)
    assert model_cache.acquire("classical", LoadOptions()).name == "classical"
    finish.set()
    thread.join()


# ---- room ----


class Small:
    """A model that takes ten bytes of a memory of twenty-five."""

    ran_out: ClassVar[list[str]] = []

    def __init__(self, name: str):
        self.name = name


@pytest.fixture
def room(monkeypatch):
    """Three models of which two fit; `room` lists what is loaded and counts the loads."""
    loads = []

    def card(name: str):
        def load(options, progress):
            loads.append(name)
            if Small.ran_out and Small.ran_out[0] == name:
                Small.ran_out.pop()
                raise RuntimeError("CUDA out of memory. Tried to allocate 10 bytes")
            return Small(name)

        needs = Memory(gpu_bytes=0, ram_bytes=10)
        return dataclasses.replace(
            MODELS["moebius"], name=name, title=name, load=load, needs=lambda options, total: needs
        )

    for name in ("a", "b", "c"):
        monkeypatch.setitem(MODELS, name, card(name))
    monkeypatch.setattr(
        devices, "free_memory", lambda device: Memory(gpu_bytes=0, ram_bytes=25 - 10 * len(model_cache.residents()))
    )
    Small.ran_out.clear()
    return loads


def held() -> list[str]:
    return [model.name for model in model_cache.residents()]


def test_the_model_used_least_recently_makes_room(room):
    for name in ("a", "b", "a"):
        model_cache.acquire(name, LoadOptions(device="cpu"))
    assert held() == ["b", "a"] and room == ["a", "b"]
    model_cache.acquire("c", LoadOptions(device="cpu"))
    assert held() == ["a", "c"] and room == ["a", "b", "c"]


def test_memory_that_runs_out_while_loading_costs_one_model_and_leaves_the_rest(room):
    model_cache.acquire("a", LoadOptions(device="cpu"))
    Small.ran_out.append("b")  # the estimate was wrong
    assert model_cache.acquire("b", LoadOptions(device="cpu")).name == "b"
    assert held() == ["b"] and room == ["a", "b", "b"]


def test_a_model_that_does_not_fit_alone_is_an_error(room, monkeypatch):
    def load(options, progress):
        raise MemoryError

    monkeypatch.setitem(MODELS, "a", dataclasses.replace(MODELS["a"], load=load))
    model_cache.acquire("b", LoadOptions(device="cpu"))
    with pytest.raises(MemoryError, match="not enough memory for a, even with nothing else loaded"):
        model_cache.acquire("a", LoadOptions(device="cpu"))
    assert model_cache.acquire("b", LoadOptions(device="cpu")).name == "b"


def test_a_model_that_runs_short_later_asks_the_others_to_leave(room):
    first = model_cache.acquire("a", LoadOptions(device="cpu"))
    model_cache.acquire("b", LoadOptions(device="cpu"))
    assert first.make_room() and held() == ["a"]
    assert not first.make_room() and held() == ["a"]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="choose from"):
        model_cache.acquire("auto", LoadOptions())
    assert registry.AUTO not in MODELS


# ---- the small student, where somebody trained one ----


def listed(folder: Path, code: str, **environment: str) -> str:
    """What another process, with `folder` as its working folder, finds."""
    done = subprocess.run(
        [sys.executable, "-c", f"from moebius import registry as r; o = r.LoadOptions(); {code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", "HF_HUB_CACHE": str(folder / "none")} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_working_folder_changes_nothing(tmp_path, published):
    """What somebody trained is taken by --weights, never because a folder of its name lies about."""
    shutil.copytree(published, tmp_path / "weights" / "moebius-mini")
    (tmp_path / "weights" / "moebius-mini" / "model_index.json").write_text("{}")
    assert listed(tmp_path, "print(*r.MODELS)").split() == list(MODELS)
    assert listed(tmp_path, "print(r.resolve('auto', o)[0].name)") == "classical"


def test_a_folder_in_half_precision_is_checked_for_size_and_range(published, tmp_path, monkeypatch):
    from moebius.weights import load as weights
    from moebius.weights import locate as weight_files
    from tests.helpers.weight_folders import save_folder

    files = weight_files.locate(None, published)
    with pytest.raises(WeightsError, match="more than 1 MB$"):
        save_folder(files, tmp_path / "a", dtype=torch.float16, max_bytes=1_000_000)
    load = weights.load_denoiser

    def far(*args):
        network = load(*args)
        network.conv_out.conv_pw.weight.data[0] = float("inf")
        return network

    monkeypatch.setattr(weights, "load_denoiser", far)
    with pytest.raises(WeightsError, match="conv_out.conv_pw.weight .* leaves the range of float16"):
        save_folder(files, tmp_path / "a", dtype=torch.float16)
    assert not list(tmp_path.iterdir())
