"""Feature networks against torch-fidelity's own figures and against what photos show."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eval.metrics import backbones, frechet, names, pixels
from eval.metrics.features import EffNetFeatures, InceptionFeatures, efficientnet_lite, normalised
from eval.metrics.kid import kernel_distance
from eval.report.summary import gaussian
from tests.helpers.synthetic import picture

FOLDER = Path(__file__).parents[3] / "samples" / "heldout"


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory):
    """A weights file with torch-fidelity's keys and random numbers."""
    import torch_fidelity.feature_extractor_inceptionv3 as module

    path = tmp_path_factory.mktemp("inception") / "random.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["64"])
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.slow
def test_fid_and_kid_equal_torch_fidelitys_on_the_same_inception(random_inception, tmp_path):
    import torch_fidelity

    real_pictures = [picture(index, 48) for index in range(36)]
    sets = {"real": real_pictures, "fake": [rgb // 2 for rgb in real_pictures]}
    for name, members in sets.items():
        (tmp_path / name).mkdir()
        for index, rgb in enumerate(members):
            Image.fromarray(rgb).save(tmp_path / name / f"{index:02d}.png")
    theirs = torch_fidelity.calculate_metrics(
        input1=str(tmp_path / "real"),
        input2=str(tmp_path / "fake"),
        fid=True,
        kid=True,
        cuda=False,
        verbose=False,
        feature_extractor_weights_path=str(random_inception),
        feature_layer_fid="64",
        feature_layer_kid="64",
        kid_subset_size=36,
        kid_subsets=1,
        cache=False,
        batch_size=36,
        save_cpu_ram=True,
    )
    extractor = InceptionFeatures(antialias=False, weights=random_inception, layer=64)
    real, fake = (extractor(pixels.to_bytes(members)).numpy() for members in sets.values())
    (mean_a, root_a), (mean_b, root_b) = gaussian(real), gaussian(fake)
    ours = frechet.distance(mean_a, root_a, mean_b, root_b)[0]
    assert ours > 0
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)
    assert kernel_distance(real, fake)[0] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)


def test_the_resize_is_part_of_the_recipe(random_inception):
    pictures = pixels.to_bytes([picture(1, 400)])
    plain, smooth = (InceptionFeatures(antialias, random_inception, layer=64) for antialias in (False, True))
    assert not torch.allclose(plain(pictures), smooth(pictures), rtol=1e-3)
    assert "antialias=False" in plain.recipe and "antialiased" in smooth.recipe


def test_the_offline_network_knows_what_photos_show():
    """An independent check of weights and normalisation: ImageNet classes 967 espresso, 309 bee, 292 tiger."""
    network = efficientnet_lite(0)
    for name, label in (("coffee_00", 967), ("european_honey_bee_11", 309), ("pexels_photo_302304_00", 292)):
        rgb = np.asarray(Image.open(FOLDER / "images" / f"{name}.jpg").convert("RGB").resize((224, 224)))
        values = network(normalised(torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float()))
        assert values.argmax().item() == label


def test_offline_features_have_their_width_and_ignore_the_batch():
    extractor = EffNetFeatures(0)
    pictures = pixels.to_bytes([picture(index, 80) for index in range(3)])
    together = extractor(pictures)
    assert together.shape == (3, extractor.dims) and together.dtype == torch.float32
    torch.testing.assert_close(together[1:2], extractor(pictures[1:2]), rtol=1e-4, atol=1e-5)


def test_stand_ins_never_bear_the_names_of_the_originals():
    offline = names.FEATURES[names.OFFLINE]
    for key, name in (offline.frechet, offline.kernel, offline.u_ids, offline.p_ids, names.PERCEPTUAL[names.OFFLINE]):
        assert "effnet_lite0" in key and "EffNet-Lite0" in name
        assert not {"FID", "KID", "LPIPS"} & set(name.replace("-", " ").split())


def test_features_are_taken_of_bytes_only():
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\) uint8, got \(1, 3, 8, 8\) torch.float32"):
        EffNetFeatures(0)(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("backbone", [backbones.INCEPTION, backbones.ALEX, backbones.VGG])
def test_a_missing_network_names_file_folder_and_ways_out(monkeypatch, tmp_path, backbone):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(backbones.BackboneError) as error:
        backbones.require(backbone)
    folder = str(tmp_path / "checkpoints")
    for part in (backbone.file, folder, "--download", backbone.url, "--features efficientnet-lite0"):
        assert part in str(error.value)


def test_a_damaged_network_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / backbones.ALEX.file).write_bytes(b"half a download")
    with pytest.raises(backbones.BackboneError, match="not 7be5be79; delete it"):
        backbones.require(backbones.ALEX)


def test_fd_dinov2_takes_the_class_token_and_only_of_the_large_model(tmp_path):
    from transformers import Dinov2Config, Dinov2Model

    from eval.metrics.backbones import BackboneError
    from eval.metrics.features import Dinov2Features, make_second

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, patch_size=14, image_size=224)
        network = Dinov2Model(config).eval()
    network.save_pretrained(tmp_path)
    pictures = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = (pictures / 255 - mean[:, None, None]) / deviation[:, None, None]
    with torch.no_grad():
        expected = network(pixel_values=scaled).last_hidden_state[:, 0]
    torch.testing.assert_close(Dinov2Features(tmp_path, dims=32)(pictures), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(BackboneError, match="width 32; FD-DINOv2 takes dinov2-large"):
        Dinov2Features(tmp_path)
    with pytest.raises(BackboneError, match="needs --dinov2-large DIR"):
        make_second("dinov2-large", None, "cpu")
