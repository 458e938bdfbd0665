"""The network around a token table: loading it quietly, copying it with shared weights, and encoding sentences with it."""

import copy
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, ModelError
from .headers import name_of
from .progress import ProgressCallback, report

if TYPE_CHECKING:
    import torch

TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xmod", "data2vec-text")
_LONGEST = 512  # tokens, where a model states no limit
_transformers_lock = threading.Lock()  # transformers' verbosity and default dtype are global while it loads


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Load without progress bars and warnings on the terminal; one thread at a time."""
    from transformers.utils import logging

    with _transformers_lock:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """What an exception of another library says, short enough for a message, and never advising what subemb does not do."""
    if "trust_remote_code" in str(error):
        return "it needs code of its own, which subemb never runs; choose one whose architecture is part of transformers"
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def load_network(folder: Path) -> "torch.nn.Module":
    """``AutoModel`` of a checkpoint folder in float32 and eval mode. Raises ModelError (``unsupported``)."""
    import torch
    from transformers import AutoModel

    with quiet_transformers():
        try:
            network = AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except Exception as error:  # a stranger's config can make transformers raise anything
            raise ModelError(f"the network of {name_of(folder)} cannot be built: {first_line(error)}", "unsupported") from error
    return network.eval()


def load_sentence_model(folder: Path):
    """The sentence-transformers model of a folder with ``modules.json``, on the CPU. Raises ModelError (``unsupported``)."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelError(
            f"{name_of(folder)} is a sentence-transformers model; run: pip install sentence-transformers", "unsupported"
        ) from error
    import torch

    check_sentence_modules(folder)
    with quiet_transformers():
        try:
            model = SentenceTransformer(
                str(folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
        except Exception as error:
            raise ModelError(f"{name_of(folder)} cannot be loaded for sentences: {first_line(error)}", "unsupported") from error
    return model.eval()


def check_sentence_modules(folder: Path) -> None:
    """Raises ModelError if ``modules.json`` names code from elsewhere or a module with pickled weights only.

    sentence-transformers before version 6 runs code that lies in a local folder without being asked to trust it, and every
    version unpickles a module that has no safetensors.
    """
    try:
        steps = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        parts = [(str(step["type"]), folder / str(step["path"])) for step in steps]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"modules.json of {name_of(folder)} is damaged ({first_line(error)}); download the model again"
        ) from error
    for kind, part in parts:
        if not kind.startswith("sentence_transformers."):
            raise ModelError(
                f"{name_of(folder)} needs code of its own ({kind} in modules.json), which subemb never runs", "unsupported"
            )
        if (part / "pytorch_model.bin").is_file() and not list(part.glob("*.safetensors")):
            raise ModelError(
                f"{name_of(folder)} keeps weights of {part.name} in pytorch_model.bin only; only safetensors files are read, since "
                "pickled files can run code",
                "no_safetensors",
            )


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has any of the files that tokenizers are read from."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def load_tokenizer(folder: Path):
    """``AutoTokenizer`` of a folder. Raises ModelError (``no_tokenizer``, or ``unsupported`` if a package is missing)."""
    if not has_tokenizer(folder):
        raise ModelError(
            f"{name_of(folder)} has no tokenizer files ({', '.join(TOKENIZER_FILES[:3])}, ...); "
            "copy them from where the model comes from",
            "no_tokenizer",
        )
    from transformers import AutoTokenizer

    with quiet_transformers():
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            missing = [name for name in ("sentencepiece", "tiktoken") if find_spec(name) is None]
            if list(folder.glob("*.model")) and missing:
                raise ModelError(
                    f"the tokenizer of {name_of(folder)} cannot be read without another package; run: pip install "
                    f"{' '.join(missing)} protobuf; or use a copy of the model with a tokenizer.json",
                    "unsupported",
                ) from error
            raise ModelError(f"the tokenizer of {name_of(folder)} cannot be read: {first_line(error)}") from error


def share_weights(module: "torch.nn.Module", *also_shared: Any) -> "torch.nn.Module":
    """A copy of a module tree that uses the same parameter and buffer tensors, so that parts of it can be exchanged."""
    memo = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    memo.update({id(thing): thing for thing in also_shared if thing is not None})
    return copy.deepcopy(module, memo)


def exchange_network(sentence_model, network: "torch.nn.Module") -> None:
    """Let a sentence-transformers model run on another transformers network."""
    holder = sentence_model[0]
    # Its versions differ in the attribute that holds the network; ``auto_model`` reads it in all of them.
    name = next(name for name, child in holder.named_children() if child is holder.auto_model)
    setattr(holder, name, network)


def checked_sentences(sentences: Sequence[str]) -> list[str]:
    """Raises InputError unless it is a sequence of strings."""
    if isinstance(sentences, str):
        raise InputError("encode takes a list of sentences, not a single string; put it in a list")
    sentences = list(sentences)
    for place, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise InputError(f"sentence {place} is {sentence!r}, a {type(sentence).__name__} instead of a string")
    return sentences


def encode_by_length(
    sentences: Sequence[str], encode_batch, width: int, batch_size: int, progress: ProgressCallback | None = None
) -> np.ndarray:
    """Vectors of all sentences, (n, width) float32, in batches of similar length; ``encode_batch`` maps m strings to (m, width).

    Raises InputError for a bad argument, Cancelled if the callback says so.
    """
    sentences = checked_sentences(sentences)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size is {batch_size!r}; it must be a whole number of at least 1")
    # Longest first: if memory does not suffice, that shows at once. A stable sort, so equal input gives equal batches.
    order = sorted(range(len(sentences)), key=lambda place: -len(sentences[place]))
    parts: list[np.ndarray] = []
    for start in range(0, len(order), batch_size):
        report(progress, "encoding sentences", start / len(order))
        parts.append(encode_batch([sentences[place] for place in order[start : start + batch_size]]))
    report(progress, "encoding sentences", 1.0)
    if not parts:
        return np.zeros((0, width), dtype=np.float32)
    vectors = np.concatenate(parts).astype(np.float32, copy=False)
    result = np.empty_like(vectors)
    result[order] = vectors
    return result


def mean_pooled(network: "torch.nn.Module", tokenizer, texts: list[str], limit: int) -> np.ndarray:
    """Mean of the last hidden states over the real tokens of each text, (m, width) float32; tokens past ``limit`` are cut off.

    Padding is done here, since GPT-2's tokenizer has no padding token; padded places are masked, so their id is of no account.
    """
    import torch

    rows = [ids[:limit] for ids in tokenizer(texts, truncation=True, max_length=limit)["input_ids"]]
    padding = next((number for number in (tokenizer.pad_token_id, network.config.pad_token_id) if number is not None), 0)
    longest = max(1, *map(len, rows))
    ids = torch.full((len(rows), longest), padding)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[place, : len(row)] = 1
    # An encoder-decoder's sentence vectors are its encoder's.
    part = network.get_encoder() if network.config.is_encoder_decoder else network
    with torch.inference_mode():
        states = part(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        return ((states * weights).sum(1) / weights.sum(1).clamp(min=1)).float().numpy()


def check_rows(tokenizer, texts: list[str], rows: int) -> None:
    """Raises ModelError (``broken``) if a text has a token without a row in the table."""
    largest = max((number for ids in tokenizer(texts)["input_ids"] for number in ids), default=0)
    if largest >= rows:
        token = tokenizer.convert_ids_to_tokens(largest)
        raise ModelError(f"the tokenizer gives {token!r} the id {largest}, but the table has only {rows} rows; leave it out")


def longest_input(config: dict[str, Any], tokenizer) -> int:
    """Tokens that fit the model: the tokenizer's and the position table's limits, or 512."""
    limits = [number for number in (tokenizer.model_max_length,) if number < 10**6]
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if isinstance(positions, int) and positions > 0:
        offset = (config.get("pad_token_id") or 1) + 1 if config.get("model_type") in _POSITIONS_AFTER_PADDING else 0
        limits.append(positions - offset)
    return max(1, min(limits, default=_LONGEST))


def pooling_in_words(folder: Path) -> str:
    """How a sentence-transformers folder makes a sentence vector, read from its JSON."""
    try:
        steps = [step["type"].rsplit(".", 1)[-1] for step in json.loads((folder / "modules.json").read_text(encoding="utf-8"))]
        config = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
        modes = [
            key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on is True
        ]
        mode = " and ".join(modes).replace("_", " ") or str(config.get("pooling_mode", "")) or "pooled"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return "as its authors set it (sentence-transformers)"
    return f"{mode}, as its authors set it (sentence-transformers: {', '.join(steps)})"
