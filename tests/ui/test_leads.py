"""What leads on: links that hold numbers only, whatever tokens say, and tables of them."""

import pytest
from checkpoints import HOSTILE

from subemb.ui.widgets.leads import lead_table, map_link, token_chips, token_link


@pytest.mark.parametrize("text", HOSTILE)
def test_a_chip_of_any_token_is_one_link_to_its_number(text):
    html = token_chips([2], ["a", "b", text])
    plain = token_chips([2], ["a", "b", "x"])
    assert (html.count("<"), html.count("href=")) == (plain.count("<"), 1)
    assert token_link(2).replace("&", "&amp;") in html


def test_no_tokens_are_no_chips():
    assert token_chips([], []) == ""


def test_numbers_of_a_table_stand_under_each_other():
    html = lead_table("<i>", {"Token": False, "Error": True}, [("a", "1.5"), ("b", "20.25")])
    assert html.count('class="lt-n"') == 3  # the head and two cells
    assert "<i>" not in html
    assert html.count('<th scope="row">') == 2


def test_a_link_to_the_map_stays_short():
    assert len(map_link(range(30_000, 60_000))) < 1000
