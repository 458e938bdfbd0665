"""The page Adapt: one adaptation, from the form to its result, and those before it."""

import pandas as pd
import streamlit as st

from ....adaptation.library import forget_adaptation, is_key, known_adaptation, known_adaptations, run_key_of
from ....adaptation.result import TUNED, Adaptation
from ....adaptation.settings import OBJECTIVES, TRAINED
from ....base.text import escape_markdown, percent_text, seconds_text, size_text
from ....codec.methods import METHODS
from ....codec.settings import CompressionSettings
from ....jobs.manager import Job
from ....jobs.task import Call
from ....tasks.adaptation import run_adaptation, stop_adaptation
from ...shell.frame import Frame, page
from ...shell.jobs import begin, stage_of, watch
from ...shell.request import Request, to_query
from ...shell.sidebar import PAGES
from ...shell.text import counted, errors_shown, show_error, write_parameter
from ...shell.visit import ADAPTED
from ...widgets.charts import chart_places, download_csv, show
from .charts import curves, score_curve
from .form import adapt_form

THREE_COLUMNS = ("Similarity", "Entailment", "Masked words", "Export")  # pages that show an adaptation as a third side
PARAMETER = "adaptation"  # of the address
TRAINING_NOW = "training now"
STATES = {"running": "broken off", "paused": "paused", "done": "done", "stopped": "stopped early", "failed": "failed"}


def is_training(key: str) -> bool:
    """Whether an adaptation is under way, or waits for its turn."""
    job = run_adaptation.call(key).job
    return job is not None and not job.is_over


def result_view(frame: Frame, known: Adaptation) -> None:
    """Scores of the sides, sizes, curves."""
    st.subheader("Adapted", anchor=False)
    how = "stopped early" if known.state == "stopped" else "done"
    st.markdown(
        f"{OBJECTIVES[known.settings.objective].title}, **{TRAINED[known.settings.train].title}**, {how}: {counted(known.steps, 'step')} in "
        f"{seconds_text(known.seconds)} on {known.learned_from}; {known.reassigned:,} codes changed."
    )
    if known.scores:
        scored = known.scored
        places = st.columns(len(known.scores)) if len(known.scores) <= 3 else chart_places(len(known.scores))
        for column, (side, score) in zip(places, known.scores.items(), strict=True):
            reference = TUNED if side == "adapted" and TUNED in known.scores else "original"
            change = None if side == reference else f"{score - known.scores[reference]:+.1f} to the {reference}"
            column.metric(f"{scored['metric']} x 100, {side}", f"{score:.1f}", change, border=True)
        st.caption(
            f"On {escape_markdown(scored['name'])}{'' if scored.get('held_out') else f' ({known.scored_count})'}, none of whose sentences was learned from. They chose which weights "
            "were kept, so the score after training is a little too good."
        )
        if TUNED in known.scores:
            st.caption(
                "The fine-tuned original was trained alike, for as many steps on the same batches, its whole table in place of the codebooks: "
                "what compression costs is the distance of adapted to it, not to the original as it came."
            )
        elif known.settings.is_fine_tuning:
            st.caption("It was stopped before the original had been trained as long, so there is no fair comparison.")
    size = known.size
    columns = st.columns(3)
    columns[0].metric("Codebooks and codes", size_text(size["table_bytes"]), border=True)
    columns[1].metric("Changed weights", size_text(size["changed_bytes"]), border=True)
    columns[2].metric(
        "Stored, together", size_text(size["total_bytes"]), f"{percent_text(size['total_bytes'] / size['original_bytes'])} of the table",
        delta_color="off", delta_arrow="off", border=True,
    )  # fmt: skip
    curves(known.history, known.scores, "adapt_done", known.original_history)
    st.markdown("**Three columns:** original, compressed and adapted side by side, on your own sentences and on labelled sets.")
    query = to_query(frame.visit.request) | {ADAPTED: known.key}
    with st.container(horizontal=True):
        for path, label, icon in (page for page in PAGES if page[1] in THREE_COLUMNS):
            st.page_link(path, label=label, icon=icon, query_params=query)


def history_view(frame: Frame, current: str | None) -> None:
    """Every adaptation of this model on this server; those selected are drawn in one chart."""
    found = [
        known for known in known_adaptations(frame.run.model["identity"]) if known.key != current or not is_training(known.key)
    ]
    if not found:
        return
    st.subheader("Adaptations of this model", anchor=False)
    table = pd.DataFrame([_row(known) for known in found])
    event = st.dataframe(
        table,
        hide_index=True,
        key=f"adapt_history_{len(found)}",
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
                forget_adaptation(chosen[0].key)
                if chosen[0].key == current:
                    write_parameter(PARAMETER, None)
                st.rerun()
    else:
        runs = {
            f"{place + 1}: {_row(known)['table']}, {known.settings.train}": known.history for place, known in enumerate(chosen)
        }
        figure, points = score_curve(runs, {})
        show(figure, f"Scores of {len(runs)} adaptations", points, key="adapt_compared", file_name="subemb-adaptations.csv")
    download_csv(table, "subemb-adaptations.csv", key="adapt_history_download")


def show_adaptation(frame: Frame, known: Adaptation) -> None:
    """Put an adaptation on the page, with the run that it began with."""
    run_key = run_key_of(known.key)
    if run_key != frame.run.key:
        frame.visit.show(Request.of(known.model, CompressionSettings.from_dict(known.compression)), run_key)
        frame.visit.form_follows = True
    write_parameter(PARAMETER, known.key)
    st.rerun()


def _row(known: Adaptation) -> dict:
    settings = known.compression
    return {
        "table": f"{settings['method']} f={settings['subspaces']} Q={settings['codebook_size']}",
        "objective": known.settings.objective,
        "trained": known.settings.train,
        "text": known.text["name"],
        "sentences": known.text["sentences"],
        "state": TRAINING_NOW if is_training(known.key) else STATES.get(known.state, known.state),
        "steps": known.steps,
        "seconds": round(known.seconds),
        "bytes": known.size.get("total_bytes"),
        "original": _score(known, "original"),
        TUNED: _score(known, TUNED),
        "compressed": _score(known, "compressed"),
        "adapted": _score(known, "adapted"),
        "scored on": known.scored["name"] if known.scored else None,
    }


def _score(known: Adaptation, side: str) -> float | None:
    score = known.scores.get(side)
    return None if score is None else round(score, 1)


_POLL = 1.0
_SAVING = 60.0  # seconds to wait for the worker to leave a job that was paused or stopped
_LATEST = "adapt_latest"  # in the session: the adaptation that this visitor began or took up last


def adapt_page(frame: Frame) -> None:
    """The form, the adaptation that the address names, and the history of this model's."""
    if not METHODS[frame.run.settings.method].uses_codebooks:
        st.info(
            f"**{escape_markdown(METHODS[frame.run.settings.method].title)}** has no codebooks to train. Choose a method with codebooks in "
            "the sidebar, such as **Cluster**, and press **Run**.",
            icon=":material/model_training:",
        )
        return
    if not frame.model.has_tokenizer:
        st.info(
            f"**{escape_markdown(frame.model.name)}** comes without a tokenizer, so it reads no sentences to learn from. Choose a whole "
            "model in the sidebar, such as **all-MiniLM-L6-v2**, and press **Run**.",
            icon=":material/model_training:",
        )
        return
    key = current_key(frame)
    job = None if key is None else run_adaptation.call(key).job
    if job is not None and not job.is_over:
        watch(frame.visit, job.key, lambda job: live_view(job, frame, key), every=_POLL)
    else:
        if key is not None:
            over_view(frame, key, job)
        adapt_form(frame, start)
    history_view(frame, key)


def current_key(frame: Frame) -> str | None:
    """The adaptation of this run that the address names; None, with a word about it, if there is none of that name here."""
    key = st.query_params.get(PARAMETER) or still_running(frame)
    if key is None:
        return None
    if not is_key(key) or run_key_of(key) is None:
        st.warning(
            "The adaptation in this link is not kept on this server any more; begin a new one below.",
            icon=":material/link_off:",
        )
        return None
    if run_key_of(key) != frame.run.key:  # another run has been chosen in the sidebar since
        write_parameter(PARAMETER, None)
        return None
    return key


def still_running(frame: Frame) -> str | None:
    """This visitor's latest adaptation, if it is under way and of this run: who comes back from another page sees it again."""
    key = st.session_state.get(_LATEST)
    if key is None or not is_training(key) or run_key_of(key) != frame.run.key:
        return None
    write_parameter(PARAMETER, key)
    return key


def start(frame: Frame, key: str) -> None:
    """Run an adaptation, or take it up again, and show it."""
    begin_anew(frame, run_adaptation.call(key))
    st.session_state[_LATEST] = key
    write_parameter(PARAMETER, key)
    st.rerun()


def begin_anew(frame: Frame, call: Call) -> None:
    """Submit the job of an adaptation, whatever became of the one before. Raises InputError if too many are waiting."""
    call.forget()
    begin(frame.visit, call)


def live_view(job: Job, frame: Frame, key: str) -> None:
    """Curves that move, and Pause and Stop."""
    st.subheader("Training now", anchor=False)
    if job.state == "queued":
        st.progress(0.0, text=f"Number {job.position_in_queue} in the queue: others are being adapted on this server")
    else:
        st.progress(job.fraction, text=f"{escape_markdown(stage_of(job))} · {job.seconds:.0f} s")
    known = known_adaptation(key)
    original = [
        {name.removeprefix("original_"): value for name, value in message.values.items()}
        for message in job.history
        if "original_step" in message.values
    ]
    points = [message.values for message in job.history if "step" in message.values]
    if known is not None:
        later = points[0]["step"] if points else None
        points = [point for point in known.history if later is None or point["step"] < later] + points
    if points:
        if known is not None and known.original_history:
            later = original[0]["step"] if original else None
            original = [point for point in known.original_history if later is None or point["step"] < later] + original
        curves(points, {} if known is None else known.scores, "adapt_live", original)
    with st.container(horizontal=True):
        if st.button(
            "Pause", icon=":material/pause_circle:", key="adapt_pause", help="What has been learned is saved; go on later."
        ):
            if job.cancel(by=frame.visit.token) or job.is_over:
                st.rerun(scope="app")
            st.toast(
                "Somebody else is watching this adaptation, so it goes on; Stop ends it for everybody.", icon=":material/group:"
            )
        if st.button(
            "Stop and keep the best",
            icon=":material/stop_circle:",
            key="adapt_stop",
            help="End here, with the best weights so far.",
        ):
            job.cancel()
            st.session_state["adapt_stop_at"] = key
            st.rerun(scope="app")


def over_view(frame: Frame, key: str, job: Job | None) -> None:
    """A result; or an adaptation that is paused, failed or was broken off, and how to go on."""
    if job is not None and job.state == "cancelled" and job.started is not None:
        with st.spinner("Saving what was learned"):
            job.left_worker.wait(_SAVING)
    if st.session_state.pop("adapt_stop_at", None) == key:
        begin_anew(frame, stop_adaptation.call(key))
        st.rerun()
    known = known_adaptation(key)
    if job is not None and job.state == "failed":
        show_error(job.error)
    elif known is not None and known.state == "failed":
        show_error(known.message)
    if known is not None and known.is_over:
        result_view(frame, known)
        return
    st.subheader("Not over yet", anchor=False)
    if known is None:
        st.info("This adaptation has not saved anything yet.", icon=":material/pause_circle:")
    else:
        share = f"step {known.steps:,} of {known.planned_steps:,}" if known.planned_steps else f"step {known.steps:,}"
        if known.original_history:
            share = f"step {known.original_history[-1]['step']:,} of {known.steps:,} of the original, which is trained alike"
        st.info(f"Saved at {share}. It can go on from there.", icon=":material/pause_circle:")
        curves(known.history, known.scores, "adapt_paused", known.original_history)
    with st.container(horizontal=True), errors_shown():
        if st.button("Go on", icon=":material/play_arrow:", key="adapt_resume", type="primary"):
            start(frame, key)
        if known is not None and st.button("Stop here and keep the best", icon=":material/stop_circle:", key="adapt_stop_here"):
            begin_anew(frame, stop_adaptation.call(key))
            st.rerun()


def draw() -> None:
    """The page."""
    frame = page(
        "Adapt",
        "Codes and codebooks were found by looking at the table alone. Here the original model becomes a teacher: the codebooks are trained "
        "until the model answers as it did. Nothing but sentences without labels is needed, or not even those. "
        "Or fine-tune it on masked words or labelled pairs, and the original alike.",
    )
    with frame.errors():
        if frame.run is not None:
            adapt_page(frame)
