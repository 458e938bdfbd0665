"""The page Masked words: what its two views share."""

from dataclasses import dataclass

import streamlit as st

from ....tasks.sides import Subject
from ...shell.frame import Frame
from ...shell.work import subject_of

#: what is compressed -> (input, output)
CHOICES = {"input and output": (True, True), "input": (True, False), "output": (False, True)}


@dataclass(frozen=True)
class MaskedPage:
    """What the views share. input, output: which tables the compressed sides use. is_tied: whether there is a choice."""

    frame: Frame
    subject: Subject
    input: bool
    output: bool
    is_tied: bool

    @property
    def model(self):
        return self.frame.model

    @property
    def content(self) -> tuple:
        """For keys of jobs: what decides every result of this page."""
        return (*self.subject.content, self.input, self.output)

    @property
    def settings(self) -> dict:
        """The arguments that every job of this page takes."""
        return {"subject": self.subject, "input": self.input, "output": self.output}


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
            "The masked-word head of this model has a table of its own, so only the input is compressed; the output stays as it was."
        )
    return MaskedPage(frame, subject_of(frame), *CHOICES[chosen], tied)


@st.cache_data(max_entries=64, show_spinner=False)
def is_tied(identity: str, _model) -> bool:
    """Whether a model's head shares the token table; some files have to be compared for it."""
    return _model.has_tied_head


def capitalized(name: str) -> str:
    """A name as it stands at the beginning of a sentence; not escaped."""
    return name[:1].upper() + name[1:]
