"""Perplexity of a text, side by side: how well a language model guesses every token.

Of a decoder the perplexity: exp of minus the mean of log p(w_t | w_<t) over the tokens of the text, which is read as a whole, in windows
of WINDOW tokens that overlap by half where it is longer. Of a masked model the pseudo-perplexity (Salazar, Liang, Nguyen and Kirchhoff,
"Masked Language Model Scoring", ACL 2020): exp of minus the mean of log p(w_t | all tokens of its sentence but w_t), each masked alone.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np

from ...base.arguments import checked
from ...base.errors import InputError
from ...base.plain import is_whole
from ...base.progress import ProgressCallback, part_of, report
from ..report import Scored, SideScores
from ..statistics import Interval, check_resamples
from .network import CAUSAL, MASKED, ContextSides

LONGEST_TEXT = 200_000  # characters
MOST_SENTENCES = 2_000
#: Tokens that are scored unless another number is given, by kind: for a decoder a token costs little. Of a longer text a masked model
#: scores tokens drawn at random, and a decoder the first ones.
DEFAULT_TOKENS = {MASKED: 500, CAUSAL: 5_000}
MOST_TOKENS = 20_000
WINDOW = (
    512  # tokens that a decoder reads at once; from the second window on, at least half of them stand before what is scored
)
FEWEST_SENTENCES = 5  # that an interval needs
RESAMPLES = 2_000
_TOKENS_AT_ONCE = 4_096  # tokens read in one batch
_NUMBERS_AT_ONCE = 8_000_000  # float64 answers of one batch
_SENTENCE_END = re.compile(r"(?<=[.!?…؟।])\s+|(?<=[.!?…؟।][\"'”’»)\]])\s+|(?<=[。\uff01\uff1f])(?![”’」』)])|\n+")


MEAN = "mean_log_probability"  # what is measured of a side; and:
PERPLEXITY = {MASKED: "pseudo_perplexity", CAUSAL: "perplexity"}
NAMES = {MASKED: "pseudo-perplexity", CAUSAL: "perplexity"}  # for a person


@dataclass(frozen=True)
class SentenceScore:
    """One sentence."""

    text: str
    tokens: int  # as read, without special ones
    scored: int  # how many of these tokens were scored
    sums: tuple[float, ...]  # sum of the scored tokens' log probabilities in nats, for each side

    def mean(self, side: int) -> float:
        """Mean log probability in nats; NaN if no token of the sentence was scored."""
        return self.sums[side] / self.scored if self.scored else float("nan")


@dataclass(frozen=True, kw_only=True, repr=False)
class TextPerplexity(Scored):
    """The sides on a text: MEAN and the perplexity. Differences are of MEAN, by a 95 % paired bootstrap over sentences."""

    kind: str  # how the model was asked: MASKED or CAUSAL
    sentences: tuple[SentenceScore, ...]  # all that were read, in order
    tokens: int  # of the text that can be scored
    scored: int  # tokens that were scored; if fewer than ``tokens``, drawn at random or the first ones, the same for every side
    seed: int  # of the draw and of the bootstrap
    cut: int  # tokens beyond what a masked model reads at once, left out
    sentences_left_out: int  # beyond MOST_SENTENCES
    unknown: int  # scored tokens that are the tokenizer's unknown token
    window: int = 0  # tokens that a decoder reads at once; 0 for a masked model
    digest: str = ""  # of the text
    most_tokens: int | None = None  # that were to be scored

    def mean(self, side: str) -> float:
        """Mean log probability of a token in nats."""
        return self.scores[side].values[MEAN]

    def perplexity(self, side: str) -> float:
        """exp(-mean): 1 is a perfect guess, V is a guess at random."""
        return self.scores[side].values[PERPLEXITY[self.kind]]

    def interval(self, side: str) -> Interval | None:
        """Of the difference in mean to the first side; None for that side, or with fewer than FEWEST_SENTENCES sentences."""
        return self.scores[side].differences.get(MEAN)

    def interval_between(self, one: str, other: str) -> Interval | None:
        """Of the difference in mean between any two sides, ``other`` - ``one``; None with fewer than FEWEST_SENTENCES sentences."""
        places = [self.sides.index(side) for side in (one, other)]
        counts = np.array([sentence.scored for sentence in self.sentences])
        before, after = (np.array([sentence.sums[place] for sentence in self.sentences]) for place in places)
        return bootstrap_of_means(counts, before, after, self.seed)


def split_sentences(text: str) -> list[str]:
    """A text as sentences: at line ends, after . ! ? … (and a closing mark) and a blank, and after 。！？.

    >>> split_sentences("One. Two?\\nThree 3.5 kg")
    ['One.', 'Two?', 'Three 3.5 kg']
    """
    return [text[start:end] for start, end in _spans(text)]


def _spans(text: str) -> list[tuple[int, int]]:
    """First and last place of every sentence, without blanks around it."""
    ends = [found.span() for found in _SENTENCE_END.finditer(text)]
    edges = zip([0, *(end for _, end in ends)], [*(start for start, _ in ends), len(text)], strict=True)
    found = []
    for start, end in edges:
        inner = text[start:end]
        start, end = start + len(inner) - len(inner.lstrip()), start + len(inner.rstrip())
        if start < end:
            found.append((start, end))
    return found


class Digest(str):
    """What stands for a text in keys, given in its place."""


def digest_of(text: str) -> str:
    """What stands for a text in keys."""
    if isinstance(text, Digest):
        return str(text)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


# What is scored


@dataclass(frozen=True)
class Plan:
    """What would be scored."""

    kind: str  # MASKED or CAUSAL
    texts: tuple[str, ...]  # the sentences
    rows: tuple[
        tuple[int, ...], ...
    ]  # ids that are read together: of every sentence, cut to what the model reads; or of every window
    places: tuple[tuple[int, ...], ...]  # of tokens that can be scored, in each row
    owners: tuple[tuple[int, ...], ...]  # the sentence of each of these tokens
    cut: int  # tokens beyond what a masked model reads
    left_out: int  # sentences beyond MOST_SENTENCES
    window: int = 0  # tokens of the longest row of a decoder

    @property
    def tokens(self) -> int:
        return sum(map(len, self.places))

    @property
    def mean_length(self) -> float:
        """Length of a token's row, averaged over all tokens that can be scored."""
        weighted = sum(len(row) * len(places) for row, places in zip(self.rows, self.places, strict=True))
        return weighted / max(1, self.tokens)

    def sampled(self, most: int, seed: int) -> "list[tuple[int, int, int]]":
        """(row, place, sentence) of the tokens to score, in order: all, or ``most`` drawn at random, or for a decoder the first ones."""
        every = [
            (row, place, owner)
            for row, (places, owners) in enumerate(zip(self.places, self.owners, strict=True))
            for place, owner in zip(places, owners, strict=True)
        ]
        if len(every) <= most:
            return every
        if self.kind == CAUSAL:
            return every[:most]
        drawn = np.random.default_rng(seed).choice(len(every), most, replace=False)
        return [every[number] for number in np.sort(drawn)]


def plan(tokenizer, text: str, longest: int, kind: str = MASKED) -> Plan:
    """What of a text would be scored. longest: tokens that the model reads.

    Raises InputError for an empty text or one over LONGEST_TEXT characters.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError("there is no text; paste some sentences")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"the text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read: paste a part of it")
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    spans = _spans(text)
    left_out = max(0, len(spans) - MOST_SENTENCES)
    spans = spans[:MOST_SENTENCES]
    texts = tuple(text[start:end] for start, end in spans)
    if kind == CAUSAL:
        start = spans[0][0]
        return _windows(
            tokenizer, text[start : spans[-1][1]], [first - start for first, _ in spans], texts, longest, special, left_out
        )
    rows, places, owners, cut = [], [], [], 0
    for number, ids in enumerate(tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]):
        row = _cut_row(list(ids), longest, special)
        cut += len(ids) - len(row)
        rows.append(tuple(row))
        places.append(tuple(place for place, token in enumerate(row) if token not in special))
        owners.append((number,) * len(places[-1]))
    return Plan(kind, texts, tuple(rows), tuple(places), tuple(owners), cut, left_out)


def _cut_row(ids: list[int], longest: int, special: set[int]) -> list[int]:
    """The first ``longest`` tokens of a row; a special token at the end of the row is kept."""
    if len(ids) <= longest:
        return ids
    return [*ids[: longest - 1], ids[-1]] if ids[-1] in special else ids[:longest]


def _windows(
    tokenizer, text: str, starts: list[int], texts: tuple[str, ...], longest: int, special: set[int], left_out: int
) -> Plan:
    """A text as a decoder reads it. starts: first places of its sentences.

    Tokens 0 to W - 1 are read first, then always half a window further on, with the special tokens that the tokenizer puts at the start
    before each; every token is scored once, in the first window that has it, and the first of all only if something stands before it.
    """
    has_offsets = bool(getattr(tokenizer, "is_fast", False))
    encoding = tokenizer(text, return_offsets_mapping=has_offsets, truncation=False, verbose=False)
    ids = list(encoding["input_ids"])
    offsets = encoding["offset_mapping"] if has_offsets else [(0, 0)] * len(ids)
    if not has_offsets:  # which sentence a token belongs to cannot be told
        starts, texts = [0], (text,)
    lead = next((place for place, token in enumerate(ids) if token not in special), len(ids))
    window = max(lead + 2, min(longest, WINDOW))
    half = max(1, (window - lead) // 2)
    owners, owner = [], 0
    for begin, end in offsets:
        if begin < end:  # a token with a blank before it belongs where it ends
            owner = max(0, bisect_right(starts, end - 1) - 1)
        owners.append(owner)
    rows, places, belongs = [], [], []
    done = max(lead, 1)  # tokens from here on are to be scored
    first = lead  # of those in the window
    while done < len(ids):
        last = min(len(ids), first + window - lead)
        row = [*ids[:lead], *ids[first:last]]
        here = [place for place in range(done, last) if ids[place] not in special]
        rows.append(tuple(row))
        places.append(tuple(place - first + lead for place in here))
        belongs.append(tuple(owners[place] for place in here))
        done, first = last, last - (window - lead) + half
    return Plan(CAUSAL, texts, tuple(rows), tuple(places), tuple(belongs), 0, left_out, window)


# Scoring


@checked
def text_perplexity(
    sides: Mapping[str, Any] | ContextSides,
    text: str,
    input: bool = True,
    output: bool = True,
    most_tokens: int | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> TextPerplexity:
    """Score a text with every side.

    most_tokens: if the text has more, this many of them are scored, the same for every side: drawn at random (``seed``) by a masked model,
    the first ones by a decoder. None for DEFAULT_TOKENS.
    Raises InputError for a bad text or setting, or a text without a token to score; Cancelled.
    """
    if most_tokens is not None and not is_whole(most_tokens, 1, MOST_TOKENS):
        raise InputError(f"{most_tokens!r} tokens cannot be scored; give a whole number from 1 to {MOST_TOKENS:,}")
    report(progress, "reading the model", 0.0)
    sides = sides if isinstance(sides, ContextSides) else ContextSides(sides, input, output)
    longest = sides.longest  # its trial takes the lock too, and others hold the trial's when they take it
    with sides.model.tokenizer_lock:
        what = plan(sides.tokenizer, text, longest, sides.kind)
    if not what.tokens:
        before = " with another before it" if sides.kind == CAUSAL else ""
        raise InputError(f"the tokenizer makes no token{before} of this text; paste another")
    chosen = what.sampled(DEFAULT_TOKENS[sides.kind] if most_tokens is None else most_tokens, seed)
    scores = np.zeros((len(sides), len(chosen)))
    for side, name in enumerate(sides.names):
        part = part_of(progress, side / len(sides), (side + 1) / len(sides))
        scores[side] = _scores(sides, side, what, chosen, part, f"guessing every token: {name}")
    return replace(_collected(sides, what, chosen, scores, seed), digest=digest_of(text), most_tokens=most_tokens)


def _scores(
    sides: ContextSides, side: int, what: Plan, chosen: Sequence[tuple[int, int, int]], progress, stage: str
) -> np.ndarray:
    """log p of every chosen token, in nats."""
    result = np.empty(len(chosen))
    done = 0
    for numbers, rows, positions in (_of_decoder if sides.kind == CAUSAL else _one_by_one)(sides, what, chosen):
        report(progress, stage, done / len(chosen))
        targets = [what.rows[chosen[number][0]][chosen[number][1]] for number in numbers]
        answers = sides.logits(side, rows, positions).flatten(0, 1)
        result[numbers] = (answers[range(len(numbers)), targets] - answers.logsumexp(-1)).numpy()
        done += len(numbers)
    report(progress, stage, 1.0)
    return result


Batch = tuple[
    list[int], list[list[int]], list[list[int]]
]  # numbers of chosen tokens; rows, and positions of the answers in them


def _one_by_one(sides: ContextSides, what: Plan, chosen: Sequence[tuple[int, int, int]]) -> Iterator[Batch]:
    """Every token masked in a row of its own; rows of similar lengths together, the longest first."""
    order = sorted(range(len(chosen)), key=lambda number: -len(what.rows[chosen[number][0]]))
    start = 0
    while start < len(order):
        longest = len(what.rows[chosen[order[start]][0]])
        size = max(1, min(_TOKENS_AT_ONCE // longest, _NUMBERS_AT_ONCE // sides.model.num_tokens))
        batch = order[start : start + size]
        asked = [sides.asked(what.rows[row], place) for row, place, _ in (chosen[number] for number in batch)]
        yield batch, [row for row, _ in asked], [[position] for _, position in asked]
        start += size


def _of_decoder(sides: ContextSides, what: Plan, chosen: Sequence[tuple[int, int, int]]) -> Iterator[Batch]:
    """All tokens of a window from one reading, or several where so many answers would not fit into memory."""
    size = max(1, _NUMBERS_AT_ONCE // sides.model.num_tokens)
    of_row: dict[int, list[int]] = {}
    for number, (row, _, _) in enumerate(chosen):
        of_row.setdefault(row, []).append(number)
    for row, numbers in of_row.items():
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            yield part, [list(what.rows[row])], [[chosen[number][1] - 1 for number in part]]


def _collected(sides: ContextSides, what: Plan, chosen, found: np.ndarray, seed: int) -> TextPerplexity:
    sentence_of = np.array([sentence for _, _, sentence in chosen])
    count = len(what.texts)
    scored = np.bincount(sentence_of, minlength=count)
    tokens = np.bincount(np.array([owner for owners in what.owners for owner in owners]), minlength=count)
    sums = np.stack([np.bincount(sentence_of, weights=side, minlength=count) for side in found])
    unknown = sum(what.rows[row][place] == sides.tokenizer.unk_token_id for row, place, _ in chosen)
    sentences = tuple(
        SentenceScore(what.texts[i], int(tokens[i]), int(scored[i]), tuple(map(float, sums[:, i]))) for i in range(count)
    )
    scores = {}
    for name, side in zip(sides.names, sums, strict=True):
        mean = float(side.sum()) / len(chosen)
        interval = bootstrap_of_means(scored, sums[0], side, seed) if scores else None
        differences = {} if interval is None else {MEAN: interval}
        scores[name] = SideScores({MEAN: mean, PERPLEXITY[sides.kind]: exp(min(700.0, -mean))}, {}, differences)
    return TextPerplexity(
        sides=sides.names,
        scores=scores,
        kind=sides.kind,
        sentences=sentences,
        tokens=what.tokens,
        scored=len(chosen),
        seed=seed,
        cut=what.cut,
        sentences_left_out=what.left_out,
        unknown=int(unknown),
        window=what.window,
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
    """Rough seconds to score ``tokens`` tokens of a planned text on ``sides`` sides of a model."""
    read = 2 if what.kind == CAUSAL else what.mean_length  # tokens that are read for each one that is scored
    return 0.5 + sides * min(tokens, what.tokens) * token_seconds(read, parameters, vocabulary, dim)


def token_seconds(read: float, parameters: int | None, vocabulary: int, dim: int) -> float:
    """Rough seconds to score one token on one side. read: tokens that the network reads for it."""
    body = max(0, (parameters or 0) - vocabulary * dim)
    return (body * read + vocabulary * dim) / _SPEED
