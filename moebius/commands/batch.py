"""`python -m moebius batch`: a folder of photos."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from moebius import devices, environment, registry
from moebius.commands import arguments, inpaint
from moebius.progress import Progress, TerminalProgress, no_progress
from moebius.units import counted, duration
from moebius.weights import WeightsError, locate

if TYPE_CHECKING:
    from moebius.batch.plan import BatchItem
    from moebius.batch.run import Outcome, Task

SEED = 0
"""Default of a batch: it must be the same when the batch resumes."""
DESCRIPTION = """Fill the white part of each photo's mask. Every photo keeps its size, format and metadata. Results are
written to OUT under the photos' relative paths. The same command resumes where it stopped; photos whose file, mask or
settings changed are filled again. A photo that fails does not stop the others: errors are listed at the end and in
OUT/moebius-batch.report.json. On several GPUs: accelerate launch -m moebius batch …"""


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "batch", help="fill many photos", description=DESCRIPTION, argument_default=argparse.SUPPRESS
    )
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="a folder, searched with its subfolders, or one photo"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="MASKS",
        default=None,
        help="one mask for all photos, or a folder of masks named like the photos, with or without _mask at the end; "
        "white = fill (default: name_mask.png beside each photo)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="a folder; created if it is missing"
    )
    parser.add_argument(
        "--overwrite", action="store_true", default=False, help="replace files that no batch has written"
    )
    parser.add_argument("--dry-run", action="store_true", default=False, help="list what would be done; write nothing")
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        metavar="N",
        help="photos read ahead while the model works (default: 2)",
    )
    arguments.add_filling(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Fill the photos that are not done yet, and return what was done."""
    if options.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {options.workers}")
    batch_size = arguments.batch_size(options)
    from moebius.batch import plan

    given = {"seed": SEED} | vars(options)
    seed = arguments.seed(argparse.Namespace(**given))
    process = environment.processes()
    rank, processes = process.rank, process.count
    load_options = arguments.load_options(options, allow_download=options.model != registry.AUTO)
    load_options = _own_device(load_options, processes, process.local_rank)
    out = options.output
    items = plan.share(plan.plan(options.photos, options.masks, out), rank, processes)
    card, reason = registry.resolve(options.model, load_options)
    if options.dry_run:
        return _dry(items, _task(options, card, load_options, seed, no_progress), out)

    from moebius.batch import run as batch_run
    from moebius.batch.records import RecordsFile, part_name
    from moebius.batch.tally import Tally
    from moebius.files import write_atomic
    from moebius.photo import worker

    worker.shared().start()  # it is ready when the model is
    with BatchProgress() as terminal, ExitStack() as stack:
        task = _task(options, card, load_options, seed, terminal)
        out.mkdir(parents=True, exist_ok=True)
        records = stack.enter_context(RecordsFile(out, rank, processes))
        tally = Tally(len(items))

        def filling(item: plan.BatchItem, share: float, text: str) -> None:
            tally.filling(item.name, share)
            terminal(tally.share, f"{item.name}: {text}, {tally.left()}")

        try:
            for outcome in batch_run.run(items, task, out, records, options.workers, filling, batch_size):
                tally.add(outcome)
                terminal.line(f"{tally.place} of {tally.total}, {tally.left()}: {outcome.item.name} {_became(outcome)}")
                terminal(tally.share, f"{tally.place} of {tally.total} photos, {tally.left()}")
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                f"cancelled; {counted(tally.done, 'photo')} filled; the same command resumes"
            ) from stop
        report = {
            "output": str(out),
            "model": card.name,
            "reason": reason,
            "seed": seed if card.seeded else None,
            "config": dataclasses.asdict(task.config),
            "mark": task.mark,
            "process": [rank, processes],
            **tally.report(),
            "peak_gib": devices.peak_gib(),
            "notes": [*([records.note] if records.note else []), *inpaint.remarks(card, vars(options))],
            "report": part_name("report.json", rank, processes),
        }
        write_atomic(out / report["report"], (json.dumps(report, indent=2) + "\n").encode())
    return report


def _became(outcome: Outcome) -> str:
    texts = {"done": "filled", "finished": "was finished before", "failed": f"failed: {outcome.error}"}
    return texts[outcome.state]


def describe(report: dict) -> str:
    if "would_fill" in report:
        lines = [f"{name} -> {output}, mask {mask}" for name, mask, output in report["would_fill"]]
        lines += [f"{row['photo']} would fail: {row['error']}" for row in report["would_fail"]]
        counts = f"{len(report['would_fill'])} to fill, {len(report['finished_before'])} finished before"
        return "\n".join([*lines, f"{counts}, {len(report['would_fail'])} would fail; nothing was written"])
    seconds = report["seconds"]
    each = f", {duration(seconds['filling'] / report['filled'])} each" if report["filled"] else ""
    title = registry.card(report["model"]).title
    lines = [
        f"{report['output']}: {counted(report['filled'], 'photo')} filled by {title}{each}, "
        f"{report['finished_before']} finished before, {len(report['failed'])} failed",
        report["reason"],
        *report["notes"],
        *(f"{row['photo']} failed: {row['error']}" for row in report["failed"]),
    ]
    if report["photo_notes"]:
        lines.append(f"Notes on {counted(len(report['photo_notes']), 'photo')}: {report['output']}/{report['report']}")
    return "\n".join(lines)


def _dry(items: list[BatchItem], task: Task, out: Path) -> dict:
    """What a run would do, from names and hashes of files; no photo is decoded."""
    from moebius.batch.records import Records
    from moebius.batch.run import finished_before

    before, to_fill, finished, failing = Records.read(out), [], [], []
    for item in items:
        try:
            if item.problem:
                raise ValueError(item.problem)
            if finished_before(item, task, before):
                finished.append(item.name)
            else:
                to_fill.append((item.name, str(item.mask), str(item.output)))
        except (ValueError, OSError) as error:
            failing.append({"photo": item.name, "error": str(error)})
    return {
        "would_fill": to_fill,
        "finished_before": finished,
        "would_fail": failing,
        "exit_status": 1 if failing else 0,
    }


def _task(
    options: argparse.Namespace,
    card: registry.ModelCard,
    load_options: registry.LoadOptions,
    seed: int,
    progress: Progress,
) -> Task:
    import functools

    from moebius import model_cache
    from moebius.batch.run import Task
    from moebius.photo import worker

    mark = arguments.mark(options, card.learned)
    return Task(
        load=functools.cache(lambda: model_cache.acquire(card.name, load_options, progress)),
        config=arguments.sampling_config(options).with_defaults(card.defaults),
        seed=seed if card.seeded else None,
        identity={
            "model": card.name,
            "dtype": load_options.dtype,
            "plan": load_options.plan,
            "weights": _weights(card, load_options, options.dry_run, progress),
            "mark": mark,
        },
        grow_mask=arguments.grow_mask(options),
        mark=mark,
        files=worker.shared(),
        overwrite=options.overwrite,
    )


def _weights(
    card: registry.ModelCard, load_options: registry.LoadOptions, dry_run: bool, progress: Progress
) -> dict | str:
    """What identifies these weights: hashes of the files, for models with one file per network."""
    if not card.network:
        return card.availability(load_options).weights
    try:
        files = locate.locate(load_options.variant, load_options.weights, network=card.network)
    except WeightsError:
        if dry_run:
            return "not here yet"
        if not load_options.allow_download or card.folder(load_options):
            raise
        registry.fetch(card.name, load_options, progress)
        files = locate.locate(load_options.variant, load_options.weights, network=card.network)
    from moebius.files import sha256

    progress(0.0, "Hashing the weights")
    return {"denoiser": sha256(files.denoiser), "autoencoder": sha256(files.autoencoder)}


def _own_device(load_options: registry.LoadOptions, processes: int, local_rank: int) -> registry.LoadOptions:
    """With several processes, a separate GPU for each, if there are GPUs and no other device was named."""
    if processes == 1 or load_options.device not in (None, "cuda"):
        return load_options
    import torch

    if not torch.cuda.is_available():
        return load_options
    return dataclasses.replace(load_options, device=f"cuda:{local_rank % torch.cuda.device_count()}")


class BatchProgress(TerminalProgress):
    """Progress on the terminal's last line; if stderr is not a terminal, a line for every photo."""

    def __init__(self) -> None:
        # a copy of stderr, because libraries are silenced by redirecting the original
        super().__init__(os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace"))

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._stream.close()

    def line(self, text: str) -> None:
        if not self._thread:
            print(text, file=self._stream, flush=True)
