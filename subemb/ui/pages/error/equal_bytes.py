"""The page Reconstruction error, view Equal bytes: every method at the bytes of the run on the page, computed by one job."""

import pandas as pd
import streamlit as st

from ....base.pace import rough, slowness
from ....base.text import count_text, percent_text, size_text
from ....codec.methods import METHODS
from ....codec.settings import OF_TEXT, CompressionSettings
from ....codec.weights import text_digest
from ....jobs.task import Call
from ....runs import Run
from ....tasks.comparisons import Compared, compare_methods, plan, seconds_of
from ...shell.jobs import begin, progress_of, watch
from ...shell.request import Request
from ...shell.text import show_error
from ...widgets.charts import download_csv
from .charts import MEASURES, comparison_chart
from .views import Measured


@st.cache_data(max_entries=32, show_spinner=False)
def plan_of(key: str, _run: Run) -> list[Compared]:
    """What a comparison with a run would compute; cached, because it goes through some 30,000 settings."""
    return plan(_run)


def equal_bytes_view(measured: Measured) -> None:
    """The comparison if there is one; otherwise its progress, or what it would compute, what that costs, and a button."""
    frame = measured.frame
    run = frame.run
    st.markdown(
        f"The run on this page stores **{size_text(run.size.total_bytes)}** ({count_text(run.size.total_bytes)} bytes, "
        f"{percent_text(run.size.total_share)} of the table), everything counted. How good is every other method with the same bytes?"
    )
    call = call_of(measured, None)
    entries, job = call.kept(), call.job
    if entries is not None:
        results(measured, entries)
    elif frame.visit.waits_for(job):
        watch(frame.visit, call.key, progress_of("Comparing the methods"), "comparison_cancel")
    else:
        if job is not None and job.state == "failed":
            show_error(f"The comparison failed: {job.error}")
        offer(measured)


def offer(measured: Measured) -> None:
    """What it would compute, how long that may take, and the button."""
    run = measured.frame.run
    entries = plan_of(run.key, run)
    free = seconds_of(entries, measured.frame.model)
    seconds = [slowness() * each for each in free]
    table = pd.DataFrame(
        {
            "method": [entry.settings.in_words for entry in entries],
            "bytes": [entry.total_bytes for entry in entries],
            "seconds": seconds,
            "note": [note_text(entry) for entry in entries],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="plan",
        height=38 + 35 * len(table),
        alt="Methods that the comparison would run, with their bytes and a rough time",
        column_config={
            "method": st.column_config.TextColumn("Method and settings", width="large"),
            "bytes": st.column_config.NumberColumn("Bytes", format="localized"),
            "seconds": st.column_config.NumberColumn("Rough seconds", format="%.0f", help="0: was run before"),
            "note": st.column_config.TextColumn("Against this run"),
        },
    )
    text, missing = text_of_weights(measured)
    if missing:
        st.info(
            "This run weighs tokens by a text, and the text is not kept with it. Press **Run** with that text in the sidebar again; "
            "the comparison is then offered here.",
            icon=":material/description:",
        )
    st.caption(f"About {rough(sum(free))} in total, a rough estimate. Each method is kept as a run that can be opened.")
    if st.button("Compare at equal bytes", type="primary", icon=":material/balance:", key="compare_button", disabled=missing):
        begin(measured.frame.visit, call_of(measured, text))
        st.rerun()


def text_of_weights(measured: Measured) -> tuple[str | None, bool]:
    """The text whose tokens are counted, if the visitor gave it in this visit; and whether it is missing."""
    settings = measured.frame.run.settings
    if settings.weights not in OF_TEXT:
        return None, False
    given = measured.frame.visit.text
    if given is None:
        return None, True

    return given.text, text_digest(given.text) != settings.text_digest


def call_of(measured: Measured, text: str | None) -> Call:
    """The job that compares. text: whose tokens are counted, if the run's weights are counts."""
    run = measured.frame.run
    request = Request.of_run(run)
    return compare_methods.call(request.model, request.revision, run.asked.to_dict(), text)


# Results


def results(measured: Measured, entries: list[Compared]) -> None:
    """Chart and table of a finished comparison."""
    run = measured.frame.run
    table = results_table(entries, run.key)
    measure = st.segmented_control(
        "Measure",
        list(MEASURES),
        default="Relative error",
        required=True,
        key="measure",
        bind="query-params",
        persist_state="session",
    )
    column = MEASURES[measure][0]
    finished = table.dropna(subset=["error"])
    comparable = finished[finished["matches"]]
    best = comparable.loc[comparable[column].idxmax() if column in ("cosine", "neighbours") else comparable[column].idxmin()]
    st.plotly_chart(
        comparison_chart(finished, measure),
        key=f"comparison_{column}",
        alt=f"{measure} of {len(finished)} methods at {count_text(run.size.total_bytes)} bytes; best among those that match: "
        f"{best['label']} with {best[column]:.4g}. The table below has all numbers.",
        config={"displaylogo": False},
    )
    for entry in entries:
        if entry.problem:
            show_error(f"{METHODS[entry.settings.method].title} could not be run: {entry.problem}")
    chosen_row(measured, table, entries)
    st.caption(_weights_text(run.settings))


def _weights_text(settings: CompressionSettings) -> str:
    text = "Hatched bars belong to methods that cannot be made as small, or as large; their bytes are in the table. "
    if settings.weights == "none":
        return text + "All methods count every token the same."
    return text + "Methods with codebooks use this run's token weights; the others use no weights."


def note_text(entry: Compared) -> str:
    """How the bytes of a method compare, and whether they count as equal."""
    return entry.note if entry.matches else f"not equal: {entry.note}"


def results_table(entries: list[Compared], shown: str) -> pd.DataFrame:
    """One row a method; ``shown`` is the key of the run on the page."""
    rows = []
    for entry in entries:
        quality = entry.run.quality if entry.run else {}
        share = quality.get("neighbours_kept")
        rows.append(
            {
                "label": METHODS[entry.settings.method].title,
                "settings": entry.settings.in_words,
                "bytes": entry.total_bytes,
                "error": quality.get("relative_error"),
                "weighted": quality.get("weighted_error"),
                "cosine": quality.get("mean_cosine"),
                "neighbours": None if share is None else 100 * share,
                "seconds": entry.run.seconds.get("compress") if entry.run else None,
                "matches": entry.matches,
                "note": note_text(entry),
                "shown": entry.run is not None and entry.run.key == shown,
            }
        )
    table = pd.DataFrame(rows)
    doubled = table["label"].duplicated(keep=False)
    table.loc[doubled, "label"] = table.loc[doubled, "settings"]
    return table


def download_table(table: pd.DataFrame) -> pd.DataFrame:
    """The columns a person reads."""
    return table.drop(columns=["label", "shown"]).dropna(axis=1, how="all")


def chosen_row(measured: Measured, table: pd.DataFrame, entries: list[Compared]) -> None:
    """The table of the comparison; selecting a row opens that run on all pages."""
    visit = measured.frame.visit
    weighted = ["weighted"] if table["weighted"].notna().any() else []
    event = st.dataframe(
        table,
        hide_index=True,
        key=f"comparison_rows_{measured.key}",
        height=38 + 35 * len(table),
        on_select="rerun",
        selection_mode="single-row",
        alt="Every method with its bytes, error, cosine, neighbours kept and a note",
        column_order=["label", "bytes", "note", "error", *weighted, "cosine", "neighbours", "seconds", "settings"],
        column_config={
            "label": st.column_config.TextColumn("Method", pinned=True),
            "settings": st.column_config.TextColumn("Settings"),
            "bytes": st.column_config.NumberColumn("Total bytes", format="localized"),
            "error": st.column_config.NumberColumn("Relative error", format="%.3f"),
            "weighted": st.column_config.NumberColumn("Weighted error", format="%.3f"),
            "cosine": st.column_config.NumberColumn("Mean cosine", format="%.3f"),
            "neighbours": st.column_config.NumberColumn("Neighbours kept, %", format="%.1f"),
            "seconds": st.column_config.NumberColumn("Seconds", format="%.1f"),
            "note": st.column_config.TextColumn("Against this run"),
        },
    )
    st.caption("Select a row to show that run on all pages.")
    download_csv(download_table(table), "subemb-equal-bytes.csv", key="comparison_download")
    rows = event.selection.rows if event and event.selection else []
    if not rows:
        return
    chosen = entries[rows[0]].run
    if chosen is not None and chosen.key != measured.key:
        visit.open(Request.of_run(chosen), chosen.key)
        st.rerun()
