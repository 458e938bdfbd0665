"""The page Trade-off: many settings of a model on one chart, the smallest that is good enough, and a sweep that measures more."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import pandas as pd
import streamlit as st

from ....base.pace import rough
from ....base.store import content_key
from ....base.text import escape_markdown, percent_text, shown_change, size_text
from ....codec.settings import told_apart
from ....codec.sizes import FLOAT_BYTES
from ....models.model import PretrainedModel, describe
from ....runs import RUNS, estimate_run_seconds
from ....sweep.known_tables import known_tables
from ....sweep.table import SweepRow, SweepTable, Within, verdict_text
from ...shell.frame import Frame, page
from ...shell.models import kept_key, open_model
from ...shell.pages import HOME, PAGES
from ...shell.request import Request
from ...shell.text import unbroken
from ...shell.visit import Visit
from ...widgets.charts import download_csv
from ...widgets.settings import linked_number
from .charts import legend_html, tradeoff_chart, value_text
from .form import known_call, sweep_form, sweep_progress
from .points import AXES, BYTES, CLAIMS, FLOATS, MEASURES, SCORE, WEIGHTED, Point, Shape, front_of, points_of


def draw() -> None:
    """The page."""
    frame = page("Trade-off", "What does every byte buy? Each point is the same table, compressed with other settings.")
    with frame.errors():
        if frame.visit.shown_key is not None:  # else it has been said what is wrong with the model
            tradeoff_page(frame)


def tradeoff_page(frame: Frame) -> None:
    """The picture with its verdict, the setting that is open, the form of a sweep, and the table behind it all."""
    visit = frame.visit
    model = open_model(visit.request.model, visit.request.revision)
    call = known_call(visit, model)
    if call is not None and visit.waits_for(call.job):
        sweep_progress(visit, call, lambda rows: picture(visit, model, rows))
    else:
        picture(visit, model)
    points = points_of(tables_of(model), own_runs(visit, model))
    opened(frame, model, points)
    sweep_form(visit, model, call)
    if points:
        table_behind(visit, points)
    claims()


def tables_of(model: PretrainedModel, rows: Sequence[SweepRow] = ()) -> list[SweepTable]:
    """What sweeps have found, rows that are coming in right now included; scored tables first."""
    scored, unscored = known_tables(model)
    found = [replace(table, rows=_as_kept(model, table.rows)) for table in (scored, unscored) if table is not None]
    if rows:
        weights = found[0].weights if found else "vocabulary"
        original_bytes = FLOAT_BYTES * model.num_tokens * model.dim
        found.append(SweepTable(describe(model), tuple(rows), weights=weights, original_bytes=original_bytes))
    return found


def _as_kept(model: PretrainedModel, rows: Sequence[SweepRow]) -> tuple[SweepRow, ...]:
    """Rows under the key of the run that is kept of them, where that is a preset's whose budget is written otherwise."""
    kept = ((row, kept_key(model, row.settings) if row.is_done and row.settings.budget is not None else None) for row in rows)
    return tuple(row if found is None else replace(row, run_key=found[0], settings=found[1]) for row, found in kept)


def own_runs(visit: Visit, model: PretrainedModel) -> list:
    """The visitor's runs of a model."""
    runs = [RUNS.get(key, is_use=False) for key in visit.runs]
    return [run for run in runs if run is not None and model.has_content_of(run.model)]


# The picture


def picture(visit: Visit, model: PretrainedModel, rows: Sequence[SweepRow] = ()) -> None:
    """The verdict, and the chart. rows: of a sweep that is under way."""
    tables = tables_of(model, rows)
    points = points_of(tables, own_runs(visit, model))
    scored = next((table for table in tables if table.sets), None)
    if not points:
        st.info(
            f"No setting of {escape_markdown(model.name)} has been measured yet. Sweep some below, or press **Run** in the sidebar.",
            icon=":material/show_chart:",
        )
        return
    known = [name for name in MEASURES if any(name in point.values for point in points)]
    place = st.container()
    row = st.container(horizontal=True, gap="medium", vertical_alignment="top")
    measure = row.segmented_control(
        "Quality", known, default=known[0], required=True, key="quality", bind="query-params", persist_state="session"
    )
    axis = row.segmented_control(
        "Size",
        AXES,
        default=BYTES,
        required=True,
        key="size",
        bind="query-params",
        persist_state="session",
        help="Papers count the floats of the codebooks only. The codes have to be kept as well: all bytes is what a file takes. "
        "Methods without codebooks keep rounded numbers in place of floats, and are left out of that count.",
    )
    allowed, within = None, None
    if measure == SCORE and scored is not None:
        allowed = linked_number(
            "Points to lose",
            0.0,
            50.0,
            2.0,
            0.5,
            format="%g",
            key="within",
            place=row,
            persist_state="session",
            width=150,
        )
        within = scored.within(allowed)
    place.markdown(sentence(points, measure, axis, scored, within))
    if within is not None and within.rows and within.rows[0].run_key != visit.shown_key:
        place.button(
            "Open this setting",
            icon=":material/open_in_new:",
            key="open_within",
            on_click=open_point,
            args=(visit, model, points, within.rows[0].run_key),
        )
    shape = Shape(
        measure,
        axis,
        points,
        original_score(tables) if measure == SCORE else None,
        visit.shown_key,
        frozenset(row.run_key for row in within.rows) if within else frozenset(),
        allowed,
    )
    figure, alt = tradeoff_chart(shape, FLOAT_BYTES * model.num_tokens * model.dim)
    st.plotly_chart(
        figure,
        key="tradeoff_chart",
        alt=alt,
        on_select=lambda: _take_click(visit, model, points),
        selection_mode="points",
        config={"displaylogo": False, "scrollZoom": False},
    )
    st.html(legend_html(shape))
    st.caption(_about(scored, measure, points))


def sentence(points: list[Point], measure: str, axis: str, scored: SweepTable | None, within: Within | None) -> str:
    """What the chart means, in markdown."""
    if scored is not None and within is not None:
        first, _, more = verdict_text(scored, within).replace(" -", " −").partition("\n")
        return unbroken(f"**{escape_markdown(first)}** {escape_markdown(more)}".strip())
    front = front_of(points, measure, axis)
    if not front:
        return "Nothing is known of this measure yet."
    best = front[-1]
    count = sum(measure in point.values for point in points)
    text = f"{best.label}, {size_text(best.total_bytes)}, {measure.lower()} {value_text(best, measure)}"
    return unbroken(f"**Of {count} settings {len(front)} are beaten by no smaller one.** The best: {escape_markdown(text)}.")


def original_score(tables: Sequence[SweepTable]) -> float | None:
    """The original's score x 100: every row knows it."""
    rows = (row for table in tables for row in table.done if row.scores)
    return next((row.score - row.difference for row in rows), None)


def _about(scored: SweepTable | None, measure: str, points: list[Point]) -> str:
    """On what the numbers were measured, and how far apart two must be to be told apart."""
    if measure == SCORE and scored is not None:
        sets = ", ".join(f"{one['name']} ({one['pairs']:,} pairs, {', '.join(one['languages'])})" for one in scored.sets)
        chance = chance_of(points)
        noise = (
            ""
            if chance is None
            else f" Points less than about {chance:.0f} apart, less near the original, may be no different: pairs are few."
        )
        return (
            f"Spearman x 100 on: {escape_markdown(sets)}.{noise} Green: as near to the original as asked for. Dotted boxes: what papers claim for "
            "other models, in floats; see below. Click a point to open its run."
        )
    if measure == WEIGHTED:
        return "Squared error over the table's variance, tokens counted by their weight: 0 is perfect. Click a point to open its run."
    return "Click a point to open its run on all pages."


def chance_of(points: list[Point]) -> float | None:
    """Half the width of the 95 % interval of a point's difference to the original, the median of all: points of the score x 100."""
    widths = [(point.interval[1] - point.interval[0]) / 2 for point in points if point.interval is not None]
    return median(widths) if widths else None


# Opening a point


def _take_click(visit: Visit, model: PretrainedModel, points: list[Point]) -> None:
    """Open the run of the point that was clicked."""
    event = st.session_state.get("tradeoff_chart")
    keys = [point["customdata"][0] for point in event.selection.points if point.get("customdata")] if event else []
    if keys:
        open_point(visit, model, points, keys[0])


def open_point(visit: Visit, model: PretrainedModel, points: list[Point], key: str) -> None:
    """Put the run of a point on all pages; where it has not been run, its settings are in the form."""
    point = next((one for one in points if one.run_key == key), None)
    if point is None or key == visit.shown_key:
        return
    visit.open(Request.of(describe(model), point.settings), key)


def opened(frame: Frame, model: PretrainedModel, points: list[Point]) -> None:
    """What is known of the setting on the page, and one button: to look at its run, or to compute it."""
    visit = frame.visit
    point = next((one for one in points if one.run_key == visit.shown_key), None)
    if point is None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="opened_point"):
        facts = [f"{size_text(point.total_bytes)}, {percent_text(point.shares[BYTES])} of the table"]
        facts += [f"{name.lower()} {value_text(point, name)}" for name in MEASURES if name in point.values]
        st.markdown(f"**{escape_markdown(point.label)}**  \n{escape_markdown(' · '.join(facts))}")
        if frame.run is not None:
            st.page_link(
                PAGES[HOME].file, label="Look at this run", icon=":material/open_in_new:", query_params=visit.address or None
            )
        elif visit.running is None:
            seconds = estimate_run_seconds(point.settings, model.num_tokens, model.dim, model)
            if st.button(
                f"Compute this run, about {rough(seconds)}", type="primary", icon=":material/play_arrow:", key="compute_point"
            ):
                visit.start(visit.request, visit.text)
                st.rerun()


# What is behind the chart


def table_behind(visit: Visit, points: list[Point]) -> None:
    """Every point as a row, to open and to download."""
    front = {point.run_key for point in front_of(points, SCORE, BYTES) or front_of(points, WEIGHTED, BYTES)}
    ordered = sorted(points, key=lambda point: point.total_bytes)
    labels, same = told_apart([point.settings for point in ordered])
    rows = [_row(point, front, label) for point, label in zip(ordered, labels, strict=True)]
    table = pd.DataFrame(rows).dropna(axis=1, how="all")
    shown = table
    if "difference" in table:  # so that it and both scores add up as they are shown
        pairs = zip(table["score"], table["difference"], strict=True)
        shown = table.assign(difference=[shown_change(score - difference, score) for score, difference in pairs])
    with st.expander(f"Table behind this chart ({len(table)} settings)", key="tradeoff_table_open", on_change="rerun") as part:
        if not part.open:
            return
        event = st.dataframe(
            shown,
            hide_index=True,
            # While a sweep runs, rows come between: a selected one must not become another.
            key=f"tradeoff_table_{content_key(visit.shown_key, [point.run_key for point in ordered])}",
            on_select="rerun",
            selection_mode="single-row",
            height=min(560, 38 + 35 * len(table)),
            column_config=_COLUMNS,
            alt="Every setting with its bytes and quality",
        )
        alike = f" All of them: {same}." if same else ""
        st.caption(f"Select a row to open that run. ✓: no smaller setting is better.{alike}")
        download_csv(table, "subemb-trade-off.csv", key="tradeoff_download")
        rows = event.selection.rows if event else []
        if rows and ordered[rows[0]].run_key != visit.shown_key:
            point = ordered[rows[0]]
            visit.open(replace(visit.request, settings=point.settings), point.run_key)
            st.rerun()


def _row(point: Point, front: set[str], label: str) -> dict:
    low, high = point.interval or (None, None)
    return {
        "front": "✓" if point.run_key in front else "",
        "settings": label,
        "yours": "✓" if point.is_own else "",
        "bytes": point.total_bytes,
        "of table": 100 * point.shares[BYTES],
        "floats": 100 * point.shares[FLOATS] if FLOATS in point.shares else None,
        "score": point.values.get(SCORE),
        "difference": point.difference,
        "low": low,
        "high": high,
        "weighted error": point.values.get(WEIGHTED),
        "error": point.values.get("Error"),
        "neighbours": point.values.get("Neighbours kept"),
        "run": point.run_key,
    }


_COLUMNS = {
    "front": st.column_config.TextColumn("✓", width=28, help="No smaller setting is better"),
    "settings": st.column_config.TextColumn("Method and settings", width=340),
    "yours": st.column_config.TextColumn("Yours", width=50),
    "bytes": st.column_config.NumberColumn("Bytes", format="localized"),
    "of table": st.column_config.NumberColumn("Bytes %", format="%.3f", help="Everything stored, % of the table's bytes"),
    "floats": st.column_config.NumberColumn("Floats %", format="%.3f", help="Floats stored, % of V × D: the papers' measure"),
    "score": st.column_config.NumberColumn("Score", format="%.1f", help="x 100"),
    "difference": st.column_config.NumberColumn("To original", format="%+.1f"),
    "low": st.column_config.NumberColumn("from", format="%+.1f", help="95 % interval of the difference"),
    "high": st.column_config.NumberColumn("to", format="%+.1f", help="95 % interval of the difference"),
    "weighted error": st.column_config.NumberColumn("Weighted error", format="%.3f"),
    "error": st.column_config.NumberColumn("Error", format="%.3f"),
    "neighbours": st.column_config.NumberColumn("10-NN %", format="%.1f", help="Of the 10 nearest tokens, those that stay"),
    "run": None,
}


def claims() -> None:
    """What papers say of themselves, in their own measure."""
    with st.expander("What papers claim, and how they count"):
        for claim in CLAIMS:
            st.markdown(f"- [{claim.name}, {claim.source}]({claim.link}): {claim.said}.")
        st.caption(
            "Both count floats or parameters, not bytes, and measured other models on other tasks. Choose **Floats only** to see this "
            "model's points in their measure. A box begins where the claim would hold for this model's score."
        )
