"""Estimates of an adaptation: more work takes longer."""

import masked_models
import pytest
from static_models import make_model2vec

import subemb
from subemb.adaptation import AdaptationSettings
from subemb.adaptation.session import steps_seconds
from subemb.codec.settings import CompressionSettings

CLUSTER = CompressionSettings("cluster", subspaces=8, codebook_size=61)
RESIDUAL = CompressionSettings("residual", subspaces=8, codebook_size=61)


@pytest.fixture(scope="module")
def model() -> subemb.PretrainedModel:
    return subemb.load("all-MiniLM-L6-v2")


def test_steps_and_the_search_for_codes_add_up(model):
    def seconds(steps: int, compression=CLUSTER, reassign: bool = True) -> float:
        return steps_seconds(AdaptationSettings(steps=steps, reassign=reassign), model, compression)

    search = seconds(1) - seconds(1, reassign=False)
    assert search > 1
    for steps in (10, 1000):
        assert seconds(steps) == pytest.approx(search + seconds(steps, reassign=False))
        assert seconds(steps, reassign=False) == pytest.approx(steps * seconds(1, reassign=False))
    assert seconds(50, RESIDUAL) == pytest.approx(seconds(50, reassign=False))  # codes are not found anew


def test_a_static_table_takes_time_too(tmp_path):
    model = subemb.load(make_model2vec(tmp_path / "m"))
    assert steps_seconds(AdaptationSettings(steps=100, reassign=False), model, RESIDUAL) > 0.1


@pytest.mark.parametrize("more", [{"batch_size": 128}, {"train": "everything"}, {"objective": "similarity"}])
def test_more_work_takes_longer(model, more):
    plain = steps_seconds(AdaptationSettings(steps=100), model, CLUSTER)
    assert steps_seconds(AdaptationSettings(steps=100, **more), model, CLUSTER) > plain > 0


def test_what_is_held_out_is_read_seven_times_and_in_fine_tuning_by_the_original_too(model):
    def seconds(objective: str, held_out: int, steps: int = 100) -> float:
        settings = AdaptationSettings(steps=steps, reassign=False, objective=objective, batch_size=32)
        return steps_seconds(settings, model, CLUSTER, held_out)

    def scoring(objective: str) -> float:
        return seconds(objective, 320) - seconds(objective, 0)

    assert scoring("distill") == pytest.approx(
        seconds("distill", 0, steps=10) / 2 * 7
    )  # a step reads, and passes a gradient back
    assert scoring("similarity") == pytest.approx(4 * scoring("distill"))
    assert scoring("masked") > 2 * scoring("distill")
    assert scoring("similarity") == pytest.approx(seconds("similarity", 320, steps=1) - seconds("similarity", 0, steps=1))


def test_both_sentences_of_labelled_pairs_are_read_and_the_head_says_every_word_at_its_masks(model):
    def seconds(objective: str) -> float:
        settings = AdaptationSettings(steps=100, reassign=False, train="everything", objective=objective)
        return steps_seconds(settings, model, CLUSTER)

    # The original is trained alike, and a step has two sentences a pair.
    assert seconds("similarity") == seconds("entailment") == pytest.approx(4 * seconds("distill"))
    table = model.num_tokens * model.dim
    assert seconds("masked") == pytest.approx(2 * seconds("distill") * (1 + 0.15 * table / (model.parameters - table)))


def test_a_teacher_of_masked_words_reads_along(model):
    """Its probabilities are of new masks every time; sentence vectors are read once and kept."""
    settings = AdaptationSettings(steps=100, reassign=False)
    masked = subemb.load(masked_models.trained() / "animals")

    def per_weight(side) -> float:
        return steps_seconds(settings, side, RESIDUAL) / (side.parameters - side.num_tokens * side.dim)

    assert per_weight(masked) == pytest.approx(1.5 * per_weight(model))
