"""Whose an adaptation is: who began it may change it, equal inputs are shared, and nothing that waits, runs or is shown is dropped."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import jobs_functions
import pytest
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model

from subemb.adaptation import AdaptationSettings, library, text_of
from subemb.base.errors import InputError
from subemb.base.store import content_key
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.runs import run_and_keep
from subemb.tasks import adaptation as tasks
from subemb.tasks.sides import Subject

TEXTS = [f"{first} {second}" for first in WORDS[:8] for second in WORDS[8:16]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("owners")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(base / "models"))
        patch.setenv("SUBEMB_CACHE", str(base / "cache"))
        make_sentence_model(make_bert(base / "models" / "small", [*SPECIAL, *WORDS]))
        yield base


@pytest.fixture
def subject(folders) -> Subject:
    run = run_and_keep("small", None, CompressionSettings("cluster", subspaces=2, codebook_size=8).to_dict())
    yield Subject("small", None, run.model["identity"], run.key)
    for key in list(library.ADAPTATIONS):
        library.forget_adaptation(key)


def begin(subject, steps: int, visitor: str | None = None, names=None) -> str:
    return tasks.begin_adaptation(
        subject, AdaptationSettings(steps=steps), text_of(TEXTS), visitor=visitor, names=names
    )  # fmt: skip


@pytest.fixture
def busy(tmp_path):
    """The lane of adaptations is busy with something else."""
    with jobs_functions.busy("adapt", tmp_path):
        yield
        for name in ("anna", "ben"):
            for one in manager().jobs_of(name):
                one.cancel()


def test_two_who_begin_at_once_share_the_secret_of_the_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    write = library.write_files
    monkeypatch.setattr(library, "write_files", lambda *given: (time.sleep(0.2), write(*given)))
    with ThreadPoolExecutor(4) as pool:
        assert len({found.result() for found in [pool.submit(library.secret) for _ in range(4)]}) == 1


@pytest.mark.slow
def test_who_began_it_may_change_it_and_others_may_not(subject):
    key = begin(subject, 5, "anna")
    assert library.belongs_to(key, "anna")
    assert not library.belongs_to(key, "ben")
    tasks.run_adaptation(key)
    assert [known.key for known in library.known_adaptations(visitor="anna")] == [key]
    assert library.known_adaptations(visitor="ben") == []
    assert library.known_adaptation(key).is_over, "who has the link sees it"


def test_two_who_begin_the_same_share_it_and_one_deletes_it_for_herself(subject):
    key = begin(subject, 6, "anna", {"text": "letters of anna.txt"})
    assert begin(subject, 6, "ben", {"text": "ben.txt"}) == key
    assert library.given_names(key, "anna") == {"text": "letters of anna.txt"}
    assert library.given_names(key, "ben") == {"text": "ben.txt"}
    assert library.given_names(key, "carla") == {}
    assert not library.disown(key, "anna")
    assert not library.belongs_to(key, "anna")
    assert library.disown(key, "ben")


def test_one_that_was_begun_without_a_page_is_anybodys(subject):
    key = begin(subject, 7)
    assert library.belongs_to(key, "anna")
    library.own(key, "anna")
    assert not library.belongs_to(key, "ben"), "who takes it up has it"


def test_neither_key_nor_token_can_be_worked_out(subject, monkeypatch, tmp_path):
    key = begin(subject, 8, "anna-the-token")
    written = "".join(path.read_text() for path in library.folder_of(key).glob("*.json"))
    assert "anna" not in written
    known = json.loads((library.folder_of(key) / "inputs.json").read_text())
    text = text_of(TEXTS)
    assert key != content_key(
        library.ADAPTATIONS.name,
        library.ADAPTATIONS.format,
        {"subject": [subject.identity, subject.run_key], "settings": known["settings"], "text": text.digest, "scored": None, "labelled": None},
    )  # fmt: skip
    assert begin(subject, 8, "ben") == key, "on this server equal inputs have an equal key"
    run_key = subject.run_key
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path))
    assert begin(Subject("small", None, subject.identity, run_key), 8, "anna") != key, "on another one they have another"


def test_nothing_is_written_for_a_start_that_is_refused(subject, busy):
    for steps in (11, 12):
        tasks.run_adaptation.call(begin(subject, steps, "anna")).submit("anna")
    before = set(library.ADAPTATIONS)
    with pytest.raises(InputError, match="jobs of yours are waiting"):
        begin(subject, 13, "anna")
    assert set(library.ADAPTATIONS) == before
    assert begin(subject, 12, "anna") in before, "what waits already may be asked for again"


def test_many_starts_do_not_delete_what_waits_or_runs(subject, busy, monkeypatch):
    monkeypatch.setattr(library.ADAPTATIONS, "most", 3)
    waiting = begin(subject, 20, "anna")
    tasks.run_adaptation.call(waiting).submit("anna")
    library.ADAPTATIONS.folder.joinpath(f".held-{waiting}").unlink()
    for steps in range(21, 30):
        key = begin(subject, steps, "ben")
        library.ADAPTATIONS.folder.joinpath(f".held-{key}").unlink()
    assert library.ADAPTATIONS.stamp(waiting) is not None
    assert len(list(library.ADAPTATIONS)) <= 4


def test_what_waits_is_found_by_its_owner_alone(subject):
    key = begin(subject, 31, "anna")
    assert library.waiting_adaptations("anna", subject.run_key) == [key]
    assert library.waiting_adaptations("ben", subject.run_key) == []
    assert library.waiting_adaptations("anna", "another run") == []
