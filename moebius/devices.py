"""Devices and their free memory. torch is imported only in the functions that need it."""

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
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

from moebius import environment

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Amounts of memory in bytes."""

    gpu_bytes: int
    """0 if there is no GPU. On Apple silicon it is the same memory as `ram_bytes`."""
    ram_bytes: int

    def covers(self, needs: Memory) -> bool:
        """Whether this much memory is enough."""
        return needs.gpu_bytes <= self.gpu_bytes and needs.ram_bytes <= self.ram_bytes


def best_device() -> str:
    """The fastest kind of device that torch finds: `cuda`, `mps` or `cpu`."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(device: str) -> None:
    """Raises ValueError for a device that torch does not know or does not find."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"unknown device {device!r}; choose cpu, cuda, cuda:N or mps") from None
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(kind, False):
        raise ValueError(f"device {device!r} is not available here; available: {', '.join(k for k in here if here[k])}")


def name(device: str) -> str:
    """The GPU's name, or the processor's with the number of threads that torch uses; for reports."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"{processor()}, {count} thread{'' if count == 1 else 's'}"


def processor() -> str:
    """The processor's name from Linux, on other systems from Python."""
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
    """Threads for our own kernels: OMP_NUM_THREADS, which torch obeys too; else this process's share of the cores."""
    threads = environment.OMP_NUM_THREADS.read()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads or max(1, cores // environment.LOCAL_WORLD_SIZE.read())


def total_memory(device: str) -> Memory:
    """About how much memory is free while nothing is loaded."""
    import psutil
    import torch

    kind, ram_bytes = torch.device(device).type, psutil.virtual_memory().total
    gpu_bytes = {"cpu": 0, "mps": ram_bytes}.get(kind)
    if gpu_bytes is None:
        gpu_bytes = torch.cuda.mem_get_info(device)[1]
    return Memory(gpu_bytes=int(0.95 * gpu_bytes), ram_bytes=int(0.95 * ram_bytes))


def free_memory(device: str) -> Memory:
    """The memory that is free now; memory that torch keeps for reuse on a GPU counts as free."""
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
    """Wait until the device has finished its work, so that a clock measures all of it."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; torch words it differently on each device."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    phrases = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in phrases)


def release_memory() -> None:
    """Collect unreferenced objects, and return the memory that torch and the C library keep for reuse."""
    gc.collect()
    trim()
    if torch := _cuda():
        torch.cuda.empty_cache()


def trim() -> None:
    """Return freed memory to the system. Only glibc needs this: it keeps hundreds of megabytes. Fast."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError, OSError):  # musl has no such function and does not keep as much
            ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> contextlib.AbstractContextManager[None]:
    """Inside this context freed memory stays with the process, even that of large tensors; at its end it is returned.

    glibc would return it at once; the next step would allocate it again and spend a tenth of its time in page faults.
    """
    return _malloc(2**30, 2**31 - 1)


def return_freed_memory() -> contextlib.AbstractContextManager[None]:
    """Inside this context tensors' memory is returned to the system when it is freed, even between others in use."""
    return _malloc(2**16, 2**17)


@contextlib.contextmanager
def _malloc(mmap_bytes: int, trim_bytes: int) -> Iterator[None]:
    """Set glibc's thresholds for mapping an allocation and for trimming the heap, for the whole process. Other C
    libraries are left alone."""
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
    """Peak memory of this process so far (`memory`), and of torch on the GPU (`gpu`), in GiB; None if unknown."""
    if own := _kernel_peak_bytes():  # Linux's ru_maxrss is at least the memory of the process that started this one
        return {"memory": _gib(own), "gpu": _gpu_peak_gib()}
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = _gib(peak * (1 if sys.platform == "darwin" else 2**10))  # bytes on macOS, else KiB
    except ImportError:  # Windows
        memory = None
    return {"memory": memory, "gpu": _gpu_peak_gib()}


class PeakMemory:
    """Context manager that measures the peak memory of this process and of torch on the GPU.

    `gib` is as in `peak_gib`. Linux itself records the peak of the resident memory; on other systems a thread polls it.
    Do not nest it: the inner one would reset the outer one's peak.
    """

    def __init__(self, interval_s: float = 0.02) -> None:
        """interval_s: time between two polls of the thread."""
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

    def __exit__(self, *_: object) -> None:
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
    """Restart the kernel's record of our peak resident memory; False if it keeps none."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return _kernel_peak_bytes() > 0


def _kernel_peak_bytes() -> int:
    """0 if the kernel keeps no record."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return 0
    return next((int(line.split()[1]) * 2**10 for line in lines if line.startswith("VmHWM:")), 0)  # "kB" means KiB


def _gpu_peak_gib() -> float | None:
    torch = _cuda()
    return _gib(torch.cuda.max_memory_allocated()) if torch else None


def _gib(count: int) -> float:
    return round(count / 2**30, 3)


def _cuda() -> ModuleType | None:
    """torch, if it is imported and has started CUDA."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
