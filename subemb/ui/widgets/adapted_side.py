"""Which adaptation stands beside original and compressed, on every page that compares them."""

import streamlit as st

from ...adaptation.library import known_adaptation, known_adaptations, run_key_of
from ...adaptation.result import Adaptation
from ...adaptation.settings import OBJECTIVES, TRAINED
from ...base.text import change_text, seconds_text
from ..shell.frame import Frame
from ..shell.visit import write_url

_NONE = "none"


def adapted_side(frame: Frame) -> None:
    """A list of this visitor's adaptations of this run, and the one in the link, if there are any; the one chosen is the third side."""
    visit = frame.visit
    found = known_adaptations(frame.run.model["identity"], visit.token)
    linked = None if visit.adapted is None else known_adaptation(visit.adapted)
    if linked is not None and linked not in found:  # somebody else's, who gave the link
        found.append(linked)
    found = [known for known in found if known.is_over and run_key_of(known.key) == frame.run.key]
    if visit.adapted is not None and visit.adapted not in {known.key for known in found}:
        if run_key_of(visit.adapted) is None:  # else it is one of a run that was shown before
            st.caption("The adaptation in this link is no longer on this server: only two sides are shown.")
        visit.adapted = None
        write_url(visit)
    if not found:
        return
    names = {known.key: adaptation_label(known) for known in found}
    keys = [_NONE, *names]
    chosen = st.selectbox(
        "Adapted side",
        keys,
        index=keys.index(visit.adapted) if visit.adapted in names else 0,
        format_func=lambda key: names.get(key, "none: original and compressed only"),
        key=f"adapted_side_{frame.run.key}_{visit.adapted}_{len(found)}",
        help="An adaptation of this run, trained on the page Adapt, as a third column.",
    )
    wanted = None if chosen == _NONE else chosen
    if wanted != (visit.adapted if visit.adapted in names else None):
        visit.adapted = wanted
        write_url(visit)
        st.rerun()


def adaptation_label(known: Adaptation) -> str:
    """One line that distinguishes an adaptation from others.

    >>> from subemb.adaptation import AdaptationSettings
    >>> text = {"name": "news.txt", "sentences": 1200, "digest": "x"}
    >>> adaptation_label(Adaptation("k", {}, {}, AdaptationSettings(), text, steps=300, seconds=61.0))
    'Codebooks only, 300 steps in 1 min 1 s on 1,200 sentences without labels'
    """
    label = (
        f"{TRAINED[known.settings.train].title}, {known.steps:,} steps in {seconds_text(known.seconds)} on {known.learned_from}"
    )
    if known.settings.is_fine_tuning:
        label = f"{OBJECTIVES[known.settings.objective].title}: {label}"
    if {"adapted", "compressed"} <= set(known.scores):
        label += f", {change_text(known.scores['compressed'], known.scores['adapted'])} points"
    return label
