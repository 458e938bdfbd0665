"""Where things on a page lead: a token to its inspector, a block to its codeword; the browser's Back button leads back.

What can be clicked is a plain link (:func:`lead`), so that it can be opened in another tab, copied, reached and followed with the keyboard.
A click on one goes from page to page within the visit, without loading the app again (:func:`follow`).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from ...base.text import escape_html
from ..shell import presentation
from ..shell.components import component
from ..shell.visit import ADDRESS, Visit

MOST_ON_MAP = 100  # tokens that a link selects on the token map
#: A link says what is special about it; what all pages share, the run above all, is added. Streamlit goes wherever the address goes when
#: somebody presses Back or Forward: so this writes the new address, and says that it has changed.
_FOLLOW = """function component({ data }) {
  const linkOf = (event) => event.composedPath().find((node) => node.matches && node.matches("a[data-lead]"));
  const whole = (address) => {
    const url = new URL(address, location.href);
    for (const [name, value] of new URLSearchParams(location.search)) {
      if (data.shared.includes(name) && !url.searchParams.has(name)) url.searchParams.set(name, value);
    }
    return url;
  };
  const addressOf = (link) => whole(link.dataset.lead ||= link.getAttribute("href"));
  const go = (url) => {
    if (url.href === location.href) return;
    history.pushState({}, "", url);
    window.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
    document.querySelector("[data-testid=stMain]")?.scrollTo({ top: 0 });
  };
  // A finger cannot point: where links tell something while they are pointed at, the first tap has it told, and the second follows.
  let waits = null;
  const complete = (event) => { const link = linkOf(event); if (link) link.href = addressOf(link).href; };
  const touched = (event) => {
    complete(event);
    const link = linkOf(event), tells = event.pointerType === "touch" && link?.closest("[data-tells]");
    waits = tells && link !== document.activeElement ? link : null;
  };
  const follow = (event) => {
    const link = linkOf(event);
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link === waits && event.detail) { waits = null; link.focus({ preventScroll: true }); return; }
    go(addressOf(link));
  };
  if (data.go && data.number > (window.subembLed ?? 0)) go(whole(data.go));
  window.subembLed = Math.max(window.subembLed ?? 0, data.number);
  const heard = [["pointerdown", touched], ["focusin", complete], ["contextmenu", complete], ["click", follow]];
  heard.forEach(([what, act]) => window.addEventListener(what, act, true));
  return () => heard.forEach(([what, act]) => window.removeEventListener(what, act, true));
}"""


# Addresses, without the run: whatever page they are on, it is that page's


def token_link(token: int) -> str:
    """The inspector of a token.

    >>> token_link(7)
    'Assignments?view=Token&token=%237'
    """
    return "Assignments?" + urlencode({"view": "Token", "token": f"#{token}"})


def codeword_link(subspace: int, code: int, tier: int | None = None) -> str:
    """All tokens of a codeword.

    >>> codeword_link(0, 3), codeword_link(0, 3, tier=2)
    ('Assignments?view=Codewords&subspace=0&code=3', 'Assignments?view=Codewords&subspace=0&code=3&tier=2')
    """
    where = {"view": "Codewords", "subspace": subspace, "code": code}
    return "Assignments?" + urlencode(where if tier is None else where | {"tier": tier})


def usage_link(subspace: int, tier: int | None = None) -> str:
    """How evenly the codes of a subspace are used.

    >>> usage_link(3)
    'Assignments?view=Usage&subspace=3'
    """
    where = {"view": "Usage", "subspace": subspace}
    return "Assignments?" + urlencode(where if tier is None else where | {"tier": tier})


def sentence_link(text: str) -> str:
    """The tokens of a sentence as blocks.

    >>> sentence_link("a b")
    'Assignments?view=Sentence&sentence=a+b'
    """
    return "Assignments?" + urlencode({"view": "Sentence", "sentence": text})


def map_link(tokens: Sequence[int]) -> str:
    """Tokens selected on the token map, the first MOST_ON_MAP.

    >>> map_link([7, 3])
    'Token_map?map_selected=3%2C7'
    """
    return "Token_map?" + urlencode({"map_selected": ",".join(map(str, sorted(tokens[:MOST_ON_MAP])))})


# What is drawn


def lead(href: str, inside: str, title: str = "", look: str = "", style: str = "", is_stop: bool = True) -> str:
    """HTML of a link. inside: HTML. title: what it leads to, in words; not escaped. look: CSS classes. is_stop: whether Tab stops there.

    >>> lead("Assignments?view=Token", "king", is_stop=False)
    '<a data-lead href="Assignments?view=Token" class="lead" tabindex="-1">king</a>'
    """
    attributes = [f'href="{escape_html(href)}"', f'class="{" ".join(["lead", *filter(None, [look])])}"']
    attributes += [f'title="{escape_html(title)}"'] if title else []
    attributes += [f'style="{style}"'] if style else []
    attributes += [] if is_stop else ['tabindex="-1"']
    return f"<a data-lead {' '.join(attributes)}>{inside}</a>"


def token_lead(token: int, text: str, look: str = "") -> str:
    """HTML of a token that leads to its inspector. text: not escaped.

    >>> token_lead(7, "<b>")
    '<a data-lead href="Assignments?view=Token&amp;token=%237" class="lead"><bdi>&lt;b&gt;</bdi></a>'
    """
    return lead(token_link(token), f"<bdi>{escape_html(text)}</bdi>", look=look)


def token_chips(tokens: Sequence[int], texts: Sequence[str], title: str = "") -> str:
    """HTML of several tokens as chips; empty for none. texts: of all tokens. title: what they are, in words."""
    chips = "".join(token_lead(int(token), texts[token], "chip") for token in tokens)
    named = f' role="group" aria-label="{escape_html(title)}"' if title else ""
    return f'<span class="chips"{named}>{chips}</span>' if chips else ""


def lead_table(caption: str, columns: Mapping[str, bool], rows: Sequence[Sequence[str]]) -> str:
    """HTML of a table that wraps, and whose rows become blocks on a narrow screen.

    caption: not escaped. columns: name -> whether it holds numbers, which are put under each other. rows: cells as HTML; the first cell of
    a row names it.
    """
    kinds = [' class="lt-n"' if is_number else "" for is_number in columns.values()]
    head = "".join(f'<th scope="col"{kind}>{escape_html(name)}</th>' for name, kind in zip(columns, kinds, strict=True))
    body = []
    for first, *others in rows:
        cells = "".join(
            f'<td{kind} data-of="{escape_html(name)}">{cell}</td>'
            for name, kind, cell in zip(list(columns)[1:], kinds[1:], others, strict=True)
        )
        body.append(f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>')
    return (
        f'<table class="lt"><caption>{escape_html(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def chosen_row(event: Any, count: int) -> int | None:
    """The row that was selected in a table of ``count`` rows, from what ``st.dataframe`` returned; None if none was."""
    rows = event.selection.rows if event and event.selection else []
    return rows[0] if rows and rows[0] < count else None


def open_link(visit: Visit, link: str) -> None:
    """Go where a link leads, for what is chosen in a table."""
    lead_to(visit, link)
    st.rerun(scope="app")


def lead_to(visit: Visit, link: str) -> None:
    """Go where a link leads with the run of the script that follows, for what is chosen in a callback."""
    visit.led += 1
    visit.leads_to = link


def follow(visit: Visit) -> None:
    """Have the browser go where links lead, and :func:`open_link`. Takes no room."""
    with st.container(key="unseen_leads"):
        told = {"shared": [*ADDRESS, presentation.PARAMETER], "go": visit.leads_to, "number": visit.led}
        component("subemb_leads", _FOLLOW)(key="leads", data=told, height=1)
    visit.leads_to = None
