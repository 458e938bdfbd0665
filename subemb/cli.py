"""The ``subemb`` command: the same work as the pages, without a browser.

Exit codes: 0 done; 2 something given cannot be used (one line on stderr says what, why and what to do instead);
130 stopped with Ctrl-C; 141 whoever read the output went away; 1 a defect of subemb (with its traceback).

Every command is a module of :mod:`subemb.commands` with ``add(commands)``, which declares its arguments, and ``run(given)``,
which does it and returns an exit code. Anything slow to import is imported by the command that needs it.
"""

import argparse
import os
import sys
from typing import NoReturn

from . import __version__
from .base.errors import Cancelled, InputError
from .base.pace import SLEEPING_THREADS
from .commands import adapt, app, bench, compress, evaluate, export, inspect, models, train_head

COMMANDS = (app, models, compress, adapt, evaluate, export, train_head, inspect, bench)
BAD_INPUT, INTERRUPTED, READER_GONE = 2, 130, 141


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; ``arguments`` default to those of the process. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a token that the terminal cannot show must not end the command
            stream.reconfigure(errors="backslashreplace")
    for name, value in SLEEPING_THREADS.items():  # read when torch is imported
        os.environ.setdefault(name, value)
    given = parser().parse_args(arguments)
    try:
        code = given.function(given)
        sys.stdout.flush()  # a reader that went away shows here, and not when the interpreter ends
        return code
    except (KeyboardInterrupt, Cancelled):
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except InputError as error:
        print(f"subemb: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"subemb: {error.strerror or error}{where}; check that the file or disk can be used", file=sys.stderr)
        return BAD_INPUT


def parser() -> Parser:
    """The whole command line."""
    top = Parser(prog="subemb", description="Compress the token embeddings of a language model, and see what it does.")
    top.add_argument("--version", action="version", version=f"subemb {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for module in COMMANDS:
        module.add(commands)
    return top
