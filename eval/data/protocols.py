"""Data sets with masks by name: what the paper measured on, as far as it says, and where to get the pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One column of the paper's tables (arXiv:2606.19195, tables 1, 3 and 4)."""

    name: str
    title: str
    side: int
    """Pictures are scaled (Lanczos) to this short side and cropped in the middle."""
    masks: str
    """A kind of `moebius.masks.KINDS`."""
    pictures: int
    """As many as the paper scored; FID of another number is not comparable."""
    paper_key: str
    """Column in paper_results.json."""
    source: str
    """Where to get the pictures."""
    open_points: str
    """What the paper leaves open and was decided here; empty: nothing."""


_PLACES = "http://places2.csail.mit.edu/download.html"
_WHICH_LPIPS = "the paper does not say which LPIPS network and FID code it used"
_FREE_HOLES = "of the masks it says strokes and boxes with a free hole ratio: MAT's large ones are taken"

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="places2-test",
            title="Places2 test, 512, 40-50 % masked",
            side=512,
            masks="share-40-50",
            pictures=10_000,
            paper_key="places2_test",
            source=f"{_PLACES}: test_large, 10,000 of its pictures",
            open_points=f"which 10,000 pictures and which masks is not published; {_WHICH_LPIPS}",
        ),
        Protocol(
            name="places2-large",
            title="Places2 validation, 512, MAT's large holes",
            side=512,
            masks="mat-large",
            pictures=36_500,
            paper_key="places2_large",
            source=f"{_PLACES}: val_large, all 36,500 pictures",
            open_points=f"the draws of the masks are not published; {_WHICH_LPIPS} (MAT: alex)",
        ),
        Protocol(
            name="places2-small",
            title="Places2 validation, 512, MAT's small holes",
            side=512,
            masks="mat-small",
            pictures=36_500,
            paper_key="places2_small",
            source=f"{_PLACES}: val_large, all 36,500 pictures",
            open_points=f"the draws of the masks are not published; {_WHICH_LPIPS} (MAT: alex)",
        ),
        Protocol(
            name="places2-256",
            title="Places2 validation, 256, strokes and boxes",
            side=256,
            masks="mat-large",
            pictures=36_500,
            paper_key="places2_256",
            source=f"{_PLACES}: val_256, all 36,500 pictures",
            open_points=f"{_FREE_HOLES}; {_WHICH_LPIPS}",
        ),
        Protocol(
            name="celebahq-512",
            title="CelebA-HQ, 512, strokes and boxes",
            side=512,
            masks="mat-large",
            pictures=3_000,
            paper_key="celebahq_512",
            source="https://github.com/tkarras/progressive_growing_of_gans (CelebA-HQ), the validation part",
            open_points=f"which pictures; {_FREE_HOLES}; {_WHICH_LPIPS}",
        ),
        Protocol(
            name="ffhq-256",
            title="FFHQ, 256, strokes and boxes",
            side=256,
            masks="mat-large",
            pictures=10_000,
            paper_key="ffhq_256",
            source="https://github.com/NVlabs/ffhq-dataset, the validation part",
            open_points=f"which pictures; {_FREE_HOLES}; {_WHICH_LPIPS}",
        ),
    )
}


# ---- pairs: a photo with an object, and the same photo without it ----


@dataclass(frozen=True, kw_only=True)
class PairProtocol:
    """A set of real pairs, by name; its files are got by the user."""

    name: str
    title: str
    pairs: int | None
    """As many as its authors have; None: as many as there are."""
    licence: str
    source: str


OWN = "pairs"
"""The user's own, or composed ones."""

PAIR_PROTOCOLS = {
    one.name: one
    for one in (
        PairProtocol(
            name=OWN,
            title="Pairs of a folder",
            pairs=None,
            licence="as its owner says",
            source="a camera on a tripod, or python -m eval pairs",
        ),
        PairProtocol(
            name="corne-val",
            title="CORNE-Val",
            pairs=219,
            licence="Apache-2.0",
            source="OSOR, arXiv:2606.28094",
        ),
        PairProtocol(
            name="ober-test",
            title="OBER-Test",
            pairs=160,
            licence="non-commercial (S-Lab License 1.0)",
            source="ObjectClear, arXiv:2505.22636, https://github.com/zjx0101/ObjectClear",
        ),
        PairProtocol(
            name="rord-val",
            title="RORD-Val",
            pairs=None,
            licence="as its authors say",
            source="RORD (Sagong 2022, BMVC); a selection: SmartEraser, arXiv:2501.08279, "
            "https://github.com/longtaojiang/SmartEraser",
        ),
    )
}
"""Sets of pairs that `--data` knows. Each is read from a folder of three folders, see `data.pairs`."""
