"""What the page says about models and results, as HTML. Pure functions; whatever comes from outside is escaped."""

from __future__ import annotations

import re
from html import escape
from importlib.util import find_spec

from moebius import environment, registry

HEADER = """
<div class="title"><svg viewBox="0 0 48 24" aria-hidden="true"><path d="M24 12C19 5 15.5 3.5 12 3.5a8.5 8.5 0 0 0 0 17
c3.5 0 7-1.5 12-8.5s8.5-8.5 12-8.5a8.5 8.5 0 0 1 0 17c-3.5 0-7-1.5-12-8.5z"/></svg>
<h1>Moebius</h1><p>Paint over something in a photo, and it is gone. Everything else stays as it is.</p></div>
"""

PATH = re.compile(r"(?<![\w:/\\.~])(?:[A-Za-z]:|~)?[/\\](?:[^\s/\\,;:'\"()<>]+[/\\])*(?=[^\s/\\,;:'\"()<>])")
"""The folders of an absolute path, not the last part; no address of the web."""


def without_folders(text: str) -> str:
    """A message as strangers may read it: of each path on this computer only the last part."""
    return PATH.sub("", text)


def prose(text: str) -> str:
    """Plain words as HTML: `code` and addresses marked up."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"https://[\w./~%#?=&;-]*[\w/]", r'<a href="\g<0>" target="_blank" rel="noopener">\g<0></a>', text)


def can_fetch_weights(card: registry.ModelCard, options: registry.LoadOptions) -> bool:
    """Whether the page can get this model's weights: they are absent, and no folder was named for them.

    On a Space that is its host's decision, not that of strangers.
    """
    return (
        not environment.SPACE_ID.read()
        and card.network is not None
        and card.folder(options) is None
        and installed(card)
        and not card.availability(options).can_run
    )


def installed(card: registry.ModelCard) -> bool:
    """Whether the packages that a model needs can be imported."""
    return all(find_spec(package) for package in card.packages)


def state(card: registry.ModelCard, options: registry.LoadOptions) -> str:
    """In a few words, whether a model can run here."""
    if card.availability(options).can_run:
        return "the picture leaves this computer" if card.hosted else "runs here"
    if card.hosted:
        return "off"
    return "its weights are not here" if installed(card) else "not installed"


def billions(parameters: int) -> str:
    """11.9 billion, 226 million, 12,345."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f} billion"
    return f"{parameters / 1e6:.0f} million" if parameters >= 1e6 else f"{parameters:,}"
