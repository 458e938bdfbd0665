"""The "network" of a static table: looking rows up, their mean, and the modules that sentence-transformers puts after it.

It has the form of a transformers network whose hidden states are the rows themselves, so that a compressed table is put into it,
trained and attributed as into any other.
"""

import json
import statistics
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..base.errors import ModelError
from .architectures import HEADS
from .folder import check_not_pickled, name_of
from .network import read_fast_tokenizer
from .sentences import network_vectors
from .static import StaticCheckpoint

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Spellings of control tokens, for the tokenizers that come without a list of theirs.
_ROLES = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


class StaticNetwork(nn.Module):
    """A token table, its mean over a sentence, and what comes after that."""

    base_model_prefix = ""

    def __init__(self, table: nn.Module, checkpoint: StaticCheckpoint):
        from transformers import PretrainedConfig

        super().__init__()
        self.embedding = table
        self.steps = nn.ModuleList(_step(kind, path, checkpoint) for kind, path in checkpoint.steps if kind != "Normalize")
        self.normalizes, self.truncated = checkpoint.normalizes, checkpoint.truncated
        with torch.no_grad():
            self.width = self._finished(torch.zeros(1, checkpoint.table.shape[1])).shape[1]
        self.config = PretrainedConfig(
            model_type="static", hidden_size=self.width, vocab_size=checkpoint.table.shape[0], pad_token_id=0
        )

    def get_input_embeddings(self) -> nn.Module:
        """The table's layer."""
        return self.embedding

    def set_input_embeddings(self, table: nn.Module) -> None:
        """Look rows up in another layer."""
        self.embedding = table

    def get_output_embeddings(self) -> None:
        """There is no output head."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None):
        """(m, length) ids to hidden states (m, length, D): the rows. A mask changes none of them."""
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.embedding(input_ids))

    def sentence_vectors(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(m, width) of (m, length) ids; zeros where there is no token."""
        return self._finished(network_vectors(self, ids, mask)[0])

    def _finished(self, vectors: torch.Tensor) -> torch.Tensor:
        features = {"sentence_embedding": vectors}
        for step in self.steps:
            features = step(features)
        vectors = features["sentence_embedding"]
        if self.normalizes:
            vectors = nn.functional.normalize(vectors)
        return vectors if self.truncated is None else vectors[:, : self.truncated]


def _step(kind: str, path, checkpoint: StaticCheckpoint) -> nn.Module:
    """One module of sentence-transformers. Raises ModelError (``unsupported``, ``no_safetensors``)."""
    check_not_pickled(checkpoint.folder, path)
    try:
        return getattr(sentence_modules(), kind).load(str(path), local_files_only=True).float().eval()
    except Exception as error:  # a stranger's config can make the library raise anything
        raise ModelError(
            f"{path.name} ({kind}) of {name_of(checkpoint.folder)} cannot be loaded; download the model again", "unsupported"
        ) from error


def sentence_modules():
    """Where sentence-transformers keeps its modules: from version 6 on, and before."""
    try:
        return import_module("sentence_transformers.sentence_transformer.modules")
    except ImportError:
        return import_module("sentence_transformers.models")


def static_network(checkpoint: StaticCheckpoint, table: torch.Tensor, head: str | None = None) -> StaticNetwork:
    """The network around a (V, D) table, whose memory it shares. Raises ModelError (``unsupported``) for a head."""
    if head is not None:
        raise ModelError(
            f"{name_of(checkpoint.folder)} has no {HEADS[head].title}: it is a static table, without any network",
            "unsupported",
        )
    return StaticNetwork(nn.Embedding.from_pretrained(table, freeze=False), checkpoint).eval()


# Tokens


class StaticTokens:
    """How a static table reads texts: as the library that it was made for does.

    Whoever calls :meth:`ids` holds the model's tokenizer lock. Raises ModelError without a sound tokenizer.json.
    """

    def __init__(self, checkpoint: StaticCheckpoint):
        from tokenizers import processors
        from transformers import PreTrainedTokenizerFast

        own = _read_tokenizer(checkpoint)
        unknown = _unknown_token(own)
        self._name, self._prompt = name_of(checkpoint.folder), checkpoint.prompt
        if checkpoint.is_model2vec:
            self._longest, self._keeps_end, self._dropped = checkpoint.longest, False, unknown
        else:
            cut = own.truncation or {}
            self._longest, self._keeps_end, self._dropped = cut.get("max_length"), cut.get("direction") == "left", None
        # model2vec cuts characters first, as many as so many tokens of median length have: that spares it reading long texts.
        vocabulary = own.get_vocab(with_added_tokens=True)
        median = int(statistics.median(map(len, vocabulary))) if vocabulary else 0
        self._characters = self._longest * median if checkpoint.is_model2vec and self._longest else None
        # Neither library puts special tokens around a text.
        own.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
        own.no_truncation()
        own.no_padding()
        roles = {role: next((text for text in texts if text in vocabulary), None) for role, texts in _ROLES.items()}
        if unknown is not None:
            roles["unk_token"] = own.id_to_token(unknown)
        known = {role: text for role, text in roles.items() if text is not None}
        #: The transformers tokenizer, for whoever asks about tokens.
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=own, clean_up_tokenization_spaces=False, **known)

    def ids(self, texts: Sequence[str], whole: bool = False) -> list[list[int]]:
        """Token ids of n texts, cut where the model's input ends. whole: without that."""
        texts = [self._prompt + text for text in texts]
        if not whole and self._characters is not None:
            texts = [text[: self._characters] for text in texts]
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()  # calls of the transformers tokenizer leave theirs behind
        backend.no_padding()
        try:
            rows = [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]
        except Exception as error:  # a Rust library raises plain exceptions
            raise ModelError(
                f"the tokenizer of {self._name} cannot read this text ({error}); leave out words that it does not know",
                "unsupported",
            ) from error
        if not whole and self._longest:
            rows = [ids[-self._longest :] if self._keeps_end else ids[: self._longest] for ids in rows]
        return rows if self._dropped is None else [[each for each in ids if each != self._dropped] for ids in rows]


def _read_tokenizer(checkpoint: StaticCheckpoint) -> "Tokenizer":
    places = (place / "tokenizer.json" for place in (checkpoint.weights_folder, checkpoint.folder))
    path = next((path for path in places if path.is_file()), None)
    name = name_of(checkpoint.folder)
    if path is None:
        raise ModelError(f"{name} has no tokenizer.json; copy it from where the model comes from", "no_tokenizer")
    return read_fast_tokenizer(path, name)


def _unknown_token(tokenizer: "Tokenizer") -> int | None:
    """Id of the token that stands for what a tokenizer does not know, as model2vec finds it; None if there is none."""
    model = tokenizer.model
    if hasattr(model, "unk_token"):
        return None if model.unk_token is None else tokenizer.token_to_id(model.unk_token)
    return json.loads(tokenizer.to_str())["model"].get("unk_id")
