"""What a compression looks like while codes are being found: some tokens and the codewords of one subspace in two dimensions.

A film only looks: it draws no random number and changes none, so codes are equal with and without it. It is taken where somebody asked
for it with :func:`filming`, by the methods that iterate over the whole table (``cluster``, ``product``, ``optimized_product``,
``residual``); others leave it without pictures.
Axis letters: V tokens, f subspaces, Q codebook size, d width of the first subspace, n tokens watched.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..base.lazy import lazy_module

if TYPE_CHECKING:
    from .blocks import Blocks

torch = lazy_module("torch")

MOST_TOKENS = 200  # watched
MOST_SUBSPACES = 12  # whose codes of familiar tokens are kept
MOST_CODEWORDS = 512  # drawn; of larger codebooks those that the watched tokens have
MOST_PICTURES = 40  # kept
UNIT = 1000  # coordinates are whole numbers; nearly all tokens lie within this, the familiar ones always
_INSIDE = 0.97  # of the tokens watched
_ROWS = 2048  # of the table, that the two axes are found from
_TURNS = 12  # of the search for them

_NOW: ContextVar[Film | None] = ContextVar("film", default=None)


@contextmanager
def filming(vocabulary: int, familiar: Sequence[int] = ()) -> Iterator[Film]:
    """Have compressions of tables of V = ``vocabulary`` tokens inside this block take pictures. familiar: ids that are watched in any case."""
    film = Film(vocabulary, familiar)
    token = _NOW.set(film)
    try:
        yield film
    finally:
        _NOW.reset(token)


@contextmanager
def not_filming() -> Iterator[None]:
    """Compressions inside this block, which only try something out, are in no film."""
    token = _NOW.set(None)
    try:
        yield
    finally:
        _NOW.reset(token)


def film_of(blocks: Blocks) -> Film | None:
    """The film that is being taken of such blocks, or None."""
    film = _NOW.get()
    return film if film is not None and film.vocabulary == blocks.vocabulary else None


class Film:
    """Pictures of one compression, see :meth:`take`. tokens: ids watched, the familiar ones first."""

    def __init__(self, vocabulary: int, familiar: Sequence[int] = ()):
        self.vocabulary = vocabulary
        self.familiar = list(dict.fromkeys(familiar))[:MOST_TOKENS]
        step = max(1, vocabulary // MOST_TOKENS)
        self.tokens = list(dict.fromkeys([*self.familiar, *range(step // 2, vocabulary, step)]))[:MOST_TOKENS]
        self.share = 0.0  # of the variance of the first subspace that the two axes show
        self.pictures: list[dict[str, Any]] = []
        self._seen: weakref.ref[Blocks] | None = None  # they are as large as the table, and the film outlives them
        self._axes: torch.Tensor | None = None  # (d, 2)
        self._scale = 1.0

    def take(self, stage: str, blocks: Blocks, books: list[torch.Tensor], codes: torch.Tensor | None = None) -> dict[str, Any]:
        """One more picture, in plain types: ``stage``; ``codes`` of the n tokens in the first subspace; ``books``, places x, y of codewords,
        and ``shown``, which codewords they are (None: all Q); ``familiar``, codes of the familiar tokens in the first subspaces; ``points``,
        places of the n tokens, where they are not those of the picture before; ``tokens`` and ``share`` in the first picture.

        books: one (g, Q, d) a group of subspaces of equal width. codes: (V, f), or None for the nearest.
        """
        picture: dict[str, Any] = {"stage": stage, "points": None if self._is_seen(blocks) else self._enter(blocks)}
        book = books[0][0]
        if codes is None:
            own = _nearest(self._vectors[None], book[None])[0]
            familiar = torch.cat([_nearest(x, part[: len(x)]) for x, part in zip(self._familiar, books, strict=False)]).T
        else:
            own = codes[self._ids, 0]
            familiar = codes[self._ids[: len(self.familiar)], : len(self._widths)]
        shown = None if len(book) <= MOST_CODEWORDS else own.unique()
        picture["shown"] = None if shown is None else shown.tolist()
        picture["books"] = self._places(book if shown is None else book[shown])
        picture["codes"], picture["familiar"] = own.tolist(), familiar.tolist()
        if not self.pictures:
            picture |= {"tokens": self.tokens, "share": self.share}
        self.pictures.append(picture)
        return picture

    def kept(self) -> list[dict[str, Any]]:
        """At most MOST_PICTURES of them, evenly, the first and the last among them."""
        return thinned(self.pictures)

    def _is_seen(self, blocks: Blocks) -> bool:
        return self._seen is not None and self._seen() is blocks

    def _enter(self, blocks: Blocks) -> list[list[int]]:
        """Look at other blocks from now on; returns where the tokens lie in them."""
        self._seen = weakref.ref(blocks)
        self._ids = torch.tensor(self.tokens, device=blocks.device)
        chosen = self._ids[: len(self.familiar)]
        self._vectors = blocks.groups[0][1][0, self._ids]
        self._widths = blocks.widths[:MOST_SUBSPACES]
        self._familiar = [
            x[: MOST_SUBSPACES - first, chosen] for first, x in blocks.groups if first < MOST_SUBSPACES
        ]  # (g, m, d)
        if self._axes is None:
            rows = blocks.groups[0][1][0, :: max(1, blocks.vocabulary // _ROWS)]
            rows = rows - rows.mean(0)
            self._axes, self.share = _main_axes(rows)
            reach = (self._vectors @ self._axes).abs().amax(1)  # a few tokens far out must not press all others together
            self._scale = (
                max(float(reach.quantile(_INSIDE)), float(reach[: len(self.familiar)].max() if self.familiar else 0)) or 1.0
            )
        return self._places(self._vectors)

    def _places(self, vectors: torch.Tensor) -> list[list[int]]:
        """(n, d) -> n pairs of whole numbers."""
        return (vectors @ self._axes * (UNIT / self._scale)).round().clamp(-9 * UNIT, 9 * UNIT).int().tolist()


def thinned(pictures: list[dict[str, Any]], most: int = MOST_PICTURES) -> list[dict[str, Any]]:
    """At most so many pictures, evenly, the first and the last among them; each says where the tokens lie if that changed since the last one kept."""
    count = len(pictures)
    chosen = range(count) if count <= most else sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})
    found, points = [], None
    last = None
    for at, picture in enumerate(pictures):
        points = picture["points"] or points
        if at in chosen:
            found.append({**picture, "points": None if points is last else points})
            last = points
    return found


def _nearest(x: torch.Tensor, books: torch.Tensor) -> torch.Tensor:
    """(g, n, d), (g, Q, d) -> (g, n) codes."""
    return torch.baddbmm(books.square().sum(-1).unsqueeze(1), x, books.mT, alpha=-2).argmin(-1)


def _main_axes(rows: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The two main axes of centred rows (n, d) by orthogonal iteration: (d, 2), and their share of the variance. Of one dimension the other is 0."""
    width = rows.shape[1]
    if width == 1:
        return torch.tensor([[1.0, 0.0]], device=rows.device), 1.0
    # Any start that is not orthogonal to them will do; it must not come from the random numbers of the compression.
    at = torch.arange(width, device=rows.device, dtype=rows.dtype)
    axes = torch.stack([torch.cos(at * at), torch.sin(at * at + 1)], dim=1)
    for _ in range(_TURNS):
        axes = torch.linalg.qr(rows.T @ (rows @ axes)).Q
    whole = float(rows.square().sum())
    return axes, float((rows @ axes).square().sum()) / whole if whole > 0 else 0.0
