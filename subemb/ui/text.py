"""Errors on a page: what is wrong, in words, and never a traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ..errors import InputError
from ..tokens import escape_markdown

log = logging.getLogger(__name__)


def show_error(message: str) -> None:
    """An error box; the message may hold anything a stranger wrote."""
    st.error(escape_markdown(message), icon=":material/error:")


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(30522, "row")
    ('1 row', '30,522 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


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
        log.exception("a page failed")
        show_error(
            f"Something went wrong inside subemb ({type(error).__name__}); this is a defect, and the server's log has the "
            "details. What was computed before is still there."
        )
