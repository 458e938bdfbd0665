"""A model's folder as files: what to call it, where its weights and tokenizer are, and whether anything in it has changed."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..base.arguments import fits
from ..base.errors import InputError, ModelError
from ..base.files import first_bytes, read_json
from .architectures import COMPANION_FILES, TOKENIZER_FILES, VOCABULARY_ENDS


def name_of(folder: Path) -> str:
    """What to call a folder in messages: its name, or the hub's id for one in the Hugging Face cache."""
    repo = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repo.startswith("models--"):
        return repo.removeprefix("models--").replace("--", "/")
    return folder.name


def weights_folder(folder: Path) -> Path:
    """Where a sentence-transformers folder keeps its transformer: itself, or the first module's sub-folder."""
    try:
        first = read_json(folder / "modules.json")[0]["path"]
        inner = folder / str(first)
        # A path that climbs out of the folder is not followed.
        inside = inner.resolve().is_relative_to(folder.resolve())
        return inner if first and inside and inner.is_dir() else folder
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):  # missing, damaged, or no path at all
        return folder


def json_of(folder: Path, name: str) -> Any:
    """What a JSON file of a model's folder holds. Raises ModelError (``broken``) if it is missing, too large or damaged."""
    try:
        return read_json(folder / name, f"{name} of {name_of(folder)}")
    except InputError as error:
        raise ModelError(pointer_text(folder / name) or f"{error}; download the model again", "broken") from error


def json_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; {} if it is missing, damaged or holds something else."""
    with suppress(InputError):
        found = read_json(path)
        return found if isinstance(found, dict) else {}
    return {}


def check_fields(values: Any, kinds: dict[str, Any], what: str) -> None:
    """Raise ModelError (``broken``) unless ``values`` is an object whose fields, where it has them, are of these kinds.

    kinds: name -> annotation, as :mod:`subemb.base.arguments` reads them. what: the object, for the message.
    """
    if not isinstance(values, dict):
        raise ModelError(f"{what} holds a {type(values).__name__} instead of an object; download the model again", "broken")
    for name, kind in kinds.items():
        if name in values and (words := fits(values[name], kind)):
            raise ModelError(
                f"{what} says {name}: {values[name]!r:.60}; it must be {words}. Download the model again", "broken"
            )


def checked_modules(folder: Path) -> list[dict[str, Any]]:
    """What ``modules.json`` lists, each with its type and path; [] if there is none. Raises ModelError (``broken``) for anything else."""
    if not (folder / "modules.json").is_file():
        return []
    what = f"modules.json of {name_of(folder)}"
    steps = json_of(folder, "modules.json")
    if not isinstance(steps, list) or not steps:
        raise ModelError(f"{what} is no list of modules; download the model again", "broken")
    for step in steps:
        check_fields(step, {"type": str, "path": str, "name": str}, what)
        if "type" not in step or "path" not in step:
            raise ModelError(f"{what} has a module without type or path; download the model again", "broken")
        if "\0" in step["path"]:
            raise ModelError(f"{what} names the path {step['path']!r:.60}, which no folder can have", "broken")
        if os.path.isabs(step["path"]) or os.path.normpath(step["path"]).split(os.sep)[0] == os.pardir:
            raise ModelError(f"{what} names the path {step['path']!r:.60}, which leads out of the model's folder", "broken")
    return steps


def check_not_pickled(folder: Path, part: Path) -> None:
    """Raise ModelError (``no_safetensors``) if a module of a model has pickled weights only. part: the module's folder."""
    if (part / "pytorch_model.bin").is_file() and not list(part.glob("*.safetensors")):
        raise ModelError(
            f"{name_of(folder)} keeps weights of {part.name} in pytorch_model.bin only; only safetensors files are read, since "
            "pickled files can run code",
            "no_safetensors",
        )


def pointer_text(path: Path) -> str | None:
    """What to say of a file that is a Git LFS pointer, some lines of text in place of the content; None for any other file."""
    if not first_bytes(path, 40).startswith(b"version https://git-lfs"):
        return None
    return (
        f"{path.name} of {name_of(path.parent)} is a Git LFS pointer, not the file itself; run git lfs pull where it was cloned, or "
        "download the model again"
    )


def vocabulary_files(folder: Path) -> list[str]:
    """Names of the files in a folder from which a tokenizer's vocabulary can be read, the usual ones first."""
    names = [name for name in TOKENIZER_FILES if name not in COMPANION_FILES and (folder / name).is_file()]
    with suppress(OSError):  # a folder that may not be listed
        names += sorted(path.name for path in folder.iterdir() if path.name.endswith(VOCABULARY_ENDS) and path.is_file())
    return list(dict.fromkeys(names))


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a file that tokenizers are read from, or names a tokenizer that needs none."""
    return bool(vocabulary_files(folder)) or _reads_bytes(folder)


def _reads_bytes(folder: Path) -> bool:
    """Whether ``tokenizer_config.json`` names a tokenizer of transformers that has no vocabulary, as ByT5's."""
    named = json_object(folder / "tokenizer_config.json").get("tokenizer_class")
    if not isinstance(named, str):
        return False
    from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

    try:
        kind = tokenizer_class_from_name(named)
    except Exception:  # a stranger's file can name anything
        return False
    return kind is not None and not getattr(kind, "vocab_files_names", True)


def state_of(folder: Path) -> tuple[tuple, ...]:
    """Stays equal until a file in a folder, or in a folder directly below it, has another name, size or time of change.

    Links are followed: the files of the Hugging Face cache are links to where the content lies. Raises OSError.
    """
    found = []
    waiting: list[tuple[str | os.PathLike, bool]] = [(folder, True)]
    while waiting:
        place, is_top = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            if is_top:
                raise
            continue  # a folder that may not be read holds nothing for us
        for entry in entries:
            try:
                if entry.is_dir():
                    waiting += [(entry.path, False)] if is_top else []
                else:
                    stat = entry.stat()
                    found.append((entry.path, stat.st_size, stat.st_mtime_ns, stat.st_ino))
            except OSError:  # a link to nothing, or to what may not be seen
                found.append((entry.path,))
    return tuple(sorted(found))
