"""Layouts: PCA against scikit-learn, UMAP in a real worker process, the kept files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from subemb.analysis import (
    Layout,
    UmapSettings,
    kept_umap_layout,
    layout_displacement,
    pca_layout,
    sample_tokens,
    umap_layout,
)
from subemb.analysis import layout as files
from subemb.analysis.umap_learn import umap_learn
from subemb.base.errors import Cancelled, InputError
from subemb.codec.compressed import SubspaceCompressed
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import JobManager

pytestmark = pytest.mark.usefixtures("worker_processes")
LIMIT = 240
QUICK = UmapSettings(n_neighbors=6, epochs=60)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    return tmp_path / "layouts"


@pytest.fixture(scope="module")
def lane():
    manager = JobManager(lanes=("layout",))
    yield manager
    manager.close()


def clusters(count=60, seed=0):
    """Three groups of rows, far apart."""
    draw = torch.Generator().manual_seed(seed)
    group = torch.arange(count) % 3
    return torch.eye(3, 8)[group] * 10 + torch.randn(count, 8, generator=draw), group.numpy()


def fitted(lane, key, original, rebuilt, **arguments):
    arguments = {"original": original, "reconstruction": rebuilt, "settings": QUICK} | arguments
    return lane.submit(key, "subemb.analysis.layout:umap_layout", arguments, lane="layout")


def test_pca_agrees_with_scikit_learn():
    table = np.random.default_rng(0).normal(size=(500, 12)) * np.arange(1, 13) + 5
    rebuilt = table + np.random.default_rng(1).normal(size=table.shape)
    found = pca_layout(table, rebuilt)
    theirs = PCA(2).fit(table)
    for ours, expected in ((found.original, theirs.transform(table)), (found.reconstructed, theirs.transform(rebuilt))):
        signs = np.sign((ours * expected).sum(0))
        np.testing.assert_allclose(ours, expected * signs, atol=2e-3)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_, rtol=1e-5)
    assert found.ids.tolist() == list(range(500))


def test_pca_signs_are_settled_and_a_compressed_table_will_do():
    table = torch.tensor([[0.0, 3.0], [0.0, -3.0], [1.0, 0.0], [-1.0, 0.0]])
    books = [torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [-6.0]])]
    codes = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.uint8)
    small = SubspaceCompressed(CompressionSettings("product", 2, 2), 4, 2, codes, books)
    found = pca_layout(table, small)
    np.testing.assert_allclose(found.original, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-6)
    np.testing.assert_allclose(found.reconstructed, [[0, 0], [0, 1], [-6, 0], [-6, 1]], atol=1e-6)
    np.testing.assert_allclose(found.explained, [0.9, 0.1])


def test_pca_of_one_dimension_and_of_equal_rows_is_finite():
    line = pca_layout(torch.arange(4.0)[:, None], torch.zeros(4, 1))
    assert line.original[:, 1].tolist() == [0] * 4
    assert line.explained.tolist() == [1, 0]
    equal = pca_layout(torch.ones(3, 2), torch.ones(3, 2))
    assert np.isfinite(equal.original).all()
    assert equal.explained.tolist() == [0, 0]


def test_pca_can_be_cancelled():
    with pytest.raises(Cancelled):
        pca_layout(torch.eye(3), torch.eye(3), progress=lambda message: True)


@pytest.mark.slow
def test_a_cancelled_umap_leaves_the_bars_of_other_threads_free():
    import threading

    from tqdm import tqdm

    table = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(Cancelled):
        umap_layout(table, table, progress=lambda message: message.stage == "arranging points")
    taken = []

    def take() -> None:
        for lock in tqdm.get_lock().locks:
            taken.append(lock.acquire(False))
            if taken[-1]:
                lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert taken
    assert all(taken)


@pytest.mark.slow
def test_what_umap_compiled_is_kept_for_the_next_process():
    umap = umap_learn()
    table = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    umap_layout(table, table, settings=QUICK)
    epoch = umap.layouts._nb_optimize_layout_euclidean_single_epoch
    (place,) = {epoch.stats.cache_path, umap.umap_.smooth_knn_dist.stats.cache_path}
    kept = {path.name.split("-")[0] for path in Path(place).glob("*.nbi")}
    assert {"layouts._optimize_layout_euclidean_single_epoch", "umap_.smooth_knn_dist"} <= kept
    assert umap.layouts._nb_optimize_layout_euclidean_single_epoch_parallel.stats.cache_path is None


@given(st.integers(1, 200), st.integers(1, 250), st.integers(0, 5), st.lists(st.integers(0, 199), max_size=5))
def test_samples_are_seeded_and_include_what_is_asked(num_tokens, count, seed, include):
    include = [one % num_tokens for one in include]
    ids = sample_tokens(num_tokens, count, seed, include)
    assert set(include) <= set(ids.tolist()) <= set(range(num_tokens))
    assert ids.tolist() == sorted(set(ids.tolist()))
    alone = sample_tokens(num_tokens, count, seed)
    assert len(alone) == min(count, num_tokens)
    assert set(ids.tolist()) == set(alone.tolist()) | set(include)


def test_samples_refuse_what_is_not_there():
    assert len(sample_tokens(9, None)) == 9
    with pytest.raises(InputError, match="token id 9 is not in this table; ids go from 0 to 8"):
        sample_tokens(9, 3, include=[9])
    with pytest.raises(InputError, match="sample of 0"):
        sample_tokens(9, 0)


def test_displacement_by_hand():
    original = np.array([[1.0, 0.0], [-1.0, 0.0]])  # root mean square distance from the centre: 1
    layout = Layout("pca", np.arange(2), 2 * original, 2 * original + np.array([[0, 3.0], [0, 0]]))
    assert layout_displacement(layout).tolist() == [1.5, 0]
    assert layout_displacement(Layout("pca", np.arange(2), original * 0, original)).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_neighbors": 1}, "n_neighbors is 1; it must be from 2"),
        ({"min_dist": 2.0}, "min_dist is 2.0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"metric": "x"}, "unknown metric 'x'"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        UmapSettings(**values)


@pytest.mark.slow
def test_umap_puts_both_in_the_same_coordinates(lane, cache, caplog):
    original, group = clusters()
    rebuilt = original + 0.1 * torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    ids = np.arange(100, 160)
    job = fitted(lane, "same", original, rebuilt, ids=ids)
    layout = job.outcome(LIMIT)
    assert layout.method == "umap"
    np.testing.assert_array_equal(layout.ids, ids)
    assert layout.original.shape == layout.reconstructed.shape == (60, 2)
    assert 0.4 < layout.neighbours_kept <= 1
    # groups apart, and every reconstructed token nearest to the centre of its own group of originals
    centres = np.stack([layout.original[group == one].mean(0) for one in range(3)])
    nearest = np.linalg.norm(layout.reconstructed[:, None] - centres, axis=2).argmin(1)
    np.testing.assert_array_equal(nearest, group)
    assert caplog.text == ""

    again = fitted(lane, "again", original, rebuilt, ids=ids, use_cache=False).outcome(LIMIT)
    np.testing.assert_array_equal(again.original, layout.original)  # the same for a seed
    other = fitted(lane, "seed", original, rebuilt, settings=UmapSettings(6, epochs=60, seed=1)).outcome(LIMIT)
    assert not np.array_equal(other.original, layout.original)


@pytest.mark.slow
def test_umap_of_hard_cases_is_finite(lane):
    collided = torch.ones(40, 8)  # all reconstructions equal
    cases = {
        "collided": (clusters(40)[0], collided),
        "equal rows": (collided, collided),
        "two tokens": (torch.eye(2), torch.eye(2)),
        "one dimension": (torch.arange(30.0)[:, None], torch.arange(30.0)[:, None] + 0.5),
        "euclidean": (clusters(40)[0], clusters(40, 1)[0]),
    }
    for name, (original, rebuilt) in cases.items():
        settings = UmapSettings(n_neighbors=6, epochs=20, metric="euclidean" if name == "euclidean" else "cosine")
        layout = fitted(lane, name, original, rebuilt, settings=settings).outcome(LIMIT)
        assert np.isfinite(layout.original).all(), name
        assert np.isfinite(layout.reconstructed).all(), name


@pytest.mark.slow
def test_umap_reports_every_stage_and_can_be_cancelled(lane):
    original, _ = clusters(300)
    job = fitted(lane, "slow", original, original, settings=UmapSettings(6, epochs=2000), use_cache=False)
    stages = []
    while not job.is_over:
        if job.progress is not None and (not stages or job.progress.stage != stages[-1]):
            stages.append(job.progress.stage)
        if job.progress is not None and job.progress.stage == "arranging points" and job.progress.fraction > 0.45:
            job.cancel()
        job.wait(0.01)
    assert job.state == "cancelled"
    assert stages[-1] == "arranging points"
    worker = lane.worker_pid("layout")
    assert fitted(lane, "after", original[:20], original[:20]).outcome(LIMIT).original.shape == (20, 2)
    assert lane.worker_pid("layout") == worker  # it was asked, not killed


@pytest.mark.slow
def test_three_visitors_at_once_get_their_layouts(lane):
    jobs = [fitted(lane, ("visitor", n), *2 * [clusters(50, n)[0]]) for n in range(3)]
    layouts = [job.outcome(LIMIT) for job in jobs]
    assert all(np.isfinite(layout.original).all() for layout in layouts)
    assert not np.array_equal(layouts[0].original, layouts[1].original)


@pytest.mark.slow
def test_warming_is_a_job(lane):
    job = lane.warm("layout", "subemb.analysis.layout:warm_umap")
    assert job.outcome(LIMIT) is None


def kept_arrays(count=5):
    return {
        "original": np.zeros((count, 2), np.float32),
        "reconstructed": np.ones((count, 2), np.float32),
        "kept": np.float64(0.5),
    }


def test_a_layout_comes_from_disk_only_if_everything_is_equal(cache):
    table, ids = torch.eye(5), np.arange(5)
    assert kept_umap_layout(table, table, ids) is None
    files.keep_layout(files.layout_key(table, table, ids, UmapSettings()), kept_arrays())
    kept = umap_layout(table, table, ids)  # from disk, or it would not be zeros and ones
    assert (kept.original.sum(), kept.reconstructed.sum(), kept.neighbours_kept) == (0, 10, 0.5)
    assert kept_umap_layout(table, table, ids) is not None
    changed = table.clone()
    changed[0, 0] = 2
    for arguments in (
        (changed, table, ids),
        (table, changed, ids),
        (table, table, ids + 1),
        (table, table, ids, UmapSettings(seed=1)),
        (table, table, ids, UmapSettings(min_dist=0.2)),
    ):
        assert kept_umap_layout(*arguments) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a zip file"),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path, original=np.zeros((5, 3)), reconstructed=np.zeros((5, 3)), kept=np.float64(0)),
        lambda path: np.savez(path, original=np.zeros((5, 2))),
        lambda path: np.savez(path, original=np.full((5, 2), np.nan), reconstructed=np.zeros((5, 2)), kept=np.float64(0)),
        lambda path: np.savez(path, original=np.array([None]), reconstructed=np.zeros((5, 2)), kept=np.float64(0)),
    ],
)
def test_a_broken_file_is_dropped_and_can_be_written_again(cache, spoil):
    files.keep_layout("key", kept_arrays())
    spoil(cache / "key" / files.LAYOUTS.file)
    assert files.LAYOUTS.get("key") is None
    files.keep_layout("key", kept_arrays())
    assert files.LAYOUTS.get("key")["reconstructed"].sum() == 10


def test_kept_layouts_are_bounded_and_those_asked_for_stay(cache, monkeypatch):
    import os

    monkeypatch.setattr(files.LAYOUTS, "most", 2)
    for n in (1, 2):
        files.keep_layout(f"key{n}", kept_arrays())
        os.utime(cache / f"key{n}", (n, n))
    assert files.LAYOUTS.get("key1") is not None
    files.keep_layout("key3", kept_arrays())
    assert sorted(path.name for path in cache.iterdir()) == ["key1", "key3"]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("SUBEMB_CACHE", str(blocked))
    files.keep_layout("key", kept_arrays())
    assert kept_umap_layout(torch.eye(5), torch.eye(5)) is None
    assert "the layout was not kept" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.eye(3), torch.eye(2)), "2 x 2 but the table is 3 x 3"),
        ((torch.eye(3), torch.eye(3), [1]), "1 ids do not fit 3 rows"),
        ((torch.ones(1, 3), torch.ones(1, 3)), "at least 2"),
    ],
)
def test_umap_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        umap_layout(*arguments)
