"""Models from the Hugging Face hub: what the local cache holds, whether an id is valid, and downloading one.

Only what subemb reads is fetched: configs, tokenizer files and safetensors; never pickled weights, never code.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import ModelError
from ..base.progress import ProgressCallback, report
from ..hub_transfer import Counter, errors_in_words, megabytes, plain_http

_FILES = re.compile(
    r"(\d+_\w+/)?(config|modules|sentence_bert_config|config_sentence_transformers|tokenizer|tokenizer_config"
    r"|special_tokens_map|added_tokens|vocab)\.json"
    r"|(\d+_\w+/)?(vocab\.txt|merges\.txt|spiece\.model|spm\.model|tokenizer\.model|sentencepiece\.bpe\.model)"
)
_WEIGHTS = re.compile(r"(\d+_\w+/)?model\.safetensors")
_SHARDS = re.compile(r"(\d+_\w+/)?(model\.safetensors\.index\.json|model-\d+-of-\d+\.safetensors)")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SPARE_BYTES = 64 << 20  # left free on the disk beside a download
_SECONDS_TO_ANSWER = 15


def validate_id(name: str) -> str:
    """A hub id without surrounding blanks: ``name`` or ``owner/name``. Raises ModelError (``invalid_name``)."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    shown = repr(name)[:120]
    name = name.strip() if isinstance(name, str) else ""
    try:
        if not name.isascii():  # older versions of the library let letters of any script pass
            raise HFValidationError("not ASCII")
        validate_repo_id(name)
    except HFValidationError as error:
        raise ModelError(
            f"{shown} is not a model's name: use organization/model as on huggingface.co, with letters, digits, '-', '_', '.'",
            "invalid_name",
        ) from error
    return name


def validate_revision(revision: str | None) -> str:
    """A branch, tag or commit; None and blank mean ``main``. Raises ModelError (``invalid_name``)."""
    revision = (revision or "").strip() or "main"
    if not _REVISION.fullmatch(revision) or ".." in revision or "//" in revision:
        raise ModelError(
            f"{revision[:120]!r} is not a revision: use a branch, a tag or a commit hash, or leave it empty", "invalid_name"
        )
    return revision


@dataclass(frozen=True)
class CachedModel:
    """A model in the local cache: hub id, commit, and the folder with its files."""

    name: str
    revision: str
    folder: Path


def cached_models(cache_dir: Path | None = None) -> list[CachedModel]:
    """Every hub model in the local cache whose config and safetensors are complete, by name."""
    folders = sorted(_cache(cache_dir).glob("models--*"))
    names = [folder.name.removeprefix("models--").replace("--", "/") for folder in folders]
    found = [(name, cached_snapshot(name, None, cache_dir)) for name in names]
    return [CachedModel(name, folder.name, folder) for name, folder in found if folder is not None]


def cached_snapshot(name: str, revision: str | None = None, cache_dir: Path | None = None) -> Path | None:
    """Folder of a cached model, or None if it is not there or not complete; its name is the commit.

    Without a revision: ``main`` as last seen, else the newest that is complete.
    """
    wanted = validate_revision(revision)
    repo = _cache(cache_dir) / f"models--{name.replace('/', '--')}"
    try:
        commit = wanted if _COMMIT.fullmatch(wanted) else (repo / "refs" / wanted).read_text(encoding="utf-8").strip()
        candidates = [repo / "snapshots" / commit] if _COMMIT.fullmatch(commit) else []
    except OSError:
        candidates = []
    if revision is None and not (candidates and _is_complete(candidates[0])):
        snapshots = [path for path in (repo / "snapshots").glob("*") if _COMMIT.fullmatch(path.name)]
        candidates = sorted(snapshots, key=lambda path: path.stat().st_mtime, reverse=True)
    return next((folder for folder in candidates if _is_complete(folder)), None)


def _cache(cache_dir: Path | None) -> Path:
    from huggingface_hub import constants

    return Path(cache_dir or constants.HF_HUB_CACHE).expanduser()


def _is_complete(snapshot: Path) -> bool:
    """Whether config and all weights files are there; a download that was cut off leaves some out."""
    for folder in (snapshot, snapshot / "0_Transformer"):
        if not (folder / "config.json").is_file():
            continue
        if (folder / "model.safetensors").is_file():
            return True
        try:
            index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
            return all((folder / name).is_file() for name in set(index["weight_map"].values()))
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            continue
    return False


@dataclass(frozen=True)
class RemoteModel:
    """What a download would fetch: ``files`` are paths with their bytes, ``missing`` those not in the cache yet."""

    name: str
    revision: str
    commit: str
    files: dict[str, int]
    missing: dict[str, int]

    @property
    def missing_bytes(self) -> int:
        """Bytes still to fetch."""
        return sum(self.missing.values())


def look_up(
    name: str, revision: str | None = None, *, cache_dir: Path | None = None, endpoint: str | None = None
) -> RemoteModel:
    """Ask the hub what a model consists of, without downloading it.

    Raises ModelError: ``invalid_name``, ``unknown``, ``gated``, ``offline``, ``no_safetensors``.
    """
    from huggingface_hub import HfApi

    name, revision = validate_id(name), validate_revision(revision)
    with errors_in_words(name, revision, started=False):
        info = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True, timeout=_SECONDS_TO_ANSWER)
    sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or []}
    files = wanted_files(sizes)
    if not any(path.endswith(".safetensors") for path in files):
        raise ModelError(_no_safetensors(name, sizes), "no_safetensors")
    if not any(
        (path.endswith("config.json") and path.count("/") == 0) or path == "0_Transformer/config.json" for path in files
    ):
        raise ModelError(f"{name} has no config.json, so it is not a model that transformers can read", "unsupported")
    snapshot = _cache(cache_dir) / f"models--{name.replace('/', '--')}" / "snapshots" / info.sha
    missing = {path: size for path, size in files.items() if not (snapshot / path).is_file()}
    return RemoteModel(name, revision, info.sha, files, missing)


def wanted_files(sizes: dict[str, int]) -> dict[str, int]:
    """Of all files of a repository, those that subemb reads; shards only where there is no single weights file."""
    single = {path for path in sizes if _WEIGHTS.fullmatch(path)}
    has_main = "model.safetensors" in single or "0_Transformer/model.safetensors" in single
    weights = single if has_main else single | {path for path in sizes if _SHARDS.fullmatch(path)}
    return {path: size for path, size in sorted(sizes.items()) if path in weights or _FILES.fullmatch(path)}


def _no_safetensors(name: str, files: dict[str, int]) -> str:
    pickled = next((path for path in files if path.endswith((".bin", ".pt", ".ckpt", ".h5", ".msgpack"))), None)
    what = f"has its weights in {pickled} only" if pickled else "has no model.safetensors"
    return (
        f"{name} {what}; subemb reads safetensors only, since pickled files can run code. Look on the hub for a copy with "
        "safetensors, or convert one that you trust: AutoModel.from_pretrained(...).save_pretrained(folder)"
    )


def download(
    name: str,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    *,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """Fetch a model into the Hugging Face cache; returns its folder, named by the commit. Files already there are kept.

    progress: values ``bytes`` and ``total_bytes``; may stop the download, which keeps the files that are whole.
    Raises Cancelled, and ModelError: ``invalid_name``, ``unknown``, ``gated``, ``offline``, ``interrupted``, ``disk_full``,
    ``no_safetensors``.
    """
    report(progress, f"asking the hub for {name}", None)
    remote = look_up(name, revision, cache_dir=cache_dir, endpoint=endpoint)
    folder = _cache(cache_dir)
    _check_space(folder, remote)
    counter = Counter(remote.name, remote.files, progress)
    with errors_in_words(remote.name, remote.revision, started=True), plain_http():
        for path in remote.files:
            _fetch(remote, path, counter, folder, endpoint)
    repo = folder / f"models--{remote.name.replace('/', '--')}"
    if not _COMMIT.fullmatch(remote.revision):
        _remember(repo / "refs" / remote.revision, remote.commit)
    report(progress, f"downloaded {remote.name}", 1.0)
    return repo / "snapshots" / remote.commit


def _fetch(remote: RemoteModel, path: str, counter: "Counter", folder: Path, endpoint: str | None) -> None:
    from huggingface_hub import hf_hub_download

    counter.begin(path)
    hf_hub_download(
        remote.name, path, revision=remote.commit, cache_dir=folder, endpoint=endpoint, tqdm_class=counter.bar_class()
    )
    counter.finish(path)


def _remember(ref: Path, commit: str) -> None:
    """Note which commit a branch or tag stood for, as the cache of huggingface_hub does."""
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit, encoding="utf-8")


def _check_space(folder: Path, remote: RemoteModel) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if remote.missing_bytes and remote.missing_bytes + _SPARE_BYTES > free:
        raise ModelError(
            f"{remote.name} needs {megabytes(remote.missing_bytes)}, but the disk of {folder} has only {megabytes(free)} free; "
            "free some space, or set HF_HOME to a folder on another disk",
            "disk_full",
        )
