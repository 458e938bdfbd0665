"""``subemb evaluate entailment``: does the hypothesis follow from the premise, before and after?"""

import argparse
import json
from typing import TYPE_CHECKING, Any

from ..base.progress import ProgressCallback, part_of
from .evaluated import DataSet, add_data, add_report, check_counts, check_pairs, demo_set, read_sets
from .evaluation_sides import Compared, add_sides, open_compared, seed_of

if TYPE_CHECKING:
    from ..evaluate.entailment.head import EntailmentHead
    from ..evaluate.entailment_report import EntailmentReport, Score
    from ..models.model import PretrainedModel


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
    from ..evaluate.entailment.pairs import engine_for
    from .entailment_text import entailment_text
    from .text import ProgressLine

    check_counts(given, "flipped")
    check_pairs(given, "the premise", "the hypothesis")
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        sets = read_sets(given, "entailment", seed, part_of(progress, 0.0, 0.05))
        if not (sets or given.pair):
            sets = [demo_set("entailment", given.limit, seed)]
        compared = open_compared(
            given, part_of(progress, 0.05, 0.3), check=lambda model: engine_for(model, _head(given.head, model))
        )
        report = evaluate(compared, sets, given, seed, part_of(progress, 0.3, 1.0))
    print(json.dumps(report, indent=2, ensure_ascii=False) if given.json else entailment_text(report))
    return 0


def _head(place: str | None, model: "PretrainedModel") -> "EntailmentHead | None":
    """The head that a line names. Raises InputError if there is none, it is damaged or another model's."""
    if place is None:
        return None
    from ..evaluate.head_files import load_head

    return load_head(place, model)


def evaluate(
    compared: Compared, sets: list[DataSet], given: argparse.Namespace, seed: int, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Everything that a line asks for, JSON types; shares and probabilities in 0..1."""
    from ..evaluate.entailment.pairs import engine_for, evaluate_entailment

    head = _head(given.head, compared.model)
    engines = {side: engine_for(model, head) for side, model in compared.sides.items()}
    engine = next(iter(engines.values()))
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
                evaluate_entailment(compared.sides, one.pairs, head, given.resamples, seed, next(parts)),
                given.flipped,
            )
            for one in sets
        ],
        "pairs": [_pair_report(engines, *pair, progress=next(parts)) for pair in given.pair],
    }


def _set_report(data: DataSet, found: "EntailmentReport", flipped: int) -> dict[str, Any]:
    flips = {side: found.flips(side) for side in found.sides[1:]}
    return {
        **data.to_dict(),
        "labels": list(found.labels),
        "engine_labels": list(found.engine_labels),
        "scores": {side: _score(score) for side, score in found.scores.items()},
        "by_language": {
            language: {side: _score(score) for side, score in scores.items()} for language, scores in found.by_language.items()
        },
        "flipped_count": {side: len(some) for side, some in flips.items()},
        "flipped": {side: [_flip(data, found, flip) for flip in some[:flipped]] for side, some in flips.items()},
    }


def _score(score: "Score") -> dict[str, Any]:
    """One side on some pairs; NaN becomes None."""
    from dataclasses import asdict

    return {
        "accuracy": _none(score.accuracy),
        "confusion": [list(row) for row in score.confusion],
        "difference": None if score.difference is None else score.difference.to_dict(),
        "mcnemar": None if score.mcnemar is None else asdict(score.mcnemar),
        "agreement": _none(score.agreement),
        "kappa": _none(score.kappa),
    }


def _none(value: float | None) -> float | None:
    return None if value is None or value != value else value


def _flip(data: DataSet, found: "EntailmentReport", flip) -> dict[str, Any]:
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


def _pair_report(engines, premise: str, hypothesis: str, progress: ProgressCallback | None = None) -> dict[str, Any]:
    found = {}
    for number, (side, engine) in enumerate(engines.items()):
        part = part_of(progress, number / len(engines), (number + 1) / len(engines))
        found[side] = engine.probabilities([premise], [hypothesis], part)[0].tolist()
    labels = next(iter(engines.values())).labels
    return {"premise": premise, "hypothesis": hypothesis, "labels": list(labels), "probabilities": found}
