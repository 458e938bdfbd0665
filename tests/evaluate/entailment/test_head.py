"""Entailment heads: features, splits, training, the saved form, and the head that is shipped."""

import hashlib
import json
import shlex
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_language import made_pairs, make_encoder
from safetensors.torch import load_file, save_file
from shared import ROOT, shared_path

import subemb
from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.base.plain import given_flags
from subemb.evaluate.data.pairs import LABELS, PairSet
from subemb.evaluate.data.read import read_pairs
from subemb.evaluate.entailment.engines import HeadEngine, engine_for
from subemb.evaluate.entailment.head import EntailmentHead, HeadShape, features, unit_length
from subemb.evaluate.entailment.head_files import CARD_FILE, TENSORS_FILE, belongs, heads_for, load_head, read_card, save_head
from subemb.evaluate.entailment.head_settings import HeadSettings
from subemb.evaluate.entailment.head_training import same_sentence, sentence_groups, split_pairs, train_head
from subemb.evaluate.entailment.pairs import evaluate_entailment
from subemb.models import masked_head

QUICK = HeadSettings(
    members=2, projected=32, hidden=32, epochs=6, dropout=0.1, feature_dropout=0.0, learning_rate=5e-3, batch_size=32, scale=1.0
)
SHIPPED = ROOT / "assets" / "heads" / "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_encoder(tmp_path_factory.mktemp("head") / "encoder")


@pytest.fixture(scope="module")
def trained(model):
    return train_head(model, [made_pairs()], QUICK, name="made")[0]


@pytest.fixture
def saved(trained, tmp_path):
    return save_head(trained, tmp_path / "made")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBEMB_CACHE", str(tmp_path / "cache"))


# The network


def test_features_by_hand():
    found = features(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]]))
    assert found.tolist() == [[1.0, -2.0, 0.5, 3.0, 0.5, 5.0, 0.5, -6.0]]


def test_logits_are_those_of_a_naive_loop():
    shape = HeadShape(dim=5, members=3, projected=4, hidden=6)
    head, generator = EntailmentHead(shape), torch.Generator().manual_seed(0)
    for tensor in head.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    first, second = torch.randn(2, 7, 5, generator=generator).unbind()
    with torch.inference_mode():
        found = head(first, second)
    for row in range(7):
        u, v = ((x / x.norm() - head.mean) * head.scale for x in (first[row], second[row]))
        logits = []
        for m in range(3):
            a, b = head.projection[m] @ u, head.projection[m] @ v
            compared = torch.cat([a, b, (a - b).abs(), a * b])
            units = torch.relu(head.hidden_weight[m] @ compared + head.hidden_bias[m, 0])
            logits.append(head.output_weight[m] @ units + head.output_bias[m, 0])
        torch.testing.assert_close(found[row], sum(logits) / 3, rtol=1e-4, atol=1e-4)


def test_probabilities_are_a_softmax_in_our_order():
    head = EntailmentHead(HeadShape(2, 1, 2, 2))
    head.output_bias.data.copy_(torch.log(torch.tensor([0.5, 0.3, 0.2])).reshape(1, 1, 3))
    found = head.judge(np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.3, 0.2]] * 2, atol=1e-6)
    assert head.judge(np.zeros((0, 2)), np.zeros((0, 2))).shape == (0, 3)
    with pytest.raises(InputError, match="takes two"):
        head.judge(np.zeros((1, 3)), np.zeros((1, 3)))


def test_unit_length_keeps_zero_rows():
    assert unit_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


@pytest.mark.parametrize(
    "bad", [{"dim": 0}, {"dim": 4, "hidden": 0}, {"dim": 4, "members": 10**9}, {"dim": 4.0}, {"dim": True}]
)
def test_sizes_that_make_no_head(bad):
    with pytest.raises(InputError, match="whole number from 1 to"):
        HeadShape(**bad)


# Splits

texts = st.lists(st.sampled_from([*"abcdefghijklmnopqrstuvwxyz", "A", "b .", "Ü"]), min_size=30, max_size=60)


@pytest.mark.slow
@settings(max_examples=40)
@given(texts, texts, st.integers(0, 5))
def test_no_sentence_is_on_both_sides_of_a_split(first, second, seed):
    first, second = first[:30], second[:30]
    groups = sentence_groups(first, second)
    home = {}
    for one, other, group in zip(first, second, groups, strict=True):
        for text in (one, other):
            assert home.setdefault(same_sentence(text), group) == group
    pairs = PairSet("x", "entailment", "", first, second, [0] * 30, LABELS)
    try:
        split = split_pairs([pairs], 0.4, seed)
    except InputError:
        return  # everything hangs together
    parts = [set(part.tolist()) for part in (split.train, split.choose, split.report)]
    assert sorted(set.union(*parts)) == list(range(30))
    assert sum(map(len, parts)) == 30
    sentences = [{same_sentence(text) for place in part for text in (first[place], second[place])} for part in parts]
    assert not sentences[0] & sentences[1]
    assert not sentences[0] & sentences[2]
    assert not sentences[1] & sentences[2]


def test_every_data_set_is_split_and_the_shares_are_kept():
    sets = [made_pairs(500, seed=1, name="one"), made_pairs(200, seed=2, name="two")]
    split = split_pairs(sets, 0.2, 0)
    for part, share in ((split.choose, 0.1), (split.report, 0.1), (split.train, 0.8)):
        assert np.sum(part < 500) == pytest.approx(500 * share, abs=5)
        assert np.sum(part >= 500) == pytest.approx(200 * share, abs=5)
    again, other = split_pairs(sets, 0.2, 0), split_pairs(sets, 0.2, 1)
    assert np.array_equal(split.report, again.report)
    assert not np.array_equal(split.report, other.report)


def test_pairs_that_all_hang_together_cannot_be_split():
    with pytest.raises(InputError, match="leave a part empty"):
        split_pairs([PairSet("x", "entailment", "", ["same"] * 50, [str(i) for i in range(50)], [0] * 50, LABELS)], 0.2, 0)


# Training


@pytest.mark.slow
def test_a_made_language_is_learnt(model, trained):
    (found,) = trained.card["accuracy"]
    assert found["report_accuracy"] > 0.9
    fresh = made_pairs(300, seed=99)
    assert (engine_for(model, trained).probabilities(fresh.first, fresh.second).argmax(1) == fresh.gold).mean() > 0.9


@pytest.mark.slow
def test_what_is_learnt_survives_mild_compression_and_breaks_under_harsh(model, trained):
    mild = subemb.attach(model, subemb.compress(model.table, "int8"))
    harsh = subemb.attach(model, subemb.compress(model.table, "product", 1, 2, weights="none"))
    report = evaluate_entailment({"original": model, "mild": mild, "harsh": harsh}, made_pairs(300, seed=99), trained)
    assert report.scores["mild"].agreement > 0.97
    assert report.scores["harsh"].difference.high < -0.1
    assert report.scores["harsh"].mcnemar.p_value < 1e-6


@pytest.mark.slow
def test_equal_seeds_give_equal_heads_and_cards(model, trained):
    again, card = train_head(model, [made_pairs()], QUICK, name="made")
    assert card == trained.card
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in trained.state_dict().items())
    other, _ = train_head(model, [made_pairs()], HeadSettings(**{**card["settings"], "seed": 1, "epochs": 1}))
    assert not torch.equal(other.projection, trained.projection)


def test_training_leaves_the_global_random_state_alone(model):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_head(model, [made_pairs(90)], HeadSettings(**{**vars(QUICK), "epochs": 1}))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_the_card_says_what_was_done(model, trained):
    card = trained.card
    assert card["model"] == {"name": "encoder", "source": "folder", "revision": model.revision, "identity": model.identity}
    assert card["pairs"] == 600 == sum(card["split"].values())
    assert card["data"][0] | {"digest": ""} == {
        "file": "made.tsv",
        "format": "made here",
        "pairs": 600,
        "labels": dict.fromkeys(LABELS, 200),
        "skipped": 0,
        "digest": "",
    }
    assert HeadSettings(**card["settings"]) == QUICK
    assert 1 <= card["epoch"] <= QUICK.epochs
    assert "all pairs" in card["trained_on"]


@pytest.mark.slow
def test_without_refit_the_reported_accuracy_is_that_of_the_saved_head(model):
    pairs = made_pairs()
    head, card = train_head(model, [pairs], HeadSettings(**{**vars(QUICK), "refit": False, "epochs": 2}))
    chosen = pairs.select(split_pairs([pairs], 0.2, 0).report)
    right = engine_for(model, head).probabilities(chosen.first, chosen.second).argmax(1) == chosen.gold
    assert card["accuracy"][0]["report_accuracy"] == pytest.approx(right.mean(), abs=1e-4)
    assert "used for nothing else" in card["trained_on"]


def test_progress_tells_loss_and_accuracy_and_stops(model):
    seen = []
    train_head(
        model, [made_pairs(90)], HeadSettings(**{**vars(QUICK), "epochs": 2}), progress=lambda m: seen.append(m) and None
    )
    epochs = [message for message in seen if "loss" in message.values]
    assert [message.values["epoch"] for message in epochs] == [1, 2]
    assert all(0 <= message.values["accuracy"] <= 1 and message.values["loss"] > 0 for message in epochs)
    fractions = [message.fraction for message in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    with pytest.raises(Cancelled):
        train_head(model, [made_pairs(90)], QUICK, progress=lambda message: "epoch" in message.values)


def test_data_that_cannot_be_used(model):
    two_way = PairSet("rte.tsv", "entailment", "RTE", ["a"], ["b"], [0], ("entailment", "not_entailment"))
    scores = PairSet("sts.csv", "similarity", "STS benchmark", ["a"], ["b"], [1.0])
    some = made_pairs(90)
    for sets, message in (
        ([], "no pairs"),
        ([some, two_way], r"rte\.tsv has labels entailment, not_entailment"),
        ([scores], r"sts\.csv has pairs for similarity"),
        ([some.select(some.gold != 1)], "no pair is labelled neutral"),
    ):
        with pytest.raises(InputError, match=message):
            train_head(model, sets, QUICK)
    with pytest.raises(InputError, match="original table"):
        train_head(subemb.attach(model, subemb.compress(model.table, "int8")), [some], QUICK)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("dropout", 1.0),
        ("seed", -1),
        ("validation_share", 0.9),
        ("refit", "yes"),
        ("members", True),
    ],
)
def test_settings_out_of_range(name, value):
    with pytest.raises(InputError, match=rf"{name} is {value!r}"):
        HeadSettings(**{name: value})


# Files


def test_a_saved_head_comes_back_equal(model, trained, saved):
    back = load_head(saved, model)
    assert back.name == "made"
    assert {name: back.card[name] for name in trained.card} == trained.card
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, back.state_dict()[name]), name
    pairs = made_pairs(30)
    expected = engine_for(model, trained).probabilities(pairs.first, pairs.second)
    assert np.array_equal(engine_for(model, back).probabilities(pairs.first, pairs.second), expected)
    assert save_head(back, saved) == saved, "an older head may be replaced"


def test_ones_own_heads_are_found_by_model_and_name(model, trained, tmp_path):
    assert heads_for(model) == []
    folder = save_head(trained)
    assert folder == tmp_path / "cache" / "heads" / "made"
    assert [head.name for head in heads_for(model)] == ["made"]
    assert load_head("made").card == heads_for(model)[0].card
    assert engine_for(model).name == "entailment head made"
    assert engine_for(model, "made").name == engine_for(model).name
    compressed = subemb.attach(model, subemb.compress(model.table, "int8"))
    assert [head.name for head in heads_for(compressed)] == ["made"]
    with pytest.raises(InputError, match=r"'other'.*made"):
        engine_for(model, "other")
    (folder / TENSORS_FILE).write_bytes(b"damaged")
    assert heads_for(model) == []
    with pytest.raises(InputError, match="damaged"):
        load_head("made")


def test_a_head_of_another_model_is_refused(trained, saved, tmp_path):
    other = make_encoder(tmp_path / "other", dim=16)
    assert not belongs(trained.card, other)
    for refused in (lambda: load_head(saved, other), lambda: HeadEngine(other, trained), lambda: engine_for(other, trained)):
        with pytest.raises(InputError, match=r"encoder \([0-9a-f]{16}\)"):
            refused()
    assert heads_for(other) == []


def test_a_folder_of_the_same_content_under_another_name_keeps_its_head(model, trained, tmp_path):
    moved = subemb.load(str(shutil.copytree(model.folder, tmp_path / "renamed")))
    assert moved.identity != model.identity
    assert belongs(trained.card, moved)


def test_vectors_of_another_width_are_refused(model):
    head = EntailmentHead(HeadShape(7), card={"model": {"source": "folder", "identity": model.identity}})
    with pytest.raises(ModelError, match=r"of 32 numbers.*takes 7"):
        engine_for(model, head).probabilities(["the cat"], ["a cat"])


def _change_tensor(folder, name, change):
    tensors = load_file(folder / TENSORS_FILE)
    tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, folder / TENSORS_FILE)
    _change_card(folder, tensors_sha256=hashlib.sha256((folder / TENSORS_FILE).read_bytes()).hexdigest())


def _change_card(folder, **values):
    card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    (folder / CARD_FILE).write_text(json.dumps({**card, **values}), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: _change_tensor(f, "hidden_weight", lambda t: t[:, :, 1:]), r"hidden_weight is \(2, 32, 127\)"),
        (lambda f: _change_tensor(f, "mean", lambda t: t * float("nan")), "mean holds NaN"),
        (lambda f: _change_tensor(f, "output_bias", lambda t: t + float("inf")), "output_bias holds NaN or infinity"),
        (lambda f: _change_tensor(f, "scale", lambda t: -t), "above 0"),
        (lambda f: _change_tensor(f, "mean", lambda t: t.double()), "float64"),
        (lambda f: _change_card(f, tensors_sha256="0" * 64), "not the file"),
        (lambda f: _change_card(f, shape={"dim": 32}), "dim, members, projected and hidden"),
        (
            lambda f: _change_card(f, shape={"dim": 32, "members": 2, "projected": 32, "hidden": -1}),
            "hidden of an entailment head",
        ),
        (lambda f: _change_card(f, labels=["neutral", "entailment", "contradiction"]), "labels"),
        (lambda f: _change_card(f, subemb_head=2), "format 2"),
        (lambda f: _change_card(f, subemb_head=True), "format True"),
        (lambda f: _change_card(f, model={"name": "x"}), "whose sentence embeddings"),
        (lambda f: (f / CARD_FILE).write_text("[]"), "no card"),
        (lambda f: (f / CARD_FILE).write_text("{" * 100_000), "JSON"),
        (lambda f: (f / CARD_FILE).unlink(), "no entailment head"),
        (lambda f: (f / TENSORS_FILE).unlink(), "cannot be read"),
        (lambda f: (f / TENSORS_FILE).write_bytes((f / TENSORS_FILE).read_bytes()[:-5]), "cut off or damaged"),
    ],
)
def test_damaged_heads_are_refused_with_what_is_wrong(saved, damage, message):
    damage(saved)
    with pytest.raises(InputError, match=message):
        load_head(saved)


def test_folders_of_something_else_are_left_alone(trained, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        save_head(trained, taken)
    with pytest.raises(InputError, match="is a file"):
        save_head(trained, taken / "thesis.txt")
    assert [path.name for path in taken.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="'nowhere'"):
        load_head("nowhere")
    with pytest.raises(InputError, match="plain JSON"):
        save_head(EntailmentHead(HeadShape(2), card={"x": object()}), tmp_path / "bad")
    broken = EntailmentHead(HeadShape(2))
    broken.mean += float("nan")
    with pytest.raises(InputError, match="NaN"):
        save_head(broken, tmp_path / "bad")


# The shipped head


@pytest.fixture(scope="module")
def shipped():
    return load_head(SHIPPED)


def test_the_shipped_head_is_whole_and_small():
    card = read_card(SHIPPED)
    content = (SHIPPED / TENSORS_FILE).read_bytes()
    assert len(content) < 2_000_000
    assert hashlib.sha256(content).hexdigest() == card["tensors_sha256"]
    beside = {masked_head.TENSORS_FILE, masked_head.CARD_FILE}
    assert {path.name for path in SHIPPED.iterdir()} == {TENSORS_FILE, CARD_FILE, *beside}


def test_its_card_says_how_to_make_it_again():
    from subemb.cli import parser

    card = read_card(SHIPPED)
    command = shlex.split(card["command"])
    given = parser().parse_args(command[1:])
    assert given.model == "all-MiniLM-L6-v2" == card["model"]["name"]
    assert asdict(HeadSettings(**given_flags(given, HeadSettings))) == card["settings"]
    files = ["snli.dev.tsv", "all_combined.train.tsv", "SICK_train.txt", "xnli.dev.en.tsv"]
    assert [str(path) for path in given.data] == files, "names, not paths"
    assert [data["file"] for data in card["data"]] == [found["data"] for found in card["accuracy"]] == files
    assert [data["pairs"] for data in card["data"]] == [9842, 8330, 4500, 2490]
    assert card["pairs"] == 25_162 == sum(card["split"].values())
    assert len(card["licences"]) == len(files)


def test_its_accuracy_on_what_was_set_aside_is_that_of_a_usable_head():
    for found, least in zip(read_card(SHIPPED)["accuracy"], (0.69, 0.52, 0.72, 0.54), strict=True):
        assert found["report_accuracy"] >= least, found
        assert found["report_pairs"] > 200


def test_it_is_the_bundled_models_and_judges_obvious_pairs(shipped):
    model = subemb.load("all-MiniLM-L6-v2")
    assert [head.name for head in heads_for(model)] == ["all-MiniLM-L6-v2"]
    pairs = [
        ("A man is playing a guitar on a stage.", "A man is playing an instrument.", 0),
        ("Two dogs run through a field.", "Animals are outdoors.", 0),
        ("A woman is slicing a tomato.", "A woman is cutting a vegetable.", 0),
        ("A boy is sleeping in his bed.", "A boy is playing football outside.", 2),
        ("The street is empty.", "A crowd of people fills the street.", 2),
        ("A man is swimming in the sea.", "Nobody is swimming.", 2),
        ("A girl is eating an apple.", "A girl is eating an apple because she missed breakfast.", 1),
        ("A man walks down the street.", "A man is walking to his office.", 1),
        ("Two women are talking.", "Two women are talking about their holidays.", 1),
    ]
    premises, hypotheses, gold = zip(*pairs, strict=True)
    found = engine_for(model).probabilities(premises, hypotheses).argmax(1)
    assert (found == np.array(gold)).mean() >= 0.7


@pytest.mark.slow
def test_it_judges_pairs_that_it_was_not_trained_on(shipped):
    pairs = read_pairs(shared_path("data/sick/SICK_trial.txt"), task="entailment").sample(250)
    model = subemb.load("all-MiniLM-L6-v2")
    report = evaluate_entailment({"original": model}, pairs, shipped)
    assert report.scores["original"].accuracy > 0.7
