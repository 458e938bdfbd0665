"""The two maps as figures: which token is where, in which colour, and what a browser is sent."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from subemb.analysis.layout import Layout
from subemb.base.errors import InputError
from subemb.codec import compress
from subemb.models.vocabulary import KINDS, Vocabulary
from subemb.ui.pages.token_map.charts import LABELS, label_shifts, map_figure
from subemb.ui.pages.token_map.colours import (
    CODE,
    ERROR,
    GRADIENT,
    ID,
    KIND,
    KIND_MARKS,
    NORM,
    by_code,
    by_kind,
    by_value,
    code_swatches,
    colouring_of,
    hue_ranks,
    key_html,
)
from subemb.ui.pages.token_map.facts import kept_on_the_plane, layout_of, token_facts, token_table
from subemb.ui.pages.token_map.selection import ORIGINAL, RECONSTRUCTED
from subemb.ui.widgets.colours import oklch

TOKENS = [
    "[PAD]",
    "[unused0]",
    "the",
    "king",
    "##ing",
    "1990",
    "!",
    "<img src=x onerror=alert(1)>",
    "**",
    "$x$",
    ":smile:",
    "%{x}",
]
AXES = ("axis 1", "axis 2")


@pytest.fixture(scope="module")
def made():
    """(table, compressed, vocabulary, facts) of a small table whose tokens are of every kind, some of them hostile."""
    vocabulary = Vocabulary.from_tokens(TOKENS, special=[0], num_rows=16)
    table = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    compressed = compress(table, "product", subspaces=2, codebook_size=4, seed=0)
    return table, compressed, vocabulary, token_facts(table, compressed, vocabulary)


def plane(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)


def draw(made, side=ORIGINAL, ids=None, colour=KIND, **options):
    _, compressed, vocabulary, facts = made
    ids = np.arange(16) if ids is None else np.asarray(ids)
    book = compressed.codebooks[0].numpy()
    colouring = colouring_of(colour, facts, ids, 0, options.pop("code", None), book)
    points, other = plane(len(ids), 1), plane(len(ids), 2)
    if side == RECONSTRUCTED:
        points, other = other, points
    figure = map_figure(side, facts.drawn(ids, vocabulary.kinds), points, other, colouring, AXES, **options)
    go.Figure(figure.to_dict())  # plotly takes every list that was put in unchecked
    for trace, sent in zip(figure.data, figure.to_dict()["data"], strict=True):
        trace.update({name: sent[name] for name in ("customdata", "text", "hovertext") if name in sent})
    return figure


def token_points(figure) -> dict[int, tuple[float, float]]:
    """id -> (x, y) over all traces that hold tokens."""
    return {
        token: (float(x), float(y))
        for trace in figure.data
        if trace.customdata is not None
        for token, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


def test_every_drawn_token_is_drawn_once_at_its_place(made):
    ids = [1, 4, 5, 9, 15]
    points = token_points(draw(made, ids=ids))
    assert sorted(points) == ids
    for place, token in enumerate(ids):
        assert points[token] == pytest.approx(tuple(plane(5, 1)[place]), abs=1e-6)


@pytest.mark.parametrize("colour", [KIND, CODE, ERROR, NORM, ID])
def test_the_same_trace_and_index_is_the_same_token_on_both_maps(made, colour):
    left, right = draw(made, ORIGINAL, colour=colour, found=[3, 4]), draw(made, RECONSTRUCTED, colour=colour, found=[3, 4])
    tokens = [[trace.customdata for trace in figure.data if trace.customdata is not None] for figure in (left, right)]
    assert tokens[0] == tokens[1]
    for figure in (left, right):  # traces of tokens first, so that their numbers agree
        holds = [trace.customdata is not None for trace in figure.data]
        assert holds == sorted(holds, reverse=True)


def test_both_maps_show_the_same_part_of_the_plane(made):
    left, right = draw(made, ORIGINAL), draw(made, RECONSTRUCTED)
    for axis in ("xaxis", "yaxis"):
        assert left.layout[axis].autorangeoptions == right.layout[axis].autorangeoptions
    low, high = left.layout.xaxis.autorangeoptions.include
    every = np.concatenate([plane(16, 1)[:, 0], plane(16, 2)[:, 0]])
    assert low < every.min()
    assert every.max() < high


def test_kinds_have_symbols_of_their_own_whatever_the_colour(made):
    assert len({mark[0] for mark in KIND_MARKS.values()}) == len(KINDS) == len(KIND_MARKS)
    for colour in (KIND, CODE, ERROR):
        for trace in draw(made, colour=colour).data:
            assert trace.marker.symbol == KIND_MARKS[trace.name][0]


def test_continuous_colours_share_one_scale_over_both_maps(made):
    *_, facts = made
    colouring = colouring_of(NORM, facts, np.arange(16))
    both = np.concatenate([facts.norm, facts.new_norm])
    assert (colouring.low, colouring.high) == pytest.approx(tuple(np.quantile(both, [0.01, 0.99])))
    scales = [
        (trace.marker.cmin, trace.marker.cmax, trace.marker.colorscale)
        for side in (ORIGINAL, RECONSTRUCTED)
        for trace in draw(made, side, colour=NORM).data
    ]
    assert scales.count(scales[0]) == len(scales)


def test_equal_values_still_have_a_scale():
    colouring = by_value("x", np.ones(4))
    assert colouring.low < 1 < colouring.high


def test_one_code_can_be_highlighted(made):
    *_, facts = made
    chosen = int(facts.codes[3, 0])
    figure = draw(made, colour=CODE, code=chosen)
    larger = max(trace.marker.size for trace in figure.data)
    marked = {token for trace in figure.data if trace.marker.size == larger for token in trace.customdata}
    assert marked == set(np.flatnonzero(facts.codes[:, 0] == chosen).tolist())
    assert len(token_points(figure)) == 16


def test_a_code_that_does_not_exist_is_refused_with_the_codes_there_are(made):
    with pytest.raises(InputError, match="there is no code 4 in subspace 0; choose one from 0 to 3"):
        draw(made, colour=CODE, code=4)


def test_found_tokens_get_a_ring_a_name_and_a_line_from_where_they_were(made):
    ids = list(range(16))
    left, right = draw(made, ORIGINAL, ids, found=[7, 3]), draw(made, RECONSTRUCTED, ids, found=[7, 3])
    for figure, points in ((left, plane(16, 1)), (right, plane(16, 2))):
        ring = next(trace for trace in figure.data if trace.name == "found")
        assert sorted(zip(ring.x, ring.y, strict=True)) == sorted((x, y) for x, y in points[[3, 7]])
        assert [note.text for note in figure.layout.annotations] == ["&#60;img␣src=x␣onerror=alert(1)&#62;", "king"]
    assert not any(trace.name == "moved from" for trace in left.data)
    line = next(trace for trace in right.data if trace.name == "moved from")
    assert (line.x[0], line.x[1]) == (plane(16, 1)[7, 0], plane(16, 2)[7, 0])
    assert np.isnan(line.x[2])


def test_many_found_tokens_are_ringed_but_only_some_are_named(made):
    figure = draw(made, found=list(range(16)))
    assert len(next(trace for trace in figure.data if trace.name == "found").x) == 16
    assert len(figure.layout.annotations) == LABELS < 16


def test_names_of_tokens_at_one_place_do_not_cover_each_other():
    names = ["king", "kings", "kingdom", "##king"]
    shifts = label_shifts(np.full((4, 2), 0.5), names)
    boxes = [(right, up, 3 * len(name)) for (right, up), name in zip(shifts, names, strict=True)]
    for i, (x, y, half) in enumerate(boxes):
        assert all(abs(x - a) >= half + b or abs(y - c) >= 16 for a, c, b in boxes[i + 1 :])
    assert label_shifts(np.array([[0.1, 0.1], [0.9, 0.9]]), ["a", "b"]) == [(0, 17), (0, 17)]


def test_no_token_can_be_read_as_markup_by_plotly(made):
    figure = draw(made, found=list(range(16)))
    shown = [text for trace in figure.data for text in trace.text or ()] + [note.text for note in figure.layout.annotations]
    assert len(shown) >= 16
    assert not [text for text in shown if re.search(r"[<>$%]|&(?!#\d+;)", text)]


def test_hover_text_says_kind_id_codes_and_error(made):
    *_, facts = made
    trace = next(trace for trace in draw(made).data if 3 in trace.customdata)
    place = trace.customdata.index(3)
    assert trace.text[place] == "king"
    assert trace.hovertext[place] == f"{facts.codes[3, 0]} {facts.codes[3, 1]}<br>error {facts.error[3]:.3f}"
    assert trace.hovertemplate == "<b>%{text}</b><br>whole word, id %{customdata}<br>codes %{hovertext}<extra></extra>"


def test_methods_without_codes_have_no_code_anywhere(made):
    table, _, vocabulary, _ = made
    facts = token_facts(table, compress(table, "low_rank", settings=None), vocabulary)
    assert facts.codes is None
    assert not [name for name in token_table([1, 2], facts, vocabulary).columns if "code" in name]
    drawn = facts.drawn(np.arange(3), vocabulary.kinds)
    assert drawn.label == ""
    assert drawn.details[0] == f"error {facts.error[0]:.3f}"
    assert colouring_of(CODE, facts, np.arange(3)).title == "token kind"


def test_a_browser_is_sent_numbers_in_binary_and_less_than_100_bytes_a_token(made):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), size=7)) + str(i) for i in range(3000)]
    vocabulary = Vocabulary.from_tokens(words)
    table = torch.randn(3000, 8)
    facts = token_facts(table, compress(table, "arbitrary", subspaces=3), vocabulary)
    ids = np.arange(3000)
    figure = map_figure(
        ORIGINAL, facts.drawn(ids, vocabulary.kinds), plane(3000), plane(3000, 1), colouring_of(ERROR, facts, ids), AXES
    )
    sent = plotly.io.to_json(figure, validate=False)
    assert json.loads(sent)["data"][0]["x"]["dtype"] == "f4"
    assert len(sent) < 100 * 3000


# Colours


def test_colours_of_codes_are_a_wheel_in_the_order_of_the_angle():
    angles = np.deg2rad([10, 200, 100, 290])
    ranks = hue_ranks(np.column_stack([np.cos(angles), np.sin(angles)]))
    around = np.argsort(ranks).tolist()
    # The axes' sign and the place where the wheel starts are free; who is next to whom is not.
    turned = around[around.index(0) :] + around[: around.index(0)]
    assert turned in ([0, 2, 1, 3], [0, 3, 1, 2])


@given(st.integers(1, 40), st.integers(1, 4))
def test_every_code_has_a_place_and_a_colour(size, width):
    book = np.random.default_rng(size).normal(size=(size, width))
    assert sorted(hue_ranks(book).tolist()) == list(range(size))
    swatches = code_swatches(book)
    assert sorted(code for code, _ in swatches) == list(range(size))
    assert len({colour for _, colour in swatches}) == size


def test_the_colour_of_a_code_on_the_map_is_that_of_the_key():
    book = np.random.default_rng(0).normal(size=(5, 3))
    colouring = by_code(0, np.arange(5), book)
    for code, colour in code_swatches(book):
        place = (colouring.values[0][code] - colouring.low) / (colouring.high - colouring.low)
        assert next(shade for edge, shade in reversed(colouring.scale) if edge <= place) == colour


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_colours_stand_out_from_both_backgrounds():
    wheel = [colour for _, colour in code_swatches(np.random.default_rng(0).normal(size=(64, 4)))]
    for colour in (*GRADIENT, *wheel, *(mark[2] for mark in KIND_MARKS.values())):
        assert (1 + 0.05) / (luminance(colour) + 0.05) > 2.6, f"{colour} on white"
        assert (luminance(colour) + 0.05) / (luminance("#12161E") + 0.05) > 2.6, f"{colour} on the dark background"


def test_oklch_is_that_of_its_author():
    # L, C, h of sRGB blue and of a middle grey, from the reference conversion
    assert oklch(0.45201, 0.31321, 264.052 / 360) == "#0000FF"
    assert oklch(0.59987, 0.0, 0.0) == "#808080"


# The key, the table, the numbers


def test_the_key_counts_the_tokens_of_every_kind_drawn(made):
    _, _, vocabulary, facts = made
    drawn = facts.drawn(np.arange(16), vocabulary.kinds)
    key = key_html(KIND, by_kind(), drawn)
    for kind, count in zip(*np.unique(vocabulary.kinds, return_counts=True), strict=True):
        assert re.search(rf">{KIND_MARKS[kind][1]}</span> {kind} <span[^>]*>{count}<", key)


def test_the_key_says_what_a_highlighted_code_means(made):
    _, compressed, vocabulary, facts = made
    chosen, book = int(facts.codes[3, 0]), compressed.codebooks[0].numpy()
    colouring = colouring_of(CODE, facts, np.arange(16), 0, chosen, book)
    count = int((facts.codes[:, 0] == chosen).sum())
    key = key_html(CODE, colouring, facts.drawn(np.arange(16), vocabulary.kinds), book)
    assert f"code {chosen} of subspace 0" in key
    assert f"{count} of 16 tokens drawn have it" in key


def test_the_table_lists_codes_errors_and_places(made):
    table, compressed, vocabulary, facts = made
    layout = Layout("pca", np.array([2, 3, 7]), plane(3, 1), plane(3, 2))
    rows = token_table([3, 5], facts, vocabulary, layout)
    assert rows["token"].tolist() == ["king", "1990"]
    assert rows[["code 0", "code 1"]].to_numpy().tolist() == compressed.codes[[3, 5]].tolist()
    squared = (table[3] - compressed.lookup(torch.tensor(3))).square().sum()
    mean_variance = (table - table.mean(0)).square().sum() / len(table)
    assert rows["error"][0] == pytest.approx(float(squared / mean_variance), rel=1e-5)
    assert rows["norm after"][1] == pytest.approx(float(compressed.lookup(torch.tensor(5)).norm()), rel=1e-5)
    assert rows["x after"][0] == plane(3, 2)[1, 0]
    assert np.isnan(rows["x after"][1])  # not drawn


def test_many_codes_go_into_one_column():
    table = torch.randn(30, 12)
    vocabulary = Vocabulary.from_tokens([f"t{i}" for i in range(30)])
    facts = token_facts(table, compress(table, "product", subspaces=12, codebook_size=3), vocabulary)
    rows = token_table([4], facts, vocabulary)
    assert rows["codes"][0] == " ".join(str(int(code)) for code in facts.codes[4])
    assert facts.details[4].split("<br>")[0].endswith(" …")


def test_a_part_of_a_layout_keeps_its_tokens_places():
    layout = Layout("pca", np.array([1, 4, 6, 9]), plane(4, 1), plane(4, 2), np.array([0.5, 0.2]))
    part = layout_of(layout, np.array([4, 9]))
    assert part.original.tolist() == layout.original[[1, 3]].tolist()
    assert part.reconstructed.tolist() == layout.reconstructed[[1, 3]].tolist()
    assert part.explained is layout.explained


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
    assert kept_on_the_plane(layout_of(layout, np.array([0, 1]))) is None
