"""What happens behind the page's buttons: load, fill, stop, fetch. Errors reach people as one plain sentence."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from moebius import environment, model_cache, registry
from moebius.fill import seeds
from moebius.fill.scheduler import fill_photo
from moebius.photo import photo_file
from moebius.progress import Cancelled
from moebius.ui import editor, photo_files, queue, samples
from moebius.ui.fill import html
from moebius.ui.fill.result import FillResult, download_label, from_file, keep, patch, restore
from moebius.ui.fill.sample_results import NOTE, Kept, SampleResults, is_default, is_untouched
from moebius.ui.gradio_internals import upload_folder
from moebius.ui.handlers import Handlers, Stoppable, plain_errors, session_key
from moebius.ui.html import can_fetch_weights
from moebius.ui.pictures import save, thumbnail
from moebius.ui.session import Session, Sessions
from moebius.ui.settings import FillSettings, flux_visible
from moebius.units import file_size
from moebius.weights import locate

log = logging.getLogger(__name__)

VARIANTS = 3


class Actions(Handlers):
    """The handlers of photo, mask and fill, and of the models' weights."""

    def __init__(self, weights_folder: Path | None = None) -> None:
        super().__init__(registry.LoadOptions(weights=weights_folder), Sessions())
        self._samples = SampleResults()

    # ---- photo and mask in ----

    @plain_errors
    def load_photo(self, upload: dict | None, request: gr.Request) -> dict:
        """Take an uploaded photo, Gradio's record of a file whose path it has checked; see `_scene`."""
        if not isinstance(upload, dict) or not isinstance(upload.get("path"), str):
            raise ValueError("no photo came; choose a file")
        path = Path(upload["path"])
        photo = photo_files.open_photo(path, Path(upload.get("orig_name") or path).name)
        session = self._session(request)
        session.keep_photo(photo.data, photo.name, photo.size)
        return self._scene(session, photo)

    @plain_errors
    def load_sample(self, index: int, request: gr.Request) -> dict:
        """Take one of the samples, with its mask."""
        every = samples.load()
        if not 0 <= int(index) < len(every):
            raise ValueError(f"there are samples 0 to {len(every) - 1}, not {index}")
        sample = every[int(index)]
        photo = photo_files.open_photo(sample.image)
        mask = photo_files.open_mask(sample.mask, photo.size)
        session = self._session(request)
        session.keep_photo(photo.data, photo.name, photo.size)
        session.keep_mask(mask)
        session.sample = int(index)
        return self._scene(session, photo)

    @plain_errors
    def sample_result(self, request: gr.Request) -> tuple:
        """The chosen sample as it was filled before, as `fill` returns it; no pictures where it was not."""
        session = self._session(request)
        kept = self._samples.find(session, registry.resolve(registry.AUTO, self.options)[0])
        if kept is None or session.photo is None:
            return None, gr.skip(), gr.skip()
        result = from_file(session, kept.data, kept.name, kept.label, kept.facts)
        session.variants = [result]
        return result.shown()

    @plain_errors
    def load_mask(self, path: str | None, request: gr.Request) -> dict:
        """Take a mask file of the photo's size, in place of what was painted; of one of many photos it is its mask."""
        session, photo = self._photo(request)
        if path is None:
            raise ValueError("no mask came; choose a file")
        mask = photo_files.open_mask(Path(path), photo.size)
        session.keep_mask(mask)
        session.sample = None  # its own mask is gone
        if session.batch and session.batch_photo:
            session.batch.keep_mask(session.batch.entries[session.batch_photo], mask)
        return self._scene(session, photo)

    @plain_errors
    def save_mask(self, layers: list[str] | None, request: gr.Request) -> str:
        """What is painted as a PNG of the photo's size, white where it is to be filled; `layers`: as for `fill`."""
        photo, mask = self._painted(layers, request)
        path = self._session(request).folder / f"{Path(photo.name).stem or 'photo'}_mask.png"
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
        return str(path)

    @plain_errors
    def use_result(self, request: gr.Request) -> dict:
        """The newest result becomes the photo."""
        session = self._session(request)
        step = next((one for one in session.steps if one.path == session.result), None)
        if step is None:
            raise ValueError("there is no result yet; press Fill first")
        session.go_to(step)
        return self._scene(session, photo_files.open_photo(session.photo, session.name), kept=True)

    @plain_errors
    def go_to(self, index: int, request: gr.Request) -> dict:
        """An earlier picture becomes the photo: 0 as it was sent, then its results, oldest first."""
        session = self._session(request)
        if not 0 <= int(index) < len(session.steps):
            raise ValueError("that picture is not kept any more; choose another one")
        session.go_to(session.steps[int(index)])
        return self._scene(session, photo_files.open_photo(session.photo, session.name))

    def pick_step(self, event: gr.SelectData, request: gr.Request) -> dict:
        return self.go_to(event.index, request)

    @plain_errors
    def steps(self, request: gr.Request) -> dict:
        """Small pictures of what one can go back to; nothing before the first result."""
        session = self._session(request)
        kept = []
        for step in tuple(session.steps):
            try:
                kept.append((thumbnail(step.path), html.step(step.number, step.path == session.photo)))
            except FileNotFoundError:  # another photo was chosen meanwhile, or the visitor has left
                if step.path.exists():
                    raise
        return gr.update(value=kept, visible=len(kept) > 1)

    # ---- filling ----

    @plain_errors
    def fill(
        self,
        layers: list[str] | None,
        model: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
        **settings: Any,
    ) -> tuple:
        """Fill what is painted; returns the pictures before and after, the file to download, and what was done.

        Args:
            layers: pictures of the painted mask at any size, see `editor.strokes`; Gradio has checked their paths.
            settings: fields of `FillSettings`.
        """
        try:
            result = self.run(layers, model, FillSettings(**settings), request, progress)
        except Cancelled:
            log.info("a fill was stopped")
            return gr.skip(), gr.skip(), gr.skip()
        self._session(request).variants = [result]
        return result.shown()

    @plain_errors
    def vary(
        self,
        layers: list[str] | None,
        model: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        **settings: Any,
    ) -> Any:
        """Fill the same mask again, from the seeds after the last result's, until there are `VARIANTS`.

        Returns the pictures of all: the photo, then each result. Arguments as for `fill`.
        """
        session = self._session(request)
        first = self._result(session)
        if first.seed is None:
            raise ValueError("this filler makes the same of it each time; choose a model that takes a seed")
        chosen = FillSettings(**settings)
        try:
            while len(session.variants) < VARIANTS:
                seed = (session.variants[-1].seed + 1) % (seeds.MAX_SEED + 1)
                variant = self.run(layers, model, replace(chosen, seed=str(seed)), request, progress)
                session.variants.append(variant)
        except Cancelled:
            log.info("variants were stopped")
        session.result = first.path
        return [first.before, *(variant.after for variant in session.variants)]

    @plain_errors
    def choose_variant(self, index: float, request: gr.Request) -> tuple:
        """Make one of the variants the result: for the button that downloads it, and the line about it."""
        session = self._session(request)
        if index not in range(len(session.variants)):
            raise ValueError("that variant is not there any more; fill again")
        variant = session.variants[int(index)]
        session.result = variant.path
        return variant.shown()[1:]

    # ---- what a result is made into ----

    @plain_errors
    def restore(self, layers: list[str] | None, request: gr.Request) -> tuple:
        """Paint the original back into the result; `layers`: where, as for `fill`. For canvas and download."""
        restored = self._strokes(layers)
        session, photo = self._photo(request)
        result = self._result(session)
        if restored is None:
            raise ValueError("no mask came; paint where the original should be seen again")
        new = restore(session, photo, result, editor.scale_mask(restored, photo.size))
        session.variants[session.variants.index(result)] = new
        return new.shown()[:2]

    @plain_errors
    def patch(self, request: gr.Request) -> str:
        """What the result changes as a PNG with transparency, for a layer over the photo."""
        session, photo = self._photo(request)
        return str(patch(photo, self._result(session)))

    def _result(self, session: Session) -> FillResult:
        """The one of the variants that is shown. ValueError where there is none."""
        result = next((one for one in session.variants if one.path == session.result), None)
        if result is None:
            raise ValueError("there is no result yet; press Fill first")
        return result

    def run(
        self, layers: list[str] | None, model: str, chosen: FillSettings, request: gr.Request, progress: gr.Progress
    ) -> FillResult:
        """Fill what is painted on the visitor's photo; the result becomes the session's.

        Raises:
            ValueError: no photo, nothing painted, a setting out of range, a model that cannot run here.
            Cancelled: the visitor stopped it.
        """
        clock = _Clock()
        session = self._session(request)
        report = Stoppable(progress, session, "fill", environment.MAX_SECONDS.read())
        report(0.0, "Reading the photo")
        config = chosen.sampling_config()
        photo, mask, grown = self._hole(layers, chosen.grow_mask, request)
        clock.lap("reading")
        options = self._options(chosen.variant, chosen.plan)
        card, reason = registry.resolve(model, options)
        seed = chosen.chosen_seed() if card.seeded else None
        with queue.take(report):
            clock.skip()
            inpainter = model_cache.acquire(card.name, options, report)
            clock.lap("loading the model")
            filled = fill_photo(inpainter, photo.raster, mask, config, seeds.generator(seed), report)
        parts = {"the model": "model", "fine detail": "detail", "cutting and blending": "geometry"}
        clock.parts |= {name: filled.seconds[part] for name, part in parts.items() if part != "detail" or filled.detail}
        clock.skip()
        report(1.0, "Writing the file")
        mark = self._mark(model, card)
        encoded = photo_files.encode_photo(photo, filled.raster, filled.changed, mark=mark)
        path, (before, after) = keep(session, photo, filled_name(photo), encoded, filled.raster, filled.changed)
        clock.lap("writing")
        facts = html.result_line(
            title=card.title,
            variant=self._variant(card, chosen.variant),
            reason=html.why_auto(card, reason, options) if model == registry.AUTO else "",
            seconds=clock.parts,
            squares=len(filled.squares),
            seed=seed,
            notes=(*grown, *photo.notes, *filled.notes, *encoded.notes),
        )
        label = download_label(encoded)
        if (
            model == registry.AUTO
            and not chosen.names_a_seed
            and is_default(config, card)
            and is_untouched(session, mask)
        ):
            kept = facts + f"<p class='about'>{NOTE}</p>"
            self._samples.keep(session, card, Kept(data=encoded.data, name=path.name, label=label, facts=kept))
        return FillResult(path=path, before=before, after=after, label=label, facts=facts, seed=seed, mark=mark)

    def stop(self, request: gr.Request) -> None:
        """Make a running fill stop at its next step."""
        self._session(request).stop("fill")

    # ---- models and weights ----

    def choices(self) -> dict:
        """The list of models, with what can run here now."""
        return gr.update(choices=html.choices(self.options))

    @plain_errors
    def about(self, model: str, variant: str) -> tuple[str, dict]:
        """The line about the chosen model, and the button that gets its weights where they are missing."""
        options = self._options(variant)
        card = self._fetchable(model, options)
        label = f"Get the {card.title} weights ({file_size(card.download_bytes)})" if card else ""
        return html.model_line(model, options), gr.update(visible=card is not None, value=label)

    @plain_errors
    def own_settings(self, model: str, variant: str) -> tuple:
        """Steps and guidance as the chosen model's authors have them, where it has them; prompt and plan for FLUX."""
        card, _ = registry.resolve(model, self._options(variant))
        flux = flux_visible([card.name])
        own = card.defaults
        if own is None:
            return gr.update(interactive=False), gr.update(interactive=False), *flux
        return (
            gr.update(interactive=True, value=own.num_inference_steps),
            gr.update(interactive=True, value=own.guidance_scale, maximum=max(10, 2 * own.guidance_scale)),
            *flux,
        )

    @plain_errors
    def fetch_weights(
        self,
        model: str,
        variant: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Any:
        """Download the weights of a model's variant into the Hugging Face cache; returns what `about` does."""
        card = self._fetchable(model, self._options(variant))
        if card is not None:
            report = Stoppable(progress, self._session(request), "fetch")
            try:
                registry.fetch(card.name, self._options(variant), report)
            except Cancelled:
                gr.Info("Stopped. Files that are complete are kept for the next time.")
        return self.about(model, variant)

    def _fetchable(self, model: str, options: registry.LoadOptions) -> registry.ModelCard | None:
        """The model whose weights the page offers to get: the chosen one, or the best that `auto` would take."""
        candidates = [
            card for card in registry.MODELS.values() if model == card.name or model == registry.AUTO and card.automatic
        ]
        return next((card for card in candidates if can_fetch_weights(card, options)), None)

    def stop_fetching(self, request: gr.Request) -> None:
        self._session(request).stop("fetch")

    # ---- sessions ----

    def leave(self, request: gr.Request) -> None:
        """The visitor has closed the page."""
        self.sessions.close(session_key(request))

    def _variant(self, card: registry.ModelCard, variant: str) -> str | None:
        """The variant that was used, by name."""
        if card.network is None:
            return None
        return locate.locate(variant or None, self.options.weights, network=card.network).variant

    def _scene(self, session: Session, photo: photo_file.Photo, kept: bool = False) -> dict:
        """What the canvas shows: paths of a preview to paint on and of the given mask as a layer of its size.

        `kept`: it is the result that the canvas shows already.
        """
        session.serial += 1
        folder = session.public_folder(upload_folder())
        small = editor.preview(photo.raster, profile=photo.profile)
        shown = save(small, folder / f"{session.serial}")
        given, layer = session.mask(), None
        if given is not None:
            layer = folder / f"{session.serial}_mask.png"
            editor.tint(editor.shrink_mask(given, small.size)).save(layer, compress_level=1)
        return {
            "serial": session.serial,  # the same again is not shown again
            "picture": session.picture,
            "name": session.name,
            "size": list(photo.size),
            "many": bool(session.batch_photo),
            "kept": kept,
            "photo": shown,
            "mask": layer and str(layer),
        }


def filled_name(photo: photo_file.Photo) -> str:
    """IMG_1.jpg -> IMG_1_filled.jpg; filling again keeps that name."""
    stem = Path(photo.name).stem or "photo"
    return f"{stem if stem.endswith('_filled') else stem + '_filled'}{photo.suffix}"


class _Clock:
    """Seconds by part, one lap after the other."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.skip()

    def skip(self) -> None:
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.parts[part] = now - self._last
        self._last = now
