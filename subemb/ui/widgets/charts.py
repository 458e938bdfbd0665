"""Charts of the pages. Each function returns a plotly figure; :func:`show` draws it with its text alternative and its table."""

from collections.abc import Callable, Hashable
from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ...export.charts import NEUTRAL, PALETTE, error_chart
from ..shell.text import counted

__all__ = [
    "COMPRESSED", "NEUTRAL", "ORIGINAL", "PALETTE", "SEQUENTIAL", "LongFigure", "chart_places", "download_csv", "error_curve",
    "kept_chart", "kept_table", "layout", "show",
]  # fmt: skip
ORIGINAL, COMPRESSED = PALETTE[0], PALETTE[1]
SEQUENTIAL = "Viridis"
TITLE_WIDTH = 46  # characters of a line of a title
TITLE_TOP, TITLE_LINE = 8, 20  # pixels above it, and of a line


def layout(figure: go.Figure, title: str, x: str, y: str, height: int = 360, **more) -> go.Figure:
    """The look that all charts share: a title that says what to see, axis names with units, room for both.

    The title has lines that fit on a phone, as plotly cuts what does not; the chart's buttons stand below it (``shell/style.py``).
    """
    lines = wrap(title, TITLE_WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    more_lines = (len(lines) - 1) * TITLE_LINE
    figure.update_layout(
        title={
            "text": "<br>".join(lines),
            "font": {"size": 15},
            **{"x": 0, "xanchor": "left", "y": 1, "yanchor": "top"},
            "pad": {"t": TITLE_TOP + more_lines // 2},  # plotly puts half of every further line above the first
        },
        height=height + more_lines,
        margin={"l": 10, "r": 10, "t": 56 + more_lines, "b": 10},
        # Placed from the bottom up: in a low or narrow chart it would lie on the axis title otherwise.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "title": {"text": ""}},
        hoverlabel={"namelength": -1},
        **more,
    )
    figure.update_xaxes(title={"text": x}, automargin=True)
    figure.update_yaxes(title={"text": y}, automargin=True)
    return figure


_CONFIG = {"displaylogo": False, "scrollZoom": False}


def show(
    figure: go.Figure | Callable[[], go.Figure],
    alt: str,
    table: pd.DataFrame,
    key: str,
    file_name: str | None = None,
    content: Hashable | None = None,
    on_click: Callable[[dict], None] | None = None,
) -> None:
    """Draw a chart with its text alternative, and the table behind it to read or to download.

    figure: or a function that makes it, called only where nobody has seen it yet. content: what figure and table follow from, besides
    ``alt`` and ``key``, such as the key of the run and the settings of the view. With it both are built once for all visitors, which is
    most of the work of a page with charts; without it they are built each time. on_click: a callback, given the point that was clicked.
    """
    make = figure if callable(figure) else lambda: figure
    if on_click is not None:
        st.plotly_chart(
            _kept_figure(content, key, make), key=key, alt=alt, config=_CONFIG, selection_mode="points",
            on_select=lambda: _clicked(key, on_click),
        )  # fmt: skip
    elif content is None:
        _chart(make, key, alt)
    else:
        kept_chart(content, key, alt, make)
    with st.expander(f"Table behind this chart ({counted(len(table), 'row')})"):
        if content is None:
            _table(table, key, alt)
        else:
            kept_table(content, key, alt, table)
        download_csv(table, file_name or f"{key}.csv", key=f"{key}_download")


@st.cache_resource(max_entries=300, show_spinner=False)
def kept_chart(content: Hashable, key: str, alt: str, _make: Callable[[], go.Figure]) -> None:
    """A chart, made when it is drawn first; then Streamlit repeats the message that it sent (its caches keep elements too)."""
    _chart(_make, key, alt)


@st.cache_resource(max_entries=100, show_spinner=False)
def _kept_figure(content: Hashable, key: str, _make: Callable[[], go.Figure]) -> go.Figure:
    """A figure that can be clicked: what is drawn with a callback cannot be repeated from a cache, what it is made of can."""
    return _make()


def _clicked(key: str, on_click: Callable[[dict], None]) -> None:
    event = st.session_state.get(key)
    points = event.selection.points if event else []
    if points:
        on_click(points[0])


@st.cache_resource(max_entries=300, show_spinner=False)
def kept_table(content: Hashable, key: str, alt: str, _table_behind: pd.DataFrame) -> None:
    """The table behind a chart, made ready for the browser once."""
    _table(_table_behind, key, alt)


def _chart(make: Callable[[], go.Figure], key: str, alt: str) -> None:
    st.plotly_chart(make(), key=key, alt=alt, config=_CONFIG)


def _table(table: pd.DataFrame, key: str, alt: str) -> None:
    st.dataframe(table, hide_index=True, height=min(320, 38 + 35 * max(1, len(table))), key=f"{key}_table", alt=alt)


class LongFigure(go.Figure):
    """A figure with long lists. plotly checks and copies every element of a list: seconds for 30,000 tokens.

    What :meth:`put_in` was given goes to the browser as it is, so it must be what plotly takes; arrays are quick and need none of this.
    """

    def put_in(self, **lists: list) -> None:
        """Give the last trace these lists of numbers or texts, such as ``text`` and ``customdata``."""
        if not hasattr(self, "_long"):
            self._long = {}
        self._long[len(self.data) - 1] = lists

    def to_dict(self) -> dict:
        """The figure as Streamlit and plotly take it."""
        found = super().to_dict()
        for place, lists in getattr(self, "_long", {}).items():
            found["data"][place].update(lists)
        return found


def download_csv(table: pd.DataFrame, file_name: str, key: str, label: str = "Download CSV") -> None:
    """A button that saves a table as CSV (UTF-8 with a byte order mark, so that spreadsheets read the tokens right)."""
    st.download_button(
        label,
        data=lambda: table.to_csv(index=False).encode("utf-8-sig"),
        file_name=file_name,
        mime="text/csv",
        key=key,
        icon=":material/download:",
        on_click="ignore",
    )


def chart_places(count: int) -> list:
    """Containers for ``count`` charts, two beside each other: three would be too narrow for their labels."""
    places: list = []
    while len(places) < count:
        places += st.columns(min(2, count), gap="medium")
    return places[:count]


def error_curve(history: list[dict]) -> tuple[go.Figure, pd.DataFrame, str]:
    """Relative squared error after each step, of the whole table and of every subspace; the table behind it; and its text alternative.

    history: of a run, at least one step; see :func:`subemb.export.charts.error_chart`.
    """
    chart = error_chart(history)
    figure = layout(go.Figure(chart.data, chart.layout), chart.title, chart.x, chart.y, height=340)
    return figure, pd.DataFrame(chart.rows, columns=chart.columns), chart.alt
