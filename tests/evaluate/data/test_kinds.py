"""Kinds of labelled pairs: each is whole."""

import pytest

from subemb.evaluate import statistics
from subemb.evaluate.data.kinds import KINDS
from subemb.evaluate.data.read import demo_pairs
from subemb.evaluate.report import METRIC_HELP, METRIC_NAMES


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_has_all_that_is_said_of_it(kind):
    assert set(kind.metrics) <= set(METRIC_NAMES) & set(METRIC_HELP) & set(statistics.STATISTICS)
    assert len(kind.parts) == len(set(kind.parts)) == 3
    assert set(kind.columns_of) <= set(KINDS) - {kind.key}
    if kind.demonstration:
        assert demo_pairs(kind.key).task == kind.key
