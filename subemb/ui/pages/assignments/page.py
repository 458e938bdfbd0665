"""Assignments: which codes each token got, and which tokens share them."""

from collections.abc import Callable

import streamlit as st

from ....base.text import escape_markdown, sentence_case
from ....codec.methods.tiers import in_words, parsed
from ....codec.settings import CompressionSettings
from ...shell.frame import page
from ...widgets.other_side import compared_sides
from .assignment import Assignment
from .codes import codewords_view, collisions_view, usage_view
from .tokens import sentence_view, table_view, token_view


def draw() -> None:
    """The page."""
    frame = page(
        "Assignments",
        "Every token is a row of codes. Here they are drawn as blocks: tokens with the same block share a sub-vector.",
    )
    with frame.errors():
        if frame.run is None:
            return
        compared_sides(frame)
        with st.spinner("Reading the tokens …"):
            assignments = [Assignment(frame, side).prepared() for side in frame.sides]
        with_codes = [assignment for assignment in assignments if assignment.subspaces]
        for assignment in assignments:
            if not assignment.subspaces:
                explain_no_codes(assignment.side.run.settings)
        if not with_codes:
            return
        first = with_codes[0]
        if len(with_codes) == 2:
            first.other = with_codes[1]
        frame.tabs(VIEWS, "view", first)


def one_of_two(view: Callable[[Assignment], None]) -> Callable[[Assignment], None]:
    """A view of one table's codes; where two are compared, whichever is chosen."""

    def draw_one(assignment: Assignment) -> None:
        if assignment.other is not None:
            both = {sentence_case(one.side.name): one for one in (assignment, assignment.other)}
            if st.session_state.get("codes_of") not in both:
                st.session_state.pop("codes_of", None)
            chosen = st.segmented_control(
                "Codes of",
                list(both),
                default=next(iter(both)),
                required=True,
                key="codes_of",
                bind="query-params",
                persist_state="session",
            )
            assignment = both.get(chosen, assignment)
        view(assignment)

    return draw_one


VIEWS = {
    "Token": token_view,
    "Sentence": sentence_view,
    "Codewords": one_of_two(codewords_view),
    "Usage": one_of_two(usage_view),
    "Collisions": one_of_two(collisions_view),
    "All tokens": one_of_two(table_view),
}


def explain_no_codes(settings: CompressionSettings) -> None:
    """What to do when a run stores no codes: its method has none, or none of its tiers."""
    title, summary = escape_markdown(settings.about.title), settings.about.summary
    why = f"keeps no codes: {escape_markdown(summary[0].lower() + summary[1:])}"
    if settings.tiers is not None:
        why = f"keeps no codes here: {escape_markdown(in_words(parsed(settings.tiers)))}."
    st.info(
        f"**{title}** {why} So no two tokens share anything that could be drawn here. To see assignments, choose **Cluster (unique)** or "
        "**Product quantization** in the sidebar and press **Run**.",
        icon=":material/view_column:",
    )
