"""Fills: pasted back, resumable, and never mixed with those of another configuration."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from eval import contestants, generate
from eval.controls import CONTROLS
from eval.data.dataset import Request, scan
from eval.workers import Workers
from moebius.config import SamplingConfig
from moebius.files import read_json
from moebius.fill.geometry import HOLE_GREY
from tests.helpers.one_by_one import OneByOne


class Painter(OneByOne):
    """Paints everything in a colour drawn from the generator, and remembers what it was shown."""

    name, size = "painter", 64

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen, self.stop_after = [], stop_after

    def fill_square(self, image, mask, config, generator, progress):
        import torch

        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise RuntimeError("killed")
        self.seen.append((image.copy(), mask.copy()))
        colour = torch.rand(3, generator=generator).numpy() * 255
        return np.broadcast_to(colour, image.shape).astype(np.float32)


@pytest.fixture
def dataset(pictures):
    return scan(Request(data=str(pictures), masks="object"), quiet=True)


def run(painter, dataset, out, batch=1, config=None, workers=None):
    contestant = contestants.of({"painter": painter}, config)[0]
    asked = generate.configuration(contestant, dataset, batch, "cpu", "float32")
    folder = generate.folder_of(out, asked)
    generate.generate(contestant, dataset, folder, asked, workers or Workers(), quiet=True)
    return folder


def fills(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_known_pixels_are_pasted_back_and_nothing_under_the_hole_is_shown(dataset, tmp_path):
    painter = Painter()
    folder = run(painter, dataset, tmp_path / "out")
    for sample, (shown, hole) in zip(dataset.samples, painter.seen, strict=True):
        truth, mask = dataset.load(sample)
        np.testing.assert_array_equal(hole, mask)
        assert (shown[mask] == HOLE_GREY).all()
        np.testing.assert_array_equal(shown[~mask], truth[~mask])
        composited = np.asarray(Image.open(generate.composited_path(folder, sample)))
        assert len(np.unique(composited[mask], axis=0)) == 1 and not np.array_equal(composited[mask], truth[mask])
        import cv2

        far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) > SamplingConfig().feather_px + 1
        np.testing.assert_array_equal(composited[far], truth[far])


def test_a_stopped_run_continues_and_gives_the_same_fills(dataset, tmp_path):
    whole = fills(run(Painter(), dataset, tmp_path / "whole"))
    with pytest.raises(RuntimeError, match="killed"):
        run(Painter(stop_after=3), dataset, tmp_path / "parts")
    second = Painter()
    assert fills(run(second, dataset, tmp_path / "parts")) == whole
    assert 1 <= len(second.seen) < 7
    third = Painter()
    run(third, dataset, tmp_path / "parts")
    assert third.seen == []


def test_shares_of_three_processes_make_the_same_fills(dataset, tmp_path):
    whole = fills(run(Painter(), dataset, tmp_path / "whole", batch=2))
    for rank in (2, 0, 1):
        folder = run(Painter(), dataset, tmp_path / "shared", batch=2, workers=Workers(rank, 3))
    assert fills(folder) == whole


def test_another_configuration_has_another_folder(dataset, tmp_path):
    first = run(Painter(), dataset, tmp_path)
    other = Painter()
    other.weights_identity = {"weights": "other"}
    other.pipeline = None  # learned, so that settings matter
    folders = {first, run(other, dataset, tmp_path)}
    folders.add(run(other, dataset, tmp_path, config=SamplingConfig(num_inference_steps=3)))
    folders.add(run(other, dataset, tmp_path, batch=2))
    fewer = dataclasses.replace(dataset, samples=dataset.samples[:5])
    folders.add(run(other, fewer, tmp_path))
    assert len(folders) == 5


def test_a_folder_of_another_configuration_is_refused(dataset, tmp_path):
    folder = run(Painter(), dataset, tmp_path)
    config = {**read_json(folder / "config.json"), "seed": 9}
    with pytest.raises(ValueError, match=r"holds results of another configuration \(seed differ\); delete it"):
        generate.generate(contestants.of({"painter": Painter()})[0], dataset, folder, config, Workers(), quiet=True)


def test_pictures_of_another_size_than_the_models_go_the_way_of_photos(pictures, tmp_path):
    dataset = scan(Request(data=str(pictures), masks="object", size=48), quiet=True)
    painter = Painter()
    folder = run(painter, dataset, tmp_path / "out")
    assert {image.shape for image, _ in painter.seen} == {(64, 64, 3)}
    truth, mask = dataset.load(dataset.samples[0])
    composited = np.asarray(Image.open(generate.composited_path(folder, dataset.samples[0])))
    assert composited.shape == truth.shape and not np.array_equal(composited[mask], truth[mask])


def test_controls_return_what_they_say(dataset):
    truth, mask = dataset.load(dataset.samples[0])

    def made(name):
        return generate.fill_chunk(CONTROLS[name][1](), (truth,), (mask,), SamplingConfig(), 0)[0]

    np.testing.assert_array_equal(made("truth"), truth)
    shifted = made("truth-colour-shifted")[mask].astype(int) - truth[mask]
    assert shifted[:, 0].max() == 24 and shifted[:, 2].min() == -24 and not shifted[:, 1].any()
    assert not np.array_equal(made("telea"), made("navier-stokes"))


def test_unknown_and_repeated_models_are_refused():
    options = contestants.Options(overrides={}, weights={})
    with pytest.raises(ValueError, match="unknown model 'lama'; choose from moebius, .*telea"):
        contestants.resolve(["telea", "lama"], options)
    with pytest.raises(ValueError, match="named twice"):
        contestants.resolve(["telea", "telea"], options)
    with pytest.raises(ValueError, match="settings for flux-fill, which is not among --models"):
        contestants.resolve(["telea"], contestants.Options(overrides={"flux-fill": {}}, weights={}))
