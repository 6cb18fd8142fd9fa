"""Seconds and memory of the paper's training step at the published sizes: student and PixelHacker at 512 pixels.

    PYTHONPATH=.:tests python benchmarks/training_step.py                                  # one step on a CPU
    PYTHONPATH=.:tests python benchmarks/training_step.py --batch 64 --precision bfloat16 --steps 20   # on a GPU

Weights are stand-ins in the published layout (random numbers): time and memory do not depend on them. The first step
warms up and is told apart; the last line says how long 200,000 steps would take.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from moebius.training.config import TrainConfig, build
from moebius.training.distillation import Distillation
from moebius.training.loop import accelerator
from tests.helpers.deterministic import picture
from tests.helpers.standin_weights import write_published

PAPER_STEPS = 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1, help="measured steps after the first")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--pictures", type=int, default=2, help="pictures to make; each is encoded when it is used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    write_published(folder / "student")
    write_published(folder / "teacher", variants=("pretrained",), network="pixelhacker")
    (folder / "photos").mkdir()
    for seed in range(options.pictures + 1):
        Image.fromarray(picture(seed, 512)).save(folder / "photos" / f"{seed}.png")
    run = {
        "out": str(folder / "run"),
        "steps": options.steps + 1,
        "batch_size": options.batch,
        "accumulate": options.accumulate,
        "precision": options.precision,
        "gradient_checkpointing": options.checkpointing,
        "compile": options.compile,
    }
    source = {"kind": "pictures", "path": str(folder / "photos")}
    config = build(
        TrainConfig,
        {
            "run": run,
            "teacher": {"kind": "pixelhacker", "weights": str(folder / "teacher")},
            "autoencoder": {"weights": str(folder / "student")},
            "loss": {"perceptual_kind": "latent-pyramid"},
            "data": {"validation": 1, "sources": [source]},
        },
    )
    device = accelerator(config.run)
    started = time.perf_counter()
    trained = Distillation(config, device, report)
    threads = torch.get_num_threads()
    report(f"{device.device}, {threads} threads, {options.precision}, batch {options.batch}, torch {torch.__version__}")
    report(f"built in {time.perf_counter() - started:.1f} s, {_memory()}")
    trained.begin(0)
    seconds = []
    for step in range(options.steps + 1):
        started = time.perf_counter()
        values = trained.step(step)  # reads the losses, so the device is done
        seconds.append(time.perf_counter() - started)
        report(f"step {step + 1}: {seconds[-1]:.2f} s, task loss {values['task']:.3f}, {_memory()}")
    step = statistics.median(seconds[1:])
    report(f"median step {step:.3f} s, {options.batch / step:.2f} pictures a second")
    report(f"{PAPER_STEPS:,} steps of this batch: {PAPER_STEPS * step / 86_400:,.1f} days")


def report(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _memory() -> str:
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    gpu = f", GPU peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if torch.cuda.is_available() else ""
    return f"peak {process:.1f} GiB{gpu}"


if __name__ == "__main__":
    main()
