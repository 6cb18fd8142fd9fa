"""The command line: what it writes, what it says, and that a mistake is one line and no file."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from moebius import model_cache, registry
from moebius.__main__ import COMMANDS, main
from tests.helpers.deterministic import picture
from tests.helpers.malformed import malformed_inputs
from tests.helpers.standin_weights import write_published

ROOT = Path(__file__).parents[3]
HOLE = (100, 60, 130, 80)  # left, top, right, bottom


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return write_published(tmp_path_factory.mktemp("weights"), small=True)


@pytest.fixture(autouse=True)
def nothing_here(tmp_path_factory, monkeypatch):
    """No weights but those that a test names."""
    monkeypatch.delenv("MOEBIUS_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
    model_cache.release()
    yield
    model_cache.release()


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(picture(1, 256)).save(path)
    return path


@pytest.fixture
def mask(tmp_path) -> Path:
    path = tmp_path / "mask.png"
    image = Image.new("L", (256, 256))
    image.paste(255, HOLE)
    image.save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "moebius", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment,
        capture_output=True,
        text=True,
    )


def fails(capfd, *arguments) -> str:
    """Run a command that must fail as a user's mistake; its one line on stderr."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse
        status = stop.code
    out, err = capfd.readouterr()
    assert status == 2 and out == "", (status, out, err)
    assert err.count("\n") == 1 and err.startswith("moebius"), err
    return err


# ---- what it does ----


def test_classical_fill_changes_the_hole_and_nothing_else(photo, mask, tmp_path, capfd):
    assert main(["inpaint", f"{photo}", f"{mask}", "-o", f"{tmp_path / 'out.png'}", "--json", "--feather", "0"]) == 0
    out, err = capfd.readouterr()
    report = json.loads(out)
    before, after = pixels(photo), pixels(tmp_path / "out.png")
    inside = np.zeros((256, 256), bool)
    inside[HOLE[1] : HOLE[3], HOLE[0] : HOLE[2]] = True
    assert np.array_equal(before[~inside], after[~inside]) and not np.array_equal(before[inside], after[inside])
    assert report["changed_pixels"] == 30 * 20 and report["config"]["feather_px"] == 0
    assert (report["model"], report["variant"], report["seed"]) == ("classical", None, None)
    assert "python -m moebius download" in report["reason"] and report["output"] == str(tmp_path / "out.png")
    assert report["seconds"]["total"] >= report["seconds"]["model"] > 0 and report["peak_gib"]["memory"] > 0.01
    assert len(report["squares"]) == 1 and err == ""  # no terminal, no progress


def test_the_filler_is_prepared_while_the_photo_is_read(photo, mask, tmp_path, monkeypatch):
    """Loading numba and the kernels takes a second, in a thread of its own."""
    from moebius.patchmatch import compile as kernels
    from moebius.photo import photo_file

    order, start, open_photo = [], kernels.start, photo_file.open_photo
    monkeypatch.setattr(kernels, "start", lambda: (order.append("prepare"), start())[1])
    monkeypatch.setattr(photo_file, "open_photo", lambda *rest: (order.append("read"), open_photo(*rest))[1])
    assert main(["inpaint", f"{photo}", f"{mask}", "-o", f"{tmp_path / 'out.png'}"]) == 0
    assert order[:2] == ["prepare", "read"]


def test_the_mask_is_grown_by_a_share_of_its_size_when_asked(photo, mask, tmp_path, capfd):
    out = tmp_path / "out.png"
    arguments = ("inpaint", photo, mask, "-o", out, "--json", "--feather", "0", "--grow-mask", "0.12")
    assert main([str(one) for one in arguments]) == 0
    report = json.loads(capfd.readouterr().out)
    hole = pixels(mask) > 0
    grown = ndimage.distance_transform_edt(~hole) <= 3  # 0.12 of the root of 600
    assert report["changed_pixels"] == grown.sum() and "The mask was grown by 3 pixels." in report["notes"]
    changed = (pixels(photo) != pixels(out)).any(axis=2)
    assert not changed[~grown].any() and changed[grown & ~hole].any()


def test_the_student_fills_and_the_seed_repeats_it(photo, mask, published, tmp_path, capfd):
    command = [
        "inpaint",
        f"{photo}",
        f"{mask}",
        "--weights",
        f"{published}",
        "--steps",
        "2",
        "--json",
        "--device",
        "cpu",
    ]
    reports = []
    for name, seed in (("a", []), ("b", []), ("c", ["--seed", "7"]), ("d", ["--seed", "7", "--scheduler", "unipc"])):
        assert main([*command, *seed, "-o", f"{tmp_path / name}.png"]) == 0
        reports.append(json.loads(capfd.readouterr().out))
    seeds = [report["seed"] for report in reports]
    assert seeds[0] != seeds[1] and seeds[2:] == [7, 7]
    assert {report["model"] for report in reports} == {"moebius"} and reports[0]["variant"] == "places2"
    assert [report["config"]["scheduler"] for report in reports] == ["ddim", "ddim", "ddim", "unipc"]
    assert not np.array_equal(pixels(tmp_path / "c.png"), pixels(tmp_path / "d.png"))

    assert main([*command, "--seed", str(seeds[0]), "-o", f"{tmp_path / 'again.png'}"]) == 0
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "again.png"))
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_the_published_recipe_returns_the_models_size(photo, mask, published, tmp_path, capfd):
    arguments = ["--weights", f"{published}", "--recipe", "published", "--steps", "2", "--seed", "1"]
    assert main(["inpaint", f"{photo}", f"{mask}", "-o", f"{tmp_path / 'out.png'}", *arguments]) == 0
    assert pixels(tmp_path / "out.png").shape == (512, 512, 3)
    assert "512×512" in capfd.readouterr().out


def test_output_may_be_a_folder_or_another_format(photo, mask, tmp_path, capfd):
    (tmp_path / "done").mkdir()
    common = ["inpaint", f"{photo}", f"{mask}", "--model", "classical"]
    assert main([*common, "-o", f"{tmp_path / 'done'}"]) == 0
    assert main([*common, "-o", f"{tmp_path / 'done' / 'small.JPG'}"]) == 0
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["photo.png", "small.JPG"]
    with Image.open(tmp_path / "done" / "small.JPG") as image:
        assert (image.format, image.size) == ("JPEG", (256, 256))


def test_options_without_a_meaning_for_the_model_are_said_to_have_none(photo, mask, tmp_path, capfd):
    common = ["inpaint", f"{photo}", f"{mask}", "-o", f"{tmp_path / 'out.png'}", "--model", "classical"]
    assert main([*common, "--steps", "4", "--seed", "1"]) == 0
    assert "PatchMatch ignores --steps, --seed." in capfd.readouterr().out


def test_an_empty_mask_gives_the_photo_back_and_says_so(photo, tmp_path, capfd):
    Image.new("L", (256, 256)).save(tmp_path / "empty.png")
    assert main(["inpaint", f"{photo}", f"{tmp_path / 'empty.png'}", "-o", f"{tmp_path / 'out.png'}"]) == 0
    assert (tmp_path / "out.png").read_bytes() == photo.read_bytes()
    assert "mask is empty" in capfd.readouterr().out


def test_models_says_what_can_run_and_why_not(published, capfd):
    assert main(["models", "--json"]) == 0
    cards = {card["name"]: card for card in json.loads(capfd.readouterr().out)["models"]}
    assert list(cards) == [*registry.MODELS, "select"] and "moebius" in cards
    assert not cards["moebius"]["can_run"] and "python -m moebius download" in cards["moebius"]["reason"]
    assert cards["moebius"]["variants"] == ["places2", "pretrained", "celebahq", "ffhq"]
    assert cards["classical"]["can_run"] and cards["classical"]["download_bytes"] == 0
    assert all(card["license"] and card["source"] and card["weights"] for card in cards.values())
    assert not cards["select"]["can_run"] and "python -m moebius download select" in cards["select"]["reason"]
    assert not cards["flux-fill"]["can_run"] and "accept the licence" in cards["flux-fill"]["reason"]
    assert "Non-commercial" in cards["flux-fill"]["notice"]
    assert "leaves this computer" in cards["flux-fill-pro"]["notice"]

    assert main(["models", "--weights", str(published)]) == 0
    text = capfd.readouterr().out
    assert "moebius: can run here" in text and str(published) in text and "226.0 M parameters" in text


def test_download_to_a_folder_and_a_fill_from_it(photo, mask, published, tmp_path, capfd):
    target = tmp_path / "weights"
    assert main(["download", "--weights", f"{published}", "--to", f"{target}", "--json"]) == 0
    entry = json.loads(capfd.readouterr().out)["downloaded"][0]
    assert entry["folder"] == str(target) and entry["variant"] == "places2"
    facts = entry["files"]["unet/diffusion_pytorch_model.safetensors"]
    content = (target / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    fills = []
    for name, weights in (("bin", published), ("safetensors", target)):
        out = tmp_path / f"{name}.png"
        arguments = ["--weights", f"{weights}", "--steps", "1", "--seed", "3", "--device", "cpu"]
        assert main(["inpaint", f"{photo}", f"{mask}", "-o", f"{out}", *arguments]) == 0
        fills.append(pixels(out))
    assert np.array_equal(*fills)


# ---- mistakes ----


def test_malformed_inputs_are_one_line_and_no_file(tmp_path, capfd):
    cases = malformed_inputs(tmp_path / "inputs")
    assert len(cases) >= 200
    before = {path: path.stat() for path in (tmp_path / "inputs").iterdir()}
    out, wrong = tmp_path / "out", []
    out.mkdir()
    for case in cases:
        command = ["inpaint", str(case.photo), str(case.mask), "-o", str(out), "--model", "classical", "--json"]
        try:
            status = main(command)
        except BaseException as error:  # collected, so that one run shows all
            status = f"{type(error).__name__}: {error}"
        said, complaint = capfd.readouterr()
        written = list(out.iterdir())
        failed = status == 2 and said == "" and written == [] and complaint.count("\n") == 1
        filled = status == 0 and len(written) == 1 and complaint == "" and json.loads(said)["model"] == "classical"
        if not {"error": failed, "ok": filled, "either": failed or filled}[case.expected]:
            wrong.append(f"{case.name}, expected {case.expected}: {status} {complaint or said} {written}")
        for path in written:
            path.unlink()
    assert wrong == []
    assert before.keys() == set((tmp_path / "inputs").iterdir())
    assert all(path.stat().st_mtime_ns == stat.st_mtime_ns for path, stat in before.items())


def test_mistakes_in_the_options_are_one_line(photo, mask, published, tmp_path, capfd):
    out = tmp_path / "out.png"
    common = ("inpaint", photo, mask, "-o", out)
    for arguments, part in (
        ((), "the following arguments are required"),
        (("paint",), "invalid choice: 'paint'"),
        (("inpaint", photo, mask), "required: -o"),
        ((*common, "--steps", "0"), "num_inference_steps must be between 1 and 1000, got 0"),
        ((*common, "--steps", "many"), "invalid int value: 'many'"),
        ((*common, "--guidance", "nan"), "guidance_scale"),
        ((*common, "--strength", "2"), "strength must be in (0, 1], got 2.0"),
        ((*common, "--grow-mask", "2"), "--grow-mask must be a share of the mask's size from 0 to 0.2, got 2"),
        ((*common, "--model", "lama"), "choose from"),
        ((*common, "--variant", "cats"), "choose from"),
        ((*common, "--seed", "-1"), "--seed must be between 0"),
        ((*common, "--batch-size", "0"), "--batch-size must be at least 1, got 0"),
        ((*common, "--weights", tmp_path / "nowhere"), "does not exist"),
        ((*common, "--weights", tmp_path), "holds no weights of Moebius"),
        ((*common, "--weights", published, "--variant", "ffhq"), "does not hold ffhq"),
        ((*common, "--weights", published, "--device", "cuda:99"), "cuda:99"),
        (("inpaint", photo, mask, "-o", tmp_path / "no" / "out.png"), "does not exist"),
        (("inpaint", photo, mask, "-o", tmp_path / "out.doc"), "has the suffix .doc"),
        (("inpaint", photo, mask, "-o", photo), "is an input"),
        (("inpaint", photo, mask, "-o", tmp_path), "is an input"),
        (("inpaint", photo, mask, "-o", mask), "is an input"),
        (("models", "--weights", published, "--variant", "cats"), "choose from"),
        (("download", "cats"), "choose from"),
        (("download", "select", "--weights", published), "--weights cannot be used with SAM 2.1 tiny"),
        (("download", "select", "--model", "pixelhacker"), "leave out --model"),
        (("download", "--weights", published), "add --to DIR, where they are written"),
        (("download", "--weights", published, "--to", photo), "is a file"),
        (("download", "--weights", published, "--to", tmp_path), "holds other files"),
        (("download", "all", "--weights", published, "--to", tmp_path / "new"), "does not hold pretrained"),
    ):
        assert part in fails(capfd, *arguments), arguments
    assert not out.exists()


def test_the_photo_is_overwritten_only_when_told(photo, mask, capfd):
    before = photo.read_bytes()
    assert "--overwrite" in fails(capfd, "inpaint", photo, mask, "-o", photo)
    assert photo.read_bytes() == before
    assert main(["inpaint", f"{photo}", f"{mask}", "-o", f"{photo}", "--overwrite", "--model", "classical"]) == 0
    assert photo.read_bytes() != before and pixels(photo).shape == (256, 256, 3)


def test_no_weights_and_no_network_is_one_line_and_no_file(photo, mask, tmp_path):
    done = run("inpaint", photo, mask, "-o", tmp_path / "out.png", "--model", "moebius", HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "could not be downloaded" in done.stderr and "--weights or MOEBIUS_WEIGHTS" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_write_that_fails_leaves_nothing(photo, mask, tmp_path, capfd, monkeypatch):
    out = tmp_path / "done" / "out.png"
    out.parent.mkdir()
    out.write_bytes(b"what was here before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in fails(capfd, "inpaint", photo, mask, "-o", out, "--model", "classical")
    assert [path.name for path in out.parent.iterdir()] == ["out.png"]
    assert out.read_bytes() == b"what was here before"


def test_ctrl_c_writes_nothing(photo, mask, tmp_path, capfd, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("moebius.inpainters.classical.ClassicalInpainter.fill_square", interrupted)
    out = tmp_path / "done" / "out.png"
    out.parent.mkdir()
    assert main(["inpaint", f"{photo}", f"{mask}", "-o", f"{out}", "--model", "classical"]) == 130
    assert capfd.readouterr() == ("", "cancelled, nothing was written\n") and not list(out.parent.iterdir())


# ---- speed and manners ----


def test_help_of_every_command_loads_nothing_heavy():
    """What makes it answer at once, whatever the machine."""
    code = (
        "import contextlib, io, sys\n"
        "from moebius.__main__ import COMMANDS, main\n"
        "for words in ([], *([name] for name in COMMANDS)):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):\n"
        "        main([*words, '--help'])\n"
        "    assert said.getvalue().startswith('usage: moebius'), words\n"
        "    heavy = {'torch', 'numpy', 'cv2', 'diffusers', 'PIL', 'gradio'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_never_ran_here_is_not_in_help(capsys):
    """It is described in benchmarks/waiting-for-gpu.md, and works all the same."""
    said = ""
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        said += capsys.readouterr().out
    assert said.count("usage: moebius") == len(COMMANDS)
    described = (ROOT / "benchmarks" / "waiting-for-gpu.md").read_text()
    for hidden in ("--plan", "--kernel", "triton", "mini"):
        assert hidden not in said and hidden in described


def test_a_reader_that_has_seen_enough_is_no_error():
    piped = f"{sys.executable} -m moebius models | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", piped], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
