"""Sentences that a visitor types: kept between pages, cut where they are too long, and part of the link while they fit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote

import streamlit as st

from ...base.text import count_text
from ..shell.text import is_led_by_address, shortened, write_parameters

LONGEST_LINK = 6000  # bytes of all texts in a link; servers and mail programs cut longer ones
LISTED = 60  # characters of a sentence in a list of examples


def take_up(defaults: Mapping[str, tuple[str, str]], longest: int) -> None:
    """Fill session state on a first visit, and where the address leads: from the link, else with the default.

    defaults: session key -> (name in the link, default text). longest: characters of one text.
    """
    for key, (name, default) in defaults.items():
        is_in_link = len(quote(st.session_state.get(key, ""))) <= LONGEST_LINK  # a longer one never was, and is not lost
        if key not in st.session_state or (is_led_by_address() and (name in st.query_params or is_in_link)):
            put(key, st.query_params.get(name, default), longest)


def put(key: str, text: str, longest: int) -> None:
    """Write a text into session state, as if it had been typed."""
    st.session_state[key] = text
    cut(key, longest)


def cut(key: str, longest: int) -> None:
    """Cut a text to ``longest`` characters, and remember how long it was for :func:`say_cut`."""
    given = st.session_state.get(key)
    if given is None:  # the field went while this was on its way
        return
    st.session_state[f"{key}_given"] = len(given)
    if len(given) > longest:
        st.session_state[key] = given[:longest]


def cutter(keys: Iterable[str], longest: int) -> Callable[[], None]:
    """A callback that cuts all of these."""

    def run() -> None:
        for key in keys:
            cut(key, longest)

    return run


def say_cut(key: str, longest: int, what: str | None = None) -> None:
    """Warn if a text was cut. what: its name, to begin the sentence with, where there are several texts."""
    given = st.session_state.get(f"{key}_given", 0)
    if given > longest:
        number = count_text(given)
        st.warning(
            (f"{number} characters were given" if what is None else f"{what} has {number} characters")
            + f"; the first {count_text(longest)} are kept.",
            icon=":material/content_cut:",
        )


def write_link(texts: Mapping[str, tuple[str, str]]) -> None:
    """Write texts to the URL: name -> (text, default). Defaults are left out; so are all of them if together too long."""
    wanted = {name: text for name, (text, default) in texts.items() if text != default}
    size = sum(len(quote(text)) for text in wanted.values())
    if size > LONGEST_LINK:
        st.caption(
            f"The link of this page does not carry the text: it would need {count_text(size)} bytes, more than "
            f"{count_text(LONGEST_LINK)}."
        )
        wanted = {}
    write_parameters({name: wanted.get(name) for name in texts})


def pair_form(
    form: str,
    keys: Mapping[str, str],
    labels: Sequence[str],
    examples: Sequence[tuple[str, ...]],
    longest: int,
    button: Mapping,
    example_name: Callable[[int], str],
) -> tuple[str, str, bool]:
    """Two sentences to type, or to take from a list of examples, and a button; returns both, and whether it was pressed.

    form: its key; the list has the key ``{form}_example``. keys: session key -> name in the link, of two fields. labels: of
    the fields. examples: (language, first, second, ...); the first one is there on a first visit.
    longest: characters of one sentence. button: arguments of st.form_submit_button. example_name: of a number.
    """
    defaults = dict(zip(keys, examples[0][1:3], strict=True))
    take_up({key: (name, defaults[key]) for key, name in keys.items()}, longest)

    def load() -> None:
        chosen = st.session_state.get(f"{form}_example")
        if chosen is not None:
            for key, text in zip(keys, examples[chosen][1:3], strict=True):
                put(key, text, longest)

    st.selectbox(
        f"Example pairs ({len(examples)}, demonstration material, not a benchmark)",
        range(len(examples)),
        index=None,
        format_func=example_name,
        placeholder=f"{len(examples)} demonstration pairs, or write your own",
        label_visibility="collapsed",  # the result is to be seen without scrolling
        key=f"{form}_example",
        on_change=load,
    )
    with st.form(form, border=False), st.container(horizontal=True, vertical_alignment="bottom", key=f"{form}_inputs"):
        texts = [
            st.text_area(label, key=key, height=68, persist_state="session") for label, key in zip(labels, keys, strict=True)
        ]
        pressed = st.form_submit_button(type="primary", on_click=cutter(keys, longest), **button)
    for key, label in zip(keys, labels, strict=True):
        say_cut(key, longest, f"The {label.lower()}")
    write_link({name: (text, defaults[key]) for (key, name), text in zip(keys.items(), texts, strict=True)})
    return *texts, pressed


def example_text(language: str, first: str, second: str) -> str:
    """How an example pair is listed; not escaped, since a list shows text as it is.

    >>> example_text("en", "A cat sleeps.", "The cat is awake.")
    'en · A cat sleeps. / The cat is awake.'
    """
    return (f"{language} · " if language else "") + f"{on_one_line(first, LISTED)} / {on_one_line(second, LISTED)}"


def on_one_line(text: str, length: int) -> str:
    """The beginning of a text, on one line.

    >>> on_one_line("The cat\\nsits on the mat.", 12)
    'The cat sit…'
    """
    return shortened(" ".join(text.split()), length)
