"""The student's network as ONNX. The packages for it are optional: without them, what is said is tested."""

import importlib.util
import json
import math

import numpy as np
import pytest
import torch

from moebius.__main__ import main
from moebius.models import export
from moebius.models.unet import MoebiusUNet
from tests.helpers.deterministic import fill_

INSTALLED = all(importlib.util.find_spec(package) for package in export.PACKAGES)


@pytest.fixture(scope="module")
def network() -> MoebiusUNet:
    small = {"block_out_channels": (32, 64, 128), "cross_attention_dim": 32, "encoder_hid_dim": 48}
    return fill_(MoebiusUNet(sample_size=16, **small)).eval()


def torchs(network: MoebiusUNet, inputs: dict) -> np.ndarray:
    with torch.no_grad():
        return network(*map(torch.from_numpy, inputs.values()), return_dict=False)[0].numpy()


def test_missing_packages_are_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name != "onnx" else object())
    assert main(["export", "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said == (
        "moebius export: not installed: onnxscript, onnxruntime (pip install onnx onnxscript onnxruntime)\n"
    )
    assert not (tmp_path / "out").exists()


def test_inputs_and_comparison(network):
    inputs = export.make_inputs(network, 2, seed=3, timestep=7.0)
    assert {name: value.shape for name, value in inputs.items()} == {
        "sample": (2, 9, 16, 16),
        "timestep": (2,),
        "token_ids": (2, 10),
    }
    assert export.compare(network, lambda inputs: torchs(network, inputs), 2) == 0.0
    expected = [
        np.abs(torchs(network, export.make_inputs(network, 2, s, t))).max()
        for s, t in ((1, 999.0), (2, 500.0), (3, 1.0))
    ]
    shifted = export.compare(network, lambda inputs: torchs(network, inputs) + np.float32(0.5), 2)
    assert math.isclose(shifted, 0.5 / min(expected), rel_tol=1e-4)


def test_a_network_that_differs_is_not_written(network, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "check_packages", lambda: None)
    monkeypatch.setattr(export, "write_onnx", lambda network, batch, path: path.write_bytes(b"onnx"))
    for wrong in (1.0, math.nan):
        monkeypatch.setattr(
            export, "open_onnx", lambda path, wrong=wrong: lambda inputs: torchs(network, inputs) + np.float32(wrong)
        )
        with pytest.raises(export.ExportError, match="differs from torch by"):
            export.export(network, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not INSTALLED, reason="onnx, onnxscript and onnxruntime are optional")
def test_the_file_gives_torchs_numbers(network, tmp_path):
    difference = export.export(network, tmp_path, batch=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(export.FILES) and difference < 1e-4
    inputs = export.make_inputs(network, 2, seed=9, timestep=321.0)
    np.testing.assert_allclose(
        export.open_onnx(tmp_path / "unet.onnx")(inputs), torchs(network, inputs), rtol=1e-3, atol=1e-4
    )
    told = json.loads((tmp_path / "unet.json").read_text())
    assert told["inputs"]["sample"] == {"shape": [2, 9, 16, 16], "dtype": "float32"}
    assert told["outputs"]["noise"]["shape"] == [2, 4, 16, 16]
