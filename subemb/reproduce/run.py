"""reproduce(): measure what is missing of a model's table of claims, row by row, within a budget of minutes."""

import contextlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..adaptation.material import MOST_HELD_OUT
from ..adaptation.session import steps_seconds
from ..adaptation.settings import AdaptationSettings
from ..base.arguments import checked
from ..base.errors import Cancelled, InputError
from ..base.pace import slowness
from ..base.plain import to_plain
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import Store
from ..bench.speed import machine
from ..codec.estimates import estimate_seconds
from ..evaluate.context.perplexity import token_seconds
from ..evaluate.similarity.pairs import encoding_seconds
from ..jobs.worker import describe as described_error
from ..models.load import opened
from ..models.model import PretrainedModel, describe
from ..sweep.table import FAILED
from .claim import Ask
from .claims import BY_NUMBER, CLAIMS
from .known_claims import default_folder, shipped_table
from .measure import BATCH, FORMAT, Answers, Bench, row_key, row_of, versus
from .rows import MASKED, SEARCHED, SENTENCES, SPEED, TUNED, UNTRAINED, Cell, ClaimRow, ClaimsTable, Facts, Sizes
from .sets import Material, count_sets, material_for

MINUTES = 60.0
#: From little to much; a budget takes the last one that fits, else the first.
LADDER = (
    Sizes(pairs=150, steps=20, seconds=15.0, seeds=1, tokens=100),
    Sizes(pairs=300, steps=40, seconds=30.0, seeds=1, tokens=150),
    Sizes(pairs=500, steps=40, seconds=40.0, seeds=2, tokens=200),
    Sizes(pairs=1000, steps=80, seconds=90.0, seeds=2, tokens=300),
    Sizes(pairs=1500, steps=120, seconds=150.0, seeds=3, tokens=500),
    Sizes(pairs=2500, steps=200, seconds=300.0, seeds=3, tokens=1000),
)
MOST_MINUTES, MOST_SEEDS = 7 * 24 * 60.0, 100
_STARTING = 20.0  # seconds of reading sets and scoring the original, on two free cores
_SHARE = 0.05  # of the progress that this takes
_MARGIN = 1.3  # rows take up to so many times what is told: sets have longer sentences, and networks differ
_READ = 30  # tokens of a sentence whose words are masked, roughly
FEW_SETS = 3  # labelled sets, where it is not known how many there are


def _write_answers(folder: Path, value: tuple[ClaimRow, Answers]) -> None:
    row, answers = value
    ROWS.write_json(folder, to_plain(row.flat()))
    np.savez_compressed(folder / "answers.npz", **{f"a{number}": one for number, one in enumerate(answers.values())})
    (folder / "names.txt").write_text("\n".join(answers), encoding="utf-8")


def _read_answers(folder: Path) -> tuple[ClaimRow, Answers]:
    row = ClaimRow.from_flat(ROWS.read_json(folder))
    names = (folder / "names.txt").read_text(encoding="utf-8").splitlines()
    with np.load(folder / "answers.npz", allow_pickle=False) as held:
        return row, {name: held[f"a{number}"] for number, name in enumerate(names)}


#: Every row that was measured, and what its model found for the sets, so that no row is measured twice.
ROWS: Store[tuple[ClaimRow, Answers]] = Store("claim-rows", format=FORMAT, most=2000, read=_read_answers, write=_write_answers)


@dataclass(frozen=True)
class Plan:
    """The rows that are wanted, in the order in which they are measured."""

    cells: tuple[Cell, ...]
    seconds: tuple[float, ...]  # of each, roughly, on this computer as busy as it is now

    def left(self, known: Sequence[Cell]) -> float:
        """Seconds of the rows that are not known yet."""
        return sum(seconds for cell, seconds in zip(self.cells, self.seconds, strict=True) if cell not in known)


def check_asked(only: Sequence[int], minutes: float, seeds: int | None) -> None:
    """Raises InputError for numbers of claims that there are not, and for a budget or seeds outside their limits."""
    unknown = [number for number in only if number not in BY_NUMBER]
    if unknown:
        raise InputError(f"there is no claim {unknown[0]}; claims are 1 to {len(CLAIMS)}")
    if not 0 < minutes <= MOST_MINUTES:
        raise InputError(f"a budget of {minutes:g} minutes is not possible; give more than 0 and at most {MOST_MINUTES:,.0f}")
    if seeds is not None and not 1 <= seeds <= MOST_SEEDS:
        raise InputError(f"{seeds} seeds are not possible; give 1 to {MOST_SEEDS}")


@checked
def reproduce(
    model: PretrainedModel | str,
    data: str | Path | None = None,
    *,
    only: Sequence[int] = (),
    minutes: float = MINUTES,
    seeds: int | None = None,
    sizes: Sizes | None = None,
    folder: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> ClaimsTable:
    """Measure the paper's twelve claims on a model: the rows that are missing of its table, each kept as soon as it is there.

    data: a folder with labelled sets, found by their names; None takes the demonstration sets. only: numbers of claims.
    minutes: a budget, which chooses how many pairs, steps and seeds; a folder that was begun goes on with what was chosen for it.
    seeds, sizes: in place of what the budget chooses. folder: of the table (``claims.parquet``, ``.csv``, ``.json``); by default one in
    the cache. A row that is known is not measured again. progress: hears of every new row (``row`` among its values).

    Raises InputError for what cannot be used, ModelError, Cancelled: what was finished is kept.
    """
    model = opened(model)
    check_asked(only, minutes, seeds)
    data = None if data is None else Path(data)
    place = default_folder(model, data) if folder is None else Path(folder)
    before = ClaimsTable.read(place)
    _check_belongs(before, model, place)
    report(progress, "reading the sets", 0.0)
    chosen = sizes or _sizes(model, data, before, minutes, only)
    if seeds is not None:
        chosen = replace(chosen, seeds=seeds)
    material = material_for(model, data, chosen, part_of(progress, 0.0, _SHARE))
    facts = _facts(model, material, chosen, minutes)
    return _Work(model, material, facts, place, before, only, progress).run()


def _check_belongs(before: ClaimsTable | None, model: PretrainedModel, place: Path) -> None:
    if before is not None and not model.has_content_of(before.facts.model):
        raise InputError(f"{place} holds the claims of another model ({before.facts.model.get('name')}); give another folder")


def _sizes(model: PretrainedModel, data: Path | None, before: ClaimsTable | None, minutes: float, only: Sequence[int]) -> Sizes:
    """What a folder was begun with, if the budget is the same; else the most that fits."""
    if before is not None and before.facts.minutes == minutes:
        return before.facts.sizes
    labelled, sets = () if data is None else ("similarity", "entailment"), count_sets(model, data)
    fitting = [one for one in LADDER if _MARGIN * estimated_seconds(model, one, labelled, only, sets) <= 60 * minutes]
    return fitting[-1] if fitting else LADDER[0]


def estimated_seconds(
    model: PretrainedModel, sizes: Sizes, labelled: Sequence[str] = (), only: Sequence[int] = (), sets: int = FEW_SETS
) -> float:
    """Rough seconds of a whole table on this computer, as busy as it is now; the original is scored first."""
    begun = slowness() * (_STARTING + _scoring_seconds(model, sizes, sets))
    return begun + sum(planned(model, sizes, labelled, only, sets).seconds)


def planned(
    model: PretrainedModel, sizes: Sizes, labelled: Sequence[str] = (), only: Sequence[int] = (), sets: int = FEW_SETS
) -> Plan:
    """The rows that some claims want of a model, and what they cost. labelled: tasks that can be fine-tuned on. sets: that rows are scored
    on."""
    has_network = model.has_network and model.has_tokenizer
    has_masked = has_network and model.has_head("masked") and model.tokenizer.mask_token_id is not None
    ask = Ask(model.num_tokens, model.dim, sizes, has_network, has_masked, tuple(labelled))
    cells: dict[Cell, None] = {}
    for claim in CLAIMS:
        if not only or claim.number in only:
            with contextlib.suppress(InputError):  # a table that is too small for these settings
                for cell in claim.cells(ask):
                    cells.setdefault(cell)
    ordered = sorted(cells, key=_turn)
    return Plan(tuple(ordered), tuple(_cell_seconds(model, cell, sizes, sets) for cell in ordered))


def _turn(cell: Cell) -> tuple[int, int, int]:
    """What is quick and serves many claims first, seed by seed; masked words last."""
    training = {UNTRAINED: 0, SEARCHED: 2, TUNED: 3}.get(cell.training, 1)
    return (cell.on == MASKED, cell.settings.seed, 1 if cell.kind == SPEED else training)


def _cell_seconds(model: PretrainedModel, cell: Cell, sizes: Sizes, sets: int) -> float:
    """Roughly: what is to be done here, and the budget of a search, which is seconds of the clock on any computer."""
    return slowness() * _work_seconds(model, cell, sizes, sets) + (cell.seconds or 0.0)


def _work_seconds(model: PretrainedModel, cell: Cell, sizes: Sizes, sets: int) -> float:
    """On two free cores, without the budget of a search."""
    seconds = estimate_seconds(cell.settings, model.num_tokens, model.dim)
    if cell.kind == SPEED:
        return seconds + 10.0
    network = model.has_network and model.has_tokenizer
    if cell.on == SENTENCES:
        sides = 2 if cell.training == TUNED else 1  # the original that was trained alike is scored too
        seconds += sides * _scoring_seconds(model, sizes, sets)
    if cell.on == MASKED:
        a_token = token_seconds(_READ, model.parameters, model.num_tokens, model.dim)
        seconds += a_token * sizes.tokens * (1 if cell.training == UNTRAINED else 0.5) * 4
    if cell.steps is not None and cell.seconds is None and network:
        settings = AdaptationSettings(
            objective=cell.task or "distill", train="everything" if cell.training == TUNED else "codebooks", reassign=False,
            steps=cell.steps, batch_size=BATCH,
        )  # fmt: skip
        seconds += steps_seconds(settings, model, cell.settings, MOST_HELD_OUT if cell.training == TUNED else 0)
    return seconds


def _scoring_seconds(model: PretrainedModel, sizes: Sizes, sets: int) -> float:
    """Of one side on all labelled sets."""
    if not model.has_network or not model.has_tokenizer:
        return 0.0
    sentence = "a sentence of some twelve words, as those that are scored mostly are"
    return encoding_seconds(model, [f"{sentence} {number}" for number in range(2 * sizes.pairs)], sets)


def _facts(model: PretrainedModel, material: Material, sizes: Sizes, minutes: float) -> Facts:
    text = (
        "sequences drawn from the vocabulary"
        if material.text is None
        else f"{len(material.text):,} sentences of {material.text.name}"
    )
    return Facts(
        to_plain(describe(model)), sizes, minutes, material.facts(), material.languages, text, material.is_demonstration,
        model.has_network and model.has_tokenizer, model.has_tied_head, material.masked is not None,
        "" if material.masked is None else model.head_note("masked"),
        material.heads, material.missing, material.notes, machine(),
    )  # fmt: skip


class _Work:
    """The rows of one table: those that are known, and those that are measured now."""

    def __init__(
        self,
        model: PretrainedModel,
        material: Material,
        facts: Facts,
        place: Path,
        before: ClaimsTable | None,
        only: Sequence[int],
        progress: ProgressCallback | None,
    ):
        self.model, self.material, self.facts, self.place, self.progress = model, material, facts, place, progress
        self.bench = Bench(model, material, facts.sizes.tokens)
        # A task is fine-tuned on only where it is scored too.
        scored = {one.ready.task for one in material.sets}
        labelled = [task for task in material.labelled if task in scored]
        sets = sum(not one.of for one in material.sets)
        self.plan = planned(model, facts.sizes, labelled, only, sets)
        whole = planned(model, facts.sizes, labelled, (), sets)
        self.keys = {self.key(cell): cell for cell in self.plan.cells}
        self.all_keys = {self.key(cell): cell for cell in whole.cells} | self.keys
        shipped = shipped_table(model)
        known = {row.key: row for table in (shipped, before) if table is not None for row in table.rows if row.is_done}
        self.rows: dict[str, ClaimRow] = {}
        self.answers: dict[str, Answers] = {}
        for key in self.all_keys:
            kept = ROWS.get(key)
            if kept is not None:
                self.rows[key], self.answers[key] = kept
            elif key in known:
                self.rows[key] = known[key]
        self.computed = 0

    def key(self, cell: Cell) -> str:
        return row_key(self.model.identity, cell, self.material, self.facts.sizes.tokens)

    def table(self) -> ClaimsTable:
        """As it is now."""
        rows = tuple(self.rows[key] for key in self.all_keys if key in self.rows)
        left = self.plan.left([cell for key, cell in self.keys.items() if key in self.rows])
        return ClaimsTable(self.facts, rows, len(self.all_keys), left, self.place, self.computed)

    def run(self) -> ClaimsTable:
        """Measure what is missing. Raises Cancelled; what was finished is kept."""
        self.table().write(self.place)  # a folder that cannot be written is told before any work
        seconds = dict(zip(self.keys, self.plan.seconds, strict=True))
        total = sum(seconds.values()) or 1.0
        missing = [key for key in self.keys if key not in self.rows]
        done = total - sum(seconds[key] for key in missing)
        for number, key in enumerate(missing, 1):
            start, end = (_SHARE + (1 - _SHARE) * share / total for share in (done, done + seconds[key]))
            self._measure(key, f"row {number} of {len(missing)}: ", part_of(self.progress, start, end))
            done += seconds[key]
        table = self.table()
        table.write(self.place)
        report(self.progress, "done", 1.0)
        return table

    def _measure(self, key: str, place: str, progress: ProgressCallback | None) -> None:
        cell = self.keys[key]

        def told(message: Any) -> bool | None:
            return None if progress is None else progress(replace(message, stage=f"{place}{cell.name}: {message.stage}"))

        digests = self.material.digests(cell)
        report(told, "beginning", 0.0)
        try:
            found, answers = self.bench.measure(cell, told)
        except Cancelled:
            raise
        except Exception as error:  # this row has failed, and the others have not
            found, answers = {"state": FAILED, "problem": described_error(error).text}, {}
        row = row_of(key, cell, self.model.name, self.model.identity, digests, found | {"where": platform.node()})
        if row.is_done:
            others = {other: self.answers[other] for other in self._compared(cell) if other in self.answers}
            row = replace(row, versus=versus(self.material, answers, others))
            ROWS.put(key, (row, answers))
        self.rows[key], self.answers[key] = row, answers
        self.computed += 1
        self.table().write(self.place)
        report(told, "done", 1.0, row=key)

    def _compared(self, cell: Cell) -> Iterator[str]:
        """Keys of the rows that a row is compared with: trained alike, or at about the same bytes, with the same seed."""
        for key, other in self.all_keys.items():
            if (
                other != cell
                and other.kind == cell.kind
                and (other.on, other.training, other.task) == (cell.on, cell.training, cell.task)
                and (other.settings.seed == cell.settings.seed or not other.settings.about.reads)
            ):
                yield key
