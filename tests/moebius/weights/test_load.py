"""Where weights are found, how they are read, and what is said when they are wrong."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from moebius.models.unet import MoebiusUNet
from moebius.weights import folder as weight_folder
from moebius.weights import load
from moebius.weights.load import WeightsError, convert_student, load_autoencoder, load_denoiser, read_state
from moebius.weights.locate import locate
from tests.helpers.deterministic import values
from tests.helpers.local_hub import Hub, hub_of, moebius
from tests.helpers.standin_weights import DATA, write_published

BIN = "diffusion_pytorch_model.bin"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Small stand-in weights in the published layout; not to be changed."""
    return write_published(tmp_path_factory.mktemp("weights") / "Moebius", small=True)


@pytest.fixture(autouse=True)
def no_weights_outside(tmp_path, monkeypatch):
    monkeypatch.delenv("MOEBIUS_WEIGHTS", raising=False)
    monkeypatch.delenv("MOEBIUS_REVISION", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty-cache"))


def copy_of(published: Path, folder: Path) -> Path:
    """The stand-in weights again, in links that may be replaced."""
    for path in published.rglob("*.*"):
        if path.is_file():
            target = folder / path.relative_to(published)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return folder


def changed(published: Path, folder: Path, change, network: str = "ft_places2") -> Path:
    """A copy whose state dict went through `change`; returns the file."""
    copy_of(published, folder)
    file = folder / network / BIN
    state = torch.load(file, weights_only=True)
    change(state)
    file.unlink()
    torch.save(state, file)
    return file


# ---- names ----


def test_every_published_key_becomes_one_of_the_networks_with_its_shape():
    shapes = json.loads((DATA / "moebius_state_dict.json").read_text())
    assert len(shapes) == 1203
    with torch.device("meta"):
        ours = {key: list(tensor.shape) for key, tensor in MoebiusUNet().state_dict().items()}
    assert convert_student(shapes) == ours


def test_a_key_that_comes_twice_is_refused():
    with pytest.raises(WeightsError, match="conv_in.bn1.weight twice"):
        convert_student({"diff_model.conv_in.bn1.weight": 1, "conv_in.bn1.weight": 2})


# ---- reading ----


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_the_student_keeps_values_and_precision(published, tmp_path, dtype, suffix):
    from safetensors.torch import save_file

    key = "diff_model.up_blocks.2.attentions.1.transformer_blocks.0.attn2.rel_pos_emb"
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in torch.load(published / "ft_places2" / BIN, weights_only=True).items()
    }
    copy_of(published, tmp_path)
    (tmp_path / "ft_places2" / BIN).unlink()
    path = tmp_path / "ft_places2" / f"diffusion_pytorch_model{suffix}"
    torch.save(state, path) if suffix == ".bin" else save_file(state, path)

    unet = load_denoiser(locate("places2", tmp_path))
    assert not unet.training and unet.dtype == dtype
    expected = torch.from_numpy(values(key, (4096, 10, 4, 1))).half().to(dtype)
    torch.testing.assert_close(unet.state_dict()[next(iter(convert_student({key: 0})))], expected, rtol=0, atol=0)
    assert load_denoiser(locate("places2", tmp_path), torch.float32).dtype == torch.float32


def test_files_from_before_torchs_zip_format_are_read(published, tmp_path):
    state = read_state(published / "vae" / BIN)
    torch.save(state, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    again = read_state(tmp_path / "old.bin")
    assert all(torch.equal(again[key], state[key]) for key in state) and len(again) == len(state)


def test_the_autoencoder_loads_with_old_and_new_names_of_attention(published, tmp_path):
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = []

    def change(state):
        for key in list(state):
            for new, name in old.items():
                if f".attentions.0.{new}." in key:
                    renamed.append(key)
                    state[key.replace(new, name)] = state.pop(key)

    changed(published, tmp_path, change, "vae")
    assert len(renamed) == 16  # weight and bias of four layers, in encoder and decoder
    expected = load_autoencoder(locate(None, published)).state_dict()
    loaded = load_autoencoder(locate(None, tmp_path))
    assert loaded.config.scaling_factor == 0.13025
    assert all(torch.equal(tensor, expected[key]) for key, tensor in loaded.state_dict().items())


def test_missing_extra_and_misshapen_keys_are_named_with_the_file(published, tmp_path):
    def change(state):
        del state["diff_model.conv_in.bn2.bias"], state["diff_model.conv_out.bn1.bias"]
        state["diff_model.mid_block.weight"] = torch.zeros(3)
        state["embedding_layer.weight"] = torch.zeros(20, 47)

    file = changed(published, tmp_path, change)
    with pytest.raises(WeightsError) as error:
        load_denoiser(locate(None, tmp_path))
    message = str(error.value)
    assert str(file) in message
    assert "2 missing, first conv_in.bn2.bias" in message
    assert "1 unexpected, first diff_model.mid_block.weight" in message
    assert "embedding_layer.weight: [20, 47] instead of [20, 48]" in message


def test_whole_numbers_are_no_weights(published, tmp_path):
    def change(state):
        state["embedding_layer.weight"] = state["embedding_layer.weight"].to(torch.int8)

    changed(published, tmp_path, change)
    with pytest.raises(WeightsError, match="not floating point, first embedding_layer.weight: torch.int8"):
        load_denoiser(locate(None, tmp_path))


class Payload:
    """Pickles to a call that would write a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_with_code_is_not_run(tmp_path):
    proof = tmp_path / "it-ran"
    torch.save({"weight": Payload(proof)}, tmp_path / BIN)
    (tmp_path / "plain.bin").write_bytes(pickle.dumps(Payload(proof)))
    for name in (BIN, "plain.bin"):
        with pytest.raises(WeightsError, match="holds more than tensors; it is not opened"):
            read_state(tmp_path / name)
    assert not proof.exists()


def test_damaged_files_are_said_to_be_damaged(published, tmp_path):
    whole = (published / "ft_places2" / BIN).read_bytes()
    for name, content in {
        "half.bin": whole[: len(whole) // 2],
        "empty.bin": b"",
        "text.bin": b"<html>404</html>",
        "half.safetensors": b"\x10\0\0\0\0\0\0\0{",
        "empty.safetensors": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=f"{name} .*damaged"):
            read_state(tmp_path / name)
    (tmp_path / "pointer.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(WeightsError, match="git lfs pull"):
        read_state(tmp_path / "pointer.bin")
    torch.save([torch.zeros(2)], tmp_path / "list.bin")
    with pytest.raises(WeightsError, match="list.bin is not a state dict"):
        read_state(tmp_path / "list.bin")


# ---- where they are ----


@pytest.mark.parametrize("vae", ["vae", "PixelHacker/vae", "../PixelHacker/vae", "../vae"])
def test_the_autoencoder_is_found_inside_and_beside_the_student(published, tmp_path, vae):
    root = copy_of(published, tmp_path / "clones" / "Moebius")
    home = (root / vae).resolve()
    home.parent.mkdir(exist_ok=True)
    (root / "vae").rename(home)
    for named in (root, root.parent):  # the repository, or the folder that holds it
        if named == root.parent and vae in ("PixelHacker/vae", "vae"):
            continue
        files = locate(None, named)
        assert files.denoiser == root / "ft_places2" / BIN
        assert files.autoencoder.resolve() == home / BIN
        assert (files.variant, files.layout) == ("places2", "published")


def test_which_variant_a_folder_holds(published, tmp_path):
    (copy_of(published, tmp_path) / "ft_places2").rename(tmp_path / "ft_ffhq")
    assert locate(None, tmp_path).variant == "ffhq"
    with pytest.raises(WeightsError, match="does not hold places2; it holds ffhq"):
        locate("places2", tmp_path)
    (tmp_path / "pretrained").mkdir()
    os.link(tmp_path / "ft_ffhq" / BIN, tmp_path / "pretrained" / BIN)
    with pytest.raises(WeightsError, match="say which with --variant"):
        locate(None, tmp_path)
    with pytest.raises(ValueError, match="unknown variant 'places3'; choose from places2, pretrained"):
        locate("places3", tmp_path)


def test_folders_that_are_wrong(published, tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        locate(None, tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="holds no weights of Moebius: .*ft_places2"):
        locate(None, tmp_path)
    (tmp_path / "ft_places2").mkdir()
    os.link(published / "ft_places2" / BIN, tmp_path / "ft_places2" / BIN)
    with pytest.raises(WeightsError, match="not its autoencoder: copy vae/config.json"):
        locate(None, tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxFillPipeline"}')
    with pytest.raises(WeightsError, match="a FluxFillPipeline, not a MoebiusInpaintPipeline"):
        locate(None, tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(WeightsError, match="model_index.json is not valid JSON"):
        locate(None, tmp_path)


def test_the_environment_names_the_folder(published, monkeypatch):
    monkeypatch.setenv("MOEBIUS_WEIGHTS", str(published))
    assert locate().denoiser == published / "ft_places2" / BIN


def test_nothing_here_says_what_was_tried_and_the_ways_out(tmp_path):
    with pytest.raises(WeightsError) as error:
        locate("ffhq")
    for part in (str(tmp_path), "python -m moebius download ffhq", "--weights", "MOEBIUS_WEIGHTS", "classical"):
        assert part in str(error.value)


def test_load_published_wants_a_folder_or_a_hub_id(published, tmp_path):
    unet, vae = load.load_published(published)
    assert unet.dtype == vae.dtype == torch.float32  # stored in half precision
    with pytest.raises(WeightsError, match="neither a folder nor a hub id"):
        load.load_published(tmp_path / "nowhere")


# ---- as a pipeline folder ----


def test_a_saved_folder_is_a_diffusers_pipeline_with_the_stored_values(published, tmp_path):
    from moebius.pipeline import MoebiusInpaintPipeline

    files = locate(None, published)
    manifest = weight_folder.save(files, tmp_path / "out")
    assert not list(tmp_path.glob(".*")) and not list((tmp_path / "out").rglob("*.bin"))
    source = hashlib.sha256(files.denoiser.read_bytes()).hexdigest()
    assert manifest["sources"][0]["sha256"] == source and manifest["variant"] == "places2"

    again = locate(None, tmp_path / "out")
    assert (again.layout, again.variant) == ("diffusers", "places2")
    pipeline = MoebiusInpaintPipeline.from_pretrained(tmp_path / "out", dtype=torch.float16)
    for first, second, third in (
        (load_denoiser(files), load_denoiser(again), pipeline.unet),
        (load_autoencoder(files), load_autoencoder(again), pipeline.vae),
    ):
        assert second.dtype == torch.float16
        for key, tensor in first.state_dict().items():
            assert torch.equal(tensor, second.state_dict()[key]), key
            assert torch.equal(tensor, third.state_dict()[key].to(tensor.dtype)), key
    with pytest.raises(WeightsError, match="holds the variant places2, not ffhq"):
        locate("ffhq", tmp_path / "out")


def test_a_changed_file_is_found_on_load(published, tmp_path):
    weight_folder.save(locate(None, published), tmp_path / "out")
    file = tmp_path / "out" / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=f"{file} is damaged or changed"):
        load_denoiser(locate(None, tmp_path / "out"))


def test_only_what_was_written_before_is_replaced(published, tmp_path):
    files = locate(None, published)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(WeightsError, match="holds other files .holiday.jpg"):
        weight_folder.save(files, tmp_path / "full")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "holiday.jpg"]

    (tmp_path / "empty").mkdir()
    first = weight_folder.save(files, tmp_path / "empty")
    assert weight_folder.save(files, tmp_path / "empty") == first
    (tmp_path / "empty" / "vae" / "mine.txt").write_text("x")
    with pytest.raises(WeightsError, match="vae/mine.txt"):
        weight_folder.save(files, tmp_path / "empty")


def test_weights_that_do_not_fit_leave_no_folder(published, tmp_path):
    changed(published, tmp_path / "bad", lambda state: state.popitem())
    with pytest.raises(WeightsError, match="1 missing"):
        weight_folder.save(locate(None, tmp_path / "bad"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_folders_side_by_side_share_one_autoencoder(published, tmp_path):
    copy_of(published, tmp_path / "source")
    (tmp_path / "source" / "ft_ffhq").mkdir()
    for path in (published / "ft_places2").iterdir():
        os.link(path, tmp_path / "source" / "ft_ffhq" / path.name)
    weight_folder.save(locate("places2", tmp_path / "source"), tmp_path / "all" / "places2")
    weight_folder.save(
        locate("ffhq", tmp_path / "source"), tmp_path / "all" / "ffhq", shared=tmp_path / "all" / "places2"
    )
    first, second = (locate(name, tmp_path / "all") for name in ("places2", "ffhq"))
    assert first.autoencoder.samefile(second.autoencoder) and not first.denoiser.samefile(second.denoiser)
    assert load_denoiser(second).dtype == torch.float16  # its manifest holds
    assert locate(None, tmp_path / "all").variant == "places2"


# ---- from the hub ----


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
