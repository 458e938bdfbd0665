"""The page Assignments, from the side of the codes: who uses a codeword, how evenly codes are used, which tuples collide."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from ....analysis.parts import Part, identical
from ....base.text import count_text, percent_text
from ...shell.text import counted
from ...widgets.charts import NEUTRAL, PALETTE, download_csv, layout, show
from ...widgets.leads import chosen_row, codeword_link, lead_table, lead_to, open_link, token_chips, token_link, usage_link
from ...widgets.settings import linked_number
from .assignment import Assignment, block_legend

DRAWN_MEMBERS = 12  # tokens of a codeword that are drawn
MOST_BARS = 512  # codes drawn in one chart
LISTED_COLLISIONS = 200  # groups
LISTED_TOKENS = 12  # of a group
DRAWN_COLLISIONS = 25  # groups


def clamped_number(label: str, key: str, highest: int, default: int = 0, **options) -> int:
    """A number field from 0 to ``highest``, linked to the URL, that survives a change of run to a smaller range."""
    if isinstance(st.session_state.get(key), int) and not 0 <= st.session_state[key] <= highest:
        st.session_state[key] = min(max(0, st.session_state[key]), highest)
    start = {} if key in st.session_state else {"value": min(default, highest)}
    return int(
        linked_number(
            label,
            min_value=0,
            max_value=highest,
            step=1,
            key=key,
            persist_state="session",
            **start,
            **options,
        )
        or 0
    )


# Codewords


@st.cache_data(max_entries=64, show_spinner=False)
def members_of(key: str, tier: int, subspace: int, code: int, _table, _part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of one code, nearest to the codeword first, and their distances."""
    from ....analysis import members

    found = members(_part.rows_of(_table), _part.compressed, subspace, code)
    return _part.ids[found.ids], found.distances


def codewords_view(assignment: Assignment) -> None:
    """One codeword: every token that uses it, nearest first."""
    unit, key = assignment.unit, assignment.key
    part = assignment.choose_part()
    if part is None:
        return
    left, right = st.columns(2)
    with left:
        subspace = clamped_number(unit.capitalize(), "subspace", part.subspaces - 1)
    size = len(part.compressed.codebooks[subspace])
    with right:
        code = clamped_number("Code", "code", size - 1, help="The number in the block.")
    ids, distances = members_of(key, part.number, subspace, code, assignment.frame.table, part)
    vocabulary = len(part.ids)
    of_tier = f" of tier {part.number}" if assignment.has_tiers else ""
    if not len(ids):
        st.info(
            f"No token uses code {code} of {unit} {subspace}{of_tier}. The view **Usage** lists the codes in use.",
            icon=":material/do_not_disturb_on:",
        )
        return
    st.markdown(
        f"**{count_text(len(ids))}** of {count_text(vocabulary)} tokens{of_tier} ({percent_text(len(ids) / vocabulary)}) use code "
        f"**{code}** of {unit} **{subspace}**; if all were used equally often, each of the {count_text(size)} codes would have "
        f"{count_text(round(vocabulary / size))}."
    )
    block_legend(assignment, compared=False)
    drawn = min(DRAWN_MEMBERS, len(ids))
    notes = [f"#{i} · distance {distance:.3f}" for i, distance in zip(ids[:drawn], distances[:drawn], strict=True)]
    assignment.draw(assignment.rows(ids[:drawn].tolist(), notes), f"The {counted(drawn, 'token')} nearest to this codeword")
    table = assignment.facts(ids).assign(distance=distances)
    st.markdown(
        "**The only token that uses it**"
        if len(ids) == 1
        else f"**All {count_text(len(ids))} tokens that use it, nearest first**"
    )
    event = st.dataframe(
        table,
        hide_index=True,
        key="members",
        height=360,
        on_select="rerun",
        selection_mode="single-row",
        alt=f"Tokens that use code {code} of {unit} {subspace}, nearest first",
        column_config={"distance": st.column_config.NumberColumn(f"Distance within the {unit}", format="%.4f")},
    )
    row = chosen_row(event, len(table))
    if row is not None:
        open_link(assignment.frame.visit, token_link(int(ids[row])))
    st.caption(
        "Select a row to inspect its token. Distance: Euclidean, between the token's own piece and the shared sub-vector"
        + (", in what the earlier stages left over." if assignment.is_additive else ".")
    )
    name = f"tier-{part.number}-{unit}" if assignment.has_tiers else unit
    download_csv(table, f"subemb-{name}-{subspace}-code-{code}.csv", key="members_download")


# Usage


@st.cache_data(max_entries=8, show_spinner="Counting codes …")
def usage_of(key: str, tier: int, _compressed):
    """The CodeUsage of a run, or of one of its tiers."""
    from ....analysis import code_usage

    return code_usage(_compressed)


def usage_table(usage, unit: str) -> pd.DataFrame:
    """One row a subspace."""
    sizes = [len(counts) for counts in usage.counts]
    return pd.DataFrame(
        {
            unit: np.arange(len(sizes)),
            "codes": sizes,
            "used": usage.used,
            "entropy, bits": usage.entropy,
            "largest possible, bits": np.log2(sizes),
            "share of largest": usage.entropy_share,
            "perplexity": usage.perplexity,
            "most used code": [int(counts.argmax()) for counts in usage.counts],
            "its tokens": [int(counts.max()) for counts in usage.counts],
        }
    )


def entropy_chart(table: pd.DataFrame, unit: str) -> go.Figure:
    """Entropy of every subspace against the most it could be."""
    figure = go.Figure()
    figure.add_bar(
        x=table[unit],
        y=table["entropy, bits"],
        name="entropy of the codes",
        marker={"color": PALETTE[0]},
        customdata=table[["used", "codes", "perplexity"]].to_numpy(),
        hovertemplate=f"{unit} %{{x}}: %{{y:.3f}} bits<br>%{{customdata[0]}} of %{{customdata[1]}} codes used, perplexity "
        f"%{{customdata[2]:.1f}}<br>Click to see the codes of this {unit}<extra></extra>",
    )
    figure.add_scatter(
        x=table[unit],
        y=table["largest possible, bits"],
        name="all codes used equally often: log2 Q",
        mode="lines+markers",
        line={"color": PALETTE[1], "dash": "dash"},
        marker={"symbol": "line-ew-open", "size": 12},
        hovertemplate="at most %{y:.3f} bits<extra></extra>",
    )
    layout(figure, "Codes used evenly reach the line", unit, "entropy (bits)")
    if len(table) <= 30:
        figure.update_xaxes(dtick=1)
    return figure


def counts_table(counts: np.ndarray) -> pd.DataFrame:
    """Codes of one subspace, most used first."""
    order = np.argsort(-counts, kind="stable")
    return pd.DataFrame({"rank": np.arange(1, len(order) + 1), "code": order, "tokens": counts[order]})


def counts_chart(table: pd.DataFrame, unit: str, subspace: int) -> go.Figure:
    """Tokens of each code of one subspace, most used first."""
    step = -(-len(table) // MOST_BARS)
    drawn = table.iloc[::step]
    figure = go.Figure()
    figure.add_bar(
        x=drawn["rank"],
        y=drawn["tokens"],
        name="tokens of the code",
        marker={"color": PALETTE[0]},
        customdata=drawn["code"],
        hovertemplate="code %{customdata}, rank %{x}: %{y:,} tokens<br>Click to see them<extra></extra>",
    )
    figure.add_hline(
        y=float(table["tokens"].mean()),
        line={"color": NEUTRAL, "dash": "dash"},
        annotation_text="mean",
        annotation_position="top right",
    )
    drawn_of = "" if step == 1 else f", every {step}th of {len(table):,}"
    layout(figure, f"Tokens of each code of {unit} {subspace}", f"codes, most used first{drawn_of}", "tokens")
    return figure


def usage_view(assignment: Assignment) -> None:
    """Usage of codes per subspace with entropy."""
    part = assignment.choose_part()
    if part is None:
        return
    usage = usage_of(assignment.key, part.number, part.compressed)
    unit = assignment.unit
    of_tier = f" in tier {part.number}" if assignment.has_tiers else ""
    content = (assignment.key, part.number)
    visit, tier = assignment.frame.visit, part.number if assignment.has_tiers else None
    table = usage_table(usage, unit)
    unused = int((table["codes"] - table["used"]).sum())
    st.markdown(
        f"Mean entropy **{table['entropy, bits'].mean():.2f} bits** of at most {table['largest possible, bits'].mean():.2f} "
        f"({percent_text(float(table['share of largest'].mean()))}); "
        + (
            "every code is used."
            if not unused
            else f"**{count_text(unused)}** of {count_text(int(table['codes'].sum()))} codes are used by no token."
        )
    )
    show(
        lambda: entropy_chart(table, unit),
        f"Entropy of the codes of each of {len(table)} {unit}s{of_tier}, from {table['entropy, bits'].min():.2f} to "
        f"{table['entropy, bits'].max():.2f} bits; used equally often they would have {table['largest possible, bits'].max():.2f} bits.",
        table,
        key="entropy",
        file_name="subemb-code-usage.csv",
        content=content,
        on_click=lambda point: lead_to(visit, usage_link(int(point["x"]), tier)),
    )
    subspace = clamped_number(unit.capitalize(), "subspace", part.subspaces - 1)
    counts = counts_table(usage.counts[subspace])
    show(
        lambda: counts_chart(counts, unit, subspace),
        f"Tokens of each code of {unit} {subspace}{of_tier}: from {counts['tokens'].max():,} for code {counts['code'].iloc[0]} down to "
        f"{counts['tokens'].min():,} for code {counts['code'].iloc[-1]}.",
        counts,
        key="counts",
        file_name=f"subemb-codes-of-{unit}-{subspace}.csv",
        content=(*content, subspace),
        on_click=lambda point: lead_to(visit, codeword_link(subspace, int(counts["code"].iloc[int(point["x"]) - 1]), tier)),
    )


# Collisions


@st.cache_data(max_entries=4, show_spinner="Comparing tuples …")
def collisions_of(key: str, limit: int, _table, _compressed) -> list:
    """The largest groups of colliding tokens."""
    from ....analysis import collision_groups

    return collision_groups(_table, _compressed, limit=limit)


@st.cache_data(max_entries=8, show_spinner=False)
def usual_distance(identity: str, _table) -> float:
    """Mean Euclidean distance of two tokens, over 4,000 pairs drawn with seed 0."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(len(_table), (2, 4000), generator=generator)
    different = first != second
    return float((_table[first[different]] - _table[second[different]]).norm(dim=1).mean())


def collisions_view(assignment: Assignment) -> None:
    """Tokens that compression makes identical, with their distance in the original table."""
    frame = assignment.frame
    same = identical(assignment.parts)
    colliding, distinct = int((same > 0).sum()), round(float((1 / (same + 1)).sum()))
    vocabulary = len(assignment)
    if not colliding:
        st.success(
            f"No collisions: all {count_text(vocabulary)} tokens have a tuple of their own{' in their tier' if assignment.has_tiers else ''}.",
            icon=":material/check_circle:",
        )
        return
    groups = collisions_of(assignment.key, LISTED_COLLISIONS, frame.table, assignment.side.compressed)
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
    st.html(collisions_html(groups[:DRAWN_COLLISIONS], usual, assignment))
    panel = st.expander(f"Table of {count_text(len(groups))} groups")
    panel.dataframe(
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
            "tier": st.column_config.NumberColumn("Tier"),
            "tuple": st.column_config.TextColumn("Tuple"),
        },
    )
    st.caption(
        f"Distance: Euclidean, between rows of the original table. Two random tokens are {usual:.3f} apart on average (4,000 pairs, "
        "seed 0). In groups of more than 1,000 tokens, 1,000 spread evenly are compared."
    )
    with panel:
        download_csv(table, "subemb-collisions.csv", key="collisions_download")


def collisions_html(groups: list, usual: float, assignment: Assignment) -> str:
    """The largest groups, whose tokens lead to their inspectors."""
    display = assignment.vocabulary.display
    rows = [
        (
            counted(len(group.ids), "token"),
            f"{100 * group.mean_distance / usual:.0f} %" if usual else "",
            token_chips(group.ids[:LISTED_TOKENS], display) + (" …" if len(group.ids) > LISTED_TOKENS else ""),
        )
        for group in groups
    ]
    columns = {"Identical now": False, "Distance before, of usual": True, "Tokens": False}
    return lead_table(f"The {len(groups)} largest groups", columns, rows)


def collisions_table(groups: list, usual: float, assignment: Assignment) -> pd.DataFrame:
    """One row a group."""
    display = assignment.vocabulary.display
    tiers = {"tier": [assignment.part_of(group.ids[0]).number for group in groups]} if assignment.has_tiers else {}
    return pd.DataFrame(
        {
            "size": [len(group.ids) for group in groups],
            "mean distance": [group.mean_distance for group in groups],
            "of usual": [100 * group.mean_distance / usual if usual else 0.0 for group in groups],
            "largest distance": [group.max_distance for group in groups],
            "members": [[display[i] for i in group.ids[:LISTED_TOKENS]] for group in groups],
            **tiers,
            "tuple": [" ".join(map(str, assignment.codes_of(group.ids[0]).tolist())) for group in groups],
        }
    )
