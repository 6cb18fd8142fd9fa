"""Results as files for people: results.md and results.html, from the contents of results.json and timing.json."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from eval import store
from eval.data.dataset import DataSet
from eval.data.protocols import Protocol
from eval.report import page, tables
from eval.report.sentences import sentences
from eval.report.votes import TALLY
from moebius.files import read_json
from moebius.presentation.table import Table


def paper(protocol: Protocol | None) -> dict | None:
    """The paper's figures for a protocol; None where it has none, because nothing else may stand beside ours."""
    if protocol is None:
        return None
    published = read_json(Path(str(files("eval.report") / "paper_results.json")))
    rows = {}
    for name, figures in published["models"].items():
        if protocol.paper_key in figures:
            fid, lpips = figures[protocol.paper_key]
            rows[name] = {
                "fid": fid,
                "lpips": lpips,
                "parameters": round(figures["params_b"] * 1e9) if "params_b" in figures else None,
                "seconds": figures.get("total_s"),
            }
    return {"source": published["source"], "rows": rows, "open_points": protocol.open_points}


def markdown(results: dict, shown: list[Table], votes: dict | None = None) -> str:
    """The report without pictures; `votes`: the content of votes.json, where there is one."""
    data = results["data"]
    lead = (
        f"{data['pictures']:,} pictures of {data['photos']:,} photos, "
        f"holes: {data['masks']}, seed {data['mask_seed']}. "
        f"Features: {results['features']['recipe']}. Commit {results['commit'] or 'unknown'}."
    )
    remarks = [
        f"{model['name']}: {text}" for model in results["models"] for text in (*model["suspicious"], *model["notes"])
    ]
    parts = [f"# Inpainting on {data['name']}", _list(sentences(results, votes)), lead]
    parts.append(_list(remarks + results["warnings"]))
    parts += [table.markdown() for table in shown]
    if data["problems"]:
        parts.append(f"## Pictures that could not be used: {data['unusable']:,}")
        parts.append(_list(f"{row['file']}: {row['reason']}" for row in data["problems"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def write(out: Path, results: dict, times: dict | None, dataset: DataSet, fills: dict[str, Path]) -> None:
    """results.md and results.html into the folder `out`."""
    votes = read_json(out / TALLY) if (out / TALLY).is_file() else None
    shown = tables.all_tables(results, times, votes)
    store.write(out / "results.md", markdown(results, shown, votes).encode())
    store.write(out / "results.html", page.html(results, times, votes, shown, dataset, fills).encode())


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
