"""Where pages open models: all visitors share them, so nobody may change them."""

import os
import time

from ...base.store import Memory
from ...codec.settings import CompressionSettings
from ...runs import run_key
from .request import Request

LISTED_SECONDS = 20  # for how long a list of the models is used before it is made again

_models, _listed = Memory(6), Memory(4)


def open_model(name: str, revision: str | None = None):
    """The PretrainedModel of a listed name; reads headers only until its table or tokenizer is used.

    Raises ModelError if it is not listed or cannot be read.
    """
    from ...models.load import load_listed

    # Loading asks each time whether the files changed (their headers are read only then); an equal model is used again.
    fresh = load_listed(name, revision)
    return _models.take((name, revision, fresh.identity), lambda: fresh)


def listed_models() -> list:
    """Entries for the picker; at most LISTED_SECONDS old."""
    from ...models.catalogue import available_models

    return _listed.take(os.environ.get("SUBEMB_MODELS"), available_models, int(time.monotonic() / LISTED_SECONDS))


def list_again() -> None:
    """Make the list of models again: one has just been downloaded."""
    _listed.clear()


def key_of(request: Request) -> tuple[str, CompressionSettings]:
    """Run key and resolved settings of a request. Raises InputError or ModelError."""
    model = open_model(request.model, request.revision)
    settings = request.settings.resolve(model.num_tokens, model.dim)
    return run_key(model.identity, settings), settings
