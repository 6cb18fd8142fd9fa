"""What happens behind the page's buttons: load, fill, stop, fetch. Errors reach people as one plain sentence."""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path

import gradio as gr
from PIL import Image

from moebius import photos, registry, residency, weight_files
from moebius.config import MODEL_DEFAULTS, SamplingConfig
from moebius.inpainter import Cancelled, Progress
from moebius.ui import editor, samples, words
from moebius.ui.session import Session, Sessions

log = logging.getLogger(__name__)

SHOWN_AS_THEY_ARE = ("JPEG", "PNG", "WEBP", "AVIF")
"""Formats that browsers show; the slider gets the very files."""


def plainly(action: Callable) -> Callable:
    """Errors of the library become a message in the page; anything unexpected is logged and told without details."""

    @functools.wraps(action)
    def wrapper(*args, **kwargs):
        try:
            return action(*args, **kwargs)
        except gr.Error:
            raise
        except ValueError as error:
            raise _told(str(error)) from error
        except MemoryError as error:
            raise _told(str(error) or "There is not enough memory for this photo. Try a smaller one.") from error
        except Exception as error:
            log.exception("%s failed", action.__name__)
            raise _told("Something went wrong on the server. Please try again.") from error

    return wrapper


def _told(message: str) -> gr.Error:
    first = message.split(" ", 1)[0]
    if "." not in first:  # not a file's name
        message = message[:1].upper() + message[1:]
    return gr.Error(escape(message, quote=False), title="That did not work", print_exception=False)


class Actions:
    """The page's handlers. Files are found through the visitor's session only, never through a request's path."""

    def __init__(self, weights_folder: Path | None = None) -> None:
        self.options = registry.LoadOptions(weights=weights_folder)
        self.sessions = Sessions()

    # ---- photo and mask in ----

    @plainly
    def load_photo(self, upload: dict | None, request: gr.Request):
        """Take an uploaded photo, Gradio's record of a file whose path it has checked; see `_paint`."""
        if not upload or not upload.get("path"):
            return gr.skip(), gr.skip(), gr.skip()  # the webcam was opened, or the picture taken away
        path = Path(upload["path"])
        photo = photos.open_photo(path, Path(upload.get("orig_name") or path).name)
        session = self._session(request)
        session.keep_photo(photo.data, photo.name, photo.size)
        return self._paint(session, photo)

    @plainly
    def load_sample(self, index: int, request: gr.Request):
        """Take one of the samples, with its mask as a first layer."""
        sample = samples.load()[int(index)]
        photo = photos.open_photo(sample.image)
        mask = photos.open_mask(sample.mask, photo.size)
        session = self._session(request)
        session.keep_photo(photo.data, photo.name, photo.size)
        session.keep_mask(mask)
        return self._paint(session, photo)

    def pick_sample(self, event: gr.SelectData, request: gr.Request):
        return self.load_sample(event.index, request)

    @plainly
    def load_mask(self, path: str | None, request: gr.Request):
        """Take a mask file of the photo's size; it becomes the editor's layer, in place of what was painted."""
        session, photo = self._photo(request)
        if path is None:
            raise ValueError("no mask came; choose a file")
        session.keep_mask(photos.open_mask(Path(path), photo.size))
        return self._value(session, photo)

    @plainly
    def clear_mask(self, request: gr.Request):
        """The photo again, with nothing painted."""
        session, photo = self._photo(request)
        session.forget_mask()
        return self._value(session, photo)

    @plainly
    def use_result(self, request: gr.Request):
        """The result becomes the photo."""
        session = self._session(request)
        if session.result is None:
            raise ValueError("there is no result yet; press Fill first")
        photo = photos.open_photo(session.result)
        session.keep_photo(photo.data, photo.name, photo.size)
        return self._paint(session, photo)

    def choose_again(self):
        """Back to choosing a photo."""
        return gr.update(visible=True), None, None

    # ---- filling ----

    @plainly
    def fill(
        self,
        layers: list[str] | None,
        model: str,
        variant: str,
        recipe: str,
        steps: int,
        guidance: float,
        seed: str,
        scheduler: str,
        feather_px: int,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
    ):
        """Fill what is painted; returns the slider's pair, the file to download, what was done, and the views.

        `layers`: pictures of the painted mask at any size, see `editor.strokes`; Gradio has checked their paths.
        """
        clock = _Clock()
        session = self._session(request)
        if session.photo is None:
            raise ValueError("choose a photo first")
        report = _stoppable(progress, session, "fill")
        report(0.0, "Reading the photo")
        config = SamplingConfig(
            recipe=recipe,
            num_inference_steps=int(steps),
            guidance_scale=float(guidance),
            scheduler=scheduler,
            feather_px=int(feather_px),
        )
        photo = photos.open_photo(session.photo, session.name)
        painted = editor.strokes([photos.open_photo(Path(layer)).raster for layer in layers or ()])
        mask = editor.full_mask(painted, session.mask(), photo.size)
        if not mask.any():
            raise ValueError("nothing is painted yet; paint over what should go, then press Fill")
        clock.lap("reading")
        try:
            options = self._options(variant)
            card, reason = registry.resolve(model, options)
            inpainter = residency.acquire(card.name, options, report)
            clock.lap("loading the model")
            seed, generator = _randomness(seed) if card.seeded else (None, None)
            filled = inpainter.fill(photo.raster, mask, config, generator, report)
            clock.parts |= {"the model": filled.seconds["model"], "cutting and blending": filled.seconds["geometry"]}
            clock.skip()
            report(1.0, "Writing the file")
            encoded = photos.encode_photo(photo, filled.raster, filled.changed)
        except Cancelled:
            log.info("a fill was stopped")
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), gr.skip()
        result = session.keep_result(encoded.data, filled_name(photo))
        before, after = _shown(session.photo, photo, photo.raster), _shown(result, photo, filled.raster)
        clock.lap("writing")
        facts = words.result_line(
            title=card.title,
            variant=self._variant(card, variant),
            reason=words.why_auto(card, reason, options) if model == registry.AUTO else "",
            seconds=clock.parts,
            squares=len(filled.squares),
            seed=seed,
            notes=(*photo.notes, *filled.notes, *encoded.notes),
        )
        label = f"Download {encoded.format} · {words.file_size(len(encoded.data))}"
        return (
            gr.update(value=(before, after)),
            gr.update(value=str(result), label=label),
            facts,
            gr.update(visible=False),
            gr.update(visible=True),
        )

    def stop(self, request: gr.Request) -> None:
        """Make a running fill stop at its next step."""
        self._session(request).stop("fill")

    # ---- models and weights ----

    @plainly
    def about(self, model: str, variant: str):
        """The line about the chosen model, and the button that gets its weights where they are lacking."""
        options = self._options(variant)
        card = self._lacking(model, options)
        label = f"Get the {card.title} weights ({card.download_bytes / 1e6:,.0f} MB)" if card else ""
        return words.model_line(model, options), gr.update(visible=card is not None, value=label)

    @plainly
    def own_settings(self, model: str, variant: str):
        """Steps and guidance as the chosen model's authors have them; nothing to set where it has neither."""
        card, _ = registry.resolve(model, self._options(variant))
        if card.name not in MODEL_DEFAULTS:
            return gr.update(interactive=False), gr.update(interactive=False)
        own = MODEL_DEFAULTS[card.name]
        return (
            gr.update(interactive=True, value=own.num_inference_steps),
            gr.update(interactive=True, value=own.guidance_scale, maximum=max(10, 2 * own.guidance_scale)),
        )

    @plainly
    def fetch_weights(
        self,
        model: str,
        variant: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ):
        """Download the weights of a model's variant into the Hugging Face cache; returns what `about` does."""
        card = self._lacking(model, self._options(variant))
        if card is not None:
            report = _stoppable(progress, self._session(request), "fetch")
            try:
                registry.fetch(card.name, self._options(variant), report)
            except Cancelled:
                gr.Info("Stopped. Files that are complete are kept for the next time.")
        return self.about(model, variant)

    def _lacking(self, model: str, options: registry.LoadOptions) -> registry.ModelCard | None:
        """The model whose weights the page offers to get: the chosen one, or the best that `auto` would take."""
        wanted = [
            card for card in registry.MODELS.values() if model == card.name or model == registry.AUTO and card.automatic
        ]
        return next((card for card in wanted if words.lacks_weights(card, options)), None)

    def stop_fetching(self, request: gr.Request) -> None:
        self._session(request).stop("fetch")

    # ---- sessions ----

    def leave(self, request: gr.Request) -> None:
        """The visitor has closed the page."""
        self.sessions.close(_key(request))

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.get(_key(request))

    def _photo(self, request: gr.Request) -> tuple[Session, photos.Photo]:
        session = self._session(request)
        if session.photo is None:
            raise ValueError("choose a photo first")
        return session, photos.open_photo(session.photo, session.name)

    def _options(self, variant: str) -> registry.LoadOptions:
        return replace(self.options, variant=variant or None)

    def _variant(self, card: registry.ModelCard, variant: str) -> str | None:
        """The variant that was used, by name."""
        if card.network is None:
            return None
        return weight_files.locate(variant or None, self.options.weights, network=card.network).variant

    def _value(self, session: Session, photo: photos.Photo) -> dict:
        """What the editor shows: a preview to paint on and the given mask as a layer."""
        small = editor.preview(photo.raster)
        background = _save(small, session.folder / "preview")
        given, layers = session.mask(), []
        if given is not None:
            layers = [str(session.folder / "layer.png")]
            editor.tint(editor.shrink_mask(given, small.size)).save(layers[0], compress_level=1)
        return {"background": background, "layers": layers, "composite": None}

    def _paint(self, session: Session, photo: photos.Photo):
        """What changes once a photo is there: the chooser goes, the upload is emptied, the editor gets its value."""
        return gr.update(visible=False), None, self._value(session, photo)


def filled_name(photo: photos.Photo) -> str:
    """IMG_1.jpg -> IMG_1_filled.jpg; filling again keeps that name."""
    stem = Path(photo.name).stem or "photo"
    return f"{stem if stem.endswith('_filled') else stem + '_filled'}{photo.suffix}"


def _key(request: gr.Request) -> str:
    if not request.session_hash:
        raise ValueError("this needs a session; open the page, or use gradio_client")
    return request.session_hash


def _stoppable(progress: gr.Progress, session: Session, task: str) -> Progress:
    """Progress for the page that raises `Cancelled` once this run was told to stop."""
    stopped = session.begin(task)

    def report(share: float, text: str) -> None:
        if stopped.is_set():
            raise Cancelled
        progress(share, desc=text)

    return report


def _randomness(text: str):
    """The seed, a new one where none is given, and torch's generator for it."""
    text = str(text or "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise ValueError(f"the seed must be a whole number from 0 to 2**63 - 1, got {text!r}; or leave it empty")

    import torch

    seed = int(text) if text else secrets.randbits(32)
    return seed, torch.Generator().manual_seed(seed)


def _shown(path: Path, photo: photos.Photo, raster) -> str:
    """A picture for the slider: the file itself where a browser shows it, else a copy that it can show."""
    plain = isinstance(raster, Image.Image) and raster.mode in ("RGB", "RGBA", "L", "LA", "P", "1")
    if photo.format in SHOWN_AS_THEY_ARE and plain and max(photo.size) <= editor.SHOWN_SIDE:
        return str(path)
    return _save(editor.preview(raster, editor.SHOWN_SIDE), path.with_name(f"{path.stem}_shown"))


def _save(picture: Image.Image, stem: Path) -> str:
    """JPEG at high quality, or PNG where there is transparency; returns the path."""
    profile = picture.info.get("icc_profile")
    if picture.mode == "RGBA":
        path = f"{stem}.png"
        picture.save(path, compress_level=1, icc_profile=profile)
    else:
        path = f"{stem}.jpg"
        picture.save(path, quality=92, subsampling=0, icc_profile=profile)
    return path


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
