"""Estimates of an adaptation: more work takes longer."""

from dataclasses import replace

import pytest

from subemb.adaptation import AdaptationSettings
from subemb.adaptation.timing import steps_seconds
from subemb.codec.settings import CompressionSettings

CLUSTER = CompressionSettings("cluster", subspaces=8, codebook_size=61)
NETWORK = 10_991_232  # weights of all-MiniLM-L6-v2 without its table


def seconds(steps: int = 100, network: int = NETWORK, compression=CLUSTER, **values) -> float:
    settings = AdaptationSettings(steps=steps, **values)
    return steps_seconds(settings, steps, network, compression, 30522, 384)


def test_steps_and_the_search_for_codes_add_up():
    search = seconds(0 + 1) - seconds(1, reassign=False)
    assert search > 1
    for steps in (10, 1000):
        assert seconds(steps) == pytest.approx(search + seconds(steps, reassign=False))
        assert seconds(steps, reassign=False) == pytest.approx(steps * seconds(1, reassign=False))
    without = replace(CLUSTER, method="residual", codebook_size=16)
    assert seconds(50, compression=without) == pytest.approx(seconds(50, reassign=False))


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"batch_size": 128}),
        ({}, {"network": 2 * NETWORK}),
        ({}, {"train": "everything"}),
        ({}, {"objective": "similarity"}),
        ({"reassign": False}, {"reassign": True}),
    ],
)
def test_more_work_takes_longer(less, more):
    assert seconds(**more) > seconds(**less) > 0
