"""How much each token counts when codes and codebooks are fitted.

A sentence is made of frequent tokens, so an error there costs more than one in a rare name. Weights say so: k-means,
uniqueness and codebooks minimise ``sum_t w_t |x_t - y_t|^2``. All weights have mean 1 and none is below FLOOR.

``vocabulary``, the kind that needs no text, estimates frequencies from what the model itself tells:

- unigram tokenizers (XLM-R, T5, ALBERT) know the probability p of every token: it is used as it is;
- elsewhere ids tell: WordPiece and RoBERTa vocabularies are sorted by frequency, GPT-2's by the order of merges. With the
  rank r among tokens in use, p is taken as ``(r + RANK_OFFSET) ** -RANK_EXPONENT`` (Zipf-Mandelbrot);
- ids tell nothing about single characters outside ASCII and lone bytes, which stand sorted by code point in blocks of their
  own: they take the middle rank;
- the first MOST_SPECIAL special tokens stand in every text and count like the most frequent token; unused tokens, padding
  rows and further special tokens (sentinels, language codes) count like the least frequent one.

The weight is a power of p, ``p ** RANK_POWER`` or ``p ** PROBABILITY_POWER``: between no weights and p itself, because rare
tokens have to stay tellable apart. Both were chosen by the similarity that models keep on STS-B dev (English for ranks;
English, German and Chinese for probabilities, whose power is smaller: p favours the languages with most text).

``list``, a frequency list of the language, tells more than the guess where ids do the telling. all-MiniLM-L6-v2, nothing trained, seeds
0 and 1, the 50,000 most frequent words of English film subtitles against ``vocabulary``, Spearman x 100: ``cluster`` f=3 Q=32 59.6 and
59.4 against 58.5 and 57.6 on SICK trial, 23.7 and 19.7 against 15.7 and 13.7 on SimLex; ``product`` f=8 Q=61 66.9 and 67.3 against 65.3
and 62.9, 31.1 and 27.8 against 30.1 and 27.0. Such lists have licences of their own, so none comes with subemb.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from ..base.arguments import Count, checked
from ..base.errors import InputError
from ..base.lazy import lazy_module
from ..base.progress import ProgressCallback, report

torch = lazy_module("torch")

ZIPF_OFFSET = 2.7  # Mandelbrot's shift of the rank, the usual value for text
RANK_OFFSET = 30.0
RANK_EXPONENT = 1.2
RANK_POWER = 0.5
PROBABILITY_POWER = 0.25
MOST_SPECIAL = 8
FLOOR = 1e-3  # of the mean weight
MOST_WORDS = 1_000_000  # of a frequency list that are read

PIECE_CHARACTERS = 10_000  # longer texts are counted in pieces, cut at a space where there is one
_WORDS_AT_ONCE = 20_000
BATCH_CHARACTERS = 500_000  # tokenized at once: bounds memory to about 100 MB


class TokenFacts(Protocol):
    """What is read of a vocabulary, such as :class:`subemb.models.vocabulary.Vocabulary`: facts of V tokens."""

    kinds: np.ndarray  # (V,) str: special, unused, padding row, or anything else for ordinary tokens
    text: list[str]  # V, as a person reads them
    scores: np.ndarray | None  # (V,) float64, higher is more frequent, NaN where it is not known
    score_kind: str | None  # "log probability" (natural), or another kind, which is not used

    def __len__(self) -> int: ...


@checked
def token_weights(
    kind: str,
    vocabulary_size: Count,
    *,
    vocabulary: TokenFacts | None = None,
    counts: Any = None,
    keeps_rows: bool = False,
) -> torch.Tensor | None:
    """Weights of V tokens: (V,) float32 of mean 1, none below FLOOR; None for equal weights.

    kind: ``none``; ``vocabulary``: from the tokenizer's own probabilities or the id order, see above; ``zipf``:
        1 / (id + 2.7), for vocabularies strictly in order of frequency; ``counts``: counts + 1 of a text; ``sqrt_counts``:
        their square root; ``list``: ``sqrt(counts + the smallest count above 0)`` of a frequency list, the first special tokens as
        the most frequent one.
    vocabulary: needed by ``vocabulary`` and ``list``. counts: (V,) how often each token occurs, needed by the last three.
    keeps_rows: for a method that keeps rows by their weight. Tokens that a text or list does not use then weigh 0, and the first special
        tokens of a vocabulary count like the most frequent token.

    Raises InputError for another kind, or if what the kind needs is missing or has another length than V.

    >>> token_weights("counts", 2, counts=[0, 2]).tolist()
    [0.5, 1.5]
    """
    if keeps_rows and kind in ("zipf", "counts", "sqrt_counts", "list"):
        return _keeping(kind, vocabulary_size, vocabulary, counts)
    if kind == "none":
        return None
    if kind == "zipf":
        return _normalised(_zipf(vocabulary_size))
    if kind == "vocabulary":
        if vocabulary is None:
            raise InputError("weights 'vocabulary' need the model's vocabulary; give vocabulary=model.vocabulary")
        if len(vocabulary) != vocabulary_size:
            raise InputError(f"the vocabulary has {len(vocabulary)} rows; the table has {vocabulary_size}")
        power = PROBABILITY_POWER if _knows_probabilities(vocabulary) else RANK_POWER
        return _normalised(estimated_frequencies(vocabulary) ** power)
    if kind in ("counts", "sqrt_counts"):
        if counts is None:
            raise InputError(f"weights {kind!r} need the token counts of a text; give counts, or the text itself")
        smoothed = _checked_counts(counts, vocabulary_size) + 1
        return _normalised(smoothed if kind == "counts" else np.sqrt(smoothed))
    if kind == "list":
        if vocabulary is None or counts is None:
            raise InputError("weights 'list' need the model's vocabulary and its tokens' counts in a frequency list")
        return _normalised(np.sqrt(_listed(_checked_counts(counts, vocabulary_size), vocabulary)))
    raise InputError(f"unknown weights {kind!r}; choose vocabulary, none, zipf, counts, sqrt_counts or list")


def _keeping(kind: str, vocabulary_size: int, vocabulary: TokenFacts | None, counts: Any) -> torch.Tensor:
    """Weights for a method that keeps rows by them: no count is smoothed, and the special tokens come first."""
    if kind == "zipf":
        found = _zipf(vocabulary_size)
    elif counts is None:
        raise InputError(f"weights {kind!r} need the token counts of a text or a list; give counts")
    else:
        found = _checked_counts(counts, vocabulary_size)
        found = found.copy() if kind == "counts" else np.sqrt(found)
    if not found.any():
        raise InputError("nothing in the text or list has a token of this model; give another one")
    if vocabulary is not None:
        found[np.flatnonzero(vocabulary.kinds == "special")[:MOST_SPECIAL]] = found.max()
    return torch.from_numpy((found / found.mean()).astype(np.float32))


def _zipf(vocabulary_size: int) -> np.ndarray:
    return 1.0 / (np.arange(vocabulary_size) + ZIPF_OFFSET)


def model_weights(
    model: Any,
    kind: str,
    *,
    text: str | Sequence[str] | None = None,
    keeps_rows: bool = False,
    progress: ProgressCallback | None = None,
) -> torch.Tensor | None:
    """:func:`token_weights` for a model with ``num_tokens``, ``tokenizer`` and ``vocabulary``, counting ``text`` if needed.

    text: one string (its lines are the sentences) or several; for ``list`` the lines of a frequency list. Raises InputError if a kind
    that reads a text gets no words, or as :func:`frequency_list`.
    """
    if kind == "vocabulary":
        return token_weights(kind, model.num_tokens, vocabulary=model.vocabulary)
    if kind == "list":
        words = frequency_list(text or "")
        with _lock_of(model):
            counts = count_words(words, model.tokenizer, model.num_tokens, progress)
        return token_weights(kind, model.num_tokens, vocabulary=model.vocabulary, counts=counts, keeps_rows=keeps_rows)
    own = {"vocabulary": model.vocabulary, "keeps_rows": True} if keeps_rows else {}
    if kind not in ("counts", "sqrt_counts"):
        return token_weights(kind, model.num_tokens, **own)
    texts = text.splitlines() if isinstance(text, str) else list(text or ())
    if not any(line.strip() for line in texts):
        raise InputError(f"weights {kind!r} need a text to count tokens in; give one, or choose other weights")
    with _lock_of(model):
        counts = count_tokens(texts, model.tokenizer, model.num_tokens, progress)
    return token_weights(kind, model.num_tokens, counts=counts, **own)


def _lock_of(model: Any) -> AbstractContextManager:
    """To be held while its tokenizer reads: fast ones cannot serve two threads at once."""
    return getattr(model, "tokenizer_lock", None) or nullcontext()


def estimated_frequencies(vocabulary: TokenFacts) -> np.ndarray:
    """(V,) float64: how frequent each token is thought to be, the sum being 1; the rule is at the top of this module."""
    kinds = vocabulary.kinds
    special = np.flatnonzero(kinds == "special")
    first = np.zeros(len(kinds), dtype=bool)
    first[special[:MOST_SPECIAL]] = True
    ordinary = ~np.isin(kinds, ("special", "unused", "padding row"))
    if not ordinary.any():
        return np.full(len(kinds), 1 / len(kinds))
    if _knows_probabilities(vocabulary):
        known = ordinary & np.isfinite(vocabulary.scores)
        guess = np.full(len(kinds), np.nan)
        guess[known] = np.exp(vocabulary.scores[known] - vocabulary.scores[known].max(initial=0.0))
    else:
        guess, known = _by_rank(vocabulary, ordinary), ordinary
    if not known.any():
        return np.full(len(kinds), 1 / len(kinds))
    low, high = guess[known].min(), guess[known].max()
    frequencies = np.where(first, high, np.where(known, guess, low))
    return frequencies / frequencies.sum()


def _knows_probabilities(vocabulary: TokenFacts) -> bool:
    return vocabulary.score_kind == "log probability"


def _by_rank(vocabulary: TokenFacts, ordinary: np.ndarray) -> np.ndarray:
    """(V,) Zipf-Mandelbrot frequencies by the rank of the id among ordinary tokens."""
    silent = np.array([_tells_nothing(text) for text in vocabulary.text], dtype=bool)
    ranked = np.flatnonzero(ordinary & ~silent)
    ranks = np.full(len(silent), float(len(ranked) // 2))
    ranks[ranked] = np.arange(len(ranked))
    return (ranks + RANK_OFFSET) ** -RANK_EXPONENT


def _tells_nothing(text: str) -> bool:
    """A single character outside ASCII, or a lone byte: its id follows the code point, not its use."""
    word = text.strip()
    return (len(word) == 1 and not word.isascii()) or word.startswith("⟨0x")


def count_tokens(
    texts: str | Sequence[str], tokenizer: Any, vocabulary_size: int, progress: ProgressCallback | None = None
) -> torch.Tensor:
    """How often each token occurs in the texts: (V,) int64, with the special tokens that frame every text.

    Empty texts do not count. Memory is bounded however long a text is: long ones are cut into pieces of
    PIECE_CHARACTERS, where a word may fall apart if it has no space near. Raises Cancelled.
    """
    texts = [texts] if isinstance(texts, str) else texts
    texts = [text for text in texts if text.strip()]
    counts = np.zeros(vocabulary_size, dtype=np.int64)
    whole, done = sum(map(len, texts)), 0
    for batch in _batches(texts):
        report(progress, "counting tokens", done / whole)
        done += sum(map(len, batch))
        encoded = tokenizer(
            batch, add_special_tokens=False, padding=False, truncation=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        ids = np.fromiter((i for row in encoded for i in row), dtype=np.int64)
        counts += np.bincount(ids[ids < vocabulary_size], minlength=vocabulary_size)
    for i in tokenizer("")["input_ids"]:  # [CLS] [SEP], <s> </s>, or nothing
        if i < vocabulary_size:
            counts[i] += len(texts)
    report(progress, "counting tokens", 1.0)
    return torch.from_numpy(counts)


def frequency_list(text: str | Sequence[str]) -> dict[str, float]:
    """Words and their counts from lines of a word, blanks or a tab, and its count, in any order; a word given twice counts as both.

    Raises InputError naming the line for a count that is no number above 0, for no words at all, or more than MOST_WORDS.

    >>> frequency_list("the 22761659\\nnew york\\t12")
    {'the': 22761659.0, 'new york': 12.0}
    """
    words: dict[str, float] = {}
    for number, line in enumerate(text.splitlines() if isinstance(text, str) else text, 1):
        if not line.strip():
            continue
        word, _, count = " ".join(line.split()).rpartition(" ")
        try:
            value = float(count)
        except ValueError:
            value = math.nan
        if not word or not 0 < value < math.inf:
            raise InputError(
                f"line {number} of the frequency list is {line.strip()[:60]!r}; it must be a word, a blank, and how often it occurs"
            )
        words[word] = words.get(word, 0.0) + value
        if len(words) > MOST_WORDS:
            raise InputError(f"the frequency list has more than {MOST_WORDS:,} words; its most frequent ones are enough")
    if not words:
        raise InputError("weights 'list' need a frequency list, a word and its count a line; give one, or choose other weights")
    return words


def count_words(
    words: Mapping[str, float], tokenizer: Any, vocabulary_size: int, progress: ProgressCallback | None = None
) -> np.ndarray:
    """How often every token occurs in words that occur so often: (V,) float64. A word is split as inside a sentence. Raises Cancelled."""
    counts = np.zeros(vocabulary_size)
    names = list(words)
    for start in range(0, len(names), _WORDS_AT_ONCE):
        report(progress, "counting tokens", start / len(names))
        part = names[start : start + _WORDS_AT_ONCE]
        encoded = tokenizer(
            [f" {name}" for name in part], add_special_tokens=False, padding=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        for name, ids in zip(part, encoded, strict=True):
            for token in ids:
                if token < vocabulary_size:
                    counts[token] += words[name]
    return counts


def _listed(counts: np.ndarray, vocabulary: TokenFacts) -> np.ndarray:
    """Counts of a frequency list made usable: lists name no special tokens, and not every word."""
    found = counts.copy()
    found[np.flatnonzero(vocabulary.kinds == "special")[:MOST_SPECIAL]] = found.max(initial=0.0)
    above = found[found > 0]
    if not len(above):
        raise InputError("none of the words of the frequency list has a token of this model; give a list of another language")
    return found + above.min()


def text_digest(texts: str | Sequence[str]) -> str:
    """A short hash of a text (several are joined by line ends), for :attr:`CompressionSettings.text_digest`.

    >>> text_digest(["a", "b"]) == text_digest("a\\nb")
    True
    """
    text = texts if isinstance(texts, str) else "\n".join(texts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Pieces of the texts in batches of about BATCH_CHARACTERS."""
    batch: list[str] = []
    size = 0
    for text in texts:
        for piece in _pieces(text):
            batch.append(piece)
            size += len(piece)
            if size >= BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of at most PIECE_CHARACTERS, cut before a space where the second half of a piece has one."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = start + PIECE_CHARACTERS
        space = text.rfind(" ", start + PIECE_CHARACTERS // 2, end)
        end = end if space < 0 else space
        yield text[start:end]
        start = end
    yield text[start:]


def _checked_counts(counts: Any, vocabulary_size: int) -> np.ndarray:
    values = np.asarray(counts, dtype=np.float64)
    if values.shape != (vocabulary_size,):
        raise InputError(f"counts have shape {values.shape}; {vocabulary_size} tokens need ({vocabulary_size},)")
    bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(bad):
        raise InputError(f"count {values[bad[0]]} of token {bad[0]} is not a number from 0 up")
    return values


def _normalised(weights: np.ndarray) -> torch.Tensor:
    """Mean 1, and no weight below FLOOR (of the mean before the floor; the mean is 1 again after it)."""
    weights = np.maximum(weights / weights.mean(), FLOOR)
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))
