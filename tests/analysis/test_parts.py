"""Parts of a result: tokens whose codes belong to the same codebooks."""

import numpy as np
import pytest
import torch

from subemb.analysis import code_usage, collision_groups, members, reconstruction_error
from subemb.analysis.parts import parts_of, places_of
from subemb.base.errors import InputError
from subemb.codec import compress

V, D = 120, 12
TABLE = torch.randn(V, D, generator=torch.Generator().manual_seed(0))
WEIGHTS = torch.linspace(1, 2, V).roll(30)  # the heaviest tokens are 29, 28, ...


@pytest.fixture(scope="module")
def tiered():
    return compress(TABLE, method="tiered", tiers="4:int8,6:exact,30:6x8,*:2x4", weights=WEIGHTS, iterations=4)


def test_parts_have_every_token_once_in_the_order_of_weights(tiered):
    parts = parts_of(tiered)
    assert [part.number for part in parts] == [1, 2, 3, 4]
    assert parts[0].ids.tolist() == [26, 27, 28, 29]
    assert sorted(np.concatenate([part.ids for part in parts]).tolist()) == list(range(V))
    assert [part.subspaces for part in parts] == [0, 0, 6, 2]  # rows in 8 bits and exact rows share nothing
    for part in parts:
        assert torch.equal(part.compressed.reconstruct(), tiered.lookup(torch.from_numpy(part.ids)))
        assert torch.equal(part.rows_of(TABLE), TABLE[part.ids])


def test_the_place_of_every_token(tiered):
    parts = parts_of(tiered)
    index, row = places_of(parts)
    assert all(parts[index[token]].ids[row[token]] == token for token in range(V))


def test_a_result_without_tiers_is_one_part():
    (part,) = parts_of(compress(TABLE, method="product", subspaces=3, codebook_size=4, iterations=2))
    assert part.ids.tolist() == list(range(V))
    assert part.subspaces == 3
    assert part.rows_of(TABLE) is TABLE
    (part,) = parts_of(compress(TABLE, method="int8"))
    assert part.codes is None
    assert part.subspaces == 0


def test_collisions_are_those_of_tiers(tiered):
    groups = collision_groups(TABLE, tiered, limit=None)
    assert sum(len(group.ids) for group in groups) == tiered.colliding_tokens
    rows = tiered.reconstruct()
    index, _ = places_of(parts_of(tiered))
    for group in groups:
        assert len({int(index[i]) for i in group.ids}) == 1
        assert torch.equal(rows[group.ids], rows[group.ids[:1]].expand(len(group.ids), D))


def test_codewords_and_usage_of_a_tier(tiered):
    part = parts_of(tiered)[2]
    assert sum(len(members(part.rows_of(TABLE), part.compressed, 5, code).ids) for code in range(8)) == 30
    assert len(code_usage(part.compressed).counts) == 6
    with pytest.raises(InputError, match="codes must be a SubspaceCompressed"):
        code_usage(tiered)


def test_steps_of_all_tiers_end_at_the_error_of_the_table(tiered):
    stages = [entry["stage"] for entry in tiered.history]
    assert stages[0].startswith("tier 3 of 4: ")
    assert stages[-1].startswith("tier 4 of 4: ")
    assert [entry["iteration"] for entry in tiered.history] == list(range(1, len(stages) + 1))
    assert len(stages) == tiered.info["iterations"]
    errors = [entry["error"] for entry in tiered.history]
    assert errors[0] > errors[-1]
    # codebooks are rounded to 8 bits after the last step
    assert errors[-1] == pytest.approx(reconstruction_error(TABLE, tiered).relative, rel=0.02)


def test_progress_tells_the_error_of_the_whole_table():
    seen = []
    found = compress(TABLE, method="tiered", tiers="40:4x8,*:2x4", iterations=3, progress=seen.append)
    told = [message.values["error"] for message in seen if "error" in message.values]
    assert told == [entry["error"] for entry in found.history]
