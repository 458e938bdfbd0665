"""A finished run, and its adaptation, as one HTML page that can be handed on: charts, tables, settings, and how to do it again."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..adaptation.result import Adaptation
from ..base.errors import InputError
from ..base.text import seconds_text
from ..codec.settings import settings_text
from ..runs import Run
from .report_charts import Chart, error_chart, loss_chart, score_chart
from .report_html import Markup, element, folded, joined, section, table
from .report_numbers import adaptation_set, fairness, quality_section, score_cards, scores_section, size_section
from .report_parts import commands_section, settings_of, settings_section, versions, versions_section
from .report_scores import ScoredSet, scored_set
from .report_style import SCRIPT, STYLE

if TYPE_CHECKING:
    from ..evaluate.entailment.report import EntailmentReport
    from ..evaluate.similarity.report import SimilarityReport

#: The page may use what is in it, and ask nobody for anything: not by a defect of its own, nor by one of the chart library.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"


def html_report(
    run: Run | None = None,
    adaptation: Adaptation | None = None,
    results: "Iterable[ScoredSet | SimilarityReport | EntailmentReport]" = (),
    *,
    measured: str = "compressed",
    versions_used: Mapping[str, str] | None = None,
) -> str:
    """One self-contained HTML page, about 5 MB (the chart library is part of it); it needs no network and no server.

    run: the compression. adaptation: of that run, or alone if the run is not kept any more. results: evaluations on labelled sets.
    measured: whose quality the run tells: of the ``compressed`` table, or of the ``adapted`` one, where that was measured instead.
    versions_used: name -> version; by default those of this installation. Equal arguments give an equal page.
    Raises InputError without run and adaptation, or if the two are not about the same model.
    """
    if run is None and adaptation is None:
        raise InputError("there is nothing to report: give a run, an adaptation, or both")
    if run is not None and adaptation is not None and run.model["identity"] != adaptation.model["identity"]:
        raise InputError(
            f"the run is about {run.model['name']} ({run.model['identity']}), the adaptation about {adaptation.model['name']} "
            f"({adaptation.model['identity']}); give two that belong together"
        )
    if measured not in ("compressed", "adapted"):
        raise InputError(f"measured is {measured!r}; it must be compressed or adapted")
    model = (run or adaptation).model
    settings = settings_of(run, adaptation)
    sets = [scored_set(result) for result in results]
    followed = None if adaptation is None else adaptation_set(adaptation)
    if followed is not None:
        sets.insert(0, followed)
    charts = _charts(run, adaptation, followed)
    parts = [
        _head(model["name"], settings, adaptation),
        *([section("Before and after", score_cards(followed), fairness(adaptation))] if followed is not None else []),
        size_section(run, adaptation),
        *([quality_section(run, measured)] if run is not None and run.quality else []),
        *([section("Charts", *map(_drawn, charts))] if charts else []),
        scores_section(sets, followed),
        settings_section(model, settings, adaptation),
        commands_section(model, settings, adaptation),
        versions_section(run, adaptation, dict(versions_used) if versions_used is not None else versions()),
    ]
    return _page(f"{model['name']}: subspace embedding", parts, charts)


def _charts(run: Run | None, adaptation: Adaptation | None, followed: ScoredSet | None) -> list[Chart]:
    found = [] if run is None else [error_chart(run.history)]
    if adaptation is not None:
        what = f"{followed.metric} on {followed.data}" if followed is not None else "Score"
        found += [
            score_chart(adaptation.history, adaptation.scores, what, adaptation.best_step),
            loss_chart(adaptation.history),
        ]
    return [chart for chart in found if chart is not None]


def _head(name: str, settings: Any, adaptation: Adaptation | None) -> Markup:
    adapted = "compressed and adapted" if adaptation is not None else "compressed"
    seed = "" if adaptation is None else f"; adaptation for {seconds_text(adaptation.seconds)}, seed {adaptation.settings.seed}"
    lead = (
        "A language model starts with a table: one vector for every token it knows. Here that table is replaced by codebooks that "
        "tokens share, and a few small integers for each token. This page says what that saves, what it costs, and how to do it again."
    )
    return element(
        "header",
        joined(
            [
                element("h1", f"{name}: token table {adapted}"),
                element("p", settings_text(settings) + seed),
                element("p", lead, class_="lead"),
            ]
        ),
    )


def _drawn(chart: Chart) -> Markup:
    place = element("div", "", class_="chart", id=f"chart-{chart.name}", role="img", aria_label=chart.alt)
    numbers = table(chart.alt, chart.head, chart.rows)
    rows = "1 row" if len(chart.rows) == 1 else f"{len(chart.rows):,} rows"
    return joined([place, folded(f"Table behind this chart ({rows})", numbers)])


def _page(title: str, parts: list[Markup], charts: list[Chart]) -> str:
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',
        element("title", title),
        f"<style>{STYLE}</style>",
    ]
    body = [element("main", joined(parts))]
    if charts:
        from plotly.offline import get_plotlyjs

        figures = [{"id": f"chart-{chart.name}", **chart.figure} for chart in charts]
        body.append(f"<script>{get_plotlyjs()}</script>")
        body.append(f"<script>const FIGURES = {script_json(figures)};{SCRIPT}</script>")
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>"]
    return "\n".join(lines) + "\n"


def script_json(value: Any) -> str:
    """JSON inside a script element: no text in it can end the element or the line. NaN becomes null.

    >>> script_json(["</script>", float("nan")])
    '["\\\\u003c/script\\\\u003e",null]'
    """
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
