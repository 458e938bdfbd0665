"""The search for codes by a text keeps to its time."""

import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert

import subemb
from subemb.adaptation.codes import affordable_iterations, sensitive_codes


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("method", ["cluster", "product"])
def test_codes_are_searched_within_the_time_that_is_given(tmp_path, method):
    model = subemb.load(make_bert(tmp_path / "m", [*SPECIAL, *WORDS]))
    compressed = subemb.compress(model, method, 4, 8)
    rows = model.token_ids([" ".join(WORDS[i : i + 4]) for i in range(12)])
    assert affordable_iterations(compressed.settings, model, 1e-9) == 0
    assert affordable_iterations(compressed.settings, model, 1e9) == compressed.settings.iterations
    hasty = sensitive_codes(model, compressed, rows, seconds=1e-9)
    assert hasty.codes.shape == compressed.codes.shape
    assert hasty.codes.dtype == compressed.codes.dtype
    assert torch.equal(hasty.codes[:, 1:], compressed.codes[:, 1:]), "from the codes that there are, and one subspace of them"
    if method == "cluster":
        assert hasty.distinct_tuples == model.num_tokens


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return subemb.load(make_bert(tmp_path_factory.mktemp("models") / "m", [*SPECIAL, *WORDS]))


@pytest.fixture(scope="module")
def rows(model):
    return model.token_ids([" ".join(WORDS[i : i + 4]) for i in range(12)])


@pytest.mark.slow
@pytest.mark.parametrize("unique", [False, True])
def test_a_table_in_one_tier_gets_the_codes_that_product_gets(model, rows, unique):
    product, tiered = (
        subemb.compress(model, method, unique=unique, **values)
        for method, values in (("product", {"subspaces": 4, "codebook_size": 8}), ("tiered", {"tiers": "*:4x8"}))
    )
    alone, (inside,) = sensitive_codes(model, product, rows), sensitive_codes(model, tiered, rows).parts
    assert torch.equal(alone.codes, inside.codes)
    assert all(map(torch.equal, alone.codebooks, inside.codebooks))


@pytest.mark.slow
def test_codes_of_tiers_are_found_anew_and_the_other_rows_stay(model, rows):
    start = subemb.compress(model, tiers="5:int8,10:4x8,4:trim,*:2x8", codebook_bits=8)
    found = sensitive_codes(model, start, rows)
    assert torch.equal(found.tier, start.tier)
    changed = [not torch.equal(old.reconstruct(), new.reconstruct()) for old, new in zip(start.parts, found.parts, strict=True)]
    assert changed == [False, True, False, True]
    assert found.size() == start.size()
    hasty = sensitive_codes(model, start, rows, seconds=1e-9)
    assert torch.equal(hasty.parts[1].codes[:, 1:], start.parts[1].codes[:, 1:]), "one subspace of the first tier"
    assert torch.equal(hasty.parts[3].codes, start.parts[3].codes)
