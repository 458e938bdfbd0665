"""Trim: the tokens that count most keep their rows as they are, and every other one borrows the row of the kept token most like it.

Whatever a text is made of kept tokens only, the model answers as before, to the last bit. What the others become was measured on
all-MiniLM-L6-v2, nothing trained, Spearman x 100 on STS-B dev (original 86.7), with 5,000 of its 30,522 tokens kept by the default
weights: one vector for all, their mean, 68.7; the nearest kept row by Euclid 69.2, which prefers short rows; the mean of the pieces
into which a tokenizer without the dropped token would cut it 80.5; the kept row at the smallest angle 83.7, and 86.1 of 10,000 tokens.
So it is the last; it also needs no tokenizer, and takes ceil(log2 K) bits a token.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, report
from ..compressed import BaselineCompressed
from ..membership import from_bytes, membership_bytes, to_bytes
from ..packing import CodesIn, pack, packed_bytes, unpack
from ..sizes import Size, code_bits_each
from .base import Method, MethodSettings, TensorForm

np = lazy_module("numpy")
torch = lazy_module("torch")

USED = "used"  # keep: all tokens that the text uses
AUTOMATIC = 0.25  # of the tokens, where no text tells
LEAST = 0.05  # of the tokens: rows of fewer are nothing to compare with at a given size
_KEEP = re.compile(r"(\d{1,12})|(\d{1,3}(?:\.\d{1,6})?)\s*%")
_AT_ONCE = 2**22  # cosines at a time
MULTIPLY, COMPARE = 0.045, 0.8  # nanoseconds of one thread, for each of dropped x kept x D, and of dropped x kept


def kept_of(text: str, vocabulary: int | None = None) -> int | None:
    """How many of V tokens keep their rows: ``8000``, ``25%`` or ``used``; None for the last. Raises InputError.

    >>> kept_of("8000", 30522), kept_of("25%", 30522), kept_of("used")
    (8000, 7630, None)
    """
    text = text.strip().lower()
    if text == USED:
        return None
    match = _KEEP.fullmatch(text)
    if match is None:
        raise InputError(
            f"keep is {text[:80]!r}; give a number of tokens, a share such as 25%, or {USED}: those that a text uses"
        )
    share = None if match[2] is None else float(match[2])
    count = int(match[1]) if share is None else max(1, round(share / 100 * (vocabulary or 1))) if 0 < share <= 100 else 0
    if count < 1:
        raise InputError(f"keep is {text[:80]!r}; at least one token has to keep its row, and at most all: give 1 or more")
    if vocabulary is not None and count > vocabulary:
        raise InputError(f"keep is {count:,}; the table has {vocabulary:,} tokens: give that or less")
    return count


@dataclass(repr=False)
class TrimmedCompressed(BaselineCompressed):
    """Row t is ``vectors[row_of[t]]``."""

    stored = ("vectors", "kept", "row_of")
    vectors: torch.Tensor  # (K, D) float32, the rows of the kept tokens
    kept: torch.Tensor  # (K,) int64, their ids, ascending
    row_of: torch.Tensor  # (V,) int32: which of the rows stands for each token; for a kept one its own

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        functional = torch.nn.functional
        return functional.embedding(functional.embedding(ids.long(), self.row_of[:, None])[..., 0], self.vectors)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        # rows of the transposed logits are contiguous, so this picks whole rows
        return (self.vectors.to(hidden.dtype) @ hidden.T).index_select(0, self.row_of).T

    def size(self, model_parameters: int | None = None) -> Size:
        return _size(len(self.vectors), self.num_embeddings, self.embedding_dim, model_parameters)

    @property
    def stand_ins(self) -> torch.Tensor:
        """(V,) int64: the id of the token whose row each token has; a kept one's own."""
        return self.kept[self.row_of.long()]


class Trim(Method):
    """Rows of some tokens, and for every other token which of them it borrows."""

    key = "trim"
    title = "Trim"
    summary = "Frequent tokens keep their rows, or those of your text; every other token borrows the row most like its own."
    reads = ("keep", "weights")
    packed = "borrowed rows"
    keeps_rows = True

    def resolve(self, settings: MethodSettings, vocabulary: int, dim: int) -> MethodSettings:
        keep = settings.keep
        if keep is None:
            keep = USED if settings.weights in ("counts", "sqrt_counts", "list") else f"{100 * AUTOMATIC:g}%"
        count = kept_of(keep, vocabulary)
        return replace(super().resolve(settings, vocabulary, dim), keep=USED if count is None else str(count))

    def is_guess(self, settings: MethodSettings) -> bool:
        return settings.keep == USED

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> TrimmedCompressed:
        vocabulary, dim = table.shape
        settings, info = self.resolve(settings, vocabulary, dim), {}
        if settings.keep == USED:
            from ..blocks import WEIGHT_FLOOR

            if weights is None:
                raise InputError(
                    "nothing tells which tokens are used; give token counts of a text, or a number of tokens to keep"
                )
            count = int((weights > 2 * WEIGHT_FLOOR).sum())
            settings, info = replace(settings, keep=str(count)), {"keep": USED}
        count = int(settings.keep)
        # the heaviest first; of equal ones the lower id
        order = torch.arange(vocabulary) if weights is None else torch.argsort(weights.cpu(), descending=True, stable=True)
        kept, others = order[:count].sort().values, order[count:].sort().values
        row_of = torch.empty(vocabulary, dtype=torch.int32)
        row_of[kept] = torch.arange(count, dtype=torch.int32)
        row_of[others] = most_alike(table, others, kept, progress).int()
        rows = table[kept.to(table.device)].float().cpu()
        return TrimmedCompressed(settings, vocabulary, dim, rows, kept, row_of, info=info)

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        return _size(_count(settings, vocabulary), vocabulary, dim)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        return searching(vocabulary - _count(settings, vocabulary), _count(settings, vocabulary), dim)

    def at_bytes(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> MethodSettings | None:
        # nearly all bytes are rows, so the nearest size is near the target over their bytes
        def away(count: int) -> int:
            return abs(_size(count, vocabulary, dim).total_bytes - target)

        low, high = 1, vocabulary
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if _size(middle, vocabulary, dim).total_bytes < target else (low, middle)
        count = min((max(1, low - 1), low, vocabulary), key=away)  # of all rows nothing has to tell which they are
        return self.resolve(replace(settings, keep=str(count)), vocabulary, dim) if count >= LEAST * vocabulary else None

    # The saved form: ``vectors`` (K, D) float32; ``kept``, which tokens they belong to (subemb.codec.membership); ``row_of`` of the other
    # tokens in the order of their ids, packed in bits (subemb.codec.packing)

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        count = int(settings.keep)
        return {
            "vectors": TensorForm((count, dim), torch.float32),
            "kept": TensorForm((membership_bytes(count, vocabulary),), torch.uint8),
            "row_of": TensorForm((packed_bytes(vocabulary - count, code_bits_each(count)),), torch.uint8),
        }

    def codes_in(self, settings: MethodSettings, vocabulary: int, dim: int) -> list[CodesIn]:
        count = int(settings.keep)
        bits = code_bits_each(count)
        return [CodesIn("row_of", 0, vocabulary - count, 1, bits)] if count < vocabulary and 0 < bits <= 16 else []

    def tensors(self, compressed: TrimmedCompressed) -> dict[str, torch.Tensor]:
        kept, row_of = compressed.kept.cpu().numpy(), compressed.row_of.cpu().numpy()
        count, vocabulary = len(kept), compressed.num_embeddings
        borrowed = np.delete(row_of, kept)
        if len(row_of) != vocabulary or (len(borrowed) and not 0 <= borrowed.min() <= borrowed.max() < count):
            raise InputError(f"the rows that tokens borrow must be 0 to {count - 1}, one for each of {vocabulary} tokens")
        return {
            "vectors": compressed.vectors,
            "kept": torch.from_numpy(to_bytes(kept, vocabulary)),
            "row_of": torch.from_numpy(pack(borrowed, code_bits_each(count))),
        }

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> TrimmedCompressed:
        count = int(settings.keep)
        kept = from_bytes(tensors["kept"].numpy(), count, vocabulary)
        borrowed = borrowed_rows(tensors["row_of"].numpy(), vocabulary - count, count)
        row_of = np.empty(vocabulary, np.int32)
        row_of[kept] = np.arange(count)
        row_of[np.delete(np.arange(vocabulary), kept)] = borrowed
        parts = tensors["vectors"], torch.from_numpy(kept), torch.from_numpy(row_of)
        return TrimmedCompressed(settings, vocabulary, dim, *parts, **notes)


def borrowed_rows(packed: np.ndarray, tokens: int, count: int) -> np.ndarray:
    """(tokens,) rows below ``count``, as they were packed. Raises InputError for one that is not there."""
    borrowed = unpack(packed, tokens, code_bits_each(count))
    if len(borrowed) and (highest := int(borrowed.max())) >= count:
        raise InputError(f"a token borrows row {highest}; there are {count} rows")
    return borrowed


def most_alike(
    table: torch.Tensor, others: torch.Tensor, kept: torch.Tensor, progress: ProgressCallback | None = None
) -> torch.Tensor:
    """Place in ``kept`` of the row at the smallest angle to each of the rows ``others``: (n,) int64. Raises Cancelled.

    naive: [argmax_k cos(table[i], table[kept[k]]) for i in others]
    """
    unit = torch.nn.functional.normalize
    rows, found = unit(table[kept.to(table.device)].float()).T.contiguous(), []
    step = max(1, _AT_ONCE // max(1, len(kept)))
    for start in range(0, len(others), step):
        report(progress, "finding the row most like each", start / len(others))
        part = unit(table[others[start : start + step].to(table.device)].float())
        found.append((part @ rows).argmax(1).cpu())
    report(progress, "finding the row most like each", 1.0)
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)


def searching(others: int, kept: int, dim: int) -> float:
    """Nanoseconds of one thread for :func:`most_alike`."""
    return float(others) * kept * (MULTIPLY * dim + COMPARE)


def _count(settings: MethodSettings, vocabulary: int) -> int:
    """K; before a text was counted what it would be without one."""
    return kept_of(settings.keep, vocabulary) or max(1, math.ceil(AUTOMATIC * vocabulary))


def _size(count: int, vocabulary: int, dim: int, model_parameters: int | None = None) -> Size:
    borrowed = packed_bytes(vocabulary - count, code_bits_each(count))
    bits = 8 * (membership_bytes(count, vocabulary) + borrowed)
    return Size(vocabulary, dim, 0, other_parameters=count * dim, code_bits=bits, model_parameters=model_parameters)
