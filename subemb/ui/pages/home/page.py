"""Home: sizes and quality of the run that is shown, its error step by step, and the other runs of this visit."""

import streamlit as st

from ....base.errors import InputError
from ....base.text import escape_markdown, percent_text, size_text
from ....codec.methods.tiers import parsed
from ....presets import PRESETS
from ....runs import NEIGHBOURS, RUNS, Run, film_of_run
from ...shell.frame import Frame, explain_empty, live_view, page
from ...shell.models import key_of
from ...shell.pages import PAGES
from ...shell.request import BUNDLED, Request, command_line
from ...shell.text import unbroken
from ...shell.visit import Visit
from ...widgets.charts import error_curve, kept_chart, show
from ...widgets.motion import familiar_names, motion_figure, motion_words
from ...widgets.renewed import renewed, show_choice
from ...widgets.runs_list import runs_list
from .cards import quality_card, size_card
from .picture import quality_picture, size_picture

_PRESET = "home_preset"
_DIMMED = """
[data-testid="stLayoutWrapper"]:has(> .st-key-live_run) ~ *, .st-key-page_header p:has(strong), .st-key-home_presets { opacity: 0.75; }
"""


def draw() -> None:
    """The page."""
    frame = page(
        "Home",
        "A language model starts with a table of vectors, one for every token. Subspace embedding cuts each vector into pieces that "
        "tokens share; a token keeps only their numbers, its codes.",
    )
    with frame.errors():
        with st.container(key="home_presets"):
            presets(frame.visit)
        if frame.run is None:
            explain_empty(frame)
            return
        if frame.visit.running is not None:
            _until_then(frame)
        verdict(frame.run)
        pictures(frame.run)
        with st.expander("Details", icon=":material/table_chart:", key="details", on_change="rerun") as details:
            left, right = st.columns(2, gap="medium")
            with left:
                size_card(frame.run)
            with right:
                quality_card(frame.run)
            if details.open:  # a chart that nobody sees takes as long as one that is seen
                finished_curve(frame.run)
        finished_motion(frame)
        runs_of_this_visit(frame)
        reproduce(frame)
        if frame.visit.request.model == BUNDLED:
            # All is drawn: now the settings of its presets are worked out, so that the first click on each waits for nothing.
            for request in preset_requests(frame.visit).values():
                key_of(request)


def preset_requests(visit: Visit) -> dict[str, Request]:
    """The presets of the model on the page."""
    shown = visit.request
    return {key: Request(shown.model, shown.revision, preset.settings) for key, preset in PRESETS.items()}


def _until_then(frame: Frame) -> None:
    """The run that is computed, and that all the rest of the page is still about another one."""
    st.html(f"<style>{_DIMMED}</style>")
    with st.container(key="live_run"):
        live_view(frame.visit)
        shown = frame.run
        st.markdown(
            f"Shown until then: **{escape_markdown(shown.model['name'])}**, {size_text(shown.size.total_bytes)}, "
            f"{escape_markdown(shown.settings.in_words)}"
        )


def presets(visit: Visit) -> None:
    """Three settings to begin with. Choosing one shows its run, or fills in the form where it has to be computed first."""
    requests = preset_requests(visit)
    shown = next((key for key, request in requests.items() if visit.shows(request)), None)
    show_choice(_PRESET, shown)
    st.segmented_control(
        "Settings to begin with",
        list(PRESETS),
        format_func=lambda key: PRESETS[key].title,
        label_visibility="collapsed",
        **renewed(_PRESET, lambda chosen: visit.open(requests[chosen])),
    )
    st.caption(PRESETS[shown].line if shown else f"Your own settings: {escape_markdown(_in_words(visit.request))}")


def _in_words(request: Request) -> str:
    """Settings with the values that automatic ones have, where the model is here."""
    try:
        return key_of(request)[1].in_words
    except InputError:
        return request.settings.in_words


_ICONS = {"good": ":green[:material/check_circle:]", "fair": ":orange[:material/adjust:]", "poor": ":red[:material/error:]"}


def verdict(run: Run) -> None:
    """What the numbers mean."""
    found = run.verdict
    with st.container(key="verdict"):
        st.markdown(f"{_ICONS[found.tone]} {unbroken(escape_markdown(found.text))}")
    if found.is_to_adapt:
        st.page_link(PAGES["Adapt"].file, label=found.advice, icon=":material/model_training:")
    elif found.advice:
        st.caption(found.advice)


def pictures(run: Run) -> None:
    """How small, and how good."""
    left, right = st.columns(2, gap="large")
    with left:
        st.header("How small", anchor=False)
        st.html(size_picture(run.size, run.settings.about.packed))
    with right:
        st.header("How good", anchor=False)
        st.html(quality_picture(run.task, run.no_task, run.quality["neighbours_kept"], NEIGHBOURS))


def finished_motion(frame: Frame) -> None:
    """How the codes of a finished run were found, to play and to step through in the browser. Sent once it is opened."""
    run = frame.run
    with st.expander("Watch the codes being found", icon=":material/animation:", key="motion_open", on_change="rerun") as part:
        if not part.open:
            return
        pictures = film_of_run(run.key)
        if not pictures:
            unkept = "No pictures of this run were kept. A run of your own has them, where its method goes over the whole table in steps."
            st.caption(unkept if run.settings.about.is_iterative else "This method has no steps to watch.")
            return
        st.caption(
            f"{len(pictures[0]['codes'])} of {run.size.vocabulary:,} tokens (dots) hang on their codewords (grey diamonds) in the first "
            f"subspace. Its two main axes show {percent_text(pictures[0]['share'])} of its variance: what looks near "
            "may be far. Orange: codes that changed in this step."
        )
        if run.settings.sensitive:
            st.caption("Afterwards codes were chosen together, by what the output notices; that is not in these pictures.")
        alt = f"{len(pictures)} steps. Last: {motion_words(pictures, len(pictures) - 1)}"
        names = familiar_names(frame.model.vocabulary, pictures)
        kept_chart((run.key, tuple(names)), "motion", alt, lambda: motion_figure(pictures, names))


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
    if run.settings.tiers is not None and len(parsed(run.settings.tiers)) > 1:
        st.caption(
            "Tiers are compressed one after the other; those still to come count as one vector each, so the curve falls as each is begun."
        )


@st.cache_resource(max_entries=40, show_spinner=False)
def _curve(key: str, _history: list[dict]):
    return error_curve(_history)


def runs_of_this_visit(frame: Frame) -> None:
    """Every run of this visit side by side; selecting a row shows that run."""
    visit = frame.visit
    keys = [frame.run.key, *visit.runs] if frame.run.key not in visit.runs else visit.runs
    runs = [run for run in map(RUNS.get, keys) if run is not None]
    st.header("Runs of this visit", anchor=False)
    chosen = runs_list(visit, runs, "runs")
    st.caption("Select a row to show that run. " + ("Run other methods to compare them here." if len(runs) < 2 else ""))
    if chosen and chosen[0].key != frame.run.key:
        visit.open(Request.of_run(chosen[0]), chosen[0].key)
        st.rerun()


def reproduce(frame: Frame) -> None:
    """The same run on the command line."""
    with st.expander("The same on the command line"):
        request = Request.of_run(frame.run)
        st.code(command_line(request), language="bash", wrap_lines=True)
