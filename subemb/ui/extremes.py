"""The page Reconstruction error, view Best and worst: tokens with their neighbours before and after."""

import numpy as np
import pandas as pd
import streamlit as st

from ..models.vocabulary import KINDS, escape_html
from .pages.error.page import Measured
from .shell.text import counted
from .widgets.charts import download_csv

COUNTS = (5, 10, 20, 50)
NEIGHBOURS_LISTED = 6


@st.cache_data(max_entries=32, show_spinner="Finding their neighbours …")
def neighbours_of(key: str, which: str, ids: tuple[int, ...], k: int, _matrix) -> np.ndarray:
    """(n, k) ids of the nearest tokens of several. key, which: what ``_matrix`` is."""
    from ..analysis import nearest

    return nearest(_matrix, np.array(ids), k=k).ids


def extremes(values: np.ndarray, count: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the ``count`` smallest and largest values, most extreme first. allowed: (V,) bool, the tokens that take part.

    >>> [ids.tolist() for ids in extremes(np.array([3.0, 1.0, 2.0, 0.0]), 2)]
    [[3, 1], [0, 2]]
    """
    ids = np.arange(len(values)) if allowed is None else np.flatnonzero(allowed)
    order = ids[np.argsort(values[ids], kind="stable")]
    return order[:count], order[::-1][:count]


def extremes_view(measured: Measured) -> None:
    """Best and worst tokens with their neighbours before and after."""
    vocabulary, error = measured.vocabulary, measured.error
    first, second, third = st.columns(3)
    by = first.segmented_control(
        "Measure", ["error", "cosine"], default="error", required=True, key="by", bind="query-params", persist_state="session"
    )
    present = [kind for kind in KINDS if (vocabulary.kinds == kind).any()]
    kind = second.selectbox("Tokens", ["all kinds", *present], key="kind", bind="query-params", persist_state="session")
    count = third.selectbox("How many", COUNTS, index=1, key="count", bind="query-params", persist_state="session")
    values = error.per_token if by == "error" else -error.cosine
    best, worst = extremes(values, count, None if kind == "all kinds" else vocabulary.kinds == kind)
    what = "tokens" if kind == "all kinds" else f"tokens of the kind {kind}"
    high, low = ("highest error", "lowest error") if by == "error" else ("lowest cosine", "highest cosine")
    st.caption(
        f"Each with its {NEIGHBOURS_LISTED} nearest tokens by cosine, in the original table and after compression; "
        "✓ and bold: in both lists."
    )
    for ids, title, key in ((worst, f"Worst {what}: {high}", "worst"), (best, f"Best {what}: {low}", "best")):
        table = extremes_table(measured, ids)
        st.html(extremes_html(table, title))
        with st.expander(f"Table behind this list ({counted(len(table), 'row')})"):
            st.dataframe(table, hide_index=True, key=f"{key}_table", alt=title)
            download_csv(table, f"subemb-{key}-tokens.csv", key=f"{key}_download")


def extremes_table(measured: Measured, ids: np.ndarray) -> pd.DataFrame:
    """One row a token, with its neighbours in the original table and in the reconstruction."""
    frame, vocabulary = measured.frame, measured.vocabulary
    asked, k = tuple(ids.tolist()), NEIGHBOURS_LISTED
    before = neighbours_of(measured.key, "original", asked, k, frame.table).tolist()
    after = neighbours_of(measured.key, "reconstruction", asked, k, frame.reconstruction).tolist()
    kept = [set(old) & set(new) for old, new in zip(before, after, strict=True)]

    def named(lists: list[list[int]]) -> list[list[str]]:
        return [
            [("✓ " if i in same else "") + vocabulary.display[i] for i in row] for row, same in zip(lists, kept, strict=True)
        ]

    return pd.DataFrame(
        {
            "token": [vocabulary.display[i] for i in asked],
            "id": ids,
            "kind": vocabulary.kinds[ids],
            "error": measured.error.per_token[ids],
            "cosine": measured.error.cosine[ids],
            "kept": [len(same) for same in kept],
            "before": named(before),
            "after": named(after),
        }
    )


_STYLE = """
.sx { width: 100%; border-collapse: collapse; font-size: .875rem; line-height: 1.5; }
.sx caption { text-align: left; font-weight: 600; font-size: 1.1rem; padding: .4rem 0; caption-side: top; }
.sx th, .sx td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; font-weight: 400;
  border: 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); overflow-wrap: anywhere; }
.sx thead th { font-size: .78rem; opacity: .8; white-space: nowrap; }
.sx tbody th { font-weight: 600; min-width: 8rem; }
.sx td.sx-n { white-space: nowrap; font-variant-numeric: tabular-nums; }
.sx small { display: block; font-weight: 400; font-size: .74rem; opacity: .8; }
.sx span { display: inline-block; margin: 0 .3rem .2rem 0; padding: 0 .45rem; border-radius: .8rem; max-width: 100%;
  border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
.sx span.sx-k { font-weight: 700; border-color: currentColor; }
@media (max-width: 640px) {
  .sx thead { display: none; }
  .sx tr { display: block; padding: .4rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
  .sx th, .sx td { display: block; border: 0; padding: .1rem 0; }
  .sx td.sx-n { display: inline-block; margin-right: 1rem; }
  .sx td[data-of]::before { content: attr(data-of) " "; font-size: .74rem; opacity: .8; }
}
"""


def extremes_html(table: pd.DataFrame, title: str) -> str:
    """The rows of :func:`extremes_table` as an HTML table that wraps, and stacks on a narrow screen."""

    def chips(names: list[str]) -> str:
        return "".join(
            f"<span{' class=sx-k' if name.startswith('✓ ') else ''}><bdi>{escape_html(name)}</bdi></span>" for name in names
        )

    rows = "".join(
        f'<tr><th scope="row"><bdi>{escape_html(row.token)}</bdi><small>#{row.id} · {row.kind}</small></th>'
        f'<td class="sx-n" data-of="error">{row.error:.3f}</td><td class="sx-n" data-of="cosine">{row.cosine:.3f}</td>'
        f'<td class="sx-n" data-of="kept">{row.kept} of {len(row.before)}</td>'
        f'<td data-of="before">{chips(row.before)}</td><td data-of="after">{chips(row.after)}</td></tr>'
        for row in table.itertuples()
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Token", "Error", "Cosine", "Kept", "Neighbours before", "Neighbours after")
    )
    return f'<style>{_STYLE}</style><table class="sx"><caption>{escape_html(title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
