"""``subemb models``: what can be loaded without a download."""

import argparse
import json
from dataclasses import asdict


def add(commands) -> None:
    command = commands.add_parser(
        "models",
        help="list the models at hand",
        description="List the models at hand: the bundled one, those under SUBEMB_MODELS, and the Hugging Face cache.",
    )
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """List what can be loaded without a download."""
    from ..models.catalogue import available_models
    from .text import models_text

    entries = available_models()
    print(json.dumps([asdict(entry) for entry in entries], indent=2, default=str) if given.json else models_text(entries))
    return 0
