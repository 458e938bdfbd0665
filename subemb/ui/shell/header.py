"""The line at the head of every page: its title, the run that it shows, and a button that copies its address."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from .components import component
from .style import PRIMARY, TEXT

#: Browsers keep the clipboard from pages that came without encryption; there a text that is selected can be copied all the same.
_COPY = """function component({ parentElement }) {
  const button = parentElement.querySelector("button"), said = parentElement.querySelector("span");
  let later = 0;
  const copied = async () => {
    const address = location.href;
    try { await navigator.clipboard.writeText(address); return true; } catch (error) { /* try the old way */ }
    const text = document.createElement("textarea");
    text.value = address;
    text.style.cssText = "position: fixed; opacity: 0";
    document.body.append(text);
    text.select();
    const done = document.execCommand("copy");
    text.remove();
    button.focus();
    return done;
  };
  button.onclick = async () => {
    said.textContent = await copied() ? "Copied" : "Copy it from the address line";
    clearTimeout(later);
    later = setTimeout(() => { said.textContent = "Copy link"; }, 2500);
  };
  return () => { clearTimeout(later); said.textContent = "Copy link"; };
}"""
_BUTTON = '<button type="button"><span aria-live="polite">Copy link</span></button>'
_LOOK = f"""
button {{ font: inherit; font-size: 0.875rem; color: {TEXT}; background: none; padding: 0.2rem 0.6rem; cursor: pointer;
  border: 1px solid color-mix(in srgb, {TEXT} 25%, transparent); border-radius: 0.375rem; white-space: nowrap; }}
button:hover {{ border-color: {PRIMARY}; color: {PRIMARY}; }}
button:focus-visible {{ outline: 2px solid {PRIMARY}; outline-offset: 2px; }}
"""


def draw(title: str, about: str | None) -> DeltaGenerator:
    """Draw the line; returns the place for what names the run. about: what the page is for, behind a question mark."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="page_header"):
        st.title(title, anchor=False, help=about, width="content")
        named = st.container(width="stretch")
        with st.container(width="content", key="copy_link"):
            component("subemb_copy_link", _COPY, _BUTTON, _LOOK)(key="copy_link_button", width="content", height="content")
    return named
