"""The pictures of an evaluation and their holes: found, read once in full, hashed; what cannot be used is listed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from eval import store
from eval.data import heldout, masks
from eval.data.protocols import PROTOCOLS, Protocol
from moebius.files import read_json, sha256
from moebius.photo.images import to_rgb
from moebius.photo.photo_file import open_photo, suffixes
from moebius.progress import counter

SUFFIXES = suffixes("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MIN_SIDE = 32
"""Smaller pictures vanish in the networks of LPIPS."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for. `resolved` fills in what a protocol or the held-out set decides."""

    data: str
    """A folder, a text file with one path a line, or a name in `PROTOCOLS`."""
    folder: str | None = None
    """With a protocol: where its pictures are."""
    masks: str | None = None
    """See `masks.chooser`; `shipped`, `shipped:thick`, … for the held-out set."""
    size: int | None = None
    """Short side to scale to before a square is cropped from the middle; None: pictures as they are."""
    seed: int = 0
    limit: int | None = None
    """Only the first so many pictures by name."""

    @property
    def protocol(self) -> Protocol | None:
        """The paper's protocol that was asked for; None: it is a folder or a list."""
        return PROTOCOLS.get(self.data)


@dataclass(frozen=True, kw_only=True)
class Sample:
    index: int
    id: str
    """Names its files: the path below the data folder without the suffix."""
    group: str
    path: str
    mask_path: str | None
    """None: generated."""
    width: int
    height: int
    hole: float
    """Share of the picture that is hole."""
    sha256: str
    """Of the file."""
    mask_sha256: str
    """Of the mask as bits."""
    stamp: tuple[int, int]
    """Size and modification time of the file, to notice that it was changed since."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    request: Request
    samples: tuple[Sample, ...]
    problems: tuple[dict, ...]
    """Pictures that could not be used: id, path, reason."""

    def identity(self) -> str:
        """Changes with any picture, any mask, their names or how they are prepared."""
        rows = [[s.id, s.group, s.sha256, s.mask_sha256] for s in self.samples]
        return store.fingerprint({"rows": rows, "size": self.request.size, "problems": len(self.problems)})

    def load(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Picture (H, W, 3) uint8 and hole (H, W) bool."""
        rgb = read_picture(Path(sample.path), self.request.size)
        return rgb, _mask_of(self.request, sample.id, sample.mask_path, rgb.shape[:2])

    def describe(self) -> dict:
        """For the report."""
        protocol = self.request.protocol
        holes = [sample.hole for sample in self.samples]
        return {
            "name": protocol.title if protocol else Path(self.request.data).name,
            "protocol": protocol.name if protocol else None,
            "open_points": protocol.open_points if protocol else "",
            "pictures": len(self.samples),
            "photos": len({sample.group for sample in self.samples}),
            "unusable": len(self.problems),
            "problems": list(self.problems[:20]),
            "masks": self.request.masks,
            "mask_seed": self.request.seed,
            "mean_hole": round(float(np.mean(holes)), 4) if holes else 0.0,
            "prepared": f"scaled (Lanczos) and cropped to {self.request.size}×{self.request.size}"
            if self.request.size
            else "as they are",
            "identity": self.identity(),
        }


def resolved(request: Request) -> Request:
    """Masks and size decided. Raises ValueError naming what is missing."""
    if protocol := request.protocol:
        if not request.folder:
            raise ValueError(f"{request.data} needs --folder DIR with its pictures; get them: {protocol.source}")
        masks_spec, size = request.masks or protocol.masks, request.size or protocol.side
        return dataclasses.replace(request, masks=masks_spec, size=size)
    if not Path(request.data).exists():
        raise ValueError(f"--data {request.data!r} is not a folder, list file or protocol ({', '.join(PROTOCOLS)})")
    if request.folder:
        raise ValueError("--folder belongs to a protocol; give the folder itself as --data")
    if heldout.is_heldout(Path(request.data)):
        return dataclasses.replace(request, masks=request.masks or masks.SHIPPED)
    if not request.masks:
        raise ValueError("say with --masks which holes to make: a folder of masks, or a kind such as lama-thick")
    return request


def scan(request: Request, cache: Path | None = None, quiet: bool = False) -> DataSet:
    """Find, read and hash every picture and mask of a request.

    Args:
        cache: file that keeps what was found; reading again is spared while no file changes.

    Raises:
        ValueError: nothing there, two pictures of one name, or nothing usable.
    """
    request = resolved(request)
    if cache and (kept := _cached(cache, request)):
        return kept
    found = _candidates(request)
    if request.limit:
        found = found[: request.limit]
    ids = [candidate[0] for candidate in found]
    if twice := next((image_id for image_id, after in zip(ids, ids[1:], strict=False) if image_id == after), None):
        raise ValueError(f"two pictures are named {twice!r} (with other suffixes); fills are named by picture")
    samples: list[Sample] = []
    problems = []
    with ThreadPoolExecutor(4) as pool, counter(len(found), "Reading pictures", quiet=quiet) as progress:
        for (image_id, group, path, _, _), result in zip(
            found, pool.map(lambda candidate: _examine(request, *candidate), found), strict=True
        ):
            progress.update()
            if isinstance(result, str):
                problems.append({"id": image_id, "file": path.name, "reason": result})
            else:
                samples.append(Sample(index=len(samples), id=image_id, group=group, path=str(path), **result))
    if not samples:
        first = f"; the first: {problems[0]['reason']}" if problems else ""
        raise ValueError(f"no usable picture in {request.folder or request.data}, {len(problems)} unusable{first}")
    dataset = DataSet(request=request, samples=tuple(samples), problems=tuple(problems))
    if cache:
        store.write_json(cache, dataclasses.asdict(dataset))
    return dataset


def read_picture(path: Path, size: int | None) -> np.ndarray:
    """A picture as it is shown, (H, W, 3) uint8; with a size, its middle square (short side scaled by Lanczos)."""
    rgb = to_rgb(open_photo(path).raster)
    if rgb.dtype != np.uint8:
        raise ValueError(f"{path.name} has 16 bits a channel; 8-bit pictures are scored")
    if size is None or rgb.shape[:2] == (size, size):
        return rgb
    height, width = rgb.shape[:2]
    factor = size / min(height, width)
    target = (max(size, round(width * factor)), max(size, round(height * factor)))
    scaled = np.asarray(Image.fromarray(rgb).resize(target, Image.Resampling.LANCZOS))
    top, left = (scaled.shape[0] - size) // 2, (scaled.shape[1] - size) // 2
    return np.ascontiguousarray(scaled[top : top + size, left : left + size])


def mask_sha256(mask: np.ndarray) -> str:
    """SHA-256 of a mask's pixels, (H, W) bool."""
    return sha256(f"{mask.shape[1]}x{mask.shape[0]}:".encode() + np.packbits(mask).tobytes())


Check = Callable[[], None]
"""Raises ValueError where the files are not the ones that were shipped."""

Candidate = tuple[str, str, Path, str | None, Check | None]
"""id, group, picture, mask file (None: chosen by name), a check of the files."""


def _candidates(request: Request) -> list[Candidate]:
    source = Path(request.folder or request.data)
    if not request.protocol and source.is_dir() and heldout.is_heldout(source):
        spec = request.masks
        if spec == masks.SHIPPED or spec.startswith(masks.SHIPPED + ":"):
            rows = heldout.rows(source, spec.partition(":")[2] or None)
            return [(row.id, row.group, row.picture, str(row.mask), partial(heldout.check, row)) for row in rows]
        return [(row.id, row.group, row.picture, None, partial(heldout.check, row)) for row in heldout.rows(source)]
    if (request.masks or "").startswith(masks.SHIPPED):
        raise ValueError(f"--masks {request.masks} belongs to the held-out set (samples/heldout)")
    if source.is_dir():
        paths = [path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
        if (holes := Path(request.masks)).is_dir() and not holes.samefile(source):  # masks may lie among the pictures
            paths = [path for path in paths if holes.resolve() not in path.resolve().parents]
        named = [(path.relative_to(source).with_suffix("").as_posix(), path) for path in paths]
    elif source.is_file():
        lines = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
        paths = [source.parent / line for line in lines if line and not line.startswith("#")]
        named = [(path.stem, path) for path in paths]
    else:
        raise ValueError(f"{source} does not exist")
    return [(image_id, image_id, path, None, None) for image_id, path in sorted(named)]


def _examine(
    request: Request, image_id: str, group: str, path: Path, mask_path: str | None, check: Check | None
) -> dict | str:
    """What a sample needs to know of its files; or, for what cannot be used, why."""
    try:
        if check:
            check()
        data = path.read_bytes()
        rgb = read_picture(path, request.size)
        height, width, _ = rgb.shape
        if min(height, width) < MIN_SIDE:
            return f"{path.name} is {width}×{height}; scored are pictures of at least {MIN_SIDE} pixels a side"
        mask = _mask_of(request, image_id, mask_path, rgb.shape[:2])
        stat = path.stat()
    except (OSError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return {
        "mask_path": mask_path,
        "width": rgb.shape[1],
        "height": rgb.shape[0],
        "hole": float(mask.mean()),
        "sha256": sha256(data),
        "mask_sha256": mask_sha256(mask),
        "stamp": (stat.st_size, stat.st_mtime_ns),
    }


def _mask_of(request: Request, image_id: str, mask_path: str | None, size: tuple[int, int]) -> np.ndarray:
    if mask_path:
        return masks.read(Path(mask_path), size)
    mask = masks.chooser(request.masks, request.seed)(image_id, size)
    masks.check(mask, size, f"the mask of {image_id}")
    return mask


def _cached(cache: Path, request: Request) -> DataSet | None:
    """What an earlier scan found, if it was asked the same and no picture has changed since."""
    if not cache.is_file():
        return None
    kept = read_json(cache)
    if kept["request"] != dataclasses.asdict(request) or kept["problems"]:
        return None
    if request.masks and Path(request.masks).is_dir():
        return None
    samples = tuple(Sample(**{**row, "stamp": tuple(row["stamp"])}) for row in kept["samples"])
    try:
        stats = [Path(sample.path).stat() for sample in samples]
    except OSError:
        return None
    if any((stat.st_size, stat.st_mtime_ns) != sample.stamp for stat, sample in zip(stats, samples, strict=True)):
        return None
    if len(samples) != len(_candidates(request)[: request.limit]):
        return None
    return DataSet(request=request, samples=samples, problems=())
