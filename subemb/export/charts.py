"""Charts that the pages and the report share: what plotly.js draws, the same in words, and as a table. Nothing here imports Streamlit or
plotly.

A :class:`Chart` says what is drawn; the pages draw it in their look (``ui/widgets/charts.py``), the report in its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log10
from typing import Any

from ..adaptation.result import TUNED
from ..base.text import plotly_text, score_text, seconds_text
from ..evaluate.context.perplexity import NAMES
from ..evaluate.context.uses import ADAPTED, BOTH, INPUT, ORIGINAL, OUTPUT, TableUses
from ..evaluate.context.verdicts import perplexity_text

#: Colours that stay apart for colour-blind readers and on light and dark backgrounds (after Okabe and Ito); the same as
#: chartCategoricalColors in .streamlit/config.toml.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#BB8100", "#C870A1", "#1C93D7", "#978E0C", "#8C8C8C")
NEUTRAL = "#8A93A3"
SIDE_COLOURS = {"original": PALETTE[0], "compressed": PALETTE[1], "adapted": PALETTE[2], TUNED: PALETTE[3]}
_REFERENCE_DASHES = {"original": "dash", TUNED: "longdash", "compressed": "dot"}  # side -> line across at its score
_FEW = 8  # subspaces that get a colour and a place in the legend each
_FEW_POINTS = 80  # points that can be told apart, and are marked
_DIGITS = 6  # significant digits of numbers in the table behind a chart


@dataclass(frozen=True)
class Chart:
    """One chart, in JSON types."""

    name: str  # short, for ids and file names
    title: str  # what to see
    x: str  # name of the axis, with its unit
    y: str
    alt: str  # what it shows, in a sentence
    columns: Sequence[str]  # of the table behind it
    rows: Sequence[Sequence[Any]]  # one a point
    data: list[dict[str, Any]] = field(default_factory=list)  # traces of plotly.js
    layout: dict[str, Any] = field(default_factory=dict)  # lines, names and ticks besides title and axes

    @property
    def figure(self) -> dict[str, Any]:
        """``data`` and ``layout`` in the look of a report; the colours of text and lines come from the reader's theme."""
        return {
            "data": self.data,
            "layout": {
                "title": {"text": plotly_text(self.title), "font": {"size": 15}, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top"},
                "margin": {"l": 10, "r": 10, "t": 56, "b": 10},
                "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
                "hoverlabel": {"namelength": -1},
                "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(0,0,0,0)",
                "font": {"family": 'system-ui, "Segoe UI", Roboto, sans-serif'},
                **self.layout,
                "xaxis": {"title": {"text": self.x}, "automargin": True, **self.layout.get("xaxis", {})},
                "yaxis": {"title": {"text": self.y}, "automargin": True, **self.layout.get("yaxis", {})},
            },
        }  # fmt: skip

    @property
    def rows_as_text(self) -> list[list[str]]:
        """The rows with measured numbers cut to six digits, and nothing where nothing was measured."""
        return [[_as_text(value) for value in row] for row in self.rows]


def _as_text(value: Any) -> str:
    return "" if value is None else f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def error_chart(history: Sequence[dict[str, Any]]) -> Chart | None:
    """Relative squared error after every step of a compression, of the whole table and of each subspace; None without steps.

    history: dicts with ``iteration``, ``stage``, ``error`` and ``per_subspace``, as the progress callback sends them; some of the steps
    where not all were kept.
    """
    rows = [entry for entry in history if entry.get("error") is not None]
    if not rows:
        return None
    steps = [entry.get("iteration") or at for at, entry in enumerate(rows, 1)]
    if any(later <= step for step, later in pairwise(steps)):  # no numbers of their own
        steps = list(range(1, len(rows) + 1))
    noticed = all(entry.get("sensitive_error") is not None for entry in rows)  # then that is what is minimised
    totals = [entry["sensitive_error" if noticed else "error"] for entry in rows]
    whole, what = ("as the output notices", "Error as the output notices it") if noticed else ("whole table", "Relative error")
    subspaces = len(rows[-1].get("per_subspace") or [])
    names = [f"subspace {i}" for i in range(subspaces)]
    # An earlier stage may not tell subspaces apart.
    parts = [found if len(found := entry.get("per_subspace") or []) == subspaces else [None] * subspaces for entry in rows]
    few = subspaces <= _FEW
    lines = [
        _line(
            steps,
            [part[i] for part in parts],
            name,
            PALETTE[(i + 1) % len(PALETTE)] if few else NEUTRAL,
            hover=f"{name}, step %{{x}}: %{{y:.4f}}",
            width=1.5,
            dash="dot",
            showlegend=few,
            opacity=1 if few else 0.35,
        )
        for i, name in enumerate(names)
    ]
    hover = f"{whole}, step %{{x}}: %{{y:.4f}}"
    lines.append(_line(steps, totals, whole, PALETTE[0], hover, mode="lines+markers", marker={"size": 6}))
    stages = [entry.get("stage") or "" for entry in rows]
    of_steps = f"each of {len(steps)} steps" if len(steps) == steps[-1] else f"{len(steps)} of {steps[-1]} steps"
    return Chart(
        name="error",
        title="Error left after each step: lower is better",
        x="step",
        y="error as noticed" if noticed else "relative error",
        alt=f"{what} after {of_steps}, from {totals[0]:.3f} to {totals[-1]:.3f}.",
        columns=["step", "stage", whole, *names],
        rows=[[*row, *part] for *row, part in zip(steps, stages, totals, parts, strict=True)],
        data=lines,
        layout={"xaxis": {"tick0": 0, "dtick": max(1, steps[-1] // 10)}, **_stage_marks(steps, stages)},
    )


def loss_chart(history: Sequence[dict[str, Any]]) -> Chart | None:
    """Training loss against seconds; None where none was measured."""
    rows = [entry for entry in history if entry.get("loss") is not None and entry.get("seconds") is not None]
    if not rows:
        return None
    seconds, losses = [row["seconds"] for row in rows], [row["loss"] for row in rows]
    return Chart(
        name="loss",
        title="Loss while it was trained: lower is better",
        x="seconds of training",
        y="loss",
        alt=f"Training loss over {seconds_text(seconds[-1])}, from {losses[0]:.4g} to {losses[-1]:.4g}.",
        columns=["seconds", "step", "loss"],
        rows=[[row["seconds"], row.get("step"), row["loss"]] for row in rows],
        data=[_line(seconds, losses, "loss", PALETTE[0], mode=_mode(rows), showlegend=False)],
    )


def score_chart(
    history: Sequence[dict[str, Any]], scores: dict[str, float], what: str, best_step: int | None = None
) -> Chart | None:
    """Score x 100 against seconds, between those of the originals and of the untrained table; None where none was measured.

    what: metric and labelled set, for the title. best_step: whose weights were kept; it is marked.
    """
    rows = [entry for entry in history if entry.get("score") is not None and entry.get("seconds") is not None]
    if not rows:
        return None
    seconds, found = [row["seconds"] for row in rows], [row["score"] for row in rows]
    references = {side: scores[side] for side in _REFERENCE_DASHES if scores.get(side) is not None}
    ends = [min(0.0, seconds[0]), seconds[-1]]
    lines = [
        _line(
            ends,
            [score, score],
            f"{side}: {score_text(score / 100)}",
            SIDE_COLOURS[side],
            width=2,
            dash=_REFERENCE_DASHES[side],
        )
        for side, score in references.items()
    ]
    colour = SIDE_COLOURS["adapted"]
    lines.append(_line(seconds, found, "while adapted", colour, mode=_mode(rows)))
    kept = next((row for row in rows if row.get("step") == best_step and best_step), None)
    if kept is not None:
        star = {"size": 13, "symbol": "star", "color": colour}
        lines.append(_line([kept["seconds"]], [kept["score"]], "kept", colour, mode="markers", marker=star))
    levels = ", ".join(f"{side} {score_text(score / 100)}" for side, score in references.items())
    return Chart(
        name="score",
        title=f"{what}: higher is better",
        x="seconds of training",
        y="score × 100",
        alt=f"{what} over {seconds_text(seconds[-1])} of training, from {score_text(found[0] / 100)} to {score_text(found[-1] / 100)}."
        + (f" For comparison: {levels}." if levels else ""),
        columns=["seconds", "step", "score × 100"],
        rows=[[row["seconds"], row.get("step"), row["score"]] for row in rows],
        data=lines,
    )


_USE_COLOURS = {ORIGINAL: PALETTE[0], INPUT: PALETTE[1], OUTPUT: PALETTE[1], BOTH: PALETTE[1], ADAPTED: PALETTE[2]}
_USE_PATTERNS = {ORIGINAL: "", INPUT: "/", OUTPUT: "\\", BOTH: "x", ADAPTED: "."}
_WIDE = 8  # times the smallest value from which on a scale is logarithmic


def uses_chart(found: TableUses) -> Chart:
    """What every use of the compressed table costs: perplexity of the text, and at the sentence's gap the divergence and a rank."""
    sides = list(found.sides)
    panels: list[
        tuple[str, list[float], list[str], bool]
    ] = []  # title, values, labels, whether values are above 1 and may be wide
    columns, rows = ["compressed"], [[side] for side in sides]
    if found.scored is not None:
        name, values = NAMES[found.scored.kind], [found.scored.perplexity(side) for side in sides]
        labels = [
            perplexity_text(value) + ("" if side == ORIGINAL else f" (× {perplexity_text(exp(found.costs[side]))})")
            for side, value in zip(sides, values, strict=True)
        ]
        panels.append((f"{name} of the text", values, labels, True))
        columns.append(name)
        rows = [[*row, value] for row, value in zip(rows, values, strict=True)]
    if found.mask is not None:
        mask, wanted = found.mask, found.mask.wanted
        ranks = [wanted.best_ranks[place] for place in range(len(sides))]
        labels = [f"{mask.kl[place]:.3g} · rank {rank:,}" for place, rank in enumerate(ranks)]
        panels.append((f"KL at the gap, nats · rank of “{wanted.token}”", list(mask.kl), labels, False))
        columns += ["KL divergence, nats", f"rank of {wanted.token}", f"probability of {wanted.token}"]
        rows = [[*row, mask.kl[n], ranks[n], wanted.probabilities[n]] for n, row in enumerate(rows)]
    data, layout = [], {}
    for number, (title, values, labels, can_be_wide) in enumerate(panels):
        axis = "" if number == 0 else str(number + 1)
        is_log = can_be_wide and max(values) > _WIDE * min(values)
        room = 1.6  # for the labels behind the bars
        end = log10(max(values)) * room if is_log else max(*values, 1e-9) * room
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "x": values,
                "y": sides,
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "text": [plotly_text(label) for label in labels],
                "textposition": "outside",
                "cliponaxis": False,
                "showlegend": False,
                "marker": {
                    "color": [_USE_COLOURS[side] for side in sides],
                    "pattern": {
                        "shape": [_USE_PATTERNS[side] for side in sides],
                        "fillmode": "overlay",
                        "fgcolor": "rgba(255,255,255,.5)",
                    },
                },
                "hovertemplate": "%{y}: %{text}<extra></extra>",
            }
        )
        height = 1 if len(panels) == 1 else 0.38
        layout[f"xaxis{axis}"] = {
            "title": {"text": plotly_text(title) + (", log scale" if is_log else "")},
            "type": "log" if is_log else "linear",
            "range": [0, end],
            "anchor": f"y{axis}",
        }
        layout[f"yaxis{axis}"] = {
            "autorange": "reversed",
            "domain": [0, height] if number else [1 - height, 1],
            "anchor": f"x{axis}",
            "title": {"text": ""},
        }
    alt = f"{len(sides)} bars: {', '.join(f'{side} {label}' for side, label in zip(sides, panels[0][2], strict=True))}."
    return Chart(
        name="uses",
        title="What each use costs: shorter is better",
        x=panels[0][0],
        y="",
        alt=alt,
        columns=columns,
        rows=rows,
        data=data,
        layout=layout,
    )


def _mode(rows: Sequence) -> str:
    return "lines+markers" if len(rows) <= _FEW_POINTS else "lines"


def _line(
    x: list, y: list, name: str, colour: str, hover: str | None = None, width: float = 3, dash: str = "solid", **more
) -> dict[str, Any]:
    """A trace. hover: what is said of a point; by default name and both numbers."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": plotly_text(name),
        "line": {"width": width, "dash": dash, "color": colour},
        "hovertemplate": f"{hover or plotly_text(name) + ', %{x:.4~g}: %{y:.4~f}'}<extra></extra>",
    } | more


def _stage_marks(steps: Sequence[int], stages: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """A line where a new stage begins, with its name: the error may jump there, as when tuples are made distinct.

    Of stages such as ``tier 1 of 2: k-means`` only the part before the colon is told: names of all would overlap.
    """
    previous, shapes, annotations = None, [], []
    for at, (step, stage) in enumerate(zip(steps, (stage.split(": ")[0] for stage in stages), strict=True)):
        if not stage or stage == previous:
            continue
        begins = step if previous is None else (steps[at - 1] + step) / 2
        if previous is not None:
            line = {"width": 1, "dash": "dash", "color": NEUTRAL}
            shapes.append({"type": "line", "x0": begins, "x1": begins, "y0": 0, "y1": 1, "yref": "paper", "line": line})
        annotations.append(
            {
                "x": begins,
                "y": 1,
                "yref": "paper",
                "text": plotly_text(stage),
                "showarrow": False,
                "xanchor": "left",
                "yanchor": "bottom",
                "font": {"size": 12, "color": NEUTRAL},
            }
        )
        previous = stage
    return {"shapes": shapes, "annotations": annotations}
