"""Masked words: fillings, divergences and what survives compression, against transformers' pipeline, scipy and made facts."""

import itertools

import masked_models
import numpy as np
import pytest
import torch
from checkpoints import (
    make_albert,
    make_bert,
    make_deberta,
    make_distilbert,
    make_electra,
    make_mpnet,
    make_roberta,
    make_xlmr,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_models import with_masked_head
from scipy.stats import rankdata as scipy_ranks

import subemb
from subemb.base.errors import InputError, ModelError
from subemb.codec.layers import SubspaceLinear
from subemb.evaluate.context.fill import MOST_MASKS, best_rank_of, entropy, fill, kl_divergence, rank_of
from subemb.evaluate.context.network import ContextSides
from subemb.evaluate.context.words import LONGEST_SENTENCE, mask_word, with_own_masks, words_of
from subemb.tasks.sides import sides_of

FAMILIES = {
    "bert": (make_bert, "BertForMaskedLM"),
    "distilbert": (make_distilbert, "DistilBertForMaskedLM"),
    "roberta": (make_roberta, "RobertaForMaskedLM"),
    "xlmr": (make_xlmr, "XLMRobertaForMaskedLM"),
    "electra": (make_electra, "ElectraForMaskedLM"),  # its table is half as wide as its hidden states
    "mpnet": (make_mpnet, "MPNetForMaskedLM"),
    "albert": (make_albert, "AlbertForMaskedLM"),
    "deberta": (make_deberta, "DebertaV2ForMaskedLM"),
}
SENTENCES = ("the cat [MASK] on the mat.", "<mask> birds are singing in [MASK]!")


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    for name, (make, class_name) in FAMILIES.items():
        with_masked_head(folder / name, make, class_name)
    return folder


def compressed_sides(model, **settings):
    settings = settings or {"method": "product", "subspaces": 2, "codebook_size": 8}
    return sides_of(model, subemb.compress(model.table, **settings))


def right_answers(sides) -> list[int]:
    """Of all questions about the made language, how many every side answers right."""
    sides = ContextSides(sides)
    questions, answers = zip(*masked_models.questions(), strict=True)
    wanted = torch.tensor(sides.tokenizer.convert_tokens_to_ids(list(answers)))
    rows = sides.tokenize(questions)
    places = [[row.index(sides.tokenizer.mask_token_id)] for row in rows]
    return [int((sides.logits(side, rows, places)[:, 0].argmax(-1) == wanted).sum()) for side in range(len(sides))]


# Against transformers


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_original_fills_as_transformers_pipeline_does(families, name):
    from transformers import pipeline

    model = subemb.load(families / name)
    sides = ContextSides({"original": model})
    peer = pipeline("fill-mask", model=str(families / name), top_k=10, device="cpu")
    for sentence in SENTENCES:
        own, _ = with_own_masks(model.tokenizer, sentence)
        expected = peer(own)
        expected = [expected] if isinstance(expected[0], dict) else expected
        filled = fill(sides, sentence)
        assert len(filled.masks) == len(expected)
        for mask, answers in zip(filled.masks, expected, strict=True):
            assert [one.token_id for one in mask.top(0)] == [answer["token"] for answer in answers]
            assert [one.probabilities[0] for one in mask.top(0)] == pytest.approx(
                [answer["score"] for answer in answers], abs=1e-5
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_head_asked_at_a_few_places_says_what_the_whole_network_says(families, name):
    """Padding beside it changes nothing, and the compressed table's whole network agrees too."""
    model = subemb.load(families / name)
    sides = compressed_sides(model)
    asked = ContextSides(sides)
    rows = asked.tokenize(["the cat sits on the mat.", "a dog"])
    positions = [[1, 3], [2, 1]]
    for side, one in enumerate(sides.values()):
        network = one.network("masked").eval()
        answers = asked.logits(side, rows, positions)
        for row, places, answer in zip(rows, positions, answers, strict=True):
            with torch.inference_mode():
                whole = network(torch.tensor([row])).logits[0, places]
            assert torch.allclose(answer.float(), whole, atol=2e-5)


# What is compressed


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_input_output_and_both_differ_and_nothing_compressed_is_the_original(families, name):
    model = subemb.load(families / name)
    sides = compressed_sides(model)
    seen = {}
    for input in (True, False):
        for output in (True, False):
            mask = fill(sides, SENTENCES[0], input=input, output=output).masks[0]
            seen[input, output] = [one.probabilities[1] for one in sorted(mask.fillings, key=lambda one: one.token_id)]
            assert (mask.kl[1] < 1e-12) == (not input and not output)
            assert mask.kl[0] == 0.0
    assert len({tuple(values) for values in seen.values()}) == 4


def test_the_tied_head_is_a_subspace_linear(families):
    model = subemb.load(families / "bert")
    sides = compressed_sides(model)
    for input in (True, False):
        asked = ContextSides(sides, input=input)
        head = asked._networks[1]._pointed.network.get_output_embeddings()
        assert isinstance(head, SubspaceLinear)
        assert asked.tables[1].head == "compressed"
        assert asked.tables[1].output
        assert asked.tables[1].input is input


def test_output_alone_is_the_dense_network_with_a_reconstructed_head(families):
    """By hand: the original's body and head, and at the very end hidden @ reconstruction.T + bias."""
    model = subemb.load(families / "bert")
    sides = compressed_sides(model)
    asked = ContextSides(sides, input=False)
    row = asked.tokenize(["the cat [MASK]"])[0]
    network = model.network("masked")
    with torch.inference_mode():
        hidden = network.cls.predictions.transform(network.bert(torch.tensor([row])).last_hidden_state)[0, 3]
        expected = hidden @ sides["compressed"].table.T + network.cls.predictions.bias
    assert torch.allclose(asked.logits(1, [row], [[3]])[0, 0].float(), expected, atol=1e-5)


@pytest.mark.slow
def test_a_head_with_a_table_of_its_own_stays_as_it_is(tmp_path):
    make_bert(tmp_path / "untied", masked_lm=True, tie_word_embeddings=False)
    model = subemb.load(tmp_path / "untied")
    sides = compressed_sides(model)
    assert not model.has_tied_head
    assert ContextSides(sides).tables[1].head == "own table"
    assert not ContextSides(sides).tables[1].output
    both = fill(sides, SENTENCES[0]).masks[0]
    assert both == fill(sides, SENTENCES[0], output=False).masks[0]
    with pytest.raises(InputError, match="the output alone cannot be compressed"):
        fill(sides, SENTENCES[0], input=False)


@pytest.mark.slow
def test_one_side_alone_and_three(families):
    model = subemb.load(families / "bert")
    alone = fill({"original": model}, SENTENCES[0]).masks[0]
    assert alone.kl == (0.0,)
    assert len(alone.fillings) == 10
    sides = {**compressed_sides(model), "adapted": compressed_sides(model, method="int8")["compressed"]}
    filled = fill(sides, SENTENCES[0])
    assert filled.sides == ("original", "compressed", "adapted")
    mask = filled.masks[0]
    assert mask.kl[1] > mask.kl[2] > 0
    assert [one.token_id for one in mask.top(0)] == [one.token_id for one in alone.top(0)]


def test_models_without_a_head_or_a_mask_are_refused(tmp_path):
    make_bert(tmp_path / "bare")
    with pytest.raises(ModelError, match="masked"):
        fill({"original": subemb.load(tmp_path / "bare")}, SENTENCES[0])
    make_bert(tmp_path / "maskless", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat"], masked_lm=True)
    with pytest.raises(ModelError, match="no mask token"):
        fill({"original": subemb.load(tmp_path / "maskless")}, SENTENCES[0])


# A right answer


@pytest.mark.slow
def test_right_answers_survive_mild_compression_and_break_under_harsh(animals):
    total = len(masked_models.questions())
    assert right_answers(compressed_sides(animals, method="int8")) == [total, total]
    many_codes = compressed_sides(animals, method="product", subspaces=16, codebook_size=48)
    assert right_answers(many_codes) == [total, total]
    harsh = right_answers(compressed_sides(animals, method="arbitrary", subspaces=3))
    assert harsh[0] == total
    assert harsh[1] <= total / 4


@pytest.mark.slow
def test_a_clicked_word_is_answered_with_itself(animals):
    sides = compressed_sides(animals, method="int8")
    filled = fill(sides, "the wolf says howl in the mountain .", word=3)
    mask = filled.masks[0]
    assert filled.sentence == "the wolf says [MASK] in the mountain ."
    assert (mask.masked, mask.masked_pieces, mask.masked_filling) == ("howl", 1, mask.top(0)[0])
    wrong = fill(sides, "the wolf says meow in the mountain .", word=3).masks[0]
    assert wrong.masked_filling.token == "meow"
    assert wrong.masked_filling.ranks[0] > 1


def test_the_masked_word_is_listed_even_if_nobody_would_guess_it(animals):
    mask = fill(compressed_sides(animals, method="int8"), "the wolf says pond .", k=3, word=3).masks[0]
    assert mask.masked_filling.ranks[0] > 3
    assert [len(mask.top(side)) for side in (0, 1)] == [3, 3]


# Numbers


@pytest.mark.slow
def test_ranks_unions_and_kept(families):
    model = subemb.load(families / "bert")
    sides = compressed_sides(model, method="arbitrary", subspaces=2)
    asked = ContextSides(sides)
    row = asked.tokenize([SENTENCES[0]])[0]
    position = row.index(model.tokenizer.mask_token_id)
    orders = [asked.logits(side, [row], [[position]])[0, 0].argsort(descending=True).tolist() for side in (0, 1)]
    mask = fill(asked, SENTENCES[0], k=5).masks[0]
    assert {one.token_id for one in mask.fillings} == {*orders[0][:5], *orders[1][:5]}
    for one in mask.fillings:
        assert one.ranks == tuple(order.index(one.token_id) + 1 for order in orders)
    assert [one.token_id for one in mask.top(1)] == orders[1][:5]
    assert mask.kept(1) == len({*orders[0][:5]} & {*orders[1][:5]})


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=2, max_size=50))
def test_divergence_and_entropy_are_scipys(pairs):
    from scipy.stats import entropy as peer

    first, second = torch.tensor(pairs, dtype=torch.float64).log_softmax(0).T
    assert kl_divergence(first, second) == pytest.approx(peer(first.exp().numpy(), second.exp().numpy()), rel=1e-6, abs=1e-9)
    assert entropy(first) == pytest.approx(peer(first.exp().numpy()), rel=1e-6, abs=1e-9)
    assert kl_divergence(first, first) == 0.0


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_ranks_count_every_token_once(values):
    answer = torch.tensor(values, dtype=torch.float64)
    order = sorted(range(len(values)), key=lambda token: (-values[token], token))
    assert [rank_of(answer, token) for token in order] == list(range(1, len(values) + 1))
    shared = scipy_ranks([-value for value in values], method="min").astype(int).tolist()
    assert [best_rank_of(answer, token) for token in range(len(values))] == shared


def test_a_rank_is_shared_by_all_tokens_that_are_as_probable_however_few_are_listed(families):
    model = subemb.load(families / "bert")
    asked = ContextSides(
        compressed_sides(model, method="product", subspaces=1, codebook_size=3)
    )  # three different rows are left
    few, many = (fill(asked, SENTENCES[0], k=k).masks[0] for k in (1, 100))
    wanted = few.wanted
    (same,) = (one for one in many.fillings if one.token_id == wanted.token_id)
    assert wanted.best_ranks[1] == same.best_ranks[1]
    values = [one.probabilities[1] for one in many.fillings]
    assert same.best_ranks[1] == 1 + sum(value > same.probabilities[1] * (1 + 1e-6) for value in values)
    assert any(one.ranks[1] != one.best_ranks[1] for one in many.fillings)


def test_divergence_of_a_filled_mask_is_over_the_whole_vocabulary(families):
    from scipy.stats import entropy as peer

    model = subemb.load(families / "roberta")
    sides = ContextSides(compressed_sides(model))
    row = sides.tokenize(["the cat<mask> on"])[0]
    place = [row.index(model.tokenizer.mask_token_id)]
    before, after = (sides.logits(side, [row], [place])[0, 0].softmax(0).numpy() for side in (0, 1))
    mask = fill(sides, "the cat<mask> on").masks[0]
    assert mask.kl[1] == pytest.approx(peer(before, after), rel=1e-9)
    assert mask.entropy == pytest.approx((peer(before), peer(after)), rel=1e-9)


# Masks and words


@pytest.mark.parametrize("name", FAMILIES)
def test_every_spelling_of_a_mask_is_read(families, name):
    tokenizer = subemb.load(families / name).tokenizer
    other = "<mask>" if tokenizer.mask_token == "[MASK]" else "[MASK]"
    assert with_own_masks(tokenizer, f"a {other} and {tokenizer.mask_token}") == (
        f"a {tokenizer.mask_token} and {tokenizer.mask_token}",
        (other,),
    )
    assert with_own_masks(tokenizer, "a [mask]")[0] == f"a {tokenizer.mask_token}"
    assert with_own_masks(tokenizer, "no mask") == ("no mask", ())


@pytest.mark.parametrize("name", FAMILIES)
def test_words_are_what_a_person_calls_words(families, name):
    tokenizer = subemb.load(families / name).tokenizer
    words = words_of(tokenizer, "The [MASK] cat, (unbelievable)  sits.")
    assert [word.text for word in words if word.text[0].isalnum()] == ["The", "cat", "unbelievable", "sits"]
    assert all(
        word.text == with_own_masks(tokenizer, "The [MASK] cat, (unbelievable)  sits.")[0][word.start : word.end]
        for word in words
    )


def test_words_of_scripts_without_blanks_are_tokens(families):
    words = words_of(subemb.load(families / "xlmr").tokenizer, "猫が座る")
    assert "".join(word.text for word in words) == "猫が座る"
    assert len(words) > 1


def test_a_word_of_several_tokens_becomes_one_mask(families):
    model = subemb.load(families / "bert")
    sentence = "the unbelievable cat"
    word = words_of(model.tokenizer, sentence)[1]
    assert len(word.ids) == 3
    assert mask_word(model.tokenizer, sentence, 1) == "the [MASK] cat"
    mask = fill({"original": model}, sentence, word=1).masks[0]
    assert (mask.masked, mask.masked_pieces, mask.masked_filling) == ("unbelievable", 3, None)


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_text_has_words_that_can_be_masked(text):
    tokenizer = _any_tokenizer()
    own, _ = with_own_masks(tokenizer, text)
    words = words_of(tokenizer, text)
    assert all(first.end <= second.start for first, second in itertools.pairwise(words))
    for index, word in enumerate(words):
        assert own[word.start : word.end] == word.text
        assert mask_word(tokenizer, text, index) == own[: word.start] + tokenizer.mask_token + own[word.end :]


def _any_tokenizer():
    from checkpoints import TOKENS, word_piece

    if not hasattr(_any_tokenizer, "kept"):
        _any_tokenizer.kept = word_piece(TOKENS)
    return _any_tokenizer.kept


def test_a_tokenizer_without_offsets_has_words_too():
    class Slow:
        is_fast = False
        mask_token = "<mask>"

    assert [word.text for word in words_of(Slow(), "A cat, a <mask>.")] == ["A", "cat", ",", "a", "."]


def test_several_masks_are_filled_each_with_the_others_masked(families):
    model = subemb.load(families / "bert")
    filled = fill({"original": model}, "the [MASK] sits on the [MASK]")
    assert [mask.position for mask in filled.masks] == [2, 6]
    assert filled.tokens == 8
    alone = fill({"original": model}, "the cat sits on the [MASK]").masks[0]
    assert alone.fillings != filled.masks[1].fillings
    word = fill({"original": model}, "the [MASK] sits on the mat", word=4)
    assert [mask.masked for mask in word.masks] == ["", "mat"]


@pytest.mark.slow_after(3)
@pytest.mark.parametrize(
    ("sentence", "how", "message"),
    [
        ("", {}, "there is no sentence"),
        ("the cat", {}, r"has no mask; write \[MASK\]"),
        ("x" * (LONGEST_SENTENCE + 1), {}, "2,001 characters; at most 2,000"),
        ("[MASK] " * (MOST_MASKS + 1), {}, "has 21 masks; at most 20"),
        ("[MASK] " + "cat " * 70, {}, "has 73 tokens, and this model reads 64"),
        ("the [MASK]", {"k": 0}, "k is 0"),
        ("the cat", {"word": 2}, "no word 2; the sentence has 2 words"),
    ],
)
def test_what_cannot_be_filled_is_refused_in_words(families, sentence, how, message):
    with pytest.raises(InputError, match=message):
        fill({"original": subemb.load(families / "bert")}, sentence, **how)


def test_which_listed_models_have_a_head(families, tmp_path, monkeypatch):
    from subemb.evaluate.context.fill import HUB_MODELS, models_with_words
    from subemb.models.catalogue import BUNDLED_NAME, available_models
    from subemb.models.hub import validate_id

    make_bert(families / "headless")
    monkeypatch.setenv("SUBEMB_MODELS", str(families))
    assert {entry.name for entry in models_with_words(available_models())} == {*FAMILIES, BUNDLED_NAME}
    assert all(validate_id(model.name) == model.name for model in HUB_MODELS)


@pytest.mark.slow
def test_numbers_are_plain_and_can_cross_processes(families):
    import pickle

    filled = fill(compressed_sides(subemb.load(families / "electra")), SENTENCES[1])
    assert pickle.loads(pickle.dumps(filled)) == filled
    assert all(type(value) is float for mask in filled.masks for value in (*mask.kl, *mask.entropy))
    assert np.isclose(
        sum(
            one.probabilities[0]
            for one in fill({"original": subemb.load(families / "bert")}, SENTENCES[0], k=45).masks[0].top(0)
        ),
        1.0,
    )
