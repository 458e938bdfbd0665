"""What differs between families of models, as data: a new family costs nothing, or one entry in one of these lists.

Reading order: where the token table is, what may hold it a second time, what sits on top, files of the tokenizer, limits.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

#: Where families keep their token table: ends of tensor names, the surest first (``shared`` before T5's copies of it). A family
#: that is not listed is found by building its network without weights, which takes a second or two.
TABLE_SUFFIXES = (
    "embeddings.word_embeddings.weight",  # BERT, RoBERTa, DistilBERT, MPNet, ALBERT, DeBERTa, ELECTRA
    "shared.weight",  # T5, BART
    "wte.weight",  # GPT-2
    "embeddings.tok_embeddings.weight",  # ModernBERT
    "embed_tokens.weight",  # Llama, Qwen, Gemma, OPT
    "word_embedding.weight",  # XLNet
    "word_embeddings.weight",  # BLOOM, Falcon
    "embed_in.weight",  # GPT-NeoX
)
#: Output heads that hold the table a second time when the model ties them.
TIED_HEADS = (
    "lm_head.weight",
    "decoder.weight",
    "embed_out.weight",
    "vocab_projector.weight",
    "generator_lm_head.weight",
    "pred_layer.proj.weight",
)
#: Copies of the table that the two stacks of T5 share.
STACK_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
#: Ends of the names of architectures whose output head may share the token table.
LANGUAGE_MODELS = ("ForMaskedLM", "LMHeadModel", "ForCausalLM", "ForConditionalGeneration", "ForPreTraining")
#: Ends of the names of architectures that are the encoder of an encoder-decoder alone, such as T5EncoderModel.
ENCODERS = ("T5EncoderModel",)
#: Architectures that AutoModel takes for a sibling of another name.
SIBLINGS = ("DPRContextEncoder",)


@dataclass(frozen=True)
class Head:
    """What sits on top of a network. Whether a checkpoint has one is decided by its weights: these are signs to begin with."""

    title: str  # for messages
    auto_class: str  # of transformers, that loads a network with it
    suffixes: tuple[str, ...]  # of the names of architectures that have it
    marks: re.Pattern  # of names that only the weights of such a head have
    others: tuple[str, ...] = ()  # suffixes of architectures whose own head has the same marks or a name that ends alike

    def may_be_in(self, architecture: str, names: Collection[str]) -> bool:
        """Whether a checkpoint of this architecture ('' if it is not said) with weights of these names may have it."""
        if architecture.endswith(self.others or ("\0",)):
            return False
        return architecture.endswith(self.suffixes) or any(self.marks.search(name) for name in names)


HEADS = {
    "masked": Head(
        "masked-word head",
        "AutoModelForMaskedLM",
        ("ForMaskedLM", "WithLMHeadModel", "BartForConditionalGeneration", "MvpForConditionalGeneration"),
        re.compile(
            r"(^|\.)(cls\.predictions\.|predictions\.(dense|LayerNorm)\.|generator_predictions\.|lm_predictions\.|vocab_transform\.|"
            r"pred_layer\.proj\.)|(^|\.)lm_head\.(dense|layer_norm)\.|^decoder\.bias$"
        ),
    ),
    "causal": Head(
        "next-word head",
        "AutoModelForCausalLM",
        ("ForCausalLM", "LMHeadModel"),
        re.compile(r"^(lm_head|embed_out|output_projection)\.weight$"),
        ("WithLMHeadModel", "ForMaskedLM", "ForConditionalGeneration", "ForPreTraining"),
    ),
    "classifier": Head(
        "classifier of sentences",
        "AutoModelForSequenceClassification",
        ("ForSequenceClassification",),
        re.compile(r"^(classifier|score|classification_head|pre_classifier)\."),
        ("ForTokenClassification", "ForMultipleChoice", "ForQuestionAnswering", "ForImageClassification"),
    ),
}

#: Files that tokenizers are read from: the one list, for finding, fetching and hashing them (in this order).
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "sentencepiece.model",
    "source.spm",
    "target.spm",
    "target_vocab.json",
    "bpe.codes",
    "spm_char.model",
    "vocab-src.json",
    "vocab-tgt.json",
    "prophetnet.tokenizer",
    "dict.txt",
    "tekken.json",
)
#: Those that are not a tokenizer on their own.
COMPANION_FILES = ("merges.txt", "target_vocab.json", "dict.txt")
#: Ends of the names of vocabularies, however they begin.
VOCABULARY_ENDS = (".model", ".spm", ".tiktoken", ".codes", ".bpe")
#: Packages without which transformers cannot read some of the others.
TOKENIZER_PACKAGES = ("sacremoses", "fugashi", "rjieba", "jieba", "pythainlp", "phonemizer", "mistral_common")
#: What families call the number of positions that they have learned, the one that reads text first.
POSITIONS = (
    "max_position_embeddings",
    "max_encoder_position_embeddings",  # LED
    "n_positions",  # GPT-2
    "max_seq_len",  # MPT
    "max_sequence_length",
)
#: Model types whose positions begin after the padding id, so that fewer tokens fit by as many. It is what is told beforehand: a text
#: that long is tried before it is read (:func:`subemb.models.reading.longest_readable`).
POSITIONS_AFTER_PADDING = (
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "mpnet",
    "longformer",
    "xmod",
    "data2vec-text",
    "ibert",
    "esm",
    "luke",
    "mluke",
    "lilt",
    "layoutlmv3",
)
#: Names under which a config of several parts keeps the one that reads text.
_TEXT_PARTS = ("text_config", "text_encoder", "encoder", "thinker_config", "language_config", "llm_config")


def text_part(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a ``config.json`` that says how text is read; the whole for most.

    >>> text_part({"thinker_config": {"text_config": {"vocab_size": 9}}}), text_part({"vocab_size": 9})
    ({'vocab_size': 9}, {'vocab_size': 9})
    """
    for _ in range(5):  # one may stand inside another
        inner = next((config[name] for name in _TEXT_PARTS if isinstance(config.get(name), dict)), None)
        if inner is None:
            break
        config = inner
    return config


# Stored tensors that are not parameters: names, and GPT-2's causal masks of four axes, which it used to store.
_BUFFERS = re.compile(
    r"(position_ids|token_type_ids|masked_bias|inv_freq|final_logits_bias|running_mean|running_var|num_batches_tracked|_float_tensor|"
    r"weight_integer|bias_integer|_scaling_factor|\.x_min|\.x_max|LayerNorm\.shift|act_fn\.(beta|eps))$"
)
_CAUSAL_MASK = ".attn.bias"
# What old checkpoints call the weights of a LayerNorm.
_OLD_NAMES = ((".LayerNorm.weight", ".LayerNorm.gamma"), (".LayerNorm.bias", ".LayerNorm.beta"))


def is_buffer(name: str, axes: int) -> bool:
    """Whether a stored tensor of so many axes is a buffer rather than a parameter, by its name.

    >>> [is_buffer(name, 1) for name in ("layers.0.mlp.act_fn.beta", "embeddings.LayerNorm.beta", "embeddings.position_ids")]
    [True, False, True]
    """
    return _BUFFERS.search(name) is not None or (name.endswith(_CAUSAL_MASK) and axes == 4)


def spellings(name: str, known: Collection[str], prefix: str | None = None) -> list[str]:
    """Names among ``known`` that may stand for the weight that a network calls ``name``, the likeliest first.

    A network with a head puts a prefix before the names of its base, and old checkpoints call the weights of a LayerNorm gamma
    and beta. prefix: the network's ``base_model_prefix``; without it, any single name may stand before.

    >>> spellings("layer.0.LayerNorm.bias", ["bert.layer.0.LayerNorm.beta", "layer.1.LayerNorm.beta"])
    ['bert.layer.0.LayerNorm.beta']
    >>> spellings("bert.pooler.bias", ["pooler.bias"], "bert"), spellings("bert.pooler.bias", ["pooler.bias"], "roberta")
    (['pooler.bias'], [])
    """
    prefixes = [prefix] if prefix is not None else dict.fromkeys(other.partition(".")[0] for other in (name, *known))
    spelled = [name, *(f"{one}.{name}" for one in prefixes), *(name.removeprefix(f"{one}.") for one in prefixes)]
    spelled += [other.replace(new, old) for other in spelled for new, old in _OLD_NAMES]
    return [other for other in dict.fromkeys(spelled) if other in known]
