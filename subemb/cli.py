"""The ``subemb`` command: the same work as the pages, without a browser.

Exit codes: 0 done; 2 something given cannot be used (one line on stderr says what, why and what to do instead);
130 stopped with Ctrl-C; 141 whoever read the output went away; 1 a defect of subemb (one line too; SUBEMB_TRACEBACK=1 shows where).

Every command is a module of :mod:`subemb.commands` with ``add(commands)``, which declares its arguments, and ``run(given)``,
which does it and returns an exit code. Anything slow to import is imported by the command that needs it.
"""

import argparse
import os
import sys
import traceback
from typing import NoReturn

from . import __version__
from .base.errors import Cancelled, InputError
from .base.files import shown_path
from .base.pace import SLEEPING_THREADS
from .commands import (
    adapt,
    app,
    bench,
    compare,
    compress,
    evaluate,
    export,
    inspect,
    models,
    presets,
    reproduce,
    runs,
    sweep,
    train_head,
    train_masked_head,
)
from .commands.terminal import plain_stream, safe_streams

COMMANDS = (
    app, models, presets, compress, adapt, evaluate, export, train_head, train_masked_head, inspect, sweep, reproduce,
    runs, compare, bench,
)  # fmt: skip
DEFECT, BAD_INPUT, INTERRUPTED, READER_GONE = 1, 2, 130, 141


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like every other error of the command."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; ``arguments`` default to those of the process. Returns the exit code."""
    with safe_streams():
        try:
            for name, value in SLEEPING_THREADS.items():  # read when torch is imported
                os.environ.setdefault(name, value)
            given = parser().parse_args(arguments)
            code = given.function(given)
            sys.stdout.flush()  # a reader that went away shows here, and not when the interpreter ends
            return code
        except (KeyboardInterrupt, Cancelled):
            return _said("stopped", INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), plain_stream(sys.stdout).fileno())
            return READER_GONE
        except InputError as error:
            return _said(f"subemb: {error}", BAD_INPUT)
        except OSError as error:
            where = f" ({shown_path(error.filename)})" if isinstance(error.filename, str | bytes) else ""
            return _said(f"subemb: {error.strerror or error}{where}; check that the file or disk can be used", BAD_INPUT)
        except MemoryError:
            return _said(
                "subemb: there is not enough memory for this; take a smaller model, or fewer sentences at a time", BAD_INPUT
            )
        except Exception as error:
            if os.environ.get("SUBEMB_TRACEBACK"):
                traceback.print_exc()
            return _said(f"subemb: this is a defect of subemb, not of what you gave: {_defect(error)}", DEFECT)


def _said(message: str, code: int) -> int:
    """Print one line on stderr. Returns the exit code."""
    print(" ".join(message.split()), file=sys.stderr)
    return code


def _defect(error: Exception) -> str:
    """Where a defect shows, for whoever reports it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:300]} ({os.path.basename(last.filename)}:{last.lineno}); SUBEMB_TRACEBACK=1 shows more"


def parser() -> Parser:
    """The whole command line."""
    top = Parser(prog="subemb", description="Compress the token embeddings of a language model, and see what it does.")
    top.add_argument("--version", action="version", version=f"subemb {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for module in COMMANDS:
        module.add(commands)
    return top
