"""A finished run, and its adaptation, as one HTML page that can be handed on: charts, tables, settings, and how to do it again.

This module decides what is in the report; ``report_template/`` holds its text and its look, ``charts.py`` its charts.
"""

import importlib.metadata
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from .. import __version__
from ..adaptation.result import ADAPTED, TUNED, Adaptation
from ..adaptation.settings import LABELLED, OBJECTIVES, TRAINED
from ..adaptation.texts import VOCABULARY
from ..base.arguments import checked
from ..base.errors import InputError
from ..base.text import (
    change_text,
    count_text,
    number_text,
    percent_text,
    score_change,
    score_text,
    seconds_text,
    sentence_case,
    size_text,
    without_control,
)
from ..codec.settings import GIVEN, METHODS, OF_TEXT, WEIGHT_NAMES, CompressionSettings
from ..evaluate.context.perplexity import NAMES, TextPerplexity
from ..evaluate.context.uses import TableUses
from ..evaluate.context.verdicts import capitalized, perplexity_text, text_verdict, uses_verdict
from ..evaluate.report import METRIC_NAMES, Report
from ..evaluate.similarity.demonstration import TaskScore
from ..evaluate.statistics import Interval
from ..runs import NEIGHBOURS, Run
from .charts import Chart, error_chart, loss_chart, score_chart, uses_chart
from .command_lines import adapt_command, compress_command, given_files

LONGEST_TABLE = 16  # rows; longer ones are folded
Cell = Any  # of a table: a text or a number, or a pair of that and a remark in small print
Card = tuple[str, str, str]  # name, value, remark
Fact = tuple[str, str]  # name, text
_PACKAGES = {"PyTorch": "torch", "transformers": "transformers", "safetensors": "safetensors"}


@dataclass(frozen=True)
class Table:
    """A table of the report."""

    head: list[str]
    rows: list[list[Cell]]


@checked
def html_report(
    run: Run | None = None,
    adaptation: Adaptation | None = None,
    results: "Iterable[ScoredSet | Report]" = (),
    *,
    words: "Iterable[WordsInContext]" = (),
    measured: str = "compressed",
    versions_used: Mapping[str, str] | None = None,
) -> str:
    """One self-contained HTML page, about 5 MB (the chart library is part of it); it needs no network and no server.

    run: the compression. adaptation: of that run, or alone if the run is no longer kept. results: evaluations on labelled sets.
    words: texts that were scored word by word, and comparisons of the table's uses.
    measured: which table the quality of the run belongs to: the ``compressed`` one, or the ``adapted`` one if that was measured instead.
    versions_used: name -> version; by default those of this installation. Equal arguments give an equal page.
    Raises InputError without a run and an adaptation, or if the two belong to different models.
    """
    if run is None and adaptation is None:
        raise InputError("there is nothing to report: give a run, an adaptation, or both")
    if run is not None and adaptation is not None and run.model["identity"] != adaptation.model["identity"]:
        raise InputError(
            f"the run is about {run.model['name']} ({run.model['identity']}), the adaptation about {adaptation.model['name']} "
            f"({adaptation.model['identity']}); give two that belong together"
        )
    if measured not in ("compressed", ADAPTED):
        raise InputError(f"measured is {measured!r}; it must be compressed or adapted")
    model = (run or adaptation).model
    settings = run.settings if run is not None else CompressionSettings.from_dict(adaptation.compression)
    sets = [scored_set(result) for result in results]
    own = None if run is None or run.task is None else task_set(run.task, measured)
    if own is not None and (own.data, own.pairs) not in {(one.data, one.pairs) for one in sets}:
        sets.insert(0, own)
    followed = None if adaptation is None else adaptation_set(adaptation)
    if followed is not None:
        sets.insert(0, followed)
    charts = _charts(run, adaptation, followed)
    in_context = [_words_part(number, one) for number, one in enumerate(words)]
    return environment().get_template("page.html.jinja").render(
        model=model,
        run=run,
        adaptation=adaptation,
        followed=followed,
        measured=measured,
        settings_in_short=settings.in_words,
        score_cards=[] if followed is None else _score_cards(followed),
        has_tuned_original=adaptation is not None and TUNED in adaptation.scores,
        size_cards=[] if run is None else _size_cards(run),
        adapted_size_cards=[] if adaptation is None else _adapted_size_cards(adaptation),
        sizes=_sizes(run, adaptation),
        quality_cards=[] if run is None or not run.quality else _quality_cards(run),
        cosine_quantiles="" if run is None or not run.quality else _cosine_quantiles(run),
        neighbours=NEIGHBOURS,
        subspaces=[] if run is None else _subspaces(run),
        longest_table=LONGEST_TABLE,
        charts=charts,
        in_context=in_context,
        figures=script_json(
            [{"id": f"chart-{chart.name}", **chart.figure} for chart in (*charts, *(one.chart for one in in_context if one.chart))]
        ),
        plotly_library=_plotly_library,
        scores=_scores(sets) if sets else None,
        scored_notes=[f"{found.data}: {' '.join(found.notes)}" for found in sets if found.notes],
        has_intervals=any(found.differences for found in sets),
        model_facts=_model_facts(model),
        compression_facts=_compression_facts(settings, "" if run is None else run.rounding_text),
        adaptation_facts=[] if adaptation is None else _adaptation_facts(adaptation),
        commands=_commands(model, settings, adaptation),
        command_notes=_command_notes(settings, adaptation),
        versions=_versions(run, adaptation, versions() if versions_used is None else versions_used),
    )  # fmt: skip


@cache
def environment() -> Environment:
    """Reads the templates. Whatever a template puts in is escaped, once, with control characters and direction marks by number."""
    found = Environment(
        loader=PackageLoader("subemb.export", "report_template"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else without_control(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"seconds": seconds_text, "count": count_text}
    return found


def script_json(value: Any) -> str:
    """JSON inside a script element: no text in it can end the element or the line. NaN becomes null.

    >>> print(script_json(["</script>", float("nan")]))
    ["\\u003c/script\\u003e",null]
    """
    return htmlsafe_json_dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _plotly_library() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _charts(run: Run | None, adaptation: Adaptation | None, followed: "ScoredSet | None") -> list[Chart]:
    found = [] if run is None else [error_chart(run.history)]
    if adaptation is not None:
        what = f"{followed.metric} on {followed.data}" if followed is not None else "Score"
        found += [
            score_chart(adaptation.history, adaptation.scores, what, adaptation.best_step),
            loss_chart(adaptation.history),
        ]
    return [chart for chart in found if chart is not None]


# Scores


@dataclass(frozen=True)
class ScoredSet:
    """Scores of the sides on one labelled set, whichever evaluation they come from."""

    data: str  # name of the set
    pairs: int  # how many
    metric: str  # the main one, for a person
    values: dict[str, float]  # side -> score x 100; the first side is the reference, see reference_of
    differences: dict[str, Interval] = field(default_factory=dict)  # side -> against the first, natural units
    judged_by: str = ""  # what judged the pairs, in words
    notes: tuple[str, ...] = ()  # which columns were read, what was inferred and what could not be measured, in sentences

    def reference_of(self, side: str) -> str:
        """The side that ``side`` is compared with: for the adapted one, the fine-tuned original if both were trained in the same way."""
        if side == ADAPTED and TUNED in self.values and side not in self.differences:
            return TUNED
        return next(iter(self.values))


@dataclass(frozen=True)
class WordsInContext:
    """A text that was scored word by word, or a comparison of the table's uses."""

    data: str  # what the text or sentence is called
    found: TextPerplexity | TableUses
    note: str = ""  # whose head made the numbers, if not that of the model's authors


@dataclass(frozen=True)
class _WordsPart:
    """One of these in the report."""

    title: str
    verdict: str
    table: Table
    chart: Chart | None
    notes: tuple[str, ...]


def _words_part(number: int, words: WordsInContext) -> _WordsPart:
    found = words.found
    if isinstance(found, TableUses):
        chart = replace(uses_chart(found), name=f"uses-{number}")
        table = Table(list(chart.columns), chart.rows_as_text)
        return _WordsPart(
            f"Input or output: {words.data}", uses_verdict(found), table, chart, _words_notes(words, found.scored)
        )
    name = NAMES[found.kind]
    rows: list[list[Cell]] = []
    for side in found.sides:
        interval = found.interval(side)
        change = (
            "–"
            if interval is None
            else "{} ({} to {})".format(
                *(number_text(value, 3, signed=True) for value in (interval.difference, interval.low, interval.high))
            )
        )
        rows.append([side, perplexity_text(found.perplexity(side)), change])
    table = Table(["side", name, "nats a token against the first (95 % interval)"], rows)
    return _WordsPart(f"{capitalized(name)}: {words.data}", text_verdict(found), table, None, _words_notes(words, found))


def _words_notes(words: WordsInContext, scored: TextPerplexity | None) -> tuple[str, ...]:
    about = () if scored is None else (f"{count_text(scored.scored)} of {count_text(scored.tokens)} tokens were scored.",)
    return (*about, *((words.note,) if words.note else ()))


def scored_set(report: ScoredSet | Report) -> ScoredSet:
    """The main scores of an evaluation. Raises InputError for anything else."""
    if isinstance(report, ScoredSet):
        return report
    if not isinstance(report, Report):
        raise InputError(f"a {type(report).__name__} holds no scores; give reports of evaluate_pairs or evaluate_entailment")
    metric = report.metrics[0]
    return ScoredSet(
        report.pairs.name,
        len(report),
        METRIC_NAMES[metric] + (", %" if metric == "accuracy" else ""),
        {side: 100 * found.values[metric] for side, found in report.scores.items()},
        {side: found.differences[metric] for side, found in report.scores.items() if metric in found.differences},
        report.judged_by,
        _notes(report),
    )


def task_set(task: TaskScore, side: str = "compressed") -> ScoredSet | None:
    """The score of a run itself on the demonstration pairs; None where it is not defined. side: that was scored beside the original."""
    if task.original is None or task.compressed is None:
        return None
    has_interval = task.low is not None and task.high is not None
    interval = Interval(task.compressed - task.original, task.low, task.high) if has_interval else None
    note = f"It comes with subemb, is no benchmark, and was read in: {', '.join(task.languages)}."
    return ScoredSet(
        task.name,
        task.pairs,
        METRIC_NAMES[task.metric],
        {"original": 100 * task.original, side: 100 * task.compressed},
        {} if interval is None else {side: interval},
        notes=(note,),
    )


def _notes(report: Report) -> tuple[str, ...]:
    """What a reader of scores should know of the data: columns, inferences, and what could not be measured."""
    columns = report.pairs.columns
    read = [] if columns is None else [f"Columns read: {', '.join(columns.names)}."]
    return (*read, *(f"{note.text}." for note in (*report.pairs.notes, *report.remarks)))


def adaptation_set(adaptation: Adaptation) -> ScoredSet | None:
    """The scores of an adaptation on the set that it was followed on, or None without one."""
    if adaptation.scored is None or not adaptation.scores:
        return None
    scored = adaptation.scored
    metric = str(scored.get("metric", "score"))
    name = METRIC_NAMES.get(metric, metric[:1].upper() + metric[1:])
    return ScoredSet(scored["name"], scored["pairs"], name, adaptation.scores)


def _score_cards(found: ScoredSet) -> list[Card]:
    """The scores of one set, with the difference to the side that each is compared with."""
    items = []
    for side, value in found.values.items():
        reference = found.reference_of(side)
        change = change_text(found.values[reference], value)
        remark = found.metric if side == reference else f"{change} points against {reference}"
        items.append((side[:1].upper() + side[1:], score_text(value / 100), remark))
    return items


def _scores(sets: Sequence[ScoredSet]) -> Table:
    """One row a labelled set, one column a side; below a score its difference, with the interval where that is known."""
    sides = list(dict.fromkeys(side for found in sets for side in found.values))
    rows = []
    for found in sets:
        name = (found.data, found.judged_by) if found.judged_by else found.data
        rows.append([name, found.metric, count_text(found.pairs), *(_score_cell(found, side) for side in sides)])
    return Table(["data set", "metric", "pairs", *sides], rows)


def _score_cell(found: ScoredSet, side: str) -> Cell:
    if side not in found.values:
        return "–"
    score, reference = score_text(found.values[side] / 100), found.reference_of(side)
    if side == reference:
        return score
    interval = found.differences.get(side)
    if interval is None:
        change = change_text(found.values[reference], found.values[side])
        return score, change + (f" against {reference}" if reference == TUNED else "")
    change = score_change(found.values[reference] / 100, found.values[side] / 100, known=interval.difference)
    low, high = (score_text(end, signed=True) for end in (interval.low, interval.high))
    return score, f"{change}, no interval" if math.isnan(interval.low) else f"{change} ({low} to {high})"


# Size and quality


def _size_cards(run: Run) -> list[Card]:
    size = run.size
    found = [
        ("Original table", size_text(size.original_bytes), f"{count_text(size.vocabulary)} × {size.dim} floats"),
        ("Compressed, in total", size_text(size.total_bytes), f"{percent_text(size.total_share)} of the table"),
    ]
    if size.codebook_parameters:
        bits = size.code_bits / size.vocabulary
        codes = f"{bits:g} {'bit' if bits == 1 else 'bits'} a token" if size.code_bits else "computed from the id"
        books = size.codebook_parameters
        found += [
            ("Codebooks", size_text(size.codebook_bytes), f"{count_text(books)} numbers, {size.bits_of_codebooks}"),
            ("Codes", size_text(size.code_bytes), codes),
        ]
    else:
        found.append(("Floats", size_text(size.float_bytes), f"{count_text(size.parameters)} floats"))
        found.append((run.settings.about.packed.capitalize(), size_text(size.code_bytes), "packed"))
    return [
        *found,
        ("Fewer floats", size.fewer_texts[0], "the paper’s measure"),
        ("Fewer bytes", size.fewer_texts[1], "the honest measure"),
    ]


def _adapted_size_cards(adaptation: Adaptation) -> list[Card]:
    size = adaptation.size
    if not size:
        return []
    changed = size["changed_parameters"]
    return [
        *((f"Adapted: {name.lower()}", amount, share) for name, amount, share in adaptation.sizes),
        (
            "Changed weights",
            size_text(size["changed_bytes"]),
            f"{count_text(changed)} floats, in place of the original’s" if changed else "only the table was trained",
        ),
    ]


_SIZE_ROWS = {
    "books": "codebooks",
    "codes": "codes, or rounded numbers",
    "other": "other floats",
    "table": "token table",
    "model": "whole model",
    "changed": "of it changed weights of the network",
}


def _sizes(run: Run | None, adaptation: Adaptation | None) -> Table | None:
    """Bytes of every part on every side; None where the sizes are not known."""
    size, adapted = run.size if run is not None else None, adaptation.size if adaptation is not None else {}
    original = size.original_bytes if size is not None else adapted.get("original_bytes")
    if original is None:
        return None
    columns = {"original": {"table": original}}
    if size is not None:
        columns["original"]["model"] = size.model_bytes
        columns["compressed"] = {
            "books": size.codebook_bytes,
            "codes": size.code_bytes,
            "other": size.other_bytes,
            "table": size.total_bytes,
            "model": size.compressed_model_bytes,
        }
    if adapted:
        columns[ADAPTED] = {
            "table": adapted["table_bytes"],
            "model": adapted.get("model_bytes")
            or (None if size is None or size.model_bytes is None else size.model_bytes - original + adapted["table_bytes"]),
            "changed": adapted["changed_bytes"],
        }
    rows: list[list[Cell]] = []
    for name, label in _SIZE_ROWS.items():
        found = [column.get(name) for column in columns.values()]
        if any(found):
            rows.append([label, *map(_bytes_cell, found)])
    rows.append(["share of the original table", *(percent_text(column["table"] / original) for column in columns.values())])
    return Table(["stored", *columns], rows)


def _bytes_cell(value: int | None) -> Cell:
    if value is None:
        return "–"
    return (size_text(value), f"{count_text(value)} B") if value >= 1000 else size_text(value)


def _quality_cards(run: Run) -> list[Card]:
    """What the compression lost."""
    quality = run.quality
    found = [
        ("Relative error", f"{quality['relative_error']:.3f}", "0 is perfect, 1 is the mean vector"),
        ("Mean cosine", f"{quality['mean_cosine']:.3f}", "1 is perfect"),
        (f"Neighbours kept at {NEIGHBOURS}", percent_text(quality["neighbours_kept"]), "100 % is perfect"),
    ]
    if quality["distinct_tuples"] is not None:
        colliding = quality["colliding_tokens"]
        remark = f"{count_text(colliding)} tokens collide" if colliding else f"all {count_text(run.size.vocabulary)}"
        found.append(("Distinct tuples", count_text(quality["distinct_tuples"]), remark))
    if quality["weighted_error"] is not None:
        weights = f"weights: {WEIGHT_NAMES[run.settings.weights]}"
        found.append(("Weighted error", f"{quality['weighted_error']:.3f}", weights))
    if quality.get("sensitive_error") is not None:
        remark = "weighted, each direction by how much the output moves"
        found.append(("Error as the output notices", f"{quality['sensitive_error']:.3f}", remark))
    return found


def _cosine_quantiles(run: Run) -> str:
    quantiles = sorted((float(name), value) for name, value in run.quality["cosine_quantiles"].items())
    return ", ".join(f"{value:.2f} at {percent_text(share)}" for share, value in quantiles)


def _subspaces(run: Run) -> list[list[Cell]]:
    """Name and error of every subspace; none for residual."""
    return [[f"subspace {i}", f"{error:.4f}"] for i, error in enumerate(run.quality.get("per_subspace") or [])]


# Settings in words, versions


def _model_facts(model: Mapping[str, Any]) -> list[Fact]:
    items = [("Name", model["name"])]
    if model.get("revision"):
        items.append(("Revision", model["revision"]))
    items.append(("Token table", f"{count_text(model['vocabulary'])} tokens × {model['dim']} dimensions"))
    if model.get("parameters"):
        share = model["vocabulary"] * model["dim"] / model["parameters"]
        items.append(
            ("Whole model", f"{count_text(model['parameters'])} parameters; the table is {percent_text(share)} of them")
        )
    return items + [("Note", str(note)) for note in model.get("notes") or ()]


def _compression_facts(settings: CompressionSettings, rounding: str) -> list[Fact]:
    method = METHODS[settings.method]
    items = [("Method", f"{method.title}: {method.summary}")]
    if method.uses_codebooks:
        additive = method.is_additive
        items += [
            (
                method.subspaces_label,
                f"{settings.subspaces}: every token is that many small integers, its codes",
            ),
            (
                "Codebook size Q",
                f"{settings.codebook_size} shared {'vectors a stage' if additive else 'sub-vectors a subspace'}",
            ),
            ("Tuples of codes", "distinct: no two tokens have the same" if settings.wants_unique else "tokens may collide"),
            ("Token weights", WEIGHT_NAMES[settings.weights]),
        ]
        if method.is_iterative:
            least = f"or until the error shrinks by less than {settings.tolerance:g} of it"
            items.append(("k-means", f"at most {settings.iterations} iterations, {least}"))
        items.append(("Seed", str(settings.seed)))
    if settings.rank is not None:
        items.append(("Rank", str(settings.rank)))
    return items + ([("Note", f"{sentence_case(rounding)}.")] if rounding else [])


def _adaptation_facts(adaptation: Adaptation) -> list[Fact]:
    settings, text, scored = adaptation.settings, adaptation.text, adaptation.scored
    objective, trained = OBJECTIVES[settings.objective], TRAINED[settings.train]
    layers = f" ({settings.last_layers})" if settings.train == "last" else ""
    source = "no text" if text["name"] == VOCABULARY else text["name"]
    reassigned = f"; {count_text(adaptation.reassigned)} codes changed" if settings.reassign else ""
    rates = f"{settings.codebook_rate:g} of the codebooks"
    if settings.train != "codebooks":
        rates += f", {settings.network_rate:g} of the network"
    return [
        ("Objective", f"{objective.title}: {objective.help}"),
        ("Trained", f"{trained.title}{layers}: {trained.help}"),
        ("Codes", ("may change" if settings.reassign else "stay as they are") + reassigned),
        ("Learned from", f"{source}: {adaptation.learned_from}"),
        *([] if scored is None else [("Followed on", f"{scored['name']}: {adaptation.scored_count}")]),
        ("Time", _time(adaptation)),
        ("Batch", f"{settings.batch_size} {'pairs' if 'pairs' in text else 'sentences'} a step"),
        ("Learning rates", rates),
        ("Temperature", f"{settings.temperature:g}"),
        ("Seed", str(settings.seed)),
        ("Computed on", adaptation.device + (f", {adaptation.threads} threads" if adaptation.threads else "")),
        ("Ended", _ending(adaptation)),
    ]


def _time(adaptation: Adaptation) -> str:
    settings = adaptation.settings
    asked = seconds_text(settings.seconds) if settings.steps is None else f"{count_text(settings.steps)} steps"
    done = f"{count_text(adaptation.steps)} steps in {seconds_text(adaptation.seconds)}"
    return f"asked for {asked}; {done} ({seconds_text(adaptation.cpu_seconds)} of processor time)"


_ENDINGS = {
    "done": "as planned",
    "stopped": "stopped early; the best weights so far were kept",
    "paused": "paused",
    "running": "not ended",
    "failed": "failed",
}


def _ending(adaptation: Adaptation) -> str:
    kept = f"; the weights of step {count_text(adaptation.best_step)} were kept" if adaptation.best_step else ""
    return _ENDINGS.get(adaptation.state, adaptation.state) + kept + (f" ({adaptation.message})" if adaptation.message else "")


def versions() -> dict[str, str]:
    """Name -> version of what this process works with."""
    found = {"subemb": __version__, "Python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _versions(run: Run | None, adaptation: Adaptation | None, used: Mapping[str, str]) -> list[Fact]:
    """What the run and the adaptation were computed with, and what wrote the report."""
    return [
        *([] if run is None else [("Compressed by", f"subemb {run.version}")]),
        *([] if adaptation is None else [("Adapted by", f"subemb {adaptation.version}")]),
        ("Reported by", ", ".join(f"{name} {version}" for name, version in used.items())),
    ]


# Commands that give the same again


def _commands(model: Mapping[str, Any], settings: CompressionSettings, adaptation: Adaptation | None) -> list[str]:
    revision = model.get("revision") if model.get("source") == "hub" else None
    lines = [compress_command(model["name"], revision, settings)]
    if adaptation is not None:
        learned, scored = _learned_files(adaptation), _scored_files(adaptation)
        lines.append(
            adapt_command(
                replace(adaptation.settings, batch_size=adaptation.sentences_a_step or adaptation.settings.batch_size),
                text=None if learned is None else learned[0],
                scored=None if scored is None else scored[0][0],
                steps=adaptation.planned_steps or None,
            )
        )
    return lines


def _command_notes(settings: CompressionSettings, adaptation: Adaptation | None) -> list[str]:
    """What has to be filled in, and what will come out differently."""
    notes = []
    if settings.weights == "list":
        notes.append("FILE is the frequency list that gave the token weights; it is not kept with the result.")
    elif settings.weights in OF_TEXT:
        notes.append("FILE is the text whose tokens were counted; it is not kept with the result.")
    if settings.weights == GIVEN:
        notes.append("The tokens were weighted by numbers given in Python, which the command line cannot be told.")
    return notes if adaptation is None else notes + _adapt_notes(adaptation)


def _adapt_notes(adaptation: Adaptation) -> list[str]:
    settings, notes = adaptation.settings, []
    if settings.steps is None:
        planned = adaptation.planned_steps
        asked = (
            f"came to {count_text(planned)} steps on that computer; the command asks for the steps"
            if planned
            else "is asked for"
        )
        searched = " and the search for codes" if settings.reassigns(adaptation.compression["method"]) else ""
        notes.append(
            f"A time budget of {seconds_text(settings.seconds)} {asked}. With a time budget, the learning-rate schedule{searched} "
            "depended on the speed of that machine, so the command gives nearly, but not exactly, the same. Only a run whose steps "
            "were given from the start comes out the same again."
        )
    given = [found for found in (_learned_files(adaptation), _scored_files(adaptation)) if found is not None]
    if any(not note for _, note in given):
        notes.append("Texts and labelled sets stand under the names they had; give the files where they lie.")
    notes += dict.fromkeys(note for _, note in given if note)
    if adaptation.state == "stopped":
        notes.append("It was stopped early; the command goes on to the end.")
    return notes


def _learned_files(adaptation: Adaptation) -> tuple[list[str], str] | None:
    """As :func:`given_files`; None without a text."""
    if adaptation.text["name"] == VOCABULARY:
        return None
    objective = adaptation.settings.objective
    return given_files(adaptation.text["name"], objective if objective in LABELLED else None)


def _scored_files(adaptation: Adaptation) -> tuple[list[str], str] | None:
    """As :func:`given_files`, one file; None without a set of its own."""
    scored = adaptation.scored
    if scored is None or scored.get("held_out"):
        return None
    files, note = given_files(scored["name"], scored["task"])
    return (files, note) if len(files) == 1 else ([scored["name"]], "")
