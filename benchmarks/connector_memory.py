"""Memory of the server after large photos that other programs send: `python benchmarks/connector_memory.py`.

Starts the page on a free port (classical filler, no weights). A JPEG of so many megapixels with a small hole goes
through IOPaint's request and RapidRAW's two, in turn; after each answer the memory of the server with its processes is
told. Exit status 1 if an answer is not 200, or if the last round needs over a tenth more than the second.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).parents[1]
SETTLE_S = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=40, help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        environment = os.environ | {"TMPDIR": folder, "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "app.py", "--port", str(port)]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            if not any("Running on local URL" in line for line in server.stdout):
                raise SystemExit("the page did not start")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600, trust_env=False) as client:
                return measure(client, psutil.Process(server.pid), options.megapixels, options.rounds)
        finally:
            server.terminate()
            server.wait(30)


def measure(client: httpx.Client, server: psutil.Process, megapixels: float, rounds: int) -> int:
    photo, mask = pictures(megapixels)
    held, bad = [], 0
    report(f"{megapixels:g} megapixels, {len(photo) / 2**20:.0f} MiB as JPEG; {memory(server):.0f} MiB before")
    for number in range(1, rounds + 1):
        for name, ask in (("IOPaint", iopaint), ("RapidRAW", rapidraw)):
            started = time.monotonic()
            status = ask(client, photo, mask)
            seconds = time.monotonic() - started
            time.sleep(SETTLE_S)
            held.append(memory(server))
            bad += status != 200
            report(f"round {number}, {name}: {status} after {seconds:.1f} s, {held[-1]:.0f} MiB")
    second = max(held[2:4] or held)
    return int(bool(bad) or max(held[-2:]) > 1.1 * second)


def pictures(megapixels: float) -> tuple[bytes, bytes]:
    """A JPEG of that size, and a mask with a small hole."""
    width = round((megapixels * 1e6 * 3 / 2) ** 0.5)
    height = round(width * 2 / 3)
    coarse = np.random.default_rng(0).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    photo = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    mask = Image.new("L", photo.size)
    mask.paste(255, (width // 2, height // 2, width // 2 + 200, height // 2 + 200))
    return encoded(photo, "JPEG", quality=92), encoded(mask, "PNG")


def encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def iopaint(client: httpx.Client, photo: bytes, mask: bytes) -> int:
    sent = {"image": base64.b64encode(photo).decode(), "mask": base64.b64encode(mask).decode()}
    return client.post("/api/v1/inpaint", json=sent).status_code


def rapidraw(client: httpx.Client, photo: bytes, mask: bytes) -> int:
    client.post("/upload_source", files={"file": ("photo.jpg", photo)}, data={"source_id": "photo"})
    sent = {"source_id": "photo", "mask_image_base64": base64.b64encode(mask).decode(), "prompt": "", "seed": 0}
    return client.post("/inpaint", json=sent).status_code


def memory(server: psutil.Process) -> float:
    """MiB that the server and its processes hold."""
    return sum(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 2**20


def report(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
