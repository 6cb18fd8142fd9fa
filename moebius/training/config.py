"""Every setting of a training run, read from a TOML file by `load(path, TrainConfig)`. No torch in this file.

A table that a file leaves out has the defaults written here; a key that does not exist is an error. pydantic checks
types and ranges; validators check what concerns several keys at once.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from moebius import masks

SHAPES = "shapes"
"""Name among the kinds of masks that stands for the outlines in a source's `shapes` folder."""

_CHECKED = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_T = TypeVar("_T")

Count = Annotated[int, Field(ge=1)]
CountOrOff = Annotated[int, Field(ge=0)]
"""0: off."""
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ConfigError(ValueError):
    """An invalid setting; the message names file, key, value and what is allowed."""


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Run:
    """Settings of every training run."""

    out: Path
    """Folder of checkpoints, metrics, picture grids and, at the end, of the finished `pipeline/`."""
    steps: Count
    batch_size: Count
    """Pictures in one optimizer step, over all processes and accumulated parts."""
    accumulate: Count = 1
    """Number of parts in which a step's pictures go through the network, each with its own batch statistics."""
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed precision, parameters stay in float32."""
    device: Literal["auto", "cpu"] = "auto"
    gradient_checkpointing: bool = False
    compile: bool = False
    """torch.compile on every residual block and transformer."""
    workers: Count = 2
    """Threads that prepare pictures."""
    log_every: Count = 10
    validate_every: CountOrOff = 500
    """Steps between held-out losses; 0: never."""
    grid_every: CountOrOff = 2000
    """Steps between grids of held-out fills; 0: never."""
    grid_steps: Count = 20
    """Sampling steps of a grid's fills."""
    checkpoint_every: Count = 1000
    checkpoint_minutes: float = 10.0
    """A checkpoint is written at the earlier of the two."""
    minutes: NotNegative = 0.0
    """Stop after this many minutes with a checkpoint and the result so far; the same command resumes. 0: no limit."""
    keep: Count = 3
    """Number of newest checkpoints that are kept; when a run diverges, the last good one is named."""
    diverged: Annotated[float, Field(gt=1)] = 4.0
    """The run stops when its smoothed task loss is this many times its lowest."""

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Run:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size ({self.batch_size}) must be divisible by accumulate ({self.accumulate})")
        return self


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Optimizer:
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    matrices: Literal["muon", "adamw"] = "muon"
    """Optimizer of the matrices (linear layers and 1×1 convolutions); AdamW optimizes everything else."""
    muon_scale: Literal["original", "match_rms_adamw"] = "match_rms_adamw"
    """How Muon's steps are scaled by a matrix's shape; `match_rms_adamw` suits learning rates made for AdamW."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's."""
    momentum: float = 0.95
    """Muon's."""
    warmup_steps: CountOrOff = 1000
    decay_steps: CountOrOff = 0
    """Over the last `decay_steps` of `run.steps` the learning rate falls linearly to 0. If `run.steps` changes when a
    run resumes, the decay moves with it."""
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0: not clipped."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    """Decay of the moving average of the weights; see `moebius.training.optimizers.EMA`."""


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Source:
    """Where samples come from."""

    kind: Literal["pictures", "objects", "fills"]
    """pictures: random holes, background tokens. objects: the hole is an object's own mask, foreground tokens. fills: a
    folder that `make-fills` wrote, whose fill is the target instead of the truth; background tokens."""
    path: Path
    """A folder (searched with its subfolders), or a text file with one path a line, relative to it."""
    object_masks: Path | None = None
    """For objects: folder with a mask of each picture, by its name (`NAME.png`); white = object."""
    masks: Annotated[tuple[str, ...], Field(min_length=1)] = ("lama-medium-512",)
    """For pictures: kinds of holes (`moebius.masks.KINDS`), each as likely; `shapes`: an outline from `shapes`."""
    shapes: Path | None = None
    """Folder of outlines, white = object; put into pictures at random places and sizes."""
    repeat: Count = 1
    """How many times an epoch contains each item."""

    @field_validator("masks")
    @classmethod
    def _kinds_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(names) - {*masks.KINDS, SHAPES}:
            raise ValueError(f"unknown {sorted(unknown)}; choose from {', '.join((*masks.KINDS, SHAPES))}")
        return names

    @model_validator(mode="after")
    def _folders_fit_the_kind(self) -> Source:
        if (self.kind == "objects") != (self.object_masks is not None):
            raise ValueError("object_masks belongs to kind = 'objects', and only to it")
        if (SHAPES in self.masks) != (self.shapes is not None):
            raise ValueError(f"shapes = 'FOLDER' and {SHAPES!r} among masks go together")
        return self


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Data:
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    size: int = 512
    """Side in pixels of what the network sees."""
    crop: tuple[float, float] = (0.6, 1.0)
    """Side of a crop as a share of a picture's short side, drawn uniformly; `size` pixels or more if it has them."""
    flip: bool = True
    memory_gib: float = 1.0
    """Memory for each source's decoded pictures, at the size that crops need; other pictures are read every time."""
    heldout: tuple[Path, ...] = ()
    """Manifests of further held-out sets, besides the project's own; pictures whose SHA-256 they list are refused."""
    validation: CountOrOff = 8
    """Number of pictures of the first source that are used for the held-out loss and never trained on."""
    validation_draws: Count = 4
    """Number of noise levels for each of them."""
    on_device: bool = False
    """Keep all pictures decoded on the device, at the size that crops need, with a stock of holes, and cut batches
    there. For sources of pictures. False: threads cut crops one by one."""
    holes: Count = 4096
    """Number of holes in that stock; each is used in eight orientations."""
    cache: Path | None = None
    """Folder of latents that are computed once; None: pictures are encoded when they are used, each time with another
    hole."""
    cache_variants: Count = 4
    """Number of crops with holes that the cache has of every picture."""
    shard_size: Count = 256
    """Samples in one file of the cache."""

    @field_validator("crop")
    @classmethod
    def _crop_is_a_range(cls, crop: tuple[float, float]) -> tuple[float, float]:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError(f"must be two shares in (0, 1], the lower first, got {list(crop)}")
        return crop

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Data:
        if self.on_device and self.cache:
            raise ValueError("on_device and cache exclude each other: crops cut on the device are always new")
        for source in self.sources:
            for kind in source.masks if source.kind == "pictures" else ():
                sides = masks.KINDS[kind].sides if kind != SHAPES else ()
                if sides and self.size not in sides:
                    fitting = [k.name for k in masks.KINDS.values() if not k.sides or self.size in k.sides]
                    raise ValueError(
                        f"masks of kind {kind!r} are made for a size of {sides[0]}, data.size is {self.size}; "
                        f"choose from {', '.join(fitting)}"
                    )
        return self


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Weights:
    """A trained network."""

    weights: Path | None = None
    """A folder, see `moebius.weights.locate.locate`; None: the network's environment variable or the Hugging Face
    cache."""
    variant: str | None = None


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Teacher(Weights):
    kind: Literal["none", "pixelhacker", "moebius"] = "none"
    """moebius: a network of the student's architecture, of any size."""
    shard: bool = False
    """Each process holds a share of its weights (FSDP) and gathers a block when it runs."""


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Loss:
    """Weights of the terms, as published (arXiv:2606.19195); 0 turns a term off."""

    task: NotNegative = 0.5
    output: NotNegative = 0.01
    feature: NotNegative = 0.01
    perceptual: NotNegative = 0.5
    perceptual_kind: Literal["e-latentlpips", "latent-pyramid"] = "e-latentlpips"
    """latent-pyramid: ours, which needs no package; see `moebius.training.perceptual`."""
    perceptual_weights: Path | None = None
    """E-LatentLPIPS's `sdxl_latest_vgg16_tuned.pth`."""
    known: Share = 1.0
    """Weight of errors outside the hole in the task term, in [0, 1]; a fill does not use these pixels."""
    adaptive: bool = True
    """Terms are weighted by the norms of their gradients."""

    @model_validator(mode="after")
    def _there_is_something_to_learn(self) -> Loss:
        if self.task == self.output == self.feature == self.perceptual == 0:
            raise ValueError("the weights of all terms are 0; set one above 0")
        if self.perceptual and self.perceptual_kind == "e-latentlpips" and self.perceptual_weights is None:
            raise ValueError(
                "perceptual_weights must name E-LatentLPIPS's sdxl_latest_vgg16_tuned.pth "
                "(huggingface.co/Mingguksky/elatentlpips, CC-BY-NC); or perceptual_kind = 'latent-pyramid'"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Noise:
    offset: float = 0.0357
    """Standard deviation of a constant added to the noise of each sample and channel."""
    timestep_mean: float = 0.0
    timestep_std: float = 1.0
    """Timesteps are 1000·sigmoid(N(mean, std))."""


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
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

    @model_validator(mode="after")
    def _teacher_and_loss_go_together(self) -> TrainConfig:
        uses_teacher = bool(self.loss.output or self.loss.feature)
        if self.teacher.kind == "none" and uses_teacher:
            raise ValueError("loss.output and loss.feature need a teacher; set them to 0 or name one in [teacher]")
        if self.teacher.kind != "none" and not uses_teacher:
            raise ValueError("the teacher is not used: loss.output and loss.feature are 0; set teacher.kind = 'none'")
        return self


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class AutoencoderLoss:
    """Weights of the autoencoder's terms; absolute error has weight 1."""

    perceptual: NotNegative = 1.0
    perceptual_kind: Literal["lpips-vgg", "picture-pyramid"] = "picture-pyramid"
    """lpips-vgg: the package's, with torchvision's weights. picture-pyramid: ours, without weights."""
    kl: NotNegative = 1e-6
    adversarial: NotNegative = 0.5
    """Factor of the adaptive weight ‖∇reconstruction‖ / ‖∇adversarial‖ at the decoder's last layer; 0: no
    discriminator."""
    adversarial_from: CountOrOff = 5000
    """The step from which it is used."""


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class AutoencoderConfig:
    """`python -m moebius train-vae`."""

    run: Run
    data: Data
    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of diffusers' `AutoencoderKL`, or where it says `block_size` those of
    `moebius.models.block_autoencoder.BlockAutoencoder`."""
    loss: AutoencoderLoss = field(default_factory=AutoencoderLoss)
    optimizer: Optimizer = field(default_factory=Optimizer)


def load(
    path: Path,
    kind: type[_T] = TrainConfig,  # type: ignore[assignment]  # mypy knows no default for a type variable
    overrides: Iterable[str] = (),
) -> _T:
    """The configuration in a TOML file. Paths are relative to the working folder.

    Args:
        kind: `TrainConfig` or `AutoencoderConfig`.
        overrides: `"run.steps=1"`, values in TOML; quotes of strings may be left out.

    Raises:
        ConfigError: not TOML, unknown or missing keys, values of another type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _override(table, override)
    try:
        return build(kind, table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def build(kind: type[_T], table: Mapping[str, Any]) -> _T:
    """A configuration of one of the classes above from a table of plain values; raises ConfigError, naming the key.

    Values are read like JSON: strings become paths and arrays tuples, but "3" or true is not a number.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        # a misspelt key may be reported as a missing one too
        first = next((mistake for mistake in mistakes if mistake["type"] == _UNKNOWN), mistakes[0])
        raise ConfigError(_in_words(kind, first)) from error


def plain(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, without None; `build` is the inverse."""
    return TypeAdapter(type(config)).dump_python(config, mode="json", exclude_none=True)


_UNKNOWN = "unexpected_keyword_argument"


def _in_words(kind: type, mistake: Mapping[str, Any]) -> str:
    """One line of text for one of pydantic's errors."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]).lstrip(".")
    prefix = f"{where}: " if where else ""
    if mistake["type"] == _UNKNOWN:
        return f"{prefix}unknown key; allowed here: {', '.join(_keys(kind, mistake['loc'][:-1]))}"
    if mistake["type"] == "missing":
        return f"{prefix}missing"
    if mistake["type"] == "value_error":
        return f"{prefix}{mistake['ctx']['error']}"
    return f"{prefix}{mistake['msg'].replace('Input should', 'must')}, got {mistake['input']!r}"


def _keys(kind: Any, place: tuple[str | int, ...]) -> list[str]:
    """The keys of the table at a place in a configuration."""
    for part in place:
        kind = typing.get_args(kind)[0] if isinstance(part, int) else typing.get_type_hints(kind)[part]
    return [item.name for item in dataclasses.fields(kind)]


def _override(table: dict[str, Any], override: str) -> None:
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
