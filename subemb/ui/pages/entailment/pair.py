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
    """A verdict in one sentence, all probabilities as bars on one scale, and beside them what every side says."""
    with st.container(key="verdict"):
        st.markdown(verdict(result, labelled))
    for sentence in result.cut:
        st.warning(f"{sentence} The rest has no effect on the result.", icon=":material/content_cut:")
    left, right = st.columns([2, 1], gap="medium")
    with left:
        show(
            pair_chart(result),
            pair_alt(result),
            pair_table(result).round(3),
            key="entailment_bars",
            file_name="subemb-entailment-pair.csv",
        )
    for place, side in enumerate(result.sides):
        winner = result.winner(side)
        with right.container(border=True, key=f"entailment_side_{place}"):
            st.metric(
                f"{sentence_case(side)} says",
                label_name(winner),
                flip_text(result, side) if place else None,
                delta_color=("inverse" if result.flipped(side) else "off") if place else "off",
                delta_arrow="off",
            )
            st.caption(f"With {per_cent(max(result.probabilities[side]))}: {MEANINGS[winner]}.")


def verdict(result: PairJudgement, labelled: str | None = None) -> str:
    """Whether all sides say the same, in markdown. labelled: by the demonstration set, if it has the pair.

    >>> verdict(PairJudgement(("entailment", "neutral"), {"original": (0.7, 0.3), "compressed": (0.8, 0.2)}))
    ':green[:material/check_circle:] **Unchanged**: original and compressed agree on entailment.'
    >>> verdict(PairJudgement(("entailment", "neutral"), {"run A": (0.7, 0.3), "run B": (0.1, 0.9)}), "neutral")
    ':orange[:material/sync_alt:] **Flipped**: run A entailment, run B neutral. The demonstration set labels this pair **neutral**.'
    """
    if any(result.flipped(side) for side in result.sides):
        found = ", ".join(f"{escape_markdown(side)} {label_name(result.winner(side))}" for side in result.sides)
        text = f":orange[:material/sync_alt:] **Flipped**: {found}."
    else:
        *most, last = map(escape_markdown, result.sides)
        all_sides = f"{', '.join(most)} and {last}"
        text = (
            f":green[:material/check_circle:] **Unchanged**: {all_sides} agree on {label_name(result.winner(result.sides[0]))}."
        )
    return text if labelled is None else f"{text} The demonstration set labels this pair **{label_name(labelled)}**."


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
