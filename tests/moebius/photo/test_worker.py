"""Photo files in processes of their own: the same results, and a death is an error in words that disturbs nobody."""

import io
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from moebius.photo import messages, photo_file, worker
from moebius.photo.photo_file import PhotoError
from moebius.photo.worker import PhotoWorkers
from tests.helpers.deterministic import picture

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
PIXELS = picture(1, 64)
CHANGED = np.zeros((64, 64), bool)
CHANGED[10:20, 30:50] = True


@pytest.fixture(scope="module")
def workers():
    workers = PhotoWorkers(count=2)
    yield workers
    workers.close()


def encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(out, kind, **options)
    return out.getvalue()


def deep_tiff() -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, PIXELS.astype(np.uint16) * 257, photometric="rgb")
    return out.getvalue()


FILES = {
    "JPEG": lambda: encoded("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    "RGBA PNG": lambda: encoded("PNG", "RGBA"),
    "palette": lambda: encoded("PNG", "P"),
    "1 bit": lambda: encoded("PNG", "1"),
    "grey with alpha": lambda: encoded("PNG", "LA"),
    "CMYK": lambda: encoded("JPEG", "CMYK"),
    "16-bit grey": lambda: encoded("PNG", "I;16"),
    "16-bit TIFF": deep_tiff,
    "WebP": lambda: encoded("WEBP"),
}


def pixels(raster) -> np.ndarray:
    return raster if isinstance(raster, np.ndarray) else np.asarray(raster)


def painted(raster):
    if isinstance(raster, np.ndarray):
        return np.where(CHANGED[..., None], 999, raster).astype(np.uint16)
    out = raster.copy()
    out.paste(raster.crop((0, 0, 20, 10)), (30, 10))
    return out


@pytest.mark.parametrize("name", FILES)
def test_the_same_as_in_one_process(workers, name):
    data = FILES[name]()
    here, there = photo_file.open_photo(data, "a"), workers.open_photo(data, "a")
    np.testing.assert_array_equal(pixels(there.raster), pixels(here.raster))
    assert there.data == data and there.size == here.size
    assert (there.format, there.orientation, there.name, there.notes) == (
        here.format,
        here.orientation,
        here.name,
        here.notes,
    )
    if isinstance(here.raster, Image.Image):
        assert (there.raster.mode, there.raster.info) == (here.raster.mode, here.raster.info)
    for suffix in (None, ".png"):
        expected = photo_file.encode_photo(here, painted(here.raster), CHANGED, suffix, "edited")
        assert workers.encode_photo(there, painted(there.raster), CHANGED, suffix, "edited") == expected
    nothing = np.zeros_like(CHANGED)
    assert workers.encode_photo(there, there.raster, nothing).data == data


def test_masks_limits_and_errors_are_the_same(workers, tmp_path, monkeypatch):
    Image.fromarray(CHANGED).save(tmp_path / "m.png")
    np.testing.assert_array_equal(workers.open_mask(tmp_path / "m.png", (64, 64)), CHANGED)
    for call in (photo_file, workers):
        with pytest.raises(PhotoError, match="m.png: the mask"):
            call.open_mask(tmp_path / "m.png", (9, 9))
        with pytest.raises(PhotoError, match="x.jpg is text"):
            call.open_photo(b"a letter, which is longer than a few words", "x.jpg")
        with pytest.raises(PhotoError, match="does not exist"):
            call.open_photo(tmp_path / "none.jpg")
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "4000")
    with pytest.raises(PhotoError, match="MOEBIUS_MAX_PIXELS"):
        workers.open_photo(encoded("PNG"))


def in_thread(call) -> tuple[threading.Thread, list]:
    results = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def under_way(workers: PhotoWorkers, pid: int, call) -> tuple[threading.Thread, list]:
    """In a thread, once it talks to the process `pid`, which was idle: one that dies earlier is started anew."""
    thread, results = in_thread(call)
    while any(one.pid == pid for one in list(workers._idle)) or not talks(thread):
        pass
    return thread, results


def talks(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident)
    while frame and frame.f_code not in (messages.send.__code__, messages.receive.__code__):
        frame = frame.f_back
    return frame is not None


@pytest.mark.parametrize("moment", ["before the file is read", "while it is decoded", "while it is encoded"])
def test_a_death_is_an_error_in_words_and_keeps_nobody_waiting(workers, moment):
    """The process is halted, so that the call cannot end; another visitor is served; then it is killed."""
    data = encoded("JPEG")
    photo = workers.open_photo(data)
    if moment.startswith("before"):
        data += bytes(2**22)  # more than a pipe holds: it dies while the file is being sent
    call = (lambda: workers.encode_photo(photo, photo.raster, CHANGED)) if "encoded" in moment else None
    pid = workers._idle[-1].pid
    os.kill(pid, signal.SIGSTOP)
    thread, results = under_way(workers, pid, call or (lambda: workers.open_photo(data, "bad.jpg")))
    assert workers.open_photo(encoded("PNG"), "good.png").size == (64, 64)
    assert thread.is_alive()
    os.kill(pid, signal.SIGKILL)
    thread.join()
    assert isinstance(results[0], PhotoError) and "crashed the decoder; save it again" in str(results[0])
    assert workers.open_photo(data).size == (64, 64)
    assert pid not in workers.pids and len(workers.pids) <= 2


def test_where_all_processes_are_busy_a_call_waits_and_one_that_died_is_started_anew():
    one = PhotoWorkers(count=1)
    one.start()
    pid = one.pids[0]
    os.kill(pid, signal.SIGSTOP)
    first, refused = under_way(one, pid, lambda: one.open_photo(encoded("PNG")))
    second, opened = in_thread(lambda: one.open_photo(encoded("PNG")))
    os.kill(pid, signal.SIGKILL)
    first.join(), second.join()
    assert isinstance(refused[0], PhotoError) and isinstance(opened[0], photo_file.Photo), (refused, opened)
    process = one._idle[0]._process
    os.kill(process.pid, signal.SIGKILL)  # while it is idle: nobody hears of that
    process.wait()
    assert one.open_photo(encoded("PNG")).size == (64, 64)
    one.close()
    assert one.pids == []


def test_a_file_that_takes_too_long_is_given_up():
    workers = PhotoWorkers(max_seconds=0.05)
    workers.start()
    os.kill(workers.pids[0], signal.SIGSTOP)
    with pytest.raises(PhotoError, match="slow.png took longer than 0 s"):
        workers.open_photo(encoded("PNG"), "slow.png")
    workers.close()


@pytest.mark.parametrize(("megapixels", "seconds"), [(0, 30), (12, 54), (1000, 180)])
def test_the_time_that_a_file_may_take_goes_by_its_pixels(megapixels, seconds):
    assert PhotoWorkers()._seconds(megapixels * 10**6) == seconds


def test_more_time_is_counted_from_the_beginning():
    deadline = worker._Deadline(worker._Process(), 50)
    deadline.extend(40)
    assert deadline._timer.interval <= 50
    deadline.extend(1000)
    assert 950 < deadline._timer.interval <= 1000 and not deadline.expired
    deadline.cancel()


def test_a_process_that_is_not_itself_any_more_has_crashed(monkeypatch):
    monkeypatch.setattr(worker, "_PROGRAM", "import sys; sys.stdout.buffer.write(bytes([255] * 64)); sys.stdin.read()")
    workers = PhotoWorkers()
    with pytest.raises(PhotoError, match="bad.png crashed the decoder"):
        workers.open_photo(encoded("PNG"), "bad.png")
    workers.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_the_process_has_neither_network_nor_page_nor_secrets_nor_new_privileges(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    workers = PhotoWorkers()
    workers.open_photo(encoded("PNG"))
    folder = Path(f"/proc/{workers.pids[0]}")
    maps, variables, status = (folder / "maps").read_text(), (folder / "environ").read_bytes(), folder / "status"
    assert "torch" not in maps and "gradio" not in maps and b"secret" not in variables
    assert "NoNewPrivs:\t1" in status.read_text()
    assert int((folder / "oom_score_adj").read_text()) >= 500
    workers.close()
