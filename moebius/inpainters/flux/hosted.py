"""FLUX.1 Fill [pro] on its maker's service: send a square, wait for the task, download the picture.

The documented interface (docs.bfl.ai): POST /v1/flux-pro-1.0-fill with the header x-key returns `id` and `polling_url`;
that address returns `status`, and `result.sample`, the address of the picture, which is valid for ten minutes.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image

from moebius import environment
from moebius.config import FLUX_FILL_PRO_DEFAULTS, REMOVAL_PROMPT, SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.inpainters.base import Inpainter, one_by_one
from moebius.progress import Progress
from moebius.units import memory_size

if TYPE_CHECKING:
    import torch

PATH = "/v1/flux-pro-1.0-fill"
STEPS, GUIDANCE = (15, 50), (1.5, 100.0)
"""Ranges that the service accepts."""
MAX_BYTES = 64 * 2**20
"""Largest answer."""
POLL_S = 1.0
"""Time between two polls of a task."""


class HostedError(ValueError):
    """The service refused, failed or could not be reached; the message says what to do."""


class HostedFluxInpainter(Inpainter):
    """Sends each square with its mask; the rest of the photo stays on this computer.

    Args:
        key: of the user's account.
        address: of the service.
        time_limit_s: time limit for one square, from sending it to receiving the picture.
        poll_s: time between two polls of the task; None: `POLL_S`.

    Raises:
        HostedError: the key holds characters that cannot be sent.
    """

    name = "flux-fill-pro"
    size = 1024
    defaults = FLUX_FILL_PRO_DEFAULTS

    def __init__(self, key: str, address: str, time_limit_s: float = 300.0, poll_s: float | None = None):
        if not (key.isascii() and key.isprintable()):  # the library's own error would show the key
            raise HostedError(f"{environment.BFL_KEY} holds characters that no key has; copy the key again")
        self._key, self._address, self._time_limit_s, self._poll_s = key, address, time_limit_s, poll_s or POLL_S

    def facts(self) -> dict[str, str | int | None]:
        return {"device": urlsplit(self._address).hostname}

    def remarks(self) -> tuple[str, ...]:
        return ("Filled by FLUX.1 Fill [pro] at Black Forest Labs: the picture around the hole was sent there.",)

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """See `Inpainter.fill_squares`.

        Raises:
            HostedError: the service refused, failed or could not be reached.
            ValueError: steps or guidance are out of the range that the service accepts.
        """
        return one_by_one(self.fill_square, tiles, masks, config, generators, progress)

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        """(S, S, 3) uint8 and (S, S) bool -> (S, S, 3) float32 in [0, 255]."""
        for name, value, (low, high) in (
            ("num_inference_steps", config.num_inference_steps, STEPS),
            ("guidance_scale", config.guidance_scale, GUIDANCE),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high} for FLUX.1 Fill [pro], got {value}")
        request = {
            "image": _encoded(image),
            "mask": _encoded(mask.astype(np.uint8) * 255),
            "prompt": config.prompt or REMOVAL_PROMPT,
            "steps": config.num_inference_steps,
            "guidance": config.guidance_scale,
            "output_format": "png",
        }
        if generator is not None:
            import torch

            request["seed"] = int(torch.randint(2**31, (1,), generator=generator))
        with httpx.Client(follow_redirects=False) as client:  # a redirect would take the key along
            return _decoded(self._run(client, request, progress), image.shape)

    def _run(self, client: httpx.Client, request: dict, progress: Progress) -> bytes:
        """Send a task, wait for it, fetch its picture file."""
        deadline = time.monotonic() + self._time_limit_s
        progress(0.0, "Sending the picture to Black Forest Labs")
        task = self._ask(client, "POST", self._address + PATH, deadline, json.dumps(request).encode())
        poll_url = self._own(task.get("polling_url"))
        while True:
            progress(0.3, "Waiting for Black Forest Labs")
            answer = self._ask(client, "GET", poll_url, deadline)
            status = answer.get("status")
            if status == "Ready":
                break
            if status in ("Request Moderated", "Content Moderated"):
                what = "the picture or the prompt" if status == "Request Moderated" else "the result"
                raise HostedError(f"the service's content filter refused {what}; nothing was filled")
            if status not in ("Pending", "Queued", "Processing"):
                raise HostedError(f"the service could not fill the picture: {status or 'no status'}")
            if time.monotonic() + self._poll_s > deadline:
                raise self._too_late()
            time.sleep(self._poll_s)
        progress(0.9, "Fetching the result")
        result = answer.get("result")
        sample = result.get("sample") if isinstance(result, dict) else None
        if not isinstance(sample, str) or not sample.startswith(("https://", "http://")):
            raise HostedError("the service reported a result but gave no picture")
        return self._read(client, "GET", sample, deadline)

    def _own(self, url: object) -> str:
        """The address to poll. The key must go only to the service, whose regions are sub-domains."""
        text = url if isinstance(url, str) else ""
        own, other = urlsplit(self._address), urlsplit(text)
        domain = ".".join((own.hostname or "").split(".")[-2:])
        if other.scheme == own.scheme and (other.netloc == own.netloc or (other.hostname or "").endswith(f".{domain}")):
            return text
        raise HostedError(
            f"the service named an address that is not its own ({other.hostname}); nothing was sent there"
        )

    def _ask(self, client: httpx.Client, method: str, url: str, deadline: float, content: bytes | None = None) -> dict:
        """Send a request with the key; the JSON object of the answer."""
        headers = {"x-key": self._key, "accept": "application/json", "content-type": "application/json"}
        body = self._read(client, method, url, deadline, content, headers)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise HostedError("the service's answer is not a JSON object")
        return answer

    def _read(
        self,
        client: httpx.Client,
        method: str,
        url: str,
        deadline: float,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """The body of an answer.

        Raises:
            HostedError: another status than success, too slow, too large, or no connection; one sentence each.
        """
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise self._too_late()
        plain = {"accept-encoding": "identity"} | (headers or {})  # so that the bytes counted are the bytes kept
        body = bytearray()
        try:
            with client.stream(method, url, content=content, headers=plain, timeout=left_s) as answer:
                if not answer.is_success:
                    raise HostedError(_refusal(answer.status_code))
                for part in answer.iter_raw():
                    body += part
                    if len(body) > MAX_BYTES:
                        raise HostedError(f"the service's answer is larger than {memory_size(MAX_BYTES)}")
                    if time.monotonic() > deadline:
                        raise self._too_late()
        except httpx.ConnectTimeout as error:
            raise HostedError(f"the service cannot be reached: no answer within {self._time_limit_s:.0f} s") from error
        except httpx.TimeoutException as error:
            raise self._too_late() from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HostedError(f"the service cannot be reached: {error}") from error
        return bytes(body)

    def _too_late(self) -> HostedError:
        return HostedError(f"the service did not finish within {self._time_limit_s:.0f} s; try again later")


def _refusal(code: int) -> str:
    return {
        401: "the service does not know the key in MOEBIUS_BFL_KEY (401)",
        402: "the account at Black Forest Labs has no credits left (402); add some at https://dashboard.bfl.ai",
        403: "the service does not accept the key in MOEBIUS_BFL_KEY (403)",
        404: "the service does not know this task (404); it may have expired",
        422: "the service does not accept these settings or this picture (422)",
        429: "too many tasks are running for this account (429); wait until one is done and try again",
    }.get(code, f"the service answered with status {code}; try again later")


def _encoded(pixels: np.ndarray) -> str:
    """uint8 pixels -> PNG in base64."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _decoded(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """A picture file -> (S, S, 3) float32 in [0, 255]."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            height, width = shape[:2]
            if picture.size != (width, height):
                raise HostedError(
                    f"the service returned {picture.width}×{picture.height} pixels for a square of {width}×{height}"
                )
            return np.asarray(picture.convert("RGB"), np.float32)
    except HostedError:
        raise
    except Exception as error:  # a broken file can raise nearly anything
        raise HostedError("the service returned a picture that cannot be read; try again") from error
