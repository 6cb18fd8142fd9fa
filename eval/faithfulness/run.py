"""Forty files through every program, measured, and the table of it: `faithfulness.json` and `faithfulness.md`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from eval.faithfulness.measure import measure, metadata
from eval.faithfulness.photos import photo_files, scene
from eval.faithfulness.tools import NotHere, tools
from moebius.files import write_atomic
from moebius.presentation.faithfulness import SCHEMA, table


def faithfulness(out: Path, iopaint: Path | None = None) -> dict:
    """Write the figures of every program that is installed into the folder `out`, and return them.

    Raises:
        ValueError: exiftool is not installed.
    """
    try:
        version = subprocess.run(["exiftool", "-ver"], capture_output=True, text=True).stdout.strip()
    except OSError as error:
        raise ValueError("exiftool is not installed; it counts the metadata") from error
    photo, hole = scene()
    known = np.where(hole[..., None], 0, np.asarray(photo)).astype(np.uint8)
    filled = cv2.inpaint(known, hole.astype(np.uint8), 3, cv2.INPAINT_NS)  # any edit serves
    files, rows, missing = list(photo_files()), [], []
    with tempfile.TemporaryDirectory() as temporary:
        originals = Path(temporary) / "originals"
        originals.mkdir()
        for file in files:
            (originals / file.name).write_bytes(file.data)
        tags = metadata(originals)
        for tool in tools(iopaint):
            try:
                tool_version = tool.version()
            except NotHere as error:
                missing.append(str(error))
                continue
            folder, results = Path(temporary) / tool.name, {}
            folder.mkdir()
            for file in files:
                try:
                    tool.write(originals / file.name, filled, hole, folder / file.name)
                except Exception as error:  # whatever it is, that program cannot do this file
                    results[file.name] = {"failed": f"{type(error).__name__}: {error}"[:200]}
            new_tags = metadata(folder)
            for file in files:
                if file.name not in results:
                    data = (folder / file.name).read_bytes()
                    results[file.name] = measure(file, data, hole, tags.get(file.name, {}), new_tags.get(file.name, {}))
            rows.append({"name": tool.name, "title": tool.title, "version": tool_version, "files": results})
    report = {"schema": SCHEMA, "exiftool": version, "files": len(files), "tools": rows, "missing": missing}
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "faithfulness.json", (json.dumps(report, indent=1, sort_keys=True) + "\n").encode())
    write_atomic(out / "faithfulness.md", _markdown(report).encode())
    return report


def _markdown(report: dict) -> str:
    shown = table(report)
    lines = ["# What happens to a photo file beside the hole", "", shown.markdown(), ""]
    lines += [f"- {text}" for text in _details(report)]
    return "\n".join(lines) + "\n"


def _details(report: dict) -> Iterable[str]:
    for tool in report["tools"]:
        for key, words in (("failed", "not written"), ("unreadable", "cannot be opened again")):
            names = [name for name, row in tool["files"].items() if key in row]
            if names:
                yield f"{tool['title']}: {words}: {', '.join(names)}"
        shown = [f"{name} ({row['still_shown']})" for name, row in tool["files"].items() if row.get("still_shown")]
        if shown:
            yield f"{tool['title']}: still shows the object: {', '.join(shown)}"
    yield from (f"Not measured: {text}" for text in report["missing"])
