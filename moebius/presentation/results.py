"""Reads the content of a results.json of `python -m eval`, for its report and for the page's Results tab."""

from __future__ import annotations

from typing import Literal

from moebius.presentation import table
from moebius.presentation.table import Table

SCHEMA = 1
"""Version of the format of results.json."""


def main_table(results: dict, times: dict | None, names: Literal["name", "title"] = "name") -> Table:
    """One row per model, with its settings and its main figures.

    Args:
        results, times: the contents of results.json and of timing.json, where there is one.
        names: how models are called: by name as in commands, or by title.

    Raises:
        ValueError: the results have another schema.
    """
    if results["schema"] != SCHEMA:
        raise ValueError(
            f"the results have schema {results['schema']}, only {SCHEMA} can be read; run python -m eval report"
        )
    pictures, sets = results["figures"]["pictures"][:3], results["figures"]["sets"][:2]
    count = results["features"]["pictures"]
    header = (
        "Model",
        "Settings",
        *map(heading, pictures),
        *(f"{heading(one)} (N = {count:,})" for one in sets),
        "Parameters",
        "Seconds a picture",
    )
    rows = []
    for model in results["models"]:
        composited = model["composited"]
        rows.append(
            (
                model[names] + (" ⚠ suspicious" if model["suspicious"] else ""),
                model["settings"]["text"],
                *(table.interval(composited["pictures"][one["key"]]) for one in pictures),
                *(table.figure(composited["sets"][one["key"]]["value"]) for one in sets),
                table.parameters(model["parameters"]),
                table.optional("{:.3f}".format, median_seconds(times, model["name"])),
            )
        )
    return Table("Results", header, tuple(rows), f"Composited: known pixels pasted back. {results['intervals']}.")


def heading(figure: dict) -> str:
    """A figure's name with its unit, and an arrow to where it is better."""
    unit = f" {figure['unit']}" if figure["unit"] else ""
    return f"{figure['name']}{unit} {'↑' if figure['higher_is_better'] else '↓'}"


def median_seconds(times: dict | None, name: str) -> float | None:
    """Median seconds per picture in the smallest batch that was timed; None without a timing."""
    batches = (times or {}).get("models", {}).get(name, {}).get("batches", {})
    smallest = min(batches, key=int, default=None)
    return batches[smallest]["per_picture_ms"] / 1000 if smallest else None


def suspicions(results: dict, names: Literal["name", "title"] = "name") -> list[str]:
    """Reasons why figures should not be believed, by model."""
    return [f"{model[names]}: {text}" for model in results["models"] for text in model["suspicious"]]
