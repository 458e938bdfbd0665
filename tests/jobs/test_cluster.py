"""Jobs of the app on a real Dask cluster on this machine, whose workers have a cache of their own; and what is said without one."""

import time

import numpy as np
import psutil
import pytest
from checkpoints import SPECIAL, make_bert
from shared import until
from static_models import make_words

from subemb.adaptation.library import known_adaptation
from subemb.adaptation.settings import AdaptationSettings
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.pairs import PairSet
from subemb.jobs import cluster as cluster_module
from subemb.jobs.manager import close_manager, manager
from subemb.models.load import load_listed
from subemb.runs import RUNS, run_and_keep
from subemb.sweep.grid import grid_of
from subemb.tasks.adaptation import begin_adaptation, run_adaptation
from subemb.tasks.evaluations import SIMILARITY_SETS, evaluate_similarity_set
from subemb.tasks.sides import Subject
from subemb.tasks.sweeps import run_sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A models folder with a small BERT and a static table, and a cache of this side's own."""
    folder = tmp_path_factory.mktemp("place")
    make_words(folder / "models" / "words", 300, 12)
    make_bert(folder / "models" / "small", [*SPECIAL, *(f"word{number}" for number in range(300))], dim=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(folder / "models"))
        patch.setenv("SUBEMB_CACHE", str(folder / "here"))
        yield folder


@pytest.fixture(scope="module")
def cluster(place, tmp_path_factory):
    from clusters import Cluster

    started = Cluster(tmp_path_factory.mktemp("cluster"), {"SUBEMB_CACHE": str(place / "there")})
    started.add_worker()
    yield started
    started.close()


@pytest.fixture
def on_cluster(cluster, monkeypatch):
    close_manager()
    monkeypatch.setenv("SUBEMB_DASK", cluster.address)
    yield cluster
    close_manager()


@pytest.fixture(scope="module")
def subject(place):
    return subject_of("words")


def subject_of(name):
    run = run_and_keep(name, None, CompressionSettings("product", subspaces=3, codebook_size=16).to_dict())
    return Subject(name, None, load_listed(name).identity, run.key)


def made_pairs(seed):
    draw = np.random.default_rng(seed).integers(300, size=(30, 2, 5))
    first, second = ([" ".join(f"word{number}" for number in words) for words in draw[:, side]] for side in (0, 1))
    return PairSet("words", "similarity", "made", first, second, np.linspace(0, 5, 30))


def test_an_evaluation_runs_there_and_its_result_comes_back(on_cluster, place, subject):
    call = evaluate_similarity_set.call(subject, made_pairs(0), resamples=50)
    job = call.submit()
    job.outcome(120)
    there = place / "there" / SIMILARITY_SETS.name
    assert [path.name for path in there.iterdir() if not path.name.startswith(".")] == [call.key]
    assert (place / "there" / RUNS.name / subject.run_key).is_dir()  # what it needed went along
    found = call.kept()
    SIMILARITY_SETS.drop(call.key)
    here = evaluate_similarity_set(subject, made_pairs(0), resamples=50)
    assert found.to_dict() == here.to_dict()
    assert job.progress.stage
    assert job.notice == ""


def test_messages_come_in_order_and_faults_are_those_of_the_job(on_cluster):
    job = manager().submit("many", "jobs_functions:many_messages", {"count": 40}, lane="evaluate")
    job.outcome(60)
    assert [message.values["iteration"] for message in job.history] == list(range(40))
    failed = manager().submit("fault", "jobs_functions:fail_input", lane="evaluate")
    failed.wait(60)
    assert (failed.state, failed.error, failed.is_input_error) == ("failed", "rank 9 is more than 8; choose 1 to 8", True)


def test_a_job_there_can_be_cancelled(on_cluster, tmp_path):
    job = manager().submit("wait", "jobs_functions:wait_for_file", {"path": str(tmp_path / "never")}, lane="evaluate")
    until(lambda: len(job.history) > 3)
    assert job.cancel()
    assert job.left_worker.wait(30)
    after = manager().submit("next", "jobs_functions:double", {"value": 4}, lane="evaluate")
    assert after.outcome(60) == 8  # the only worker is free again


def test_an_adaptation_runs_there_and_comes_back_with_its_model(on_cluster, place):
    settings = AdaptationSettings(steps=2, batch_size=8, reassign=False, sample=64)
    key = begin_adaptation(subject_of("small"), settings)
    assert run_adaptation.call(key).submit().outcome(180) == key
    assert known_adaptation(key).state == "done"
    assert (place / "here" / "adaptations" / key / "model" / "config.json").is_file()


def test_a_sweep_spreads_its_rows_and_they_stream(on_cluster, place):
    grid = [one.to_dict() for one in grid_of({"method": ["product"], "subspaces": [2, 3, 4], "codebook_size": [8]})]
    job = run_sweep.call("words", None, grid, [made_pairs(1)]).submit()
    table = job.outcome(180)
    assert table.how.startswith("1 Dask worker")
    assert len(table.done) == 3
    assert {message.values["row"]["key"] for message in job.history if "row" in message.values} == {
        row.key for row in table.rows
    }


def test_another_worker_takes_over_where_one_dies(on_cluster, tmp_path):
    job = manager().submit("wait", "jobs_functions:wait_for_file", {"path": str(tmp_path / "go")}, lane="evaluate")
    until(lambda: len(job.history) > 3)
    on_cluster.add_worker()
    on_cluster.workers[0].kill()
    before = len(job.history)
    until(lambda: len(job.history) > before + 5, 90)
    (tmp_path / "go").touch()
    assert job.outcome(90) > 0


def test_without_an_answer_the_job_runs_here_and_says_so(place, monkeypatch, subject):
    close_manager()
    monkeypatch.setenv("SUBEMB_DASK", "tcp://127.0.0.1:9")
    began = time.monotonic()
    job = manager().submit("double", "jobs_functions:double", {"value": 4}, lane="evaluate")
    assert job.outcome(60) == 8
    assert time.monotonic() - began < 30
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:9'" in job.history[0].stage
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
    swept = run_sweep("words", None, [{"method": "int8"}], [])
    assert "on this computer, because no Dask scheduler" in swept.notes[-1]
    close_manager()


def test_a_process_here_is_kept_until_the_cluster_answers(cluster, worker_processes, monkeypatch):
    monkeypatch.setattr("subemb.jobs.manager.CLUSTER_SECONDS", 0.0)
    monkeypatch.setenv("SUBEMB_DASK", "tcp://127.0.0.1:9")
    seconds = cluster_module.CONNECT_SECONDS
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)  # there is nobody to wait for
    jobs = [manager().submit(f"pid {number}", "jobs_functions:pid", lane="evaluate") for number in range(2)]
    first, second = (job.outcome(60) for job in jobs)
    assert first == second
    assert all(job.notice for job in jobs)
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", seconds)
    monkeypatch.setenv("SUBEMB_DASK", cluster.address)
    there = manager().submit("pid there", "jobs_functions:pid", lane="evaluate")
    assert there.outcome(60) in {worker.pid for worker in cluster.workers}
    assert there.notice == ""
    until(lambda: not psutil.pid_exists(first))


def test_the_same_cache_on_both_sides_needs_no_copies(cluster, place, monkeypatch, subject):
    close_manager()
    worker = cluster.add_worker(SUBEMB_CACHE=str(place / "here"))
    for other in cluster.workers[:-1]:
        other.kill()
    monkeypatch.setenv("SUBEMB_DASK", cluster.address)
    call = evaluate_similarity_set.call(subject, made_pairs(3), resamples=20)
    job = call.submit()
    job.outcome(120)
    assert job.notice == ""  # not done here
    assert call.kept() is not None
    assert not list((place / "here").glob(".cluster-*"))
    assert worker.poll() is None
    close_manager()
