"""Jobs of the page Export: what can be taken away of a run or an adaptation, written into the cache as one file to download."""

import contextlib
import dataclasses
import json
import logging
import os
import re
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base.errors import InputError
from ..base.paths import cache_folder, keep_newest, publish
from ..base.progress import ProgressCallback, part_of, report
from .kept import result_key
from .sides import ADAPTED, COMPRESSED, Subject, open_sides

if TYPE_CHECKING:
    from ..adaptation.result import Adaptation
    from ..models.model import PretrainedModel

JOB = "subemb.tasks.exports:make_export"
COMPACT, DENSE, ONNX = "compact", "dense", "onnx"
KINDS = (COMPACT, DENSE, ONNX)
KEPT = 12
KEPT_BYTES = 4_000_000_000  # of all kept files together; the newest is kept in any case
_FORMAT = 1
_FACTS = "export.json"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of files in an archive, so that equal contents make equal archives
_BLOCK = 1 << 20
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Export:
    """One file to download. name: the file's. bytes: of it. files: what is in it, name and bytes; of an archive, with its folder.

    folder: the directory in an archive, or "". checked: of ONNX, what an OnnxCheck says.
    """

    kind: str
    key: str
    name: str
    bytes: int
    files: tuple[tuple[str, int], ...]
    folder: str = ""
    checked: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it lies; it may be dropped from the cache at any time."""
        return cache_folder("exports") / f"{self.kind}-{self.key}" / self.name

    def read(self) -> bytes:
        """The whole file. Raises InputError if it was dropped meanwhile."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.name} is not kept any more ({error.strerror}); make it again") from error


def export_key(subject: Subject, kind: str) -> str:
    """Key of an export: equal for equal models under the same name, equal runs and adaptations. Raises InputError for no run."""
    if subject.run_key is None:
        raise InputError("there is no compressed table to take away; press Run first")
    return result_key("export", format=_FORMAT, version=__version__, of=kind, subject=subject.content, name=subject.name)


def kept_export(subject: Subject, kind: str) -> Export | None:
    """What was made before, or None if it is not there."""
    key = export_key(subject, kind)
    folder = cache_folder("exports") / f"{kind}-{key}"
    try:
        values = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        found = Export(**{**values, "files": tuple((str(name), int(size)) for name, size in values["files"])})
        if found.path.stat().st_size != found.bytes:
            raise ValueError(f"{found.name} is cut off")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("the kept export %s cannot be read (%s); it can be made again", folder.name, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    with contextlib.suppress(OSError):  # another process may just have dropped it
        os.utime(folder)  # used now: the last to be dropped
    return found


def make_export(subject: Subject, kind: str, progress: ProgressCallback | None = None) -> str:
    """The job: write one export into the cache, unless it is there. Returns its key.

    Raises InputError for what cannot be exported, a full disk, or a package that is not installed; ModelError, Cancelled.
    """
    if kind not in KINDS:
        raise InputError(f"there is no export {kind!r}; choose one of {', '.join(KINDS)}")
    key = export_key(subject, kind)
    if kept_export(subject, kind) is not None:
        return key
    sides = open_sides(subject, part_of(progress, 0.0, 0.2))
    model = sides[_last(sides)]
    adaptation = _adaptation_of(subject)

    def write(folder: Path) -> None:
        made = _write(kind, model, adaptation, folder, file_stem(subject, adaptation), part_of(progress, 0.2, 1.0))
        facts = dataclasses.asdict(dataclasses.replace(made, key=key))
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    folder = cache_folder("exports")
    publish(folder, f"{kind}-{key}", write)
    keep_newest(folder, KEPT)
    _keep_bytes(folder, f"{kind}-{key}")
    return key


def file_stem(subject: Subject, adaptation: "Adaptation | None" = None) -> str:
    """Start of file names: the model's last name in plain letters, and the first digits of what was made of it.

    >>> file_stem(Subject("org/My model", None, "id", "0123456789abcdef"))
    'My-model-01234567'
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", subject.name.rstrip("/").rsplit("/", 1)[-1]).strip("-.") or "model"
    return f"{name[:60]}-{(adaptation.key if adaptation is not None else subject.run_key)[:8]}"


def _last(sides: "dict[str, PretrainedModel]") -> str:
    """The side to take away: the adapted one if there is one."""
    return ADAPTED if ADAPTED in sides else COMPRESSED


def _adaptation_of(subject: Subject) -> "Adaptation | None":
    """What is known of the subject's adaptation, or None if it has none."""
    if subject.adapted_key is None:
        return None
    from .adaptation import kept_adaptation

    return kept_adaptation(subject.adapted_key)


def _write(kind: str, model, adaptation, folder: Path, stem: str, progress: ProgressCallback | None) -> Export:
    """Write the file of an export, and say what it is; the key is filled in later."""
    report(progress, "writing the files", 0.0)
    if kind == ONNX:
        return _write_onnx(model, folder / f"{stem}-table.onnx")
    from .. import export

    stem = f"{stem}-{kind}"
    staging = folder / "staging" / stem
    if kind == COMPACT:
        export.compact(model, staging, adaptation)
    else:
        export.dense(model, staging, part_of(progress, 0.0, 0.7))
    report(progress, "packing them", 0.7)
    archive = folder / f"{stem}.zip"
    files = pack(staging, archive, part_of(progress, 0.7, 1.0))
    shutil.rmtree(folder / "staging")
    return Export(kind, "", archive.name, archive.stat().st_size, files, stem)


def _write_onnx(model, path: Path) -> Export:
    from .. import export

    check = dataclasses.asdict(export.onnx_table(model.compressed, path))
    size = path.stat().st_size
    return Export(ONNX, "", path.name, size, ((path.name, size),), checked=check)


def pack(folder: Path, archive: Path, progress: ProgressCallback | None = None) -> tuple[tuple[str, int], ...]:
    """Put a folder, under its name, into a zip file; equal folders make equal files. Returns names and bytes of what is in it.

    Weights are stored as they are: trained numbers do not get smaller, and it takes long to find that out.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in paths]
    done = 0
    with zipfile.ZipFile(archive, "w", allowZip64=True) as packed:
        for path, size in zip(paths, sizes, strict=True):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
            entry.file_size = size
            with path.open("rb") as source, packed.open(entry, "w") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                    done += len(block)
                    report(progress, "packing them", done / max(1, sum(sizes)))
    return tuple((path.relative_to(folder).as_posix(), size) for path, size in zip(paths, sizes, strict=True))


def _keep_bytes(folder: Path, newest: str) -> None:
    """Drop the oldest exports so that all together stay below KEPT_BYTES."""
    total = 0
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    with contextlib.suppress(OSError):  # another process deleted one meanwhile
        for path in sorted(entries, key=lambda path: (path.name == newest, path.stat().st_mtime), reverse=True):
            total += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            if total > KEPT_BYTES and path.name != newest:
                shutil.rmtree(path, ignore_errors=True)
