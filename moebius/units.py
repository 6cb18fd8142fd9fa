"""Seconds, bytes and counts as text, the same on page, command line and in the evaluation."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A measured time: 0.04 s, 2.3 s, 3 min 5 s, 2 h 10 min."""
    if seconds >= 3600:
        return rough_duration(seconds)
    if seconds >= 100:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.2f} s"


def rough_duration(seconds: float) -> str:
    """An estimated time: 42 s, 12 min, 2 h 10 min."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def file_size(count: float) -> str:
    """Bytes of a file or a download, in powers of 1000: 999 kB, 1.2 MB, 25 MB, 621 MB, 3.6 GB."""
    return _scaled(count, 1000, ("kB", "MB", "GB"))


def memory_size(count: float) -> str:
    """Bytes of memory or of a limit, in powers of 1024: 200 KiB, 1.5 MiB, 256 MiB, 4 GiB."""
    return _scaled(count, 1024, ("KiB", "MiB", "GiB"))


def counted(count: int, noun: str) -> str:
    """1 photo, 2 photos, 1,200 photos."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _scaled(count: float, base: int, units: tuple[str, ...]) -> str:
    """In the largest unit that gives at least 1, with one decimal below 100 where it is not zero; kilobytes whole."""
    value = count / base
    for unit in units:
        if unit == units[-1] or round(value) < base:
            break
        value /= base
    text = f"{value:,.0f}" if value >= 100 or unit == units[0] else f"{value:,.1f}".removesuffix(".0")
    return f"{text} {unit}"
