"""Words on a page and in its address: errors and never a traceback, counts, shortened texts, parameters of the URL."""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ...base.errors import InputError
from ...base.files import given_path
from ...base.open_server import defect_text, is_public, reference
from ...base.paths import app_folder
from ...base.text import escape_markdown

log = logging.getLogger(__name__)
_UNIT = re.compile(r"(\d) (\\?%|[kMGT]?B\b)")
_FILE = re.compile(r".*\.[A-Za-z0-9]{1,8}( and \d+ more files)?", re.DOTALL)


def show_error(message: str) -> None:
    """An error box; the message may hold anything a stranger wrote. Where things lie on the server is not said."""
    st.error(escape_markdown(without_folders(message)), icon=":material/error:")


def without_folders(message: str) -> str:
    """A message whose paths begin below the folders of this server: its visitors learn which file it is about, and no more.

    >>> without_folders(f"{Path.home()}/models/bert/config.json is damaged")
    'models/bert/config.json is damaged'
    """
    for folder in sorted(_server_folders(), key=len, reverse=True):
        name, sep = Path(folder).name, re.escape(os.sep)
        whole = re.compile(rf"(?<![\w./\\-]){re.escape(folder)}(?:({sep})|(?![\w.-]))")
        message = whole.sub(lambda found, name=name: "" if found[1] else name, message)
    return message


def _server_folders() -> set[str]:
    """Folders whose names are nobody's business, as they are written and as links lead to them."""
    named = [os.environ.get(name) for name in ("SUBEMB_CACHE", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")]
    named += os.environ.get("SUBEMB_MODELS", "").split(os.pathsep)
    named += [sys.prefix, tempfile.gettempdir(), os.getcwd(), str(Path.home()), str(app_folder())]
    given = set()
    for folder in filter(None, named):
        with suppress(InputError):  # what can be no folder is nowhere
            given.add(given_path(folder))
    both = given | {folder.resolve() for folder in given}
    return {str(folder) for folder in both if folder.is_absolute() and folder != Path(folder.anchor)}


def unbroken(text: str) -> str:
    """A text, escaped as markdown or not, whose numbers stay on the line of their units.

    >>> unbroken("234 kB, 0.5 % of 10 rows").split(" ")
    ['234\\xa0kB,', '0.5\\xa0%', 'of', '10', 'rows']
    """
    return _UNIT.sub("\\1\u00a0\\2", text)


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(30522, "row")
    ('1 row', '30,522 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters of a text.

    >>> shortened("abcdef", 4), shortened("abc", 4)
    ('abc…', 'abc')
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def public_name(name: str) -> str:
    """What others may be told of a text or of labelled pairs: not the name of somebody's file.

    >>> public_name("Demonstration set"), public_name("nyu-mll/glue"), public_name("complaints of B. Smith.csv")
    ('Demonstration set', 'nyu-mll/glue', 'a file')
    """
    return "a file" if _FILE.fullmatch(name) else name


def is_other(asked: str, used: object) -> bool:
    """Whether a widget has another value than a link asked for; a link writes it as the widget shows it.

    >>> [is_other("999", 10), is_other("1,000", 1000), is_other("true", True), is_other("all", 0), is_other("x", "Token")]
    [True, False, False, False, True]
    """
    if isinstance(used, bool):
        return asked.lower() != str(used).lower()
    if isinstance(used, int | float):
        try:
            return float(asked.removeprefix("all ").replace(",", "")) != used
        except ValueError:
            return not asked.endswith(f"#{used}") and not (asked == "all" and not used)
    if used is None:
        return asked not in ("", "all")
    return isinstance(used, str) and used not in asked  # a label may say more than the value


def is_led_by_address() -> bool:
    """Whether the browser went back or forward, or along a link of the page: then what the address says counts, and not what was there."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


def write_parameter(name: str, value: str | None) -> None:
    """Set a parameter of the URL, or take it out (None)."""
    write_parameters({name: value})


def write_parameters(values: Mapping[str, str | None]) -> None:
    """Set parameters of the URL, or take them out (None), in one step: every address on the way there would be one to go back to."""
    changed = {name: value for name, value in values.items() if st.query_params.get(name) != value}
    if not changed:
        return
    # A parameter without values is not in the address any more, and taking it out then changes nothing.
    st.query_params.update({name: [] if value is None else value for name, value in changed.items()})
    for name, value in changed.items():
        if value is None:
            del st.query_params[name]


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn exceptions of the body into an error box, so that the rest of the page still appears.

    An InputError is shown as it is; anything else is a defect: logged in full, and shown as one plain sentence.
    """
    try:
        yield
    except InputError as error:
        show_error(str(error))
    except Exception as error:
        if is_public():
            number = reference()
            log.exception("a page failed (%s)", number)
            show_error(defect_text(number))
            return
        log.exception("a page failed")
        show_error(
            f"Something went wrong inside subemb ({type(error).__name__}); this is a defect, and the server's log has the "
            "details. What was computed before is still there."
        )
