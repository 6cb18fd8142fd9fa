"""Small stand-in weights, and none but those that a test names."""

from pathlib import Path

import pytest

from moebius.weights.catalog import NETWORKS
from tests.helpers.standin_weights import write_published


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """Small stand-in weights in the published layout; not to be changed."""
    return write_published(tmp_path_factory.mktemp("weights") / "Moebius", small=True)


@pytest.fixture(autouse=True)
def no_weights_outside(tmp_path, monkeypatch):
    for name in ("MOEBIUS_REVISION", "MOEBIUS_AUTOENCODER_REVISION", *(one.variable.name for one in NETWORKS.values())):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty-cache"))
