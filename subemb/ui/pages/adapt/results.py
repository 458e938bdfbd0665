"""The page Adapt, its results: one adaptation, and all adaptations of a model."""

import pandas as pd
import streamlit as st

from ....adaptation.library import (
    disown,
    forget_adaptation,
    given_names,
    known_adaptations,
    owners_of,
    run_key_of,
    waiting_adaptations,
)
from ....adaptation.result import ADAPTED as ADAPTED_SIDE
from ....adaptation.result import COMPRESSED, ORIGINAL, TUNED, Adaptation
from ....adaptation.settings import OBJECTIVES, TRAINED
from ....base.store import content_key
from ....base.text import change_text, escape_markdown, number_text, seconds_text
from ....codec.settings import CompressionSettings
from ....runs import RUNS
from ....tasks.adaptation import run_adaptation
from ...shell.frame import Frame
from ...shell.pages import PAGES
from ...shell.request import Request, to_query
from ...shell.text import counted, public_name, write_parameter
from ...shell.visit import ADAPTATION, ADAPTED, write_url
from ...widgets.charts import chart_places, download_csv, show
from .curves import curves, from_the_start, score_curve, verdict_text

THREE_COLUMNS = ("Similarity", "Entailment", "Words in context", "Export")  # pages that show an adaptation as a third side
SIDES = (ORIGINAL, TUNED, COMPRESSED, ADAPTED_SIDE)
PARAMETER = ADAPTATION
TRAINING_NOW = "training now"
STATES = {"running": "interrupted", "paused": "paused", "done": "done", "stopped": "stopped early", "failed": "failed"}


COLUMNS = {
    "table": st.column_config.TextColumn(width=280),
    "table, kB": st.column_config.NumberColumn(format="%.1f", help="Everything that the table stores, in units of 1000 bytes"),
    "model, MB": st.column_config.NumberColumn(format="%.1f", help="The whole model, in units of a million bytes"),
} | dict.fromkeys(SIDES, st.column_config.NumberColumn(format="%.1f", help="Score x 100"))


def is_training(key: str) -> bool:
    """Whether an adaptation is under way, or waits for its turn."""
    job = run_adaptation.call(key).job
    return job is not None and not job.is_over


# One result


def result_view(frame: Frame, known: Adaptation) -> None:
    """Scores of the sides, sizes, curves."""
    st.header("Adapted", anchor=False)
    if verdict := verdict_text(known):
        st.markdown(verdict)
    if known.scores:
        score_cards(known)
    curves(known, known.history, "adapt_done", known.original_history)
    how = "stopped early" if known.state == "stopped" else "done"
    st.markdown(
        f"{OBJECTIVES[known.settings.objective].title}, **{TRAINED[known.settings.train].title}**, {how}: {counted(known.steps, 'step')} in "
        f"{seconds_text(known.seconds)} on {known.learned_from}; {known.reassigned:,} codes changed."
    )
    if known.hurry:
        st.caption(known.hurry)
    if known.scores:
        scored = known.scored
        name = given_names(known.key, frame.visit.token).get("scored") or _public(known, scored["name"])
        st.caption(
            f"Scored on {escape_markdown(name)}{'' if scored.get('held_out') else f' ({known.scored_count})'}, whose sentences were not used for training. "
            "These pairs chose which weights were kept, so the score after training is a little too good."
        )
        if TUNED in known.scores:
            st.caption(
                "The fine-tuned original was trained in the same way, for as many steps on the same batches, with its whole table in place of "
                "the codebooks. What compression costs is the difference between adapted and this one, not the original before training."
            )
        elif known.settings.is_fine_tuning:
            st.caption("It was stopped before the original had been trained for as long, so there is no fair comparison.")
    if known.sizes:
        for column, (name, amount, share) in zip(st.columns(len(known.sizes)), known.sizes, strict=True):
            column.metric(name, amount, share, delta_color="off", delta_arrow="off", border=True)
        if known.changed_weights:
            st.caption(known.changed_weights)
    st.markdown("**Three columns:** original, compressed and adapted side by side, on your own sentences and on labelled sets.")
    query = to_query(frame.visit.request) | {ADAPTED: known.key}
    with st.container(horizontal=True):
        for page in (PAGES[label] for label in THREE_COLUMNS):
            st.page_link(page.file, label=page.label, icon=page.icon, query_params=query)


def score_cards(known: Adaptation) -> None:
    """The score of every side: what compression lost, and what the adaptation won."""
    scores = known.scores
    places = st.columns(len(scores)) if len(scores) <= 3 else chart_places(len(scores))
    for column, (side, score) in zip(places, scores.items(), strict=True):
        reference = TUNED if side == ADAPTED_SIDE and TUNED in scores else COMPRESSED if side == ADAPTED_SIDE else ORIGINAL
        change = change_text(scores[reference], score) if reference in scores and side != reference else ""
        way = change[:1] if change[:1] in ("−", "+") else ""
        with column.container(border=True, height="stretch"):
            st.metric(
                f"{known.scored['metric']} x 100, {side}",
                number_text(score),
                f"{change} to the {reference}" if change else None,
                delta_color={"−": "red", "+": "green"}.get(way, "off"),
                delta_arrow={"−": "down", "+": "up"}.get(way, "off"),
            )
            if reference == COMPRESSED and ORIGINAL in scores:
                st.caption(f"{change_text(scores[ORIGINAL], score)} to the original")


# All adaptations of a model


def history_view(frame: Frame, current: str | None) -> None:
    """This visitor's adaptations of this model; those selected are drawn in one chart."""
    token = frame.visit.token
    mine = known_adaptations(frame.run.model["identity"], token)
    found = [known for known in mine if known.key != current or not is_training(known.key)]
    _waiting(frame, current)
    if not found:
        return
    st.header("Your adaptations of this model", anchor=False)
    table = pd.DataFrame([_row(known, token) for known in found]).dropna(axis=1, how="all")
    event = st.dataframe(
        table,
        hide_index=True,
        key=f"adapt_history_{content_key([known.key for known in found])}",  # a selected row stays nobody else's
        placeholder="",
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="multi-row",
        alt="Adaptations of this model with settings, sizes and scores",
    )
    chosen = [found[place] for place in event.selection.rows if place < len(found)]
    if not chosen:
        st.caption("Select one to show or delete it, several to compare their scores.")
    elif len(chosen) == 1:
        under_way = is_training(chosen[0].key)
        with st.container(horizontal=True):
            if st.button("Show", icon=":material/visibility:", key="adapt_show"):
                show_adaptation(frame, chosen[0])
            if not under_way and st.button("Delete", icon=":material/delete:", key="adapt_delete"):
                if disown(chosen[0].key, token):
                    forget_adaptation(chosen[0].key)
                else:
                    frame.visit.notice = (
                        "Another visitor began the same adaptation: it is gone from your list, and stays in theirs."
                    )
                if chosen[0].key == frame.visit.adapted:
                    frame.visit.adapted = None
                write_url(frame.visit, {PARAMETER: None} if chosen[0].key == current else {})
                st.rerun()
    else:
        runs = {
            f"{place + 1}: {_row(known, token)['table']}, {known.settings.train}": from_the_start(known, known.history)
            for place, known in enumerate(chosen)
        }
        figure, points = score_curve(runs, {})
        show(figure, f"Scores of {len(runs)} adaptations", points, key="adapt_compared", file_name="subemb-adaptations.csv")
    download_csv(table, "subemb-adaptations.csv", key="adapt_history_download")


def _waiting(frame: Frame, current: str | None) -> None:
    """Adaptations that this visitor began and that have not trained yet: they left the queue, or are still in it."""
    waiting = [key for key in waiting_adaptations(frame.visit.token, frame.run.key) if key != current]
    for number, key in enumerate(waiting[:5]):
        with st.container(horizontal=True, vertical_alignment="center"):
            queued = "waits for its turn" if is_training(key) else "has not begun to train"
            st.caption(f":material/hourglass: An adaptation of yours {queued}.")
            if st.button("Show", icon=":material/visibility:", key=f"adapt_waiting_{number}"):
                write_parameter(PARAMETER, key)
                st.rerun()


def _public(known: Adaptation, name: str) -> str:
    """What may be told of a text or of labelled pairs of an adaptation; a program that began it has no visitor's files."""
    return public_name(name) if owners_of(known.key) else name


def show_adaptation(frame: Frame, known: Adaptation) -> None:
    """Put an adaptation on the page, with the run that it began with."""
    run_key = run_key_of(known.key)
    if run_key != frame.run.key:
        run = RUNS.get(run_key)
        request = (
            Request.of(known.model, CompressionSettings.from_dict(known.compression)) if run is None else Request.of_run(run)
        )
        frame.visit.open(request, run_key)
    write_url(frame.visit, {PARAMETER: known.key})
    st.rerun()


def _row(known: Adaptation, visitor: str) -> dict:
    names = given_names(known.key, visitor)
    return {
        "table": CompressionSettings.from_dict(known.compression).in_words,
        "objective": known.settings.objective,
        "trained": known.settings.train,
        "text": names.get("text") or names.get("labelled") or _public(known, known.text["name"]),
        "sentences": known.text["sentences"],
        "state": TRAINING_NOW if is_training(known.key) else STATES.get(known.state, known.state),
        "steps": known.steps,
        "seconds": round(known.seconds),
        "table, kB": _part(known.size.get("table_bytes"), 1e3),
        "model, MB": _part(known.size.get("model_bytes"), 1e6),
        **{side: _score(known, side) for side in SIDES},
        "scored on": names.get("scored") or _public(known, known.scored["name"]) if known.scored else None,
    }


def _part(size: int | None, unit: float) -> float | None:
    return None if size is None else round(size / unit, 1)


def _score(known: Adaptation, side: str) -> float | None:
    score = known.scores.get(side)
    return None if score is None else round(score, 1)
