"""Tiers and a budget on the pages: chosen in the sidebar, shown, and to be changed."""

from subemb.codec.settings import CompressionSettings
from subemb.ui.shell.request import Request, from_query, to_query


def test_a_link_carries_budget_and_tiers():
    for more in ({"budget": "100 kB"}, {"tiers": "20:4x8,*:2x8", "unique": True}, {"budget": "0.5%", "codebook_bits": 16}):
        request = Request(settings=CompressionSettings("tiered", **more))
        assert from_query(to_query(request)) == request
