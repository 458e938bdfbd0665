"""``subemb models``: what can be loaded without a download."""

import argparse
from dataclasses import asdict

from ..models.catalogue import available_models
from .terminal import print_json
from .text import models_text


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
    entries = available_models()
    print_json([asdict(entry) for entry in entries]) if given.json else print(models_text(entries))
    return 0
