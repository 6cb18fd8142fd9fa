"""Devices and the memory that is free on them. torch is imported only where it is asked."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

from moebius import environment

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What may still be taken, in bytes."""

    gpu_bytes: int
    """0 where there is no GPU. On Apple silicon it is the same memory as `ram_bytes`."""
    ram_bytes: int

    def covers(self, needs: Memory) -> bool:
        return needs.gpu_bytes <= self.gpu_bytes and needs.ram_bytes <= self.ram_bytes


def best_device() -> str:
    """The fastest kind of device that torch sees here."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(device: str) -> None:
    """Raises ValueError for a device that torch does not know or does not see here."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"unknown device {device!r}; choose cpu, cuda, cuda:N or mps") from None
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(kind, False):
        raise ValueError(f"device {device!r} is not available here; available: {', '.join(k for k in here if here[k])}")


def name(device: str) -> str:
    """What computes, for a record: the GPU's name, or the processor's with the number of threads that torch uses."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"{processor()}, {count} thread{'' if count == 1 else 's'}"


def processor() -> str:
    """The processor's name as Linux tells it, elsewhere as Python does."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def named_dtype(name: str | None, default: str = "float32") -> torch.dtype:
    """torch's type for a name in `DTYPES`; None: the default. ValueError, listing them, for another name."""
    import torch

    if name is not None and name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; choose from {', '.join(DTYPES)}")
    return getattr(torch, name or default)


def cpu_threads() -> int:
    """Threads for kernels of our own: OMP_NUM_THREADS, as torch heeds it; else this process's share of the cores."""
    threads = environment.OMP_NUM_THREADS.read()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads or max(1, cores // environment.LOCAL_WORLD_SIZE.read())


def total_memory(device: str) -> Memory:
    """What there would be with nothing loaded, about."""
    import psutil
    import torch

    kind, ram_bytes = torch.device(device).type, psutil.virtual_memory().total
    gpu_bytes = {"cpu": 0, "mps": ram_bytes}.get(kind)
    if gpu_bytes is None:
        gpu_bytes = torch.cuda.mem_get_info(device)[1]
    return Memory(gpu_bytes=int(0.95 * gpu_bytes), ram_bytes=int(0.95 * ram_bytes))


def free_memory(device: str) -> Memory:
    """What is free now; memory that torch keeps for reuse on a GPU counts as free."""
    import torch

    kind, gpu_bytes, ram_bytes = torch.device(device).type, 0, _free_ram_bytes()
    if kind == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        gpu_bytes = torch.cuda.mem_get_info(device)[0] + kept
    elif kind == "mps":
        gpu_bytes = ram_bytes
    return Memory(gpu_bytes=gpu_bytes, ram_bytes=ram_bytes)


def _free_ram_bytes() -> int:
    import psutil

    free = psutil.virtual_memory().available
    try:  # a container may have less than its machine
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        reclaimable = next(
            int(line.split()[1])
            for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, ValueError, StopIteration):  # no such file, or "max": no limit
        return free
    return max(0, min(free, limit - used + reclaimable))


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given, so that a clock tells the truth."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch says so in different ways on different devices."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    sayings = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, RuntimeError) and any(saying in text for saying in sayings)


def let_go() -> None:
    """Collect what is no longer referred to, and hand back the memory that torch and the C library keep for reuse."""
    gc.collect()
    trim()
    if torch := _cuda():
        torch.cuda.empty_cache()


def trim() -> None:
    """Hand freed memory back to the system where the C library is glibc, which keeps hundreds of megabytes; fast."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError, OSError):  # musl has no such function and does not keep as much
            ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> contextlib.AbstractContextManager[None]:
    """While entered, freed memory stays with the process, also that of large tensors; then it goes back to the system.

    glibc would hand it back at once, and a step that asks for it again spends a tenth of its time in page faults.
    """
    return _malloc(2**30, 2**31 - 1)


def return_freed() -> contextlib.AbstractContextManager[None]:
    """While entered, memory of tensors goes back to the system when it is freed, also between others that stay."""
    return _malloc(2**16, 2**17)


@contextlib.contextmanager
def _malloc(mmap_bytes: int, trim_bytes: int) -> Iterator[None]:
    """The sizes from which glibc maps what is asked for and gives back what is free at its heap's end; for the whole
    process. Nothing happens with other C libraries."""
    mallopt = None
    if sys.platform == "linux":
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)

    def set_sizes(mmap_bytes: int, trim_bytes: int) -> None:
        if mallopt is not None:
            mallopt(-3, mmap_bytes)  # M_MMAP_THRESHOLD in malloc.h
            mallopt(-1, trim_bytes)  # M_TRIM_THRESHOLD

    set_sizes(mmap_bytes, trim_bytes)
    try:
        yield
    finally:
        set_sizes(2**25, 2**26)  # where glibc's own adjustment ends
        trim()


def peak_gib() -> dict[str, float | None]:
    """Most memory that this process has held so far (`memory`), and torch on the GPU (`gpu`), in GiB; None where it is
    not known."""
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = _gib(peak * (1 if sys.platform == "darwin" else 2**10))  # bytes on macOS, else KiB
    except ImportError:  # Windows
        memory = None
    return {"memory": memory, "gpu": _gpu_peak_gib()}


class PeakMemory:
    """The most memory that this process and torch on the GPU held while it was entered: a context manager.

    `gib` is as in `peak_gib`. Linux keeps count of the process's resident memory; elsewhere a thread looks at it. One
    at a time: a second one inside would reset the first one's count.
    """

    def __init__(self, interval_s: float = 0.02) -> None:
        """interval_s: between two looks of the thread."""
        self._interval_s = interval_s
        self.gib: dict[str, float | None] = {"memory": None, "gpu": None}

    def __enter__(self) -> PeakMemory:
        if torch := _cuda():
            torch.cuda.reset_peak_memory_stats()
        self._thread = None
        if not _reset_kernel_peak():
            import psutil

            self._process, self._most = psutil.Process(), 0
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        if self._thread:
            self._stop.set()
            self._thread.join()
        memory = _gib(self._most if self._thread else _kernel_peak_bytes())
        self.gib = {"memory": memory, "gpu": _gpu_peak_gib()}

    def _watch(self) -> None:
        self._most = self._process.memory_info().rss
        while not self._stop.wait(self._interval_s):
            self._most = max(self._most, self._process.memory_info().rss)


def _reset_kernel_peak() -> bool:
    """Have the kernel count the peak of our resident memory from now on; False where it does not."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return _kernel_peak_bytes() > 0


def _kernel_peak_bytes() -> int:
    """0 where the kernel does not count."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 2**10  # it says kB and means KiB
    return 0


def _gpu_peak_gib() -> float | None:
    torch = _cuda()
    return _gib(torch.cuda.max_memory_allocated()) if torch else None


def _gib(count: int) -> float:
    return round(count / 2**30, 3)


def _cuda():
    """torch, where it is imported and has started CUDA."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
