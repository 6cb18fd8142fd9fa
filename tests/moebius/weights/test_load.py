"""How weight files are read, and what is said when they are wrong."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from moebius.models.unet import MoebiusUNet
from moebius.weights import WeightsError
from moebius.weights.load import convert_student, load_autoencoder, load_denoiser, read_state
from moebius.weights.locate import locate
from tests.helpers.deterministic import values
from tests.helpers.standin_weights import DATA
from tests.helpers.weight_folders import BIN, changed, copy_of


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

    key = "diff_model.up_blocks.1.attentions.1.transformer_blocks.0.attn2.rel_pos_emb"
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
    expected = torch.from_numpy(values(key, (4096, 10, 8, 1))).half().to(dtype)
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
    assert "embedding_layer.weight: [20, 47] instead of [20, 24]" in message


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
