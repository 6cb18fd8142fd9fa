"""Photos packed for a training: what is in the file, what is refused, and that a training reads it."""

import json
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moebius import heldout
from moebius.__main__ import main
from moebius.models.unet import MoebiusUNet
from moebius.training import card
from moebius.training.config import ConfigError
from moebius.training.data import packing, pictures
from tests.helpers.deterministic import picture
from tests.helpers.tiny_training import ROOT, photos, table, toml


def listed(file: Path, *folders: Path, licence: str = "CC0-1.0") -> Path:
    rows = ["file\tlicence\tauthor\tsha256"]
    for path in sorted(path for folder in folders for path in folder.rglob("*.png")):
        rows.append(f"{path.name}\t{licence}\tSomebody\t{sha256(path.read_bytes()).hexdigest()}")
    file.write_text("\n".join(rows) + "\n")
    return file


def outlines(folder: Path) -> Path:
    folder.mkdir()
    mask = np.zeros((400, 300), np.uint8)
    mask[50:380, 40:200] = 255
    Image.fromarray(mask).save(folder / "big.png")
    Image.fromarray(mask[40:90, 30:80]).save(folder / "corner.png")
    return folder


def test_it_holds_shrunk_photos_outlines_and_everybodys_licence(tmp_path):
    folder = photos(tmp_path / "p", 3, size=96)
    shapes, target = outlines(tmp_path / "o"), tmp_path / "new" / "photos.zip"
    manifest = listed(tmp_path / "list.tsv", folder, shapes)
    report = packing.pack([folder], target, manifest, shapes, short=64, quality=95)
    assert report["photos"] == 3 and report["silhouettes"] == 2 and report["bytes"] == target.stat().st_size
    assert report["licences"] == ["CC0-1.0"]
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / "data")
    first = Image.open(tmp_path / "data" / "photos" / "00000.jpg")
    assert first.format == "JPEG" and first.size == (64, 64)
    expected = Image.fromarray(picture(0, 96)).resize((64, 64), Image.Resampling.BOX)
    assert np.abs(np.asarray(first, float) - np.asarray(expected, float)).mean() < 4
    big = np.asarray(Image.open(tmp_path / "data" / "silhouettes" / "00000.png"))
    assert big.dtype == bool and max(big.shape) == packing.OUTLINE and big[3:-3, 3:-3].all() and not big.all()
    rows = (tmp_path / "data" / packing.SOURCES).read_text().splitlines()
    assert rows[0].split("\t") == ["packed", "file", "licence", "author", "sha256"]
    assert rows[1].split("\t")[:4] == ["photos/00000.jpg", "photo00.png", "CC0-1.0", "Somebody"]
    packed = [str(path.relative_to(tmp_path / "data")) for path in sorted((tmp_path / "data").rglob("0*"))]
    assert sorted(row.split("\t")[0] for row in rows[1:]) == packed and len(packed) == 5  # nothing without a licence
    before = target.read_bytes()
    packing.pack([folder], target, manifest, tmp_path / "o", short=64, quality=95)
    assert target.read_bytes() == before


def test_what_may_not_be_packed_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    folder = photos(tmp_path / "p", 3)
    manifest, target = listed(tmp_path / "list.tsv", folder), tmp_path / "photos.zip"
    with pytest.raises(ConfigError, match="would have .* kB, more than 1 kB; lower --short"):
        packing.pack([folder], target, manifest, most=1000)
    Image.fromarray(picture(9, 48)).save(folder / "stranger.png")
    with pytest.raises(ConfigError, match=r"stranger.png has no licence in .*list.tsv"):
        packing.pack([folder], target, manifest)
    with pytest.raises(ConfigError, match="has no licence"):  # listed, but without one
        packing.pack([folder], target, listed(tmp_path / "none.tsv", folder, licence=""))
    (folder / "stranger.png").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match="stranger.png cannot be read"):
        packing.pack([folder], target, manifest)
    (folder / "stranger.png").unlink()
    shapes = outlines(tmp_path / "o")
    with pytest.raises(ConfigError, match=r"big.png has no licence in .*list.tsv"):
        packing.pack([folder], target, manifest, shapes)
    (tmp_path / "words.tsv").write_text("name\tterms\na\tb\n")
    with pytest.raises(ConfigError, match="columns file, licence and sha256"):
        packing.pack([folder], target, tmp_path / "words.tsv")
    held = pictures.index([folder / "photo01.png"], frozenset()).pictures[0].pixels_sha256
    monkeypatch.setattr(heldout, "hashes", lambda: frozenset({held}))
    with pytest.raises(heldout.HeldOutError, match="photo01.png"):
        packing.pack([folder], target, manifest)
    assert not target.exists() and not list(tmp_path.glob(".*part"))


def test_the_command_says_what_it_did_or_one_line(tmp_path, capsys):
    folder = photos(tmp_path / "p", 2)
    manifest = listed(tmp_path / "list.tsv", folder)
    call = ["pack-photos", str(folder), "--licences", str(manifest), "-o", str(tmp_path / "a.zip")]
    assert main([*call, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 2
    assert main([*call, "--quality", "0"]) == 2
    assert "--quality must be between 1 and 100" in capsys.readouterr().err


def test_from_photos_to_shipped_weights_by_the_documented_commands(tmp_path):
    """Packed, unpacked, autoencoder, student, distilled student, half precision, a fill: the recipe at a tiny size."""
    folder = photos(tmp_path / "p", 5)
    listed(tmp_path / "list.tsv", folder, outlines(tmp_path / "o"))
    run = {"steps": 2, "batch_size": 4, "device": "cpu", "validate_every": 0, "grid_every": 0, "workers": 1}
    data = {"size": 32, "validation": 1, "on_device": True, "holes": 8,
            "sources": [{"kind": "pictures", "path": "data/photos", "masks": ["object", "shapes"],
                         "shapes": "data/silhouettes"}]}  # fmt: skip
    vae = {"run": {**run, "out": "runs/vae"}, "data": data, "loss": {"adversarial": 0},
           "autoencoder": {"block_size": 4, "latent_channels": 3, "refiner_channels": 8,
                           "refiner_layers": 1}}  # fmt: skip
    student = table(tmp_path)["student"] | {"sample_size": 8, "in_channels": 7, "out_channels": 3,
                                            "prediction_type": "sample"}  # fmt: skip
    plain = {"task": 1.0, "output": 0, "feature": 0, "perceptual": 0, "known": 0.1, "adaptive": False}
    base = {"autoencoder": {"weights": "runs/vae/autoencoder"}, "data": data}
    trainings = {
        "vae": ("train-vae", vae),
        "teacher": ("train", {**base, "run": {**run, "out": "runs/teacher"}, "loss": plain,
                              "student": student | {"block_out_channels": [32, 64]}}),
        "mini": ("train", {**base, "run": {**run, "out": "runs/mini", "minutes": 1e-6}, "student": student,
                           "teacher": {"kind": "moebius", "weights": "runs/teacher/pipeline"},
                           "loss": {"perceptual": 0, "known": 0.1}}),
    }  # fmt: skip
    commands = [
        "moebius pack-photos p --licences list.tsv --shapes o -o photos.zip",
        "zipfile -e photos.zip data",
    ]
    for name, (command, settings) in trainings.items():
        (tmp_path / f"{name}.toml").write_text(toml(settings))
        commands.append(f"moebius {command} {name}.toml")
    commands.append("moebius pack-weights runs/mini/pipeline")
    Image.fromarray(picture(20, 40)).save(tmp_path / "photo.png")
    hole = np.zeros((40, 40), np.uint8)
    hole[10:20, 12:30] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    photos(tmp_path / "judged", 3, first=30)
    commands += [
        "eval run --models telea,moebius-mini --data judged --masks object --features efficientnet-lite0"
        " --perceptual efficientnet-lite0 --no-time --device cpu --dtype float32 -o results",
        "moebius pack-weights runs/mini/pipeline --results results",
    ]
    commands.append("moebius inpaint photo.png mask.png -o filled.png --model moebius-mini --seed 1 --json")
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", *command.split()], cwd=tmp_path, capture_output=True, text=True, timeout=240,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
    told = json.loads(done.stdout)
    assert told["model"] == "moebius-mini"
    assert np.array_equal(np.asarray(Image.open(tmp_path / "filled.png"))[:5], picture(20, 40)[:5])
    stored = (tmp_path / "weights" / "moebius-mini" / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert b'"F16"' in stored and b'"F32"' not in stored
    _check_card(tmp_path)


def _check_card(folder: Path) -> None:
    """The figures of README.md, against the files that they are of."""
    text = (folder / "weights" / "moebius-mini" / "README.md").read_text()
    assert "`data/photos`: 5 photos and 2 silhouettes (CC0-1.0: 7);" in text
    told = json.loads((folder / "runs" / "teacher" / "pipeline" / "training.json").read_text())
    loss = told["metrics"].get("heldout_task")
    assert loss is None and "| teacher | 2 | 8 | not measured | 0 min | " in text
    assert "| student | 1 | 4 | not measured | 0 min | " in text and "| autoencoder | 2 | 8 | " in text
    results = json.loads((folder / "results" / "results.json").read_text())
    mini = next(model for model in results["models"] if model["name"] == "moebius-mini")
    assert mini["parameters"] == sum(
        weight.numel()
        for weight in MoebiusUNet.from_pretrained(folder / "weights" / "moebius-mini" / "unet").parameters()
    )
    mini = mini["composited"]
    figure = mini["pictures"]["effnet_lite0_distance_hole"]
    assert f"| **Moebius mini, a small stand-in** | {figure['mean']:.3f} [" in text
    assert f"{mini['sets']['fd_effnet_lite0']['value']:.4g} |" in text
    assert "Against telea, paired: EffNet-Lite0 distance in the hole " in text
    assert mini["difference"]["effnet_lite0_distance_hole"]["verdict"] in text


def test_a_card_says_what_it_does_not_know_and_refuses_figures_of_other_weights(tmp_path):
    manifest = {"files": {"unet/w.safetensors": {"sha256": "a" * 64, "bytes": 2_500_000}}}
    text = card.card(tmp_path, manifest)
    assert "2.5 MB" in text and text.count("Not known") == 3 and "Not measured yet" in text
    results = {"models": [{"name": "moebius-mini", "weights": {"unet/w.safetensors": "b" * 64}}],
               "data": {}, "figures": {"pictures": [], "sets": [{}]}}  # fmt: skip
    with pytest.raises(ConfigError, match="of other weights"):
        card.card(tmp_path, manifest, results)
    with pytest.raises(ConfigError, match="results.json cannot be read"):
        card.read_results(tmp_path)
