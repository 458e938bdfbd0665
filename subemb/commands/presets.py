"""``subemb presets``: three settings to begin with, and what they store for a model."""

import argparse

from ..base.paths import check_can_write
from ..codec.estimates import predicted_size
from ..presets import PRESETS, write_presets
from ..runs import resolved
from .terminal import path_argument, print_json
from .text import ProgressLine, presets_text


def add(commands) -> None:
    command = commands.add_parser(
        "presets",
        help="three settings to begin with",
        description="Three settings to begin with: the paper's, a balanced one and a closer one, with what they store for MODEL.",
    )
    command.add_argument("model", metavar="MODEL", nargs="?", default="all-MiniLM-L6-v2", help="as for `subemb compress`")
    command.add_argument(
        "--write",
        type=path_argument,
        metavar="DIR",
        help="compute them, and write them as the app ships those of its own model",
    )
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """List the presets, or write them."""
    from .. import load

    if given.write is not None:
        check_can_write(given.write)
    with ProgressLine(enabled=not given.json) as progress:
        model = load(given.model, progress=progress)
        if given.write is not None:
            keys = write_presets(model, given.write, progress)
            print(f"written in {given.write}: {', '.join(keys)}")
            return 0
    found = []
    for preset in PRESETS.values():
        settings = resolved(preset.settings, model, None)
        size = predicted_size(settings, model.num_tokens, model.dim, model.parameters)
        found.append((preset, settings, size))
    if given.json:
        print_json(
            [
                {"preset": preset.key, "title": preset.title, "settings": settings.to_dict(), "total_bytes": size.total_bytes}
                for preset, settings, size in found
            ]
        )
    else:
        print(presets_text(found))
    return 0
