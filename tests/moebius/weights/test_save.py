"""Weights as a pipeline folder: values, manifest, what is replaced and what is not."""

import hashlib
import os

import pytest
import torch

from moebius.weights import WeightsError
from moebius.weights.load import load_autoencoder, load_denoiser
from moebius.weights.locate import locate
from tests.helpers.weight_folders import changed, copy_of, save_folder


def test_a_saved_folder_is_a_diffusers_pipeline_with_the_stored_values(published, tmp_path):
    from moebius.pipeline import MoebiusInpaintPipeline

    files = locate(None, published)
    manifest = save_folder(files, tmp_path / "out")
    assert not list(tmp_path.glob(".*")) and not list((tmp_path / "out").rglob("*.bin"))
    source = hashlib.sha256(files.denoiser.read_bytes()).hexdigest()
    assert manifest["sources"][0]["sha256"] == source and manifest["variant"] == "places2"

    again = locate(None, tmp_path / "out")
    assert (again.layout, again.variant) == ("diffusers", "places2")
    pipeline = MoebiusInpaintPipeline.from_pretrained(tmp_path / "out", dtype=torch.float16)
    for first, second, third in (
        (load_denoiser(files), load_denoiser(again), pipeline.unet),
        (load_autoencoder(files), load_autoencoder(again), pipeline.vae),
    ):
        assert second.dtype == torch.float16
        for key, tensor in first.state_dict().items():
            assert torch.equal(tensor, second.state_dict()[key]), key
            assert torch.equal(tensor, third.state_dict()[key].to(tensor.dtype)), key
    with pytest.raises(WeightsError, match="holds the variant places2, not ffhq"):
        locate("ffhq", tmp_path / "out")


def test_a_changed_file_is_found_on_load(published, tmp_path):
    save_folder(locate(None, published), tmp_path / "out")
    file = tmp_path / "out" / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=f"{file} is damaged or changed"):
        load_denoiser(locate(None, tmp_path / "out"))


def test_only_what_was_written_before_is_replaced(published, tmp_path):
    files = locate(None, published)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(WeightsError, match="holds other files .holiday.jpg"):
        save_folder(files, tmp_path / "full")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "holiday.jpg"]

    (tmp_path / "empty").mkdir()
    first = save_folder(files, tmp_path / "empty")
    assert save_folder(files, tmp_path / "empty") == first
    (tmp_path / "empty" / "vae" / "mine.txt").write_text("x")
    with pytest.raises(WeightsError, match="vae/mine.txt"):
        save_folder(files, tmp_path / "empty")


def test_weights_that_do_not_fit_leave_no_folder(published, tmp_path):
    changed(published, tmp_path / "bad", lambda state: state.popitem())
    with pytest.raises(WeightsError, match="1 missing"):
        save_folder(locate(None, tmp_path / "bad"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_folders_side_by_side_share_one_autoencoder(published, tmp_path):
    copy_of(published, tmp_path / "source")
    (tmp_path / "source" / "ft_ffhq").mkdir()
    for path in (published / "ft_places2").iterdir():
        os.link(path, tmp_path / "source" / "ft_ffhq" / path.name)
    save_folder(locate("places2", tmp_path / "source"), tmp_path / "all" / "places2")
    save_folder(locate("ffhq", tmp_path / "source"), tmp_path / "all" / "ffhq", shared=tmp_path / "all" / "places2")
    first, second = (locate(name, tmp_path / "all") for name in ("places2", "ffhq"))
    assert first.autoencoder.samefile(second.autoencoder) and not first.denoiser.samefile(second.denoiser)
    assert load_denoiser(second).dtype == torch.float16  # its manifest holds
    assert locate(None, tmp_path / "all").variant == "places2"
