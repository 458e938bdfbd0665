"""Single tokens of a saved result: codes, who shares them, and what was lost."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..base.errors import InputError, ModelError
from ..codec.compressed import Compressed
from ..codec.settings import settings_text
from ..models.load import load as load_model
from .parts import Part, parts_of, places_of, stand_in


class Inspector:
    """A folder written by ``save_pretrained``, and its model if that is at hand (nothing is downloaded).

    facts: ``model``, ``revision``, ``settings`` (one line), ``note`` (why token texts or errors are missing, or None).
    Raises InputError if the folder holds no consistent result.
    """

    def __init__(self, folder: Path):
        from ..codec.loading import load

        self.compressed = load(folder)
        self.parts = parts_of(self.compressed)
        self.places = places_of(self.parts)
        described = saved_model(folder)
        self.model, note = _model_at_hand(described, self.compressed.num_embeddings, self.compressed.embedding_dim)
        self.facts: dict[str, Any] = {
            "model": described.get("name"),
            "revision": described.get("revision"),
            "settings": settings_text(self.compressed.settings),
            "note": note,
        }

    def ids(self, token: str) -> list[int]:
        """Ids of a token: as the vocabulary spells it, as it reads, or ``#ID``.

        Raises InputError if there is none, naming similar ones.
        """
        count = self.compressed.num_embeddings
        vocabulary = None if self.model is None else self.model.vocabulary
        if vocabulary is not None:
            for spellings in (vocabulary.raw, vocabulary.display, vocabulary.text):
                found = [i for i, spelling in enumerate(spellings) if spelling and spelling == token]
                if found:
                    return found
        if token.startswith("#") and token[1:].isascii() and token[1:].isdigit():
            if int(token[1:]) < count:
                return [int(token[1:])]
            raise InputError(f"there is no row {token}; the ids of this table go from #0 to #{count - 1}")
        if vocabulary is None:
            raise InputError(f"the text of tokens is not known without the model; give {token!r} by its id, as in #1996")
        near = [f"{vocabulary.display[i]} (#{i})" for i in vocabulary.search(token, 5)]
        hint = f"near ones: {', '.join(near)}" if near else "give a token as the vocabulary spells it, or an id as in #1996"
        raise InputError(f"no token {token!r} in this vocabulary; {hint}")

    def token(self, token_id: int, limit: int = 8) -> dict[str, Any]:
        """Everything about one token, JSON types. ``limit``: how many tokens to list at most for each code and as nearest."""
        found = {**self._name(token_id), "kind": None, "error": None, "cosine": None, "tier": None, "codes": None}
        other = stand_in(self.compressed, token_id)
        found["row_of"] = None if other is None else self._name(other)
        if self.model is not None:
            found["kind"] = str(self.model.vocabulary.kinds[token_id])
            found["error"], found["cosine"] = self._loss(token_id)
        part = self.parts[self.places[0][token_id]]
        if part.form is not None:
            found["tier"] = {"number": part.number, "of": len(self.parts), "tokens": len(part.ids), "kept": part.form.words}
        if part.codes is not None:
            found |= self._codes(part, int(self.places[1][token_id]), limit)
        return found

    def _name(self, token_id: int) -> dict[str, Any]:
        return {"id": token_id, "token": None if self.model is None else self.model.vocabulary.display[token_id]}

    def _loss(self, token_id: int) -> tuple[float, float]:
        """Relative error and cosine of one token, as subemb.analysis.error defines them."""
        return float(self.errors.per_token[token_id]), float(self.errors.cosine[token_id])

    @cached_property
    def errors(self):
        """The ReconstructionError of the whole table; the model must be there."""
        from . import reconstruction_error

        return reconstruction_error(self.model.table, self.compressed)

    def _codes(self, part: Part, row: int, limit: int) -> dict[str, Any]:
        """What the token in a row of a part shares with the others there; all others share nothing with it."""
        codes = torch.from_numpy(part.codes)
        same = codes == codes[row]  # (n, f)
        same[row] = False
        shared = same.sum(1)  # (n,) codes shared with the token

        def listed(mask: torch.Tensor) -> dict[str, Any]:
            rows = mask.nonzero().flatten()
            # those that share most come first, then small ids
            rows = rows[torch.argsort(shared[rows], descending=True, stable=True)]
            return {"count": len(rows), "tokens": [self._name(int(part.ids[i])) for i in rows[:limit].tolist()]}

        return {
            "codes": codes[row].tolist(),
            "sharing": [listed(same[:, i]) for i in range(same.shape[1])],
            "same_tuple": listed(shared == same.shape[1]),
            "nearest": [
                {**self._name(int(part.ids[i])), "shared": int(shared[i])}
                for i in _nearest(part.compressed, row, shared, limit)
            ],
        }


def _nearest(compressed: Compressed, row: int, shared: torch.Tensor, limit: int) -> list[int]:
    """Rows of the tokens that share most codes; among equals, those whose reconstruction is nearest."""
    least = shared.topk(min(limit, len(shared))).values[-1].clamp_min(1)
    rows = (shared >= least).nonzero().flatten()
    away = (compressed.lookup(rows) - compressed.lookup(torch.tensor(row))).square().sum(1)
    by_distance = rows[torch.argsort(away, stable=True)]
    return by_distance[torch.argsort(shared[by_distance], descending=True, stable=True)][:limit].tolist()


def saved_model(folder: Path) -> dict[str, Any]:
    """What a saved result says about its model; empty if it says nothing."""
    described = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model")
    return described if isinstance(described, dict) else {}


def _model_at_hand(described: dict[str, Any], rows: int, dim: int):
    """The model that a result was made of, or None; and what to tell the user about it."""
    name = described.get("name")
    if not isinstance(name, str) or described.get("source") == "memory":
        return None, "The result does not name a model; tokens are shown by their ids."
    try:
        model = load_model(name, revision=described.get("revision"), local_only=True)
    except ModelError as error:
        return None, f"The model is not at hand, so tokens are shown by their ids: {error}"
    if (model.num_tokens, model.dim) != (rows, dim) or described.get("identity") not in (None, model.identity):
        return None, f"{name} is not the model that this result was made of; tokens are shown by their ids."
    return model, None
