"""Entailment: does the hypothesis follow from the premise, before and after compression; for a pair and for labelled sets."""

from ...shell.frame import page
from ...widgets.adapted_side import adapted_side
from ...widgets.other_side import other_side
from .engine import about_engine, choose_engine
from .labelled import entailment_set_view
from .pair import pair_view

VIEWS = {"A pair": pair_view, "Labelled set": entailment_set_view}


def draw() -> None:
    """The page."""
    frame = page(
        "Entailment",
        "Does a hypothesis follow from a premise? What the model says with its original table and with the compressed one, for a pair "
        "of sentences and for labelled sets.",
    )
    with frame.errors():
        if frame.run is not None:
            other_side(frame)
            adapted_side(frame)
            engine = choose_engine(frame)
            if engine is not None:
                frame.tabs(VIEWS, "part", frame, engine)
                about_engine(frame, engine)
