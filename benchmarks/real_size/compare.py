"""Compare fillers on photos of real size, or on the held-out squares, and write records, tables and sheets.

    python -m benchmarks.real_size.fetch PHOTOS
    python -m benchmarks.real_size.compare OUT --photos PHOTOS [--methods bicubic,detail] [--holes 0.25,1]
    python -m benchmarks.real_size.compare OUT --set heldout [--methods classical,ours] [--sheets SHEETS]

OUT gets records-SET.jsonl (one line a fill; a run that was stopped resumes, `--redo METHOD` makes that one's anew),
results-SET.json and results-SET.md. A method that this tree lacks is left out and named. Every method is called once
on a small square before the clock starts. The distances are computed on one thread; what a filler uses is its own
affair. `--sheets` writes the first 24 holes of a seeded order, at native size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.real_size import fetch, holes, measure, methods, report, sheets
from benchmarks.real_size.methods import Case, MissingMethod
from benchmarks.real_size.records import Records, fill, scores

HELDOUT = Path(__file__).parents[2] / "samples" / "heldout"
HELDOUT_SIZE = "512"
"""What the only size of the held-out set is called: its squares' side."""
Loader = Callable[[], Case]
Plan = dict[tuple[str, str], Loader]
"""Photo and size of hole to what loads the case."""


def real_plan(folder: Path, sizes: list[str]) -> Plan:
    """Every hole of `sizes` in every photo of photos.tsv."""
    loaded: dict[str, np.ndarray] = {}  # one photo at a time

    def load(photo: fetch.Photo, size: str) -> Case:
        if photo.id not in loaded:
            loaded.clear()
            loaded[photo.id] = open_photo(folder / photo.file)
        picture = loaded[photo.id]
        hole = holes.make(photo.id, size, *picture.shape[:2])
        return Case(photo.id, photo.id, size, hole.kind, hole.cut(picture), hole.mask)

    missing = [photo.file for photo in fetch.photos() if not (folder / photo.file).is_file()]
    if missing:
        raise SystemExit(f"{folder} lacks {', '.join(missing)}; python -m benchmarks.real_size.fetch {folder}")
    return {
        (photo.id, size): (lambda photo=photo, size=size: load(photo, size))
        for photo in fetch.photos()
        for size in sizes
    }


def heldout_plan(folder: Path = HELDOUT) -> Plan:
    """Every picture of the held-out set with its default hole."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))

    def load(row: dict) -> Case:
        kind = row["default_mask"]
        with Image.open(folder / row["masks"][kind]["file"]) as mask:
            hole = np.asarray(mask.convert("L")) >= 128
        return Case(row["id"], row["group"], HELDOUT_SIZE, kind, open_photo(folder / row["file"]), hole)

    return {(row["id"], HELDOUT_SIZE): (lambda row=row: load(row)) for row in manifest["pictures"]}


def open_photo(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, upright."""
    with Image.open(path) as photo:
        return np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))


def usable(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """The methods that work here, each called once so that compiling is behind it, and why the others do not."""
    random = np.random.RandomState(0)
    truth = np.repeat(np.repeat(random.randint(0, 256, (80, 80, 3)), 8, 0), 8, 1).astype(np.uint8)
    mask = np.zeros(truth.shape[:2], bool)
    mask[270:370, 250:390] = True
    small = Case("warm-up", "warm-up", "0", "box", truth, mask)
    works, left_out = [], {}
    for name in names:
        try:
            methods.METHODS[name](small)
            works.append(name)
        except MissingMethod as missing:
            left_out[name] = str(missing)
            sys.stderr.write(f"left out: {name} ({missing})\n")
    return works, left_out


def run(
    plan: Plan, names: list[str], records: Records, judges: dict[str, Callable], keep: Callable | None = None
) -> Iterator[str]:
    """Make every record that is missing; yields a line for each. keep: called with case, method and fill."""
    for (photo, size), load in plan.items():
        todo = [name for name in names if (photo, size, name) not in records]
        if not todo:
            continue
        case = load()
        for name in todo:
            try:
                filled, cost = fill(name, methods.METHODS[name], case)
            except MissingMethod:  # squares of 512 are not scaled down
                continue
            row = {**cost, **scores(filled, case, judges)}
            records.add(row)
            if keep:
                keep(case, name, filled)
            yield f"{photo} {size} {name}: {row['seconds']:.2f} s, sharpness {row['gradient_truth'] or 0:.2f}"


def write_sheets(plan: Plan, names: list[str], fills: Path, folder: Path) -> None:
    """The sheets whose methods are all in `names`; fills that were not kept are made again."""
    for sheet, columns in sheets.COLUMNS.items():
        lacking = [name for name in columns if name != "truth" and name not in names]
        if lacking:
            sys.stderr.write(f"no sheets {sheet}: {', '.join(lacking)} not run\n")
            continue
        for number, key in enumerate(sheets.order(plan)[: sheets.COUNT]):
            case = plan[key]()
            pictures = [_shown(case, name, fills) for name in columns]
            sheets.write(folder / f"{sheet}-{number:02d}-{key[0]}-{key[1]}.jpg", pictures, list(columns))


def _shown(case: Case, name: str, fills: Path) -> np.ndarray:
    if name == "truth":
        return sheets.shown(case.truth, case.mask)
    path = _kept(fills, case, name)
    if not path.exists():
        filled, _ = fill(name, methods.METHODS[name], case)
        _keep(fills, case, name, filled)
    return open_photo(path)


def _kept(fills: Path, case: Case, name: str) -> Path:
    return fills / f"{case.photo}-{case.size}-{name}.png"


def _keep(fills: Path, case: Case, name: str, filled: np.ndarray) -> None:
    fills.mkdir(parents=True, exist_ok=True)
    path = _kept(fills, case, name)
    part = path.with_suffix(".part")
    Image.fromarray(sheets.shown(filled, case.mask)).save(part, format="PNG", compress_level=1)
    os.replace(part, path)


def main(argv: list[str] | None = None) -> int:
    arguments = _parsed(argv)
    import torch

    torch.set_num_threads(1)
    plan = heldout_plan() if arguments.set == "heldout" else real_plan(arguments.photos, arguments.holes)
    if arguments.only:
        plan = {key: load for key, load in plan.items() if key[0] in arguments.only}
    out, fills = arguments.out, arguments.out / f"fills-{arguments.set}"
    records = Records(out / f"records-{arguments.set}.jsonl", without=arguments.redo)
    for name in arguments.redo:
        for path in fills.glob(f"*-{name}.png"):
            path.unlink()
    names, left_out = usable(arguments.methods)
    judges = {name: measure.JUDGES[name]() for name in arguments.judges}
    selected = set(sheets.order(plan)[: sheets.COUNT]) if arguments.sheets else set()
    in_sheets = {name for columns in sheets.COLUMNS.values() for name in columns}

    def keep(case: Case, name: str, filled: np.ndarray) -> None:
        if (case.photo, case.size) in selected and name in in_sheets:
            _keep(fills, case, name, filled)

    for line in run(plan, names, records, judges, keep):
        sys.stderr.write(line + "\n")
    rows = [row for row in records.rows.values() if (row["photo"], row["size"]) in plan]
    facts = {
        "set": arguments.set,
        "machine": report.machine(),
        "left_out": left_out,
        "cases": len({(row["photo"], row["size"]) for row in rows}),
        "photos": len({row["group"] for row in rows}),
    }
    table = report.summary(rows, list(methods.METHODS))
    changes = report.differences(rows, methods.PAIRS)
    out.mkdir(parents=True, exist_ok=True)
    text = report.markdown(table, changes, facts)
    (out / f"results-{arguments.set}.md").write_text(text, encoding="utf-8")
    (out / f"results-{arguments.set}.json").write_text(
        json.dumps({**facts, "methods": table, "differences": changes}, indent=1) + "\n", encoding="utf-8"
    )
    sys.stdout.write(text)
    if arguments.sheets:
        write_sheets(plan, names, fills, arguments.sheets)
    return 0


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    def words(allowed: dict) -> Callable[[str], list[str]]:
        def split(text: str) -> list[str]:
            found = [word.strip() for word in text.split(",") if word.strip()]
            wrong = [word for word in found if allowed and word not in allowed]
            if wrong:
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(wrong)}; choose from {', '.join(allowed)}")
            return found

        return split

    method_list = words(methods.METHODS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for records and tables")
    parser.add_argument("--set", choices=("real", "heldout"), default="real", help="photos to fill (default real)")
    parser.add_argument("--photos", type=Path, help="folder that benchmarks.real_size.fetch filled")
    parser.add_argument("--methods", type=method_list, default=list(methods.METHODS), help="comma between them")
    parser.add_argument("--holes", type=words(holes.SIZES), default=list(holes.SIZES), help="sizes, in megapixels")
    parser.add_argument("--only", type=words({}), default=[], help="ids of photos (default all)")
    parser.add_argument("--judges", type=words(measure.JUDGES), default=list(measure.JUDGES), help="distances")
    parser.add_argument("--redo", type=method_list, default=[], help="methods whose records are made again")
    parser.add_argument("--sheets", type=Path, help="folder for JPEGs to look at")
    arguments = parser.parse_args(argv)
    if arguments.set == "real" and arguments.photos is None:
        parser.error("--photos is needed for the real-size set")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
