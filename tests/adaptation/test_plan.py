"""A time budget is kept, whatever the computer does, and has room for a curve: by a clock that the tests turn."""

import masked_models
import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model
from hypothesis import given, settings
from hypothesis import strategies as st

import subemb
from subemb.adaptation import AdaptationSettings, session, text_of
from subemb.adaptation.codes import sensitive_codes
from subemb.adaptation.plan import FEWEST_STEPS, FIRST_BATCH, SMALLEST_BATCH, Segment, is_spent, place_of, planned_size
from subemb.adaptation.result import Adaptation
from subemb.adaptation.trainer import Trainer


class Worked:
    """An objective whose steps take ``pace(now)`` seconds for each sentence, and nothing of the real time."""

    head = None

    def __init__(self, pace):
        self.now, self.pace, self.batches = 0.0, pace, []

    def clock(self) -> float:
        return self.now

    def loss(self, student, places, generator):
        self.now += len(places) * self.pace(self.now)
        self.batches.append(list(places))
        return student.square().sum()

    def tensors(self):
        return {}


class Number:
    """A student of one number."""

    def __init__(self):
        self.codebooks, self.weights = [torch.nn.Parameter(torch.ones(1))], {}
        self.model = self.codebooks[0]

    def tensors(self):
        return {"codebooks.0": self.codebooks[0].detach()}

    def as_model(self):
        return self.model


def trained(seconds: float, pace, spent: float = 0.0, rows: int = 5000, **values) -> tuple[Trainer, Worked]:
    work = Worked(pace)
    lengths = np.arange(rows) % 30
    given = AdaptationSettings(seconds=seconds, **values)
    trainer = Trainer(work, Number(), lengths, given, spent=(spent, spent), clock=work.clock)
    trainer.run(lambda: None)
    return trainer, work


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("seconds", [30, 60, 300])
@pytest.mark.parametrize("row", [0.0005, 0.01, 0.03, 0.1])
def test_a_steady_computer_meets_the_budget_and_gives_a_curve(seconds, row):
    spent = 0.6 * seconds
    trainer, work = trained(seconds, lambda now: row, spent)
    assert spent + work.now == pytest.approx(trainer.seconds)
    assert abs(trainer.seconds - seconds) <= 0.1 * seconds
    losses = [point for point in trainer.history if "loss" in point]
    assert 20 <= len(losses) <= 101
    assert trainer.planned == trainer.step
    size = trainer.sentences_a_step
    assert size == (64 if row * 64 * FEWEST_STEPS <= 0.4 * seconds * 0.95 else size)
    assert size >= SMALLEST_BATCH


@pytest.mark.parametrize(
    "pace",
    [
        lambda now: 0.01 if now < 4 else 0.05,  # somebody else begins
        lambda now: 0.05 if now < 4 else 0.01,  # somebody else is done
        lambda now: 0.01 if int(now) % 2 else 0.04,
    ],
)
def test_a_computer_that_becomes_busy_or_free_still_meets_it(pace):
    trainer, _ = trained(30.0, pace, spent=18.0)
    assert abs(trainer.seconds - 30) <= 0.1 * 30
    assert sum("loss" in point for point in trainer.history) >= 20


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("pace", [lambda now: 0.01, lambda now: 0.01 if now < 40 else 0.001])
def test_scores_are_taken_all_along_also_when_the_computer_becomes_free(pace):
    work = Worked(pace)
    given = AdaptationSettings(seconds=120.0)
    trainer = Trainer(work, Number(), np.ones(500), given, score=lambda model: 1.0, clock=work.clock)
    trainer.run(lambda: None)
    scored = [point["seconds"] for point in trainer.history if "score" in point]
    assert scored[0] == 0
    assert scored[-1] == trainer.seconds
    assert max(np.diff(scored)) <= 120 / 6 + 2


def test_a_search_that_took_everything_leaves_one_small_step():
    trainer, work = trained(30.0, lambda now: 0.01, spent=31.0)
    assert trainer.step == 1
    assert len(work.batches[0]) == FIRST_BATCH
    assert "loss" in trainer.history[-1]


def test_the_learning_rate_follows_the_time_that_is_left():
    trainer, _ = trained(30.0, lambda now: 0.01)
    assert trainer._factor() < 0.01
    trainer.seconds = 15.0
    assert trainer._factor() == pytest.approx(0.5)


def test_steps_look_at_as_many_sentences_as_asked_for():
    work = Worked(lambda now: 100.0)
    trainer = Trainer(work, Number(), np.ones(200), AdaptationSettings(steps=5, batch_size=32), clock=work.clock)
    trainer.run(lambda: None)
    assert [len(batch) for batch in work.batches] == [32] * 5
    assert trainer.schedule == [Segment(0, 32)]


def test_a_training_after_the_same_schedule_reads_the_same_batches():
    first, work = trained(30.0, lambda now: 0.02, spent=18.0)
    assert len(first.schedule) > 1
    again = Worked(lambda now: 1.0)
    Trainer(again, Number(), first._lengths, AdaptationSettings(steps=first.step), schedule=first.schedule).run(lambda: None)
    assert again.batches == work.batches


@given(
    st.integers(0, 100),
    st.integers(SMALLEST_BATCH, 64),
    st.integers(SMALLEST_BATCH, 64),
    st.floats(-5, 1000),
    st.floats(1e-5, 10),
)
def test_planned_sizes_are_within_their_limits(step, size, most, left, row):
    size = min(size, most)
    planned = planned_size(step, size, most, left, row)
    assert min(size, SMALLEST_BATCH) <= planned <= most
    if step < FEWEST_STEPS and planned > SMALLEST_BATCH and planned != size:
        assert planned * row * (FEWEST_STEPS - step) <= left * (1 + 1e-9)


@given(st.lists(st.integers(2, 20), min_size=1, max_size=4), st.integers(20, 60))
@settings(max_examples=30)
def test_places_go_through_all_rows(sizes, rows):
    schedule = [Segment(7 * number, size) for number, size in enumerate(sizes)]
    seen = [place_of(step, schedule, rows) for step in range(7 * len(sizes) + 30)]
    assert len(set(seen)) == len(seen)
    for segment, _, place, size in seen:
        assert size == min(sizes[segment], rows)
        assert (place + 1) * size <= rows


def test_half_a_step_too_long_is_the_worst():
    assert not is_spent(1.0, 2.0)
    assert is_spent(0.99, 2.0)
    assert is_spent(-0.01, 1e-9)


@pytest.mark.slow
def test_fewer_sentences_a_step_are_said():
    hurried, _ = trained(30.0, lambda now: 0.03, spent=18.0)
    calm, _ = trained(30.0, lambda now: 0.001, spent=18.0)
    few, _ = trained(30.0, lambda now: 0.001, spent=18.0, rows=20)
    assert [trainer.is_hurried for trainer in (hurried, calm, few)] == [True, False, False]

    def facts(**values) -> Adaptation:
        return Adaptation("k", {"name": "m"}, {}, AdaptationSettings(), {"name": "t", "sentences": 9, "digest": None}, **values)

    assert "looked at 12 sentences instead of 64" in facts(sentences_a_step=12).hurry
    assert facts(sentences_a_step=64).hurry == facts().hurry == ""


class Ticking:
    """A clock on which everything that is asked between two looks takes equally long."""

    def __init__(self, each: float):
        self.now, self.each = 0.0, each

    def __call__(self) -> float:
        self.now += self.each
        return self.now


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return subemb.load(make_sentence_model(make_bert(tmp_path_factory.mktemp("m") / "small", [*SPECIAL, *WORDS])))


@pytest.mark.slow
@pytest.mark.parametrize("each", [0.01, 0.3, 2.0])
@pytest.mark.parametrize(("tiers", "looks"), [(None, 6), ("4:int8,9:4x4,12:3x4,*:2x4", 12)])
def test_the_search_for_codes_ends_in_time_however_slow_its_pieces_are(model, each, tiers, looks):
    method = {"method": "product", "subspaces": 2, "codebook_size": 8} if tiers is None else {"tiers": tiers}
    compressed = subemb.compress(model.table, **method)
    rows = model.token_ids([" ".join(word for word in WORDS if word.isalpha())[:40]] * 100)
    clock = Ticking(each)
    found = sensitive_codes(model, compressed, rows, seconds=20, clock=clock)
    assert found.size() == compressed.size()
    assert clock.now <= 20 + looks * each, "the looks of a piece that was begun in time, and whether there is time for a tier"


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["distill", "masked"])
def test_the_search_gets_sixty_percent_of_the_budget_and_fine_tuning_shares_the_rest(model, objective, monkeypatch):
    asked = []

    def search(model, compressed, rows, seed, progress, seconds):
        asked.append(seconds)
        return compressed

    monkeypatch.setattr(session, "sensitive_codes", search)
    texts = text_of([f"{word} {other}" for word in WORDS if word.isalpha() for other in ("cat", "dog")])
    own = model if objective == "distill" else subemb.load(masked_models.trained() / "animals")
    given = texts if objective == "distill" else text_of(masked_models.sentences())
    compressed = subemb.compress(own.table, "product", 2, 6)
    settings = AdaptationSettings(objective, seconds=40.0)
    begun = session.Session(own, compressed, given, settings)
    begun.open()
    assert asked == [pytest.approx(24)]
    assert begun._own_seconds(24.0) == pytest.approx(40 if objective == "distill" else 24 + 0.47 * 16)
    assert begun.trainer.settings.seconds == pytest.approx(begun._own_seconds(begun.trainer.begun))
