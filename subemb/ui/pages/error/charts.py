"""Charts of the page Reconstruction error: figures and the tables behind them, from plain arrays. No Streamlit here.

Everything is aggregated before it is drawn, so a chart costs the same for 3,000 and for 300,000 tokens.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ....base.text import plotly_text
from ...widgets.charts import COMPRESSED, NEUTRAL, ORIGINAL, PALETTE, layout

BINS = 60
MOST_ID_BINS = 120
SPREAD = (0.1, 0.5, 0.9)  # quantiles of the error within a group
#: What the comparison of methods can draw: title -> (column, title of the axis).
MEASURES = {
    "Relative error": ("error", "relative error (less is better)"),
    "Mean cosine": ("cosine", "mean cosine of original and compressed (more is better)"),
    "Neighbours kept": ("neighbours", "share of the 10 nearest tokens kept, % (more is better)"),
    "Total size": ("bytes", "bytes stored in total"),
}


def histogram(values: np.ndarray, name: str, bins: int = BINS, limits: tuple[float, float] | None = None) -> pd.DataFrame:
    """Tokens by value: columns ``from``, ``to``, ``tokens``. Values beyond ``limits`` are counted in the outermost bins.

    >>> histogram(np.array([0.0, 0.1, 0.9, 5.0]), "x", bins=2, limits=(0.0, 1.0))["tokens"].tolist()
    [2, 2]
    """
    values = np.asarray(values, dtype=np.float64)
    low, high = limits if limits is not None else (float(values.min()), float(values.max()))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    return pd.DataFrame({f"{name} from": edges[:-1], f"{name} to": edges[1:], "tokens": counts})


def upper_limit(values: np.ndarray, share: float = 0.995) -> float:
    """Where an axis should end so that a few extreme tokens do not flatten all others: a high quantile, or the maximum."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return 1.0
    high, top = float(np.quantile(values, share)), float(values.max())
    return top if top <= 1.5 * high or high <= 0 else high


def distribution_chart(
    table: pd.DataFrame, title: str, axis: str, marks: dict[str, float], sides: tuple[str, str] = ("", "")
) -> go.Figure:
    """Bars of a :func:`histogram`, with vertical lines at named values.

    sides: names of two tables; a column named as the second is drawn as a line over the bars of the first.
    """
    low, high = table.iloc[:, 0].to_numpy(), table.iloc[:, 1].to_numpy()
    figure = go.Figure()
    figure.add_bar(
        x=(low + high) / 2,
        y=table["tokens"],
        width=high - low,
        marker={"color": PALETTE[0], "line": {"width": 0}},
        customdata=np.stack([low, high], axis=1),
        hovertemplate="%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y:,} tokens<extra></extra>",
        name=sides[0],
        showlegend=sides[1] in table,
    )
    if sides[1] in table:
        figure.add_scatter(
            x=(low + high) / 2,
            y=table[sides[1]],
            mode="lines",
            line={"color": PALETTE[3], "width": 2.5, "shape": "hvh"},
            name=sides[1],
            hovertemplate=f"{sides[1]}: %{{y:,}} tokens<extra></extra>",
        )
    for number, (name, value) in enumerate(marks.items()):
        if low[0] <= value <= high[-1]:
            figure.add_scatter(
                x=[value, value],
                y=[0, int(table["tokens"].max())],
                mode="lines",
                name=f"{name}: {value:.3g}",
                line={"color": PALETTE[1 + number], "width": 2, "dash": ("dash", "dot", "dashdot")[number % 3]},
                hovertemplate=f"{name}: {value:.4g}<extra></extra>",
            )
    layout(figure, title, axis, "tokens", height=340)
    figure.update_layout(bargap=0.02)
    figure.update_xaxes(exponentformat="power")
    return figure


def norms_table(original: np.ndarray, after: Mapping[str, np.ndarray], bins: int = BINS) -> pd.DataFrame:
    """Tokens by norm before and after, in the same bins. original, and each of ``after`` by its name: (V,)."""
    every = [original, *after.values()]
    limits = min(float(norms.min()) for norms in every), max(float(norms.max()) for norms in every)
    before = histogram(original, "norm", bins, limits).rename(columns={"tokens": "original"})
    return before.assign(**{name: histogram(norms, "norm", bins, limits)["tokens"] for name, norms in after.items()})


def norms_chart(table: pd.DataFrame) -> go.Figure:
    """Norms of the vectors, original and compressed, on the same scale."""
    middle = (table["norm from"] + table["norm to"]) / 2
    figure = go.Figure()
    for name, color, dash in zip(table.columns[2:], (ORIGINAL, COMPRESSED, PALETTE[2]), ("solid", "dash", "dot"), strict=False):
        figure.add_scatter(
            x=middle,
            y=table[name],
            mode="lines",
            line={"color": color, "dash": dash, "shape": "hvh", "width": 2},
            name=name,
            hovertemplate=f"{name}, norm %{{x:.3f}}: %{{y:,}} tokens<extra></extra>",
        )
    return layout(figure, "Length of every vector, before and after", "Euclidean norm", "tokens", height=340)


def group_table(values: np.ndarray, cosine: np.ndarray, labels: np.ndarray, order: list[str] | None = None) -> pd.DataFrame:
    """One row a group: tokens, mean error, the 10, 50 and 90 % quantiles, mean cosine, the group's part of the whole error.

    values, cosine, labels: (V,). order: groups in the order wanted; without it the largest comes first.
    """
    frame = pd.DataFrame({"group": labels, "error": np.asarray(values, np.float64), "cosine": np.asarray(cosine, np.float64)})
    groups = frame.groupby("group", observed=True, sort=False)
    table = groups.agg(tokens=("error", "size"), mean=("error", "mean"), cosine=("cosine", "mean"), total=("error", "sum"))
    quantiles = groups["error"].quantile(list(SPREAD)).unstack()
    quantiles.columns = ["10 %", "median", "90 %"]
    total = table.pop("total")
    table = table.join(quantiles)
    table["part of error, %"] = 100 * total / total.sum() if total.sum() > 0 else 0.0
    table["part of tokens, %"] = 100 * table["tokens"] / len(frame)
    if order is None:
        table = table.sort_values("tokens", ascending=False, kind="stable")
    else:
        table = table.loc[[name for name in order if name in table.index]]
    return table.reset_index()


def group_chart(table: pd.DataFrame, title: str, whole: float, sides: tuple[str, str] = ("", "")) -> go.Figure:
    """For every group a line from its 10 to its 90 % quantile, with median and mean. whole: the mean error of all tokens.

    sides: names of two tables, where columns that end with the second's are drawn beside those of the first.
    """
    names = [f"{plotly_text(str(name))} ({count:,})" for name, count in zip(table["group"], table["tokens"], strict=True)]
    figure = go.Figure()
    for number, name in enumerate(names):
        figure.add_scatter(
            x=[table["10 %"].iloc[number], table["90 %"].iloc[number]],
            y=[name, name],
            mode="lines",
            line={"color": PALETTE[0], "width": 7},
            opacity=0.55,
            name="10 % to 90 % of the tokens",
            legendgroup="spread",
            showlegend=number == 0,
            hoverinfo="skip",
        )
    for column, color, symbol, size in (("median", PALETTE[0], "line-ns-open", 13), ("mean", PALETTE[1], "diamond", 9)):
        figure.add_scatter(
            x=table[column],
            y=names,
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": size, "line": {"width": 2 if "open" in symbol else 0}},
            name=column,
            customdata=table[["10 %", "90 %", "cosine"]].to_numpy(),
            hovertemplate=f"%{{y}}<br>{column} %{{x:.3f}}<br>10 % to 90 %: %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}<br>"
            "mean cosine %{customdata[2]:.3f}<extra></extra>",
        )
    if f"mean {sides[1]}" in table:
        figure.for_each_trace(lambda trace: trace.update(name=f"{trace.name}, {sides[0]}"))
        figure.add_scatter(
            x=table[f"mean {sides[1]}"],
            y=names,
            mode="markers",
            marker={"color": PALETTE[3], "symbol": "diamond-open", "size": 11, "line": {"width": 2}},
            name=f"mean, {sides[1]}",
            hovertemplate=f"%{{y}}<br>mean of {sides[1]} %{{x:.3f}}<extra></extra>",
        )
    figure.add_vline(x=whole, line={"color": NEUTRAL, "dash": "dash"}, annotation_text="all tokens", annotation_position="top")
    layout(figure, title, "relative error of a token", "", height=150 + 34 * len(names))
    figure.update_yaxes(title=None, autorange="reversed", type="category")
    figure.update_layout(margin={"t": 70})
    figure.update_xaxes(rangemode="tozero")
    return figure


def order_table(
    values: np.ndarray,
    cosine: np.ndarray,
    order: np.ndarray | None = None,
    bins: int = MOST_ID_BINS,
    logarithmic: bool = False,
) -> pd.DataFrame:
    """Tokens in order (of id, or ``order``) cut into runs, with quantiles of the error in each.

    order: (n,) token ids, first to last; n may be less than V. logarithmic: runs grow with the position instead of being of
    nearly equal length. Columns: ``from``, ``to`` (positions), ``tokens``, ``10 %``, ``median``, ``90 %``, ``mean``, ``cosine``.
    """
    values = np.asarray(values, np.float64)
    cosine = np.asarray(cosine, np.float64)
    if order is not None:
        values, cosine = values[order], cosine[order]
    bins = min(bins, len(values))
    edges = np.geomspace(1, len(values) + 1, bins + 1) - 1 if logarithmic else np.linspace(0, len(values), bins + 1)
    edges = np.unique(edges.round().astype(int))
    rows = []
    for start, end in pairwise(edges):
        low, middle, high = np.quantile(values[start:end], SPREAD)
        rows.append((start, end - 1, end - start, low, middle, high, values[start:end].mean(), cosine[start:end].mean()))
    return pd.DataFrame(rows, columns=["from", "to", "tokens", "10 %", "median", "90 %", "mean", "cosine"])


def order_chart(
    table: pd.DataFrame, title: str, axis: str, logarithmic: bool = False, sides: tuple[str, str] = ("", "")
) -> go.Figure:
    """Median error along the vocabulary, with the band that holds eight of ten tokens. A logarithmic axis begins at 1.

    sides: names of two tables, where columns that end with the second's are drawn beside those of the first.
    """
    middle = (table["from"] + table["to"]) / 2 + (1 if logarithmic else 0)
    figure = go.Figure()
    figure.add_scatter(
        x=middle, y=table["90 %"], mode="lines", line={"width": 0, "color": PALETTE[0]}, showlegend=False, hoverinfo="skip"
    )
    figure.add_scatter(
        x=middle,
        y=table["10 %"],
        mode="lines",
        line={"width": 0, "color": PALETTE[0]},
        fill="tonexty",
        fillcolor="rgba(59, 111, 212, 0.25)",
        name="10 % to 90 % of the tokens",
        hoverinfo="skip",
    )
    for column, color, dash in (("median", PALETTE[0], "solid"), ("mean", PALETTE[1], "dash")):
        figure.add_scatter(
            x=middle,
            y=table[column],
            mode="lines",
            line={"color": color, "dash": dash, "width": 2},
            name=column,
            customdata=table[["from", "to", "10 %", "90 %", "cosine"]].to_numpy(),
            hovertemplate=f"%{{customdata[0]:,}} to %{{customdata[1]:,}}: {column} %{{y:.3f}}<br>10 % to 90 %: "
            "%{customdata[2]:.3f} to %{customdata[3]:.3f}<br>mean cosine %{customdata[4]:.3f}<extra></extra>",
        )
    if f"mean {sides[1]}" in table:
        figure.for_each_trace(lambda trace: trace.update(name=f"{trace.name}, {sides[0]}") if trace.name else None)
        for column, dash in (("median", "solid"), ("mean", "dash")):
            figure.add_scatter(
                x=middle,
                y=table[f"{column} {sides[1]}"],
                mode="lines",
                line={"color": PALETTE[3], "dash": dash, "width": 2},
                name=f"{column}, {sides[1]}",
                hovertemplate=f"{column} of {sides[1]} %{{y:.3f}}<extra></extra>",
            )
    layout(figure, title, axis, "relative error", height=380)
    figure.update_yaxes(exponentformat="power")
    if logarithmic:
        figure.update_xaxes(type="log", dtick=1)
    figure.update_yaxes(rangemode="tozero")
    return figure


def subspace_table(errors: np.ndarray, widths: list[int]) -> pd.DataFrame:
    """One row a subspace: its axes, width and relative error."""
    ends = np.cumsum(widths)
    return pd.DataFrame(
        {
            "subspace": np.arange(len(widths)),
            "first axis": ends - widths,
            "last axis": ends - 1,
            "width": widths,
            "error": errors,
        }
    )


def subspace_chart(table: pd.DataFrame, whole: float, title: str, axis: str) -> go.Figure:
    """Relative error of every subspace against that of the whole table."""
    figure = go.Figure()
    figure.add_bar(
        x=table["subspace"],
        y=table["error"],
        marker={"color": PALETTE[0]},
        customdata=table[["first axis", "last axis"]].to_numpy(),
        hovertemplate="%{x}: %{y:.4g}, axes %{customdata[0]} to %{customdata[1]}<extra></extra>",
        showlegend=False,
    )
    figure.add_hline(
        y=whole,
        line={"color": PALETTE[1], "dash": "dash"},
        annotation_text=f"whole table: {whole:.3g}",
        annotation_position="top right",
    )
    layout(figure, title, axis, "relative error", height=340)
    figure.update_yaxes(exponentformat="power")
    if len(table) <= 30:
        figure.update_xaxes(dtick=1)
    return figure


def comparison_chart(table: pd.DataFrame, measure: str) -> go.Figure:
    """One bar a method. Orange: the run on the page. Hatched: methods that cannot be made as small, or as large, as it."""
    column, axis = MEASURES[measure]
    figure = go.Figure()
    kinds = (
        ("equal bytes", PALETTE[0], "", table["matches"] & ~table["shown"]),
        ("the run on this page", PALETTE[1], "", table["shown"]),
        ("not equal bytes: see the table", NEUTRAL, "/", ~table["matches"] & ~table["shown"]),
    )
    for name, color, pattern, chosen in kinds:
        part = table[chosen]
        if part.empty:
            continue
        figure.add_bar(
            x=part[column],
            y=part["label"],
            orientation="h",
            name=name,
            marker={"color": color, "pattern": {"shape": pattern, "size": 6}},
            text=[_value_text(measure, value) for value in part[column]],
            textposition="outside",
            cliponaxis=False,
            customdata=part["bytes"],
            hovertemplate="%{y}: %{x:.4g}, %{customdata:,} bytes<extra></extra>",
        )
    layout(figure, f"{measure}, every method at equal bytes", axis, "", height=140 + 36 * len(table))
    figure.update_yaxes(title=None, categoryorder="array", categoryarray=table["label"].tolist()[::-1])
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(range=[0, 1.18 * float(table[column].max()) or 1])  # room for the numbers
    return figure


def _value_text(measure: str, value: float) -> str:
    if measure == "Total size":
        return f"{value:,.0f} B"
    return f"{value:.1f} %" if measure == "Neighbours kept" else f"{value:.3f}"
