"""``subemb evaluate entailment``: does the hypothesis follow from the premise, before and after?"""

import argparse
from typing import TYPE_CHECKING, Any

from ..base.plain import to_plain
from ..base.progress import ProgressCallback, part_of
from ..base.text import columns_text, count_text, one_line, p_text, score_text
from ..evaluate.entailment.engines import engine_for
from ..evaluate.entailment.head_files import load_head
from ..evaluate.entailment.pairs import EntailmentReport, JudgedScores, PairJudgement, evaluate_entailment, judge_pair
from ..models.model import PretrainedModel
from .evaluate_inputs import (
    ComparedSides,
    DataSet,
    add_data,
    add_report,
    add_sides,
    check_counts,
    check_pairs,
    demo_set,
    open_compared,
    read_sets,
    seed_of,
)
from .terminal import print_json
from .text import ProgressLine, data_text, heading_text, intervals_lines, scores_table, sentence_text

if TYPE_CHECKING:
    from ..evaluate.entailment.head import EntailmentHead


def add(tasks) -> None:
    command = tasks.add_parser(
        "entailment",
        help="textual entailment: accuracy, McNemar's test, agreement, flipped pairs",
        description="Premises and hypotheses judged by the model's own NLI classifier, or by an entailment head on its sentence "
        "embeddings. Without pairs the demonstration set is taken.",
    )
    add_sides(command)
    add_data(command, "SNLI, MultiNLI, XNLI, SICK, RTE")
    command.add_argument(
        "--head",
        metavar="DIR_OR_NAME",
        help="an entailment head: a folder that `subemb train-head` wrote, or a name (default: the model's classifier, else its head)",
    )
    command.add_argument(
        "--pair",
        nargs=2,
        action="append",
        default=[],
        metavar=("PREMISE", "HYPOTHESIS"),
        help="judge one pair; may be repeated",
    )
    command.add_argument(
        "--flipped",
        type=int,
        default=5,
        metavar="N",
        help="pairs judged differently to list, the largest change first (default 5)",
    )
    add_report(command)
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Read, compress if asked, judge, report."""
    check_counts(given, "flipped")
    check_pairs(given, "the premise", "the hypothesis")
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        sets = read_sets(given, "entailment", seed, part_of(progress, 0.0, 0.05))
        if not (sets or given.pair):
            sets = [demo_set("entailment", given, seed)]
        compared = open_compared(
            given, part_of(progress, 0.05, 0.3), check=lambda model: engine_for(model, _head(given.head, model))
        )
        report = evaluate(compared, sets, given, seed, part_of(progress, 0.3, 1.0))
    print_json(report) if given.json else print(entailment_text(report))
    return 0


def _head(place: str | None, model: PretrainedModel) -> "EntailmentHead | None":
    """The head that a line names. Raises InputError if it is not there, damaged, or made for another model."""
    if place is None:
        return None

    return load_head(place, model)


# The report, JSON types


def evaluate(
    compared: ComparedSides, sets: list[DataSet], given: argparse.Namespace, seed: int, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Everything that a line asks for, JSON types; shares and probabilities in 0..1."""
    head, sides = _head(given.head, compared.model), compared.sides
    engine = engine_for(compared.model, head)
    total = max(1, len(sets) + len(given.pair))
    parts = (part_of(progress, number / total, (number + 1) / total) for number in range(total))
    return {
        "task": "entailment",
        **compared.to_dict(),
        "engine": engine.name,
        "description": engine.description,
        "resamples": given.resamples,
        "seed": seed,
        "sets": [
            _set_report(
                one,
                evaluate_entailment(sides, one.pairs, head, given.resamples, seed, next(parts)),
                given.flipped,
            )
            for one in sets
        ],
        "pairs": [_pair_report(*pair, judge_pair(sides, *pair, head, next(parts))) for pair in given.pair],
    }


def _set_report(data: DataSet, found: EntailmentReport, flipped: int) -> dict[str, Any]:
    flips = {side: found.flips(side) for side in found.sides[1:]}
    return {
        **data.to_dict(found.remarks),
        "labels": list(found.labels),
        "engine_labels": list(found.engine_labels),
        "scores": {side: _score(score) for side, score in found.scores.items()},
        "by_language": {
            language: {side: _score(score) for side, score in scores.items()} for language, scores in found.by_language.items()
        },
        "flipped_count": {side: len(some) for side, some in flips.items()},
        "flipped": {side: [_flip(data, found, flip) for flip in some[:flipped]] for side, some in flips.items()},
    }


def _score(score: JudgedScores) -> dict[str, Any]:
    """One side on some pairs, JSON types."""
    names = ("accuracy", "confusion", "difference", "mcnemar", "agreement", "kappa")
    return to_plain({name: getattr(score, name) for name in names})


def _flip(data: DataSet, found: EntailmentReport, flip) -> dict[str, Any]:
    pairs = data.pairs
    return {
        "premise": pairs.first[flip.place],
        "hypothesis": pairs.second[flip.place],
        "language": pairs.languages[flip.place] if pairs.languages else None,
        "gold": found.labels[flip.gold],
        "before": found.labels[flip.before],
        "after": found.labels[flip.after],
        "kind": flip.kind,
        "probabilities_before": list(flip.probabilities_before),
        "probabilities_after": list(flip.probabilities_after),
    }


def _pair_report(premise: str, hypothesis: str, found: PairJudgement) -> dict[str, Any]:
    probabilities = {side: list(values) for side, values in found.probabilities.items()}
    return {"premise": premise, "hypothesis": hypothesis, "labels": list(found.labels), "probabilities": probabilities}


# The report as text


def entailment_text(report: dict[str, Any]) -> str:
    """The report of ``subemb evaluate entailment``."""
    parts = [heading_text(report), f"Judged by: {one_line(report['engine'])}.\n{one_line(report['description'])}"]
    if report["sets"]:
        parts.append(_sets_text(report))
        parts += [
            text for data in report["sets"] for text in (_against_text(data), _confusions_text(data), _flips_text(data)) if text
        ]
    parts += [_pair_text(pair) for pair in report["pairs"]]
    return "\n\n".join(parts)


def _sets_text(report: dict[str, Any]) -> str:
    rows, sets = [], report["sets"]
    has_languages = any(data["by_language"] for data in sets)
    for data in sets:
        for place, (language, scores) in enumerate(_groups(data).items()):
            count = data["languages"][language] if place else data["pairs"]
            labels = ["" if place else data["name"], *([language] if has_languages else []), count_text(count)]
            values = {side: score["accuracy"] for side, score in scores.items()}
            rows.append((labels, values, {side: score["difference"] for side, score in scores.items() if score["difference"]}))
    titles = ["SET", *(["LANGUAGE"] if has_languages else []), "PAIRS"]
    notes = [data_text(data) for data in sets]
    return "\n".join(
        ["ACCURACY (x 100)", scores_table(titles, rows, numbers=[len(titles) - 1]), "", *intervals_lines(report), *notes]
    )


def _groups(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All pairs, and those of each language."""
    return {"all": data["scores"], **data["by_language"]}


def _against_text(data: dict[str, Any]) -> str:
    """McNemar's test and agreement of every side with the first, per language where there are several."""
    reference, *others = data["scores"]
    if not others:
        return ""
    rows = [["SIDE", "PAIRS", f"ONLY {reference.upper()} RIGHT", "ONLY THIS SIDE RIGHT", "McNEMAR p", "AGREEMENT", "KAPPA"]]
    for group, scores in _groups(data).items():
        for side in others:
            score, test = scores[side], scores[side]["mcnemar"]
            counts = [count_text(test["only_first_right"]), count_text(test["only_second_right"])]
            kappa = "undefined" if score["kappa"] is None else f"{score['kappa']:.2f}"
            rows.append(
                [
                    one_line(side),
                    one_line(group),
                    *counts,
                    p_text(test["p_value"]),
                    score_text(score["agreement"], minus="-"),
                    kappa,
                ]
            )
    return f"AGAINST {reference.upper()}, {one_line(data['name'])}\n{columns_text(rows, right=(2, 3, 4, 5, 6))}"


def _confusions_text(data: dict[str, Any]) -> str:
    """Rows are labels, columns what was judged."""
    sides = list(data["scores"])
    rows = [
        [
            "LABEL",
            *(
                f"{side.upper()}: {label}" if not number else label
                for side in sides
                for number, label in enumerate(data["labels"])
            ),
        ]
    ]
    for place, label in enumerate(data["labels"]):
        rows.append([label, *(count_text(count) for side in sides for count in data["scores"][side]["confusion"][place])])
    table = columns_text(rows, right=range(1, len(rows[0])))
    return f"JUDGED AS, {one_line(data['name'])} (a row for each label, a column for each judgement)\n{table}"


def _flips_text(data: dict[str, Any]) -> str:
    parts = []
    for side, flips in data["flipped"].items():
        count = data["flipped_count"][side]
        head = f"FLIPPED PAIRS, {one_line(data['name'])}, {side}: {count_text(len(flips))} of {count_text(count)} listed"
        lines = [head]
        if flips:
            lines.append(f"probabilities of {', '.join(data['engine_labels'])}")
        for flip in flips:
            language = f" [{one_line(flip['language'])}]" if flip["language"] else ""
            before, after = (_shares(flip[name]) for name in ("probabilities_before", "probabilities_after"))
            lines.append(
                f"{flip['before']} ({before}) -> {flip['after']} ({after}); label {flip['gold']}, {flip['kind']}{language}"
            )
            lines += [sentence_text(flip["premise"]), sentence_text(flip["hypothesis"])]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shares(probabilities: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in probabilities)


def _pair_text(pair: dict[str, Any]) -> str:
    rows = [["", *(label.upper() for label in pair["labels"])]]
    rows += [[side, *(f"{value * 100:.1f} %" for value in values)] for side, values in pair["probabilities"].items()]
    lines = ["PAIR", sentence_text(pair["premise"]), sentence_text(pair["hypothesis"])]
    return "\n".join([*lines, columns_text(rows, right=range(1, len(rows[0])))])
