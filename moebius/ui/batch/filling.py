"""What happens behind the buttons that fill many photos: all of them, or one again, and stop."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any

import gradio as gr

from moebius import environment, model_cache, registry
from moebius.batch import run
from moebius.batch.plan import BatchItem
from moebius.batch.records import RecordsFile
from moebius.batch.run import Outcome, Task
from moebius.inpainters.base import Inpainter
from moebius.progress import Cancelled
from moebius.ui import photo_files, queue
from moebius.ui.batch import html
from moebius.ui.batch.actions import BatchActions, not_while_running
from moebius.ui.batch.entry import Entry
from moebius.ui.batch.photo_batch import MaskFor, PhotoBatch
from moebius.ui.handlers import Stoppable, plain_errors
from moebius.ui.session import Session
from moebius.ui.settings import FillSettings

AHEAD = 1
"""Photos that are read while the model works; several visitors may do this at once."""
FINAL_UPDATE_S = 5
"""The longest that Stop waits for an update of a run that is under way; coming later, it would hide the archive."""


class FillActions(BatchActions):
    """All that there is for many photos."""

    @plain_errors
    def fill_photos(
        self,
        layers: list[str] | None,
        mask_for: MaskFor,
        model: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
        **settings: Any,
    ) -> Iterator[list]:
        """Fill all photos that have a mask; what there is to show comes after each. What is finished is left alone, and
        errors stop nothing.

        `layers`: as for `add_photos`; the rest as for `Actions.fill`. The time limit holds for each photo.
        """
        yield from self._fill(layers, mask_for, model, FillSettings(**settings), request, progress)

    @plain_errors
    def fill_again(
        self,
        layers: list[str] | None,
        mask_for: MaskFor,
        model: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        **settings: Any,
    ) -> Iterator[list]:
        """Fill the photo on the canvas alone: with its mask of now and, where the model takes one, another seed."""
        session = self._session(request)
        entry = session.batch.entries.get(session.batch_photo) if session.batch else None
        if entry is None:
            raise ValueError("none of your photos is chosen; click one first")
        yield from self._fill(layers, mask_for, model, FillSettings(**settings), request, progress, entry)

    def _fill(
        self,
        layers: list[str] | None,
        mask_for: MaskFor,
        model: str,
        chosen: FillSettings,
        request: gr.Request,
        progress: gr.Progress,
        alone: Entry | None = None,
    ) -> Iterator[list]:
        session = self._session(request)
        report = Stoppable(progress, session, "batch", environment.MAX_SECONDS.read())
        batch = self._batch(session, mask_for)
        if not batch.listed():
            raise ValueError("drop some photos first")
        not_while_running(batch)
        config = chosen.sampling_config()
        self._keep(session, layers)
        options = self._options(chosen.variant, chosen.plan)
        card, _ = registry.resolve(model, options)
        if alone:
            alone.seed = chosen.chosen_seed()
        if batch.seed is None or chosen.names_a_seed and not alone:
            batch.seed = chosen.chosen_seed()
        mark = self._mark(model, card)

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
            grow_mask=chosen.grow_mask / 100,
            mark=mark,
            files=photo_files.WORKERS,
        )
        items = batch.items(alone)
        if not any(item.mask for item in items):
            raise ValueError("nothing is painted yet; click a photo, paint over what should go, then try again")
        batch.begin(_outcomes(batch, items, task, report_photo), items)
        batch.shown.clear()
        model_line = html.model_line(card.title, task.seed_of(items[0]))
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
        if alone and alone.outcome and alone.outcome.state == "finished":
            gr.Info(f"{card.title} fills {alone.name} the same way again. Change its mask, or choose another model.")
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


def _outcomes(
    batch: PhotoBatch, items: list[BatchItem], task: Task, report_photo: run.ReportItem
) -> Generator[Outcome, None, None]:
    with RecordsFile(batch.out) as records:
        # one square a call: visitors take turns, and stop, photo by photo
        yield from run.run(items, task, batch.out, records, AHEAD, report_photo)
