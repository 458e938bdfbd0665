"""What a browser says is selected -> token ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.ui.pages.token_map.component import heard_of
from subemb.ui.pages.token_map.selection import (
    NOTHING,
    ORIGINAL,
    RECONSTRUCTED,
    Selection,
    after,
    from_address,
    in_address,
    sentence,
    valid_ids,
    within,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("value", [-1, 10, 10**30, 1.5, float("nan"), float("inf"), True, "3", None, [3], {}])
def test_what_is_no_id_of_the_table_is_left_out(value):
    assert valid_ids([value, 4], 10) == (4,)


def test_the_last_selection_wins_whichever_map_it_was_made_on():
    first = after(NOTHING, {"by": ORIGINAL, "how": "lasso", "ids": [5, 3, 5]}, 10)
    assert first == Selection((3, 5), ORIGINAL, "lasso")
    second = after(first, {"by": RECONSTRUCTED, "how": "box", "ids": [9]}, 10)
    assert second == Selection((9,), RECONSTRUCTED, "box")
    assert after(second, {"by": ORIGINAL, "how": "click", "ids": [0]}, 10) == Selection((0,), ORIGINAL, "click")


def test_a_selection_of_nothing_clears():
    assert after(Selection((1,), ORIGINAL, "click"), {"by": RECONSTRUCTED, "how": "lasso", "ids": []}, 10) == NOTHING


@pytest.mark.parametrize(
    "message",
    [
        None,
        "x",
        [],
        {},
        {"by": "original"},
        {"by": "elsewhere", "ids": [1]},
        {"by": ORIGINAL, "ids": "12"},
        {"by": ORIGINAL, "ids": [99, -1, "7"]},
    ],
)
def test_a_message_of_another_form_changes_nothing(message):
    current = Selection((1, 2), ORIGINAL, "lasso")
    assert after(current, message, 10) == current


@given(JSON, st.integers(1, 50))
def test_nothing_that_a_browser_can_send_gives_ids_outside_the_table(message, num_tokens):
    for sent in (message, {"by": ORIGINAL, "how": message, "ids": message}, {"by": ORIGINAL, "ids": [message]}):
        selection = after(NOTHING, sent, num_tokens)
        assert list(selection.ids) == sorted(set(selection.ids))
        assert all(type(i) is int and 0 <= i < num_tokens for i in selection.ids)
        json.dumps(heard_of(sent))  # goes back to the browser


@given(st.lists(st.integers(0, 99)), st.integers(1, 100))
def test_changing_to_a_smaller_vocabulary_keeps_what_it_has(ids, num_tokens):
    selection = after(NOTHING, {"by": ORIGINAL, "how": "box", "ids": ids}, 100)
    assert within(selection, num_tokens).ids == tuple(sorted({i for i in ids if i < num_tokens}))


def test_the_sentence_says_how_many_how_and_where():
    assert sentence(Selection((1, 2, 3), None, "search")) == "3 tokens selected by searching"
    assert sentence(NOTHING) == "No token selected"
    assert sentence(Selection((4,), ORIGINAL, "click")) == "1 token selected by clicking on the original map"
    of_two = sentence(Selection((4, 5), RECONSTRUCTED, "box"), ("run A", "run B"))
    assert of_two == "2 tokens selected with a box on the map of run B", "no map of two runs is the original's"


@given(st.sets(st.integers(0, 299_999), max_size=300))
def test_a_link_holds_a_selection_unless_it_would_be_too_long(ids):
    ids = tuple(sorted(ids))
    text = in_address(ids)
    assert text is None or (len(text) <= 1500 and from_address(text, 300_000) == ids)
    assert len(ids) > 100 or text is not None


@given(st.text(max_size=40))
def test_whatever_a_link_says_gives_ids_of_the_table(text):
    for said in (text, "z" + text):
        assert all(0 <= i < 50 for i in from_address(said, 50))


def test_the_browser_hears_which_message_was_taken_into_account():
    assert heard_of({"from": "abc", "number": 3, "ids": []}) == {"from": "abc", "number": 3}
    assert heard_of(None) == heard_of("x") == {"from": "", "number": 0}
