"""What the browser is sent for the token map, what its colours mean, and what a search finds."""

import numpy as np
import pytest
import torch

from subemb.analysis.clusters import Clusters
from subemb.analysis.layout import Layout
from subemb.codec import compress
from subemb.models.vocabulary import KINDS, Vocabulary
from subemb.ui.pages.token_map.colours import (
    MISSING,
    STEPS,
    by_cluster,
    by_code,
    by_kind,
    by_tier,
    by_value,
    choices,
    cluster_name,
    hue_ranks,
    wheel,
)
from subemb.ui.pages.token_map.controls import found_tokens
from subemb.ui.pages.token_map.facts import kept_on_the_plane, token_facts, token_table
from subemb.ui.pages.token_map.packing import pack, packed_texts, unpack
from subemb.ui.widgets.colours import contrast

TOKENS = [
    "[PAD]",
    "[unused0]",
    "the",
    "king",
    "##ing",
    "1990",
    "!",
    "<img src=x onerror=alert(1)>",
    "kings",
    "baking",
    "##king",
]


@pytest.fixture(scope="module")
def made():
    """(table, compressed, vocabulary, facts) of a small table whose tokens are of every kind, one of them hostile."""
    vocabulary = Vocabulary.from_tokens(TOKENS, special=[0], num_rows=16)
    table = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    compressed = compress(table, "product", subspaces=2, codebook_size=4, seed=0)
    return table, compressed, vocabulary, token_facts(table, compressed)


def plane(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)


# What is sent


def test_what_was_packed_comes_out_again():
    random = np.random.default_rng(0)
    arrays = {
        "odd": random.integers(0, 256, 7, dtype=np.uint8),
        "wide": random.integers(0, 65536, (5, 2), dtype=np.uint16),
        "ids": random.integers(0, 2**32, 3, dtype=np.uint32),
        "none": np.empty(0, np.uint8),
    }
    header, found = unpack(pack("run/Error", arrays, legend={"title": "Ä"}))
    assert header["name"] == "run/Error"
    assert header["legend"] == {"title": "Ä"}
    assert [entry["offset"] % 4 for entry in header["arrays"]] == [0] * 4
    for name, array in arrays.items():
        assert found[name].tolist() == array.ravel().tolist()
        assert found[name].dtype == array.dtype


def test_texts_come_out_one_a_line(made):
    vocabulary = made[2]
    assert bytes(packed_texts(vocabulary.display)).decode().split("\n") == vocabulary.display


# Colours


def test_every_colour_has_one_byte_a_token_and_a_key_that_json_can_hold(made):
    _, compressed, vocabulary, facts = made
    clusters = Clusters(np.arange(16, dtype=np.uint8) % 3, np.zeros(16, np.uint8), np.array([[3, 2], [4, -1], [-1, -1]]))
    books = [book.numpy() for book in compressed.codebooks]
    found = [
        by_cluster([clusters], vocabulary),
        by_kind(vocabulary.kinds),
        by_tier(np.arange(16) % 2 + 1, ["whole", "in codes"]),
        by_value("Error", "error", facts.error),
        by_code(1, facts.codes[:, 1], books[1]),
    ]
    for colouring in found:
        header, arrays = unpack(pack("x", colouring.arrays, legend=colouring.legend))
        assert len(arrays["value"]) == 16
        if colouring.colours:
            assert int(arrays["value"].max()) < len(header["legend"]["colours"]) == len(header["legend"]["labels"])
    assert choices(facts, "subspace")[-2:] == ["Code of subspace 0", "Code of subspace 1"]


def test_kinds_and_tiers_are_counted(made):
    vocabulary = made[2]
    found = by_kind(vocabulary.kinds)
    for number, kind in enumerate(KINDS):
        count = int((vocabulary.kinds == kind).sum())
        assert found.numbers[number] == (f"{count:,}" if count else "")
        assert (found.value == number).sum() == count
    assert by_tier(np.array([1, 2, 2]), ["a", "b"]).numbers == ("1", "2")


def test_the_key_names_each_codes_own_tokens(made):
    _, compressed, _, facts = made
    found = by_code(0, facts.codes[:, 0], compressed.codebooks[0].numpy())
    for token in range(16):
        assert found.labels[found.value[token]] == str(facts.codes[token, 0])


def test_more_codes_than_a_byte_holds_get_a_slope_around_the_wheel():
    codes = np.arange(600)
    found = by_code(0, codes, np.random.default_rng(0).normal(size=(600, 2)))
    assert found.stops
    assert not found.colours
    assert found.value.max() == STEPS


def test_values_share_one_scale_over_both_maps():
    found = by_value("Norm", "length", np.array([0.0, 1.0]), np.array([2.0, np.nan]), clip=0.0)
    assert (found.low, found.high) == (0.0, 2.0)
    assert found.value.tolist() == [0, STEPS // 2]
    assert found.value_after.tolist() == [STEPS, MISSING]
    same = by_value("Error", "error", np.ones(3))
    assert same.low < 1 < same.high


def test_both_maps_have_the_colours_of_the_original_clusters(made):
    clusters = Clusters(np.array([0, 0, 0, 1], np.uint8), np.array([0, 1, 0, 1], np.uint8), np.array([[3, 3, 8], [7, -1, -1]]))
    found = by_cluster([clusters], made[2])
    assert found.value.tolist() == [0, 0, 0, 1]
    assert found.value_after is None
    assert found.numbers == ("66.7 % stay", "100 % stay")
    assert found.labels[0] == cluster_name(clusters, 0, made[2]) == "king, kings"  # each text once
    assert found.labels[1].startswith("<img")  # as it is; the browser shows it as text


def test_like_codes_have_like_colours_and_colours_show_on_both_themes():
    book = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]]) + 0.01
    ranks = hue_ranks(book)
    assert sorted(ranks.tolist()) == [0, 1, 2, 3]
    assert abs(int(ranks[0]) - int(ranks[2])) == 2  # opposite ones are not neighbours
    for colour in wheel(20):
        assert contrast(colour, "#FFFFFF") > 2.5
        assert contrast(colour, "#12161F") > 2.5


# Search


def test_a_search_prefers_the_whole_token_then_beginnings_and_the_rest_only_on_request(made):
    vocabulary = made[2]
    names = [vocabulary.display[i] for i in found_tokens(vocabulary, "king")[0]]
    assert names == ["king", "##king"]  # the token, whole or inside a word, and not "kings" or "baking"
    ids, count, more = found_tokens(vocabulary, "kin")
    assert [vocabulary.display[i] for i in ids] == ["king", "##king", "kings"]
    assert (count, more) == (3, 1)
    assert {vocabulary.display[i] for i in found_tokens(vocabulary, "king", inside=True)[0]} == {
        "king",
        "##king",
        "kings",
        "baking",
    }
    assert found_tokens(vocabulary, "#7")[0][0] == 7
    assert found_tokens(vocabulary, "  ") == ([], 0, 0)


# The table, and the plane


def test_the_table_lists_codes_errors_and_places(made):
    table, compressed, vocabulary, facts = made
    layout = Layout("pca", np.array([2, 3, 7]), plane(3, 1), plane(3, 2))
    rows = token_table([3, 5], facts, vocabulary, layout)
    assert rows["token"].tolist() == ["king", "1990"]
    assert rows[["code 0", "code 1"]].to_numpy().tolist() == compressed.codes[[3, 5]].tolist()
    squared = (table[3] - compressed.lookup(torch.tensor(3))).square().sum()
    mean_variance = (table - table.mean(0)).square().sum() / len(table)
    assert rows["error"][0] == pytest.approx(float(squared / mean_variance), rel=1e-5)
    assert rows["norm before"][1] == pytest.approx(float(table[5].norm()), rel=1e-5)
    assert rows["norm after"][1] == pytest.approx(float(compressed.lookup(torch.tensor(5)).norm()), rel=1e-5)
    assert rows["x after"][0] == plane(3, 2)[1, 0]
    assert np.isnan(rows["x after"][1])  # not in the layout


def test_many_codes_go_into_one_column():
    table = torch.randn(30, 12)
    vocabulary = Vocabulary.from_tokens([f"t{i}" for i in range(30)])
    facts = token_facts(table, compress(table, "product", subspaces=12, codebook_size=3))
    rows = token_table([4], facts, vocabulary)
    assert rows["codes"][0] == " ".join(str(int(code)) for code in facts.codes[4])


def test_tokens_at_one_place_of_the_plane_share_the_places_left_over():
    """By hand: tokens 1, 2 and 3 lie at one place afterwards, so each of the last two places of token 0 goes to two thirds of one of them."""
    before = np.array([[0.0, 0], [1, 0], [2, 0], [4, 0], [8, 0]], dtype=np.float32)
    after = np.array([[0.0, 0], [2, 0], [2, 0], [2, 0], [8, 0]], dtype=np.float32)
    # Two nearest before: of 0 1, 2; of 1 0, 2; of 2 0, 1 and 3 alike; of 3 1 and 2 (2 at 2, 1 at 3); of 4 3, 2.
    # After: of 0 two of 1, 2, 3; of each of 1, 2, 3 the other two; of 4 two of 1, 2, 3.
    kept = [2 * 2 / 3, 1, 2, 2, 2 * 2 / 3]
    layout = Layout("pca", np.arange(5), before, after)
    assert kept_on_the_plane(layout, k=2) == pytest.approx(np.mean(kept) / 2)


def test_neighbours_on_the_plane_by_hand():
    line = np.array([[0.0, 0], [1, 0], [2.1, 0], [3.3, 0]], dtype=np.float32)
    swapped = line[[1, 0, 2, 3]]
    layout = Layout("pca", np.arange(4), line, swapped)
    # Nearest before: 1, 0, 1, 2. After the first two change places: 1, 0, 0, 2. Three of four are kept.
    assert kept_on_the_plane(layout, k=1) == pytest.approx(0.75)
    assert kept_on_the_plane(Layout("pca", np.arange(4), line, line)) == 1.0
    assert kept_on_the_plane(Layout("pca", np.arange(2), line[:2], swapped[:2])) is None
