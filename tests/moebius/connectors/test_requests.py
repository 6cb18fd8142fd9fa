"""A recorded set of requests as different clients send them: what each is answered, and that it never is a trace."""

import base64
import io
import json

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from moebius.photo import png
from tests.helpers.connectors import connectors, data_url, encoded, mask, outside, photo, plain

PHOTO, MASK = encoded(photo()), encoded(mask())
MAX_PIXELS, MAX_BYTES = 100_000, 60_000

PAGE_FIELDS = {
    "ldm_steps": 30,
    "ldm_sampler": "ddim",
    "zits_wireframe": True,
    "cv2_flag": "INPAINT_NS",
    "cv2_radius": 5,
    "hd_strategy": "Crop",
    "hd_strategy_crop_triger_size": 640,
    "hd_strategy_crop_margin": 128,
    "hd_trategy_resize_imit": 2048,
    "prompt": "",
    "negative_prompt": "out of frame, lowres, error, cropped",
    "use_croper": False,
    "croper_x": 256,
    "croper_y": 256,
    "croper_height": 512,
    "croper_width": 512,
    "use_extender": False,
    "extender_x": 0,
    "extender_y": 0,
    "extender_height": 512,
    "extender_width": 512,
    "sd_mask_blur": 12,
    "sd_strength": 1,
    "sd_steps": 50,
    "sd_guidance_scale": 7.5,
    "sd_sampler": "DPM++ 2M",
    "sd_seed": -1,
    "sd_match_histograms": False,
    "sd_lcm_lora": False,
    "paint_by_example_example_image": None,
    "p2p_image_guidance_scale": 1.5,
    "enable_controlnet": False,
    "controlnet_conditioning_scale": 0.4,
    "controlnet_method": "",
    "enable_brushnet": False,
    "brushnet_method": "random_mask",
    "brushnet_conditioning_scale": 1.0,
    "enable_powerpaint_v2": False,
    "powerpaint_task": "text-guided",
}
"""What IOPaint's page sends beside image and mask."""


def sixteen_bit_png() -> bytes:
    rgb = np.asarray(photo()).astype(np.uint16) * 257
    return imagecodecs.png_encode(rgb)


def sixteen_bit_tiff() -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, np.asarray(photo()).astype(np.uint16) * 257, photometric="rgb")
    return out.getvalue()


def painted_on_transparency() -> bytes:
    """White strokes on nothing, as a canvas gives them."""
    layer = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    layer.paste((255, 255, 255, 255), (20, 15, 40, 30))
    return encoded(layer)


FILLED = {
    "png-plain": {"image": plain(PHOTO)},
    "png-data-url": {"image": data_url(PHOTO)},
    "octet-stream": {"image": data_url(PHOTO, "application/octet-stream")},
    "jpeg": {"image": data_url(encoded(photo(), "JPEG", quality=90, subsampling=0), "image/jpeg")},
    "rgba": {"image": data_url(encoded(photo("RGBA")))},
    "grey": {"image": data_url(encoded(photo("L")))},
    "palette": {"image": data_url(encoded(photo("P")))},
    "one-bit": {"image": data_url(encoded(photo("1")))},
    "16-bit-png": {"image": plain(sixteen_bit_png())},
    "16-bit-tiff": {"image": data_url(sixteen_bit_tiff(), "image/tiff")},
    "bmp": {"image": data_url(encoded(photo(), "BMP"), "image/bmp")},
    "webp-lossless": {"image": data_url(encoded(photo(), "WEBP", lossless=True), "image/webp")},
    "the-page": {"image": data_url(PHOTO), "mask": data_url(painted_on_transparency()), **PAGE_FIELDS},
    "unknown-fields": {"image": plain(PHOTO), "sizeLimit": 1080, "cv2Radius": 4, "made_up": [{"a": None}]},
    "mask-rgb": {"mask": data_url(encoded(mask().convert("RGB")))},
    "mask-one-bit": {"mask": plain(encoded(mask().convert("1")))},
    "mask-just-above-grey": {"mask": plain(encoded(mask().point(lambda value: 128 if value else 127)))},
    "mask-16-bit": {"mask": plain(encoded(Image.fromarray(np.asarray(mask()).astype(np.uint16) * 257)))},
    "seed": {"sd_seed": 7},
    "model": {"model": "mean-colour"},
}
REFUSED = {
    "no-image": ({"image": None}, 400, "image must be a text, got nothing"),
    "image-a-number": ({"image": 7}, 400, "got 7 (int)"),
    "no-mask": ({"mask": None}, 400, "mask must be a text"),
    "no-base64": ({"image": "äöü"}, 400, "image must be a picture in base64"),
    "garbage": ({"image": plain(bytes(range(256)) * 8)}, 415, "is not an image"),
    "garbage-mask": ({"mask": plain(b"\x01\x02" * 99)}, 415, "the mask is not an image"),
    "empty": ({"image": "data:image/png;base64,"}, 400, "is empty"),
    "pdf": ({"image": plain(b"%PDF-1.7 " + b"x" * 99)}, 415, "is a PDF"),
    "cut-off": ({"image": plain(PHOTO[: len(PHOTO) // 2])}, 400, "damaged or cut off"),
    "mask-of-another-size": (
        {"mask": plain(encoded(mask((32, 24))))},
        400,
        "Image size((48, 64)) and mask size((24, 32)) not match.",
    ),
    "mask-full": ({"mask": plain(encoded(Image.new("L", (64, 48), 255)))}, 400, "mask"),
    "too-many-pixels": ({"image": plain(encoded(Image.new("L", (400, 300))))}, 413, "too large"),
    "too-many-bytes": ({"image": plain(bytes(MAX_BYTES + 10))}, 413, "at most"),
    "unknown-model": ({"model": "lama"}, 404, "unknown model 'lama'; choose from auto, mean-colour"),
    "seed-a-text": ({"sd_seed": "seven"}, 400, "sd_seed must be a whole number"),
    "seed-negative": ({"sd_seed": -5}, 400, "-5"),
}


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", str(MAX_PIXELS))
    monkeypatch.setenv("MOEBIUS_MAX_BYTES", str(MAX_BYTES))
    with connectors(monkeypatch) as client:
        yield client


def decoded(data: bytes) -> np.ndarray:
    if data[:4] == b"II*\0":
        return tifffile.imread(io.BytesIO(data))
    if data[:4] == b"\x89PNG" and png.read_header(data).depth == 16:
        return png.read_16bit(data)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB") if image.mode == "P" else image)


@pytest.mark.parametrize("name", FILLED)
def test_what_is_filled(client, name):
    sent = {"image": data_url(PHOTO), "mask": data_url(MASK)} | FILLED[name]
    answer = client.post("/api/v1/inpaint", json=sent)
    assert answer.status_code == 200, answer.text
    before = decoded(base64.b64decode(sent["image"].rpartition(",")[2]))
    after = decoded(answer.content)
    assert after.shape == before.shape and after.dtype == before.dtype
    kept = outside()
    if name == "jpeg":  # whole blocks of 8 × 8 pixels are coded anew
        assert answer.headers["content-type"] == "image/jpeg"
        kept = outside((16, 8, 40, 32))
    np.testing.assert_array_equal(after[kept], before[kept])
    if name != "one-bit":
        assert (after[~outside()] != before[~outside()]).any()
    seed = int(answer.headers["X-Seed"])
    assert seed == sent.get("sd_seed", 42) or sent["sd_seed"] == -1
    assert answer.headers["X-Model"] == "mean-colour"


def test_what_is_not_filled_stays_the_very_file(client):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    jpeg = encoded(photo(), "JPEG", exif=exif)
    sent = {"image": plain(jpeg), "mask": plain(encoded(Image.new("L", (64, 48))))}
    assert client.post("/api/v1/inpaint", json=sent).content == jpeg
    filled = client.post("/api/v1/inpaint", json=sent | {"mask": plain(MASK)}).content
    assert filled != jpeg and Image.open(io.BytesIO(filled)).getexif()[0x010F] == "A camera"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(client, name):
    more, status, words = REFUSED[name]
    answer = client.post("/api/v1/inpaint", json={"image": data_url(PHOTO), "mask": data_url(MASK)} | more)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert words in told["detail"] and told["errors"] == told["detail"]
    assert "Traceback" not in answer.text and 'File "' not in answer.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "must be a JSON object"),
        (b"not JSON", "must be a JSON object"),
        (b"[1]", "not a list"),
        (b"[" * 100_000, "must be a JSON object"),
        (b"\xff\xfe\x00", "must be a JSON object"),
    ],
)
def test_bodies_that_are_no_object(client, body, words):
    for path in ("/api/v1/inpaint", "/api/v1/adjust_mask", "/inpaint"):
        answer = client.post(path, content=body)
        assert answer.status_code == 400 and words in answer.json()["detail"]


def test_a_body_beyond_all_limits_is_refused_while_it_comes(client):
    def endless():
        for _ in range(1000):
            yield b'"' + bytes(10_000)

    answer = client.post("/api/v1/inpaint", content=endless())
    assert answer.status_code == 413 and "more than" in answer.json()["detail"]


def test_other_methods_and_paths(client):
    assert client.get("/api/v1/inpaint").status_code == 405
    assert json.loads(client.get("/api/v1/inpaint").text) == {"detail": "Method Not Allowed"}
    assert client.get("/api/v1/no-such").text == client.get("/").text == "the page"
