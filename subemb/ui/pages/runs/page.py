"""The page Runs: every kept run that this visitor made, or was given by a link; filter, tags, delete, two side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from ....adaptation.library import ADAPTATIONS, run_key_of
from ....base.text import escape_markdown, number_text, shown_change
from ....codec.methods import METHODS
from ....runs import RUNS, Run
from ....tasks.side_by_side import Fact, Side, error_verdict, facts_of, settings_that_differ
from ...shell.frame import Frame, page
from ...shell.models import key_of
from ...shell.pages import HOME, PAGES
from ...shell.request import EXAMPLE, Request, other_query
from ...shell.text import counted
from ...shell.visit import Visit
from ...shell.visitor import is_anybodys
from ...widgets.runs_list import runs_list, scores_of
from ...widgets.settings import linked_number

ALL = "All models"


def draw() -> None:
    """The page."""
    frame = page("Runs", "What you ran here, or opened by its link. Choose a run to open or tag it, two to compare them.")
    with frame.errors():
        runs = own_runs(frame.visit)
        if not runs:
            st.info("There is no run of yours yet. Choose settings in the sidebar and press **Run**.", icon=":material/list:")
            return
        chosen = table_of_runs(frame, filtered(frame.visit, runs))
        if len(chosen) == 2:
            side_by_side(*chosen)
        if chosen:
            actions(frame, chosen)


def own_runs(visit: Visit) -> list[Run]:
    """The visitor's runs that are kept, the newest first. Looking at the list is no use of them."""
    found = (RUNS.get(key, is_use=False) for key in reversed(visit.runs))
    return [run for run in found if run is not None]


# Filter


@dataclass(frozen=True)
class Filter:
    """Which runs are listed."""

    text: str = ""  # in settings, model or tags; every word of it
    model: str = ALL
    methods: Sequence[str] = ()  # all if empty
    lost: float | None = None  # points of the score x 100 at most, against the original

    def takes(self, run: Run, tags: Sequence[str]) -> bool:
        """Whether a run is listed."""
        words = " ".join([str(run.model["name"]), run.settings.in_words, *tags]).casefold()
        if not all(word in words for word in self.text.casefold().split()):
            return False
        if self.model not in (ALL, run.model["name"]) or (self.methods and run.settings.method not in self.methods):
            return False
        if self.lost is None:
            return True
        score, original = scores_of(run)
        return score is not None and -shown_change(original, score) <= self.lost  # as the table shows it


def filtered(visit: Visit, runs: list[Run]) -> list[Run]:
    """The filter's fields, those that there is a choice for, and the runs that it leaves."""
    models = list(dict.fromkeys(str(run.model["name"]) for run in runs))
    used = [name for name in METHODS if any(run.settings.method == name for run in runs)]
    has_scores = any(scores_of(run)[0] is not None for run in runs)
    places = iter(
        st.columns([4, *([3] if len(models) > 1 else []), 3, *([2] if has_scores else [])], vertical_alignment="bottom")
    )
    text = next(places).text_input(
        "Search", key="find", bind="query-params", placeholder="settings, model or tag", max_chars=100
    )
    model = next(places).selectbox("Model", [ALL, *models], key="runs_model") if len(models) > 1 else ALL
    methods = next(places).multiselect(
        "Methods", used, format_func=lambda name: METHODS[name].title, key="runs_methods", placeholder="all"
    )
    lost = None
    if has_scores:
        lost = linked_number(
            "Lost at most, points",
            0.0,
            100.0,
            None,
            1.0,
            format="%g",
            key="lost",
            place=next(places),
            placeholder="any",
            help="Points of the task score (x 100), against the original's: the column Lost.",
        )
    wanted = Filter(text or "", model, methods, lost)
    return [run for run in runs if wanted.takes(run, visit.visitor.tags.get(run.key, ()))]


# Table


def table_of_runs(frame: Frame, runs: list[Run]) -> list[Run]:
    """The runs as a table; returns those that are chosen in it, in its order."""
    if not runs:
        st.info("No run is like that. Change the filter above.", icon=":material/filter_alt:")
        return []
    return runs_list(frame.visit, runs, "runs", mode="multi-row")


# What is done with those that are chosen


def actions(frame: Frame, chosen: list[Run]) -> None:
    """Open, tag and delete."""
    visit = frame.visit
    with st.container(horizontal=True, vertical_alignment="bottom", key="runs_actions"):
        if len(chosen) == 1:
            run = chosen[0]
            if st.button(
                "Open", type="primary", icon=":material/open_in_new:", key="open_run", disabled=run.key == visit.shown_key
            ):
                visit.open(Request.of_run(run), run.key)
                st.switch_page(PAGES[HOME].file, query_params=visit.address)
            given = st.text_input(
                "Tags", ", ".join(visit.visitor.tags.get(run.key, ())), key=f"tags_{run.key}", max_chars=300,
                placeholder="separated by commas", help="Only you see them.",
            )  # fmt: skip
            if given != ", ".join(visit.visitor.tags.get(run.key, ())):
                visit.visitor.tag(run.key, given.split(","))
                st.rerun()
        is_pair = len(chosen) == 2 and chosen[0].model["identity"] == chosen[1].model["identity"]
        if is_pair and st.button("Compare on the pages", type="primary", icon=":material/compare_arrows:", key="compare_runs"):
            visit.open(Request.of_run(chosen[0]), chosen[0].key)
            visit.other = other_query(chosen[1].asked)
            st.switch_page(PAGES["Similarity"].file, query_params=visit.address)
        if st.button(f"Delete {counted(len(chosen), 'run')}", icon=":material/delete:", key="delete_runs"):
            deleted(visit, chosen)
            st.rerun()


def deleted(visit: Visit, chosen: list[Run]) -> None:
    """Take runs out of the visitor's list, and from disk where nobody else has them and no adaptation began with them."""
    keys = {run.key for run in chosen}
    visit.visitor.forget(keys)
    needed = {run_key_of(key) for key in ADAPTATIONS} | {key_of(EXAMPLE)[0]}
    for key in keys - needed:
        if not is_anybodys(key, visit.visitor):
            RUNS.drop(key)
    if visit.shown_key in keys:
        visit.show(None)
        visit.reset_form = True
    visit.notice = f"{counted(len(keys), 'run')} deleted."


def side_by_side(first: Run, second: Run) -> None:
    """Two runs: a verdict, what differs, and all facts."""
    a, b = Side.of_run("A", first), Side.of_run("B", second)
    st.header("A and B", anchor=False)
    st.markdown(f"**{escape_markdown(error_verdict(a, b))}**")
    st.caption("  \n".join(f"{side.label}: {escape_markdown(side.settings.in_words)}" for side in (a, b)))
    rows = [fact for fact in facts_of(a, b) if fact.title not in ("from", "settings")]
    scores = [scores_of(run)[0] for run in (first, second)]
    if None not in scores:
        rows.insert(1, Fact("task score", *map(number_text, scores)))
    rows += settings_that_differ(first.settings, second.settings)
    table = pd.DataFrame(
        [{"differs": "≠" if row.differs else "", "": row.title, "A": row.first, "B": row.second} for row in rows]
    )
    st.dataframe(
        table,
        hide_index=True,
        height=38 + 35 * len(table),
        key="compared_runs",
        column_config={"differs": st.column_config.TextColumn("≠", width=28, help="Where A and B differ")},
        alt="Both runs side by side, a line each fact; those that differ are marked",
    )
