"""Whole jobs in one call: by an agent (the real MCP client, over loopback) and by `gradio_client`."""

import base64
import io
import json
import os
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from moebius import segment
from moebius.ui import http_api
from moebius.ui.uploads import UPLOADED
from moebius.weights import locate
from tests.helpers.http_calls import agent, calls, sent, upload

ROOT = Path(__file__).parents[2]
HOLE = (20, 20, 40, 30)


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def photo() -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)))


@pytest.fixture(scope="module")
def mask() -> bytes:
    picture = Image.new("L", (64, 48))
    picture.paste(255, HOLE)
    return encoded(picture)


def check_filled(before: bytes, after: Image.Image) -> None:
    old, new = np.asarray(Image.open(io.BytesIO(before))), np.asarray(after)
    differs = (old != new).any(axis=2)
    left, top, right, bottom = HOLE
    assert old.shape == new.shape and differs[top:bottom, left:right].mean() > 0.5
    differs[top - 4 : bottom + 4, left - 4 : right + 4] = False  # the blend
    assert not differs.any()


def test_the_tools_are_those_that_need_no_visitor_and_say_what_they_take(server):
    tools = {tool.name: tool for tool in agent(server.url, lambda session: session.list_tools()).tools}
    assert set(tools) == {"inpaint", "compare_models", "select_object", "models"}
    taken = tools["inpaint"].inputSchema
    assert set(taken["required"]) == {"image", "mask_image"}
    assert all(one.get("description") and one.get("type") for one in taken["properties"].values()), taken
    assert "classical" in taken["properties"]["model"]["enum"] and "white = repaint" in str(taken)
    for tool in ("inpaint", "compare_models", "select_object"):  # Gradio would promise to fetch addresses
        said = tools[tool].inputSchema["properties"]["image"]["format"]
        assert "data URL" in said and "gradio_api/file=" in said and "http" not in said
    assert all("Returns:" in tool.description and len(tool.description) > 100 for tool in tools.values())


def test_an_agent_gets_the_filled_picture(server, photo, mask):
    told = calls(server.url, "inpaint", image=sent(photo), mask_image=sent(mask), model="classical", feather_px=4)
    assert not told.isError, told.content
    picture = next(one for one in told.content if one.type == "image")
    check_filled(photo, Image.open(io.BytesIO(base64.b64decode(picture.data))))
    texts = [one.text for one in told.content if one.type == "text"]
    link = next(text.split(": ", 1)[1] for text in texts if text.startswith("Image URL"))
    assert link.endswith("_filled.png") and link.startswith(server.url)
    check_filled(photo, Image.open(io.BytesIO(httpx.get(link, trust_env=False).content)))
    told = calls(server.url, "inpaint", image=link, mask_image=sent(mask), model="classical")  # goes on with it
    assert not told.isError, told.content


def test_a_picture_may_be_given_in_the_ways_that_the_tools_name_and_in_no_other(server, photo, mask):
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        path = upload(client, photo)["path"]
    told = calls(server.url, "inpaint", image=f"{server.url}{UPLOADED}{path}", mask_image=sent(mask), model="classical")
    assert not told.isError, told.content
    picture = next(one for one in told.content if one.type == "image")
    check_filled(photo, Image.open(io.BytesIO(base64.b64decode(picture.data))))
    for wrong in (path, "photo.png", ""):
        told = calls(server.url, "inpaint", image=wrong, mask_image=sent(mask), model="classical")
        assert told.isError and "image must be the picture itself as a data URL" in told.content[0].text
        assert "provide a url" not in told.content[0].text


def test_an_agent_compares_and_asks_what_there_is(server, photo, mask):
    told = calls(server.url, "models")
    assert not told.isError
    assert "'classical'" in told.content[0].text and "its weights are not on this computer" in told.content[0].text
    told = calls(
        server.url, "compare_models", image=sent(photo), mask_image=sent(mask), models=["moebius", "classical"]
    )
    assert not told.isError, told.content
    sheet = Image.open(io.BytesIO(base64.b64decode(told.content[0].data)))
    assert sheet.format == "PNG" and min(sheet.size) > 200
    told = calls(server.url, "compare_models", image=sent(photo), mask_image=sent(mask), models=["moebius"])
    assert told.isError and "not on this computer" in told.content[0].text


@pytest.mark.parametrize(
    "image",
    [
        "/etc/passwd",
        str(ROOT / "moebius/samples/images/astronaut.jpg"),
        "file:///etc/passwd",
        "http://127.0.0.1:{canary}/secret.png",
        "http://localhost:{canary}/secret.png",
        "http://169.254.169.254/latest/meta-data",
        {"path": str(ROOT / "moebius/samples/images/astronaut.jpg"), "meta": {"_type": "gradio.FileData"}},
        {"path": "x.png", "url": "http://127.0.0.1:{canary}/secret.png", "meta": {"_type": "gradio.FileData"}},
        [str(ROOT / "moebius/samples/images/astronaut.jpg")],
        None,
    ],
)
def test_an_agent_reads_no_file_of_the_machine_and_no_other_server(server, canary, mask, image):
    port, seen = canary
    image = json.loads(json.dumps(image).replace("{canary}", str(port)))
    told = calls(server.url, "inpaint", image=image, mask_image=sent(mask), model="classical")
    assert told.isError and not any(one.type == "image" for one in told.content), told
    assert "root:" not in str(told) and "SECRET" not in str(told)
    assert not seen
    assert server.process.poll() is None


def test_an_object_is_selected_in_one_call(server, server_with_models, standin_selector, photo):
    """By a stand-in network, whose objects mean nothing: they are compared with its own."""
    place = {"x": 40, "y": 20}
    selector = segment.load(locate.locate(weights=standin_selector, network="select"), "cpu")
    picture = Image.open(io.BytesIO(photo))
    expected = selector.predict(selector.embed(picture), [(40.0, 20.0)])
    assert 0 < expected.mean() < 1
    told = calls(server_with_models.url, "select_object", image=sent(photo), **place)
    assert not told.isError, told.content
    found = next(Image.open(io.BytesIO(base64.b64decode(one.data))) for one in told.content if one.type == "image")
    assert found.size == picture.size
    np.testing.assert_array_equal(np.asarray(found.convert("L")) > 127, expected)
    for wrong, why in (({"x": 64, "y": 20}, "64×48"), ({"x": -1, "y": 20}, "-1,20"), ({"y": 20}, "")):
        told = calls(server_with_models.url, "select_object", image=sent(photo), **wrong)
        assert told.isError and why in told.content[0].text, wrong
    told = calls(server.url, "select_object", image=sent(photo), **place)
    assert told.isError and "weights" in told.content[0].text and str(standin_selector) not in told.content[0].text


def test_an_agent_cannot_call_what_belongs_to_a_visitor(server):
    for name in ("fill", "load_photo", "load_sample", "load_mask", "use_result", "stop", "leave", "compare"):
        told = calls(server.url, name)
        assert told.isError and "Unknown tool" in told.content[0].text


def test_a_script_needs_one_call(server, photo, mask, tmp_path):
    for name, content in (("photo.png", photo), ("mask.png", mask)):
        (tmp_path / name).write_bytes(content)
    client = Client(server.url, verbose=False, download_files=str(tmp_path / "got"))
    files = {"image": handle_file(tmp_path / "photo.png"), "mask_image": handle_file(tmp_path / "mask.png")}
    result = client.predict(**files, model="classical", api_name="/inpaint")
    check_filled(photo, Image.open(result))
    assert Path(result).name == "photo_filled.png"
    with pytest.raises(AppError, match="64×48"):
        client.predict(
            **files | {"mask_image": handle_file(ROOT / "moebius/samples/masks/astronaut.png")}, api_name="/inpaint"
        )
    with pytest.raises(AppError, match="unknown model|not in the list|nvalid"):
        client.predict(**files, model="nonesuch", api_name="/inpaint")
    assert any(one["name"] == "classical" and one["can_run"] for one in client.predict(api_name="/models"))
    named = client.view_api(return_format="dict")["named_endpoints"]
    without_session = {"/inpaint", "/models", "/compare_models", "/select_object"}
    assert set(named) == without_session | {"/add_photos", "/fill_photos"}, "and those of examples/client.py"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"num_inference_steps": 1_000_000}, "100"),
        ({"num_inference_steps": -1}, "0"),
        ({"num_inference_steps": "many"}, "integer"),
        ({"guidance_scale": 1e9}, "100"),
        ({"feather_px": 1000}, "64"),
        ({"model": ["classical"]}, ""),
        ({"model": "../../etc/passwd"}, "passwd"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_wrong_settings_are_refused_in_words(server, photo, mask, wrong, told):
    settings = {"image": sent(photo), "mask_image": sent(mask), "model": "classical"} | wrong
    answer = calls(server.url, "inpaint", **settings)
    assert answer.isError and told in answer.content[0].text and "Traceback" not in answer.content[0].text
    assert server.process.poll() is None


def test_what_agents_sent_is_deleted(server, photo, mask, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    old, new = tmp_path / "from-agents/a/file.png", tmp_path / "from-agents/b/file.png"
    for path in (old, new, tmp_path / "other.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    for path in (old, tmp_path / "other.png"):
        os.utime(path, (0, 0))
    http_api.forget_sent()
    assert not old.exists() and new.exists() and (tmp_path / "other.png").exists()
