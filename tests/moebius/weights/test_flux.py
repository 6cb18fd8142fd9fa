"""Where FLUX.1 Fill [dev] is found on this computer, how it is fetched, and what is said when the hub refuses."""

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from moebius.weights import WeightsError, catalog, locate
from tests.helpers.local_hub import Hub, hub_of, moebius
from tests.helpers.standin_flux import write_flux


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_flux(tmp_path_factory.mktemp("flux"))


def test_a_folder_that_is_not_complete_or_another_says_so(folder, tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        locate.locate(weights=tmp_path / "nowhere", network="flux-fill")
    with pytest.raises(WeightsError, match="holds no FLUX.1 Fill"):
        locate.locate(weights=tmp_path, network="flux-fill")
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(WeightsError, match="holds a FluxPipeline, not a FluxFillPipeline"):
        locate.locate(weights=tmp_path, network="flux-fill")
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxFillPipeline"}')
    for part in catalog.FLUX_PARTS:
        os.symlink(folder / part, tmp_path / part)
    assert locate.locate(weights=tmp_path, network="flux-fill").gguf is None
    (tmp_path / "transformer").unlink()
    (tmp_path / "transformer").mkdir()
    with pytest.raises(WeightsError, match=r"not complete: transformer/\*.safetensors is missing"):
        locate.locate(weights=tmp_path, network="flux-fill")
    index = {"weight_map": {"a": "one-of-two.safetensors", "b": "two-of-two.safetensors"}}
    (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "transformer" / "one-of-two.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="transformer/two-of-two.safetensors is missing"):
        locate.locate(weights=tmp_path, network="flux-fill")


def test_it_is_found_under_its_repositorys_name_and_by_its_variable(folder, tmp_path, monkeypatch):
    os.symlink(folder, tmp_path / "FLUX.1-Fill-dev")
    (tmp_path / "flux1-fill-dev-Q4_K_S.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv(catalog.FLUX.variable.name, str(tmp_path))
    files = locate.locate(network="flux-fill")
    assert files.folder == tmp_path / "FLUX.1-Fill-dev" and files.gguf.name == "flux1-fill-dev-Q4_K_S.gguf"
    assert files.bytes_of("transformer") == sum(
        p.stat().st_size for p in (folder / "transformer").glob("*.safetensors")
    )


@pytest.fixture
def repository(folder, tmp_path) -> Path:
    """As published: the transformer lies there as one file too, which the pipeline does not need."""
    shutil.copytree(folder, tmp_path / "repository")
    (tmp_path / "repository" / "flux1-fill-dev.safetensors").write_bytes(b"not needed")
    return tmp_path / "repository"


def test_a_download_into_an_empty_cache_is_found_and_holds_what_is_needed(folder, repository, tmp_path):
    with hub_of(repository) as server:
        command = ("download", "--model", "flux-fill", "--json")
        done = moebius(tmp_path, *command, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
    assert (done.returncode, done.stderr) == (0, "")
    where = f"Hugging Face cache, commit {Hub.commit}"
    assert json.loads(done.stdout)["downloaded"] == [{"variant": None, "from": where}]
    offline = moebius(tmp_path, "models", "--json", HF_HUB_OFFLINE="1")
    (card,) = [one for one in json.loads(offline.stdout)["models"] if one["name"] == "flux-fill"]
    assert (card["can_run"], card["weights"]) == (True, where)
    (snapshot,) = (tmp_path / "home" / "hub").glob("models--*/snapshots/*")
    present = {path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()}
    needed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == needed and "vae/config.json" in needed


def test_a_part_with_other_bytes_than_announced_is_refused_and_deleted(folder, tmp_path):
    part = next((folder / "vae").glob("*.safetensors"))
    with hub_of(folder) as server:
        server.RequestHandlerClass.announced[part.relative_to(folder).as_posix()] = "0" * 64
        command = ("download", "--model", "flux-fill")
        done = moebius(tmp_path, *command, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
    assert done.returncode == 2 and "its SHA-256 is not 0000" in done.stderr and done.stderr.count("\n") == 1
    (vae,) = (tmp_path / "home" / "hub").glob("models--*/snapshots/*/vae")
    assert [path.name for path in vae.iterdir() if path.exists()] == ["config.json"]


class Gate(BaseHTTPRequestHandler):
    """A hub that lists the repository and refuses its files, as it does before the licence was accepted."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        listing = self.path.startswith("/api/models/")
        body = json.dumps(
            {"id": catalog.FLUX.repo, "sha": "0" * 40, "siblings": [{"rfilename": "model_index.json", "size": 3}]}
        ).encode()
        self.send_response(200 if listing else 403)
        if not listing:
            self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if listing else 0))
        self.end_headers()
        if listing and self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def test_the_gate_is_explained_in_one_line(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    done = moebius(tmp_path, "download", "--model", "flux-fill", HF_ENDPOINT=endpoint)
    server.shutdown()
    thread.join()
    server.server_close()
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    for part in (catalog.FLUX.license_page, "settings/tokens", "hf auth login", "HF_TOKEN", "non-commercial"):
        assert part in done.stderr
