"""Sentences in, vectors out: tokenising, batching by length, pooling. Used by :class:`subemb.models.model.PretrainedModel`."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, ModelError
from ..base.plain import is_whole
from ..base.progress import ProgressCallback, report
from ..base.text import is_whole_text
from .architectures import POSITIONS_AFTER_PADDING

if TYPE_CHECKING:
    import torch

_LONGEST = 512  # tokens, where a model states no limit


def checked_sentences(sentences: Sequence[str]) -> list[str]:
    """Raises InputError unless it is a sequence of strings."""
    if isinstance(sentences, str):
        raise InputError("encode takes a list of sentences, not a single string; put it in a list")
    if not isinstance(sentences, Iterable) or isinstance(sentences, bytes | Mapping):
        raise InputError(f"sentences are {sentences!r:.80}, a {type(sentences).__name__} instead of a list of strings")
    sentences = list(sentences)
    for place, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise InputError(f"sentence {place} is {sentence!r:.80}, a {type(sentence).__name__} instead of a string")
        if not is_whole_text(sentence):
            raise InputError(
                f"sentence {place} holds half a character (a lone surrogate), which no tokenizer can read; leave it out"
            )
    return sentences


def encode_by_length(
    items: Sequence, encode_batch, width: int, batch_size: int, progress: ProgressCallback | None = None
) -> np.ndarray:
    """Vectors of all sentences, (n, width) float32, in batches of similar length.

    items: n texts, or n rows of token ids; ``encode_batch`` maps m of them to (m, width).
    Raises InputError for a bad argument, Cancelled if the callback says so.
    """
    if not is_whole(batch_size, 1):
        raise InputError(f"batch_size is {batch_size!r}; it must be a whole number of at least 1")
    # Longest first: if there is too little memory, that shows at once. A stable sort, so equal input gives equal batches.
    order = sorted(range(len(items)), key=lambda place: -len(items[place]))
    parts: list[np.ndarray] = []
    for start in range(0, len(order), batch_size):
        report(progress, "encoding sentences", start / len(order))
        parts.append(encode_batch([items[place] for place in order[start : start + batch_size]]))
    report(progress, "encoding sentences", 1.0)
    if not parts:
        return np.zeros((0, width), dtype=np.float32)
    vectors = np.concatenate(parts).astype(np.float32, copy=False)
    result = np.empty_like(vectors)
    result[order] = vectors
    return result


def checked_rows(rows: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """Token ids as lists of Python integers. Raises InputError for an id outside of 0 to ``limit`` - 1, or anything that is none."""
    if not isinstance(rows, Iterable):
        raise InputError(f"rows are {rows!r:.80}; rows of token ids are lists of integers")
    result = []
    for place, row in enumerate(rows):
        try:
            ids = [operator.index(number) for number in row]
        except TypeError:
            raise InputError(f"row {place} is {row!r:.80}; rows of token ids are lists of integers") from None
        if min(ids, default=0) < 0:
            raise InputError(f"row {place} has the token id {min(ids)}; ids start at 0")
        if max(ids, default=0) >= limit:
            raise InputError(f"row {place} has the token id {max(ids)}; ids go from 0 to {limit - 1}")
        result.append(ids)
    return result


def padded(
    rows: list[list[int]], padding: int, left: bool = False, device: "torch.device | str" = "cpu"
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Rows of ids as one (m, longest) int64 tensor, and the mask that is 1 where there is a token, both on a device."""
    import torch

    longest = max(1, *map(len, rows)) if rows else 1
    ids = torch.full((len(rows), longest), padding)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for place, row in enumerate(rows):
        where = slice(longest - len(row), longest) if left else slice(len(row))
        ids[place, where] = torch.tensor(row, dtype=torch.long)
        mask[place, where] = 1
    return ids.to(device), mask.to(device)


def padding_id(tokenizer, config) -> int:
    """The id to pad with. Padded places are masked, so any id will do: GPT-2 has none, and gets 0."""
    return next((number for number in (tokenizer.pad_token_id, config.pad_token_id) if number is not None), 0)


def mean_pooled(network: "torch.nn.Module", ids: "torch.Tensor", mask: "torch.Tensor") -> "torch.Tensor":
    """Mean of the last hidden states over the real tokens, (m, width) float32, of (m, longest) ids and mask."""
    # An encoder-decoder's sentence vectors are its encoder's.
    part = network.get_encoder() if network.config.is_encoder_decoder else network
    states = part(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(states.dtype)
    return ((states * weights).sum(1) / weights.sum(1).clamp(min=1)).float()


def default_prompt(sentence_model) -> str | None:
    """What a sentence-transformers model puts in front of every text when nothing else is asked for."""
    return sentence_model.prompts.get(sentence_model.default_prompt_name) if sentence_model.default_prompt_name else None


def sentence_model_ids(sentence_model, texts: list[str]) -> list[list[int]]:
    """Token ids as a sentence-transformers model reads texts: with its prompt, special tokens and cut at its limit."""
    features = sentence_model.preprocess(texts, prompt=default_prompt(sentence_model))
    return [ids[mask.bool()].tolist() for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True)]


def sentence_model_vectors(sentence_model, rows: list[list[int]], device: "torch.device | str" = "cpu") -> "torch.Tensor":
    """(m, width) of rows of token ids, through all modules of a sentence-transformers model, which lies on the device."""
    tokenizer = sentence_model.tokenizer
    padding = padding_id(tokenizer, sentence_model[0].auto_model.config)
    ids, mask = padded(rows, padding, tokenizer.padding_side == "left", device)
    features = {"input_ids": ids, "attention_mask": mask}
    prompt = default_prompt(sentence_model)
    if prompt:  # pooling may leave the prompt out
        features |= {
            name: value for name, value in sentence_model.preprocess([""], prompt=prompt).items() if name == "prompt_length"
        }
    return sentence_model(features)["sentence_embedding"].float()


def check_ids(tokenizer, rows: list[list[int]], limit: int) -> None:
    """Raises ModelError (``broken``) if a row has a token without a row in the table."""
    largest = max((number for ids in rows for number in ids), default=0)
    if largest >= limit:
        token = tokenizer.convert_ids_to_tokens(largest)
        raise ModelError(f"the tokenizer gives {token!r} the id {largest}, but the table has only {limit} rows; leave it out")


def longest_input(config: dict[str, Any], tokenizer) -> int:
    """Tokens that fit the model: the tokenizer's and the position table's limits, or 512."""
    limits = [number for number in (tokenizer.model_max_length,) if number < 10**6]
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if isinstance(positions, int) and positions > 0:
        offset = (config.get("pad_token_id") or 1) + 1 if config.get("model_type") in POSITIONS_AFTER_PADDING else 0
        limits.append(positions - offset)
    return max(1, min(limits, default=_LONGEST))
