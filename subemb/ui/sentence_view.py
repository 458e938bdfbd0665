"""The page Assignments, a typed sentence: token by token as coloured blocks."""

import numpy as np
import streamlit as st

from ..format import count_text
from .pages.assignments.views import Assignment, block_legend
from .shell.text import counted, write_parameter
from .widgets.blocks import rows_that_fit
from .widgets.charts import download_csv
from .widgets.sentence_inputs import cut, say_cut, take_up

LONGEST_SENTENCE = 2000  # characters
MOST_ROWS = 128  # tokens of a sentence that are drawn
DEFAULT_SENTENCE = "The king drinks water, and the queen drinks wine."


def read_sentence() -> str:
    """The sentence as typed, cut to LONGEST_SENTENCE characters, and written to the URL."""
    take_up({"sentence_text": ("sentence", DEFAULT_SENTENCE)}, LONGEST_SENTENCE)
    # Not bound to the URL by Streamlit: a pasted book would go there before anybody could cut it.
    text = st.text_area(
        "Sentence",
        key="sentence_text",
        height=90,
        on_change=cut,
        args=("sentence_text", LONGEST_SENTENCE),
        persist_state="session",
        help=f"Up to {count_text(LONGEST_SENTENCE)} characters. Ctrl+Enter draws it.",
    )
    write_parameter("sentence", None if text == DEFAULT_SENTENCE else text)
    say_cut("sentence_text", LONGEST_SENTENCE)
    return text


def sentence_ids(model, text: str) -> list[int]:
    """Token ids of a sentence with the model's special tokens, not cut to the model's longest input."""
    with model.tokenizer_lock:
        return list(model.tokenizer(text, add_special_tokens=True, truncation=False, verbose=False)["input_ids"])


def sentence_view(assignment: Assignment) -> None:
    """A typed sentence, token by token."""
    model = assignment.frame.model
    if not model.has_tokenizer:
        st.info("This model comes without a tokenizer, so a sentence cannot be cut into tokens.", icon=":material/info:")
        return
    text = read_sentence()
    if not text.strip():
        st.info("Type a sentence to see its tokens as blocks.", icon=":material/edit:")
        return
    ids = sentence_ids(model, text)
    known = [i for i in ids if i < len(assignment.codes)]
    shown = known[: min(MOST_ROWS, rows_that_fit(assignment.subspaces))]
    if not shown:
        st.info("The tokenizer makes no token of this text.", icon=":material/info:")
        return
    if len(known) < len(ids):
        st.warning(
            f"Left out, since the table has no row for them: {counted(len(ids) - len(known), 'token')}.",
            icon=":material/warning:",
        )
    part = f"the first {len(shown)} of {count_text(len(known))} tokens" if len(shown) < len(known) else f"{len(shown)} tokens"
    repeated = len(shown) - len(set(shown))
    st.markdown(
        f"Drawn: **{part}**, with the model's special tokens"
        + (f"; {repeated} of them repeat an earlier one." if repeated else ".")
        + f" {_reuse_text(assignment, shown)}"
    )
    block_legend(assignment, compared=False)
    assignment.draw(assignment.rows(shown, [f"#{i}" for i in shown]), f"{part[0].upper()}{part[1:]}, in order")
    table = assignment.facts(shown)
    table.insert(0, "position", np.arange(len(shown)))
    table = assignment.with_codes(table)
    with st.expander(f"Table behind this drawing ({counted(len(table), 'row')})"):
        st.dataframe(table, hide_index=True, key="sentence_table", alt="Tokens of the sentence with their codes")
        download_csv(table, "subemb-sentence.csv", key="sentence_download")


def _reuse_text(assignment: Assignment, ids: list[int]) -> str:
    """How much the tokens of a sentence share, in words."""
    different = sorted(set(ids))
    if len(different) < 2:
        return ""
    codes = assignment.codes[different]
    distinct = sum(len(np.unique(codes[:, i])) for i in range(codes.shape[1]))
    total = codes.size
    if distinct == total:
        return f"Its {len(different)} different tokens share no block."
    return f"Its {len(different)} different tokens have {total} blocks, of which {distinct} are different."
