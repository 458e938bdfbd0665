"""Results of evaluations on disk."""

from dataclasses import dataclass

import pytest

from subemb.base.paths import cache_folder
from subemb.tasks.kept import KEPT_RESULTS, keep_result, kept_result, result_key


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))


@dataclass(frozen=True)
class Settings:
    resamples: int = 2000


def test_what_was_kept_comes_back():
    values = {"spearman": {"original": 0.1 + 0.2, "compressed": None}, "sentences": ["naïve ⟨x⟩", "猫"]}
    key = result_key("set", subject=("model", "run"), settings=Settings())
    assert kept_result("set", key) is None
    keep_result("set", key, values)
    assert kept_result("set", key) == values
    assert kept_result("words", key) is None


def test_a_new_result_takes_the_place_of_the_old():
    key = result_key("set", data="x")
    keep_result("set", key, {"old form": 1})
    keep_result("set", key, {"new form": 2})
    assert kept_result("set", key) == {"new form": 2}


def test_keys_tell_everything_apart():
    keys = {
        result_key("set", subject=("a", "b"), settings=Settings()),
        result_key("words", subject=("a", "b"), settings=Settings()),
        result_key("set", subject=("a", None), settings=Settings()),
        result_key("set", subject=("a", "b"), settings=Settings(1000)),
    }
    assert len(keys) == 4
    with pytest.raises(TypeError, match="cannot be part of a key"):
        result_key("set", subject=object())


def test_a_damaged_result_is_dropped_and_can_be_kept_again():
    key = result_key("set", data="x")
    keep_result("set", key, {"a": 1})
    (cache_folder("evaluations") / f"set-{key}" / "result.json").write_text('{"format": 1, "resu')
    assert kept_result("set", key) is None
    keep_result("set", key, {"a": 2})
    assert kept_result("set", key) == {"a": 2}


def test_no_more_than_so_many_are_kept():
    for number in range(KEPT_RESULTS + 3):
        keep_result("set", result_key("set", number=number), {"number": number})
    assert len(list(cache_folder("evaluations").iterdir())) == KEPT_RESULTS
