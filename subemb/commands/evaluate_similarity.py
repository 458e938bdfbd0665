"""``subemb evaluate similarity``: cosines of sentence pairs, and of words, before and after."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..base.progress import ProgressCallback, part_of
from ..base.text import change_text, columns_text, count_text, number_text, one_line, shown_change
from ..evaluate.data.pairs import WordSet
from ..evaluate.data.word_lists import read_words
from ..evaluate.report import METRIC_NAMES
from ..evaluate.similarity.effects import Attribution, SentenceEffects
from ..evaluate.similarity.pairs import SimilarityReport, evaluate_pairs
from ..evaluate.similarity.sentences import PairComparison, ReadSentence, pair_on_sides
from ..evaluate.similarity.words import ONE_PIECE, SEVERAL_PIECES, WordReport, evaluate_words
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
from .terminal import path_argument, print_json
from .text import ProgressLine, data_text, heading_text, intervals_lines, scores_table, sentence_text

BLOCKS = 8  # of a pair, listed


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
        type=path_argument,
        nargs="+",
        metavar="FILE",
        help="word similarity on the tables themselves: WordSim-353, SimLex-999, ...",
    )
    command.add_argument(
        "--words-as-written", action="store_true", help="leave marks of parts of speech at the words of a list: moon-n, run_V"
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
    check_counts(given, "moved")
    check_pairs(given, "the first sentence", "the second sentence")
    seed = seed_of(given)
    with ProgressLine(enabled=not given.quiet) as progress:
        sets, words = _read(given, seed, part_of(progress, 0.0, 0.05))
        compared = open_compared(given, part_of(progress, 0.05, 0.3))
        report = evaluate(compared, sets, words, given, seed, part_of(progress, 0.3, 1.0))
    print_json(report) if given.json else print(similarity_text(report, given.moved))
    return 0


def _read(given: argparse.Namespace, seed: int, progress: ProgressCallback | None) -> tuple[list[DataSet], list[WordSet]]:
    sets = read_sets(given, given.task or "similarity", seed, progress)
    words = [read_words(path, as_written=given.words_as_written) for path in given.words or []]
    if not (sets or words or given.pair):
        sets = [demo_set("similarity", given, seed)]
    return sets, words


# The report, JSON types


def evaluate(
    compared: ComparedSides,
    sets: list[DataSet],
    words: list[WordSet],
    given: argparse.Namespace,
    seed: int,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Everything that a line asks for, JSON types; scores in natural units."""
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


def _set_report(data: DataSet, found: SimilarityReport, moved: int) -> dict[str, Any]:
    return {
        **data.to_dict(found.remarks),
        "metrics": list(found.metrics),
        "scores": {side: scores.to_dict() for side, scores in found.scores.items()},
        "by_language": {
            language: {side: scores.to_dict() for side, scores in scored.items()}
            for language, scored in found.by_language.items()
        },
        "moved_most": {side: _moved(found, side, moved) for side in found.sides[1:]},
    }


def _moved(found: SimilarityReport, side: str, limit: int) -> list[dict[str, Any]]:
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


def _word_report(found: WordReport) -> dict[str, Any]:
    return {
        "name": found.pairs.name,
        "format": found.pairs.format,
        "pairs_read": len(found.pairs),
        "pairs": len(found),
        "unknown_words": list(found.unknown),
        "rows_skipped": sum(entry.count for entry in found.pairs.skipped),
        "skipped": [asdict(entry) for entry in found.pairs.skipped],
        "columns": None if found.pairs.columns is None else asdict(found.pairs.columns),
        "notes": [note.to_dict() for note in (*found.pairs.notes, *found.remarks)],
        "scores": {side: scores.to_dict() for side, scores in found.scores.items()},
        "by_pieces": {
            kind: {side: scores.to_dict() for side, scores in scored.items()} for kind, scored in found.by_pieces.items()
        },
        "pairs_by_pieces": _counts_by_pieces(found),
    }


def _counts_by_pieces(found: WordReport) -> dict[str, int]:
    several = int(found.has_several_pieces.sum())
    return {ONE_PIECE: len(found) - several, SEVERAL_PIECES: several}


def _pair_report(found: PairComparison) -> dict[str, Any]:
    return {
        "first": found.sentences[0].text,
        "second": found.sentences[1].text,
        "cosines": found.cosines,
        "changes": {side: found.change(side) for side in found.sides[1:]},
        "unrelated": found.unrelated,
        "attributions": {side: _attribution(one, found.sentences) for side, one in found.attributions.items()},
    }


def _attribution(found: Attribution, sentences: tuple[ReadSentence, ReadSentence]) -> dict[str, Any]:
    return {
        "tokens_exact": found.tokens_exact,
        "blocks_exact": found.blocks_exact,
        "shared_effect": found.shared,
        "decides": found.decides,
        "block_kind": found.kind,
        "block_effects": [float(effect) for effect in found.per_block],
        "sentences": [_effects(effects, read) for effects, read in zip(found.sentences, sentences, strict=True)],
    }


def _effects(effects: SentenceEffects, read: ReadSentence) -> dict[str, Any]:
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


# The report as text


def similarity_text(report: dict[str, Any], tokens: int = 5) -> str:
    """The report of ``subemb evaluate similarity``. tokens: of a pair, to be listed at most."""
    parts = [heading_text(report), f"Sentence vectors: {one_line(report['pooling'])}."]
    if report["sets"]:
        parts.append(_sets_text(report))
        parts += [text for data in report["sets"] if (text := _moved_text(data))]
    if report["words"]:
        parts.append(_words_text(report))
    parts += [_pair_text(pair, tokens) for pair in report["pairs"]]
    return "\n\n".join(parts)


def _sets_text(report: dict[str, Any]) -> str:
    rows = []
    has_languages = any(data["by_language"] for data in report["sets"])
    for data in report["sets"]:
        groups = {"all": (count_text(data["pairs"]), data["scores"])}
        groups |= {code: (count_text(data["languages"][code]), scores) for code, scores in data["by_language"].items()}
        for place, (language, (count, scores)) in enumerate(groups.items()):
            for step, metric in enumerate(data["metrics"]):
                name = data["name"] if place == step == 0 else ""
                labels = [name, *([language if step == 0 else ""] if has_languages else []), "" if step else count]
                rows.append(metric_row([*labels, METRIC_NAMES[metric]], scores, metric))
    titles = ["SET", *(["LANGUAGE"] if has_languages else []), "PAIRS", "METRIC"]
    table = scores_table(titles, rows, numbers=[len(titles) - 2])
    notes = [data_text(data) for data in report["sets"]]
    thresholds = [text for data in report["sets"] if (text := _thresholds_text(data))]
    return "\n".join(["SENTENCE PAIRS (x 100)", table, "", *intervals_lines(report), *notes, *thresholds])


def metric_row(labels: Sequence[str], scores: Mapping[str, dict[str, Any]], metric: str):
    """A row of :func:`scores_table` from SideScores as dicts."""
    values = {side: found["values"][metric] for side, found in scores.items()}
    differences = {side: found["differences"][metric] for side, found in scores.items() if metric in found["differences"]}
    return labels, values, differences


def _thresholds_text(data: dict[str, Any]) -> str:
    """At which cosine pairs are called paraphrases; each side has its own."""
    found = []
    for metric in data["metrics"]:
        values = {side: scores["thresholds"].get(metric) for side, scores in data["scores"].items()}
        if all(value is not None for value in values.values()):
            shown = ", ".join(f"{side} {value:.3f}" for side, value in values.items())
            found.append(f"{METRIC_NAMES[metric]} at the cosine that is best on these pairs: {shown}.")
    return "\n".join(found)


def _moved_text(data: dict[str, Any]) -> str:
    parts = []
    for side, moved in data["moved_most"].items():
        if not moved:
            continue
        reference = next(name for name in moved[0]["cosines"] if name != side)
        lines = [
            f"PAIRS THAT MOVED MOST, {one_line(data['name'])} (rank among {count_text(data['pairs'])}, 1 is the most similar)"
        ]
        rows = [["GOLD", reference.upper(), side.upper(), "CHANGE", "RANK", ""]]
        for pair in moved:
            before, after = pair["cosines"][reference], pair["cosines"][side]
            ranks = f"{pair['ranks'][reference]:,g} -> {pair['ranks'][side]:,g}"
            language = one_line(pair["language"] or "")
            rows.append(
                [
                    f"{pair['gold']:g}",
                    f"{before:.3f}",
                    f"{after:.3f}",
                    change_text(before, after, 3, minus="-"),
                    ranks,
                    language,
                ]
            )
        table = columns_text(rows, right=(0, 1, 2, 3, 4)).splitlines()
        lines.append(table[0])
        for line, pair in zip(table[1:], moved, strict=True):
            lines += [line, sentence_text(pair["first"]), sentence_text(pair["second"])]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _words_text(report: dict[str, Any]) -> str:
    rows, notes = [], []
    for found in report["words"]:
        groups = {"all pairs": (found["pairs"], found["scores"])}
        groups |= {kind: (found["pairs_by_pieces"][kind], scores) for kind, scores in found["by_pieces"].items()}
        for place, (kind, (count, scores)) in enumerate(groups.items()):
            labels = ["" if place else found["name"], kind, count_text(count), METRIC_NAMES["spearman"]]
            rows.append(metric_row(labels, scores, "spearman"))
        notes.append(data_text(found))
        if found["unknown_words"]:
            shown = ", ".join(one_line(word) for word in found["unknown_words"][:10])
            count = len(found["unknown_words"])
            left = count_text(found["pairs_read"] - found["pairs"])
            notes.append(
                f"{left} pairs left out: {count_text(count)} words unknown to the tokenizer: {shown}{', …' if count > 10 else ''}"
            )
    table = scores_table(["LIST", "WORDS", "PAIRS", "METRIC"], rows, numbers=[2])
    about = "Of the token tables themselves, without the network; a word of several pieces is the mean of their vectors."
    return "\n".join(["WORD PAIRS (x 100)", table, "", *intervals_lines(report), about, *notes])


def _pair_text(pair: dict[str, Any], tokens: int) -> str:
    lines = ["PAIR", sentence_text(pair["first"]), sentence_text(pair["second"])]
    rows = [["", "COSINE", "CHANGE"]]
    first = next(iter(pair["cosines"].values()))
    for side, value in pair["cosines"].items():
        rows.append([side, f"{value:.4f}", change_text(first, value, 4, minus="-") if side in pair["changes"] else ""])
    lines.append(columns_text(rows, right=(1, 2)))
    for side, found in pair["attributions"].items():
        change = shown_change(first, pair["cosines"][side], 4)
        lines.append(_parts_text(found, side, change))
    if pair["unrelated"]:
        means = ", ".join(f"{side} {value:.2f}" for side, value in pair["unrelated"].items())
        lines.append(f"Mean cosine of unrelated sentences: {means}")
    for side, found in pair["attributions"].items():
        lines += ["", _attribution_text(found, side, tokens)]
    return "\n".join(lines)


def _parts_text(found: dict[str, Any], side: str, change: float) -> str:
    """What each sentence does alone and what both share, which add up to the change."""
    first, second = (round(sentence["effect"], 4) for sentence in found["sentences"])
    parts = (number_text(value, 4, signed=True, minus="-") for value in (first, second, change - first - second))
    return "{}: the first sentence alone {}, the second alone {}, both moving together {}".format(side, *parts)


def _attribution_text(found: dict[str, Any], side: str, limit: int) -> str:
    """The tokens that moved a cosine, those that moved it most first, and the blocks."""
    how = (
        "with this token alone replaced by its reconstruction"
        if found["tokens_exact"]
        else "its part of the change, by integrated gradients (a sentence has more tokens than are done exactly)"
    )
    rows = [["TOKEN", "SENTENCE", "EFFECT", "MOVED", "MOST BY"]]
    tokens = [(token, number) for number, sentence in enumerate(found["sentences"], 1) for token in sentence["tokens"]]
    tokens.sort(key=lambda entry: -abs(entry[0]["effect"]))
    for token, number in tokens[:limit]:
        most = max(range(len(token["block_effects"])), key=lambda block: abs(token["block_effects"][block]))
        by = f"{found['block_kind']} {most} ({token['block_effects'][most]:+.4f})"
        moved = f"{token['relative_displacement'] * 100:.0f} %"
        rows.append([one_line(token["token"]), str(number), f"{token['effect']:+.4f}", moved, by])
    shown = min(limit, len(tokens))
    lines = [
        f"TOKENS THAT MOVED IT, {side} ({shown} of {len(tokens)}; effect on the cosine {how}; moved: share of the vector's length)"
    ]
    lines.append(columns_text(rows, right=(1, 2, 3)))
    blocks = sorted(enumerate(found["block_effects"]), key=lambda block: -abs(block[1]))
    shown = ", ".join(f"{number} ({effect:+.4f})" for number, effect in blocks[:BLOCKS])
    lines.append(f"By {found['block_kind']}, all tokens together, the largest effects of {len(blocks)}: {shown}")
    if any(sentence["is_cut"] for sentence in found["sentences"]):
        lines.append("A sentence is longer than the model reads; its end was cut off.")
    return "\n".join(lines)
