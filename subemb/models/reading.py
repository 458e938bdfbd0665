"""How a network reads: found by a trial when it is first used, instead of a list of names.

What a network says of a sentence should depend on that sentence alone. Some networks do not, or not wholly, leave out the padding
that a longer neighbour brings (Fourier transforms, convolutions, means of segments), some share places among the tokens of a batch,
some draw random numbers, and some are another network after what they have read. :func:`tried` puts short and long texts through a
network, alone, once more and together, and :func:`tried_together` longer ones when such are read; :func:`in_company` then reads a batch
in groups in which every row gets what it gets alone.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..base.errors import ModelError

if TYPE_CHECKING:
    import torch

#: What is read in a trial: a short text, one of usual length and a long one, of which the third, cut, serves as another usual one.
TEXTS = (
    "A man plays.",
    "Two brown dogs ran home over the hill, for it was late.",
    "In the evening 3 women walked to the old harbour of their small town, because it had not rained there for 12 days. "
    "They spoke of the summer, of a letter from abroad, of what fish had cost in spring; nobody else was on the road, and "
    "the lamps along the water were lit one after another until the whole shore could be seen.",
)
LONGEST = 72  # tokens of the long one: more than the windows and segments of 64 into which some networks cut a text
# Of the largest number compared: more than float32 differs between batches of other sizes, less than padding that is read changes.
_TOLERANCE = 1e-4

#: Rows of token ids to a tensor whose first axis is theirs.
Read = Callable[[list[list[int]]], "torch.Tensor"]


class Company(Enum):
    """With which other rows a network reads one as it does alone; the value is a sentence for users, if they should know."""

    ANY = ""
    EQUAL_LENGTH = (
        "This network does not leave out padding: sentences of equal length are read together, so that a sentence has the same "
        "vector in any company. Other programs that pad give other vectors."
    )
    ALONE = (
        "What this network makes of a sentence depends on the others of its batch: sentences are read one by one. Other programs "
        "that read batches give other vectors."
    )


@dataclass(frozen=True)
class Habits:
    """What a trial found out about a network."""

    company: Company
    width: int  # of what it gives for one row, in all axes
    keeps_state: bool = False  # it is another network after reading, so it is put back each time
    source: str = ""  # what of its output was read, where there is a choice: see subemb.models.sentences.MEAN and POOLER

    @property
    def note(self) -> str:
        """What a user should know, a sentence or two; empty for most networks."""
        return self.company.value


# The trial


def tried(network: "torch.nn.Module", read: Read, rows: Sequence[list[int]], name: str, source: Callable[[], str]) -> Habits:
    """The habits of a network.

    read: puts rows through it, unchanged and in one batch. rows: of TEXTS, the long one of at most LONGEST tokens. name: of the model, for messages. source: called after
    a reading, how the output was made.
    Raises ModelError (``unsupported``) as ``read`` does, or if it says something else of the same text each time.
    """
    import torch

    short, usual, long = rows

    def all_three() -> tuple[torch.Tensor, torch.Tensor]:
        # The long one first: after a short one it may be read otherwise.
        apart = torch.cat([read([row]) for row in (long, usual, short)])
        return apart[:2], torch.cat([read([row]) for row in (long, usual)])

    with torch.inference_mode():
        before = _state(network)
        apart, again = all_three()
        keeps_state = bool(changed := _changed(network, before))
        if keeps_state:
            _restore(changed)
            read = _restoring(network, before, read)
            apart, again = all_three()
        if not bool(torch.isfinite(apart).all()):
            raise ModelError(f"the network of {name} gives NaN or infinity for a sentence; use a sound copy", "unsupported")
        if not _same(again, apart):
            raise ModelError(
                f"the network of {name} gives other numbers each time it reads the same sentence (it draws random ones), so "
                "sentences cannot be compared with it; its table can be compressed",
                "unsupported",
            )
        company = Company.ANY
        if keeps_state or not _same(_or_nan(read, [long, usual]), apart):
            pair = _or_nan(read, [usual, long[: len(usual)]])
            company = Company.EQUAL_LENGTH if _same(pair[:1], apart[1:]) else Company.ALONE
    return Habits(company, int(apart[0].numel()), keeps_state, source())


def tried_together(habits: Habits, read: Read, short: list[int], long: list[int]) -> Habits:
    """The habits for batches with rows as long as ``long``: padding may be read only from some length on, that of the windows and
    blocks into which a network cuts a text. short: a row that is padded to that length.

    Raises ModelError as ``read`` does.
    """
    import torch

    with torch.inference_mode():
        alone = torch.cat([read([long]), read([short])])
        if _same(_or_nan(read, [long, short]), alone):
            return habits
        turned = [long[0], *long[-2:0:-1], long[-1]]
        is_equal = _same(_or_nan(read, [long, turned]), torch.cat([alone[:1], read([turned])]))
    return replace(habits, company=Company.EQUAL_LENGTH if is_equal else Company.ALONE)


def _or_nan(read: Read, rows: list[list[int]]) -> "torch.Tensor":
    """What is read, or NaN where the network cannot read these together."""
    import torch

    try:
        return read(rows)
    except ModelError:  # read alone, they gave no trouble
        return torch.full((len(rows), 1), torch.nan)


def _same(ones: "torch.Tensor", others: "torch.Tensor") -> bool:
    """Whether every row is the same, up to what float32 explains."""
    if ones.shape != others.shape:
        return False
    apart, scale = ((values.flatten(1).abs().amax(1)) for values in (ones - others, others))
    return bool((apart <= _TOLERANCE * scale.clamp(min=1e-12)).all())


def longest_readable(read: Read, row: list[int], claimed: int) -> int:
    """The most tokens, up to ``claimed``, of which a network can read a row: it is asked, because tables of positions end where
    they end, whatever they are called and wherever they begin. row: one that it reads."""
    row = row or [0]
    low, high = min(len(row), claimed), claimed

    def reads(length: int) -> bool:
        try:
            read([(row * (length // len(row) + 1))[:length]])
        except ModelError:
            return False
        return True

    if low == high or reads(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reads(middle) else (low, middle)
    return low


# State


def _state(network: "torch.nn.Module") -> list[tuple["torch.nn.Module", dict[str, Any]]]:
    """What every module keeps besides tensors: plain values, and which parts it is made of."""
    plain = (str, int, float, bool, type(None))
    return [
        (module, {name: value for name, value in vars(module).items() if isinstance(value, plain)} | dict(module._modules))
        for module in network.modules()
    ]


def _changed(network: "torch.nn.Module", before) -> list[tuple["torch.nn.Module", str, Any]]:
    """Module, name and former value of everything that is no longer as it was."""
    found = []
    for module, values in before:
        now = vars(module) | module._modules
        found += [
            (module, name, value) for name, value in values.items() if now.get(name) is not value and now.get(name) != value
        ]
    return found


def _restore(changed: list[tuple["torch.nn.Module", str, Any]]) -> None:
    for module, name, value in changed:
        setattr(module, name, value)


def _restoring(network: "torch.nn.Module", before, read: Read) -> Read:
    def as_found(rows: list[list[int]]) -> "torch.Tensor":
        with left_as_found(network, before):
            return read(rows)

    return as_found


@contextmanager
def left_as_found(network: "torch.nn.Module", before=None) -> Iterator[None]:
    """Put plain values and parts of a network back to what they were, whatever it does with them while it reads."""
    before = _state(network) if before is None else before
    try:
        yield
    finally:
        _restore(_changed(network, before))


# Messages

_is_reading: ContextVar[bool] = ContextVar("is_reading", default=False)


class _Errors(logging.Filter):
    """Lets only errors through while this thread has a network read."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or not _is_reading.get()


@contextmanager
def unheard() -> Iterator[None]:
    """While a network reads, what transformers says of its own doings (padding to whole blocks, another attention) reaches nobody."""
    for handler in logging.getLogger("transformers").handlers:
        if not any(isinstance(known, _Errors) for known in handler.filters):
            handler.addFilter(_Errors())
    token = _is_reading.set(True)
    try:
        yield
    finally:
        _is_reading.reset(token)


# Batches


def groups(habits: Habits, lengths: Sequence[int]) -> list[list[int]]:
    """Places of rows of so many tokens, in groups that may be read together.

    >>> groups(Habits(Company.EQUAL_LENGTH, 8), [3, 5, 3]), groups(Habits(Company.ALONE, 8), [3, 3])
    ([[0, 2], [1]], [[0], [1]])
    """
    if habits.company is Company.ANY:
        return [list(range(len(lengths)))] if lengths else []
    if habits.company is Company.ALONE:
        return [[place] for place in range(len(lengths))]
    found: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        found.setdefault(length, []).append(place)
    return list(found.values())


def in_company(
    habits: Habits, network: "torch.nn.Module", lengths: Sequence[int], read: Callable[[list[int]], "torch.Tensor"]
) -> "torch.Tensor":
    """What is read of each of n rows, whatever the others are: (n, ...), with gradients where torch records them.

    lengths: of the rows, in tokens. read: puts the rows of some places through the network, in one batch.
    """
    import torch

    places = groups(habits, lengths)
    parts = []
    for part in places or [[]]:
        with unheard(), left_as_found(network) if habits.keeps_state else nullcontext():
            parts.append(read(part))
    if len(parts) == 1:
        return parts[0]
    order = torch.tensor([place for part in places for place in part])
    return torch.cat(parts)[order.argsort().to(parts[0].device)]
