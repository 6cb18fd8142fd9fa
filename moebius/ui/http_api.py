"""What scripts and agents call: whole jobs in one call each, nothing remembered from one call to the next.

`gradio_client` reaches every event of the page that has a name; an agent (MCP) has these tools only. All agents come as
one and the same visitor, so nothing that depends on the visitor may be a tool: one would get another's picture. A tool
has one output: of several, Gradio makes one text where the agent asked for no progress.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import gradio as gr

from moebius import compare, environment, registry, segment
from moebius.config import SamplingConfig
from moebius.photo import photo_file
from moebius.photo.worker import MAX_PROCESSES
from moebius.ui import photo_files, queue
from moebius.ui.compare.actions import CompareActions
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.select import device
from moebius.ui.gradio_internals import serve_agents, upload_folder
from moebius.ui.handlers import Handlers, Stoppable, plain_errors
from moebius.ui.html import without_folders
from moebius.ui.session import IDLE_S, Session
from moebius.ui.settings import FillSettings

MAX_STEPS = 100
FILE_FORMAT = (
    "the picture itself as a data URL, data:image/png;base64,…, or the address of a picture that was uploaded to this "
    "page or made by it, …/gradio_api/file=…; no other addresses"
)
SCRIPTED = ("/add_photos", "/fill_photos")
"""Many photos from a script (examples/client.py): a visitor's own, so no tools for agents."""
ENDPOINTS = ("/inpaint", "/compare_models", "/select_object", "/models")


class Tools(Handlers):
    """Each call is a visitor of its own, who loads photo and mask, presses one button and is never seen again."""

    def __init__(self, actions: Actions, comparison: CompareActions) -> None:
        super().__init__(actions.options, actions.sessions)
        self._actions, self._comparison = actions, comparison

    @plain_errors
    def inpaint(
        self,
        image: str,
        mask_image: str,
        model: str,
        num_inference_steps: int,
        guidance_scale: float,
        seed: str,
        feather_px: int,
        prompt: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
    ) -> str:
        """Remove something from a photo: repaint what is white in the mask, keep every other pixel, size and metadata.

        Args:
            image: the photo: JPEG, PNG, WebP, TIFF or another format of photos.
            mask_image: a picture of the photo's size; white = repaint, black = keep.
            model: a name that the tool `models` lists, or auto: the best that can run there.
            num_inference_steps: 1 to 100; 0: as many as the model's authors take.
            guidance_scale: 1 to 100; 0: the model's own.
            seed: a whole number, the same for the same result again; empty: by chance.
            feather_px: 0 to 64, pixels of blend outside the hole; 0 keeps every unpainted pixel.
            prompt: what should be seen in the hole; only FLUX reads it.

        Returns:
            The filled photo in its own format.
        """
        visitor, _ = self._with_mask(image, mask_image)
        chosen = FillSettings(
            steps=num_inference_steps, guidance=guidance_scale, seed=seed, feather_px=feather_px, prompt=prompt
        )
        return str(self._actions.run(None, model, chosen, visitor, progress).path)

    @plain_errors
    def compare_models(
        self,
        image: str,
        mask_image: str,
        models: list[str],
        num_inference_steps: int,
        seed: str,
        feather_px: int,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """Fill the same hole of a photo with several models from the same seed, for looking at them side by side.

        Args:
            image: the photo: JPEG, PNG, WebP, TIFF or another format of photos.
            mask_image: a picture of the photo's size; white = repaint, black = keep.
            models: names that the tool `models` lists.
            num_inference_steps: of every model, 1 to 100; 0: each model's own.
            seed: a whole number, the same for the same result again; empty: by chance.
            feather_px: 0 to 64, pixels of blend outside the hole; 0 keeps every unpainted pixel.

        Returns:
            Photo, hole and all results as one labelled PNG, with the reasons of models that cannot run there.
        """
        visitor, session = self._with_mask(image, mask_image)
        chosen = FillSettings(steps=num_inference_steps, seed=seed, feather_px=feather_px)
        for _ in self._comparison.run(None, models, chosen, visitor, progress):
            pass
        comparison = session.comparison
        if comparison.sheet is None:
            raise ValueError("; ".join(f"{comparison.title(name)}: {why}" for name, why in comparison.reasons.items()))
        return str(comparison.sheet)

    @plain_errors
    def select_object(
        self,
        image: str,
        x: float,
        y: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """Find the object at a place of a photo and make the mask that removes it, for the tool `inpaint`.

        Args:
            image: the photo: JPEG, PNG, WebP, TIFF or another format of photos.
            x: pixels from the left edge of the photo as it is shown.
            y: pixels from its upper edge.

        Returns:
            A PNG of the photo's size: white = the object and a little around it, black = everything else.
        """
        if not all(isinstance(one, int | float) for one in (x, y)):
            raise ValueError("the place is missing; give x and y in pixels of the photo")
        visitor, session, photo = self._visitor(image)
        try:
            files = segment.locate_weights(self.options.weights)
        except ValueError as error:
            raise ValueError(without_folders(str(error))) from None
        segment.check_points([(x, y)], photo.size)
        report = Stoppable(progress, session, "select", environment.MAX_SECONDS.read())
        with queue.take(report):
            report(0.0, "Looking at the photo")
            selector = segment.load(files, device())
            mask = selector.predict(selector.embed(photo.raster), [(x, y)])
        path = session.folder / f"{Path(photo.name).stem}_mask.png"
        path.write_bytes(segment.mask_png(mask))
        return str(path)

    def models(self) -> list[dict]:
        """List the models for filling holes in photos: names, licences, and which of them can run there now.

        Returns:
            One entry a model.
        """
        states = [(card, card.availability(self.options)) for card in registry.MODELS.values()]
        return [
            {
                "name": card.name,
                "title": card.title,
                "parameters": card.parameters,
                "can_run": state.can_run,
                "reason": without_folders(state.reason),
                "license": card.license,
                "notice": card.notice,
            }
            for card, state in states
        ]

    def _visitor(self, image: str | None) -> tuple[SimpleNamespace, Session, photo_file.Photo]:
        """A new visitor, with the photo in place, and the session. Gradio has checked the path."""
        if not image:
            raise ValueError("a file is missing; give image: the photo")
        visitor = SimpleNamespace(session_hash=f"call-{uuid.uuid4().hex}")
        photo = photo_files.open_photo(Path(image), Path(image).name)
        session = self._session(visitor)
        session.keep_photo(photo.data, photo.name, photo.size)
        return visitor, session, photo

    def _with_mask(self, image: str | None, mask_image: str | None) -> tuple[SimpleNamespace, Session]:
        """`_visitor` with a mask of the photo's size."""
        if image and not mask_image:
            raise ValueError("a file is missing; give mask_image: white = repaint")
        visitor, session, photo = self._visitor(image)
        session.keep_mask(photo_files.open_mask(Path(mask_image), photo.size))
        return visitor, session


def wire_tools(tools: Tools) -> None:
    """The tools as endpoints of the page, and as all that agents get of it."""
    names = list(registry.MODELS)
    with gr.Column(visible=False):
        image, mask_image = gr.File(label="image"), gr.File(label="mask_image")
        model = gr.Dropdown([registry.AUTO, *names], value=registry.AUTO, label="model")
        steps = gr.Number(0, precision=0, minimum=0, maximum=MAX_STEPS, label="num_inference_steps")
        guidance = gr.Number(0, minimum=0, maximum=100, label="guidance_scale")
        seed = gr.Textbox("", label="seed")
        feather = gr.Number(SamplingConfig().feather_px, precision=0, minimum=0, maximum=64, label="feather_px")
        prompt = gr.Textbox("", max_length=1000, label="prompt")
        chosen = gr.Dropdown(
            names,
            value=compare.fastest_first(card.name for card in registry.MODELS.values() if card.automatic),
            multiselect=True,
            label="models",
        )
        x, y = gr.Number(label="x"), gr.Number(label="y")
        result, table, call = gr.File(label="result"), gr.JSON(label="models"), gr.Button()
    # several may open their photos at a time; what computes takes its turn, see `queue.take`
    computes = {"concurrency_id": "tools", "concurrency_limit": MAX_PROCESSES}
    one = [image, mask_image, model, steps, guidance, seed, feather, prompt]
    call.click(tools.inpaint, one, result, api_name="inpaint", **computes)
    several = [image, mask_image, chosen, steps, seed, feather]
    call.click(tools.compare_models, several, result, api_name="compare_models", **computes)
    call.click(tools.select_object, [image, x, y], result, api_name="select_object", **computes)
    call.click(tools.models, None, table, api_name="models", queue=False)
    serve_agents(ENDPOINTS, FILE_FORMAT, _sent())


def _sent() -> Path:
    return upload_folder() / "from-agents"


def forget_sent(older_than_s: float = IDLE_S) -> None:
    """Delete the pictures that agents sent within a call: Gradio writes them to files and forgets them there."""
    for path in _sent().rglob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > older_than_s:
            os.unlink(path)
