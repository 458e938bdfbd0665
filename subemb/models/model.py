"""A language model seen from its token table, whatever it was loaded from.

Opening a model reads JSON and safetensors headers; the table, tokenizer and network are read when first used, each once,
whichever thread asks first.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import ModelError
from ..base.progress import ProgressCallback
from .checkpoint import Checkpoint, name_of

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .vocabulary import Vocabulary


class PretrainedModel:
    """A language model seen from its token table.

    name: what :func:`load` was given. source: ``bundled``, ``folder``, ``hub`` or ``memory``. folder: where it lies, or None.
    revision: package version, commit, or hash of a folder's content. identity: key of the content, for caches and jobs.
    num_tokens (V), dim (D): shape of the table. config: ``config.json``. notes: what a user should know, in sentences.

    tokenizer_lock: to be held by whoever uses ``tokenizer``: fast tokenizers cannot serve two threads at once.

    ``table``, ``tokenizer``, ``vocabulary`` and ``network()`` are read on first use. They are shared by everybody who
    holds the model: torch has no read-only tensors, so whoever wants to change one copies it first.
    """

    def __init__(self, name: str, source: str, checkpoint: Checkpoint | None, revision: Callable[[], str]):
        self.name = name
        self.source = source
        self._checkpoint = checkpoint
        self._revision = revision
        self._lock = threading.RLock()
        self._kept: dict[str, Any] = {}
        self.tokenizer_lock = threading.RLock()  # fast tokenizers cannot serve two threads at once

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.num_tokens:,} tokens x {self.dim}, {self.source}>"

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = make()
        return self._kept[key]

    @property
    def device(self) -> "torch.device":
        """Where its networks compute."""
        import torch

        return torch.device("cpu")

    @property
    def folder(self) -> Path | None:
        return self._checkpoint.folder

    @property
    def revision(self) -> str | None:
        return self._once("revision", self._revision)

    @property
    def identity(self) -> str:
        return f"{Path(self.name).name if self.source == 'folder' else self.name}@{self.revision}"

    def is_the_one(self, described: dict[str, Any]) -> bool:
        """Whether it has the content that was described: ``identity``, ``source`` and ``revision``, as :func:`subemb.runs.describe`.

        A folder may have been moved or renamed since, for its revision is a hash of what it holds.
        """
        moved = self.source == "folder" == described.get("source") and self.revision == described.get("revision")
        return moved or self.identity == described.get("identity")

    @property
    def num_tokens(self) -> int:
        return self._checkpoint.table.shape[0]

    @property
    def dim(self) -> int:
        return self._checkpoint.table.shape[1]

    @property
    def dtype(self) -> str:
        """The type in which the checkpoint stores the table, in safetensors' words: ``F32``, ``F16``, ``BF16``."""
        return self._checkpoint.table.dtype

    @property
    def table_name(self) -> str:
        """The tensor's name in the checkpoint."""
        return self._checkpoint.table.name

    @property
    def config(self) -> dict[str, Any]:
        return self._checkpoint.config

    @property
    def parameters(self) -> int | None:
        """Floats of the whole model, by the headers of its files; None if there is only a table."""
        return self._checkpoint.parameters

    @property
    def is_sentence_model(self) -> bool:
        """Whether its authors made it for sentence-transformers."""
        return self._checkpoint.is_sentence_model

    @property
    def has_tied_head(self) -> bool:
        """Whether the checkpoint is a language model whose output head shares the table."""
        return self._checkpoint.has_tied_head

    @property
    def table(self) -> "torch.Tensor":
        """(V, D) float32 on the CPU, to be read only. Raises ModelError if the file is cut off or has NaN or infinity."""
        return self._once("table", self._checkpoint.read_table)

    @property
    def _tokenizer_folder(self) -> Path:
        from .network import has_tokenizer

        inner = self._checkpoint.weights_folder
        return inner if has_tokenizer(inner) else self._checkpoint.folder

    @property
    def has_tokenizer(self) -> bool:
        """Whether there are tokenizer files; without them tokens are shown by their ids."""
        from .network import has_tokenizer

        return has_tokenizer(self._tokenizer_folder)

    @property
    def tokenizer(self):
        """The transformers tokenizer. Raises ModelError if the model has none that can be read."""
        from .network import load_tokenizer

        return self._once("tokenizer", lambda: load_tokenizer(self._tokenizer_folder))

    @property
    def tokenizer_size(self) -> int:
        """Largest token id of the tokenizer + 1, at most V: rows from there on are padding rows. V without a tokenizer."""
        return min(self.num_tokens, self._tokenizer_ids)

    @property
    def _tokenizer_ids(self) -> int:
        def count() -> int:
            if not self.has_tokenizer:
                return self.num_tokens
            if "tokenizer" in self._kept:
                return max(self.tokenizer.get_vocab().values(), default=-1) + 1
            path = self._tokenizer_folder / "tokenizer.json"
            if path.is_file():  # much quicker than building the whole tokenizer
                from tokenizers import Tokenizer

                try:
                    return max(Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True).values(), default=-1) + 1
                except Exception as error:
                    raise ModelError(f"tokenizer.json of {name_of(path.parent)} cannot be read: {error}") from error
            return max(self.tokenizer.get_vocab().values(), default=-1) + 1

        return self._once("tokenizer_ids", count)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about this model; empty for most."""
        notes = []
        if not self.has_tokenizer:
            notes.append("No tokenizer files: tokens are shown by their ids, and sentences cannot be encoded.")
        elif self._tokenizer_ids > self.num_tokens:
            extra = self._tokenizer_ids - self.num_tokens
            notes.append(f"The tokenizer knows {extra:,} tokens that have no row in the table.")
        elif self._tokenizer_ids < self.num_tokens:
            extra = self.num_tokens - self._tokenizer_ids
            notes.append(f"The last {extra:,} rows belong to no token of the tokenizer (padding rows).")
        return tuple(notes)

    @property
    def vocabulary(self) -> "Vocabulary":
        """Tokens as text, kinds and scripts, V of them."""
        from .vocabulary import Vocabulary

        def make() -> "Vocabulary":
            if not self.has_tokenizer:
                return Vocabulary.from_tokens([f"id{number}" for number in range(self.num_tokens)])
            return Vocabulary.from_tokenizer(self.tokenizer, self.num_tokens)

        return self._once("vocabulary", make)

    @property
    def pooling(self) -> str:
        """How :meth:`encode` makes a sentence vector, in words."""
        from .network import pooling_in_words

        if self.is_sentence_model:
            return pooling_in_words(self._checkpoint.folder)
        return "mean of the last hidden states over the tokens of the sentence"

    def has_head(self, head: str) -> bool:
        """Whether ``config.json`` says that the checkpoint has a ``masked`` head or a sentence ``classifier``."""
        return head in self._checkpoint.heads

    def network(self, head: str | None = None) -> "torch.nn.Module":
        """The transformers model, float32, eval mode: without head, or with its ``masked`` head or sentence ``classifier``.

        Raises ModelError (``unsupported``) if it cannot be built, or the checkpoint has no such head.
        """
        from .network import load_network

        key = "network" if head is None else f"network with {head}"
        return self._once(key, lambda: load_network(self._checkpoint.weights_folder, head))

    def _sentence_model(self):
        """The sentence-transformers model around :meth:`network`, or None where the authors give no modules."""
        from .network import exchange_network, load_sentence_model

        def make():
            model = load_sentence_model(self._checkpoint.folder)
            # One network in memory, and the same one for everybody.
            if "network" in self._kept:
                exchange_network(model, self._kept["network"])
            else:
                self._kept["network"] = model[0].auto_model
            return model

        return self._once("sentence_model", make) if self.is_sentence_model else None

    def encode(self, sentences: Sequence[str], batch_size: int = 64, progress: ProgressCallback | None = None) -> "np.ndarray":
        """Sentence vectors (n, width) float32, pooled as the model's authors do, else by the mean (see :attr:`pooling`).

        Raises InputError for anything but a list of strings, ModelError if there is no network or tokenizer, Cancelled.
        """
        from .sentences import checked_sentences, encode_by_length

        model = self._sentence_model()

        def encode_batch(texts: list[str]) -> "np.ndarray":
            if model is None:
                return self._vectors(self.token_ids(texts))
            with self.tokenizer_lock:
                if self._tokenizer_ids > self.num_tokens:
                    self.token_ids(texts)  # checks them
                return model.encode(texts, batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True)

        return encode_by_length(checked_sentences(sentences), encode_batch, self._width, batch_size, progress)

    def token_ids(self, sentences: Sequence[str], whole: bool = False) -> list[list[int]]:
        """The tokens that :meth:`encode` reads: n lists of ids, with special tokens, cut where the model's input ends.

        whole: the tokens of whole sentences instead, to see what would be cut off.
        Raises InputError for anything but a list of strings, ModelError (``broken``) for a token without a row in the table.
        """
        from .sentences import check_ids, checked_sentences, default_prompt, longest_input, sentence_model_ids

        texts = checked_sentences(sentences)
        if not texts:
            return []
        model = self._sentence_model()
        with self.tokenizer_lock:
            if whole:
                prompt = (default_prompt(model) if model is not None else None) or ""
                rows = self.tokenizer([prompt + text for text in texts], truncation=False, verbose=False)["input_ids"]
            elif model is not None:
                rows = sentence_model_ids(model, texts)
            else:
                limit = longest_input(self.config, self.tokenizer)
                rows = [ids[:limit] for ids in self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]]
            if self._tokenizer_ids > self.num_tokens:
                check_ids(self.tokenizer, rows, self.num_tokens)
        return rows

    def encode_ids(
        self, rows: Sequence[Sequence[int]], batch_size: int = 64, progress: ProgressCallback | None = None
    ) -> "np.ndarray":
        """Sentence vectors (n, width) float32 of rows of token ids; of ``token_ids(sentences)`` the same as of the sentences.

        Raises InputError for rows that are no ids, ModelError if there is no network, Cancelled.
        """
        from .sentences import checked_rows, encode_by_length

        return encode_by_length(checked_rows(rows), self._vectors, self._width, batch_size, progress)

    def encode_ids_tensor(self, rows: Sequence[Sequence[int]]) -> "torch.Tensor":
        """Sentence vectors (n, width) of one batch of rows of token ids, with gradients where torch records them."""
        from .sentences import checked_rows, mean_pooled, padded, padding_id, sentence_model_vectors

        rows = checked_rows(rows)
        model = self._sentence_model()
        if model is not None:
            model.eval()
            return sentence_model_vectors(model, rows, self.device)
        network = self.network()
        network.eval()
        return mean_pooled(network, *padded(rows, padding_id(self.tokenizer, network.config), device=self.device))

    def _vectors(self, rows: list[list[int]]) -> "np.ndarray":
        import torch

        with torch.inference_mode():
            return self.encode_ids_tensor(rows).cpu().numpy()

    @property
    def _width(self) -> int:
        """Of sentence vectors."""
        model = self._sentence_model()
        return self.network().config.hidden_size if model is None else model.get_embedding_dimension()

    def with_embeddings(self, module: "torch.nn.Module", compressed=None) -> "PretrainedModel":
        """The same model with another input embedding module (V tokens to D numbers); all other weights are shared.

        This model keeps its own table. ``compressed`` is what the module was made of, kept as ``.compressed``.
        """
        from .variants import AttachedModel

        return AttachedModel(self, module, compressed)

    @classmethod
    def from_table(cls, table, tokens: Sequence[str] | None = None, name: str = "table") -> "PretrainedModel":
        """A table in memory, (V, D) numbers of any float type, with V token texts or none; it has no network.

        Raises ModelError (``bad_table``) for a bad shape, NaN or infinity; InputError if there are not V tokens.
        """
        from .variants import TableModel

        return TableModel(table, tokens, name)
