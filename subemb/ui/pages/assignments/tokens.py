"""The page Assignments, from the side of the tokens: one token, the tokens of a sentence, and all of them with their codes."""

import io

import numpy as np
import pandas as pd
import streamlit as st
import torch

from ....analysis.parts import borrowers, stand_in
from ....base.text import count_text, escape_markdown, number_text, sentence_case
from ....runs import NEIGHBOURS
from ...shell.sides import ADAPTED, COMPRESSED
from ...shell.text import counted, write_parameter
from ...widgets.charts import download_csv
from ...widgets.coloured_blocks import rows_that_fit, wrapped_html
from ...widgets.leads import chosen_row, codeword_link, lead, lead_table, map_link, open_link, token_chips, token_link
from ...widgets.sentence_inputs import cut, say_cut, take_up
from ...widgets.token_choice import choose_token
from .assignment import Assignment, block_legend

WIDE = 5  # subspaces from which on two drawings do not fit beside each other
SHARERS_SHOWN = 8  # tokens listed for each code
DEFAULT_SENTENCE = "The king drinks water, and the queen drinks wine."
LONGEST_SENTENCE = 2000  # characters
MOST_ROWS = 128  # tokens of a sentence that are drawn
LARGEST_EAGER_TABLE = 200_000  # cells; a larger table is sent to the browser as it scrolls


# One token


def token_view(assignment: Assignment) -> None:
    """One token: its blocks, its neighbours before and after with the blocks they share, and who shares each code."""
    chosen = choose_token(assignment.vocabulary, ": type it in the view **Sentence** to see which.")
    if chosen is not None:
        inspect(assignment, chosen)


def inspect(assignment: Assignment, chosen: int, is_page: bool = True) -> None:
    """Everything about one token, wherever it was chosen. is_page: whether the page is about it, else it stands below a map."""
    vocabulary, part = assignment.vocabulary, assignment.part_of(chosen)
    other = stand_in(assignment.side.compressed, chosen)
    if other is not None:
        sharing = f"it has the row of **{escape_markdown(vocabulary.display[other])}**, the token most like it that keeps one"
    elif part.codes is None:
        shared = borrowers(assignment.side.compressed, chosen)
        also = f"and is also that of **{counted(shared, 'other token')}**" if shared else "so it shares nothing"
        sharing = f"its whole row is kept, {also}"
    else:
        shared = shared_counts(assignment.key, chosen, assignment.row_of(chosen), part.codes)
        sharing = _sharing_text(shared, part.subspaces)
    tier = f" · tier {part.number} of {len(assignment.parts)} ({part.form.words})" if assignment.has_tiers else ""
    st.markdown(
        f"**{escape_markdown(vocabulary.display[chosen])}** · id {chosen} · {vocabulary.kinds[chosen]} · "
        f"script {vocabulary.scripts[chosen]}{tier} · {sharing}"
    )
    if is_page:
        st.html(lead(map_link([chosen]), "Show it on the token map"))
    if part.subspaces >= WIDE:
        st.html(wrapped_html(assignment.rows([chosen])[0], f"Codes of the chosen token, by {assignment.unit}", assignment.unit))
    neighbours_side_by_side(assignment, chosen)
    if part.codes is not None:
        sharers(assignment, chosen)
    if assignment.other is not None and assignment.other.part_of(chosen).codes is not None:
        sharers(assignment.other, chosen, "_other")


def _sharing_text(counts: np.ndarray, subspaces: int) -> str:
    """How many other tokens share how many blocks, in words. counts: (f + 1,) other tokens by number of shared blocks."""
    if counts[subspaces]:
        return f"its tuple is also that of **{counted(int(counts[subspaces]), 'other token')}**: a collision"
    most = int(np.flatnonzero(counts).max()) if counts.any() else 0
    if not most:
        return "its tuple is its own, and no other token shares a block with it"
    return f"its tuple is its own; at most {most} of {subspaces} blocks are shared, by {counted(int(counts[most]), 'token')}"


@st.cache_data(max_entries=256, show_spinner=False)
def shared_counts(key: str, token: int, row: int, _codes: np.ndarray) -> np.ndarray:
    """(f + 1,) how many other tokens share 0, 1, ... f blocks with a token. key: of the run. row: of the token in the codes of its part."""
    shared = np.zeros(len(_codes), dtype=np.int32)
    for i in range(_codes.shape[1]):  # a column at a time: (V, f) booleans would be large for large f
        shared += _codes[:, i] == _codes[row, i]
    counts = np.bincount(shared, minlength=_codes.shape[1] + 1)
    counts[_codes.shape[1]] -= 1  # the token itself
    return counts


@st.cache_data(max_entries=256, show_spinner="Finding the nearest tokens …")
def neighbours_of(key: str, token: int, k: int, _table, _reconstruction):
    """The NeighboursCompared of one token. key: of the run that ``_reconstruction`` belongs to."""
    from ....analysis import compare_neighbours

    return compare_neighbours(_table, _reconstruction, token, k)


def neighbours_side_by_side(assignment: Assignment, chosen: int) -> None:
    """Nearest tokens in the original table and in the reconstruction, or in two reconstructions, drawn alike."""
    table, other = assignment.frame.table, assignment.other
    st.header("Nearest tokens, before and after" if other is None else "Nearest tokens in both tables", anchor=False)
    k = st.slider("Neighbours", 5, 50, 10, step=5, key="neighbours", bind="query-params", persist_state="session")
    found = neighbours_of(assignment.key, chosen, k, table, assignment.side.reconstruction)
    lists = []  # (assignment, neighbours, whether they are near on the other side too, title, name of that side)
    if other is None:
        say_kept(assignment, found, chosen)
        lists.append((assignment, found.before, found.also_after[0].tolist(), "Original table", "after"))
        lists.append((assignment, found.after, found.also_before[0].tolist(), "After compression", "before"))
    else:
        beside = neighbours_of(other.key, chosen, k, table, other.side.reconstruction)
        for one, each in ((assignment, found), (other, beside)):
            say_kept(one, each, chosen)
            lists.append((one, each.after, each.also_before[0].tolist(), sentence_case(one.side.name), "in the original table"))
    block_legend(assignment, compared=True)
    subspaces = max(one.subspaces for one, *_ in lists)
    places = st.columns(2, gap="medium") if subspaces < WIDE else [st.container(), st.container()]
    tables = []
    for place, (one, near, also, title, where) in zip(places, lists, strict=True):
        ids, cosines, blocks = near.ids[0].tolist(), near.scores[0], one.part_of(chosen).subspaces
        same = [int(one.shared(chosen, i).sum()) for i in ids]
        notes = [
            f"cosine {number_text(cosine, 3)} · {f'{count} of {blocks} shared · ' if blocks else ''}{'also' if kept else 'not'} {where}"
            for cosine, count, kept in zip(cosines, same, also, strict=True)
        ]
        rows = one.rows([chosen, *ids], ["the chosen token", *notes], chosen)
        with place:
            one.draw(rows, f"{title}: the {len(ids)} nearest tokens")
        facts = one.facts(ids).assign(cosine=cosines, shared=same, kept=also)
        facts.insert(0, "list", title)
        tables.append(one.with_codes(facts))
    table = pd.concat(tables, ignore_index=True)
    with st.expander(f"Table behind these drawings ({counted(len(table), 'row')})"):
        st.dataframe(table, hide_index=True, key="neighbours_table", alt="Nearest tokens in both tables with their codes")
        download_csv(table, f"subemb-neighbours-of-{chosen}.csv", key="neighbours_download")


def say_kept(assignment: Assignment, found, chosen: int) -> None:
    """How many neighbours of the original are kept, and what is identical now. found: NeighboursCompared of the token."""
    before, after = found.before.ids[0], found.after.ids[0]
    blocks = assignment.part_of(chosen).subspaces
    name = "" if assignment.side.name == COMPRESSED else f"{sentence_case(assignment.side.name)}: "
    in_common = (
        f" Its neighbours share {_mean_shared(assignment, chosen, before)} of {blocks} blocks with it before, "
        f"{_mean_shared(assignment, chosen, after)} after, on average."
    )
    st.markdown(
        name
        + _identical(assignment, chosen)
        + f"**{found.kept[0]} of {len(before)}** neighbours are kept{_beside_others(assignment, len(before))}."
        + (in_common if blocks else "")
        + _equally_near(int(found.within_reach[0]), len(after))
    )


def _beside_others(assignment: Assignment, listed: int) -> str:
    """How many neighbours a token of this run keeps on average; "" for lists of another length than the run was measured with."""
    if listed != NEIGHBOURS or assignment.side.name == ADAPTED:
        return ""
    quality = assignment.side.run.quality
    return average_text(NEIGHBOURS * quality["neighbours_kept"], quality["neighbours_sample"], len(assignment))


def average_text(average: float, sample: int, tokens: int) -> str:
    """How many neighbours tokens keep on average. sample: tokens that were measured, of all ``tokens``.

    >>> average_text(1.74, 1000, 30522), average_text(1.74, 30522, 30522)
    (' (on average 1.7, of 1,000 tokens drawn at random)', ' (on average 1.7, of all tokens)')
    """
    which = "all tokens" if sample >= tokens else f"{count_text(sample)} tokens drawn at random"
    return f" (on average {number_text(average)}, of {which})"


def _identical(assignment: Assignment, chosen: int) -> str:
    """How many tokens cannot be told from the chosen one any more; a tie, and no neighbour lost."""
    part = assignment.part_of(chosen)
    if part.codes is None:
        return ""
    same = int(shared_counts(assignment.key, chosen, assignment.row_of(chosen), part.codes)[part.subspaces])
    name = escape_markdown(assignment.vocabulary.display[chosen])
    return f"**{counted(same, 'token')} {'is' if same == 1 else 'are'} identical to {name} now.** " if same else ""


def _equally_near(reach: int, listed: int) -> str:
    """That more tokens share the last places of the list after compression than it has.

    >>> _equally_near(10, 10), _equally_near(12, 10)
    ('', ' After compression 12 tokens are as near as the last of these 10: which are listed is chance, and each counts as near.')
    """
    if reach <= listed:
        return ""
    return (
        f" After compression {count_text(reach)} tokens are as near as the last of these {listed}: which are listed is chance, and each "
        "counts as near."
    )


def _mean_shared(assignment: Assignment, chosen: int, ids: np.ndarray) -> str:
    return f"{float(np.mean([assignment.shared(chosen, i).sum() for i in ids.tolist()])):.1f}"


def sharers(assignment: Assignment, chosen: int, key: str = "") -> None:
    """Which tokens share each code of the chosen one, nearest in the original table first. key: ends the keys of its widgets."""
    of = "" if assignment.side.name == COMPRESSED else f", {assignment.side.name}"
    st.header(f"Who shares each of its codes{of}", anchor=False)
    table = sharers_table(assignment, chosen)
    st.html(sharers_html(assignment, table, chosen))
    with st.expander(f"Table behind this list ({counted(len(table), 'row')})"):
        st.dataframe(
            table,
            hide_index=True,
            key=f"sharers{key}",
            alt=f"For each {assignment.unit}: the code, how many other tokens use it, and the nearest of them",
            column_config={
                "tokens": st.column_config.NumberColumn("Other tokens", format="localized"),
                "nearest": st.column_config.ListColumn(f"Nearest of them (up to {SHARERS_SHOWN})", width="large"),
                "ids": None,
            },
        )
        download_csv(table, f"subemb-sharers-of-{chosen}.csv", key=f"sharers_download{key}")


def sharers_html(assignment: Assignment, table: pd.DataFrame, chosen: int) -> str:
    """The rows of :func:`sharers_table`: the code leads to all its tokens, and each token to its inspector."""
    tier = assignment.part_of(chosen).number if assignment.has_tiers else None
    unit, texts = assignment.unit, assignment.vocabulary.display
    rows = [
        (
            lead(codeword_link(row[unit], row["code"], tier), f"{unit} {row[unit]}, code {row['code']}", "All its tokens"),
            count_text(row["tokens"]),
            token_chips(row["ids"], texts) or "nobody",
        )
        for row in table.to_dict("records")
    ]
    columns = {
        "Code": False,
        "Other tokens": True,
        f"Nearest of them by cosine in the original table, up to {SHARERS_SHOWN}": False,
    }
    return lead_table(f"By {unit}", columns, rows)


def sharers_table(assignment: Assignment, chosen: int) -> pd.DataFrame:
    """One row a subspace: code, number of other tokens using it, the nearest of them."""
    similarity = similarities(assignment.frame.model.identity, chosen, assignment.frame.table)
    part, row = assignment.part_of(chosen), assignment.row_of(chosen)
    rows = []
    for i in range(part.subspaces):
        column = part.codes[:, i]
        ids = part.ids[column == column[row]]
        ids = ids[ids != chosen]
        top = ids
        if len(ids) > SHARERS_SHOWN:
            top = ids[np.argpartition(-similarity[ids], SHARERS_SHOWN)[:SHARERS_SHOWN]]
        top = top[np.argsort(-similarity[top], kind="stable")].tolist()
        rows.append(
            {
                assignment.unit: i,
                "code": int(column[row]),
                "tokens": len(ids),
                "nearest": [assignment.vocabulary.display[t] for t in top],
                "ids": top,
            }
        )
    return pd.DataFrame(rows)


@st.cache_data(max_entries=32, show_spinner=False)
def similarities(identity: str, token: int, _table) -> np.ndarray:
    """(V,) cosines of all tokens with one in the original table of the model ``identity``."""
    with torch.no_grad():
        norms = _table.norm(dim=1).clamp(min=1e-30) * _table[token].norm().clamp(min=1e-30)
        return ((_table @ _table[token]) / norms).numpy()


# A sentence


def read_sentence() -> str:
    """The sentence as typed, cut to LONGEST_SENTENCE characters, and written to the URL."""
    take_up({"sentence_text": ("sentence", DEFAULT_SENTENCE)}, LONGEST_SENTENCE)
    # Not bound to the URL by Streamlit: a pasted book would go there before anybody could cut it.
    text = st.text_area(
        "Sentence",
        key="sentence_text",
        height=90,
        on_change=cut,
        args=("sentence_text", LONGEST_SENTENCE),
        persist_state="session",
        help=f"Up to {count_text(LONGEST_SENTENCE)} characters. Ctrl+Enter draws it.",
    )
    write_parameter("sentence", None if text == DEFAULT_SENTENCE else text)
    say_cut("sentence_text", LONGEST_SENTENCE)
    return text


def sentence_ids(model, text: str) -> list[int]:
    """Token ids of a sentence with the model's special tokens, not cut to the model's longest input."""
    with model.tokenizer_lock:
        return list(model.tokenizer(text, add_special_tokens=True, truncation=False, verbose=False)["input_ids"])


def sentence_view(assignment: Assignment) -> None:
    """A typed sentence, token by token."""
    model = assignment.frame.model
    if not model.has_tokenizer:
        st.info("This model comes without a tokenizer, so a sentence cannot be cut into tokens.", icon=":material/info:")
        return
    text = read_sentence()
    if not text.strip():
        st.info("Type a sentence to see its tokens as blocks.", icon=":material/edit:")
        return
    ids = sentence_ids(model, text)
    known = [i for i in ids if i < len(assignment)]
    shown = known[: min(MOST_ROWS, rows_that_fit(assignment.subspaces))]
    if not shown:
        st.info("The tokenizer makes no token of this text.", icon=":material/info:")
        return
    if len(known) < len(ids):
        st.warning(
            f"Left out, since the table has no row for them: {counted(len(ids) - len(known), 'token')}.",
            icon=":material/warning:",
        )
    part = f"the first {len(shown)} of {count_text(len(known))} tokens" if len(shown) < len(known) else f"{len(shown)} tokens"
    repeated = len(shown) - len(set(shown))
    st.markdown(
        f"Drawn: **{part}**, with the model's special tokens"
        + (f"; {repeated} of them repeat an earlier one." if repeated else ".")
        + f" {_reuse_text(assignment, shown)}"
    )
    block_legend(assignment, compared=False)
    for one in [assignment, *([] if assignment.other is None else [assignment.other])]:
        title = (
            f"{part[0].upper()}{part[1:]}, in order" if assignment.other is None else f"{sentence_case(one.side.name)}: {part}"
        )
        one.draw(one.rows(shown, [f"#{i}" for i in shown]), title)
    table = assignment.facts(shown)
    table.insert(0, "position", np.arange(len(shown)))
    table = assignment.with_codes(table)
    with st.expander(f"Table behind this drawing ({counted(len(table), 'row')})"):
        st.dataframe(table, hide_index=True, key="sentence_table", alt="Tokens of the sentence with their codes")
        download_csv(table, "subemb-sentence.csv", key="sentence_download")


def _reuse_text(assignment: Assignment, ids: list[int]) -> str:
    """How much the tokens of a sentence share, in words."""
    different = sorted(set(ids))
    if len(different) < 2:
        return ""
    blocks = [
        (assignment.part_of(token).number, i, code)
        for token in different
        for i, code in enumerate(assignment.codes_of(token).tolist())
    ]
    distinct, total = len(set(blocks)), len(blocks)
    if distinct == total:
        return f"Its {len(different)} different tokens share no block."
    return f"Its {len(different)} different tokens have {total} blocks, of which {distinct} are different."


# All tokens


@st.cache_resource(max_entries=2, show_spinner="Preparing the table …")
def whole_table(key: str, _assignment: Assignment) -> pd.DataFrame:
    """Every token with its codes; not to be changed."""
    vocabulary = _assignment.vocabulary
    table = pd.DataFrame(
        {
            "id": np.arange(len(vocabulary), dtype=np.int32),
            "token": vocabulary.display,
            "kind": pd.Categorical(vocabulary.kinds),
            "spelling": vocabulary.raw,
        }
    )
    return _assignment.with_codes(table)


def table_csv(table: pd.DataFrame) -> bytes:
    """CSV in UTF-8 with a byte order mark; many times faster than pandas for hundreds of columns."""
    import pyarrow as pa
    from pyarrow import csv

    buffer = io.BytesIO()
    buffer.write(b"\xef\xbb\xbf")
    csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), buffer)
    return buffer.getvalue()


def table_view(assignment: Assignment) -> None:
    """Every token with its codes, searchable."""
    table = whole_table(assignment.key, assignment)
    query = st.text_input(
        "Search tokens",
        key="search",
        bind="query-params",
        persist_state="session",
        max_chars=200,
        placeholder="part of a token, or #123 for row 123",
    )
    shown = table
    if query.strip():
        shown = table.iloc[assignment.vocabulary.search(query, None)]
        if shown.empty:
            st.info(f"No token contains {escape_markdown(query)}.", icon=":material/search_off:")
            return
    is_large = shown.size > LARGEST_EAGER_TABLE
    st.markdown(
        f"**{count_text(len(shown))}** of {count_text(len(table))} tokens"
        + (", best match first" if query.strip() else "")
        + (
            ", with their tier and codes"
            if assignment.has_tiers
            else f", with their {counted(assignment.subspaces, 'code')} each"
        )
        + (". Search, then select a row to inspect its token." if is_large else ". Select a row to inspect its token.")
    )
    # What the browser reads as it scrolls cannot have rows selected.
    way = {"lazy": True} if is_large else {"on_select": "rerun", "selection_mode": "single-row"}
    event = st.dataframe(
        shown,
        hide_index=True,
        key="assignments",
        height=480,
        **way,
        alt="Every token with its id, kind and codes",
        column_config={
            "id": st.column_config.NumberColumn("Id", format="%d", pinned=True),
            "token": st.column_config.TextColumn("Token", pinned=True),
            "kind": st.column_config.TextColumn("Kind"),
            "tier": st.column_config.NumberColumn("Tier"),
            "codes": st.column_config.TextColumn("Codes", width="large"),
            "spelling": st.column_config.TextColumn("In the tokenizer's spelling"),
        },
    )
    row = None if is_large else chosen_row(event, len(shown))
    if row is not None:
        open_link(assignment.frame.visit, token_link(int(shown["id"].iloc[row])))
    st.download_button(
        f"Download CSV ({count_text(len(shown))} rows)",
        data=lambda: table_csv(shown),
        file_name="subemb-assignments.csv",
        mime="text/csv",
        key="assignments_download",
        icon=":material/download:",
        on_click="ignore",
    )
