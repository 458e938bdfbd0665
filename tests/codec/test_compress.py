from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import subemb
from subemb.analysis import neighbours_kept, reconstruction_error
from subemb.base.errors import Cancelled, InputError
from subemb.codec import METHODS, CompressionSettings, SubspaceCompressed, compress, load
from subemb.codec.compression import checked_sensitivity
from subemb.codec.weights import token_weights
from subemb.models.model import PretrainedModel

CODEBOOK_METHODS = ["cluster", "arbitrary", "random", "product", "optimized_product", "residual"]


@pytest.fixture(scope="module")
def table():
    """300 tokens of 12 numbers with structure: correlated axes, uneven spread, a mean away from 0."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) * rng.uniform(0.2, 2, size=(300, 1)) + 3
    return torch.as_tensor(rows, dtype=torch.float32)


@pytest.fixture(scope="module")
def minilm():
    return subemb.load("all-MiniLM-L6-v2").table


def relative_error(table, compressed, weights=None):
    rows = table.double().numpy()
    distance = np.square(rows - compressed.reconstruct().double().numpy()).sum(1)
    w = np.ones(len(rows)) if weights is None else np.asarray(weights, float)
    return w @ distance / (w @ np.square(rows - w @ rows / w.sum()).sum(1))


@pytest.mark.parametrize("method", CODEBOOK_METHODS)
def test_every_method_gives_what_it_promises(table, method):
    compressed = compress(table, method, 3, 8)
    assert isinstance(compressed, SubspaceCompressed)
    assert compressed.settings == CompressionSettings(method, 3, 8, weights="none").resolve(300, 12)
    assert compressed.codes.shape == (300, 3)
    assert compressed.codes.dtype == torch.uint8
    assert int(compressed.codes.max()) < 8
    width = 12 if method == "residual" else 4
    assert [tuple(book.shape) for book in compressed.codebooks] == [(8, width)] * 3
    assert compressed.reconstruct().shape == (300, 12)
    assert compressed.info["error"] == pytest.approx(relative_error(table, compressed), rel=1e-6)
    assert compressed.info["error"] < 1
    assert compressed.info["seconds"] > 0
    assert compressed.info["distinct"] == compressed.distinct_tuples
    if method in ("cluster", "arbitrary", "random"):
        assert compressed.distinct_tuples == 300
    if method not in ("arbitrary", "random"):
        assert compressed.history[-1]["error"] >= compressed.info["error"] - 1e-5
        assert [step["iteration"] for step in compressed.history] == list(range(1, len(compressed.history) + 1))


def test_arbitrary_by_hand():
    table = np.array([[0.0, 0.0], [2.0, 10.0], [4.0, 20.0], [6.0, 30.0]])
    compressed = compress(table, "arbitrary", 2, 2)
    assert compressed.codes.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert compressed.codebooks[0].flatten().tolist() == [1.0, 5.0]
    assert compressed.codebooks[1].flatten().tolist() == [10.0, 20.0]
    assert compressed.reconstruct().tolist() == [[1.0, 10.0], [1.0, 20.0], [5.0, 10.0], [5.0, 20.0]]
    # squared error 4 + 400, variance 20 + 500
    assert compressed.info["error"] == pytest.approx(404 / 520)


def test_random_is_a_permutation_of_arbitrary(table):
    arbitrary, random = compress(table, "arbitrary").codes.tolist(), compress(table, "random").codes.tolist()
    assert arbitrary != random
    assert sorted(arbitrary) == sorted(random)


@pytest.mark.parametrize("method", ["cluster", "product", "optimized_product", "residual"])
def test_a_table_of_few_different_rows_is_rebuilt_exactly(method):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4, 6))
    table = rows[np.repeat(np.arange(4), 5)]
    options = {"unique": False} if method == "cluster" else {}
    compressed = min((compress(table, method, 2, 4, seed=seed, **options) for seed in range(4)), key=lambda c: c.info["error"])
    assert compressed.info["error"] < 1e-10


@pytest.mark.parametrize("method", CODEBOOK_METHODS)
def test_reconstructing_its_own_reconstruction_changes_nothing(table, method):
    compressed = compress(table, method, 3, 8, iterations=4)
    rebuilt = compressed.reconstruct()
    for token in (0, 7, 299):
        parts = [book[int(code)] for book, code in zip(compressed.codebooks, compressed.codes[token], strict=True)]
        row = torch.stack(parts).sum(0) if method == "residual" else torch.cat(parts)
        row = row if compressed.rotation is None else row @ compressed.rotation.T
        torch.testing.assert_close(row, rebuilt[token])


@pytest.mark.slow
def test_a_codebook_as_large_as_the_vocabulary_keeps_every_bit(table):
    for method in ("cluster", "product"):
        compressed = compress(table, method, 2, 300)
        assert torch.equal(compressed.reconstruct(), table)
    assert compress(table, "cluster", 1).info["error"] == 0.0
    assert compress(table, "cluster", 1).codes.dtype == torch.int32


@hypothesis_settings(max_examples=15)
@given(st.integers(2, 60), st.integers(1, 7), st.integers(1, 4), st.sampled_from(CODEBOOK_METHODS), st.integers(0, 99))
def test_any_small_table_goes_through_every_method(vocabulary, dim, subspaces, method, seed):
    table = np.random.default_rng(seed).integers(-1, 2, (vocabulary, dim)) * 1.0
    subspaces = min(subspaces, dim)
    compressed = compress(table, method, subspaces, seed=seed, iterations=3)
    assert int(compressed.codes.max()) < compressed.settings.codebook_size
    assert torch.isfinite(compressed.reconstruct()).all()
    assert compressed.info["error"] <= 1 + 1e-6
    if compressed.settings.unique:
        assert compressed.distinct_tuples == vocabulary


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("method", ["product", "optimized_product"])
def test_unique_tuples_can_be_asked_of_others(table, method):
    plain, unique = compress(table, method, 3, 8), compress(table, method, 3, 8, unique=True)
    assert plain.distinct_tuples < 300
    assert unique.distinct_tuples == 300
    assert unique.info["colliding_tokens"] == 0
    assert plain.info["error"] < unique.info["error"] < compress(table, "arbitrary", 3, 8).info["error"]


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("method", ["product", "cluster", "residual"])
def test_more_codewords_give_less_error(table, method):
    errors = [min(compress(table, method, 3, size, seed=seed).info["error"] for seed in range(2)) for size in (8, 16, 32, 64)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("method", CODEBOOK_METHODS)
def test_equal_seeds_give_equal_results(table, method):
    first, again = compress(table, method, 3, 8, seed=3), compress(table, method, 3, 8, seed=3)
    assert torch.equal(first.codes, again.codes)
    assert all(torch.equal(a, b) for a, b in zip(first.codebooks, again.codebooks, strict=True))


def test_nothing_random_is_taken_from_outside_or_left_behind(table):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    compress(table, "cluster", 3, 8)
    assert torch.equal(torch.rand(3), expected)


def test_a_rotation_is_orthogonal_and_pays(table):
    compressed = compress(table, "optimized_product", 3, 8)
    torch.testing.assert_close(compressed.rotation @ compressed.rotation.T, torch.eye(12), atol=1e-4, rtol=0)
    assert compressed.info["error"] < compress(table, "product", 3, 8).info["error"]


@pytest.mark.parametrize("method", ["cluster", "product", "optimized_product"])
def test_errors_of_the_subspaces_told_on_the_way_are_those_of_the_result(table, method):
    """For a rotation both are of the turned axes."""
    compressed = compress(table, method, 3, 8)
    told = compressed.history[-1]["per_subspace"]
    np.testing.assert_allclose(told, reconstruction_error(table, compressed).per_subspace, rtol=0.01)


@pytest.mark.parametrize("weighted", [False, True])
def test_every_turn_of_the_rotation_lowers_the_error(table, weighted):
    """Codes, codebooks and rotation are each the best given the others, so what is minimised can only fall."""
    weights = np.random.default_rng(3).exponential(size=300) ** 4 + 0.01 if weighted else None
    history = compress(table, "optimized_product", 3, 8, weights=weights).history
    errors = [step["weighted_error" if weighted else "error"] for step in history if step["stage"] == "rotating"]
    assert len(errors) == 25
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(errors))


@pytest.mark.slow
def test_weights_lower_the_weighted_error_and_both_are_told(table):
    weights = torch.ones(300)
    weights[:30] = 100.0
    for method in ("product", "cluster", "optimized_product", "residual"):
        plain, weighted = compress(table, method, 3, 8), compress(table, method, 3, 8, weights=weights)
        assert weighted.info["weighted_error"] == pytest.approx(relative_error(table, weighted, weights), rel=1e-5)
        assert weighted.info["error"] == pytest.approx(relative_error(table, weighted), rel=1e-5)
        assert weighted.info["weighted_error"] < relative_error(table, plain, weights)
        assert {"error", "weighted_error", "per_subspace"} <= set(weighted.history[-1])
        assert "weighted_error" not in plain.info


@pytest.mark.slow_after(4)
@pytest.mark.parametrize("method", ["cluster", "arbitrary", "random", "product", "optimized_product"])
@pytest.mark.parametrize("weighted", [False, True])
def test_codewords_are_the_means_of_their_members(table, method, weighted):
    """The least-squares solution given the codes, by numpy."""
    weights = np.random.default_rng(3).exponential(size=300) ** 3 + 0.01
    compressed = compress(table, method, 3, 8, weights=weights if weighted else None)
    rows, used = table.double().numpy(), 0
    if compressed.rotation is not None:
        rows = rows @ compressed.rotation.double().numpy()
    for i, book in enumerate(compressed.codebooks):
        for code, word in enumerate(book):
            mine = np.flatnonzero(compressed.codes[:, i].numpy() == code)
            if len(mine):
                mean = np.average(rows[mine, 4 * i : 4 * i + 4], axis=0, weights=weights[mine] if weighted else None)
                np.testing.assert_allclose(word, mean, rtol=1e-5, atol=1e-5)
                used += 1
    assert used > 20


@pytest.mark.parametrize("weighted", [False, True])
def test_residual_codebooks_cannot_be_bettered_given_the_codes(table, weighted):
    """The error of numpy's least-squares solution for all stages at once."""
    weights = np.random.default_rng(3).exponential(size=300) + 0.01 if weighted else np.ones(300)
    compressed = compress(table, "residual", 3, 8, weights=weights)
    chosen = np.concatenate([np.eye(8)[compressed.codes[:, stage].numpy()] for stage in range(3)], axis=1)  # (V, f * Q)
    rows, root = table.double().numpy(), np.sqrt(weights)[:, None]
    best = chosen @ np.linalg.lstsq(root * chosen, root * rows, rcond=None)[0]
    least = weights @ np.square(rows - best).sum(1)
    assert weights @ np.square(rows - compressed.reconstruct().double().numpy()).sum(1) == pytest.approx(least, rel=1e-5)


def test_weights_by_name_and_weights_of_zero(table):
    zipf = compress(table, "product", 3, 8, weights="zipf")
    numbers = compress(table, "product", 3, 8, weights=1 / (torch.arange(300.0) + 2.7))
    assert zipf.settings.weights == "zipf"
    torch.testing.assert_close(zipf.reconstruct(), numbers.reconstruct(), rtol=1e-4, atol=1e-4)
    largest = torch.full((300,), 1.7e308, dtype=torch.float64)
    largest[:30] /= 1e4
    smaller = compress(table, "product", 3, 8, weights=largest / 1e300)
    assert torch.equal(compress(table, "product", 3, 8, weights=largest).codes, smaller.codes)
    half = torch.ones(300)
    half[150:] = 0
    assert torch.isfinite(compress(table, "cluster", 3, 8, weights=half).reconstruct()).all()


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16, torch.float32])
def test_every_float_type_is_taken(table, kind):
    compressed = compress(table.to(kind), "product", 3, 8)
    assert compressed.codebooks[0].dtype == torch.float32
    assert compressed.info["error"] == pytest.approx(compress(table, "product", 3, 8).info["error"], rel=0.05)


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("method", ["cluster", "optimized_product", "residual", "low_rank", "int8", "int4"])
@pytest.mark.parametrize("factor", [1e-12, 1e12, 1e-28, 1e28])  # the squares of the last two do not fit float32
def test_scale_does_not_matter(table, method, factor):
    size = 8 if METHODS[method].uses_codebooks else None
    scaled, plain = compress(table.double() * factor, method, 3, size), compress(table, method, 3, size)
    assert relative_error(table.double() * factor, scaled) == pytest.approx(relative_error(table, plain), rel=1e-2)


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("method", METHODS)
def test_the_callers_default_type_changes_nothing(table, method, tmp_path, request):
    size = 8 if METHODS[method].uses_codebooks else None
    expected = compress(table, method, 3, size).reconstruct()
    request.getfixturevalue("float64_by_default")
    compressed = compress(table, method, 3, size)
    assert torch.equal(compressed.reconstruct(), expected)
    assert compressed.reconstruct().dtype == torch.float32
    compressed.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path).reconstruct(), expected)
    assert neighbours_kept(table, compressed, k=5).mean == neighbours_kept(table, expected, k=5).mean


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_numpy_arrays_of_any_layout_are_taken(table):
    rows, weights = table.numpy(), np.arange(300) + 1.0
    expected = compress(rows, "product", 3, 8, weights=weights)
    read_only = rows.copy()
    read_only.setflags(write=False)
    for same in (
        rows[::-1].copy()[::-1],
        np.asfortranarray(rows),
        rows.astype(">f4"),
        np.repeat(rows, 2, 1)[:, ::2],
        read_only,
    ):
        for numbers in (weights, weights[::-1].copy()[::-1], weights.astype(">f8"), weights.tolist()):
            compressed = compress(same, "product", 3, 8, weights=numbers)
            assert torch.equal(compressed.reconstruct(), expected.reconstruct())
            error = reconstruction_error(same, compressed, weights=numbers)
            assert error.weighted == pytest.approx(expected.info["weighted_error"], rel=1e-6)


def with_value(value):
    table = torch.zeros(5, 4)
    table[3, 2] = value
    return table


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (with_value(float("nan")), "nan at row 3, column 2"),
        (with_value(float("-inf")), "-inf at row 3, column 2"),
        (with_value(1.0).double() * 1e300, "inf at row 3, column 2 .*in float32"),
        (torch.zeros(1, 4), r"\(1, 4\).*at least 2 tokens"),
        (torch.zeros(5, 0), r"\(5, 0\).*1 dimension"),
        (torch.zeros(5), r"2 axes.*\(5,\)"),
        (torch.zeros(5, 4, dtype=torch.int64), "floating-point numbers, not torch.int64"),
        ("words", "2-D array of numbers"),
    ],
)
def test_unusable_tables_are_refused_with_the_place(bad, message):
    with pytest.raises(InputError, match=message):
        compress(bad)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(299), r"shape \(299,\).*needs \(300,\)"),
        (torch.cat([torch.ones(299), torch.tensor([-1.0])]), "weight -1.0 of token 299"),
        (torch.cat([torch.tensor([float("nan")]), torch.ones(299)]), "weight nan of token 0"),
        (torch.zeros(300), "all weights are 0"),
        ("counts", "token_weights"),
        ("vocabulary", "token_weights"),
        ("heavy", "unknown weights 'heavy'"),
        (["a"] * 300, "one a token: "),
    ],
)
def test_unusable_weights_are_refused(table, weights, message):
    with pytest.raises(InputError, match=message):
        compress(table, weights=weights)


@pytest.mark.parametrize("method", ["cluster", "arbitrary", "random"])
def test_too_few_tuples_are_said_before_any_work(table, method):
    messages = []
    with pytest.raises(InputError, match=r"6 \*\* 3 = 216 tuples are too few for 300 tokens.*at least 7.*at least 4 subspaces"):
        compress(table, method, 3, 6, progress=messages.append)
    assert all("iteration" not in message.values for message in messages)
    if method == "cluster":
        assert compress(table, method, 3, 6, unique=False).distinct_tuples <= 216


def test_progress_goes_forward_and_history_is_what_was_sent(table):
    messages = []
    compressed = compress(table, "cluster", 3, 8, progress=messages.append)
    fractions = [message.fraction for message in messages if message.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0
    assert fractions[-1] <= 1
    sent = [message.values for message in messages if "iteration" in message.values]
    kept = [{key: step[key] for key in ("iteration", "error", "per_subspace")} for step in compressed.history]
    assert sent == kept


@pytest.mark.parametrize("method", ["cluster", "product", "optimized_product", "residual"])
def test_it_stops_when_asked(table, method):
    with pytest.raises(Cancelled):
        compress(table, method, 3, 8, progress=lambda message: message.values.get("iteration") == 2)


@pytest.mark.slow
def test_cluster_on_a_real_table_keeps_all_tuples_distinct_at_little_error(minilm):
    compressed = compress(minilm, "cluster", 3, iterations=10)
    assert compressed.distinct_tuples == len(minilm)
    assert compressed.info["error"] < 0.928
    assert compress(minilm, "arbitrary", 3).info["error"] == pytest.approx(0.9939, abs=1e-3)


def test_numbers_given_as_weights_are_named_so(table):
    assert compress(table, "product", 3, 8, weights=torch.ones(300)).settings.weights == "given"
    assert compress(table, "product", 3, 8).settings.weights == "none"


def test_a_model_brings_its_table_and_its_vocabulary(table):
    """Ids of a word list stand for frequency ranks, so the first words count more than the last."""
    model = PretrainedModel.from_table(table, [f"word{number}" for number in range(300)])
    by_vocabulary = compress(model, "product", 3, 8)
    assert by_vocabulary.settings.weights == "vocabulary"
    by_hand = compress(table, "product", 3, 8, weights=token_weights("vocabulary", 300, vocabulary=model.vocabulary))
    assert torch.equal(by_vocabulary.codes, by_hand.codes)
    alike = compress(model, "product", 3, 8, weights="none")
    assert torch.equal(alike.codes, compress(table, "product", 3, 8).codes)
    first = slice(0, 30)
    rebuilt, plain = by_vocabulary.reconstruct()[first], alike.reconstruct()[first]
    original = torch.as_tensor(table).float()[first]
    assert (original - rebuilt).square().sum() < (original - plain).square().sum()


@pytest.mark.parametrize(
    ("matrix", "wrong"),
    [
        (np.eye(11), r"shape \(11, 11\); a table of 12 dimensions needs \(12, 12\)"),
        (np.eye(12) + np.eye(12, k=1), "row 0, column 1 differs from row 1, column 0"),
        (np.diag([*np.ones(11), -2.0]), "eigenvalue -2;"),
        (np.diag([*np.ones(11), np.nan]), "nan at row 11, column 11"),
        (np.zeros((12, 12)), "0 everywhere"),
        ("high", "must be a matrix"),
    ],
)
def test_a_sensitivity_that_is_none_is_refused_by_what_is_wrong(table, matrix, wrong):
    with pytest.raises(InputError, match=wrong):
        compress(table, "product", 3, 8, sensitivity=matrix)


def test_a_sensitivity_may_be_rounded_and_may_lack_directions():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(5, 12))
    exact = gradients.T @ gradients
    taken = checked_sensitivity(exact.astype(np.float16), 12)
    assert torch.equal(taken, taken.T)
    assert torch.linalg.cholesky_ex(taken).info == 0
    assert taken.diagonal().mean() == pytest.approx(1)
    assert torch.allclose(taken, torch.as_tensor(exact / exact.diagonal().mean(), dtype=torch.float32), atol=0.02)
