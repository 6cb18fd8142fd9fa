"""`python -m moebius export`: the student's network as an ONNX file."""

from __future__ import annotations

import argparse
import contextlib
import io
from pathlib import Path

from moebius.commands import arguments
from moebius.files import check_output_folder
from moebius.units import file_size


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export",
        help="write the student's network as an ONNX file",
        description="Write one step of the student's network (float32, for its own grid of latents) as an ONNX file, "
        "which OpenVINO, TensorRT and others read. Its output is first compared with torch; if they differ, no file is "
        "written. Encoding, the loop over steps and decoding are not part of it.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="a folder; created if it is missing"
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=2,
        metavar="N",
        help="samples in one call (default: 2, guidance's two branches)",
    )
    arguments.add_weights(parser)
    arguments.add_json(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """Export, and return what was written."""
    from moebius.models import export
    from moebius.weights import locate

    if not 1 <= options.batch <= 64:
        raise ValueError(f"--batch must be between 1 and 64, got {options.batch}")
    check_output_folder(options.output)
    load_options = arguments.load_options(options, allow_download=False)
    export.check_packages()
    files = locate.locate(load_options.variant, load_options.weights)
    from moebius.progress import TerminalProgress
    from moebius.weights import load

    with TerminalProgress() as progress:
        progress(0.0, "Exporting")
        import torch

        network = load.load_denoiser(files, torch.float32)
        options.output.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):  # torch prints every step of an export
            difference = export.export(network, options.output, options.batch)
    return {
        "output": str(options.output),
        "format": "onnx",
        "weights": files.where,
        "variant": files.variant,
        "files": list(export.FILES),
        "bytes": sum((options.output / name).stat().st_size for name in export.FILES),
        "difference": difference,
    }


def describe(report: dict) -> str:
    return (
        f"{report['output']}: {', '.join(report['files'])}, {file_size(report['bytes'])}; "
        f"largest difference to torch {report['difference']:.1e} of the largest value"
    )
