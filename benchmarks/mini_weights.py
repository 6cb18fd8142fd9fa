"""A trained small student in half precision, with a model card (README.md) from the files of its runs.

The card tells data, compute, figures, use and limits; what no file tells is said to be unknown.

    PYTHONPATH=. python benchmarks/mini_weights.py runs/mini/pipeline -o weights/mini [--results results/]
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moebius.files import read_json
from moebius.training.checkpoints import RECORD
from moebius.training.config import ConfigError
from moebius.units import file_size
from moebius.weights import locate, save

SOURCES = "SOURCES.tsv"
"""As `mini_photos.py` writes it."""
USE = """\
For filling holes in photos without a network and without the published weights: to try the page, to see what the method
does. Not for evidence, and not for judging the published Moebius, whose network is larger and was trained on far more.
What it paints is made up; say so where it matters."""


def card(pipeline: Path, manifest: dict[str, Any], results: dict[str, Any] | None = None) -> str:
    """The text, in Markdown.

    Args:
        pipeline: the folder that `train` wrote; paths in its record are relative to the working folder, as they were.
        manifest: of the packed files, see `moebius.weights.verify`.
        results: of `python -m eval`, of these very weights.

    Raises:
        ConfigError: the results are of other weights.
    """
    record = _record(pipeline)
    size = file_size(sum(facts["bytes"] for facts in manifest["files"].values()))
    lines = [
        "# A small student of Moebius's kind",
        "",
        f"{size} in half precision. Not the published Moebius (arXiv:2606.19195): a stand-in of the same "
        "network class, trained by this project's code.",
        *("", "## Data", "", *_data(record)),
        *("", "## Training", "", *_training(record)),
        *("", "## Figures", "", *_figures(manifest, results)),
        *("", "## Use", "", USE),
        *("", "## Limits", "", *_limits(record)),
        *("", "## Licence", "", "Of the weights: whoever trained them decides. The code is Apache-2.0."),
    ]
    return "\n".join(lines) + "\n"


def read_results(folder: Path) -> dict[str, Any]:
    """results.json of an evaluation. Raises ConfigError where there is none."""
    path = folder / "results.json"
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{error}; `python -m eval run … -o {folder}` writes it") from error


def _record(folder: Path) -> dict[str, Any] | None:
    """What a training wrote beside what it made; None: nothing, it is of other code."""
    path = folder / RECORD
    return read_json(path, ConfigError) if path.is_file() else None


def _data(record: dict[str, Any] | None) -> Iterable[str]:
    if record is None:
        yield f"Not known: the pipeline has no {RECORD}."
        return
    data = record["config"]["data"]
    for source in data["sources"]:
        folder = Path(source["path"])
        listed = folder.parent / SOURCES
        if not listed.is_file():
            yield f"`{folder}`. How many photos and under which licences is not known here: `{listed}` is missing."
            continue
        with listed.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        kinds = Counter(row["packed"].split("/")[0] for row in rows)
        licences = Counter(row["licence"] for row in rows)
        what = " and ".join(f"{count} {name}" for name, count in kinds.items())
        yield f"`{folder}`: {what} ({', '.join(f'{name}: {count}' for name, count in licences.most_common())}); "
        yield f"`{listed}` names the source of each."
    yield ""
    yield f"{data['validation']} photos were set apart. Every training refuses the pictures that evaluation is done on."


def _training(record: dict[str, Any] | None) -> Iterable[str]:
    if record is None:
        yield "Not known."
        return
    config = record["config"]
    yield "| | steps | samples | loss on photos set apart | time | on |"
    yield "|---|---|---|---|---|---|"
    runs = {"autoencoder": _named(config["autoencoder"])}
    if config["teacher"]["kind"] != "none":
        runs["teacher"] = _named(config["teacher"])
    for name, found in (*runs.items(), ("student", record)):
        yield _row(name, found)


def _named(weights: dict[str, Any]) -> dict[str, Any] | None:
    return _record(Path(weights["weights"])) if weights.get("weights") else None


def _row(name: str, record: dict[str, Any] | None) -> str:
    if record is None:
        return f"| {name} | not known | | | | |"
    run, metrics = record["config"]["run"], record["metrics"]
    judged = ", ".join(
        f"{key.removeprefix('heldout_')} {value:.3g}" for key, value in metrics.items() if key.startswith("heldout_")
    )
    samples = record["step"] * run["batch_size"]
    took = f"{record['seconds'] / 60:.0f} min" if "seconds" in record else "not known"
    device = f"{record.get('device', 'not known')}, {run['precision']}"
    cells = (name, f"{record['step']:,}", f"{samples:,}", judged or "not measured", took, device)
    return f"| {' | '.join(cells)} |"


def _figures(manifest: dict[str, Any], results: dict[str, Any] | None) -> Iterable[str]:
    if results is None:
        yield "Not measured yet: `python -m eval run`, then `benchmarks/mini_weights.py … --results DIR`."
        return
    ours = {facts["sha256"] for name, facts in manifest["files"].items() if name.endswith(".safetensors")}
    mine = [model["name"] for model in results["models"] if ours <= set(model["weights"].values())]
    if not mine:
        raise ConfigError("--results is of other weights: none of its models has the SHA-256 of these files")
    data, shown, sets = results["data"], results["figures"]["pictures"][:3], results["figures"]["sets"][0]
    what = f"{data['pictures']} pictures of {data['photos']} photos ({data['name']})"
    yield f"{what}, composited; intervals: {results['intervals']}."
    yield ""
    yield "| " + " | ".join(["", *(_title(figure) for figure in shown), _title(sets)]) + " |"
    yield "|---" * (len(shown) + 2) + "|"
    for model in results["models"]:
        part = model["composited"]
        cells = ["**this student**" if model["name"] == mine[0] else model["title"]]
        cells += [_interval(part["pictures"][figure["key"]]) for figure in shown]
        yield "| " + " | ".join([*cells, f"{part['sets'][sets['key']]['value']:.4g}"]) + " |"
    verdicts = next(model["composited"]["difference"] for model in results["models"] if model["name"] == mine[0])
    if results["reference"] != mine[0]:
        text = "; ".join(
            f"{figure['name']} {verdicts[figure['key']]['verdict']} ({_interval(verdicts[figure['key']])})"
            for figure in shown
        )
        yield ""
        yield f"Against {results['reference']}, paired: {text}."


def _title(figure: dict[str, Any]) -> str:
    unit = f", {figure['unit']}" if figure["unit"] else ""
    return f"{figure['name']}{unit} {'↑' if figure['higher_is_better'] else '↓'}"


def _interval(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return str(figure["mean"])
    return f"{figure['mean']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _limits(record: dict[str, Any] | None) -> Iterable[str]:
    if record is None:
        yield "Not known."
        return
    data, run = record["config"]["data"], record["config"]["run"]
    samples = record["step"] * run["batch_size"]
    yield f"It has seen squares of {data['size']} pixels only, {samples:,} samples in all, and nothing but those"
    yield "photos. Its autoencoder bounds every fill."


def pack(pipeline: Path, output: Path, max_bytes: int, results: Path | None = None) -> dict[str, Any]:
    """Write `pipeline` in half precision to the folder `output`, with its card; returns the manifest.

    Raises:
        ConfigError, locate.WeightsError: no weights there, results of other weights, or more than `max_bytes`.
    """
    import torch

    from moebius.pipeline import MoebiusInpaintPipeline

    files = locate.locate(None, pipeline)
    figures = read_results(results) if results else None
    halves = MoebiusInpaintPipeline.from_files(files, torch.float16)
    return save.save(
        halves, files, output, max_bytes=max_bytes, card=lambda manifest: card(pipeline, manifest, figures)
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=Path, metavar="DIR", help="such as runs/mini/pipeline")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--max-mb", type=float, default=60, metavar="X", help="largest folder (default: 60)")
    parser.add_argument("--results", type=Path, metavar="DIR", help="an evaluation of these weights, for the card")
    options = parser.parse_args(argv)
    manifest = pack(options.pipeline, options.output, int(options.max_mb * 1e6), options.results)
    size = sum(facts["bytes"] for facts in manifest["files"].values())
    print(f"{options.output}: {file_size(size)} in half precision")  # noqa: T201


if __name__ == "__main__":
    main()
