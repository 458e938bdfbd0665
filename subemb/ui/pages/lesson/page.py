"""How it works: the method in ten steps, a picture each."""

import inspect

import streamlit as st

from ...shell import presentation
from ...shell.frame import page
from ...widgets.leads import lead
from .pictures import code_picture
from .steps import STEPS, Place, Step

TITLE = "How it works"
_AT = "lesson_at"  # session state: the step drawn last; a browser may still send the step before it along with a key
_OVER = "lesson_over"  # session state: which way somebody went on beyond the first or the last step
_STYLE = """
[data-testid="stMainBlockContainer"] { padding-left: clamp(1rem, 3vw, 3rem); padding-right: clamp(1rem, 3vw, 3rem); }
.st-key-lesson_steps { margin-bottom: -0.25rem; }
.st-key-step button { border: 1px solid color-mix(in srgb, currentColor 30%, transparent) !important; margin: 0 !important;
  border-radius: 999px !important; min-width: 2.1rem; min-height: 2.1rem; padding: 0 !important; justify-content: center; }
.st-key-step button[aria-checked=true] { border-color: currentColor !important; }
.st-key-step [role=radiogroup] { gap: 0.2rem; flex-wrap: wrap; }
.st-key-lesson_words h2 { padding-top: 0; font-size: 1.5rem; }
@media (max-width: 640px) { .st-key-step button { min-width: 1.62rem; min-height: 1.75rem; }
  .st-key-lesson_steps > .st-key-step { order: 5; flex-basis: 100%; } }
"""


_LARGE = "[data-testid='stMain'] .le { font-size: clamp(0.8rem, 0.3rem + 1.2vw, 1.6rem); }"


def draw() -> None:
    """The page."""
    frame = page(TITLE, has_steps=True)
    st.html(f"<style>{_STYLE}{_LARGE if presentation.is_on() else ''}</style>")
    way = presentation.keys("lesson_keys", presentation.ARROWS, on_pressed=_pressed)
    if presentation.is_on() and way and st.session_state.pop(_OVER, False):
        presentation.turn(TITLE, frame.visit.address, way)
    st.session_state.pop(_OVER, None)
    with frame.errors():
        number, shows_code = _steps()
        step = STEPS[number - 1]
        if presentation.is_on():
            picture, words = st.columns([2.2, 1], gap="large", vertical_alignment="center")
        else:
            words, picture = st.columns([1, 2.1], gap="medium")
        with words, st.container(key="lesson_words"):
            st.header(step.title, anchor=False)
            said = st.container()
        step.draw(Place(frame, said, picture))
        if step.link:
            words.html(lead(step.link, f"{step.leads_to} →"))
        if shows_code:
            _code(step)


def _steps() -> tuple[int, bool]:
    """Where one is, and the way on; returns the number of the step, and whether its code is to be shown."""
    numbers = list(range(1, len(STEPS) + 1))
    with st.container(key="lesson_steps", horizontal=True, gap="small", vertical_alignment="center"):
        place = st.container(width="content")
        if "step" not in st.session_state and st.query_params.get("step") not in map(str, numbers):
            st.session_state["step"] = 1  # no default: the buttons set it too
        number = st.segmented_control(
            "Step", numbers, required=True, key="step", bind="query-params", label_visibility="collapsed"
        )
        number = st.session_state[_AT] = number if number in numbers else 1
        place.button("Prev", icon=":material/arrow_back:", key="step_before", disabled=number == 1, on_click=_go, args=(-1,))
        st.button(
            "Next", icon=":material/arrow_forward:", key="step_after", type="primary", disabled=number == len(STEPS),
            on_click=_go, args=(1,), help="Or the arrow keys",
        )  # fmt: skip
        shows_code = st.toggle("Show the code", key="source", bind="query-params")
    return number, shows_code


def _go(by: int) -> None:
    """To another step; notes if there is none any more."""
    now = st.session_state.get(_AT, 1)
    there = max(1, min(len(STEPS), now + by))
    st.session_state["step"] = st.session_state[_AT] = there
    st.session_state[_OVER] = there == now


def _pressed() -> None:
    way = presentation.pressed("lesson_keys")
    if way in (presentation.BACK, presentation.ON):
        _go(1 if way == presentation.ON else -1)


def _code(step: Step) -> None:
    """The plain loops that have just run, the lines of this step brought out."""
    st.caption("`subemb/codec/readable.py`: what has just run, in plain loops")
    source = "\n\n".join(inspect.getsource(function) for function in step.functions)
    st.html(code_picture(source, step.lines))
