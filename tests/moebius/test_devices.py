"""Devices, their memory, and what an error about memory looks like."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from moebius import devices
from moebius.devices import Memory


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (np.exceptions.AxisError(3, 2), False),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_say_that_memory_ran_out(error, short):
    assert devices.is_out_of_memory(error) is short


def test_torchs_own_error_on_this_machine_is_recognised():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**58)
    assert devices.is_out_of_memory(error.value)


def test_memory_covers_what_fits_in_both_places():
    memory = Memory(gpu_bytes=10, ram_bytes=20)
    assert memory.covers(Memory(gpu_bytes=10, ram_bytes=20))
    assert not memory.covers(Memory(gpu_bytes=11, ram_bytes=0))
    assert not memory.covers(Memory(gpu_bytes=0, ram_bytes=21))


def test_free_memory_is_part_of_all_there_is():
    free, total = devices.free_memory("cpu"), devices.total_memory("cpu")
    assert free.gpu_bytes == total.gpu_bytes == 0
    assert 2**27 < free.ram_bytes and free.ram_bytes < 1.1 * total.ram_bytes


def test_unknown_devices_and_types_are_named():
    with pytest.raises(ValueError, match="unknown device 'tpu'; choose cpu, cuda, cuda:N or mps"):
        devices.check_device("tpu")
    with pytest.raises(ValueError, match="unknown dtype 'int4'; choose from float32, bfloat16, float16"):
        devices.named_dtype("int4")
    assert devices.named_dtype(None, "bfloat16") == torch.bfloat16


def test_the_peak_is_that_of_the_time_between():
    with devices.PeakMemory() as before:
        pass
    if before._thread:
        pytest.skip("this system does not count peaks")
    with devices.PeakMemory() as during:
        block = np.ones(2**26)  # half a gibibyte
        del block
    with devices.PeakMemory() as after:
        pass
    assert during.gib["memory"] > before.gib["memory"] + 0.45
    assert after.gib["memory"] < during.gib["memory"] - 0.25
    assert (during.gib["gpu"] is None) == (not torch.cuda.is_initialized())


def test_the_peak_where_the_system_does_not_count_it(monkeypatch):
    monkeypatch.setattr(devices, "_reset_kernel_peak", lambda: False)
    with devices.PeakMemory(interval_s=0.001) as before:
        pass
    large, seen = (before.gib["memory"] + 0.25) * 2**30, threading.Event()

    class Watched:
        """The process; it reports when its memory was looked at while the block was there."""

        def memory_info(self):
            info = process.memory_info()
            if info.rss > large:
                seen.set()
            return info

    with devices.PeakMemory(interval_s=0.001) as during:
        process, during._process = during._process, Watched()
        block = np.ones(2**26)
        assert seen.wait(120), "nobody looked"
        del block
    assert during.gib["memory"] > before.gib["memory"] + 0.25


def test_the_peak_of_the_whole_process_is_at_least_what_it_holds_now():
    import psutil

    held = psutil.Process().memory_info().rss / 2**30
    peak = devices.peak_gib()
    assert peak["memory"] > 0.9 * held and (peak["gpu"] is None) == (not torch.cuda.is_initialized())


def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it():
    """Linux's ru_maxrss of a new process is at least what the process held that started it (seen with 6.18)."""
    held = np.ones(2**26)  # 0.5 GiB, all of it touched
    code = "from moebius import devices; print(devices.peak_gib()['memory'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert held[-1] == 1 and 0.005 < float(done.stdout) < 0.3


def test_asking_imports_no_torch_before_it_is_needed():
    code = "import sys, moebius.devices as d; d.release_memory(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is told how to treat freed memory")
@pytest.mark.parametrize(("manager", "given_back"), [("return_freed_memory", True), ("keep_freed_memory", False)])
def test_freed_memory_between_tensors_that_stay(manager, given_back):
    """256 MiB of tensors, every second one let go of: how much of the 128 MiB the system has back, and that nothing is
    kept afterwards. In a process of its own, whose heap is not in pieces yet."""
    code = """
import sys, torch
from moebius import devices

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4 / 1024

torch.ones(1)
with getattr(devices, sys.argv[1])():
    held = [torch.ones(2**18) for _ in range(256)]
    before = resident()
    del held[::2]
    print(before - resident())
del held
devices.release_memory()
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", code, manager], capture_output=True, text=True, check=True)
    inside, after = map(float, done.stdout.split())
    assert inside > 110 if given_back else inside < 20
    assert after > 230


def test_kernels_share_the_cores_with_the_processes_beside_them(monkeypatch):
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert devices.cpu_threads() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert devices.cpu_threads() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "20")
    assert devices.cpu_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert devices.cpu_threads() == 5
