"""Sizes before running agree with sizes after it; every method is brought near a target; times are told roughly."""

import doctest
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_results import any_results, made_result

from subemb.analysis import equal_bytes
from subemb.analysis.equal_bytes import NEAR, settings_at_bytes
from subemb.base.errors import InputError
from subemb.codec import compress, estimates, sizes
from subemb.codec.estimates import estimate_seconds, predicted_size
from subemb.codec.methods import METHODS
from subemb.codec.methods.codebooks import TOLERANCE
from subemb.codec.settings import CompressionSettings

V, D = 30522, 384


@pytest.mark.slow
def test_examples_in_the_documentation():
    for module in (equal_bytes, sizes, estimates):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0


# predicted_size


@given(any_results(), st.none() | st.integers(10**6, 10**9))
@settings(max_examples=120, deadline=None)
def test_predicted_size_is_the_size_of_the_result(result, model_parameters):
    predicted = predicted_size(result.settings, result.num_embeddings, result.embedding_dim, model_parameters)
    assert predicted == result.size(model_parameters)


@pytest.mark.parametrize("method", METHODS)
def test_predicted_size_is_the_size_after_running(method):
    import torch

    table = torch.randn(60, 10, generator=torch.Generator().manual_seed(0))
    wanted = CompressionSettings(method, subspaces=3, iterations=2, weights="none")  # Q and rank automatic
    assert predicted_size(wanted, 60, 10) == compress(table, settings=wanted).size()


def test_predicted_sizes_by_hand():
    def total(*args, **more):
        return predicted_size(CompressionSettings(*args, **more), 100, 40).total_bytes

    assert total("product", 4, 5) == 4 * 5 * 40 + 100 * 4 * 3 // 8  # 5 codewords: 3 bits
    assert total("arbitrary", 2, 10) == 4 * 10 * 40
    assert total("random", 2, 10) == 4 * 10 * 40 + 100 * 2 * 4 // 8
    assert total("optimized_product", 4, 5) == 4 * (5 * 40 + 40 * 40) + 150
    assert total("residual", 4, 5) == 4 * 4 * 5 * 40 + 150
    assert total("low_rank", rank=3, weights="none") == 4 * (100 * 3 + 3 * 40 + 40)
    assert total("int8") == 100 * 40 + 4 * 100
    assert total("int4") == 100 * 20 + 4 * 100 * 2  # two groups, one of 8


def test_shares_of_the_prototype_tables():
    """int4 15.6 %, int8 25.3 %, unique f=3 Q=32 .148 %, product f=8 Q=256 .731 % of the table; .227 and 1.36 % with float codebooks."""
    shares = [
        predicted_size(CompressionSettings(*args), V, D).total_share
        for args in (("int4",), ("int8",), ("cluster", 3, 32), ("product", 8, 256))
    ]
    assert [round(100 * share, 3) for share in shares] == [15.625, 25.26, 0.148, 0.731]
    shares = [
        predicted_size(CompressionSettings(*args, codebook_bits=32), V, D).total_share
        for args in (("cluster", 3, 32), ("product", 8, 256))
    ]
    assert [round(100 * share, 3) for share in shares] == [0.227, 1.36]


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="500 subspaces do not fit"):
        predicted_size(CompressionSettings("product", 500), V, D)


# settings_at_bytes


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.003, 0.0136, 0.05, 0.15625])
def test_every_flexible_method_comes_near(share):
    target = round(share * V * D * 4)
    found = settings_at_bytes(target, V, D, seed=7, weights="zipf")
    # where so few rows would be left that they are nothing to compare with, tokens are not trimmed
    assert list(found) == [method for method in METHODS if method != "trim" or share > 0.1]
    for method, entry in found.items():
        assert entry.settings.method == method
        assert entry.settings == entry.settings.resolve(V, D)
        assert entry.settings.seed == 7
        assert entry.settings.weights == ("zipf" if "weights" in METHODS[method].reads else "none")
        assert entry.size == predicted_size(entry.settings, V, D)
        gap = abs(entry.size.total_bytes - target) / target
        assert entry.is_near == (gap <= NEAR)
        if entry.settings.wants_unique:
            assert entry.settings.codebook_size**entry.settings.subspaces >= V
        if METHODS[method].uses_codebooks and not (method == "optimized_product" and share < 0.0136):
            assert gap <= TOLERANCE
    assert found["int4"].is_near == (share == 0.15625)
    assert not found["int8"].is_near


@example(100, 74, 0.015625)  # small codebooks are kept as floats: Q = 7 takes less than Q = 2
@given(st.integers(100, 200_000), st.integers(8, 200), st.floats(0.002, 0.3))
@settings(max_examples=15, deadline=None)
def test_no_pair_of_f_and_q_is_nearer_when_none_is_within_the_tolerance(vocabulary, dim, share):
    target = max(1, round(share * vocabulary * dim * 4))
    entry = settings_at_bytes(target, vocabulary, dim, ["product"])["product"]
    gap = abs(entry.size.total_bytes - target)
    if gap > TOLERANCE * target:
        for subspaces in range(1, dim + 1, max(1, dim // 12)):
            for size in (2, 3, 7, 8, 20, 32, 64):
                if size <= vocabulary:
                    other = predicted_size(CompressionSettings("product", subspaces, size), vocabulary, dim)
                    assert abs(other.total_bytes - target) >= gap - 1e-6 * target


@pytest.mark.slow
def test_the_rule_prefers_codebooks_of_32():
    found = settings_at_bytes(predicted_size(CompressionSettings("product", 12, 32), V, D).total_bytes, V, D)
    assert (found["product"].settings.subspaces, found["product"].settings.codebook_size) == (12, 32)
    assert (found["cluster"].settings.subspaces, found["cluster"].settings.codebook_size) == (12, 32)
    assert found["residual"].settings.codebook_size <= 8


def test_the_run_compared_with_keeps_its_settings():
    own = CompressionSettings("product", 8, 256, seed=3)
    found = settings_at_bytes(predicted_size(own, V, D).total_bytes, V, D, keep=own)
    assert found["product"].settings == own.resolve(V, D)
    assert found["cluster"].settings.codebook_size == 32
    assert found["cluster"].is_near


@pytest.mark.slow
def test_methods_that_cannot_come_near_are_flagged():
    found = settings_at_bytes(1000, V, D)
    assert [method for method, entry in found.items() if entry.is_near] == ["arbitrary"]  # two codewords, no codes
    assert found["low_rank"].settings.rank == 1
    assert found["low_rank"].size.total_bytes == 4 * (V + D + D)
    found = settings_at_bytes(100 * V * D, V, D, ["low_rank", "product"])
    assert found["low_rank"].settings.rank == D
    assert not found["product"].is_near


def test_bad_targets_and_methods_are_refused():
    with pytest.raises(InputError, match="target of 0 bytes"):
        settings_at_bytes(0, V, D)
    with pytest.raises(InputError, match="unknown method 'zip'"):
        settings_at_bytes(1000, V, D, ["zip"])


def test_tiny_tables_have_settings_too():
    for method, entry in settings_at_bytes(40, 3, 2).items():
        assert (
            entry.size
            == made_result(
                method,
                3,
                2,
                entry.settings.subspaces,
                entry.settings.codebook_size,
                rank=entry.settings.rank,
                budget=entry.settings.budget,
                keep=entry.settings.keep,
            ).size()
        )


# estimate_seconds


@pytest.mark.parametrize("method", METHODS)
def test_larger_tables_take_longer(method):
    # With the smallest Q for each: at an equal one tuples get scarce, and then boxes are small and quick.
    wanted = CompressionSettings(method, 3)
    small, large = estimate_seconds(wanted, V, D), estimate_seconds(wanted, 8 * V, D)
    # what is trimmed is compared with all that is kept, so eight times the tokens take 64 times as long
    assert 0 < small < large < (70 if method == "trim" else 30) * small


def test_estimates_tell_seconds_from_minutes():
    """Measured on two cores: cluster f=3 Q=32 on 30,522 x 384 takes seconds."""
    assert 0.5 < estimate_seconds(CompressionSettings("cluster", 3), V, D) < 15
    assert estimate_seconds(CompressionSettings("int8"), V, D) < 2
    assert estimate_seconds(CompressionSettings("residual", 32, 256), 250_000, 768) > 60


def test_tokens_that_are_alike_cost_time_where_tuples_are_many():
    many, scarce = CompressionSettings("cluster", 8, 32), CompressionSettings("cluster", 3)
    none, few, often = (estimate_seconds(many, V, D, share) for share in (0.0, 0.03, 0.06))
    assert none < 0.7 * often
    assert few == pytest.approx(none + (often - none) / 2**0.5)  # a few already set off exchanges over all
    assert often == estimate_seconds(many, V, D) == estimate_seconds(many, V, D, 0.5)
    assert estimate_seconds(scarce, V, D, 0.0) == estimate_seconds(scarce, V, D)
    assert estimate_seconds(replace(many, unique=False), V, D, 0.0) == estimate_seconds(replace(many, unique=False), V, D)


def test_more_iterations_take_longer():
    few, many = (estimate_seconds(CompressionSettings("product", iterations=n), V, D) for n in (2, 20))
    assert few < many
