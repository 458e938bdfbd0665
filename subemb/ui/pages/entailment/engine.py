"""The page Entailment: what judges the pairs, in words; and what to do where a model cannot."""

import shlex

import pandas as pd
import streamlit as st

from ....base.open_server import is_public
from ....base.text import escape_markdown
from ....evaluate.entailment.engines import EngineOption, engine_options
from ...shell.frame import Frame
from ...shell.request import BUNDLED
from ...shell.sidebar import write_hub_id
from ...shell.text import counted
from ...widgets.scores import per_cent
from .charts import label_name

#: NLI classifiers on the hub with safetensors: id -> languages.
HUB_MODELS = {
    "cross-encoder/nli-MiniLM2-L6-H768": "English",
    "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli": "100 languages",
}
#: Files named in the command that trains a head: labelled pairs as they are distributed.
DATA_FILES = ("snli_1.0_dev.txt", "SICK_train.txt")


@st.cache_data(max_entries=16, ttl=20, show_spinner=False)
def options_of(identity: str, _model) -> tuple[list[EngineOption], str | None]:
    """Engines of a model; looked for again after 20 seconds, since a head may have been trained meanwhile."""
    return engine_options(_model)


def choose_engine(frame: Frame) -> EngineOption | None:
    """What judges the pairs, with a choice if there are several. None, with what to do instead, if there is none."""
    options, problem = options_of(frame.model.identity, frame.model)
    if not options:
        explain_no_engine(frame, problem)
        return None
    chosen = options[0]
    if len(options) > 1:
        names = [option_name(option) for option in options]
        name = st.selectbox("Judged by", names, key="engine", bind="query-params", persist_state="session")
        chosen = options[names.index(name)]
    return chosen


def about_engine(frame: Frame, chosen: EngineOption) -> None:
    """What judged the pairs, below what it said of them."""
    st.caption(engine_text(chosen))
    _, problem = options_of(frame.model.identity, frame.model)
    if problem is not None:
        st.caption(f"The model's own classifier cannot be used: {escape_markdown(problem)}.")
    if chosen.card:
        head_card(chosen)


def option_name(option: EngineOption) -> str:
    """An engine in a list and in links; not escaped, since a list shows text as it is."""
    return "The model's own classifier" if option.choice.head is None else f"Entailment head {option.choice.head}"


def engine_text(option: EngineOption) -> str:
    """What judges the pairs, in markdown."""
    if option.choice.head is None:
        given = ", ".join(f"{number}: {escape_markdown(name[:40])}" for number, name in enumerate(option.order))
        asked = "" if len(option.labels) == 3 else " It knows two labels only, so neutral and contradiction are one."
        return (
            "Judged by **the model's own classifier**, which reads premise and hypothesis together. The order of its labels is read "
            f"from the model: {given}.{asked}"
        )
    return (
        f"Judged by **the entailment head {escape_markdown(option.choice.head)}**, a small network that compares two sentence vectors"
        f"{_trained_text(option.card)}."
    )


def _trained_text(card) -> str:
    """How often a head was right on pairs set aside."""
    accuracy, pairs = set_aside(card)
    return (
        f". With the original table it judges **{per_cent(accuracy)}** of {counted(pairs, 'pair')} set aside as labelled"
        if pairs
        else ""
    )


def set_aside(card) -> tuple[float, int]:
    """Accuracy over all pairs that the training of a head did not use, and how many they are.

    >>> set_aside({"accuracy": [{"report_pairs": 30, "report_accuracy": 0.5}, {"report_pairs": 10, "report_accuracy": 0.9}]})
    (0.6, 40)
    """
    found = [(entry["report_pairs"], entry["report_accuracy"]) for entry in card.get("accuracy") or () if _is_measured(entry)]
    pairs = sum(count for count, _ in found)
    return (sum(count * accuracy for count, accuracy in found) / pairs if pairs else 0.0), pairs


def _is_measured(entry) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("report_pairs"), int)
        and isinstance(entry.get("report_accuracy"), float | int)
    )


def head_card(option: EngineOption) -> None:
    """What is known of a head's training."""
    card = option.card
    with st.expander("About this entailment head", icon=":material/school:"):
        learned = f" from {counted(card['pairs'], 'labelled pair')}" if isinstance(card.get("pairs"), int) else ""
        again = " It was then trained once more, on all pairs." if (card.get("settings") or {}).get("refit") else ""
        st.markdown(
            "The model has no classifier of pairs of its own. This head learned"
            f"{learned} with the vectors of the original table, and has never seen those of a compressed one.{again}"
        )
        rows = [
            {
                "data": str(entry.get("data", "")),
                "pairs set aside": entry["report_pairs"],
                "judged as labelled, %": 100 * entry["report_accuracy"],
            }
            for entry in card.get("accuracy") or ()
            if _is_measured(entry)
        ]
        if rows:
            st.dataframe(
                pd.DataFrame(rows),
                hide_index=True,
                alt="Accuracy of the entailment head on pairs set aside, by data set",
                column_config={"judged as labelled, %": st.column_config.NumberColumn(format="%.1f")},
            )
            st.caption("Pairs set aside share no sentence with those it learned from. Guessing gives about 33 %.")
        if isinstance(card.get("command"), str):
            st.caption("Trained with")
            st.code(card["command"][:2000], language="bash", wrap_lines=True)
        licences = card.get("licences")
        if isinstance(licences, list) and licences:
            st.caption("Data: " + escape_markdown("; ".join(str(text) for text in licences)[:2000]))


# Where a model cannot judge


def explain_no_engine(frame: Frame, problem: str | None) -> None:
    """Why this model cannot judge pairs, and what to do."""
    name = frame.run.model["name"]
    why = (
        "it has no NLI classifier of its own, and no entailment head has been trained on its sentence embeddings"
        if problem is None
        else f"{problem}. No entailment head has been trained on its sentence embeddings either"
    )
    st.info(f"**{escape_markdown(name)}** cannot judge pairs yet: {escape_markdown(why)}.", icon=":material/rule:")
    st.header("Train a head for it", anchor=False)
    st.markdown(
        "On the server's command line, with any files of labelled pairs (SNLI, MNLI, XNLI, SICK or a CSV). It takes some minutes; "
        "this page finds the head within half a minute after that."
    )
    st.code(train_command(name, frame.visit.request.revision), language="bash", wrap_lines=True)
    st.header("Or choose another model", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f"**{BUNDLED}**  \nbundled, with an entailment head: the example")
        st.button(
            "Choose the bundled model", icon=":material/check:", key="entailment_bundled", on_click=_choose_bundled(frame)
        )
    for number, (model, languages) in enumerate(() if is_public() else HUB_MODELS.items()):
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"**{escape_markdown(model)}**  \nNLI classifier, {languages}")
            st.button(
                "Write into the sidebar",
                icon=":material/edit:",
                key=f"entailment_download_{number}",
                on_click=write_hub_id,
                args=(frame.visit, model),
                help=f"Nothing is fetched before Download is pressed there: {escape_markdown(model)}",
            )
    st.caption(
        f"Any checkpoint for sequence classification will do if its labels name {', '.join(map(label_name, ('entailment', 'neutral')))} "
        "and contradiction, and it has safetensors."
    )


def train_command(model: str, revision: str | None = None) -> str:
    """The command that trains an entailment head for a model.

    >>> train_command("my model")
    "subemb train-head 'my model' --data snli_1.0_dev.txt SICK_train.txt"
    """
    words = ["subemb", "train-head", model, "--data", *DATA_FILES]
    return shlex.join(words + (["--revision", revision] if revision else []))


def _choose_bundled(frame: Frame):
    def choose() -> None:
        frame.visit.shown = frame.visit.shown_key = None  # the example
        frame.visit.reset_form = True

    return choose
