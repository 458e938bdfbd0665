"""A language model seen from its token table, whatever it was loaded from and whatever was changed in it.

A model is composed of parts, and every property below asks one of them:

- ``checkpoint``: what its files hold (or a table in memory);
- ``embedding``: a layer that stands in for the table, made of ``compressed``;
- ``weights``: other weights of the network that were trained;
- ``device``: where its networks compute.

A model as its authors made it has only the first. Every other model is made of an ``original``: its network is a copy of the
original's in which a part was exchanged and the rest is shared. Opening a model reads JSON and safetensors headers; the table,
tokenizer and network are read when first used, each once, whichever thread asks first.
"""

import copy
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, ModelError
from ..base.progress import ProgressCallback
from ..base.shown import Card, card_html
from ..base.text import count_text
from ..codec.compressed import Compressed
from . import masked_head
from .architectures import HEADS
from .authors import pooling_in_words, prompt_in
from .checkpoint import Checkpoint, TableInMemory
from .folder import has_tokenizer, name_of
from .masked_head import KnownHead
from .reading import LONGEST, TEXTS, Company, Habits, in_company, longest_readable, tried, tried_together
from .sensitivity import sensitivity_of
from .sentences import (
    MEAN,
    called,
    check_batch_size,
    check_ids,
    checked_rows,
    checked_sentences,
    encode_by_length,
    features_of_any_text,
    known_positions,
    longest_input,
    network_vectors,
    padded,
    padding_id,
    sentence_model_ids,
    sentence_model_vectors,
    token_types,
    types_of,
)
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

    from .static_network import StaticTokens

_MOST_TRIED = 8192  # tokens: networks that read more have no table of positions
_TEXTS_AT_ONCE = 512  # that a sentence-transformers model splits into tokens


class _Once(dict):
    """Values by key, each made once, when a thread first asks for it.

    >>> once = _Once()
    >>> once.take("a", lambda: 1), once.take("a", lambda: 2)
    (1, 1)
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    def take(self, key: Any, make: Callable[[], Any]) -> Any:
        """The value of this key, made if need be."""
        if key not in self:
            with self._lock:
                if key not in self:
                    self[key] = make()
        return self[key]


class PretrainedModel:
    """A language model seen from its token table, of V tokens x D numbers.

    ``table``, ``tokenizer``, ``vocabulary`` and ``network()`` are read on first use. They are shared by everybody who
    holds the model, and a network looks its tokens up in the memory of ``table``: torch has no read-only tensors, so whoever wants
    to change one copies it first.
    """

    name: str  # what :func:`subemb.load` was given
    source: str  # bundled, folder, hub or memory
    checkpoint: Checkpoint | TableInMemory  # what its files hold, or the table that was given
    original: "PretrainedModel | None"  # what it was made of; None for a model as its authors made it
    embedding: "torch.nn.Module | None"  # stands in for the table; None where the table is the original's
    compressed: Compressed | None  # what the embedding was made of
    weights: "dict[str, torch.Tensor] | None"  # trained besides the table, by name in the network; None: nothing was trained
    facts: dict[str, Any]  # how it was trained, JSON types of subemb.adaptation.result.Adaptation; {} if nothing is known
    tokenizer_lock: threading.RLock  # to be held by whoever uses the tokenizer: fast ones cannot serve two threads at once

    def __init__(
        self,
        name: str,
        source: str,
        checkpoint: Checkpoint | TableInMemory,
        revision: str | None = None,
        *,
        original: "PretrainedModel | None" = None,
        embedding: "torch.nn.Module | None" = None,
        compressed: Compressed | None = None,
        weights: "Mapping[str, torch.Tensor] | None" = None,
        facts: Mapping[str, Any] | None = None,
        device: "torch.device | str | None" = None,
        networks: "Mapping[str | None, torch.nn.Module] | None" = None,
    ):
        """revision: of bundled and hub models; by default a hash of the content. device: None for the original's. networks: by
        head, to be used in place of those that would be loaded."""
        self.name, self.source, self.checkpoint = name, source, checkpoint
        self.original, self.embedding, self.compressed = original, embedding, compressed
        self.weights = None if weights is None else dict(weights)
        self.facts = dict(facts or {})
        self._revision, self._device, self._given = revision, device, networks
        # What the files say is the same for all models made of one; networks are each model's own.
        self._read = _Once() if original is None else original._read
        self._networks, self._trials = _Once(), _Once()
        self.tokenizer_lock = threading.RLock() if original is None else original.tokenizer_lock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.num_tokens:,} tokens x {self.dim}, {self.source}>"

    def _repr_html_(self) -> str:
        """The card of a notebook."""
        parameters = self.parameters
        facts = [
            ("token table", f"{count_text(self.num_tokens)} tokens x {self.dim}, {self.dtype}"),
            ("from", f"{self.source}, {self.revision}"),
            *([] if parameters is None else [("parameters", count_text(parameters))]),
            ("sentence vector", self.pooling),
        ]
        if self.compressed is not None:
            facts.append(("table now", self.compressed.described().line))
        return card_html(Card(self.name, "", facts))

    @classmethod
    def from_table(cls, table, tokens: Sequence[str] | None = None, name: str = "table") -> "PretrainedModel":
        """A table in memory, (V, D) numbers of any float type, with V token texts or none; it has no network.

        Raises ModelError (``bad_table``) for a bad shape, NaN or infinity; InputError if there are not V tokens.
        """
        return cls(name, "memory", TableInMemory(table, tokens, name))

    # Models made of this one

    def _with(self, **parts: Any) -> "PretrainedModel":
        """This model with other parts, all else shared."""
        return PretrainedModel(self.name, self.source, self.checkpoint, self._revision, original=self, **parts)

    def with_embeddings(self, module: "torch.nn.Module", compressed: Compressed | None = None) -> "PretrainedModel":
        """The same model with another input embedding module (V tokens to D numbers); all other weights are shared.

        This model keeps its own table. ``compressed`` is what the module was made of, kept as ``.compressed``.
        """
        return self._with(embedding=module, compressed=compressed)

    def adapted(
        self, compressed: Compressed, weights: "Mapping[str, torch.Tensor]", facts: Mapping[str, Any] | None = None
    ) -> "PretrainedModel":
        """The same model on a compressed table and with other weights, as training left them.

        weights: name in the network -> tensor, {} if only the table was trained. Raises InputError if the table does not fit.
        """
        from ..codec.modules import attach

        embedding = attach(self, compressed).embedding
        return self._with(embedding=embedding, compressed=compressed, weights=weights, facts=facts)

    def on_device(self, device: "torch.device | str") -> "PretrainedModel":
        """A copy whose networks lie on another device; its table and tokenizer are this model's, on the CPU."""
        return self._with(device=device)

    def trainable_copy(self, head: str | None = None) -> "PretrainedModel":
        """A copy with a network of its own, dense table included, to be trained without touching this model.

        head: the network is the one with that head; without it, it is that network's base.
        """
        network = copy.deepcopy(self.network(head))
        networks = {head: network}
        if head is not None:
            from .masked_network import own_body

            networks[None] = own_body(network) if self.head_note(head) else network.base_model
        return self._with(embedding=network.get_input_embeddings(), networks=networks)

    # What identifies it

    @property
    def folder(self) -> Path | None:
        """Where it lies; None for a table in memory."""
        return self.checkpoint.folder

    @property
    def revision(self) -> str:
        """Package version, commit, or hash of a folder's content."""
        return self.checkpoint.fingerprint if self._revision is None else self._revision

    @property
    def identity(self) -> str:
        """Key of the content, for caches and jobs: name and revision, and hashes of what was exchanged, as it is now."""
        if self.original is None:
            return f"{Path(self.name).name if self.source == 'folder' else self.name}@{self.revision}"
        if self.embedding is None:
            return self.original.identity
        digest = hashlib.sha256()
        for key, tensor in self.embedding.state_dict().items():
            digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(_content(tensor))
        identity = f"{self.original.identity}+{digest.hexdigest()[:16]}"
        if self.weights is None:
            return identity
        digest = hashlib.sha256(identity.encode())
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(_content(self.weights[name]))
        return f"{self.original.identity}+{digest.hexdigest()[:16]}"

    def has_content_of(self, described: Mapping[str, Any]) -> bool:
        """Whether its content is what :func:`describe` once described, by ``identity``, ``source`` and ``revision``.

        A folder may have been moved or renamed since: its revision is a hash of what it holds.
        """
        moved = self.source == "folder" == described.get("source") and self.revision == described.get("revision")
        return moved or self.identity == described.get("identity")

    # The table, and what the files say

    @property
    def table(self) -> "torch.Tensor":
        """(V, D) float32 on the CPU, to be read only. With an ``embedding``, what it computes now, rebuilt at each call.

        Raises ModelError if the file is cut off or has NaN or infinity.
        """
        if self.embedding is not None:
            return self.embedding.weight.detach().float()
        return self._read.take("table", self._read_table) if self.original is None else self.original.table

    def _read_table(self) -> "torch.Tensor":
        """The table of its files, in the memory of a network that is loaded already, or of its own."""
        table = self.checkpoint.read_table()
        networks = [network for head in (None, *HEADS) if (network := self._networks.get(head)) is not None]
        if networks:
            from .network import copy_of_table

            for network in networks:
                weight = copy_of_table(network, table)
                if weight is not None:
                    return weight.detach()
        return table

    @property
    def num_tokens(self) -> int:
        """V, rows of the table."""
        return self.checkpoint.table.shape[0]

    @property
    def dim(self) -> int:
        """D, numbers of each token."""
        return self.checkpoint.table.shape[1]

    @property
    def dtype(self) -> str:
        """The type in which the checkpoint stores the table, in safetensors' words: ``F32``, ``F16``, ``BF16``."""
        return self.checkpoint.table.dtype

    @property
    def table_name(self) -> str:
        """The tensor's name in the checkpoint."""
        return self.checkpoint.table.name

    @property
    def config(self) -> dict[str, Any]:
        """``config.json``; {} for a table in memory."""
        return self.checkpoint.config

    @property
    def parameters(self) -> int | None:
        """Floats of the whole model, by the headers of its files and with an ``embedding`` in place of the table; None if there
        is only a table."""
        whole = self.checkpoint.parameters if self.original is None else self.original.parameters
        if self.embedding is None or whole is None:
            return whole
        return whole - self.num_tokens * self.dim + sum(tensor.numel() for tensor in self.embedding.parameters())

    @property
    def changed_parameters(self) -> int:
        """Floats of the network that were trained besides the table."""
        return sum(tensor.numel() for tensor in (self.weights or {}).values())

    @property
    def is_sentence_model(self) -> bool:
        """Whether its authors made it for sentence-transformers."""
        return self.checkpoint.is_sentence_model

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that open its checkpoint, the one that its authors made it for first."""
        if self.checkpoint.is_static:
            return self.checkpoint.libraries
        return ("sentence-transformers", "transformers") if self.is_sentence_model else ("transformers",)

    @property
    def has_tied_head(self) -> bool:
        """Whether it is a language model whose output head shares the table, by its checkpoint or by a head that was trained here."""
        return self.checkpoint.has_tied_head or bool(self.head_note("masked"))

    def has_head(self, head: str) -> bool:
        """Whether it has a ``masked`` or ``causal`` head (which says the next word), or a sentence ``classifier``: whether all weights of
        it are in its files.

        Where ``config.json`` or names of weights speak for one, the headers are tried on the architecture, once. A ``masked`` head
        may also have been trained for it with subemb: :meth:`head_note` tells."""
        return self._authors_head(head) or (head == "masked" and self._trained_head is not None)

    def head_note(self, head: str) -> str:
        """Whose head it is that gives the numbers, in a sentence; "" where it is in the checkpoint, or there is none."""
        if head != "masked" or self._authors_head(head) or self._trained_head is None:
            return ""
        return self._trained_head.note

    def head_digest(self, head: str) -> str:
        """What tells heads that were trained with subemb apart; "" where :meth:`head_note` is, as the model's identity says all then."""
        return self._trained_head.digest if self.head_note(head) else ""

    def _authors_head(self, head: str) -> bool:
        """Whether the checkpoint itself has a head."""
        if head not in self.checkpoint.heads:
            return False
        from .loading import lacks_head

        return self._read.take(("head", head), lambda: not lacks_head(self.checkpoint.weights_folder, head))

    @property
    def _trained_head(self) -> KnownHead | None:
        """The masked-word head that was trained for this model with subemb; its numbers are read when its network is asked for."""
        return self._read.take("trained head", lambda: masked_head.find(self._root))

    # Tokens

    @property
    def _tokenizer_folder(self) -> Path | None:
        inner = self.checkpoint.weights_folder
        return inner if inner is None or has_tokenizer(inner) else self.folder

    @property
    def has_tokenizer(self) -> bool:
        """Whether there are tokenizer files; without them tokens are shown by their ids."""
        if self.folder is None:
            return False
        return self._read.take("has_tokenizer", lambda: has_tokenizer(self._tokenizer_folder))

    @property
    def tokenizer(self):
        """The transformers tokenizer. Raises ModelError if the model has none that can be read."""
        if self.folder is None:
            raise ModelError(f"{self.name} is a table in memory; it has no tokenizer", "no_tokenizer")
        if self.checkpoint.is_static:
            return self._static_tokens.tokenizer
        return self._read.take("tokenizer", self._load_tokenizer)

    def _load_tokenizer(self):
        from .network import load_tokenizer, share_vocabulary

        tokenizer, model = load_tokenizer(self._tokenizer_folder), self._root._networks.get("sentences")
        if model is not None:
            share_vocabulary(model.tokenizer, tokenizer)
        return tokenizer

    @property
    def _static_tokens(self) -> "StaticTokens":
        """How a static table reads texts."""
        from .static_network import StaticTokens

        return self._read.take("static_tokens", lambda: StaticTokens(self.checkpoint))

    @property
    def tokenizer_size(self) -> int:
        """Largest token id of the tokenizer + 1, at most V: rows from there on are padding rows. V without a tokenizer."""
        return min(self.num_tokens, self._tokenizer_ids)

    @property
    def _tokenizer_ids(self) -> int:
        def count() -> int:
            if not self.has_tokenizer:
                return self.num_tokens
            path = self._tokenizer_folder / "tokenizer.json"
            if path.is_file() and "tokenizer" not in self._read:
                from .network import read_fast_tokenizer

                ids = read_fast_tokenizer(path, name_of(path.parent)).get_vocab(with_added_tokens=True).values()
            else:
                ids = self.tokenizer.get_vocab().values()
            return max(ids, default=-1) + 1

        return self._read.take("tokenizer_ids", count)

    @property
    def vocabulary(self) -> Vocabulary:
        """Tokens as text, kinds and scripts, V of them."""

        def make() -> Vocabulary:
            if self.has_tokenizer:
                return Vocabulary.from_tokenizer(self.tokenizer, self.num_tokens)
            given = getattr(self.checkpoint, "tokens", None)
            return Vocabulary.from_tokens(given or [f"id{number}" for number in range(self.num_tokens)])

        return self._read.take("vocabulary", make)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about this model, in sentences; empty for most."""
        if self.folder is None:
            return ()
        own = self.reading_notes
        if not self.has_tokenizer:
            return (*own, "No tokenizer files: tokens are shown by their ids, and sentences cannot be encoded.")
        extra = self._tokenizer_ids - self.num_tokens
        if extra > 0:
            return (*own, f"The tokenizer knows {extra:,} tokens that have no row in the table.")
        if extra < 0:
            return (*own, f"The last {-extra:,} rows belong to no token of the tokenizer (padding rows).")
        return own

    @property
    def reading_notes(self) -> tuple[str, ...]:
        """The notes that tell how its weights are read, without those on its tokenizer."""
        return (*self.checkpoint.notes, *self._head_notes, *self._network_notes)

    @property
    def _head_notes(self) -> list[str]:
        found = [head for head in self.checkpoint.unnamed_heads if self._authors_head(head)]
        return [f"Its weights hold a {HEADS[head].title}, though its config.json does not say so." for head in found]

    @property
    def _network_notes(self) -> list[str]:
        """What loading the network told, once it is loaded."""
        network = self._root._networks.get(None)
        prefix, absent, left, unplaced = (getattr(network, name, "") for name in ("prefix", "absent", "left", "unplaced"))
        notes = [f"{prefix} stood before the names of its weights and was taken off."] if prefix else []
        if absent:
            notes.append(f"Its files lack {absent[0]}{_and_more(absent)}, which is computed, or not read for sentence vectors.")
        if left:
            more = _and_more(left)
            notes.append(f"Its files hold more layers than its config.json asks for, which are not used: {left[0]}{more}.")
        if unplaced:
            more = _and_more(unplaced)
            notes.append(
                f"Its files hold weights that a network of its config.json has no place for, which are not used: {unplaced[0]}{more}."
            )
        return notes

    # Networks

    @property
    def device(self) -> "torch.device":
        """Where its networks compute."""
        import torch

        if self._device is None and self.original is not None:
            return self.original.device
        return torch.device(self._device or "cpu")

    def network(self, head: str | None = None) -> "torch.nn.Module":
        """The transformers model, float32, eval mode: without head, or with its ``masked`` or ``causal`` head, or sentence
        ``classifier``.

        With an ``embedding``, an output head that shares the table computes with it too.
        Raises ModelError (``unsupported``) if it cannot be built, or the checkpoint has no such head; InputError for a ``head`` if
        the embedding was given without its compressed table, or if this is a trainable copy made with another head.
        """
        return self._networks.take(head, lambda: self._compose(head))

    def _compose(self, head: str | None) -> "torch.nn.Module":
        """The original's network with the parts that are this model's own."""
        from ..codec.modules import attach, share_weights
        from .network import copy_of_table, exchange_weights

        if self._given is not None:
            if head not in self._given:
                own = next((name for name in self._given if name is not None), "no head")
                raise InputError(f"this copy of {self.name} was made with {own}, not with {head}")
            return self._given[head]
        if self.folder is None:
            raise ModelError(f"{self.name} is a table in memory; it has no network", "unsupported")
        if self.original is None:
            network, table = self._load_network(head), self._read.get("table")
            weight = None if table is None else copy_of_table(network, table)
            if weight is not None:
                weight.data = table  # the same Parameter, so that a tied head stays tied
            return network
        network = self.original.network(head)
        if self._device is not None:
            network = copy.deepcopy(network).to(self._device)
        if self.embedding is not None and head is None:
            network = share_weights(network)
            network.set_input_embeddings(self.embedding)
        elif self.embedding is not None:
            if self.compressed is None:
                kind = type(self.embedding).__name__
                raise InputError(f"this model's table is a {kind} alone; attach a compressed table instead")
            network = attach(network, self.compressed)
        if self.weights is not None:
            # Without a head there is no place for the weights of one.
            network = exchange_weights(network, self.weights, partly=head is None and any(map(self.has_head, HEADS)))
        return network

    def _load_network(self, head: str | None) -> "torch.nn.Module":
        """The network of its files, of a model as its authors made it."""
        from .loading import load_network

        if self.checkpoint.is_static:
            from .static_network import static_network

            return static_network(self.checkpoint, self.table, head)
        if head is None and self.is_sentence_model:
            return self.sentence_model()[0].auto_model  # it may be another than AutoModel's, such as T5's encoder alone
        if head == "masked" and self.head_note(head):
            from .masked_network import network_with

            return network_with(self, masked_head.read(self._trained_head.folder))
        return load_network(self.checkpoint.weights_folder, head)

    def sentence_model(self):
        """The sentence-transformers model around :meth:`network`; None where the authors give no modules, and for a static table."""
        if not self.is_sentence_model or self.checkpoint.is_static:
            return None
        return self._networks.take("sentences", self._compose_sentence_model)

    def _compose_sentence_model(self):
        from .network import load_sentence_model, sentence_model_with, share_vocabulary

        if self.original is not None:
            return sentence_model_with(self.original.sentence_model(), self.network(), self._device)
        model, tokenizer = load_sentence_model(self.checkpoint.folder), self._read.get("tokenizer")
        if tokenizer is not None:
            share_vocabulary(tokenizer, model.tokenizer)
        return model

    # Sentences

    @property
    def pooling(self) -> str:
        """How :meth:`encode` makes a sentence vector, in words."""
        if self.folder is None:
            return "none: a table without a network"
        if self.checkpoint.is_static:
            return self.checkpoint.pooling

        habits = self._root._worst_habits  # pages that never encode need no trial
        how = pooling_in_words(self.folder, habits.source if habits and habits.source else MEAN)
        return f"{how}. {habits.note}" if habits and habits.note else how

    def encode(self, sentences: Sequence[str], batch_size: int = 64, progress: ProgressCallback | None = None) -> np.ndarray:
        """Sentence vectors (n, width) float32, pooled as the model's authors do, else by the mean (see :attr:`pooling`).

        Raises InputError for anything but a list of strings, ModelError if there is no network or tokenizer, Cancelled.
        """
        check_batch_size(batch_size)
        return self.encode_ids(self.token_ids(sentences), batch_size, progress)

    def token_ids(self, sentences: Sequence[str], whole: bool = False) -> list[list[int]]:
        """The tokens that :meth:`encode` reads: n lists of ids, with special tokens, cut where the model's input ends.

        whole: the tokens of whole sentences instead, to see what would be cut off.
        Raises InputError for anything but a list of strings, ModelError (``broken``) for a token without a row in the table.
        """
        texts = checked_sentences(sentences)
        if not texts:
            return []
        if whole:
            rows = self._rows(texts, None)
        elif self.checkpoint.is_static:
            rows = self._rows(texts, 0)
        else:
            rows = self.cut_to_fit(lambda limit: self._rows(texts, limit), lambda rows: max(map(len, rows)))
        if self._tokenizer_ids > self.num_tokens:
            with self.tokenizer_lock:
                check_ids(self.tokenizer, rows, self.num_tokens)
        return rows

    def _rows(self, texts: list[str], limit: int | None) -> list[list[int]]:
        """Token ids of texts with special tokens, cut to ``limit``, or uncut for None. A static table has a limit of its own."""
        if self.checkpoint.is_static:
            with self.tokenizer_lock:
                return self._static_tokens.ids(texts, limit is None)
        if limit is None:  # for which no network need be loaded
            prompt = prompt_in(self.folder) if self.is_sentence_model else ""
            with self.tokenizer_lock:
                return self.tokenizer([prompt + text for text in texts], truncation=False, verbose=False)["input_ids"]
        model = self.sentence_model()
        with self.tokenizer_lock:
            if model is None:
                return [ids[:limit] for ids in self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]]
            # Not all at once, since the rows of a call are padded to its longest.
            parts = (texts[start : start + _TEXTS_AT_ONCE] for start in range(0, len(texts), _TEXTS_AT_ONCE))
            return [row for part in parts for row in sentence_model_ids(model, part, limit)]

    def cut_to_fit(self, read: Callable[[int], Any], longest: Callable[[Any], int], head: str | None = None) -> Any:
        """What ``read`` gives for the number of tokens that the network reads.

        read: token ids cut to a limit. longest: tokens of the longest row of these. head: of the network that reads.
        What its files say is believed for texts of half that length; longer ones are tried, once for all of them.
        """
        claimed = self._claimed_length
        found = read(claimed)
        if longest(found) > claimed // 2 and (limit := self.longest_input(head)) < claimed:
            return read(limit)
        return found

    @property
    def _claimed_length(self) -> int:
        """Tokens that it reads by what its files say."""
        model = self.sentence_model()
        if model is None:
            return longest_input(self.config, self.tokenizer)
        with self.tokenizer_lock:  # whoever reads cuts by that attribute
            return min(model.tokenizer.model_max_length, known_positions(self.config))

    def longest_input(self, head: str | None = None) -> int:
        """Tokens of the longest text that it reads, special tokens included: as its files say, if the network then can.

        head: of the network that reads. Raises ModelError as :meth:`network` does.
        """
        if self._root is not self:
            return self._root.longest_input(head)

        def find() -> int:
            claimed = self._claimed_length
            if claimed > _MOST_TRIED:
                return claimed
            return longest_readable(self._reader(head), self._trial_row(TEXTS[0], min(claimed, LONGEST)), claimed)

        return self._trials.take(f"longest {head}", find)

    def _reader(self, head: str | None) -> "Callable[[list[list[int]]], torch.Tensor]":
        """Puts rows through the network's body, to see whether it can read them."""
        import torch

        network = self.network(head)
        body = network.base_model if head is not None else network

        @torch.inference_mode()
        def read(rows: list[list[int]]) -> "torch.Tensor":
            if head is None:
                return self._read_batch(rows)
            ids, mask = padded(rows, padding_id(self.tokenizer, network.config))
            called(body, input_ids=ids, attention_mask=mask)
            return ids

        return read

    def encode_ids(
        self, rows: Sequence[Sequence[int]], batch_size: int = 64, progress: ProgressCallback | None = None
    ) -> np.ndarray:
        """Sentence vectors (n, width) float32 of rows of token ids; those of ``token_ids(sentences)`` equal those of the sentences.

        Raises InputError for rows that are not ids, ModelError if there is no network, Cancelled.
        """
        return encode_by_length(checked_rows(rows, self.num_tokens), self._vectors, self.habits().width, batch_size, progress)

    def encode_ids_tensor(self, rows: Sequence[Sequence[int]]) -> "torch.Tensor":
        """Sentence vectors (n, width) of one batch of rows of token ids, with gradients where torch records them.

        Every sentence vector is made here: those of sets and pairs, of teacher and student, of the effects of tokens.
        """
        rows = checked_rows(rows, self.num_tokens)
        lengths = [len(row) for row in rows]
        return in_company(
            self.habits(lengths=lengths),
            self.network(),
            lengths,
            lambda part: self._read_batch([rows[place] for place in part]),
        )

    def logits_at(self, head: str, ids: "torch.Tensor", mask: "torch.Tensor", chosen: "torch.Tensor") -> "torch.Tensor":
        """(k, V) logits of a network with a ``head`` at the k chosen places of (m, longest) padded ids, row by row.

        mask: 1 where there is a token. chosen: (m, longest) bool. All lie on the model's device.
        """
        import torch

        from .places import AtPlaces

        pointed = self._networks.take((head, "at places"), lambda: AtPlaces(self.network(head)))
        lengths = mask.sum(1).tolist()
        found: list[torch.Tensor] = [None] * len(ids)

        def read(part: list[int]) -> "torch.Tensor":
            longest = max(1, max(lengths[place] for place in part))
            ids_of, mask_of, chosen_of = (tensor[part, :longest] for tensor in (ids, mask, chosen))
            rows, columns = chosen_of.nonzero(as_tuple=True)
            logits = pointed.logits(ids_of, mask_of, rows[None], columns[None])[0]
            for place, own in zip(part, logits.split(chosen_of.sum(1).tolist()), strict=True):
                found[place] = own
            return mask_of[:, :1]  # what is wanted is in ``found``

        in_company(self.habits(head, lengths), pointed.network, lengths, read)
        return torch.cat(found)

    def _vectors(self, rows: list[list[int]]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.encode_ids_tensor(rows).cpu().numpy()

    def _read_batch(self, rows: list[list[int]], sources: list[str] | None = None) -> "torch.Tensor":
        """Sentence vectors (n, width) of rows of ids, in one padded batch. sources: gets how they were made, in words."""
        model, network = self.sentence_model(), self.network()
        if self.checkpoint.is_static:
            return network.sentence_vectors(*padded(rows, 0, device=self.device))
        types = self._token_types
        tokenizer = self.tokenizer if model is None else model.tokenizer
        left = model is not None and tokenizer.padding_side == "left"
        ids, mask = padded(rows, padding_id(tokenizer, network.config), left, self.device)
        kinds = None if types is None else types_of(ids, types)
        if model is not None:
            model.eval()
            return sentence_model_vectors(model, ids, mask, kinds, self._text_features)
        network.eval()
        vectors, source = network_vectors(network, ids, mask, kinds)
        if sources is not None:
            sources.append(source)
        return vectors

    @property
    def _token_types(self) -> tuple[dict[int, int], int] | None:
        def find() -> tuple[dict[int, int], int] | None:
            model = self.sentence_model()
            with self.tokenizer_lock:
                return token_types(self.tokenizer if model is None else model.tokenizer)

        root = self._root
        return root._trials.take("token types", find) if root is self else root._token_types

    @property
    def _text_features(self) -> dict[str, Any]:
        """What its sentence-transformers model notes of every text."""

        def find() -> dict[str, Any]:
            model = self.sentence_model()
            with self.tokenizer_lock:
                return features_of_any_text(model)

        root = self._root
        return root._trials.take("text features", find) if root is self else root._text_features

    def habits(self, head: str | None = None, lengths: Sequence[int] = ()) -> Habits:
        """How the network reads texts, found by a trial of some milliseconds when it is first used.

        head: of the network that reads; without one it is the sentence vector that is tried. lengths: of rows that are to be read
        together, in tokens; where they are longer than those of the trial, it is made with as long ones too, once for each doubling.
        Raises ModelError (``unsupported``) if it cannot read sentences, or says something else of them each time.
        """
        if self._root is not self:
            return self._root.habits(head, lengths)
        found = self._habits_of_short(head)
        return self._habits_of_long(head, found, max(lengths)) if len(lengths) > 1 else found

    def _habits_of_long(self, head: str | None, habits: Habits, longest: int) -> Habits:
        """The habits for batches with a row of so many tokens."""
        claimed = self._claimed_length if not self.checkpoint.is_static else 0
        if longest <= LONGEST or not claimed or habits.company is not Company.ANY:
            return habits
        reach = LONGEST
        while reach < longest:
            reach *= 2

        def find() -> Habits:
            short, long = (self._trial_row(text, claimed) for text in (TEXTS[0], TEXTS[-1]))
            for length in dict.fromkeys((max(longest, min(reach, claimed)), longest)):
                row = [long[0], *(long[1:-1] * (length // max(1, len(long) - 2) + 1))[: length - 2], long[-1]]
                with suppress(ModelError):  # its files may promise more than it reads
                    return tried_together(habits, self._trial_reader(head), short, row)
            return habits

        return self._trials.take(f"habits {head} {reach}", find)

    @property
    def _worst_habits(self) -> Habits | None:
        """What trials of sentence vectors have found so far: the habits of the one with most to tell; None without a trial."""
        found = [
            habits for key, habits in dict(self._trials).items() if str(key) == "habits" or str(key).startswith("habits None ")
        ]
        return next((habits for habits in found if habits.note), found[0] if found else None)

    def _trial_row(self, text: str, limit: int) -> list[int]:
        """Token ids of a text of a trial, without added tokens that have no row in the table."""
        return [number for number in self._rows([text], limit)[0] if number < self.num_tokens]

    def _trial_reader(self, head: str | None, sources: list[str] | None = None) -> "Callable[[list[list[int]]], torch.Tensor]":
        """Puts rows of ids through the network in one batch; sources: gets how sentence vectors were made, in words."""
        return lambda rows: self._read_batch(rows, sources) if head is None else self._read_head(head, rows)

    def _habits_of_short(self, head: str | None) -> Habits:
        """What a trial with short texts finds."""
        import torch

        def find() -> Habits:
            sources = [""]
            claimed = self._claimed_length if not self.checkpoint.is_static else 0
            *rows, long = (self._trial_row(text, claimed) for text in TEXTS)
            read = self._trial_reader(head, sources)

            def trial(length: int) -> Habits:
                texts = [row[:length] for row in (*rows, long)]
                return tried(self.network(head), read, texts, self.name, lambda: sources[-1])

            length = min(len(long), LONGEST)
            try:
                return trial(length)
            except ModelError:
                with torch.inference_mode():
                    fits = longest_readable(read, rows[0], length)
                if fits == length or fits == len(rows[0]):
                    raise
            return trial(fits)

        return self._trials.take("habits" if head is None else f"habits {head}", find)

    def _read_head(self, head: str, rows: list[list[int]]) -> "torch.Tensor":
        """Logits of rows of ids in one padded batch: of the rows (n, classes), or of three tokens of each (n, 3 V)."""
        import torch

        network = self.network(head)
        ids, mask = padded(rows, padding_id(self.tokenizer, network.config))
        logits = called(network, input_ids=ids, attention_mask=mask).logits
        if logits.ndim == 2:
            return logits
        ends = [max(0, len(row) - 1) for row in rows]
        return torch.stack([logits[i, [0, end // 2, end]].flatten() for i, end in enumerate(ends)])

    @property
    def _root(self) -> "PretrainedModel":
        """The model as its authors made it."""
        return self if self.original is None else self.original._root

    # What its output notices

    @property
    def has_network(self) -> bool:
        """Whether there is a network around the table; static tables and tables in memory have none."""
        return self.folder is not None and not self.checkpoint.is_static

    def sensitivity(
        self,
        rows: Sequence[Sequence[int]] | None = None,
        seed: int = 0,
        seconds: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> "torch.Tensor":
        """S, (D, D) float32, symmetric, its diagonal of mean 1: an error r of a token's vector moves the sentence vector by r^T S r.

        rows: rows of token ids of a text to measure it on, such as ``token_ids(sentences)``; None draws rows from the vocabulary, and
        keeps what is measured. Without a network it is the identity. seconds: after so long no more rows are read. See
        :mod:`subemb.models.sensitivity`. Raises InputError for rows that are not ids, ModelError as :meth:`encode` does, Cancelled.
        """
        return sensitivity_of(self, rows, seed, seconds, progress)

    # Saving

    def save_pretrained(self, folder, **facts: Any) -> Path:
        """Write the compact folder that :func:`subemb.load` opens again: the compressed table and what was trained.

        facts: JSON values kept beside it. Returns the folder. Raises InputError if there is no compressed table, or as
        :func:`subemb.codec.storage.save` does.
        """
        from .compact import save

        if self.compressed is None:
            raise InputError(f"{self.name} has no compressed table to save; compress it and attach the result first")
        return save(folder, self.compressed, describe(self.original), self.weights, self.facts, **facts)


def describe(model: PretrainedModel) -> dict[str, Any]:
    """What identifies a model, and what a user should know about it, in JSON types."""
    return {
        "name": model.name,
        "revision": model.revision,
        "source": model.source,
        "identity": model.identity,
        "vocabulary": model.num_tokens,
        "dim": model.dim,
        "parameters": model.parameters,
        "tokenizer_size": model.tokenizer_size,
        "notes": list(model.notes),
    }


def _and_more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _content(tensor: "torch.Tensor"):
    """The bytes of a tensor, for hashing."""
    import torch

    return tensor.detach().cpu().contiguous().flatten().view(dtype=torch.uint8).numpy()
