"""The page Entailment, a labelled set: choose pairs, what judging them will cost, the job, and where its result comes from."""

import streamlit as st

from ....evaluate.data.pairs import PairSet
from ....evaluate.similarity.pairs import encoding_seconds
from ....tasks.evaluations import MOST_PAIRS, RESAMPLES, SEED, SET, EngineOption, SetResult, kept_set, set_key
from ....tasks.sides import Subject
from ...entailment_results import results
from ...kept_reports import kept_or_job, kept_report, offer_set
from ...shell.frame import Frame
from ...shell.text import counted, errors_shown
from ...shell.work import Work, subject_of
from ...widgets.pairs_source import choose_pairs, linked_digest

_KEY = "entailment_set"  # of widgets and of the URL's parameters
_PAIR_COST = 1.25  # a classifier reads pairs, whose lengths differ more than those of sentences


def set_view(frame: Frame, engine: EngineOption) -> None:
    """The whole tab."""
    subject = subject_of(frame)
    st.markdown(
        "Pairs of premise and hypothesis with the label that people gave them: how many are judged alike, before and after "
        "compression? Several files for several languages can be judged in one go."
    )
    pairs = choose_pairs(frame, "entailment", key=_KEY)
    linked = linked_digest(_KEY) if pairs is None else None
    with errors_shown():
        result = None
        if pairs is not None:
            result = computed(frame, subject, engine, pairs)
        elif linked:  # a link to results on somebody's file, which are kept here even though the file is not
            result = kept_report(kept_set, set_key(subject, linked[1], engine.choice))
        if result is not None:
            results(result, described=pairs is not None)
        elif linked:
            st.caption(
                "Results on that file are not kept on this server for the run and judge above: give the file to compute them."
            )


def computed(frame: Frame, subject: Subject, engine: EngineOption, pairs: PairSet) -> SetResult | None:
    """The result for the chosen pairs; while there is none, the button, progress or an error is drawn."""
    key = set_key(subject, pairs.digest, engine.choice)
    arguments = {"subject": subject, "pairs": pairs, "engine_choice": engine.choice, "resamples": RESAMPLES, "seed": SEED}
    work = Work(("entailment set", key), SET, arguments, f"Judging {counted(len(pairs), 'pair')}")

    def offer() -> None:
        seconds, what = estimate(
            frame, engine, pairs, 1 if subject.run_key is None else 2 if subject.adapted_key is None else 3
        )
        offer_set(frame, work, pairs, MOST_PAIRS, "judged", what, seconds, "entailment_set_run")

    return kept_or_job(frame, kept_set, key, work, offer)


def estimate(frame: Frame, engine: EngineOption, pairs: PairSet, sides: int) -> tuple[float, str]:
    """Rough seconds, and what is done, in words."""
    if engine.choice.head is None:
        joined = [f"{first} {second}" for first, second in zip(pairs.first, pairs.second, strict=True)]
        return _PAIR_COST * encoding_seconds(frame.model, joined, sides), "each read as one text"
    sentences = [*pairs.first, *pairs.second]
    return encoding_seconds(frame.model, sentences, sides), f"{counted(len(set(sentences)), 'distinct sentence')}, encoded"
