"""``subemb evaluate similarity``: cosines of sentence pairs, and of words, before and after."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.progress import ProgressCallback, part_of
from .evaluate_inputs import (
    Compared,
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

if TYPE_CHECKING:
    from ..evaluate.data.pairs import WordSet
    from ..evaluate.similarity.effects import Attribution, SentenceEffects
    from ..evaluate.similarity.pairs import SimilarityReport
    from ..evaluate.similarity.sentences import PairComparison, ReadSentence
    from ..evaluate.similarity.words import WordReport


def add(tasks) -> None:
    command = tasks.add_parser(
        "similarity",
        help="sentence similarity: Spearman and Pearson, or accuracy, F1 and average precision of paraphrases",
        description="Cosines of sentence pairs on every side, and how well they agree with what people said. Without pairs or words "
        "the demonstration set is taken.",
    )
    add_sides(command)
    add_data(command, "STS benchmark, stsb-multi-mt, SICK, GLUE (STS-B, MRPC, QQP), PAWS-X")
    command.add_argument("--task", choices=("similarity", "paraphrase"), help="what a file is read for, where it can be both")
    command.add_argument(
        "--words",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="word similarity on the tables themselves: WordSim-353, SimLex-999, ...",
    )
    command.add_argument(
        "--pair",
        nargs=2,
        action="append",
        default=[],
        metavar="SENTENCE",
        help="two sentences: their cosine, and the tokens that moved it; may be repeated",
    )
    command.add_argument(
        "--moved", type=int, default=5, metavar="N", help="pairs and tokens that moved most to list (default 5)"
    )
    add_report(command)
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Read, compress if asked, evaluate, report."""
    from .text import ProgressLine, similarity_text

    check_counts(given, "moved")
    check_pairs(given, "the first sentence", "the second sentence")
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        sets, words = _read(given, seed, part_of(progress, 0.0, 0.05))
        compared = open_compared(given, part_of(progress, 0.05, 0.3))
        report = evaluate(compared, sets, words, given, seed, part_of(progress, 0.3, 1.0))
    print(json.dumps(report, indent=2, ensure_ascii=False) if given.json else similarity_text(report, given.moved))
    return 0


def _read(given: argparse.Namespace, seed: int, progress: ProgressCallback | None) -> "tuple[list[DataSet], list[WordSet]]":
    from ..evaluate.data.word_lists import read_words

    sets = read_sets(given, given.task or "similarity", seed, progress)
    words = [read_words(path) for path in given.words or []]
    if not (sets or words or given.pair):
        sets = [demo_set("similarity", given.limit, seed)]
    return sets, words


def evaluate(
    compared: Compared,
    sets: list[DataSet],
    words: "list[WordSet]",
    given: argparse.Namespace,
    seed: int,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Everything that a line asks for, JSON types; scores in natural units."""
    from ..evaluate.similarity.pairs import evaluate_pairs
    from ..evaluate.similarity.sentences import pair_on_sides
    from ..evaluate.similarity.words import evaluate_words

    total = max(1, len(sets) + len(words) + len(given.pair))
    parts = (part_of(progress, number / total, (number + 1) / total) for number in range(total))
    sides = compared.sides
    return {
        "task": "similarity",
        **compared.to_dict(),
        "pooling": compared.model.pooling,
        "resamples": given.resamples,
        "seed": seed,
        "sets": [
            _set_report(one, evaluate_pairs(sides, one.pairs, given.resamples, seed, next(parts)), given.moved) for one in sets
        ],
        "words": [_word_report(evaluate_words(sides, one, given.resamples, seed, next(parts))) for one in words],
        "pairs": [_pair_report(pair_on_sides(sides, *pair, progress=next(parts))) for pair in given.pair],
    }


def _set_report(data: DataSet, found: "SimilarityReport", moved: int) -> dict[str, Any]:
    return {
        **data.to_dict(),
        "metrics": list(found.metrics),
        "scores": {side: scores.to_dict() for side, scores in found.scores.items()},
        "by_language": {
            language: {side: scores.to_dict() for side, scores in scored.items()}
            for language, scored in found.by_language.items()
        },
        "moved_most": {side: _moved(found, side, moved) for side in found.sides[1:]},
    }


def _moved(found: "SimilarityReport", side: str, limit: int) -> list[dict[str, Any]]:
    """The pairs that moved most among all pairs, with cosine and rank on both sides."""
    shown = (found.sides[0], side)
    ranks = {name: found.ranks(name) for name in shown}
    pairs = found.pairs
    return [
        {
            "first": pairs.first[place],
            "second": pairs.second[place],
            "gold": pairs.gold[place].item(),
            "language": pairs.languages[place] if pairs.languages else None,
            "cosines": {name: float(found.cosines[name][place]) for name in shown},
            "ranks": {name: float(ranks[name][place]) for name in shown},
        }
        for place in found.moved(side, limit).tolist()
    ]


def _word_report(found: "WordReport") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "name": found.pairs.name,
        "format": found.pairs.format,
        "pairs_read": len(found.pairs),
        "pairs": len(found),
        "unknown_words": list(found.unknown),
        "rows_skipped": sum(entry.count for entry in found.pairs.skipped),
        "skipped": [asdict(entry) for entry in found.pairs.skipped],
        "scores": {side: scores.to_dict() for side, scores in found.scores.items()},
        "by_pieces": {
            kind: {side: scores.to_dict() for side, scores in scored.items()} for kind, scored in found.by_pieces.items()
        },
        "pairs_by_pieces": _counts_by_pieces(found),
    }


def _counts_by_pieces(found: "WordReport") -> dict[str, int]:
    from ..evaluate.similarity.words import ONE_PIECE, SEVERAL_PIECES

    several = int(found.has_several_pieces.sum())
    return {ONE_PIECE: len(found) - several, SEVERAL_PIECES: several}


def _pair_report(found: "PairComparison") -> dict[str, Any]:
    return {
        "first": found.sentences[0].text,
        "second": found.sentences[1].text,
        "cosines": found.cosines,
        "changes": {side: found.change(side) for side in found.sides[1:]},
        "attributions": {side: _attribution(one, found.sentences) for side, one in found.attributions.items()},
    }


def _attribution(found: "Attribution", sentences: "tuple[ReadSentence, ReadSentence]") -> dict[str, Any]:
    return {
        "tokens_exact": found.tokens_exact,
        "blocks_exact": found.blocks_exact,
        "block_kind": found.kind,
        "block_effects": [float(effect) for effect in found.per_block],
        "sentences": [_effects(effects, read) for effects, read in zip(found.sentences, sentences, strict=True)],
    }


def _effects(effects: "SentenceEffects", read: "ReadSentence") -> dict[str, Any]:
    """A sentence's tokens in order; effect: of the cosine if this token alone is replaced by its reconstruction."""
    rows = zip(read.ids, read.tokens, effects.tokens, effects.moved, effects.blocks, strict=True)
    return {
        "effect": effects.whole,
        "is_cut": read.is_cut,
        "tokens": [
            {
                "id": token_id,
                "token": token,
                "effect": float(effect),
                "relative_displacement": float(moved),
                "block_effects": [float(part) for part in blocks],
            }
            for token_id, token, effect, moved, blocks in rows
        ],
    }
