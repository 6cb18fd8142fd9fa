"""Commands in processes of their own, forked from one that has the imports behind it: they take 10 s of a core each.

What runs is what `python -m moebius …` runs, with an environment, a folder, pipes and an exit status of its own.
Whatever is about imports or about an interpreter's start needs `subprocess` itself.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[2]
IMPORTED = [
    "moebius.batch.run",
    "moebius.inpainters.classical",
    "moebius.training.autoencoder",
    "moebius.training.distillation",
    "moebius.training.loop",
]
CONTEXT = multiprocessing.get_context("forkserver")


class Command:
    """`python -m MODULE …`, or `python -c CODE …`, with what the tests need of `subprocess.Popen`."""

    def __init__(self, module: str, *arguments: object, environment: Mapping[str, str], code: str = "") -> None:
        """module: run as `__main__`, unless there is `code`. environment: all of it."""
        CONTEXT.set_forkserver_preload(IMPORTED)
        out, errors = (CONTEXT.Pipe(duplex=False) for _ in range(2))
        call = (module, code, [str(argument) for argument in arguments], dict(environment), out[1], errors[1])
        self._process = CONTEXT.Process(target=_run, args=call, daemon=True)
        self._process.start()
        self.stdout, self.stderr = (_stream(*ends) for ends in (out, errors))

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, or minus the signal that ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"it still ran after {timeout} s")
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; what it wrote to stdout and to stderr."""
        with ThreadPoolExecutor(2) as pool:
            texts = [pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
            self.wait(timeout)
            out, errors = (text.result() for text in texts)
        return out, errors

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode


def _stream(reader: Connection, writer: Connection) -> TextIO:
    writer.close()
    stream = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
    reader.close()
    return stream


def _run(module: str, code: str, arguments: list[str], environment: dict[str, str], *writers: Connection) -> None:
    for descriptor, writer in enumerate(writers, 1):
        os.dup2(writer.fileno(), descriptor)
        writer.close()
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    tempfile.tempdir = None  # TMPDIR may be another
    sys.argv = [module, *arguments]
    status: object = 0
    try:
        if code:
            exec(compile(code, module, "exec"), {"__name__": "__main__"})  # noqa: S102
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()  # which a child of multiprocessing leaves out
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))
