"""Charts of the pages. Each function returns a plotly figure; :func:`show` draws it with its text alternative and its table."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ...models.vocabulary import plotly_text
from ..shell.text import counted

#: Colours that stay apart for colour-blind readers and on both themes (after Okabe and Ito);
#: the same as chartCategoricalColors in .streamlit/config.toml.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#BB8100", "#C870A1", "#1C93D7", "#978E0C", "#8C8C8C")
ORIGINAL, COMPRESSED = PALETTE[0], PALETTE[1]
NEUTRAL = "#8A93A3"
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


def error_curve(history: list[dict], name: str = "error") -> tuple[go.Figure, pd.DataFrame]:
    """Relative squared error after each iteration: the whole table, and every subspace.

    history: dicts with ``iteration``, ``error`` and ``per_subspace``, as the progress callback sends them.
    """
    rows = [entry for entry in history if entry.get("error") is not None]
    steps = list(range(1, len(rows) + 1))
    subspaces = len(rows[-1].get("per_subspace") or []) if rows else 0
    figure = go.Figure()
    parts = {}
    for i in range(subspaces):
        values = [
            (entry.get("per_subspace") or [None] * subspaces)[i] if len(entry.get("per_subspace") or []) == subspaces else None
            for entry in rows
        ]
        parts[f"subspace {i}"] = values
        few = subspaces <= 8
        figure.add_scatter(
            x=steps,
            y=values,
            mode="lines",
            name=f"subspace {i}",
            line={"width": 1.5, "color": PALETTE[(i + 1) % len(PALETTE)] if few else NEUTRAL, "dash": "dot"},
            opacity=1.0 if few else 0.35,
            showlegend=few,
            hovertemplate=f"subspace {i}, step %{{x}}: %{{y:.4f}}<extra></extra>",
        )
    _mark_stages(figure, rows)
    totals = [entry["error"] for entry in rows]
    figure.add_scatter(
        x=steps,
        y=totals,
        mode="lines+markers",
        name="whole table",
        line={"width": 3, "color": PALETTE[0]},
        marker={"size": 6},
        hovertemplate="whole table, step %{x}: %{y:.4f}<extra></extra>",
    )
    table = pd.DataFrame({"step": steps, "stage": [entry.get("stage", "") for entry in rows], "whole table": totals, **parts})
    layout(figure, "Error left after each step: lower is better", "step", "relative squared error", height=340)
    figure.update_xaxes(tick0=0, dtick=max(1, len(steps) // 10))
    return figure, table


def _mark_stages(figure: go.Figure, rows: list[dict]) -> None:
    """A line where a new stage begins, with its name: the error may jump there, as when tuples are made distinct."""
    previous = None
    for step, entry in enumerate(rows, 1):
        stage = entry.get("stage")
        if stage and stage != previous:
            if previous is not None:
                figure.add_vline(x=step - 0.5, line={"width": 1, "dash": "dash", "color": NEUTRAL})
            figure.add_annotation(
                x=step - 0.5 if previous is not None else step,
                y=1,
                yref="paper",
                text=plotly_text(stage),
                showarrow=False,
                xanchor="left",
                yanchor="bottom",
                font={"size": 12, "color": NEUTRAL},
            )
        previous = stage or previous
