"""Cached access for pages: models, runs, reconstructions. Bounded, shared by all visitors, keyed by what identifies a thing.

Nothing here may be changed by who gets it: all visitors see the same objects.
"""

import streamlit as st

from ...codec.settings import CompressionSettings
from ...runs import Run, kept_compressed, kept_run, run_key
from .request import Request


@st.cache_resource(max_entries=6, show_spinner=False)
def _model(name: str, revision: str | None, identity: str):
    from ...models.load import load_listed

    return load_listed(name, revision)


def open_model(name: str, revision: str | None = None):
    """The PretrainedModel of a listed name; reads headers only until its table or tokenizer is used.

    Raises ModelError if it is not listed or cannot be read.
    """
    from ...models.load import load_listed

    # Opened afresh each time to see the files as they are now; the loaded one is reused if they are the same.
    fresh = load_listed(name, revision)
    return _model(name, revision, fresh.identity)


@st.cache_data(max_entries=4, ttl=20, show_spinner=False)
def listed_models(folders: str | None) -> list:
    """Entries for the picker; ``folders`` (SUBEMB_MODELS) is the cache key. Read again after 20 seconds."""
    from ...models.catalogue import available_models

    return available_models()


def key_of(request: Request) -> tuple[str, CompressionSettings]:
    """Run key and resolved settings of a request. Raises InputError or ModelError."""
    model = open_model(request.model, request.revision)
    settings = request.settings.resolve(model.num_tokens, model.dim)
    return run_key(model.identity, settings), settings


def finished_run(key: str) -> Run | None:
    """A finished run by key, or None."""
    return kept_run(key)


@st.cache_resource(max_entries=4, show_spinner=False)
def compressed_of(key: str):
    """Codes and codebooks of a finished run."""
    return kept_compressed(key)


@st.cache_resource(max_entries=2, show_spinner=False)
def reconstruction_of(key: str):
    """The whole reconstruction (V, D) float32 of a finished run, as a tensor nobody may change."""
    return compressed_of(key).reconstruct()
