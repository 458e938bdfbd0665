"""The page Masked words: which uses of the table are compressed, and what its views share."""

from dataclasses import dataclass

import streamlit as st

from ...shell.frame import Frame

#: What is compressed -> (input, output).
CHOICES = {"input and output": (True, True), "input": (True, False), "output": (False, True)}


@st.cache_data(max_entries=64, show_spinner=False)
def is_tied(identity: str, _model) -> bool:
    """Whether a model's head shares the token table; some files have to be compared for it."""
    return _model.has_tied_head


@dataclass(frozen=True)
class MaskedPage:
    """What the views of the page share."""

    frame: Frame  # of the page
    input: bool  # whether the compressed sides read tokens with the compressed table
    output: bool  # whether they give scores to tokens with it
    is_tied: bool  # whether the output uses the table at all, so that there is a choice

    @property
    def model(self):
        return self.frame.model

    @property
    def settings(self) -> dict:
        """The arguments that every job of this page takes."""
        return {"subject": self.frame.subject, "input": self.input, "output": self.output}


def choose_tables(frame: Frame) -> MaskedPage:
    """Let the visitor choose what is compressed, where there is a choice."""
    tied = is_tied(frame.run.model["identity"], frame.model)
    chosen = "input"
    if tied:
        chosen = st.segmented_control(
            "Compressed",
            list(CHOICES),
            default="input and output",
            required=True,
            key="tables",
            bind="query-params",
            persist_state="session",
            help="The table is used twice: it turns tokens into vectors at the input, and at the output the same table, as the "
            "masked-word head, turns a vector into a score for every token.",
        )
    else:
        st.caption(
            "The masked-word head of this model has a table of its own, so only the input is compressed; the output is unchanged."
        )
    return MaskedPage(frame, *CHOICES[chosen], tied)


def capitalized(name: str) -> str:
    """A name as the first word of a sentence; not escaped."""
    return name[:1].upper() + name[1:]
