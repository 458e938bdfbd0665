"""Low rank: the truncated singular value decomposition of the table about its mean, or of blocks of tokens by how much they count.

With token weights, tokens stand in BLOCKS blocks by their weight, the first the smallest, and a block whose tokens count more gets more
numbers a token (GroupReduce, Chen et al., NeurIPS 2018, arXiv 1806.06950). A weighted decomposition by rows, and by a sensitivity S, is
exact: that of ``sqrt(w) (x - mean) L`` with S = L L^T. The numbers of both factors are kept in 8 bits, a scale for each factor of a
block, and all together there are no more of them than in one decomposition of the same rank.

Measured on all-MiniLM-L6-v2, nothing trained, Spearman x 100 on SICK trial and SimLex (original 79.8 and 44.6): the plain decomposition of
rank 2, 248.8 kB, keeps 38.7 and -0.7; blocks of rank 8, 247.8 kB, 62.0 and 24.4, and as much with a sensitivity.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, part_of, report
from ..compressed import BaselineCompressed
from ..grids import SCALE_BYTES, from_stored, on_grid, to_stored
from ..packing import pack, packed_bytes
from ..sizes import FLOAT_BYTES, Size
from .base import NOTICED, Method, MethodSettings, TensorForm

torch = lazy_module("torch")


@dataclass(repr=False)
class LowRankCompressed(BaselineCompressed):
    """Row t is ``coefficients[t] @ components + mean``."""

    stored = ("coefficients", "components", "mean")
    coefficients: torch.Tensor  # (V, r) float32
    components: torch.Tensor  # (r, D) float32, orthonormal rows, strongest first
    mean: torch.Tensor  # (D,) float32

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.embedding(ids.long(), self.coefficients) @ self.components + self.mean

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.components.T @ self.coefficients.T + (hidden @ self.mean).unsqueeze(1)

    def size(self, model_parameters: int | None = None) -> Size:
        floats = sum(tensor.numel() for tensor in self.tensors().values())
        return Size(self.num_embeddings, self.embedding_dim, 0, floats, 0, model_parameters)


BLOCKS = 4  # their numbers have BLOCK_BITS bits a token
BLOCK_BITS = 2
FACTOR_BITS = 8  # of every number of the factors of blocks
SHARES = (1, 2, 4, 8)  # of the tokens, in proportion
GRAM = 0.18  # nanoseconds of one thread, for each of V x D x D: the Gram matrix, and both factors
FALL = 2  # a block's rank is that of the block before divided by it, but at least 1


@dataclass(repr=False)
class BlockwiseCompressed(BaselineCompressed):
    """Row t is ``its coefficients @ the components of its block + the mean of its block``."""

    stored = ("coefficients", "components", "mean", "members")
    #: (sum of n_b r_b,) float32: (n_b, r_b) of the blocks, one after the other, tokens in order of their ids; numbers that 8 bits can say
    coefficients: torch.Tensor
    components: torch.Tensor  # (sum of r_b, D) float32, numbers that 8 bits can say
    mean: torch.Tensor  # (BLOCKS, D) float32
    members: torch.Tensor  # (ceil(V / 4),) uint8: the block of every token, packed in BLOCK_BITS bits (subemb.codec.packing)

    @property
    def ranks(self) -> list[int]:
        """r_b of every block."""
        return block_ranks(self.settings.rank, self.num_embeddings, self.embedding_dim)

    @cached_property
    def blocks(self) -> torch.Tensor:
        """(V,) int64: the block of every token."""
        return _blocks(self.members, self.num_embeddings)

    @cached_property
    def _parts(self) -> list[tuple[torch.Tensor, ...]]:
        """Of every block: its tokens (n,), their coefficients (n, r), its components (r, D), its mean (D,)."""
        blocks, ranks = self.blocks, self.ranks
        tokens = [torch.nonzero(blocks == block).flatten() for block in range(BLOCKS)]
        flat = self.coefficients.split([len(part) * rank for part, rank in zip(tokens, ranks, strict=True)])
        return [
            (part, numbers.view(len(part), rank), components, mean)
            for part, numbers, rank, components, mean in zip(
                tokens, flat, ranks, self.components.split(ranks), self.mean, strict=True
            )
        ]

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        blocks = torch.nn.functional.embedding(ids, self.blocks[:, None])[..., 0]  # checks the range of the ids
        found = torch.nn.functional.embedding(blocks, self.mean)  # a copy, for a single token too
        for block, (tokens, coefficients, components, _) in enumerate(self._parts):
            here = blocks == block
            places = torch.searchsorted(tokens, ids[here])
            found[here] = found[here] + coefficients[places] @ components
        return found

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        parts = self._parts
        logits = [
            hidden @ components.T @ coefficients.T + (hidden @ mean).unsqueeze(1) for _, coefficients, components, mean in parts
        ]
        order = torch.cat([tokens for tokens, _, _, _ in parts])
        return torch.cat(logits, 1)[:, torch.argsort(order)]

    def size(self, model_parameters: int | None = None) -> Size:
        numbers = self.coefficients.numel() + self.components.numel()
        return _block_size(self.num_embeddings, self.embedding_dim, numbers, model_parameters)


def _blocks(members: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """What :func:`~.packing.unpack` gives, on the device of ``members``."""
    shifts = torch.arange(0, 8, BLOCK_BITS, device=members.device)
    return (members[:, None].long() >> shifts & BLOCKS - 1).flatten()[:vocabulary]


def _block_size(vocabulary: int, dim: int, numbers: int, model_parameters: int | None = None) -> Size:
    """numbers: of both factors of all blocks."""
    bits = FACTOR_BITS * numbers + 2 * BLOCKS * 8 * SCALE_BYTES + BLOCK_BITS * vocabulary
    return Size(vocabulary, dim, 0, other_parameters=BLOCKS * dim, code_bits=bits, model_parameters=model_parameters)


def block_lengths(vocabulary: int) -> list[int]:
    """Tokens of every block.

    >>> block_lengths(30522), block_lengths(3)
    ([2034, 4070, 8139, 16279], [0, 0, 1, 2])
    """
    ends = [vocabulary * sum(SHARES[: block + 1]) // sum(SHARES) for block in range(BLOCKS)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def block_ranks(rank: int, vocabulary: int, dim: int) -> list[int]:
    """r_b of every block: in the proportions that FALL says, at least 1 where that can be, and as many as one decomposition of this rank
    pays for, in 8 bits too, with the means and the numbers of the blocks.

    >>> block_ranks(48, 30522, 384), block_ranks(2, 30522, 384)
    ([173, 83, 41, 20], [6, 2, 1, 1])
    """
    lengths = block_lengths(vocabulary)
    limits = [min(length, dim) for length in lengths]
    prices = [length + dim for length in lengths]
    budget = rank * (vocabulary + dim) + FLOAT_BYTES * dim - _block_size(vocabulary, dim, 0).total_bytes

    def ranks_of(first: int) -> list[int]:
        return [min(limit, max(1, first // FALL**block)) for block, limit in enumerate(limits)]

    def cost(ranks: list[int]) -> int:
        return sum(each * price for each, price in zip(ranks, prices, strict=True))

    firsts = range(1, FALL**BLOCKS * dim + 1)
    count = bisect_right(firsts, budget, key=lambda first: cost(ranks_of(first)))
    ranks = ranks_of(firsts[count - 1]) if count else [0] * BLOCKS
    for block in range(BLOCKS):  # what is left
        while ranks[block] < limits[block] and cost(ranks) + prices[block] <= budget:
            ranks[block] += 1
    return ranks


class LowRank(Method):
    """Best rank-r approximation of ``table - mean`` in squared error (Eckart and Young, 1936), weighted where tokens or axes are.

    The directions are the eigenvectors of the (D, D) Gram matrix, summed in float64 over chunks of rows: for V much larger
    than D that costs a fraction of an SVD of the table and holds nothing of size V besides the result.
    """

    key = "low_rank"
    title = "Low rank (SVD)"
    summary = "The table as a product of two thin matrices about its mean, with more numbers for tokens that count more."
    reads = ("rank", "weights", "sensitive")
    can_be_sensitive = True

    def resolve(self, settings: MethodSettings, vocabulary: int, dim: int) -> MethodSettings:
        limit = min(vocabulary, dim)
        rank = settings.rank if settings.rank is not None else max(1, dim // 8)
        if rank > limit:
            raise InputError(f"rank {rank} is more than this table of {vocabulary} x {dim} allows; choose 1 to {limit}")
        sensitive = bool(settings.sensitive)
        digest = settings.text_digest if sensitive or settings.weights != "none" else None
        return replace(super().resolve(settings, vocabulary, dim), rank=rank, sensitive=sensitive, text_digest=digest)

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> LowRankCompressed | BlockwiseCompressed:
        vocabulary, dim = table.shape
        settings = self.resolve(settings, vocabulary, dim)
        if not settings.sensitive:
            sensitivity = None
        if weights is None:
            settings = replace(settings, weights="none")
        if _is_whole(settings):
            everybody = torch.arange(vocabulary, device=table.device)
            found = _decomposed(table, everybody, settings.rank, None, sensitivity, progress)
            return LowRankCompressed(settings, vocabulary, dim, *found)
        each = weights.cpu()
        blocks = torch.empty(vocabulary, dtype=torch.long)
        lengths, ranks = block_lengths(vocabulary), block_ranks(settings.rank, vocabulary, dim)
        # Of tokens that weigh alike, the first come first.
        blocks[torch.argsort(each, descending=True, stable=True)] = torch.repeat_interleave(
            torch.arange(BLOCKS), torch.tensor(lengths)
        )
        found, done = [], 0
        for block, rank in enumerate(ranks):
            tokens = torch.nonzero(blocks == block).flatten()
            told = part_of(progress, done / vocabulary, (done + len(tokens)) / vocabulary)
            found.append(_on_grid(*_decomposed(table, tokens.to(table.device), rank, each[tokens], sensitivity, told)))
            done += len(tokens)
        coefficients, components, means = zip(*found, strict=True)
        return BlockwiseCompressed(
            settings,
            vocabulary,
            dim,
            torch.cat([part.flatten() for part in coefficients]),
            torch.cat(components),
            torch.stack(means),
            torch.from_numpy(pack(blocks.numpy(), BLOCK_BITS)),
        )

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        if _is_whole(settings):
            floats = settings.rank * (vocabulary + dim) + dim  # two factors and the mean
            return Size(vocabulary, dim, 0, other_parameters=floats)
        lengths, ranks = block_lengths(vocabulary), block_ranks(settings.rank, vocabulary, dim)
        numbers = sum(rank * (length + dim) for rank, length in zip(ranks, lengths, strict=True))
        return _block_size(vocabulary, dim, numbers)

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        if _is_whole(settings):
            return {
                "coefficients": TensorForm((vocabulary, settings.rank), torch.float32),
                "components": TensorForm((settings.rank, dim), torch.float32),
                "mean": TensorForm((dim,), torch.float32),
            }
        lengths, ranks = block_lengths(vocabulary), block_ranks(settings.rank, vocabulary, dim)
        numbers = sum(rank * length for rank, length in zip(ranks, lengths, strict=True))
        return {
            "coefficients": TensorForm((numbers,), torch.int8),
            "components": TensorForm((sum(ranks), dim), torch.int8),
            "scales": TensorForm((2, BLOCKS), torch.bfloat16),  # of coefficients and components
            "mean": TensorForm((BLOCKS, dim), torch.float32),
            "members": TensorForm((packed_bytes(vocabulary, BLOCK_BITS),), torch.uint8),
        }

    def check_tensors(self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor]) -> None:
        super().check_tensors(settings, vocabulary, dim, tensors)
        if not _is_whole(settings):
            blocks = _blocks(tensors["members"], vocabulary)
            lengths = torch.bincount(blocks, minlength=BLOCKS).tolist()
            if lengths != block_lengths(vocabulary):
                raise InputError(f"its blocks have {lengths} tokens; they must have {block_lengths(vocabulary)}")

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> LowRankCompressed | BlockwiseCompressed:
        if _is_whole(settings):
            return LowRankCompressed(settings, vocabulary, dim, **tensors, **notes)
        lengths, ranks = block_lengths(vocabulary), block_ranks(settings.rank, vocabulary, dim)
        sizes = [length * rank for length, rank in zip(lengths, ranks, strict=True)]
        tensors, scales = dict(tensors), tensors["scales"]
        del tensors["scales"]
        for name, parts, each in zip(("coefficients", "components"), (sizes, ranks), scales, strict=True):
            found = zip(tensors[name].split(parts), each, strict=True)
            tensors[name] = torch.cat([from_stored(part, scale) for part, scale in found])
        return BlockwiseCompressed(settings, vocabulary, dim, **tensors, **notes)

    def tensors(self, compressed: LowRankCompressed | BlockwiseCompressed) -> dict[str, torch.Tensor]:
        if not isinstance(compressed, BlockwiseCompressed):
            return compressed.tensors()
        lengths, ranks = block_lengths(compressed.num_embeddings), compressed.ranks
        sizes = [length * rank for length, rank in zip(lengths, ranks, strict=True)]
        tensors, scales = compressed.tensors(), []
        for name, parts in (("coefficients", sizes), ("components", ranks)):
            stored = [_stored(part) for part in tensors[name].split(parts)]
            tensors[name] = torch.cat([numbers for numbers, _ in stored])
            scales.append(torch.stack([scale for _, scale in stored]))
        return {**tensors, "scales": torch.stack(scales)}

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        return (GRAM + (NOTICED if settings.sensitive else 0.0)) * vocabulary * dim * dim

    def at_bytes(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> MethodSettings:
        each = FLOAT_BYTES if _is_whole(settings) else FACTOR_BITS // 8
        rank = round((target - FLOAT_BYTES * dim) / (each * (vocabulary + dim)))  # every rank adds V + D numbers
        return self.resolve(replace(settings, rank=max(1, min(rank, vocabulary, dim))), vocabulary, dim)


def _is_whole(settings: MethodSettings) -> bool:
    """Whether all tokens count alike, so that they stand in one block."""
    return settings.weights == "none"


def _decomposed(
    table: torch.Tensor,
    tokens: torch.Tensor,
    rank: int,
    weights: torch.Tensor | None,
    sensitivity: torch.Tensor | None,
    progress: ProgressCallback | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Coefficients (n, r), components (r, D) and mean (D,) of n tokens, float32 on the CPU."""
    from ..chunks import row_slices
    from ..sensitive import definite

    dim, device = table.shape[1], table.device
    if not len(tokens):
        return torch.zeros(0, rank), torch.zeros(rank, dim), torch.zeros(dim)
    each = torch.ones(len(tokens), dtype=torch.float64, device=device) if weights is None else weights.double().to(device)
    mean = sum(each[part] @ table[tokens[part]].double() for part, _ in row_slices(len(tokens))) / each.sum()
    gram = torch.zeros(dim, dim, dtype=torch.float64, device=device)
    for part, done in row_slices(len(tokens)):
        rows = table[tokens[part]].double() - mean
        gram.addmm_(rows.T, rows * each[part, None])
        report(progress, "measuring directions", 0.6 * done)
    if sensitivity is None:
        vectors = torch.linalg.eigh(gram)[1].flip(1)[:, :rank].T  # eigh sorts upwards
        components = (vectors * _signs(vectors)).contiguous()
        inward = components.T
    else:  # in axes turned and stretched by L, where an error costs its square
        root = torch.linalg.cholesky(definite(sensitivity).double().to(device))
        vectors = torch.linalg.eigh(root.T @ gram @ root)[1].flip(1)[:, :rank].T
        components = torch.linalg.solve_triangular(root, vectors, upper=False, left=False)
        signs = _signs(components)
        components, inward = components * signs, root @ (vectors * signs).T
    coefficients = torch.empty(len(tokens), rank, dtype=torch.float32)
    for part, done in row_slices(len(tokens)):
        coefficients[part] = ((table[tokens[part]].double() - mean) @ inward).float().cpu()
        report(progress, "projecting rows", 0.7 + 0.3 * done)
    return coefficients, components.float().cpu(), mean.float().cpu()


def _on_grid(coefficients: torch.Tensor, components: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The numbers that 8 bits can say. Strong directions move from the coefficients, which then are all of one size, to the components."""
    strength = coefficients.square().mean(0).sqrt().nan_to_num()
    strength = torch.where(strength > 0, strength, 1.0)
    return on_grid(coefficients / strength, FACTOR_BITS), on_grid(components * strength[:, None], FACTOR_BITS), mean


def _stored(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers in 8 bits and their scale; there may be none."""
    if not numbers.numel():
        return numbers.to(torch.int8), torch.zeros((), dtype=torch.bfloat16)
    return to_stored(numbers, FACTOR_BITS)


def _signs(vectors: torch.Tensor) -> torch.Tensor:
    """(r, 1) signs that make the largest entry of every row positive: an eigenvector's own sign is left to chance."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return torch.where(largest < 0, -1.0, 1.0).to(vectors.dtype)
