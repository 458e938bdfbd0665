"""Decoders: what comes next and the perplexity of a text, against AutoModelForCausalLM of transformers, worked out by hand."""

import pytest
import torch
from checkpoints import make_bert, make_gpt2, make_llama, make_t5, reconfigured
from hypothesis import given, settings
from hypothesis import strategies as st

import subemb
from subemb.base.errors import InputError, ModelError
from subemb.codec.layers import SubspaceLinear
from subemb.evaluate.context.fill import fill
from subemb.evaluate.context.network import CAUSAL, MASKED, ContextSides, kind_of
from subemb.evaluate.context.perplexity import plan, text_perplexity
from subemb.evaluate.context.words import before_gap, words_of
from subemb.tasks.sides import sides_of

MAKERS = {
    "gpt2": lambda folder: make_gpt2(folder, initializer_range=0.3),
    "gpt2 untied": lambda folder: make_gpt2(folder, initializer_range=0.3, tie_word_embeddings=False),
    "llama": lambda folder: make_llama(folder, initializer_range=0.3),
    "llama tied": lambda folder: make_llama(folder, tied=True, initializer_range=0.3),
}
TIED = ("gpt2", "llama tied")
BEGINNING = "A small dog runs under the"
TEXT = "The cat sits on the mat. A small dog runs under the old tree.\nTwo birds are singing in 2024! the river is green. A bird sings."


@pytest.fixture(scope="module")
def decoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoders")
    return {name: subemb.load(make(folder / name.replace(" ", "-"))) for name, make in MAKERS.items()}


def compressed_sides(model, **chosen):
    return sides_of(model, subemb.compress(model.table, method="product", subspaces=2, codebook_size=8, **chosen))


def peer_of(model):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model.folder).eval()


@torch.no_grad()
def by_hand(network, row: list[int]) -> torch.Tensor:
    """log p of every token of a row but the first, given those before it."""
    answers = network(torch.tensor([row])).logits[0, :-1].double().log_softmax(-1)
    return answers[range(len(row) - 1), row[1:]]


# Against transformers


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", MAKERS)
def test_what_comes_next_is_what_transformers_says(decoders, name):
    model = decoders[name]
    row = model.tokenizer(BEGINNING)["input_ids"]
    with torch.no_grad():
        wanted = peer_of(model)(torch.tensor([row])).logits[0, -1].softmax(-1)
    filled = fill({"original": model}, BEGINNING)
    assert (filled.kind, filled.sentence, filled.tokens, filled.unread) == (CAUSAL, BEGINNING, len(row), "")
    best = filled.masks[0].top(0)
    assert [one.token_id for one in best] == wanted.argsort(descending=True)[:10].tolist()
    assert [one.probabilities[0] for one in best] == pytest.approx(wanted.sort(descending=True).values[:10].tolist(), abs=1e-5)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", MAKERS)
def test_the_perplexity_is_exp_of_the_loss_of_transformers(decoders, name):
    model = decoders[name]
    result = text_perplexity({"original": model}, TEXT)
    ids = torch.tensor([model.tokenizer(TEXT)["input_ids"]])
    assert ids.shape[1] <= 64  # one window
    with torch.no_grad():
        loss = float(peer_of(model)(ids, labels=ids).loss)
    assert result.perplexity("original") == pytest.approx(torch.tensor(loss).exp().item(), rel=1e-4)
    assert result.scored == result.tokens == ids.shape[1] - 1
    assert (result.kind, result.window, len(result.sentences)) == (CAUSAL, 64, 5)
    assert sum(sentence.scored for sentence in result.sentences) == result.scored


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_long_text_is_read_in_windows_that_overlap_by_half(decoders, name):
    """By hand: the first window whole, then half a window of new tokens each time, the start token before each."""
    model, network = decoders[name], peer_of(decoders[name])
    text = " ".join([TEXT.replace("\n", " ")] * 4)
    ids = model.tokenizer(text)["input_ids"]
    lead = int(name == "llama")
    body = 64 - lead
    half = body // 2
    wanted = list(by_hand(network, ids[:64]))
    start = lead + half
    while len(wanted) < len(ids) - 1:
        values = by_hand(network, ids[:lead] + ids[start : start + body])
        new = min(half, len(ids) - 1 - len(wanted)) if start + body >= len(ids) else half
        wanted += list(values[-new:])
        start += half
    result = text_perplexity({"original": model}, text)
    assert result.scored == len(wanted) == len(ids) - 1
    assert result.mean("original") == pytest.approx(float(torch.stack(wanted).mean()), abs=1e-5)
    few = text_perplexity({"original": model}, text, most_tokens=7)
    assert (few.scored, few.tokens) == (7, len(ids) - 1)
    assert few.mean("original") == pytest.approx(float(torch.stack(wanted[:7]).mean()), abs=1e-5)


# What is compressed


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", MAKERS)
def test_input_output_and_both(decoders, name):
    model = decoders[name]
    sides = compressed_sides(model)
    seen = {}
    for uses in ((True, False), (False, True), (True, True)):
        if name not in TIED and uses == (False, True):
            with pytest.raises(InputError, match="output alone cannot be compressed"):
                fill(sides, BEGINNING, input=False)
            continue
        seen[uses] = fill(sides, BEGINNING, input=uses[0], output=uses[1]).masks[0].kl[1]
        assert seen[uses] > 1e-6
    assert len(set(seen.values())) == (3 if name in TIED else 1)


@pytest.mark.parametrize("name", TIED)
def test_a_tied_decoder_computes_with_the_compact_table(decoders, name):
    """By hand: transformers' own network on the reconstructed table, in and out."""
    model = decoders[name]
    sides = compressed_sides(model)
    asked = ContextSides(sides)
    assert asked.tables[1].head == "compressed"
    assert isinstance(asked._networks[1]._pointed.network.get_output_embeddings(), SubspaceLinear)
    network = peer_of(model)
    network.get_input_embeddings().weight.data = sides["compressed"].table.clone()
    network.tie_weights()
    row = model.tokenizer(TEXT)["input_ids"]
    result = text_perplexity(asked, TEXT)
    assert result.mean("compressed") == pytest.approx(float(by_hand(network, row).mean()), abs=1e-5)
    assert result.interval("compressed") is not None


# The gap


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", MAKERS)
def test_a_clicked_word_is_asked_for_from_what_stands_before_it(decoders, name):
    model = decoders[name]
    sentence = "A small dog runs under the old tree"
    words = words_of(model.tokenizer, sentence)
    assert [word.text for word in words] == sentence.split()
    row = model.tokenizer(sentence)["input_ids"]
    assert [row[word.place : word.place + len(word.ids)] for word in words] == [list(word.ids) for word in words]
    filled = fill({"original": model}, sentence, word=3)
    mask = filled.masks[0]
    assert (filled.sentence, filled.unread) == ("A small dog", "under the old tree")
    assert (mask.masked, mask.masked_id, mask.position) == ("runs", words[3].ids[0], words[3].place)
    with torch.no_grad():
        wanted = peer_of(model)(torch.tensor([row])).logits[0, words[3].place - 1].softmax(-1)
    assert mask.masked_filling.probabilities[0] == pytest.approx(float(wanted[mask.masked_id]), abs=1e-6)


def test_a_mask_says_where_and_what_follows_is_not_read(decoders):
    for spelling in ("[MASK]", "<mask>", "[mask]"):
        filled = fill({"original": decoders["gpt2"]}, f"A small dog runs under the {spelling} tree.")
        assert (filled.sentence, filled.unread) == (BEGINNING, f"{spelling} tree.")
        assert filled.masks == fill({"original": decoders["gpt2"]}, BEGINNING).masks


def test_without_anything_before_it_only_a_start_token_helps(decoders):
    for sentence, word in (("[MASK] dog", None), ("The dog", 0)):
        with pytest.raises(InputError, match="nothing stands before"):
            fill({"original": decoders["gpt2"]}, sentence, word=word)
        assert fill({"original": decoders["llama"]}, sentence, word=word).tokens == 1


def test_what_is_too_long_or_empty_is_refused(decoders):
    with pytest.raises(InputError, match="81 tokens, and this model reads 64"):
        fill({"original": decoders["llama"]}, "the " * 80)
    with pytest.raises(InputError, match="no token with another before it"):
        text_perplexity({"original": decoders["gpt2"]}, "!")
    with pytest.raises(InputError, match="there is no text"):
        text_perplexity({"original": decoders["gpt2"]}, " ")


def test_unknown_tokens_are_counted(decoders):
    assert text_perplexity({"original": decoders["llama"]}, "The cat 猫猫猫Ω sits on it").unknown == 1


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_what_stands_before_a_gap_and_behind_it_is_the_sentence(text):
    before, behind = before_gap(None, text)
    assert text.startswith(before)
    assert before == before.rstrip()
    assert (before + behind).rstrip() == text.rstrip() if behind else text.rstrip() == before


@settings(max_examples=30)
@given(st.text(alphabet="The cat.\n sits猫! ", min_size=1, max_size=300), st.integers(3, 40))
def test_every_token_of_a_text_is_scored_once_in_order(text, longest):
    tokenizer = _tokenizer()
    if not text.strip():
        return
    what = plan(tokenizer, text, longest, CAUSAL)
    ids = tokenizer(text.strip())["input_ids"]
    found = [row[place] for row, places in zip(what.rows, what.places, strict=True) for place in places]
    assert found == ids[1:]
    assert all(0 < place < len(row) <= longest for row, places in zip(what.rows, what.places, strict=True) for place in places)
    owners = [owner for owners in what.owners for owner in owners]
    assert owners == sorted(owners)
    assert all(owner < len(what.texts) for owner in owners)


def _tokenizer():
    from checkpoints import byte_level

    if not hasattr(_tokenizer, "kept"):
        _tokenizer.kept = byte_level(["<|endoftext|>"])
    return _tokenizer.kept


# Which models


def test_which_head_a_model_is_asked_by(decoders, tmp_path):
    assert {kind_of(model) for model in decoders.values()} == {CAUSAL}
    assert kind_of(subemb.load(make_bert(tmp_path / "masked", masked_lm=True))) == MASKED
    assert kind_of(subemb.load(make_gpt2(tmp_path / "bare", head=False))) is None
    assert kind_of(subemb.load(make_t5(tmp_path / "t5"))) is None
    unnamed = subemb.load(reconfigured(make_llama(tmp_path / "unnamed"), architectures=None))
    assert kind_of(unnamed) == CAUSAL
    assert any("next-word head" in note for note in unnamed.notes)


@pytest.mark.slow
def test_a_network_that_reads_ahead_is_refused(tmp_path):
    from checkpoints import TOKENS, bert_sizes, save, word_piece
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(vocab_size=len(TOKENS), hidden_size=16, pad_token_id=0, is_decoder=False, **bert_sizes(16))
    folder = save(tmp_path / "ahead", BertLMHeadModel, config, word_piece(TOKENS))
    model = subemb.load(folder)
    assert kind_of(model) == CAUSAL  # so its config.json says
    with pytest.raises(ModelError, match="also reads what stands after"):
        ContextSides({"original": model})


def test_models_without_words_are_refused_in_words(tmp_path):
    for model in (subemb.load(make_gpt2(tmp_path / "bare", head=False)), subemb.load(make_t5(tmp_path / "t5"))):
        with pytest.raises(ModelError, match="no masked-word head and no next-word head"):
            fill({"original": model}, BEGINNING)
