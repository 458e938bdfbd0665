"""The layouts that come along belong to the runs that a first visitor sees."""

import numpy as np
import pytest

from subemb.analysis.layout import UmapSettings
from subemb.base.paths import app_folder
from subemb.models.load import load_listed
from subemb.runs import run_and_keep
from subemb.tasks.layouts import arrange, group
from subemb.tasks.sides import Subject
from subemb.ui.shell.models import key_of
from subemb.ui.shell.request import EXAMPLE


@pytest.fixture(scope="module")
def example() -> Subject:
    return Subject(EXAMPLE.model, None, load_listed(EXAMPLE.model).identity, key_of(EXAMPLE)[0])


def test_the_examples_layout_and_clusters_come_along_and_no_others(example):
    tokens = load_listed(EXAMPLE.model).num_tokens
    calls = arrange.call(example, tokens, UmapSettings()), group.call(example)
    places, clusters = (call.kept() for call in calls)
    assert places.fitted == len(places.original) == len(clusters.before) == tokens
    folder = app_folder() / "assets" / "layouts"
    assert {path.name for path in folder.glob("*/*")} == {call.key for call in calls}
    for path in folder.glob("*/*/*"):
        assert path.stat().st_size <= 250_000


@pytest.mark.slow
def test_the_clusters_that_come_along_are_those_that_the_job_finds(example):
    kept = group.call(example).kept()
    run_and_keep(EXAMPLE.model, None, key_of(EXAMPLE)[1].to_dict())
    found = group._function(example)
    assert (found.before == kept.before).mean() > 0.99  # other processors add up in another order
    assert np.abs(found.kept - kept.kept).max() < 0.02
