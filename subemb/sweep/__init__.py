"""Many settings of one model side by side, here or on a cluster: what each costs and what it keeps.

The package is the function too: ``subemb.sweep(...)`` is :func:`subemb.sweep.run.sweep`.

table = subemb.sweep("all-MiniLM-L6-v2")             # the default grid, on the demonstration pairs; a SweepTable
table = subemb.sweep(model, [CompressionSettings(...), ...], read_pairs(Path("sts-dev.csv")), folder="sweep")
table.front, table.within(2), table.frame()
"""

import sys
from types import ModuleType
from typing import Any

from ..base.lazy import lazy_names

_EXPORTS = {
    "default_grid": "grid",
    "grid_of": "grid",
    "read_grid": "grid",
    "SweepRow": "table",
    "SweepTable": "table",
    "pareto_front": "table",
}

__all__ = list(_EXPORTS)
__getattr__, __dir__ = lazy_names(__name__, _EXPORTS)


class _CallableModule(ModuleType):
    """A module that is a function as well: once it is imported, the name ``subemb.sweep`` is the package's."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        from .run import sweep

        return sweep(*args, **named)


sys.modules[__name__].__class__ = _CallableModule
