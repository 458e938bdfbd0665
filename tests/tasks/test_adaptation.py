"""Adaptations as jobs: kept on disk, paused, taken up again, ended by the visitor; a killed worker loses little."""

import os
import signal
import time

import numpy as np
import pytest
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model

import subemb
from subemb.adaptation import AdaptationSettings, library, text_of
from subemb.base.errors import Cancelled, InputError
from subemb.base.progress import Progress
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.runs import compressed_of, run_and_keep
from subemb.tasks import adaptation as tasks
from subemb.tasks.sides import Subject

NAMES = [word for word in WORDS if word.isalpha()]
RUN = CompressionSettings("cluster", subspaces=2, codebook_size=8)


def sentences(count: int = 160) -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(NAMES, generator.integers(3, 9))) for _ in range(count)]


@pytest.fixture
def subject(tmp_path, monkeypatch) -> Subject:
    make_sentence_model(make_bert(tmp_path / "models" / "small", [*SPECIAL, *WORDS]))
    monkeypatch.setenv("SUBEMB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    run = run_and_keep("small", None, RUN.to_dict())
    return Subject("small", None, run.model["identity"], run.key)


def begin(subject, **settings) -> str:
    return tasks.begin_adaptation(subject, AdaptationSettings(**settings), text_of(sentences()))


def test_a_finished_one_is_kept_and_opened_again(subject):
    key = begin(subject, steps=20)
    assert begin(subject, steps=20) == key != begin(subject, steps=21)
    assert library.known_adaptation(key) is None
    seen: list[Progress] = []
    assert tasks.run_adaptation(key, seen.append) == key
    known = library.known_adaptation(key)
    assert (known.state, known.steps, known.key) == ("done", 20, key)
    assert [message.values["step"] for message in seen if "loss" in message.values] == list(range(1, 21))
    assert library.known_adaptations() == library.known_adaptations(subject.identity) == [known]
    assert library.known_adaptations("another") == []
    assert library.run_key_of(key) == subject.run_key
    model = subemb.load("small")
    alone = subemb.adapt(model, compressed_of(subject.run_key), sentences(), steps=20)
    assert library.open_adapted(key).identity == alone.identity
    library.forget_adaptation(key)
    assert library.known_adaptation(key) is None
    with pytest.raises(InputError, match="is not kept on this server"):
        library.open_adapted(key)


def stop_after(count: int):
    left = [count]

    def ask(message: Progress) -> bool:
        left[0] -= message.stage == "training"
        return left[0] < 0

    return ask


@pytest.mark.slow
def test_a_paused_one_goes_on_as_if_it_had_not_been(subject):
    key = begin(subject, steps=60)
    with pytest.raises(Cancelled):
        tasks.run_adaptation(key, stop_after(30))
    paused = library.known_adaptation(key)
    assert (paused.state, paused.steps) == ("paused", 31)
    with pytest.raises(InputError, match="is not over"):
        library.open_adapted(key)
    tasks.run_adaptation(key)
    resumed = library.open_adapted(key)
    library.forget_adaptation(key)
    assert begin(subject, steps=60) == key
    tasks.run_adaptation(key)
    assert library.open_adapted(key).identity == resumed.identity


@pytest.mark.slow
def test_a_paused_one_can_be_ended_with_what_there_is(subject):
    key = begin(subject, steps=60)
    with pytest.raises(InputError, match="not trained long enough"):
        tasks.stop_adaptation(key)
    with pytest.raises(Cancelled):
        tasks.run_adaptation(key, stop_after(30))
    tasks.stop_adaptation(key)
    known = library.known_adaptation(key)
    assert (known.state, known.steps, known.planned_steps) == ("stopped", 31, 60)
    assert library.open_adapted(key).encode(["the cat"]).shape == (1, 16)


@pytest.mark.slow
def test_a_failure_keeps_what_was_known(subject, monkeypatch):
    from subemb.adaptation import objectives

    key = begin(subject, steps=60)
    with pytest.raises(Cancelled):
        tasks.run_adaptation(key, stop_after(10))
    monkeypatch.setattr(objectives, "RELATION", float("nan"))
    with pytest.raises(InputError, match="loss is nan"):
        tasks.run_adaptation(key)
    failed = library.known_adaptation(key)
    assert (failed.state, failed.steps) == ("failed", 11)
    assert "learning rate" in failed.message
    monkeypatch.undo()


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_but_the_last_interval(subject, worker_processes):
    key = begin(subject, steps=100_000)
    job = tasks.run_adaptation.call(key).submit()
    deadline = time.monotonic() + 120
    while (library.known_adaptation(key) is None or library.known_adaptation(key).steps == 0) and time.monotonic() < deadline:
        time.sleep(0.1)
    before = library.known_adaptation(key).steps
    assert before > 0
    os.kill(manager().worker_pid(tasks.run_adaptation.lane), signal.SIGKILL)
    assert job.wait(30)
    assert job.state == "failed"
    left = library.known_adaptation(key)
    assert left.steps >= before
    assert not left.is_over
    tasks.stop_adaptation(key)
    assert library.known_adaptation(key).steps >= before
    assert library.open_adapted(key).encode(["the cat"]).shape == (1, 16)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["", "..", "../x", "a" * 24, "A" * 24, "0" * 23, "é" * 24])
def test_keys_of_links_are_never_paths(subject, key):
    assert library.known_adaptation(key) is None
    assert library.run_key_of(key) is None
    library.forget_adaptation(key)
    for job in (tasks.run_adaptation, tasks.stop_adaptation, library.open_adapted):
        with pytest.raises(InputError):
            job(key)


@pytest.mark.slow
def test_without_a_run_there_is_nothing_to_adapt(subject):
    with pytest.raises(InputError, match="press Run first"):
        tasks.begin_adaptation(Subject(subject.name, None, subject.identity, None), AdaptationSettings(), None)
