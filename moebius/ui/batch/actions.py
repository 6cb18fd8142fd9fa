"""What happens behind the buttons for many photos: take them in, open one to paint on it, fill all, stop."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from moebius import environment, model_cache, registry
from moebius.batch import run
from moebius.batch.plan import BatchItem
from moebius.batch.records import RecordsFile
from moebius.batch.run import Outcome, Task
from moebius.inpainters.base import Inpainter
from moebius.photo import ai_mark
from moebius.progress import Cancelled
from moebius.ui import editor, photo_files, queue
from moebius.ui.batch import html
from moebius.ui.batch.entry import Entry
from moebius.ui.batch.photo_batch import MASKS_FOR, MaskFor, PhotoBatch
from moebius.ui.fill.actions import Actions
from moebius.ui.gradio_internals import upload_folder
from moebius.ui.handlers import Handlers, Stoppable, plain_errors
from moebius.ui.pictures import save
from moebius.ui.session import Session
from moebius.ui.settings import FillSettings
from moebius.units import file_size

AHEAD = 1
"""Photos that are read while the model works; several visitors may do this at once."""
FINAL_UPDATE_S = 5
"""The longest that Stop waits for an update of a run that is under way; coming later, it would hide the archive."""


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
        _not_while_running(batch)
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
        if first and not session.batch_photo:
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
        _not_while_running(batch)
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

    # ---- the run ----

    @plain_errors
    def fill_photos(
        self,
        layers: list[str] | None,
        mask_for: MaskFor,
        model: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        **settings: Any,
    ) -> Iterator[list]:
        """Fill all photos; what there is to show comes after each. Finished ones are left alone, errors stop nothing.

        `layers`: as for `add_photos`; the rest as for `Actions.fill`. The time limit holds for each photo.
        """
        chosen = FillSettings(**settings)
        session = self._session(request)
        report = Stoppable(progress, session, "batch", environment.MAX_SECONDS.read())
        batch = self._batch(session, mask_for)
        if not batch.listed():
            raise ValueError("drop some photos first")
        _not_while_running(batch)
        config = chosen.sampling_config()
        self._keep(session, layers)
        options = self._options(chosen.variant, chosen.plan)
        card, _ = registry.resolve(model, options)
        if batch.seed is None or chosen.names_a_seed:
            batch.seed = chosen.chosen_seed()
        mark = ai_mark.chosen(card.learned)

        def load() -> Inpainter:
            report.start()  # the time limit is one photo's
            return model_cache.acquire(card.name, options, report)

        def report_photo(item: BatchItem, share: float, text: str) -> None:
            tally = batch.tally
            tally.filling(item.name, share)
            session.used = time.monotonic()  # a long batch is no idle visitor
            done = f"{tally.place} of {tally.total} done, {tally.left()}"
            report(tally.share, f"{done}. {item.name}: {text}")

        task = Task(
            load=load,
            config=config.with_defaults(card.defaults),
            seed=batch.seed if card.seeded else None,
            identity={"model": card.name, "variant": chosen.variant, "plan": chosen.plan, "mark": mark},
            mark=mark,
            files=photo_files.WORKERS,
        )
        items = batch.items()
        if not any(item.mask for item in items):
            raise ValueError("nothing is painted yet; click a photo, paint over what should go, then try again")
        batch.begin(_outcomes(batch, items, task, report_photo), len(items))
        batch.shown.clear()
        model_line = html.model_line(card.title, task.seed)
        try:
            yield self._shown(session, model_line)
            while self._next(session, batch, report):
                yield self._shown(session, model_line)
        except Cancelled:
            pass
        except Exception:
            if not session.gone:  # else it is only that the files have been deleted
                raise
        finally:
            self._end(session, batch)
            batch.shown.set()
        if not session.gone:
            yield self._shown(session, model_line)

    @plain_errors
    def stop_filling(self, request: gr.Request) -> list:
        """Make a running batch stop at its next step; what is finished stays and is put into the archive."""
        session = self._session(request)
        session.stop("batch")
        if session.batch:
            session.batch.end()
            session.batch.shown.wait(FINAL_UPDATE_S)
        return self._shown(session)

    def _next(self, session: Session, batch: PhotoBatch, report: Stoppable) -> Outcome | None:
        with batch.lock, queue.take(report):
            return batch.take()

    def _end(self, session: Session, batch: PhotoBatch) -> None:
        try:
            if not session.gone:
                batch.end()
        finally:
            if session.gone:  # and what was being written came after the files had been deleted
                session.delete()

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


def _outcomes(
    batch: PhotoBatch, items: list[BatchItem], task: Task, report_photo: run.ReportItem
) -> Generator[Outcome, None, None]:
    with RecordsFile(batch.out) as records:
        # one square a call: visitors take turns, and stop, photo by photo
        yield from run.run(items, task, batch.out, records, AHEAD, report_photo)


def _not_while_running(batch: PhotoBatch) -> None:
    if batch.running:
        raise ValueError("the photos are being filled; wait, or press Stop first")
