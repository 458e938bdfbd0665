"""The sidebar that every page shows: where to go, which model, which settings, what it will cost, Run and Cancel."""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ...base.errors import InputError
from ...base.open_server import is_public, longest_text
from ...base.pace import rough
from ...base.text import count_text, escape_markdown, percent_text, size_text
from ...codec.estimates import predicted_size
from ...codec.methods import METHODS
from ...codec.methods.codebooks import CodebookMethod
from ...codec.methods.tiers import in_words, parsed
from ...codec.settings import OF_TEXT, WEIGHT_NAMES, WEIGHTS, CompressionSettings
from ...codec.subspaces import LARGEST_CODEBOOK, automatic_codebook_size
from ...codec.weights import text_digest
from ...jobs.manager import Job
from ...jobs.task import Call
from ...models.hub import validate_id, validate_revision
from ...models.load import download_job
from ...runs import RUNS, estimate_run_seconds, run_key
from ...runs import resolved as with_automatic
from ..widgets.settings import has_widget, setting_input
from . import presentation
from .components import component
from .jobs import begin, jobs_elsewhere, stage_of, taken_text, watch
from .models import list_again, listed_models, open_model
from .pages import PAGES
from .request import Request
from .text import counted, errors_shown, show_error, without_folders
from .uploads import Content, content_of, file_uploader, hold
from .visit import Visit

ANOTHER = "Another Hugging Face model …"
ALWAYS_OPEN = ("rank", "budget", "keep")  # of the settings without a place of their own; the others are in an expander
LONGEST_TEXT = 5_000_000
_FEW_CODEWORDS = 16  # below so many it is said that Q may be larger
_CHOSEN = "form_chosen"  # session state: what this visitor set of f and Q, for every method in which it means the same
_PAGE = "subemb_page"  # session state: the page that the form was drawn on last
_DOWNLOAD = "subemb_download"  # session state: the download that this visitor waits for


#: Streamlit draws the link to the page one is on in another colour, and says so to nobody who cannot see it.
_CURRENT = """function component() {
  const sidebar = document.querySelector("[data-testid=stSidebar]");
  const path = (address) => address.replace(/[/]+$/, "");
  const mark = () => {
    // The link to Home is empty, and comes first: it leads there from wherever it stands.
    const [home, ...others] = sidebar.querySelectorAll(".st-key-navigation a[data-testid=stPageLink-NavLink]");
    const here = others.find((link) => path(new URL(link.href || location.href).pathname) === path(location.pathname)) || home;
    for (const link of [home, ...others]) {
      if (!link) continue;  // links may come later than this
      if (link === here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  if (!sidebar) return;
  mark();
  const observer = new MutationObserver(mark);
  observer.observe(sidebar, { childList: true, subtree: true, attributes: true, attributeFilter: ["href"] });
  return () => observer.disconnect();
}"""


def navigation(visit: Visit) -> None:
    """Links to the pages; they carry the run that is shown."""
    query = visit.address | presentation.in_links()
    for page in PAGES.values():
        st.page_link(page.file, label=page.label, icon=page.icon, query_params=query or None, width="stretch")
    with st.container(key="unseen_current"):
        component("subemb_current_page", _CURRENT)(key="current_page", height=1)


def model_picker(visit: Visit) -> tuple[str, str | None] | None:
    """Choose a model; returns (name, revision), or None while there is none that can be used."""
    entries = listed_models()
    usable = {entry.name: entry for entry in entries if not entry.error}
    names = list(usable)
    request = visit.request
    if request.model not in names:
        names.append(request.model)
    _initial("form_model", request.model)
    chosen = st.selectbox(
        "Model",
        names if is_public() else [*names, ANOTHER],
        key="form_model",
        persist_state="session",
        help="The models that this server offers."
        if is_public()
        else "The bundled model, checkpoint folders under SUBEMB_MODELS, and what is in the local Hugging Face cache.",
    )
    broken = [entry for entry in entries if entry.error]
    if broken:
        with st.expander(f"{counted(len(broken), 'model')} cannot be used"):
            for entry in broken:
                st.markdown(f"**{escape_markdown(entry.name)}**: {escape_markdown(without_folders(entry.error))}")
    if chosen == ANOTHER:
        _download_form(visit)
        return None
    if chosen not in usable and not is_public():  # named by a link, but not here yet
        _initial("form_hub_id", chosen)
        _initial("form_hub_revision", request.revision or "")
        _download_form(visit)
    revision = request.revision if chosen == request.model else None
    return chosen, visit.revisions.get(chosen, revision)


def write_hub_id(visit: Visit, name: str) -> None:
    """Put an id into the download form, for the next run of the page; nothing is fetched before Download is pressed."""
    st.session_state["form_model"] = ANOTHER
    st.session_state["form_hub_id"] = name
    visit.notice = (
        f"{escape_markdown(name)} is in the sidebar now. Press **Download** there, and **Run** once it is downloaded."
    )


def _download_form(visit: Visit) -> None:
    """Type an id and a revision, and download them."""
    name = st.text_input("Hugging Face id", placeholder="organization/model", key="form_hub_id", max_chars=200).strip()
    revision = st.text_input(
        "Revision", placeholder="main", key="form_hub_revision", max_chars=100, help="Branch, tag or commit; empty for main."
    ).strip()
    call: Call | None = st.session_state.get(_DOWNLOAD)
    job = None if call is None else call.job
    busy = job is not None and not job.is_over
    if st.button("Download", icon=":material/download:", disabled=not name or busy, key="download_button"):
        job = None
        with errors_shown():
            call = _start_download(visit, name, revision or None)
            job = call.job
    if job is None or (
        job.is_over and call.arguments != {"name": name, "revision": revision or None}
    ):  # it was of another model
        return
    if job.state == "failed":
        show_error(job.error)
    elif job.state == "cancelled":
        st.info("Download stopped.")
    else:
        watch(
            visit,
            call.key,
            _download_progress,
            "cancel_download_button",
            "Cancel download",
            over=lambda job: _choose_downloaded(visit, call, job),
        )


def _start_download(visit: Visit, name: str, revision: str | None) -> Call:
    validate_id(name)
    if revision:
        validate_revision(revision)
    call = download_job.call(name=name, revision=revision)
    begin(visit, call)
    st.session_state[_DOWNLOAD] = call
    return call


def _download_progress(job: Job) -> None:
    values = job.progress.values if job.progress else {}
    amount = f" · {size_text(values['bytes'])} of {size_text(values['total_bytes'])}" if values.get("total_bytes") else ""
    st.progress(job.fraction, text=f"{stage_of(job, 'waiting')}{amount}")


def _choose_downloaded(visit: Visit, call: Call, job: Job) -> None:
    """Choose the model that was downloaded."""
    if job.state == "done":
        call.forget()
        del st.session_state[_DOWNLOAD]
        list_again()
        visit.model_to_choose = call.arguments["name"]
        visit.revisions[visit.model_to_choose] = call.arguments["revision"]


def _forget_form() -> None:
    """Let the form start again from the run that is shown. A text given for counts stays."""
    for key in list(st.session_state):
        if str(key).startswith("form_") and not str(key).startswith(("form_text", "form_hub")):
            del st.session_state[key]


def _carry_form() -> None:
    """Take the form along to another page. There its fields are other widgets under the same keys, and one whose value the app had set, not
    the visitor, would begin with its default again."""
    page = get_script_run_ctx().page_script_hash
    if st.session_state.get(_PAGE, page) != page:
        for key in list(st.session_state):
            if str(key).startswith("form_") and key != "form_text_file":  # files cannot be set, and are given again
                st.session_state[key] = st.session_state[key]
    st.session_state[_PAGE] = page


def _initial(key: str, value) -> None:
    if key not in st.session_state:
        st.session_state[key] = value


def model_facts(name: str, revision: str | None):
    """What the chosen model is, in one line; returns the opened model, or None with an error shown."""
    with errors_shown():
        model = open_model(name, revision)
        table_bytes = model.num_tokens * model.dim * 4
        st.caption(
            f"{count_text(model.num_tokens)} tokens × {model.dim} · {size_text(table_bytes)}"
            + (f" · {percent_text(model.num_tokens * model.dim / model.parameters)} of the model" if model.parameters else "")
            + (f" · revision {escape_markdown(str(model.revision)[:12])}" if model.source == "hub" else "")
        )
        for note in model.reading_notes:
            st.caption(escape_markdown(note))
        return model
    return None


def settings_widgets(visit: Visit, model) -> tuple[CompressionSettings | None, Content | None]:
    """The settings as widgets; returns them (or None with the reason shown) and the text to count tokens in, if any.

    model: the one that they are for.
    """
    shown = visit.request.settings
    key = _input("method", "form_method", shown.method, help=None)
    method = METHODS[key]
    st.caption(method.summary)
    values: dict = {"method": key}
    text = None
    if method.uses_codebooks:
        values |= _codebook_widgets(method, shown)
    others = [name for name in method.reads if name not in (*values, "unique", "sensitive", "weights", "tiers")]
    values |= _other_widgets([name for name in others if name in ALWAYS_OPEN], shown)
    if method.can_be_unique:
        unique = _input("unique", f"form_unique_{key}", shown.wants_unique if key == shown.method else method.is_unique)
        values["unique"] = None if unique == method.is_unique else unique
    if method.can_be_sensitive:
        values["sensitive"] = _input("sensitive", f"form_sensitive_{key}", shown.sensitive if key == shown.method else None)
    if "weights" in method.reads:
        text = _weights_widgets(values, shown)
    place = st.container()  # of the tiers, which depend on what follows
    stopping = [
        *(["seed"] if method.uses_codebooks or method.is_iterative else []),
        *(name for name in others if name not in ALWAYS_OPEN),
    ]
    if stopping:
        with st.expander("Seed and stopping"):
            values |= _other_widgets(stopping, shown)
    if "tiers" in method.reads:
        empty = _automatic_tiers(values, model)
        more = {} if empty is None else {"placeholder": empty}
        values["tiers"] = _input("tiers", "form_tiers", shown.tiers, place, **more)
    try:
        return CompressionSettings(**values), text
    except InputError as error:
        show_error(str(error))
        return None, text


def _automatic_tiers(values: dict, model) -> str | None:
    """What stands in the field of tiers where none are given; None where the settings do not fit."""
    try:
        resolved = with_automatic(CompressionSettings(**values), model, None)
    except InputError:  # said where the estimate stands
        return None
    tiers = _tiers_of(resolved, model)
    return "chosen for the budget when it runs" if tiers is None else f"automatic: {tiers}"


def _tiers_of(resolved: CompressionSettings, model) -> str | None:
    """The tiers of resolved settings; of a budget those that a finished run chose for it, None where there is none yet."""
    if resolved.budget is None:
        return resolved.tiers
    run = RUNS.get(run_key(model.identity, resolved))
    return None if run is None else run.settings.tiers


def _input(name: str, key: str, value, place=st, **instead):
    """The widget of a setting that begins with ``value`` and keeps what a visitor chose, on all pages."""
    _initial(key, value)
    return setting_input(CompressionSettings, name, key, place, persist_state="session", **instead)


def _codebook_widgets(method: CodebookMethod, shown: CompressionSettings) -> dict:
    key = method.key
    begin = shown if key == shown.method else method.suggested
    left, right = st.columns(2)
    named = {"label": method.subspaces_label, "help": method.subspaces_help}

    def shared(name: str, meaning: str, widget: str, place, **instead):
        chosen = st.session_state.setdefault(_CHOSEN, _set_by(shown))
        if meaning in chosen:
            st.session_state[widget] = chosen[meaning]
        return _input(name, widget, getattr(begin, name), place, on_change=_choose, args=(meaning, widget), **instead)

    return {
        "subspaces": shared("subspaces", method.subspaces_letter, f"form_f_{key}", left, **named),
        "codebook_size": shared("codebook_size", "Q", f"form_q_{key}", right, placeholder="automatic"),
    }


def _set_by(shown: CompressionSettings) -> dict:
    """What the run shown sets of f and Q, other than what its method suggests: meaning -> value."""
    method = shown.about
    if not method.uses_codebooks:
        return {}
    found = {method.subspaces_letter: ("subspaces", shown.subspaces), "Q": ("codebook_size", shown.codebook_size)}
    return {meaning: value for meaning, (name, value) in found.items() if value != getattr(method.suggested, name)}


def _choose(meaning: str, widget: str) -> None:
    """Keep what was set for the other methods; what nobody set begins with what each method suggests."""
    if _CHOSEN in st.session_state and widget in st.session_state:  # else the field went while this was on its way
        st.session_state[_CHOSEN][meaning] = st.session_state[widget]


def _weights_widgets(values: dict, shown: CompressionSettings) -> Content | None:
    known = shown.weights if shown.weights in WEIGHTS else "none"
    weights = _input("weights", "form_weights", known, format_func=WEIGHT_NAMES.get)
    values["weights"] = weights
    if weights not in OF_TEXT:
        return None
    uploaded = file_uploader(
        "Text to count tokens in" if weights != "list" else "Frequency list: a word and its count a line",
        type=["txt"],
        key="form_text_file",
        help="UTF-8, up to 5 MB.",
        max_upload_size=5,
    )
    pasted = st.text_area("or paste it here", key="form_text", height=100, persist_state="session")
    try:
        given = hold(pasted.encode("utf-8", "replace") if uploaded is None else content_of(uploaded))
        text = given.text
        longest = longest_text(LONGEST_TEXT)
        if len(text) > longest:
            raise InputError(f"the text has {len(text):,} characters; at most {longest:,} are counted: upload a shorter one")
    except InputError as error:
        show_error(str(error))
        return None
    except UnicodeDecodeError as error:
        show_error(f"{uploaded.name} is not UTF-8 text (byte {error.start}); save it as UTF-8 and upload it again")
        return None
    if not text.strip():
        return None

    values["text_digest"] = text_digest(text)
    return given


def _other_widgets(names: list[str], shown: CompressionSettings, **instead) -> dict:
    """Settings that need no more than their declaration. One without a widget keeps the value that the link gave it."""
    values = {name: getattr(shown, name) for name in names}
    for name in has_widget(CompressionSettings, names):
        values[name] = _input(name, f"form_{name}", values[name], **instead)
    return values


def estimate(settings: CompressionSettings, model) -> CompressionSettings | None:
    """Say what a run will store and how long it may take; returns the resolved settings, or None with the reason shown."""
    try:
        resolved = with_automatic(settings, model, None)
        if resolved.wants_unique and resolved.codebook_size and resolved.codebook_size**resolved.subspaces < model.num_tokens:
            raise InputError(
                f"Q ** f = {resolved.codebook_size} ** {resolved.subspaces} = {resolved.codebook_size**resolved.subspaces:,} tuples "
                f"are too few for {model.num_tokens:,} tokens; {_enough_tuples(resolved, model.num_tokens)}"
            )
    except InputError as error:
        show_error(str(error))
        return None
    size = predicted_size(resolved, model.num_tokens, model.dim, model.parameters)
    automatic = _automatic_q(resolved, model.num_tokens) if settings.codebook_size is None and resolved.codebook_size else ""
    tiers = _tiers_of(resolved, model)
    words = "" if tiers is None else in_words(parsed(tiers))
    nearly = "about " if resolved.about.is_guess(resolved) and tiers is None else ""
    st.caption(
        f"Will store {nearly}**{size_text(size.total_bytes)}** ({percent_text(size.total_share)} of the table){automatic}; "
        f"takes about {rough(estimate_run_seconds(resolved, model.num_tokens, model.dim, model, can_wait=False))}, a rough estimate.",
        help=f"{words[:1].upper()}{words[1:]}." if words else None,
    )
    return resolved


def _automatic_q(resolved: CompressionSettings, vocabulary: int) -> str:
    """The Q that was chosen, and that it is the least where it is: more subspaces with fewer codewords may keep less."""
    size = resolved.codebook_size
    least = resolved.wants_unique and size == automatic_codebook_size(vocabulary, resolved.subspaces)
    more = " (the least for distinct tuples; a larger Q keeps more)" if least and size < _FEW_CODEWORDS else ""
    return f", Q = {size}{more}"


def _enough_tuples(settings: CompressionSettings, vocabulary: int) -> str:
    """What to change where Q ** f is too small."""
    enough = automatic_codebook_size(vocabulary, settings.subspaces)
    remedy = f"raise Q to {enough:,} or leave it empty" if enough <= LARGEST_CODEBOOK else "raise f"
    return remedy + (", or switch Distinct tuples off" if settings.about.can_be_unique else "")


@st.fragment
def settings_form(visit: Visit, name: str, revision: str | None) -> None:
    """Settings, estimate and Run. A fragment, so that changing a setting redraws only this."""
    with errors_shown(), st.container(gap="xsmall"):
        model = open_model(name, revision)
        settings, text = settings_widgets(visit, model)
        run_bar = st.container(gap="xxsmall", key="run_bar")
        with run_bar:
            resolved = estimate(settings, model) if settings is not None else None
        needs_text = settings is not None and settings.weights in OF_TEXT and text is None
        if needs_text:
            run_bar.caption("Give a text to count tokens in." if settings.weights != "list" else "Give a frequency list.")
        if visit.running is not None:
            return  # progress and Cancel stand in the button's place
        request = Request(name, revision, settings)
        is_usable = resolved is not None and not needs_text
        visit.form_is_usable = is_usable
        with run_bar:
            pressed = st.button(
                "Run", type="primary", icon=":material/play_arrow:", width="stretch", key="run_button", disabled=not is_usable
            )
        if pressed:
            visit.start(request, text)
            st.rerun(scope="app")
        _tell_page(visit, (request, text) if is_usable and not visit.shows(request) else None)


def _tell_page(visit: Visit, pending: tuple[Request, Content | None] | None) -> None:
    """Let the page, which is drawn after the form, say that the form differs from it; where the form is drawn alone, draw the page too."""
    changes = (pending is None) != (visit.pending is None)
    visit.pending = pending
    if changes and not visit.is_whole_page:
        st.rerun(scope="app")


def run_progress(job: Job) -> None:
    """How far the run is that the visitor waits for."""
    if job.state == "queued":
        st.progress(0.0, text=f"Waiting: number {job.position_in_queue} in the queue")
    else:
        st.progress(job.fraction, text=f"{stage_of(job)} · {taken_text(job)}")


def draw(visit: Visit) -> None:
    """The whole sidebar."""
    with st.container(gap=None, key="navigation"):
        navigation(visit)
    visit.pending = None  # until the form has been drawn
    _carry_form()
    if visit.reset_form:
        _forget_form()
        visit.reset_form = False
    if visit.model_to_choose:
        st.session_state["form_model"], visit.model_to_choose = visit.model_to_choose, None
    with errors_shown(), st.container(gap="xsmall"):
        with st.container(gap="xsmall"):  # what comes and goes here does not move the form, see frame.page
            chosen = model_picker(visit)
            is_usable = chosen is not None and model_facts(*chosen) is not None
        if is_usable:
            settings_form(visit, *chosen)
    if visit.running is not None:
        with st.container(key="run_now"):
            watch(visit, visit.running[0], run_progress, "cancel_button", width="stretch", stop=visit.cancel)
    jobs_elsewhere(visit)
