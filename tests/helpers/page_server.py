"""The page in a process of its own, for the tests in tests/ui."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = (sys.executable, "app.py")
MAX_BYTES, MAX_PIXELS = 100_000, 200_000
"""Of a photo, on the page of the fixture `small_server`."""
START_S = PATIENCE_S = 120
"""Only what is broken takes so long, also on a busy machine."""


@dataclass
class Server:
    """A running page."""

    url: str
    process: subprocess.Popen
    folder: Path
    """Where it keeps all its files."""
    lines: list[str] = field(default_factory=list)
    """Everything that it has written so far."""
    written: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        for line in self.process.stdout:
            with self.written:
                self.lines.append(line)
                self.written.notify_all()
        with self.written:
            self.written.notify_all()

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S, since: int = 0) -> bool:
        """Whether a line with `pattern` is written within `timeout_s`; the first `since` lines do not count."""

        def is_written() -> bool:
            return any(re.search(pattern, line) for line in self.lines[since:])

        with self.written:
            self.written.wait_for(lambda: is_written() or self.process.poll() is not None, timeout_s)
            return is_written()


@contextmanager
def serve(
    folder: Path, *arguments: str, command: tuple[str, ...] = APP, start_in: Path = ROOT, **variables: str
) -> Iterator[Server]:
    """The page on a free port, with neither network nor weights but those in `arguments`.

    Args:
        folder: for all that it keeps.
        command: how it is started, in the folder `start_in`.
        variables: of its environment; MOEBIUS_... and GRADIO_... of ours are not its own.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOEBIUS_", "GRADIO_"))}
    environment |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "huggingface"),
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "no_proxy": "127.0.0.1",
        **variables,
    }
    process = subprocess.Popen(
        [*command, "--port", str(port), *arguments],
        cwd=start_in,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(url=f"http://127.0.0.1:{port}", process=process, folder=folder)
    reader = threading.Thread(target=server.read, daemon=True)
    reader.start()
    try:
        assert server.wait_for("Running on local URL", START_S), f"it did not start:\n{''.join(server.lines)}"
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        reader.join(5)
