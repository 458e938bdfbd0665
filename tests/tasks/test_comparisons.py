"""The comparison at equal bytes, on a small checkpoint that is really compressed by every method."""

import json

import pytest
from checkpoints import SPECIAL, make_bert

from subemb.base.errors import Cancelled, InputError
from subemb.base.plain import from_plain, to_plain
from subemb.base.progress import Progress
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings
from subemb.models.load import load_listed
from subemb.runs import RUNS, compressed_of, run_and_keep
from subemb.tasks.comparisons import COMPARISONS, Compared, _finish, compare_methods, gap_text, plan, seconds_of

WORDS = 400


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with one small BERT, and a cache of its own."""
    folder = tmp_path_factory.mktemp("models")
    make_bert(folder / "small", [*SPECIAL, *(f"word{number}" for number in range(WORDS))], dim=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(folder))
        patch.setenv("SUBEMB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield folder


SETTINGS = CompressionSettings("product", subspaces=4, codebook_size=16, iterations=3)


@pytest.fixture(scope="module")
def base(models):
    return run_and_keep("small", None, SETTINGS.to_dict())


@pytest.fixture(scope="module")
def compared(base):
    seen = []
    result = compare_methods("small", None, SETTINGS.to_dict(), progress=seen.append)
    return result, seen


def test_the_run_itself_comes_first_and_as_it_is(base):
    entries = plan(base)
    assert entries[0].settings == base.settings
    assert entries[0].total_bytes == base.size.total_bytes
    assert entries[0].matches
    assert [entry.settings.method for entry in entries[1:]] == [
        name for name in METHODS if name != "product" and name in {entry.settings.method for entry in entries}
    ]


def test_only_close_sizes_are_called_equal(base):
    for entry in plan(base):
        share = abs(entry.total_bytes - base.size.total_bytes) / base.size.total_bytes
        assert entry.matches == (share <= 0.05)
        assert entry.note == gap_text(entry.total_bytes, base.size.total_bytes)


@pytest.mark.slow
def test_all_methods_get_the_runs_own_weights_and_effort(models):
    weighted = CompressionSettings("cluster", weights="zipf", iterations=7, seed=5)
    entries = plan(RUNS.get(run_and_keep("small", None, weighted.to_dict()).key))
    for entry in entries:
        assert entry.settings.seed == 5
        assert entry.settings.weights == ("zipf" if "weights" in METHODS[entry.settings.method].reads else "none")
        if METHODS[entry.settings.method].is_iterative:
            assert entry.settings.iterations == 7


@pytest.mark.slow
def test_every_method_becomes_a_run_that_can_be_opened(compared, base):
    entries, _ = compared
    assert {entry.settings.method for entry in entries} >= {"cluster", "product", "residual", "low_rank", "int8", "int4"}
    for entry in entries:
        assert not entry.problem
        run = RUNS.get(entry.run.key)
        assert run.asked == entry.settings
        # What was said before is what is stored.
        assert compressed_of(run.key).size().total_bytes == entry.total_bytes == run.size.total_bytes


@pytest.mark.slow
def test_progress_never_goes_back_and_names_the_methods(compared):
    fractions = [message.fraction for message in compared[1] if message.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    stages = " ".join(message.stage for message in compared[1])
    assert METHODS["residual"].title in stages
    assert METHODS["int4"].title in stages


def test_the_comparison_is_kept_and_read_back(compared, base):
    assert compare_methods.kept("small", None, SETTINGS.to_dict()) == compared[0]
    assert COMPARISONS.get("f" * 24) is None


def test_methods_that_were_run_cost_nothing_more(compared, base):
    entries = plan(base)
    assert sum(seconds_of(entries, load_listed("small"))) == 0
    stages = []
    COMPARISONS.drop(compare_methods.key("small", None, SETTINGS.to_dict()))  # the runs stay
    again = compare_methods("small", None, SETTINGS.to_dict(), progress=lambda message: stages.append(message.stage))
    assert again == compared[0]
    assert stages == ["done"]


def test_a_file_that_cannot_be_read_counts_as_none(compared, base):
    key = compare_methods.key("small", None, SETTINGS.to_dict())
    for broken in ("{", "[]", json.dumps({"format": 99, "value": []}), json.dumps({"format": 1, "value": [{}]})):
        assert COMPARISONS.get(key) is not None
        (COMPARISONS.path(key) / COMPARISONS.file).write_text(broken, encoding="utf-8")
        assert COMPARISONS.get(key) is None
        COMPARISONS.put(key, compared[0])


@pytest.mark.slow
def test_cancelled_in_the_middle_keeps_what_was_finished(models):
    settings = CompressionSettings("product", subspaces=3, codebook_size=16, iterations=2, seed=9)

    def stop_at_int8(message: Progress) -> bool:
        return message.stage.startswith("int8")

    with pytest.raises(Cancelled):
        compare_methods("small", None, settings.to_dict(), progress=stop_at_int8)
    base = RUNS.get(run_and_keep("small", None, settings.to_dict()).key)
    assert compare_methods.kept("small", None, settings.to_dict()) is None
    entries = plan(base)
    seconds = seconds_of(entries, load_listed("small"))
    missing = [entry.settings.method for entry, cost in zip(entries, seconds, strict=True) if cost]
    assert missing == ["int8", "int4"]


def test_one_method_that_fails_does_not_stop_the_others(models):
    model = load_listed("small")
    entry = Compared(CompressionSettings("low_rank", rank=10_000), 1, False)
    failed = _finish(model, entry, None, None)
    assert failed.run is None
    assert "10000" in failed.problem
    assert from_plain(Compared, to_plain(failed)) == failed


def test_weights_by_a_text_need_the_text(models):
    settings = CompressionSettings("product", weights="counts", text_digest="0" * 16)
    with pytest.raises(InputError, match="text"):
        compare_methods("small", None, settings.to_dict())
