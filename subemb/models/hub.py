"""Models from the Hugging Face hub: what the local cache holds, whether an id is valid, and downloading one.

Only what subemb reads is fetched: configs, tokenizer files and safetensors; never pickled weights, never code. The last section
serves data sets too, which are fetched in the same way.
"""

import contextlib
import errno
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import Cancelled, ModelError
from ..base.files import read_json
from ..base.progress import ProgressCallback, report
from .architectures import TOKENIZER_FILES
from .folder import weights_folder

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo

#: Files that make a repository a model: config.json, which older sentence-transformers models have elsewhere, or a list of modules.
_CONFIGS = ("config.json", "0_Transformer/config.json", "modules.json")
# What subemb reads of a repository, besides the weights: in its top folder, or in that of a module such as 1_Pooling.
_JSON_FILES = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_FILES = re.compile(rf"(\d+_\w+/)?({'|'.join(map(re.escape, (*_JSON_FILES, *TOKENIZER_FILES)))})")
_WEIGHTS = re.compile(r"(\d+_\w+/)?model\.safetensors")
_FIRST_WEIGHTS = re.compile(r"(0_\w+/)?model\.safetensors")  # of the network, or of a static table
_SHARDS = re.compile(r"(\d+_\w+/)?(model\.safetensors\.index\.json|model-\d+-of-\d+\.safetensors)")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST_CACHED_BYTES = 50_000_000_000  # that downloads of visitors may fill
_SPARE_BYTES = 64 << 20  # left free on the disk beside a download
_SECONDS_TO_ANSWER = 15
_plain_http_lock = threading.Lock()
log = logging.getLogger(__name__)


# Ids and revisions


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


# The local cache


@dataclass(frozen=True)
class CachedModel:
    """A model in the local cache."""

    name: str  # its id on the hub
    revision: str  # commit
    folder: Path


def cached_models(cache_dir: Path | None = None) -> list[CachedModel]:
    """Every hub model in the local cache whose config and safetensors are complete, by name.

    A repository that huggingface_hub calls damaged is left out.
    """
    found = [(repo.repo_id, _snapshot_in(repo)) for repo in _cached_repositories(cache_dir)]
    return [CachedModel(name, folder.name, folder) for name, folder in sorted(found) if folder is not None]


def cached_snapshot(name: str, revision: str | None = None, cache_dir: Path | None = None) -> Path | None:
    """Folder of a cached model, or None if it is not there or not complete; its name is the commit.

    Without a revision: ``main`` as last seen, else the newest that is complete. Raises ModelError for text that is not a revision.
    """
    from huggingface_hub import try_to_load_from_cache

    wanted = validate_revision(revision)
    for config in _CONFIGS:  # without looking at all the models there
        path = try_to_load_from_cache(name, config, _cache(cache_dir), wanted)
        folder = Path(path.removesuffix(config)) if isinstance(path, str) else None
        if folder is not None and _COMMIT.fullmatch(folder.name) and _is_complete(folder):
            return folder
    if revision is not None:
        return None
    return next((_snapshot_in(repo) for repo in _cached_repositories(cache_dir) if repo.repo_id == name), None)


def _snapshot_in(repository: "CachedRepoInfo") -> Path | None:
    """The snapshot of a cached model: ``main`` as last seen, else the newest that is complete."""
    main = [repository.refs["main"]] if "main" in repository.refs else []
    newest_first = sorted(repository.revisions, key=lambda one: one.last_modified, reverse=True)
    folders = (one.snapshot_path for one in [*main, *newest_first] if _COMMIT.fullmatch(one.commit_hash))
    return next(filter(_is_complete, folders), None)


def _cached_repositories(cache_dir: Path | None) -> list["CachedRepoInfo"]:
    """Models of the local cache, as huggingface_hub finds them."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        return [repo for repo in scan_cache_dir(_cache(cache_dir)).repos if repo.repo_type == "model"]
    except CacheNotFound:  # not there yet
        return []
    except Exception as error:  # a cache that another program damaged, or that may not be read, hides no other model
        log.warning("the Hugging Face cache cannot be listed: %s", error)
        return []


def _cache(cache_dir: Path | None) -> Path:
    from huggingface_hub import constants

    return Path(cache_dir or constants.HF_HUB_CACHE).expanduser()


def _is_complete(snapshot: Path) -> bool:
    """Whether config and all weights files are there; a download that was cut off leaves some out."""
    there = [(snapshot / config).parent for config in _CONFIGS if (snapshot / config).is_file()]
    for folder in dict.fromkeys([*there, weights_folder(snapshot)] if there else []):
        if (folder / "model.safetensors").is_file():
            return True
        try:
            index = read_json(folder / "model.safetensors.index.json")
            return all((folder / name).is_file() for name in set(index["weight_map"].values()))
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            continue
    return False


# What a download would fetch


@dataclass(frozen=True)
class RemoteModel:
    """What a download would fetch."""

    name: str  # its id
    revision: str  # as it was asked for: branch, tag or commit
    commit: str
    files: dict[str, int]  # path -> bytes
    missing: dict[str, int]  # those not in the cache yet

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
    if not any(config in files for config in _CONFIGS):
        raise ModelError(
            f"{name} has no config.json (nor a modules.json), so it is not a model that subemb can read", "unsupported"
        )
    snapshot = _cache(cache_dir) / f"models--{name.replace('/', '--')}" / "snapshots" / info.sha
    missing = {path: size for path, size in files.items() if not (snapshot / path).is_file()}
    return RemoteModel(name, revision, info.sha, files, missing)


def wanted_files(sizes: dict[str, int]) -> dict[str, int]:
    """The files of a repository that subemb reads; shards only where there is no single weights file."""
    single = {path for path in sizes if _WEIGHTS.fullmatch(path)}
    has_main = any(_FIRST_WEIGHTS.fullmatch(path) for path in single)
    weights = single if has_main else single | {path for path in sizes if _SHARDS.fullmatch(path)}
    return {path: size for path, size in sorted(sizes.items()) if path in weights or _FILES.fullmatch(path)}


def _no_safetensors(name: str, files: dict[str, int]) -> str:
    pickled = next((path for path in files if path.endswith((".bin", ".pt", ".ckpt", ".h5", ".msgpack"))), None)
    what = f"has its weights in {pickled} only" if pickled else "has no model.safetensors"
    return (
        f"{name} {what}; subemb reads safetensors only, since pickled files can run code. Look on the hub for a copy with "
        "safetensors, or convert one that you trust: AutoModel.from_pretrained(...).save_pretrained(folder)"
    )


# Downloading


def download(
    name: str,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    *,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
    is_limited: bool = False,
) -> Path:
    """Fetch a model into the Hugging Face cache; returns its folder, named by the commit. Files already there are kept.

    progress: values ``bytes`` and ``total_bytes``; may stop the download, which keeps the files that are whole.
    is_limited: whether :func:`check_cache_limit` holds, as for downloads that visitors of the pages ask for.
    Raises Cancelled, and ModelError: ``invalid_name``, ``unknown``, ``gated``, ``offline``, ``interrupted``, ``disk_full``,
    ``no_safetensors``.
    """
    report(progress, f"asking the hub for {name}", None)
    remote = look_up(name, revision, cache_dir=cache_dir, endpoint=endpoint)
    folder = _cache(cache_dir)
    if is_limited:
        check_cache_limit(remote.name, remote.missing_bytes, cache_dir)
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


def check_cache_limit(name: str, needed: int, cache_dir: Path | None = None) -> None:
    """Raise ModelError (``disk_full``) if the cache would hold more than ``SUBEMB_HUB_GB``, 50 by default, with ``needed`` bytes more."""
    given = os.environ.get("SUBEMB_HUB_GB", "")
    most = float(given) * 1e9 if re.fullmatch(r"\d{1,6}(\.\d+)?", given) else _MOST_CACHED_BYTES
    held = 0
    for file in _cache(cache_dir).glob("*/blobs/*"):
        with contextlib.suppress(OSError):
            held += file.stat().st_size
    if needed and held + needed > most:
        raise ModelError(
            f"{name} needs {megabytes(needed)}, and the Hugging Face cache of this server holds {megabytes(held)} of at most "
            f"{megabytes(int(most))}; whoever runs the server can delete models with `hf cache rm`, or allow more with SUBEMB_HUB_GB",
            "disk_full",
        )


def _check_space(folder: Path, remote: RemoteModel) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if remote.missing_bytes and remote.missing_bytes + _SPARE_BYTES > free:
        raise ModelError(
            f"{remote.name} needs {megabytes(remote.missing_bytes)}, but the disk of {folder} has only {megabytes(free)} free; "
            "free some space, or set HF_HOME to a folder on another disk",
            "disk_full",
        )


# Fetching: bytes counted, stopped when asked, errors in words


def megabytes(count: int) -> str:
    """Bytes in words: 1,234,567 -> ``1.2 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


class Counter:
    """Adds up the bytes of all files and passes them on to the progress callback."""

    def __init__(self, name: str, files: dict[str, int], progress: ProgressCallback | None):
        self.name, self.files, self.progress = name, files, progress
        self.total = sum(files.values())
        self.done = self.current = 0
        self.path = ""

    def begin(self, path: str) -> None:
        self.path, self.current = path, 0
        self._report()

    def finish(self, path: str) -> None:
        self.done += self.files[path]
        self.current = 0
        self._report()

    def add(self, count: float) -> None:
        self.current += int(count)
        self._report()

    def _report(self) -> None:
        here = self.done + min(self.current, self.files[self.path])
        stage = f"downloading {self.name}: {megabytes(here)} of {megabytes(self.total)} ({self.path})"
        fraction = here / self.total if self.total else None
        report(self.progress, stage, fraction, bytes=here, total_bytes=self.total)

    def bar_class(self) -> type:
        """A stand-in for tqdm, which huggingface_hub tells how many bytes have come."""
        counter = self

        class Bar:
            def __init__(self, *args: Any, initial: float = 0, **kwargs: Any):
                self.n = initial
                if initial:
                    counter.add(initial)

            def __enter__(self):
                return self

            def __exit__(self, *args: Any):
                pass

            def update(self, n: float | None = 1) -> None:
                self.n += n or 0
                counter.add(n or 0)

            def close(self) -> None:
                pass

            refresh = set_description = set_postfix_str = reset = lambda self, *args, **kwargs: None

        return Bar


@contextlib.contextmanager
def plain_http() -> Iterator[None]:
    """Fetch over plain HTTP, one download at a time in this process.

    The hub's Xet transfer runs in threads of its own, where a download cannot be stopped midway and bytes are not counted as
    they arrive. The switch is the one behind the environment variable HF_HUB_DISABLE_XET, read by the library at each file.
    """
    from huggingface_hub import constants

    with _plain_http_lock:
        before = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = True
        try:
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = before


@contextlib.contextmanager
def errors_in_words(name: str, revision: str, started: bool, what: str = "model") -> Iterator[None]:
    """Turn what huggingface_hub, its HTTP library and the disk raise into ModelError. what: ``model`` or ``data set``."""
    try:
        yield
    except (ModelError, Cancelled):
        raise
    except Exception as error:
        reason, text = _explain(error, name, revision, started, what)
        raise ModelError(text, reason) from error


def _explain(error: BaseException, name: str, revision: str, started: bool, what: str) -> tuple[str, str]:
    from huggingface_hub import errors

    causes = list(_chain(error))
    again = "try again; files that are whole are kept"
    page = f"https://huggingface.co/{'' if what == 'model' else 'datasets/'}{name}"

    def has(*kinds: type) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    status = next((cause.response.status_code for cause in causes if isinstance(cause, errors.HfHubHTTPError)), None)
    if has(errors.OfflineModeIsEnabled):
        return "offline", f"{name} is not in the local cache, and HF_HUB_OFFLINE forbids downloads; unset it to download"
    if has(errors.GatedRepoError) or status == 403:
        return "gated", (
            f"{name} is gated: accept its terms at {page}, then log in on this computer with "
            "`hf auth login` (or set HF_TOKEN) and try again"
        )
    if has(errors.RevisionNotFoundError):
        return "unknown", f"{name} has no revision {revision!r}; leave it empty for main, or look at the list on its page"
    if has(errors.RepositoryNotFoundError) or status in (401, 404):
        return "unknown", (
            f"the hub has no public {what} {name}; check the spelling, and for a private one log in with `hf auth login`"
        )
    disk = next((cause for cause in causes if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT)), None)
    if disk is not None:
        return "disk_full", f"the disk became full while {name} was downloaded; free some space, then {again}"
    denied = next((cause for cause in causes if isinstance(cause, PermissionError)), None)
    if denied is not None:
        return "broken", f"the cache cannot be written ({denied}); set HF_HOME to a folder you can write to"
    if status is not None and not started:
        return "offline" if status >= 500 else "broken", f"the hub answered {status} for {name}; try again later"
    if started:
        return "interrupted", f"the download of {name} broke off ({_short(error)}); {again}"
    return (
        "offline",
        f"the hub cannot be reached ({_short(error)}); check the connection, or choose a {what} that is here already",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
