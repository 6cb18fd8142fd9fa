"""Results as tables of text: rows of cells, for Markdown and HTML alike."""

from __future__ import annotations

from dataclasses import dataclass

from eval.store import number


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def text(value: float | str | None, digits: int = 4) -> str:
    """A figure for people: as many digits as it deserves, ∞, – for none."""
    value = number(value)
    if value is None:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.2f}"


def with_interval(told: dict | None, digits: int = 4) -> str:
    """`mean [low, high]`."""
    if told is None:
        return "–"
    mean = text(told["mean"], digits)
    if told["low"] is None:
        return mean
    return f"{mean} [{text(told['low'], digits)}, {text(told['high'], digits)}]"


def arrow(figure: dict) -> str:
    unit = f" {figure['unit']}" if figure["unit"] else ""
    return f"{figure['name']}{unit} {'↑' if figure['higher_is_better'] else '↓'}"


def main_table(results: dict, times: dict | None) -> Table:
    """One row a model: settings beside every figure."""
    pictures, sets = results["figures"]["pictures"][:3], results["figures"]["sets"][:2]
    count = results["features"]["pictures"]
    header = ("Model", "Settings", *(arrow(figure) for figure in pictures),
              *(f"{arrow(figure)} (N = {count:,})" for figure in sets), "Parameters", "Seconds a picture")  # fmt: skip
    rows = []
    for model in results["models"]:
        flag = " ⚠ suspicious" if model["suspicious"] else ""
        composited = model["composited"]
        rows.append(
            (
                model["name"] + flag,
                model["settings"]["text"],
                *(with_interval(composited["pictures"][figure["key"]]) for figure in pictures),
                *(text(composited["sets"][figure["key"]]["value"]) for figure in sets),
                parameters(model["parameters"]),
                seconds(times, model["name"]),
            )
        )
    return Table("Results", header, tuple(rows), "Composited: known pixels pasted back. " + results["intervals"] + ".")


def all_figures(results: dict, kind: str) -> Table | None:
    """Every figure, of the composited or the raw fills; None where no model has raw ones."""
    chosen = [model for model in results["models"] if model[kind]]
    if not chosen:
        return None
    pictures, sets = results["figures"]["pictures"], results["figures"]["sets"]
    rows = []
    for figure in pictures:
        told = tuple(with_interval(model[kind]["pictures"][figure["key"]]) for model in chosen)
        rows.append((arrow(figure), *told))
    for figure in sets:
        told = tuple(text(model[kind]["sets"][figure["key"]]["value"]) for model in chosen)
        rows.append((f"{arrow(figure)} (N = {results['features']['pictures']:,})", *told))
    titles = {
        "composited": "All figures, composited",
        "raw": "All figures, raw: what the model made, nothing pasted back",
    }
    note = "" if kind == "composited" else "Models that make only the hole are not listed: raw and composited are one."
    return Table(titles[kind], ("", *(_named(model) for model in chosen)), tuple(rows), note)


def difference_table(results: dict) -> Table | None:
    """Every model minus the reference, paired by picture."""
    others = [model for model in results["models"] if model["name"] != results["reference"]]
    if not others:
        return None
    rows = [
        (
            arrow(figure),
            *(_verdict(model["composited"]["difference"][figure["key"]]) for model in others),
        )
        for figure in results["figures"]["pictures"]
    ]
    title = f"Difference to {results['reference']}, picture by picture"
    note = "Better or worse where the 95 % interval leaves out zero."
    return Table(title, ("", *(_named(model) for model in others)), tuple(rows), note)


def bin_table(results: dict) -> Table:
    """The first figure by the size of the hole."""
    figure = results["figures"]["pictures"][0]
    bins = results["models"][0]["composited"]["bins"]
    header = ("Hole", "Pictures", *(_named(model) for model in results["models"]))
    rows = []
    for index, told in enumerate(bins):
        values = (model["composited"]["bins"][index]["figures"][figure["key"]] for model in results["models"])
        rows.append((bin_name(told), str(told["pictures"]), *(with_interval(value) for value in values)))
    return Table(f"{figure['name']} by size of the hole", header, tuple(rows))


def bin_difference_table(results: dict) -> Table | None:
    """The same, every model minus the reference, paired by picture."""
    others = [model for model in results["models"] if model["name"] != results["reference"]]
    if not others:
        return None
    figure = results["figures"]["pictures"][0]
    rows = []
    for told in zip(*(model["composited"]["bins"] for model in others), strict=True):
        values = (part["difference"][figure["key"]] for part in told)
        rows.append((bin_name(told[0]), str(told[0]["pictures"]), *map(_verdict, values)))
    title = f"{figure['name']} by size of the hole, difference to {results['reference']}"
    return Table(title, ("Hole", "Pictures", *(_named(model) for model in others)), tuple(rows))


def timing_table(times: dict) -> Table:
    """Medians and 90th percentiles, in milliseconds."""
    header = ("Model", "Batch", "Load s", "Encode", "Per step", "Decode", "Total", "A picture", "Peak GiB",
              "TMAC a fill", "TFLOP a fill", "Settings")  # fmt: skip
    rows = []
    for name, told in times["models"].items():
        for batch, measured in told["batches"].items():
            parts = {part: measured["parts"].get(part) for part in ("encode", "step", "decode")}
            flops = told["flops"] or {}
            peak = measured["peak"]["gpu_gib"] or measured["peak"]["process_gib"]
            rows.append(
                (
                    name,
                    batch,
                    f"{told['load_s']:.2f}",
                    *(_ms(parts[part]) for part in parts),
                    _ms(measured["total"]),
                    f"{measured['per_picture_ms']:.1f}",
                    text(peak, 2),
                    text(flops.get("fill_tmac"), 3),
                    text(flops.get("fill_tflop"), 3),
                    told["settings"]["text"],
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
            text(row["fid"], 2),
            text(row["lpips"], 3),
            parameters(row["parameters"]),
            text(row["seconds"], 2),
        )
        for name, row in paper["rows"].items()
    )
    note = f"Copied from {paper['source']}; not measured here. {paper['open_points'].capitalize()}."
    return Table("The paper's figures", ("Model", "FID ↓", "LPIPS ↓", "Parameters", "Seconds a picture"), rows, note)


def _verdict(told: dict) -> str:
    return f"{with_interval(told)} {told['verdict']}"


def bin_name(told: dict) -> str:
    return f"{100 * told['from']:.0f}–{100 * told['to']:.0f} %"


def parameters(count: int | None) -> str:
    if not count:
        return "–"
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"


def seconds(times: dict | None, name: str) -> str:
    """Of one picture at a time; – without a timing."""
    value = seconds_of(times, name)
    return "–" if value is None else f"{value:.3f}"


def seconds_of(times: dict | None, name: str) -> float | None:
    batches = (times or {}).get("models", {}).get(name, {}).get("batches", {})
    smallest = min(batches, key=int, default=None)
    return batches[smallest]["per_picture_ms"] / 1000 if smallest else None


def _named(model: dict) -> str:
    return f"{model['name']} ({model['settings']['text']})"


def _ms(told: dict | None) -> str:
    return f"{told['median_ms']:.1f} / {told['p90_ms']:.1f}" if told else "–"
