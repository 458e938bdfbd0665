"""Choosing one token of a vocabulary: a text field, and a list where several match. The choice is in the URL."""

import numpy as np
import streamlit as st

from ...base.text import escape_markdown
from ...models.vocabulary import Vocabulary

DEFAULT_TOKENS = ("king", "water", "the")  # the first that the vocabulary has is shown at first


def default_token(vocabulary: Vocabulary) -> int:
    """A token to start with: a common word, or else the first whole word."""
    for word in DEFAULT_TOKENS:
        found = vocabulary.search(word, 10, mode="exact")
        if found:  # the word itself before a piece that is spelled alike
            return min(found, key=lambda i: vocabulary.kinds[i] != "whole word")
    words = np.flatnonzero(vocabulary.kinds == "whole word")
    return int(words[0]) if len(words) else 0


def choose_token(vocabulary: Vocabulary, elsewhere: str = "", beside: bool = True) -> int | None:
    """Returns a token id, or None with the reason shown.

    elsewhere: what to do about a word that is no token, in markdown. beside: both fields in one line.
    """
    left, right = st.columns(2) if beside else (st.container(), st.container())
    query = left.text_input(
        "Find a token",
        key="token",
        bind="query-params",
        persist_state="session",
        max_chars=200,
        placeholder="a word, or #123 for row 123",
        help="Case does not matter. #123 finds row 123 of the table.",
    )
    if not query.strip():
        chosen = default_token(vocabulary)
        right.text_input("Matches", f"{vocabulary.display[chosen]}  ·  #{chosen}", disabled=True, key="token_default")
        return chosen
    found = vocabulary.search(query, 200)
    if not found:
        st.info(
            f"No token of this model contains {escape_markdown(query)}. Long or rare words are written with several tokens"
            f"{elsewhere or '.'}",
            icon=":material/search_off:",
        )
        return None
    # The label is what the URL holds, so the id makes it unique.
    return right.selectbox(
        f"Matches ({len(found)}{', the first 200' if len(found) == 200 else ''})",
        found,
        format_func=lambda i: f"{vocabulary.display[i]}  ·  #{i}",
        key="match",
        bind="query-params",
    )
