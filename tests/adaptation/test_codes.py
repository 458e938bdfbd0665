"""The search for codes by a text keeps to its time."""

import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert

import subemb
from subemb.adaptation.codes import affordable_iterations, sensitive_codes


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
