"""FLUX.1 Fill [pro] at its maker's: a square is sent, a task is waited for, a picture comes back.

The interface is the documented one (docs.bfl.ai): POST /v1/flux-pro-1.0-fill with the header x-key gives `id` and
`polling_url`; that gives `status`, and `result.sample`, an address of the picture that is good for ten minutes.
"""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
from PIL import Image

from moebius.config import REMOVAL_PROMPT, SamplingConfig
from moebius.inpainters.base import Inpainter, Progress

PATH = "/v1/flux-pro-1.0-fill"
STEPS, GUIDANCE = (15, 50), (1.5, 100.0)
"""What the service takes."""
MOST_BYTES = 64 * 2**20
POLL_S = 1.0
"""Between two looks at a task."""


class HostedError(ValueError):
    """The service refused, failed or could not be reached; the message says what to do."""


class HostedFluxInpainter(Inpainter):
    """Sends each square with its mask; the rest of the photo stays here.

    Args:
        key: of the user's account.
        address: of the service.
        patience_s: for one square, from sending to the picture.
        poll_s: between two looks at the task; None: `POLL_S`.
    """

    name = "flux-fill-pro"
    size = 1024

    def __init__(self, key: str, address: str, patience_s: float = 300.0, poll_s: float | None = None):
        self._key, self._address, self._patience_s, self._poll_s = key, address, patience_s, poll_s or POLL_S

    def facts(self) -> dict[str, str | int | None]:
        return {"device": urllib.parse.urlsplit(self._address).hostname}

    def remarks(self) -> tuple[str, ...]:
        return ("Filled by FLUX.1 Fill [pro] at Black Forest Labs: the picture around the hole was sent there.",)

    def fill_square(self, image: np.ndarray, mask: np.ndarray, config: SamplingConfig, generator, progress: Progress):
        for name, value, (low, high) in (
            ("num_inference_steps", config.num_inference_steps, STEPS),
            ("guidance_scale", config.guidance_scale, GUIDANCE),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high} for FLUX.1 Fill [pro], got {value}")
        deadline = time.monotonic() + self._patience_s
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
        progress(0.0, "Sending the picture to Black Forest Labs")
        task = self._json(self._address + PATH, deadline, json.dumps(request).encode())
        where = self._own(task.get("polling_url"))
        while True:
            progress(0.3, "Waiting for Black Forest Labs")
            answer = self._json(where, deadline)
            status = answer.get("status")
            if status == "Ready":
                break
            if status in ("Request Moderated", "Content Moderated"):
                what = "the picture or the prompt" if status == "Request Moderated" else "the result"
                raise HostedError(f"the service's content filter refused {what}; nothing was filled")
            if status not in ("Pending", "Queued", "Processing"):
                raise HostedError(f"the service could not fill the picture: {status or 'no status'}")
            if time.monotonic() + self._poll_s > deadline:
                raise HostedError(f"the service did not finish within {self._patience_s:.0f} s; try again later")
            time.sleep(self._poll_s)
        progress(0.9, "Fetching the result")
        sample = (answer.get("result") or {}).get("sample")
        if not isinstance(sample, str) or not sample.startswith(("https://", "http://")):
            raise HostedError("the service said it was ready but gave no picture")
        return _decoded(self._bytes(urllib.request.Request(sample), deadline), image.shape)

    def _own(self, url: str | None) -> str:
        """The address to poll. The key must not go anywhere but to the service, whose regions are sub-domains."""
        own, other = urllib.parse.urlsplit(self._address), urllib.parse.urlsplit(url or "")
        home = ".".join((own.hostname or "").split(".")[-2:])
        if other.scheme == own.scheme and (other.netloc == own.netloc or (other.hostname or "").endswith(f".{home}")):
            return url
        raise HostedError(
            f"the service named an address that is not its own ({other.hostname}); nothing was sent there"
        )

    def _json(self, url: str, deadline: float, data: bytes | None = None) -> dict:
        headers = {"x-key": self._key, "accept": "application/json", "content-type": "application/json"}
        body = self._bytes(urllib.request.Request(url, data=data, headers=headers), deadline)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise HostedError("the service gave an answer that is no JSON object")
        return answer

    def _bytes(self, request: urllib.request.Request, deadline: float) -> bytes:
        """The body of an answer; every way to fail is one sentence."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise HostedError(f"the service did not finish within {self._patience_s:.0f} s; try again later")
        try:
            with _opener.open(request, timeout=left_s) as answer:
                body = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise HostedError(_refusal(error.code)) from error
        except TimeoutError as error:
            raise HostedError(f"the service did not finish within {self._patience_s:.0f} s; try again later") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                reason = f"no answer within {self._patience_s:.0f} s"
            raise HostedError(f"the service cannot be reached: {reason}") from error
        if len(body) > MOST_BYTES:
            raise HostedError(f"the service's answer is larger than {MOST_BYTES // 2**20} MiB")
        return body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key along."""

    def redirect_request(self, *_) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _refusal(code: int) -> str:
    return {
        401: "the service does not know the key in MOEBIUS_BFL_KEY (401)",
        402: "the account at Black Forest Labs has no credits left (402); add some at https://dashboard.bfl.ai",
        403: "the service does not accept the key in MOEBIUS_BFL_KEY (403)",
        404: "the service does not know this task (404); it may have been too long ago",
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
