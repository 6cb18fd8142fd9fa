"""Where the weights of the denoisers are found on this computer, and what is said when they are not."""

import os

import pytest

from moebius.weights import WeightsError
from moebius.weights.locate import locate
from tests.helpers.weight_folders import BIN, copy_of


@pytest.mark.parametrize("vae", ["vae", "PixelHacker/vae", "../PixelHacker/vae", "../vae"])
def test_the_autoencoder_is_found_inside_and_beside_the_student(published, tmp_path, vae):
    root = copy_of(published, tmp_path / "clones" / "Moebius")
    home = (root / vae).resolve()
    home.parent.mkdir(exist_ok=True)
    (root / "vae").rename(home)
    for named in (root, root.parent):  # the repository, or the folder that holds it
        if named == root.parent and vae in ("PixelHacker/vae", "vae"):
            continue
        files = locate(None, named)
        assert files.denoiser == root / "ft_places2" / BIN
        assert files.autoencoder.resolve() == home / BIN
        assert (files.variant, files.layout) == ("places2", "published")


def test_which_variant_a_folder_holds(published, tmp_path):
    (copy_of(published, tmp_path) / "ft_places2").rename(tmp_path / "ft_ffhq")
    assert locate(None, tmp_path).variant == "ffhq"
    with pytest.raises(WeightsError, match="does not hold places2; it holds ffhq"):
        locate("places2", tmp_path)
    (tmp_path / "pretrained").mkdir()
    os.link(tmp_path / "ft_ffhq" / BIN, tmp_path / "pretrained" / BIN)
    with pytest.raises(WeightsError, match="say which with --variant"):
        locate(None, tmp_path)
    with pytest.raises(ValueError, match="unknown variant 'places3'; choose from places2, pretrained"):
        locate("places3", tmp_path)


def test_folders_that_are_wrong(published, tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        locate(None, tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="holds no weights of Moebius: .*ft_places2"):
        locate(None, tmp_path)
    (tmp_path / "ft_places2").mkdir()
    os.link(published / "ft_places2" / BIN, tmp_path / "ft_places2" / BIN)
    with pytest.raises(WeightsError, match="not its autoencoder: copy vae/config.json"):
        locate(None, tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxFillPipeline"}')
    with pytest.raises(WeightsError, match="a FluxFillPipeline, not a MoebiusInpaintPipeline"):
        locate(None, tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(WeightsError, match="model_index.json is not valid JSON"):
        locate(None, tmp_path)


def test_the_environment_names_the_folder(published, monkeypatch):
    monkeypatch.setenv("MOEBIUS_WEIGHTS", str(published))
    assert locate().denoiser == published / "ft_places2" / BIN


def test_nothing_here_says_what_was_tried_and_the_ways_out(tmp_path):
    with pytest.raises(WeightsError) as error:
        locate("ffhq")
    for part in (str(tmp_path), "python -m moebius download ffhq", "--weights", "MOEBIUS_WEIGHTS", "classical"):
        assert part in str(error.value)
