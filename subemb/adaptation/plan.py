"""How a time budget is spent in steps: pure functions of what was measured so far."""

from typing import NamedTuple

FEWEST_STEPS = 26  # that a time budget is to have room for, so that there is a curve to see
FIRST_BATCH = 4  # sentences of the first step, whose speed gives the first plan
SMALLEST_BATCH = 2
CHANGED = 1.25  # times the sentences of a step, up or down, from which on a plan is changed
LATEST = 0.5  # share of a step by which training may be longer than its budget


class Segment(NamedTuple):
    """Steps that all look at as many sentences."""

    start: int  # the first of them
    size: int  # sentences a step


def planned_size(step: int, size: int, most: int, seconds_left: float, seconds_a_row: float) -> int:
    """Sentences of the next steps: ``most`` where FEWEST_STEPS such steps fit into the time, else as many as leave room for them.

    step: steps done. size: sentences of the last one. seconds_a_row: that a step takes for each of its sentences.

    >>> planned_size(1, 8, 64, seconds_left=12, seconds_a_row=0.01)
    48
    >>> planned_size(1, 8, 64, seconds_left=120, seconds_a_row=0.01)
    64
    >>> planned_size(10, 48, 64, seconds_left=8, seconds_a_row=0.01), planned_size(10, 48, 64, seconds_left=8, seconds_a_row=0.03)
    (48, 16)
    """
    if step >= FEWEST_STEPS:
        return size
    fits = max(0.0, seconds_left) / (FEWEST_STEPS - step) / seconds_a_row if seconds_a_row > 0 else most
    wanted = int(min(most, max(SMALLEST_BATCH, fits)))
    changes = wanted >= CHANGED * size or wanted * CHANGED <= size or wanted == most
    return wanted if changes else size


def is_spent(seconds_left: float, seconds_a_step: float) -> bool:
    """Whether another step would end more than LATEST of it after the budget.

    >>> is_spent(3.0, 2.0), is_spent(1.5, 2.0), is_spent(0.5, 2.0)
    (False, False, True)
    """
    return seconds_left < (1 - LATEST) * seconds_a_step


def place_of(step: int, schedule: list[Segment], rows: int) -> tuple[int, int, int, int]:
    """Where a step stands: its segment, its pass over all rows, its place in the pass, and the rows of a step.

    >>> schedule = [Segment(0, 8), Segment(1, 4)]
    >>> [place_of(step, schedule, 10) for step in (0, 1, 2, 3)]
    [(0, 0, 0, 8), (1, 0, 0, 4), (1, 0, 1, 4), (1, 1, 0, 4)]
    """
    number = max(place for place, segment in enumerate(schedule) if segment.start <= step)
    size = min(schedule[number].size, rows)
    return number, *divmod(step - schedule[number].start, rows // size), size
