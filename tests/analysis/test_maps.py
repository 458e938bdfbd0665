"""All tokens on one plane, with 16 bits a coordinate."""

import numpy as np
import pytest
import torch

from subemb.analysis import maps
from subemb.analysis.layout import Layout, UmapSettings
from subemb.analysis.maps import MAPS, STEPS, in_steps, placed, umap_of_all


def plane(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)


def test_coordinates_are_off_by_half_a_step_at_most_and_both_sides_share_the_corners():
    layout = Layout("umap", np.arange(500), plane(500, 1), plane(500, 2))
    found = in_steps(layout)
    both = np.concatenate([layout.original, layout.reconstructed])
    step = np.ptp(both, axis=0) / STEPS
    for exact, kept in ((layout.original, found.layout().original), (layout.reconstructed, found.layout().reconstructed)):
        assert (np.abs(exact - kept) <= 0.51 * step + 1e-6).all()
    assert found.original.min() >= 0
    assert {int(np.concatenate([found.original, found.reconstructed])[:, 0].max())} == {STEPS}


def test_a_flat_map_is_a_line_and_numbers_that_are_none_are_refused():
    flat = np.zeros((3, 2), np.float32)
    assert in_steps(Layout("pca", np.arange(3), flat, flat)).original.tolist() == [[0, 0]] * 3
    with pytest.raises(ValueError, match="no numbers"):
        in_steps(Layout("pca", np.arange(3), flat, flat * np.nan))


def test_equal_vectors_lie_at_equal_places_and_a_fitted_one_on_itself():
    fitted = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    vectors = torch.cat([fitted[[4]], torch.full((2, 5), 0.7)])
    for metric in ("euclidean", "cosine"):
        found = placed(vectors, fitted, plane(30), UmapSettings(metric=metric))
        assert found[0] == pytest.approx(plane(30)[4], abs=2e-3)
        assert found[1].tolist() == found[2].tolist()


def test_all_tokens_are_placed_and_those_of_the_sample_where_umap_put_them(monkeypatch):
    calls = []

    def fit(points, settings, progress=None):
        calls.append(len(points))
        return points[:, :2].numpy().astype(np.float32)

    monkeypatch.setattr(maps, "fit", fit)
    table = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    found = umap_of_all(table, table, 20)
    assert calls == [40]
    assert found.fitted == 20
    assert found.original.shape == found.reconstructed.shape == (60, 2)
    assert (found.original == found.reconstructed).all()  # nothing was changed, so nothing moves
    assert umap_of_all(table, table).fitted == 60


def test_maps_are_kept_and_damaged_ones_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    found = in_steps(Layout("umap", np.arange(50), plane(50, 1), plane(50, 2)), 20)
    MAPS.put("key", found)
    kept = MAPS.get("key")
    assert (kept.original == found.original).all()
    assert kept.fitted == 20
    assert kept.layout().original == pytest.approx(found.layout().original)
    for damaged in ({"original": found.original[:9]}, {"corners": np.full((2, 2), np.nan)}, {"fitted": np.int64(0)}):
        arrays = {"original": found.original, "reconstructed": found.reconstructed, "corners": np.eye(2), "fitted": np.int64(9)}
        MAPS.put("key", found)
        np.savez(MAPS.path("key") / MAPS.file, **(arrays | damaged))
        MAPS.memory.clear()
        assert MAPS.get("key") is None
