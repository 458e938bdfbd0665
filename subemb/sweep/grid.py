"""Which settings a sweep tries: the default grid over all methods, every combination of some values, or what a file says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from ..base.errors import InputError
from ..base.files import read_json
from ..base.plain import declared
from ..codec.estimates import estimate_seconds, predicted_size
from ..codec.methods import METHODS
from ..codec.settings import CompressionSettings
from ..codec.sizes import FLOAT_BYTES
from ..models.model import PretrainedModel
from ..runs import resolved

GRID_SIZE = 40  # settings of the default grid
SHORT_SIZE = 12  # at most, of the short one
#: Shares of the table's bytes that the default grid asks for; the most telling first, since there are more than settings. Methods that
#: can choose codes by what the network's output notices are asked at each of them, the others at every third.
SHARES = (
    0.006,
    0.014,
    0.0023,
    0.03,
    0.0015,
    0.01,
    0.06,
    0.004,
    0.02,
    0.001,
    0.003,
    0.008,
    0.12,
    0.05,
    0.0045,
    0.25,
    0.012,
    0.09,
)
_EVERY = 3
KEPT = "25%"  # of the tokens have rows of their own, where a budget can be for some of them, and the others borrow theirs
NEAR = 0.25  # a method whose nearest size is further from such a share is not taken there
LONGEST = 12.0  # estimated seconds of one setting of the default grid
LONGEST_TOGETHER = 18.0  # and of one whose codes are chosen together, which keep most at their size
MOST_SETTINGS = 20_000  # of one grid
LARGEST = 2**53  # of whole numbers in the table of a sweep
#: What a grid file may call its lists, beside the names of settings.
_PLURALS = {"methods": "method", "codebook_sizes": "codebook_size", "seeds": "seed", "ranks": "rank"}


def default_grid(
    vocabulary: int, dim: int, count: int = GRID_SIZE, has_network: bool = False, **more: Any
) -> list[CompressionSettings]:
    """``count`` settings over all methods, resolved, for a (V, D) table: what each method suggests, then each at a ladder of sizes.

    has_network: whether methods that can choose codes by what the network's output notices are tried that way too, and budgets for a quarter
    of the tokens, whose rows the others borrow: errors of rows do not tell how good that is, a score does. more: further
    settings, the same for all, such as ``weights`` and ``seed``. There are fewer where the methods have no more to offer
    in LONGEST seconds each (LONGEST_TOGETHER where codes are chosen together).

    >>> grid = default_grid(2000, 64)
    >>> len(grid), len({settings.method for settings in grid}) == len(METHODS)
    (40, True)
    """
    return list(_found(vocabulary, dim, count, has_network, tuple(sorted(more.items()))))


@lru_cache(maxsize=16)  # seconds for large tables, and asked for by several rooms
def _found(
    vocabulary: int, dim: int, count: int, has_network: bool, more: tuple[tuple[str, Any], ...]
) -> tuple[CompressionSettings, ...]:
    found: dict[CompressionSettings, None] = {}
    for settings in _candidates(vocabulary, dim, has_network, dict(more)):
        if len(found) == count:
            break
        if estimate_seconds(settings, vocabulary, dim) <= (LONGEST_TOGETHER if settings.sensitive else LONGEST):
            found.setdefault(settings)
    return tuple(found)


def short_grid(vocabulary: int, dim: int, has_network: bool = False) -> list[CompressionSettings]:
    """About twelve settings of the default grid: methods whose codes can be chosen by what the output notices, chosen so where there is a
    network, and those that have no settings at all.

    >>> len(short_grid(250, 16)) <= SHORT_SIZE, set(short_grid(250, 16)) <= set(default_grid(250, 16))
    (True, True)
    """

    def rank(settings: CompressionSettings) -> int | None:
        method = settings.about
        if method.can_be_sensitive and method.can_be_adapted:
            return 1 if has_network and not settings.sensitive else 0
        return None if method.reads else 0

    ranked = [(rank(one), one) for one in default_grid(vocabulary, dim, has_network=has_network)]
    known = [one for one in ranked if one[0] is not None]
    return [one for _, one in sorted(known, key=lambda pair: pair[0])][:SHORT_SIZE]  # a stable sort


def _candidates(vocabulary: int, dim: int, has_network: bool, more: Mapping[str, Any]) -> Iterator[CompressionSettings]:
    for name, method in METHODS.items():
        offered = {key: value for key, value in method.suggested._asdict().items() if value is not None}
        settings = _resolved(CompressionSettings(name, **(offered | _read_by(name, more))), vocabulary, dim)
        if settings is not None:
            yield settings
    for number, share in enumerate(SHARES):
        target = max(1, round(share * vocabulary * dim * FLOAT_BYTES))
        for name, method in METHODS.items():
            is_common = number % _EVERY == 0
            if has_network and method.can_be_sensitive:
                ways = (True, False) if is_common else (True,)
            else:
                ways = (None,) if is_common or method.can_be_sensitive else ()
            tried = [{} if sensitive is None else {"sensitive": sensitive} for sensitive in ways]
            if True in ways and {"budget", "keep"} <= {*method.reads}:
                tried.insert(1, {"sensitive": True, "keep": KEPT, "budget": str(target)})
            for way in tried:
                values = _read_by(name, more) | way
                try:
                    settings = method.at_bytes(CompressionSettings(name, **values), target, vocabulary, dim)
                except InputError:  # nothing of this method fits the table
                    continue
                if settings is not None:
                    size = predicted_size(settings, vocabulary, dim).total_bytes
                    if abs(size - target) <= NEAR * target:
                        yield settings


def _read_by(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a method reads."""
    return {name: value for name, value in values.items() if name in ("seed", "text_digest", *METHODS[method].reads)}


def _resolved(settings: CompressionSettings, vocabulary: int, dim: int) -> CompressionSettings | None:
    try:
        return settings.resolve(vocabulary, dim)
    except InputError:
        return None


def grid_of(values: Mapping[str, Sequence[Any]]) -> list[CompressionSettings]:
    """Every combination of some values of settings, each once; a method takes part in those that it reads.

    values: name of a setting -> values to try. Without ``method`` all methods are meant that read one of the others.
    Raises InputError for an unknown name, a value that no setting can have, and over MOST_SETTINGS combinations.

    >>> [(one.method, one.rank) for one in grid_of({"method": ["int8", "low_rank"], "rank": [4, 8]})]
    [('int8', None), ('low_rank', 4), ('low_rank', 8)]
    """
    values = dict(values)
    unknown = sorted(set(values) - set(declared(CompressionSettings)))
    if unknown:
        known = ", ".join(declared(CompressionSettings))
        raise InputError(f"a grid has {unknown[0]!r}, which is no setting; settings are {known}")
    for name, listed in values.items():
        if not isinstance(listed, list | tuple) or not listed:
            raise InputError(f"the grid's {name} is {listed!r:.80}; it must be a list of at least one value")
    asked = {name for name in values if name not in ("method", "seed")}
    methods = values.pop("method", None) or [name for name in METHODS if not asked or asked & set(METHODS[name].reads)]
    found: dict[CompressionSettings, None] = {}
    for method in methods:
        if method not in METHODS:
            raise InputError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
        read = _read_by(method, values)
        combinations = product(*read.values())
        for combination in combinations:
            found.setdefault(CompressionSettings(method, **dict(zip(read, combination, strict=True))))
            if len(found) > MOST_SETTINGS:
                raise InputError(f"this grid has over {MOST_SETTINGS:,} settings; name fewer values")
    return list(found)


def read_grid(path: Path) -> list[CompressionSettings]:
    """The grid in a JSON file: a list of settings, or an object of lists whose combinations are meant (:func:`grid_of`).

    ``[{"method": "product", "subspaces": 8, "codebook_size": 61}, ...]``, or
    ``{"methods": ["product", "cluster"], "subspaces": [3, 8, 24], "seeds": [0, 1]}``.
    Raises InputError naming the entry and what is wrong with it.
    """
    content = read_json(path)
    if isinstance(content, Mapping):
        named = {_PLURALS.get(name, name): value for name, value in content.items()}
        return grid_of({name: value if isinstance(value, list) else [value] for name, value in named.items()})
    if not isinstance(content, list) or not content:
        raise InputError(
            f'{path} holds no grid: write a list of settings, or an object of lists such as {{"subspaces": [3, 8]}}'
        )
    if len(content) > MOST_SETTINGS:
        raise InputError(f"{path} has {len(content):,} settings; at most {MOST_SETTINGS:,} are tried in one sweep")
    found: dict[CompressionSettings, None] = {}
    for number, entry in enumerate(content, 1):
        try:
            found.setdefault(CompressionSettings.from_dict(entry))
        except InputError as error:
            raise InputError(f"{path}, entry {number}: {error}") from error
    return list(found)


def resolved_grid(
    settings: Iterable[CompressionSettings], model: PretrainedModel, text: str | None = None
) -> dict[CompressionSettings, str]:
    """The settings with every automatic value for a model -> why one does not fit it, "" where it does. Equal ones stand once.

    text: whose tokens are counted, for those that count. Raises InputError for a number that no table of results can hold.
    """
    found: dict[CompressionSettings, str] = {}
    for one in settings:
        for name, value in one.to_dict().items():
            if isinstance(value, int) and abs(value) > LARGEST:
                raise InputError(f"{name} is {value}, more than any table has; give a smaller number")
        try:
            found.setdefault(resolved(one, model, text), "")
        except InputError as error:
            found.setdefault(one, str(error))
    return found
