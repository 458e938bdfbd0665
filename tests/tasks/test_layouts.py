"""The layouts that come along belong to the runs that come along."""

import numpy as np
import pytest

from subemb.analysis.layout import UmapSettings
from subemb.base.paths import app_folder
from subemb.models.load import load_listed
from subemb.presets import DEFAULT_PRESET, PRESETS
from subemb.runs import run_and_keep
from subemb.tasks.layouts import arrange, group, place
from subemb.tasks.sides import Subject

BUNDLED = "all-MiniLM-L6-v2"


def subject_of(preset: str) -> Subject:
    run = run_and_keep(BUNDLED, None, PRESETS[preset].settings.to_dict())  # it comes along too
    return Subject(BUNDLED, None, run.model["identity"], run.key)


def test_layouts_and_clusters_of_all_presets_come_along_and_no_others():
    tokens, keys = load_listed(BUNDLED).num_tokens, set()
    for subject in map(subject_of, PRESETS):
        calls = arrange.call(subject, tokens, UmapSettings()), group.call(subject)
        places, clusters = (call.kept() for call in calls)
        assert places.fitted == len(places.original) == len(clusters.before) == tokens
        keys |= {call.key for call in calls}
        for other in (other for other in map(subject_of, PRESETS) if other != subject):
            call = place.call(subject, other, tokens, UmapSettings())
            assert np.array_equal(call.kept().original, places.original), "on the same map"
            keys.add(call.key)
    folder = app_folder() / "assets" / "layouts"
    assert {path.name for path in folder.glob("*/*")} == keys
    for path in folder.glob("*/*/*"):
        assert path.stat().st_size <= 250_000


@pytest.mark.slow
def test_the_clusters_that_come_along_are_those_that_the_job_finds():
    subject = subject_of(DEFAULT_PRESET)
    kept = group.call(subject).kept()
    found = group._function(subject)
    assert (found.before == kept.before).mean() > 0.99  # other processors add up in another order
    assert np.abs(found.kept - kept.kept).max() < 0.02
