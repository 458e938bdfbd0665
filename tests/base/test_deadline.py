"""Deadlines: what is begun ends in time, by a clock that the tests turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.deadline import Deadline


class Turned:
    """A clock that stands still until it is turned."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def work(deadline: Deadline, clock: Turned, kind: str, seconds: float) -> None:
    with deadline.piece(kind):
        clock.now += seconds


def test_without_seconds_there_is_no_deadline():
    clock = Turned()
    deadline = Deadline(None, clock)
    work(deadline, clock, "any", 1e9)
    assert not deadline.exists
    assert not deadline.is_over
    assert deadline.has_room("any")
    assert not deadline.part(0.1).exists


def test_a_piece_is_begun_only_if_one_like_the_last_would_end_in_time():
    clock = Turned()
    deadline = Deadline(10, clock)
    assert deadline.has_room("sweep")
    work(deadline, clock, "sweep", 6)
    assert not deadline.has_room("sweep")
    assert deadline.has_room("measuring")
    work(deadline, clock, "sweep", 1)  # the computer has become faster
    assert deadline.has_room("sweep")
    assert deadline.has_room("sweep", "sweep", "sweep")
    assert not deadline.has_room("sweep", "sweep", "sweep", "sweep")
    work(deadline, clock, "measuring", 2.5)
    assert not deadline.has_room("measuring")
    assert not deadline.is_over
    work(deadline, clock, "sweep", 0.5)
    assert deadline.is_over
    assert not deadline.has_room("never done")


def test_a_part_is_a_share_of_the_whole_and_ends_no_later():
    clock = Turned()
    deadline = Deadline(10, clock)
    part = deadline.part(0.3)
    assert part.left == pytest.approx(3)
    clock.now += 8
    assert part.is_over
    assert deadline.part(0.3).left == pytest.approx(2)
    clock.now += 8
    assert deadline.part(0.3).is_over


@given(st.floats(0.1, 100), st.lists(st.floats(0.01, 30), min_size=1, max_size=30))
def test_work_of_a_steady_pace_ends_in_time_and_leaves_less_than_one_piece(seconds, paces):
    clock = Turned()
    deadline, each = Deadline(seconds, clock), paces[0]
    done = 0
    while deadline.has_room("piece") and done < 10_000:
        work(deadline, clock, "piece", each)
        done += 1
    spent = clock.now - 100
    assert spent <= seconds + 1e-6 or done == 1, "only the first piece can be too long"
    assert done == 10_000 or spent + each > seconds - 1e-6
