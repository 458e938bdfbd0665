"""Tiers of tokens: as text, as results, as layers, in files, and chosen for a budget."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.codec import compress, load
from subemb.codec.estimates import predicted_size
from subemb.codec.membership import from_bytes, membership_bytes, to_bytes
from subemb.codec.methods import tiered
from subemb.codec.methods.budgets import budget_bytes, budget_text, curves_of_shape, tiers_for
from subemb.codec.methods.tiers import parsed, written
from subemb.codec.modules import TieredEmbedding, TieredLinear, attach, embedding_layer, output_layer
from subemb.codec.settings import CompressionSettings, settings_text

V, D = 300, 12
TIERS = "10:exact,20:int8,60:6x16,*:2x8"


@pytest.fixture(scope="module")
def table():
    return torch.randn(V, D, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def weights():
    """The order of weights is not that of the ids."""
    return np.random.default_rng(0).permutation(V) + 1.0


@pytest.fixture(scope="module")
def compressed(table, weights):
    return compress(table, tiers=TIERS, weights=weights, iterations=4)


# Sets of tokens


@given(st.integers(1, 400), st.integers(0, 400), st.integers(0, 9))
def test_a_set_is_read_again_from_as_many_bytes_as_told(universe, members, seed):
    members = min(members, universe)
    places = np.sort(np.random.default_rng(seed).choice(universe, members, replace=False))
    content = to_bytes(places, universe)
    assert len(content) == membership_bytes(members, universe) <= -(-universe // 8)
    assert from_bytes(content, members, universe).tolist() == places.tolist()


def test_a_set_takes_hardly_more_than_it_must():
    """log2 of the number of such sets, in bytes: what no code can be below for all of them."""
    for members, universe in ((1500, 30522), (5000, 29022), (64, 250037)):
        least = (math.lgamma(universe + 1) - math.lgamma(members + 1) - math.lgamma(universe - members + 1)) / math.log(2) / 8
        assert least <= membership_bytes(members, universe) <= least + members / 8 + 10


def test_damaged_sets_are_refused():
    content = to_bytes(np.array([1, 5, 77]), 200)
    with pytest.raises(InputError, match=r"take \d+ bytes, not"):
        from_bytes(content[:-1], 3, 200)
    for spoilt in (np.zeros_like(content), np.full_like(content, 255)):
        with pytest.raises(InputError):
            from_bytes(spoilt, 3, 200)


# As text


def test_tiers_are_read_and_written():
    assert written(parsed(" 64:int8, 5%:20X32 ,*:4x32 ")) == "64:int8,5%:20x32,*:4x32"
    assert CompressionSettings("tiered", tiers="5%:2x4,*:1x2").resolve(V, D).tiers == "15:2x4,*:1x2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("*:4x32,5:2x2", "must end with one for all other tokens"),
        ("100:4x32", "must end with one for all other tokens"),
        ("0:4x32,*:1x2", "takes no tokens"),
        ("100%:4x32,*:1x2", "takes no tokens, or all"),
        ("10:0x4,*:1x2", "f or Q of 0"),
        ("10:4y4,*:1x2", "tier '10:4y4' cannot be read"),
        (",".join(["1:1x1"] * 17), "at most 16"),
    ],
)
def test_tiers_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        CompressionSettings("tiered", tiers=text)


def test_the_line_of_a_run_in_tiers_says_how_its_codes_were_chosen():
    both = [CompressionSettings("tiered", tiers="5:2x4,*:1x2", sensitive=sensitive, unique=True) for sensitive in (False, True)]
    plain, noticed = (settings_text(settings) for settings in both)
    assert plain == "Tiers by token weight, tiers 5:2x4,*:1x2, unique tuples, vocabulary weights, seed 0"
    assert noticed == plain.replace(", seed", ", sensitive, seed")


def test_tiers_that_do_not_fit_the_table_are_refused():
    for text, message in (
        ("400:2x4,*:1x2", "take 400 tokens before the last tier; the table has 300"),
        ("10:2x64,*:1x2", "tier 10:2x64: "),
        ("10:13x4,*:1x2", "13 subspaces do not fit"),
    ):
        with pytest.raises(InputError, match=message):
            CompressionSettings("tiered", tiers=text).resolve(V, D)
    with pytest.raises(InputError, match="fewer tuples than its 290 tokens"):
        CompressionSettings("tiered", tiers="10:2x4,*:2x8", unique=True).resolve(V, D)
    with pytest.raises(InputError, match="fewer tuples than its 290 tokens"):  # before anything is computed, however many codes
        CompressionSettings("tiered", tiers="10:2x4,*:70x1", unique=True).resolve(V, 100)
    with pytest.raises(InputError, match="cluster has no tiers; choose tiered"):
        CompressionSettings("cluster", tiers=TIERS)


# Results


def test_the_heaviest_tokens_come_first(compressed, table, weights):
    order = np.argsort(-weights)
    tiers = compressed.tier.numpy()[order]
    assert tiers.tolist() == [0] * 10 + [1] * 20 + [2] * 60 + [3] * 210
    rebuilt = compressed.reconstruct()
    exact = torch.from_numpy(order[:10].copy())
    assert torch.equal(rebuilt[exact], table[exact])
    errors = [(rebuilt - table)[compressed.tier == tier].square().mean() for tier in range(4)]
    assert errors == sorted(errors)
    torch.testing.assert_close(compressed.lookup(exact.view(2, 5)), table[exact].view(2, 5, D))


def test_every_tier_is_what_its_own_method_makes_of_its_tokens(compressed, table, weights):
    ids = torch.nonzero(compressed.tier == 2).flatten()
    alone = compress(table[ids], "product", 6, 16, weights=weights[ids.numpy()], iterations=4, unique=False)
    assert torch.equal(alone.codes, compressed.parts[2].codes)
    torch.testing.assert_close(alone.reconstruct(), compressed.reconstruct()[ids])


def test_its_size_by_hand(compressed):
    size = compressed.size()
    assert size == predicted_size(compressed.settings, V, D)
    apart = membership_bytes(10, 300) + membership_bytes(20, 290) + membership_bytes(60, 270)
    codes = 20 * 12 + 60 * 6 * 4 // 8 + -(-210 * 2 * 3 // 8)
    assert size.code_bytes == apart + codes
    assert size.codebook_bytes == 4 * (10 + 16 + 8) * 12
    assert size.total_bytes == size.codebook_bytes + 4 * 20 + size.code_bytes


def test_trimming_keeps_what_a_text_uses_and_drops_the_rest(table):
    """Tokens that are counted stay bit for bit; the others share their mean, and cost no more than that and the set of those kept."""
    counts = np.zeros(V)
    used = np.array([3, 50, 51, 299])
    counts[used] = [5, 1, 2, 9]
    found = compress(table, tiers="4:exact,*:trim", weights=counts)
    rebuilt = found.reconstruct()
    dropped = np.setdiff1d(np.arange(V), used)
    assert torch.equal(rebuilt[used], table[used])
    torch.testing.assert_close(rebuilt[dropped], table[dropped].mean(0).expand(len(dropped), -1))
    assert found.size().total_bytes == 4 * 4 * D + 4 * D + membership_bytes(4, V)


def test_it_is_saved_and_read_again(compressed, tmp_path):
    compressed.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.settings == compressed.settings
    assert torch.equal(again.tier, compressed.tier)
    assert torch.equal(again.reconstruct(), compressed.reconstruct())
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert on_disk - compressed.size().total_bytes <= 2000


def test_tuples_are_distinct_tier_by_tier(table, weights):
    found = compress(table, tiers="50:3x8,*:4x8", weights=weights, unique=True, iterations=3)
    assert (found.distinct_tuples, found.colliding_tokens) == (V, 0)


# Layers


def test_the_layer_looks_up_and_projects_like_the_result(compressed):
    layer = embedding_layer(compressed, padding_idx=3)
    assert isinstance(layer, TieredEmbedding)
    rebuilt = compressed.reconstruct()
    torch.testing.assert_close(layer.weight.detach(), rebuilt)
    ids = torch.tensor([[0, 7, 7], [299, 3, 12]], dtype=torch.int32)
    torch.testing.assert_close(layer(ids).detach(), rebuilt[ids.long()])
    assert layer(torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 2, D)
    with pytest.raises(IndexError):
        layer(torch.tensor([V]))
    head = output_layer(layer)
    assert isinstance(head, TieredLinear)
    hidden = torch.randn(4, D)
    torch.testing.assert_close(head(hidden).detach(), hidden @ rebuilt.T, rtol=1e-4, atol=1e-5)


def test_its_codebooks_train_like_those_of_a_dense_table(compressed):
    layer = embedding_layer(compressed)
    ids, wanted = torch.arange(V), torch.randn(V, D)
    before = float((layer(ids) - wanted).detach().square().sum())
    (layer(ids) - wanted).square().sum().backward()
    codes = layer.parts[3].codes.long()
    members = torch.nonzero(layer.tier == 3).flatten()
    gradient = 2 * (layer.weight.detach() - wanted)[members][:, :6]
    by_hand = torch.zeros(8, 6).index_add_(0, codes[:, 0], gradient)
    torch.testing.assert_close(layer.parts[3].codebooks[0].grad, by_hand, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter -= 1e-3 * parameter.grad
    assert float((layer(ids) - wanted).detach().square().sum()) < before
    torch.testing.assert_close(layer.to_compressed().reconstruct(), layer.weight.detach())


def test_a_layer_in_another_type_is_kept_in_float32(compressed, tmp_path):
    layer = embedding_layer(compressed).bfloat16()
    assert layer(torch.arange(V)).dtype == torch.bfloat16
    kept = layer.to_compressed()
    torch.testing.assert_close(kept.reconstruct(), compressed.reconstruct(), rtol=0.02, atol=0.02)
    kept.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path).reconstruct(), kept.reconstruct())
    assert kept.parts[1].values.data_ptr() != layer.parts[1].values.data_ptr()


def test_it_stands_in_for_both_ends_of_a_network(compressed):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = torch.nn.Embedding(V, D), torch.nn.Linear(D, V)
            self.head.weight = self.table.weight

        def get_input_embeddings(self):
            return self.table

        def get_output_embeddings(self):
            return self.head

        def forward(self, ids):
            return self.head(self.table(ids))

    network, ids = Network(), torch.tensor([[1, 2, 250]])
    small = attach(network, compressed)
    rebuilt = compressed.reconstruct()
    torch.testing.assert_close(small(ids), rebuilt[ids] @ rebuilt.T + network.head.bias, rtol=1e-4, atol=1e-5)
    assert small.attachment.head == "compressed"


# A budget


def test_budgets_are_read():
    assert [budget_bytes(text, 1000, 100) for text in ("1234", "1 kB", "1.5KB", "0.5%", "2 KiB", "1 MB")] == [
        1234, 1000, 1500, 2000, 2048, 1_000_000,
    ]  # fmt: skip
    for text in ("", "many", "5 apples", "-3 kB", "0", "9" * 400, "9" * 300 + " GB"):
        with pytest.raises(InputError):
            CompressionSettings("tiered", budget=text)
    assert CompressionSettings("tiered", budget="300000") == CompressionSettings("tiered", budget="0.3MB")  # one run, not two
    with pytest.raises(InputError, match="give a budget or tiers, not both"):
        CompressionSettings("tiered", tiers=TIERS, budget="1 kB")
    with pytest.raises(
        InputError, match="10 bytes is too little for a table of 300 x 12; the least that tiers can take is 48 bytes"
    ):
        CompressionSettings("tiered", budget="10").resolve(V, D)


@given(st.integers(1, 10**10))
@example(129_378)
def test_a_budget_is_as_many_bytes_however_it_is_spelled(size):
    spelled = budget_text(str(size))
    assert budget_bytes(spelled, 1000, 100) == size
    assert budget_text(spelled) == spelled


@pytest.mark.slow
@given(st.integers(1000, 300_000), st.sampled_from([64, 96, 128, 384, 768, 1024]), st.floats(0.0015, 0.99))
@settings(max_examples=6, deadline=None)
def test_a_budget_is_never_exceeded_and_used_wherever_tiers_can_be_so_fine(vocabulary, dim, share):
    budget = int(share * vocabulary * dim * 4)
    if budget < 60 * dim + vocabulary / 2:  # no codebooks and codes fit
        return
    resolved = CompressionSettings("tiered", budget=str(budget)).resolve(vocabulary, dim)
    size = predicted_size(resolved, vocabulary, dim).total_bytes
    assert 0.98 * budget <= size <= budget
    assert resolved.resolve(vocabulary, dim) == resolved


@pytest.mark.slow
def test_a_budget_from_the_least_to_more_than_the_table(table, weights):
    """Whatever it is: what fits, and no more of it left than a row of the table or a codebook takes."""
    for budget in (48, 60, 100, 500, 2000, 9000, V * D * 4, 10**6):
        found = compress(table, budget=str(budget), weights=weights, iterations=2)
        assert found.size().total_bytes <= budget
        assert budget_bytes(found.info["budget"], V, D) == budget
        assert found.size().total_bytes >= min(budget, V * D * 4) - 52
    assert torch.equal(found.reconstruct(), table)
    with pytest.raises(InputError, match="the least that tiers can take is 48 bytes"):
        compress(table, budget="47", weights=weights)


def test_more_exact_rows_than_a_tier_can_keep_make_several():
    resolved = CompressionSettings("tiered", budget="100%").resolve(70_000, 4)
    tiers = parsed(CompressionSettings("tiered", tiers="65536:exact,*:exact").tiers)
    assert predicted_size(resolved, 70_000, 4).total_bytes <= 70_000 * 16
    curves = curves_of_shape(70_000)
    assert tiers_for(70_000 * 16 + 9000, 70_000, 4, curves) == tiers


@pytest.mark.slow
def test_bytes_go_where_they_lose_least():
    """The heavier half of the tokens hardly varies, so the others get the bytes, which the shape alone would give to the first half."""
    rows = torch.randn(2000, 24, generator=torch.Generator().manual_seed(0))
    rows[:1000] *= 0.01
    weights = np.linspace(2, 1, 2000)
    asked = CompressionSettings("tiered", budget="6%", weights="given", iterations=3)
    found = compress(rows, settings=asked, weights=weights)
    by_shape = written(tiered._guessed(asked.resolve(2000, 24), 2000, 24))
    shaped = compress(rows, tiers=by_shape, weights=weights, iterations=3)
    assert found.info["weighted_error"] < 0.9 * shaped.info["weighted_error"]
    assert abs(found.size().total_bytes / shaped.size().total_bytes - 1) < 0.02


@given(st.integers(60, 300), st.integers(8, 24), st.floats(0.05, 0.5), st.booleans())
@settings(max_examples=5, deadline=None)
def test_a_result_is_no_larger_than_its_budget(vocabulary, dim, share, unique):
    table = torch.randn(vocabulary, dim, generator=torch.Generator().manual_seed(0))
    budget = int(share * vocabulary * dim * 4)
    wanted = CompressionSettings("tiered", budget=str(budget), unique=unique, weights="zipf", iterations=2)
    try:
        wanted.resolve(vocabulary, dim)
    except InputError:  # distinct tuples take more, and the message says so
        return
    found = compress(table, settings=wanted)
    assert found.settings.budget is None
    assert found.size() == predicted_size(found.settings, vocabulary, dim)
    assert budget - 4 * dim - 60 <= found.size().total_bytes <= budget
    assert not unique or found.colliding_tokens == 0


@pytest.mark.parametrize(("kept", "budget"), [("40", 700), ("25%", 900), ("299", 5000)])
def test_a_budget_for_some_tokens_whose_rows_the_others_borrow(table, weights, kept, budget, tmp_path):
    found = compress(table, budget=str(budget), keep=kept, weights=weights, iterations=2)
    own = 75 if kept == "25%" else int(kept)
    assert budget - 60 <= found.size().total_bytes <= budget
    assert found.info["keep"] == kept
    assert found.settings.keep is None
    assert found.settings.tiers.endswith(",*:nearest")
    heaviest = np.argsort(-weights)[:own]
    assert set(found.stand_ins.tolist()) <= set(heaviest.tolist())
    assert found.stand_ins[heaviest].tolist() == heaviest.tolist()
    unit = torch.nn.functional.normalize(table)
    other = int(np.argsort(-weights)[-1])
    assert int(found.stand_ins[other]) == heaviest[int((unit[heaviest] @ unit[other]).argmax())]
    found.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path).reconstruct(), found.reconstruct())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"keep": "40"}, "give a budget too, or end the tiers with"),
        ({"keep": "40", "budget": "100"}, "telling whose row each of 260 tokens borrows takes 195"),
        ({"keep": "400", "budget": "1 kB"}, "keep is 400; the table has 300 tokens"),
        ({"keep": "40", "budget": "1 kB", "unique": True}, "cannot be distinct then"),
        ({"keep": "used", "budget": "1 kB", "weights": "given"}, "which no budget knows in advance"),
    ],
)
def test_what_no_budget_can_keep_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        CompressionSettings("tiered", **asked).resolve(V, D)


def test_tiers_of_a_budget_are_searched_once_whatever_else_is_set(monkeypatch):
    """Also where there are none: the sidebar asks in every run of a page."""
    searched = []

    def search(budget, *shape_and_more):
        searched.append(budget)
        return tiers_for(budget, *shape_and_more)

    monkeypatch.setattr(tiered, "tiers_for", search)
    for more in ({}, {"seed": 3}, {"sensitive": True}, {"sensitive": False}, {"weights": "none"}, {"iterations": 2}):
        CompressionSettings("tiered", budget="1234", **more).resolve(V, D)
        with pytest.raises(InputError, match="a budget of 11 bytes is too little"):
            CompressionSettings("tiered", budget="11", **more).resolve(V, D)
    assert searched == [1234, 11]
    CompressionSettings("tiered", budget="1234", codebook_bits=16).resolve(V, D)
    assert searched == [1234, 11, 1234]


@pytest.mark.slow
def test_what_bytes_would_buy_is_measured_once_for_all_budgets(table, weights, monkeypatch, tmp_path):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    monkeypatch.setattr(tiered, "_WORTH_KEEPING", 1)
    measured, times = tiered.measured_curves, []
    monkeypatch.setattr(tiered, "measured_curves", lambda *given: times.append(1) or measured(*given))
    first = compress(table, budget="25%", weights=weights, iterations=2)
    tiered.CURVES.memory.clear()
    again = compress(table, budget="25%", weights=weights, iterations=2, seed=1)
    compress(table, budget="20%", weights=weights, iterations=2)
    assert (first.settings.tiers, len(times)) == (again.settings.tiers, 1)
    compress(table * 2, budget="25%", weights=weights, iterations=2)
    compress(table, budget="25%", iterations=2)
    assert len(times) == 3


def test_a_budget_alone_asks_for_tiers(table):
    found = compress(table, budget="30%", weights="zipf", iterations=2)
    assert found.settings.method == "tiered"
    assert found.settings.tiers is not None


def test_its_onnx_form_gives_the_same_rows(compressed, tmp_path):
    """Checked with onnxruntime against torch when it is written."""
    pytest.importorskip("onnxruntime")
    from subemb.export.onnx_file import onnx_table

    found = onnx_table(compressed, tmp_path / "table.onnx")
    assert found.tokens == V
    assert found.largest_difference < 1e-5


def test_what_the_output_notices_reaches_the_codes_of_every_tier(table, weights):
    matrix = torch.diag(torch.tensor([9.0, 1.0, 0.1] * 4))
    plain = compress(table, tiers="90:6x16,*:2x8", weights=weights, iterations=4)
    found = compress(table, tiers="90:6x16,*:2x8", weights=weights, iterations=4, sensitive=True, sensitivity=matrix)
    assert found.settings.sensitive
    assert found.size() == plain.size()
    noticed = [
        [float((c.reconstruct() - table)[c.tier == tier].square().mul(matrix.diagonal()).sum()) for tier in (0, 1)]
        for c in (plain, found)
    ]
    assert noticed[1][0] < noticed[0][0]
    assert noticed[1][1] < noticed[0][1]
    # What every step makes smaller is kept of the whole table, tier after tier, and ends at what is measured.
    errors = [step["sensitive_error"] for step in found.history]
    assert all(later <= error * 1.001 for error, later in pairwise(errors))
    assert errors[-1] == pytest.approx(found.info["sensitive_error"], rel=1e-3)
    assert all("sensitive_error" not in step for step in plain.history)
