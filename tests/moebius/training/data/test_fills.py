"""Data sets of finished fills: made, resumed, licensed, learned from."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from moebius import heldout, registry
from moebius.__main__ import main
from moebius.commands.make_fills import RIGHT
from moebius.config import SamplingConfig
from moebius.training.config import ConfigError, Data, Source
from moebius.training.data import fills
from moebius.training.data.make_fills import make
from moebius.training.data.samples import Samples
from tests.helpers.one_by_one import OneByOne
from tests.helpers.tiny_training import photos

FACTS = {"model": "painter", "license": "ours", "fills_may_train": True, "right_declared": False}


class Painter(OneByOne):
    """Fills with one colour that depends on the noise alone."""

    name, size = "painter", None

    def __init__(self, stops_after: int = 10**6):
        self.left = stops_after

    def fill_square(self, image, mask, config, generator, progress):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        level = torch.randint(0, 256, (), generator=generator).item()
        return np.full(image.shape, level, np.float32)


@pytest.fixture
def samples(tmp_path):
    source = Source(kind="pictures", path=photos(tmp_path / "p", 4), masks=("mat-small",))
    return Samples(Data(sources=(source,), size=32, validation=0), seed=3)


def test_a_fill_differs_from_its_picture_in_the_hole_alone(tmp_path, samples):
    assert make(Painter(), samples, tmp_path / "f", 3, SamplingConfig(), FACTS) == 3
    found = fills.read(tmp_path / "f")
    assert [fill.id for fill in found] == ["000000", "000001", "000002"]
    for number, fill in enumerate(found):
        sample = samples.sample(number)
        picture, mask, filled = (np.asarray(Image.open(path)) for path in (fill.picture, fill.mask, fill.fill))
        np.testing.assert_array_equal(picture, sample.picture)
        np.testing.assert_array_equal(mask == 255, sample.mask)
        np.testing.assert_array_equal(filled[~sample.mask], picture[~sample.mask])
        assert len(np.unique(filled[sample.mask])) == 1
        assert fill.source == str(samples.origin(number).path) and fill.model == "painter"
        level = torch.randint(0, 256, (), generator=torch.Generator().manual_seed(fill.seed)).item()
        assert filled[sample.mask][0, 0] == level  # the seed that is written down is the one that was used


def test_a_stopped_data_set_goes_on_and_is_the_same(tmp_path, samples):
    make(Painter(), samples, tmp_path / "straight", 5, SamplingConfig(), FACTS)
    with pytest.raises(KeyboardInterrupt):
        make(Painter(stops_after=2), samples, tmp_path / "stopped", 5, SamplingConfig(), FACTS)
    with (tmp_path / "stopped" / fills.ITEMS).open("a") as file:
        file.write('{"id": "0000')  # the line that a kill tore
    assert make(Painter(), samples, tmp_path / "stopped", 5, SamplingConfig(), FACTS) == 3
    assert make(Painter(), samples, tmp_path / "stopped", 5, SamplingConfig(), FACTS) == 0
    files = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("straight", "stopped")
    ]
    assert files[0] == files[1]


def test_fills_made_otherwise_do_not_mix(tmp_path, samples):
    make(Painter(), samples, tmp_path / "f", 1, SamplingConfig(), FACTS)
    with pytest.raises(ConfigError, match=r"made otherwise \(model\)"):
        make(Painter(), samples, tmp_path / "f", 2, SamplingConfig(), FACTS | {"model": "another"})
    with pytest.raises(ConfigError, match=r"made otherwise \(settings\)"):
        make(Painter(), samples, tmp_path / "f", 2, SamplingConfig(guidance_scale=3.0), FACTS)
    with pytest.raises(ConfigError, match="is not empty and no data set"):
        make(Painter(), samples, tmp_path / "p", 2, SamplingConfig(), FACTS)


def test_training_takes_the_fill_and_its_hole_as_the_truth(tmp_path, samples):
    make(Painter(), samples, tmp_path / "f", 2, SamplingConfig(), FACTS)
    source = Source(kind="fills", path=tmp_path / "f")
    learned = Samples(Data(sources=(source,), size=32, validation=0, flip=False), seed=0)
    made = {fill.id: fill for fill in fills.read(tmp_path / "f")}
    assert len(learned) == 2
    for position in range(2):
        sample, fill = learned.sample(position), made[learned.origin(position).id]
        np.testing.assert_array_equal(sample.picture, np.asarray(Image.open(fill.fill)))
        np.testing.assert_array_equal(sample.mask, np.asarray(Image.open(fill.mask)) == 255)
        assert sample.foreground is False


def test_fills_of_held_out_pictures_are_refused(tmp_path, samples, monkeypatch):
    make(Painter(), samples, tmp_path / "f", 1, SamplingConfig(), FACTS)
    held = samples.origin(0).sha256
    monkeypatch.setattr(heldout, "hashes", lambda: frozenset({held}))
    with pytest.raises(heldout.HeldOutError, match="000000 was made of a held-out picture"):
        Samples(Data(sources=(Source(kind="fills", path=tmp_path / "f"),), size=32, validation=0), seed=0)


def test_a_missing_file_is_named(tmp_path, samples):
    make(Painter(), samples, tmp_path / "f", 1, SamplingConfig(), FACTS)
    (tmp_path / "f" / "00000" / "000000-fill.png").unlink()
    with pytest.raises(ConfigError, match="000000-fill.png is missing"):
        fills.read(tmp_path / "f")


@pytest.mark.parametrize("model", ["flux-fill", "flux-fill-pro"])
def test_flux_may_not_teach_without_a_right(tmp_path, capsys, model):
    photos(tmp_path / "p", 1)
    assert main(["make-fills", "--model", model, "--data", str(tmp_path / "p"), "-o", str(tmp_path / "f")]) == 2
    told = capsys.readouterr().err
    assert "forbids training a competing model on its outputs" in told and RIGHT in told
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("model", ["moebius", "pixelhacker", "classical"])
def test_free_models_teach_without_a_flag(model):
    assert fills.forbidden(model, registry.card(model).license, registry.card(model).fills_may_train) is None


def test_training_asks_for_the_right_too(tmp_path, samples):
    facts = {"model": "flux-fill", "license": registry.card("flux-fill").license}
    make(Painter(), samples, tmp_path / "without", 1, SamplingConfig(), facts | {"right_declared": False})
    with pytest.raises(ConfigError, match="forbids training a competing model"):
        fills.read(tmp_path / "without")
    make(Painter(), samples, tmp_path / "with", 1, SamplingConfig(), facts | {"right_declared": True})
    assert fills.read(tmp_path / "with")[0].model == "flux-fill"


def test_the_command_makes_fills_and_goes_on(tmp_path, capsys):
    photos(tmp_path / "p", 3)
    (tmp_path / "p" / "broken.png").write_bytes(b"no picture")
    line = ["make-fills", "--model", "classical", "--data", str(tmp_path / "p"), "-o", str(tmp_path / "f"), "--json"]
    line += ["--size", "32", "--mask", "mat-small"]
    for count, made in (("2", 2), ("3", 1)):
        assert main([*line, "--count", count]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["made"], report["fills"]) == (made, int(count))
        assert "broken.png" in report["left_out"][0]
    manifest = json.loads((tmp_path / "f" / fills.MANIFEST).read_text())
    assert manifest["model"] == "classical" and manifest["right_declared"] is False
    for fill in fills.read(tmp_path / "f"):
        mask = np.asarray(Image.open(fill.mask)) == 255
        np.testing.assert_array_equal(
            np.asarray(Image.open(fill.fill))[~mask], np.asarray(Image.open(fill.picture))[~mask]
        )
