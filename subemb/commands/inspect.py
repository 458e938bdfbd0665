"""``subemb inspect``: single tokens of a saved result."""

import argparse

from ..base.errors import InputError
from .terminal import path_argument, print_json
from .text import inspection_text

FEW = 8  # codes of a token that are listed, unless --all


def add(commands) -> None:
    command = commands.add_parser(
        "inspect",
        help="look at tokens in a saved result",
        description="Show codes, tokens with the same codes, nearest tokens by tuple, and errors of tokens in a saved result.",
    )
    command.add_argument("folder", type=path_argument, metavar="DIR", help="what `subemb compress -o DIR` wrote")
    command.add_argument("tokens", nargs="+", metavar="TOKEN", help="a token as the vocabulary spells or shows it, or #ID")
    command.add_argument("--limit", type=int, default=8, help="tokens listed at most for each code (default 8)")
    command.add_argument("--all", action="store_true", help=f"every code of a token, not only the first {FEW}")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Look at single tokens of a saved result."""
    from ..analysis.inspection import Inspector

    if given.limit < 1:
        raise InputError(f"--limit is {given.limit}; it must be at least 1")
    inspector = Inspector(given.folder)
    found = [inspector.token(i, given.limit) for token in given.tokens for i in inspector.ids(token)]
    if given.json:
        print_json({"facts": inspector.facts, "tokens": found})
    else:
        print(inspection_text(inspector.facts, found, None if given.all else FEW))
    return 0
