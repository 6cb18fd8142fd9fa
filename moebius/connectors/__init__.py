"""The page's other doors: HTTP as programs for photographers speak it, on the page's port and in its queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from moebius.ui.launch import Address


def front_of(address: Address, weights: Path | None) -> Callable[[ASGIApp], ASGIApp] | None:
    """What puts the connectors in front of a page that is served at `address`; None where they are not served.

    Args:
        weights: as `registry.LoadOptions.weights`.

    Raises:
        ValueError: a variable holds something that it may not.
    """
    from moebius import environment
    from moebius.connectors import guard

    local = guard.is_local(address.listens_on, address.share)
    named = guard.named_origins(environment.CONNECTOR_ORIGINS.read())
    if not guard.is_open(local):
        return None
    from moebius.connectors.app import Front, build
    from moebius.registry import LoadOptions

    app, steps = build(LoadOptions(weights=weights), address.max_waiting)
    return lambda page: Front(page, app, steps, guard.Guard(local=local, named=named))
