"""PixelHacker beside the student: the same pipeline, files in the same layout, each with its own defaults."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from moebius.config import PIXELHACKER_DEFAULTS, STUDENT_DEFAULTS, SamplingConfig
from moebius.fill.scheduler import Scheduler, fill_photo
from moebius.inpainters.diffusion import DenoiserInpainter
from moebius.models.pixelhacker import PixelHackerUNet
from moebius.pipeline import MoebiusInpaintPipeline
from moebius.weights import load
from moebius.weights.locate import VARIANTS, WeightsError, locate
from tests.helpers.deterministic import picture
from tests.helpers.standin_weights import DATA, write_published
from tests.helpers.weight_folders import save_folder

PHOTO = Image.fromarray(picture(3, 160))
MASK = Image.new("L", PHOTO.size)
MASK.paste(255, (60, 60, 90, 100))
HOLE = np.asarray(MASK) > 127


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "PixelHacker"
    return write_published(folder, small=True, variants=tuple(VARIANTS), network="pixelhacker")


@pytest.fixture(scope="module")
def model(published) -> DenoiserInpainter:
    return DenoiserInpainter.from_files(locate("ffhq", published, network="pixelhacker"), device="cpu")


def test_every_published_key_becomes_one_of_the_networks_with_its_shape():
    shapes = json.loads((DATA / "pixelhacker_state_dict.json").read_text())
    with torch.device("meta"):
        ours = {key: list(tensor.shape) for key, tensor in PixelHackerUNet().state_dict().items()}
    assert load.convert_pixelhacker(shapes) == ours


def test_all_four_variants_are_found(published):
    for name, variant in VARIANTS.items():
        files = locate(name, published.parent, network="pixelhacker")  # the folder that holds the repository
        assert files.denoiser.parent == published / variant.folder and files.network == "pixelhacker"


def test_neither_network_is_taken_for_the_other(published, tmp_path):
    with pytest.raises(WeightsError, match="holds no weights of Moebius"):
        locate(None, published)
    write_published(tmp_path / "student", small=True)
    with pytest.raises(WeightsError, match="holds no weights of PixelHacker"):
        locate(None, tmp_path / "student", network="pixelhacker")
    os.symlink(published, tmp_path / "student" / "PixelHacker")  # side by side, both are found
    assert locate(None, tmp_path / "student").network == "moebius"
    assert locate(None, tmp_path / "student", network="pixelhacker").denoiser.is_relative_to(tmp_path)


def test_its_own_variable_names_its_folder(published, monkeypatch):
    monkeypatch.setenv("MOEBIUS_PIXELHACKER_WEIGHTS", str(published))
    assert locate("places2", network="pixelhacker").denoiser.parent == published / "ft_places2"


def test_saved_as_a_pipeline_it_is_the_same(published, tmp_path):
    files = locate("places2", published, network="pixelhacker")
    manifest = save_folder(files, tmp_path / "out")
    assert manifest["variant"] == "places2"
    again = locate(None, tmp_path / "out", network="pixelhacker")
    first, second = load.load_denoiser(files), load.load_denoiser(again)
    third = MoebiusInpaintPipeline.from_pretrained(tmp_path / "out").unet
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key]), key
        assert torch.equal(tensor.float(), third.state_dict()[key].float()), key
    with pytest.raises(WeightsError, match="holds PixelHacker, not Moebius"):
        locate(None, tmp_path / "out")


def test_it_fills_the_hole_and_says_what_it_is(model):
    fill = fill_photo(model, PHOTO, MASK, SamplingConfig(num_inference_steps=3, feather_px=0), torch.Generator())
    after, before = np.asarray(fill.raster), np.asarray(PHOTO)
    assert (model.name, model.size) == ("pixelhacker", 128)
    assert np.array_equal(after[~HOLE], before[~HOLE]) and (after[HOLE] != before[HOLE]).mean() > 0.5
    assert model.facts()["variant"] == "ffhq" and model.facts()["device"] == "cpu"
    assert fill.step_ms > 0


def test_several_holes_in_one_call_are_filled_as_one_by_one(model, monkeypatch):
    photo, mask = Image.fromarray(picture(4, 700)), Image.new("L", (700, 700))
    for left, top in ((20, 30), (600, 40), (60, 610), (580, 600)):
        mask.paste(255, (left, top, left + 30, top + 40))
    calls, real = [], MoebiusInpaintPipeline.__call__

    def counted(self, image, *rest, **settings):
        calls.append(len(image))
        return real(self, image, *rest, **settings)

    monkeypatch.setattr(MoebiusInpaintPipeline, "__call__", counted)
    config = SamplingConfig(num_inference_steps=2)
    one, together = (
        fill_photo(model, photo, mask, config, torch.Generator().manual_seed(1), batch_size=size) for size in (1, 4)
    )
    assert calls == [1, 1, 1, 1, 4] and one.squares == together.squares
    difference = np.abs(np.asarray(one.raster).astype(int) - np.asarray(together.raster).astype(int))
    assert difference.max() <= 1 and np.array_equal(one.changed, together.changed)


def test_its_own_guidance_is_the_published_one(model):
    assert (PIXELHACKER_DEFAULTS.guidance_scale, STUDENT_DEFAULTS.guidance_scale) == (4.5, 2.0)

    def latents(**settings):
        generator = torch.Generator().manual_seed(1)
        settings = {"num_inference_steps": 2, "output_type": "latent", "generator": generator} | settings
        return model.pipeline(PHOTO, MASK, **settings).images

    torch.testing.assert_close(latents(), latents(guidance_scale=4.5), rtol=0, atol=0)
    assert not torch.equal(latents(), latents(guidance_scale=2.0))


class Short(DenoiserInpainter):
    """Runs out of memory in float32, and again in bfloat16, as a GPU would."""

    def __init__(self, model: DenoiserInpainter):
        super().__init__(model.pipeline)
        self.tried = []

    def shrink(self):
        self.tried.append(len(self.tried))
        self._remarks.append(f"smaller {self.tried[-1]}")
        return self._remarks[-1]

    def fill_squares(self, tiles, masks, config, generators, progress):
        torch.randn(5, generator=generators[0])  # what was drawn before memory ran out must not change the fill
        if len(self.tried) < 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().fill_squares(tiles, masks, config, generators, progress)


def test_memory_that_runs_out_is_reported_and_the_fill_is_done(model):
    short = Short(model)
    rooms = [True]
    short.make_room = lambda: bool(rooms and rooms.pop())
    config = SamplingConfig(num_inference_steps=1)
    fill = fill_photo(short, PHOTO, MASK, config, torch.Generator().manual_seed(3))
    assert short.tried == [0, 1] and fill.notes == ("smaller 0", "smaller 1")

    generator = torch.Generator().manual_seed(3)
    torch.randn(5, generator=generator)
    assert fill.raster.tobytes() == fill_photo(model, PHOTO, MASK, config, generator).raster.tobytes()


def test_memory_that_runs_out_with_nothing_left_to_shrink_is_an_error(model, monkeypatch):
    def short(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr(model, "fill_squares", short)
    with pytest.raises(MemoryError, match="not enough memory for pixelhacker"):
        fill_photo(model, PHOTO, MASK)
    monkeypatch.setattr(model, "fill_squares", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        fill_photo(model, PHOTO, MASK)


def test_the_published_recipe_takes_whole_photos_and_those_of_one_scaled_size_share_a_call(model, monkeypatch):
    calls, real = [], DenoiserInpainter.fill_squares

    def counted(self, tiles, *rest):
        calls.append([tile.shape for tile in tiles])
        return real(self, tiles, *rest)

    monkeypatch.setattr(DenoiserInpainter, "fill_squares", counted)
    config = SamplingConfig(recipe="published", num_inference_steps=3, guidance_scale=1.0)  # int(0.99 · 3): two are run
    sizes = {"square": (160, 160), "wide": (256, 128), "smaller": (150, 150)}
    photos = {name: PHOTO.resize(size) for name, size in sizes.items()}
    masks = {name: MASK.resize(size, Image.Resampling.NEAREST) for name, size in sizes.items()}
    scheduler, together = Scheduler(lambda: model, config, 3), {}
    for name, photo in photos.items():
        together |= dict(scheduler.add(name, photo, masks[name], torch.Generator().manual_seed(1)))
    assert calls == [[(128, 128, 3)] * 2, [(128, 256, 3)]], "the short side becomes 128"
    for name, photo in photos.items():
        alone = fill_photo(model, photo, masks[name], config, torch.Generator().manual_seed(1))
        difference = np.abs(np.asarray(together[name].raster).astype(int) - np.asarray(alone.raster))
        assert difference.max() <= 1 and alone.changed.all() and alone.squares == ()
        assert "published recipe works on the whole picture" in together[name].notes[0]
        assert together[name].seconds["model"] > 0 and together[name].step_ms > 0
