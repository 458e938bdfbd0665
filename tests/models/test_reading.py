"""How networks read: the trial that finds it out, and batches in which a sentence has the vector that it has alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from checkpoints import ARCHITECTURES, LINES, TOKENS, make_bert, make_roberta, make_t5, save, unigram, word_piece

from subemb import attach, compress, load
from subemb.adaptation.objectives import PairClasses
from subemb.base.errors import ModelError
from subemb.evaluate.similarity.attribution import attribute
from subemb.models.reading import TEXTS, Company, Habits, groups, in_company, longest_readable, tried, tried_together, unheard
from subemb.models.sentences import known_positions, padded

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def make_fnet(folder, kind=None):
    """Its Fourier transform runs over the padding too. kind: the class, by default without a head."""
    from transformers import FNetConfig, FNetModel

    tokenizer = unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], cls="[CLS]", sep="[SEP]", mask="[MASK]")
    settings = {key: value for key, value in SIZES.items() if key != "num_attention_heads"}
    return save(folder, kind or FNetModel, FNetConfig(vocab_size=len(tokenizer), pad_token_id=0, **settings), tokenizer)


def make_big_bird(folder):
    """After a text too short for its sparse attention it attends fully for good."""
    from transformers import BigBirdConfig, BigBirdModel

    config = BigBirdConfig(
        vocab_size=len(TOKENS), **SIZES, block_size=2, num_random_blocks=1, max_position_embeddings=128, pad_token_id=0
    )
    return save(folder, BigBirdModel, config, word_piece(TOKENS))


def make_reformer(folder):
    """Its hash buckets are drawn anew for every reading."""
    from transformers import ReformerConfig, ReformerModel

    config = ReformerConfig(
        vocab_size=len(TOKENS),
        hidden_size=16,
        num_attention_heads=2,
        attention_head_size=8,
        feed_forward_size=32,
        attn_layers=["lsh", "lsh"],
        lsh_attn_chunk_length=4,
        num_buckets=4,
        axial_pos_embds=False,
        max_position_embeddings=128,
        is_decoder=False,
        pad_token_id=0,
    )
    return save(folder, ReformerModel, config, word_piece(TOKENS))


def make_dpr(folder):
    """Gives a pooled vector and no states of the tokens."""
    from transformers import DPRConfig, DPRQuestionEncoder

    config = DPRConfig(vocab_size=len(TOKENS), **SIZES, max_position_embeddings=66, projection_dim=0)
    return save(folder, DPRQuestionEncoder, config, word_piece(TOKENS))


def make_dpr_of_passages(folder):
    """AutoModel takes it for the encoder of questions."""
    from transformers import DPRConfig, DPRContextEncoder

    config = DPRConfig(vocab_size=len(TOKENS), **SIZES, max_position_embeddings=66, projection_dim=8)
    return save(folder, DPRContextEncoder, config, word_piece(TOKENS))


def make_ctrl(folder):
    """It scales the embeddings that it is given in place."""
    from transformers import CTRLConfig, CTRLModel

    config = CTRLConfig(vocab_size=len(TOKENS), n_embd=16, n_layer=1, n_head=2, dff=16, n_positions=66, pad_token_id=0)
    return save(folder, CTRLModel, config, word_piece(TOKENS))


def make_funnel_base(folder):
    """Gives half as many states as there are tokens."""
    from transformers import FunnelBaseModel, FunnelConfig

    sizes = {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32}
    return save(folder, FunnelBaseModel, FunnelConfig(vocab_size=len(TOKENS), **sizes), word_piece(TOKENS))


def alone(model) -> np.ndarray:
    return np.concatenate([model.encode([line]) for line in LINES])


def plain(folder) -> np.ndarray:
    """Means of the hidden states by transformers alone, one sentence at a time."""
    from transformers import AutoModel, AutoTokenizer

    network, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    part = network.get_encoder() if network.config.is_encoder_decoder else network
    with torch.no_grad():
        return np.stack([part(**tokenizer(line, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for line in LINES])


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("make", ARCHITECTURES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_every_way_to_a_vector_is_the_same(tmp_path, make):
    model = load(make(tmp_path / "m"))
    right = plain(tmp_path / "m")
    assert (model.habits().company, model.habits().keeps_state) == (Company.ANY, False)
    assert model.habits().width == right.shape[1]
    np.testing.assert_allclose(model.encode(LINES), right, atol=1e-5)
    np.testing.assert_allclose(model.encode_ids(model.token_ids(LINES)), right, atol=1e-5)
    rows = model.token_ids(LINES[:2])
    small = attach(model, compress(model.table, "product", 2, 4, weights="none"))
    seen = attribute(model, small, *rows)
    for found, side in ((seen.before, model), (seen.after, small)):
        one, other = side.encode(LINES[:2])
        assert found == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)


def test_padding_that_is_read_makes_no_difference(tmp_path):
    model = load(make_fnet(tmp_path / "m"))
    assert model.habits().company is Company.EQUAL_LENGTH
    np.testing.assert_allclose(alone(model), plain(tmp_path / "m"), atol=1e-5)
    np.testing.assert_allclose(model.encode(LINES), alone(model), atol=1e-6)
    tensor = model.encode_ids_tensor(model.token_ids(LINES))
    assert tensor.requires_grad
    np.testing.assert_allclose(tensor.detach().numpy(), alone(model), atol=1e-6)
    assert "does not leave out padding" in model.pooling
    seen = attribute(model, model, *model.token_ids(LINES[:2]))
    assert seen.before == pytest.approx(seen.after)


class LeaksBeyond(torch.nn.Module):
    """Means of ids, and of their padding too in batches that are longer than so many tokens. together: and of the other rows."""

    def __init__(self, tokens: int, together: bool = False):
        super().__init__()
        self.tokens, self.together, self.read = tokens, together, 0

    def forward(self, rows: list[list[int]]) -> torch.Tensor:
        ids, mask = padded(rows, 5)
        self.read += 1
        if ids.shape[1] > self.tokens:
            mask = torch.ones_like(mask)
        means = (ids * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        return means - means.mean() if self.together and ids.shape[1] > self.tokens and len(rows) > 1 else means


@pytest.mark.parametrize(
    ("network", "length", "company"),
    [
        (LeaksBeyond(100), 90, Company.ANY),
        (LeaksBeyond(100), 130, Company.EQUAL_LENGTH),
        (LeaksBeyond(100, together=True), 130, Company.ALONE),
    ],
)
def test_padding_that_is_read_in_long_texts_only(network, length, company):
    habits = Habits(Company.ANY, 1)
    assert tried_together(habits, network, [1, 2, 3], [*range(length)]).company is company


def test_an_encoder_of_passages_is_read_as_one(tmp_path):
    from transformers import AutoTokenizer, DPRContextEncoder

    folder = make_dpr_of_passages(tmp_path / "m")
    network, tokenizer = DPRContextEncoder.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        right = network(**tokenizer(LINES[0], return_tensors="pt")).pooler_output
    np.testing.assert_allclose(load(folder).encode(LINES[:1]), right, atol=1e-5)


def test_networks_that_change_what_they_are_given_in_place(tmp_path):
    model = load(make_ctrl(tmp_path / "m"))
    rows = model.token_ids(LINES[:2])
    assert model.sensitivity(rows).shape == (16, 16)
    seen = attribute(model, attach(model, compress(model.table, "product", 2, 4, weights="none")), *rows)
    one, other = model.encode(LINES[:2])
    assert seen.before == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)


def make_long_bert(folder):
    """It reads texts of up to 200 tokens."""
    from transformers import BertConfig, BertModel

    tokenizer = word_piece(TOKENS)
    tokenizer.model_max_length = 200
    config = BertConfig(vocab_size=len(TOKENS), **SIZES, max_position_embeddings=200, pad_token_id=0)
    return save(folder, BertModel, config, tokenizer)


def test_a_word_of_the_trial_without_a_row_harms_no_other_text(tmp_path):
    tokenizer = word_piece(TOKENS)
    tokenizer.add_tokens(["harbour", "plays"])
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=len(TOKENS), **SIZES, max_position_embeddings=66, pad_token_id=0)
    model = load(save(tmp_path / "m", BertModel, config, tokenizer))
    np.testing.assert_allclose(model.encode(LINES[:1]), plain(tmp_path / "m")[:1], atol=1e-5)
    with pytest.raises(ModelError, match="'harbour' the id"):
        model.encode(["the old harbour"])


def test_a_tokenizer_config_that_is_a_pointer_is_called_one(tmp_path):
    folder = make_bert(tmp_path / "m")
    (folder / "tokenizer_config.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n")
    with pytest.raises(ModelError, match="pointer"):
        load(folder).encode(LINES[:1])


def test_long_texts_are_tried_when_they_are_read_together(tmp_path):
    model = load(make_long_bert(tmp_path / "m"))
    short, long = model.token_ids([LINES[0], " ".join(LINES * 9)])

    def trials() -> list[str]:
        return [key for key in model._trials if str(key).startswith("habits ")]

    model.encode_ids([short, short])
    model.encode_ids([long])  # alone, there is no padding
    assert (len(long) > 72, trials()) == (True, [])
    model.encode_ids([short, long])
    assert len(trials()) == 1
    assert model.habits().company is Company.ANY


def test_what_transformers_says_while_it_reads_reaches_nobody(tmp_path, capfd):
    import logging

    network = load(make_big_bird(tmp_path / "m"))
    network.encode(LINES)
    logger = logging.getLogger("transformers.models.big_bird.modeling_big_bird")
    with unheard():
        logger.warning("padded")
    assert "padded" not in (said := capfd.readouterr().err)
    assert "attention type" not in said.lower()


@pytest.mark.slow
def test_effects_of_tokens_are_those_of_a_sentence_read_alone(tmp_path):
    model = load(make_fnet(tmp_path / "m"))
    small = attach(model, compress(model.table, "product", 2, 4, weights="none"))
    rows = model.token_ids(LINES[:2])
    together = attribute(model, small, *rows)
    model._trials["habits"] = replace(model.habits(), company=Company.ALONE)
    apart = attribute(model, small, *rows)
    assert apart.first.tokens == pytest.approx(together.first.tokens, abs=1e-6)
    assert apart.after == pytest.approx(together.after, abs=1e-6)


def test_a_classifier_that_reads_padding_is_distilled_pair_by_pair(tmp_path):
    from transformers import FNetForSequenceClassification

    teacher = load(make_fnet(tmp_path / "m", FNetForSequenceClassification))
    assert teacher.habits("classifier").company is Company.EQUAL_LENGTH
    student = attach(teacher, compress(teacher.table, "product", 2, 4, weights="none"))
    objective = PairClasses(teacher, teacher.token_ids(LINES), 1.0)
    generator = torch.Generator().manual_seed(0)
    found = objective.loss(student, range(len(LINES)), generator)
    order = torch.randperm(len(LINES), generator=torch.Generator().manual_seed(0)).tolist()
    texts = [teacher.tokenizer.decode(row, skip_special_tokens=True) for row in teacher.token_ids(LINES)]
    read = [teacher.tokenizer(text, texts[place], return_tensors="pt") for text, place in zip(texts, order, strict=True)]
    with torch.no_grad():
        one, other = (torch.cat([side.network("classifier")(**pair).logits for pair in read]) for side in (teacher, student))
    right = (one.softmax(1) * (one.log_softmax(1) - other.log_softmax(1))).sum(1).mean()
    assert found.item() == pytest.approx(right.item(), rel=1e-3)


def test_a_network_that_changes_itself_is_put_back(tmp_path):
    model = load(make_big_bird(tmp_path / "m"))
    long = TEXTS[2].lower()
    first = model.encode([long])
    model.encode(["a cat"])
    assert model.habits().keeps_state
    np.testing.assert_allclose(model.encode([long]), first, atol=1e-6)
    np.testing.assert_allclose(model.encode(["a cat", long])[1:], first, atol=1e-6)


def test_a_network_that_draws_random_numbers_is_refused(tmp_path):
    model = load(make_reformer(tmp_path / "m"))
    with pytest.raises(ModelError, match="other numbers each time") as caught:
        model.encode(LINES)
    assert caught.value.reason == "unsupported"


def test_a_pooled_vector_serves_where_there_are_no_states(tmp_path):
    from transformers import AutoModel

    model = load(make_dpr(tmp_path / "m"))
    found = model.encode(LINES)
    network = AutoModel.from_pretrained(tmp_path / "m")
    with torch.no_grad():
        right = [network(torch.tensor([row])).pooler_output[0].numpy() for row in model.token_ids(LINES)]
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert model.pooling.startswith("output of the network's pooler")


def test_states_that_are_not_those_of_the_tokens_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"gives \d+ states for \d+ tokens"):
        load(make_funnel_base(tmp_path / "m")).encode(LINES)


@pytest.mark.slow
def test_a_part_of_a_config_says_how_text_is_padded(tmp_path):
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    tokenizer = unigram(["<pad>", "</s>", "<unk>", "<mask>"], sep="</s>", mask="<mask>")
    text = {**SIZES, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0, "max_position_embeddings": 64}
    config = Gemma3Config(
        text_config={**text, "vocab_size": len(tokenizer) + 4, "sliding_window": 16},
        vision_config={**SIZES, "image_size": 16, "patch_size": 8},
        mm_tokens_per_image=4,
        image_token_index=len(tokenizer) + 1,
    )
    save(tmp_path / "m", Gemma3ForConditionalGeneration, config, tokenizer)
    model = load(tmp_path / "m")
    np.testing.assert_allclose(model.encode(LINES), plain(tmp_path / "m"), atol=1e-5)
    model.encode_ids_tensor(model.token_ids(LINES)).sum().backward()


def test_token_types_of_a_sentence_are_passed_on(tmp_path):
    from tokenizers import processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    inner = word_piece(TOKENS).backend_tokenizer
    ends = [(token, TOKENS.index(token)) for token in ("[CLS]", "[SEP]")]
    inner.post_processor = processors.TemplateProcessing(single="[CLS]:2 $A:0 [SEP]:0", special_tokens=ends)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_input_names=names,
        model_max_length=64,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
    )
    config = BertConfig(vocab_size=len(TOKENS), **SIZES, type_vocab_size=3, max_position_embeddings=66)
    save(tmp_path / "m", BertModel, config, tokenizer)
    model = load(tmp_path / "m")
    assert model.tokenizer("a cat")["token_type_ids"][0] == 2  # of [CLS]
    with torch.no_grad():
        right = model.network()(**model.tokenizer("a cat", return_tensors="pt")).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(model.encode(["a cat"])[0], right.numpy(), atol=1e-5)


# Sentence models


def sentence_model(folder, *modules, **config):
    """A folder of sentence-transformers' own making, around a small BERT."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Transformer

    first = Transformer(str(make_bert(folder.parent / "inner")), max_seq_length=32)
    SentenceTransformer(modules=[first, *modules], device="cpu", **config).save(str(folder))
    return folder


def as_its_library(folder) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(LINES)


def _modules(kind: str) -> tuple[list, dict]:
    from sentence_transformers.models import Dense, LayerNorm, Normalize, Pooling

    dense = Dense(16, 12, activation_function=torch.nn.Tanh())
    return {
        "cut": ([Pooling(16, "mean"), Normalize()], {"truncate_dim": 8}),
        "cut dense": ([Pooling(16, "cls"), Normalize(), dense], {"truncate_dim": 8}),
        "layer norm": ([Pooling(16, ("mean", "max")), LayerNorm(32)], {}),
        "prompt": ([Pooling(16, "mean", include_prompt=False)], {"prompts": {"q": "the big "}, "default_prompt_name": "q"}),
    }[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut", "cut dense", "layer norm", "prompt"])
def test_what_its_config_asks_holds_on_every_way(tmp_path, kind):
    modules, config = _modules(kind)
    folder = sentence_model(tmp_path / "m", *modules, **config)
    model, right = load(folder), as_its_library(folder)
    np.testing.assert_allclose(model.encode(LINES), right, atol=1e-5)
    rows = model.token_ids(LINES)
    np.testing.assert_allclose(model.encode_ids(rows), right, atol=1e-5)
    small = attach(model, compress(model.table, "product", 2, 4, weights="none"))
    assert small.encode(LINES).shape == right.shape
    one, other = right[:2]
    seen = attribute(model, small, *rows[:2])
    assert seen.before == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)


@pytest.mark.slow
def test_an_encoder_without_its_decoder(tmp_path):
    """Whoever asks for the network first: AutoModel would give T5 whole, which cannot read a sentence."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import T5Config, T5EncoderModel

    make_t5(tmp_path / "t5")
    save(tmp_path / "t5", T5EncoderModel, T5Config.from_pretrained(tmp_path / "t5"))
    SentenceTransformer(modules=[Transformer(str(tmp_path / "t5")), Pooling(16, "mean")], device="cpu").save(
        str(tmp_path / "m")
    )
    model = load(tmp_path / "m")
    network = model.network()
    assert type(network).__name__ == "T5EncoderModel"
    assert model.sentence_model()[0].auto_model is network
    np.testing.assert_allclose(model.encode(LINES), as_its_library(tmp_path / "m"), atol=1e-5)


# The trial by itself


class Toy(torch.nn.Module):
    """Numbers of rows as different networks would give them."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind, self.calls = kind, None

    def forward(self, rows: list[list[int]]) -> torch.Tensor:
        found = torch.tensor([[float(sum(row)), float(len(row))] for row in rows])
        longest = max(map(len, rows))
        if self.kind == "padding":
            found = found + torch.tensor([[longest - len(row)] * 2 for row in rows])
        if self.kind == "batch":
            found = found + float(found[:, 0].max())
        if self.kind == "state":
            found, self.calls = found + (self.calls or 0), longest
        if self.kind == "random":
            found = found + torch.rand(found.shape)
        if self.kind == "nan":
            found = found * torch.nan
        return found


ROWS = [[1, 2], [3, 4, 5, 7], [*range(13, 3, -1)]]


@pytest.mark.parametrize(
    ("kind", "company", "keeps_state"),
    [
        ("sound", Company.ANY, False),
        ("padding", Company.EQUAL_LENGTH, False),
        ("batch", Company.ALONE, False),
        ("state", Company.EQUAL_LENGTH, True),
    ],
)
def test_what_a_trial_finds(kind, company, keeps_state):
    network = Toy(kind)
    found = tried(network, network, ROWS, "toy", lambda: "")
    assert found == Habits(company, 2, keeps_state)

    def read(rows):
        return in_company(found, network, [len(row) for row in rows], lambda part: network([rows[place] for place in part]))

    together, apart = read(ROWS), torch.cat([read([row]) for row in ROWS])
    assert together.equal(apart)
    assert bool(found.note) == (kind != "sound")


@pytest.mark.parametrize(("kind", "words"), [("random", "other numbers each time"), ("nan", "NaN or infinity")])
def test_what_a_trial_refuses(kind, words):
    network = Toy(kind)
    with pytest.raises(ModelError, match=words):
        tried(network, network, ROWS, "toy", lambda: "")


def test_groups():
    assert groups(Habits(Company.ANY, 1), [3, 1, 3]) == [[0, 1, 2]]
    assert groups(Habits(Company.EQUAL_LENGTH, 1), [3, 1, 3]) == [[0, 2], [1]]
    assert groups(Habits(Company.ALONE, 1), [3, 3]) == [[0], [1]]
    assert groups(Habits(Company.ANY, 1), []) == []


def test_masked_words_do_not_depend_on_the_rest_of_a_batch(tmp_path):
    from transformers import FNetForMaskedLM

    from subemb.evaluate.context.network import ContextSides

    folder = make_fnet(tmp_path / "m", FNetForMaskedLM)
    model = load(folder)
    rows = model.token_ids(LINES[:3])
    assert model.habits("masked").company is Company.EQUAL_LENGTH
    ids, mask = padded(rows, 0)
    chosen = torch.zeros_like(mask, dtype=torch.bool)
    chosen[:, 1] = True
    with torch.no_grad():
        right = torch.cat([model.network("masked")(torch.tensor([row])).logits[:, 1] for row in rows])
        np.testing.assert_allclose(model.logits_at("masked", ids, mask, chosen).numpy(), right.numpy(), atol=1e-5)
    seen = ContextSides({"original": model}).logits(0, rows, [[1]] * 3)
    np.testing.assert_allclose(seen[:, 0].numpy(), right.numpy(), atol=1e-5)


# The longest text


def without_limit(folder):
    """The folder with a tokenizer that states no limit."""
    import json

    path = folder / "tokenizer_config.json"
    values = {key: value for key, value in json.loads(path.read_text()).items() if key != "model_max_length"}
    path.write_text(json.dumps(values))
    return folder


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("known", [True, False])
def test_positions_after_padding(tmp_path, monkeypatch, known):
    """66 rows of positions, of which two are never reached: as its family is known for, or as it shows."""
    if not known:
        monkeypatch.setattr("subemb.models.sentences.POSITIONS_AFTER_PADDING", ())
    model = load(without_limit(make_roberta(tmp_path / "m")))
    long = "the cat " * 100
    assert len(model.token_ids([long])[0]) == model.longest_input() == 64
    assert np.isfinite(model.encode([long])).all()
    assert len(model.token_ids(["the cat"])[0]) < 30
    small = attach(model, compress(model.table, "product", 2, 4, weights="none"))
    assert small.token_ids([long]) == model.token_ids([long])


@pytest.mark.slow
def test_a_limit_of_a_sentence_model_beyond_its_positions(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    first = Transformer(str(make_roberta(tmp_path / "roberta")), max_seq_length=500)
    SentenceTransformer(modules=[first, Pooling(16, "mean")], device="cpu").save(str(tmp_path / "m"))
    model = load(tmp_path / "m")
    (row,) = model.token_ids(["the cat " * 100])
    assert len(row) == 64
    assert row[-1] == model.tokenizer.sep_token_id  # it is cut by the tokenizer, which keeps its frame
    assert np.isfinite(model.encode(["the cat " * 100])).all()


@pytest.mark.slow
def test_a_sentence_model_reads_as_far_after_the_trial():
    """The trial of the longest text begins with a short one."""
    model, long = load("all-MiniLM-L6-v2"), "house garden " * 200
    (row,) = model.token_ids([long])
    assert len(row) == model.longest_input() == 256
    assert model.token_ids([long, "a"])[0] == row


def test_a_network_is_asked_how_much_it_reads():
    asked = []

    def read(rows):
        asked.append(len(rows[0]))
        if len(rows[0]) > 77:
            raise ModelError("too long")

    assert longest_readable(read, [1, 2, 3], 512) == 77
    assert len(asked) < 12
    assert longest_readable(read, [1, 2, 3], 70) == 70
    assert longest_readable(read, [], 100) == 77


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"max_seq_len": 64}, 64),
        ({"n_positions": 64}, 64),
        ({"max_encoder_position_embeddings": 128, "max_decoder_position_embeddings": 64}, 128),
        ({"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ({"max_position_embeddings": 9, "text_config": {"text_config": {"max_position_embeddings": 64}}}, 64),
        ({"max_position_embeddings": "many"}, 10**6),
    ],
)
def test_positions_that_a_config_states(config, positions):
    assert known_positions(config) == positions
