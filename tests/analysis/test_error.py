"""Reconstruction error: by hand, against scikit-learn, and its invariants."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import paired_cosine_distances

from subemb.analysis import id_bins, reconstruction_error
from subemb.analysis import rows as rows_module
from subemb.base.errors import InputError
from subemb.codec.compressed import SubspaceCompressed
from subemb.codec.settings import CompressionSettings

# mean row (0, 0); squared distances from it 4, 4, 1, 1: variance 10, 2.5 a token
TABLE = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
REBUILT = torch.tensor([[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])  # squared errors 0, 1, 1, 4


def product(table, f, q, rotation=None, seed=0, method="product"):
    """Codes and codebooks at random: any compressed table will do here."""
    vocabulary, dim = table.shape
    draw = torch.Generator().manual_seed(seed)
    books = [torch.randn(q, dim // f, generator=draw) for _ in range(f)]
    codes = torch.randint(q, (vocabulary, f), generator=draw).to(torch.uint8)
    return SubspaceCompressed(CompressionSettings(method, f, q), vocabulary, dim, codes, books, rotation=rotation)


def test_by_hand():
    error = reconstruction_error(TABLE, REBUILT, widths=[1, 1])
    assert error.relative == pytest.approx(6 / 10)
    assert error.weighted is None
    np.testing.assert_allclose(error.squared, [0, 1, 1, 4])
    np.testing.assert_allclose(error.per_token, [0, 0.4, 0.4, 1.6])
    np.testing.assert_allclose(error.cosine, [1, 1, 0, -1])  # row 2: one of the two is zero
    assert error.mean_cosine == pytest.approx(0.25)
    assert error.cosine_quantiles[0.5] == pytest.approx(0.5)
    np.testing.assert_allclose(error.per_subspace, [1 / 8, 5 / 2])


def test_weighted_by_hand():
    # weights 1, 3: mean (-1, 0); distances 9 and 1: variance 9 + 3 = 12; errors 0 and 3 x 1
    error = reconstruction_error(TABLE[:2], REBUILT[:2], weights=torch.tensor([1.0, 3.0]))
    assert error.weighted == pytest.approx(3 / 12)
    assert error.relative == pytest.approx(1 / 8)


def test_both_rows_zero_have_cosine_one():
    assert reconstruction_error(TABLE * 0 + torch.eye(4)[:, :2], torch.zeros(4, 2)).cosine.tolist() == [0, 0, 1, 1]


def test_the_mean_scores_one_and_the_table_zero():
    table = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) + 3
    assert reconstruction_error(table, table.mean(0).expand(50, 6)).relative == pytest.approx(1, abs=1e-6)
    perfect = reconstruction_error(table, table)
    assert (perfect.relative, perfect.mean_cosine) == (0, pytest.approx(1))


@pytest.mark.parametrize(("rebuilt", "expected"), [(1.0, 0.0), (2.0, float("inf"))])
def test_a_table_of_equal_rows_has_no_variance(rebuilt, expected):
    error = reconstruction_error(torch.ones(5, 3), torch.full((5, 3), rebuilt))
    assert error.relative == expected
    assert error.per_token.tolist() == [expected] * 5


def test_agrees_with_scikit_learn(monkeypatch):
    monkeypatch.setattr(rows_module.pieces, "__defaults__", (64,))  # many small pieces
    rng = np.random.default_rng(1)
    table, rebuilt = rng.normal(size=(101, 8)), rng.normal(size=(101, 8))
    weights = rng.random(101)
    error = reconstruction_error(table, rebuilt, weights=weights)
    assert error.relative == pytest.approx(1 - r2_score(table, rebuilt, multioutput="variance_weighted"), rel=1e-5)
    weighted = r2_score(table, rebuilt, sample_weight=weights, multioutput="variance_weighted")
    assert error.weighted == pytest.approx(1 - weighted, rel=1e-5)
    np.testing.assert_allclose(error.cosine, 1 - paired_cosine_distances(table, rebuilt), atol=1e-5)
    assert error.per_token.mean() == pytest.approx(error.relative, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 30), st.sampled_from([1, 2, 3, 6]), st.integers(1, 5), st.booleans(), st.integers(0, 99))
def test_a_compressed_table_and_its_matrix_have_equal_errors(vocabulary, f, q, rotated, seed):
    table = torch.randn(vocabulary, 6, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed))).Q if rotated else None
    compressed = product(table, f, q, rotation, seed)
    lazy = reconstruction_error(table, compressed)
    whole = reconstruction_error(table, compressed.reconstruct())
    assert lazy.relative == pytest.approx(whole.relative, rel=1e-5)
    np.testing.assert_allclose(lazy.squared, whole.squared, rtol=1e-4, atol=1e-6)
    # subspaces in the rotated space: the same as comparing there without a rotation
    in_space = table if rotation is None else table @ rotation
    plain = product(table, f, q, None, seed)
    expected = reconstruction_error(in_space, plain.reconstruct(), widths=plain.widths).per_subspace
    np.testing.assert_allclose(lazy.per_subspace, expected, rtol=1e-3)


def test_methods_without_subspaces_have_no_subspace_errors():
    assert reconstruction_error(TABLE, REBUILT).per_subspace.shape == (0,)
    books = [torch.randn(3, 2), torch.randn(3, 2)]
    residual = SubspaceCompressed(CompressionSettings("residual", 2, 3), 4, 2, torch.zeros(4, 2, dtype=torch.uint8), books)
    assert reconstruction_error(TABLE, residual).per_subspace.shape == (0,)


def test_by_group_by_hand():
    frame = reconstruction_error(TABLE, REBUILT).by_group(["word", "piece", "piece", "piece"])
    assert frame.index.tolist() == ["piece", "word"]  # the larger first
    assert frame.loc["piece"].tolist() == pytest.approx([3, 0.75, 0.8, 0.0, 1.0])
    assert frame.loc["word"].tolist() == pytest.approx([1, 0.25, 0.0, 1.0, 0.0])
    assert (frame["relative_error"] * frame["share_of_tokens"]).sum() == pytest.approx(0.6)


def test_by_group_keeps_the_order_of_categories_and_survives_a_perfect_table():
    frame = reconstruction_error(TABLE, TABLE).by_group(id_bins(4, 3))
    assert frame.index.tolist() == ["0 to 0", "1 to 2", "3 to 3"]
    assert frame["tokens"].tolist() == [1, 2, 1]
    assert frame["share_of_error"].tolist() == [0, 0, 0]


@given(st.integers(1, 5000), st.integers(1, 40))
def test_id_bins_are_in_order_and_nearly_equal(num_tokens, bins):
    labels = id_bins(num_tokens, bins)
    assert len(labels) == num_tokens
    assert (np.diff(labels.codes) >= 0).all()
    counts = pd.Series(labels).value_counts()
    assert counts.max() - counts.min() <= 1
    assert len(counts) == min(bins, num_tokens)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reconstruction_error(TABLE, REBUILT[:3]), "3 x 2 but the table is 4 x 2"),
        (lambda: reconstruction_error(torch.ones(4), REBUILT), "must be a matrix"),
        (lambda: reconstruction_error(TABLE, REBUILT, weights=[1, 2]), r"\(2,\) do not fit 4 tokens"),
        (lambda: reconstruction_error(TABLE, REBUILT, weights=[0, 0, 0, 0]), "not all 0"),
        (lambda: reconstruction_error(TABLE, REBUILT, weights=[1, -1, 1, 1]), "none below 0"),
        (lambda: reconstruction_error(TABLE, REBUILT).by_group(["a"]), "1 labels do not fit 4"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("factor", [1e-28, 1e28])
def test_squares_that_do_not_fit_float32_are_told(factor):
    error = reconstruction_error(TABLE.double() * factor, REBUILT.double() * factor)
    np.testing.assert_allclose(error.squared, np.array([0, 1, 1, 4]) * factor**2, rtol=1e-6)
    np.testing.assert_allclose(error.by_group(["a", "a", "b", "b"])["share_of_error"].loc[["a", "b"]], [1 / 6, 5 / 6])
    assert error.relative == pytest.approx(0.6)
