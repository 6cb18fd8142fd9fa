"""IOPaint's other endpoints: what its page asks at the start, models, clicks, masks, progress."""

import io
import json
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from moebius import segment
from moebius.connectors.iopaint import adjusted, read_clicks
from moebius.inpainters.loaders import Availability
from tests.helpers import mean_model
from tests.helpers.connectors import connectors, data_url, encoded, mask, photo, plain

CONFIG_KEYS = {
    "plugins", "modelInfos", "removeBGModel", "removeBGModels", "realesrganModel", "realesrganModels",
    "interactiveSegModel", "interactiveSegModels", "enableFileManager", "enableAutoSaving", "enableControlnet",
    "controlnetMethod", "disableModelSwitch", "isDesktop", "samplers",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_selector(monkeypatch, tmp_path):
    monkeypatch.setenv("MOEBIUS_SELECT_WEIGHTS", str(tmp_path / "none"))


def test_what_the_page_asks_first(monkeypatch):
    lame = mean_model.card(
        name="lame", find_weights=lambda options: Availability(can_run=False, reason="no weights", weights="")
    )
    with connectors(monkeypatch, mean_model.card(), lame, mean_model.card(name="second", reads_prompt=True)) as client:
        config = client.get("/api/v1/server-config").json()
        assert set(config) == CONFIG_KEYS and config["plugins"] == []
        assert [one["name"] for one in config["modelInfos"]] == ["mean-colour", "second"]
        first, second = config["modelInfos"]
        assert (first["model_type"], first["need_prompt"]) == ("inpaint", False)
        assert (second["model_type"], second["need_prompt"]) == ("diffusers_other", True)
        assert client.get("/api/v1/model").json() == first
        assert client.get("/api/v1/samplers").json() == client.post("/api/v1/samplers").json() == []
        assert client.get("/api/v1/inputimage").status_code == 404
        sent = {"file": ("photo.png", encoded(photo()), "image/png")}
        assert client.post("/api/v1/gen-info", files=sent).json() == {"prompt": "", "negative_prompt": ""}

        assert client.post("/api/v1/model", json={"name": "second"}).json() == second
        assert client.get("/api/v1/model").json() == second
        filled = {"image": plain(encoded(photo())), "mask": plain(encoded(mask()))}
        assert client.post("/api/v1/inpaint", json=filled).headers["X-Model"] == "second"
        for name in ("lame", "lama"):
            answer = client.post("/api/v1/model", json={"name": name})
            assert answer.status_code == 404 and "choose from mean-colour, second" in answer.json()["detail"]
        for path in ("run_plugin_gen_mask", "run_plugin_gen_image"):
            answer = client.post(f"/api/v1/{path}", json={"name": "RemoveBG", "image": filled["image"]})
            assert answer.status_code == 404 and "the plugin 'RemoveBG' is not here" in answer.json()["detail"]


# ---- masks ----


@pytest.mark.parametrize("kernel", [0, 1, 5, 12])
def test_masks_grow_and_shrink_as_with_iopaints_ellipse(kernel):
    before = np.asarray(mask((120, 90), (40, 30, 80, 60))) > 0
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * kernel + 1, 2 * kernel + 1))
    for operate, theirs in (("expand", cv2.dilate), ("shrink", cv2.erode)):
        expected = theirs(before.astype(np.uint8), ellipse).astype(bool)
        got = adjusted(before, operate, kernel)
        assert (got != expected).sum() <= 4 * kernel, operate  # the ellipse's corners are rounded otherwise
        np.testing.assert_array_equal(got.any(axis=0), expected.any(axis=0))
    np.testing.assert_array_equal(adjusted(before, "reverse", kernel), ~before)


def test_a_mask_comes_back_in_the_colour_of_the_brush(monkeypatch):
    with connectors(monkeypatch) as client:
        sent = {"mask": data_url(encoded(mask())), "operate": "expand", "kernel_size": 3}
        answer = client.post("/api/v1/adjust_mask", json=sent)
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert answer.headers["content-type"] == "image/png" and pixels.shape == (48, 64, 4)
        assert (pixels[15:30, 17:43] == (255, 203, 0, 186)).all() and (pixels[:12] == 0).all()
        for more, words in (({"operate": "melt"}, "expand, shrink or reverse"), ({"kernel_size": 9999}, "0 to 1000")):
            answer = client.post("/api/v1/adjust_mask", json=sent | more)
            assert answer.status_code == 400 and words in answer.json()["detail"]


# ---- clicks ----


class Selector:
    def embed(self, raster):
        return raster.size

    def predict_object(self, embedding, clicks):
        self.asked = (embedding, clicks)
        return np.asarray(mask()) > 0


def test_clicks_become_a_mask(monkeypatch):
    selector = Selector()
    monkeypatch.setattr(segment, "locate_weights", lambda weights: "files")
    monkeypatch.setattr(segment, "load", lambda files, device: selector)
    with connectors(monkeypatch) as client:
        config = client.get("/api/v1/server-config").json()
        assert config["plugins"] == [{"name": "InteractiveSeg", "support_gen_image": False, "support_gen_mask": True}]
        sent = {"name": "InteractiveSeg", "image": data_url(encoded(photo())), "clicks": [[30, 20, 1], [5, 5, 0]]}
        answer = client.post("/api/v1/run_plugin_gen_mask", json=sent)
        assert selector.asked == ((64, 48), [(30.0, 20.0, True), (5.0, 5.0, False)])
        alpha = np.asarray(Image.open(io.BytesIO(answer.content)))[..., 3]
        np.testing.assert_array_equal(alpha, np.asarray(mask()) // 255 * 186)
        chosen = {"plugin_name": "InteractiveSeg", "model_name": "sam2.1"}
        assert client.post("/api/v1/switch_plugin_model", json=chosen).status_code == 200
        assert client.post("/api/v1/switch_plugin_model", json=chosen | {"model_name": "vit_b"}).status_code == 404


@pytest.mark.parametrize("value", [None, [], [[1, 2]], [[1, 2, "1"]], "x", [[1, 2, 0]], [[1, 2, True]], [{}]])
def test_clicks_that_say_nothing(value):
    with pytest.raises(ValueError, match="click"):
        read_clicks(value)


# ---- queue and progress ----


def test_who_is_one_too_many_is_told_to_come_again(monkeypatch):
    started, go_on = threading.Event(), threading.Event()

    class Slow(mean_model.MeanColour):
        def fill_squares(self, *arguments):
            started.set()
            go_on.wait(60)
            return super().fill_squares(*arguments)

    sent = {"image": plain(encoded(photo())), "mask": plain(encoded(mask()))}
    slow = mean_model.card(load=lambda options, progress: Slow())
    with connectors(monkeypatch, slow, max_waiting=0) as client:
        answers = []
        first = threading.Thread(target=lambda: answers.append(client.post("/api/v1/inpaint", json=sent)))
        first.start()
        assert started.wait(60)
        refused = client.post("/api/v1/inpaint", json=sent)
        go_on.set()
        first.join()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert "try again later" in refused.json()["detail"] and answers[0].status_code == 200


def test_progress_goes_to_the_client_whose_photo_it_is(monkeypatch):
    with connectors(monkeypatch) as client:
        opened = client.get("/socket.io/?EIO=4&transport=polling")
        assert opened.status_code == 200 and opened.text.startswith("0{")
        session = json.loads(opened.text[1:])["sid"]
        address = f"/socket.io/?EIO=4&transport=polling&sid={session}"
        assert client.post(address, content="40").status_code == 200
        assert client.get(address).text.startswith("40{")
        sent = {"image": plain(encoded(photo())), "mask": plain(encoded(mask())), "sd_steps": 10}
        assert client.post("/api/v1/inpaint", json=sent).status_code == 200
        told = ""
        while "diffusion_finish" not in told:
            told += client.get(address).text
    assert '42["diffusion_progress",{"step":5}]' in told
