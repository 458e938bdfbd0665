"""Presentation mode of every page (``?present=1``): no sidebar, larger type, and keys to go on; and keys that a page listens to."""

from collections.abc import Callable

import streamlit as st

from .components import component
from .pages import beside
from .style import BACKGROUND
from .text import write_parameter

PARAMETER = "present"  # URL parameter
TOGGLE = "p"  # the key that begins and ends it
#: What keys mean; clickers of lecturers send PageUp and PageDown.
BACK, ON = "back", "on"
ARROWS = {"ArrowLeft": BACK, "PageUp": BACK, "ArrowRight": ON, "PageDown": ON}
_STYLE = f"""
html {{ font-size: clamp(17px, calc(8px + 0.94vw), 28px) !important; }}
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"], [data-testid="stHeader"] {{ display: none !important; }}
[data-testid="stMainBlockContainer"] {{ padding: 0.75rem clamp(1rem, 3vw, 4rem) 4rem !important; max-width: none !important; }}
[data-testid="stMain"] h1 {{ font-size: 1.6rem; padding: 0; }}
.st-key-page_header {{ padding-left: 0 !important; }}
.st-key-presentation {{ position: fixed; right: 0.75rem; bottom: 0.5rem; z-index: 1000; width: max-content !important; opacity: 0.9;
  padding: 0 0.5rem; background: {BACKGROUND}; border-radius: 0.5rem; }}
.st-key-presentation p {{ font-size: 0.75rem; }}
.st-key-presentation:is(:hover, :focus-within) {{ opacity: 1; }}
@media print {{ .st-key-presentation {{ display: none; }} }}
"""
#: Keys go to whatever is being typed in, dragged or chosen from first; the rest is the page's, wherever the focus is.
_KEYS = """function component({ data, setTriggerValue }) {
  const own = "input, textarea, select, [contenteditable=true], [role=slider], [role=spinbutton], [role=combobox], [role=listbox], "
    + "[role=option], [role=tab], [role=menu], [role=menuitem], [role=grid], [role=dialog], [role=region], canvas, video";
  const listen = (event) => {
    const meaning = data.keys[event.key];
    if (!meaning || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (target.closest && target.closest(own)) return;
    event.preventDefault();
    event.stopPropagation();
    setTriggerValue("pressed", meaning);
  };
  window.addEventListener("keydown", listen, true);
  return () => window.removeEventListener("keydown", listen, true);
}"""


def keys(key: str, meanings: dict[str, str], on_pressed: Callable[[], None] = lambda: None) -> str | None:
    """Listen to the keyboard wherever nothing else does, and return what was pressed. Takes no room.

    key: of the component. meanings: of keys as browsers name them. on_pressed: called first, see :func:`pressed`.
    """
    with st.container(key=f"unseen_{key}"):
        return component("subemb_keys", _KEYS)(key=key, data={"keys": meanings}, height=1, on_pressed_change=on_pressed).pressed


def pressed(key: str) -> str | None:
    """What was pressed, inside ``on_pressed``."""
    state = st.session_state.get(key)
    return None if state is None else state.get("pressed")


def is_on() -> bool:
    """Whether the page is being presented."""
    return st.query_params.get(PARAMETER) == "1"


def in_links() -> dict[str, str]:
    """The URL parameter that links to other pages carry along."""
    return {PARAMETER: "1"} if is_on() else {}


def toggle() -> None:
    """Begin or end it."""
    write_parameter(PARAMETER, None if is_on() else "1")


def draw(label: str, address: dict[str, str], has_steps: bool) -> None:
    """Listen to the keys of a page; while presenting, also its style and the buttons to go on.

    label: of the page. address: URL parameters that pages share. has_steps: whether the page has steps of its own, and arrow keys
    are for these.
    """
    with st.container(key="unseen_presentation"):  # one place, whatever stands in it
        asked = keys("page_keys", {TOGGLE: TOGGLE} | (ARROWS if is_on() and not has_steps else {}), on_pressed=_toggled)
        if is_on():
            st.html(f"<style>{_STYLE}</style>")
            asked = _buttons() or asked
    if asked in (BACK, ON):
        turn(label, address, asked)


def _buttons() -> str | None:
    """To the pages before and after, and out of it; returns where to go."""
    with st.container(key="presentation", horizontal=True, gap="xxsmall", width="content"):
        before = st.button("Page before", icon=":material/chevron_left:", key="page_before", type="tertiary")
        st.button(
            "Leave", icon=":material/close_fullscreen:", key="page_leave", type="tertiary", on_click=toggle, help="Or press p"
        )
        after = st.button("Next page", icon=":material/chevron_right:", key="page_after", type="tertiary")
    return BACK if before else ON if after else None


def offer() -> None:
    """The button that begins it."""
    st.button(
        "Present", icon=":material/slideshow:", key="presentation_begin", type="tertiary", on_click=toggle, help="Or press p"
    )


def turn(label: str, address: dict[str, str], which: str) -> None:
    """Go to the page before or after one, round and round."""
    st.switch_page(beside(label, 1 if which == ON else -1).file, query_params=address | in_links())


def _toggled() -> None:
    if pressed("page_keys") == TOGGLE:
        toggle()
