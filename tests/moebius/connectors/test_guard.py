"""Who may call: not every web page that is open in the browser."""

import pytest

from moebius import environment
from moebius.connectors.guard import Guard, is_local, is_open, named_origins
from tests.helpers.connectors import connectors

HERE = "127.0.0.1:7860"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": HERE}, True),
        ({"host": "localhost:7860"}, True),
        ({"host": "[::1]:7860"}, True),
        ({"host": HERE, "origin": f"http://{HERE}"}, True),
        ({"host": HERE, "origin": "https://named.example"}, True),
        ({"host": HERE, "origin": "https://evil.example"}, False),
        ({"host": HERE, "origin": "http://127.0.0.1:8000"}, False),
        ({"host": HERE, "origin": "null"}, False),
        ({"host": HERE, "origin": ""}, False),
        ({"host": HERE, "sec-fetch-site": "cross-site"}, False),
        ({"host": HERE, "sec-fetch-site": "same-origin"}, True),
        ({"host": HERE, "sec-fetch-site": "none"}, True),
        ({"host": "evil.example:7860"}, False),  # a name that was made to point here
        ({"host": "evil.example:7860", "origin": "http://evil.example:7860"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "[broken"}, False),
        ({}, False),
    ],
)
def test_on_ones_own_computer(headers, allowed):
    guard = Guard(local=True, named=frozenset({"https://named.example"}))
    assert (guard.refusal(headers) is None) == allowed


def test_a_server_for_others_answers_to_any_name_but_not_to_pages_of_others():
    guard = Guard(local=False)
    assert guard.refusal({"host": "photos.example", "origin": "https://photos.example"}) is None
    assert "https://other.example may not" in guard.refusal(
        {"host": "photos.example", "origin": "https://other.example"}
    )


@pytest.mark.parametrize("path", ["/api/v1/server-config", "/health", "/socket.io/?EIO=4&transport=polling"])
def test_refusals_are_told_and_the_page_is_not_asked(monkeypatch, path):
    with connectors(monkeypatch) as client:
        assert client.get(path).status_code == 200
        answer = client.get(path, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403 and "https://evil.example may not call" in answer.json()["detail"]
        assert client.get("/", headers={"Origin": "https://evil.example"}).text == "the page"  # Gradio's to decide


def test_a_named_origin_may_ask_and_read(monkeypatch):
    with connectors(monkeypatch, named=frozenset({"https://named.example"})) as client:
        asks = {"Origin": "https://named.example", "Access-Control-Request-Headers": "content-type"}
        answer = client.options("/api/v1/inpaint", headers=asks | {"Access-Control-Request-Method": "POST"})
        assert answer.status_code == 204 and answer.headers["access-control-allow-headers"] == "content-type"
        answer = client.get("/health", headers=asks)
        assert answer.headers["access-control-allow-origin"] == "https://named.example"
        assert "X-Seed" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("host", "share", "space", "chosen", "served"),
    [
        ("127.0.0.1", False, "", "", True),
        ("localhost", False, "", "", True),
        ("0.0.0.0", False, "", "", False),
        ("0.0.0.0", False, "", "1", True),
        ("192.168.1.2", False, "", "", False),
        ("127.0.0.1", True, "", "", False),
        ("127.0.0.1", False, "someone/space", "", False),
        ("127.0.0.1", False, "", "0", False),
    ],
)
def test_where_they_are_served(monkeypatch, host, share, space, chosen, served):
    monkeypatch.setenv("SPACE_ID", space)
    monkeypatch.setenv(environment.CONNECTORS.name, chosen)
    assert is_open(is_local(host, share)) == served


def test_named_origins():
    assert named_origins(" https://a.example  http://localhost:3000 ") == {"https://a.example", "http://localhost:3000"}
    for wrong in ("a.example", "https://a.example/", "https://", "*"):
        with pytest.raises(ValueError, match="MOEBIUS_CONNECTOR_ORIGINS must be origins"):
            named_origins(wrong)
