"""Tiers: tokens that count more get more bits; see the module tiers beside this one for how tiers are written and chosen.

Every tier is compressed on its own, by product quantization with its own f, Q and codebooks, as int8 rows, or exactly. Which token
belongs to which tier is stored (subemb.codec.membership), and counted.

The tokens of a last tier ``nearest`` have no rows of their own: each has that of the token most like it in the tiers before, at the
smallest angle (as in the module trim beside this one), which takes as many bits as f = 3 and Q = 32. all-MiniLM-L6-v2, nothing trained,
Spearman x 100 on STS-B dev, SICK trial, SimLex and WordSim (original 86.7, 79.8, 44.6, 72.9): 1,500 tokens with f = 48, 5,000 with f = 20,
all with Q = 32, and the others with f = 4 82.5, 71.8, 28.2 and 48.4 in 208.5 kB, the others nearest 83.1, 75.3, 33.6 and 47.0 in 175.2 kB.

The search for a budget does not take to it by itself, because it goes by distortion, in which a borrowed row of full length costs more than the
mean of a crowd: 100 kB of the same model, sensitive, seed 0, STS-B dev, SICK trial, SimLex and WordSim: 79.5, 68.5, 26.4 and 36.1 with a
distortion of .645; with the rows of 3,500 tokens borrowed by the others 80.5, 74.2, 31.3 and 50.0 with .776. 300 kB: 84.3, 75.5, 34.5 and 51.1 with
.443, 7,000 tokens 84.4, 77.1, 37.4 and 56.1 with .560. Shorter borrowed rows have less distortion (.679 at the best scale, .239) and no better
scores (79.9, 73.1, 30.9 and 50.0). So it is a wish: ``keep`` with a budget.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from ...base.errors import InputError
from ...base.lazy import lazy_module
from ...base.progress import Progress, ProgressCallback, part_of, report
from ...base.store import Store
from ..compressed import Coded, Compressed, SubspaceCompressed
from ..film import not_filming
from ..membership import from_bytes, membership_bytes, to_bytes
from ..packing import CodesIn, pack, packed_bytes
from ..sizes import Size, code_bits_each
from ..subspaces import has_enough_tuples
from .arbitrary import Arbitrary
from .base import NOTICED, Method, MethodSettings, TensorForm, check_forms
from .budgets import SAMPLED, Curves, budget_bytes, curves_of_shape, measured_curves, measured_shapes, tiers_for
from .integers import Int8
from .product import Product
from .tiers import EXACT, INT8, NEAREST, Tier, counted, default_tiers, parsed, written
from .trim import borrowed_rows, kept_of, most_alike, searching

np = lazy_module("numpy")
torch = lazy_module("torch")

_NOTICED_AT_ONCE = 4096  # rows


@dataclass(repr=False)
class TieredCompressed(Compressed):
    """Parts, one a tier; each holds the tokens of its tier in the order of their ids. A last tier of borrowed rows has no part."""

    tier: torch.Tensor  # (V,) uint8: the tier of every token
    parts: list[Compressed] = field(default_factory=list)
    #: Of the last tier, where its rows are borrowed: (n,) int64, for each of its tokens the id of the one, in a tier before, whose row it has.
    lenders: torch.Tensor | None = None

    @cached_property
    def read(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(V,) uint8 and (V,) int64: the part in which the row of every token stands, and the place of the row there."""
        tier, place = self.tier, places_in(self.tier, len(self.parts) + (self.lenders is not None))
        if self.lenders is not None:
            stand_ins = self.stand_ins
            tier, place = tier[stand_ins], place[stand_ins]
        return tier, place

    @property
    def stand_ins(self) -> torch.Tensor:
        """(V,) int64: the id of the token whose row each token has; its own for most."""
        found = torch.arange(self.num_embeddings)
        if self.lenders is not None:
            found[self.tier == len(self.parts)] = self.lenders
        return found

    def part_of_tier(self, number: int) -> Compressed:
        """What a tier keeps; of one whose rows are borrowed, the rows that it gets, as a result of its own tokens."""
        if number < len(self.parts):
            return self.parts[number]
        rows = self.lookup(self.lenders)
        codes = torch.arange(len(rows), dtype=torch.int32)[:, None]
        settings = replace(
            self.settings, method=Arbitrary.key, subspaces=1, codebook_size=len(rows), codebook_bits=32, tiers=None, budget=None,
            keep=None, unique=None, sensitive=False,
        )  # fmt: skip
        return SubspaceCompressed(settings, len(rows), self.embedding_dim, codes, [rows])

    def lookup(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        tier, place = self.read
        tiers = torch.nn.functional.embedding(ids, tier[:, None])[..., 0]  # checks the range of the ids
        places = place[ids]
        rows = torch.empty(*ids.shape, self.embedding_dim, dtype=torch.float32)
        # naive: rows[i] = parts[tier[id]].lookup(place[id])
        for number, part in enumerate(self.parts):
            here = tiers == number
            if bool(here.any()):
                rows[here] = part.lookup(places[here])
        return rows

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything stored, by its name in the file."""
        return self.settings.about.tensors(self)

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        """``hidden @ reconstruction.T`` in bounded memory, differentiable in hidden: (n, D) -> (n, V)."""
        from ..chunks import ChunkedProduct

        return ChunkedProduct.apply(hidden, self)

    def size(self, model_parameters: int | None = None) -> Size:
        sizes, counts = [part.size() for part in self.parts], [part.num_embeddings for part in self.parts]
        return _sum_of(sizes, counts, self.num_embeddings, self.embedding_dim, model_parameters)

    @property
    def coded(self) -> list[Coded]:
        return [
            Coded(torch.nonzero(self.tier == number).flatten(), part)
            for number, part in enumerate(self.parts)
            if has_codes_to_choose(part.settings)
        ]

    def with_coded(self, parts: Sequence[SubspaceCompressed]) -> TieredCompressed:
        left = iter(parts)
        found = [next(left) if has_codes_to_choose(part.settings) else part for part in self.parts]
        return replace(self, parts=found, history=[], info={})

    @property
    def distinct_tuples(self) -> int:
        """How many tokens can be told apart: tuples of different tiers differ, rows that are not codes are all their own, or borrowed."""
        return sum(part.distinct_tuples if isinstance(part, SubspaceCompressed) else part.num_embeddings for part in self.parts)

    @property
    def colliding_tokens(self) -> int:
        """Tokens that share their tuple with another one of their tier, or their row with one that borrows it."""
        base, groups = 0, torch.empty(self.num_embeddings, dtype=torch.int64)
        for number, part in enumerate(self.parts):
            own = part.tuple_groups() if isinstance(part, SubspaceCompressed) else torch.arange(part.num_embeddings)
            groups[self.tier == number] = own + base
            base += int(own.max()) + 1
        groups = groups[self.stand_ins]
        return int((torch.bincount(groups)[groups] > 1).sum())


class Tiered(Method):
    """Product quantization tier by tier."""

    key = "tiered"
    title = "Tiers by token weight"
    summary = "Tokens that count more get more codes: tiers of tokens, each with its own f, Q and codebooks."
    reads = ("tiers", "budget", "keep", "unique", "weights", "codebook_bits", "sensitive", "iterations", "tolerance")
    can_be_unique = True
    can_be_sensitive = True
    can_be_reassigned = True
    can_be_adapted = True

    # Settings

    def resolve(self, settings: MethodSettings, vocabulary: int, dim: int) -> MethodSettings:
        settings = super().resolve(settings, vocabulary, dim)
        settings = replace(settings, unique=settings.wants_unique, sensitive=bool(settings.sensitive))
        if settings.keep is not None:
            if kept_of(settings.keep, vocabulary) is None:
                raise InputError(
                    f"keep is {settings.keep!r}, which no budget knows in advance; give a number of tokens, or a share such as 25%"
                )
            if settings.unique:
                raise InputError(
                    "tokens that are not kept borrow rows, which cannot be distinct then; allow collisions, or leave keep unset"
                )
        if settings.budget is not None:  # the table tells the tiers, see fit; here it is only asked whether there are any
            _guessed(settings, vocabulary, dim)
            return settings
        given = settings.tiers is not None
        tiers = counted(parsed(settings.tiers), vocabulary) if given else default_tiers(vocabulary, dim)
        settings = replace(settings, tiers=written(tiers))
        for tier, part, count in _parts(settings, tiers, vocabulary):
            try:
                part.about.resolve(part, count, dim)
            except InputError as error:
                raise InputError(f"tier {tier.text}: {error}") from error
            has_tuples = tier.kind == "codes" and has_enough_tuples(count, tier.subspaces, tier.codebook_size)
            if settings.unique and not has_tuples and tier.kind not in (EXACT, INT8):
                raise InputError(
                    f"tier {tier.text} has fewer tuples than its {count:,} tokens, which cannot be distinct then; raise its f or Q, or "
                    "allow collisions"
                )
        if settings.unique and tiers[-1].kind == NEAREST:
            raise InputError(
                f"tier {tiers[-1].text} gives its tokens the rows of others, which cannot be distinct then; allow collisions"
            )
        return settings

    def is_guess(self, settings: MethodSettings) -> bool:
        return settings.budget is not None

    def parts(self, settings: MethodSettings, vocabulary: int, dim: int) -> list[tuple[int, MethodSettings]]:
        """(number of tokens, settings) of every tier with rows of its own, resolved. Of a budget those that it would have by the shape of
        the table."""
        tiers = parsed(settings.tiers) if settings.budget is None else _guessed(settings, vocabulary, dim)
        return [(count, part.about.resolve(part, count, dim)) for _, part, count in _parts(settings, tiers, vocabulary)]

    def size(self, settings: MethodSettings, vocabulary: int, dim: int) -> Size:
        parts = self.parts(settings, vocabulary, dim)
        return _sum_of([part.about.size(part, n, dim) for n, part in parts], [n for n, _ in parts], vocabulary, dim)

    def nanoseconds(self, settings: MethodSettings, vocabulary: int, dim: int, alike: float = 1.0) -> float:
        parts = self.parts(settings, vocabulary, dim)
        fitted = sum(part.about.nanoseconds(part, count, dim, alike) for count, part in parts)
        fitted += _borrowing(parts, vocabulary, dim)
        fitted += vocabulary * dim * (_TOGETHER + (_NOTICED_MORE * NOTICED * dim if settings.sensitive else 0.0))
        return fitted + (0.0 if settings.budget is None else _measuring(settings, vocabulary, dim))

    def at_bytes(self, settings: MethodSettings, target: int, vocabulary: int, dim: int) -> MethodSettings | None:
        try:
            return self.resolve(replace(settings, tiers=None, budget=str(target)), vocabulary, dim)
        except InputError:
            return None

    # Fitting

    def fit(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None = None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ) -> TieredCompressed:
        vocabulary, dim = table.shape
        settings, curves, info = self.resolve(settings, vocabulary, dim), None, {}
        asked = settings
        if asked.budget is not None:
            info["budget"] = asked.budget
            if asked.keep is not None:
                info["keep"] = asked.keep
            share = _measuring(settings, vocabulary, dim) / self.nanoseconds(settings, vocabulary, dim)
            with not_filming():
                curves = _curves(table, settings, part_of(progress, 0.0, share), weights, sensitivity)
            progress = part_of(progress, share, 1.0)
        while True:
            chosen = settings if curves is None else self._for_budget(settings, vocabulary, dim, curves)
            compressed = self._fitted(table, chosen, progress, weights, sensitivity)
            rounded = [(number, part) for number, part in enumerate(compressed.parts, 1) if "rounding" in part.info]
            if not rounded:
                break
            # one number of bits for all tiers, which the settings can say: and with that, once more
            number, worst = max(rounded, key=lambda pair: pair[1].info["rounding"]["errors"][1])
            info.setdefault("rounding", {**worst.info["rounding"], "asked": asked.codebook_bits, "tier": number})
            settings = replace(settings, codebook_bits=max(part.settings.codebook_bits for _, part in rounded))
        compressed.info |= info
        return compressed

    def _fitted(
        self,
        table: torch.Tensor,
        settings: MethodSettings,
        progress: ProgressCallback | None,
        weights: torch.Tensor | None,
        sensitivity: torch.Tensor | None,
    ) -> TieredCompressed:
        """The result with the tiers of resolved settings."""
        vocabulary, dim = table.shape
        parts = self.parts(settings, vocabulary, dim)
        # the heaviest first; of equal ones the lower id
        order = torch.arange(vocabulary) if weights is None else torch.argsort(weights.cpu(), descending=True, stable=True)
        costs = [part.about.nanoseconds(part, count, dim) + 1.0 for count, part in parts]
        whole = sum(costs) + _borrowing(parts, vocabulary, dim)
        tier, members, found, start, done = torch.full((vocabulary,), len(parts), dtype=torch.uint8), [], [], 0, 0.0
        for count, _ in parts:
            members.append(order[start : start + count].sort().values)
            start += count
        borrowing, lenders = order[start:].sort().values, None
        counted_too = sensitivity if settings.sensitive else None
        steps = _Steps(table, [*members, borrowing] if len(borrowing) else members, progress, weights, counted_too)
        for number, (_, part) in enumerate(parts):
            ids = members[number]
            tier[ids] = number
            share = costs[number] / whole
            report(progress, steps.begun(number), done)
            inside = None if weights is None or "weights" not in part.about.reads else weights[ids] / weights[ids].mean()
            more = (part_of(steps.told, done, done + share), inside, sensitivity if part.sensitive else None)
            found.append(part.about.fit(table[ids.to(table.device)], part, *more))
            steps.finished(found[-1])
            done += share
        if len(borrowing):
            report(progress, steps.begun(len(parts)), done)
            rows = torch.cat(members).sort().values
            lenders = rows[most_alike(table, borrowing, rows, part_of(steps.told, done, 1.0))]
        compressed = TieredCompressed(settings, vocabulary, dim, tier, found, lenders, history=steps.history)
        if lenders is not None:
            steps.borrowed(compressed.part_of_tier(len(parts)))
        compressed.info = {
            "iterations": sum(len(part.history) for part in found),
            "distinct": compressed.distinct_tuples,
            "colliding_tokens": compressed.colliding_tokens,
        }
        return compressed

    def _for_budget(self, settings: MethodSettings, vocabulary: int, dim: int, curves: Curves) -> MethodSettings:
        """The settings with the tiers that lose least by these curves, in place of their budget."""
        tiers = _searched(settings, vocabulary, dim, curves)
        return self.resolve(replace(settings, tiers=written(tiers), budget=None, keep=None), vocabulary, dim)

    # The saved form: ``tiers``, the bytes of all tensors of all tiers, one after the other, because every name in a file takes 80 bytes:
    # which of the tokens that are left belong to a tier (not of the last), and what the tier's own method stores, in its order; of a last tier
    # whose rows are borrowed, which of the tokens before it lends each of them its row

    def expected(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        forms = self._forms(settings, vocabulary, dim)
        return {"tiers": TensorForm((sum(map(_bytes_in, forms.values())),), torch.uint8)}

    def _forms(self, settings: MethodSettings, vocabulary: int, dim: int) -> dict[str, TensorForm]:
        """What is in those bytes, in their order."""
        forms, left = {}, vocabulary
        for number, (count, part) in enumerate(self.parts(settings, vocabulary, dim)):
            if count < left:
                forms[f"tier.{number}"] = TensorForm((membership_bytes(count, left),), torch.uint8)
            left -= count
            forms |= {f"part.{number}.{name}": form for name, form in part.about.expected(part, count, dim).items()}
        if left:
            forms["nearest"] = TensorForm((_borrowed_bytes(vocabulary - left, left),), torch.uint8)
        return forms

    def codes_in(self, settings: MethodSettings, vocabulary: int, dim: int) -> list[CodesIn]:
        starts, at = {}, 0
        for name, form in self._forms(settings, vocabulary, dim).items():
            starts[name], at = at, at + _bytes_in(form)
        found = [
            one._replace(tensor="tiers", start=one.start + starts[f"part.{number}.{one.tensor}"])
            for number, (count, part) in enumerate(self.parts(settings, vocabulary, dim))
            for one in part.about.codes_in(part, count, dim)
        ]
        if "nearest" in starts:
            lending = sum(count for count, _ in self.parts(settings, vocabulary, dim))
            found.append(CodesIn("tiers", starts["nearest"], vocabulary - lending, 1, code_bits_each(lending)))
        return [one for one in found if one.count and 0 < one.bits <= 16]

    def tensors(self, compressed: TieredCompressed) -> dict[str, torch.Tensor]:
        tensors, left = {}, np.arange(compressed.num_embeddings)
        for number, part in enumerate(compressed.parts):
            inside = (compressed.tier.cpu().numpy() == number)[left]
            if part.num_embeddings < len(left):
                tensors[f"tier.{number}"] = torch.from_numpy(to_bytes(np.flatnonzero(inside), len(left)))
            left = left[~inside]
            tensors |= {f"part.{number}.{name}": tensor for name, tensor in part.settings.about.tensors(part).items()}
        if compressed.lenders is not None:
            lending = np.flatnonzero(compressed.tier.cpu().numpy() < len(compressed.parts))
            rows = np.searchsorted(lending, compressed.lenders.cpu().numpy())
            tensors["nearest"] = torch.from_numpy(pack(rows, code_bits_each(len(lending))))
        forms = self._forms(compressed.settings, compressed.num_embeddings, compressed.embedding_dim)
        check_forms(self.key, forms, tensors)
        return {"tiers": torch.cat([tensors[name].contiguous().flatten().view(torch.uint8) for name in forms])}

    def built(
        self, settings: MethodSettings, vocabulary: int, dim: int, tensors: dict[str, torch.Tensor], **notes: Any
    ) -> TieredCompressed:
        forms = self._forms(settings, vocabulary, dim)
        pieces = tensors["tiers"].split([_bytes_in(form) for form in forms.values()])
        tensors = {
            name: piece.clone().view(form.dtype).view(form.shape)
            for (name, form), piece in zip(forms.items(), pieces, strict=True)
        }
        check_forms(self.key, forms, tensors)
        parts = self.parts(settings, vocabulary, dim)
        tier, left, found = torch.full((vocabulary,), len(parts), dtype=torch.uint8), np.arange(vocabulary), []
        for number, (count, part) in enumerate(parts):
            inside = np.arange(len(left))
            if count < len(left):
                inside = from_bytes(tensors[f"tier.{number}"].numpy(), count, len(left))
            tier[torch.from_numpy(left[inside])] = number
            left = np.delete(left, inside)
            own = {name.split(".", 2)[2]: t for name, t in tensors.items() if name.startswith(f"part.{number}.")}
            found.append(part.about.built(part, count, dim, own))
        lenders = None
        if len(left):
            lending = np.delete(np.arange(vocabulary), left)
            lenders = torch.from_numpy(lending[borrowed_rows(tensors["nearest"].numpy(), len(left), len(lending))])
        return TieredCompressed(settings, vocabulary, dim, tier, found, lenders, **notes)

    def check_computable(self, settings: MethodSettings, vocabulary: int) -> None:
        if settings.tiers is not None:
            for _, part, count in _parts(settings, parsed(settings.tiers), vocabulary):
                part.about.check_computable(part, count)


class _Steps:
    """The errors of the whole table after each step in each tier; tiers that are not compressed yet count as their mean.

    members: the ids of every tier. weights, sensitivity: with a sensitivity its error is kept too, weighted: it is what is made small.
    history: see :class:`subemb.codec.compressed.Compressed`; every stage names its tier.
    """

    def __init__(
        self,
        table: torch.Tensor,
        members: list[torch.Tensor],
        progress: ProgressCallback | None,
        weights: torch.Tensor | None = None,
        sensitivity: torch.Tensor | None = None,
    ):
        from ..blocks import spread

        self.table, self.members, self.progress, self.weights = table, members, progress, weights
        self.history: list[dict[str, Any]] = []
        self.variances = {"error": [float(spread(self._rows(ids)[None], None)) for ids in members]}
        self.whole = {"error": float(spread(table[None], None))}
        self.matrix = None
        if sensitivity is not None:
            from ..sensitive import definite

            self.matrix = definite(sensitivity).cpu().double()
            self.variances["sensitive_error"] = [self._noticed_about_mean(ids) for ids in members]
            self.whole["sensitive_error"] = self._noticed_about_mean(torch.arange(len(table)))
        self.left = {name: list(sums) for name, sums in self.variances.items()}  # squared errors of all tiers, so far
        self.number = 0

    def begun(self, number: int) -> str:
        """The stage with which a tier begins."""
        self.number = number
        return self._named("")

    def _named(self, stage: str) -> str:
        return f"tier {self.number + 1} of {len(self.members)}" + (f": {stage}" if stage else "")

    def _errors(self, entry: dict[str, Any] | None = None) -> dict[str, float]:
        """The errors of the whole table. entry: errors of the tier, in place of what is known to be left of it."""
        found = {}
        for name, sums in self.left.items():
            left = list(sums)
            if entry is not None and name not in entry:
                continue
            if entry is not None:
                left[self.number] = entry[name] * self.variances[name][self.number]
            found[name] = sum(left) / self.whole[name] if self.whole[name] > 0 else 0.0
        return found

    def _entry(self, entry: dict[str, Any], stage: str) -> dict[str, Any]:
        """A step of the tier as one of the table. Errors that only the tier has, such as those of its subspaces, are left out."""
        found = {"iteration": len(self.history) + entry["iteration"], **self._errors(entry), "per_subspace": []}
        return found | {"stage": self._named(stage)} | ({"seconds": entry["seconds"]} if "seconds" in entry else {})

    def told(self, message: Progress) -> bool | None:
        """Progress of the tier, passed on as that of the table."""
        if self.progress is None:
            return None
        values = message.values
        if "error" in values:
            values = self._entry({"iteration": 1, **values}, message.stage)
            del values["stage"]
        return self.progress(Progress(self._named(message.stage), message.fraction, values))

    def borrowed(self, part: Compressed) -> None:
        """Keep as a step what is left once the tokens of the last tier have the rows that they borrow."""
        self.finished(part)
        entry = {"iteration": len(self.history) + 1, **self._errors(), "per_subspace": []}
        self.history.append(entry | {"stage": self._named("borrowing rows")})

    def finished(self, part: Compressed) -> None:
        """Keep the steps of a tier, and the errors that are left of it, in float64."""
        from ..chunks import rebuilt_rows

        steps = [self._entry({**entry, "iteration": at}, entry["stage"]) for at, entry in enumerate(part.history, 1)]
        self.history += steps
        ids = self.members[self.number]
        sums = dict.fromkeys(self.left, 0.0)
        for here, rows in rebuilt_rows(part, torch.device("cpu")):
            apart = (self._rows(ids[here]).cpu() - rows).double()
            sums["error"] += float(apart.square().sum())
            if self.matrix is not None:
                sums["sensitive_error"] += self._noticed(apart, ids[here])
        for name, left in sums.items():
            self.left[name][self.number] = left

    def _rows(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table[ids.to(self.table.device)]

    def _noticed_about_mean(self, ids: torch.Tensor) -> float:
        """What the output would notice if one vector, their weighted mean, stood for these tokens."""
        from ..blocks import column_means

        rows = self._rows(ids)
        mean = column_means(rows, None if self.weights is None else self.weights[ids].to(rows.device))
        return sum(
            self._noticed((rows[start : start + _NOTICED_AT_ONCE].double() - mean).cpu(), ids[start : start + _NOTICED_AT_ONCE])
            for start in range(0, len(rows), _NOTICED_AT_ONCE)
        )

    def _noticed(self, apart: torch.Tensor, ids: torch.Tensor) -> float:
        """Sum of w r^T M r over (n, D) vectors r in float64, of tokens (n,)."""
        from ..sensitive import noticed

        each = noticed(apart, self.matrix)
        return float(each.sum() if self.weights is None else self.weights[ids].cpu().double() @ each)


def _bytes_in(form: TensorForm) -> int:
    return math.prod(form.shape) * torch.empty(0, dtype=form.dtype).element_size()


def _borrowing(parts: Sequence[tuple[int, MethodSettings]], vocabulary: int, dim: int) -> float:
    """Nanoseconds of one thread for finding the rows that tokens in none of these parts borrow."""
    lending = sum(count for count, _ in parts)
    return searching(vocabulary - lending, lending, dim)


def _borrowed_bytes(lending: int, borrowing: int) -> int:
    """Bytes that tell whose row each of the others has."""
    return packed_bytes(borrowing, code_bits_each(lending))


def has_codes_to_choose(settings: MethodSettings) -> bool:
    """Whether a tier of these settings is more than rows that are kept, or one vector for all."""
    return settings.method == Product.key and settings.codebook_size > 1


def places_in(tier: torch.Tensor, tiers: int) -> torch.Tensor:
    """(V,) int64: how many tokens of the same tier have a smaller id."""
    place = torch.empty(len(tier), dtype=torch.int64, device=tier.device)
    for number in range(tiers):
        here = tier == number
        place[here] = torch.arange(int(here.sum()), device=tier.device)
    return place


def _parts(settings: MethodSettings, tiers: list[Tier], vocabulary: int) -> list[tuple[Tier, MethodSettings, int]]:
    """Each tier that has rows of its own, with the settings of its own method, not resolved, and its number of tokens."""
    found, left = [], vocabulary
    for tier in tiers:
        if tier.kind == NEAREST:
            break
        count = left if tier.count is None else tier.count
        left -= count
        own = {"tiers": None, "budget": None, "keep": None, "subspaces": tier.subspaces, "codebook_size": tier.codebook_size}
        if tier.kind == EXACT:
            own |= {"codebook_size": count, "codebook_bits": 32}
        method = {EXACT: Arbitrary.key, INT8: Int8.key}.get(tier.kind, Product.key)
        is_product = method == Product.key
        own |= {"unique": bool(settings.unique) if is_product else None, "sensitive": bool(settings.sensitive) and is_product}
        found.append((tier, replace(settings, method=method, **own), count))
    return found


# A budget

_JOINT_UP_TO = 1 / 3  # codes for each axis; of more, what they leave is small, and choosing them together takes long
_ROUNDS = 6
_TOGETHER = 25.0  # nanoseconds for each of V x D: ordering tokens, cutting the table by tiers, measuring all of them together
_NOTICED_MORE = 3  # times that what the output notices is found of all tokens: about means, twice, and of what is left
_REST = Tier(None, NEAREST)
_SEARCHING = 1e9  # nanoseconds of one thread
_WORTH_KEEPING = 2**20  # numbers of a table; of a smaller one curves are measured in no time


def _searched(settings: MethodSettings, vocabulary: int, dim: int, curves: Curves, thorough: bool = True) -> list[Tier]:
    """The tiers that lose least; with ``keep``, those of so many tokens, and all others borrow their rows."""
    number = budget_bytes(settings.budget, vocabulary, dim)
    own = vocabulary if settings.keep is None else kept_of(settings.keep, vocabulary)
    others, lent = vocabulary - own, 0
    if others:
        lent = _borrowed_bytes(own, others)
        if lent >= number:
            raise InputError(
                f"a budget of {number:,} bytes is too little: telling whose row each of {others:,} tokens borrows takes {lent:,}; raise the budget, "
                "keep more tokens, or leave keep unset"
            )
    tiers = tiers_for(number - lent, own, dim, curves, settings.wants_unique, settings.codebook_bits, thorough, others)
    return [*tiers[:-1], replace(tiers[-1], count=own - sum(tier.count for tier in tiers[:-1])), _REST] if others else tiers


def _guessed(settings: MethodSettings, vocabulary: int, dim: int) -> list[Tier]:
    """Tiers for the budget of the settings, by the shape of the table alone. Raises InputError for too little."""
    # all that the choice depends on
    asked = {name: getattr(settings, name) for name in ("budget", "keep", "unique", "codebook_bits")}
    found = _guessed_once(type(settings)(settings.method, **asked), vocabulary, dim)
    if isinstance(found, str):
        raise InputError(found)
    return found


@lru_cache(maxsize=64)
def _guessed_once(settings: MethodSettings, vocabulary: int, dim: int) -> list[Tier] | str:
    """The tiers, or why there are none. The search takes half a second, also where it finds nothing."""
    try:
        return _searched(settings, vocabulary, dim, curves_of_shape(vocabulary), thorough=False)
    except InputError as error:
        return str(error)


def _curves(
    table: torch.Tensor,
    settings: MethodSettings,
    progress: ProgressCallback | None,
    weights: torch.Tensor | None,
    sensitivity: torch.Tensor | None,
) -> Curves:
    """What bytes would buy on this table, with these settings; equal for all seeds. Those of a large table are kept in the cache."""
    from ..sensitive import definite

    if not settings.sensitive:
        sensitivity = None
    dim = table.shape[1]
    key = None
    if table.numel() >= _WORTH_KEEPING:
        measured_on = [None if part is None else _digest(part) for part in (table, weights, sensitivity)]
        key = CURVES.key(on=measured_on, settings=_sampled(settings, 1, 1, bool(settings.sensitive)).to_dict())
        if (kept := CURVES.get(key)) is not None:
            return kept

    def fit(rows: torch.Tensor, subspaces: int, size: int, inside: torch.Tensor | None) -> torch.Tensor:
        matrix = sensitivity if subspaces <= dim * _JOINT_UP_TO else None
        own = _sampled(settings, subspaces, size, sensitive=matrix is not None)
        return Product().fit(rows, own, None, inside, matrix).reconstruct()

    found = measured_curves(table, fit, weights, None if sensitivity is None else definite(sensitivity), progress)
    if key is not None:
        with contextlib.suppress(InputError):  # a full disk only means that they are measured again
            CURVES.put(key, found)
    return found


def _digest(numbers: torch.Tensor) -> str:
    return hashlib.sha256(numbers.detach().cpu().contiguous().numpy()).hexdigest()


#: What was measured for budgets, whatever the budget is.
CURVES: Store[Curves] = Store("curves", most=100, in_memory=8, kind=Curves)


def _sampled(settings: MethodSettings, subspaces: int, size: int, sensitive: bool) -> MethodSettings:
    """Settings with which a sample is compressed."""
    own = {
        "subspaces": subspaces,
        "codebook_size": size,
        "tiers": None,
        "budget": None,
        "keep": None,
        "unique": False,
        "seed": 0,
    }
    rounds = min(_ROUNDS, settings.iterations)
    return replace(settings, method=Product.key, **own, sensitive=sensitive, iterations=rounds)


def _measuring(settings: MethodSettings, vocabulary: int, dim: int) -> float:
    """Nanoseconds of one thread for measuring curves and choosing by them, roughly."""
    tokens, found = min(vocabulary, SAMPLED), _SEARCHING
    for subspaces, size in measured_shapes(tokens, dim):
        sensitive = bool(settings.sensitive) and subspaces <= dim * _JOINT_UP_TO
        part = Product().resolve(_sampled(settings, subspaces, size, sensitive), tokens, dim)
        found += Product().nanoseconds(part, tokens, dim)
    return found


def _sum_of(sizes: list[Size], counts: list[int], vocabulary: int, dim: int, model_parameters: int | None = None) -> Size:
    """What tiers take together, and what tells them apart, each in whole bytes."""
    left, apart = vocabulary, 0
    for count in counts:
        apart += membership_bytes(count, left) if count < left else 0
        left -= count
    apart += _borrowed_bytes(vocabulary - left, left) if left else 0
    return Size(
        vocabulary,
        dim,
        codebook_parameters=sum(size.codebook_parameters for size in sizes),
        other_parameters=sum(size.other_parameters for size in sizes),
        code_bits=8 * (apart + sum(size.code_bytes for size in sizes)),
        model_parameters=model_parameters,
        codebook_bytes=sum(size.codebook_bytes for size in sizes),
    )
