"""What `python -m moebius batch` costs over the model's own time, how much memory it takes, and whether it survives
being killed. Results stand in batch.md.

    python benchmarks/batch.py make DIR --count 200          # photos/ of 12 megapixels with EXIF and ICC, mask.png
    python benchmarks/batch.py time DIR OUT -- --model classical
    python benchmarks/batch.py kill DIR OUT --kills 10 -- --model classical
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIZE = (4000, 3000)
HOLE = (1800, 1300, 2000, 1460)  # left, top, right, bottom of the ellipse


def make(folder: Path, count: int) -> None:
    """Photos from the samples' pictures: another crop, turn and brightness each, so that no two are alike."""
    from PIL import Image, ImageCms, ImageDraw, ImageEnhance, ImageOps

    photos = folder / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sources = [Image.open(path).convert("RGB") for path in sorted((ROOT / "moebius/samples/images").glob("*.jpg"))]
    for index in range(count):
        path = photos / f"IMG_{index:04}.jpg"
        if path.exists():
            continue
        draw = random.Random(index)
        source = sources[index % len(sources)]
        side = draw.uniform(0.7, 1.0)
        box = (
            4 * min(source.width // 4, source.height // 3) * side,
            3 * min(source.width // 4, source.height // 3) * side,
        )
        left, top = draw.uniform(0, source.width - box[0]), draw.uniform(0, source.height - box[1])
        picture = source.resize(SIZE, Image.Resampling.BICUBIC, (left, top, left + box[0], top + box[1]))
        picture = ImageEnhance.Brightness(picture).enhance(draw.uniform(0.8, 1.2))
        picture = ImageOps.mirror(picture) if draw.random() < 0.5 else picture
        exif = Image.Exif()
        exif[0x010F], exif[0x0110], exif[0x0132] = "Maker", f"Model {index}", "2026:01:01 12:00:00"
        picture.save(path, quality=92, exif=exif, icc_profile=profile)
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).ellipse(HOLE, fill=255)
    mask.save(folder / "mask.png")


def command(folder: Path, out: Path, options: list[str]) -> list[str]:
    batch = ["batch", f"{folder / 'photos'}", "--masks", f"{folder / 'mask.png'}", "-o", f"{out}", "--json"]
    return [sys.executable, "-m", "moebius", *batch, *options]


def memory_mib(pid: int) -> dict[str, int]:
    """Resident memory of a process, now and at most, in MiB (Linux)."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(fields[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM")}


def timed(folder: Path, out: Path, options: list[str]) -> dict:
    """One run to its end: seconds a photo, overhead over the model's own time, memory along the way."""
    process = subprocess.Popen(
        command(folder, out, options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    memory, count = {}, 0
    for line in process.stderr:
        count += " filled" in line
        if count % 20 == 0 and count not in memory:
            memory[count] = memory_mib(process.pid)
    report = json.loads(process.stdout.read())
    seconds, filled = report["seconds"], report["filled"]
    return {
        "exit": process.wait(),
        "filled": filled,
        "failed": report["failed"],
        "seconds_each": round(seconds["filling"] / filled, 3),
        "parts_each": {part: round(seconds[part] / filled, 3) for part in ("read", "model", "geometry", "write")},
        "overhead": round(seconds["filling"] / seconds["model"] - 1, 3),
        "memory_mib": memory,
    }


def killed(folder: Path, out: Path, kills: int, seed: int, options: list[str]) -> dict:
    """Runs that are killed after a random time, each going on where the last one stopped, then one to the end."""
    draw, touched, finished, rows = random.Random(seed), 0, {}, []
    for turn in range(kills + 1):
        process = subprocess.Popen(
            command(folder, out, options), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if turn < kills:
            for line in process.stderr:
                if " filled" in line:  # it is at work; some seconds from now it is anywhere
                    break
            time.sleep(draw.uniform(0, 10))
            process.send_signal(signal.SIGKILL)
        else:
            process.stderr.read()
        process.wait()
        now = {path.name: path.stat().st_mtime_ns for path in out.glob("*.jpg")}
        touched += sum(now.get(name) != stamp for name, stamp in finished.items())
        rows.append(len(now))
        finished = now
    records = [json.loads(line) for line in (out / "moebius-batch.jsonl").read_text().splitlines() if line]
    hashes = {row["photo"]: row["sha256"] for row in records}
    right = sum(hashlib.sha256((out / name).read_bytes()).hexdigest() == sha for name, sha in hashes.items())
    return {
        "photos": len(list((folder / "photos").iterdir())),
        "results": len(finished),
        "as_recorded": right,
        "finished_and_written_again": touched,
        "records": len(records),
        "results_after_each_run": rows,
        "left_behind": [path.name for path in out.glob(".moebius-*")],
    }


def compared(first: Path, second: Path) -> dict:
    """Results of two runs, byte by byte."""
    names = sorted(path.name for path in first.glob("*.jpg"))
    same = sum(
        (second / name).is_file() and (first / name).read_bytes() == (second / name).read_bytes() for name in names
    )
    return {"results": len(names), "identical": same}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "time", "kill", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    own, _, rest = (
        (sys.argv[1:], None, [])
        if "--" not in sys.argv
        else (sys.argv[1 : sys.argv.index("--")], None, sys.argv[sys.argv.index("--") + 1 :])
    )
    options = parser.parse_args(own)
    if options.what == "make":
        make(options.folder, options.count)
        return 0
    result = {
        "time": lambda: timed(options.folder, options.out, rest),
        "kill": lambda: killed(options.folder, options.out, options.kills, options.seed, rest),
        "compare": lambda: compared(options.folder, options.out),
    }[options.what]()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
