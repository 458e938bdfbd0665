"""Components of our own: scripts that run in the page."""

import streamlit as st

#: Streamlit calls a script anew whenever its data or the theme change, and what it returned only when the component goes. So whatever
#: listened before would listen still, with the old data. What is marked takes part from now on, which tests wait for.
_CALL = """
export default function (given) {
  const place = given.parentElement;
  place.subembEnd?.();
  const end = place.subembEnd = component(given);
  (place.host ?? place).dataset.listens = "";
  return () => {
    end?.();
    if (place.subembEnd === end) delete place.subembEnd;
  };
}
"""


@st.cache_resource(show_spinner=False)
def component(name: str, script: str, html: str | None = None, css: str | None = None):
    """What mounts a component, as ``st.components.v2.component`` gives it.

    script: has a ``function component({ data, parentElement, setTriggerValue })``, which may return what ends it: that is called when
    the component goes, and before each further call of the function.
    """
    return st.components.v2.component(name, html=html, css=css, js=script + _CALL)
