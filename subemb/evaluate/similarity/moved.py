"""One sentence before and after: how far its vector moved on every side, and which of its tokens moved it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...base.errors import InputError
from ...base.progress import ProgressCallback, report
from ...base.shown import Brief
from ...models.model import PretrainedModel
from .effects import cosines
from .sentences import ReadSentence, checked_text, read_sentences

MOST_TOKENS = 128  # of a sentence whose tokens are replaced one by one


@dataclass(frozen=True, repr=False)
class MovedSentence(Brief):
    """A sentence vector on every side; the first side is the reference."""

    sentence: ReadSentence  # how the model reads it
    cosines: dict[str, float]  # side -> cosine of its vector with that of the first side
    #: (n,) the same cosine when that position's embedding alone is replaced by the compressed one; None for a longer sentence
    tokens: np.ndarray | None
    pooling: str  # how sentence vectors are made


def sentence_on_sides(
    sides: Mapping[str, PretrainedModel], text: str, progress: ProgressCallback | None = None
) -> MovedSentence:
    """How far a sentence's vector moves, and by which token. The first side is the original, the second the compressed one.

    Raises InputError for a sentence that is empty, too long (see LONGEST_SENTENCE) or without tokens, ModelError, Cancelled.
    """
    from .attribution import GivenEncoder, embed, encode_variants

    checked_text(text, "the sentence")
    reference, compressed = list(sides)[:2]
    report(progress, "loading the network", 0.0)
    for model in sides.values():
        model.network()
    sentence = read_sentences(sides[reference], [text])[0]
    if not sentence.ids:
        raise InputError("the sentence has no token that the model knows; write another one")
    vectors = {side: model.encode_ids([sentence.ids])[0].astype(np.float64) for side, model in sides.items()}
    start = vectors[reference]
    tokens = None
    if len(sentence.ids) <= MOST_TOKENS:
        original, replaced = (embed(sides[side], sentence.ids) for side in (reference, compressed))
        count = len(sentence.ids)

        def swapped(first: int, end: int):
            """(m, n, D): the original embeddings, each time with one of the compressed model's."""
            variants = original.repeat(end - first, 1, 1)
            for row, position in enumerate(range(first, end)):
                variants[row, position] = replaced[position]
            return variants

        encoded = encode_variants(GivenEncoder(sides[reference]), sentence.ids, count, swapped, progress, "swapping tokens")
        tokens = cosines(encoded, start)
    return MovedSentence(
        sentence,
        {side: float(cosines(start, vector)) for side, vector in vectors.items()},
        tokens,
        sides[reference].pooling,
    )
