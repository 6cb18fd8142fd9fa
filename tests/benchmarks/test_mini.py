"""The recipe of benchmarks/mini.md: packed photos and what is refused, and the whole way at a tiny size."""

import json
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import mini_photos, mini_weights
from eval.__main__ import main as eval_main
from moebius import heldout
from moebius.__main__ import main
from moebius.models.unet import MoebiusUNet
from moebius.training.config import ConfigError
from moebius.training.data import pictures
from tests.helpers.deterministic import picture
from tests.helpers.tiny_training import STUDENT, photos, toml


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
    report = mini_photos.pack([folder], target, manifest, shapes, short=64, quality=95)
    assert report["photos"] == 3 and report["silhouettes"] == 2 and report["bytes"] == target.stat().st_size
    assert report["licences"] == ["CC0-1.0"]
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / "data")
    first = Image.open(tmp_path / "data" / "photos" / "00000.jpg")
    assert first.format == "JPEG" and first.size == (64, 64)
    expected = Image.fromarray(picture(0, 96)).resize((64, 64), Image.Resampling.BOX)
    assert np.abs(np.asarray(first, float) - np.asarray(expected, float)).mean() < 4
    big = np.asarray(Image.open(tmp_path / "data" / "silhouettes" / "00000.png"))
    assert big.dtype == bool and max(big.shape) == mini_photos.OUTLINE and big[3:-3, 3:-3].all() and not big.all()
    rows = (tmp_path / "data" / mini_photos.SOURCES).read_text().splitlines()
    assert rows[0].split("\t") == ["packed", "file", "licence", "author", "sha256"]
    assert rows[1].split("\t")[:4] == ["photos/00000.jpg", "photo00.png", "CC0-1.0", "Somebody"]
    packed = [str(path.relative_to(tmp_path / "data")) for path in sorted((tmp_path / "data").rglob("0*"))]
    assert sorted(row.split("\t")[0] for row in rows[1:]) == packed and len(packed) == 5  # nothing without a licence
    before = target.read_bytes()
    mini_photos.pack([folder], target, manifest, tmp_path / "o", short=64, quality=95)
    assert target.read_bytes() == before


def test_what_may_not_be_packed_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    folder = photos(tmp_path / "p", 3)
    manifest, target = listed(tmp_path / "list.tsv", folder), tmp_path / "photos.zip"
    with pytest.raises(ConfigError, match="would have .* kB, more than 1 kB; lower --short"):
        mini_photos.pack([folder], target, manifest, max_bytes=1000)
    Image.fromarray(picture(9, 48)).save(folder / "stranger.png")
    with pytest.raises(ConfigError, match=r"stranger.png has no licence in .*list.tsv"):
        mini_photos.pack([folder], target, manifest)
    with pytest.raises(ConfigError, match="has no licence"):  # listed, but without one
        mini_photos.pack([folder], target, listed(tmp_path / "none.tsv", folder, licence=""))
    (folder / "stranger.png").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match="stranger.png cannot be read"):
        mini_photos.pack([folder], target, manifest)
    (folder / "stranger.png").unlink()
    shapes = outlines(tmp_path / "o")
    with pytest.raises(ConfigError, match=r"big.png has no licence in .*list.tsv"):
        mini_photos.pack([folder], target, manifest, shapes)
    (tmp_path / "words.tsv").write_text("name\tterms\na\tb\n")
    with pytest.raises(ConfigError, match="columns file, licence and sha256"):
        mini_photos.pack([folder], target, tmp_path / "words.tsv")
    held = pictures.index([folder / "photo01.png"], frozenset()).pictures[0].pixels_sha256
    monkeypatch.setattr(heldout, "hashes", lambda: frozenset({held}))
    with pytest.raises(heldout.HeldOutError, match="photo01.png"):
        mini_photos.pack([folder], target, manifest)
    assert not target.exists() and not list(tmp_path.glob(".*part"))


def test_the_script_prints_what_it_did(tmp_path, capsys):
    folder = photos(tmp_path / "p", 2)
    manifest = listed(tmp_path / "list.tsv", folder)
    mini_photos.main([str(folder), "--licences", str(manifest), "-o", str(tmp_path / "a.zip")])
    told = capsys.readouterr().out
    assert "a.zip: 2 photos and 0 outlines, " in told and "licences: CC0-1.0" in told


def test_from_photos_to_packed_weights_by_the_documented_commands(tmp_path, capsys, monkeypatch):
    """Packed, unpacked, autoencoder, student, distilled student, half precision, figures, a fill: the recipe, tiny."""
    monkeypatch.chdir(tmp_path)
    folder = photos(tmp_path / "p", 5)
    listed(tmp_path / "list.tsv", folder, outlines(tmp_path / "o"))
    run = {"steps": 2, "batch_size": 4, "device": "cpu", "validate_every": 0, "grid_every": 0, "workers": 1}
    source = {"kind": "pictures", "path": "data/photos", "masks": ["object", "shapes"], "shapes": "data/silhouettes"}
    data = {"size": 32, "validation": 1, "on_device": True, "holes": 8, "sources": [source]}
    blocks = {"block_size": 4, "latent_channels": 3, "refiner_channels": 8, "refiner_layers": 1}
    student = STUDENT | {"sample_size": 8, "in_channels": 7, "out_channels": 3, "prediction_type": "sample"}
    alone = {"task": 1.0, "output": 0, "feature": 0, "perceptual": 0, "known": 0.1, "adaptive": False}
    base = {"autoencoder": {"weights": "runs/vae/autoencoder"}, "data": data}
    vae = {"run": run | {"out": "runs/vae"}, "data": data, "loss": {"adversarial": 0}, "autoencoder": blocks}
    teacher = base | {
        "run": run | {"out": "runs/teacher"},
        "loss": alone,
        "student": student | {"block_out_channels": [32, 64]},
    }
    distilled = base | {
        "run": run | {"out": "runs/mini", "minutes": 1e-6},
        "student": student,
        "teacher": {"kind": "moebius", "weights": "runs/teacher/pipeline"},
        "loss": {"perceptual": 0, "known": 0.1},
    }
    mini_photos.main("p --licences list.tsv --shapes o -o photos.zip".split())
    with zipfile.ZipFile("photos.zip") as archive:
        archive.extractall("data")
    for command, name, settings in (
        ("train-vae", "vae", vae),
        ("train", "teacher", teacher),
        ("train", "mini", distilled),
    ):
        Path(f"{name}.toml").write_text(toml(settings))
        assert main([command, f"{name}.toml"]) == 0, capsys.readouterr().err
    mini_weights.main("runs/mini/pipeline -o weights/mini".split())
    assert "Not measured yet" in Path("weights/mini/README.md").read_text()
    photos(tmp_path / "judged", 3, first=30)
    evaluation = "run --models telea,moebius --weights moebius=weights/mini --steps 10 --guidance 1 --data judged"
    evaluation += " --masks object --features efficientnet-lite0 --perceptual efficientnet-lite0 --no-time"
    assert eval_main([*evaluation.split(), "--device", "cpu", "-o", "results"]) == 0, capsys.readouterr().err
    mini_weights.main("runs/mini/pipeline -o weights/mini --results results".split())
    Image.fromarray(picture(20, 40)).save("photo.png")
    hole = np.zeros((40, 40), np.uint8)
    hole[10:20, 12:30] = 255
    Image.fromarray(hole).save("mask.png")
    capsys.readouterr()
    fill = "inpaint photo.png mask.png -o filled.png --model moebius --weights weights/mini --steps 10 --guidance 1"
    assert main([*fill.split(), "--seed", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "moebius"
    assert np.array_equal(np.asarray(Image.open("filled.png"))[:5], picture(20, 40)[:5])
    stored = Path("weights/mini/unet/diffusion_pytorch_model.safetensors").read_bytes()
    assert b'"F16"' in stored and b'"F32"' not in stored
    _check_card(tmp_path)
    with pytest.raises(ConfigError, match="--results is of other weights"):
        mini_weights.main("runs/teacher/pipeline -o weights/other --results results".split())


def _check_card(folder: Path) -> None:
    """The figures of README.md, against the files that they are of."""
    text = (folder / "weights" / "mini" / "README.md").read_text()
    assert "`data/photos`: 5 photos and 2 silhouettes (CC0-1.0: 7);" in text
    record = json.loads((folder / "runs" / "teacher" / "pipeline" / "training.json").read_text())
    assert "heldout_task" not in record["metrics"] and "| teacher | 2 | 8 | not measured | 0 min | " in text
    assert "| student | 1 | 4 | not measured | 0 min | " in text and "| autoencoder | 2 | 8 | " in text
    results = json.loads((folder / "results" / "results.json").read_text())
    mini = next(model for model in results["models"] if model["name"] == "moebius")
    assert mini["parameters"] == sum(
        weight.numel() for weight in MoebiusUNet.from_pretrained(folder / "weights" / "mini" / "unet").parameters()
    )
    mini = mini["composited"]
    figure = mini["pictures"]["effnet_lite0_distance_hole"]
    assert f"| **this student** | {figure['mean']:.3f} [" in text
    assert f"{mini['sets']['fd_effnet_lite0']['value']:.4g} |" in text
    assert "Against telea, paired: EffNet-Lite0 distance in the hole " in text
    assert mini["difference"]["effnet_lite0_distance_hole"]["verdict"] in text


def test_a_card_says_what_it_does_not_know_and_refuses_figures_of_other_weights(tmp_path):
    manifest = {"files": {"unet/w.safetensors": {"sha256": "a" * 64, "bytes": 2_500_000}}}
    text = mini_weights.card(tmp_path, manifest)
    assert "2.5 MB" in text and text.count("Not known") == 3 and "Not measured yet" in text
    results = {
        "models": [{"name": "moebius", "weights": {"denoiser": "b" * 64}}],
        "data": {},
        "figures": {"pictures": [], "sets": [{}]},
    }
    with pytest.raises(ConfigError, match="of other weights"):
        mini_weights.card(tmp_path, manifest, results)
    with pytest.raises(ConfigError, match="results.json is missing; `python -m eval run"):
        mini_weights.read_results(tmp_path)
