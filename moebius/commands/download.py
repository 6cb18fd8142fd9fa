"""`python -m moebius download`: weights into the Hugging Face cache, or into a folder."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from moebius.commands import arguments
from moebius.weights import catalog, locate


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "download",
        help="download weights",
        description="Download weights into the Hugging Face cache and, with --to, write them as safetensors.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "variants",
        nargs="?",
        choices=(*catalog.VARIANTS, "all", "select"),
        default=catalog.DEFAULT_VARIANT,
        metavar="VARIANT",
        help=f"{', '.join(catalog.VARIANTS)} or all (default: {catalog.DEFAULT_VARIANT}); or select: "
        f"{catalog.SEGMENTER.title}, which selects objects",
    )
    parser.add_argument(
        "--model",
        choices=(*catalog.DENOISERS, catalog.FLUX.name),
        default="moebius",
        help="the model (default: moebius); flux-fill has no variants, and its licence must be accepted first",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="also write them as a diffusers folder; with all: a folder for each variant in DIR",
    )
    parser.add_argument("--weights", type=Path, metavar="DIR", help="read them from this folder instead of downloading")
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit of the repository (default: main)")
    arguments.add_json(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Fetch one variant or all; with `--to`, write each as a diffusers folder."""
    from moebius.progress import TerminalProgress
    from moebius.weights import hub, save, verify

    started = time.perf_counter()
    if options.variants == "select":
        return _download_selector(options, started)
    if options.model not in catalog.DENOISERS:
        return _download_flux(options, started)
    source, target = getattr(options, "weights", None), getattr(options, "to", None)
    if source and not target:
        raise ValueError("--weights DIR is where the weights are read; add --to DIR, where they are written")
    every = options.variants == "all"
    names = list(catalog.VARIANTS) if every else [options.variants]
    targets = {name: target / name if every else target for name in names} if target else {}
    for folder in targets.values():
        verify.check_target(folder)
    done, first = [], None
    with TerminalProgress() as progress:
        for index, name in enumerate(names):

            def report(share: float, text: str, index: int = index) -> None:
                progress((index + share) / len(names), text)

            if source:
                files = locate.locate(name, source, network=options.model)
            else:
                files = hub.fetch(name, report, getattr(options, "revision", None), network=options.model)
            entry = {"variant": name, "from": files.where}
            if target:
                from moebius.pipeline import MoebiusInpaintPipeline

                report(0.0, "Reading")
                pipeline = MoebiusInpaintPipeline.from_files(files)
                manifest = save.save(pipeline, files, targets[name], report, shared=first)
                first = first or targets[name]
                entry |= {
                    "folder": str(targets[name]),
                    "sources": manifest["sources"],
                    "files": manifest["files"],
                }
            done.append(entry)
    return {"downloaded": done, "seconds": round(time.perf_counter() - started, 3)}


def _download_selector(options: argparse.Namespace, started: float) -> dict:
    from moebius.progress import TerminalProgress
    from moebius.weights import hub, save

    for name in ("weights", "revision"):
        if hasattr(options, name):
            raise ValueError(f"--{name} cannot be used with {catalog.SEGMENTER.title}")
    if options.model != "moebius":
        raise ValueError(f"select downloads {catalog.SEGMENTER.title}; leave out --model")
    target = getattr(options, "to", None)
    with TerminalProgress() as progress:
        files = hub.fetch(progress=progress, network="select")
    entry = {"variant": catalog.SEGMENTER.title, "from": files.where}
    if target:
        folder = save.copy([files.folder / name for name in catalog.SEGMENTER.files], target)
        entry |= {"from": f"folder {folder}", "folder": str(folder)}
    return {
        "downloaded": [entry],
        "seconds": round(time.perf_counter() - started, 3),
    }


def _download_flux(options: argparse.Namespace, started: float) -> dict:
    from moebius.progress import TerminalProgress
    from moebius.weights import hub

    for name in ("to", "weights", "revision"):
        if hasattr(options, name):
            raise ValueError(f"--{name} cannot be used with flux-fill, which is stored as it is on the hub")
    with TerminalProgress() as progress:
        files = hub.fetch(progress=progress, network="flux-fill")
    return {
        "downloaded": [{"variant": None, "from": files.where}],
        "seconds": round(time.perf_counter() - started, 3),
    }


def describe(report: dict) -> str:
    lines = []
    for entry in report["downloaded"]:
        kept = f"written to {entry['folder']}" if "folder" in entry else f"in the {entry['from']}"
        lines.append(f"{entry['variant'] or 'FLUX.1 Fill [dev]'}: {kept}")
    return "\n".join(lines)
