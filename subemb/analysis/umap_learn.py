"""umap-learn, without what it imports and is not asked for: numba compiles its search for neighbours for a quarter of a minute.

What is given neighbours (see layout.py) does not search. Whoever does search, here or elsewhere in the process, gets what umap-learn would
have imported, then.
"""

import contextlib
import functools
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType

_SEARCH = "pynndescent"


class _LaterClass(type):
    """Of a class that stands for ``NNDescent``."""

    def __call__(cls, *arguments, **named):
        return import_module(_SEARCH).NNDescent(*arguments, **named)

    def __instancecheck__(cls, value) -> bool:
        return _SEARCH in sys.modules and isinstance(value, import_module(_SEARCH).NNDescent)


class _LaterDistances(Mapping):
    """Stands for a dictionary of distances."""

    def __init__(self, module: str, name: str):
        self._place = module, name

    def _found(self) -> dict:
        return getattr(import_module(self._place[0]), self._place[1])

    def __getitem__(self, metric: str):
        return self._found()[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())


def _stand_ins() -> dict[str, ModuleType]:
    """What umap-learn 0.5 imports of the search."""
    found = {_SEARCH: ModuleType(_SEARCH)}
    found[_SEARCH].NNDescent = _LaterClass("NNDescent", (), {})
    for module, name in ((f"{_SEARCH}.distances", "named_distances"), (f"{_SEARCH}.sparse", "sparse_named_distances")):
        found[module] = ModuleType(module)
        setattr(found[module], name, _LaterDistances(module, name))
    return found


def _import_alone() -> None:
    """Import ``umap`` with the stand-ins, or, where another release imports more than these, not at all."""
    modules = _stand_ins()
    sys.modules.update(modules)
    try:
        import_module("umap")
    except ImportError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "umap"]:
            del sys.modules[name]
    finally:
        for name in modules:
            del sys.modules[name]


@functools.cache
def umap_learn() -> ModuleType:
    """The module ``umap``. numba keeps its compiled functions on disk, so that the next process need not compile."""
    if not {"umap", _SEARCH} & sys.modules.keys():
        _import_alone()
    import umap

    used = (
        umap.umap_.smooth_knn_dist,
        umap.umap_.compute_membership_strengths,
        umap.layouts.clip,
        # Not its parallel twin: numba names what it keeps by the function that is compiled, which is the same for both.
        umap.layouts._nb_optimize_layout_euclidean_single_epoch,
    )
    for function in used:
        # No folder can be written: it compiles anew in each process. Or numba is told not to compile.
        with contextlib.suppress(RuntimeError, AttributeError):
            function.enable_caching()
    return umap
