"""The command line: quick help, plain errors, options that are used."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eval.__main__ import build_parser, main
from eval.options import given_settings
from eval.settings import Settings, load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["report", "--help"]])
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys; from eval.__main__ import main\n"
        f"try: main({words!r})\n"
        "except SystemExit as done: assert done.code == 0\n"
        "assert not {'torch', 'numpy', 'cv2', 'diffusers', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: python -m eval")


def fails(capsys, *words: str) -> str:
    """One line on stderr, status 2."""
    try:
        status = main([*words])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr().err
    assert status == 2 and said.count("\n") == 1 and "Traceback" not in said
    return said


def test_mistakes_get_one_line(capsys, pictures, tmp_path, monkeypatch):
    out = ["-o", str(tmp_path / "out")]
    data = ["--data", str(pictures), "--masks", "object", "--device", "cpu"]
    assert "unknown model 'lama'" in fails(capsys, "run", "--models", "lama", *data, *out)
    assert "say with --data" in fails(capsys, "run", "--models", "telea", *out)
    assert "say with --models" in fails(capsys, "run", *data, *out)
    assert "holds no evaluation; start with" in fails(capsys, "report", "-o", str(tmp_path / "nothing"))
    said = fails(capsys, "run", "--models", "telea", "--reference", "x", *data, *out)
    assert "--reference x is not among --models (telea)" in said
    assert "write MODEL.OPTION=VALUE" in fails(capsys, "run", "--set", "telea=3", *out)
    assert "'many' is not a number" in fails(capsys, "run", "--set", "telea.steps=many", *out)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    said = fails(capsys, "run", "--models", "telea", *data, *out)
    assert "weights-inception-2015-12-05-6726825d.pth is missing in" in said and "--features efficientnet-lite0" in said
    assert not list((tmp_path / "out").rglob("*.png"))  # said before anything was filled


def test_every_option_reaches_the_settings():
    words = (
        "run -o o --models a,b --data d --folder f --masks m --size 256 --seed 3 --limit 9 --weights W --weights b=X "
        "--variant v --device cpu --dtype bfloat16 --batch 4 --recipe published --steps 8 --guidance 1.5 "
        "--strength 0.9 --noise-offset 0 --scheduler euler --feather 2 --detail off "
        "--match-colours off --set b.steps=50 --set b.detail=on --features efficientnet-lite0 "
        "--perceptual vgg --removal dinov2-giant --dinov2 D --antialias --download --reference b --rounds 7 "
        "--time-batches 1,4"
    ).split()
    settings = Settings(**given_settings(vars(build_parser().parse_args(words))))
    assert settings == Settings(
        models=("a", "b"),
        data="d",
        folder="f",
        masks="m",
        size=256,
        seed=3,
        limit=9,
        weights={"": "W", "b": "X"},
        variant="v",
        device="cpu",
        dtype="bfloat16",
        batch=4,
        features="efficientnet-lite0",
        perceptual="vgg",
        removal="dinov2-giant",
        dinov2="D",
        antialias=True,
        download=True,
        reference="b",
        rounds=7,
        time_batches=(1, 4),
        overrides={"b": {"num_inference_steps": 50, "detail": True}},
        sampling={
            "recipe": "published",
            "num_inference_steps": 8,
            "guidance_scale": 1.5,
            "strength": 0.9,
            "noise_offset": 0.0,
            "scheduler": "euler",
            "feather_px": 2,
            "detail": False,
            "match_colours": False,
        },
    )


def test_settings_survive_their_file(tmp_path):
    settings = Settings(models=("a", "b"), data="d", weights={"": "W"}, overrides={"a": {"strength": 0.5}})
    settings.save(tmp_path)
    assert load(tmp_path) == settings


def test_steps_one_by_one(capsys, pictures, tmp_path):
    out = ["-o", str(tmp_path / "out")]
    start = ["--models", "telea,navier-stokes", "--data", str(pictures), "--masks", "object", "--device", "cpu"]
    features = ["--features", "efficientnet-lite0"]
    assert main(["generate", *start, *features, *out]) == 0
    assert main(["score", *out]) == 0
    assert main(["time", "--rounds", "1", *out]) == 0
    assert main(["report", "--rounds", "1", *out]) == 0
    said = capsys.readouterr().out
    assert "telea" in said and "Report:" in said
    assert main(["sheet", *out]) == 0
    names = ("first", "worst-telea", "worst-navier-stokes")
    files = [tmp_path / "out" / f"sheet-{name}.jpg" for name in names]
    assert capsys.readouterr().out.split() == [str(file) for file in files] and all(map(Path.is_file, files))
    assert "Time and cost" in (tmp_path / "out" / "results.md").read_text()


def test_a_report_without_scores_says_which_step_is_missing(capsys, pictures, tmp_path):
    out = ["-o", str(tmp_path / "out")]
    start = ["--models", "telea", "--data", str(pictures), "--masks", "object", "--device", "cpu"]
    main(["generate", *start, "--features", "efficientnet-lite0", *out])
    capsys.readouterr()
    for step in ("report", "sheet"):
        assert "python -m eval score makes them" in fails(capsys, step, *out)
