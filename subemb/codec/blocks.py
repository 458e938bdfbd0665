"""A table cut into subspaces, and the two halves of every assignment: nearest codes, and codebooks given codes.

Everything here is batched over subspaces of equal width and walks over the tokens in chunks, so that memory stays bounded.
Axis letters: V tokens, D dimensions, f subspaces, Q codebook size, d_i width of subspace i, g subspaces of equal width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch

from .subspaces import subspace_widths

CHUNK_ELEMENTS = {"cpu": 2**19, "cuda": 2**26}  # distances held at once: 2 MB stay in a core's cache, 256 MB on a GPU
WEIGHT_FLOOR = 1e-9  # of the mean weight: a token of weight 0 follows without pulling, and no division by zero


@dataclass
class Blocks:
    """A table about its mean, in units of its root mean square, cut into subspaces."""

    groups: list[tuple[int, torch.Tensor]]  # one or two (first subspace, (g, V, d) float32): equal widths lie together
    weights: torch.Tensor | None  # (V,) float32 of mean 1, or None for equal weights
    widths: list[int]  # d_1..d_f

    @classmethod
    def cut(cls, centred: torch.Tensor, subspaces: int, weights: torch.Tensor | None) -> "Blocks":
        """Cut a (V, D) table; ``weights`` (V,) of mean 1 or None."""
        widths = subspace_widths(centred.shape[1], subspaces)
        wider = _wider(widths)
        split = wider * widths[0]
        groups = [(0, _stacked(centred[:, :split], wider))]
        if wider < subspaces:
            groups.append((wider, _stacked(centred[:, split:], subspaces - wider)))
        return cls(groups, weights, widths)

    @classmethod
    def of_table(
        cls, table: torch.Tensor, mean: torch.Tensor, unit: float, subspaces: int, weights: torch.Tensor | None
    ) -> "Blocks":
        """Cut a (V, D) table about its (weighted) ``mean`` (D,), in units of ``unit``: :func:`centred_in_units` and :meth:`cut` in one pass."""
        if not _in_loops(table):
            return cls.cut(centred_in_units(table, mean, unit), subspaces, weights)
        from .kernels import centred, table_moments

        widths = subspace_widths(table.shape[1], subspaces)
        parts = centred(table, mean, unit, widths)
        wider = _wider(widths)
        groups = [(first, _behind(parts[first:last])) for first, last in ((0, wider), (wider, subspaces)) if first < last]
        blocks = cls(groups, weights, widths)

        def of_subspaces(spreads) -> torch.Tensor:
            return torch.stack([part.sum() for part in torch.from_numpy(spreads).split(widths)]) / unit**2

        plain = of_subspaces(table_moments(table, None)[1])
        blocks.variances = plain, plain if weights is None else of_subspaces(table_moments(table, weights)[1])
        return blocks

    @property
    def vocabulary(self) -> int:
        return self.groups[0][1].shape[1]

    @property
    def subspaces(self) -> int:
        return len(self.widths)

    @property
    def device(self) -> torch.device:
        return self.groups[0][1].device

    def axis(self, i: int) -> torch.Tensor:
        """(V, d_i): the vectors of subspace i."""
        for first, vectors in reversed(self.groups):
            if i >= first:
                return vectors[i - first]
        raise IndexError(i)

    def sample(self, tokens: int, generator: torch.Generator) -> "Blocks":
        """Some tokens, all different, as good for the means of members as all of them.

        Without weights any are as likely. With weights half of the chance goes by weight, and those that were likelier count less, so
        that the heaviest are always among them and no weight grows out of proportion.
        """
        rate = torch.ones(self.vocabulary) if self.weights is None else (1 + self.weights.cpu()) / 2
        waits = torch.empty(self.vocabulary).exponential_(generator=generator) / rate
        chosen = waits.topk(tokens, largest=False).indices.sort().values.to(self.device)
        weights = None
        if self.weights is not None:
            chance = -torch.expm1(-tokens / self.vocabulary * rate.to(self.device)[chosen])
            weights = self.weights[chosen] / chance
            weights = weights / weights.mean()
        groups = [(first, x[:, chosen].contiguous()) for first, x in self.groups]
        return Blocks(groups, weights, self.widths)

    def split_codes(self, codes: torch.Tensor) -> list[torch.Tensor]:
        """(V, f) codes as one (g, V) tensor a group."""
        return [codes[:, first : first + len(x)].T for first, x in self.groups]

    def join_codes(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """The inverse of :meth:`split_codes`: (V, f) int64."""
        return torch.cat(parts).T.contiguous()

    @cached_property
    def variances(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of squares about the (weighted) mean per subspace: unweighted and weighted, both (f,) float64."""
        plain = torch.cat([spread(x, None) for _, x in self.groups])
        if self.weights is None:
            return plain, plain
        return plain, torch.cat([spread(x, self.weights) for _, x in self.groups])

    def squared_errors(self, codes: torch.Tensor, codebooks: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared error per subspace of codes (V, f) with one (g, Q, d) codebook a group: unweighted and weighted (f,)."""
        if _in_loops(self.groups[0][1]):
            from .kernels import code_errors

            found = [
                code_errors(x, part, book, self.weights)
                for (_, x), book, part in zip(self.groups, codebooks, self.split_codes(codes), strict=True)
            ]
            return torch.cat([plain for plain, _ in found]), torch.cat([weighted for _, weighted in found])
        plain, weighted = [], []
        for (_, x), book, part in zip(self.groups, codebooks, self.split_codes(codes), strict=True):
            for i in range(len(x)):
                distance = (x[i] - book[i][part[i]]).square().sum(-1)
                plain.append(distance.sum(dtype=torch.float64))
                weighted.append(plain[-1] if self.weights is None else distance.double() @ self.weights.double())
        return torch.stack(plain), torch.stack(weighted)


def _wider(widths: list[int]) -> int:
    """How many subspaces are as wide as the first."""
    return sum(width == widths[0] for width in widths)


def _behind(parts: list[torch.Tensor]) -> torch.Tensor:
    """g parts (V, d) that lie one behind the other in memory, as one (g, V, d)."""
    return parts[0].as_strided((len(parts), *parts[0].shape), (parts[0].numel(), *parts[0].stride()))


def _stacked(table: torch.Tensor, pieces: int) -> torch.Tensor:
    """(V, g * d) -> (g, V, d)."""
    return table.reshape(len(table), pieces, -1).transpose(0, 1).contiguous()


def spread(x: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Sum over tokens of squared distances to the mean: (g, V, d) -> (g,) float64."""
    if _in_loops(x):
        from .kernels import moments

        return torch.tensor([moments(part, weights)[1].sum() for part in x], dtype=torch.float64)
    total = []
    for part in x:
        part = part.double()
        if weights is None:
            total.append((part - part.mean(0)).square().sum())
        else:
            w = weights.double()
            total.append(((part - w @ part / w.sum()).square().sum(-1) * w).sum())
    return torch.stack(total)


def _in_loops(x: torch.Tensor) -> bool:
    """Whether the compiled loops of :mod:`subemb.codec.kernels` take such numbers; others go through torch."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def nearest_with_sums(x: torch.Tensor, codebooks: torch.Tensor, weights: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """One half step of k-means, and what the other half needs: (g, V, d), (g, Q, d) -> codes (g, V), squared distances (g, V)
    float32, weighted sums of members (g, Q, d), their weights (g, Q).
    """
    if _in_loops(x) and x.shape[2] > 1:
        from .nearest import nearest

        return nearest(x, codebooks, weights)
    codes, distances = nearest_codes(x, codebooks)
    return codes, distances, *codebook_sums(x, codes, codebooks.shape[1], weights)


def nearest_codes(
    x: torch.Tensor, codebooks: torch.Tensor, chunk_elements: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest codeword of every token: (g, V, d), (g, Q, d) -> codes (g, V) int64, squared distances (g, V) float32."""
    g, vocabulary, width = x.shape
    if width == 1:
        return _nearest_on_a_line(x[..., 0], codebooks[..., 0])
    if chunk_elements is None and _in_loops(x):
        from .nearest import nearest

        codes, distances, _, _ = nearest(x, codebooks, with_sums=False)
        return codes.long(), distances
    budget = chunk_elements or CHUNK_ELEMENTS[x.device.type]
    step = max(16, budget // (g * codebooks.shape[1]))
    codes = torch.empty(g, vocabulary, dtype=torch.int64, device=x.device)
    distances = torch.empty(g, vocabulary, dtype=x.dtype, device=x.device)
    squares = codebooks.square().sum(-1).unsqueeze(1)  # (g, 1, Q)
    for start in range(0, vocabulary, step):
        piece = x[:, start : start + step]
        # naive: ((piece[:, :, None] - codebooks[:, None]) ** 2).sum(-1).min(-1); |x|^2 does not change which is nearest
        best = torch.baddbmm(squares, piece, codebooks.mT, alpha=-2).min(-1)
        codes[:, start : start + step] = best.indices
        distances[:, start : start + step] = best.values + piece.square().sum(-1)
    return codes, distances.clamp_(min=0)


def _nearest_on_a_line(x: torch.Tensor, codebooks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One axis wide: a binary search between sorted codewords instead of Q products."""
    ordered, order = codebooks.sort(dim=-1, stable=True)
    middles = (ordered[:, 1:] + ordered[:, :-1]) / 2
    codes = order.gather(1, torch.searchsorted(middles.contiguous(), x.contiguous()))
    return codes, (x - codebooks.gather(1, codes)).square()


def codebook_sums(
    x: torch.Tensor, codes: torch.Tensor, codebook_size: int, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted sums of the members of each codeword: (g, V, d), (g, V) -> (g, Q, d), and their total weights (g, Q)."""
    if _in_loops(x):
        from .kernels import group_sums

        sums, totals = group_sums(x, codes, codebook_size, weights)
        return sums.to(x.dtype), totals.to(x.dtype)
    g, _, width = x.shape
    sums = torch.zeros(g, codebook_size, width, dtype=x.dtype, device=x.device)
    totals = torch.zeros(g, codebook_size, dtype=x.dtype, device=x.device)
    ones = torch.ones(x.shape[1], dtype=x.dtype, device=x.device) if weights is None else weights.to(x.dtype)
    for i in range(g):
        values = x[i] if weights is None else x[i] * ones[:, None]
        if x.is_cuda:  # atomic additions come in any order there; sorted segments make equal seeds give equal results
            sums[i] = _segment_sums(values, codes[i], codebook_size)
            totals[i] = _segment_sums(ones[:, None], codes[i], codebook_size)[:, 0]
        else:
            sums[i].scatter_add_(0, codes[i][:, None].expand(-1, width), values)
            totals[i].scatter_add_(0, codes[i], ones)
    return sums, totals


def _segment_sums(values: torch.Tensor, codes: torch.Tensor, codebook_size: int) -> torch.Tensor:
    """(V, d), (V,) -> (Q, d), added up in the order of the tokens."""
    lengths = codes.bincount(minlength=codebook_size)
    return torch.segment_reduce(values[codes.argsort(stable=True)], "sum", lengths=lengths, unsafe=True)


def codebook_means(
    x: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor | None, fallback: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least-squares codebooks given codes: the (weighted) mean of the members, and ``fallback`` where there are none.

    (g, V, d), (g, V), fallback (g, Q, d) -> codebooks (g, Q, d), total weights (g, Q).
    """
    sums, totals = codebook_sums(x, codes, fallback.shape[1], weights)
    return means_of(sums, totals, fallback), totals


def means_of(sums: torch.Tensor, totals: torch.Tensor, fallback: torch.Tensor) -> torch.Tensor:
    """Sums of members (g, Q, d) over their weights (g, Q), in the type of ``fallback`` (g, Q, d), which stands where there are none."""
    return torch.where(totals[..., None] > 0, (sums / totals.clamp(min=1e-30)[..., None]).to(fallback.dtype), fallback)


def joined_codewords(codes: torch.Tensor, books: list[torch.Tensor]) -> torch.Tensor:
    """What codes (V, f) with one (g, Q, d) codebook a group stand for: (V, D)."""
    flat = [book[j] for book in books for j in range(len(book))]
    if _in_loops(flat[0]):
        from .kernels import joined_rows

        return joined_rows(torch.arange(len(codes)), codes, flat)
    return torch.cat([book[codes[:, i]] for i, book in enumerate(flat)], dim=1)


def less_codewords(x: torch.Tensor, codes: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """What a stage leaves over: (V, D), codes (V,), (Q, D) -> (V, D)."""
    if _in_loops(x):
        from .kernels import less_codewords

        return less_codewords(x, codes, book)
    return x - book[codes]


def added_codewords(codes: torch.Tensor, books: torch.Tensor) -> torch.Tensor:
    """What all stages add up to: codes (V, f), books (f, Q, D) -> (V, D)."""
    if _in_loops(books):
        from .kernels import added_rows

        return added_rows(torch.arange(len(codes)), codes, books)
    rebuilt = books[0][codes[:, 0]]
    for stage in range(1, len(books)):  # one by one: all stages of a large table together are gigabytes
        rebuilt += books[stage][codes[:, stage]]
    return rebuilt


def exact_codebooks(
    table: torch.Tensor, codes: torch.Tensor, widths: list[int], codebook_size: int, weights: torch.Tensor | None
) -> list[torch.Tensor]:
    """The codebooks of a (V, D) table given (V, f) codes, summed in float64: f tensors (Q, d_i) float32.

    A codeword with one member equals it exactly. Codewords without members get the mean of their subspace.
    """
    books = []
    if _in_loops(table):
        from .kernels import member_sums

        sums, totals = member_sums(table, codes, widths, codebook_size, weights)
        for i, mean in enumerate(column_means(table, None).split(widths)):
            fallback = mean.expand(codebook_size, -1)
            books.append(means_of(torch.from_numpy(sums[i]), torch.from_numpy(totals[i]), fallback).float())
        return books
    for i, part in enumerate(table.split(widths, dim=1)):
        part = part.double()[None]
        mean = part.mean(1, keepdim=True).expand(-1, codebook_size, -1)
        books.append(codebook_means(part, codes[:, i][None], weights, mean)[0][0].float())
    return books


def column_means(table: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The (weighted) mean of the rows, (D,) float64."""
    if _in_loops(table):
        from .kernels import table_moments

        return torch.from_numpy(table_moments(table, weights)[0])
    total = torch.zeros(table.shape[1], dtype=torch.float64, device=table.device)
    w = None if weights is None else weights.double()
    for rows, part in _runs_of_rows(table):
        total += part.sum(0) if w is None else w[rows] @ part
    return total / (len(table) if w is None else w.sum())


def variance_of(table: torch.Tensor, weights: torch.Tensor | None) -> float:
    """Sum over tokens of (weighted) squared distances to the mean row."""
    if _in_loops(table):
        from .kernels import table_moments

        return float(table_moments(table, weights)[1].sum())
    return float(spread(table[None], weights)[0])


def unit_about(table: torch.Tensor, mean: torch.Tensor) -> float:
    """The root mean square of a (V, D) table about ``mean`` (D,), in float32's range; 1 if all are 0."""
    if _in_loops(table):
        from .kernels import squares_about

        total = squares_about(table, mean)
    else:
        # squared in float64: in float32 the squares of numbers beyond 1e19 or below 1e-22 are infinite or 0
        total = float(sum((part - mean).square_().sum() for _, part in _runs_of_rows(table)))
    return total**0.5 / table.numel() ** 0.5 or 1.0


def centred_in_units(table: torch.Tensor, mean: torch.Tensor, unit: float) -> torch.Tensor:
    """A (V, D) table about ``mean`` (D,), in units of ``unit``: (V, D) float32."""
    if _in_loops(table):
        from .kernels import centred

        return centred(table, mean, unit, [table.shape[1]])[0]
    centred = torch.empty(table.shape, dtype=torch.float32, device=table.device)
    for rows, part in _runs_of_rows(table):
        centred[rows] = (part - mean).float()
    return centred.div_(unit)


def _runs_of_rows(table: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """The rows in float64, as many at a time as stay in a core's cache: a copy of the whole table would be read from memory."""
    step = max(1, (2**15 if table.device.type == "cpu" else 2**24) // max(1, table.shape[1]))
    for start in range(0, len(table), step):
        rows = slice(start, start + step)
        yield rows, table[rows].double()
