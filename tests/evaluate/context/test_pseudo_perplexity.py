"""Pseudo-perplexity against a naive loop, and its bootstrap against cases worked by hand."""

import masked_models
import numpy as np
import pytest
import torch

import subemb
from subemb.base.errors import Cancelled, InputError
from subemb.evaluate.context.network import ContextSides
from subemb.evaluate.context.perplexity import (
    FEWEST_SENTENCES,
    MOST_SENTENCES,
    bootstrap_of_means,
    estimated_seconds,
    plan,
    split_sentences,
    text_perplexity,
)
from subemb.tasks.sides import sides_of

TEXT = "the cat says meow in the house.\nthe dog says woof. a cow lives in the barn. the owl says cat! the pig. what, me?"


@pytest.fixture(scope="module")
def sides(animals):
    return ContextSides(sides_of(animals, subemb.compress(animals.table, method="arbitrary", subspaces=3)))


def naive(model, sentence: str) -> list[float]:
    """log p of every token given the others, one forward pass of the whole network each."""
    row = model.tokenizer(sentence)["input_ids"]
    found = []
    for place in range(1, len(row) - 1):
        masked = [*row]
        masked[place] = model.tokenizer.mask_token_id
        with torch.no_grad():
            logits = model.network("masked")(torch.tensor([masked])).logits[0, place].double()
        found.append(float(logits.log_softmax(0)[row[place]]))
    return found


def test_agrees_with_a_naive_loop(animals, sides):
    result = text_perplexity(sides, TEXT)
    expected = [naive(animals, sentence) for sentence in split_sentences(TEXT)]
    assert len(result.sentences) == len(expected) == 6
    for sentence, values in zip(result.sentences, expected, strict=True):
        assert sentence.scored == sentence.tokens == len(values)
        assert sentence.mean(0) == pytest.approx(np.mean(values), abs=1e-5)
    everything = np.concatenate(expected)
    assert result.tokens == result.scored == len(everything)
    assert result.perplexity("original") == pytest.approx(np.exp(-everything.mean()), rel=1e-5)
    assert result.unknown == 4  # what, me, ? and !: not in the vocabulary


def test_what_the_model_has_learnt_is_easier_before_harsh_compression(sides):
    text = "\n".join(masked_models.sentences()[:12])
    result = text_perplexity(sides, text)
    assert result.perplexity("original") < 2
    assert result.perplexity("compressed") > 3 * result.perplexity("original")
    interval = result.interval("compressed")
    assert interval.low <= interval.difference <= interval.high < 0
    assert interval.difference == pytest.approx(result.mean("compressed") - result.mean("original"))


def test_equal_sides_have_no_difference(animals):
    result = text_perplexity({"original": animals, "again": animals}, TEXT)
    interval = result.interval("again")
    assert (interval.low, interval.difference, interval.high) == (0, 0, 0)


@pytest.mark.slow
def test_a_long_text_is_sampled_alike_on_every_side_and_by_its_seed(sides):
    results = [text_perplexity(sides, TEXT, most_tokens=9, seed=seed) for seed in (0, 0, 1)]
    assert all(result.scored == 9 and result.tokens == 32 for result in results)
    assert results[0] == results[1] != results[2]
    assert sum(sentence.scored for sentence in results[0].sentences) == 9
    whole = text_perplexity(sides, TEXT)
    drawn = [text_perplexity(sides, TEXT, most_tokens=9, seed=seed).mean("original") for seed in range(12)]
    assert np.mean(drawn) == pytest.approx(whole.mean("original"), abs=4 * np.std(drawn) / np.sqrt(len(drawn)))


def test_sentences_longer_than_the_model_are_cut_and_counted(sides):
    result = text_perplexity(sides, "the cat " * 40, most_tokens=10)
    assert sides.longest == 32
    assert (result.tokens, result.cut) == (30, 50)


def test_sentences_beyond_the_limit_are_counted(animals):
    what = plan(animals.tokenizer, "the cat.\n" * (MOST_SENTENCES + 7), 32)
    assert (len(what.texts), what.left_out) == (MOST_SENTENCES, 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two?\nThree", ["One.", "Two?", "Three"]),
        ("3.5 kg, i.e. much.", ["3.5 kg, i.e.", "much."]),
        ("他来了。她走了\uff01好", ["他来了。", "她走了\uff01", "好"]),
        ('"Yes." No. (Why?) So', ['"Yes."', "No.", "(Why?)", "So"]),
        ("क्या? हाँ। ठीक", ["क्या?", "हाँ।", "ठीक"]),
        ("\n\n \n", []),
    ],
)
def test_sentences(text, expected):
    assert split_sentences(text) == expected


def test_the_interval_is_that_of_every_possible_resample():
    """Two distinct sentences' worth of values: the percentiles of all resamples, enumerated."""
    counts = np.array([1, 2, 1, 4, 2])
    before, after = np.zeros(5), np.array([-1.0, 0.0, -0.5, -4.0, 1.0])
    draws = np.stack(np.meshgrid(*[range(5)] * 5), -1).reshape(-1, 5)
    means = after[draws].sum(1) / counts[draws].sum(1)
    interval = bootstrap_of_means(counts, before, after, resamples=4000)
    low, high = np.percentile(means, [2.5, 97.5])
    assert interval.difference == pytest.approx(-4.5 / 10)
    assert interval.low == pytest.approx(low, abs=0.05)
    assert interval.high == pytest.approx(high, abs=0.05)


def test_no_interval_from_too_few_sentences(sides):
    few = FEWEST_SENTENCES - 1
    assert bootstrap_of_means(np.ones(few), np.zeros(few), np.ones(few)) is None
    padded = np.r_[np.ones(few), np.zeros(9)]  # sentences without a masked token do not count
    assert bootstrap_of_means(padded, np.zeros(few + 9), padded) is None
    assert text_perplexity(sides, "the cat. the dog.").interval("compressed") is None


def test_it_reports_and_stops(sides):
    seen = []
    text_perplexity(sides, TEXT, progress=seen.append)
    fractions = [message.fraction for message in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    with pytest.raises(Cancelled):
        text_perplexity(sides, TEXT, progress=lambda message: message.fraction > 0.4)


@pytest.mark.parametrize(
    ("text", "most", "message"),
    [("  ", 5, "no text"), ("x" * 200_001, 5, "200,001 characters"), ("the", 0, "0 tokens cannot be scored")],
)
def test_what_cannot_be_scored_is_refused(sides, text, most, message):
    with pytest.raises(InputError, match=message):
        text_perplexity(sides, text, most_tokens=most)


def test_the_estimate_grows_with_the_work(animals):
    what = plan(animals.tokenizer, TEXT, 32)
    assert estimated_seconds(what, 10, 2, 10**8, 30_000, 768) < estimated_seconds(what, 20, 2, 10**8, 30_000, 768)
