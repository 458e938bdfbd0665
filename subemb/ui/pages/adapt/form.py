"""The form of the page Adapt: what to learn from, what to train, for how long."""

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from ....adaptation.settings import LABELLED, OBJECTIVES, TRAINED, AdaptationSettings
from ....base.errors import InputError
from ....base.text import seconds_text, size_text
from ....models.vocabulary import escape_markdown
from ...shell.frame import Frame
from ...shell.text import errors_shown
from ...shell.work import subject_of

SOURCES = {
    "Paste": "Sentences, one a line. Those that stand there were written for this project, to see how it works; put the kind of "
    "sentences in their place that the model is to read.",
    "Upload": "A text file with one sentence a line, or labelled pairs (CSV, TSV, JSON lines, Parquet), whose labels are not read.",
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


def adapt_form(frame: Frame, start: Callable[[Frame, str], None]) -> None:
    """Draw the form; on Start write the inputs down and call ``start(frame, key)``."""
    from ....adaptation.material import check_given
    from ....tasks.adaptation import begin_adaptation

    st.subheader("A new adaptation", anchor=False)
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
            start(frame, begin_adaptation(subject_of(frame), settings, text, pairs, labelled))


def what_it_costs(frame: Frame, settings: AdaptationSettings) -> str:
    """The time that it will take, in a sentence."""
    from ....adaptation.settings import steps_seconds

    alike = "; the original is trained alike" if settings.is_fine_tuning else ""
    if settings.seconds:
        budget = next(name for name, seconds in MINUTES.items() if seconds == settings.seconds)
        return f"Takes about {budget}, and the time to load and to score the pairs{alike}."
    seconds = steps_seconds(settings, frame.model, frame.run.settings)
    return f"Takes {settings.steps:,} steps{alike}: about {seconds_text(seconds)}, a rough estimate."


def objective_input(frame: Frame) -> str:
    """What is learned."""
    titles = {choice.title: name for name, choice in OBJECTIVES.items() if name != "masked" or frame.model.has_head("masked")}
    objective = titles[st.selectbox("What is learned", list(titles), key="adapt_objective")]
    st.caption(OBJECTIVES[objective].help)
    return objective


def labelled_inputs() -> tuple[str, object, int]:
    """Labelled pairs to learn from, as :func:`text_inputs`."""
    source = st.segmented_control(
        "Labelled pairs to learn from", list(LABELLED_SOURCES), default="Upload", key="adapt_labelled_source", required=True
    )
    st.caption(LABELLED_SOURCES[source])
    given = st.file_uploader("Files", key="adapt_labelled", accept_multiple_files=True) if source == "Upload" else None
    return source, given, DEFAULT.sample


def text_inputs(objective: str) -> tuple[str, object, int]:
    """What to learn from: its kind, what was given, and how many sequences to draw without a text."""
    sources = [name for name in SOURCES if name != "None" or objective == "distill"]
    source = st.segmented_control(
        "Text to learn from", sources, default="Paste", key=f"adapt_source_{len(sources)}", required=True
    )
    st.caption(SOURCES[source])
    given, sample = None, DEFAULT.sample
    if source == "Paste":
        given = st.text_area(
            "Sentences",
            demonstration_text(),
            key="adapt_text",
            height=180,
            placeholder="A man is playing a guitar.\nTwo dogs run in the snow.",
        )
    elif source == "Upload":
        given = st.file_uploader("Files", key="adapt_files", accept_multiple_files=True)
    else:
        sample = st.number_input("Sequences", 100, 1_000_000, DEFAULT.sample, step=1000, key="adapt_sample")
    return source, given, sample


@cache
def demonstration_text() -> str:
    """The sentences of the demonstration pairs for entailment; those for similarity are kept for the score."""
    from ....adaptation.texts import text_of_pairs
    from ....evaluate.data.read import demo_pairs

    return "\n".join(text_of_pairs(demo_pairs("entailment")).sentences)


def scored_inputs(objective: str) -> tuple[str | None, object]:
    """Labelled pairs whose score is followed."""
    choices = SCORED if objective == "distill" else HELD_OUT
    chosen = st.selectbox(
        "Score to follow",
        list(choices),
        key=f"adapt_scored_{len(choices)}",
        help="Labelled pairs that the model is asked every so often. The weights that answer best are kept, so this score is a little too "
        "good in the end. Sentences that occur in the pairs are taken out of the text.",
    )
    file = st.file_uploader("Labelled pairs", key="adapt_scored_file") if choices[chosen] == "file" else None
    return choices[chosen], file


def settings_inputs(frame: Frame, objective: str, sample: int) -> AdaptationSettings | None:
    """What is trained, and how; None, with the reason shown, if the values do not go together."""
    titles = {choice.title: name for name, choice in TRAINED.items()}
    train = titles[st.selectbox("What is trained", list(titles), key="adapt_train")]
    stored = frame.run.size.total_bytes
    st.caption(f"{TRAINED[train].help} The table itself takes {size_text(stored)}, as before.")
    last = st.number_input("Last layers", 1, 100, 1, key="adapt_last") if train == "last" else 1
    budget = st.select_slider(
        "Time",
        list(MINUTES),
        value="3 minutes",
        key="adapt_time",
        help="For the training, the search for codes included, however fast this computer is; to load, and to score the pairs, comes on "
        "top. Most of what comes back comes back in the first minute.",
    )
    reassign = st.toggle(
        "Codes may change",
        value=True,
        key="adapt_reassign",
        help="Before the training, codes are found anew: tokens count by how often the text has them, and errors by how much the "
        "network's output moves with them, so that subspaces make up for each other. For the methods cluster and product.",
    )
    with st.expander("Advanced"):
        more = advanced_inputs(frame, objective)
    try:
        return AdaptationSettings(
            objective=objective,
            train=train,
            last_layers=int(last),
            reassign=reassign,
            seconds=MINUTES[budget],
            sample=int(sample),
            **more,
        )
    except InputError as error:
        st.error(escape_markdown(str(error)))
        return None


def advanced_inputs(frame: Frame, objective: str) -> dict[str, Any]:
    """Settings that most visitors leave as they are, by their names in AdaptationSettings."""
    from ....adaptation.objectives import distilled_head

    found: dict[str, Any] = {}
    steps = st.number_input(
        "Steps instead of time",
        0,
        1_000_000,
        0,
        key="adapt_steps",
        help="0: by time. So many steps give the same result every time, but take longer on a slower computer.",
    )
    found["steps"] = int(steps) or None
    found["batch_size"] = st.number_input(
        "Sentences a step",
        2,
        1024,
        DEFAULT.batch_size,
        key="adapt_batch",
        help="What one step of the training looks at. More make each step better and slower, and need more memory.",
    )
    found["codebook_rate"] = st.number_input(
        "Learning rate of codebooks",
        1e-6,
        1.0,
        DEFAULT.codebook_rate,
        format="%.5f",
        key="adapt_books",
        help="How far a step moves the shared sub-vectors. Too high, and what was learned is lost again; too low, and time is.",
    )
    found["network_rate"] = st.number_input(
        "Learning rate of the network",
        1e-7,
        1.0,
        DEFAULT.network_rate,
        format="%.6f",
        key="adapt_network",
        help="The same for the weights of the network, where some are trained; in fine-tuning for the original's table too.",
    )
    if objective == "distill" and distilled_head(frame.model) is not None:
        found["temperature"] = st.number_input(
            "Temperature",
            0.1,
            100.0,
            DEFAULT.temperature,
            key="adapt_temperature",
            help="Above 1, what the original holds for less likely is learned too; at 1, above all what it holds for most likely.",
        )
    elif objective == "distill":
        found["replaced"] = st.slider(
            "Share of words exchanged",
            0.0,
            1.0,
            DEFAULT.replaced,
            key="adapt_replaced",
            help="In each sentence so many tokens are exchanged for others of the vocabulary, anew every time: the original knows the "
            "vector of any sequence, so words can be learned that the text does not have. On STS benchmark it did not pay, and a step "
            "takes longer.",
        )
        found["hidden_weight"] = st.number_input(
            "Weight of hidden states",
            0.0,
            100.0,
            DEFAULT.hidden_weight,
            key="adapt_hidden",
            help="Of the error of the last hidden states, token by token, beside that of the sentence vectors. On STS benchmark it did "
            "not pay.",
        )
    found["seed"] = st.number_input(
        "Seed", 0, 10**9, 0, key="adapt_seed", help="Of everything random. Another one shows how much of a result is chance."
    )
    return found


def read_text_inputs(source: str, given):
    """The text, or None for none. Raises InputError as the readers do."""
    from ....adaptation.texts import read_text, read_text_bytes, text_of

    if source == "None":
        return None
    if source == "Paste":
        if not (given or "").strip():
            raise InputError("there is no text yet: write or paste sentences, upload a file, or choose None")
        return read_text(given, "pasted")
    if not given:
        raise InputError("there is no file yet: upload one, or paste sentences, or choose None")
    parts = [read_text_bytes(file.getvalue(), file.name) for file in given]
    if len(parts) == 1:
        return parts[0]
    return text_of([sentence for part in parts for sentence in part.sentences], ", ".join(part.name for part in parts))


def read_labelled(objective: str, source: str, given):
    """The pairs to learn from. Raises InputError as the readers do."""
    from ....evaluate.data.pairs import combine
    from ....evaluate.data.read import demo_pairs, read_pairs

    if source != "Upload":
        return demo_pairs(objective)
    if not given:
        raise InputError("there is no file yet: upload labelled pairs, or choose the demonstration pairs")
    return combine([read_pairs(file.getvalue(), file.name) for file in given])


def read_scored(scored: tuple[str | None, object]):
    """The labelled pairs, or None. Raises InputError as the readers do."""
    from ....evaluate.data.read import demo_pairs, read_pairs

    kind, file = scored
    if kind is None:
        return None
    if kind == "demo":
        return demo_pairs("similarity")
    if file is None:
        raise InputError("there is no file of labelled pairs yet: upload one, or follow another score")
    return read_pairs(file.getvalue(), file.name)
