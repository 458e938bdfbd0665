"""Rows of token ids drawn from a vocabulary, where no text is given to read."""

from typing import Any

import numpy as np

from ..base.errors import InputError
from ..codec.weights import model_weights

_NEVER_DRAWN = ("special", "unused", "padding row")  # kinds of tokens


def sampled_rows(model: Any, count: int, seed: int = 0) -> list[list[int]]:
    """Rows of token ids that make no sense, but use the vocabulary as texts do: for adapting without any text.

    A row has 4 to 24 tokens between the special tokens that the tokenizer puts around a text. Words come by their estimated
    frequency to the power 0.75, so that rare ones are seen too; word pieces that continue a word only follow a word or a piece.
    """
    before, after = _frame(model)
    vocabulary = model.vocabulary
    chances = np.asarray(model_weights(model, "vocabulary"), dtype=np.float64) ** 0.75
    kinds = np.asarray([str(kind) for kind in vocabulary.kinds])
    chances[np.isin(kinds, _NEVER_DRAWN)] = 0.0
    if not chances.any():
        raise InputError(f"{model.name} has no ordinary tokens to draw from; give a text")
    starts = np.where(kinds == "word piece", 0.0, chances)
    if not starts.any():
        starts = chances
    generator = np.random.default_rng([seed, 0x5EED])
    lengths = generator.integers(4, 25, count)
    first = generator.choice(len(starts), size=int(lengths.sum()), p=starts / starts.sum())
    later = generator.choice(len(chances), size=len(first), p=chances / chances.sum())
    rows, place = [], 0
    for length in lengths.tolist():
        own = later[place : place + length].copy()
        own[0] = first[place]
        rows.append([*before, *own.tolist(), *after])
        place += length
    return rows


def _frame(model: Any) -> tuple[list[int], list[int]]:
    """The special tokens before and after a text."""
    empty, some = model.token_ids(["", "a"])
    shared = next((i for i, pair in enumerate(zip(empty, some, strict=False)) if pair[0] != pair[1]), len(empty))
    return empty[:shared], empty[shared:]
