"""Settings declared as data, and dataclasses as plain JSON types.

A class of settings declares each field once, with what it may hold and how people see it (:func:`setting`); checking, JSON, command-line
flags, names in a link and the bounds of widgets all follow from that. Scikit-learn's ``_parameter_constraints`` do the first half of it.
Own code, because pydantic would cost more than it saves: it is here only through another package, takes a fifth of a second to import,
and every one of its messages would have to be put into our words (the value, the limit, the remedy).
"""

import argparse
import dataclasses
import math
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InputError

_MOST_SHOWN = 80  # characters of a value in a message
_LONGEST_WRITTEN = 13_000  # bits of a whole number; Python refuses to write longer ones out
_KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}
_LARGEST_IN_A_BROWSER = 2**53 - 1  # JavaScript has no larger whole numbers
T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What is declared of one field of a class of settings. ``name``, ``kind``, ``optional`` and ``default`` come from the field itself."""

    least: float | None = None  # the smallest value allowed
    most: float | None = None  # the largest
    above: float | None = None  # a value that is just too small
    below: float | None = None  # a value that is just too large
    choices: Collection[Any] | None = None  # the values offered; a mapping's keys
    also: Collection[str] = ()  # further values accepted, but not offered
    title: str = ""  # a label
    help: str = ""  # what it means, for a person who has not read the paper
    short: str | None = None  # a flag of one letter beside the long one
    flag: str | None = None  # the long flag; made of the name if None, "" for none
    url: str | None = None  # the name in a link; the field's if None, "" for none
    metavar: str | None = None  # what stands for the value in the help of a command
    unit: str = ""  # what its limits count, in messages
    fault: str = ""  # what is said of a bad value, if the words of the class do not suit
    example: str = ""  # a value that an empty field shows
    automatic: str = ""  # what None stands for, in words
    of_method: bool = False  # whether a page knows what None stands for, so that yes or no is all it asks
    widget: bool = True  # whether pages offer it
    later: bool = False  # left out of JSON at its default, as results that were kept before it was there have it in no key
    in_line: str = ""  # how a line of settings says it where it is not the default, with {} for the value
    effort: bool = False  # how hard to try: what methods have alike where they are compared
    decimals: int | None = None  # that a widget shows
    name: str = ""
    kind: type = str  # bool, int, float or str
    optional: bool = False  # whether None is allowed
    default: Any = None

    @property
    def sides(self) -> str:
        """``at least 1 and at most 1000``, or "" without limits."""
        sides = (("at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        return " and ".join(f"{word} {_number(limit)}" for word, limit in sides if limit is not None)

    @property
    def limits(self) -> str:
        """``from 1 to 1000``, or the sides where one is open."""
        both = self.least is not None and self.most is not None
        return f"{f'from {_number(self.least)} to {_number(self.most)}' if both else self.sides} {self.unit}".rstrip()

    @property
    def needed(self) -> str:
        """``a whole number from 1 to 1000``, ``a number of at least 0``."""
        of = "of " if self.limits.startswith("at") else ""
        return f"{_KINDS[self.kind]} {of}{self.limits}".rstrip()

    def checked(self, value: Any, words: "type[Settings]") -> Any:
        """The value, a whole number as a float where that is wanted. Raises InputError in the words of its class."""
        if value is None and self.optional:
            return None
        if self.choices is not None:
            is_kind = isinstance(value, self.kind) and not isinstance(value, bool)
            if not is_kind or (value not in self.choices and value not in self.also):
                raise self._error(words.UNKNOWN, value)
            return value
        kinds = (float, int) if self.kind is float else self.kind
        if isinstance(value, bool) != (self.kind is bool) or not isinstance(value, kinds):
            raise self._error(words.WRONG_KIND, value)
        if self.kind is int and value.bit_length() > _LONGEST_WRITTEN:
            raise InputError(f"{self.name} is {_brief(value)}, which is too large to count with; give a smaller one")
        found = _finite(value) if self.kind is float else value
        if not self._allows(found):
            raise self._error(words.OUTSIDE, value)
        return found

    def _allows(self, value: Any) -> bool:
        return (
            (self.kind is not float or math.isfinite(value))
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _error(self, words: str, value: Any) -> InputError:
        parts = {name: getattr(self, name) for name in ("name", "needed", "limits", "sides")}
        kind, choices = _KINDS[self.kind], ", ".join(map(str, self.choices or ()))
        return InputError((self.fault or words).format(**parts, value=_brief(value), kind=kind, choices=choices))

    def written(self, value: Any) -> str:
        """A value in a sentence."""
        return ("yes" if value else "no") if self.kind is bool else _number(value)

    @property
    def flags(self) -> tuple[str, ...]:
        """The spellings on a command line, the long one last; () if it has none."""
        long = f"--{self.name.replace('_', '-')}" if self.flag is None else self.flag
        return tuple(flag for flag in (self.short, long) if flag) if long else ()

    @property
    def url_name(self) -> str:
        """The name in a link, "" if it is in none."""
        return self.name if self.url is None else self.url


def setting(default: Any = dataclasses.MISSING, **declaration: Any) -> Any:
    """A field of a class of settings; ``declaration`` names what :class:`Setting` has. Without a default it must be given.

    >>> @dataclass(frozen=True)
    ... class Oven(Settings):
    ...     degrees: int = setting(180, least=50, most=250, title="Heat", url="t")
    >>> Oven(300)
    Traceback (most recent call last):
    subemb.base.errors.InputError: degrees is 300; it must be from 50 to 250
    """
    return dataclasses.field(default=default, metadata={"setting": Setting(**declaration)})


class Settings:
    """Base of frozen dataclasses whose fields are declared by :func:`setting`: they check themselves and know their JSON form."""

    WRONG_KIND: ClassVar[str] = "{name} is {value!r}; it must be {needed}"
    OUTSIDE: ClassVar[str] = "{name} is {value!r}; it must be {limits}"
    UNKNOWN: ClassVar[str] = "unknown {name} {value!r}; choose one of {choices}"
    GONE: ClassVar[tuple[str, ...]] = ()  # names that older versions wrote; reading passes over them

    def __post_init__(self):
        for name, item in declared(type(self)).items():
            object.__setattr__(self, name, item.checked(getattr(self, name), type(self)))
        self.check()

    def check(self) -> None:
        """Rules between several fields; for subclasses. Raises InputError."""

    def to_dict(self) -> dict[str, Any]:
        """JSON types. What is declared to be ``later`` is left out at its default, so that keys of kept results stay what they are."""
        later = {name for name, item in declared(type(self)).items() if item.later and getattr(self, name) == item.default}
        return {name: value for name, value in to_plain(self).items() if name not in later}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`. Raises InputError for names it does not know."""
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise InputError(f"settings are {values!r:.80}; they must be names with their values")
        unknown = sorted(set(values) - {item.name for item in dataclasses.fields(cls)} - set(cls.GONE))
        if unknown:
            raise InputError(f"unknown setting(s) {', '.join(unknown)}; written by a newer version of subemb?")
        return cls(**{name: value for name, value in values.items() if name not in cls.GONE})


@cache
def declared(cls: type[Settings]) -> dict[str, Setting]:
    """Field -> its declaration, in the order of the class. A field without one is checked for its type alone."""
    hints, found = get_type_hints(cls), {}
    for item in dataclasses.fields(cls):
        kinds = get_args(hints[item.name]) or (hints[item.name],)
        (kind,) = (kind for kind in kinds if kind is not type(None))
        declaration, default = (
            item.metadata.get("setting", Setting()),
            None if item.default is dataclasses.MISSING else item.default,
        )
        found[item.name] = dataclasses.replace(
            declaration, name=item.name, kind=kind, optional=type(None) in kinds, default=default
        )
    return found


# Command line


def add_flags(parser, cls: type[Settings], names: Iterable[str] | None = None) -> None:
    """Give a parser (or a group of one) the flags of a class; all default to None, so that a command can tell which were given.

    names: the fields to take, all if None.
    """
    for name in declared(cls) if names is None else names:
        item = declared(cls)[name]
        if not item.flags:
            continue
        text = item.help
        if item.title and text[:1].isupper():  # sentences, made to stand beside a widget that has a label
            text = f"{item.title[0].lower()}{item.title[1:]}: {text}"
        default = item.automatic if item.default is None else item.written(item.default)
        text = f"{text} (default {default})".lstrip() if default else text
        more: dict[str, Any] = {"dest": name, "help": text.replace("%", "%%"), "default": None}
        if item.kind is bool:
            more["action"] = argparse.BooleanOptionalAction
        else:
            more |= {"type": item.kind, "metavar": item.metavar or (name.upper() if item.choices is None else None)}
        if item.choices is not None:
            more["choices"] = tuple(item.choices)
        parser.add_argument(*item.flags, **more)


def given_flags(namespace: argparse.Namespace, cls: type[Settings]) -> dict[str, Any]:
    """Field -> value of every flag that a line has."""
    return {name: value for name in declared(cls) if (value := getattr(namespace, name, None)) is not None}


def flag_text(cls: type[Settings], name: str, value: Any = None) -> str:
    """How a setting is spelled on a line: ``--codebook-size``, or ``--no-unique`` for the value False."""
    long = declared(cls)[name].flags[-1]
    return f"--no-{long[2:]}" if value is False else long


def to_flags(settings: Settings, names: Iterable[str] | None = None, always: Collection[str] = ()) -> list[str]:
    """The words of a command line that give these settings: what differs from the defaults, and the names in ``always``.

    Short flags where there are some. names: the fields to write, in this order; all if None.
    """
    words, items = [], declared(type(settings))
    for name in items if names is None else names:
        item, value = items[name], getattr(settings, name)
        if not item.flags or value is None or (value == item.default and name not in always):
            continue
        if item.kind is bool:
            words.append(flag_text(type(settings), name, value))
        else:
            words += [item.flags[0], _number(value) if item.kind is float else str(value)]
    return words


# Links


def to_query(settings: Settings, always: Collection[str] = ()) -> dict[str, str]:
    """The parameters of a link: what differs from the defaults, and the names in ``always``."""
    query = {}
    for name, item in declared(type(settings)).items():
        value = getattr(settings, name)
        if item.url_name and value is not None and (value != item.default or name in always):
            query[item.url_name] = str(int(value)) if item.kind is bool else str(value)
    return query


def url_names(cls: type[Settings]) -> tuple[str, ...]:
    """All parameters that a link may have of a class."""
    return tuple(item.url_name for item in declared(cls).values() if item.url_name)


def from_query(cls: type[T], query: Mapping[str, str]) -> T:
    """The settings in a link; other parameters are left alone. Raises InputError naming what cannot be read or used."""
    values = {}
    for name, item in declared(cls).items():
        if not item.url_name or item.url_name not in query:
            continue
        text = query[item.url_name]
        try:
            values[name] = {"1": True, "0": False}[text] if item.kind is bool else item.kind(text)
        except (ValueError, KeyError):
            wanted = {bool: "1 for yes or 0 for no", int: "a whole number", float: "a number"}.get(item.kind, "another value")
            raise InputError(f"the link says {item.url_name}={text[:80]!r}, which cannot be read; give {wanted}") from None
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"the link asks for something that does not work: {error}") from error


# Widgets


def bounds(cls: type[Settings], name: str) -> dict[str, Any]:
    """``label``, ``help``, and for numbers ``min_value``, ``max_value`` (and ``format``) of a widget, as Streamlit calls them."""
    item = declared(cls)[name]
    found: dict[str, Any] = {"label": item.title or name.replace("_", " ").capitalize(), "help": item.help or None}
    if item.kind in (int, float) and item.choices is None:
        low = item.least if item.least is not None else item.above
        high = item.most if item.most is not None else item.below
        found["min_value"] = None if low is None else item.kind(low)
        found["max_value"] = None if high is None else item.kind(min(high, _LARGEST_IN_A_BROWSER))
        if item.decimals is not None:
            found["format"] = f"%.{item.decimals}f"
    return found


# JSON


def to_plain(value: Any) -> Any:
    """JSON types of dataclasses, tuples, dicts and NumPy's numbers and arrays, however nested. NaN, which JSON does not have, becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init}
    if isinstance(value, Mapping):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(part) for part in value]
    if hasattr(value, "tolist"):  # NumPy's
        return to_plain(value.tolist())
    return None if isinstance(value, float) and math.isnan(value) else value


def from_plain(kind: Any, value: Any, where: str = "") -> Any:
    """The inverse of :func:`to_plain`: a ``kind`` (a dataclass, ``tuple[int, ...]``, ``dict[str, float] | None``, ...) of JSON types.

    Raises InputError naming the place of a value that is of another kind, missing or unknown.

    >>> from_plain(tuple[int, ...], [1, 2]), from_plain(dict[str, float], {"loss": None})
    ((1, 2), {'loss': nan})
    """
    where = where or getattr(kind, "__name__", "the value")
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _dataclass_of(kind, value, where)
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of(parts, value, where)
    if origin in (list, tuple, Sequence) and isinstance(value, list | tuple):
        fixed = origin is tuple and bool(parts) and parts[-1] is not ...
        kinds = parts if fixed else (parts[:1] or (Any,)) * len(value)
        if len(kinds) == len(value):
            found = [from_plain(part, item, f"{where}[{i}]") for i, (part, item) in enumerate(zip(kinds, value, strict=True))]
            return found if origin is list else tuple(found)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        key_kind, part = parts or (Any, Any)
        return {(int(key) if key_kind is int else key): from_plain(part, item, f"{where}.{key}") for key, item in value.items()}
    if getattr(kind, "__module__", "") == "numpy" and isinstance(value, list):
        return _array(value)
    if kind is float and (value is None or (isinstance(value, int | float) and not isinstance(value, bool))):
        return math.nan if value is None else float(value)
    if isinstance(kind, type) and isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    wanted = _KINDS.get(kind) or getattr(kind, "__name__", str(kind))
    raise InputError(f"{where} is {value!r:.80}; it must be {wanted}. It is damaged, or of another version of subemb")


def _dataclass_of(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {value!r:.80}; it must be the values of a {kind.__name__}")
    if issubclass(kind, Settings):
        return kind.from_dict(value)
    fields, hints = {item.name: item for item in dataclasses.fields(kind) if item.init}, get_type_hints(kind)
    unknown = sorted(set(value) - set(fields))
    needed = {name for name, item in fields.items() if item.default is item.default_factory is dataclasses.MISSING}
    if unknown or needed - set(value):
        what = f"has {unknown[0]!r}, which is unknown" if unknown else f"lacks {min(needed - set(value))!r}"
        raise InputError(f"{where} {what}; it is damaged, or of another version of subemb")
    return kind(**{name: from_plain(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _array(values: list) -> Any:
    """A NumPy array; the dataclass that takes it gives it its type and shape."""
    import numpy as np

    return np.array(values)


def _one_of(parts: tuple, value: Any, where: str) -> Any:
    if value is None and type(None) in parts:
        return None
    first = None
    for part in parts:
        try:
            return from_plain(part, value, where)
        except InputError as error:
            first = first or error
    raise first


def is_whole(value: Any, least: int, most: int | None = None) -> bool:
    """Whether a value is a whole number within limits; True and False do not count.

    >>> is_whole(3, 1), is_whole(0, 1), is_whole(True, 1), is_whole(3.0, 1), is_whole(9, 1, 8)
    (True, False, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most)


def _number(value: Any) -> str:
    """A number in a sentence.

    >>> _number(1000), _number(10_000_000), _number(2e-3)
    ('1000', '10,000,000', '0.002')
    """
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else str(value)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _brief(value: Any) -> Any:
    """A value as a message shows it: whole, unless it is so long that nobody would read it."""
    if isinstance(value, str) and len(value) > _MOST_SHOWN:
        return f"{value[:_MOST_SHOWN]}…"
    if isinstance(value, int) and value.bit_length() > _LONGEST_WRITTEN:
        return f"a number of about {round(value.bit_length() * math.log10(2)):,} digits"
    return value


def _finite(value: int | float) -> float:
    """A float; a whole number too large for one is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
