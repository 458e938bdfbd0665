"""Masked words: what a language model puts in the place of a mask, with the original and with the compressed table."""

import streamlit as st

from ....base.open_server import is_public
from ....base.text import count_text, escape_markdown
from ....evaluate.context.fill import HUB_MODELS, models_with_masked_head
from ...shell.frame import Frame, page
from ...shell.models import listed_models
from ...shell.sidebar import write_hub_id
from ...widgets.adapted_side import adapted_side
from .sentence import sentence_view
from .tables import choose_tables
from .text import text_view

PAGE = "pages/6_Words_in_context.py"
MOST_LISTED = 20  # models to choose from
VIEWS = {"A sentence": sentence_view, "Text": text_view}


def lead_here() -> None:
    """Lead an old address to the page, with all of its parameters."""
    st.switch_page(PAGE, query_params=st.query_params.to_dict())


def draw() -> None:
    """The page."""
    frame = page(
        "Words in context",
        "Hide a word, and a masked language model guesses it from the words around. See its best guesses with the original table and "
        "with the compressed one, and how well it guesses every token of a text.",
    )
    with frame.errors():
        if frame.run is None:
            return
        if not frame.model.has_head("masked"):
            explain_no_head(frame)
            return
        adapted_side(frame)
        frame.tabs(VIEWS, "masked_view", choose_tables(frame))


# Where the model has no masked-word head


def explain_no_head(frame: Frame) -> None:
    """Why no word can be masked with this model, and which models can be chosen or downloaded instead."""
    st.info(
        f"**{escape_markdown(frame.run.model['name'])}** has no masked-word head: it turns text into vectors, and its files hold no "
        "weights that turn a vector back into probabilities of words. subemb does not invent such weights. Choose one of the "
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
    if not offered or is_public():
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
    frame.visit.model_to_choose = name
    frame.visit.notice = (
        f"{escape_markdown(name)} is chosen in the sidebar. Press **Run** there, then this page can mask words."
    )
