"""RapidRAW's protocol: upload once, patches around masks, and what is kept for how long."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from moebius.connectors.errors import UnknownError
from moebius.connectors.sources import Sources
from tests.helpers.connectors import connectors, encoded, mask, photo, plain

SIZE, BOX = (120, 90), (50, 40, 70, 60)


@pytest.fixture
def client(monkeypatch):
    with connectors(monkeypatch) as client:
        yield client


def uploaded(client, name: str = "one", data: bytes | None = None):
    data = encoded(photo(size=SIZE), "JPEG", quality=95) if data is None else data
    return client.post("/upload_source", data={"source_id": name}, files={"file": ("source.jpg", data, "image/jpeg")})


def asked(client, painted: Image.Image, **more):
    sent = {"source_id": "one", "prompt": "", "negative_prompt": "blur", "mask_image_base64": plain(encoded(painted))}
    return client.post("/inpaint", json=sent | {"seed": 0} | more)


def opened(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_health(client):
    assert client.get("/health").json() == {"status": "ok", "connected": True}


def test_an_unknown_source_is_uploaded_and_then_known(client):
    assert asked(client, mask(SIZE, BOX)).status_code == 404
    assert uploaded(client).json()["status"] == "cached"
    soft = mask(SIZE, BOX).filter(ImageFilter.BoxBlur(1))  # one pixel wider
    answer = asked(client, soft).json()
    assert (answer["x"], answer["y"], answer["width"], answer["height"]) == (33, 23, 54, 54)
    colour, shades = opened(answer["color"]), opened(answer["mask"])
    assert colour.shape == (54, 54, 4) and (colour[..., 3] == 255).all()
    np.testing.assert_array_equal(shades, np.asarray(soft)[23:77, 33:87])
    source = np.asarray(Image.open(io.BytesIO(encoded(photo(size=SIZE), "JPEG", quality=95))))[23:77, 33:87]
    far = np.asarray(mask(SIZE, (44, 34, 76, 66)))[23:77, 33:87] == 0
    np.testing.assert_array_equal(colour[..., :3][far], source[far])
    assert (colour[..., :3][shades == 255] != source[shades == 255]).any()


def test_at_the_edge_the_patch_ends_with_the_photo(client):
    uploaded(client)
    answer = asked(client, mask(SIZE, (0, 80, 10, 90))).json()
    assert (answer["x"], answer["y"], answer["width"], answer["height"]) == (0, 64, 26, 26)


def test_a_smaller_mask_is_scaled(client):
    uploaded(client)
    answer = asked(client, mask((60, 45), (20, 15, 30, 25))).json()
    assert (answer["x"], answer["y"], answer["width"], answer["height"]) == (24, 14, 52, 52)


def test_an_empty_mask_is_one_transparent_pixel(client):
    uploaded(client)
    answer = asked(client, Image.new("L", SIZE)).json()
    assert [answer[key] for key in ("x", "y", "width", "height")] == [0, 0, 1, 1]
    assert opened(answer["color"]).tolist() == [[[0, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("name", "data", "status"), [("", None, 400), ("x" * 600, None, 400), ("one", b"", 415), ("one", b"text " * 9, 415)]
)
def test_uploads_that_are_none(client, name, data, status):
    answer = uploaded(client, name, data)
    if answer.status_code == 200:  # what it is shows when it is opened
        answer = asked(client, mask(SIZE, BOX))
    assert answer.status_code in (status, 400) and answer.json()["detail"]


def test_a_form_without_a_file(client):
    assert client.post("/upload_source", data={"source_id": "one"}).status_code == 400
    assert client.post("/upload_source", content=b"nothing").status_code == 400


# ---- what is kept ----


def test_sources_are_few_small_and_forgotten():
    now = [0.0]
    sources = Sources(most=2, most_bytes=10, idle_s=60, now=lambda: now[0])
    a, b, c = ("here", "a"), ("here", "b"), ("here", "c")
    sources.add(a, b"1234")
    sources.add(b, b"5678")
    assert sources.get(a) == b"1234"
    sources.add(c, b"90")
    with pytest.raises(UnknownError, match="'b' is not here; upload it first"):
        sources.get(b)  # used longest ago
    sources.add(b, b"123456789")
    assert len(sources) == 1  # too many bytes together
    now[0] = 59
    assert sources.get(b)
    now[0] = 120
    with pytest.raises(UnknownError):
        sources.get(b)
    assert len(sources) == 0


def test_nobody_gets_what_another_caller_uploaded():
    sources = Sources()
    sources.add(("10.0.0.1", "a"), b"theirs")
    with pytest.raises(UnknownError):
        sources.get(("10.0.0.2", "a"))
