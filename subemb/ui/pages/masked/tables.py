"""The page Masked words: which uses of the table are compressed, and what to do with a model that cannot mask words."""

from dataclasses import dataclass

import streamlit as st

from ....base.text import count_text, escape_markdown
from ....evaluate.masked.fill import HUB_MODELS, models_with_masked_head
from ...shell.frame import Frame
from ...shell.models import listed_models
from ...shell.sidebar import write_hub_id

#: what is compressed -> (input, output)
CHOICES = {"input and output": (True, True), "input": (True, False), "output": (False, True)}


@st.cache_data(max_entries=64, show_spinner=False)
def is_tied(identity: str, _model) -> bool:
    """Whether a model's head shares the token table; some files have to be compared for it."""
    return _model.has_tied_head


@dataclass(frozen=True)
class MaskedPage:
    """What the views share."""

    frame: Frame
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
            "The masked-word head of this model has a table of its own, so only the input is compressed; the output stays as it was."
        )
    return MaskedPage(frame, *CHOICES[chosen], tied)


def capitalized(name: str) -> str:
    """A name as it stands at the beginning of a sentence; not escaped."""
    return name[:1].upper() + name[1:]


MOST_LISTED = 20


def explain_no_head(frame: Frame) -> None:
    """Why no word can be masked with this model, and which models can be chosen or downloaded instead."""
    st.info(
        f"**{escape_markdown(frame.run.model['name'])}** has no masked-word head: it turns text into vectors, and its files hold no "
        "weights that turn a vector back into probabilities of words. subemb does not make such weights up. Choose one of the "
        "models below, and press **Run** in the sidebar.",
        icon=":material/visibility_off:",
    )
    entries = models_with_masked_head(listed_models())
    st.subheader("On this computer", anchor=False)
    if not entries:
        st.caption("None of the models here has one. Put a checkpoint into a folder that SUBEMB_MODELS names, or download one.")
    for number, entry in enumerate(entries[:MOST_LISTED]):
        _line(
            entry.name,
            f"{count_text(entry.vocabulary)} tokens × {entry.dim}",
            "Choose",
            ":material/check:",
            f"masked_choose_{number}",
            lambda name=entry.name: _choose(frame, name),
        )
    if len(entries) > MOST_LISTED:
        st.caption(f"{MOST_LISTED} of {len(entries)} are listed; the others are in the sidebar.")
    _hub_models(frame, {entry.name for entry in entries})


def _hub_models(frame: Frame, here: set[str]) -> None:
    """Well-known ids; a button writes one into the sidebar's download form and fetches nothing."""
    offered = [model for model in HUB_MODELS if model.name not in here]
    if not offered:
        return
    st.subheader("On Hugging Face", anchor=False)
    st.caption(
        "The button writes an id into the sidebar; nothing is fetched before **Download** is pressed there. Any other model whose "
        "architecture ends in ForMaskedLM will do, such as MPNet or an ELECTRA generator, if it has safetensors."
    )
    for number, model in enumerate(offered):
        _line(
            model.name,
            model.languages,
            "Write into the sidebar",
            ":material/edit:",
            f"masked_download_{number}",
            lambda name=model.name: write_hub_id(frame.visit, name),
        )


def _line(name: str, facts: str, label: str, icon: str, key: str, action) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", border=True):
        st.markdown(f"**{escape_markdown(name)}**  \n{escape_markdown(facts)}")
        st.button(label, icon=icon, key=key, on_click=action, help=f"{label}: {escape_markdown(name)}")


def _choose(frame: Frame, name: str) -> None:
    frame.visit.downloaded = name
    frame.visit.notice = (
        f"{escape_markdown(name)} is chosen in the sidebar. Press **Run** there, then this page can mask words."
    )
