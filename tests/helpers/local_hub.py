"""A Hugging Face hub on this computer, and the command line in a process that asks it."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Hub(BaseHTTPRequestHandler):
    """The files of `folder` under the addresses that huggingface_hub asks for."""

    folder: Path
    announced: dict[str, str] = {}
    """SHA-256 by name, where another one than the file's is to be announced."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    """Of `main`."""
    pushes: dict[str, str] = {}
    """The commit of `main` after a file was asked for, by the file's name."""

    def do_HEAD(self):
        self.answer(with_content=False)

    def do_GET(self):
        self.answer(with_content=True)

    def answer(self, with_content: bool) -> None:
        if self.path.startswith("/api/models/"):
            self.list_files()
            return
        _, _, _, _, revision, name = self.path.split("/", 5)  # /hustvl/Moebius/resolve/main/ft_places2/...
        path, commits = self.folder / name, {Hub.commit, self.commit, *self.pushes.values()}
        if revision not in ("main", *commits) or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if revision == "main" else "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", self.commit if revision == "main" else revision)
        if revision == "main" and name in self.pushes:
            type(self).commit = self.pushes[name]
        digest = hashlib.sha256(content).hexdigest()
        self.send_header("ETag", f'"{self.announced.get(name, digest)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def list_files(self) -> None:
        """The answer to a question after the repository."""
        paths = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        names = [{"rfilename": path.relative_to(self.folder).as_posix(), "size": path.stat().st_size} for path in paths]
        body = json.dumps({"id": "/".join(self.path.split("/")[3:5]), "sha": self.commit, "siblings": names}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@contextmanager
def hub_of(folder: Path) -> Iterator[ThreadingHTTPServer]:
    """A hub whose only repository, whatever its name, is `folder`."""
    handler = type("Handler", (Hub,), {"folder": folder, "announced": {}, "pushes": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def moebius(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """The command line in a process with a hub cache of its own below `home`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MOEBIUS_"))}
    clean |= {"HF_HOME": str(home / "home"), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | environment
    return subprocess.run(
        [sys.executable, "-m", "moebius", *map(str, arguments)], cwd=ROOT, env=clean, capture_output=True, text=True
    )
