"""Files of networks that the metrics stand on: where torch keeps them, and what to do when they are not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eval.metrics.names import OFFLINE
from moebius.files import sha256


class BackboneError(ValueError):
    """A metric's network is not on this computer."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    title: str
    file: str
    """The digits before the suffix begin the file's SHA-256."""
    url: str


INCEPTION = Backbone(
    title="Inception v3 (2015-12-05), the network of FID and KID,",
    file="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
ALEX = Backbone(
    title="AlexNet, which LPIPS (alex) stands on",
    file="alexnet-owt-7be5be79.pth",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)
VGG = Backbone(
    title="VGG-16, which LPIPS (vgg) stands on",
    file="vgg16-397923af.pth",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
)


def folder() -> Path:
    """Where torch keeps what it downloads."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def require(backbone: Backbone, allow_download: bool = False) -> Path:
    """The file, fetched if that was allowed.

    Raises:
        BackboneError: it is not there, or is another file; names file, folder and what to do.
    """
    path = folder() / backbone.file
    if not path.is_file():
        if not allow_download:
            raise BackboneError(
                f"{backbone.title} is not on this computer: {backbone.file} is missing in {path.parent}. What to "
                f"do: add --download, which fetches it from {backbone.url}; or copy the file there; or add --features "
                f"{OFFLINE}, whose figures need no download and have other names"
            )
        _download(backbone, path)
    digest = sha256(path)
    expected = path.stem.rpartition("-")[2]
    if not digest.startswith(expected):
        raise BackboneError(
            f"{path} is damaged or another file: its SHA-256 begins {digest[:8]}, not {expected}; delete it"
        )
    return path


def _download(backbone: Backbone, path: Path) -> None:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(backbone.url, str(path), progress=False)
    except OSError as error:
        raise BackboneError(
            f"{backbone.file} could not be fetched from {backbone.url} ({error}); copy it to {path.parent}, or take "
            f"--features {OFFLINE}"
        ) from None
