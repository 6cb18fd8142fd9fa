"""Reads the content of a results.json of `python -m eval`, for its report and for the page's Results tab."""

from __future__ import annotations

from collections.abc import Sequence
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
    check_schema(results)
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


def page_table(results: dict, times: dict | None, missing: Sequence[tuple[str, int]]) -> Table:
    """For people who do not know the figures: what a fill looks like, how close it is, size and time of each model.

    Args:
        results, times: as for `main_table`.
        missing: title and parameters of the models that have not been measured.
    """
    every = results["figures"]["pictures"]
    looks, close = every[0], next((one for one in every if one["key"] == "psnr_hole"), None)
    figures = [looks] + [close] * (close is not None)
    header = ("Model", "Parameters", *map(heading, figures), "Seconds a picture")
    rows = [
        (
            model["title"] + (" ⚠ suspicious" if model["suspicious"] else ""),
            table.parameters(model["parameters"]),
            *(table.interval(model["composited"]["pictures"][one["key"]], 2) for one in figures),
            table.optional("{:.2f}".format, median_seconds(times, model["name"])),
        )
        for model in results["models"]
    ]
    rows += [(title, table.parameters(size), "not measured yet", *[""] * len(figures)) for title, size in missing]
    note = (
        f"{looks['name']}: how different the fill is from what was there, by the features of a network; 0 is no "
        "difference. PSNR: how close its pixels are; a fill that looks right may be far from them. ↓: lower is better; "
        f"↑: higher. In brackets: {results['intervals']}."
    )
    return Table("Results", header, tuple(rows), note)


def check_schema(results: dict) -> None:
    """Raise ValueError for results of another version of the format."""
    if results["schema"] != SCHEMA:
        raise ValueError(
            f"the results have schema {results['schema']}, only {SCHEMA} can be read; run python -m eval report"
        )


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
