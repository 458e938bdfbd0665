"""The frame around every page: page config, sidebar, URL, and what the page is to show.

The first line of a page is::

    frame = page("Token map")

and the rest reads ``frame.run`` (a finished Run, or None), ``frame.model``, ``frame.compressed``, ``frame.reconstruction``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ...adaptation.library import ADAPTATIONS, known_adaptation, run_key_of
from ...base.paths import app_folder
from ...base.store import DAMAGE_LISTENERS, sweep_cache
from ...base.text import escape_markdown, percent_text, seconds_text, size_text
from ...codec.settings import settings_text
from ...jobs.manager import Job
from ...runs import RUNS, Run, compressed_of, reconstruction_of
from ...tasks.sides import Subject
from ..widgets import leads
from ..widgets.charts import error_curve
from ..widgets.motion import familiar_names, motion_figure, motion_words
from . import header, presentation, sidebar, style, upkeep
from .jobs import stage_of, taken_text, watch
from .models import key_of, open_model
from .pages import HOME, PAGES
from .request import EXAMPLE, Request, other_request
from .sides import ADAPTED, COMPRESSED, RUN_A, RUN_B, Side
from .text import errors_shown, is_other, shortened, show_error, unbroken
from .visit import Visit, submit_run, take_adaptation, this_visit, write_url
from .visitor import VISITORS, keep_in_browser


def say_damage(store: str) -> None:
    """Tell the visitor whose page asked for it that something kept was damaged; jobs say it in the log alone."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        what = store.replace("-", " ")
        then = "It begins anew." if store == VISITORS.name else "It is computed again."
        st.toast(f"Something kept on this server ({what}) was damaged. {then}", icon=":material/healing:")


if say_damage not in DAMAGE_LISTENERS:
    DAMAGE_LISTENERS.append(say_damage)


class Frame:
    """What a page shows. run: the finished run, or None (then :func:`explain_empty` has said why)."""

    def __init__(self, visit: Visit, run: Run | None):
        self.visit = visit
        self.run = run
        self._messages = st.container()

    @property
    def is_example(self) -> bool:
        """Whether the run comes with the app: the one that a first visit sees, or another preset's."""
        return self.visit.is_example or (self.run is not None and RUNS.is_shipped(self.run.key))

    @cached_property
    def model(self):
        """The PretrainedModel of the run."""
        return open_model(self.run.model["name"], self.visit.request.revision)

    @cached_property
    def adaptation(self):
        """The finished Adaptation of this run that is shown as a third side, or None."""
        key = self.visit.adapted
        if key is None or self.run is None or run_key_of(key) != self.run.key:
            return None
        known = known_adaptation(key)
        if known is None or not known.is_over:
            return None
        self.visit.keep(ADAPTATIONS, key)
        return known

    @cached_property
    def subject(self) -> Subject:
        """The model, the run and the adaptation on the page, as arguments of jobs."""
        model, adapted = self.run.model, self.adaptation
        adapted_key = None if adapted is None else adapted.key
        return Subject(model["name"], self.visit.request.revision, model["identity"], self.run.key, adapted_key)

    @cached_property
    def other(self) -> Run | None:
        """The finished run B that the run on the page, A, is compared with; None for the original.

        Raises InputError if the link names one that the model cannot have.
        """
        if self.visit.other in (None, ADAPTED) or self.run is None:
            return None
        key, _ = key_of(other_request(self.visit.other, self.visit.request))
        found = None if key == self.run.key else RUNS.get(key)
        if found is not None:
            self.visit.remember(key)
            self.visit.keep(RUNS, key)
        return found

    @property
    def compared(self) -> Subject:
        """As ``subject``, with run B where one was chosen: what pages that draw two sides give their jobs."""
        other = self.other
        return self.subject if other is None else replace(self.subject, other_key=other.key)

    @cached_property
    def first(self) -> Side:
        """The compressed table on the page: that of the run, or of its adaptation where that was chosen. Alone beside the original, or A."""
        if self.visit.first == ADAPTED and self.adaptation is not None:
            return Side(ADAPTED, self.run, self.subject)
        is_alone = self.other is None and not (self.visit.other == ADAPTED and self.adaptation is not None)
        return Side(COMPRESSED if is_alone else RUN_A, self.run, replace(self.subject, adapted_key=None))

    @cached_property
    def second(self) -> Side | None:
        """The compressed table that ``first`` is compared with; None for the original."""
        if self.visit.other == ADAPTED:
            is_there = self.adaptation is not None and self.first.name != ADAPTED
            return Side(ADAPTED, self.run, self.subject) if is_there else None
        if self.other is None:
            return None
        return Side(RUN_B, self.other, replace(self.subject, run_key=self.other.key, adapted_key=None))

    @property
    def sides(self) -> list[Side]:
        """One or two compressed tables, for pages that show tables and not what a model makes of them."""
        return [self.first] if self.second is None else [self.first, self.second]

    @property
    def table(self):
        """The original table, (V, D) float32 tensor; not to be changed."""
        return self.model.table

    @property
    def vocabulary(self):
        """Tokens of the run's model."""
        return self.model.vocabulary

    @property
    def compressed(self):
        """Codes and codebooks of the run."""
        return compressed_of(self.run.key)

    @property
    def reconstruction(self):
        """The table as compressed, (V, D) float32 tensor; not to be changed."""
        return reconstruction_of(self.run.key)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Show what goes wrong in the body as a message on the page."""
        with errors_shown():
            yield
        self._name_what_was_dropped()

    def _name_what_was_dropped(self) -> None:
        """Streamlit passes over what a link asks of a widget that cannot have it; here it is named, until the widget is changed."""
        for name, asked in list(self.visit.asked.items()):
            if name not in st.session_state:
                continue
            used = st.session_state[name]
            if self.visit.dropped.setdefault(name, used) != used or not is_other(asked, used):
                del self.visit.asked[name], self.visit.dropped[name]
                continue
            if name not in self._named:
                self._named.add(name)
                self._messages.warning(
                    f"The link says {escape_markdown(f'{name}={shortened(asked, 60)}')}, which cannot be used here. "
                    f"{escape_markdown('Nothing' if used is None else str(used))} is used instead.",
                    icon=":material/link_off:",
                )

    @cached_property
    def _named(self) -> set[str]:
        return set()

    def tabs(self, views: Mapping[str, Callable[..., None]], key: str, *shown: Any) -> None:
        """Tabs of views, the open one drawn as ``view(*shown)``; an error in it leaves the rest of the page standing.

        key: URL parameter that names the open tab.
        """
        for tab, draw in zip(st.tabs(list(views), key=key, bind="query-params"), views.values(), strict=True):
            if tab.open:
                with tab, self.errors():
                    draw(*shown)


def page(label: str, lead: str | None = None, has_steps: bool = False) -> Frame:
    """Set up the page, draw the sidebar, and find what to show.

    label: of the page, in PAGES. lead: a few sentences below its heading, in markdown. has_steps: whether it goes on by steps of its own.
    """
    title, is_home = PAGES[label].heading, label == HOME
    assets = app_folder() / "assets"
    st.set_page_config(
        page_title="subemb" if is_home else f"{title} · subemb",
        page_icon=str(assets / "icon.png"),
        layout="wide",
    )
    upkeep.begin()
    st.logo(str(assets / "logo.svg"), size="large", icon_image=str(assets / "icon.png"))
    style.draw()
    sweep_cache()
    if label != "Adapt":
        take_adaptation()
    visit = this_visit()
    visit.settle()
    with errors_shown():
        visit.check_link()
    with st.sidebar:
        visit.is_whole_page = True
        sidebar.draw(visit)
        visit.is_whole_page = False
        keep_in_browser(visit.token)
        presentation.offer()
    write_url(visit)
    presentation.draw(label, visit.address, has_steps)
    leads.follow(visit)
    # Streamlit knows a fragment by its place, and drops what a browser sends to a place that moved. So messages, which come and go,
    # share one container, and what follows stands where it stood.
    with st.container():
        named = header.draw(title, None if is_home else lead)
        _messages(visit)
        if is_home and lead and not presentation.is_on():
            st.markdown(lead)
        run = None
        with errors_shown():
            run = visit.current_run()
        frame = Frame(visit, run)
        if run is not None:
            with named:
                heading(frame)
            if visit.running is not None and not is_home and not presentation.is_on():
                st.page_link(
                    PAGES[HOME].file,
                    label="Your run is being computed: watch its codes being found",
                    icon=":material/animation:",
                )
        elif not is_home:
            explain_empty(frame)
    return frame


def _messages(visit: Visit) -> None:
    if visit.pending is not None and not presentation.is_on():
        _differs(visit)
    if visit.link_problem:
        show_error(f"{visit.link_problem}. The example is shown instead.")
    if visit.failure:
        show_error(f"The run failed: {visit.failure}")
    if visit.notice:
        st.info(visit.notice, icon=":material/info:")
        visit.notice = None


def _differs(visit: Visit) -> None:
    """A bar that says that the settings in the sidebar are not those of the run shown, and leads to either."""
    shown, (request, text) = visit.request, visit.pending
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="not_run_yet"):
        st.markdown(
            f"Not run yet. The page still shows **{escape_markdown(shown.model)}**, {escape_markdown(shown.settings.in_words)}.",
            width="stretch",
        )
        if st.button("Run these settings", type="primary", icon=":material/play_arrow:", key="bar_run"):
            with errors_shown():
                visit.start(request, text)
                st.rerun()
        if st.button("Back to what is shown", icon=":material/undo:", key="bar_back"):
            visit.reset_form = True
            st.rerun()


def heading(frame: Frame) -> None:
    """What names the run on the page."""
    run = frame.run
    badge = ":blue-badge[Example]" if frame.is_example else ":green-badge[This run]"
    size = f"{size_text(run.size.total_bytes)}, {percent_text(run.size.total_share)}"
    asked = escape_markdown(settings_text(run.asked))
    words = escape_markdown(run.settings.in_words)
    st.markdown(f"{badge} **{escape_markdown(run.model['name'])}** · {unbroken(size)} · {asked}", help=words)


def explain_empty(frame: Frame) -> None:
    """Without a result: the example is computed once; anything else waits for its Run button."""
    visit = frame.visit
    if visit.running is not None:
        live_view(visit)
        return
    if visit.is_example:
        with errors_shown():
            key, settings = key_of(EXAMPLE)
            submit_run(EXAMPLE, settings.to_dict(), None, visit.token)
            visit.running = (key, EXAMPLE)
            st.rerun()
        return
    if visit.shown_key is None:  # the error is shown already
        st.caption("In the sidebar you can download this model, or choose another model or other settings.")
        return
    press = "press **Run** there" if visit.form_is_usable else "what is missing or wrong is said there, beside **Run**"
    st.info(
        f"{escape_markdown(visit.request.model)} with {escape_markdown(visit.request.settings.in_words)} has not been "
        f"computed on this server yet. Its settings are in the sidebar: {press}.",
        icon=":material/link:",
    )
    if visit.request.settings.text_digest:
        st.caption("It weighs tokens by a text that is not part of the link: give that text in the sidebar first.")
    elif visit.form_is_usable and visit.pending is None:  # here too, as a phone's sidebar is closed
        if not st.button("Run these settings", type="primary", icon=":material/play_arrow:", key="empty_run"):
            return
        with errors_shown():
            visit.start(visit.request)
            st.rerun()


def live_view(visit: Visit) -> None:
    """The error after every step of the run that the visitor waits for. Progress and Cancel are in the sidebar."""
    if visit.running is not None:
        key, request = visit.running
        watch(visit, key, lambda job: live_curve(job, request, request == EXAMPLE and visit.is_example), every=0.7)


def live_motion(pictures: list[dict], request: Request) -> None:
    """Codes being found, as far as they are."""
    names = familiar_names(open_model(request.model, request.revision).vocabulary, pictures)
    figure = motion_figure(pictures, names, plays=False)
    said = motion_words(pictures, len(pictures) - 1)
    st.plotly_chart(
        figure, key="live_motion", alt=f"Tokens and codewords of one subspace. {said}", config={"displayModeBar": False}
    )
    st.caption(escape_markdown(said))


def live_curve(job: Job, request: Request, is_example: bool) -> None:
    """The error after every step so far."""
    what = "the example that first-time visitors see, once" if is_example else "your run"
    st.markdown(f"Computing {what}: **{escape_markdown(request.model)}**, {escape_markdown(request.settings.in_words)}")
    history = [{"stage": message.stage, **message.values} for message in job.history if "error" in message.values]
    if not history:
        st.caption(f"{stage_of(job)} · {taken_text(job)}")
        return
    pictures = [message.values["picture"] for message in job.history if "picture" in message.values]
    if pictures and "tokens" in pictures[0]:
        live_motion(pictures, request)
    figure, table, _ = error_curve(history)
    last, steps = history[-1]["error"], table["step"].iloc[-1]
    st.plotly_chart(
        figure,
        key="live_curve",
        alt=f"Relative error after {steps} steps; now {last:.4f}",
        config={"displayModeBar": False},
    )
    st.caption(f"Step {steps}: relative error {last:.4f} · {seconds_text(job.seconds)}")
