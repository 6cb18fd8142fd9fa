"""Results as files for people: results.md and results.html, from the data of results.json and timing.json."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from eval import store
from eval.data.dataset import DataSet
from eval.data.protocols import Protocol
from eval.report import page, tables
from moebius.files import read_json


def paper(protocol: Protocol | None) -> dict | None:
    """The paper's figures for a protocol; None where it has none, because nothing else may stand beside ours."""
    if protocol is None:
        return None
    told = read_json(Path(str(files("eval.report") / "paper_results.json")))
    rows = {}
    for name, figures in told["models"].items():
        if protocol.paper_key in figures:
            fid, lpips = figures[protocol.paper_key]
            rows[name] = {
                "fid": fid,
                "lpips": lpips,
                "parameters": round(figures["params_b"] * 1e9) if "params_b" in figures else None,
                "seconds": figures.get("total_s"),
            }
    return {"source": told["source"], "rows": rows, "open_points": protocol.open_points}


def shown_tables(results: dict, times: dict | None) -> list[tables.Table]:
    """Every table of a report, the most important first."""
    found = [
        tables.main_table(results, times),
        tables.paper_table(results["paper"]) if results["paper"] else None,
        tables.difference_table(results),
        tables.all_figures(results, "composited"),
        tables.all_figures(results, "raw"),
        tables.bin_table(results),
        tables.bin_difference_table(results),
        tables.timing_table(times) if times else None,
    ]
    return [table for table in found if table is not None]


def markdown(results: dict, shown: list[tables.Table]) -> str:
    data = results["data"]
    lines = [f"# Inpainting on {data['name']}", ""]
    lines.append(
        f"{data['pictures']:,} pictures of {data['photos']:,} photos, "
        f"holes: {data['masks']}, seed {data['mask_seed']}. "
        f"Features: {results['features']['recipe']}. Commit {results['commit'] or 'unknown'}."
    )
    said = [
        f"{model['name']}: {text}" for model in results["models"] for text in (*model["suspicious"], *model["notes"])
    ]
    if said or results["warnings"]:
        lines += ["", *(f"- {text}" for text in (*said, *results["warnings"]))]
    for table in shown:
        lines += ["", f"## {table.title}", "", _row(table.header), _row(["---"] * len(table.header))]
        lines += [_row(row) for row in table.rows]
        if table.note:
            lines += ["", table.note]
    if data["problems"]:
        lines += ["", f"## Pictures that could not be used: {data['unusable']:,}", ""]
        lines += [f"- {row['file']}: {row['reason']}" for row in data["problems"]]
    return "\n".join(lines) + "\n"


def write(out: Path, results: dict, times: dict | None, dataset: DataSet, fills: dict[str, Path]) -> None:
    """results.md and results.html beside results.json."""
    shown = shown_tables(results, times)
    store.write(out / "results.md", markdown(results, shown).encode())
    store.write(out / "results.html", page.html(results, times, shown, dataset, fills).encode())


def _row(cells) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
