"""Adapting: what is learned, what is stored, that it can stop anywhere, and what it says when something goes wrong."""

import errno
import shutil

import masked_models
import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model

import subemb
from subemb.adaptation import AdaptationSettings, text_of, text_of_pairs
from subemb.adaptation.objectives import SentenceVectors, distillation_for
from subemb.adaptation.result import Adaptation
from subemb.adaptation.session import Session
from subemb.adaptation.trainer import STATE_FILE, read_state
from subemb.base.errors import Cancelled, InputError
from subemb.base.progress import Progress
from subemb.evaluate.data.pairs import PairSet

NAMES = [word for word in WORDS if word.isalpha()]


def sentences(count: int = 160, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(NAMES, generator.integers(3, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = make_bert(tmp_path_factory.mktemp("models") / "small", [*SPECIAL, *WORDS])
    return subemb.load(make_sentence_model(folder))


@pytest.fixture(scope="module")
def compressed(model):
    return subemb.compress(model.table, "cluster", 2, 8)


def mean_cosine(first, second, texts) -> float:
    a, b = (torch.nn.functional.normalize(torch.from_numpy(side.encode(texts))) for side in (first, second))
    return float((a * b).sum(1).mean())


def relation_error(first, second, texts) -> float:
    a, b = (torch.nn.functional.normalize(torch.from_numpy(side.encode(texts))) for side in (first, second))
    return float((a @ a.T - b @ b.T).square().mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        "product",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("cluster", "arbitrary", "residual", "optimized_product")),
    ],
)
def test_similarities_between_sentences_come_back(model, method):
    compressed = subemb.compress(model.table, method, 2, 8)
    texts = sentences()
    adapted = subemb.adapt(model, compressed, texts, steps=150, codebook_rate=5e-3)
    before = relation_error(model, subemb.attach(model, compressed), texts)
    assert relation_error(model, adapted, texts) < 0.6 * before
    assert adapted.compressed.settings == compressed.settings
    assert adapted.changed_parameters == 0


@pytest.mark.slow
def test_a_tiny_model_can_learn_a_few_sentences_by_heart(model):
    texts = sentences(8)
    compressed = subemb.compress(model.table, "arbitrary", 3)
    adapted = subemb.adapt(model, compressed, texts, steps=400, train="everything", codebook_rate=1e-2, network_rate=3e-3)
    assert mean_cosine(model, adapted, texts) > 0.995 > mean_cosine(model, subemb.attach(model, compressed), texts)


@pytest.mark.slow
def test_the_original_and_the_compressed_table_stay_as_they_were(model, compressed):
    texts = sentences(20)
    vectors, weights = model.encode(texts), {name: p.clone() for name, p in model.network().named_parameters()}
    codes, books = compressed.codes.clone(), [book.clone() for book in compressed.codebooks]
    subemb.adapt(model, compressed, sentences(), steps=5, train="everything")
    assert np.array_equal(model.encode(texts), vectors)
    assert all(torch.equal(p, weights[name]) for name, p in model.network().named_parameters())
    assert torch.equal(codes, compressed.codes)
    assert all(map(torch.equal, books, compressed.codebooks))


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("train", ["codebooks", "norms", "last", "everything"])
def test_what_is_trained_is_stored_and_counted(model, compressed, train, tmp_path):
    adapted = subemb.adapt(model, compressed, sentences(), steps=5, train=train)
    facts = Adaptation.from_dict(adapted.facts)
    assert facts.state == "done"
    assert facts.steps == facts.planned_steps == 5
    assert facts.size["changed_parameters"] == adapted.changed_parameters == sum(map(torch.numel, adapted.weights.values()))
    size = compressed.size(model.parameters)
    assert facts.size["table_bytes"] == size.total_bytes
    assert facts.size["folder_bytes"] == size.total_bytes + 4 * adapted.changed_parameters
    assert facts.size["model_bytes"] == size.compressed_model_bytes == 4 * adapted.parameters + size.code_bytes
    assert facts.size["original_model_bytes"] == 4 * model.parameters
    assert (facts.changed_weights == "") == (train == "codebooks")
    assert [name for name, _, _ in facts.sizes] == ["Token table", "Whole model"]
    assert (adapted.changed_parameters == 0) == (train == "codebooks")
    own = dict(model.network().named_parameters())
    assert all(not torch.equal(own[name], value) for name, value in adapted.weights.items())
    if train == "norms":
        assert all("LayerNorm" in name or name.endswith("bias") for name in adapted.weights)
    if train == "last":
        last = model.config["num_hidden_layers"] - 1
        assert all(f"layer.{last}." in name for name in adapted.weights)
    adapted.save_pretrained(tmp_path / "out")
    again = subemb.load(tmp_path / "out")
    assert np.abs(again.encode(sentences(9)) - adapted.encode(sentences(9))).max() < 1e-6
    assert again.identity == adapted.identity != model.identity
    assert Adaptation.from_dict(again.facts) == facts


@pytest.mark.slow
def test_tuples_stay_unique_when_codes_change(model):
    compressed = subemb.compress(model.table, "cluster", 3, 4)
    adapted = subemb.adapt(model, compressed, sentences(), steps=120, codebook_rate=2e-2)
    assert compressed.distinct_tuples == adapted.compressed.distinct_tuples == model.num_tokens
    assert adapted.facts["reassigned"] > 0


@pytest.mark.slow
def test_codes_stay_where_that_is_asked_for_or_the_method_has_none_to_choose(model, compressed):
    stay = subemb.adapt(model, compressed, sentences(), steps=60, reassign=False)
    assert torch.equal(stay.compressed.codes, compressed.codes)
    digits = subemb.compress(model.table, "arbitrary", 2)
    assert torch.equal(subemb.adapt(model, digits, sentences(), steps=60).compressed.codes, digits.codes)


@pytest.mark.slow
def test_equal_seeds_give_equal_results(model, compressed):
    first, second, other = (
        subemb.adapt(model, compressed, sentences(), steps=55, train="norms", seed=seed) for seed in (0, 0, 1)
    )
    assert first.identity == second.identity != other.identity


@pytest.mark.slow
def test_a_time_budget_is_kept(model, compressed):
    facts = Adaptation.from_dict(subemb.adapt(model, compressed, sentences(), seconds=2.0, reassign=False).facts)
    assert 1 < facts.steps <= facts.planned_steps
    assert facts.seconds < 2 * 1.25 + 1
    assert sum("loss" in point for point in facts.history) >= min(20, facts.steps)


@pytest.mark.slow
def test_without_any_text_rows_are_drawn_from_the_vocabulary(model, compressed):
    adapted = subemb.adapt(model, compressed, None, steps=150, sample=200, codebook_rate=5e-3)
    texts = sentences()
    assert relation_error(model, adapted, texts) < relation_error(model, subemb.attach(model, compressed), texts)
    assert adapted.facts["text"] == {"name": "vocabulary", "sentences": 200, "digest": None}


# Tiers


TIERS = "4:int8,3:exact,5:trim,12:4x6,*:3x8"


@pytest.fixture(scope="module")
def tiered(model):
    return subemb.compress(model, tiers=TIERS, codebook_bits=8, unique=False)


@pytest.mark.slow
def test_of_tiers_what_has_codes_is_trained_and_the_rest_stays(model, tiered, tmp_path):
    pairs = graded_pairs(model)
    adapted = subemb.adapt(model, tiered, sentences(), steps=12, codebook_rate=1e-2, scored=pairs)
    found = adapted.compressed
    assert found.settings == tiered.settings
    assert torch.equal(found.tier, tiered.tier)
    for number, (old, new) in enumerate(zip(tiered.parts, found.parts, strict=True)):
        ids = torch.nonzero(tiered.tier == number).flatten()
        assert torch.equal(found.lookup(ids), new.reconstruct())
        assert torch.equal(old.reconstruct(), new.reconstruct()) == (number < 3)
        if number >= 3:
            assert not any(map(torch.equal, old.codebooks, new.codebooks))
    facts = Adaptation.from_dict(adapted.facts)
    assert facts.reassigned == sum(
        int((a.codes != b.codes).sum()) for a, b in zip(tiered.parts[3:], found.parts[3:], strict=True)
    )
    assert facts.size["table_bytes"] == found.size().total_bytes == tiered.size().total_bytes
    adapted.save_pretrained(tmp_path / "compact")
    again = subemb.load(tmp_path / "compact")
    assert torch.equal(again.compressed.reconstruct(), found.reconstruct()), "what was scored is what is stored"
    assert np.array_equal(again.encode(sentences(9)), adapted.encode(sentences(9)))
    assert again.identity == adapted.identity != model.identity
    assert facts.scores["adapted"] == pytest.approx(
        max(point["score"] for point in facts.history if "score" in point), abs=1e-9
    )


@pytest.mark.slow
def test_tiers_of_distinct_tuples_stay_so(model):
    compressed = subemb.compress(model, tiers="4:int8,12:4x6,*:3x8", unique=True)
    adapted = subemb.adapt(model, compressed, sentences(), steps=2)
    assert adapted.facts["reassigned"] > 0
    assert adapted.compressed.distinct_tuples == model.num_tokens
    assert adapted.compressed.settings == compressed.settings


@pytest.mark.slow
def test_tiers_stop_and_go_on_as_if_they_had_not(model, tiered, tmp_path):
    settings = AdaptationSettings(steps=24, batch_size=32)
    whole = subemb.adapt(model, tiered, sentences(), settings=settings)
    for after in (0, 9):
        with pytest.raises(Cancelled):
            subemb.adapt(model, tiered, sentences(), settings=settings, folder=tmp_path, progress=Stop(after))
    resumed = subemb.adapt(model, tiered, sentences(), settings=settings, folder=tmp_path)
    assert resumed.identity == whole.identity
    assert [point.get("loss") for point in resumed.facts["history"]] == [point.get("loss") for point in whole.facts["history"]]


def test_a_batch_may_have_no_token_of_a_tier_that_is_trained(model):
    known = sorted({number for row in model.token_ids(sentences()) for number in row})
    weights = np.ones(model.num_tokens)
    weights[known] = 2.0
    kept = subemb.compress(model, tiers=f"{len(known)}:int8,*:2x2", weights=weights)
    adapted = subemb.adapt(model, kept, sentences(), steps=2, reassign=False)
    assert torch.equal(adapted.compressed.reconstruct(), kept.reconstruct())
    with pytest.raises(InputError, match=r"none of the tiers 4:int8,\*:trim has codebooks to train"):
        subemb.adapt(model, subemb.compress(model, tiers="4:int8,*:trim"), sentences(), steps=2)


class Stop:
    """A callback that asks to stop at the n-th message about training."""

    def __init__(self, after: int):
        self.left = after

    def __call__(self, message: Progress) -> bool:
        self.left -= message.stage == "training"
        return self.left < 0


@pytest.mark.slow
@pytest.mark.parametrize(("train", "stops"), [("codebooks", (3, 50)), ("everything", (1, 60, 2))])
def test_stopping_and_going_on_gives_what_no_stop_gives(model, compressed, tmp_path, train, stops):
    settings = AdaptationSettings(steps=110, train=train, batch_size=32)
    whole = subemb.adapt(model, compressed, sentences(), settings=settings)
    for after in stops:
        with pytest.raises(Cancelled):
            subemb.adapt(model, compressed, sentences(), settings=settings, folder=tmp_path, progress=Stop(after))
    resumed = subemb.adapt(model, compressed, sentences(), settings=settings, folder=tmp_path)
    assert resumed.identity == whole.identity
    untimed = [{k: v for k, v in point.items() if k != "seconds"} for point in resumed.facts["history"]]
    assert untimed == [{k: v for k, v in point.items() if k != "seconds"} for point in whole.facts["history"]]


@pytest.mark.slow
def test_codes_that_were_found_are_kept_before_the_first_step(model, tmp_path, monkeypatch):
    from subemb.adaptation import session

    compressed = subemb.compress(model.table, "cluster", 3)
    settings = AdaptationSettings(steps=20)
    first = Session(model, compressed, text_of(sentences()), settings, folder=tmp_path)
    first.open()
    (found,) = first.trainer.student.codes
    assert not torch.equal(found.long(), compressed.codes.long())
    monkeypatch.setattr(session, "sensitive_codes", None)  # not to be called again
    again = Session(model, compressed, text_of(sentences()), settings, folder=tmp_path)
    again.open()
    assert again.trainer.step == 0
    assert torch.equal(again.trainer.student.codes[0], found)
    assert all(map(torch.equal, again.trainer.student.codebooks, first.trainer.student.codebooks))


@pytest.mark.slow
def test_a_checkpoint_of_another_adaptation_is_not_gone_on_with(model, compressed, tmp_path):
    given = {"text": sentences(), "steps": 20, "seed": 1, "folder": tmp_path}
    with pytest.raises(Cancelled):
        subemb.adapt(model, compressed, progress=Stop(3), **given)
    kept = (tmp_path / STATE_FILE).read_bytes()
    another = subemb.compress(model.table, "cluster", 3, 16, seed=5)
    for change, table in (
        ({"steps": 21}, compressed),
        ({"seed": 2}, compressed),
        ({"text": sentences(seed=5)}, compressed),
        ({"text": None}, compressed),
        ({"scored": graded_pairs(model)}, compressed),
        ({"objective": "similarity", "text": None, "labelled": graded_pairs(model)}, compressed),
        ({}, another),
    ):
        with pytest.raises(InputError, match="is of another adaptation"):
            subemb.adapt(model, table, **(given | change))
    assert (tmp_path / STATE_FILE).read_bytes() == kept
    whole = subemb.adapt(model, compressed, **(given | {"folder": None}))
    assert (
        subemb.adapt(model, compressed, device="cpu", **given).identity == whole.identity
    )  # where it computes decides nothing


@pytest.mark.slow
def test_stopping_at_a_score_and_going_on_gives_what_no_stop_gives(model, compressed, tmp_path):
    given = {"settings": AdaptationSettings(steps=60), "scored": graded_pairs(model)}
    whole = subemb.adapt(model, compressed, sentences(), **given)
    asked = []

    def stop_at_the_fourth_score(message: Progress) -> bool:
        asked.append(message.stage)
        return asked.count("scoring the labelled set") == 4

    with pytest.raises(Cancelled):
        subemb.adapt(model, compressed, sentences(), folder=tmp_path, progress=stop_at_the_fourth_score, **given)
    assert asked.count("training") > 10
    resumed = subemb.adapt(model, compressed, sentences(), folder=tmp_path, **given)
    assert resumed.identity == whole.identity
    assert resumed.facts["best_step"] == whole.facts["best_step"]
    assert [point.get("score") for point in resumed.facts["history"]] == [
        point.get("score") for point in whole.facts["history"]
    ]


def graded_pairs(model) -> PairSet:
    """Pairs whose gold scores are the original's own cosines: the original's Spearman is 100."""
    first, second = sentences(40, seed=7), sentences(40, seed=8)
    a, b = (torch.nn.functional.normalize(torch.from_numpy(model.encode(side))) for side in (first, second))
    return PairSet("made", "similarity", "made", tuple(first), tuple(second), (a * b).sum(1).numpy())


@pytest.mark.slow
def test_the_best_weights_are_kept(model, compressed):
    pairs = graded_pairs(model)
    adapted = subemb.adapt(model, compressed, sentences(), steps=120, codebook_rate=0.5, scored=pairs)  # so high that it harms
    facts = Adaptation.from_dict(adapted.facts)
    scored = {point["step"]: point["score"] for point in facts.history if "score" in point}
    assert len(scored) >= 6
    assert facts.scores["adapted"] == pytest.approx(max(scored.values()), abs=1e-9)
    assert scored[facts.best_step] == max(scored.values())
    assert facts.scores["original"] == pytest.approx(100)
    assert list(scored.values())[-1] < max(scored.values())


def test_nobody_learns_the_sentences_they_are_asked_afterwards(model):
    pairs = graded_pairs(model)
    text = text_of([*sentences(30), pairs.first[0].upper(), f"  {pairs.second[3]} "])
    left = text.without(pairs)
    asked = {sentence.casefold() for sentence in (*pairs.first, *pairs.second)}
    assert not asked & {sentence.casefold() for sentence in left.sentences}
    assert set(text.sentences) - set(left.sentences) >= {pairs.first[0].upper(), pairs.second[3]}


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_with_the_last_good_checkpoint(model, compressed, tmp_path, monkeypatch):
    from subemb.adaptation import objectives

    settings = AdaptationSettings(steps=40)
    with pytest.raises(Cancelled):
        subemb.adapt(model, compressed, sentences(), settings=settings, folder=tmp_path, progress=Stop(10))
    good = (tmp_path / STATE_FILE).read_bytes()
    monkeypatch.setattr(objectives, "RELATION", float("nan"))
    with pytest.raises(InputError, match=r"the loss is nan after 11 steps.*learning rate"):
        subemb.adapt(model, compressed, sentences(), settings=settings, folder=tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == good


def test_weights_that_are_no_numbers_are_never_saved(model, compressed, tmp_path):
    session = Session(model, compressed, text_of(sentences()), AdaptationSettings(steps=40), folder=tmp_path)
    session.open()
    session.save()
    good = (tmp_path / STATE_FILE).read_bytes()
    with torch.no_grad():
        session.trainer.student.codebooks[0][0, 0] = float("inf")
    with pytest.raises(InputError, match=r"codebooks\.0 holds NaN or infinity"):
        session.save()
    assert (tmp_path / STATE_FILE).read_bytes() == good


def test_a_full_disk_is_said_and_the_old_checkpoint_stays(model, compressed, tmp_path, monkeypatch):
    import os

    session = Session(model, compressed, text_of(sentences()), AdaptationSettings(steps=40), folder=tmp_path)
    session.open()
    session.save()
    good = (tmp_path / STATE_FILE).read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"bytes\) could not be written.*No space left.*free some space"):
        session.save()
    monkeypatch.undo()
    assert (tmp_path / STATE_FILE).read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]
    assert read_state(tmp_path) is not None


def test_a_damaged_checkpoint_is_refused(model, compressed, tmp_path):
    (tmp_path / STATE_FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="damaged"):
        subemb.adapt(model, compressed, sentences(), steps=5, folder=tmp_path)


def test_what_cannot_be_adapted_is_said(model, compressed):
    with pytest.raises(InputError, match="int8 has no codebooks to train"):
        subemb.adapt(model, subemb.compress(model.table, "int8"), sentences(), steps=5)
    with pytest.raises(InputError, match="has 3 different sentences; give at least 8"):
        subemb.adapt(model, compressed, ["a", "b", "c", "a"], steps=5)
    with pytest.raises(InputError, match="sentence 1 of the text is 7"):
        subemb.adapt(model, compressed, ["a", 7], steps=5)
    with pytest.raises(InputError, match="20 tokens x 16"):
        subemb.adapt(model, subemb.compress(model.table[:20], "product", 2, 4), sentences(), steps=5)
    with pytest.raises(InputError, match="last_layers is 9"):
        subemb.adapt(model, compressed, sentences(), steps=5, train="last", last_layers=9)
    table = subemb.PretrainedModel.from_table(model.table)
    with pytest.raises(subemb.base.errors.ModelError, match="no tokenizer"):
        subemb.adapt(table, compressed, sentences(), steps=5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": "all"}, "train is 'all'"),
        ({"seconds": 0}, "seconds is 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"seconds": None}, "neither seconds nor steps"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"codebook_rate": -1}, "codebook_rate is -1"),
        ({"reassign": 1}, "reassign is 1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_say_what_is_wrong(values, message):
    with pytest.raises(InputError, match=message):
        AdaptationSettings(**values)


@pytest.mark.slow
def test_a_masked_word_head_gets_its_words_back(tmp_path):
    original = subemb.load(masked_models.trained() / "animals")
    questions = masked_models.questions()
    compressed = subemb.compress(original.table, "product", 2, 6)

    def right(side) -> int:
        tokenizer, network = side.tokenizer, side.network("masked")
        ids = tokenizer([text for text, _ in questions], return_tensors="pt", padding=True)
        with torch.no_grad():
            logits = network(**ids).logits[ids["input_ids"] == tokenizer.mask_token_id]
        return sum(
            tokenizer.convert_ids_to_tokens(int(best)) == answer
            for best, (_, answer) in zip(logits.argmax(-1), questions, strict=True)
        )

    adapted = subemb.adapt(original, compressed, masked_models.sentences(), steps=300, codebook_rate=2e-2, reassign=False)
    assert right(original) == len(questions)
    assert right(subemb.attach(original, compressed)) < right(adapted)
    adapted.save_pretrained(tmp_path / "out")
    assert right(subemb.load(tmp_path / "out")) == right(adapted)


@pytest.mark.slow
def test_a_sentence_model_that_began_as_a_masked_one_learns_sentence_vectors(tmp_path):
    """Many have a masked-word head by their config.json, which their authors neither trained nor kept."""
    shutil.copytree(masked_models.trained() / "animals", tmp_path / "animals")
    original = subemb.load(make_sentence_model(tmp_path / "animals"))
    assert original.has_head("masked")
    texts = masked_models.sentences()
    objective = distillation_for(original, original.token_ids(texts), AdaptationSettings())
    assert isinstance(objective, SentenceVectors)
    compressed = subemb.compress(original.table, "product", 2, 6)
    adapted = subemb.adapt(original, compressed, texts, steps=60, codebook_rate=1e-2)
    assert mean_cosine(original, adapted, texts) > mean_cosine(original, subemb.attach(original, compressed), texts)


@pytest.mark.slow
def test_a_classifier_gets_its_probabilities_back(tmp_path):
    from entailment_models import made_pairs, make_classifier

    from subemb.evaluate.entailment.engines import engine_for

    original = subemb.load(make_classifier(tmp_path / "classifier"))
    compressed = subemb.compress(original.table, "arbitrary", 2)
    pairs = made_pairs()
    adapted = subemb.adapt(original, compressed, text_of_pairs(pairs), steps=300, codebook_rate=2e-2)

    def error(side) -> float:
        wanted, found = (engine_for(one).probabilities(pairs.first, pairs.second) for one in (original, side))
        return float(np.abs(wanted - found).mean())

    assert error(adapted) < 0.5 * error(subemb.attach(original, compressed))
