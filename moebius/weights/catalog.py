"""The published weights: repositories, file names, variants, sizes. Facts only; no file is read here.

The denoisers' variants are published one folder each, the student's in `hustvl/Moebius`, PixelHacker's in
`hustvl/PixelHacker`, which also holds the autoencoder of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moebius import environment


@dataclass(frozen=True, kw_only=True)
class Network:
    """Published weights of one network, and how to find and download them."""

    name: str
    """A model's name in the registry, or `select`."""
    title: str
    repo: str
    download_bytes: int
    """Approximate size of the download, without the autoencoder of a denoiser."""
    variable: environment.Variable[Path | None]
    """The environment variable that names its folder."""
    command: str
    """The command that downloads it; for a denoiser its default variant."""
    license_page: str = ""
    """Where a licence must be accepted before the download; empty: nowhere."""

    @property
    def folder_name(self) -> str:
        """Name of its folder inside a folder with several networks: the name of its repository."""
        return self.repo.split("/")[1]


# ---- denoisers: Moebius and PixelHacker ----


@dataclass(frozen=True, kw_only=True)
class Denoiser(Network):
    """`VARIANTS` and the autoencoder are the same for all."""

    class_name: str
    """Name of its class in a diffusers folder."""
    parameter_mark: bytes
    """Part of parameter names that no other denoiser has."""
    may_run_in_bfloat16: bool = False
    """Whether it may run in bfloat16 if that is faster and, tested with the loaded weights, accurate."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Weights of a network that were trained on one data set."""

    name: str
    folder: str
    """In the published repository."""
    title: str


DENOISERS = {
    network.name: network
    for network in (
        Denoiser(
            name="moebius",
            title="Moebius",
            repo="hustvl/Moebius",
            download_bytes=453_000_000,  # half precision
            variable=environment.WEIGHTS,
            command="python -m moebius download",
            class_name="MoebiusUNet",
            parameter_mark=b".rel_pos_emb",
            may_run_in_bfloat16=True,
        ),
        Denoiser(
            name="pixelhacker",
            title="PixelHacker",
            repo="hustvl/PixelHacker",
            download_bytes=3_449_000_000,  # single precision
            variable=environment.PIXELHACKER_WEIGHTS,
            command="python -m moebius download --model pixelhacker",
            class_name="PixelHackerUNet",
            parameter_mark=b".gk_proj.",
        ),
    )
}
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(name="places2", folder="ft_places2", title="tuned on Places2: scenes and everyday photos"),
        Variant(name="pretrained", folder="pretrained", title="before tuning on one data set"),
        Variant(name="celebahq", folder="ft_celebahq", title="tuned on CelebA-HQ: faces"),
        Variant(name="ffhq", folder="ft_ffhq", title="tuned on FFHQ: faces"),
    )
}
DEFAULT_VARIANT = "places2"
AUTOENCODER_REPO = "hustvl/PixelHacker"
AUTOENCODER_BYTES = 168_000_000
"""Approximate size of its download, in half precision."""
PUBLISHED_NAME = "diffusion_pytorch_model.bin"
WEIGHT_NAMES = ("diffusion_pytorch_model.safetensors", PUBLISHED_NAME)
"""File names of one network's weights, best first."""


def check_variant(variant: str | None) -> None:
    """Raises ValueError, listing the variants, for a name that is none of them."""
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose from {', '.join(VARIANTS)}")


def download_bytes(network: str = "moebius") -> int:
    """Approximate size of the download of a denoiser's variant, with its autoencoder."""
    return DENOISERS[network].download_bytes + AUTOENCODER_BYTES


def download_command(network: str, variant: str) -> str:
    """The command that downloads a variant of a denoiser."""
    return f"python -m moebius download {variant}" + ("" if network == "moebius" else f" --model {network}")


# ---- FLUX.1 Fill [dev] ----

FLUX = Network(
    name="flux-fill",
    title="FLUX.1 Fill [dev]",
    repo="black-forest-labs/FLUX.1-Fill-dev",
    download_bytes=33_900_000_000,  # in bfloat16: transformer 23.8 GB, T5 9.5, CLIP 0.25, autoencoder 0.17
    variable=environment.FLUX_FILL_WEIGHTS,
    command="python -m moebius download --model flux-fill",
    license_page="https://huggingface.co/black-forest-labs/FLUX.1-Fill-dev",
)
FLUX_TRANSFORMER_BYTES = 23_805_000_000
"""In bfloat16."""
FLUX_PARTS = ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "transformer", "vae")
"""Folders of the diffusers layout. The repository also holds the transformer as one file, which is not needed."""


# ---- SAM 2.1 (Ravi et al. 2024, arXiv:2408.00714), in the layout of the library `transformers` ----


@dataclass(frozen=True, kw_only=True)
class Segmenter(Network):
    """The network that selects objects."""

    files: tuple[str, ...]
    license: str
    source: str
    parameters: int
    """Parameters in the file. 31.4 million are used: the others follow objects through videos."""


SEGMENTER = Segmenter(
    name="select",
    title="SAM 2.1 tiny",
    repo="facebook/sam2.1-hiera-tiny",
    download_bytes=156_000_000,  # single precision
    variable=environment.SELECT_WEIGHTS,
    command="python -m moebius download select",
    files=("config.json", "model.safetensors"),
    license="Apache-2.0",
    source="https://huggingface.co/facebook/sam2.1-hiera-tiny (arXiv:2408.00714)",
    parameters=38_962_498,
)

NETWORKS: dict[str, Network] = {**DENOISERS, FLUX.name: FLUX, SEGMENTER.name: SEGMENTER}
