"""Programs that write the same fill into the same files: ours, and what people use."""

from __future__ import annotations

import base64
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from moebius.photo import images
from moebius.photo.photo_file import encode_photo, open_photo

Write = Callable[[Path, np.ndarray, np.ndarray, Path], None]
"""From a photo file, the filled picture as shown, (H, W, 3) uint8, and the hole, (H, W) bool, to a file of that suffix.
Raises any exception where the program cannot do it."""


class NotHere(ValueError):
    """A program that is not installed."""


@dataclass(frozen=True)
class Tool:
    name: str
    title: str
    version: Callable[[], str]
    """Raises NotHere."""
    write: Write


def _ours(path: Path, filled: np.ndarray, hole: np.ndarray, out: Path) -> None:
    photo = open_photo(path)
    rgb = images.to_rgb(photo.raster)
    rgb[hole] = filled[hole].astype(rgb.dtype) * (257 if rgb.dtype == np.uint16 else 1)
    out.write_bytes(encode_photo(photo, images.put_back(photo.raster, rgb, hole), hole).data)


def _opencv(path: Path, filled: np.ndarray, hole: np.ndarray, out: Path) -> None:
    import cv2

    picture = cv2.imread(str(path))
    if picture is None:
        raise ValueError("cv2.imread gives None")
    picture[hole] = filled[hole][:, ::-1]
    if not cv2.imwrite(str(out), picture):
        raise ValueError("cv2.imwrite gives False")


def _pillow(path: Path, filled: np.ndarray, hole: np.ndarray, out: Path) -> None:
    with Image.open(path) as image:
        picture = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    picture[hole] = filled[hole]
    Image.fromarray(picture).save(out)


def _magick(path: Path, filled: np.ndarray, hole: np.ndarray, out: Path) -> None:
    patch = out.with_suffix(".patch.png")
    Image.fromarray(np.dstack([filled, hole.astype(np.uint8) * 255])).save(patch)
    command = ["convert", str(path), "-auto-orient", str(patch), "-composite", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        patch.unlink()
    if done.returncode or not out.is_file():
        raise ValueError(done.stderr.strip() or "no file")


def _gimp(path: Path, filled: np.ndarray, hole: np.ndarray, out: Path) -> None:
    patch = out.with_suffix(".patch.png")
    Image.fromarray(np.dstack([filled, hole.astype(np.uint8) * 255])).save(patch)
    command = ["gimp-console", "-n", "-d", "-f", "-s", "-b", gimp_script(path, patch, out), "-b", "(gimp-quit 0)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        patch.unlink()
    if not out.is_file():
        errors = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if "rror" in line]
        raise ValueError(errors[-1] if errors else "no file")


def gimp_script(path: Path, patch: Path, out: Path) -> str:
    """Script-Fu: the fill as a layer above the photo, merged, and saved as `gimp-file-save` does by itself."""
    return f"""
        (let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{path}" "{path}")))
               (alpha (car (gimp-drawable-has-alpha (car (gimp-image-get-active-drawable image)))))
               (fill (car (gimp-file-load-layer RUN-NONINTERACTIVE image "{patch}"))))
          (gimp-image-insert-layer image fill 0 -1)
          (let ((all (if (= alpha TRUE)
                         (car (gimp-image-merge-visible-layers image CLIP-TO-IMAGE))
                         (car (gimp-image-flatten image)))))
            (gimp-file-save RUN-NONINTERACTIVE image all "{out}" "{out}")))"""


def _iopaint(path: Path, filled: np.ndarray, hole: np.ndarray, out: Path) -> None:
    """Its server's way from the uploaded file to the answer (api.py, api_inpaint), with another fill."""
    from iopaint.helper import concat_alpha_channel, decode_base64_to_image, pil_to_bytes

    picture, alpha, infos, ext = decode_base64_to_image(base64.b64encode(path.read_bytes()).decode())
    picture = picture.copy()
    picture[hole] = filled[hole]
    result = Image.fromarray(concat_alpha_channel(picture, alpha))
    out.write_bytes(pil_to_bytes(result, ext=ext, quality=100, infos=infos))


def _program_version(program: str, before: str) -> str:
    """What `program --version` says behind the word `before`. Raises NotHere: it is not installed, or says nothing."""
    try:
        text = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    except OSError as error:
        raise NotHere(f"the program {program} is not installed") from error
    found = re.search(rf"{before} (\S+)", text)
    if found is None:
        raise NotHere(f"{program} --version names no version: {text[:200]!r}")
    return found[1]


def _iopaint_version() -> str:
    try:
        import iopaint.helper  # noqa: F401
    except ImportError as error:
        raise NotHere(f"IOPaint is not installed ({error}); see --iopaint") from error
    return "1.6.0"


def tools(iopaint: Path | None = None) -> tuple[Tool, ...]:
    """All programs; `iopaint`: a folder with its unpacked wheel and with loguru."""
    if iopaint:
        sys.path.append(str(iopaint))

    def package(name: str) -> Callable[[], str]:
        return lambda: importlib.metadata.version(name)

    return (
        Tool("ours", "This project", lambda: "", _ours),
        Tool("opencv", "OpenCV script (imread, imwrite)", package("opencv-python-headless"), _opencv),
        Tool("pillow", "Pillow script (open, convert, save)", package("pillow"), _pillow),
        Tool(
            "imagemagick",
            "ImageMagick (convert -composite)",
            lambda: _program_version("convert", "ImageMagick"),
            _magick,
        ),
        Tool("gimp", "GIMP in batch mode (gimp-file-save)", lambda: _program_version("gimp-console", "version"), _gimp),
        Tool("iopaint", "IOPaint's server", _iopaint_version, _iopaint),
    )
