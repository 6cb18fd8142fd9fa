"""Masks that the page proposes: the object under a rough stroke, dust. Each is seen before it is taken."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np

from moebius import segment
from moebius.masking.dust import MARGIN, WORK_SIDE, find_dust, shared
from moebius.masking.fit import fit
from moebius.photo import photo_file
from moebius.ui import editor, photo_files
from moebius.ui.components import LAYERS
from moebius.ui.fill.page import PhotoPanel
from moebius.ui.handlers import Handlers, plain_errors
from moebius.ui.session import Session

FOUND = "(file, said, dots) => { moebius.proposal.found(file, said, dots); return []; }"
FAILED = "() => { moebius.proposal.failed(); return []; }"

Proposal = tuple[str | None, str, list | None]
"""A PNG of the canvas's size, white = the proposed mask, None: there is none; what is said about it; and discs to
add one by one: x, y and radius as shares of the photo's longer side."""

MAX_LOOKED_AT = 60
"""Of many photos, those in which dust is looked for."""


class ProposalActions(Handlers):
    """`layers`: what is painted, as for `Actions.fill`."""

    @plain_errors
    def fit(self, layers: list[str] | None, request: gr.Request) -> Proposal:
        """The objects under what is painted, by their colours and edges."""
        session, image, painted = self._canvas(layers, request)
        fitted = fit(image, painted)
        if fitted is None:
            return None, "No object could be told apart there; the mask stays as you painted it.", None
        said = "Fitted to the object. Red stays, blue is added, pale is left out. Take it?"
        return _written(session, fitted), said, None

    @plain_errors
    def dust(self, layers: list[str] | None, request: gr.Request) -> Proposal:
        """Spots of dust on the sensor; of many photos those that two or more have at the same place."""
        session, photo = self._photo(request)
        others = self._others(session)
        found = [find_dust(_pixels(photo)), *map(find_dust, others)]
        spots = shared(found) if others else found[0]
        if not spots:
            where = f" at the same place in two of {len(found)} photos" if others else ""
            return None, f"No dust was found{where}.", None
        number = f"{len(spots)} {'spot' if len(spots) == 1 else 'spots'}"
        where = f" at the same place in two or more of {len(found)} photos: the sensor's dust" if others else " of dust"
        dots = [[spot.x, spot.y, MARGIN * spot.radius] for spot in spots]
        return None, f"{number}{where}. Click a dot to leave it out. Take the blue ones?", dots

    def _others(self, session: Session) -> list[np.ndarray]:
        """The other photos of many that were taken as the one on the canvas: of its size, and not turned otherwise."""
        batch = session.batch
        shown = batch.entries.get(session.batch_photo) if batch else None
        if batch is None or shown is None:
            return []
        alike = [
            one
            for one in batch.listed()
            if not one.refused and one is not shown and (one.size, one.orientation) == (shown.size, shown.orientation)
        ]
        opened = (photo_files.open_photo(batch.photos / one.name, one.name) for one in alike[:MAX_LOOKED_AT])
        return [_pixels(photo) for photo in opened]

    def _canvas(self, layers: list[str] | None, request: gr.Request) -> tuple[Session, np.ndarray, np.ndarray]:
        """The visitor, the photo (h, w, 3) uint8 as it is painted on, and what is painted, (h, w) bool."""
        painted = self._strokes(layers)
        session, photo = self._photo(request)
        if painted is None or not painted.any():
            raise ValueError("nothing is painted yet; paint roughly over what should go, then try again")
        image = editor.preview(photo.raster).convert("RGB")
        return session, np.asarray(image), editor.scale_mask(painted, image.size)


def _pixels(photo: photo_file.Photo) -> np.ndarray:
    """(h, w, 3) uint8, at most as large as dust is looked for."""
    return np.asarray(editor.preview(photo.raster, WORK_SIDE).convert("RGB"))


def _written(session: Session, mask: np.ndarray) -> str:
    path: Path = session.folder / "proposed.png"
    path.write_bytes(segment.mask_png(mask))
    return str(path)


def wire_proposals(actions: ProposalActions, photo: PhotoPanel) -> None:
    """proposal.js presses the hidden buttons, and takes the answers."""
    mask, said = gr.File(visible="hidden", label="Proposed mask"), gr.Textbox(visible="hidden", label="About it")
    dots = gr.JSON(visible="hidden", label="Discs")
    for kind, action in (("fit", actions.fit), ("dust", actions.dust)):
        ask = gr.Button(kind, visible="hidden", elem_id=f"ask-{kind}")
        painted = ask.click(None, None, photo.layers, js=LAYERS)
        asking = painted.then(
            action,
            photo.layers,
            [mask, said, dots],
            api_name=f"{kind}_mask",
            concurrency_id="proposals",
            concurrency_limit=2,
            show_progress="hidden",
        )
        asking.success(None, [mask, said, dots], None, js=FOUND)
        asking.failure(None, None, None, js=FAILED)
