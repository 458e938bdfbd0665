"""Tiers for a number of bytes: which tokens get how many codes, so that least is lost.

What is lost is told by :class:`Curves`: for groups of tokens in the order of their weights, the weighted error that is left at so many
bits of codes for each number. They are measured on the table itself (:func:`measured_curves`), by compressing samples of it: a few seconds,
whatever the budget; an error r counts r^T S r where codes are chosen by what the output notices. Before there is a table, sizes and seconds
are told from curves that only know its shape (:func:`curves_of_shape`).

:func:`tiers_for` then gives bytes where they lose least: the forms of one to three tiers together, on a grid of borders, and from the best
of these by single steps and pairs of steps (a border, an f, a Q) as long as something is gained.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import ProgressCallback, report
from ..grids import automatic_codebook_bits, codebook_bytes
from ..membership import membership_bytes
from ..sizes import FLOAT_BYTES, code_bits_each
from ..subspaces import LARGEST_CODEBOOK, has_enough_tuples
from .tiers import EXACT, INT8, TRIM, Tier

np = lazy_module("numpy")
torch = lazy_module("torch")

_UNIT = {"": 1, "b": 1, "bytes": 1, "kb": 1000, "mb": 10**6, "gb": 10**9, "kib": 1024, "mib": 2**20, "gib": 2**30}
_NAMES = {10**6: "MB", 1000: "kB", 1: "B"}
_BUDGET = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(%|[a-z]*)", re.IGNORECASE)
CLOSE = 0.02  # a budget is used to within this share, wherever tiers can be so fine

_INT8_LEFT = 5e-5  # of the variance, as an error
_EACH_BIT = 2 * math.log(2)  # by how much -ln of the error grows with every bit a number, where there are many
# What product codes leave of the variance at R bits a number, -ln: STEADY * R + EARLY * (1 - exp(-R / EARLY_RATE)), where only the shape is
# known. Fitted to all-MiniLM-L6-v2: .941 at f=3, .864 at f=8, .718 at f=24, .269 at f=96.
_STEADY, _EARLY, _EARLY_RATE = 0.95, 0.06, 0.08
_RANK_OFFSET, _RANK_POWER = 30.0, -0.25
#: log2 Q, bits a number, and how much more codes of that Q save there than those of Q = 32; of the bundled model.
_USUAL_FACTORS = ((3, 5, 7), (0.1, 0.5), ((0.8, 0.93), (1.0, 1.0), (1.3, 1.15)))

_GROWTH = 1.6  # of ranks from one group of tokens to the next
_FIRST = 16  # tokens of the first group
_ASKED = 1024  # tokens of a group for its variance
SAMPLED = 1536  # tokens of the sample that is compressed, about
_SHARES = (192, 64, 24, 8, 3, 1)  # f that are measured with Q = _SIZE: D over these
_SIZE = 32
_OTHERS, _RATES = (8, 128), (0.1, 0.5)  # other Q, and the bits a number at which they are measured
_SIZES = (8, 16, 32, 64, 128, 256)  # Q that are tried
_MOST_STEPS = 30
_KEPT = 3  # of the choices on the grid, from which steps are made


def _read(text: str) -> tuple[Fraction, str]:
    """Number, exactly (as a float 129.378 kB are 129,377 bytes and a bit), and unit, in small letters. Raises InputError."""
    match = _BUDGET.fullmatch(text.strip())
    unit = "" if match is None else match[2].lower()
    if match is None or (unit != "%" and unit not in _UNIT):
        raise InputError(
            f"budget {text[:80]!r} cannot be read; give bytes, kB, MB or a share of the table, such as 100 kB or 0.5%"
        )
    return Fraction(match[1]), unit


def budget_bytes(text: str, vocabulary: int, dim: int) -> int:
    """Bytes of ``100 kB``, ``1.5MB``, ``70000`` or ``0.5%`` (of the table in float32). Raises InputError.

    >>> budget_bytes("100 kB", 30522, 384), budget_bytes("0.5%", 30522, 384)
    (100000, 234408)
    """
    number, unit = _read(text)
    found = number * (Fraction(vocabulary * dim * 4, 100) if unit == "%" else _UNIT[unit])
    if found < 1:
        raise InputError(f"budget {text[:80]!r} is less than one byte; give more, such as 100 kB")
    return int(found)


def budget_text(text: str) -> str:
    """A budget in the one way that all of its spellings have in common. Raises InputError.

    >>> [budget_text(text) for text in ("300kB", "300000", "0.30 mb", "656345", "1.5 MB", "70 B", "0.50 %")]
    ['300 kB', '300 kB', '300 kB', '656.345 kB', '1.5 MB', '70 B', '0.5%']
    """
    number, unit = _read(text)
    if unit == "%":
        return f"{float(number):.12g}%"
    size = int(number * _UNIT[unit])
    whole = next((whole for whole in _NAMES if size >= whole and (size * 1000) % whole == 0), 1)
    return f"{size / whole:.12g} {_NAMES[whole]}"


# What is lost


@dataclass(frozen=True)
class Curves:
    """The weighted error that codes leave of groups of tokens, the heaviest first."""

    borders: np.ndarray  # (G + 1,) int64: rank at which each group begins, and V
    variances: np.ndarray  # (G,) what is lost of all tokens of a group together, where one vector stands for all of them
    rates: np.ndarray  # (K,) increasing bits of codes for each number of the table
    gains: (
        np.ndarray
    )  # (K,) -ln of the share of the variance that codes with Q = 32 leave there, had they endless tokens to learn from
    #: The same of other Q, over that of Q = 32: rows of log2 Q, columns of ``known``. Larger Q leave less at the same rate.
    sizes: np.ndarray  # (L,) log2 Q, increasing
    known: np.ndarray  # (M,) rates, increasing
    factors: np.ndarray  # (L, M)

    def __post_init__(self):
        object.__setattr__(self, "_sums", np.concatenate([[0.0], np.cumsum(self.variances)]))

    def variance(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """That of the tokens of ranks ``starts`` to ``ends``; the tokens of a group count alike."""
        return np.interp(ends, self.borders, self._sums) - np.interp(starts, self.borders, self._sums)

    def left(self, subspaces: np.ndarray, sizes: np.ndarray, counts: np.ndarray, dim: int) -> np.ndarray:
        """The share of the variance of tokens that codes leave. subspaces, sizes, counts: f, Q and tokens, arrays of the same length.

        Q codewords learn as many means of n tokens, which takes Q / n of what is left (degrees of freedom).
        """
        logs = np.log2(np.maximum(sizes, 1))
        rates = subspaces * logs / dim
        gains = np.interp(rates, np.concatenate([[0.0], self.rates]), np.concatenate([[0.0], self.gains]))
        gains += _EACH_BIT * np.maximum(rates - self.rates[-1], 0.0)
        column = np.clip(
            np.interp(np.log(np.maximum(rates, 1e-9)), np.log(self.known), np.arange(len(self.known))), 0, len(self.known) - 1
        )
        low = np.minimum(column.astype(int), max(0, len(self.known) - 2))
        part = column - low
        by_size = np.stack([np.interp(logs, self.sizes, self.factors[:, at]) for at in range(len(self.known))], 1)
        every = np.arange(len(logs))
        factor = by_size[every, low] * (1 - part) + by_size[every, np.minimum(low + 1, len(self.known) - 1)] * part
        return np.exp(-gains * factor) * np.maximum(1 - sizes / counts, 0.0)


def group_borders(vocabulary: int) -> list[int]:
    """Ranks at which groups begin, and V.

    >>> group_borders(200)
    [0, 16, 25, 40, 65, 104, 200]
    """
    found, rank = [0], float(_FIRST)
    while rank * _GROWTH <= vocabulary:
        found.append(int(rank))
        rank *= _GROWTH
    return [*found, vocabulary]


def curves_of_shape(vocabulary: int) -> Curves:
    """Curves where only the shape of a table is known: a token of rank r counts (r + 30) ** -0.25, and codes leave as much of the variance
    as they do of the bundled model's.
    """
    borders = np.array(group_borders(vocabulary))
    power = 1 + _RANK_POWER
    rates = np.geomspace(0.01, 5, 30)
    gains = _STEADY * rates + _EARLY * (1 - np.exp(-rates / _EARLY_RATE))
    counts = np.diff((borders + _RANK_OFFSET) ** power) / power
    return Curves(borders, counts, rates, gains, *map(np.array, _USUAL_FACTORS))


def measured_curves(
    table: torch.Tensor,
    fit: Callable[[torch.Tensor, int, int, torch.Tensor | None], torch.Tensor],
    weights: torch.Tensor | None,
    matrix: torch.Tensor | None,
    progress: ProgressCallback | None = None,
) -> Curves:
    """Curves of a (V, D) table, measured on a sample of its tokens.

    fit(rows, f, Q, weights): the reconstruction of (n, D) rows by product codes. weights: (V,), or None for equal ones. matrix: (D, D) of
    what an error r costs, r^T M r; None for |r|^2. Raises Cancelled.
    """
    from ..blocks import column_means

    vocabulary, dim = table.shape
    order = torch.arange(vocabulary) if weights is None else torch.argsort(weights.cpu(), descending=True, stable=True)
    each = torch.ones(vocabulary) if weights is None else weights.cpu().float()
    borders, generator = group_borders(vocabulary), torch.Generator().manual_seed(0)
    mean = column_means(table, weights).cpu()
    variances, rows, w = [], [], []
    for start, end in itertools.pairwise(borders):
        ids = order[start + torch.randperm(end - start, generator=generator)[:_ASKED]]
        here = table[ids.to(table.device)].float().cpu()
        variances.append((end - start) * float((each[ids].double() * _costs((here - mean).float(), matrix)).mean()))
        part = max(8, round(SAMPLED * (end - start) / vocabulary), SAMPLED // (2 * len(borders)))
        rows.append(here[:part])
        w.append(each[ids[:part]] * (end - start) / len(here[:part]))  # each stands for so many
    rows, w = torch.cat(rows), torch.cat(w)
    own = w.double() / w.double().sum()
    whole = float(own @ _costs((rows - own @ rows.double()).float(), matrix))
    shapes, gains = measured_shapes(len(rows), dim), []
    size = shapes[0][1]
    asked, more = [shape for shape in shapes if shape[1] == size], [shape for shape in shapes if shape[1] != size]
    for done, (f, q) in enumerate([*asked, *more]):
        report(progress, "measuring what bytes would buy", done / len(shapes))
        left = float(own @ _costs(rows - fit(rows, f, q, None if weights is None else w / w.mean()), matrix))
        share = left / whole / (1 - q / len(rows)) if whole > 0 else 0.0
        gains.append(-math.log(min(max(share, 1e-9), 1.0)))
    rates = np.array([f * math.log2(q) / dim if q > 1 else 0.0 for f, q in asked])
    known = np.maximum.accumulate(np.array(gains[: len(asked)]))
    factors = np.ones((len(_OTHERS) + 1, len(_RATES)))
    for (f, q), gain in zip(more, gains[len(asked) :], strict=True):  # of tiny dims a rate may be far from what it should be
        rate = f * math.log2(q) / dim
        usual = float(np.interp(rate, np.concatenate([[0.0], rates]), np.concatenate([[0.0], known])))
        column, row = min(range(len(_RATES)), key=lambda at: abs(_RATES[at] - rate)), sorted((*_OTHERS, _SIZE)).index(q)
        factors[row, column] = gain / usual if usual > 0 else 1.0
    return Curves(
        np.array(borders), np.array(variances), rates, known, np.log2(sorted((*_OTHERS, _SIZE))), np.array(_RATES), factors
    )


def measured_shapes(tokens: int, dim: int) -> list[tuple[int, int]]:
    """(f, Q) of the codes that are made of a sample of so many tokens; first all of the Q that is the same for all rates.

    >>> measured_shapes(1536, 384)
    [(2, 32), (6, 32), (16, 32), (48, 32), (128, 32), (384, 32), (13, 8), (5, 128), (64, 8), (27, 128)]
    """
    size = max(1, min(_SIZE, tokens // 4))
    found = [(max(1, dim // share), size) for share in _SHARES]
    for rate, other in itertools.product(_RATES, _OTHERS):
        if other * 8 <= tokens and size == _SIZE:
            found.append((max(1, round(rate * dim / math.log2(other))), other))
    return list(dict.fromkeys(found))


def _costs(errors: torch.Tensor, matrix: torch.Tensor | None) -> torch.Tensor:
    """(n,) float64: what (n, D) errors cost."""
    return (errors * (errors if matrix is None else errors @ matrix)).sum(1).double()


# The choice


@dataclass(frozen=True)
class _Form:
    """How a tier is kept."""

    kind: str
    subspaces: int = 1
    codebook_size: int = 1

    def bytes(self, count: int, dim: int, bits: int | None) -> int:
        if self.kind == INT8:
            return count * (dim + FLOAT_BYTES)
        if self.kind == EXACT:
            return count * dim * FLOAT_BYTES
        f, size = self.subspaces, self.codebook_size
        bits = bits or automatic_codebook_bits(count, dim, f, size)
        return -(-count * f * code_bits_each(size) // 8) + codebook_bytes(size * dim, f, bits)


class _Search:
    """Tiers of a (V, D) table within a number of bytes. A choice is (borders, forms): ranks at which tiers begin, and V; how each is kept."""

    def __init__(
        self, budget: int, vocabulary: int, dim: int, curves: Curves, unique: bool, bits: int | None, trims: bool, others: int
    ):
        self.budget, self.vocabulary, self.dim, self.others = budget, vocabulary, dim, others
        self.curves, self.unique, self.bits, self.trims = curves, unique, bits, trims
        self._ladders: dict[tuple[int, int], tuple] = {}
        self._lost: dict[tuple, float] = {}
        self._membership: dict[tuple[int, int], int] = {}

    def fits(self, form: _Form, count: int, is_last: bool) -> bool:
        """Whether a tier of so many tokens can be kept so."""
        if form.kind in (EXACT, INT8):
            return True
        if form.kind == TRIM:
            return is_last and self.trims
        f, size = form.subspaces, form.codebook_size
        return 1 <= f <= self.dim and 2 <= size <= count and (not self.unique or has_enough_tuples(count, f, size))

    def bytes(self, choice) -> int:
        total, left = 0, self.vocabulary + self.others
        for form, count in _pieces(choice):
            total += form.bytes(count, self.dim, self.bits) + (self._apart(count, left) if count < left else 0)
            left -= count
        return total

    def _apart(self, count: int, left: int) -> int:
        if (count, left) not in self._membership:
            self._membership[count, left] = membership_bytes(count, left)
        return self._membership[count, left]

    def lost(self, choice) -> float:
        return self.lost_by([choice])[0]

    def lost_by(self, choices: Sequence) -> list[float]:
        """What choices lose; all that is not known yet is told at once."""
        tiers = [list(zip(forms, borders, borders[1:], strict=False)) for borders, forms in choices]
        new = list({tier for choice in tiers for tier in choice if tier not in self._lost})
        if new:
            forms, starts, ends = zip(*new, strict=True)
            self._lost |= zip(new, self._lost_by_all(forms, np.array(starts), np.array(ends)).tolist(), strict=True)
        return [sum(self._lost[tier] for tier in choice) for choice in tiers]

    def _lost_by_all(self, forms: Sequence[_Form], starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        subspaces, sizes = (np.array([getattr(form, name) for form in forms]) for name in ("subspaces", "codebook_size"))
        left = self.curves.left(subspaces, sizes, ends - starts, self.dim)
        for place, form in enumerate(forms):
            if form.kind != "codes":
                left[place] = {INT8: _INT8_LEFT, EXACT: 0.0, TRIM: 1.0}[form.kind]
        return left * self.curves.variance(starts, ends)

    def ladder(self, start: int, end: int) -> tuple[list[_Form], np.ndarray, np.ndarray]:
        """Forms that are worth trying for a tier, their bytes and what they lose: none that another one beats in both."""
        if (start, end) not in self._ladders:
            count, is_last = end - start, end == self.vocabulary
            forms = [_Form("codes", f, size) for f in _steps(self.dim) for size in _SIZES]
            forms += [_Form("codes", f, min(count, 32)) for f in _steps(self.dim) if count < 32]
            forms += [_Form(TRIM), _Form(INT8), _Form(EXACT)]
            forms = [form for form in forms if self.fits(form, count, is_last)]
            sizes = np.array([form.bytes(count, self.dim, self.bits) for form in forms])
            lost = self._lost_by_all(forms, *(np.full(len(forms), rank) for rank in (start, end)))
            order, best, kept = np.lexsort((lost, sizes)), math.inf, []
            for place in order:
                if lost[place] < best:
                    kept.append(place)
                    best = lost[place]
            self._ladders[start, end] = [forms[place] for place in kept], sizes[kept], lost[kept]
        return self._ladders[start, end]

    def on_grid(self) -> list:
        """The best choices with borders of a grid, the best first."""
        inner, found = [rank for rank in (1, 4) if rank < self.vocabulary] + group_borders(self.vocabulary)[1:-1], []
        for number in range(3):
            for chosen in itertools.combinations(inner, number):
                borders = (0, *chosen, self.vocabulary)
                ladders = [self.ladder(a, b) for a, b in itertools.pairwise(borders)]
                told = borders if self.others else borders[:-1]
                apart = sum(self._apart(b - a, self.vocabulary + self.others - a) for a, b in itertools.pairwise(told))
                *first, (forms, own, own_lost) = ladders
                shape = [len(rest) for rest, _, _ in first]
                sizes, lost = np.full([1] * len(shape), float(apart)), np.zeros([1] * len(shape))
                for axis, (_, before, before_lost) in enumerate(first):
                    along = [1] * len(shape)
                    along[axis] = -1
                    sizes, lost = sizes + before.reshape(along), lost + before_lost.reshape(along)
                # Larger forms lose less: the last tier takes the largest one that there is room for.
                last = np.searchsorted(own, self.budget - sizes, side="right") - 1
                lost = np.where(last >= 0, lost + own_lost[last], np.inf)
                at = int(lost.argmin())
                if math.isfinite(lost.flat[at]):
                    places = np.unravel_index(at, shape) if shape else ()
                    chosen_forms = [ladder[0][place] for ladder, place in zip(first, places, strict=True)]
                    found.append((float(lost.flat[at]), (borders, (*chosen_forms, forms[int(last.flat[at])]))))
        found.sort(key=lambda entry: entry[0])
        return [choice for _, choice in found if self.bytes(choice) <= self.budget]

    def steps(self, choice) -> Iterable:
        """Choices that differ in one border, f or Q."""
        borders, forms = choice
        for place in range(1, len(borders) - 1):
            for by in (0.7, 0.85, 0.95, 0.99, 1.01, 1.05, 1.15, 1.4):
                border = round(borders[place] * by) or 1
                border += (border == borders[place]) * (1 if by > 1 else -1)
                if borders[place - 1] < border < borders[place + 1]:
                    yield (*borders[:place], border, *borders[place + 1 :]), forms
        for place, form in enumerate(forms):
            if form.kind == "codes":
                f, size = form.subspaces, form.codebook_size
                for other in {f - 1, f + 1, round(f * 0.85), round(f * 1.18)} - {f}:
                    yield borders, (*forms[:place], _Form("codes", other, size), *forms[place + 1 :])
                for other in {size // 2, size * 2}:
                    if _SIZES[0] <= other <= _SIZES[-1]:
                        yield borders, (*forms[:place], _Form("codes", f, other), *forms[place + 1 :])

    def can_be(self, choice) -> bool:
        borders, forms = choice
        counts = [b - a for a, b in itertools.pairwise(borders)]
        return all(
            self.fits(form, n, place == len(forms) - 1) for place, (form, n) in enumerate(zip(forms, counts, strict=True))
        )

    def improved(self, choice, pairs: bool = True):
        """Steps from a choice, and pairs of them, for as long as less is lost within the budget."""
        lost = self.lost(choice)
        for _ in range(_MOST_STEPS):
            near = [other for other in self.steps(choice) if self.can_be(other)]
            if pairs:
                near += [more for other in near for more in self.steps(other) if self.can_be(more)]
            near = [other for other in dict.fromkeys(near) if self.bytes(other) <= self.budget]
            if not near:
                break
            found, place = min(zip(self.lost_by(near), itertools.count()))
            if found >= lost * (1 - 1e-4):
                break
            lost, choice = found, near[place]
        return choice

    def filled(self, choice):
        """The same forms with the border, of those that can grow the bytes, at which most of the budget is used."""
        best = choice
        for place in range(1, len(choice[0]) - 1):
            best = max(best, self._largest(choice, place), key=self.bytes)
        return best

    def _largest(self, choice, place: int):
        """The largest border at ``place`` within the budget."""
        borders, forms = choice

        def at(border: int):
            return (*borders[:place], border, *borders[place + 1 :]), forms

        low, high = borders[place], borders[place + 1] - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.can_be(at(middle)) and self.bytes(at(middle)) <= self.budget:
                low = middle
            else:
                high = middle - 1
        return at(low)


def _steps(dim: int) -> list[int]:
    """f that are tried: whole numbers that grow by about a fifth."""
    found, f = {1, dim}, 1.0
    while f < dim:
        found.add(round(f))
        f *= 1.19
    return sorted(found)


def tiers_for(
    budget: int,
    vocabulary: int,
    dim: int,
    curves: Curves,
    unique: bool = False,
    bits: int | None = None,
    thorough: bool = True,
    others: int = 0,
) -> list[Tier]:
    """The tiers that lose least in at most ``budget`` bytes, and use it to within CLOSE wherever tiers can be so fine.

    bits: of codebooks' numbers; None where they are automatic. thorough: steps are also tried in pairs. The whole table, exactly, where the
    budget allows it; tokens share one vector only where nothing else is possible. others: tokens that are in none of these tiers; telling them
    apart from the ``vocabulary`` that are is counted.
    Raises InputError naming the least that is possible, if the budget is less.
    """
    whole = ((0, vocabulary), (_Form(EXACT),))
    for trims in (False,) if unique else (False, True):
        search = _Search(budget, vocabulary, dim, curves, unique, bits, trims, others)
        if search.bytes(whole) <= budget:
            return _as_tiers(whole)
        if grid := search.on_grid():
            break
    else:
        least = min(search.bytes(((0, vocabulary), (form,))) for form in search.ladder(0, vocabulary)[0])
        raise InputError(
            f"a budget of {budget:,} bytes is too little for a table of {vocabulary:,} x {dim}"
            + (" with distinct tuples" if unique else "")
            + f"; the least that tiers can take is {least:,} bytes"
        )
    best = [search.filled(search.improved(choice, thorough)) for choice in grid[:_KEPT]]
    full = [choice for choice in best if search.bytes(choice) >= (1 - CLOSE) * budget]
    if not full:  # no step is so fine: the fullest, and of these the one that loses least
        best += [search.filled(choice) for choice in grid]
        full = [choice for choice in best if search.bytes(choice) >= (1 - CLOSE) * budget] or best
    return _as_tiers(min(full, key=search.lost))


def _pieces(choice) -> list[tuple[_Form, int]]:
    """How every tier is kept, and its number of tokens; more rows than one tier can keep exactly make several."""
    borders, forms = choice
    found = []
    for form, (start, end) in zip(forms, itertools.pairwise(borders), strict=True):
        most = LARGEST_CODEBOOK if form.kind == EXACT else end - start
        found += [(form, min(most, end - first)) for first in range(start, end, most)]
    return found


def _as_tiers(choice) -> list[Tier]:
    found = [Tier(count, form.kind, form.subspaces, form.codebook_size) for form, count in _pieces(choice)]
    return [*found[:-1], replace(found[-1], count=None)]
