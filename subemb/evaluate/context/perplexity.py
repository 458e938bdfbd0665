"""Pseudo-perplexity of a text: how well a masked language model guesses every token from all the others, side by side.

After Salazar, Liang, Nguyen and Kirchhoff, "Masked Language Model Scoring", ACL 2020: exp of minus the mean of
log p(w_t | all tokens of its sentence but w_t) over the tokens of a text, each masked alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

from ...base.errors import InputError
from ...base.plain import is_whole
from ...base.progress import ProgressCallback, part_of, report
from ..report import Scored, SideScores
from ..statistics import Interval, check_resamples
from .network import ContextSides

LONGEST_TEXT = 200_000  # characters
MOST_SENTENCES = 2_000
DEFAULT_TOKENS = 500  # tokens that are masked; of a longer text this many are sampled
MOST_TOKENS = 20_000
FEWEST_SENTENCES = 5  # that an interval needs
RESAMPLES = 2_000
_TOKENS_AT_ONCE = 4_096  # tokens read in one batch
_NUMBERS_AT_ONCE = 8_000_000  # float64 answers of one batch
_SENTENCE_END = re.compile(r"(?<=[.!?…؟।])\s+|(?<=[.!?…؟।][\"'”’»)\]])\s+|(?<=[。\uff01\uff1f])(?![”’」』)])|\n+")


MEAN, PERPLEXITY = "mean_log_probability", "pseudo_perplexity"  # what is measured of a side


@dataclass(frozen=True)
class SentenceScore:
    """One sentence."""

    text: str
    tokens: int  # as read, without special ones
    masked: int  # how many of these tokens were masked
    sums: tuple[float, ...]  # sum of the masked tokens' log probabilities in nats, for each side

    def mean(self, side: int) -> float:
        """Mean log probability in nats; NaN if no token of the sentence was masked."""
        return self.sums[side] / self.masked if self.masked else float("nan")


@dataclass(frozen=True, kw_only=True, repr=False)
class PseudoPerplexity(Scored):
    """The sides on a text: MEAN and PERPLEXITY. Differences are of MEAN, by a 95 % paired bootstrap over sentences."""

    sentences: tuple[SentenceScore, ...]  # all that were read, in order
    tokens: int  # of the text, without special ones
    masked: int  # tokens that were scored; if fewer than ``tokens``, drawn at random, the same for every side
    seed: int  # of the draw and of the bootstrap
    cut: int  # tokens beyond what the model reads at once, left out
    sentences_left_out: int  # beyond MOST_SENTENCES
    unknown: int  # scored tokens that are the tokenizer's unknown token

    def mean(self, side: str) -> float:
        """Mean log probability of a token in nats."""
        return self.scores[side].values[MEAN]

    def perplexity(self, side: str) -> float:
        """exp(-mean): 1 is a perfect guess, V is a guess at random."""
        return self.scores[side].values[PERPLEXITY]

    def interval(self, side: str) -> Interval | None:
        """Of the difference in mean to the first side; None for that side, or with fewer than FEWEST_SENTENCES sentences."""
        return self.scores[side].differences.get(MEAN)


def split_sentences(text: str) -> list[str]:
    """A text as sentences: at line ends, after . ! ? … (and a closing mark) and a blank, and after 。！？.

    >>> split_sentences("One. Two?\\nThree 3.5 kg")
    ['One.', 'Two?', 'Three 3.5 kg']
    """
    return [part for part in (piece.strip() for piece in _SENTENCE_END.split(text)) if part]


@dataclass(frozen=True)
class Plan:
    """What would be scored."""

    texts: tuple[str, ...]  # the sentences
    rows: tuple[tuple[int, ...], ...]  # ids of every sentence, cut to what the model reads
    places: tuple[tuple[int, ...], ...]  # of tokens that can be masked, in each row
    cut: int  # tokens beyond what the model reads
    left_out: int  # sentences beyond MOST_SENTENCES

    @property
    def tokens(self) -> int:
        return sum(map(len, self.places))

    @property
    def mean_length(self) -> float:
        """Length of a token's row, averaged over all tokens that can be masked."""
        weighted = sum(len(row) * len(places) for row, places in zip(self.rows, self.places, strict=True))
        return weighted / max(1, self.tokens)


def plan(tokenizer, text: str, longest: int) -> Plan:
    """What of a text would be scored. Raises InputError for an empty text or one over LONGEST_TEXT characters."""
    if not isinstance(text, str) or not text.strip():
        raise InputError("there is no text; paste some sentences")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"the text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read: paste a part of it")
    sentences = split_sentences(text)
    texts = sentences[:MOST_SENTENCES]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    rows, places, cut = [], [], 0
    for ids in tokenizer(texts, truncation=False, verbose=False)["input_ids"]:
        row = _cut_row(list(ids), longest, special)
        cut += len(ids) - len(row)
        rows.append(tuple(row))
        places.append(tuple(place for place, token in enumerate(row) if token not in special))
    return Plan(tuple(texts), tuple(rows), tuple(places), cut, len(sentences) - len(texts))


def _cut_row(ids: list[int], longest: int, special: set[int]) -> list[int]:
    """The first ``longest`` tokens of a row; a special token at the end of the row is kept."""
    if len(ids) <= longest:
        return ids
    return [*ids[: longest - 1], ids[-1]] if ids[-1] in special else ids[:longest]


def pseudo_perplexity(
    sides: Mapping[str, Any] | ContextSides,
    text: str,
    input: bool = True,
    output: bool = True,
    most_tokens: int = DEFAULT_TOKENS,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> PseudoPerplexity:
    """Score a text with every side, each sentence by itself.

    most_tokens: if the text has more, this many of them are drawn at random (``seed``), the same for every side.
    Raises InputError for a bad text or setting, or a text without a token; Cancelled.
    """
    if not is_whole(most_tokens, 1, MOST_TOKENS):
        raise InputError(f"{most_tokens!r} tokens cannot be masked; give a whole number from 1 to {MOST_TOKENS:,}")
    report(progress, "reading the model", 0.0)
    sides = sides if isinstance(sides, ContextSides) else ContextSides(sides, input, output)
    longest = sides.longest  # its trial takes the lock too, and others hold the trial's when they take it
    with sides.model.tokenizer_lock:
        what = plan(sides.tokenizer, text, longest)
    if not what.tokens:
        raise InputError("the tokenizer makes no token of this text; paste another")
    chosen = _sampled(what, most_tokens, seed)
    scores = np.zeros((len(sides), len(chosen)))
    for side, name in enumerate(sides.names):
        part = part_of(progress, side / len(sides), (side + 1) / len(sides))
        scores[side] = _scores(sides, side, what, chosen, part, f"guessing every token: {name}")
    return _collected(sides, what, chosen, scores, seed)


def _sampled(what: Plan, most: int, seed: int) -> list[tuple[int, int]]:
    """(sentence, place) of the tokens to mask, in order."""
    everything = [(sentence, place) for sentence, places in enumerate(what.places) for place in places]
    if len(everything) <= most:
        return everything
    drawn = np.random.default_rng(seed).choice(len(everything), most, replace=False)
    return [everything[number] for number in np.sort(drawn)]


def _scores(sides: ContextSides, side: int, what: Plan, chosen: Sequence[tuple[int, int]], progress, stage: str) -> np.ndarray:
    """log p of every chosen token, in nats."""
    mask = sides.tokenizer.mask_token_id
    vocabulary = sides.model.num_tokens
    # Longest first, so that a batch has similar lengths.
    order = sorted(range(len(chosen)), key=lambda number: -len(what.rows[chosen[number][0]]))
    result = np.empty(len(chosen))
    start = 0
    while start < len(order):
        report(progress, stage, start / len(order))
        longest = len(what.rows[chosen[order[start]][0]])
        size = max(1, min(_TOKENS_AT_ONCE // longest, _NUMBERS_AT_ONCE // vocabulary))
        batch = order[start : start + size]
        rows, positions, targets = [], [], []
        for sentence, place in (chosen[number] for number in batch):
            row = list(what.rows[sentence])
            targets.append(row[place])
            row[place] = mask
            rows.append(row)
            positions.append([place])
        answers = sides.logits(side, rows, positions)[:, 0]
        result[batch] = (answers[range(len(batch)), targets] - answers.logsumexp(-1)).numpy()
        start += size
    report(progress, stage, 1.0)
    return result


def _collected(sides: ContextSides, what: Plan, chosen, found: np.ndarray, seed: int) -> PseudoPerplexity:
    sentence_of = np.array([sentence for sentence, _ in chosen])
    count = len(what.texts)
    masked = np.bincount(sentence_of, minlength=count)
    sums = np.stack([np.bincount(sentence_of, weights=side, minlength=count) for side in found])
    unknown = sum(what.rows[sentence][place] == sides.tokenizer.unk_token_id for sentence, place in chosen)
    sentences = tuple(
        SentenceScore(what.texts[i], len(what.places[i]), int(masked[i]), tuple(map(float, sums[:, i]))) for i in range(count)
    )
    scores = {}
    for name, side in zip(sides.names, sums, strict=True):
        mean = float(side.sum()) / len(chosen)
        interval = bootstrap_of_means(masked, sums[0], side, seed) if scores else None
        differences = {} if interval is None else {MEAN: interval}
        scores[name] = SideScores({MEAN: mean, PERPLEXITY: exp(min(700.0, -mean))}, {}, differences)
    return PseudoPerplexity(
        sides=sides.names,
        scores=scores,
        sentences=sentences,
        tokens=what.tokens,
        masked=len(chosen),
        seed=seed,
        cut=what.cut,
        sentences_left_out=what.left_out,
        unknown=int(unknown),
    )


def bootstrap_of_means(
    counts: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """95 % paired bootstrap interval (percentile) of the difference in mean log probability of a token, after - before.

    counts, before, after: (n,) tokens and sums of each sentence. Sentences are drawn with replacement, the same
    for both sides; the mean of a draw gives every token the same weight. None with fewer than FEWEST_SENTENCES sentences that
    have a token. Raises InputError for resamples that are no positive number.
    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    check_resamples(resamples)
    used = counts > 0
    counts, differences = counts[used], (after - before)[used]
    if len(counts) < FEWEST_SENTENCES:
        return None
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    for number in range(resamples):
        drawn = generator.integers(0, len(counts), len(counts))
        means[number] = differences[drawn].sum() / counts[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(differences.sum() / counts.sum()), float(low), float(high), 0.95, resamples, seed)


#: Multiply-adds that one core does in a second; measured with 6 layers of 384 numbers and rows of 24 tokens.
_SPEED = 2.5e10


def estimated_seconds(what: Plan, tokens: int, sides: int, parameters: int | None, vocabulary: int, dim: int) -> float:
    """Rough seconds to mask ``tokens`` tokens of a planned text on ``sides`` sides of a model."""
    body = max(0, (parameters or 0) - vocabulary * dim)
    return 0.5 + sides * min(tokens, what.tokens) * (body * what.mean_length + vocabulary * dim) / _SPEED
