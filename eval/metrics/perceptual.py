"""Perceptual distance of a fill to the truth, one number per picture and one for its hole.

LPIPS (Zhang 2018, arXiv:1801.03924) by its own package; or, where its backbone cannot be had, a distance of our own
on EfficientNet-Lite0 or -Lite2, which is called so everywhere because it is not LPIPS.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval.metrics import backbones
from eval.metrics.features import efficientnet_lite, normalised
from eval.metrics.names import OFFLINE, SECOND_OFFLINE
from moebius.files import sha256


class Perceptual(ABC):
    """(fill, truth) as (B, 3, H, W) uint8 and mask (B, H, W) bool -> (picture (B,), hole (B,)) float32.

    The hole's value is the mean of the distance map, upsampled to the picture, over the hole.
    """

    @abstractmethod
    def __call__(self, fill: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]: ...


class Lpips(Perceptual):
    """The package's LPIPS 0.1 with its learned linear heads.

    Args:
        random_backbone: `pnet_rand=True`: meaningless figures, for tests of the wiring.
    """

    def __init__(
        self, net: str, device: str = "cpu", allow_download: bool = False, random_backbone: bool = False
    ) -> None:
        import lpips

        if net not in ("alex", "vgg"):
            raise ValueError(f"LPIPS has the networks alex and vgg here, got {net!r}")
        if not random_backbone:
            backbones.require(backbones.ALEX if net == "alex" else backbones.VGG, allow_download)
        with warnings.catch_warnings():  # about arguments of torchvision that the package passes
            warnings.simplefilter("ignore")
            self.model = lpips.LPIPS(net=net, pnet_rand=random_backbone, verbose=False).to(device)
        self.model.requires_grad_(False)
        self.device = device
        self._backbone = self.model.net

    def __call__(self, fill: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (_bytes(picture).to(self.device).float() / 127.5 - 1 for picture in (fill, truth))  # [-1, 1]
        with torch.inference_mode():
            outputs: list[list[Tensor]] = []
            try:  # the backbone, which is nearly all of the work, is run once for picture and map
                self.model.net = _Recording(self._backbone, outputs)
                self.model.spatial = False
                picture = self.model(a, b).flatten().cpu()
                self.model.net = _Replaying(outputs)
                self.model.spatial = True
                distance = self.model(a, b)[:, 0].cpu()  # (B, H, W)
            finally:
                self.model.net, self.model.spatial = self._backbone, False
        return picture, _inside(distance, mask)


class EffNetDistance(Perceptual):
    """Squared difference of unit-length features after every change of resolution, averaged; no learned weights.

    Args:
        size: 0 or 2, of EfficientNet-Lite.
    """

    TAPS = {0: (0, 2, 4, 10, 15), 2: (0, 3, 6, 14, 20)}
    """Last blocks at strides 2, 4, 8, 16 and 32, by `size`."""
    REMEMBERED = 10
    """Truths whose features are kept: several fills of one picture, or of its pieces, come in turn."""

    def __init__(self, size: int, device: str = "cpu") -> None:
        self.network, self.device, self.taps = efficientnet_lite(size).to(device), device, self.TAPS[size]
        self._truths: OrderedDict[str, list[Tensor]] = OrderedDict()

    def __call__(self, fill: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            a, b = self._features(fill), self._of_truths(truth)
            maps = [((x - y) ** 2).sum(dim=1, keepdim=True) for x, y in zip(a, b, strict=True)]  # (B, 1, h, w) each
            picture = sum(distance.mean(dim=(1, 2, 3)) for distance in maps) / len(maps)
            size = tuple(fill.shape[-2:])
            full = sum(F.interpolate(distance, size, mode="bilinear", align_corners=False) for distance in maps)
        return picture.cpu(), _inside((full / len(maps))[:, 0].cpu(), mask)

    def _of_truths(self, pictures: Tensor) -> list[Tensor]:
        """Features of a batch (B, 3, H, W); of one picture, or of one that is repeated, computed once."""
        digests = {sha256(picture.contiguous().numpy().tobytes()) for picture in pictures.cpu()}
        if len(digests) > 1:
            return self._features(pictures)
        digest = digests.pop()
        if digest not in self._truths:
            self._truths[digest] = self._features(pictures[:1])
        self._truths.move_to_end(digest)
        while len(self._truths) > self.REMEMBERED:
            self._truths.popitem(last=False)
        return self._truths[digest]

    def _features(self, pictures: Tensor) -> list[Tensor]:
        network = self.network
        x = normalised(_bytes(pictures).to(self.device).float())
        x = network._swish(network._bn0(network._conv_stem(x)))
        found = []
        for index, block in enumerate(network._blocks[: self.taps[-1] + 1]):
            x = block(x)
            if index in self.taps:
                found.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-8))
        return found


def make(kind: str, device: str, allow_download: bool = False) -> Perceptual:
    """The distance of one of `names.PERCEPTUAL`."""
    if kind in (OFFLINE, SECOND_OFFLINE):
        return EffNetDistance(0 if kind == OFFLINE else 2, device)
    return Lpips(kind, device, allow_download)


def _bytes(pictures: Tensor) -> Tensor:
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"pictures must be (B, 3, H, W) uint8, got {tuple(pictures.shape)} {pictures.dtype}")
    return pictures


def _inside(distance: Tensor, mask: Tensor) -> Tensor:
    """Mean of a map (B, H, W) over the holes (B, H, W) bool -> (B,)."""
    return (distance * mask).sum(dim=(1, 2)) / mask.sum(dim=(1, 2))


class _Recording(nn.Module):
    """A network that keeps in `outputs` what it returns."""

    def __init__(self, network: nn.Module, outputs: list) -> None:
        super().__init__()
        self.network, self.outputs = network, outputs

    def forward(self, x: Tensor) -> tuple:
        self.outputs.append(self.network(x))
        return self.outputs[-1]


class _Replaying(nn.Module):
    """Returns, call by call, what was kept."""

    def __init__(self, outputs: list) -> None:
        super().__init__()
        self.outputs = iter(outputs)

    def forward(self, x: Tensor) -> tuple:
        return next(self.outputs)
