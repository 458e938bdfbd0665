"""Fine-tuning: losses worked by hand and against others' code, the original trained alike, what is held out, stopping anywhere."""

import math
import warnings

import masked_models
import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model
from entailment_models import made_pairs, make_classifier, make_encoder, train_quick_head, training_pairs

import subemb
from subemb.adaptation import AdaptationSettings, text_of
from subemb.adaptation.material import material_of, pairs_without
from subemb.adaptation.objectives import MaskedText, drawn_masks, label_loss, order_loss
from subemb.adaptation.result import Adaptation
from subemb.adaptation.scoring import MaskedWordScore, score_of
from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.evaluate.data.pairs import TWO_WAY_LABELS, PairSet
from subemb.models.sentences import padded

NAMES = [word for word in WORDS if word.isalpha()]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = make_bert(tmp_path_factory.mktemp("models") / "small", [*SPECIAL, *WORDS])
    return subemb.load(make_sentence_model(folder))


@pytest.fixture(scope="module")
def compressed(model):
    return subemb.compress(model.table, "cluster", 2, 8)


def graded(count: int = 120, seed: int = 0) -> PairSet:
    """Pairs whose score is how many of the five words of one are in the other."""
    generator = np.random.default_rng(seed)
    first, second, gold = [], [], []
    for number in range(count):
        words = generator.choice(NAMES, 10, replace=False)
        shared = number % 6
        first.append(" ".join(words[:5]) + f" {number}")
        second.append(" ".join([*words[:shared], *words[5 : 10 - shared]]) + f" {number}")
        gold.append(float(shared))
    return PairSet("graded", "similarity", "made", tuple(first), tuple(second), np.array(gold))


def test_the_order_loss_worked_by_hand():
    cosines = torch.tensor([0.5, 0.1])
    assert float(order_loss(cosines, torch.tensor([0.0, 1.0]))) == pytest.approx(math.log1p(math.exp(20 * 0.4)), rel=1e-6)
    assert float(order_loss(cosines, torch.tensor([1.0, 0.0]))) == pytest.approx(math.log1p(math.exp(-20 * 0.4)), abs=1e-6)


def test_pairs_of_one_gold_value_teach_nothing():
    cosines = torch.tensor([0.5, 0.1], requires_grad=True)
    loss = order_loss(cosines, torch.tensor([2.0, 2.0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert cosines.grad.tolist() == [0, 0]


def test_the_order_loss_is_that_of_sentence_transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has moved between versions
        from sentence_transformers.losses import CoSENTLoss

    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 20, 6, generator=generator)
    gold = torch.randint(0, 5, (20,), generator=generator).double()
    theirs = CoSENTLoss(torch.nn.Identity()).compute_loss_from_embeddings([first, second], gold)
    ours = order_loss(torch.nn.functional.cosine_similarity(first, second), gold)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_the_label_loss_in_three_ways_and_in_two():
    logits = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]).log()
    assert float(label_loss(logits, torch.tensor([2, 0]), 3)) == pytest.approx(-(math.log(0.5) + math.log(0.6)) / 2, rel=1e-6)
    # not_entailment is neutral and contradiction together
    assert float(label_loss(logits, torch.tensor([1, 0]), 2)) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2, rel=1e-6)
    two = torch.tensor([[0.9, 0.1], [0.4, 0.6]]).log()
    assert float(label_loss(two, torch.tensor([0, 2]), 3)) == pytest.approx(-(math.log(0.9) + math.log(0.6)) / 2, rel=1e-6)


def test_a_two_way_set_is_scored_as_two_ways(tmp_path):
    model = subemb.load(make_classifier(tmp_path / "classifier"))
    pairs = made_pairs()
    gold = np.minimum(pairs.gold, 1)
    two = PairSet("two", "entailment", "made", pairs.first, pairs.second, gold, TWO_WAY_LABELS)
    from subemb.evaluate.entailment.engines import engine_for

    entailed = engine_for(model).probabilities(two.first, two.second)[:, 0] > 0.5
    assert score_of(model, two) == pytest.approx(100 * float((entailed == (gold == 0)).mean()))


def test_masks_are_the_share_that_is_said_and_never_special():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 50, (400, 30), generator=generator)
    ids[:, 0], ids[:, -3:] = 2, 0
    mask = (torch.arange(30) < 27).long().expand(400, 30)
    chosen = drawn_masks(ids, mask, [0, 1, 2, 3, 4], generator)
    assert not chosen[:, 0].any()
    assert not chosen[:, 27:].any()
    assert bool(chosen.any(1).all())
    assert float(chosen[:, 1:27].float().mean()) == pytest.approx(0.15, abs=0.01)


class Watched:
    """A model that notes what its network with a head is shown."""

    device = torch.device("cpu")

    def __init__(self, model):
        self.model, self.shown = model, []

    def logits_at(self, head, ids, mask, chosen):
        self.shown.append({"input_ids": ids, "attention_mask": mask})
        return self.model.logits_at(head, ids, mask, chosen)


@pytest.mark.slow
def test_the_masked_loss_is_that_of_transformers_on_what_the_network_is_shown(animals):
    rows = animals.token_ids(masked_models.sentences() * 8)
    objective, watched = MaskedText(animals, rows), Watched(animals)
    places = list(range(len(rows)))
    loss = objective.loss(watched, places, torch.Generator().manual_seed(3))
    (shown,) = watched.shown
    true = torch.zeros_like(shown["input_ids"])
    for place, row in enumerate(rows):
        true[place, : len(row)] = torch.tensor(row)
    # The same draws again say which tokens count.
    chosen = drawn_masks(true, shown["attention_mask"], animals.tokenizer.all_special_ids, torch.Generator().manual_seed(3))
    theirs = animals.network("masked")(**shown, labels=true.masked_fill(~chosen, -100)).loss
    assert float(loss.detach()) == pytest.approx(float(theirs.detach()), rel=1e-5)
    seen = shown["input_ids"][chosen]
    assert float((seen == animals.tokenizer.mask_token_id).float().mean()) == pytest.approx(0.8, abs=0.06)
    assert float((seen == true[chosen]).float().mean()) == pytest.approx(0.1, abs=0.05)
    assert torch.equal(shown["input_ids"][~chosen], true[~chosen])


@pytest.mark.slow
def test_similarity_is_learned_and_the_original_learns_alike(model, compressed):
    vectors, table = model.encode(NAMES), model.table.clone()
    scored = graded(60, seed=9)
    adapted = subemb.adapt(
        model, compressed, labelled=graded(), objective="similarity", scored=scored, steps=80, codebook_rate=1e-2,
        network_rate=5e-3, train="norms", reassign=False,
    )  # fmt: skip
    facts = Adaptation.from_dict(adapted.facts)
    assert list(facts.scores) == ["original", "fine-tuned original", "compressed", "adapted"]
    assert facts.scores["adapted"] > facts.scores["compressed"]
    assert facts.scores["fine-tuned original"] > facts.scores["original"]
    assert facts.scores["adapted"] == pytest.approx(score_of(adapted, scored))
    assert facts.text["pairs"] == 120
    assert facts.learned_from == "120 labelled pairs"
    assert facts.original_history[-1]["step"] == facts.steps == 80
    assert facts.scores["fine-tuned original"] == max(point.get("score", 0) for point in facts.original_history)
    assert np.array_equal(model.encode(NAMES), vectors)
    assert torch.equal(model.table, table)


def test_a_part_is_held_out_where_nothing_else_is_scored(model, compressed):
    pairs = graded()
    material = material_of(model, None, pairs, AdaptationSettings("similarity", steps=3), None)
    assert (material.scored.facts["pairs"], material.learned["pairs"]) == (12, 108)
    held = material.scored.pairs
    free = [pair for pair in zip(pairs.first, pairs.second, strict=True) if pair[0] not in held.first]
    assert material.rows == model.token_ids([*(first for first, _ in free), *(second for _, second in free)])
    assert len(material.lengths) == 108
    assert set(zip(held.first, held.second, strict=True)) < set(zip(pairs.first, pairs.second, strict=True))
    again = material_of(model, None, pairs, AdaptationSettings("similarity", steps=3), None)
    assert again.scored.pairs == held


def test_pairs_with_a_scored_sentence_are_not_learned_from():
    pairs = graded()
    scored = PairSet("scored", "similarity", "made", (pairs.first[3].upper(),), (f" {pairs.second[7]}",), np.array([1.0]))
    left = pairs_without(pairs, scored)
    assert len(left) == 118
    assert pairs.first[3] not in left.first
    assert pairs.second[7] not in left.second
    with pytest.raises(InputError, match="0 of the 120 pairs of graded have no sentence in common"):
        pairs_without(pairs, pairs)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["classifier", "head"])
def test_entailment_is_learned(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))
    if engine == "classifier":
        model = subemb.load(make_classifier(tmp_path / "model"))
    else:
        make_encoder(tmp_path / "model")
        train_quick_head(tmp_path / "model")
        model = subemb.load(tmp_path / "model")
    compressed = subemb.compress(model.table, "product", 2, 6)
    pairs = training_pairs()
    adapted = subemb.adapt(
        model, compressed, labelled=pairs, objective="entailment", steps=150, codebook_rate=2e-2, network_rate=5e-3,
        train="everything",
    )  # fmt: skip
    scores = adapted.facts["scores"]
    assert scores["adapted"] > scores["compressed"]
    assert scores["adapted"] > 60  # three labels: a third is chance
    assert scores["fine-tuned original"] >= scores["original"]
    adapted.save_pretrained(tmp_path / "out")
    assert score_of(subemb.load(tmp_path / "out"), pairs) == pytest.approx(score_of(adapted, pairs))


@pytest.mark.slow
def test_masked_words_are_learned(animals):
    compressed = subemb.compress(animals.table, "product", 2, 6)
    text = text_of([*masked_models.sentences(), *(f"a {animal} says {sound} ." for animal, sound, _ in masked_models.FACTS)])
    adapted = subemb.adapt(
        animals, compressed, text, objective="masked", steps=250, codebook_rate=2e-2, reassign=False, seed=1
    )  # fmt: skip
    facts = Adaptation.from_dict(adapted.facts)
    assert facts.scored["task"] == "masked"
    assert facts.scored_count == f"{facts.scored['pairs']} masked tokens"
    assert facts.scores["adapted"] > facts.scores["compressed"]
    assert "held out" in facts.scored["name"]


def test_the_masked_score_is_a_count(animals):
    texts = [text.replace("[MASK]", answer) for text, answer in masked_models.questions()]
    asked = MaskedWordScore(animals, animals.token_ids(texts), "questions", None, 0)
    right = total = 0
    for ids, mask, chosen in asked._batches:
        for row, own, places in zip(ids, mask, chosen, strict=True):
            shown = row.clone()
            shown[places] = animals.tokenizer.mask_token_id
            with torch.no_grad():
                best = animals.network("masked")(input_ids=shown[None], attention_mask=own[None]).logits[0].argmax(-1)
            right += int((best == row)[places].sum())
            total += int(places.sum())
    assert asked.facts["pairs"] == total >= len(texts)
    assert asked.score(animals) == pytest.approx(100 * right / total)


def test_answers_to_masks_stand_in_the_order_of_the_sentences_however_long_they_are(animals):
    texts = [text.replace("[MASK]", answer) for text, answer in masked_models.questions()]
    rows = animals.token_ids([" ".join(texts[place : place + 1 + place % 3]) for place in range(12)])
    assert len({len(row) for row in rows}) > 2
    ids, mask = padded(rows, animals.tokenizer.pad_token_id)
    chosen = drawn_masks(ids, mask, animals.tokenizer.all_special_ids, torch.Generator().manual_seed(0))
    gold, best, right = [], [], []
    for row, masks in zip(rows, chosen, strict=True):  # each sentence alone
        tokens, masks = torch.tensor(row), masks[: len(row)]
        with torch.no_grad():
            logits = animals.network("masked")(
                input_ids=tokens.masked_fill(masks, animals.tokenizer.mask_token_id)[None]
            ).logits
        gold += tokens[masks].tolist()
        best += logits[0][masks].argmax(-1).tolist()
        right += logits[0][masks].log_softmax(-1).gather(1, tokens[masks][:, None])[:, 0].tolist()
    asked = MaskedWordScore(animals, rows, "questions", None, 0)
    assert asked.gold.tolist() == gold
    guessed, found = asked.answers(animals)
    assert guessed.tolist() == best
    assert found == pytest.approx(right, abs=1e-4)


class StopIn:
    """Asks to stop at the n-th message of a stage."""

    def __init__(self, stage: str, after: int):
        self.stage, self.left = stage, after

    def __call__(self, message) -> bool:
        self.left -= message.stage == self.stage
        return self.left < 0


@pytest.mark.slow
def test_stopping_in_either_training_and_going_on_gives_what_no_stop_gives(model, compressed, tmp_path):
    settings = AdaptationSettings("similarity", steps=30, train="norms", batch_size=16)
    whole = subemb.adapt(model, compressed, labelled=graded(), settings=settings)
    for stop in (StopIn("training", 7), StopIn("training the original", 2), StopIn("training the original", 11)):
        with pytest.raises(Cancelled):
            subemb.adapt(model, compressed, labelled=graded(), settings=settings, folder=tmp_path, progress=stop)
    resumed = subemb.adapt(model, compressed, labelled=graded(), settings=settings, folder=tmp_path)
    assert resumed.identity == whole.identity
    assert resumed.facts["scores"] == whole.facts["scores"]
    for name in ("history", "original_history"):
        untimed = [
            [{k: v for k, v in point.items() if k != "seconds"} for point in one.facts[name]] for one in (resumed, whole)
        ]
        assert untimed[0] == untimed[1]


@pytest.mark.slow
def test_half_of_a_time_budget_is_for_the_original(model, compressed):
    given = {"labelled": graded(), "objective": "similarity", "reassign": False}
    facts = Adaptation.from_dict(subemb.adapt(model, compressed, seconds=3.0, **given).facts)
    assert facts.seconds < 1.5 * 1.25 + 1
    assert facts.original_history[-1]["step"] == facts.steps > 5


@pytest.mark.slow
def test_a_budget_that_the_search_for_codes_uses_up_still_trains_both(model, compressed):
    adapted = subemb.adapt(model, compressed, labelled=graded(), objective="similarity", seconds=1e-3)
    facts = Adaptation.from_dict(adapted.facts)
    assert facts.original_history[-1]["step"] == facts.steps >= 1
    assert facts.reassigned > 0
    assert set(facts.scores) == {"original", "fine-tuned original", "compressed", "adapted"}


def test_what_does_not_go_together_is_said(model, compressed, animals):
    pairs, sentences = graded(), [f"{a} {b}" for a in NAMES[:4] for b in NAMES[4:8]]
    with pytest.raises(InputError, match="learns from labelled pairs; give a file"):
        subemb.adapt(model, compressed, sentences, objective="similarity", steps=3)
    with pytest.raises(InputError, match=r"graded has pairs for similarity; .* needs them for entailment"):
        subemb.adapt(model, compressed, labelled=pairs, objective="entailment", steps=3)
    with pytest.raises(ModelError, match="subemb train-head"):
        subemb.adapt(model, compressed, labelled=made_pairs(), objective="entailment", steps=3)
    with pytest.raises(InputError, match="reads no labels"):
        subemb.adapt(model, compressed, labelled=pairs, steps=3)
    with pytest.raises(InputError, match="has no masked-word head"):
        subemb.adapt(model, compressed, sentences, objective="masked", steps=3)
    with pytest.raises(InputError, match="needs a text"):
        subemb.adapt(animals, subemb.compress(animals.table, "product", 2, 6), objective="masked", steps=3)
    with pytest.raises(InputError, match="9 are too few"):
        subemb.adapt(model, compressed, labelled=pairs.select(range(9)), objective="similarity", steps=3)
