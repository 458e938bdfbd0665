"""The form of the page Adapt: what to learn from, what to train, for how long."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import streamlit as st

from ....adaptation.settings import LABELLED, OBJECTIVES, TRAINED, AdaptationSettings
from ....adaptation.texts import one_text, read_text, read_text_bytes, text_of_pairs
from ....base.errors import InputError
from ....base.open_server import longest_text
from ....base.pace import rough
from ....base.plain import bounds, declared
from ....base.text import escape_markdown, size_text
from ....evaluate.data.languages import in_languages
from ....evaluate.data.pairs import combine
from ....evaluate.data.read import demo_pairs, read_pairs
from ....export.command_lines import UPLOADED_PAIRS, UPLOADED_TEXT
from ....tasks.adaptation import begin_adaptation
from ...shell.frame import Frame
from ...shell.text import counted, errors_shown, show_error
from ...shell.uploads import content_of, file_uploader, hold, read_once
from ...widgets.settings import has_widget, setting_input

SOURCES = {
    "Paste": "Sentences, one a line. Those given here were written for this project, to show how it works; replace them with sentences "
    "like those that the model will read.",
    "Upload": "Text files with one sentence a line, or tables (CSV, TSV, JSON lines, Parquet), whose labels are not read.",
    "None": "No text at all: token sequences are drawn from the vocabulary itself. It works, but less well than sentences.",
}
MINUTES = {"30 seconds": 30.0, "1 minute": 60.0, "3 minutes": 180.0, "5 minutes": 300.0, "10 minutes": 600.0}
LABELLED_SOURCES = {
    "Demonstration pairs": "Written for this project: enough to see how it works, too few to learn much from.",
    "Upload": "Labelled pairs: STS benchmark, SICK, SNLI, MNLI, XNLI, GLUE or plain CSV, TSV, JSON lines, Parquet.",
}
SCORED = {"The demonstration pairs": "demo", "A file of mine": "file", "Nothing": None}
HELD_OUT = {"A tenth, held out": None, "A file of mine": "file"}
DEFAULT = AdaptationSettings()
_FOUND = "adapt_found"  # session state: what is said of the files that are given, by file and columns
#: The form is not on the page while something is trained: what was chosen in it is there again afterwards, as after a visit elsewhere.
KEPT = {"persist_state": "session"}
#: Settings with a place of their own in the form; those under Advanced need no more than their declaration.
PLACED = ("objective", "train", "last_layers", "reassign", "seconds", "steps", "sample", "temperature")


def adapt_input(name: str, **instead: Any) -> Any:
    """The widget of a setting, at its default until a visitor chooses."""
    return setting_input(AdaptationSettings, name, f"adapt_{name}", **{"value": getattr(DEFAULT, name)} | KEPT | instead)


def adapt_form(frame: Frame, start: Callable[[Frame, str], None]) -> None:
    """Draw the form. When Start is pressed, save what was given and call ``start(frame, key)`` with the key of the adaptation."""
    from ....adaptation.material import check_given

    st.header("A new adaptation", anchor=False)
    objective = objective_input(frame)
    left, right = st.columns(2, gap="medium")
    with left:
        if objective in LABELLED:
            source, given, sample = labelled_inputs()
        else:
            source, given, sample = text_inputs(objective)
        scored = scored_inputs(objective)
    with right:
        settings = settings_inputs(frame, objective, sample)
    if settings is None:
        return
    st.caption(what_it_costs(frame, settings))
    if st.button("Start", type="primary", icon=":material/model_training:", key="adapt_start"):
        with errors_shown():
            labelled = read_labelled(objective, source, given) if objective in LABELLED else None
            text = None if objective in LABELLED else read_text_inputs(source, given)
            pairs = read_scored(scored)
            check_given(frame.model, text, labelled, settings)
            names: dict[str, str] = {}
            if source == "Upload":
                text = _unnamed(text, "text", UPLOADED_TEXT, names)
                labelled = _unnamed(labelled, "labelled", UPLOADED_PAIRS, names)
            if scored[0] == "file":
                pairs = _unnamed(pairs, "scored", UPLOADED_PAIRS, names)
            token = frame.visit.token
            start(frame, begin_adaptation(frame.subject, settings, text, pairs, labelled, token, names))


def _unnamed(given: Any, part: str, name: str, names: dict[str, str]) -> Any:
    """What was read from a file, without its name: that is noted in ``names``, for whoever gave it and for nobody else."""
    if given is None:
        return None
    names[part] = given.name
    return replace(given, name=name)


def what_it_costs(frame: Frame, settings: AdaptationSettings) -> str:
    """The time that it will take, in a sentence."""
    from ....adaptation.session import steps_seconds

    original = "; the original is trained alike" if settings.is_fine_tuning else ""
    if settings.seconds:
        budget = next(name for name, seconds in MINUTES.items() if seconds == settings.seconds)
        return f"Takes about {budget}, and the time to load and to score the pairs{original}."
    seconds = steps_seconds(settings, frame.model, frame.run.settings)
    return f"Takes {settings.steps:,} steps{original}: about {rough(seconds)}, a rough estimate."


def objective_input(frame: Frame) -> str:
    """What is learned."""
    titles = {choice.title: name for name, choice in OBJECTIVES.items() if name != "masked" or frame.model.has_head("masked")}
    objective = titles[
        setting_input(AdaptationSettings, "objective", "adapt_objective", options=list(titles), help=None, **KEPT)
    ]
    st.caption(OBJECTIVES[objective].help)
    if objective != "masked":
        st.caption(f"Sentence vector: {escape_markdown(frame.model.pooling)}.")
    return objective


def labelled_inputs() -> tuple[str, object, int]:
    """Labelled pairs to learn from; returns what :func:`text_inputs` returns."""
    source = st.segmented_control(
        "Labelled pairs to learn from",
        list(LABELLED_SOURCES),
        default="Upload",
        key="adapt_labelled_source",
        required=True,
        **KEPT,
    )
    st.caption(LABELLED_SOURCES[source])
    given = file_uploader("Files", key="adapt_labelled", accept_multiple_files=True) if source == "Upload" else None
    return source, given, DEFAULT.sample


def text_inputs(objective: str) -> tuple[str, object, int]:
    """What to learn from: its kind, what was given, and how many sequences to draw without a text."""
    sources = [name for name in SOURCES if name != "None" or objective == "distill"]
    source = st.segmented_control(
        "Text to learn from", sources, default="Paste", key=f"adapt_source_{len(sources)}", required=True, **KEPT
    )
    st.caption(SOURCES[source])
    given, sample = None, DEFAULT.sample
    if source == "Paste":
        given = st.text_area(
            "Sentences",
            demonstration_text(),
            key="adapt_text",
            **KEPT,
            height=180,
            placeholder="A man is playing a guitar.\nTwo dogs run in the snow.",
        )
    elif source == "Upload":
        given = uploaded_text()
    else:
        sample = adapt_input("sample", step=1000, help=None)
    return source, given, sample


def uploaded_text() -> list[tuple[Any, tuple[str, ...]]] | None:
    """The files that can be read, each a source of its own, with the columns to read; None for none. What was read is said."""
    files = file_uploader(
        "Files",
        key="adapt_files",
        accept_multiple_files=True,
        help="Equally much is learned from each file, however long it is.",
    )
    if not files:
        st.session_state.pop(_FOUND, None)
        return None
    columns = st.text_input(
        "Columns",
        key="adapt_text_columns",
        placeholder="found out",
        help="Of tables: the columns that hold sentences, such as title, body; numbers from 1 where there is no header.",
    )
    named = tuple(part.strip() for part in columns.split(",") if part.strip())
    before, found, given = st.session_state.get(_FOUND, {}), {}, []
    for file in files:
        key = file.file_id, named
        said = found[key] = before[key] if key in before else _said_of(file, named)
        if isinstance(said, str):
            show_error(said)
            continue
        given.append((file, named))
        for line in said:
            st.caption(line)
    st.session_state[_FOUND] = found
    return given


def _said_of(file, columns: tuple[str, ...]) -> list[str] | str:
    """How many sentences a file has and what was inferred, in markdown; or why it cannot be read. The sentences stay with nobody: those of
    many visitors would fill the server."""
    try:
        text = _text_of(file, columns)
    except InputError as error:
        return str(error)
    head = f"{escape_markdown(text.name)}: {counted(len(text), 'sentence')}"
    return [head, *(escape_markdown(note.sentence(on_page=True)) for _, note in text.notes)]


def _text_of(file, columns: tuple[str, ...]):
    """The sentences of a file. Raises InputError."""

    def read():
        with st.spinner("Reading the text"):
            return read_text_bytes(content_of(file), file.name, columns)

    def bytes_of(text) -> int:
        return sum(map(sys.getsizeof, text.sentences)) + 8 * len(text)

    return read_once(hold(content_of(file)), ("sentences", file.name, columns), read, bytes_of)


@cache
def demonstration_text() -> str:
    """The sentences of the demonstration pairs for entailment; those for similarity are left for the score."""
    return "\n".join(text_of_pairs(demo_pairs("entailment")).sentences)


def scored_inputs(objective: str) -> tuple[str | None, object]:
    """Labelled pairs whose score is followed."""
    choices = SCORED if objective == "distill" else HELD_OUT
    chosen = st.selectbox(
        "Score to follow",
        list(choices),
        key=f"adapt_scored_{len(choices)}",
        **KEPT,
        help="Labelled pairs on which the model is scored from time to time. The weights with the best score are kept, so the last score is "
        "a little too good. Sentences of these pairs are taken out of the text.",
    )
    file = file_uploader("Labelled pairs", key="adapt_scored_file") if choices[chosen] == "file" else None
    return choices[chosen], file


def settings_inputs(frame: Frame, objective: str, sample: int) -> AdaptationSettings | None:
    """What is trained, and how. None if the values contradict each other; the page then says why."""
    layers = ("norms", "last") if frame.model.checkpoint.is_static else ()  # a static table has none
    titles = {choice.title: name for name, choice in TRAINED.items() if name not in layers}
    train = titles[setting_input(AdaptationSettings, "train", "adapt_train", options=list(titles), help=None, **KEPT)]
    stored = frame.run.size.total_bytes
    st.caption(f"{TRAINED[train].help} The table itself takes {size_text(stored)}, as before.")
    last = adapt_input("last_layers", help=None) if train == "last" else DEFAULT.last_layers
    time = bounds(AdaptationSettings, "seconds")
    budget = st.select_slider(
        time["label"],
        list(MINUTES),
        value="3 minutes",
        key="adapt_time",
        help=time["help"],
        disabled=bool(st.session_state.get("adapt_steps")),  # which take its place
        **KEPT,
    )
    reassign = adapt_input("reassign")
    with st.expander("Advanced"):
        more = advanced_inputs(frame, objective)
    try:
        return AdaptationSettings(
            objective=objective,
            train=train,
            last_layers=last,
            reassign=reassign,
            seconds=MINUTES[budget],
            sample=sample,
            **more,
        )
    except InputError as error:
        show_error(str(error))
        return None


def advanced_inputs(frame: Frame, objective: str) -> dict[str, Any]:
    """Settings that most visitors leave as they are, by their names in AdaptationSettings."""
    from ....adaptation.objectives import distilled_head

    by_time = bounds(AdaptationSettings, "steps")["help"]
    steps = adapt_input("steps", min_value=0, value=0, placeholder=None, help=f"0: by time. {by_time}")
    found: dict[str, Any] = {"steps": steps or None}
    names = has_widget(AdaptationSettings, [name for name in declared(AdaptationSettings) if name not in PLACED])
    if objective == "distill" and distilled_head(frame.model) is not None:
        names.insert(names.index("seed"), "temperature")
    for name in names:
        found[name] = adapt_input(name)
    return found


def read_text_inputs(source: str, given):
    """The text, or None for none. Raises InputError as the readers do."""
    if source == "None":
        return None
    if source == "Paste":
        if not (given or "").strip():
            raise InputError("there is no text yet: write or paste sentences, upload a file, or choose None")
        longest = longest_text(len(given))
        if len(given) > longest:
            raise InputError(f"the text has {len(given):,} characters; at most {longest:,} are taken here: paste a part of it")
        return read_text(given, "pasted")
    if not given:
        raise InputError("there is no file yet: upload one, or paste sentences, or choose None")
    return one_text([_text_of(file, columns) for file, columns in given])


def read_labelled(objective: str, source: str, given):
    """The pairs to learn from. Raises InputError as the readers do."""
    if source != "Upload":
        return in_languages(demo_pairs(objective))
    if not given:
        raise InputError("there is no file yet: upload labelled pairs, or choose the demonstration pairs")
    return combine([in_languages(read_pairs(content_of(file), file.name)) for file in given])


def read_scored(scored: tuple[str | None, object]):
    """The labelled pairs, or None. Raises InputError as the readers do."""
    kind, file = scored
    if kind is None:
        return None
    if kind == "demo":
        return in_languages(demo_pairs("similarity"))
    if file is None:
        raise InputError("there is no file of labelled pairs yet: upload one, or follow another score")
    return in_languages(read_pairs(content_of(file), file.name))
