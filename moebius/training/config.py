"""Every setting of a training run, read from a TOML file: `load("configs/tiny.toml")`. No torch in this file.

A table that a file leaves out has the defaults written here; a key that does not exist is an error.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from moebius import masks

SHAPES = "shapes"
"""Name among the kinds of masks that stands for the outlines in a source's `shapes` folder."""


class ConfigError(ValueError):
    """A configuration that says something impossible; the message names the key and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run is, whatever it trains."""

    out: Path
    """Folder of checkpoints, metrics, picture grids and, at the end, of the finished `pipeline/`."""
    steps: int
    batch_size: int
    """Pictures in one optimizer step, over all processes and accumulated parts."""
    accumulate: int = 1
    """A step's pictures go through the network in this many parts; each has batch statistics of its own."""
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed precision, parameters stay in float32."""
    device: Literal["auto", "cpu"] = "auto"
    gradient_checkpointing: bool = False
    compile: bool = False
    """torch.compile on every residual block and transformer."""
    workers: int = 2
    """Threads that prepare pictures."""
    log_every: int = 10
    validate_every: int = 500
    """Steps between held-out losses; 0: never."""
    grid_every: int = 2000
    """Steps between grids of held-out fills; 0: never."""
    grid_steps: int = 20
    """Sampling steps of a grid's fills."""
    checkpoint_every: int = 1000
    checkpoint_minutes: float = 10.0
    """A checkpoint is written at the earlier of the two."""
    minutes: float = 0.0
    """Stop after so long, with a checkpoint and what came of it so far; the same command goes on. 0: do not."""
    keep: int = 3
    """Checkpoints that stay; the last good one is named when a run diverges."""
    diverged: float = 4.0
    """The run stops when its smoothed task loss is this many times its lowest."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "workers", "log_every", "checkpoint_every", "keep"):
            _at_least("run", self, name, 1)
        for name in ("validate_every", "grid_every", "seed", "minutes"):
            _at_least("run", self, name, 0)
        if self.diverged <= 1:
            raise ConfigError(f"run.diverged must be above 1, got {self.diverged}")
        if self.batch_size % self.accumulate:
            raise ConfigError(f"run.batch_size ({self.batch_size}) must be divisible by accumulate ({self.accumulate})")


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    learning_rate: float = 1e-4
    matrices: Literal["muon", "adamw"] = "muon"
    """What steps the matrices (linear layers and 1×1 convolutions); AdamW steps everything else."""
    muon_scale: Literal["original", "match_rms_adamw"] = "match_rms_adamw"
    """How Muon's steps are scaled by a matrix's shape; `match_rms_adamw` suits learning rates made for AdamW."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's."""
    momentum: float = 0.95
    """Muon's."""
    warmup_steps: int = 1000
    decay_steps: int = 0
    """Over the last so many of `run.steps` the learning rate falls in a line to 0. Where those are changed for a run
    that goes on, the fall moves with them."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0: not clipped."""
    ema_decay: float = 0.9999
    """Approached from below as (1 + step) / (10 + step)."""

    def __post_init__(self) -> None:
        for name in ("warmup_steps", "decay_steps"):
            _at_least("optimizer", self, name, 0)
        if not self.learning_rate > 0:
            raise ConfigError(f"optimizer.learning_rate must be positive, got {self.learning_rate}")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"optimizer.ema_decay must be in [0, 1), got {self.ema_decay}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where samples come from."""

    kind: Literal["pictures", "objects", "fills"]
    """pictures: random holes, background tokens. objects: the hole is an object's own mask, foreground tokens. fills: a
    folder that `teach` wrote, whose fill is the target instead of the truth; background tokens."""
    path: Path
    """A folder (searched in depth) or a text file with one path a line, relative to it."""
    object_masks: Path | None = None
    """For objects: folder with a mask of each picture, by its name (`NAME.png`); white = object."""
    masks: tuple[str, ...] = ("lama-medium-512",)
    """For pictures: kinds of holes (`moebius.masks.KINDS`), each as likely; `shapes`: an outline from `shapes`."""
    shapes: Path | None = None
    """Folder of outlines, white = object; put into pictures at random places and sizes."""
    repeat: int = 1
    """How often an epoch takes each of them."""

    def __post_init__(self) -> None:
        _at_least("data.sources", self, "repeat", 1)
        if (self.kind == "objects") != (self.object_masks is not None):
            raise ConfigError("data.sources: object_masks belongs to kind = 'objects', and only to it")
        if (SHAPES in self.masks) != (self.shapes is not None):
            raise ConfigError(f"data.sources: shapes = 'FOLDER' and {SHAPES!r} among masks go together")
        if unknown := set(self.masks) - {*masks.KINDS, SHAPES}:
            raise ConfigError(
                f"data.sources.masks: unknown {sorted(unknown)}; choose from {', '.join((*masks.KINDS, SHAPES))}"
            )
        if not self.masks:
            raise ConfigError("data.sources.masks must name at least one kind")


@dataclass(frozen=True, kw_only=True)
class Data:
    sources: tuple[Source, ...]
    size: int = 512
    """Side in pixels of what the network sees."""
    crop: tuple[float, float] = (0.6, 1.0)
    """Side of a crop as a share of a picture's short side, drawn uniformly; `size` pixels or more if it has them."""
    flip: bool = True
    memory_gib: float = 1.0
    """Room for each source's decoded pictures, as large as crops need them; the others are read every time."""
    heldout: tuple[Path, ...] = ()
    """Manifests of further held-out sets, beside the project's own: no picture's SHA-256 may be in one."""
    validation: int = 8
    """Pictures of the first source that are set apart for the held-out loss and never trained on."""
    validation_draws: int = 4
    """Noise levels at which each of them is judged."""
    on_device: bool = False
    """All pictures lie decoded on the device, as large as crops need them, with a stock of holes, and batches are cut
    there. For sources of pictures. False: threads cut them one by one."""
    holes: int = 4096
    """Holes in that stock; each is used in eight ways."""
    cache: Path | None = None
    """Folder of latents computed once; None: pictures are encoded as they are used, each time with another hole."""
    cache_variants: int = 4
    """Crops, with their holes, that the cache holds of every picture."""
    shard_size: int = 256
    """Samples in one file of the cache."""

    def __post_init__(self) -> None:
        for name in ("validation", "validation_draws", "cache_variants", "shard_size", "holes"):
            _at_least("data", self, name, 0 if name == "validation" else 1)
        if not self.sources:
            raise ConfigError("data.sources is empty; name at least one with [[data.sources]]")
        if self.on_device and self.cache:
            raise ConfigError(
                "data.on_device and data.cache exclude each other: crops cut on the device are always new"
            )
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ConfigError(f"data.crop must be two shares in (0, 1], the lower first, got {list(self.crop)}")
        for source in self.sources:
            for kind in source.masks if source.kind == "pictures" else ():
                sides = masks.KINDS[kind].sides if kind != SHAPES else ()
                if sides and self.size not in sides:
                    fitting = [k.name for k in masks.KINDS.values() if not k.sides or self.size in k.sides]
                    raise ConfigError(
                        f"masks of kind {kind!r} are made for a size of {sides[0]}, data.size is {self.size}; "
                        f"choose from {', '.join(fitting)}"
                    )


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A network that is already trained."""

    weights: Path | None = None
    """A folder, see `moebius.weights.locate.locate`; None: the network's environment variable or the Hugging Face
    cache."""
    variant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Teacher(Weights):
    kind: Literal["none", "pixelhacker", "moebius"] = "none"
    """moebius: a student-class network, of any size."""
    shard: bool = False
    """Each of several processes holds a share of its weights (FSDP) and gathers a block when it runs."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Weights of the terms, as published (arXiv:2606.19195); 0 turns a term off."""

    task: float = 0.5
    output: float = 0.01
    feature: float = 0.01
    perceptual: float = 0.5
    perceptual_kind: Literal["e-latentlpips", "latent-pyramid"] = "e-latentlpips"
    """latent-pyramid: ours, where the package or its weights are missing; see `moebius.training.perceptual`."""
    perceptual_weights: Path | None = None
    """E-LatentLPIPS's `sdxl_latest_vgg16_tuned.pth`."""
    known: float = 1.0
    """How much an error outside the hole counts in the task term, in [0, 1]; a fill keeps nothing of it."""
    adaptive: bool = True
    """Terms are weighted by the norms of their gradients."""

    def __post_init__(self) -> None:
        for name in ("task", "output", "feature", "perceptual"):
            _at_least("loss", self, name, 0)
        if not 0 <= self.known <= 1:
            raise ConfigError(f"loss.known must be in [0, 1], got {self.known}")
        if self.task == self.output == self.feature == self.perceptual == 0:
            raise ConfigError("every term of loss is 0: there is nothing to learn")
        if self.perceptual and self.perceptual_kind == "e-latentlpips" and self.perceptual_weights is None:
            raise ConfigError(
                "loss.perceptual_weights must name E-LatentLPIPS's sdxl_latest_vgg16_tuned.pth "
                "(huggingface.co/Mingguksky/elatentlpips, CC-BY-NC); or perceptual_kind = 'latent-pyramid'"
            )


@dataclass(frozen=True, kw_only=True)
class Noise:
    offset: float = 0.0357
    """Standard deviation of a constant added to the noise of each sample and channel."""
    timestep_mean: float = 0.0
    timestep_std: float = 1.0
    """Timesteps are 1000·sigmoid(N(mean, std))."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """`python -m moebius train`."""

    run: Run
    data: Data
    student: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `MoebiusUNet`; without any the published size. `init = "FOLDER"`: start from those weights."""
    autoencoder: Weights = field(default_factory=Weights)
    teacher: Teacher = field(default_factory=Teacher)
    loss: Loss = field(default_factory=Loss)
    noise: Noise = field(default_factory=Noise)
    optimizer: Optimizer = field(default_factory=Optimizer)

    def __post_init__(self) -> None:
        if self.teacher.kind == "none" and (self.loss.output or self.loss.feature):
            raise ConfigError("loss.output and loss.feature need a teacher; set them to 0 or name one in [teacher]")
        if self.teacher.kind != "none" and not (self.loss.output or self.loss.feature):
            raise ConfigError("the teacher is not used: loss.output and loss.feature are 0; say teacher.kind = 'none'")


@dataclass(frozen=True, kw_only=True)
class AutoencoderLoss:
    """Weights of the autoencoder's terms; absolute error has weight 1."""

    perceptual: float = 1.0
    perceptual_kind: Literal["lpips-vgg", "picture-pyramid"] = "picture-pyramid"
    """lpips-vgg: the package's, with torchvision's weights. picture-pyramid: ours, without weights."""
    kl: float = 1e-6
    adversarial: float = 0.5
    """Of the adaptive weight ‖∇reconstruction‖ / ‖∇adversarial‖ at the decoder's last layer; 0: no discriminator."""
    adversarial_from: int = 5000
    """The step from which it counts."""

    def __post_init__(self) -> None:
        for name in ("perceptual", "kl", "adversarial", "adversarial_from"):
            _at_least("loss", self, name, 0)


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """`python -m moebius train-vae`."""

    run: Run
    data: Data
    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of diffusers' `AutoencoderKL`, or where it says `block_size` those of
    `moebius.models.block_autoencoder.BlockAutoencoder`."""
    loss: AutoencoderLoss = field(default_factory=AutoencoderLoss)
    optimizer: Optimizer = field(default_factory=Optimizer)


def load(path: Path, kind: type = TrainConfig, overrides: Iterable[str] = ()) -> Any:
    """The configuration in a TOML file. Paths are relative to the working folder.

    Args:
        kind: `TrainConfig` or `AutoencoderConfig`.
        overrides: `"run.steps=1"`, values in TOML; strings may lack their quotes.

    Raises:
        ConfigError: not TOML, unknown or missing keys, values of another type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _override(table, override)
    return build(kind, table)


def build(kind: type, table: Mapping[str, Any], where: str = "") -> Any:
    """A configuration dataclass from a table of plain values. Raises ConfigError, naming the key."""
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    if unknown := [key for key in table if key not in fields]:
        raise ConfigError(f"unknown key {where + unknown[0]}; allowed here: {', '.join(fields)}")
    missing = [
        name
        for name, item in fields.items()
        if name not in table and item.default is item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where + missing[0]} is missing")
    return kind(**{key: _value(hints[key], value, where + key) for key, value in table.items()})


def plain(config: Any) -> dict[str, Any]:
    """A configuration as values that JSON knows; `build` makes it again."""

    def simple(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: simple(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [simple(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return {
        key: {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
        for key, value in simple(dataclasses.asdict(config)).items()
    }


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`: what TOML has no type for is made of its strings and arrays."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {value!r}")
        return build(hint, value, f"{where}.")
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value, where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, arguments))}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be an array, got {value!r}")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) != len(value):
            raise ConfigError(f"{where} must have {len(kinds)} values, got {value!r}")
        return tuple(_value(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    kind = {Path: str, float: (int, float)}.get(hint, origin or hint)
    kind = dict if kind in (Mapping, typing.get_origin(Mapping[str, Any])) else kind
    if not isinstance(value, kind) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {getattr(hint, '__name__', hint)}, got {value!r}")
    return hint(value) if hint in (Path, float) else value


def _override(table: dict, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set takes KEY=VALUE such as run.steps=1, got {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, leaf = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {parent} is not a table")
    table[leaf] = value


def _at_least(where: str, config: Any, name: str, least: float) -> None:
    if getattr(config, name) < least:
        raise ConfigError(f"{where}.{name} must be at least {least}, got {getattr(config, name)}")
