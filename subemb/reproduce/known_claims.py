"""Tables of claims that are there already: in the cache, and the one that comes with subemb for the bundled model."""

from collections.abc import Iterator
from pathlib import Path

from ..base.errors import InputError
from ..base.open_server import is_public
from ..base.paths import assets_folder, cache_folder, cache_folder_of
from ..base.store import Memory, content_key, stamp_of
from ..models.model import PretrainedModel
from .rows import FILES, ClaimsTable

_tables = Memory(12)


def default_folder(model: PretrainedModel, data: Path | None) -> Path:
    """One folder of the cache for each model and folder of sets."""
    key = content_key(model.identity, None if data is None else str(data.absolute()))
    return cache_folder_of("claims", model.name, key)


def _read(folder: Path) -> ClaimsTable | None:
    return _tables.take(folder, lambda: ClaimsTable.read(folder), tuple(stamp_of(folder / name) for name in FILES))


def shipped_table(model: PretrainedModel) -> ClaimsTable | None:
    """The table that comes with subemb for a model."""
    folder = assets_folder("reproduce")
    return None if folder is None else next(_of(model, sorted(folder.glob(f"*/{FILES[2]}"))), None)


def _of(model: PretrainedModel, files: list[Path]) -> Iterator[ClaimsTable]:
    for file in files:
        try:
            table = _read(file.parent)
        except InputError:  # whoever measures into that folder is told
            continue
        if table is not None and model.has_content_of(table.facts.model):
            yield table


def known_tables(model: PretrainedModel) -> list[ClaimsTable]:
    """What is known of a model, the most complete first: the shipped table, and what was measured here.

    Shared: not to be changed. On a server for everybody nothing is told of tables on somebody's own sets.
    """
    shipped = shipped_table(model)
    here = _of(model, sorted(cache_folder("claims").glob(f"*/{FILES[2]}")))
    tables = [table for table in here if table.facts.is_demonstration or not is_public()]
    tables = [table for table in ([] if shipped is None else [shipped]) + tables if table.rows]
    return sorted(tables, key=lambda table: (table.facts.is_demonstration, -len(table.done)))
