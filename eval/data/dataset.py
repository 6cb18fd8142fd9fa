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
from eval.data import careless, heldout, masks, pairs
from eval.data.pairs import Judged
from eval.data.protocols import OWN, PAIR_PROTOCOLS, PROTOCOLS, PairProtocol, Protocol
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
    """A folder, a text file with one path a line, or a name in `PROTOCOLS` or `PAIR_PROTOCOLS`."""
    folder: str | None = None
    """With a protocol: where its pictures are."""
    masks: str | None = None
    """See `masks.chooser`; `shipped`, `shipped:thick`, … for the held-out set; with pairs `careless`, see
    `data.careless`, or None: the object alone."""
    size: int | None = None
    """Short side to scale to before a square is cropped from the middle; None: pictures as they are."""
    seed: int = 0
    limit: int | None = None
    """Only the first so many pictures by name."""

    @property
    def protocol(self) -> Protocol | None:
        """The paper's protocol that was asked for; None: it is a folder or a list."""
        return PROTOCOLS.get(self.data)

    @property
    def pairs(self) -> PairProtocol | None:
        return PAIR_PROTOCOLS.get(self.data)


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
    stamp: tuple[int, ...]
    """Sizes and modification times of its files, to notice that one was changed since."""
    truth_path: str | None = None
    """Of a pair: the photo without the object."""
    truth_sha256: str = ""
    mask_kind: str = ""
    """One of `careless.KINDS`; "": the mask as it is."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    request: Request
    samples: tuple[Sample, ...]
    problems: tuple[dict, ...]
    """Pictures that could not be used: id, path, reason."""

    def identity(self) -> str:
        """Changes with any picture, any mask, their names or how they are prepared."""
        rows = [[s.id, s.group, s.sha256, s.mask_sha256, *filter(None, [s.truth_sha256])] for s in self.samples]
        return store.fingerprint({"rows": rows, "size": self.request.size, "problems": len(self.problems)})

    def load(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Picture (H, W, 3) uint8 and hole (H, W) bool: what a model is given."""
        rgb = read_picture(Path(sample.path), self.request.size)
        if sample.mask_kind:
            whole, effect = self._object(sample, rgb)
            return rgb, careless.make(sample.mask_kind, whole, effect)
        return rgb, _mask_of(self.request, sample.id, sample.mask_path, rgb.shape[:2])

    def judged(self, sample: Sample) -> Judged:
        """What a fill of it is compared with."""
        rgb, hole = self.load(sample)
        if sample.truth_path is None:
            return Judged(rgb, hole)
        whole, effect = self._object(sample, rgb)
        truth = read_picture(Path(sample.truth_path), self.request.size)
        return Judged(truth, hole | whole, rgb, whole, effect)

    def truth(self, sample: Sample) -> np.ndarray:
        """The picture as it should be, (H, W, 3) uint8."""
        return read_picture(Path(sample.truth_path or sample.path), self.request.size)

    def _object(self, sample: Sample, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a pair: its object and where its effect is, both (H, W) bool."""
        whole = _mask_of(self.request, sample.id, sample.mask_path, rgb.shape[:2])
        return whole, pairs.effect_region(rgb, self.truth(sample), whole)

    def describe(self) -> dict:
        """For the report."""
        protocol = self.request.protocol
        holes = [sample.hole for sample in self.samples]
        return {
            "name": self._name(),
            "protocol": protocol.name if protocol else None,
            "open_points": protocol.open_points if protocol else "",
            "pairs": self.request.pairs.name if self.request.pairs else None,
            "pictures": len(self.samples),
            "photos": len({sample.group for sample in self.samples}),
            "unusable": len(self.problems),
            "problems": list(self.problems[:20]),
            "masks": self.request.masks or "the objects' own",
            "mask_seed": self.request.seed,
            "mean_hole": round(float(np.mean(holes)), 4) if holes else 0.0,
            "prepared": f"scaled (Lanczos) and cropped to {self.request.size}×{self.request.size}"
            if self.request.size
            else "as they are",
            "identity": self.identity(),
        }

    def _name(self) -> str:
        request = self.request
        if request.pairs:
            return f"{Path(request.folder).name} (pairs)" if request.data == OWN else request.pairs.title
        return request.protocol.title if request.protocol else Path(request.data).name


def resolved(request: Request) -> Request:
    """Masks and size decided. Raises ValueError naming what is missing."""
    if request.pairs:
        return _resolved_pairs(request, request.pairs)
    if protocol := request.protocol:
        if not request.folder:
            raise ValueError(f"{request.data} needs --folder DIR with its pictures; get them: {protocol.source}")
        masks_spec, size = request.masks or protocol.masks, request.size or protocol.side
        return dataclasses.replace(request, masks=masks_spec, size=size)
    if not Path(request.data).exists():
        known = ", ".join((*PROTOCOLS, *PAIR_PROTOCOLS))
        raise ValueError(f"--data {request.data!r} is not a folder, list file or protocol ({known})")
    if request.folder:
        raise ValueError("--folder belongs to a protocol; give the folder itself as --data")
    if heldout.is_heldout(Path(request.data)):
        return dataclasses.replace(request, masks=request.masks or masks.SHIPPED)
    if not request.masks:
        raise ValueError("say with --masks which holes to make: a folder of masks, or a kind such as lama-thick")
    return request


def _resolved_pairs(request: Request, protocol: PairProtocol) -> Request:
    if not request.folder:
        raise ValueError(f"{protocol.name} needs --folder DIR with its pairs; get them: {protocol.source}")
    if request.size:
        raise ValueError("--size would scale the masks of pairs; give pairs of the size that is to be scored")
    if request.masks not in (None, careless.CARELESS, *(f"{careless.CARELESS}:{kind}" for kind in careless.KINDS)):
        kinds = ", ".join(careless.KINDS)
        raise ValueError(
            f"--masks {request.masks!r} is not for pairs: leave it out for the pair's own mask, or say "
            f"{careless.CARELESS}, or {careless.CARELESS}:KIND with one of {kinds}"
        )
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
    if request.limit and not request.pairs:  # of pairs with several masks, the first pairs were taken
        found = found[: request.limit]
    ids = [candidate.id for candidate in found]
    if twice := next((image_id for image_id, after in zip(ids, ids[1:], strict=False) if image_id == after), None):
        raise ValueError(f"two pictures are named {twice!r} (with other suffixes); fills are named by picture")
    samples: list[Sample] = []
    problems = []
    with ThreadPoolExecutor(4) as pool, counter(len(found), "Reading pictures", quiet=quiet) as progress:
        for one, result in zip(found, pool.map(lambda one: _examine(request, one), found), strict=True):
            progress.update()
            if isinstance(result, str):
                problems.append({"id": one.id, "file": one.path.name, "reason": result})
            else:
                samples.append(dataclasses.replace(result, index=len(samples)))
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


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A picture that was found and not yet read."""

    id: str
    group: str
    path: Path
    mask_path: str | None = None
    """None: chosen by name."""
    truth_path: str | None = None
    mask_kind: str = ""
    check: Check | None = None

    @property
    def files(self) -> list[Path]:
        """All that a change of would make it another sample; a folder's masks are looked at by `_cached`."""
        return [self.path, *(map(Path, (self.truth_path, self.mask_path)) if self.truth_path else ())]


def _candidates(request: Request) -> list[Candidate]:
    if request.pairs:
        return _pair_candidates(request)
    source = Path(request.folder or request.data)
    if not request.protocol and source.is_dir() and heldout.is_heldout(source):
        spec = request.masks
        if spec == masks.SHIPPED or spec.startswith(masks.SHIPPED + ":"):
            rows = heldout.rows(source, spec.partition(":")[2] or None)
            return [_shipped(row, str(row.mask)) for row in rows]
        return [_shipped(row, None) for row in heldout.rows(source)]
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
    return [Candidate(id=image_id, group=image_id, path=path) for image_id, path in sorted(named)]


def _shipped(row: heldout.Row, mask_path: str | None) -> Candidate:
    return Candidate(
        id=row.id, group=row.group, path=row.picture, mask_path=mask_path, check=partial(heldout.check, row)
    )


def _pair_candidates(request: Request) -> list[Candidate]:
    """The first `limit` pairs, each with every kind of mask that was asked for."""
    spec = request.masks or ""
    kinds = [""] if not spec else [spec.partition(":")[2]] if ":" in spec else list(careless.KINDS)
    return [
        Candidate(
            id=f"{pair.id}.{kind}" if kind else pair.id,
            group=pair.group,
            path=pair.picture,
            mask_path=str(pair.mask),
            truth_path=str(pair.truth),
            mask_kind=kind,
        )
        for pair in pairs.find(Path(request.folder), SUFFIXES)[: request.limit]
        for kind in kinds
    ]


def _examine(request: Request, one: Candidate) -> Sample | str:
    """The sample, its index still to be set; or, for what cannot be used, why."""
    try:
        if one.check:
            one.check()
        data = one.path.read_bytes()
        rgb = read_picture(one.path, request.size)
        height, width, _ = rgb.shape
        if min(height, width) < MIN_SIDE:
            return f"{one.path.name} is {width}×{height}; scored are pictures of at least {MIN_SIDE} pixels a side"
        if one.truth_path and (truth := read_picture(Path(one.truth_path), None)).shape != rgb.shape:
            return f"{one.path.name} is {width}×{height} but its truth is {truth.shape[1]}×{truth.shape[0]}"
        sample = Sample(
            index=0,
            id=one.id,
            group=one.group,
            path=str(one.path),
            mask_path=one.mask_path,
            width=width,
            height=height,
            hole=0.0,
            sha256=sha256(data),
            mask_sha256="",
            stamp=_stamp(one.files),
            truth_path=one.truth_path,
            truth_sha256=sha256(Path(one.truth_path)) if one.truth_path else "",
            mask_kind=one.mask_kind,
        )
        _, mask = DataSet(request=request, samples=(), problems=()).load(sample)
    except (OSError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return dataclasses.replace(sample, hole=float(mask.mean()), mask_sha256=mask_sha256(mask))


def _stamp(paths: list[Path]) -> tuple[int, ...]:
    """Size and modification time of each file, one after the other."""
    stats = [path.stat() for path in paths]
    return tuple(value for stat in stats for value in (stat.st_size, stat.st_mtime_ns))


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
        found = _candidates(request)[: None if request.pairs else request.limit]
        if [one.id for one in found] != [sample.id for sample in samples]:
            return None
        if any(_stamp(one.files) != sample.stamp for one, sample in zip(found, samples, strict=True)):
            return None
    except (OSError, ValueError):
        return None
    return DataSet(request=request, samples=samples, problems=())
