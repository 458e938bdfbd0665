"""Word similarity on the tables themselves, in all schemes of tokenizers."""

import json

import numpy as np
import pytest
from checkpoints import make_bert, make_gpt2, make_roberta, make_xlmr
from scipy import stats
from shared import shared_path

from subemb.base.errors import InputError, ModelError
from subemb.codec import attach, compress
from subemb.evaluate.data.pairs import Skipped, WordSet
from subemb.evaluate.similarity.words import ONE_PIECE, SEVERAL_PIECES, WordReport, evaluate_words, word_pieces, word_vectors
from subemb.models.load import load
from subemb.models.model import PretrainedModel


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(make_bert(tmp_path_factory.mktemp("models") / "bert", dim=24))


PAIRS = (
    ("cat", "dog", 7.0),
    ("cat", "Bird", 5.0),  # the tokenizer makes it lower case
    ("dogs", "cats", 8.0),  # two pieces each
    ("unbelievable", "old", 1.0),  # three pieces
    ("cat", "zebra", 3.0),  # unknown
    ("tree", "river", 4.5),
    ("green", "blue", 6.0),
    ("house", "table", 2.0),
)
WORDS = WordSet("list", *zip(*PAIRS, strict=True), skipped=(Skipped("too few fields", 1, (3,)),))


@pytest.fixture(scope="module")
def report(model):
    small = attach(model, compress(model.table, method="product", subspaces=4, codebook_size=4, weights="none"))
    return evaluate_words({"original": model, "compressed": small}, WORDS, resamples=100)


def test_pieces_are_counted_and_unknown_words_left_out(report):
    assert report.unknown == ("zebra",)
    assert [PAIRS[place][:2] for place in report.used] == [pair[:2] for pair in PAIRS if "zebra" not in pair]
    assert report.piece_counts == {1: 10, 2: 2, 3: 1}
    assert report.has_several_pieces.tolist() == [False, False, True, True, False, False, False]
    assert len(report) == 7


def test_cosines_are_of_the_mean_of_the_rows(report, model):
    table, ids = model.table.numpy().astype(np.float64), model.tokenizer.get_vocab()

    def vector(*pieces):
        return table[[ids[piece] for piece in pieces]].mean(0)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    expected = [
        cosine(vector("cat"), vector("dog")),
        cosine(vector("cat"), vector("bird")),
        cosine(vector("dog", "##s"), vector("cat", "##s")),
        cosine(vector("un", "##believ", "##able"), vector("old")),
    ]
    np.testing.assert_allclose(report.cosines["original"][:4], expected, atol=1e-6)


def test_the_compressed_side_is_its_reconstruction(report, model):
    small = attach(model, compress(model.table, method="product", subspaces=4, codebook_size=4, weights="none"))
    plain = PretrainedModel.from_table(small.table)
    found = word_vectors(plain, report.pieces)
    left, right = (np.stack([found[PAIRS[place][side]] for place in report.used]) for side in (0, 1))
    np.testing.assert_allclose(report.cosines["compressed"], (left * right).sum(1), atol=1e-6)


def test_scores_are_spearman_of_the_measured_pairs(report):
    gold = [PAIRS[place][2] for place in report.used]
    for side in report.sides:
        expected = stats.spearmanr(gold, report.cosines[side]).statistic
        assert report.scores[side].values["spearman"] == pytest.approx(expected)
    single = ~report.has_several_pieces
    expected = stats.spearmanr(report.gold[single], report.cosines["compressed"][single]).statistic
    assert report.by_pieces[ONE_PIECE]["compressed"].values["spearman"] == pytest.approx(expected)
    assert SEVERAL_PIECES in report.by_pieces
    interval = report.scores["compressed"].differences["spearman"]
    assert interval.low <= interval.difference <= interval.high


def test_byte_level_words_have_the_blank_of_a_sentence(tmp_path):
    for make in (make_roberta, make_gpt2):
        model = load(make(tmp_path / make.__name__))
        tokenizer = model.tokenizer
        sentence = tokenizer("on the river", add_special_tokens=False)["input_ids"]
        on, the, river = (ids for ids in word_pieces(model, ["on", "the", "river"]))
        assert list(the) + list(river) == sentence[-len(the) - len(river) :]
        assert on != tuple(tokenizer("on", add_special_tokens=False)["input_ids"])


def test_sentencepiece_words_have_one_blank_only(tmp_path):
    model = load(make_xlmr(tmp_path / "xlmr"))
    raw = model.vocabulary.raw
    (ids,) = word_pieces(model, ["river"])
    assert [raw[number] for number in ids] == ["▁river"]
    assert word_pieces(model, ["猫猫猫"])[0] == () or model.tokenizer.unk_token_id not in word_pieces(model, ["猫猫猫"])[0]
    assert word_pieces(model, ["☃"]) == [()]


def test_a_word_without_pieces_or_without_a_row_is_unknown(model):
    assert word_pieces(model, ["\u200b", "cat"])[0] == ()
    short = PretrainedModel.from_table(model.table[:10])  # a bare table has no tokenizer of its own
    with pytest.raises(ModelError, match="no tokenizer"):
        word_pieces(short, ["cat"])


def test_a_list_in_another_language_is_refused(model):
    foreign = WordSet("foreign", ("ζ", "cat"), ("ξ", "dog"), [1, 2])
    with pytest.raises(InputError, match="both words of 1 of the 2 pairs"):
        evaluate_words({"original": model}, foreign)
    with pytest.raises(InputError, match="no side"):
        evaluate_words({}, WORDS)


def test_a_report_survives_json(report):
    again = WordReport.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False)))
    assert again.to_dict() == report.to_dict()
    assert again.pairs.skipped == WORDS.skipped
    assert (again.cosines["compressed"] == report.cosines["compressed"]).all()
    assert again.moved("compressed").tolist() == report.moved("compressed").tolist()
    with pytest.raises(InputError, match="no saved word report"):
        WordReport.from_dict({})


@pytest.mark.slow
def test_wordsim_on_the_bundled_table():
    from subemb import evaluate, load

    words = evaluate.read_words(shared_path("data/wordsim/EN-WS-353-ALL.txt"))
    found = evaluate_words({"original": load("all-MiniLM-L6-v2")}, words, resamples=10)
    assert len(found) == 353
    assert found.scores["original"].values["spearman"] > 0.6
