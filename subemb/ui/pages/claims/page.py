"""The page The paper's claims: what holds, what fails, what cannot be told, on what was measured of a model."""

import json

import pandas as pd
import streamlit as st

from ....base.pace import rough_here
from ....base.plain import to_plain
from ....base.text import count_text, escape_markdown, percent_text, score_text, seconds_text
from ....jobs.manager import Job, manager
from ....jobs.task import Call
from ....models.model import PretrainedModel
from ....reproduce.claim import Judged
from ....reproduce.claims import judge, tally, tally_of_abstract
from ....reproduce.known_claims import known_tables
from ....reproduce.rows import ClaimsTable, frame_of
from ....reproduce.run import LADDER, MINUTES, estimated_seconds
from ....reproduce.sets import count_sets
from ....tasks.reproduction import run_reproduction
from ...shell.frame import Frame, page
from ...shell.jobs import begin, progress_of, watch
from ...shell.models import open_model
from ...shell.text import counted, show_error, unbroken
from ...shell.visit import Visit
from ...widgets.charts import download_csv
from .pictures import chart_html, strip_html, verdict_html, whose_html

BUDGETS = {"10 minutes": 10.0, "30 minutes": 30.0, "1 hour": MINUTES, "4 hours": 240.0}
_KEPT = {"persist_state": "session"}
_CALL = "claims_call"  # session state: what this tab began last
SOURCES = """
- The paper: A. K. Jaiswal and H. Liu, [Lightweight Adaptation of Neural Language Models via Subspace
  Embedding](https://doi.org/10.1145/3583780.3615269), CIKM 2023.
- Its forerunner: Hwang and Moon, 2022, [OpenReview MqEcDNQwOSA](https://openreview.net/forum?id=MqEcDNQwOSA).
- A follow-up: OrBIT, [arXiv 2610.10385](https://arxiv.org/abs/2610.10385).
"""


def draw() -> None:
    """The page."""
    frame = page("Claims", "Twelve claims, measured: what holds, what fails, what cannot be told here.")
    with frame.errors():
        if frame.visit.shown_key is not None:  # else it has been said what is wrong with the model
            claims_page(frame)


def claims_page(frame: Frame) -> None:
    """The verdicts, the button that measures, a card a claim, and where they come from."""
    visit = frame.visit
    model = open_model(visit.request.model, visit.request.revision)
    table = chosen_table(model)
    found = judge(table) if table is not None else []
    if table is not None:
        name = escape_markdown(model.name)
        with st.container(key="verdict"):
            st.markdown(f"**{name}: {tally(found)}.**")
        st.caption(tally_of_abstract(found))
        st.html(strip_html(found))
    measuring(visit, model, table)
    if table is None:
        st.markdown(SOURCES)
        return
    for start in range(0, len(found), 2):
        for place, one in zip(st.columns(2, gap="medium"), found[start : start + 2], strict=False):
            with place:
                card(one, table)
    behind(found, table)
    st.markdown(SOURCES)


def chosen_table(model: PretrainedModel) -> ClaimsTable | None:
    """What was measured of a model; where that was done on several sets, the visitor chooses."""
    tables = known_tables(model)
    if len(tables) < 2:
        return tables[0] if tables else None
    number = st.segmented_control(
        "Measured on", range(len(tables)), format_func=lambda place: sets_text(tables[place]), default=0, required=True,
        key="claims_table", **_KEPT,
    )  # fmt: skip
    return tables[min(number, len(tables) - 1)]


def sets_text(table: ClaimsTable) -> str:
    """What a table was measured on, in a few words."""
    if table.facts.is_demonstration:
        return "the demonstration sets"
    names = list(dict.fromkeys(one["name"].split(",")[0].split(" (")[0] for one in table.facts.sets if not one["of"]))
    return ", ".join(names[:4])


# Measuring


def known_call(visit: Visit, model: PretrainedModel) -> Call | None:
    """What the visitor began last of a model: in this tab, or in one that was closed or loaded again."""
    call = st.session_state.get(_CALL)
    if call is not None and call.arguments["name"] == model.name:
        return call
    for job in manager().jobs_of(visit.token):
        if job.function == run_reproduction.name and (job.arguments or {}).get("name") == model.name:
            return run_reproduction.call(**job.arguments)
    return None


def measuring(visit: Visit, model: PretrainedModel, table: ClaimsTable | None) -> None:
    """How far it is; or what it costs, and the button."""
    call = known_call(visit, model)
    job = None if call is None else call.job
    if visit.waits_for(job):
        bar = progress_of("Measuring the claims")

        def draw(job: Job) -> None:
            bar(job)
            rows = sum("row" in message.values for message in job.history)
            st.caption(f"{counted(rows, 'new row')} so far; verdicts are drawn again when it is over. What is measured stays.")

        watch(visit, call.key, draw, "claims_cancel", "Stop: what is measured stays", every=1.5)
        return
    if job is not None and job.state == "failed":
        show_error(f"The claims could not be measured: {job.error}")
    elif job is not None and job.state == "cancelled":
        st.info("Stopped. Every row that was finished is kept; started again, it goes on from there.")
    if table is None or (table.facts.is_demonstration and len(table.done) < table.planned):
        form(visit, model, table)
        return
    again = "Measure again with another budget" if table.facts.is_demonstration else "Measure here, on the demonstration sets"
    with st.expander(again):
        form(visit, model, table)


def form(visit: Visit, model: PretrainedModel, table: ClaimsTable | None) -> None:
    """The budget, what it costs, and the button."""
    with st.container(border=True, key="claims_form"):
        if table is None:
            seconds = rough_here(estimated_seconds(model, LADDER[0], sets=count_sets(model, None)))
            st.markdown(
                f"Nothing has been measured of **{escape_markdown(model.name)}** yet. At least it takes about {seconds}; more time gives "
                "more pairs, steps and seeds, so narrower intervals."
            )
        row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
        named = next((name for name, value in BUDGETS.items() if table is not None and value == table.facts.minutes), "1 hour")
        budget = row.selectbox(
            "At most", list(BUDGETS), index=list(BUDGETS).index(named), key="claims_budget", width=160, **_KEPT
        )
        is_begun = table is not None and table.facts.is_demonstration and len(table.done) < table.planned
        label = "Go on measuring" if is_begun else "Measure the claims"
        if row.button(label, type="primary", icon=":material/play_arrow:", key="claims_button"):
            call = run_reproduction.call(model.name, visit.request.revision, BUDGETS[budget])
            call.forget()
            st.session_state[_CALL] = call
            begin(visit, call)
            st.rerun()
        st.caption(
            "Here on the demonstration sets; on real ones with `subemb reproduce --data FOLDER`. It can be stopped and goes on from there."
        )


# Cards


def card(one: Judged, table: ClaimsTable) -> None:
    """A claim: verdict, what was found, picture; the rest behind a click."""
    claim = one.claim
    with st.container(border=True, key=f"claim_card_{claim.number}", height="stretch"):
        st.header(unbroken(f"{claim.number}. {claim.title}"), anchor=f"claim-{claim.number}")
        st.html(f"{verdict_html(one)} {whose_html(claim)}")
        st.markdown(unbroken(escape_markdown(one.sentence)))
        picture = chart_html(one)
        if picture:
            st.html(picture)
        with st.expander("The paper, the rule, the numbers", key=f"claim_open_{claim.number}", on_change="rerun") as part:
            if part.open:
                details(one, table)


def details(one: Judged, table: ClaimsTable) -> None:
    """What the paper says, when the claim holds, every number, and the rows behind them."""
    claim = one.claim
    st.markdown(f"**The paper:** {escape_markdown(claim.paper)}")
    st.text_area(
        "What else does it say?", key=f"claim_note_{claim.number}", placeholder="Your own reading of the paper; kept for this visit.",
        height=68, **_KEPT,
    )  # fmt: skip
    st.markdown(f"**The rule:** {escape_markdown(claim.rule)}")
    if one.parts:
        st.dataframe(
            parts_frame(one), hide_index=True, key=f"claim_parts_{claim.number}", alt=f"All numbers of claim {claim.number}"
        )
    rows = [row for row in table.rows if row.key in one.rows]
    if rows:
        st.caption(f"{counted(len(rows), 'row')} of the table, {seconds_text(sum(row.seconds or 0 for row in rows))} of work.")
        download_csv(frame_of(rows), f"subemb-claim-{claim.number}.csv", key=f"claim_download_{claim.number}")


def parts_frame(one: Judged) -> pd.DataFrame:
    """All numbers of a claim."""
    cells = [
        {
            "what": part.what, "on": part.on, one.claim.unit: part.value, "from": part.low, "to": part.high,
            "seeds": part.seeds or None, "least seed": part.least, "most": part.most,
            "% of bytes": None if part.share is None else 100 * part.share,
            "verdict": part.verdict if part.counts else "for comparison",
        }
        for part in one.parts
    ]  # fmt: skip
    return pd.DataFrame(cells).dropna(axis=1, how="all").round(3)


def behind(found: list[Judged], table: ClaimsTable) -> None:
    """On what it was measured, all rows, and everything to take away."""
    facts, sizes = table.facts, table.facts.sizes
    with st.expander(f"Sets, seeds and all {counted(len(table.rows), 'row')}", key="claims_behind", on_change="rerun") as part:
        if not part.open:
            return
        for one in facts.sets:
            number = f"{one['metric']} x 100 of {count_text(one['pairs'])} pairs, original {score_text(one['original'] / 100)}"
            notes = "".join(f" {escape_markdown(note)}" for note in one["notes"])
            st.markdown(f"- **{escape_markdown(one['name'])}**: {escape_markdown(number)}.{notes}")
        for note in (*facts.notes, facts.head_note, *facts.missing.values()):
            if note:
                st.markdown(f"- {escape_markdown(note)}")
        st.caption(
            f"Learned from {escape_markdown(facts.text)}: {sizes.steps} steps, or {sizes.seconds:g} s where codes are chosen anew; "
            f"{counted(sizes.seeds, 'seed')}. Intervals: paired bootstrap over the pairs. A verdict needs the whole interval and every seed. "
            "A search that is given seconds finds other codes each time; the intervals do not hold that."
        )
        for row in table.failed:
            show_error(f"{row.name}: {row.problem}")
        shown = pd.DataFrame([_row(row) for row in table.done])
        st.dataframe(shown, hide_index=True, key="claims_rows", alt="Every row that was measured")
        left, right, _ = st.columns([1, 1, 2])
        with left:
            download_csv(table.frame(), "subemb-claims.csv", key="claims_download", label="All rows, CSV")
        right.download_button(
            "Claims and notes, JSON", data=lambda: everything(found, table), file_name="subemb-claims.json", mime="application/json",
            key="claims_json", icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _row(row) -> dict:
    scores = {name: one.difference for name, one in row.scores.items()}
    return {
        "row": row.name,
        "bytes": row.total_bytes,
        "of table": percent_text(row.share),
        "steps": row.steps,
        **scores,
        "seconds": row.seconds,
    }


def everything(found: list[Judged], table: ClaimsTable) -> bytes:
    """All verdicts with the reader's notes, as JSON."""
    notes = {one.claim.number: st.session_state.get(f"claim_note_{one.claim.number}", "") for one in found}
    claims = [{**one.to_dict(), "reader": notes[one.claim.number]} for one in found]
    content = to_plain({"model": table.facts.model, "tally": tally(found), "claims": claims})
    return json.dumps(content, indent=1, ensure_ascii=False).encode()
