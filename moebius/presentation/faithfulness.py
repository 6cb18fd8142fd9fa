"""The table of `python -m eval faithfulness`: what programs change in a photo file outside the hole."""

from __future__ import annotations

from collections.abc import Callable

from moebius.presentation import table as tables
from moebius.presentation.table import Table

SCHEMA = 1


def table(report: dict) -> Table:
    """One row per program.

    Raises:
        ValueError: the report has another schema.
    """
    if report["schema"] != SCHEMA:
        raise ValueError(f"the table of files has schema {report['schema']}, only {SCHEMA} can be read")
    header = (
        "Program",
        "Files written",
        "Pixels changed outside the hole",
        "JPEG blocks changed outside the hole",
        "Metadata lost or changed",
        "Profile kept",
        "Upright",
        "Bit depth kept",
        "Files that still show the object",
        "Gain map kept",
        "Size",
    )
    note = (
        f"{report['files']} files of all formats with one object, which every program replaces by the same fill. Means "
        f"over the files that it writes; metadata are tags that exiftool {report['exiftool']} reads. Size: of the "
        "result, by that of the original."
    )
    return Table("Files", header, tuple(_row(tool) for tool in report["tools"]), note)


def _row(tool: dict) -> tuple[str, ...]:
    done = [row for row in tool["files"].values() if "failed" not in row and "unreadable" not in row]
    tags = sum(row["tags"] for row in done)

    def mean(key: str) -> str:
        values = [row[key] for row in done if row[key] is not None]
        return _percent(sum(values) / len(values)) if values else tables.NONE

    def count(test: Callable[[dict], bool], among: list[dict] = done) -> str:
        return f"{sum(map(test, among))} of {len(among)}" if among else tables.NONE

    maps = [row for row in done if row["gain_map_kept"] is not None]
    return (
        f"{tool['title']} {tool['version']}".strip(),
        f"{sum(row['same_format'] for row in done)} of {len(tool['files'])}",
        mean("changed_outside"),
        mean("changed_blocks"),
        _percent(sum(row["tags_lost"] for row in done) / tags) if tags else tables.NONE,
        count(lambda row: row["profile_kept"]),
        count(lambda row: row["upright"]),
        count(lambda row: row["depth_kept"]),
        str(sum(bool(row["still_shown"]) for row in done)),
        count(lambda row: row["gain_map_kept"], maps),
        f"{sum(row['bytes'] / row['bytes_before'] for row in done) / len(done):.2f}" if done else tables.NONE,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
