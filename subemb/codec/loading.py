"""Reading a saved result; the form is described in subemb.codec.storage.

Reading is apart from writing because it has to know every method, and a result that writes itself must not.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes

from ..base.arguments import checked
from ..base.errors import InputError
from ..base.plain import is_whole
from .compressed import Compressed
from .estimates import predicted_size
from .settings import CompressionSettings
from .storage import (
    CONFIG_FILE,
    ENTROPY_CODED,
    TENSORS_FILE,
    about_pickles,
    entropy_decoded,
    history_of,
    read_config,
    size_facts,
)


@checked
def load(folder: str | os.PathLike) -> Compressed:
    """Read what :func:`subemb.codec.storage.save` wrote, equal bit for bit, with the history in brief. Raises InputError saying what is wrong, with the value."""
    folder = Path(folder)
    config = read_config(folder)
    vocabulary, dim, settings = _checked_header(folder, config)
    try:
        content = (folder / TENSORS_FILE).read_bytes()
    except OSError as error:
        raise InputError(f"{folder / TENSORS_FILE} cannot be read ({error.strerror}){about_pickles(folder)}") from error
    try:
        tensors = tensors_from_bytes(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{folder / TENSORS_FILE} is cut off or damaged ({error}); save the result again") from error
    try:
        if config["subemb_format"] == 1:
            tensors = settings.about.from_format_1(settings, vocabulary, dim, tensors)
        elif config["subemb_format"] == ENTROPY_CODED:
            places = settings.about.codes_in(settings, vocabulary, dim)
            tensors = entropy_decoded(tensors, places, config.get("entropy_coded"))
        settings.about.check_tensors(settings, vocabulary, dim, tensors)
        size = size_facts(predicted_size(settings, vocabulary, dim))
        if config.get("size") != size:
            raise InputError(f"size is {config.get('size')} in {CONFIG_FILE}; such a result has {size}")
    except InputError as error:
        raise InputError(f"{folder} is inconsistent: {error}") from error
    if hashlib.sha256(content).hexdigest() != config.get("tensors_sha256"):
        raise InputError(
            f"{folder} is inconsistent: {TENSORS_FILE} is not the file that {CONFIG_FILE} was written for; save the result again"
        )
    try:
        history = config["history"] if config["subemb_format"] == 1 else history_of(config["history"])
        return settings.about.built(settings, vocabulary, dim, tensors, history=history, info=config["info"])
    except InputError as error:
        raise InputError(f"{folder} is inconsistent: {error}") from error


def _checked_header(folder: Path, config: dict[str, Any]) -> tuple[int, int, CompressionSettings]:
    """V, D and settings, after checking that they go together."""
    try:
        vocabulary, dim = config["vocabulary"], config["dim"]
        for name, value in (("vocabulary", vocabulary), ("dim", dim)):
            if not is_whole(value, 1):
                raise InputError(f"{name} is {value!r}; it must be a whole number of at least 1")
        if not isinstance(config["settings"], dict):
            raise InputError(f"settings are {config['settings']!r} instead of a table of names and values")
        settings = CompressionSettings.from_dict({"sensitive": False, **config["settings"]})  # older folders do not say
        is_old = config["subemb_format"] == 1
        if is_old and settings.about.uses_codebooks:
            settings = replace(settings, codebook_bits=32)
        if settings != settings.resolve(vocabulary, dim):
            raise InputError(f"the settings {config['settings']} are not complete for a {vocabulary} x {dim} table")
        settings.about.check_computable(settings, vocabulary)
        widths = settings.about.widths(settings, dim)
        if is_old and config["widths"] != widths:
            raise InputError(f"widths are {config['widths']}; {settings.method} of {dim} dimensions has {widths}")
        if not isinstance(config["info"], dict) or not isinstance(config["history"], list if is_old else dict):
            raise InputError("info and history must be tables of names and values")
    except KeyError as error:
        raise InputError(f"{folder / CONFIG_FILE} is inconsistent: {error} is missing") from error
    except (TypeError, InputError) as error:
        raise InputError(f"{folder / CONFIG_FILE} is inconsistent: {error}") from error
    return vocabulary, dim, settings
