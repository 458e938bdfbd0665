"""The page Words in context: how its model is asked, which uses of the table are compressed, and what its views share."""

from dataclasses import dataclass

import streamlit as st

from ....base.text import escape_markdown
from ....evaluate.context.network import CAUSAL
from ...shell.frame import Frame

#: What is compressed -> (input, output).
CHOICES = {"input and output": (True, True), "input": (True, False), "output": (False, True)}


@st.cache_data(max_entries=64, show_spinner=False)
def is_tied(identity: str, head: str, _model) -> bool:
    """Whether a model's head shares the token table; some files have to be compared for it. head: as :attr:`ContextPage.head`."""
    return _model.has_tied_head


@dataclass(frozen=True)
class ContextPage:
    """What the views of the page share."""

    frame: Frame  # of the page
    kind: str  # how the model is asked: MASKED or CAUSAL

    @property
    def model(self):
        return self.frame.model

    @property
    def is_decoder(self) -> bool:
        """Whether the model reads only what stands before a word."""
        return self.kind == CAUSAL

    @property
    def is_tied(self) -> bool:
        """Whether the output uses the table at all, so that there is a choice."""
        return is_tied(self.frame.run.model["identity"], self.head, self.model)

    def choose_tables(self) -> dict:
        """Let the visitor choose what is compressed, where there is a choice; the arguments that jobs take, subject included."""
        chosen = "input"
        if self.is_tied:
            chosen = st.segmented_control(
                "Compressed",
                list(CHOICES),
                default="input and output",
                required=True,
                key="tables",
                bind="query-params",
                persist_state="session",
                label_visibility="collapsed",
                help="What is compressed. The table is used twice: at the input it turns tokens into vectors, and at the output the same "
                "table turns a vector into a score for every token.",
            )
        input, output = CHOICES[chosen]
        return {"subject": self.frame.compared, "input": input, "output": output, "head": self.head}

    @property
    def head(self) -> str:
        """What tells the head apart that gives the numbers, where it was trained here."""
        return self.model.head_digest(self.kind)

    def notes(self) -> None:
        """What a reader of the numbers should know about the head that made them; nothing for most models."""
        if not self.is_tied:
            st.caption(
                "The head of this model has a table of its own, so only the input is compressed; the output is unchanged."
            )
        if note := self.model.head_note(self.kind):
            st.caption(escape_markdown(note))


def bold(token: str) -> str:
    """A token in a sentence of markdown; in quotes, as it may be a full stop."""
    return f"“**{escape_markdown(token)}**”"
