"""Many photos: who is paired with whom, what is done once, and that a killed run loses nothing that was finished."""

import argparse
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moebius import model_cache, registry
from moebius.__main__ import main
from moebius.batch import plan
from moebius.batch import run as batch_run
from moebius.batch.plan import BatchItem
from moebius.batch.records import Records, RecordsFile, key_of
from moebius.commands import batch as commands_batch
from moebius.config import SamplingConfig
from moebius.inpainters.base import Inpainter
from moebius.inpainters.diffusion import DenoiserInpainter
from moebius.photo import worker
from moebius.progress import Cancelled
from tests.helpers.deterministic import picture
from tests.helpers.forked import Command
from tests.helpers.one_by_one import OneByOne
from tests.helpers.standin_weights import write_published

ROOT = Path(__file__).parents[3]
HOLE = (20, 10, 40, 30)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MOEBIUS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)


def save_photo(path: Path, seed: int = 1, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, 64)).save(path, **options)
    return path


def save_mask(path: Path, size=(64, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    mask.paste(255, HOLE)
    mask.save(path)
    return path


@pytest.fixture
def mask(tmp_path) -> Path:
    return save_mask(tmp_path / "mask.png")


def folder_of(tmp_path: Path, count: int) -> Path:
    for index in range(count):
        save_photo(tmp_path / "in" / f"day{index % 2}" / f"{index:03}.jpg", index, quality=90)
    return tmp_path / "in"


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(out).items() if not name.startswith(("moebius-batch", ".moebius-batch"))}


def command(*arguments) -> list[str]:
    return ["batch", *map(str, arguments), "--model", "classical"]


def told(capfd, *arguments, status: int = 0) -> dict:
    assert main([*command(*arguments), "--json"]) == status
    return json.loads(capfd.readouterr().out)


class Grey(OneByOne):
    """Fills with grey, and remembers what it was asked."""

    name, size = "grey", None

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def fill_square(self, image, mask, config, generator, progress):
        self.seeds.append(generator.initial_seed())
        return np.full(image.shape, 128, np.float32)


def task(model: Inpainter, **fields) -> batch_run.Task:
    return batch_run.Task(**{"load": lambda: model, "config": SamplingConfig(), "seed": 7, "identity": {}} | fields)


def run(items, work, out: Path, workers: int = 2) -> list[batch_run.Outcome]:
    out.mkdir(exist_ok=True)
    with RecordsFile(out) as records:
        return list(batch_run.run(items, work, out, records, workers))


# ---- who is paired with whom ----


def pairs(items: list[plan.BatchItem], root: Path) -> dict[str, str | None]:
    return {item.name: item.mask and item.mask.relative_to(root).as_posix() for item in items}


def test_a_mask_beside_its_photo(tmp_path):
    for name in ("a.jpg", "sub/b.JPG", "c.png", "x_mask.jpg"):
        save_photo(tmp_path / name.lower()).rename(tmp_path / name)
    for name in ("a_mask.png", "sub/b_mask.tif"):
        save_mask(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    save_photo(tmp_path / ".hidden.png"), save_photo(tmp_path / ".trash" / "d.png")
    items = plan.plan(tmp_path, None, tmp_path / "out")
    assert pairs(items, tmp_path) == {
        "a.jpg": "a_mask.png",
        "c.png": None,
        "sub/b.JPG": "sub/b_mask.tif",
        "x_mask.jpg": None,  # a mask of nothing: perhaps a photo
    }
    assert [item.output.relative_to(tmp_path).as_posix() for item in items][2] == "out/sub/b.JPG"
    assert [item.problem for item in items if item.name == "c.png"] == [
        f"it has no mask; put c_mask.png into {tmp_path}"
    ]


def test_a_folder_of_masks_and_one_mask_for_all(tmp_path):
    for name in ("a.jpg", "sub/a.jpg", "sub/b.png", "sub/c.png"):
        save_photo(tmp_path / "in" / name)
    for name in ("a.png", "sub/a_mask.png", "sub/b.png", "sub/b_mask.png"):
        save_mask(tmp_path / "in" / "masks" / name)
    save_photo(tmp_path / "in" / "done" / "old.jpg")
    items = plan.plan(tmp_path / "in", tmp_path / "in" / "masks", tmp_path / "in" / "done")  # both lie inside
    assert pairs(items, tmp_path / "in") == {
        "a.jpg": "masks/a.png",
        "sub/a.jpg": "masks/sub/a_mask.png",
        "sub/b.png": None,
        "sub/c.png": None,
    }
    assert "several masks (b.png, b_mask.png)" in items[2].problem and "put c.png into" in items[3].problem
    one = tmp_path / "in" / "masks" / "a.png"
    items = plan.plan(tmp_path / "in" / "sub", one, tmp_path / "out")
    assert {item.mask for item in items} == {one} and [item.name for item in items] == ["a.jpg", "b.png", "c.png"]
    assert [item.name for item in plan.plan(tmp_path / "in" / "a.jpg", one, tmp_path / "out")] == ["a.jpg"]


def test_names_are_compared_without_case_and_encoding_where_one_photo_is_called_so(tmp_path):
    accent, split = unicodedata.normalize("NFC", "Café"), unicodedata.normalize("NFD", "Café")
    for name in (f"{accent}/{accent}.jpg", "IMG_1.JPG", "IMG_2.JPG", "IMG_3.JPG", "x.jpg", "X.jpg"):
        save_photo(tmp_path / "in" / name)
    for name in (f"{split}/{split}.png", "img_1.png", "IMG_2_MASK.PNG", "IMG_3.JPG.png", "x.png"):
        save_mask(tmp_path / "m" / name)
    items = plan.plan(tmp_path / "in", tmp_path / "m", tmp_path / "out")
    assert pairs(items, tmp_path / "m") == {
        f"{accent}/{accent}.jpg": f"{split}/{split}.png",
        "IMG_1.JPG": "img_1.png",
        "IMG_2.JPG": "IMG_2_MASK.PNG",
        "IMG_3.JPG": "IMG_3.JPG.png",
        "X.jpg": None,  # the mask x.png is that of x.jpg
        "x.jpg": "x.png",
    }


def test_what_storage_systems_and_batches_leave_is_no_photo(tmp_path):
    save_photo(tmp_path / "x.jpg")
    for folder in ("@eaDir/x.jpg", "#recycle", "old results"):
        save_photo(tmp_path / folder / "y.jpg")
    (tmp_path / "old results" / "moebius-batch.jsonl").write_text("")
    items = plan.plan(tmp_path, save_mask(tmp_path / "masks" / "m.png"), tmp_path / "out")
    assert [item.name for item in items if item.name != "masks/m.png"] == ["x.jpg"]


def test_one_mask_is_turned_for_photos_that_the_camera_turned(tmp_path):
    pixels, exif = Image.fromarray(picture(1, 64)).crop((0, 0, 64, 48)), Image.Exif()
    exif[274] = 6
    (tmp_path / "in").mkdir()
    pixels.save(tmp_path / "in" / "lying.png")
    pixels.save(tmp_path / "in" / "upright.png", exif=exif)
    mask = save_mask(tmp_path / "mask.png", pixels.size)
    items = plan.plan(tmp_path / "in", mask, tmp_path / "out")
    assert [outcome.state for outcome in run(items, task(Grey()), tmp_path / "out")] == ["done", "done"]
    lying, upright = (np.asarray(Image.open(tmp_path / "out" / name)) for name in ("lying.png", "upright.png"))
    np.testing.assert_array_equal(lying, upright)  # as stored


def test_a_mistake_in_the_call_is_one_line_and_writes_nothing(tmp_path, mask, capfd):
    photos = folder_of(tmp_path, 2)
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for arguments, part in (
        ((tmp_path / "none", "--masks", mask, "-o", out), "does not exist"),
        ((photos, "--masks", tmp_path / "none", "-o", out), "does not exist"),
        ((tmp_path / "empty", "--masks", mask, "-o", out), "there is no photo in"),
        ((photos, "--masks", mask, "-o", photos), "is the folder of the photos"),
        ((photos, "--masks", mask, "-o", mask), "is a file"),
        ((photos, "--masks", mask, "-o", out, "--workers", "0"), "--workers must be at least 1"),
        ((photos, "--masks", mask, "-o", out, "--seed", "-1"), "--seed must be"),
        ((photos, "--masks", mask, "-o", out, "--steps", "0"), "num_inference_steps must be"),
    ):
        assert main(command(*arguments)) == 2
        seen = capfd.readouterr()
        assert part in seen.err and seen.err.count("\n") == 1 and seen.out == ""
    assert not out.exists()


def test_processes_share_the_work_and_each_photo_is_done_once(tmp_path, mask, capfd, monkeypatch):
    photos, out = folder_of(tmp_path, 7), tmp_path / "out"
    items = plan.plan(photos, mask, out)
    for count in (1, 2, 3, 10):
        shared = [item.name for rank in range(count) for item in plan.share(items, rank, count)]
        assert sorted(shared) == [item.name for item in items]
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, share in ((0, 4), (1, 3)):
        monkeypatch.setenv("RANK", str(rank))
        report = told(capfd, photos, "--masks", mask, "-o", out)
        assert (report["filled"], report["finished_before"], report["process"]) == (share, 0, [rank, 2])
    assert len(results(out)) == 7
    lines = [path.read_text().splitlines() for path in sorted(out.glob("*.jsonl"))]
    assert [len(part) for part in lines] == [4, 3]
    monkeypatch.delenv("RANK"), monkeypatch.delenv("WORLD_SIZE")
    assert told(capfd, photos, "--masks", mask, "-o", out)["finished_before"] == 7  # seen by a single process
    for rank in ("2", "one"):
        monkeypatch.setenv("RANK", rank), monkeypatch.setenv("WORLD_SIZE", "2")
        assert main(command(photos, "--masks", mask, "-o", out)) == 2
        assert "RANK must be" in capfd.readouterr().err


def test_two_processes_of_accelerate(tmp_path, mask):
    """The real launcher, which starts processes like those for GPUs also where there is none."""
    photos, out = folder_of(tmp_path, 6), tmp_path / "out"
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    plain = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    line = [sys.executable, "-m", *launch, *plain, "-m", "moebius", *command(photos, "--masks", mask, "-o", out)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    reports = [json.loads((out / f"moebius-batch.{rank}.report.json").read_text()) for rank in range(2)]
    assert [(report["filled"], report["failed"]) for report in reports] == [(3, []), (3, [])]
    assert len(results(out)) == 6


# ---- what it does ----


def test_formats_and_metadata_stay_and_only_the_hole_changes(tmp_path, mask, capfd):
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    save_photo(tmp_path / "in" / "a.jpg", 1, exif=exif, quality=95)
    save_photo(tmp_path / "in" / "sub" / "b.png", 2)
    report = told(capfd, tmp_path / "in", "--masks", mask, "-o", tmp_path / "out", "--feather", "0")
    assert (report["filled"], report["failed"], report["exit_status"]) == (2, [], 0)
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.format == "JPEG" and image.getexif()[0x010F] == "Camera maker"
    before, after = picture(2, 64), np.asarray(Image.open(tmp_path / "out" / "sub" / "b.png"))
    differs = (before != after).any(axis=2)
    left, top, right, bottom = HOLE
    assert differs[top:bottom, left:right].mean() > 0.9 and differs.sum() == differs[top:bottom, left:right].sum()


def test_finished_photos_are_left_alone_and_what_changed_is_done_anew(tmp_path, mask, capfd):
    photos, out = folder_of(tmp_path, 4), tmp_path / "out"
    assert told(capfd, photos, "--masks", mask, "-o", out)["filled"] == 4
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    report = told(capfd, photos, "--masks", mask, "-o", out)
    assert (report["filled"], report["finished_before"]) == (0, 4)
    assert stamps == {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}

    save_photo(photos / "day0" / "000.jpg", 99)  # another photo
    (out / "day1" / "001.jpg").unlink()
    report = told(capfd, photos, "--masks", mask, "-o", out)
    assert (report["filled"], report["finished_before"]) == (2, 2)
    report = told(capfd, photos, "--masks", mask, "-o", out, "--feather", "1")  # another setting
    assert (report["filled"], report["finished_before"]) == (4, 0)
    save_mask(mask).write_bytes(save_mask(tmp_path / "other.tif").read_bytes())  # the same hole in another file
    assert told(capfd, photos, "--masks", mask, "-o", out, "--feather", "1")["filled"] == 4


def test_other_files_in_the_way_are_not_replaced_unless_told(tmp_path, mask, capfd):
    photos, out = folder_of(tmp_path, 2), tmp_path / "out"
    own = save_photo(out / "day0" / "000.jpg", 50)
    before = own.read_bytes()
    report = told(capfd, photos, "--masks", mask, "-o", out, status=1)
    assert [row["photo"] for row in report["failed"]] == ["day0/000.jpg"]
    assert "is not what a batch has written" in report["failed"][0]["error"] and own.read_bytes() == before
    assert told(capfd, photos, "--masks", mask, "-o", out, "--overwrite")["filled"] == 1
    assert own.read_bytes() != before
    save_photo(own, 51)  # edited by hand since
    assert told(capfd, photos, "--masks", mask, "-o", out, status=1)["finished_before"] == 1


def test_errors_stop_nothing_and_stand_in_the_report(tmp_path, capfd):
    photos, out = tmp_path / "in", tmp_path / "out"
    for index, name in enumerate(("1good.png", "3small.png", "4nomask.png", "6good.png")):
        save_photo(photos / name, index)
    (photos / "2broken.jpg").write_bytes(save_photo(tmp_path / "whole.jpg").read_bytes()[:300])
    (photos / "5empty.jpg").touch()
    for name in ("1good", "2broken", "5empty", "6good"):
        save_mask(photos / f"{name}_mask.png")
    save_mask(photos / "3small_mask.png", size=(50, 64))
    assert main(command(photos, "-o", out)) == 1
    seen = capfd.readouterr()
    assert "2 photos filled by PatchMatch" in seen.out and "4 failed" in seen.out
    assert "6 of 6, " in seen.err.splitlines()[-1] and ": 2broken.jpg failed: " in seen.err
    assert sorted(results(out)) == ["1good.png", "6good.png"]
    report = json.loads((out / "moebius-batch.report.json").read_text())
    errors = {row["photo"]: row["error"] for row in report["failed"]}
    assert list(errors) == ["2broken.jpg", "3small.png", "4nomask.png", "5empty.jpg"]
    assert "2broken.jpg" in errors["2broken.jpg"] and "is empty" in errors["5empty.jpg"]
    assert "50×64" in errors["3small.png"] and "put 4nomask_mask.png into" in errors["4nomask.png"]


def test_dry_run_writes_nothing(tmp_path, mask, capfd):
    photos, out = folder_of(tmp_path, 3), tmp_path / "out"
    before = tree(tmp_path)
    report = told(capfd, photos, "--masks", mask, "-o", out, "--dry-run")
    assert [name for name, *_ in report["would_fill"]] == ["day0/000.jpg", "day0/002.jpg", "day1/001.jpg"]
    assert tree(tmp_path) == before and not out.exists()
    told(capfd, photos, "--masks", mask, "-o", out)
    save_photo(photos / "new.jpg"), (photos / "gone.jpg").symlink_to(photos / "nowhere.jpg")
    before = tree(tmp_path)
    assert main(command(photos, "--masks", mask, "-o", out, "--dry-run")) == 0
    assert "2 to fill, 3 finished before, 0 would fail; nothing was written" in capfd.readouterr().out
    assert tree(tmp_path) == before


def test_results_stay_in_their_folder(tmp_path, mask, capfd):
    photos, out, elsewhere = folder_of(tmp_path, 4), tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir(), out.mkdir()
    victim = save_photo(elsewhere / "victim.jpg")
    before = tree(elsewhere)
    (out / "day0").symlink_to(elsewhere)  # a folder that leads out
    (out / "day1").mkdir()
    (out / "day1" / "001.jpg").symlink_to(victim)  # a file that leads out
    (photos / "loop").symlink_to(photos)  # not followed
    report = told(capfd, photos, "--masks", mask, "-o", out, "--overwrite", status=1)
    assert {row["photo"] for row in report["failed"]} == {"day0/000.jpg", "day0/002.jpg", "day1/001.jpg"}
    assert all("a link that leads out" in row["error"] for row in report["failed"])
    assert tree(elsewhere) == before and report["filled"] == 1


def test_folders_that_cannot_be_searched_fail_by_name(tmp_path, mask, monkeypatch):
    photos, elsewhere, scandir = folder_of(tmp_path, 4), tmp_path / "elsewhere", os.scandir
    save_photo(elsewhere / "other.jpg")
    (photos / "archive").symlink_to(elsewhere)
    (photos / "again").symlink_to(photos / "day1")  # its photos are found where they are

    def refuse(folder="."):
        if str(folder).endswith("day0"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    problems = {item.name: item.problem for item in plan.plan(photos, mask, tmp_path / "out")}
    assert {name for name, problem in problems.items() if not problem} == {"day1/001.jpg", "day1/003.jpg"}
    assert problems["day0"] == "this folder cannot be read: Permission denied"
    assert problems["archive"].startswith("this folder is a link, which is not followed") and len(problems) == 4


CRASHING = """
import os, signal
from moebius.photo import photo_file, worker_process
open_photo = photo_file.open_photo

def crash(data, name=None):
    if b"ends its decoder" in data:
        os.kill(os.getpid(), signal.SIGKILL)
    return open_photo(data, name)

photo_file.open_photo = crash
worker_process.serve()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_photo_that_crashes_native_code_fails_alone_and_is_done_when_it_is_mended(tmp_path, mask, monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", CRASHING)
    photos, out, workers = folder_of(tmp_path, 4), tmp_path / "out", worker.PhotoWorkers()
    save_photo(photos / "day1" / "001.jpg", comment=b"this ends its decoder")
    work = task(Grey(), files=workers)
    states = {one.item.name: one for one in run(plan.plan(photos, mask, out), work, out)}
    assert [name for name, one in states.items() if one.state != "done"] == ["day1/001.jpg"]
    assert "001.jpg crashed the decoder" in states["day1/001.jpg"].error
    save_photo(photos / "day1" / "001.jpg")
    again = {one.item.name: one.state for one in run(plan.plan(photos, mask, out), work, out)}
    assert [name for name, state in again.items() if state == "done"] == ["day1/001.jpg"]
    workers.close()


def test_a_batch_of_the_command_line_decodes_apart():
    parser = argparse.ArgumentParser()
    commands_batch.add(parser.add_subparsers())
    options = parser.parse_args(["batch", "photos", "-o", "out"])
    load_options = registry.LoadOptions()
    made = commands_batch._task(options, registry.card("classical"), load_options, 0, lambda share, text: None)
    assert made.files is worker.shared()


def test_every_photo_is_filled_from_the_seed_that_was_given(tmp_path, mask):
    """So that a photo comes out of a batch as it does alone with `inpaint --seed 7`."""
    items = plan.plan(folder_of(tmp_path, 4), mask, tmp_path / "out")
    model = Grey()
    assert [outcome.state for outcome in run(items, task(model), tmp_path / "out")] == ["done"] * 4
    rows = [json.loads(line) for line in (tmp_path / "out" / "moebius-batch.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == model.seeds == [7] * 4


def test_the_student_fills_a_batch(tmp_path, mask, capfd, monkeypatch):
    weights = write_published(tmp_path / "weights", small=True)
    photos, out = folder_of(tmp_path, 2), tmp_path / "out"
    arguments = ["batch", f"{photos}", "--masks", f"{mask}", "-o", f"{out}", "--weights", f"{weights}", "--steps", "2"]
    model_cache.release()
    for seed, filled in (("3", 2), ("3", 0), ("4", 2)):
        assert main([*arguments, "--seed", seed, "--json"]) == 0
        report = json.loads(capfd.readouterr().out)
        assert (report["model"], report["filled"], report["finished_before"]) == ("moebius", filled, 2 - filled)
    model_cache.release()


def test_photos_that_share_a_call_come_out_as_they_do_alone(tmp_path, mask, capfd, monkeypatch):
    weights, photos = write_published(tmp_path / "weights", small=True), folder_of(tmp_path, 3)
    calls, real = [], DenoiserInpainter.fill_squares

    def counted(self, pictures, *rest):
        calls.append(len(pictures))
        return real(self, pictures, *rest)

    monkeypatch.setattr(DenoiserInpainter, "fill_squares", counted)
    filled = {}
    for size in (1, 2):
        out = tmp_path / f"out{size}"
        arguments = ["batch", f"{photos}", "--masks", f"{mask}", "-o", f"{out}", "--weights", f"{weights}"]
        assert main([*arguments, "--steps", "2", "--seed", "3", "--batch-size", f"{size}", "--json"]) == 0
        report = json.loads(capfd.readouterr().out)
        assert (report["model"], report["filled"], report["failed"]) == ("moebius", 3, [])
        filled[size] = {name: np.asarray(Image.open(out / name)).astype(int) for name in results(out)}
    model_cache.release()
    assert calls == [1, 1, 1, 2, 1] and len(filled[1]) == 3
    for name, alone in filled[1].items():
        assert np.abs(filled[2][name] - alone).max() <= 2, name  # a batch sums in another order; then JPEG


# ---- threads ----


def test_few_photos_are_open_at_a_time(tmp_path, mask, monkeypatch):
    items = plan.plan(folder_of(tmp_path, 20), mask, tmp_path / "out")
    open_now, most, lock = set(), [], threading.Lock()
    real_open, real_write = batch_run._read_unless_finished, batch_run._write

    def opened(item, *rest):
        with lock:
            open_now.add(item.name)
            most.append(len(open_now))
        return real_open(item, *rest)

    def written(item, *rest):
        try:
            return real_write(item, *rest)
        finally:
            with lock:
                open_now.discard(item.name)

    monkeypatch.setattr(batch_run, "_read_unless_finished", opened)
    monkeypatch.setattr(batch_run, "_write", written)
    assert len(run(items, task(Grey()), tmp_path / "out", workers=3)) == 20
    assert 3 <= max(most) <= 3 + 1 + 1  # ahead, in hand, behind


def test_one_run_at_a_time_and_a_full_disk_ends_it(tmp_path, mask, capfd, monkeypatch):
    photos, out = folder_of(tmp_path, 3), tmp_path / "out"
    out.mkdir()
    with RecordsFile(out):
        assert main(command(photos, "--masks", mask, "-o", out)) == 2
        assert "another batch is writing into" in capfd.readouterr().err

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("moebius.files.os.replace", full)
    assert main(command(photos, "--masks", mask, "-o", out)) == 2
    assert "No space left" in capfd.readouterr().err and results(out) == {}
    monkeypatch.undo()
    assert told(capfd, photos, "--masks", mask, "-o", out)["filled"] == 3


def test_ctrl_c_says_that_it_goes_on(tmp_path, mask, capfd, monkeypatch):
    from moebius.inpainters.classical import ClassicalInpainter

    photos, out = folder_of(tmp_path, 3), tmp_path / "out"
    real, calls = ClassicalInpainter.fill_square, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(ClassicalInpainter, "fill_square", interrupted)
    assert main(command(photos, "--masks", mask, "-o", out)) == 130
    assert "the same command resumes" in capfd.readouterr().err.splitlines()[-1]
    assert len(results(out)) == 2
    assert told(capfd, photos, "--masks", mask, "-o", out)["finished_before"] == 2


# ---- records ----


def test_records_survive_torn_lines_and_know_our_files(tmp_path):
    output = tmp_path / "a.png"
    key = key_of(b"photo", b"mask", {"steps": 3})
    assert key != key_of(b"photo", b"mask", {"steps": 4}) != key_of(b"photom", b"ask", {"steps": 3})
    (tmp_path / "moebius-batch.jsonl").write_bytes(b'[1]\n{"photo": "a.png", "key": "')
    sha = hashlib.sha256(b"result").hexdigest()
    with RecordsFile(tmp_path) as records:
        assert Records.read(tmp_path).state("a.png", key, output) == "missing"
        records.append({"photo": "a.png", "key": key, "sha256": sha})
    found = Records.read(tmp_path)
    assert found.state("a.png", key, output) == "missing"  # the line is there, the file is not
    output.write_bytes(b"result")
    assert found.state("a.png", key, output) == "finished"
    assert found.state("a.png", "another", output) == "ours"
    output.write_bytes(b"edited")
    assert found.state("a.png", key, output) == found.state("b.png", key, output) == "foreign"


def test_a_second_run_is_refused_also_without_fcntl_as_on_windows(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with RecordsFile(tmp_path), pytest.raises(ValueError, match="another batch is writing into"):
        RecordsFile(tmp_path).__enter__()
    with RecordsFile(tmp_path), RecordsFile(tmp_path, 1, 2):  # another process's part is another file
        pass


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_share_without_locks_is_written_to_and_it_is_said(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with RecordsFile(tmp_path) as records:
        records.append({"photo": "a"})
        assert records.path.read_bytes() == b'{"photo": "a"}\n'
        assert "no file locks" in records.note
    assert not list(tmp_path.glob("*.lock.*"))


def test_the_page_may_end_a_batch_in_another_thread_than_it_began_in(tmp_path):
    records = RecordsFile(tmp_path).__enter__()
    ending = threading.Thread(target=records.__exit__, args=(None, None, None))
    ending.start()
    ending.join()
    with RecordsFile(tmp_path):
        pass


def test_a_killed_run_goes_on_and_does_nothing_twice(tmp_path, mask):
    """Killed after a random number of photos, three times; then finished, and compared with a run in one go."""
    photos, out, whole = folder_of(tmp_path, 24), tmp_path / "out", tmp_path / "whole"
    assert main(command(photos, "--masks", mask, "-o", whole)) == 0
    expected, draw = results(whole), random.Random(5)
    finished: dict[str, int] = {}
    for lines in (draw.randrange(1, 6), draw.randrange(1, 6), draw.randrange(1, 6), None):
        process = Command("moebius", *command(photos, "--masks", mask, "-o", out), environment=os.environ)
        seen = 0
        for line in process.stderr:
            seen += " filled" in line
            if seen == lines:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.stderr.close()
        assert process.wait() == (0 if lines is None else -signal.SIGKILL)
        now = {name: (out / name).stat().st_mtime_ns for name in results(out) if name.endswith(".jpg")}
        assert finished.items() <= now.items()  # what was finished was not touched
        assert len(now) >= len(finished) + (lines or 0)
        assert all((out / name).read_bytes() == expected[name] for name in now)  # none is torn
        finished = now
    assert results(out) == expected
    rows = [json.loads(line) for line in (out / "moebius-batch.jsonl").read_text().splitlines() if line]
    assert 24 <= len(rows) <= 24 + 3  # each kill costs at most the one that was being written


# ---- being stopped from outside ----


def test_cancelled_gives_what_is_being_written_and_nothing_after_it(tmp_path, mask):
    items, out = plan.plan(folder_of(tmp_path, 5), mask, tmp_path / "out"), tmp_path / "out"
    out.mkdir()

    def told(item, share, text):
        if item is items[2]:
            raise Cancelled

    seen = []
    with RecordsFile(out) as records, pytest.raises(Cancelled):
        for outcome in batch_run.run(items, task(Grey()), out, records, 2, told):
            seen.append((outcome.item.name, outcome.state))
    assert seen == [(item.name, "done") for item in items[:2]]
    assert [item.output.exists() for item in items] == [True, True, False, False, False]

    items[3].photo.write_bytes(b"")
    with RecordsFile(out) as records:
        going = batch_run.run(items, task(Grey()), out, records, 2)
        states = [next(going).state for _ in range(3)]
        rest = going.throw(Cancelled())  # between two outcomes, while the third photo is written
        with pytest.raises(Cancelled):
            next(going)
    assert states == ["finished", "finished", "failed"]
    assert (rest.item, rest.state) == (items[2], "done") and items[2].output.exists() and not items[4].output.exists()


def test_masks_are_grown_where_the_item_says_so_and_are_other_work_then(tmp_path):
    def fill(name: str, grow_mask: float, grows: bool) -> tuple[int, str]:
        out = tmp_path / name
        item = BatchItem(name="a.png", photo=photo, mask=mask, output=out / "a.png", grows=grows)
        outcomes = run([item], task(Grey(), config=SamplingConfig(feather_px=0), grow_mask=grow_mask), out)
        assert [one.state for one in outcomes] == ["done"], outcomes
        row = json.loads((out / "moebius-batch.jsonl").read_text())
        return row["changed_pixels"], row["key"]

    photo, mask = save_photo(tmp_path / "a.png"), save_mask(tmp_path / "a_mask.png")
    plain, grown, file = fill("one", 0, True), fill("two", 0.05, True), fill("three", 0.05, False)
    assert plain[0] == 20 * 20 and grown[0] == 20 * 20 + 4 * 20  # by one pixel, without corners
    assert file == plain and grown[1] != plain[1]
