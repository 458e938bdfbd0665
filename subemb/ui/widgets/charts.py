"""Charts of the pages. Each function returns a plotly figure; :func:`show` draws it with its text alternative and its table."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ...export.charts import NEUTRAL, PALETTE, error_chart
from ..shell.text import counted

__all__ = [
    "COMPRESSED", "NEUTRAL", "ORIGINAL", "PALETTE", "SEQUENTIAL", "chart_places", "download_csv", "error_curve", "layout", "show"
]  # fmt: skip
ORIGINAL, COMPRESSED = PALETTE[0], PALETTE[1]
SEQUENTIAL = "Viridis"


def layout(figure: go.Figure, title: str, x: str, y: str, height: int = 360, **more) -> go.Figure:
    """The look that all charts share: a title that says what to see, axis names with units, room for both."""
    figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top"},
        height=height,
        margin={"l": 10, "r": 10, "t": 56, "b": 10},
        # Placed from the bottom up: in a low or narrow chart it would lie on the axis title otherwise.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "title": {"text": ""}},
        hoverlabel={"namelength": -1},
        **more,
    )
    figure.update_xaxes(title={"text": x}, automargin=True)
    figure.update_yaxes(title={"text": y}, automargin=True)
    return figure


def show(
    figure: go.Figure,
    alt: str,
    table: pd.DataFrame,
    key: str,
    file_name: str | None = None,
    **options,
):
    """Draw a chart with its text alternative, and the table behind it to read or to download.

    Returns what st.plotly_chart returns (the selection, if ``on_select`` is among the options).
    """
    config = {"displaylogo": False, "scrollZoom": False}
    event = st.plotly_chart(figure, key=key, alt=alt, config=config, **options)
    with st.expander(f"Table behind this chart ({counted(len(table), 'row')})"):
        st.dataframe(table, hide_index=True, height=min(320, 38 + 35 * max(1, len(table))), key=f"{key}_table", alt=alt)
        download_csv(table, file_name or f"{key}.csv", key=f"{key}_download")
    return event


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


def error_curve(history: list[dict]) -> tuple[go.Figure, pd.DataFrame]:
    """Relative squared error after each step, of the whole table and of every subspace, and the table behind it.

    history: of a run, at least one step; see :func:`subemb.export.charts.error_chart`.
    """
    chart = error_chart(history)
    figure = layout(go.Figure(chart.data, chart.layout), chart.title, chart.x, chart.y, height=340)
    return figure, pd.DataFrame(chart.rows, columns=chart.columns)
