"""A model's folder as files: what to call it, where its weights and tokenizer are, and whether anything in it has changed."""

import os
from pathlib import Path
from typing import Any

from ..base.arguments import fits
from ..base.errors import InputError, ModelError
from ..base.files import first_bytes, read_json
from .architectures import COMPANION_FILES, TOKENIZER_FILES


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


def check_modules(folder: Path) -> None:
    """Raise ModelError (``broken``) if a folder has a ``modules.json`` that is no list of modules, each with its type and path."""
    if not (folder / "modules.json").is_file():
        return
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


def pointer_text(path: Path) -> str | None:
    """What to say of a file that is a Git LFS pointer, some lines of text in place of the content; None for any other file."""
    if not first_bytes(path, 40).startswith(b"version https://git-lfs"):
        return None
    return (
        f"{path.name} of {name_of(path.parent)} is a Git LFS pointer, not the file itself; run git lfs pull where it was cloned, or "
        "download the model again"
    )


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has any of the files that tokenizers are read from."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES if name not in COMPANION_FILES)


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


def pooling_in_words(folder: Path) -> str:
    """How a sentence-transformers folder makes a sentence vector, read from its JSON."""
    try:
        steps = [step["type"].rsplit(".", 1)[-1] for step in read_json(folder / "modules.json")]
        config = read_json(folder / "1_Pooling" / "config.json")
        modes = [
            key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on is True
        ]
        mode = " and ".join(modes).replace("_", " ") or str(config.get("pooling_mode", "")) or "pooled"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return "as its authors set it (sentence-transformers)"
    return f"{mode}, as its authors set it (sentence-transformers: {', '.join(steps)})"
