"""Token weights: the kinds, the estimate without a text, and counting within bounds."""

import hashlib
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import Cancelled, InputError
from subemb.codec.weights import (
    FLOOR,
    MOST_SPECIAL,
    PIECE_CHARACTERS,
    PROBABILITY_POWER,
    RANK_EXPONENT,
    RANK_OFFSET,
    RANK_POWER,
    _pieces,
    count_tokens,
    count_words,
    estimated_frequencies,
    frequency_list,
    model_weights,
    text_digest,
    token_weights,
)
from subemb.models.vocabulary import Vocabulary


def zipf(rank: float) -> float:
    return (rank + RANK_OFFSET) ** -RANK_EXPONENT


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "##b": 5}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")


def test_none_is_no_weights():
    assert token_weights("none", 5) is None


def test_zipf_by_hand():
    weights = token_weights("zipf", 3)
    torch.testing.assert_close(weights[0] / weights[2], torch.tensor(4.7 / 2.7))


def test_counts_by_hand():
    assert token_weights("counts", 3, counts=[0, 1, 6]).tolist() == pytest.approx([0.3, 0.6, 2.1])
    assert token_weights("sqrt_counts", 3, counts=torch.tensor([0, 3, 8])).tolist() == pytest.approx([0.5, 1.0, 1.5])


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30), st.sampled_from(["counts", "sqrt_counts"]))
def test_counted_weights_have_mean_one_and_keep_the_order(counts, kind):
    weights = token_weights(kind, len(counts), counts=counts)
    assert weights.dtype == torch.float32
    assert weights.double().mean().item() == pytest.approx(1, rel=1e-4)
    assert weights.min() >= FLOOR / (1 + FLOOR) * (1 - 1e-5)
    order = np.argsort(counts, kind="stable")
    assert (np.diff(weights.numpy()[order]) >= 0).all()


def test_ids_tell_frequency_where_there_are_no_scores():
    tokens = ["[PAD]", "[unused0]", "é", "the", "of", "##s", "rare"]
    words = Vocabulary.from_tokens(tokens, "wordpiece", special=[0], num_rows=8)
    frequencies = estimated_frequencies(words)
    # "the" is the first token in use; "é" takes the middle of the 4 ranks; [PAD] is special: like the most frequent one;
    # unused and padding rows: like the least frequent one.
    expected = np.array([zipf(0), zipf(3), zipf(2), zipf(0), zipf(1), zipf(2), zipf(3), zipf(3)])
    np.testing.assert_allclose(frequencies, expected / expected.sum())
    weights = token_weights("vocabulary", 8, vocabulary=words).numpy()
    np.testing.assert_allclose(weights, expected**RANK_POWER / (expected**RANK_POWER).mean(), rtol=1e-5)


def test_log_probabilities_are_used_where_there_are_any():
    scores = [math.nan, math.log(0.6), math.log(0.3), math.log(0.1)]
    words = Vocabulary.from_tokens(["<s>", "▁rare", "▁the", "x"], special=[0], scores=scores, num_rows=5)
    expected = np.array([0.6, 0.6, 0.3, 0.1, 0.1])
    np.testing.assert_allclose(estimated_frequencies(words), expected / expected.sum())
    weights = token_weights("vocabulary", 5, vocabulary=words).numpy()
    np.testing.assert_allclose(weights, expected**PROBABILITY_POWER / (expected**PROBABILITY_POWER).mean(), rtol=1e-5)


def test_merge_ranks_do_not_outvote_the_ids():
    # RoBERTa's ids are sorted by frequency, its merges are not.
    words = Vocabulary.from_tokens(["Ġthe", "Ġa"], "byte_bpe", scores=[-1.0, 0.0], score_kind="merge rank")
    frequencies = estimated_frequencies(words)
    assert frequencies[0] > frequencies[1]


def test_many_special_tokens_do_not_take_the_weight():
    tokens = [f"<extra_{i}>" for i in range(100)] + ["▁a", "▁b"]
    words = Vocabulary.from_tokens(tokens, special=range(100))
    frequencies = estimated_frequencies(words)
    assert (np.isclose(frequencies, frequencies.max())).sum() == MOST_SPECIAL + 1
    assert (np.isclose(frequencies, frequencies.min())).sum() == 100 - MOST_SPECIAL + 1


@pytest.mark.parametrize("special", [[], [0, 1]])
def test_a_vocabulary_that_tells_nothing_gives_equal_weights(special):
    tokens = ["[CLS]", "[SEP]"] if special else ["[unused0]", "[unused1]"]
    words = Vocabulary.from_tokens(tokens, "wordpiece", special=special)
    assert token_weights("vocabulary", 2, vocabulary=words).tolist() == [1.0, 1.0]


@given(
    st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=20, unique=True),
    st.sampled_from(["wordpiece", "byte_bpe", "sentencepiece"]),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_vocabulary_gets_positive_finite_weights(tokens, scheme, padding, scored):
    scores = [-1.0 - 10.0 * i for i in range(len(tokens))] if scored else None
    words = Vocabulary.from_tokens(tokens, scheme, num_rows=len(tokens) + padding, special=[0], scores=scores)
    weights = token_weights("vocabulary", len(words), vocabulary=words)
    assert weights.shape == (len(words),)
    assert torch.isfinite(weights).all()
    assert weights.min() > FLOOR / 2
    assert weights.double().mean().item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("loud", 3, {}), "'loud'"),
        (("counts", 3, {}), "need the token counts"),
        (("counts", 3, {"counts": [1, 2]}), r"\(2,\); 3 tokens"),
        (("sqrt_counts", 2, {"counts": [1, -2]}), "count -2.0 of token 1"),
        (("counts", 2, {"counts": [math.nan, 1]}), "count nan of token 0"),
        (("vocabulary", 3, {}), "vocabulary=model.vocabulary"),
        (("vocabulary", 3, {"vocabulary": ["a", "b"]}), "2 rows; the table has 3"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, message):
    kind, size, rest = arguments
    with pytest.raises(InputError, match=message):
        token_weights(kind, size, **rest)


def test_counting_by_hand(tokenizer):
    counts = count_tokens(["a b ab", "zz", "", "  "], tokenizer, 8)
    # [UNK] for zz; [CLS] and [SEP] once for each of the two texts with words; a twice (in "ab" too), b, ##b; two padding rows
    assert counts.tolist() == [1, 2, 2, 2, 1, 1, 0, 0]
    assert count_tokens([], tokenizer, 8).sum() == 0


def test_tokens_beyond_the_table_are_not_counted(tokenizer):
    assert count_tokens(["a ab"], tokenizer, 4).tolist() == [0, 1, 1, 2]


@given(st.text(st.sampled_from("ab \u3000é"), max_size=300), st.integers(2, 40))
def test_pieces_put_together_are_the_text(text, size):
    import subemb.codec.weights as module

    kept = module.PIECE_CHARACTERS
    module.PIECE_CHARACTERS = size
    try:
        pieces = list(_pieces(text))
    finally:
        module.PIECE_CHARACTERS = kept
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= size


def test_a_long_text_counts_like_its_words(tokenizer):
    words = 3 * PIECE_CHARACTERS
    counts = count_tokens(" ".join(["ab"] * words), tokenizer, 6)
    assert counts.tolist() == [0, 1, 1, words, 0, words]


def test_counting_reports_and_can_be_stopped(tokenizer):
    seen = []
    count_tokens(["a"], tokenizer, 6, seen.append)
    assert [message.fraction for message in seen] == [0.0, 1.0]
    with pytest.raises(Cancelled):
        count_tokens(["a"], tokenizer, 6, lambda message: True)


def test_weights_of_a_model(tokenizer):
    model = SimpleNamespace(num_tokens=6, tokenizer=tokenizer, vocabulary=Vocabulary.from_tokenizer(tokenizer, 6))
    counted = model_weights(model, "counts", text="a b\nab")
    torch.testing.assert_close(counted, token_weights("counts", 6, counts=[0, 2, 2, 2, 1, 1]))
    torch.testing.assert_close(model_weights(model, "zipf"), token_weights("zipf", 6))
    assert model_weights(model, "none") is None
    assert model_weights(model, "vocabulary").shape == (6,)
    for nothing in (None, "", " \n ", []):
        with pytest.raises(InputError, match="need a text"):
            model_weights(model, "sqrt_counts", text=nothing)


def test_a_frequency_list_by_hand(tokenizer):
    """a occurs 3 times, ab (a, ##b) 5 times: 8 and 5; the special tokens, which lists do not name, count like the most frequent token."""
    counts = count_words({"a": 3.0, "ab": 5.0, "zz": 1.0}, tokenizer, 6)
    assert counts.tolist() == [1, 0, 0, 8, 0, 5]
    words = Vocabulary.from_tokenizer(tokenizer, 6)
    special = (words.kinds == "special").tolist()
    weights = token_weights("list", 6, vocabulary=words, counts=counts).double()
    smoothed = [8 if special[i] else counts[i] for i in range(6)]
    expected = torch.tensor([(count + min(c for c in smoothed if c)) ** 0.5 for count in smoothed]).double()
    torch.testing.assert_close(weights, expected / expected.mean(), rtol=1e-5, atol=1e-6)
    model = SimpleNamespace(num_tokens=6, tokenizer=tokenizer, vocabulary=words)
    listed = model_weights(model, "list", text="a 2\nab\t5\na 1\n\nzz 1")
    torch.testing.assert_close(listed.double(), weights, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("the 5\nof", "line 2 .* 'of'"),
        ("the many", "line 1"),
        ("the -1", "line 1"),
        ("the nan", "line 1"),
        (" \n", "a word and its count"),
    ],
)
def test_what_is_no_frequency_list_is_refused_by_its_line(text, wrong):
    with pytest.raises(InputError, match=wrong):
        frequency_list(text)


def test_digest_is_the_hash_of_the_text():
    assert text_digest("ab") == hashlib.sha256(b"ab").hexdigest()[:16]
    assert text_digest(["a", "b"]) == text_digest("a\nb") != text_digest("ab")
    assert len(text_digest("\ud800")) == 16
