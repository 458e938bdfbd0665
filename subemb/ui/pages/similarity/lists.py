"""The page Similarity, lists of sentences: heat maps of every side, nearest sentences, and what changed rank."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.colors import get_colorscale, hex_to_rgb

from ....base.text import count_text, number_text, plotly_text
from ....evaluate.similarity.sentences import MOST_SENTENCES, ListComparison, checked_list
from ....tasks.evaluations import compare_lists
from ...shell.frame import Frame
from ...shell.jobs import begin
from ...widgets.charts import SEQUENTIAL, chart_places, download_csv, layout, show
from ...widgets.colours import readable_on
from ...widgets.sentence_inputs import cutter, on_one_line, say_cut, take_up, write_link
from .account import signed
from .pair import LOWERS, RAISES, example_pairs, explain_no_sentences, outcome_or_reason

FIRST, SECOND = "lists_first", "lists_second"
LONGEST_LIST = 100_000  # characters
EXAMPLES = 8  # pairs of the demonstration set that are filled in
MOST_LABELLED = 30  # sentences up to which an axis names each
LABEL_LENGTH = 11  # characters: more leaves no room for the cells on a narrow screen
MOST_NUMBERED = 20  # numbers along an axis
MOST_NUMBERED_CELLS = 8  # sentences up to which every cell shows its number; more do not fit a narrow screen
HOVER_WIDTH, HOVER_LENGTH = 60, 240  # characters of a line and of a sentence shown over a cell
MOST_MOVED = 30  # pairs listed whose rank changed
#: Centred on white-grey: purple lowers, green raises, as in the strips of tokens.
DIVERGING = ((0.0, LOWERS), (0.5, "#F4F4F4"), (1.0, RAISES))


def lists_view(frame: Frame) -> None:
    """Two lists, or one against itself."""
    if not frame.model.has_tokenizer:
        explain_no_sentences(frame)
        return
    first, second, pressed = read_lists()
    if not first:
        st.info("Paste sentences, one a line, and press **Compare the lists**.", icon=":material/edit:")
        return
    call = compare_lists.call(frame.compared, first, second or None)  # an empty second one: the first against itself
    if pressed:
        checked_list(first, "The first list")
        if second:
            checked_list(second, "The second list")
        begin(frame.visit, call)
    result = outcome_or_reason(frame, call, "Comparing the lists")
    if result is not None:
        lists_result(result)


def read_lists() -> tuple[list[str], list[str], bool]:
    """Both lists as sentences, and whether the button was pressed. They are taken from the link, and written to it."""
    defaults = dict(zip((FIRST, SECOND), zip(("list1", "list2"), example_lists(), strict=True), strict=True))
    take_up(defaults, LONGEST_LIST)
    labels = ("First list, one sentence a line", "Second list, or empty for the first against itself")
    with st.form("lists", border=False):
        texts = [
            column.text_area(label, key=key, height=190, persist_state="session")
            for column, label, key in zip(st.columns(2), labels, defaults, strict=True)
        ]
        pressed = st.form_submit_button(
            "Compare the lists", type="primary", icon=":material/grid_on:", on_click=cutter(defaults, LONGEST_LIST)
        )
    kept = []
    for key, text, what in zip(defaults, texts, ("The first list", "The second list"), strict=True):
        say_cut(key, LONGEST_LIST, what)
        kept.append(lines_of(text, what))
    write_link({name: (text, default) for (name, default), text in zip(defaults.values(), texts, strict=True)})
    return *kept, pressed


@st.cache_data(max_entries=1, show_spinner=False)
def example_lists() -> tuple[str, str]:
    """The first and the second sentences of some English pairs, spread over the demonstration set."""
    english = [pair for pair in example_pairs() if pair[0] in ("en", "")]
    chosen = [english[i] for i in np.linspace(0, len(english) - 1, min(EXAMPLES, len(english))).round().astype(int)]
    return "\n".join(first for _, first, _ in chosen), "\n".join(second for _, _, second in chosen)


def lines_of(text: str, what: str) -> list[str]:
    """Sentences of a pasted list without blank lines, MOST_SENTENCES at most; warns if there are more."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_SENTENCES:
        st.warning(
            f"{what} has {count_text(len(lines))} sentences; the first {MOST_SENTENCES} are compared.",
            icon=":material/content_cut:",
        )
    return lines[:MOST_SENTENCES]


# Results


def lists_result(found: ListComparison) -> None:
    """Heat maps, nearest sentences and ranks."""
    scale = common_scale(found)
    for column, (side, matrix) in zip(chart_places(len(found.sides)), found.matrices.items(), strict=True):
        with column:
            show(
                heat_map(found, matrix, f"Cosines, {side}", scale),
                f"Heat map of {matrix.shape[0]} by {matrix.shape[1]} cosines, {side}: from {number_text(matrix.min(), 3)} to {number_text(matrix.max(), 3)}.",
                matrix_table(found, matrix),
                key=f"lists_{side}",
                file_name=f"subemb-cosines-{side}.csv",
            )
    st.caption("All sides have the same colour scale. Sentences are numbered in their order; point at a cell to read both.")
    for side in found.sides[1:]:
        side_view(found, side)


def side_view(found: ListComparison, side: str) -> None:
    """What one side changed against the first."""
    difference = found.difference(side)
    reach = max(float(np.abs(difference).max()), 1e-4)
    reference = found.sides[0]
    show(
        heat_map(found, difference, f"Difference: {side} minus {reference}", (-reach, reach), diverging=True),
        f"Heat map of the differences between {side} and {reference}: from {signed(float(difference.min()))} to {signed(float(difference.max()))}.",
        difference_table(found, side),
        key=f"lists_difference_{side}",
        file_name=f"subemb-cosine-differences-{side}.csv",
    )
    nearest = nearest_table(found, side)
    changed = int((nearest["nearest changed"] == "changed").sum())
    st.header("Nearest sentences", anchor=False)
    st.markdown(
        f"**{changed} of {len(nearest)}** sentences have another nearest sentence on the {side} side. Cosines moved by "
        f"{np.abs(difference).mean():.3f} on average, {signed(float(difference.mean()))} with their sign."
    )
    st.dataframe(
        nearest.style.apply(_mark_changed, axis=1).format(precision=3),
        hide_index=True,
        column_config=_widths(nearest),
        key=f"lists_nearest_{side}",
        alt=f"Nearest sentence of each sentence, {reference} and {side}",
    )
    download_csv(nearest, f"subemb-nearest-{side}.csv", key=f"lists_nearest_download_{side}")
    moved = moved_table(found, side)
    st.header("What changed rank", anchor=False)
    if moved.empty:
        st.markdown("Every sentence ranks the others as before.")
        return
    total = int((found.rank_changes(side) != 0).sum())
    st.markdown(
        f"**{count_text(total)}** of {count_text(int((found.ranks[side] > 0).sum()))} ranks changed. Rank 1 is the nearest sentence"
        + (f"; the {MOST_MOVED} largest moves are listed." if total > MOST_MOVED else ".")
    )
    st.dataframe(
        moved.style.format(precision=3),
        hide_index=True,
        column_config=_widths(moved),
        key=f"lists_moved_{side}",
        alt="Pairs whose rank changed most",
    )
    download_csv(moved, f"subemb-rank-changes-{side}.csv", key=f"lists_moved_download_{side}")


def _widths(table) -> dict:
    """Columns of sentences, so narrow that the changes beside them stay in sight."""
    of_text = ("sentence", "compared with", "nearest,")
    return {name: st.column_config.Column(width=190) for name in table.columns if name.startswith(of_text)}


def _mark_changed(row) -> list[str]:
    """Bold where the nearest sentence changed; a column says it in words too."""
    return ["font-weight: 700; background-color: rgba(187, 129, 0, 0.18)" if row["nearest changed"] == "changed" else ""] * len(
        row
    )


# Heat maps


def common_scale(found: ListComparison) -> tuple[float, float]:
    """Lowest and highest cosine of any side: the scale that all their heat maps share."""
    low = min(float(matrix.min()) for matrix in found.matrices.values())
    high = max(float(matrix.max()) for matrix in found.matrices.values())
    return (low, high) if high > low else (low - 0.01, high + 0.01)


def heat_map(
    found: ListComparison, values: np.ndarray, title: str, scale: tuple[float, float], diverging: bool = False
) -> go.Figure:
    """(n, m) numbers as colours; sentences in full over each cell."""
    rows, columns = found.first, found.columns
    numbered_cells = max(values.shape) <= MOST_NUMBERED_CELLS
    across_names, down_names = _hover_names(columns), _hover_names(rows)
    colours = DIVERGING if diverging else SEQUENTIAL
    number = "%{z:+.3f}" if diverging else "%{z:.3f}"
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=across_names,
            y=down_names,
            zmin=scale[0],
            zmax=scale[1],
            colorscale=colours,
            colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".2~f"},
            xgap=1 if numbered_cells else 0,
            ygap=1 if numbered_cells else 0,
            hovertemplate=f"%{{y}}<br>— {number} —<br>%{{x}}<extra></extra>",
        )
    )
    if numbered_cells:
        figure.add_trace(_cell_numbers(values, across_names, down_names, scale, colours))
    across = "sentence of the first list" if found.second is None else "sentence of the second list"
    down = "" if len(rows) <= MOST_LABELLED else "sentence of the first list"
    layout(figure, title, across, down, height=int(np.clip(150 + 26 * len(rows), 300, 720)))
    figure.update_xaxes(type="category", showgrid=False, **_ticks(columns, named=False))
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, tickfont={"size": 11}, **_ticks(rows))
    figure.update_layout(hoverlabel={"align": "left"})
    return figure


def _hover_names(sentences: Sequence[str]) -> list[str]:
    """Sentences as categories of an axis: distinct by their number, in lines that fit over a chart."""
    return [
        f"{number} · " + "<br>".join(map(plotly_text, wrap(on_one_line(text, HOVER_LENGTH), HOVER_WIDTH) or [""]))
        for number, text in enumerate(sentences, 1)
    ]


def _ticks(sentences: Sequence[str], named: bool = True) -> dict:
    """Labels of an axis: numbers, as many as fit; if ``named``, with the beginnings of not too many sentences."""
    count = len(sentences)
    if named and count <= MOST_LABELLED:
        names = [plotly_text(f"{number}  {on_one_line(text, LABEL_LENGTH)}") for number, text in enumerate(sentences, 1)]
        return {"tickvals": list(range(count)), "ticktext": names}
    places = list(range(0, count, max(1, -(-count // MOST_NUMBERED))))
    return {"tickvals": places, "ticktext": [str(place + 1) for place in places], "tickangle": 0}


def _cell_numbers(values: np.ndarray, x: list[str], y: list[str], scale: tuple[float, float], colours) -> go.Scatter:
    """The numbers in the cells of a heat map, black or white, whichever is easier to read on its cell."""
    shares = np.clip((values - scale[0]) / (scale[1] - scale[0]), 0, 1).ravel()
    places, names = zip(*(get_colorscale(colours) if isinstance(colours, str) else colours), strict=True)
    stops = np.array([hex_to_rgb(name) for name in names])  # (stops, 3) from 0 to 255
    backgrounds = np.stack([np.interp(shares, places, channel) for channel in stops.T], axis=1)
    return go.Scatter(
        x=x * len(y),
        y=[name for name in y for _ in x],
        mode="text",
        text=[cell_text(float(value)) for value in values.ravel()],
        textfont={"size": 10, "color": [readable_on(f"#{r:02X}{g:02X}{b:02X}") for r, g, b in backgrounds.round().astype(int)]},
        hoverinfo="skip",
        showlegend=False,
    )


def cell_text(value: float) -> str:
    """Two digits after the point, no 0 before it and no plus, so that it fits a cell on a narrow screen.

    >>> cell_text(0.523), cell_text(-0.523), cell_text(1.0), cell_text(-0.001)
    ('.52', '−.52', '1', '0')
    """
    text = f"{abs(value):.2f}"
    if text == "0.00":
        return "0"
    return ("−" if value < 0 else "") + (text.lstrip("0") if float(text) < 1 else f"{abs(value):.1f}".removesuffix(".0"))


# Tables


def matrix_table(found: ListComparison, values: np.ndarray) -> pd.DataFrame:
    """The numbers of a heat map: one row a sentence of the first list, one column a sentence of the second, by number."""
    table = pd.DataFrame(values, columns=[str(number) for number in range(1, values.shape[1] + 1)])
    table.insert(0, "sentence", list(found.first))
    return table


def difference_table(found: ListComparison, side: str) -> pd.DataFrame:
    """One row a pair (each once for a list against itself): cosines and change, the largest change first."""
    n, m = found.matrices[side].shape
    rows, columns = np.triu_indices(n, 1) if found.second is None else np.divmod(np.arange(n * m), m)
    reference = found.sides[0]
    table = pd.DataFrame(
        {
            "first": [found.first[i] for i in rows],
            "second": [found.columns[i] for i in columns],
            reference: found.matrices[reference][rows, columns],
            side: found.matrices[side][rows, columns],
            "change": found.difference(side)[rows, columns],
        }
    )
    return table.sort_values("change", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def nearest_table(found: ListComparison, side: str) -> pd.DataFrame:
    """One row a sentence of the first list: its nearest before and after, and whether that changed."""
    reference = found.sides[0]
    before, after = found.nearest(reference), found.nearest(side)
    changed = found.changed(side)
    after = np.where(changed, after, before)  # of equally near ones the earlier is kept
    rows, names = np.arange(len(before)), numbered(found.columns)
    return pd.DataFrame(
        {
            "sentence": numbered(found.first),
            f"nearest, {reference}": [names[i] for i in before],
            f"nearest, {side}": [names[i] for i in after],
            "nearest changed": np.where(changed, "changed", "same"),
            f"cosine, {reference}": found.matrices[reference][rows, before],
            f"cosine, {side}": found.matrices[side][rows, after],
            f"rank now of the nearest, {reference}": found.ranks[side][rows, before],
        }
    )


def moved_table(found: ListComparison, side: str) -> pd.DataFrame:
    """Pairs whose rank changed, the largest change first, MOST_MOVED at most."""
    changes = found.rank_changes(side)
    order = np.argsort(-np.abs(changes), axis=None, kind="stable")[:MOST_MOVED]
    rows, columns = np.unravel_index(order, changes.shape)
    keep = changes[rows, columns] != 0
    rows, columns = rows[keep], columns[keep]
    reference = found.sides[0]
    first, second = numbered(found.first), numbered(found.columns)
    return pd.DataFrame(
        {
            "sentence": [first[i] for i in rows],
            "compared with": [second[i] for i in columns],
            "rank moved": [f"{'down' if change > 0 else 'up'} {abs(change)}" for change in changes[rows, columns]],
            f"rank, {reference}": found.ranks[reference][rows, columns],
            f"rank, {side}": found.ranks[side][rows, columns],
            f"cosine, {reference}": found.matrices[reference][rows, columns],
            f"cosine, {side}": found.matrices[side][rows, columns],
        }
    )


def numbered(sentences: Sequence[str]) -> list[str]:
    """Sentences with their place in the list, as the charts number them."""
    return [f"{number} · {text}" for number, text in enumerate(sentences, 1)]
