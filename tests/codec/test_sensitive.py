"""Codes chosen together: the error by a matrix never rises, tuples stay distinct, small cases are solved exactly."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subemb.base.deadline import Deadline
from subemb.base.errors import InputError
from subemb.codec import CompressionSettings, compress, load
from subemb.codec.sensitive import Metric, definite, joint_codes, looked_up, metric_of


def drawn(seed: int, tokens: int = 60, widths: tuple[int, ...] = (3, 2, 3), codewords: int = 5):
    """Table, distinct codes, codebooks, weights and a positive definite matrix."""
    generator = torch.Generator().manual_seed(seed)
    dim = sum(widths)
    table = torch.randn(tokens, dim, generator=generator)
    books = [torch.randn(codewords, width, generator=generator) for width in widths]
    tuples = torch.cartesian_prod(*[torch.arange(codewords)] * len(widths))
    codes = tuples[torch.randperm(len(tuples), generator=generator)[:tokens]]
    root = torch.randn(dim, dim, generator=generator)
    weights = torch.rand(tokens, generator=generator) + 0.1
    return table, codes, books, weights, Metric(root @ root.T + 0.1 * torch.eye(dim), widths)


def by_definition(table, found, weights, matrix) -> float:
    """Sum of w (x - y)^T M (x - y) over that of zeros, token by token."""
    apart = (table - found).double().numpy()
    m, x, w = matrix.double().numpy(), table.double().numpy(), weights.double().numpy()
    return sum(wi * r @ m @ r for wi, r in zip(w, apart, strict=True)) / sum(wi * r @ m @ r for wi, r in zip(w, x, strict=True))


@pytest.mark.parametrize("unique", [True, False])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
@pytest.mark.slow
def test_no_sweep_raises_the_error_and_distinct_tuples_stay_distinct(unique, seed):
    table, codes, books, weights, metric = drawn(seed)
    before = codes.clone(), [book.clone() for book in books]
    new, new_books, errors = joint_codes(table, codes, books, weights, metric, unique=unique, seed=seed)
    assert all(after <= previous + 1e-5 for previous, after in pairwise(errors))
    assert errors[-1] < errors[0]
    assert errors[0] == pytest.approx(by_definition(table, looked_up(codes, books), weights, metric.matrix), rel=1e-4)
    assert errors[-1] == pytest.approx(by_definition(table, looked_up(new, new_books), weights, metric.matrix), rel=1e-4)
    if unique:
        assert len(torch.unique(new, dim=0)) == len(codes)
    assert torch.equal(codes, before[0])
    assert all(map(torch.equal, books, before[1]))


@pytest.mark.parametrize("unique", [True, False])
def test_a_search_whose_time_is_over_keeps_what_it_has(unique):
    """It ends after the first subspace, with sound codes and no larger error."""
    table, codes, books, weights, metric = drawn(3)
    new, new_books, errors = joint_codes(table, codes, books, weights, metric, unique=unique, deadline=Deadline(0.0))
    assert errors[-1] < errors[0]
    assert errors[-1] == pytest.approx(by_definition(table, looked_up(new, new_books), weights, metric.matrix), rel=1e-4)
    assert torch.equal(new[:, 1:], codes[:, 1:])
    if unique:
        assert len(torch.unique(new, dim=0)) == len(codes)


def test_the_distance_to_a_target_is_the_error_but_for_a_constant():
    table, codes, books, _, metric = drawn(3)
    found = looked_up(codes, books)
    targets = metric.targets(1, table, table - found)
    costs = metric.costs(1, targets, books[1])
    for token in (0, 7, 31):
        errors = []
        for codeword in books[1]:
            other = found[token].clone()
            other[metric.slices[1]] = codeword
            apart = table[token] - other
            errors.append(float(apart @ metric.matrix @ apart))
        gaps = np.array(errors) - errors[0]
        assert np.allclose((costs[token] - costs[token, 0]).numpy(), gaps, atol=1e-3)


def test_two_subspaces_make_up_for_each_other():
    """Worked by hand: M counts the sum of the two axes, and each axis a hundredth. x = (1, 1); codewords 0 and 1.6 in the first
    subspace, 0 and 0.4 in the second. Axis by axis, 1.6 and 0.4 are nearest to 1. From codes (0, 0) the first subspace has to make
    up for the second: t = 1 + 1 / 1.01 = 1.99, so it takes 1.6, which moves to its only member; then the second has next to nothing
    to do, t = 1 - 0.99 / 1.01 = 0.02, and stays at 0."""
    books = [torch.tensor([[0.0], [1.6]]), torch.tensor([[0.0], [0.4]])]
    metric = Metric(torch.ones(2, 2) + 0.01 * torch.eye(2), (1, 1))
    table, codes = torch.tensor([[1.0, 1.0]]), torch.tensor([[0, 0]])
    assert float(metric.targets(0, table, table - looked_up(codes, books))) == pytest.approx(1.990099, abs=1e-5)
    new, new_books, errors = joint_codes(table, codes, books, torch.ones(1), metric, unique=False, sweeps=1)
    assert new.tolist() == [[1, 0]]
    assert torch.allclose(new_books[0], torch.tensor([[0.0], [1.990099]]), atol=1e-5)
    assert torch.allclose(new_books[1], torch.tensor([[1 - 0.990099 / 1.01], [0.4]]), atol=1e-5)
    # Before (1, 1) is off: sum 2, twice a hundredth, over the same for x; after next to nothing.
    assert errors[0] == pytest.approx(1.0)
    assert errors[1] < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_with_a_diagonal_every_subspace_is_on_its_own(seed):
    table, codes, books, _, _ = drawn(seed)
    diagonal = torch.rand(table.shape[1], generator=torch.Generator().manual_seed(seed)) + 0.2
    metric = Metric(torch.diag(diagonal), (3, 2, 3))
    for axis, part in enumerate(metric.slices):
        assert torch.equal(metric.targets(axis, table, table - looked_up(codes, books)), table[:, part])
        apart = (table[:, None, part] - books[axis][None]).square() * diagonal[part]
        assert torch.equal(metric.nearest(axis, table[:, part], books[axis]), apart.sum(2).argmin(1))


@pytest.mark.slow
def test_full_lines_are_solved_exactly():
    """One subspace, as many codewords as tokens: the best assignment, found by trying all of them."""
    table, _, _, weights, _ = drawn(1, tokens=5, widths=(3,), codewords=5)
    root = torch.randn(3, 3, generator=torch.Generator().manual_seed(9))
    metric = Metric(root @ root.T + torch.eye(3), (3,))
    books = [torch.randn(5, 3, generator=torch.Generator().manual_seed(4))]
    codes, new, errors = joint_codes(table, torch.arange(5)[:, None], books, weights, metric, unique=True, sweeps=1)
    # Codebooks move to their members before codes are exchanged: then everybody is met exactly.
    assert errors[-1] == pytest.approx(0.0, abs=1e-6)
    best = min(
        product(range(5), repeat=5),
        key=lambda p: (len(set(p)) < 5, by_definition(table, new[0][list(p)], weights, metric.matrix)),
    )
    assert codes.flatten().tolist() == list(best)


def test_nothing_that_moves_the_output_counts_alike():
    metric = metric_of(torch.zeros(4, 4), (2, 2))
    assert torch.equal(metric.targets(0, torch.ones(1, 4), torch.ones(1, 4)), torch.ones(1, 2))


@pytest.fixture(scope="module")
def noticed():
    """A table of 200 tokens x 8, weights, and a sensitivity for which axes make up for each other."""
    table, _, _, weights, metric = drawn(11, tokens=200, widths=(8,))
    return table, weights / weights.mean(), metric.matrix


def told(table, compressed, weights, matrix) -> float:
    """The error that is minimised, by its definition."""
    m, w = definite(matrix / matrix.diagonal().mean()).double().numpy(), weights.double().numpy()
    rows = table.double().numpy()
    apart, centred = rows - compressed.reconstruct().double().numpy(), rows - w @ rows / w.sum()
    return (w @ ((apart @ m) * apart).sum(1)) / (w @ ((centred @ m) * centred).sum(1))


@pytest.mark.parametrize(("method", "size"), [("product", 8), ("cluster", 6)])
def test_sensitive_codes_lower_what_the_output_notices(noticed, method, size):
    table, weights, matrix = noticed
    plain = compress(table, method, 4, size, weights=weights)
    found = compress(table, method, 4, size, weights=weights, sensitivity=matrix)
    assert found.settings.sensitive
    assert not plain.settings.sensitive
    assert told(table, found, weights, matrix) < 0.8 * told(table, plain, weights, matrix)
    assert found.info["sensitive_error"] == pytest.approx(told(table, found, weights, matrix), rel=1e-4)
    assert found.size() == plain.size()
    if method == "cluster":
        assert found.distinct_tuples == len(table)
    errors = [step["sensitive_error"] for step in found.history]
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(errors))
    assert errors[-1] == pytest.approx(found.info["sensitive_error"], rel=1e-3)
    assert found.history[-1]["error"] == pytest.approx(found.info["error"], rel=1e-3)
    assert found.history[-1]["weighted_error"] == pytest.approx(found.info["weighted_error"], rel=1e-3)


def test_a_sensitivity_is_set_aside_where_it_is_not_asked_for(noticed):
    table, _, matrix = noticed
    plain, left = compress(table, "product", 4, 8), compress(table, "product", 4, 8, sensitivity=matrix, sensitive=False)
    assert torch.equal(plain.reconstruct(), left.reconstruct())
    assert "sensitive_error" not in left.info
    turned = compress(table, "optimized_product", 4, 8, sensitivity=matrix)
    assert torch.equal(turned.reconstruct(), compress(table, "optimized_product", 4, 8).reconstruct())


def test_a_table_alone_cannot_say_what_the_output_notices(noticed):
    with pytest.raises(InputError, match="give the model instead of its table, or sensitivity=S"):
        compress(noticed[0], "product", 4, 8, sensitive=True)
    with pytest.raises(
        InputError,
        match="residual cannot choose codes by what the output notices; use one of cluster, product, tiered, low_rank",
    ):
        CompressionSettings("residual", sensitive=True)


def test_sensitive_codes_are_saved_and_folders_that_do_not_say_are_read(noticed, tmp_path):
    import json

    table, weights, matrix = noticed
    found = compress(table, "product", 4, 8, weights=weights, sensitivity=matrix)
    found.save_pretrained(tmp_path / "new")
    assert load(tmp_path / "new").settings == found.settings
    compress(table, "product", 4, 8).save_pretrained(tmp_path / "old")
    config = tmp_path / "old" / "config.json"
    written = json.loads(config.read_text())
    del written["settings"]["sensitive"]
    config.write_text(json.dumps(written))
    assert load(tmp_path / "old").settings.sensitive is False
