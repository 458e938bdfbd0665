"""The page Assignments, two long tables: colliding tokens, and every token with its codes."""

import io

import numpy as np
import pandas as pd
import streamlit as st

from ....format import count_text, percent_text
from ....models.vocabulary import escape_markdown
from ...shell.text import counted
from ...widgets.charts import download_csv
from .views import Assignment, code_columns

LISTED_COLLISIONS = 200
LISTED_TOKENS = 12
LARGEST_EAGER_TABLE = 200_000  # cells; larger tables are sent to the browser as it scrolls


# Collisions


@st.cache_data(max_entries=4, show_spinner="Comparing tuples …")
def collisions_of(key: str, limit: int, _table, _compressed) -> list:
    """The largest groups of colliding tokens."""
    from ....analysis import collision_groups

    return collision_groups(_table, _compressed, limit=limit)


@st.cache_data(max_entries=8, show_spinner=False)
def usual_distance(identity: str, _table) -> float:
    """Mean Euclidean distance of two tokens, over 4,000 pairs drawn with seed 0."""
    import torch

    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(len(_table), (2, 4000), generator=generator)
    different = first != second
    return float((_table[first[different]] - _table[second[different]]).norm(dim=1).mean())


def collisions_view(assignment: Assignment) -> None:
    """Tokens that compression makes identical, with their distance in the original table."""
    frame = assignment.frame
    distinct, colliding = frame.run.quality["distinct_tuples"], frame.run.quality["colliding_tokens"]
    vocabulary = len(assignment.codes)
    if not colliding:
        st.success(
            f"No collisions: all {count_text(vocabulary)} tokens have a tuple of their own.", icon=":material/check_circle:"
        )
        return
    groups = collisions_of(frame.run.key, LISTED_COLLISIONS, frame.table, assignment.compressed)
    usual = usual_distance(frame.model.identity, frame.table)
    total_groups = distinct - (vocabulary - colliding)
    st.markdown(
        f"**{count_text(colliding)}** of {count_text(vocabulary)} tokens ({percent_text(colliding / vocabulary)}) share their whole "
        f"tuple with another token, in {count_text(total_groups)} groups: after compression, the tokens of a group are identical."
    )
    table = collisions_table(groups, usual, assignment)
    st.markdown(
        f"**The {count_text(len(groups))} largest of {count_text(total_groups)} groups**"
        if len(groups) < total_groups
        else f"**All {count_text(len(groups))} groups**"
    )
    st.dataframe(
        table,
        hide_index=True,
        key="collisions",
        height=min(400, 38 + 35 * len(table)),
        alt="Groups of tokens with the same tuple, the largest first, with their distance in the original table",
        column_config={
            "size": st.column_config.NumberColumn("Tokens", format="localized"),
            "mean distance": st.column_config.NumberColumn("Mean distance", format="%.3f"),
            "of usual": st.column_config.NumberColumn(
                "Of usual, %", format="%.0f", help="Share of the distance of two random tokens"
            ),
            "largest distance": st.column_config.NumberColumn("Largest distance", format="%.3f"),
            "members": st.column_config.ListColumn(f"Members (up to {LISTED_TOKENS})", width="large"),
            "tuple": st.column_config.TextColumn("Tuple"),
        },
    )
    st.caption(
        f"Distance: Euclidean, between rows of the original table. Two random tokens are {usual:.3f} apart on average (4,000 pairs, "
        "seed 0). In groups of more than 1,000 tokens, 1,000 spread evenly are compared."
    )
    download_csv(table, "subemb-collisions.csv", key="collisions_download")


def collisions_table(groups: list, usual: float, assignment: Assignment) -> pd.DataFrame:
    """One row a group."""
    display = assignment.vocabulary.display
    return pd.DataFrame(
        {
            "size": [len(group.ids) for group in groups],
            "mean distance": [group.mean_distance for group in groups],
            "of usual": [100 * group.mean_distance / usual if usual else 0.0 for group in groups],
            "largest distance": [group.max_distance for group in groups],
            "members": [[display[i] for i in group.ids[:LISTED_TOKENS]] for group in groups],
            "tuple": [" ".join(map(str, assignment.codes[group.ids[0]].tolist())) for group in groups],
        }
    )


# The whole table


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
    codes = pd.DataFrame(_assignment.codes, columns=code_columns(_assignment.subspaces, _assignment.unit))
    return pd.concat([table, codes], axis=1)


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
    table = whole_table(assignment.frame.run.key, assignment)
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
    st.markdown(
        f"**{count_text(len(shown))}** of {count_text(len(table))} tokens"
        + (", best match first" if query.strip() else "")
        + f", with their {counted(assignment.subspaces, 'code')} each"
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="assignments",
        height=480,
        lazy=True if shown.size > LARGEST_EAGER_TABLE else None,
        alt="Every token with its id, kind and codes",
        column_config={
            "id": st.column_config.NumberColumn("Id", format="%d", pinned=True),
            "token": st.column_config.TextColumn("Token", pinned=True),
            "kind": st.column_config.TextColumn("Kind"),
            "spelling": st.column_config.TextColumn("In the tokenizer's spelling"),
        },
    )
    st.download_button(
        f"Download CSV ({count_text(len(shown))} rows)",
        data=lambda: table_csv(shown),
        file_name="subemb-assignments.csv",
        mime="text/csv",
        key="assignments_download",
        icon=":material/download:",
        on_click="ignore",
    )
