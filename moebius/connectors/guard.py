"""Who may call: programs, and web pages of this server or of origins that were named.

A server on one's own computer can be reached by every web page that is open in its browser. Two things tell them
from programs: a browser sends `Origin` (and `Sec-Fetch-Site`), and a page that was served under another name still
sends that name as `Host`, also where the name was made to point here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from moebius import environment

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this computer, for itself only."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Decides by Host and Origin who may call."""

    local: bool
    """Only this computer can reach the server, so that no other name of it is right."""
    named: frozenset[str] = frozenset()
    """Origins such as https://example.org whose pages may call."""

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused; None: it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.local and hostname(host) not in LOOPBACK:
            return f"this server answers to localhost and 127.0.0.1 only, not to {host!r}"
        if origin is None:
            elsewhere = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
            return _refused("another site") if elsewhere else None
        if self.is_named(origin) or urlsplit(origin).netloc == host != "":
            return None
        return _refused(origin)

    def is_named(self, origin: str | None) -> bool:
        """Whether the host has allowed this origin."""
        return origin in self.named


def _refused(origin: str) -> str:
    return f"web pages of {origin} may not call this server; name their origin in {environment.CONNECTOR_ORIGINS}"


def hostname(host: str) -> str:
    """Of a `Host` header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_local(host: str, share: bool) -> bool:
    """Whether only this computer reaches a server that listens on `host`."""
    return host in LOOPBACK and not share and not environment.SPACE_ID.read()


def is_open(local: bool) -> bool:
    """Whether the connectors are served: MOEBIUS_CONNECTORS, else only where nobody else can reach them."""
    chosen = environment.CONNECTORS.read()
    return local if chosen == "" else chosen == "1"


def named_origins(text: str) -> frozenset[str]:
    """The origins of MOEBIUS_CONNECTOR_ORIGINS. ValueError for one that is none."""
    return frozenset(_checked(text.split()))


def _checked(origins: Iterable[str]) -> Iterable[str]:
    for origin in origins:
        parts = urlsplit(origin)
        if not parts.scheme or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(
                f"{environment.CONNECTOR_ORIGINS} must be origins such as https://example.org, with spaces between "
                f"them, not {origin!r}"
            )
        yield origin
