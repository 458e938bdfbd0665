"""UMAP on request: what it costs, a button, progress, and the layout once it has been computed."""

import numpy as np
import streamlit as st

from ..analysis.layout import Layout, UmapSettings, kept_umap_layout, sample_tokens
from ..format import count_text, seconds_text
from ..jobs.manager import Job, manager
from ..tasks import layouts as map_job
from .map_controls import View
from .shell.frame import Frame
from .shell.text import errors_shown, show_error


def umap_view(frame: Frame, view: View) -> Layout | None:
    """The UMAP layout if it has been computed, else None, with what it costs, a button, or how far it is."""
    total = frame.run.model["vocabulary"]
    base = sample_tokens(total, view.tokens, view.seed)
    ids = sample_tokens(total, view.tokens, view.seed, view.found)
    layout = _computed(frame, ids, view.umap)
    if layout is not None:
        return layout
    job = manager().get(map_job.job_key(frame.run.key, ids, view.umap))
    stale = _computed(frame, base, view.umap) if len(ids) > len(base) else None
    if job is not None and not job.is_over:
        _watch(frame, job)
    else:
        _offer(frame, view, ids, job, len(ids) - len(base) if stale is not None else None)
    return stale


def _computed(frame: Frame, ids: np.ndarray, settings: UmapSettings) -> Layout | None:
    """A layout that is there already: from a job of this server, or from the disk."""
    job = manager().get(map_job.job_key(frame.run.key, ids, settings))
    if job is not None and job.state == "done":
        return job.result
    if job is not None and not job.is_over:
        return None
    import torch

    rows = torch.from_numpy(ids)
    return kept_umap_layout(frame.table[rows], frame.compressed.lookup(rows), ids, settings)


def _offer(frame: Frame, view: View, ids: np.ndarray, job: Job | None, missing: int | None) -> None:
    """Say what UMAP costs, and start it on a button."""
    total = frame.run.model["vocabulary"]
    warm = manager().warm(map_job.LANE, map_job.WARM)
    seconds = map_job.estimated_seconds(len(ids), warm=warm.is_over)
    what = f"{count_text(len(ids))} of {count_text(total)} tokens" if len(ids) < total else f"all {count_text(total)} tokens"
    with st.container(border=True, key="map_offer"):
        if missing is not None:
            st.markdown(
                f"**{count_text(missing)} of the tokens you searched for are not on this map**, which was arranged before."
            )
        else:
            st.markdown(f"**UMAP of {what} has not been computed yet.** PCA is there at once.")
        st.caption(
            f"It arranges {what} (seed {view.seed}), original and reconstructed together, in a process of its own: about "
            f"{seconds_text(5 * -(-seconds // 5))}, a rough estimate. The result is kept: the same settings show it at once next time."
        )
        if job is not None and job.state == "failed":
            show_error(f"UMAP failed: {job.error}")
        again = "Arrange again with them" if missing is not None else "Try again" if job is not None else "Compute UMAP"
        if st.button(again, type="primary", icon=":material/play_arrow:", key="map_umap_start"):
            with errors_shown():
                run = frame.run
                manager().submit(
                    map_job.job_key(run.key, ids, view.umap),
                    map_job.FUNCTION,
                    {
                        "name": run.model["name"],
                        "revision": frame.visit.request.revision,
                        "identity": run.model["identity"],
                        "run_key": run.key,
                        "ids": ids,
                        "settings": vars(view.umap),
                    },
                    lane=map_job.LANE,
                    watcher=frame.visit.token,
                )
                st.rerun(scope="app")


@st.fragment(run_every=0.5)
def _watch(frame: Frame, job: Job) -> None:
    """Progress of the layout, and Cancel. Polls; the page is drawn anew when the job is over."""
    if job.is_over:
        st.rerun(scope="app")
    job.watch(frame.visit.token)
    with st.container(border=True, key="map_progress"):
        if job.state == "queued":
            waiting = job.position_in_queue
            text = (
                f"Waiting: number {waiting} in the queue" if waiting and waiting > 1 else "Waiting for the worker to be ready"
            )
            st.progress(0.0, text=text)
        else:
            progress = job.progress
            stage = progress.stage if progress else "starting"
            st.progress(job.fraction, text=f"UMAP: {stage} · {seconds_text(job.seconds)}")
        if st.button("Cancel", icon=":material/stop_circle:", key="map_umap_cancel"):
            job.cancel(by=frame.visit.token)
            st.rerun(scope="app")
