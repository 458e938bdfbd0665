"""Sentences in, vectors out: tokenising, batching by length, pooling. Used by :class:`subemb.models.model.PretrainedModel`."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, ModelError
from ..base.plain import is_whole
from ..base.progress import ProgressCallback, report
from ..base.text import is_whole_text
from .architectures import POSITIONS, POSITIONS_AFTER_PADDING, text_part
from .reading import unheard

if TYPE_CHECKING:
    import torch

# Seconds on two ordinary cores: one part for each sentence, one for each billion of (weights of the network x tokens). Measured
# with the bundled model on captions and news; on a faster or a busy machine they are wrong by a factor of two or three.
_SECONDS_A_SENTENCE, _SECONDS_A_BILLION = 0.0005, 0.025
_LONGEST = 512  # tokens, where a model states no limit
NO_LIMIT = 10**6  # tokens: tokenizers without a limit state one above it
#: How a sentence vector is made where the authors do not say it.
MEAN = "mean of the last hidden states over the tokens of the sentence"
POOLER = "output of the network's pooler (it gives no states of single tokens)"


def reading_seconds(model: Any, sentences: int, tokens: float) -> float:
    """Roughly how many seconds a model takes to read so many sentences, of so many tokens together, on two free cores."""
    weights = max(0, (model.parameters or 0) - model.num_tokens * model.dim)
    return _SECONDS_A_SENTENCE * sentences + _SECONDS_A_BILLION * tokens * weights / 1e9


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


def check_batch_size(batch_size: int) -> None:
    """Raises InputError unless it is a whole number of at least 1."""
    if not is_whole(batch_size, 1):
        raise InputError(f"batch_size is {batch_size!r}; it must be a whole number of at least 1")


def encode_by_length(
    items: Sequence, encode_batch, width: int, batch_size: int, progress: ProgressCallback | None = None
) -> np.ndarray:
    """Vectors of all sentences, (n, width) float32, in batches of similar length.

    items: n rows of token ids; ``encode_batch`` maps m of them to (m, width).
    Raises InputError for a bad argument, Cancelled if the callback says so.
    """
    check_batch_size(batch_size)
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

    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    longest = max([1, *map(len, rows)])
    places = torch.arange(longest)
    mask = places >= longest - lengths[:, None] if left else places < lengths[:, None]
    ids = torch.full(mask.shape, padding)
    ids[mask] = torch.tensor([number for row in rows for number in row], dtype=torch.long)
    return ids.to(device), mask.long().to(device)


def padding_id(tokenizer, config) -> int:
    """The id to pad with. Padded places are masked, so any id will do: GPT-2 has none, and gets 0."""
    return next((number for number in (tokenizer.pad_token_id, padding_of(config)) if number is not None), 0)


def padding_of(config) -> int | None:
    """The padding id that a transformers config names: that of its text part, where it has several."""
    return getattr(text_config(config), "pad_token_id", None)


def text_config(config):
    """The part of a transformers config that says how text is read; the config itself for most."""
    for _ in range(5):  # one may stand inside another
        try:
            inner = config.get_text_config()
        except ValueError:  # several, none of which comes first
            return config
        if inner is config:
            break
        config = inner
    return config


def called(network: "torch.nn.Module", *inputs, **named):
    """What a network gives for token ids. Raises ModelError (``unsupported``) where it cannot read them."""
    import torch

    try:
        with unheard():
            return network(*inputs, **named)
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # it may want pictures, the input of a decoder, or anything else
        raise ModelError(
            f"the network {type(network).__name__} cannot read a sentence that is given as token ids alone, so it gives no sentence "
            "vectors; its table can be compressed, and a model of text encodes sentences",
            "unsupported",
        ) from error


def network_vectors(
    network: "torch.nn.Module", ids: "torch.Tensor", mask: "torch.Tensor", types: "torch.Tensor | None" = None
) -> tuple["torch.Tensor", str]:
    """Sentence vectors (m, width) float32 of (m, longest) ids and mask, and how they were made, in words.

    The mean of the last hidden states over the real tokens; for a network without such states what its pooler gives.
    types: (m, longest) token types, where they are not all 0.
    Raises ModelError (``unsupported``) for output that is neither, such as states that do not belong to single tokens.
    """
    # An encoder-decoder's sentence vectors are its encoder's.
    part = network.get_encoder() if getattr(network.config, "is_encoder_decoder", False) else network
    more = {} if types is None else {"token_type_ids": types}
    output = called(part, input_ids=ids, attention_mask=mask, **more)
    states = getattr(output, "last_hidden_state", None)
    if states is None:
        pooled = getattr(output, "pooler_output", None)
        if pooled is None or pooled.shape[:1] != ids.shape[:1] or pooled.ndim != 2:
            raise ModelError(
                f"{type(network).__name__} gives neither states of the tokens nor a pooled vector, so there are no sentence "
                "vectors; its table can be compressed",
                "unsupported",
            )
        return pooled.float(), POOLER
    if states.shape[:2] != ids.shape:
        raise ModelError(
            f"{type(network).__name__} gives {states.shape[1]} states for {ids.shape[1]} tokens, so a mean over the tokens of a "
            "sentence has no meaning here; its table can be compressed",
            "unsupported",
        )
    weights = mask.unsqueeze(-1).to(states.dtype)
    return ((states * weights).sum(1) / weights.sum(1).clamp(min=1)).float(), MEAN


def default_prompt(sentence_model) -> str | None:
    """What a sentence-transformers model puts in front of every text when nothing else is asked for."""
    return sentence_model.prompts.get(sentence_model.default_prompt_name) if sentence_model.default_prompt_name else None


def sentence_model_ids(sentence_model, texts: list[str], limit: int) -> list[list[int]]:
    """Token ids as a sentence-transformers model reads texts: with its prompt, special tokens and cut at ``limit``, or its own if
    that is shorter. Whoever calls it holds the model's tokenizer lock."""
    tokenizer = sentence_model.tokenizer
    own = tokenizer.model_max_length
    tokenizer.model_max_length = min(limit, own)
    try:
        features = sentence_model.preprocess(texts, prompt=default_prompt(sentence_model))
    finally:
        tokenizer.model_max_length = own
    return [ids[mask.bool()].tolist() for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True)]


def features_of_any_text(sentence_model) -> dict[str, Any]:
    """What a sentence-transformers model notes of every text: which way through the network it takes, and how much of it is the
    prompt, for the pooling. Whoever calls it holds the model's tokenizer lock."""
    prompt = default_prompt(sentence_model)
    if not prompt and "text" in sentence_model[0].modalities:
        return {}
    read = sentence_model.preprocess([""], prompt=prompt)
    return {name: read[name] for name in ("modality", "prompt_length") if name in read}


def sentence_model_vectors(
    sentence_model,
    ids: "torch.Tensor",
    mask: "torch.Tensor",
    types: "torch.Tensor | None",
    features: Mapping[str, Any],
) -> "torch.Tensor":
    """(m, width) float32 of (m, longest) ids and mask, through all modules of a sentence-transformers model, cut at its
    ``truncate_dim``. types: (m, longest) token types, where they are not all 0. features: as :func:`features_of_any_text` gives
    them."""
    features = {**features, "input_ids": ids, "attention_mask": mask}
    if types is not None:
        features["token_type_ids"] = types
    output = called(sentence_model, features)
    if "sentence_embedding" not in output:
        kinds = ", ".join(type(module).__name__ for module in sentence_model)
        raise ModelError(
            f"the modules of this model ({kinds}) make no vector of a sentence; add a Pooling to them", "unsupported"
        )
    vectors = output["sentence_embedding"].float()
    width = sentence_model.truncate_dim
    return vectors if width is None else vectors[..., :width]


def token_types(tokenizer) -> tuple[dict[int, int], int] | None:
    """Token types of single sentences: those of the special tokens, and that of all others. None if all are 0, as for most."""
    try:
        read = tokenizer("a", return_special_tokens_mask=True)
        kinds = [int(kind) for kind in read["token_type_ids"]]
    except Exception:  # none, or of a tokenizer that wants more than a text
        return None
    if not any(kinds):
        return None
    tokens = list(zip(read["input_ids"], kinds, read["special_tokens_mask"], strict=True))
    ordinary = next((kind for _, kind, is_special in tokens if not is_special), 0)
    return {number: kind for number, kind, is_special in tokens if is_special}, ordinary


def types_of(ids: "torch.Tensor", types: tuple[dict[int, int], int]) -> "torch.Tensor":
    """(m, longest) token types of (m, longest) ids, by what :func:`token_types` gave."""
    import torch

    special, ordinary = types
    found = torch.full_like(ids, ordinary)
    for number, kind in special.items():
        found[ids == number] = kind
    return found


def check_ids(tokenizer, rows: list[list[int]], limit: int) -> None:
    """Raises ModelError (``broken``) if a row has a token without a row in the table."""
    largest = max((number for ids in rows for number in ids), default=0)
    if largest >= limit:
        token = tokenizer.convert_ids_to_tokens(largest)
        raise ModelError(f"the tokenizer gives {token!r} the id {largest}, but the table has only {limit} rows; leave it out")


def longest_input(config: dict[str, Any], tokenizer) -> int:
    """Tokens that fit a model by what its files say: the tokenizer's limit and the number of positions, or 512."""
    limits = [number for number in (tokenizer.model_max_length, known_positions(config)) if number < NO_LIMIT]
    return max(1, min(limits, default=_LONGEST))


def known_positions(config: dict[str, Any]) -> int:
    """Tokens that have a position, by ``config.json``; NO_LIMIT if it does not say it."""
    part = text_part(config)
    positions = next((part[name] for name in POSITIONS if is_whole(part.get(name), 1)), None)
    if positions is None:
        return NO_LIMIT
    padding = part.get("pad_token_id")
    offset = (padding if is_whole(padding, 1) else 1) + 1 if part.get("model_type") in POSITIONS_AFTER_PADDING else 0
    return max(1, positions - offset)
