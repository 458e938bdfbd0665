"""Jobs of the page Export: a run or an adaptation, written into the cache as one file to download."""

import dataclasses
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__, export
from ..adaptation.library import known_adaptation
from ..adaptation.result import Adaptation
from ..base.errors import InputError
from ..base.progress import ProgressCallback, part_of, report
from ..base.store import Store
from ..jobs.task import task
from ..runs import RUNS
from .sides import ADAPTED, COMPRESSED, Subject, open_sides

COMPACT, DENSE, ONNX = "compact", "dense", "onnx"
KINDS = (COMPACT, DENSE, ONNX)
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of files in an archive, so that equal contents make equal archives
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Export:
    """One file to download."""

    kind: str  # one of KINDS
    key: str  # in EXPORTS
    name: str  # of the file
    bytes: int  # of the file
    files: tuple[tuple[str, int], ...]  # name and bytes of every file in it
    folder: str = ""  # the directory in an archive
    checked: dict[str, Any] = field(default_factory=dict)  # the fields of an OnnxCheck for ONNX, else empty
    entropy_saved: int | None = (
        None  # bytes by which entropy-coded codes are shorter than packed ones; None: packed was asked for
    )

    @property
    def path(self) -> Path:
        """Where it lies; it may be dropped from the cache at any time."""
        return EXPORTS.path(self.key) / self.name

    def read(self) -> bytes:
        """The whole file. Raises InputError if it was dropped meanwhile."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.name} is not kept any more ({error.strerror}); make it again") from error


def _read(folder: Path) -> Export:
    found = dataclasses.replace(EXPORTS.read_json(folder), key=folder.name)
    if (folder / found.name).stat().st_size != found.bytes:
        raise ValueError(f"{found.name} is cut off")
    return found


def _write(folder: Path, fill: Callable[[Path], Export]) -> None:
    EXPORTS.write_json(folder, fill(folder))


#: What is put in is a function that writes the file into a folder and describes it; what is read back is an Export.
EXPORTS: Store[Export] = Store("exports", most=12, most_bytes=4_000_000_000, kind=Export, read=_read, write=_write)


def _what_decides(subject: Subject, kind: str, entropy: bool) -> dict[str, Any]:
    """What the key is made of: equal for equal models of one name, runs and adaptations. Raises InputError without a run."""
    if subject.run_key is None:
        raise InputError("there is no compressed table to export; press Run first")
    coded = {"entropy": True} if entropy else {}
    return {"version": __version__, "kind": kind, "subject": subject, "name": subject.name, **coded}


@task(lane="evaluate", key=_what_decides, keep=EXPORTS)
def make_export(
    subject: Subject, kind: str, entropy: bool = False, progress: ProgressCallback | None = None
) -> Callable[[Path], Export]:
    """A function that writes one export into a folder of the cache; the kept result is an :class:`Export`.

    entropy: of a compact folder, codes in as few bits as their frequencies allow, where that takes less.
    Raises InputError for what cannot be exported, a full disk, or a package that is not installed; ModelError, Cancelled.
    """
    if kind not in KINDS:
        raise InputError(f"there is no export {kind!r}; choose one of {', '.join(KINDS)}")
    sides = open_sides(subject, part_of(progress, 0.0, 0.2))
    model = sides[ADAPTED if ADAPTED in sides else COMPRESSED]
    adaptation = None if subject.adapted_key is None else known_adaptation(subject.adapted_key)
    stem, run = file_stem(subject, adaptation), RUNS.get(subject.run_key, is_use=False)
    task = None if run is None or adaptation is not None else run.task
    return lambda folder: _export(kind, model, adaptation, folder, stem, entropy, part_of(progress, 0.2, 1.0), task)


def file_stem(subject: Subject, adaptation: Adaptation | None = None) -> str:
    """Start of file names: the model's last name in plain letters, and the first digits of the key
    of its adaptation or run.

    >>> file_stem(Subject("org/My model", None, "id", "0123456789abcdef"))
    'My-model-01234567'
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", subject.name.rstrip("/").rsplit("/", 1)[-1]).strip("-.") or "model"
    return f"{name[:60]}-{(adaptation.key if adaptation is not None else subject.run_key)[:8]}"


def _export(
    kind: str, model, adaptation, folder: Path, stem: str, entropy: bool, progress: ProgressCallback | None, task
) -> Export:
    """Write the file of an export, and say what it is; the key is filled in later."""
    report(progress, "writing the files", 0.0)
    if kind == ONNX:
        return _export_onnx(model, folder / f"{stem}-table.onnx")

    stem = f"{stem}-{kind}"
    staging, saved = folder / "staging" / stem, None
    if kind == COMPACT:
        export.compact(model, staging, adaptation, entropy, task)
        if entropy:
            from ..codec.storage import entropy_coded_bytes

            saved = model.compressed.size().total_bytes - entropy_coded_bytes(model.compressed)
    else:
        export.dense(model, staging, part_of(progress, 0.0, 0.7), task)
    report(progress, "packing them", 0.7)
    archive = folder / f"{stem}.zip"
    files = pack(staging, archive, part_of(progress, 0.7, 1.0))
    shutil.rmtree(folder / "staging")
    return Export(kind, "", archive.name, archive.stat().st_size, files, stem, entropy_saved=saved)


def _export_onnx(model, path: Path) -> Export:
    check = dataclasses.asdict(export.onnx_table(model.compressed, path))
    size = path.stat().st_size
    return Export(ONNX, "", path.name, size, ((path.name, size),), checked=check)


def pack(folder: Path, archive: Path, progress: ProgressCallback | None = None) -> tuple[tuple[str, int], ...]:
    """Put a folder, under its name, into a zip file; equal folders make equal files. Returns names and bytes of what is in it.

    Weights are not deflated: trained numbers hardly get smaller by it, and it takes long.
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
