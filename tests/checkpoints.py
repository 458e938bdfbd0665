"""Small checkpoints that tests make: every architecture with a tokenizer of its own kind, seeded, a few kilobytes each.

>>> from checkpoints import make_bert, make_hostile
>>> make_bert(tmp_path / "bert", tokens=[*SPECIAL, "cat", "dog"], dim=8)
"""

import json
from pathlib import Path

import torch

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "bird",
    "sits",
    "runs",
    "sings",
    "on",
    "under",
    "mat",
    "tree",
    "table",
    "small",
    "big",
    "old",
    "new",
    "house",
    "river",
    "green",
    "blue",
    "one",
    "two",
    "1",
    "7",
    "2024",
    "##s",
    "##ing",
    "##ed",
    ",",
    ".",
    "!",
    "?",
    "un",
    "##believ",
    "##able",
    "katze",
    "hund",
    "на",
    "стол",
]
TOKENS = [*SPECIAL, *WORDS]
LINES = [
    "The cat sits on the mat.",
    "A small dog runs under the old tree, and a bird sings.",
    "Two birds are singing in 2024!",
    "Ünïcode naïve café: 1234 5678",
    "the river is green and the house is blue",
    "Кот сидит на столе; 猫が座る。",
]
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script>",
    "<script>document.title='owned'</script>",
    "<b>x</b>",
    "<s>",
    "**",
    "__bold__",
    "$x$",
    "$$\\frac{1}{2}$$",
    ":smile:",
    ":material/home:",
    ":red[x]",
    "\n",
    "a\r\nb",
    "\t",
    " ",
    "\u200f",
    "\u202eevil",
    "\u0007",
    "\u001b[31m",
    "[link](javascript:alert(1))",
    "![i](http://127.0.0.1:9/x.png)",
    "# heading",
    "- item",
    "`code`",
    "| cell |",
    "&lt;",
    "%{x}",
    "{{7*7}}",
    "=1+1",
    '"quoted", comma',
    "'",
    "\\",
    "é",
    "e\u0301",
    "👩\u200d👩\u200d👧",
    "العربية",
    "x" * 300,
]


def make_bert(
    folder: Path, tokens: list[str] | None = None, dim: int = 16, rows: int | None = None, masked_lm: bool = False, **settings
) -> Path:
    """BERT with a WordPiece vocabulary; ``rows`` > tokens adds padding rows; ``masked_lm`` saves the tied head's model."""
    from transformers import BertConfig, BertForMaskedLM, BertModel

    tokens = TOKENS if tokens is None else tokens
    config = BertConfig(vocab_size=rows or len(tokens), hidden_size=dim, pad_token_id=0, **bert_sizes(dim), **settings)
    return save(folder, BertForMaskedLM if masked_lm else BertModel, config, word_piece(tokens))


def make_distilbert(folder: Path, dim: int = 16) -> Path:
    """DistilBERT: ``distilbert.embeddings.word_embeddings`` under its masked-language head."""
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    config = DistilBertConfig(
        vocab_size=len(TOKENS), dim=dim, hidden_dim=2 * dim, n_layers=1, n_heads=2, max_position_embeddings=64
    )
    return save(folder, DistilBertForMaskedLM, config, word_piece(TOKENS))


def make_electra(folder: Path, dim: int = 16) -> Path:
    """ELECTRA, whose table is narrower (``embedding_size``) than its hidden states."""
    from transformers import ElectraConfig, ElectraModel

    config = ElectraConfig(vocab_size=len(TOKENS), embedding_size=dim // 2, hidden_size=dim, **bert_sizes(dim))
    return save(folder, ElectraModel, config, word_piece(TOKENS))


def make_mpnet(folder: Path, dim: int = 16) -> Path:
    """MPNet with a WordPiece vocabulary; its positions start after the padding id."""
    from transformers import MPNetConfig, MPNetModel

    config = MPNetConfig(vocab_size=len(TOKENS), hidden_size=dim, pad_token_id=0, **bert_sizes(dim))
    return save(folder, MPNetModel, config, word_piece(TOKENS))


def make_albert(folder: Path, dim: int = 16) -> Path:
    """ALBERT: a factorised table (V, E), E = dim / 2, and a unigram vocabulary."""
    from transformers import AlbertConfig, AlbertModel

    tokenizer = unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], cls="[CLS]", sep="[SEP]", mask="[MASK]")
    config = AlbertConfig(vocab_size=len(tokenizer), embedding_size=dim // 2, hidden_size=dim, **bert_sizes(dim))
    return save(folder, AlbertModel, config, tokenizer)


def make_deberta(folder: Path, dim: int = 16) -> Path:
    """DeBERTa-v2 with a unigram vocabulary and relative positions."""
    from transformers import DebertaV2Config, DebertaV2Model

    tokenizer = unigram(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], cls="[CLS]", sep="[SEP]", mask="[MASK]", pad="[PAD]", unk="[UNK]"
    )
    config = DebertaV2Config(
        vocab_size=len(tokenizer), hidden_size=dim, relative_attention=True, pos_att_type=["p2c", "c2p"], **bert_sizes(dim)
    )
    return save(folder, DebertaV2Model, config, tokenizer)


def make_roberta(folder: Path, dim: int = 16) -> Path:
    """RoBERTa with a byte-level BPE vocabulary and its tied masked-language head."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    tokenizer = byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], frame=("<s>", "</s>"))
    config = RobertaConfig(vocab_size=len(tokenizer), hidden_size=dim, pad_token_id=1, **bert_sizes(dim))
    return save(folder, RobertaForMaskedLM, config, tokenizer)


def make_xlmr(folder: Path, dim: int = 16, rows: int | None = None) -> Path:
    """XLM-R with a unigram vocabulary."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], cls="<s>", sep="</s>", mask="<mask>")
    config = XLMRobertaConfig(vocab_size=rows or len(tokenizer), hidden_size=dim, pad_token_id=1, **bert_sizes(dim))
    return save(folder, XLMRobertaModel, config, tokenizer)


def make_gpt2(folder: Path, dim: int = 16, head: bool = True, **settings) -> Path:
    """GPT-2 with a byte-level BPE vocabulary and no padding token; names start with ``transformer.`` if ``head``."""
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

    tokenizer = byte_level(["<|endoftext|>"])
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=dim, n_layer=1, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0, **settings
    )
    return save(folder, GPT2LMHeadModel if head else GPT2Model, config, tokenizer)


def make_llama(folder: Path, dim: int = 16, tied: bool = False, **settings) -> Path:
    """Llama, whose tokenizer puts ``<s>`` before every text and has no pre-tokeniser, so that nothing but blanks parts its words."""
    from tokenizers import Tokenizer, models, normalizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = dict.fromkeys(f"▁{word}" for line in LINES for word in line.split())
    letters = dict.fromkeys(letter for word in words for letter in word)
    pieces, merges = [*letters], []
    for word in words:  # every word is built letter by letter, so that BPE finds it whole
        for end in range(2, len(word) + 1):
            if word[:end] not in pieces:
                pieces.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    vocabulary = {token: number for number, token in enumerate(["<unk>", "<s>", "</s>", *pieces])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", model_max_length=64
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        intermediate_size=2 * dim,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        **settings,
    )
    return save(folder, LlamaForCausalLM, config, made)


def make_t5(folder: Path, dim: int = 16, tied: bool = True) -> Path:
    """T5 (encoder-decoder) with a unigram vocabulary; untied it has an output head of its own, as version 1.1 has."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = unigram(["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"], sep="</s>")
    config = T5Config(
        vocab_size=len(tokenizer) + 3,  # T5 rounds its table up
        d_model=dim,
        d_kv=8,
        d_ff=2 * dim,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    save(folder, T5ForConditionalGeneration, config, tokenizer)
    if not tied:  # transformers 5 makes tied ones only, but reads both
        model = T5ForConditionalGeneration(config)
        model.lm_head.weight = torch.nn.Parameter(
            torch.linspace(-1, 1, model.shared.weight.numel()).view_as(model.shared.weight)
        )
        model.save_pretrained(folder)
        reconfigured(folder, tie_word_embeddings=False)
    return folder


def make_hostile(folder: Path, dim: int = 16, ordinary: int = 300) -> Path:
    """BERT whose vocabulary is an attack: markup, formulas, control characters, and ``ordinary`` words around them."""
    return make_bert(folder, [*SPECIAL, *HOSTILE, *(f"word{number}" for number in range(ordinary))], dim)


def make_table(folder: Path, table: torch.Tensor, tokens: list[str] | None = None, **config) -> Path:
    """The least that has a table: a config, one tensor, and a vocabulary if given. No network can be built from it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"embeddings.word_embeddings.weight": table.contiguous()}, folder / "model.safetensors")
    values = {"model_type": "bert", "vocab_size": len(table) if table.ndim else 0, **config}
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    if tokens is not None:
        word_piece(tokens).save_pretrained(folder)
    return folder


def make_sentence_model(folder: Path, pooling: str = "mean", normalize: bool = False) -> Path:
    """Turn a checkpoint into a sentence-transformers folder: its transformer, pooling, and perhaps unit length."""
    import sentence_transformers

    parts = [("", "Transformer"), ("1_Pooling", "Pooling")] + ([("2_Normalize", "Normalize")] if normalize else [])
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(parts)
    ]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    _write(
        folder / "config_sentence_transformers.json",
        {"__version__": {"sentence_transformers": sentence_transformers.__version__}},
    )
    wanted = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}[pooling]
    modes = {f"pooling_mode_{mode}": mode == wanted for mode in ("cls_token", "mean_tokens", "max_tokens")}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": config["hidden_size"], **modes})
    if normalize:
        (folder / "2_Normalize").mkdir(exist_ok=True)
    return folder


#: A maker for each architecture.
ARCHITECTURES = (
    make_bert,
    make_distilbert,
    make_mpnet,
    make_roberta,
    make_xlmr,
    make_gpt2,
    make_t5,
    make_albert,
    make_deberta,
    make_electra,
)


def save(folder: Path, kind, config, tokenizer=None) -> Path:
    """A seeded network of a config, saved as transformers saves it, and perhaps a tokenizer beside it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


def bert_sizes(dim: int) -> dict[str, int]:
    """Of one small layer, as configs like BERT's name them."""
    return {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 2 * dim, "max_position_embeddings": 66}


def reconfigured(folder: Path, **values) -> Path:
    """The folder with other values in its config.json."""
    path = folder / "config.json"
    _write(path, {**json.loads(path.read_text(encoding="utf-8")), **values})
    return folder


def shard(folder: Path, size: str = "4KB") -> Path:
    """Split a checkpoint's weights over several files with an index."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size=size)
    return folder


def word_piece(tokens: list[str]):
    """A BERT tokenizer of these tokens, in this order."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    known = {name: token for name, token in named.items() if token in vocabulary}
    if {"cls_token", "sep_token"} <= set(known):
        tokenizer.post_processor = _framed("[CLS]", "[SEP]", vocabulary)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **known)


def byte_level(special: list[str], frame: tuple[str, str] | None = None):
    """A byte-level BPE tokenizer trained on LINES, in GPT-2's (or with a frame RoBERTa's) manner."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    if frame is None:
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, eos_token=special[0], bos_token=special[0], model_max_length=64
        )
    tokenizer.post_processor = _framed(*frame, tokenizer.get_vocab())
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=60,
    )


def unigram(
    special: list[str],
    cls: str | None = None,
    sep: str | None = None,
    mask: str | None = None,
    pad: str = "<pad>",
    unk: str = "<unk>",
):
    """A SentencePiece-like unigram tokenizer of the words and letters of LINES, with ▁ for the blank and log probabilities.

    Not trained, since the trainer's order changes from process to process.
    """
    from collections import Counter
    from math import log

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Counter(f"▁{word}" for line in LINES for word in line.split())
    letters = Counter(letter for word in words for letter in word)
    counts = {**dict(sorted(letters.items())), **dict(words.most_common())}
    total = sum(counts.values())
    pieces = [(token, 0.0) for token in special] + [(piece, log(count / total)) for piece, count in counts.items()]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=special.index(unk)))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    if sep is not None:
        tokenizer.post_processor = _framed(cls, sep, tokenizer.get_vocab())
    named = {"pad_token": pad, "unk_token": unk, "cls_token": cls, "sep_token": sep, "mask_token": mask}
    known = {name: token for name, token in named.items() if token is not None}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=60, **known)


def _framed(first: str | None, last: str, vocabulary: dict[str, int]):
    from tokenizers import processors

    ends = [token for token in (first, last) if token is not None]
    single = " ".join(part for part in (first, "$A", last) if part is not None)
    return processors.TemplateProcessing(single=single, special_tokens=[(token, vocabulary[token]) for token in ends])


def _write(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
