"""Whether FLUX.1 Fill [pro], which runs at its maker's, is turned on, and with which key. Nothing is sent from here."""

from __future__ import annotations

from moebius import environment


def why_off() -> str:
    """What is missing before pictures may be sent; empty: it is on.

    Raises:
        VariableError: MOEBIUS_HOSTED is neither 1 nor 0.
    """
    switch, key = environment.HOSTED, environment.BFL_KEY
    if not switch.read():
        return f"it sends pictures to Black Forest Labs and is off; to turn it on set {switch}=1 and {key} to your key"
    return "" if key.read() else f"{key} is not set; make a key at https://dashboard.bfl.ai"


def key() -> str:
    return environment.BFL_KEY.read()


def address() -> str:
    """Of the service, without a slash at the end."""
    return environment.BFL_ADDRESS.read().rstrip("/")
