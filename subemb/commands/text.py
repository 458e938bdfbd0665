"""What several commands show: a progress bar, reports of models, runs and tokens, and what the reports of all evaluations share.

The report of one kind of evaluation stands with its command.
"""

import math
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ..base.progress import Progress, seconds_left
from ..base.text import (
    columns_text,
    count_text,
    one_line,
    percent_text,
    score_change,
    score_text,
    seconds_text,
    sentence_case,
    size_text,
)
from ..codec.settings import CompressionSettings, settings_text
from ..evaluate.data.pairs import Columns, Note, Skipped, skipped_text
from ..evaluate.statistics import Interval
from ..runs import NEIGHBOURS, Run
from .terminal import WIDTH, plain_stream

BAR = 24  # characters of the progress bar
REDRAW_SECONDS = 0.1  # at least, between two drawings
LONGEST_LINE = 200  # characters of a sentence
#: What reports say about the demonstration set, whose numbers nobody should quote.
DEMONSTRATION = "demonstration material that comes with subemb, not a benchmark; give your own with --data FILE"


# Progress


class ProgressLine:
    """A progress callback that redraws one line of a terminal; without a terminal it draws nothing.

    While it is open, Ctrl-C is also remembered, and the work is asked to stop at its next message: an interrupt that arrives
    inside a callback of compiled code would otherwise be lost.

    >>> with ProgressLine(enabled=False) as progress:
    ...     progress(Progress("k-means", 0.5))
    False
    """

    def __init__(self, enabled: bool = True, stream: TextIO | None = None):
        self._stream = plain_stream(sys.stderr if stream is None else stream)
        self._enabled = enabled and self._stream.isatty()
        self._drawn = 0.0
        self._stage = ""
        self._began, self._fraction = (
            0.0,
            0.0,
        )  # of the work that is drawn; when less is done than before, another one has begun
        self._interrupted = False
        self._previous_handler = None

    def __enter__(self) -> "ProgressLine":
        if threading.current_thread() is threading.main_thread():  # only there can signals be handled
            self._previous_handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def _interrupt(self, *_) -> None:
        self._interrupted = True
        raise KeyboardInterrupt

    def __exit__(self, *_) -> None:
        if self._previous_handler is not None:
            signal.signal(signal.SIGINT, self._previous_handler)
        if self._enabled and self._stage:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, message: Progress) -> bool:
        """Draw a message; True asks to stop."""
        now = time.monotonic()
        fraction = message.fraction or 0.0
        if fraction < self._fraction or not self._began:
            self._began = now
        self._fraction = fraction
        if self._enabled and (message.stage != self._stage or now - self._drawn >= REDRAW_SECONDS):
            self._draw(message, now)
        return self._interrupted

    def _draw(self, message: Progress, now: float) -> None:
        self._drawn, self._stage = now, message.stage

        left = seconds_left(now - self._began, message.fraction)
        line = one_line(progress_text(message, left))[: shutil.get_terminal_size().columns - 1]
        self._stream.write(f"\r\x1b[K{line}")
        self._stream.flush()


def progress_text(message: Progress, left: float | None = None) -> str:
    """One message as one line. left: seconds that the work will still take, where that can be told.

    >>> progress_text(Progress("k-means", 0.5, {"iteration": 3, "error": 0.9312}))
    '[############............]  50 %  k-means, iteration 3, error 0.931'
    >>> progress_text(Progress("loading"))
    '[........................]        loading'
    >>> progress_text(Progress("k-means", 0.5), 12.3)
    '[############............]  50 %  k-means, about 12 s left'
    """
    filled = 0 if message.fraction is None else round(BAR * min(1.0, max(0.0, message.fraction)))
    share = "     " if message.fraction is None else f"{message.fraction * 100:3.0f} %"
    parts = [message.stage]
    if "iteration" in message.values:
        parts.append(f"iteration {message.values['iteration']}")
    if "error" in message.values:
        parts.append(f"error {message.values['error']:.3f}")
    if left is not None:
        parts.append(f"about {seconds_text(max(1.0, round(left)), whole=True)} left")
    return f"[{'#' * filled}{'.' * (BAR - filled)}] {share}  {', '.join(parts)}"


# Models, runs, tokens


def models_text(entries) -> str:
    """The list of models, and below it what is wrong with those that cannot be used."""
    rows = [["MODEL", "SOURCE", "TOKENS", "DIM", "PARAMETERS", "TABLE"]]
    problems = []
    for entry in entries:
        if entry.error is not None:
            problems.append(f"{one_line(entry.name)}: {one_line(entry.error)}")
            continue
        share = "" if not entry.parameters else percent_text(entry.vocabulary * entry.dim / entry.parameters)
        parameters = "" if entry.parameters is None else count_text(entry.parameters)
        rows.append([one_line(entry.name), entry.source, count_text(entry.vocabulary), str(entry.dim), parameters, share])
    text = columns_text(rows, right=(2, 3, 4, 5))
    return text + ("\n\ncannot be used:\n" + "\n".join(problems) if problems else "")


def run_text(run: Run) -> str:
    """The verdict, the size card and the quality card of a run."""
    verdict = run.verdict
    found = f"{verdict.text} {verdict.advice}".strip()
    return "\n\n".join((_heading(run), found, _size(run), _quality(run)))


def _heading(run: Run) -> str:
    revision = f" ({one_line(run.model['revision'])})" if run.model.get("revision") else ""
    return f"{one_line(run.model['name'])}{revision}{_notes(run.model)}\n{settings_text(run.settings)}"


def _notes(model: Mapping[str, Any]) -> str:
    """What a user should know about a model, a line each, to stand behind its name."""
    return "".join(f"\nnote: {one_line(note)}" for note in model.get("notes", ()))


def _size(run: Run) -> str:
    size = run.size
    rows = [
        ["original table", size_text(size.original_bytes), f"{count_text(size.vocabulary)} tokens x {size.dim}, float32"],
        [
            "codebooks",
            size_text(size.codebook_bytes),
            f"{count_text(size.codebook_parameters)} numbers, {size.bits_of_codebooks}",
        ],
        ["other floats", size_text(size.other_bytes), f"{count_text(size.other_parameters)} floats"],
        [
            "codes" if size.codebook_parameters else run.settings.about.packed,
            size_text(size.code_bytes),
            f"{count_text(size.code_bits)} bits",
        ],
        ["total", size_text(size.total_bytes), f"{percent_text(size.total_share)} of the table, everything counted"],
        ["floats only", "", f"{percent_text(size.parameter_share)} of the table's floats (the paper's measure)"],
    ]
    if run.entropy_coded:
        rows.insert(5, ["with --entropy", "", run.entropy_coded])
    if not size.other_parameters:
        del rows[2]
    if not size.codebook_parameters:
        del rows[1]
    if size.share_of_model is not None:
        before, after = percent_text(size.original_share_of_model), percent_text(size.share_of_model)
        bytes_ = f"{size_text(size.model_bytes)} before, {size_text(size.compressed_model_bytes)} after"
        rows.append(["whole model", "", f"{bytes_}; the table is {before} of it before, {after} after"])
    note = "\n" + textwrap.fill(f"{sentence_case(run.rounding_text)}.", WIDTH) if run.rounding_text else ""
    return "SIZE\n" + columns_text(rows, right=(1,)) + note


def _quality(run: Run) -> str:
    quality = run.quality
    rows = [["relative error", f"{quality['relative_error']:.3f}", "0 is perfect, 1 is the mean vector for every token"]]
    if quality["weighted_error"] is not None:
        rows.append(["weighted error", f"{quality['weighted_error']:.3f}", "each token counted by its weight"])
    if quality.get("sensitive_error") is not None:
        about = "weighted, each direction counted by how much the output moves"
        rows.append(["as output notices", f"{quality['sensitive_error']:.3f}", about])
    rows.append(["mean cosine", f"{quality['mean_cosine']:.3f}", "between a token's vector and its reconstruction"])
    asked = f"of the {NEIGHBOURS} nearest, asked of {count_text(quality['neighbours_sample'])} tokens"
    rows.append(["neighbours kept", percent_text(quality["neighbours_kept"]), asked])
    if bands := quality.get("kept_by_frequency"):
        told = ", ".join(f"{percent_text(share)} of {ranks}" for ranks, share in bands.items())
        rows.append(["by frequency", "", f"the same by the tokens' rank: {told}"])
    if quality["distinct_tuples"] is not None:
        colliding = f"{count_text(quality['colliding_tokens'])} tokens share theirs with another"
        rows.append(["distinct tuples", count_text(quality["distinct_tuples"]), colliding])
    if run.task is not None:
        about = f"Spearman x 100 on {count_text(run.task.pairs)} demonstration pairs ({', '.join(run.task.languages)})"
        rows.append(
            [
                "sentence similarity",
                score_text(run.task.compressed),
                f"the original has {score_text(run.task.original)}; {about}",
            ]
        )
    elif run.no_task:
        rows.append(["sentence similarity", "", one_line(run.no_task)])
    seconds = f"compressed in {seconds_text(run.seconds['compress'])}, measured in {seconds_text(run.seconds['measure'])}"
    return "QUALITY\n" + columns_text(rows, right=(1,)) + f"\n\n{seconds}"


def presets_text(presets) -> str:
    """Presets with their settings and sizes, a line each, and below it what they are for."""
    rows = [["PRESET", "STORES", "OF TABLE", "SETTINGS"]]
    for preset, settings, size in presets:
        rows.append([preset.key, size_text(size.total_bytes), percent_text(size.total_share), settings_text(settings)])
    lines = "\n".join(f"{preset.key}: {preset.line}" for preset, _, _ in presets)
    return columns_text(rows, right=(1, 2)) + "\n\n" + lines


def inspection_text(facts: dict[str, Any], tokens: Sequence[dict[str, Any]], most: int | None = None) -> str:
    """What :class:`subemb.analysis.inspection.Inspector` found, as text. most: codes of a token that are listed; None for all."""
    head = f"{one_line(str(facts['model']))}: {facts['settings']}"
    if facts["note"]:
        head += f"\n{one_line(facts['note'])}"
    return "\n\n".join([head, *(_token(token, most) for token in tokens)])


def _token(token: dict[str, Any], most: int | None = None) -> str:
    lines = [f"{_name(token)}  {token['kind'] or ''}".rstrip()]
    if token["error"] is not None:
        lines.append(f"  relative error {token['error']:.3f}, cosine {token['cosine']:.3f}")
    if token["tier"] is not None:
        tier = token["tier"]
        lines.append(f"  tier {tier['number']} of {tier['of']}: {count_text(tier['tokens'])} tokens, {tier['kept']}")
    if token["row_of"] is not None:
        lines.append(f"  has the row of {_name(token['row_of'])}, the token most like it that keeps one")
    if token["codes"] is None:
        return "\n".join(lines)
    rows = []
    for i, (code, sharing) in enumerate(zip(token["codes"], token["sharing"], strict=True)):
        listed = ", ".join(_name(other) for other in sharing["tokens"])
        rows.append([f"  subspace {i}", f"code {code}", f"{count_text(sharing['count'])} more tokens", listed])
    few = rows if most is None or len(rows) <= most + 1 else rows[:most]
    lines.append(columns_text(few, right=(2,)))
    if len(few) < len(rows):
        lines.append(f"  ... and {len(rows) - len(few)} more of {len(rows)} subspaces: --all lists them")
    if token["same_tuple"]["count"]:
        names = ", ".join(_name(other) for other in token["same_tuple"]["tokens"])
        lines.append(f"  same tuple (identical after compression): {count_text(token['same_tuple']['count'])}: {names}")
    nearest = ", ".join(f"{_name(other)} {other['shared']}/{len(token['codes'])}" for other in token["nearest"])
    lines.append(f"  nearest by tuple: {nearest or 'no token shares a code'}")
    return "\n".join(lines)


def _name(token: dict[str, Any]) -> str:
    return f"#{token['id']}" if token["token"] is None else f"{token['token']} #{token['id']}"


# What the reports of all evaluations share


def heading_text(report: dict[str, Any]) -> str:
    """The model, and what its table was replaced by."""
    model, compression = report["model"], report["compression"]
    revision = f" ({one_line(model['revision'])})" if model["revision"] else ""
    name = f"{one_line(model['name'])}{revision}{_notes(model)}"
    if compression is None:
        return f"{name}\nthe original alone; give --method, or a folder that `subemb compress -o DIR` wrote, to compare"
    settings = settings_text(CompressionSettings.from_dict(compression["settings"]))
    total, original = compression["total_bytes"], compression["original_bytes"]
    changed = compression["changed_bytes"] and f"; {size_text(compression['changed_bytes'])} of the network's weights changed"
    return f"{name}\n{settings}: {size_text(total)}, {percent_text(total / original)} of the table's {size_text(original)}{changed or ''}"


def scores_table(
    titles: Sequence[str],
    rows: Sequence[tuple[Sequence[str], Mapping[str, float | None], Mapping[str, dict[str, Any]]]],
    numbers: Sequence[int] = (),
) -> str:
    """One line a row: its labels, the value of every side, and the difference of every side from the first.

    rows: labels, side -> value in natural units or None, side -> Interval as a dict. numbers: places of the labels that are flush right.
    """
    sides = list(rows[0][1])
    others = sides[1:]
    named = len(others) > 1
    head = [*titles, *(side.upper() for side in sides)]
    for side in others:
        head += [f"{side.upper()} DIFFERENCE" if named else "DIFFERENCE", "95 % INTERVAL"]
    lines = [head]
    for labels, values, differences in rows:
        line = [*map(one_line, labels), *(score_text(values[side], minus="-") for side in sides)]
        for side in others:
            interval = Interval.from_dict(differences[side])
            line += [
                score_change(values[sides[0]], values[side], minus="-", known=interval.difference),
                "undefined" if math.isnan(interval.low) else range_text(interval),
            ]
        lines.append(line)
    right = [*numbers, *range(len(titles), len(head))]
    return columns_text(lines, right=right)


def range_text(interval: Interval) -> str:
    """The ends of an interval.

    >>> range_text(Interval(0.01, -0.004, 0.02))
    '-0.4 to +2.0'
    """
    return f"{score_text(interval.low, signed=True, minus='-')} to {score_text(interval.high, signed=True, minus='-')}"


def data_text(data: dict[str, Any]) -> str:
    """What was read of one set, what was left out and why, and how it was understood."""
    read, used = data["pairs_read"], data["pairs"]
    lines = [f"{one_line(data['name'])}: {one_line(data['format'])}, {count_text(read)} pairs read"]
    if used < read:
        # Of a list of words all are taken; those that are unknown are told of by themselves.
        why = "" if "unknown_words" in data else " (--limit)"
        lines[0] += f", {count_text(used)} of them used{why}"
    lines[0] += f"; {skipped_line(data)}"
    if data.get("is_demonstration"):
        lines.append(f"This is {DEMONSTRATION}.")
    if columns := data.get("columns"):
        lines.append(f"Columns read: {', '.join(map(one_line, Columns(**columns).names))}.")
    lines += [one_line(Note(note["about"], note["text"]).sentence()) for note in data.get("notes", ())]
    return "\n".join(lines)


def skipped_line(data: dict[str, Any]) -> str:
    """Rows that were left out, with reasons and line numbers."""
    if not data["rows_skipped"]:
        return "no rows skipped"
    reasons = [Skipped(entry["reason"], entry["count"], tuple(entry["lines"])) for entry in data["skipped"]]
    rows = "row" if data["rows_skipped"] == 1 else "rows"
    return f"{count_text(data['rows_skipped'])} {rows} skipped: {one_line(skipped_text(reasons))}"


def intervals_lines(report: dict[str, Any]) -> list[str]:
    """How intervals were made, where there are any."""
    if len(report["sides"]) < 2:
        return []
    resamples = count_text(report["resamples"])
    return [f"Intervals of the difference: paired bootstrap over pairs, {resamples} resamples, seed {report['seed']}."]


def sentence_text(text: str, indent: str = "    ") -> str:
    """A stranger's sentence on one line, cut if it is very long."""
    shown = one_line(text)
    return indent + (shown if len(shown) <= LONGEST_LINE else f"{shown[:LONGEST_LINE]}…")
