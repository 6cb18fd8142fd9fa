"""What happens behind the list of many photos: take them in, open one to paint on it, take them off."""

from __future__ import annotations

import secrets
from html import escape
from pathlib import Path

import gradio as gr
import numpy as np

from moebius.ui import editor, photo_files
from moebius.ui.batch import html
from moebius.ui.batch.entry import Entry
from moebius.ui.batch.photo_batch import MASKS_FOR, MaskFor, PhotoBatch
from moebius.ui.fill.actions import Actions
from moebius.ui.gradio_internals import upload_folder
from moebius.ui.handlers import Handlers, Stoppable, plain_errors
from moebius.ui.pictures import save
from moebius.ui.session import Session
from moebius.units import file_size


class BatchActions(Handlers):
    """Shares visitors, the photo on the canvas and options with the rest of the page.

    What there is to show is a list: the heading, the pictures, the archive, the buttons that take photos off; where
    another photo comes onto the canvas, that photo's scene stands before them.
    """

    def __init__(self, actions: Actions) -> None:
        super().__init__(actions.options, actions.sessions)
        self._scene = actions._scene

    # ---- photos and masks in ----

    @plain_errors
    def add_photos(
        self,
        files: list[dict] | None,
        layers: list[str] | None,
        mask_for: MaskFor,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
    ) -> tuple:
        """Take photos, and masks named `name_mask.png` for them; the first photo is opened if none of them is.

        Args:
            files: Gradio's records of uploaded files, whose paths it has checked.
            layers: what is painted on the canvas now, see `editor.strokes`; it is kept for the photo there.
            mask_for: "all": one painted mask for all photos; "each": each its own.
        """
        session = self._session(request)
        files = [file for file in files or () if isinstance(file, dict) and isinstance(file.get("path"), str)]
        if not files:
            return (gr.skip(),) * 6
        batch = self._batch(session, mask_for)
        not_while_running(batch)
        self._keep(session, layers)
        report = Stoppable(progress, session, "add")
        named = [(Path(file["path"]), file.get("orig_name")) for file in files]
        named = [(path, name if isinstance(name, str) and name else path.name) for path, name in named]
        passed_over = batch.add(
            named, lambda index: report(index / len(named), f"Reading photo {index + 1} of {len(named)}")
        )
        if passed_over:
            more = f", and {len(passed_over) - 3} more" if len(passed_over) > 3 else ""
            gr.Warning(escape("; ".join(passed_over[:3]) + more), title="Not taken")
        first = next((entry for entry in batch.listed() if not entry.refused), None)
        scene = gr.skip()
        if first and session.batch_photo not in batch.entries:
            scene = self._opened(session, batch, first)
        return None, scene, *self._shown(session)

    @plain_errors
    def open_photo(self, name: str, layers: list[str] | None, mask_for: MaskFor, request: gr.Request) -> tuple:
        """Put one of the photos onto the canvas, with its mask; what was painted on the one before is kept.

        `name`: as the list has it.
        """
        session = self._session(request)
        batch = self._batch(session, mask_for)
        entry = batch.entries.get(name)
        if entry is None:
            raise ValueError(f"there is no photo {name[:80]!r} among yours; drop it first")
        self._keep(session, layers)
        if entry.refused:
            raise ValueError(entry.refused)
        return self._opened(session, batch, entry), *self._shown(session)

    def pick(self, event: gr.SelectData, request: gr.Request) -> str:
        """The name of the photo that was clicked."""
        batch = self._session(request).batch
        listed = batch.listed() if batch else []
        return listed[event.index].name if isinstance(event.index, int) and 0 <= event.index < len(listed) else ""

    @plain_errors
    def opened_result(self, request: gr.Request) -> list[str] | None:
        """Pictures before and after of the photo on the canvas; None where it is not filled."""
        session = self._session(request)
        entry = session.batch.entries.get(session.batch_photo) if session.batch else None
        if entry is None or entry.outcome is None or entry.outcome.state == "failed":
            return None
        shown = []
        for name, path in (("before", session.photo), ("after", session.batch.out / entry.output)):
            photo = photo_files.open_photo(path)
            shown.append(save(editor.preview(photo.raster, editor.SHOWN_SIDE, photo.profile), session.folder / name))
        return shown

    @plain_errors
    def choose_mask_for(self, layers: list[str] | None, mask_for: MaskFor, request: gr.Request) -> tuple:
        """One mask for all, or each its own: show what counts now."""
        session = self._session(request)
        batch = self._batch(session)
        self._keep(session, layers)  # as it was meant until now
        entry, scene = batch.entries.get(session.batch_photo), gr.skip()
        before = batch.mask_of(entry) if entry else None
        self._batch(session, mask_for)
        if entry and before[0] != batch.mask_of(entry)[0]:  # or strokes of the meantime would be lost
            scene = self._opened(session, batch, entry)
        return scene, *self._shown(session)

    @plain_errors
    def share_mask(self, path: str | None, layers: list[str] | None, request: gr.Request) -> tuple:
        """Take a mask file for all photos of its size that have none of their own."""
        session = self._session(request)
        batch = self._batch(session)
        if path is None or not batch.listed():
            raise ValueError("drop some photos first, then choose a mask file for them")
        not_while_running(batch)
        self._keep(session, layers)
        name = Path(path).name
        batch.share_file(photo_files.open_mask(Path(path), name=name), name)
        batch.mask_for = "all"
        entry = batch.entries.get(session.batch_photo)
        return "all", self._opened(session, batch, entry) if entry else gr.skip(), *self._shown(session)

    @plain_errors
    def keep_painted(self, layers: list[str] | None, mask_for: MaskFor, request: gr.Request) -> list:
        """Take what is painted on the photo on the canvas, while nothing is filled; the list shows whose mask it is."""
        session = self._session(request)
        batch = self._batch(session, mask_for)
        if batch.running:
            return [gr.skip()] * 4
        self._keep(session, layers)
        return self._shown(session)

    @plain_errors
    def remove_photo(self, name: str, layers: list[str] | None, request: gr.Request) -> tuple:
        """Take one photo off the list, with its masks and its result; if it is on the canvas, the next one comes there.

        `name`: as the list has it; "": the one on the canvas.
        """
        session = self._session(request)
        batch = self._batch(session)
        name = name or session.batch_photo
        if not name:
            raise ValueError("none of your photos is chosen; click one first")
        if name not in batch.entries:
            raise ValueError(f"there is no photo {name[:80]!r} among yours")
        not_while_running(batch)
        self._keep(session, layers)
        names = [entry.name for entry in batch.listed()]
        place = names.index(name) if name in names else 0
        batch.remove(name)
        if not batch.listed():
            return "", *self.clear_photos(request)
        scene = gr.skip()
        if name == session.batch_photo:
            session.forget_photo()
            scene = None
            around = [*batch.listed()[place:], *batch.listed()[:place][::-1]]
            if left := next((entry for entry in around if not entry.refused), None):
                scene = self._opened(session, batch, left)
        return "", scene, *self._shown(session)

    @plain_errors
    def clear_photos(self, request: gr.Request) -> tuple:
        """Forget the many photos, their masks and results; the canvas is emptied if it shows one of them."""
        session = self._session(request)
        if batch := session.batch:
            session.stop("batch")
            batch.end()
            session.batch = None
            batch.delete()
        scene = gr.skip()
        if session.batch_photo:
            session.forget_photo()
            scene = None
        return scene, *self._shown(session)

    # ---- what is kept and shown ----

    def _batch(self, session: Session, mask_for: MaskFor | None = None) -> PhotoBatch:
        if mask_for not in (None, *MASKS_FOR):
            raise ValueError(f"mask_for must be one of {', '.join(MASKS_FOR)}, got {str(mask_for)[:80]!r}")
        if session.batch is None:
            public = upload_folder() / secrets.token_hex(32)
            session.batch = PhotoBatch(session.folder / "batch", public)
        if mask_for is not None:
            session.batch.mask_for = mask_for
        return session.batch

    def _keep(self, session: Session, layers: list[str] | None) -> None:
        """Keep what is painted on the photo on the canvas, if it is one of many and something was changed."""
        entry = session.batch.entries.get(session.batch_photo) if session.batch else None
        if entry is None or layers is None:
            return
        given = session.mask()
        mask = editor.full_mask(self._strokes(layers), given, entry.size)
        if not np.array_equal(mask, np.zeros_like(mask) if given is None else given):
            session.batch.keep_mask(entry, mask)
            session.keep_mask(mask)

    def _opened(self, session: Session, batch: PhotoBatch, entry: Entry) -> dict:
        photo = photo_files.open_photo(batch.photos / entry.name, entry.name)
        session.keep_photo(photo.data, entry.name, photo.size)
        session.batch_photo = entry.name
        mask, why = batch.mask_of(entry)
        if mask:
            try:
                session.keep_mask(photo_files.open_mask(mask, photo.size))
            except ValueError as error:
                why = str(error)
        if why and (mask or batch.shared and batch.mask_for == "all"):
            gr.Warning(escape(why), title="The mask does not fit this photo")
        return self._scene(session, photo)

    def _shown(self, session: Session, model_line: str = "") -> list:
        batch = session.batch
        pictures = batch.pictures() if batch else []
        if not pictures:
            hidden = gr.update(visible=False)
            return [html.STEPS, gr.update(visible=False, value=[]), hidden, hidden]
        names = [entry.name for entry, _ in pictures]
        selected = names.index(session.batch_photo) if session.batch_photo in names else None
        shown = [(path, html.caption(batch, entry)) for entry, path in pictures]
        archive = batch.archive if not batch.running else None
        label = archive and f"Download {len(batch.results())} as ZIP · {file_size(archive.stat().st_size)}"
        return [
            html.heading(batch, model_line),
            gr.update(visible=True, value=shown, selected_index=selected),
            gr.update(visible=archive is not None, value=archive and str(archive), label=label or "Download"),
            gr.update(visible=not batch.running),
        ]


def not_while_running(batch: PhotoBatch) -> None:
    """Raise ValueError while its photos are filled."""
    if batch.running:
        raise ValueError("the photos are being filled; wait, or press Stop first")
