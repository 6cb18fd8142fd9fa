"""Weights from a hub on this computer: what is cached, what is checked, what is said."""

import json

import pytest

from moebius.progress import Cancelled
from moebius.weights import WeightsError
from moebius.weights import hub as downloads
from moebius.weights.locate import locate
from tests.helpers.local_hub import Hub, hub_of, moebius
from tests.helpers.weight_folders import BIN


@pytest.fixture
def hub(published):
    with hub_of(published) as server:
        yield server


def test_download_fills_the_cache_and_records_the_commit(hub, published, tmp_path, monkeypatch):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = moebius(tmp_path, "download", "--json", HF_ENDPOINT=endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    entry = json.loads(done.stdout)["downloaded"][0]
    assert entry == {"variant": "places2", "from": f"Hugging Face cache, commit {Hub.commit}"}

    offline = moebius(tmp_path, "models", "--json", HF_HUB_OFFLINE="1")
    assert json.loads(offline.stdout)["models"][0]["can_run"] is True
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    files = locate()
    assert files.revisions == (Hub.commit, Hub.commit)
    assert files.denoiser.read_bytes() == (published / "ft_places2" / BIN).read_bytes()
    with pytest.raises(WeightsError, match="not complete .ft_ffhq"):
        locate("ffhq")


def test_a_download_with_other_bytes_than_announced_is_refused(hub, tmp_path):
    hub.RequestHandlerClass.announced[f"vae/{BIN}"] = "0" * 64
    done = moebius(tmp_path, "download", HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "is damaged: its SHA-256 is not 0000" in done.stderr
    del hub.RequestHandlerClass.announced[f"vae/{BIN}"]
    offline = moebius(tmp_path, "models", "--json", HF_HUB_OFFLINE="1")
    assert json.loads(offline.stdout)["models"][0]["can_run"] is False, "the damaged file is gone"
    assert moebius(tmp_path, "download", HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}").returncode == 0


def test_all_files_of_a_repository_come_from_one_commit(hub, tmp_path, monkeypatch):
    """Somebody pushes to the autoencoder's repository while it is downloaded."""
    newer = "f" * 40
    hub.RequestHandlerClass.pushes["vae/config.json"] = newer
    done = moebius(tmp_path, "download", HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}")
    assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    files = locate()
    assert files.revisions == (Hub.commit, Hub.commit)
    assert files.autoencoder.with_name("config.json").is_file()


def test_a_download_that_is_stopped_leaves_no_half_file(hub, published, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    shares = []

    def stop(share: float, text: str) -> None:
        shares.append(share)
        if share > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        downloads.fetch(progress=stop)
    assert len(shares) == 2 and 0 < shares[1] < 1, "stopped at the first bytes of the first file"
    assert [path.name for path in cache.rglob(BIN)] == []
    with pytest.raises(WeightsError, match="are not on this computer"):
        locate()
    shares.clear()
    files = downloads.fetch(progress=lambda share, text: shares.append(share))
    assert files.denoiser.read_bytes() == (published / "ft_places2" / BIN).read_bytes()
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_a_revision_that_is_not_there_is_one_line(hub, tmp_path):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = moebius(tmp_path, "download", "--revision", "v9", HF_ENDPOINT=endpoint)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "hustvl/Moebius at 'v9'" in done.stderr


def test_no_network_and_nothing_cached_is_one_line_with_the_ways_out(tmp_path):
    done = moebius(tmp_path, "download", "celebahq", HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == ""
    for part in ("could not be downloaded", "download celebahq", "--weights", "MOEBIUS_WEIGHTS", "621 MB"):
        assert part in done.stderr


def test_a_source_is_a_folder_or_a_hub_id(published, tmp_path):
    assert downloads.find_or_fetch(published).denoiser == published / "ft_places2" / BIN
    with pytest.raises(WeightsError, match="neither a folder nor a hub id"):
        downloads.find_or_fetch(tmp_path / "nowhere")
