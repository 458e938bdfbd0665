"""Where commands write: never over what is there, unless ``--force`` says so."""

import argparse
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..base.errors import InputError
from ..base.files import given_path
from ..base.paths import check_can_save, check_can_write
from ..base.plain import Settings, given_flags, to_flags

RESULT_FILE = "subspace_embedding.safetensors"  # codec.storage.TENSORS_FILE, without importing torch


def line_of_card(
    given: argparse.Namespace, command: str, files: Mapping[str, Sequence[Path]], settings: Settings, flags: Collection[str]
) -> str:
    """A command as a card tells it, so that anybody can run it: with the names of files and folders instead of their paths.

    files: flag -> what was given for it. flags: fields of the settings that have one.
    """
    folder = given_path(given.model, "the model")
    parts = ["subemb", command, folder.name if folder.is_dir() else given.model]
    for flag, paths in files.items():
        parts += [flag, *(path.name for path in paths)] if paths else []
    if given.revision:
        parts += ["--revision", given.revision]
    return shlex.join(parts + to_flags(settings, flags, always=given_flags(given, type(settings))))


def add_force(command: argparse.ArgumentParser) -> None:
    """Declare ``--force``."""
    command.add_argument("--force", action="store_true", help="replace an older result that lies where this one is to go")


def check_output(folder: Path, force: bool) -> None:
    """Raises InputError if no compressed table can be saved in ``folder``; called before the work rather than after it."""
    check_can_save(folder, RESULT_FILE, force=force)


def check_replaces_nothing(folder: Path, force: bool) -> None:
    """Raises InputError if a folder holds a compressed table already."""
    if (folder / RESULT_FILE).exists() and not force:
        raise InputError(f"{folder} holds an older result; add --force to replace it, or give another folder")


def check_file(path: Path, force: bool) -> None:
    """Raises InputError for a file that is there already, and for a folder."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not force:
        raise InputError(f"{path} is there already; add --force to replace it, or give another name")
    check_can_write(path.parent)


def check_table_folder(folder: Path, marker: str) -> None:
    """Raises InputError if a table cannot lie in a folder; one that is there already, and has a file called ``marker``, grows."""
    check_can_save(folder, marker, "the table")
