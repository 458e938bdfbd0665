"""What a folder's authors say of its sentence vectors, read from the JSON of sentence-transformers: never guessed from a file's being there.

A folder of that library can also hold a classifier of pairs, a sparse encoder or one vector for each token: then the mean of the
network's hidden states is subemb's choice, not theirs, and :func:`pooling_in_words` says so.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from ..base.errors import InputError
from ..base.files import read_json
from .folder import json_object

#: What the library calls models that give no sentence vectors, and what they give instead.
_OTHERS = {
    "CrossEncoder": "a CrossEncoder, which scores pairs of texts",
    "SparseEncoder": "a SparseEncoder, whose vectors have a number for each token of the vocabulary",
    "MultiVectorEncoder": "a MultiVectorEncoder, which gives a vector for each token",
}
#: Modules by which a folder is one of these, where it does not say it; an old release has no such words.
_MODULES = {
    "SparseEncoder": ("MLMTransformer", "SpladePooling", "SparseAutoEncoder", "SparseStaticEmbedding", "CSRSparsity", "IDF"),
    "MultiVectorEncoder": ("MultiVectorMask", "ColBERT"),
}
_OTHERWISE = (
    "To have another pooling, save the model with sentence-transformers and the Pooling that you mean, and open that folder"
)


def sentence_modules_of(folder: Path) -> list[tuple[str, str]]:
    """Kind and path of every module that ``modules.json`` names; [] if there is none, or it is damaged."""
    try:
        return [(str(step["type"]).rsplit(".", 1)[-1], str(step["path"])) for step in read_json(folder / "modules.json")]
    except (InputError, LookupError, TypeError):
        return []


def module_folders(folder: Path) -> list[Path]:
    """Where the modules after the network lie; a path that climbs out of the folder is left out."""
    found = []
    for _, path in sentence_modules_of(folder)[1:]:
        with suppress(OSError, ValueError):  # no name of a folder
            if path and (folder / path).resolve().is_relative_to(folder.resolve()):
                found.append(folder / path)
    return found


def other_kind(folder: Path) -> str | None:
    """What a folder of sentence-transformers is, if it gives no sentence vectors: a key of ``_OTHERS``. None if it gives them."""
    named = json_object(folder / "config_sentence_transformers.json").get("model_type")
    if isinstance(named, str) and named in _OTHERS:
        return named
    kinds = {kind for kind, _ in sentence_modules_of(folder)}
    for other, modules in _MODULES.items():
        if kinds & set(modules):
            return other
    # A network alone makes no vector of a sentence; nor does one that a release before modules.json saved as a classifier.
    task = json_object(folder / "sentence_bert_config.json").get("transformer_task", "feature-extraction")
    if kinds == {"Transformer"} and task == "sequence-classification":
        return "CrossEncoder"
    if not kinds and "sentence_transformers" in json_object(folder / "config.json"):
        return "CrossEncoder"
    return None


def gives_sentence_vectors(folder: Path) -> bool:
    """Whether a folder says how its sentence vectors are made: it has modules of sentence-transformers, and they are for that."""
    return (folder / "modules.json").is_file() and other_kind(folder) is None


def prompt_in(folder: Path) -> str:
    """What the authors put in front of every text, as :func:`prompt_of` finds it in a folder."""
    return prompt_of(json_object(folder / "config_sentence_transformers.json"))


def prompt_of(options: dict[str, Any]) -> str:
    """What ``config_sentence_transformers.json`` puts in front of every text; "" for nothing."""
    prompts, name = options.get("prompts"), options.get("default_prompt_name")
    found = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    return found if isinstance(found, str) else ""


def pooling_in_words(folder: Path, ours: str) -> str:
    """How a sentence vector is made: what the authors say, or ``ours``, and that it is ours."""
    other = other_kind(folder)
    if other is not None:
        return f"{ours}, which its authors did not mean: it is {_OTHERS[other]}. {_OTHERWISE}"
    if not gives_sentence_vectors(folder):
        return f"{ours} (subemb's choice, since its authors name none). {_OTHERWISE}"
    steps, options = sentence_modules_of(folder), json_object(folder / "config_sentence_transformers.json")
    library = f"sentence-transformers: {', '.join(kind for kind, _ in steps)}" if steps else "sentence-transformers"
    parts = [_mode(folder, steps), f"as its authors set it ({library})"]
    if isinstance(options.get("truncate_dim"), int):
        parts.append(f"cut to the first {options['truncate_dim']} numbers")
    if prompt := prompt_of(options):
        parts.append(f"after the prompt {prompt!r}")
    similarity = options.get("similarity_fn_name")
    if similarity in ("dot", "euclidean", "manhattan"):
        parts.append(f"but compared by the cosine, where they mean {similarity}")
    return ", ".join(part for part in parts if part)


def _mode(folder: Path, steps: list[tuple[str, str]]) -> str:
    """How states become one vector, by the config of the Pooling module; "" if there is none."""
    path = next((path for kind, path in steps if kind == "Pooling"), None)
    config = {} if path is None else json_object(folder / path / "config.json")
    modes = [key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    named = config.get("pooling_mode")
    named = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    found = " and ".join([mode.replace("_", " ") for mode in modes] or [str(mode) for mode in named])
    return f"{found} without the prompt" if found and config.get("include_prompt") is False else found
