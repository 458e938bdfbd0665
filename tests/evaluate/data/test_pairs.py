"""Sets of pairs: sampling, selecting, languages, putting together, identity."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb import evaluate
from subemb.base.errors import InputError
from subemb.evaluate.data.pairs import LABELS, PairSet, SkipCounter, Skipped, WordSet, combine, skipped_text


def made(count: int = 6, name: str = "made", languages: tuple[str, ...] = (), **changes) -> PairSet:
    """``count`` pairs with the scores 0, 1, 2, ..."""
    values = {
        "task": "similarity",
        "format": "table",
        "first": [f"a{n}" for n in range(count)],
        "second": [f"b{n}" for n in range(count)],
        "gold": range(count),
        "languages": languages,
    }
    return PairSet(name, **(values | changes))


def test_a_sample_is_a_part_in_the_same_order():
    pairs = made(100)
    part = pairs.sample(30, seed=1)
    assert len(part) == 30
    assert part.gold.tolist() == sorted(set(part.gold.tolist()))
    assert [text[1:] for text in part.first] == [text[1:] for text in part.second] == [f"{gold:.0f}" for gold in part.gold]
    assert part == pairs.sample(30, seed=1)
    assert part.digest != pairs.sample(30, seed=2).digest
    assert pairs.sample(100) is pairs
    assert pairs.sample(1000) is pairs


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, None])
def test_samples_that_cannot_be(limit):
    with pytest.raises(InputError, match=f"sample of {limit!r} pairs"):
        made().sample(limit)


def test_every_pair_is_as_likely_in_a_sample():
    counts = sum(np.bincount(made(10).sample(5, seed).gold.astype(int), minlength=10) for seed in range(400))
    assert counts.sum() == 2000
    assert abs(counts - 200).max() < 60  # six standard deviations


def test_selecting_by_mask_and_by_index():
    pairs = made(4, languages=("en", "de", "en", "fr"))
    masked = pairs.select([True, False, True, False])
    assert (masked.first, masked.gold.tolist(), masked.languages) == (("a0", "a2"), [0.0, 2.0], ("en", "en"))
    assert pairs.select(np.array([3, 0])).first == ("a3", "a0")
    assert len(pairs.select([])) == 0
    with pytest.raises(InputError, match="mask of shape"):
        pairs.select([True])


def test_languages_are_told_apart_in_the_order_of_the_file():
    parts = made(4, languages=("th", "de", "th", "de")).by_language()
    assert {code: part.first for code, part in parts.items()} == {"th": ("a0", "a2"), "de": ("a1", "a3")}
    assert list(parts) == ["th", "de"]
    assert made().by_language() == {}


def test_sets_are_put_together():
    one = made(2, "one", ("en", "en"), skipped=[Skipped("blank score", 3, (1, 2, 5))])
    two = made(3, "two", skipped=[Skipped("blank score", 1, (9,))])
    both = combine([one, two])
    assert both.first == ("a0", "a1", "a0", "a1", "a2")
    assert both.gold.tolist() == [0, 1, 0, 1, 2]
    assert both.languages == ("en", "en", "und", "und", "und")
    assert both.skipped == (Skipped("one: blank score", 3, (1, 2, 5)), Skipped("two: blank score", 1, (9,)))
    assert both.name == "one, two"
    assert combine([one]) is one
    assert combine([made(name=str(n)) for n in range(5)]).name == "0 and 4 more files"


def test_sets_that_do_not_go_together():
    labelled = made(2, "nli", task="entailment", labels=LABELS)
    two_way = made(2, "rte", task="entailment", labels=("entailment", "not_entailment"))
    with pytest.raises(InputError, match="made: similarity, nli: entailment \\(3 labels\\)"):
        combine([made(), labelled])
    with pytest.raises(InputError, match="cannot be put together"):
        combine([two_way, labelled])
    with pytest.raises(InputError, match="no set"):
        combine([])


def test_parts_that_do_not_belong_together():
    with pytest.raises(InputError, match="do not make pairs"):
        made(3, second=["only one"])
    with pytest.raises(InputError, match="do not make pairs"):
        made(3, languages=("en",))
    with pytest.raises(InputError, match="no task 'other'"):
        made(task="other")


def test_nothing_of_a_set_can_be_changed():
    pairs = pickle.loads(pickle.dumps(made()))
    assert pairs == made()
    with pytest.raises(ValueError, match="read-only"):
        pairs.gold[0] = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        pairs.name = "other"
    words = pickle.loads(pickle.dumps(WordSet("w", ("a",), ("b",), [1.0])))
    assert not words.gold.flags.writeable
    given_gold = np.arange(6.0)
    pairs = made(gold=given_gold)
    given_gold[:] = 9
    assert pairs.gold.tolist() == [0, 1, 2, 3, 4, 5]


texts = st.lists(st.text(max_size=4), min_size=2, max_size=2)


@given(texts, texts)
def test_the_digest_tells_contents_apart(first, other):
    one, two = made(2, first=first, second=["x", "y"]), made(2, first=other, second=["x", "y"])
    assert (one.digest == two.digest) == (first == other)
    assert len(one.digest) == 16
    int(one.digest, 16)


def test_the_digest_is_of_all_that_counts_and_not_of_the_name():
    pairs = made(2)
    assert made(2, "other name", format="other").digest == pairs.digest
    assert made(2, "other name") != pairs
    for change in (
        {"gold": [0, 2]},
        {"task": "paraphrase"},
        {"task": "entailment", "labels": LABELS},
        {"languages": ("en", "de")},
        {"first": ["a0a", "1"]},
        {"first": ["b0", "b1"], "second": ["a0", "a1"]},
    ):
        assert made(2, **change).digest != pairs.digest, change
    assert WordSet("w", ("a",), ("b",), [1.0]).digest != WordSet("w", ("a",), ("b",), [2.0]).digest


def test_the_scale_is_what_occurs():
    assert made(6).scale == (0.0, 5.0)
    assert made(6).select([2, 4]).scale == (2.0, 4.0)


def test_skipped_rows_are_told_most_frequent_first():
    counter = SkipCounter()
    for line in range(2, 9):
        counter.add("blank score", line)
    counter.add("empty sentence", 30)
    assert counter.result() == (Skipped("blank score", 7, (2, 3, 4, 5, 6)), Skipped("empty sentence", 1, (30,)))
    assert skipped_text(counter.result()) == "blank score: 7 (lines 2, 3, 4, 5, 6, …); empty sentence: 1 (line 30)"
    assert skipped_text(()) == ""


def test_every_public_name_can_be_imported():
    for name in evaluate.__all__:
        assert getattr(evaluate, name) is not None
    assert set(evaluate.__all__) <= set(dir(evaluate))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        evaluate.nothing  # noqa: B018
