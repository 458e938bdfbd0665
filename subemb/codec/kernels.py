"""Inner loops that numba compiles: sums of members, prices of codes, rows and logits out of codes; nearest codewords have a file of their own.

Why not torch: one pass over the table does what takes it four, each of them a parallel region that every thread has to reach. On a
busy computer those regions wait for each other (11 times faiss's wall time was measured), and its minimum along rows is slower than
the products under it where subspaces are narrow.

Threads are our own (threads.py), over loops that hold no lock: numba's may not be used from several Python threads at once.
Work is cut the same way whatever the number of threads, and parts are added up in their order, so that equal seeds give equal results.

The first call ever compiles for some seconds; machine code is then kept in ``__pycache__`` or, where that cannot be written, in the user's
cache folder, and read in some tenths of a second.
"""

import weakref
from collections.abc import Callable, Sequence

import numba
import numpy as np
import torch

from .threads import in_threads

PIECES = 16  # parts of one call, about: enough to keep a few threads busy to the end
SMALLEST_PIECE = 1024  # tokens: smaller parts cost more than they bring
CACHED = 2**17  # numbers that a core keeps near: 512 KB
UNITS = ((4, np.complex128), (2, np.float64), (1, np.float32))  # how many float32 are moved as one number of another kind
LANES = 8  # codewords that are compared at once; codebooks are filled up to a multiple of it
FAR = np.float32(1e38)  # half the squared length of codewords that fill up
#: What a compiler may assume: no NaN, signs of zero do not matter, sums in any order.
FAST = {"nnan", "nsz", "contract", "reassoc", "arcp"}


def compiled(function: Callable, assumed: set[str] = FAST) -> Callable:
    """Compile at the first call, outside the interpreter's lock, and keep the machine code where some folder can be written."""
    how = {"nogil": True, "fastmath": assumed, "error_model": "numpy"}  # nobody asks at every number whether it is divided by 0
    try:
        return numba.njit(cache=True, **how)(function)
    except RuntimeError:  # no folder for it
        return numba.njit(**how)(function)


def compiled_exactly(function: Callable) -> Callable:
    """:func:`compiled`, but nothing assumed: numbers are those that torch finds."""
    return compiled(function, set())


def usable(*tensors: torch.Tensor) -> bool:
    """Whether the loops take these: plain float32 numbers on the CPU, outside compilers and exporters that trace what torch does."""
    return (
        all(
            t.device.type == "cpu" and t.dtype == torch.float32 and type(t) in (torch.Tensor, torch.nn.Parameter)
            for t in tensors
        )
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.onnx.is_in_onnx_export()
        and not _transformed()
    )


def _transformed() -> bool:
    """Whether torch.func or vmap wraps tensors now, which have no numbers of their own then."""
    asked = getattr(torch._C, "_are_functorch_transforms_active", None)
    return asked is not None and asked()


def bounds(vocabulary: int, pieces: int) -> list[tuple[int, int]]:
    """First and last token of runs of about equal length, of an even number of tokens each but the last."""
    step = max(SMALLEST_PIECE, -(-vocabulary // pieces))
    step += step % 2
    return [(start, min(start + step, vocabulary)) for start in range(0, vocabulary, step)]


def numbers_of(weights: torch.Tensor | None) -> np.ndarray:
    """Weights (V,) as the loops take them, which look at none where there are none."""
    return np.ones(1, np.float32) if weights is None else weights.float().contiguous().numpy()


def filled_up(codebooks: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Codebooks (g, Q, d) as columns (g, d, Q') with Q' a multiple of LANES, and half their squared lengths (g, Q')."""
    g, size, width = codebooks.shape
    filled = -(-size // LANES) * LANES
    columns, halves = np.zeros((g, width, filled), np.float32), np.full((g, filled), FAR)
    columns[:, :, :size] = codebooks.mT.numpy()
    halves[:, :size] = (0.5 * codebooks.square().sum(-1)).numpy()
    return columns, halves


# Sums


_found: tuple[tuple, ...] = ()  # what was asked for last, see :func:`table_moments`


def table_moments(table: torch.Tensor, weights: torch.Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """:func:`moments` of a whole table: one compression asks for the same ones several times, and they are found once."""
    global _found
    given = table, weights
    if any(one is not None and one.is_inference() for one in given):  # nobody counts their changes
        return moments(table, weights)
    versions = tuple(None if one is None else one._version for one in given)
    for asked, before, found in _found:
        if all(one() is other for one, other in zip(asked, given, strict=True)) and before == versions:
            return found
    found = moments(table, weights)
    asked = tuple((lambda: None) if one is None else weakref.ref(one) for one in given)
    _found = (*_found[-1:], (asked, versions, found))
    return found


def moments(x: torch.Tensor, weights: torch.Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of every column, and weighted sums of squared distances to it: (V, d) -> (d,) and (d,) float64."""
    rows = x.contiguous().numpy()
    pull = np.ones(1) if weights is None else weights.double().numpy()
    # Numbers are taken from those of the first row, so that squares of large numbers that hardly differ do not swallow the difference.
    first = rows[0].astype(np.float64)
    runs = bounds(len(rows), PIECES)
    sums, squares, whole = np.zeros((len(runs), len(first))), np.zeros((len(runs), len(first))), np.zeros(len(runs))

    def work(i: int) -> None:
        start, end = runs[i]
        part = pull if weights is None else pull[start:end]
        whole[i] = moments_loop(rows[start:end], first, weights is not None, part, sums[i], squares[i])

    in_threads(work, [(i,) for i in range(len(runs))])
    total, count = sums.sum(0), whole.sum()
    return first + total / count, np.maximum(squares.sum(0) - np.square(total) / count, 0.0)


@compiled
def moments_loop(x, first, weighted, weights, sums, squares):
    """naive: sums += weights @ (x - first); squares += weights @ (x - first) ** 2. Gives back the sum of the weights."""
    whole = 0.0
    for v in range(len(x)):
        pull = weights[v] if weighted else 1.0
        whole += pull
        for j in range(x.shape[1]):
            value = np.float64(x[v, j]) - first[j]
            sums[j] += pull * value
            squares[j] += pull * value * value
    return whole


def squares_about(table: torch.Tensor, mean: torch.Tensor) -> float:
    """The sum of squares of (V, D) numbers about ``mean`` (D,) float64."""
    own, squares = table_moments(table, None)
    return float(squares.sum() + len(table) * np.square(mean.double().numpy() - own).sum())


def centred(table: torch.Tensor, mean: torch.Tensor, unit: float, widths: Sequence[int]) -> list[torch.Tensor]:
    """(V, D) numbers about ``mean`` (D,) float64 in units of ``unit``, cut into runs of axes: one (V, d) float32 for each of ``widths``.

    Runs of one width lie one behind the other in memory.
    """
    rows, middle = table.contiguous().numpy(), mean.double().numpy()
    into = np.empty(rows.size, np.float32)  # numpy asks for large pages, which come quicker than torch's
    ends = np.cumsum([0, *widths])

    def work(start: int, end: int) -> None:
        centre_loop(rows, start, end, middle, np.float32(unit), ends, into)

    in_threads(work, bounds(len(rows), PIECES))
    parts = torch.from_numpy(into).split([len(rows) * width for width in widths])
    return [part.view(len(rows), width) for part, width in zip(parts, widths, strict=True)]


@compiled_exactly
def centre_loop(x, first, last, mean, unit, ends, out):
    """naive: out = (x - mean) / unit, one run of axes behind the other."""
    for v in range(first, last):
        for i in range(len(ends) - 1):
            start, width = ends[i], ends[i + 1] - ends[i]
            row, middle = x[v, start : start + width], mean[start : start + width]
            begin = len(x) * start + v * width
            into = out[begin : begin + width]
            for j in range(width):
                into[j] = np.float32(np.float64(row[j]) - middle[j]) / unit


def row_distances(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Squared distances between rows of (n, D) float32, summed in float64: (n,)."""
    found = np.empty(len(rows))
    distance_loop(rows.contiguous().numpy(), others.contiguous().numpy(), found)
    return torch.from_numpy(found)


def coded_distances(table: torch.Tensor, codes: torch.Tensor, codebooks: Sequence[torch.Tensor]) -> torch.Tensor:
    """:func:`row_distances` of a table (V, D) to what its codes (V, f) and codebooks (Q, d_i) stand for: (V,) float64."""
    found = np.empty(len(table))
    flat, starts, widths = _end_to_end(codebooks)
    rows, chosen = table.contiguous().numpy(), codes.numpy()

    def work(start: int, end: int) -> None:
        coded_distance_loop(rows[start:end], chosen[start:end], flat, starts, widths, found[start:end])

    in_threads(work, bounds(len(rows), PIECES))
    return torch.from_numpy(found)


@compiled
def coded_distance_loop(x, codes, flat, starts, widths, found):
    rebuilt = np.empty(x.shape[1], np.float32)
    for v in range(len(x)):
        place = np.uint64(0)
        for i in range(len(starts)):
            width = widths[i]
            begin = starts[i] + np.uint64(codes[v, i]) * width
            for j in range(width):
                rebuilt[place + j] = flat[begin + j]
            place += width
        total = 0.0
        for j in range(x.shape[1]):
            gap = np.float64(x[v, j]) - np.float64(rebuilt[j])
            total += gap * gap
        found[v] = total


@compiled
def distance_loop(x, y, found):
    for v in range(len(x)):
        total = 0.0
        for j in range(x.shape[1]):
            gap = np.float64(x[v, j]) - np.float64(y[v, j])
            total += gap * gap
        found[v] = total


def member_sums(
    table: torch.Tensor, codes: torch.Tensor, widths: Sequence[int], size: int, weights: torch.Tensor | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Weighted sums of the members of every codeword in float64: table (V, D), codes (V, f) -> f sums (Q, d_i), and weights (f, Q)."""
    rows, chosen = table.contiguous().numpy(), codes.to(torch.int32).T.contiguous().numpy()
    pull = numbers_of(weights)
    sums = [np.zeros((size, width)) for width in widths]
    totals = np.zeros((len(widths), size))
    starts = np.r_[0, np.cumsum(widths)]

    def work(first: int, last: int) -> None:
        for begin in range(0, len(rows), 512):  # rows stay in the cache while all their subspaces are read
            block = slice(begin, begin + 512)
            for i in range(first, last):
                member_loop(
                    rows[block], starts[i], chosen[i, block], weights is not None,
                    pull[block] if weights is not None else pull, sums[i], totals[i],
                )  # fmt: skip

    step = max(1, len(widths) // 4)
    in_threads(work, [(first, min(first + step, len(widths))) for first in range(0, len(widths), step)])
    return sums, totals


def group_sums(
    x: torch.Tensor, codes: torch.Tensor, size: int, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`member_sums` of subspaces that lie apart: (g, V, d), codes (g, V) -> (g, Q, d), and weights (g, Q), float64."""
    vectors, chosen = x.contiguous().numpy(), codes.to(torch.int32).contiguous().numpy()
    pull = numbers_of(weights)
    sums, totals = np.zeros((len(x), size, x.shape[2])), np.zeros((len(x), size))

    def work(i: int) -> None:
        member_loop(vectors[i], 0, chosen[i], weights is not None, pull, sums[i], totals[i])

    in_threads(work, [(i,) for i in range(len(x))])
    return torch.from_numpy(sums), torch.from_numpy(totals)


def code_errors(
    x: torch.Tensor, codes: torch.Tensor, codebooks: torch.Tensor, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared distances to given codewords, summed over tokens: (g, V, d), codes (g, V), (g, Q, d) -> plain and weighted (g,) float64."""
    vectors, chosen, books = x.contiguous().numpy(), codes.to(torch.int32).contiguous().numpy(), codebooks.contiguous().numpy()
    pull = numbers_of(weights)
    found = np.zeros((2, len(x)))

    def work(i: int) -> None:
        found[:, i] = error_loop(vectors[i], chosen[i], books[i], weights is not None, pull)

    in_threads(work, [(i,) for i in range(len(x))])
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


@compiled
def error_loop(x, codes, book, weighted, weights):
    """naive: ((x - book[codes]) ** 2).sum(), and the same times the weights."""
    plain, by_weight = 0.0, 0.0
    for v in range(len(codes)):
        word = book[codes[v]]
        apart = np.float32(0.0)
        for j in range(x.shape[1]):
            gap = x[v, j] - word[j]
            apart += gap * gap
        plain += apart
        by_weight += apart * weights[v] if weighted else apart
    return plain, by_weight


def code_costs(x: torch.Tensor, tokens: np.ndarray, book: torch.Tensor, weights: torch.Tensor | None) -> np.ndarray:
    """(n, Q) float32: what every codeword costs some tokens above the cheapest, times their weights: x (V, d), tokens (n,), book (Q, d)."""
    (columns,), (halves,) = filled_up(book[None])
    costs = np.empty((len(tokens), len(book)), np.float32)
    pull = numbers_of(weights)
    vectors = x.contiguous().numpy()

    def work(start: int, end: int) -> None:
        cost_loop(vectors, tokens[start:end], columns, halves, weights is not None, pull, costs[start:end])

    in_threads(work, bounds(len(tokens), PIECES))
    return costs


@compiled
def cost_loop(x, tokens, columns, halves, weighted, weights, costs):
    """naive: costs = ((x[tokens][:, None] - book) ** 2).sum(-1); costs -= costs.min(1); costs *= weights[tokens]."""
    width, filled = columns.shape
    size = costs.shape[1]
    fours = width // 4 * 4
    here = np.empty(filled, np.float32)
    for t in range(len(tokens)):
        row = x[tokens[t]]
        for q in range(filled):
            here[q] = halves[q]
        for j in range(0, fours, 4):
            c0, c1, c2, c3 = columns[j], columns[j + 1], columns[j + 2], columns[j + 3]
            x0, x1, x2, x3 = row[j], row[j + 1], row[j + 2], row[j + 3]
            for q in range(filled):
                here[q] -= x0 * c0[q] + x1 * c1[q] + x2 * c2[q] + x3 * c3[q]
        for j in range(fours, width):
            c0, x0 = columns[j], row[j]
            for q in range(filled):
                here[q] -= x0 * c0[q]
        least = here[0]
        for q in range(size):
            least = min(least, here[q])
        pull = np.float32(2.0) * (weights[tokens[t]] if weighted else np.float32(1.0))
        for q in range(size):
            costs[t, q] = (here[q] - least) * pull


def cheapest(gains: torch.Tensor, prices: torch.Tensor) -> torch.Tensor:
    """(n,) int64: which q of (n, Q) float32 has the least ``prices[q] - gains[:, q]``; of equal ones the first."""
    found = torch.empty(len(gains), dtype=torch.int64)
    rows, each, into = gains.contiguous().numpy(), prices.contiguous().numpy(), found.numpy()

    def work(first: int, last: int) -> None:
        cheapest_loop(rows[first:last], each, into[first:last])

    in_threads(work, bounds(len(rows), PIECES), gains.numel())
    return found


@compiled_exactly
def cheapest_loop(gains, prices, found):
    size = len(prices)
    costs = np.empty(size, np.float32)
    for v in range(len(gains)):
        row = gains[v]
        for q in range(size):
            costs[q] = prices[q] - row[q]
        least = costs[0]
        for q in range(size):
            least = min(least, costs[q])
        best = size - 1
        for q in range(size - 1, -1, -1):
            best = q if costs[q] == least else best
        found[v] = best


@compiled
def member_loop(x, first, codes, weighted, weights, sums, totals):
    """naive: sums[codes] += weights * x[:, first : first + d]; totals[codes] += weights. Rows stay whole: a core reads what lies side by side."""
    width = sums.shape[1]
    for v in range(len(codes)):
        pull = np.float64(weights[v]) if weighted else 1.0
        row, into = x[v, first : first + width], sums[codes[v]]
        totals[codes[v]] += pull
        for j in range(width):
            into[j] += pull * row[j]


# Rows and logits


def joined_rows(ids: torch.Tensor, codes: torch.Tensor, codebooks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows of a table in codes (V, f) and codebooks (Q, d_i), one beside the other: ids (n,) -> (n, D) float32.

    Raises IndexError for ids outside the table.
    """
    _check_ids(ids, codes)
    flat, starts, widths = _end_to_end(codebooks)
    rows = torch.empty(len(ids), int(widths.sum()), dtype=torch.float32)
    # Numbers are only moved: as many at once as fit into every codeword.
    together, unit = next((n, unit) for n, unit in UNITS if not (widths % np.uint64(n)).any())
    flat, starts, widths = flat.view(unit), starts // np.uint64(together), widths // np.uint64(together)
    wanted, chosen, into = ids.numpy(), codes.numpy(), rows.numpy().view(unit)
    step, are_single = max(256, 2**19 // rows.shape[1]), bool((widths == 1).all())

    def work(first: int) -> None:
        last = min(first + step, len(ids))
        if are_single:
            words_loop(wanted[first:last], chosen, flat, starts, into[first:last])
        else:
            rows_loop(wanted[first:last], chosen, flat, starts, widths, into[first:last].reshape(-1))

    in_threads(work, [(first,) for first in range(0, len(ids), step)], rows.numel())
    return rows


def added_rows(ids: torch.Tensor, codes: torch.Tensor, codebooks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows of a table in codes (V, f) and codebooks (Q, D) whose codewords are added up, in the order of the stages: ids (n,) -> (n, D) float32.

    Raises IndexError for ids outside the table.
    """
    _check_ids(ids, codes)
    books = torch.stack(tuple(codebooks)).detach().numpy()
    rows = torch.empty(len(ids), books.shape[2], dtype=torch.float32)
    wanted, chosen, into = ids.numpy(), codes.numpy(), rows.numpy()

    def work(first: int, last: int) -> None:
        sum_loop(wanted[first:last], chosen, books, into[first:last])

    in_threads(work, bounds(len(ids), PIECES), rows.numel() * len(books))
    return rows


@compiled_exactly
def sum_loop(ids, codes, books, rows):
    """naive: rows[t] = sum(books[i][codes[ids[t], i]] for i in range(f))."""
    for t in range(len(ids)):
        mine, into = codes[ids[t]], rows[t]
        for i in range(len(books)):
            word = books[i, mine[i]]
            if i == 0:
                for j in range(len(into)):
                    into[j] = word[j]
            else:
                for j in range(len(into)):
                    into[j] += word[j]


def less_codewords(x: torch.Tensor, codes: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """What a stage leaves over: (V, D), codes (V,), (Q, D) -> x - book[codes]."""
    vectors, chosen, words = x.contiguous().numpy(), codes.contiguous().numpy(), book.contiguous().numpy()
    left = torch.empty_like(x, memory_format=torch.contiguous_format)
    into = left.numpy()

    def work(first: int, last: int) -> None:
        less_loop(vectors[first:last], chosen[first:last], words, into[first:last])

    in_threads(work, bounds(len(x), PIECES))
    return left


@compiled_exactly
def less_loop(x, codes, book, left):
    for v in range(len(x)):
        word, row, into = book[codes[v]], x[v], left[v]
        for j in range(len(row)):
            into[j] = row[j] - word[j]


def _check_ids(ids: torch.Tensor, codes: torch.Tensor) -> None:
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < len(codes):
        raise IndexError("index out of range in self")


def _end_to_end(codebooks: Sequence[torch.Tensor]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All numbers of codebooks (Q, d_i), where each of them begins, and their widths."""
    lengths = np.array([book.numel() for book in codebooks])
    flat = torch.cat([book.detach().reshape(-1) for book in codebooks]).numpy()
    widths = np.array([book.shape[1] for book in codebooks])
    return flat, (lengths.cumsum() - lengths).astype(np.uint64), widths.astype(np.uint64)


@compiled_exactly
def rows_loop(ids, codes, flat, starts, widths, rows):
    """naive: rows[t] = concatenate([codebook_i[codes[ids[t], i]] for i in range(f)]); ``rows`` and ``flat`` lie end to end.

    Numbers without a sign say that no index counts from the end, which would have to be asked at every one.
    """
    subspaces = len(starts)
    place = np.uint64(0)
    for t in range(len(ids)):
        mine = codes[ids[t]]
        for i in range(subspaces):
            width = widths[i]
            begin = starts[i] + np.uint64(mine[i]) * width
            for j in range(width):
                rows[place + j] = flat[begin + j]
            place += width


@compiled_exactly
def words_loop(ids, codes, flat, starts, rows):
    """:func:`rows_loop` for codewords of one number each; rows (n, f)."""
    for t in range(len(ids)):
        mine = codes[ids[t]]
        for i in range(len(starts)):
            rows[t, i] = flat[starts[i] + np.uint64(mine[i])]


def gathered_products(codes: torch.Tensor, products: torch.Tensor, starts: Sequence[int]) -> torch.Tensor:
    """What tokens' codewords add to their logits: codes (V, f), products (f * Q, n) float32, starts of every codebook -> (V, n)."""
    vocabulary, positions = len(codes), products.shape[1]
    logits = torch.empty(vocabulary, positions, dtype=torch.float32)
    chosen, into = codes.numpy(), logits.numpy()
    first = np.array(list(starts), np.uint64)
    # as many positions at a time as keep the products near, but whole runs of what a core adds up at once
    wide = positions if products.numel() <= CACHED else max(64, CACHED // len(products) // 32 * 32)
    values = [products[:, start : start + wide].contiguous().numpy() for start in range(0, positions, wide)]
    step = max(256, min(-(-vocabulary // PIECES), 2**18 // positions))

    def work(start: int) -> None:
        block = slice(start, start + step)
        if positions == 1:
            one_logit_loop(chosen[block], values[0][:, 0], first, into[block, 0])
            return
        for i, value in enumerate(values):
            logits_loop(chosen[block], value, first, into[block], np.uint64(i * wide))

    in_threads(work, [(start,) for start in range(0, vocabulary, step)], codes.numel() * positions)
    return logits


@compiled
def one_logit_loop(codes, products, starts, logits):
    for v in range(len(codes)):
        mine = codes[v]
        total = np.float32(0.0)
        for i in range(len(starts)):
            total += products[starts[i] + np.uint64(mine[i])]
        logits[v] = total


@compiled
def logits_loop(codes, products, starts, logits, begin):
    """naive: logits[v, begin : begin + n] = products[starts + codes[v]].sum(0), with products (f * Q, n). Four at a time: what is added up is written a quarter as often."""
    subspaces, positions = len(starts), np.uint64(products.shape[1])
    fours = subspaces // 4 * 4
    for v in range(len(codes)):
        mine, into = codes[v], logits[v]
        for i in range(0, fours, 4):
            a, b = products[starts[i] + np.uint64(mine[i])], products[starts[i + 1] + np.uint64(mine[i + 1])]
            c, d = products[starts[i + 2] + np.uint64(mine[i + 2])], products[starts[i + 3] + np.uint64(mine[i + 3])]
            if i == 0:
                for n in range(positions):
                    into[begin + n] = a[n] + b[n] + c[n] + d[n]
            else:
                for n in range(positions):
                    into[begin + n] += a[n] + b[n] + c[n] + d[n]
        for i in range(fours, subspaces):
            a = products[starts[i] + np.uint64(mine[i])]
            if i == 0:
                for n in range(positions):
                    into[begin + n] = a[n]
            else:
                for n in range(positions):
                    into[begin + n] += a[n]


# Who takes what


@compiled
def assigned(costs: np.ndarray, columns: np.ndarray) -> None:
    """The cheapest way to give n rows different columns: costs (n, m) float32, n <= m; writes the column of every row into (n,) ``columns``.

    What scipy's linear_sum_assignment finds (Crouse 2016), begun as Jonker and Volgenant (1987) do: rows first bid for their best
    column by as much as it is better than the next, which settles most of them; only those left search for the shortest way.
    Prices of columns nobody has stay 0, as a rectangle needs it.
    """
    n, m = costs.shape
    price = np.zeros(m, np.float32)
    owner = np.empty(m, np.int32)
    for j in range(m):
        owner[j] = -1
    waiting = np.empty(n, np.int32)
    for i in range(n):
        columns[i] = -1
        waiting[i] = i
    left, steps, k = 0, 0, 0
    while k < n:
        i = waiting[k]
        row = costs[i]
        least = row[0] - price[0]
        for j in range(m):
            least = min(least, row[j] - price[j])
        best = m
        for j in range(m):
            best = min(best, j if row[j] - price[j] <= least else m)
        kept = price[best]
        price[best] = np.float32(-1e30)  # out of the way for the second best
        second = np.float32(1e30)
        for j in range(m):
            second = min(second, row[j] - price[j])
        price[best] = kept
        before = owner[best]
        bid = second - least
        steps += 1
        if bid > np.float32(0.0) and bid < np.float32(1e29):
            price[best] = kept - bid
        elif before >= 0:  # no better than what somebody has: a search decides
            waiting[left] = i
            left += 1
            k += 1
            continue
        owner[best] = i
        columns[i] = best
        if before >= 0:
            columns[before] = -1
            if bid > np.float32(0.0) and steps < 8 * n:
                waiting[k] = before
                continue
            waiting[left] = before
            left += 1
        k += 1
    far = np.float32(1e30)
    apart = np.empty(m, np.float32)
    shut = np.empty(m, np.float32)
    origin = np.empty(m, np.int32)
    for place in range(left):
        start = waiting[place]
        row = costs[start]
        for j in range(m):
            apart[j] = row[j] - price[j]
            origin[j] = start
            shut[j] = np.float32(0.0)
        end = -1
        least = np.float32(0.0)
        while True:
            least = apart[0] + shut[0]
            for j in range(m):
                least = min(least, apart[j] + shut[j])
            best = m
            for j in range(m):
                best = min(best, j if apart[j] + shut[j] <= least else m)
            if owner[best] < 0:
                end = best
                break
            shut[best] = far
            i = owner[best]
            row = costs[i]
            offset = row[best] - price[best] - least
            for j in range(m):
                way = row[j] - price[j] - offset
                nearer = way < apart[j] and shut[j] == np.float32(0.0)
                apart[j] = way if nearer else apart[j]
                origin[j] = i if nearer else origin[j]
        for j in range(m):
            if shut[j] > np.float32(0.0):
                price[j] += apart[j] - least
        j = end
        while True:
            i = origin[j]
            owner[j] = i
            j, columns[i] = columns[i], j
            if i == start:
                break


@compiled
def boxes_loop(first, last, borders, tokens, axes, labels, costs, codes):
    """Give the tokens of boxes number ``first`` to ``last`` - 1 the best tuples of their box.

    borders (n + 1,): where the tokens of every box begin in ``tokens`` (N,), token ids. axes (k,): the subspaces whose codes are
    exchanged. labels (k, Q): the part of the codebook that a code belongs to; a box is one part of each. costs (k, N, Q). codes (V, f)
    are changed in place.
    """
    together, size = labels.shape
    sides = np.empty((together, size), np.int64)
    lengths = np.empty(together, np.int64)
    wanted = np.empty(size, np.bool_)
    for box in range(first, last):
        begin, n = borders[box], borders[box + 1] - borders[box]
        shape = 1
        for k in range(together):
            part = labels[k, codes[tokens[begin], axes[k]]]
            count = 0
            for q in range(size):
                if labels[k, q] == part:
                    sides[k, count] = q
                    count += 1
            if n * n < count:
                # among n tokens none has to take worse than its n-th best tuple, and so its n-th best code
                for q in range(size):
                    wanted[q] = False
                for t in range(begin, begin + n):
                    order = np.argsort(costs[k, t, sides[k, :count]])
                    for place in range(n):
                        wanted[sides[k, order[place]]] = True
                count = 0
                for q in range(size):
                    if labels[k, q] == part and wanted[q]:
                        sides[k, count] = q
                        count += 1
            lengths[k] = count
            shape *= count
        total = np.empty((n, shape), np.float32)
        for t in range(n):
            total[t, 0] = np.float32(0.0)
            width = 1
            for k in range(together):
                # the cost of a tuple is the sum over its codes; from the last to the first, so that nothing is written over too early
                count = lengths[k]
                for a in range(width - 1, -1, -1):
                    so_far = total[t, a]
                    for b in range(count - 1, -1, -1):
                        total[t, a * count + b] = so_far + costs[k, begin + t, sides[k, b]]
                width *= count
        columns = np.empty(n, np.int64)
        assigned(total, columns)
        for t in range(n):
            column = columns[t]
            for k in range(together - 1, -1, -1):
                codes[tokens[begin + t], axes[k]] = sides[k, column % lengths[k]]
                column //= lengths[k]
