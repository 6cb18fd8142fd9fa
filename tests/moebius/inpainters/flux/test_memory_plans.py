"""Which plan is chosen for which machine: a pure function of the memory that is free."""

import pytest

from moebius.devices import Memory
from moebius.inpainters.flux.memory_plans import PLANS, candidates, choose

TRANSFORMER = 23_805_000_000
NOTHING, EVERYTHING = frozenset(), frozenset({"gguf", "bitsandbytes"})


def first(kind: str, gpu_gb: float, ram_gb: float, gguf_gb: float = 0, installed=NOTHING) -> str:
    memory = Memory(gpu_bytes=int(gpu_gb * 1e9), ram_bytes=int(ram_gb * 1e9))
    return choose(None, kind, memory, TRANSFORMER, int(gguf_gb * 1e9), installed)[0].name


@pytest.mark.parametrize(
    ("kind", "gpu", "ram", "gguf", "installed", "plan"),
    [
        ("cuda", 80, 200, 0, NOTHING, "bf16"),
        ("cuda", 40, 16, 0, NOTHING, "bf16"),
        ("cuda", 26.8, 64, 0, NOTHING, "bf16-offload"),
        ("cuda", 24, 64, 0, NOTHING, "fp8"),
        ("cuda", 24, 64, 7, EVERYTHING, "fp8"),
        ("cuda", 12, 64, 0, EVERYTHING, "nf4"),
        ("cuda", 12, 64, 7, EVERYTHING, "gguf"),
        ("cuda", 12, 64, 7, NOTHING, "group-offload"),  # the file is there, the package is not
        ("cuda", 12, 16, 0, EVERYTHING, "nf4"),
        ("cuda", 8, 32, 0, EVERYTHING, "group-offload"),
        ("cuda", 3.2, 32, 0, NOTHING, "sequential-offload"),
        ("mps", 64, 64, 0, NOTHING, "bf16"),
        ("mps", 16, 16, 7, EVERYTHING, "gguf"),
        ("cpu", 0, 64, 0, NOTHING, "cpu"),
        ("cpu", 0, 24, 0, NOTHING, "cpu-fp8"),
    ],
)
def test_the_best_that_fits(kind, gpu, ram, gguf, installed, plan):
    assert first(kind, gpu, ram, gguf, installed) == plan


def test_smaller_plans_follow_in_order_and_every_one_fits():
    memory = Memory(gpu_bytes=24 * 10**9, ram_bytes=64 * 10**9)
    plans = candidates("cuda", memory, TRANSFORMER, 7 * 10**9, EVERYTHING)
    assert [plan.name for plan in plans] == ["fp8", "gguf", "nf4", "group-offload", "sequential-offload"]
    assert all(memory.covers(plan.needs(TRANSFORMER, 7 * 10**9)) for plan in plans)


def test_a_plan_that_was_asked_for_is_taken_though_it_may_not_fit():
    memory = Memory(gpu_bytes=10**9, ram_bytes=64 * 10**9)
    plans = choose("fp8", "cuda", memory, TRANSFORMER, installed=NOTHING)
    assert plans == (PLANS["fp8"],)
    assert [plan.name for plan in choose("cpu", "cpu", memory, TRANSFORMER)] == ["cpu", "cpu-fp8"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("int8", "cuda", "unknown plan 'int8'; choose from bf16, bf16-offload"),
        ("nf4", "cuda", "nf4 cannot run here: pip install bitsandbytes"),
        ("gguf", "mps", "gguf cannot run here: pip install gguf"),
        ("bf16", "cpu", "it needs cuda or mps, and the device is cpu"),
    ],
)
def test_a_plan_that_cannot_run_says_why(name, kind, message):
    with pytest.raises(ValueError, match=message):
        choose(name, kind, Memory(gpu_bytes=0, ram_bytes=0), TRANSFORMER, installed=NOTHING)


def test_a_gguf_plan_needs_its_file():
    with pytest.raises(ValueError, match="needs a .gguf file beside the weights"):
        choose("gguf", "cuda", Memory(gpu_bytes=0, ram_bytes=0), TRANSFORMER, installed=EVERYTHING)


def test_too_little_memory_for_any_plan_names_what_is_lacking():
    with pytest.raises(ValueError, match=r"at least 3 GB on the GPU \(2 GB are free\) and 25 GB of main memory"):
        first("cuda", 2, 32)
    with pytest.raises(ValueError, match=r"at least 22 GB of main memory \(8 GB are free\)$"):
        first("cpu", 0, 8)
