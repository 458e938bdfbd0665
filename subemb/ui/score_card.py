"""One score of one side as a card: the value, and its difference to the first side with the interval."""

import math

import streamlit as st

from ..evaluate.similarity_report import METRIC_NAMES, SideScores
from .similarity_charts import METRIC_HELP, score_text
from .widgets.scores import metric_delta, signed


def score_card(scores: SideScores, metric: str, name: str) -> None:
    """Draw it into the current container. name: of what was measured, such as ``original``."""
    interval = scores.differences.get(metric)
    moves = interval is not None and signed(interval.difference)[0] in "−+"
    st.metric(
        f"{METRIC_NAMES[metric]}, {name}",
        score_text(scores.values[metric]),
        None if interval is None else metric_delta(interval.difference),
        delta_color="normal" if moves and interval.excludes_zero else "off",
        delta_arrow="auto" if moves else "off",
        help=METRIC_HELP[metric],
    )
    if interval is None:
        about = "what the difference is counted from"
    elif math.isnan(interval.low):
        about = "no interval: it is undefined on these pairs"
    else:
        about = f"{100 * interval.level:g} % interval of the difference: {signed(interval.low)} to {signed(interval.high)}"
    if metric in scores.thresholds:
        about += f" · paraphrase from cosine {scores.thresholds[metric]:.3f} on"
    st.caption(about)
