"""Word similarity on the token tables themselves, without the network: WordSim-353 and lists like it.

A word's vector is the mean of the rows of its pieces. A word is tokenised as inside a sentence: where a tokenizer marks the
blank before a word (byte-level BPE, SentencePiece), with that blank; in lower case only if the tokenizer makes it so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import InputError
from ...base.progress import ProgressCallback, part_of, report
from ..data.pairs import Skipped, WordSet
from ..statistics import read_only
from .pairs import score_sides
from .report import SideScores, descending_ranks, pairs_to_dict

if TYPE_CHECKING:
    from ...models.load import PretrainedModel

METRICS = ("spearman",)
ONE_PIECE, SEVERAL_PIECES = "both words are one piece", "a word of several pieces"


@dataclass(frozen=True)
class WordReport:
    """The tables of the sides on a list of word pairs. Made by :func:`evaluate_words`.

    words: the list as read. used: (m,) places of the pairs that are measured. unknown: words without a vector, in order.
    pieces: distinct word -> ids of its pieces. cosines: side -> (m,) float32. scores: side -> over all measured pairs.
    by_pieces: ONE_PIECE and SEVERAL_PIECES -> side -> scores; empty if all pairs are of one kind.
    """

    words: WordSet
    sides: tuple[str, ...]
    used: np.ndarray
    unknown: tuple[str, ...]
    pieces: dict[str, tuple[int, ...]]
    cosines: dict[str, np.ndarray]
    scores: dict[str, SideScores]
    by_pieces: dict[str, dict[str, SideScores]]
    resamples: int = 2000
    seed: int = 0

    def __len__(self) -> int:
        return len(self.used)

    @property
    def gold(self) -> np.ndarray:
        """(m,) of the measured pairs."""
        return self.words.gold[self.used]

    @property
    def piece_counts(self) -> dict[int, int]:
        """Number of pieces -> how many distinct words of the list have so many; ascending."""
        counts = [len(ids) for ids in self.pieces.values()]
        return {number: counts.count(number) for number in sorted(set(counts))}

    @property
    def has_several_pieces(self) -> np.ndarray:
        """(m,) bool: a word of the pair has more than one piece."""
        pairs = ((self.words.first[place], self.words.second[place]) for place in self.used)
        return np.array([len(self.pieces[a]) > 1 or len(self.pieces[b]) > 1 for a, b in pairs], dtype=bool)

    def moved(self, side: str, limit: int | None = None) -> np.ndarray:
        """Indices into ``used`` by how far the pair moved among all pairs, by rank of its cosine."""
        ranks = np.abs(descending_ranks(self.cosines[side]) - descending_ranks(self.cosines[self.sides[0]]))
        return np.lexsort((np.arange(len(self)), -ranks))[:limit]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "words": pairs_to_dict(self.words),
            "sides": list(self.sides),
            "used": self.used.tolist(),
            "unknown": list(self.unknown),
            "pieces": {word: list(ids) for word, ids in self.pieces.items()},
            "cosines": {side: [float(str(value)) for value in found] for side, found in self.cosines.items()},
            "scores": {side: scores.to_dict() for side, scores in self.scores.items()},
            "by_pieces": {
                kind: {side: scores.to_dict() for side, scores in found.items()} for kind, found in self.by_pieces.items()
            },
            "resamples": self.resamples,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "WordReport":
        """The reverse of :meth:`to_dict`. Raises InputError for what is none."""
        try:
            skipped = tuple(map(Skipped.from_dict, values["words"]["skipped"]))
            lists = {name: tuple(values["words"][name]) for name in ("first", "second")}
            return cls(
                words=WordSet(**{**values["words"], **lists, "skipped": skipped}),
                sides=tuple(values["sides"]),
                used=read_only(np.array(values["used"], np.int64)),
                unknown=tuple(values["unknown"]),
                pieces={word: tuple(ids) for word, ids in values["pieces"].items()},
                cosines={side: read_only(np.array(found, np.float32)) for side, found in values["cosines"].items()},
                scores={side: SideScores.from_dict(found) for side, found in values["scores"].items()},
                by_pieces={
                    kind: {side: SideScores.from_dict(scores) for side, scores in found.items()}
                    for kind, found in values["by_pieces"].items()
                },
                resamples=values["resamples"],
                seed=values["seed"],
            )
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"this is no saved word report ({error}); compute it again") from error


def evaluate_words(
    sides: Mapping[str, "PretrainedModel"],
    words: WordSet,
    resamples: int = 2000,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> WordReport:
    """Spearman of the cosines of word vectors and human scores for each side, and the difference to the first side.

    sides: name -> model; the first is the reference. Pairs with a word that the tokenizer does not know (its unknown token)
    are left out and counted. Raises InputError if fewer than two pairs are left, ModelError without a tokenizer, Cancelled.
    """
    if not sides:
        raise InputError("there is no side to evaluate; give at least one model")
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
        found[name] = read_only(np.clip((left * right).sum(1), -1, 1).astype(np.float32))
    several = np.array([len(known[a]) > 1 or len(known[b]) > 1 for a, b in pairs], dtype=bool)
    groups = {None: np.ones(len(pairs), dtype=bool)}
    if several.any() and not several.all():
        groups |= {ONE_PIECE: ~several, SEVERAL_PIECES: several}
    gold, scores = words.gold[used], {}
    for number, (kind, chosen) in enumerate(groups.items()):
        step = part_of(progress, 0.4 + 0.6 * number / len(groups), 0.4 + 0.6 * (number + 1) / len(groups))
        part = {name: values[chosen] for name, values in found.items()}
        scores[kind] = score_sides(gold[chosen], part, METRICS, resamples, seed, step)
    return WordReport(
        words=words,
        sides=tuple(sides),
        used=read_only(used),
        unknown=tuple(word for word in distinct if word not in known),
        pieces=known,
        cosines=found,
        scores=scores.pop(None),
        by_pieces=scores,
        resamples=resamples,
        seed=seed,
    )


def word_pieces(model: "PretrainedModel", words: Sequence[str]) -> list[tuple[int, ...]]:
    """Ids of the pieces of each word as inside a sentence; empty for a word with an unknown piece, or one without a row.

    Raises ModelError (``no_tokenizer``) if the model has no tokenizer.
    """
    tokenizer, vocabulary = model.tokenizer, model.vocabulary
    bare = _ids(tokenizer, words)
    if vocabulary.scheme in ("byte_bpe", "sentencepiece"):
        # Some tokenizers of these schemes put the blank in front by themselves, and two of them would be another word.
        lacking = [place for place, ids in enumerate(bare) if ids and not _begins_a_word(vocabulary, ids[0])]
        for place, ids in zip(lacking, _ids(tokenizer, [f" {words[place]}" for place in lacking]), strict=True):
            bare[place] = ids if ids and _begins_a_word(vocabulary, ids[0]) else bare[place]
    unknown, rows = tokenizer.unk_token_id, model.num_tokens
    return [() if unknown in ids or max(ids, default=rows) >= rows else tuple(ids) for ids in bare]


def word_vectors(model: "PretrainedModel", pieces: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Word -> mean of the rows of its pieces, scaled to length 1 (zero stays zero), (D,) float64."""
    ids = sorted({number for row in pieces.values() for number in row})
    rows = dict(zip(ids, _rows(model, ids), strict=True))
    vectors = {}
    for word, row in pieces.items():
        mean = np.mean([rows[number] for number in row], axis=0)
        vectors[word] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return vectors


def _rows(model: "PretrainedModel", ids: list[int]) -> np.ndarray:
    """(n, D) float64 rows of a model's table, without building a whole reconstruction for a few of them."""
    import torch

    numbers = torch.tensor(ids, dtype=torch.long)
    module = getattr(model, "embedding", None)
    with torch.no_grad():
        rows = model.table[numbers] if module is None else module(numbers)
    return rows.double().numpy()


def _ids(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]


def _begins_a_word(vocabulary, number: int) -> bool:
    return number < len(vocabulary) and vocabulary.text[number][:1].isspace()
