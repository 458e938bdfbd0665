"""One way to check the arguments of public functions: ``@checked`` reads their annotations.

>>> @checked
... def repeat(word: str, times: int = 2) -> str:
...     return word * times
>>> repeat("ab")
'abab'
>>> repeat(5)
Traceback (most recent call last):
subemb.base.errors.InputError: repeat: word must be text, not 5
>>> repeat("a", times=None)
Traceback (most recent call last):
subemb.base.errors.InputError: repeat: times must be a whole number, not None
"""

import builtins
import functools
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from .errors import InputError
from .files import given_path

F = TypeVar("F", bound=Callable[..., Any])

_WORDS = {
    str: "text",
    bytes: "bytes",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    type(None): "None",
}


@dataclass(frozen=True)
class Limits:
    """The smallest and largest value of a number: ``Annotated[int, Limits(1)]``."""

    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"from {self.least:,} to {self.most:,}"
        return f"of at least {self.least:,}" if self.least is not None else f"of at most {self.most:,}"

    def allows(self, value: Any) -> bool:
        """Whether a number lies within."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


Count = Annotated[int, Limits(1)]
Seed = Annotated[int, Limits(0, 2**32 - 1)]


class _Named:
    """A class that is known by its name alone, because the module that has it is imported for type checkers only."""

    def __init__(self, name: str):
        self.name = name

    def __getattr__(self, name: str) -> "_Named":
        if name.startswith("_"):
            raise AttributeError(name)
        return _Named(name)

    def __getitem__(self, _) -> "_Named":
        return self

    def __or__(self, other: Any) -> "_Either":
        return _Either(self, other)

    def __ror__(self, other: Any) -> "_Either":
        return _Either(other, self)


class _Either(_Named):
    """Several kinds, one of which has a name only."""

    def __init__(self, *kinds: Any):
        super().__init__("")
        self.kinds = kinds


class _Names(dict):
    """The names of a module, and a :class:`_Named` for those that it does not have."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name) if hasattr(builtins, name) else _Named(name)


def checked(function: F | None = None, *, error: Callable[[str], InputError] = InputError) -> Any:
    """Declare that a function checks its arguments by their annotations; for functions of the public API.

    The function then raises InputError naming the argument, its value and what it must be. Where an annotation says nothing, or says
    ``Any``, anything passes. Limits, and rules between arguments, are the function's own. A class that the module imports for type
    checkers only is known by its name. A path may be given as text, and reaches the function as a Path; one that nothing can ever have
    is refused as :func:`~subemb.base.files.given_path` does. error: makes another exception of a message than InputError.
    """
    if function is None:
        return functools.partial(checked, error=error)
    signature = inspect.signature(function)
    names = [name for name, item in signature.parameters.items() if item.annotation is not inspect.Parameter.empty]

    @functools.cache
    def kinds() -> dict[str, tuple]:
        scope = _Names(vars(sys.modules[function.__module__]))
        return {name: _kinds(signature.parameters[name].annotation, scope) for name in names}

    @functools.wraps(function)
    def call(*args: Any, **arguments: Any) -> Any:
        bound = signature.bind(*args, **arguments)
        given = bound.arguments
        for name in names:
            if name not in given or signature.parameters[name].kind in _GATHERED:
                continue
            if not _fits_any(given[name], kinds()[name]):
                raise error(f"{function.__name__}: {name} must be {_any_in_words(kinds()[name])}, not {_shown(given[name])}")
            if isinstance(given[name], str | os.PathLike) and any(map(_is_path, kinds()[name])):
                path = given_path(given[name], f"{function.__name__}: {name}")
                if str not in kinds()[name]:  # where text may be something else too, the function decides
                    given[name] = path
        return function(*bound.args, **bound.kwargs)

    call.is_checked = True
    return call


def fits(value: Any, annotation: Any) -> str:
    """ "" if a value is what an annotation says, else what it must be, in words.

    >>> fits(3, int | None), fits("3", int | None), fits(["a", 1], list[str])
    ('', 'a whole number or None', 'a list, each item text')
    """
    kinds = _kinds(annotation, _Names())
    return "" if _fits_any(value, kinds) else _any_in_words(kinds)


_ARRAYS = ("Tensor", "ndarray")
_GATHERED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _kinds(annotation: Any, scope: _Names) -> tuple:
    """The kinds that an annotation allows."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = eval(annotation, {}, scope)  # what the module itself says, as typing.get_type_hints does
    if isinstance(annotation, _Either):
        return tuple(kind for part in annotation.kinds for kind in _kinds(part, scope))
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(kind for part in get_args(annotation) for kind in _kinds(part, scope))
    return (type(None) if annotation is None else annotation,)


def _fits_any(value: Any, kinds: tuple) -> bool:
    return any(_fits(value, kind) for kind in kinds)


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    if kind is Any or isinstance(kind, TypeVar):
        return True
    if origin is Annotated:
        return _fits(value, kind.__origin__) and all(
            not isinstance(one, Limits) or one.allows(value) for one in kind.__metadata__
        )
    if origin is Literal:
        return value in get_args(kind)
    if getattr(kind, "__name__", getattr(kind, "name", "")) in _ARRAYS:  # whatever NumPy can make one of
        return isinstance(value, list | tuple) or hasattr(value, "__array__")
    if getattr(kind, "_is_protocol", False):  # what it must be able to do shows when it is asked
        return callable(value) if "__call__" in vars(kind) else value is not None
    if isinstance(kind, _Named):
        return any(parent.__name__ == kind.name for parent in type(value).__mro__)
    if origin is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if origin is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if origin is bool:
        return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # NumPy's too
    if origin in (Sequence, list, tuple):  # arrays too, and nothing that is read by names or letters
        is_list = hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, str | bytes | Mapping)
        return is_list and _all_fit(value, get_args(kind))
    if origin is Iterable:
        return hasattr(value, "__iter__") and not isinstance(value, str | bytes)
    if origin in (Mapping, dict):
        parts = get_args(kind) or (Any, Any)
        return isinstance(value, Mapping) and all(
            _all_fit(list(part), (of,)) for part, of in zip((value, value.values()), parts, strict=True)
        )
    if origin is Callable:
        return callable(value)
    if _is_path(kind):
        return isinstance(value, str | os.PathLike)
    return not isinstance(origin, type) or isinstance(value, origin)


def _all_fit(values: Any, kinds: tuple) -> bool:
    """Whether the items of a list are what its annotation says; only lists and tuples are looked into."""
    if not isinstance(values, list | tuple) or not kinds:
        return True
    allowed = _kinds(kinds[0], _Names())
    return all(_fits_any(item, allowed) for item in values)


def _is_path(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, os.PathLike)


def _any_in_words(kinds: tuple) -> str:
    return " or ".join(dict.fromkeys(map(_in_words, kinds)))


def _in_words(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return ", ".join(map(repr, get_args(kind)))
    if origin is Annotated:
        return " ".join([_in_words(kind.__origin__), *(str(one) for one in kind.__metadata__ if isinstance(one, Limits))])
    if origin in (Sequence, list, tuple, Iterable):
        item = next(iter(get_args(kind)), Any)
        return "a list" if item is Any else f"a list, each item {_any_in_words(_kinds(item, _Names()))}"
    if origin in (Mapping, dict):
        item = (get_args(kind) or (Any, Any))[1]
        return "a dictionary" if item is Any else f"a dictionary, each value {_any_in_words(_kinds(item, _Names()))}"
    if origin is Callable:
        return "a function"
    if _is_path(kind):
        return "a path"
    name = kind.name if isinstance(kind, _Named) else getattr(origin, "__name__", str(origin))
    if name in _ARRAYS:
        return "an array of numbers"
    return _WORDS.get(origin) or f"a{'n' if name[:1] in 'AEIOU' else ''} {name}"


def _shown(value: Any) -> str:
    """A value in a message, cut; whatever its own ``repr`` does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"a {type(value).__name__}" if len(text) > 200 else text[:60] + "…"
