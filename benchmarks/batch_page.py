"""The page's tab Many photos with a folder of photos, each with a mask of its own: seconds and memory. In batch.md.

python benchmarks/batch.py make DIR --count 200
python benchmarks/batch_page.py DIR --model classical
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from batch import memory_mib
from gradio_client import Client, handle_file

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="classical")
    parser.add_argument("--weights", type=Path, metavar="DIR")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [sys.executable, "app.py", "--port", str(port)]
        if options.weights:
            command += ["--weights", str(options.weights)]
        environment = os.environ | {"TMPDIR": folder, "HF_HUB_OFFLINE": "1", "no_proxy": "127.0.0.1"}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            next(line for line in server.stdout if "http://" in line)
            result = visit(f"http://127.0.0.1:{port}", server.pid, options, Path(folder))
        finally:
            server.terminate()
            server.wait()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if result["results"] == result["photos"] else 1


def visit(url: str, pid: int, options: argparse.Namespace, scratch: Path) -> dict:
    """One visitor's way through the tab. The browser, too, fetches a picture of the list only when it is new."""
    photos = sorted((options.folder / "photos").glob("*.jpg"))
    masks = [scratch / f"{photo.stem}_mask.png" for photo in photos]
    for mask in masks:
        mask.symlink_to((options.folder / "mask.png").resolve())
    client = Client(url, verbose=False, download_files=False)
    memory = {"start": memory_mib(pid)["VmRSS"]}
    began = time.monotonic()
    client.predict([handle_file(path) for path in (*photos, *masks)], [], "all", api_name="/add_photos")
    added = time.monotonic()
    memory["added"] = memory_mib(pid)["VmRSS"]
    run = client.submit([], "all", options.model, api_name="/fill_photos", seed="1")
    for count, _ in enumerate(run):  # what is shown before the first photo, after each, and at the end
        if count and count % 20 == 0 and count <= len(photos):
            memory[count] = memory_mib(pid)["VmRSS"]
    filled = time.monotonic()
    memory["most"] = memory_mib(pid)["VmHWM"]
    _, _, archive = run.result()[:3]
    with zipfile.ZipFile(archive["value"]["path"]) as file:
        results = [name for name in file.namelist() if name.endswith("_filled.jpg")]
        torn = file.testzip()
    return {
        "photos": len(photos),
        "results": len(results) if torn is None else f"{torn} is torn",
        "seconds_adding": round(added - began, 1),
        "seconds_each": round((filled - added) / len(photos), 3),
        "memory_mib": memory,
    }


if __name__ == "__main__":
    sys.exit(main())
