"""The page Entailment, a pair: premise and hypothesis, judged by every side."""

import streamlit as st

from ....base.text import escape_markdown, score_change, sentence_case
from ....evaluate.data.read import demo_pairs
from ....evaluate.entailment.engines import EngineOption
from ....evaluate.entailment.pairs import PairJudgement
from ....tasks.evaluations import LONGEST, judge_pair
from ...shell.frame import Frame
from ...shell.jobs import outcome
from ...widgets.charts import show
from ...widgets.scores import per_cent
from ...widgets.sentence_inputs import example_text, pair_form
from .charts import label_name, pair_chart, pair_table

PREMISE, HYPOTHESIS = "entailment_premise", "entailment_hypothesis"
WHICH = ("Premise", "Hypothesis")
MEANINGS = {
    "entailment": "the hypothesis follows from the premise",
    "neutral": "the premise leaves it open",
    "contradiction": "the premise rules it out",
    "not_entailment": "the hypothesis does not follow from the premise",
}


@st.cache_data(max_entries=1, show_spinner=False)
def example_pairs() -> list[tuple[str, str, str, str]]:
    """The demonstration set: (language, premise, hypothesis, label)."""
    pairs = demo_pairs("entailment")
    languages = pairs.languages or ("",) * len(pairs)
    labels = [pairs.labels[gold] for gold in pairs.gold]
    return list(zip(languages, pairs.first, pairs.second, labels, strict=True))


def pair_view(frame: Frame, engine: EngineOption) -> None:
    """Two sentences, and what every side says about them."""
    premise, hypothesis, labelled = read_pair()
    for text, which in ((premise, "premise"), (hypothesis, "hypothesis")):
        if not text.strip():
            st.info(f"Write a {which}, or choose an example pair, to see what it entails.", icon=":material/edit:")
            return
    call = judge_pair.call(frame.compared, premise, hypothesis, engine.choice)
    result = outcome(frame.visit, call, "Judging the pair on every side", auto=True)
    if result is not None:
        judgement_view(result, labelled)


def read_pair() -> tuple[str, str, str | None]:
    """Premise and hypothesis, taken from the link and written to it; and the label, if they are an example."""
    examples = example_pairs()
    premise, hypothesis, _ = pair_form(
        "entailment",
        {PREMISE: "premise", HYPOTHESIS: "hypothesis"},
        WHICH,
        examples,
        LONGEST,
        {"label": "Judge", "icon": ":material/rule:", "key": "entailment_judge"},
        lambda number: f"{example_text(*examples[number][:3])} · {label_name(examples[number][3])}",
    )
    labels = {(first, second): label for _, first, second, label in examples}
    return premise, hypothesis, labels.get((premise, hypothesis))


# Results


def judgement_view(result: PairJudgement, labelled: str | None = None) -> None:
    """The verdict of every side in words, one column a side, and all probabilities as bars on one scale."""
    for place, (column, side) in enumerate(zip(st.columns(len(result.sides)), result.sides, strict=True)):
        winner = result.winner(side)
        with column.container(border=True, height="stretch", key=f"entailment_side_{place}"):
            st.metric(
                f"{sentence_case(side)} says",
                label_name(winner),
                flip_text(result, side) if place else None,
                delta_color=("inverse" if result.flipped(side) else "off") if place else "off",
                delta_arrow="off",
            )
            st.caption(f"With {per_cent(max(result.probabilities[side]))}: {MEANINGS[winner]}.")
    if labelled is not None:
        st.caption(f"The demonstration set labels this pair **{escape_markdown(label_name(labelled))}**.")
    for sentence in result.cut:
        st.warning(f"{sentence} The rest has no effect on the result.", icon=":material/content_cut:")
    show(
        pair_chart(result),
        pair_alt(result),
        pair_table(result).round(3),
        key="entailment_bars",
        file_name="subemb-entailment-pair.csv",
    )


def flip_text(result: PairJudgement, side: str) -> str:
    """Whether the verdict of a side differs from the first side's, in words."""
    if not result.flipped(side):
        return "unchanged"
    return f"flipped: {label_name(result.winner(result.sides[0]))} before"


def pair_alt(result: PairJudgement) -> str:
    """The chart in words."""
    first = result.probabilities[result.sides[0]]
    parts = []
    for side in result.sides:
        found = ", ".join(
            f"{label_name(label)} {per_cent(value)}"
            + (f" ({score_change(before, value)} points)" if side != result.sides[0] else "")
            for label, value, before in zip(result.labels, result.probabilities[side], first, strict=True)
        )
        parts.append(f"{side}: {found}")
    return "Probabilities of the labels. " + "; ".join(parts) + "."
