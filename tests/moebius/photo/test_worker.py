"""Photo files in a process of its own: the same results, and its death is an error in words that disturbs nobody."""

import io
import os
import signal
import threading

import numpy as np
import pytest
import tifffile
from PIL import Image

from moebius.photo import photo_file
from moebius.photo.photo_file import PhotoError
from moebius.photo.worker import PhotoWorker
from tests.helpers.deterministic import picture

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
PIXELS = picture(1, 64)
CHANGED = np.zeros((64, 64), bool)
CHANGED[10:20, 30:50] = True


@pytest.fixture(scope="module")
def worker():
    worker = PhotoWorker()
    yield worker
    worker.close()


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
def test_the_same_as_in_one_process(worker, name):
    data = FILES[name]()
    here, there = photo_file.open_photo(data, "a"), worker.open_photo(data, "a")
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
        assert worker.encode_photo(there, painted(there.raster), CHANGED, suffix, "edited") == expected
    nothing = np.zeros_like(CHANGED)
    assert worker.encode_photo(there, there.raster, nothing).data == data


def test_masks_limits_and_errors_are_the_same(worker, tmp_path, monkeypatch):
    Image.fromarray(CHANGED).save(tmp_path / "m.png")
    np.testing.assert_array_equal(worker.open_mask(tmp_path / "m.png", (64, 64)), CHANGED)
    for call in (photo_file, worker):
        with pytest.raises(PhotoError, match="m.png: the mask"):
            call.open_mask(tmp_path / "m.png", (9, 9))
        with pytest.raises(PhotoError, match="x.jpg is text"):
            call.open_photo(b"a letter, which is longer than a few words", "x.jpg")
        with pytest.raises(PhotoError, match="does not exist"):
            call.open_photo(tmp_path / "none.jpg")
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "4000")
    with pytest.raises(PhotoError, match="MOEBIUS_MAX_PIXELS"):
        worker.open_photo(encoded("PNG"))


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


@pytest.mark.parametrize("moment", ["before the file is read", "while it is decoded", "while it is encoded"])
def test_a_death_is_an_error_in_words_and_disturbs_nobody(worker, moment):
    """The process is halted, so that the call cannot end; then it is killed while another visitor waits."""
    data = encoded("JPEG")
    photo = worker.open_photo(data)
    if moment.startswith("before"):
        data += bytes(2**21)  # more than a pipe holds: it dies while the file is being sent
    call = (lambda: worker.encode_photo(photo, photo.raster, CHANGED)) if "encoded" in moment else None
    pid = worker.pid
    os.kill(pid, signal.SIGSTOP)
    thread, results = in_thread(call or (lambda: worker.open_photo(data, "bad.jpg")))
    while not any(isinstance(one, threading.Timer) for one in threading.enumerate()):
        pass  # from then on the call is under way
    other, others = in_thread(lambda: worker.open_photo(encoded("PNG"), "good.png"))
    os.kill(pid, signal.SIGKILL)
    thread.join(), other.join()
    assert isinstance(results[0], PhotoError) and "crashed the decoder; save it anew" in str(results[0])
    assert isinstance(others[0], photo_file.Photo), others
    assert worker.pid not in (None, pid)


def test_a_process_that_died_idle_is_started_anew_without_a_word(worker):
    worker.start()
    process = worker._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert worker.open_photo(encoded("PNG")).size == (64, 64)


def test_a_file_that_takes_too_long_is_given_up():
    worker = PhotoWorker(max_seconds=0.05)
    worker.start()
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(PhotoError, match="slow.png took longer than 0 s"):
        worker.open_photo(encoded("PNG"), "slow.png")
    worker.close()
    assert worker.pid is None


def test_the_process_imports_neither_network_nor_page(worker):
    worker.open_photo(encoded("PNG"))
    maps = open(f"/proc/{worker.pid}/maps").read() if os.path.exists(f"/proc/{worker.pid}/maps") else ""
    assert "torch" not in maps and "gradio" not in maps
