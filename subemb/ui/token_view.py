"""The page Assignments, one token: its blocks, its neighbours before and after, and who shares its codes."""

import numpy as np
import pandas as pd
import streamlit as st

from ..models.vocabulary import escape_markdown
from .pages.assignments.views import Assignment, block_legend
from .shell.text import counted
from .widgets.blocks import wrapped_html
from .widgets.charts import download_csv

WIDE = 5  # from so many subspaces on, two drawings do not fit beside each other
SHARERS_SHOWN = 8
DEFAULT_TOKENS = ("king", "water", "the")


def default_token(vocabulary) -> int:
    """A token to start with: a common word, or else the first whole word."""
    for word in DEFAULT_TOKENS:
        found = vocabulary.search(word, 10, mode="exact")
        if found:  # the word itself before a piece that is spelled alike
            return min(found, key=lambda i: vocabulary.kinds[i] != "whole word")
    words = np.flatnonzero(vocabulary.kinds == "whole word")
    return int(words[0]) if len(words) else 0


def choose_token(assignment: Assignment) -> int | None:
    """A text field and, where several tokens match it, a list of them; returns a token id, or None with the reason shown."""
    vocabulary = assignment.vocabulary
    left, right = st.columns(2)
    query = left.text_input(
        "Find a token",
        key="token",
        bind="query-params",
        persist_state="session",
        max_chars=200,
        placeholder="a word, or #123 for row 123",
        help="Case does not matter. #123 finds row 123 of the table.",
    )
    if not query.strip():
        chosen = default_token(vocabulary)
        right.text_input("Matches", f"{vocabulary.display[chosen]}  ·  #{chosen}", disabled=True, key="token_default")
        return chosen
    found = vocabulary.search(query, 200)
    if not found:
        st.info(
            f"No token of this model contains {escape_markdown(query)}. Long or rare words are written with several tokens: "
            "type it in the view **Sentence** to see which.",
            icon=":material/search_off:",
        )
        return None
    # The label is what the URL holds, so the id makes it unique.
    return right.selectbox(
        f"Matches ({len(found)}{', the first 200' if len(found) == 200 else ''})",
        found,
        format_func=lambda i: f"{vocabulary.display[i]}  ·  #{i}",
        key="match",
        bind="query-params",
    )


def token_view(assignment: Assignment) -> None:
    """One token: its blocks, its neighbours before and after with the blocks they share, and who shares each code."""
    chosen = choose_token(assignment)
    if chosen is None:
        return
    vocabulary, codes = assignment.vocabulary, assignment.codes
    shared = shared_counts(assignment.frame.run.key, chosen, codes)
    st.markdown(
        f"**{escape_markdown(vocabulary.display[chosen])}** · id {chosen} · {vocabulary.kinds[chosen]} · "
        f"script {vocabulary.scripts[chosen]} · {_sharing_text(shared, assignment.subspaces)}"
    )
    if assignment.subspaces >= WIDE:
        st.html(wrapped_html(assignment.rows([chosen])[0], f"Codes of the chosen token, by {assignment.unit}", assignment.unit))
    neighbours_side_by_side(assignment, chosen)
    sharers(assignment, chosen)


def _sharing_text(counts: np.ndarray, subspaces: int) -> str:
    """How many other tokens share how many blocks, in words. counts: (f + 1,) other tokens by number of shared blocks."""
    if counts[subspaces]:
        return f"its tuple is also that of **{counted(int(counts[subspaces]), 'other token')}**: a collision"
    most = int(np.flatnonzero(counts).max()) if counts.any() else 0
    if not most:
        return "its tuple is its own, and no other token shares a block with it"
    return f"its tuple is its own; at most {most} of {subspaces} blocks are shared, by {counted(int(counts[most]), 'token')}"


@st.cache_data(max_entries=256, show_spinner=False)
def shared_counts(key: str, token: int, _codes: np.ndarray) -> np.ndarray:
    """(f + 1,) how many other tokens share 0, 1, ... f blocks with a token. key: of the run that ``_codes`` belong to."""
    shared = np.zeros(len(_codes), dtype=np.int32)
    for i in range(_codes.shape[1]):  # a column at a time: (V, f) booleans would be large for large f
        shared += _codes[:, i] == _codes[token, i]
    counts = np.bincount(shared, minlength=_codes.shape[1] + 1)
    counts[_codes.shape[1]] -= 1  # the token itself
    return counts


@st.cache_data(max_entries=256, show_spinner="Finding the nearest tokens …")
def nearest_of(key: str, which: str, token: int, k: int, _matrix) -> tuple[np.ndarray, np.ndarray]:
    """Ids and cosines of a token's k nearest others. key, which: what ``_matrix`` is."""
    from ..analysis import nearest

    found = nearest(_matrix, token, k=k)
    return found.ids[0], found.scores[0]


def neighbours_side_by_side(assignment: Assignment, chosen: int) -> None:
    """Nearest tokens in the original table and in the reconstruction, drawn alike."""
    frame = assignment.frame
    st.subheader("Nearest tokens, before and after", anchor=False)
    k = st.slider("Neighbours", 5, 50, 10, step=5, key="neighbours", bind="query-params", persist_state="session")
    before = nearest_of(frame.run.key, "original", chosen, k, frame.table)
    after = nearest_of(frame.run.key, "reconstruction", chosen, k, frame.reconstruction)
    kept = set(before[0].tolist()) & set(after[0].tolist())
    st.markdown(
        f"**{len(kept)} of {len(before[0])}** neighbours are kept. "
        f"On average they share {_mean_shared(assignment, chosen, before[0])} of {assignment.subspaces} blocks with it before, "
        f"{_mean_shared(assignment, chosen, after[0])} after."
    )
    block_legend(assignment, compared=True)
    beside = assignment.subspaces < WIDE
    places = st.columns(2, gap="medium") if beside else [st.container(), st.container()]
    tables = []
    for place, (ids, cosines), title, other in (
        (places[0], before, "Original table", "after"),
        (places[1], after, "After compression", "before"),
    ):
        ids = ids.tolist()
        same = [int((assignment.codes[i] == assignment.codes[chosen]).sum()) for i in ids]
        notes = [
            f"cosine {cosine:.3f} · {count} of {assignment.subspaces} shared · {f'also {other}' if i in kept else f'not {other}'}"
            for i, cosine, count in zip(ids, cosines, same, strict=True)
        ]
        rows = assignment.rows([chosen, *ids], ["the chosen token", *notes], chosen)
        with place:
            assignment.draw(rows, f"{title}: the {len(ids)} nearest tokens")
        facts = assignment.facts(ids).assign(cosine=cosines, shared=same, kept=[i in kept for i in ids])
        facts.insert(0, "list", title)
        tables.append(facts)
    table = assignment.with_codes(pd.concat(tables, ignore_index=True))
    with st.expander(f"Table behind these drawings ({counted(len(table), 'row')})"):
        st.dataframe(table, hide_index=True, key="neighbours_table", alt="Nearest tokens before and after with their codes")
        download_csv(table, f"subemb-neighbours-of-{chosen}.csv", key="neighbours_download")


def _mean_shared(assignment: Assignment, chosen: int, ids: np.ndarray) -> str:
    return f"{float((assignment.codes[ids] == assignment.codes[chosen]).sum(1).mean()):.1f}"


def sharers(assignment: Assignment, chosen: int) -> None:
    """Which tokens share each code of the chosen one, nearest in the original table first."""
    st.subheader("Who shares each of its codes", anchor=False)
    table = sharers_table(assignment, chosen)
    st.dataframe(
        table,
        hide_index=True,
        key="sharers",
        alt=f"For each {assignment.unit}: the code, how many other tokens use it, and the nearest of them",
        column_config={
            "tokens": st.column_config.NumberColumn("Other tokens", format="localized"),
            "nearest": st.column_config.ListColumn(f"Nearest of them (up to {SHARERS_SHOWN})", width="large"),
            "ids": None,
        },
    )
    st.caption("Nearest by cosine to the chosen token in the original table. All tokens of a code: view **Codewords**.")
    download_csv(table, f"subemb-sharers-of-{chosen}.csv", key="sharers_download")


def sharers_table(assignment: Assignment, chosen: int) -> pd.DataFrame:
    """One row a subspace: code, number of other tokens using it, the nearest of them."""
    similarity = similarities(assignment.frame.model.identity, chosen, assignment.frame.table)
    rows = []
    for i in range(assignment.subspaces):
        column = assignment.codes[:, i]
        ids = np.flatnonzero(column == column[chosen])
        ids = ids[ids != chosen]
        top = ids
        if len(ids) > SHARERS_SHOWN:
            top = ids[np.argpartition(-similarity[ids], SHARERS_SHOWN)[:SHARERS_SHOWN]]
        top = top[np.argsort(-similarity[top], kind="stable")].tolist()
        rows.append(
            {
                assignment.unit: i,
                "code": int(column[chosen]),
                "tokens": len(ids),
                "nearest": [assignment.vocabulary.display[t] for t in top],
                "ids": top,
            }
        )
    return pd.DataFrame(rows)


@st.cache_data(max_entries=32, show_spinner=False)
def similarities(identity: str, token: int, _table) -> np.ndarray:
    """(V,) cosines of all tokens with one in the original table of the model ``identity``."""
    import torch

    with torch.no_grad():
        norms = _table.norm(dim=1).clamp(min=1e-30) * _table[token].norm().clamp(min=1e-30)
        return ((_table @ _table[token]) / norms).numpy()
