"""Word similarity on the token tables themselves, without the network: WordSim-353 and lists like it.

A word's vector is the mean of the rows of its pieces. A word is tokenised as it would be inside a sentence: with a blank before
it if the tokenizer marks that blank (byte-level BPE, SentencePiece). It is put in lower case only if the tokenizer does that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...base.arguments import Seed, checked
from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ...models.model import PretrainedModel
from ..data.pairs import WordSet
from ..report import METRICS, RESAMPLES, SEED, Report, SideScores, read_only, score_parts, score_sides
from ..statistics import check_resamples, descending_ranks

ONE_PIECE, SEVERAL_PIECES = "both words are one piece", "a word of several pieces"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class WordReport(Report):
    """The scores of every side's table on a list of word pairs, of which m are measured. Made by :func:`evaluate_words`."""

    KIND: ClassVar[str] = "word"
    pairs: WordSet  # the list as read
    used: np.ndarray  # (m,) places of the pairs that are measured
    unknown: tuple[str, ...]  # words without a vector, in order
    pieces: dict[str, tuple[int, ...]]  # distinct word -> ids of its pieces
    cosines: dict[str, np.ndarray]  # side -> (m,) float32
    by_pieces: dict[str, dict[str, SideScores]]  # ONE_PIECE or SEVERAL_PIECES -> side; empty if all pairs are of one kind

    def __post_init__(self):
        object.__setattr__(self, "used", read_only(self.used, np.int64))
        object.__setattr__(self, "cosines", {side: read_only(found, np.float32) for side, found in self.cosines.items()})

    def __len__(self) -> int:
        return len(self.used)

    @property
    def gold(self) -> np.ndarray:
        """(m,) human scores of the measured pairs."""
        return self.pairs.gold[self.used]

    @property
    def found_values(self) -> dict[str, np.ndarray]:
        return {f"cosines of {side}": values for side, values in self.cosines.items()}

    @property
    def piece_counts(self) -> dict[int, int]:
        """Number of pieces -> how many distinct words of the list have that number; ascending."""
        counts = [len(ids) for ids in self.pieces.values()]
        return {number: counts.count(number) for number in sorted(set(counts))}

    @property
    def has_several_pieces(self) -> np.ndarray:
        """(m,) bool: a word of the pair has more than one piece."""
        pairs = ((self.pairs.first[place], self.pairs.second[place]) for place in self.used)
        return np.array([len(self.pieces[a]) > 1 or len(self.pieces[b]) > 1 for a, b in pairs], dtype=bool)

    def moved(self, side: str, limit: int | None = None) -> np.ndarray:
        """Indices into ``used``: first the pairs whose cosine changed its rank the most."""
        ranks = np.abs(descending_ranks(self.cosines[side]) - descending_ranks(self.cosines[self.sides[0]]))
        return np.lexsort((np.arange(len(self)), -ranks))[:limit]


@checked
def evaluate_words(
    sides: Mapping[str, PretrainedModel],
    words: WordSet,
    resamples: int = RESAMPLES,
    seed: Seed = SEED,
    progress: ProgressCallback | None = None,
) -> WordReport:
    """Spearman of the cosines of word vectors and human scores for each side, and the difference to the first side.

    sides: name -> model; the first is the reference. Pairs with a word that the tokenizer does not know (its unknown token)
    are left out and counted. Raises InputError if fewer than two pairs are left, ModelError without a tokenizer, Cancelled.
    """
    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
    check_resamples(resamples)
    reference = next(iter(sides.values()))
    report(progress, "cutting words into pieces", 0.0)
    distinct = list(dict.fromkeys([*words.first, *words.second]))
    known = {word: ids for word, ids in zip(distinct, word_pieces(reference, distinct), strict=True) if ids}
    used = np.array(
        [place for place in range(len(words)) if words.first[place] in known and words.second[place] in known], dtype=np.int64
    )
    if len(used) < 2:
        raise InputError(
            f"{reference.name} knows both words of {len(used)} of the {len(words):,} pairs; at least 2 are needed: choose a model "
            "for the language of the list"
        )
    pairs = [(words.first[place], words.second[place]) for place in used]
    found = {}
    for number, (name, model) in enumerate(sides.items()):
        report(progress, f"{name} table: word vectors", 0.1 + 0.3 * number / len(sides))
        vectors = word_vectors(model, known)
        left, right = (np.stack([vectors[pair[place]] for pair in pairs]) for place in (0, 1))
        found[name] = np.clip((left * right).sum(1), -1, 1).astype(np.float32)
    several = np.array([len(known[a]) > 1 or len(known[b]) > 1 for a, b in pairs], dtype=bool)
    kinds = {}
    if several.any() and not several.all():
        kinds = {ONE_PIECE: np.flatnonzero(~several), SEVERAL_PIECES: np.flatnonzero(several)}
    gold = words.gold[used]

    def score(places: np.ndarray, step: ProgressCallback | None) -> dict[str, SideScores]:
        of_these = {name: values[places] for name, values in found.items()}
        return score_sides(gold[places], of_these, METRICS[words.task], resamples, seed, step)

    scores, by_pieces = score_parts(len(used), kinds, score, part_of(progress, 0.4, 1.0))
    return WordReport(
        pairs=words,
        sides=tuple(sides),
        scores=scores,
        resamples=resamples,
        seed=seed,
        used=used,
        unknown=tuple(word for word in distinct if word not in known),
        pieces=known,
        cosines=found,
        by_pieces=by_pieces,
    )


def word_pieces(model: PretrainedModel, words: Sequence[str]) -> list[tuple[int, ...]]:
    """Ids of the pieces of each word as inside a sentence; empty if a piece is unknown or has no row in the table.

    Raises ModelError (``no_tokenizer``) if the model has no tokenizer.
    """
    tokenizer, vocabulary = model.tokenizer, model.vocabulary
    bare = _ids(model, words)
    if vocabulary.scheme in ("byte_bpe", "sentencepiece"):
        # Some tokenizers of these schemes put the blank in front by themselves; a second blank would make another word.
        lacking = [place for place, ids in enumerate(bare) if ids and not _begins_a_word(vocabulary, ids[0])]
        for place, ids in zip(lacking, _ids(model, [f" {words[place]}" for place in lacking]), strict=True):
            bare[place] = ids if ids and _begins_a_word(vocabulary, ids[0]) else bare[place]
    unknown, rows = tokenizer.unk_token_id, model.num_tokens
    return [() if unknown in ids or max(ids, default=rows) >= rows else tuple(ids) for ids in bare]


def word_vectors(model: PretrainedModel, pieces: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Word -> mean of the rows of its pieces, scaled to length 1 (zero stays zero), (D,) float64."""
    ids = sorted({number for row in pieces.values() for number in row})
    rows = dict(zip(ids, _rows(model, ids), strict=True))
    vectors = {}
    for word, row in pieces.items():
        mean = np.mean([rows[number] for number in row], axis=0)
        vectors[word] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return vectors


def _rows(model: PretrainedModel, ids: list[int]) -> np.ndarray:
    """(n, D) float64 rows of a model's table, without reconstructing the whole table for a few of them."""
    import torch

    numbers = torch.tensor(ids, dtype=torch.long)
    module = model.embedding
    with torch.no_grad():
        rows = model.table[numbers] if module is None else module(numbers)
    return rows.double().numpy()


def _ids(model: PretrainedModel, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    with model.tokenizer_lock:
        return [list(ids) for ids in model.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]


def _begins_a_word(vocabulary, number: int) -> bool:
    return number < len(vocabulary) and vocabulary.text[number][:1].isspace()
