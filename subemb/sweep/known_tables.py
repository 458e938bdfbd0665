"""Tables of sweeps that are there already: in the cache, and the one that comes with subemb for the bundled model."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.paths import assets_folder, cache_folder, cache_folder_of
from ..base.store import Memory, content_key, stamp_of
from .table import FACTS, PARQUET, SweepRow, SweepTable, read_table

if TYPE_CHECKING:
    from ..models.model import PretrainedModel

_tables = Memory(24)


def default_folder(model: "PretrainedModel", shared: Any) -> Path:
    """One folder of the cache for each model with its data: sweeps over other grids add to the same table. shared: what its rows share."""
    key = content_key(model.identity, [one.digest for one in shared.sets], shared.measured_with, shared.measured_text)
    return cache_folder_of("sweeps", model.name, key)


def shipped_rows(model: "PretrainedModel") -> dict[str, SweepRow]:
    """The rows that come with subemb for a model, by key; {} for any other."""
    return {row.key: row for table in _shipped(model) for row in table.rows}


def _shipped(model: "PretrainedModel") -> Iterator[SweepTable]:
    folder = assets_folder("sweeps")
    for facts in sorted(folder.glob(f"*/{FACTS}")) if folder else []:
        table = _read(facts.parent)
        if table is not None and model.has_content_of(table.model):
            yield table


def _read(folder: Path) -> SweepTable | None:
    return _tables.take(folder, lambda: read_table(folder), (stamp_of(folder / PARQUET), stamp_of(folder / FACTS)))


def known_tables(model: "PretrainedModel") -> tuple[SweepTable | None, SweepTable | None]:
    """All that sweeps of a model have found so far: on the demonstration pairs, and without any pairs; None where nothing has.

    Of rows that somebody's text or labelled pairs went into nothing is told: they are for those who gave these. Tables that cannot be
    read are passed over. Shared: not to be changed.
    """
    found = [*_shipped(model)]
    for facts in sorted(cache_folder("sweeps").glob(f"*/{FACTS}")):
        try:
            table = _read(facts.parent)
        except InputError:  # a sweep into that folder says so
            continue
        if table is not None and model.has_content_of(table.model):
            found.append(table)
    of_demo = [table for table in found if table.sets and all(one.get("is_demonstration") for one in table.sets)]
    return _joined(of_demo), _joined([table for table in found if not table.sets])


def _joined(tables: Sequence[SweepTable]) -> SweepTable | None:
    """The rows of the first table, and of those others that were measured in the same way."""
    alike = [table for table in tables if _how(table) == _how(tables[0])]
    rows = {row.key: row for table in alike for row in table.rows if row.settings.text_digest is None}
    return replace(alike[0], rows=tuple(rows.values())) if alike else None


def _how(table: SweepTable) -> tuple[str, list[str]]:
    return table.weights, [one["digest"] for one in table.sets]
