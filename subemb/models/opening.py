"""Opening a folder: whatever kind of model it holds, read once and remembered for as long as none of its files changes."""

import logging
from pathlib import Path

from ..base.errors import InputError, ModelError
from ..base.store import Memory
from .checkpoint import Checkpoint, read_checkpoint
from .folder import checked_modules, name_of, state_of, weights_folder
from .static import read_static

#: Open checkpoints by folder: JSON and headers, under a megabyte each.
CHECKPOINTS = Memory(64)
log = logging.getLogger(__name__)


def read_folder(folder: Path) -> Checkpoint:
    """What a folder holds: a static table, or the checkpoint of a network. Raises as :func:`.checkpoint.read_checkpoint`."""
    if folder.is_file():
        raise ModelError(
            f"{folder.name} is a file; subemb opens a model's folder. A text file of word vectors (GloVe, word2vec, fastText) is read "
            "by other libraries: give its numbers and words to subemb.PretrainedModel.from_table(vectors, words)",
            "unsupported",
        )
    try:
        checked_modules(folder)
        static = read_static(folder, weights_folder(folder)) if folder.is_dir() else None
        return read_checkpoint(folder) if static is None else static
    except (InputError, OSError):
        raise
    except Exception as error:  # a stranger's files can hold anything; the log says what was not foreseen
        log.warning("%s cannot be opened", folder, exc_info=True)
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ModelError(
            f"{name_of(folder)} holds something that cannot be read ({reason}); download the model again"
        ) from error


def open_checkpoint(folder: Path) -> Checkpoint:
    """What a folder holds: read once, and remembered until one of its files has another name, size or time of change.

    Everybody gets the same object, whichever thread asks. Raises as :func:`read_folder`.
    """
    folder = Path(folder)
    try:
        state = state_of(folder)
    except OSError:
        return read_folder(folder)  # says what is wrong
    folder = folder.absolute()
    return CHECKPOINTS.take(folder, lambda: read_folder(folder), state)


def forget_checkpoints() -> None:
    """Forget what was read, so that every folder is read again; for tests and measurements."""
    CHECKPOINTS.clear()
