"""The node for ComfyUI by its documented conventions: what it declares, and tensors in and out."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from moebius import registry
from tests.helpers import mean_model

FOLDER = Path(__file__).parents[2] / "plugins" / "comfyui"


@pytest.fixture
def node(monkeypatch):
    monkeypatch.setattr(registry, "MODELS", {"mean-colour": mean_model.card()})
    spec = importlib.util.spec_from_file_location(
        "moebius_comfyui", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "moebius_comfyui", module)
    spec.loader.exec_module(module)
    (node,) = module.NODE_CLASS_MAPPINGS.values()
    assert set(module.NODE_DISPLAY_NAME_MAPPINGS) == set(module.NODE_CLASS_MAPPINGS)
    return node


def test_what_it_declares(node):
    required = node.INPUT_TYPES()["required"]
    assert [required[name][0] for name in ("image", "mask", "seed")] == ["IMAGE", "MASK", "INT"]
    assert required["model"][0] == ["auto", "mean-colour"]
    assert node.RETURN_TYPES == ("IMAGE",) and callable(getattr(node(), node.FUNCTION))
    assert list(required) == ["image", "mask", "model", "seed"]


@pytest.mark.parametrize("channels", [3, 4])
def test_only_what_is_masked_and_its_rim_changes(node, channels):
    image = torch.rand(2, 40, 60, channels, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(40, 60)
    mask[10:20, 30:40] = 1.0
    before = image.clone()
    (filled,) = node().remove(image, mask, "auto", 0)
    assert filled.shape == image.shape and filled.dtype == torch.float32
    assert torch.equal(image, before)
    rim = np.zeros((40, 60), bool)
    rim[5:25, 25:45] = True
    assert torch.equal(filled[:, ~rim], image[:, ~rim])  # the very floats
    inside = filled[:, 12:18, 32:38, :3]
    assert (inside - inside[:, :1, :1]).abs().max() < 1e-4  # one colour
    assert 0.4 < inside.mean() < 0.6
    if channels == 4:
        assert (filled[..., 3] - image[..., 3]).abs().max() <= 0.5 / 65535


def test_what_does_not_fit_is_named(node):
    image, mask = torch.zeros(2, 8, 8, 3), torch.zeros(3, 8, 8)
    with pytest.raises(ValueError, match=r"mask must be .*got \(3, 8, 8\)"):
        node().remove(image, mask, "auto", 0)
    with pytest.raises(ValueError, match=r"image must be .*got \(8, 8, 3\)"):
        node().remove(image[0], mask[0], "auto", 0)
