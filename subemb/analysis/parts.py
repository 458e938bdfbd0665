"""The parts of a result that have codebooks of their own: all tokens together, or the tokens of each tier.

Codes say something only beside codes of the same codebooks: tokens of different parts share nothing, whatever their numbers are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..base.shown import Brief
from ..codec.compressed import Compressed, SubspaceCompressed
from ..codec.methods.tiered import TieredCompressed
from ..codec.methods.tiers import EXACT, NEAREST, Tier, parsed


@dataclass(frozen=True, repr=False)
class Part(Brief):
    """Tokens whose codes belong to the same codebooks."""

    number: int  # of the tier, from 1 for the heaviest tokens; 1 for a result without tiers
    ids: np.ndarray  # (n,) int64 ascending
    compressed: Compressed  # of these tokens, in this order
    codes: np.ndarray | None  # (n, f) in the type that is stored, not to be changed; None where whole rows are kept
    form: Tier | None = None  # how the tier is kept; None for a result without tiers

    @property
    def subspaces(self) -> int:
        """f, 0 for whole rows."""
        return 0 if self.codes is None else self.codes.shape[1]

    def rows_of(self, table: torch.Tensor) -> torch.Tensor:
        """The rows of a (V, D) table that belong to these tokens: (n, D)."""
        return table if self.form is None else table[torch.from_numpy(self.ids)]


def parts_of(compressed: Compressed) -> list[Part]:
    """The parts of a result, at least one; together they have every token once."""
    if isinstance(compressed, TieredCompressed):
        return [_tier(compressed, number, form) for number, form in enumerate(parsed(compressed.settings.tiers))]
    codes = compressed.codes.numpy() if isinstance(compressed, SubspaceCompressed) else None
    return [Part(1, np.arange(compressed.num_embeddings), compressed, codes)]


def identical(parts: Sequence[Part]) -> np.ndarray:
    """(V,) how many other tokens have the very codes of each: they cannot be told apart any more. 0 for tokens whose row is kept."""
    found = np.zeros(sum(len(part.ids) for part in parts), dtype=np.int64)
    for part in parts:
        if part.codes is not None:
            _, group, size = np.unique(part.codes, axis=0, return_inverse=True, return_counts=True)
            found[part.ids] = size[group.ravel()] - 1
    return found


def _tier(compressed: TieredCompressed, number: int, form: Tier) -> Part:
    part = compressed.part_of_tier(number)
    # exact rows are a codebook with one row a token
    has_codes = isinstance(part, SubspaceCompressed) and form.kind not in (EXACT, NEAREST)
    ids = np.flatnonzero(compressed.tier.numpy() == number)
    return Part(number + 1, ids, part, part.codes.numpy() if has_codes else None, form)


def stand_in(compressed: Compressed, token: int) -> int | None:
    """The token whose row a token has in place of one of its own; None for most."""
    stand_ins = getattr(compressed, "stand_ins", None)
    found = token if stand_ins is None else int(stand_ins[token])
    return None if found == token else found


def borrowers(compressed: Compressed, token: int) -> int:
    """How many other tokens have the row of a token."""
    stand_ins = getattr(compressed, "stand_ins", None)
    return 0 if stand_ins is None or int(stand_ins[token]) != token else int((stand_ins == token).sum()) - 1


def places_of(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """For every token (V,) the index of its part in ``parts``, and its row there."""
    count = sum(len(part.ids) for part in parts)
    index, row = np.empty(count, dtype=np.uint8), np.empty(count, dtype=np.int64)
    for place, part in enumerate(parts):
        index[part.ids], row[part.ids] = place, np.arange(len(part.ids))
    return index, row
