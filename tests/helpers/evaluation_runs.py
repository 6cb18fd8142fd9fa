"""Runs of `python -m eval`, each in processes of its own that are forked from one which has imported everything once.

A run is {"arguments": […], "processes": N, "kill_at": K, "chunk": C}; all but the arguments may be left out.
`kill_at`: SIGKILL in place of moving the K-th file to where it belongs. `chunk`: pictures in a chunk of scores.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]


def short_run(pictures: Path) -> list[str]:
    """Arguments of a run of two controls on `pictures`, without times; the folder of results is to be added."""
    return [
        "run",
        *("--models", "telea,truth-blurred"),
        *("--data", str(pictures)),
        *("--masks", "object"),
        *("--features", "efficientnet-lite0"),
        *("--device", "cpu"),
        "--no-time",
        "-o",
    ]


def statuses(runs: list[dict]) -> list[list[int]]:
    """The exit statuses of every run's processes, one run after the other; -9: killed."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(runs),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _import_everything() -> None:
    for name in (
        "torch.distributed",
        "torchmetrics.functional.image",
        "torchmetrics.image.kid",
        "efficientnet_lite_pytorch",
        "sklearn.svm",
        "eval.steps",
        "eval.metrics.removal",
        "moebius.inpainters.classical",
    ):
        import_module(name)


def _in_child(run: dict, rank: int, port: int) -> None:
    from eval import score
    from eval.__main__ import main

    processes = run.get("processes", 1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    score.BATCH = run.get("chunk", score.BATCH)
    replace, count = os.replace, itertools.count(1)

    def replace_or_die(*paths) -> None:  # every file of a run is moved to its place by it
        if next(count) == run.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = replace_or_die
    os._exit(main(run["arguments"]))


def _run(run: dict) -> list[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(run.get("processes", 1)):
        child = os.fork()
        if child == 0:
            sys.stdout = sys.stderr
            _in_child(run, rank, port)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    _import_everything()
    sys.stdout.write(json.dumps([_run(run) for run in json.load(sys.stdin)]) + "\n")
