"""Configurations: what a file may say, and that the ones that ship are such."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from moebius.training.config import AutoencoderConfig, ConfigError, TrainConfig, build, load, plain
from tests.helpers.tiny_training import ROOT, settings, toml


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


AUTOENCODERS = ("mini-vae", "tiny-vae", "cpu-vae")
FILES = sorted((ROOT / "configs").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_configurations_that_ship_have_the_values_that_they_had_when_they_were_measured(file):
    """tests/data/training_configs.json was written by the hand-made reader that pydantic replaced."""
    kept = json.loads((ROOT / "tests" / "data" / "training_configs.json").read_text())
    config = load(file, AutoencoderConfig if file.stem in AUTOENCODERS else TrainConfig)
    assert config.run.out == Path("runs") / file.stem
    assert json.loads(json.dumps(asdict(config), default=str)) == kept[file.stem]
    assert len(kept) == len(FILES)


def test_the_small_students_files_fit_into_60_megabytes():
    import torch

    from moebius.models.unet import MoebiusUNet
    from moebius.training import autoencoder

    with torch.device("meta"):
        vae = autoencoder.build(load(ROOT / "configs" / "mini-vae.toml", AutoencoderConfig).autoencoder, seed=0)
        students = [
            MoebiusUNet(**load(ROOT / "configs" / f"{name}.toml", TrainConfig).student)
            for name in ("mini", "mini-distilled")
        ]
    for student in students:
        halves = sum(2 * tensor.numel() for network in (student, vae) for tensor in network.state_dict().values())
        assert halves < 59_000_000


def test_direct_and_distilled_differ_by_the_teacher_alone():
    for scale in ("mini", "cpu"):
        direct, distilled = (
            load(ROOT / "configs" / f"{name}.toml", TrainConfig) for name in (scale, f"{scale}-distilled")
        )
        same = replace(distilled.run, out=direct.run.out)
        assert replace(distilled, run=same, teacher=direct.teacher, loss=direct.loss) == direct
        assert distilled.teacher.weights == Path("runs") / f"{scale}-teacher" / "pipeline"


def test_the_papers_configuration_says_what_is_published():
    config = load(ROOT / "configs" / "moebius.toml", TrainConfig)
    assert (config.loss.feature, config.loss.output, config.loss.task, config.loss.perceptual) == (0.01, 0.01, 0.5, 0.5)
    assert config.student == {}  # MoebiusUNet's own defaults
    assert (config.optimizer.matrices, config.optimizer.learning_rate) == ("muon", 1e-4)
    assert (config.run.steps, config.run.precision, config.noise.offset) == (200_000, "bfloat16", 0.0357)
    assert config.teacher.kind == "pixelhacker"


def test_the_small_student_has_at_most_25_million_parameters():
    import torch

    from moebius.models.unet import MoebiusUNet

    with torch.device("meta"):
        student = MoebiusUNet(**load(ROOT / "configs" / "mini.toml", TrainConfig).student)
    assert sum(parameter.numel() for parameter in student.parameters()) <= 25_000_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": {"epochs": 3}}, r"run.epochs: unknown key; allowed here: out, steps"),
        ({"model": {}}, r"model: unknown key; allowed here: run, data, student"),
        ({"run": {"steps": "many"}}, r"run.steps: must be a valid integer, got 'many'"),
        ({"run": {"steps": True}}, r"run.steps: must be a valid integer, got True"),
        ({"run": {"steps": 1.0}}, r"run.steps: must be a valid integer, got 1.0"),
        ({"run": {"steps": 0}}, r"run.steps: must be greater than or equal to 1, got 0"),
        ({"run": {"compile": 1}}, r"run.compile: must be a valid boolean, got 1"),
        ({"run": {"minutes": "nan"}}, r"run.minutes: must be a valid number, got 'nan'"),
        ({"run": {"precision": "half"}}, r"run.precision: must be 'float32' or 'bfloat16', got 'half'"),
        ({"run": {"batch_size": 5, "accumulate": 2}}, r"run: batch_size \(5\) must be divisible by accumulate \(2\)"),
        ({"run": {"out": 3}}, r"run.out: must be a valid string, got 3"),
        ({"optimizer": {"ema_decay": 1}}, r"optimizer.ema_decay: must be less than 1, got 1"),
        ({"loss": {"output": 0.01}}, r"loss.output and loss.feature need a teacher"),
        ({"teacher": {"kind": "moebius"}}, r"the teacher is not used"),
        ({"loss": {"task": 0, "perceptual": 0}}, r"loss: the weights of all terms are 0"),
        ({"loss": {"perceptual_kind": "e-latentlpips"}}, r"loss: perceptual_weights must name"),
        ({"data": {"crop": [0.9, 0.5]}}, r"data.crop: must be two shares in \(0, 1\], .* got \[0.9, 0.5\]"),
        ({"data": {"crop": [0.9]}}, r"data.crop\[1\]: missing"),
        ({"data": {"sources": []}}, r"data.sources: .* at least 1 item .*, got \[\]"),
    ],
)
def test_mistakes_are_named(tmp_path, changes, message):
    """The file, the key, what came and what is allowed, in one line."""
    file = write(tmp_path, toml(settings(tmp_path, **changes)))
    with pytest.raises(ConfigError, match=message) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"kind": "pictures", "path": "p", "mask": ["object"]},
            r"data.sources\[0\].mask: unknown key; allowed here: kind",
        ),
        ({"kind": "pictures", "paths": "p"}, r"data.sources\[0\].paths: unknown key"),  # and not only: path is missing
        ({"kind": "pictures"}, r"data.sources\[0\].path: missing"),
        (
            {"kind": "pictures", "path": "p", "masks": ["circle"]},
            r"data.sources\[0\].masks: unknown \['circle'\]; choose from lama-thin-256",
        ),
        ({"kind": "pictures", "path": "p"}, r"data: .*'lama-medium-512' are made for a size of 512, data.size is 32"),
        ({"kind": "objects", "path": "p"}, r"data.sources\[0\]: object_masks belongs to kind = 'objects'"),
        ({"kind": "pictures", "path": "p", "masks": ["shapes"]}, r"shapes = 'FOLDER' and 'shapes' among masks"),
    ],
)
def test_mistakes_in_a_source_are_named(tmp_path, source, message):
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, toml(settings(tmp_path, data={"sources": [source]}))))


def test_what_is_no_toml_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match="is not TOML"):
        load(write(tmp_path, "[run\n"))


def test_overrides_take_toml_values_and_bare_words(tmp_path):
    path = write(tmp_path, toml(settings(tmp_path)))
    config = load(path, TrainConfig, ["run.steps=7", "run.precision=bfloat16", "data.crop=[0.5, 0.75]"])
    assert (config.run.steps, config.run.precision, config.data.crop) == (7, "bfloat16", (0.5, 0.75))
    with pytest.raises(ConfigError, match="--set takes KEY=VALUE"):
        load(path, TrainConfig, ["run.steps"])


def test_a_configuration_survives_json(tmp_path):
    config = load(write(tmp_path, toml(settings(tmp_path))))
    assert build(TrainConfig, json.loads(json.dumps(plain(config)))) == config
