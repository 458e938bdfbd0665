"""Home: sizes and quality of the run that is shown, its error step by step, and the other runs of this visit."""

import streamlit as st

from ....base.text import escape_markdown
from ....runs import RUNS, Run
from ...shell.frame import Frame, explain_empty, live_view, page
from ...shell.request import Request, command_line
from ...widgets.charts import download_csv, error_curve, show
from .cards import RUNS_COLUMNS, quality_card, runs_table, size_card


def draw() -> None:
    """The page."""
    frame = page(
        "Home",
        "A language model starts with a table: one vector for every token it knows, often most of the model. Subspace embedding "
        "cuts every vector into **f** pieces and lets tokens share pieces from small codebooks, so that a token is no more than "
        "**f** small integers, its codes. Pick a model and a method in the sidebar, press **Run**, watch the codes being found, and "
        "see on the other pages what it did to the tokens.",
    )
    with frame.errors():
        if frame.run is None:
            explain_empty(frame)
            return
        if frame.visit.running is not None:
            live_view(frame.visit)
        example_note(frame)  # right above the cards that it explains
        left, right = st.columns(2, gap="medium")
        with left:
            size_card(frame.run)
        with right:
            quality_card(frame.run)
        finished_curve(frame.run)
        runs_of_this_visit(frame)
        reproduce(frame)


def example_note(frame: Frame) -> None:
    """Say that the example is an example."""
    if not frame.is_example:
        return
    st.info(
        f"This is an **example**, computed once on this machine and kept: **{escape_markdown(frame.run.model['name'])}**, "
        f"{escape_markdown(frame.run.settings.in_words)}. Choose your own settings in the sidebar and press **Run**.",
        icon=":material/lightbulb:",
    )


def finished_curve(run: Run) -> None:
    """The error after every step of a finished run."""
    if not run.history:
        unkept = "No steps of this run were kept, so there is no curve."
        st.caption(unkept if run.settings.about.is_iterative else "This method needs no iterations, so there is no curve.")
        return
    figure, table, alt = _curve(run.key, run.history)
    show(
        figure,
        alt,
        table,
        key="curve",
        file_name=f"subemb-error-{run.settings.method}.csv",
        content=run.key,
    )


@st.cache_resource(max_entries=40, show_spinner=False)
def _curve(key: str, _history: list[dict]):
    return error_curve(_history)


def runs_of_this_visit(frame: Frame) -> None:
    """Every run of this visit side by side; selecting a row shows that run."""
    visit = frame.visit
    keys = [frame.run.key, *visit.runs] if frame.run.key not in visit.runs else visit.runs
    runs = [run for run in map(RUNS.get, keys) if run is not None]
    st.subheader("Runs of this visit", anchor=False)
    table = runs_table(runs, frame.run.key)
    event = st.dataframe(
        table,
        hide_index=True,
        column_config=RUNS_COLUMNS,
        key=f"runs_{len(runs)}_{frame.run.key}",
        on_select="rerun",
        selection_mode="single-row",
        alt="Every run of this visit with its size and quality",
    )
    st.caption("Select a row to show that run. " + ("Run other methods to compare them here." if len(runs) < 2 else ""))
    if len(runs) > 1:
        download_csv(table.drop(columns="shown"), "subemb-runs.csv", key="runs_download")
    rows = event.selection.rows if event and event.selection else []
    if rows and rows[0] < len(runs) and runs[rows[0]].key != frame.run.key:
        chosen = runs[rows[0]]
        visit.show(Request.of(chosen.model, chosen.asked), chosen.key)
        visit.reset_form = True
        st.rerun()


def reproduce(frame: Frame) -> None:
    """The same run on the command line."""
    with st.expander("The same on the command line"):
        request = Request.of(frame.run.model, frame.run.settings)
        st.code(command_line(request), language="bash", wrap_lines=True)
