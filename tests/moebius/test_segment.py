"""Objects under points: where points and masks lie, what is computed once, and what is said without weights.

The network is tiny and random, so nothing here says anything about what it selects.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Sam2ImageProcessor, Sam2Model, Sam2Processor

from moebius import segment
from moebius.__main__ import main
from moebius.masking.grow import grow
from moebius.photo import photo_file
from moebius.weights import WeightsError, catalog, locate
from tests.helpers.deterministic import picture
from tests.helpers.local_hub import Hub, hub_of, moebius
from tests.helpers.standin_select import SIDE, write_selector

POINTS = [(30.0, 40.0), (150.5, 90.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_selector(tmp_path_factory.mktemp("weights") / "sam2.1-hiera-tiny")


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """No weights but those that a test names."""
    monkeypatch.delenv(catalog.SEGMENTER.variable.name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty-cache"))


@pytest.fixture(scope="module")
def selector(folder) -> segment.Selector:
    return segment.load(locate.locate(weights=folder, network="select"), "cpu")


def photo(width: int, height: int) -> Image.Image:
    return Image.fromarray(picture(1, max(width, height))[:height, :width])


# ---- masks ----


def test_a_mask_is_what_the_library_gives_in_one_go(selector, folder):
    network, image = Sam2Model.from_pretrained(folder).eval(), photo(180, 100)
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}))
    for point in POINTS:
        given = processor(images=image, input_points=[[[list(point)]]], input_labels=[[[1]]], return_tensors="pt")
        with torch.no_grad():
            told = network(**{name: given[name] for name in ("pixel_values", "input_points", "input_labels")})
        every = processor.post_process_masks(told.pred_masks, given["original_sizes"])[0][0]
        expected = every[told.iou_scores[0, 0].argmax()].numpy()
        assert 0 < expected.mean() < 1
        np.testing.assert_array_equal(selector.predict(selector.embed(image), [point], margin_px=0), expected)


def test_a_level_takes_the_next_larger_or_smaller_of_the_networks_three_masks(selector, folder):
    network, image = Sam2Model.from_pretrained(folder).eval(), photo(180, 100)
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}))
    embedding, box = selector.embed(image), (20.0, 10.0, 150.0, 80.0)
    prompts = {
        "point": {"input_points": [[[list(POINTS[0])]]], "input_labels": [[[1]]]},
        "box": {"input_boxes": [[list(box)]]},
    }
    for kind, prompt in prompts.items():
        given = processor(images=image, return_tensors="pt", **prompt)
        with torch.no_grad():
            told = network(pixel_values=given["pixel_values"], **{name: given[name] for name in prompt})
        sizes = (told.pred_masks[0, 0] > 0).sum(dim=(1, 2))
        every = processor.post_process_masks(told.pred_masks, given["original_sizes"])[0][0].numpy()
        best = int(told.iou_scores[0, 0].argmax())
        ordered = sorted(range(3), key=lambda one: int(sizes[one]))
        for level in (-2, -1, 0, 1, 2):
            expected = every[ordered[min(2, max(0, ordered.index(best) + level))]]
            if kind == "point":
                mask = selector.predict(embedding, POINTS[:1], margin_px=0, level=level)
            else:
                mask = selector.predict_box(embedding, box, margin_px=0, level=level)
            np.testing.assert_array_equal(mask, expected)
    with pytest.raises(ValueError, match="is empty"):
        selector.predict_box(embedding, (50, 10, 50, 80))


def test_points_are_pixels_of_the_photo_and_so_is_the_mask(selector):
    seen = []
    hook = selector._network.register_forward_pre_hook(
        lambda module, positional, named: seen.append(named["input_points"]), with_kwargs=True
    )
    try:
        embedding = selector.embed(photo(1800, 1000))  # it sees a smaller one
        mask = selector.predict(embedding, [(450.0, 750.0)], margin_px=0)
        small = selector.predict(embedding, [(450.0, 750.0)], margin_px=0, size=(180, 100))
    finally:
        hook.remove()
    assert embedding.size == (1800, 1000) and mask.shape == (1000, 1800) and small.shape == (100, 180)
    for points in seen:
        np.testing.assert_allclose(points.numpy(), [[[[SIDE / 4, SIDE * 3 / 4]]]], rtol=1e-6)
    assert (mask[5::10, 5::10] == small).mean() > 0.99


def test_a_photo_is_looked_at_once_and_points_are_cheap(selector):
    looked = []
    hook = selector._network.vision_encoder.register_forward_hook(lambda *_: looked.append(1))
    try:
        embedding = selector.embed(photo(180, 100))
        masks = [selector.predict(embedding, [point]) for point in POINTS * 2]
    finally:
        hook.remove()
    assert len(looked) == 1
    assert (masks[0] != masks[1]).any(), "the point matters"
    np.testing.assert_array_equal(masks[0], masks[2])


def test_several_points_are_several_objects_together(selector):
    embedding = selector.embed(photo(180, 100))
    one, two = (selector.predict(embedding, [point], margin_px=0) for point in POINTS)
    both = selector.predict(embedding, POINTS, margin_px=0)
    assert both[one | two].all()
    assert (both & ~(one | two)).mean() < 0.01  # scores are united before they are scaled


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16"])
def test_photos_of_every_kind_are_seen(selector, mode):
    image = photo(90, 60)
    if mode == "I;16":
        raster = np.asarray(image.convert("RGBA")).astype(np.uint16) * 257
    else:
        raster = image.convert(mode)
    embedding = selector.embed(raster)
    assert embedding.size == (90, 60) and selector.predict(embedding, [(1, 1)]).shape == (60, 90)


def test_the_margin_is_that_of_the_pages_grow(selector):
    assert segment.margin((900, 600)) == 3 and segment.margin((10, 10)) == 1
    embedding = selector.embed(photo(900, 600))
    tight = selector.predict(embedding, POINTS[:1], margin_px=0)
    np.testing.assert_array_equal(selector.predict(embedding, POINTS[:1]), grow(tight, 3))


@pytest.mark.parametrize(
    "points", [[], [(180.0, 5.0)], [(5.0, 100.0)], [(-0.1, 5.0)], [(float("nan"), 5.0)], [(1.0, 1.0)] * 101]
)
def test_points_elsewhere_are_refused(selector, points):
    with pytest.raises(ValueError, match="points are needed|is not in the photo, which has 180×100"):
        selector.predict(selector.embed(photo(180, 100)), points)


# ---- weights ----


def test_the_size_that_people_are_told_is_that_of_the_published_network():
    from transformers import Sam2VideoConfig, Sam2VideoModel

    with torch.device("meta"):
        network = Sam2VideoModel(Sam2VideoConfig())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert catalog.SEGMENTER.parameters == parameters
    assert catalog.SEGMENTER.download_bytes == pytest.approx(4 * parameters, rel=0.01)


def test_where_weights_are_found(folder, tmp_path, monkeypatch):
    assert (
        locate.locate(weights=folder, network="select").folder
        == folder
        == locate.locate(weights=folder.parent, network="select").folder
    )
    assert locate.segmenter_folder(folder.parent) == folder
    assert locate.segmenter_folder(tmp_path) is None and locate.segmenter_folder(None) is None
    monkeypatch.setenv(catalog.SEGMENTER.variable.name, str(tmp_path))
    assert locate.segmenter_folder(folder.parent) == tmp_path, "what was named comes first"
    for place, told in ((tmp_path / "no", "does not exist"), (tmp_path, "config.json and model.safetensors")):
        with pytest.raises(WeightsError, match=told):
            locate.locate(weights=place, network="select")
    monkeypatch.delenv(catalog.SEGMENTER.variable.name)
    with pytest.raises(WeightsError, match="python -m moebius download select.*156 MB.*MOEBIUS_SELECT_WEIGHTS"):
        locate.locate(network="select")


def broken(source: Path, target: Path, what: str) -> None:
    from safetensors.torch import load_file, save_file

    config = json.loads((source / "config.json").read_text())
    weights = (source / "model.safetensors").read_bytes()
    if what == "cut off":
        weights = weights[:-1000]
    elif what == "no tensors":
        weights = b"\x80\x04 a pickle?"
    elif what == "another kind":
        config["model_type"] = "bert"
    elif what == "no JSON":
        config = None
    elif what == "another size":
        config["prompt_encoder_config"]["hidden_size"] = 64
    target.mkdir()
    (target / "config.json").write_text("{" if config is None else json.dumps(config))
    (target / "model.safetensors").write_bytes(weights)
    if what == "a tensor less":
        state = load_file(source / "model.safetensors")
        del state["mask_decoder.iou_token.weight"]
        save_file(state, target / "model.safetensors")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("cut off", "cannot be read as SAM 2"),
        ("no tensors", "cannot be read as SAM 2"),
        ("another kind", "holds a bert"),
        ("no JSON", "is not valid JSON"),
        ("another size", "cannot be read as SAM 2"),
        ("a tensor less", "1 tensors are missing, first mask_decoder.iou_token.weight"),
    ],
)
def test_weights_that_are_wrong_are_refused_in_words(folder, tmp_path, what, told):
    broken(folder, tmp_path / "broken", what)
    with pytest.raises(WeightsError, match=told):
        segment.load(locate.locate(weights=tmp_path / "broken", network="select"), "cpu")


def test_a_pickle_is_not_even_looked_at(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(WeightsError, match="model.safetensors"):
        locate.locate(weights=tmp_path, network="select")


def test_one_selector_stays_loaded(folder):
    files = locate.locate(weights=folder, network="select")
    assert segment.load(files, "cpu") is segment.load(files, "cpu")
    with pytest.raises(ValueError, match="cuda:99"):
        segment.load(files, "cuda:99")


def test_they_are_downloaded_when_asked_for_and_found_again(folder, tmp_path):
    with hub_of(folder) as hub:
        endpoint = f"http://127.0.0.1:{hub.server_port}"
        done = moebius(tmp_path, "download", "select", "--json", HF_ENDPOINT=endpoint)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["downloaded"][0]["from"] == f"Hugging Face cache, commit {Hub.commit}"
        again = moebius(tmp_path, "models", "--json", HF_HUB_OFFLINE="1")
        assert json.loads(again.stdout)["models"][-1]["can_run"] is True
        copied = moebius(tmp_path, "download", "select", "--to", tmp_path / "copy", HF_ENDPOINT=endpoint)
        assert copied.returncode == 0 and str(tmp_path / "copy") in copied.stdout
        for name in catalog.SEGMENTER.files:
            assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
        hub.RequestHandlerClass.announced["model.safetensors"] = "0" * 64
        wrong = moebius(tmp_path / "other", "download", "select", HF_ENDPOINT=endpoint)
        assert wrong.returncode == 2 and "its SHA-256 is not 0000" in wrong.stderr


def test_without_a_network_the_download_says_what_else_there_is(tmp_path):
    done = moebius(tmp_path, "download", "select", HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == ""
    for part in ("could not be downloaded", "download select", "--weights", "MOEBIUS_SELECT_WEIGHTS", "Apache-2.0"):
        assert part in done.stderr


# ---- the command ----


@pytest.fixture
def turned(tmp_path) -> Path:
    """A photo that lies on its side in the file: 120 wide, 180 high as shown."""
    exif = Image.Exif()
    exif[274] = 6
    photo(180, 120).save(tmp_path / "photo.jpg", exif=exif)
    return tmp_path / "photo.jpg"


def test_the_command_writes_the_mask_of_the_photo_as_shown(turned, folder, selector, tmp_path, capfd):
    out = tmp_path / "mask.png"
    arguments = ["select", turned, "--point", "100,150", "--point", "5,5", "--weights", folder, "-o", out]
    assert main([*map(str, arguments), "--device", "cpu", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["size"] == [120, 180] and told["grown_px"] == 1
    shown = photo_file.open_photo(turned)
    expected = selector.predict(selector.embed(shown.raster), [(100, 150), (5, 5)])
    assert told["pixels"] == expected.sum()
    with Image.open(out) as mask:
        assert mask.mode == "L" and set(np.unique(mask)) == {0, 255}
        np.testing.assert_array_equal(np.asarray(mask) > 0, expected)
    np.testing.assert_array_equal(photo_file.open_mask(out, shown.size), expected)
    assert main([*map(str, arguments), "--grow", "9"]) == 0
    assert photo_file.open_mask(out).sum() > expected.sum() and "9 pixels of margin" in capfd.readouterr().out


def test_mistakes_are_one_line_and_no_file(turned, folder, tmp_path, capfd):
    good = ["select", turned, "--point", "1,1", "--weights", folder, "-o", tmp_path / "mask.png"]

    def said(*changes: tuple[int, object]) -> str:
        arguments = list(map(str, good))
        for at, value in changes:
            arguments[at] = str(value)
        try:
            status = main(arguments)
        except SystemExit as stop:
            status = stop.code
        out, error = capfd.readouterr()
        assert status == 2 and out == "" and error.count("\n") == 1, (status, out, error)
        return error

    for changes, part in (
        (((3, "1"),), "give X,Y such as 640,480"),
        (((3, "a,b"),), "give X,Y"),
        (((3, "1,2,3"),), "give X,Y"),
        (((3, "180,1"),), "is not in the photo, which has 120×180"),
        (((5, tmp_path / "no"),), "does not exist"),
        (((5, tmp_path),), "does not hold SAM 2.1 tiny"),
        (((7, tmp_path / "mask.jpg"),), "written as .png"),
        (((7, tmp_path / "no/mask.png"),), "does not exist"),
        (((1, tmp_path / "no.jpg"),), "no.jpg"),
    ):
        assert part in said(*changes), changes
    bare = [str(one) for one in (*good[:4], *good[6:])]
    assert main(bare) == 2 and "download select" in capfd.readouterr().err
    encoded = io.BytesIO()
    photo(60, 40).save(encoded, "PNG")
    (tmp_path / "a.png").write_bytes(encoded.getvalue())
    assert "is an input" in said((1, tmp_path / "a.png"), (7, tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes() == encoded.getvalue() and not (tmp_path / "mask.png").exists()
