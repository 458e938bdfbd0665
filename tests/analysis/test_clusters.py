"""Clusters of tokens, and how many of each stay together."""

import numpy as np
import pytest
import torch

from subemb.analysis.clusters import CLUSTERINGS, Clusters, cluster_tokens
from subemb.base.errors import InputError


def corners(each: int = 40, seed: int = 0) -> torch.Tensor:
    """Rows about three corners far apart, ``each`` about each corner."""
    noise = 0.05 * torch.randn(3 * each, 4, generator=torch.Generator().manual_seed(seed))
    return torch.eye(3, 4).repeat_interleave(each, 0) + noise


def test_who_stays_is_counted_by_hand():
    found = Clusters(np.array([0, 0, 0, 1, 1], np.uint8), np.array([0, 1, 0, 1, 0], np.uint8), np.zeros((2, 1), np.int32))
    assert found.sizes.tolist() == [3, 2]
    assert found.kept.tolist() == [pytest.approx(2 / 3), 0.5]
    assert found.share == pytest.approx(3 / 5)
    assert found.away(0) == [(1, 1)]


def test_groups_far_apart_are_found_and_an_unchanged_table_keeps_them():
    table = corners()
    found = cluster_tokens(table, table, 3)
    groups = found.before.reshape(3, 40)
    assert sorted({*groups[:, 0].tolist()}) == [0, 1, 2]
    assert (groups == groups[:, :1]).all()
    assert found.share == 1.0


def test_tokens_that_change_place_leave_their_cluster_and_no_others_do():
    table = corners()
    moved = table.clone()
    moved[:10] = table[40:50]  # a quarter of the first group goes where the second is
    found = cluster_tokens(table, moved, 3)
    first, second = found.before[0], found.before[40]
    assert found.kept[first] == 0.75
    assert found.kept[second] == 1.0
    assert found.away(first) == [(second, 10)]


def test_equal_arguments_give_equal_clusters_and_a_few_tokens_fewer_of_them():
    table = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    one, other = (cluster_tokens(table, table * 0.5, 6) for _ in range(2))
    assert (one.before == other.before).all()
    assert (one.typical == other.typical).all()
    assert len(cluster_tokens(table[:25], table[:25], 6)) == 2
    with pytest.raises(InputError, match="ask for 1 to 255"):
        cluster_tokens(table, table, 300)


def test_words_stand_for_a_cluster_where_it_has_enough_of_them():
    table, words = corners(), np.zeros(120, bool)
    words[5:25] = True  # half of the first group, none of the others
    found = cluster_tokens(table, table, 3, eligible=words)
    assert set(found.typical[found.before[0]].tolist()) <= set(range(5, 25))
    assert found.before[found.typical[found.before[40]]].tolist() == [found.before[40]] * 8


def test_clusters_are_kept_and_damaged_ones_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    found = cluster_tokens(corners(), corners(), 3)
    CLUSTERINGS.put("key", found)
    assert (CLUSTERINGS.get("key").before == found.before).all()
    arrays = {"before": found.before, "after": found.after + np.uint8(9), "typical": found.typical}
    np.savez(CLUSTERINGS.path("key") / CLUSTERINGS.file, **arrays)
    CLUSTERINGS.memory.clear()
    assert CLUSTERINGS.get("key") is None
