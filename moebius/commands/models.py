"""`python -m moebius models`: all models, and whether each can run here."""

from __future__ import annotations

import argparse
from pathlib import Path

from moebius import registry
from moebius.commands import arguments
from moebius.units import file_size
from moebius.weights import WeightsError, catalog, locate


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "models",
        help="list every model, and whether it can run here",
        description="List every model with its licence and size, and say whether it can run here, and if not, why.",
    )
    arguments.add_weights(parser)
    arguments.add_json(parser)
    parser.set_defaults(command=run, describe=describe)


def run(options: argparse.Namespace) -> dict:
    """All models, and whether each can run here; nothing is loaded."""
    load_options = arguments.load_options(options, allow_download=False)
    cards = []
    for card in registry.MODELS.values():
        state = card.availability(load_options)
        cards.append(
            {
                "name": card.name,
                "title": card.title,
                "can_run": state.can_run,
                "reason": state.reason,
                "weights": state.weights,
                "parameters": card.parameters,
                "download_bytes": card.download_bytes,
                "variants": list(catalog.VARIANTS) if card.network else [],
                "license": card.license,
                "notice": card.notice,
                "source": card.source,
            }
        )
    return {"models": [*cards, _selector(load_options.weights)]}


def _selector(weights: Path | None) -> dict:
    """The entry of the network that selects objects; its weights are downloaded and named in the same way."""
    try:
        where = locate.locate(weights=locate.segmenter_folder(weights), network="select").where
        state = {"can_run": True, "reason": "its weights are here", "weights": where}
    except WeightsError as error:
        state = {"can_run": False, "reason": str(error), "weights": catalog.SEGMENTER.source}
    return {
        "name": "select",
        "title": f"{catalog.SEGMENTER.title}, which selects objects",
        **state,
        "parameters": catalog.SEGMENTER.parameters,
        "download_bytes": catalog.SEGMENTER.download_bytes,
        "variants": [],
        "license": catalog.SEGMENTER.license,
        "notice": "",
        "source": catalog.SEGMENTER.source,
    }


def describe(report: dict) -> str:
    blocks = []
    for card in report["models"]:
        size = "nothing to download"
        if card["parameters"]:
            size = f"{card['parameters'] / 1e6:,.1f} M parameters, download about {file_size(card['download_bytes'])}"
        lines = [
            f"{card['name']}: {'can run here' if card['can_run'] else 'cannot run here'}; {card['reason']}",
            f"  size      {size}",
            f"  weights   {card['weights']}" if card["weights"] else "",
            f"  variants  {', '.join(card['variants'])}" if card["variants"] else "",
            f"  licence   {card['license']}",
            f"  note      {card['notice']}" if card["notice"] else "",
            f"  source    {card['source']}",
        ]
        blocks.append("\n".join(line for line in lines if line))
    return "\n\n".join(blocks)
