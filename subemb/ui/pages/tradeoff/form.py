"""The form of a sweep on the page Trade-off: which settings, on which pairs, at what cost; and its progress."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from ....base.pace import rough
from ....base.store import Memory
from ....codec.settings import CompressionSettings
from ....evaluate.data.read import DEMO_NAME
from ....jobs.manager import Job, manager
from ....jobs.task import Call
from ....models.model import PretrainedModel
from ....runs import run_key
from ....sweep.grid import default_grid, resolved_grid, short_grid
from ....sweep.known_tables import known_tables
from ....sweep.run import estimate_row_seconds
from ....sweep.table import SweepRow
from ....tasks.sweeps import run_sweep
from ...shell.jobs import begin, progress_of, watch
from ...shell.text import counted, show_error
from ...shell.visit import Visit

DEFAULT, SHORT = "All methods, 40 settings", "The leading methods, 12 settings"
SCORED, UNSCORED = f"Errors, and the score on the {DEMO_NAME.lower()}", "Errors only"
_CALL = "tradeoff_sweep"  # session state: the sweep that this tab began last
_grids = Memory(12)


def known_call(visit: Visit, model: PretrainedModel) -> Call | None:
    """The visitor's last sweep of a model: begun in this tab, or in one that was closed or loaded again."""
    call = st.session_state.get(_CALL)
    if call is not None and call.arguments["name"] == model.name:
        return call
    for job in manager().jobs_of(visit.token):
        if job.lane == run_sweep.lane and (job.arguments or {}).get("name") == model.name:
            return run_sweep.call(**job.arguments)
    return None


def sweep_progress(visit: Visit, call: Call, picture: Callable[[list[SweepRow]], None]) -> None:
    """How far the sweep is, and the chart with the rows that have come."""
    bar = progress_of("Sweeping")
    before = visit.shown_key

    def draw(job: Job) -> None:
        bar(job)
        picture(rows_of(job))
        if visit.shown_key != before:  # a point was clicked
            st.rerun(scope="app")

    watch(visit, call.key, draw, "sweep_cancel", "Stop: what is measured stays", every=1.5)


def rows_of(job: Job) -> list[SweepRow]:
    """The rows that a sweep has told of so far."""
    return [SweepRow.from_flat(message.values["row"]) for message in job.history if "row" in message.values]


def sweep_form(visit: Visit, model: PretrainedModel, call: Call | None) -> None:
    """What a sweep would measure, what it costs, and the button. call: the visitor's last sweep."""
    job = None if call is None else call.job
    if visit.waits_for(job):
        return
    if job is not None and job.state == "failed":
        show_error(f"The sweep failed: {job.error}")
    elif job is not None and job.state == "cancelled":
        st.info("The sweep was stopped. What it had measured is on the chart; started again, it goes on from there.")
    scored, unscored = known_tables(model)
    nothing_known = scored is None and unscored is None
    with st.expander("Measure more settings", expanded=nothing_known, key="sweep_form_open", on_change="rerun") as part:
        if part.open:
            _form(visit, model)


def _form(visit: Visit, model: PretrainedModel) -> None:
    can_score = model.has_network and model.has_tokenizer
    left, right = st.columns(2)
    grid = left.radio("Settings", (DEFAULT, SHORT), key="sweep_grid", persist_state="session")
    what = right.radio("Measured", (SCORED, UNSCORED) if can_score else (UNSCORED,), key="sweep_pairs", persist_state="session")
    wanted = grid_of(model, grid)
    scored, unscored = known_tables(model)
    table = scored if what == SCORED else unscored
    known = set() if table is None else {row.run_key for row in table.rows}
    missing = [settings for settings in wanted if run_key(model.identity, settings) not in known]
    if not missing:
        st.caption(f"All {counted(len(wanted), 'setting')} of this kind are on the chart.")
    else:
        st.caption(
            f"{len(missing)} of {counted(len(wanted), 'setting')} are to be measured: about {rough(sweep_seconds(model, missing))}, a rough "
            "estimate. Points appear as they come; it can be stopped, and goes on from there."
        )
    if st.button("Start the sweep", type="primary", icon=":material/play_arrow:", key="sweep_button", disabled=not missing):
        call = run_sweep.call(model.name, visit.request.revision, None if grid == DEFAULT else plain(wanted), _pairs(what))
        call.forget()
        st.session_state[_CALL] = call
        begin(visit, call)
        st.rerun()


def _pairs(what: str) -> list[Any] | None:
    """As ``run_sweep`` takes it: None stands for the demonstration pairs in the model's own languages."""
    return None if what == SCORED else []


def plain(grid: list[CompressionSettings]) -> list[dict[str, Any]]:
    """Settings in JSON types."""
    return [settings.to_dict() for settings in grid]


def grid_of(model: PretrainedModel, name: str) -> list[CompressionSettings]:
    """The settings of a grid that fit a model, resolved."""
    can_score = model.has_network and model.has_tokenizer

    def made() -> list[CompressionSettings]:
        make = default_grid if name == DEFAULT else short_grid
        found = resolved_grid(make(model.num_tokens, model.dim, has_network=can_score), model)
        return [settings for settings, problem in found.items() if not problem]

    return _grids.take((model.identity, can_score, name), made)


def sweep_seconds(model: PretrainedModel, missing: list[CompressionSettings]) -> float:
    """Rough seconds of a sweep here, for two free cores; more cores share its rows."""
    import joblib

    rows = sum(estimate_row_seconds(settings, model.num_tokens, model.dim) for settings in missing)
    return rows * 2 / max(2, min(joblib.cpu_count(), len(missing)))
