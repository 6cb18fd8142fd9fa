"""The connectors on the page's own port, with the page behind them."""

import io

import httpx
import numpy as np
from PIL import Image

from tests.helpers.connectors import encoded, mask, outside, photo, plain


def test_other_programs_are_answered_on_the_pages_port(server):
    with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client:
        assert client.get("/health").json()["connected"] is True
        assert client.get("/api/v1/model").json()["name"] == "classical"
        assert "<html" in client.get("/").text and client.get("/gradio_api/info").status_code == 200
        sent = {"image": plain(encoded(photo())), "mask": plain(encoded(mask()))}
        answer = client.post("/api/v1/inpaint", json=sent)
        assert answer.status_code == 200 and answer.headers["X-Model"] == "classical"
        after = np.asarray(Image.open(io.BytesIO(answer.content)))
        np.testing.assert_array_equal(after[outside()], np.asarray(photo())[outside()])
        refused = client.post("/api/v1/inpaint", json=sent, headers={"Origin": "https://evil.example"})
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
        asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        assert "access-control-allow-origin" not in client.options("/api/v1/inpaint", headers=asks).headers
