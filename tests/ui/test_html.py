from dataclasses import replace

import pytest

from moebius import registry
from moebius.registry import Availability
from moebius.ui import html


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/srv/of/me/weights holds no weights", "weights holds no weights"),
        ("copy vae/config.json to /srv/me/weights/vae", "copy vae/config.json to vae"),
        ("the folder `/weights` (--weights or MOEBIUS_WEIGHTS)", "the folder `weights` (--weights or MOEBIUS_WEIGHTS)"),
        (r"C:\Users\me\weights\unet.bin: damaged; ~/weights/a too", "unet.bin: damaged; a too"),
        (
            "licence at https://huggingface.co/black/FLUX.1-Fill-dev",
            "licence at https://huggingface.co/black/FLUX.1-Fill-dev",
        ),
        ("hustvl/Moebius, 20x10 and/or 3 / 4, ../a/b", "hustvl/Moebius, 20x10 and/or 3 / 4, ../a/b"),
    ],
)
def test_folders_of_the_server_are_not_told(text, told):
    assert html.without_folders(text) == told


def test_strangers_on_a_space_start_no_downloads(monkeypatch, tmp_path):
    card = replace(
        registry.reference(), find_weights=lambda options: Availability(can_run=False, reason="", weights="")
    )
    monkeypatch.delenv("MOEBIUS_WEIGHTS", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert html.can_fetch_weights(card, registry.LoadOptions())
    assert not html.can_fetch_weights(card, registry.LoadOptions(weights=tmp_path)), "a folder was named"
    monkeypatch.setenv("SPACE_ID", "somebody/moebius")
    assert not html.can_fetch_weights(card, registry.LoadOptions())
