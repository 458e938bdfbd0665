"""Where pages open models: all visitors share them, so nobody may change them."""

import logging
import os
import time

from ...base.open_server import is_public
from ...base.store import Memory
from ...codec.settings import CompressionSettings
from ...models.catalogue import available_models
from ...models.load import load_listed
from ...presets import as_preset
from ...runs import RUNS, resolved, run_key
from .request import Request

log = logging.getLogger(__name__)
LISTED_SECONDS = 20  # for how long a list of the models is used before it is made again

_models, _listed = Memory(6), Memory(4)


def open_model(name: str, revision: str | None = None):
    """The PretrainedModel of a listed name; reads headers only until its table or tokenizer is used.

    Raises ModelError if it is not listed or cannot be read.
    """
    # Loading asks each time whether the files changed (their headers are read only then); an equal model is used again.
    fresh = load_listed(name, revision)
    return _models.take((name, revision, fresh.identity), lambda: fresh)


def listed_models() -> list:
    """Entries for the picker; at most LISTED_SECONDS old."""
    place = os.environ.get("SUBEMB_MODELS"), is_public()
    return _listed.take(place, _available, int(time.monotonic() / LISTED_SECONDS))


def _available() -> list:
    """An open server lists what its owner put under SUBEMB_MODELS; folders that cannot be used are for the log."""
    found = available_models()
    if not is_public():
        return found
    for entry in found:
        if entry.error:
            log.warning("%s is not offered: %s", entry.folder, entry.error)
    return [entry for entry in found if entry.source != "hub" and not entry.error]


def list_again() -> None:
    """Make the list of models again: one has just been downloaded."""
    _listed.clear()


def key_of(request: Request) -> tuple[str, CompressionSettings]:
    """Run key and resolved settings of a request. Raises InputError or ModelError."""
    model = open_model(request.model, request.revision)
    return kept_key(model, resolved(request.settings, model, None))


def kept_key(model, settings: CompressionSettings) -> tuple[str, CompressionSettings]:
    """Run key of resolved settings, and these; of a run that is not kept, those of a preset's that is and has the same settings otherwise
    spelled."""
    key, spelled = run_key(model.identity, settings), as_preset(settings, model.num_tokens, model.dim)
    if spelled != settings and RUNS.get(key, is_use=False) is None:
        preset = run_key(model.identity, spelled)
        if RUNS.get(preset, is_use=False) is not None:
            return preset, spelled
    return key, settings
