"""The tables of a report, made of the contents of results.json and timing.json."""

from __future__ import annotations

from eval.report import votes as people
from eval.report.sentences import meanings
from moebius.presentation import table
from moebius.presentation.results import heading, main_table
from moebius.presentation.table import Table


def all_tables(results: dict, times: dict | None, votes: dict | None = None) -> list[Table]:
    """Every table of a report, the most important first; `votes`: the content of votes.json, where there is one."""
    found = [
        main_table(results, times),
        *(people.tables(votes) if votes else ()),
        *kind_tables(results),
        sharpness_table(results),
        paper_table(results["paper"]) if results["paper"] else None,
        difference_table(results),
        all_figures(results),
        bin_table(results),
        bin_difference_table(results),
        timing_table(times) if times else None,
        meanings(results),
    ]
    return [one for one in found if one is not None]


def all_figures(results: dict) -> Table:
    """Every figure of every model."""
    models, rows = results["models"], []
    for one in results["figures"]["pictures"]:
        values = (table.interval(model["composited"]["pictures"][one["key"]]) for model in models)
        rows.append((heading(one), *values))
    for one in results["figures"]["sets"]:
        values = (table.figure(model["composited"]["sets"][one["key"]]["value"]) for model in models)
        rows.append((f"{heading(one)} (N = {results['features']['pictures']:,})", *values))
    return Table("All figures, composited", ("", *map(_with_settings, models)), tuple(rows))


def difference_table(results: dict) -> Table | None:
    """Every model minus the reference, paired by picture; None where there is no other model."""
    others = _others(results)
    if not others:
        return None
    rows = [
        (heading(one), *(_with_verdict(model["composited"]["difference"][one["key"]]) for model in others))
        for one in results["figures"]["pictures"]
    ]
    title = f"Difference to {results['reference']}, picture by picture"
    note = "Better or worse where the 95 % interval leaves out zero."
    return Table(title, ("", *map(_with_settings, others)), tuple(rows), note)


def bin_table(results: dict) -> Table:
    """The first figure by the size of the hole."""
    one = results["figures"]["pictures"][0]
    rows = []
    for parts in zip(*(model["composited"]["bins"] for model in results["models"]), strict=True):
        values = (table.interval(part["figures"][one["key"]]) for part in parts)
        rows.append((bin_name(parts[0]), str(parts[0]["pictures"]), *values))
    header = ("Hole", "Pictures", *map(_with_settings, results["models"]))
    return Table(f"{one['name']} by size of the hole", header, tuple(rows))


def bin_difference_table(results: dict) -> Table | None:
    """The same, every model minus the reference, paired by picture; None where there is no other model."""
    others = _others(results)
    if not others:
        return None
    one = results["figures"]["pictures"][0]
    rows = []
    for parts in zip(*(model["composited"]["bins"] for model in others), strict=True):
        values = (_with_verdict(part["difference"][one["key"]]) for part in parts)
        rows.append((bin_name(parts[0]), str(parts[0]["pictures"]), *values))
    title = f"{one['name']} by size of the hole, difference to {results['reference']}"
    return Table(title, ("Hole", "Pictures", *map(_with_settings, others)), tuple(rows))


def kind_tables(results: dict) -> list[Table]:
    """The first figure, and what stays of object and effect, by how the mask was painted; none without kinds."""
    models = results["models"]
    parts = [model["composited"].get("kinds", []) for model in models]
    shown = [one for one in results["figures"]["pictures"] if one["key"] in ("object_stays", "effect_left")]
    found = []
    for one in (results["figures"]["pictures"][0], *shown):
        rows = [
            (
                kinds[0]["words"],
                str(kinds[0]["pictures"]),
                *(table.interval(part["figures"][one["key"]]) for part in kinds),
            )
            for kinds in zip(*parts, strict=True)
        ]
        if rows:
            header = ("Mask", "Pictures", *(model["name"] for model in models))
            found.append(Table(f"{heading(one)} by how the mask is painted", header, tuple(rows)))
    return found


def sharpness_table(results: dict) -> Table | None:
    """Sharpness in large holes; None where there are none."""
    rows = [
        (
            f"{part['from_pixels'] / 1e6:g}",
            str(part["pictures"]),
            model["name"],
            *(_deciles(part[key]) for key in ("gradient_around", "gradient_truth", "fine_around", "fine_truth")),
        )
        for model in results["models"]
        for part in model["composited"].get("sharpness", [])
    ]
    if not rows:
        return None
    header = (
        "Hole from megapixels",
        "Pictures",
        "Model",
        "Sharpness / surroundings",
        "Sharpness / truth",
        "Fine detail / surroundings",
        "Fine detail / truth",
    )
    note = (
        "Median (10–90 %) of ratios at native resolution; 1: as sharp. Sharpness: mean gradient. Fine detail: "
        "amplitude above half the Nyquist frequency."
    )
    return Table("Sharpness in holes of real size", header, tuple(sorted(rows, key=lambda row: float(row[0]))), note)


def _deciles(values: list[float] | None) -> str:
    return f"{values[1]:.2f} ({values[0]:.2f}–{values[2]:.2f})" if values else table.NONE


def timing_table(times: dict) -> Table:
    """Medians and 90th percentiles, in milliseconds."""
    header = (
        "Model",
        "Batch",
        "Load s",
        "Encode",
        "Per step",
        "Decode",
        "Total",
        "A picture",
        "Peak GiB",
        "TMAC a fill",
        "TFLOP a fill",
        "Settings",
    )
    rows = []
    for name, model in times["models"].items():
        operations = model["flops"] or {}
        for batch, measured in model["batches"].items():
            peak = measured["peak"]["gpu_gib"] or measured["peak"]["process_gib"]
            rows.append(
                (
                    name,
                    batch,
                    f"{model['load_s']:.2f}",
                    *(_milliseconds(measured["parts"].get(part)) for part in ("encode", "step", "decode")),
                    _milliseconds(measured["total"]),
                    f"{measured['per_picture_ms']:.1f}",
                    table.figure(peak, 2),
                    table.figure(operations.get("fill_tmac"), 3),
                    table.figure(operations.get("fill_tflop"), 3),
                    model["settings"]["text"],
                )
            )
    hardware = times["hardware"]
    note = (
        f"Milliseconds, median / 90th percentile of {times['rounds']} rounds after {times['warm_up']} for warm-up, "
        f"models interleaved, {times['size'][0]}×{times['size'][1]}, {hardware.get('gpu') or hardware['processor']}, "
        f"{hardware['threads']} threads, load average {times['loaded_at']} afterwards. Peak memory is the process' "
        "with all timed models loaded, or the GPU's. One multiply-add (MAC) is two FLOP."
    )
    return Table("Time and cost", header, tuple(rows), note)


def paper_table(paper: dict) -> Table:
    """The paper's figures for the same protocol, marked as the paper's."""
    rows = tuple(
        (
            f"{name} (paper)",
            table.figure(row["fid"], 2),
            table.figure(row["lpips"], 3),
            table.parameters(row["parameters"]),
            table.figure(row["seconds"], 2),
        )
        for name, row in paper["rows"].items()
    )
    note = f"Copied from {paper['source']}; not measured here. {paper['open_points'].capitalize()}."
    return Table("The paper's figures", ("Model", "FID ↓", "LPIPS ↓", "Parameters", "Seconds a picture"), rows, note)


def bin_name(part: dict) -> str:
    """0–10 %."""
    return f"{100 * part['from']:.0f}–{100 * part['to']:.0f} %"


def _others(results: dict) -> list[dict]:
    """All models but the one that they are compared with."""
    return [model for model in results["models"] if model["name"] != results["reference"]]


def _with_settings(model: dict) -> str:
    return f"{model['name']} ({model['settings']['text']})"


def _with_verdict(difference: dict) -> str:
    return f"{table.interval(difference)} {difference['verdict']}"


def _milliseconds(quantiles: dict | None) -> str:
    return f"{quantiles['median_ms']:.1f} / {quantiles['p90_ms']:.1f}" if quantiles else table.NONE
