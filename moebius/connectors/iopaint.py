"""IOPaint 1.6's HTTP contract, for its own page and for programs that call it.

Of its requests' sixty fields those count that mean something here: image, mask, prompt and sd_seed, and `model`, which
is ours. A client that switches models switches them for itself.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import Request, Response
from PIL import Image
from starlette.datastructures import UploadFile

from moebius import registry
from moebius.config import SamplingConfig
from moebius.connectors import bodies
from moebius.connectors.errors import UnknownError
from moebius.connectors.fills import Filled, Fills, grey
from moebius.connectors.steps import Steps
from moebius.masking.grow import grow
from moebius.photo.photo_file import Photo
from moebius.ui import photo_files
from moebius.ui.handlers import Stoppable

BRUSH = (255, 203, 0, 186)
"""Of IOPaint's page, RGBA: the colour in which it is sent masks."""
SELECTOR, SELECTOR_MODEL = "InteractiveSeg", "sam2.1"
"""IOPaint's name for selecting by clicks, and ours for what does it."""
SEED, STEPS = 42, 50
"""What IOPaint takes where a request names none."""
MAX_CLIENTS, MAX_KERNEL_PX = 200, 1000
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}


class IOPaint:
    """The requests of IOPaint 1.x: docs/connectors.md has the table."""

    def __init__(self, fills: Fills, steps: Steps) -> None:
        self._fills, self._steps = fills, steps
        self._chosen: OrderedDict[str, str] = OrderedDict()  # by client; who chose longest ago first

    # ---- what there is ----

    async def server_config(self, request: Request) -> dict[str, Any]:
        """What IOPaint's page asks for first: models, plugins, defaults."""
        selects = self._fills.can_select()
        plugins = [{"name": SELECTOR, "support_gen_image": False, "support_gen_mask": True}] if selects else []
        return {
            "plugins": plugins,
            "modelInfos": [model_info(card) for card in self._runnable()],
            "removeBGModel": "",
            "removeBGModels": [],
            "realesrganModel": "",
            "realesrganModels": [],
            "interactiveSegModel": SELECTOR_MODEL if selects else "",
            "interactiveSegModels": [SELECTOR_MODEL] if selects else [],
            "enableFileManager": False,
            "enableAutoSaving": False,
            "enableControlnet": False,
            "controlnetMethod": None,
            "disableModelSwitch": False,
            "isDesktop": False,
            "samplers": [],
        }

    async def samplers(self, request: Request) -> list[str]:
        return []

    async def model(self, request: Request) -> dict[str, Any]:
        """The model that this caller uses."""
        return model_info(self._fills.card(self._model(request)))

    async def switch_model(self, request: Request) -> dict[str, Any]:
        """Use another model for this caller's address from now on."""
        name = bodies.text(await bodies.read_json(request), "name")
        if name not in [card.name for card in self._runnable()]:
            raise UnknownError(
                f"the model {name!r:.80} cannot run here; choose from {', '.join(c.name for c in self._runnable())}"
            )
        client = _client(request)
        self._chosen.pop(client, None)
        self._chosen[client] = name
        while len(self._chosen) > MAX_CLIENTS:
            self._chosen.popitem(last=False)
        return model_info(registry.card(name))

    async def input_image(self, request: Request) -> Response:
        """The photo that a server was started with: there is none."""
        raise UnknownError("Input image not found")

    async def gen_info(self, request: Request) -> dict[str, str]:
        """The prompt that a picture was made with: ours have none."""
        async with request.form(max_files=1, max_fields=8, max_part_size=2**16) as form:
            if not isinstance(form.get("file"), UploadFile):
                raise ValueError("give the picture as file")
        return {"prompt": "", "negative_prompt": ""}

    # ---- what is done ----

    async def inpaint(self, request: Request) -> Response:
        """The photo without what its mask covers, in the photo's own format."""
        with self._fills.place():
            content = await bodies.read_json(request)
            image, mask = bodies.picture(content, "image"), bodies.picture(content, "mask")
            seed = bodies.whole(content, "sd_seed", SEED)
            model = bodies.text(content, "model", self._model(request))
            config = SamplingConfig(feather_px=0, prompt=bodies.text(content, "prompt", "").strip() or None)
            steps = max(1, bodies.whole(content, "sd_steps", STEPS))
            client = _client(request)
            del content

            def work(report: Stoppable) -> tuple[Filled, bytes, str]:
                filled = self._fills.fill(
                    image,
                    lambda photo: painted(mask, photo),
                    model=model,
                    seed=None if seed == -1 else seed,
                    config=config,
                    report=report,
                )
                encoded = self._fills.encode(filled)
                return filled, encoded.data, MEDIA_TYPES[encoded.format]

            tell = self._steps.teller(client, steps)
            try:
                filled, data, kind = await self._fills.run(request, work, tell)
            finally:
                await self._steps.finish(client)
            return Response(data, media_type=kind, headers={"X-Seed": str(filled.seed), "X-Model": filled.card.name})

    async def gen_mask(self, request: Request) -> Response:
        """The object under the clicks, in the colour of IOPaint's brush."""
        with self._fills.place():
            content = await bodies.read_json(request)
            if bodies.text(content, "name") != SELECTOR or not self._fills.can_select():
                raise UnknownError(f"the plugin {content['name']!r:.80} is not here")
            image, clicks = bodies.picture(content, "image"), read_clicks(content.get("clicks"))
            del content
            mask = await self._fills.run(request, lambda report: self._fills.select(image, clicks, report))
            return Response(brushed(mask), media_type="image/png")

    async def gen_image(self, request: Request) -> Response:
        """Any other plugin: there is none."""
        name = bodies.text(await bodies.read_json(request), "name")
        raise UnknownError(f"the plugin {name!r:.80} is not here")

    async def switch_plugin_model(self, request: Request) -> None:
        content = await bodies.read_json(request)
        if bodies.text(content, "model_name") != SELECTOR_MODEL or not self._fills.can_select():
            raise UnknownError(f"the model {content['model_name']!r:.80} is not here")

    async def adjust_mask(self, request: Request) -> Response:
        """A mask grown, shrunk or reversed, as a PNG."""
        with self._fills.place():
            content = await bodies.read_json(request)
            data, operate = bodies.picture(content, "mask"), bodies.text(content, "operate")
            kernel = bodies.whole(content, "kernel_size", 5)
            del content

            def work(report: Stoppable) -> bytes:
                return brushed(adjusted(grey(photo_files.open_photo(data, "the mask").raster) >= 127, operate, kernel))

            return Response(await self._fills.run(request, work), media_type="image/png")

    # ---- parts ----

    def _runnable(self) -> list[registry.ModelCard]:
        return [card for card in registry.MODELS.values() if card.availability(self._fills.options).can_run]

    def _model(self, request: Request) -> str:
        return self._chosen.get(_client(request), registry.AUTO)


def model_info(card: registry.ModelCard) -> dict[str, Any]:
    """A model as IOPaint describes them: all of ours erase."""
    return {
        "name": card.name,
        "path": card.name,
        "model_type": "diffusers_other" if card.reads_prompt else "inpaint",
        "is_single_file_diffusers": False,
        "need_prompt": card.reads_prompt,
        "controlnets": [],
        "brushnets": [],
        "support_strength": False,
        "support_outpainting": False,
        "support_lcm_lora": False,
        "support_controlnet": False,
        "support_brushnet": False,
        "support_powerpaint_v2": False,
    }


def painted(mask: bytes, photo: Photo) -> np.ndarray:
    """What to repaint, (H, W) bool: lighter than middle grey. ValueError for a mask of another size."""
    shades = grey(photo_files.open_photo(mask, "the mask").raster)
    size = photo.size[::-1]
    if shades.shape != size:
        raise ValueError(f"Image size({size}) and mask size({shades.shape}) not match.")
    return shades > 127


def adjusted(mask: np.ndarray, operate: str, kernel_px: int) -> np.ndarray:
    """A mask, (H, W) bool, grown or shrunk by so many pixels, or reversed."""
    if not 0 <= kernel_px <= MAX_KERNEL_PX:
        raise ValueError(f"kernel_size must be from 0 to {MAX_KERNEL_PX}, got {kernel_px}")
    if operate == "reverse":
        return ~mask
    if operate == "expand":
        return grow(mask, kernel_px)
    if operate == "shrink":
        return ~grow(~mask, kernel_px)
    raise ValueError(f"operate must be expand, shrink or reverse, got {operate!r:.40}")


def brushed(mask: np.ndarray) -> bytes:
    """(H, W) bool as a PNG for IOPaint's page: the brush's colour where it is True, nothing elsewhere."""
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask] = BRUSH
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def read_clicks(value: Any) -> list[tuple[float, float, bool]]:
    """[[x, y, 1 | 0], …]: on the object, or beside it. ValueError for anything else, or where none is on it."""
    if not isinstance(value, list) or not all(
        isinstance(one, list) and len(one) == 3 and all(type(part) in (int, float) for part in one) for one in value
    ):
        raise ValueError("clicks must be [[x, y, 1 or 0], …]")
    clicks = [(float(x), float(y), bool(on)) for x, y, on in value]
    if not any(on for _, _, on in clicks):
        raise ValueError("no click is on the object; give one whose last number is 1")
    return clicks


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def routes(fills: Fills, steps: Steps) -> dict[tuple[str, str], Callable]:
    own = IOPaint(fills, steps)
    return {
        ("GET", "/api/v1/server-config"): own.server_config,
        ("GET", "/api/v1/samplers"): own.samplers,
        ("POST", "/api/v1/samplers"): own.samplers,
        ("GET", "/api/v1/model"): own.model,
        ("POST", "/api/v1/model"): own.switch_model,
        ("GET", "/api/v1/inputimage"): own.input_image,
        ("POST", "/api/v1/gen-info"): own.gen_info,
        ("POST", "/api/v1/inpaint"): own.inpaint,
        ("POST", "/api/v1/run_plugin_gen_mask"): own.gen_mask,
        ("POST", "/api/v1/run_plugin_gen_image"): own.gen_image,
        ("POST", "/api/v1/switch_plugin_model"): own.switch_plugin_model,
        ("POST", "/api/v1/adjust_mask"): own.adjust_mask,
    }
