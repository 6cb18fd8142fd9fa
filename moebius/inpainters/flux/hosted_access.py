"""Whether FLUX.1 Fill [pro], which runs at its maker's, is turned on, and with which key. Nothing is sent from here."""

from __future__ import annotations

import os

SWITCH, KEY, ADDRESS = "MOEBIUS_HOSTED", "MOEBIUS_BFL_KEY", "MOEBIUS_BFL_ADDRESS"
DEFAULT_ADDRESS = "https://api.bfl.ai"


def why_off() -> str:
    """What is missing before pictures may be sent; empty: it is on."""
    if os.environ.get(SWITCH) != "1":
        return f"it sends pictures to Black Forest Labs and is off; to turn it on set {SWITCH}=1 and {KEY} to your key"
    return "" if key() else f"{KEY} is not set; make a key at https://dashboard.bfl.ai"


def key() -> str:
    return os.environ.get(KEY, "").strip()


def address() -> str:
    """Of the service, without a slash at the end."""
    return (os.environ.get(ADDRESS) or DEFAULT_ADDRESS).rstrip("/")
