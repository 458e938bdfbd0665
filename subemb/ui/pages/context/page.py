"""Words in context: what a language model puts into a gap, and how well it guesses a text, with the original and the compressed table."""

import streamlit as st

from ....base.open_server import is_public
from ....base.text import count_text, escape_markdown
from ....evaluate.context.fill import HUB_MODELS, models_with_words
from ....evaluate.context.network import MASKED, kind_of
from ...shell.frame import Frame, page
from ...shell.models import listed_models
from ...shell.pages import PAGES
from ...shell.sidebar import write_hub_id
from ...widgets.adapted_side import adapted_side
from ...widgets.other_side import other_side
from .asked import ContextPage
from .sentence import sentence_view
from .text import text_view
from .uses import uses_view

TITLE = "Words in context"
MOST_LISTED = 20  # models to choose from
VIEWS = {"A sentence": sentence_view, "Text": text_view, "Input or output": uses_view}


def lead_here() -> None:
    """Lead an old address to the page, with all of its parameters."""
    st.switch_page(PAGES[TITLE].file, query_params=st.query_params.to_dict())


def draw() -> None:
    """The page."""
    frame = page(
        TITLE,
        "Hide a word, and a masked language model guesses it from the words around; a decoder guesses what comes next. See the best "
        "guesses with the original table and with the compressed one, and how well each side guesses every token of a text.",
    )
    with frame.errors():
        if frame.run is None:
            return
        kind = kind_of(frame.model)
        if kind is None:
            explain_no_words(frame)
            return
        other_side(frame)
        adapted_side(frame)
        frame.tabs(VIEWS, "masked_view", ContextPage(frame, kind))


# Where the model cannot be asked for words


def explain_no_words(frame: Frame) -> None:
    """What can be seen of this model instead, and which models can be asked for words."""
    name = f"**{escape_markdown(frame.run.model['name'])}**"
    why = "has no head that says words" if frame.model.has_network else "is a table without a network"
    st.markdown(f"{name} {why}, so it cannot fill a gap: what compression does to its sentence vectors is on **Similarity**.")
    st.page_link(
        PAGES["Similarity"].file,
        label="See its sentence vectors on Similarity",
        icon=":material/compare_arrows:",
        query_params=frame.visit.address or None,
    )
    entries = models_with_words(listed_models())
    st.header("Models that can be asked for words", anchor=False)
    if not entries:
        st.caption("None of the models here can. Put a checkpoint into a folder that SUBEMB_MODELS names, or download one.")
    for number, entry in enumerate(entries[:MOST_LISTED]):
        how = "fills gaps" if MASKED in entry.heads else "says the next word"
        _line(
            entry.name,
            f"{how} · {count_text(entry.vocabulary)} tokens × {entry.dim}",
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
    offered = [(number, model) for number, model in enumerate(HUB_MODELS) if model.name not in here]
    if not offered or is_public():
        return
    with st.expander("On Hugging Face", icon=":material/cloud_download:"):
        st.caption("The button writes an id into the sidebar; nothing is fetched before **Download** is pressed there.")
        for number, model in offered:
            how = "fills gaps" if model.kind == MASKED else "says the next word"
            _line(
                model.name,
                f"{how} · {model.languages}",
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
        f"{escape_markdown(name)} is chosen in the sidebar. Press **Run** there, then it can be asked for words here."
    )
