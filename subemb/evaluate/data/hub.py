"""Labelled sets from the Hugging Face hub by id: find the files of a split, fetch them, and read them.

Only Parquet, CSV, TSV and JSON lines are fetched, never code; what such a file holds is read by :mod:`.read`.
"""

import fnmatch
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...base.arguments import checked
from ...base.errors import InputError, ModelError
from ...base.open_server import check_hub_allowed
from ...base.progress import ProgressCallback, part_of, report
from ...base.text import size_text
from ...jobs.task import task
from ...models.hub import Counter, check_cache_limit, errors_in_words, plain_http, validate_id, validate_revision
from .languages import language_code
from .pairs import Columns, PairSet, Reading, combine
from .read import read_pairs
from .tables import MOST_BYTES

CONVERTED = "refs/convert/parquet"  # where the hub itself keeps every public set as Parquet: CONFIG/SPLIT/0000.parquet
_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")  # preferred in this order
_SPLITS = (("train", "training"), ("validation", "valid", "val", "dev"), ("test", "testing"))
_SECONDS_TO_ANSWER = 15
_LISTED = 30  # names in a message
_LANGUAGE = re.compile(
    r"[a-zA-Z]{2,}([-_]([A-Z]{2}|Han[st]))?"
)  # a subset that may be called after a language, with a country or script


@dataclass(frozen=True)
class RemoteData:
    """The files of one split of a data set."""

    name: str  # of the data set
    config: str | None  # the subset, if one was asked for
    split: str  # as it was asked for
    commit: str  # of the repository, that the files are from
    files: dict[str, int]  # path -> bytes, in the order of their rows
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # column -> what its integers mean, by the data card

    @property
    def total_bytes(self) -> int:
        """What a download fetches, unless it is in the cache."""
        return sum(self.files.values())


@task(lane="download")
@checked(error=lambda message: ModelError(message, "invalid_name"))
def read_hub_pairs(
    dataset_id: Any,  # text; checked as a name
    split: str,
    config: str | None = None,
    revision: str | None = None,
    task: str | None = None,
    columns: Columns | None = None,
    progress: ProgressCallback | None = None,
    reading: Reading | None = None,
    *,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
) -> PairSet:
    """The pairs of one split of a data set on the Hugging Face hub, through its cache on this computer.

    dataset_id: ``owner/name``. config: the subset, e.g. ``mrpc`` of ``nyu-mll/glue``; needed where there are several.
    revision: branch, tag or commit; None: main, or the hub's own conversion to Parquet if main has no readable files.
    task, columns, reading: as :func:`~subemb.evaluate.data.read.read_pairs`.
    progress: carries ``bytes`` and ``total_bytes`` while files are fetched; it can stop the download.
    Raises ModelError as :func:`subemb.models.hub.download`, InputError if no file fits, or they have more than MOST_BYTES.
    """
    check_hub_allowed(dataset_id)
    remote = look_up_data(dataset_id, split, config, revision, progress, cache_dir=cache_dir, endpoint=endpoint)
    paths = _fetched(remote, part_of(progress, 0.0, 0.8), cache_dir, endpoint)
    language = language_code(config) if config and _LANGUAGE.fullmatch(config) else None
    sets = []
    for number, path in enumerate(paths):
        report(progress, f"reading {path.name}", 0.8 + 0.2 * number / len(paths))
        sets.append(read_pairs(path, task=task, columns=columns, language=language, reading=reading, classes=remote.classes))
    pairs = combine(sets)
    report(progress, f"read {len(pairs):,} pairs of {remote.name}", 1.0)
    return replace(pairs, name=f"{remote.name}{f' {config}' if config else ''}, {split}")


def validate_data_id(name: str) -> str:
    """A data set's id without surrounding blanks. Raises ModelError (``invalid_name``)."""
    try:
        return validate_id(name)
    except ModelError as error:
        raise ModelError(
            f"{name!r:.120} is not a data set's name: use organization/name as on huggingface.co/datasets, with letters, digits, "
            "'-', '_', '.'",
            error.reason,
        ) from error


def look_up_data(
    dataset_id: Any,  # text; checked as a name
    split: str,
    config: str | None = None,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
    *,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
) -> RemoteData:
    """Ask the hub which files hold a split, without fetching them. Raises ModelError and InputError as read_hub_pairs."""
    from huggingface_hub import constants

    name = validate_data_id(dataset_id)
    wanted = validate_revision(revision)
    split, config = (split or "").strip(), (config or "").strip() or None
    if not split:
        raise InputError("no split is named; most data sets have train, validation and test")
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"HF_HUB_OFFLINE forbids asking the hub for {name}; unset it, or fetch the file elsewhere and upload it here",
            "offline",
        )
    report(progress, f"asking the hub for {name}", None)
    commit, sizes, card = _listing(name, wanted, endpoint)
    configs = _dicts(card.get("configs"))
    problem = None
    try:
        files = _choose(name, sizes, configs, config, split)
    except InputError as error:
        problem = error
    if problem is not None and revision is None:
        try:
            commit, sizes, _ = _listing(name, CONVERTED, endpoint)
            files = _choose(name, sizes, [], config, split)
            problem = None
        except ModelError:
            pass  # there is no conversion; what was wrong with the files themselves says more
        except InputError as error:
            problem = error
    if problem is not None:
        raise problem
    total = sum(files.values())
    if total > MOST_BYTES:
        raise InputError(
            f"the {split} split of {name} has {size_text(total)}, but at most {size_text(MOST_BYTES)} are fetched; "
            "choose a smaller split, such as validation"
        )
    return RemoteData(name, config, split, commit, files, _class_names(_dicts(card.get("dataset_info")), config))


def _listing(name: str, revision: str, endpoint: str | None) -> tuple[str, dict[str, int], dict[str, Any]]:
    """(commit, path -> bytes of every readable file, the data card)"""
    from huggingface_hub import HfApi

    with errors_in_words(name, revision, started=False, what="data set"):
        info = HfApi(endpoint=endpoint).dataset_info(name, revision=revision, files_metadata=True, timeout=_SECONDS_TO_ANSWER)
    sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or [] if entry.rfilename.lower().endswith(_SUFFIXES)}
    return info.sha, sizes, {} if info.card_data is None else info.card_data.to_dict()


def _dicts(value: Any) -> list[dict]:
    """The dictionaries in a part of a data card, which may be one or a list of them."""
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict)]


def _class_names(described: list[dict], config: str | None) -> dict[str, tuple[str, ...]]:
    """What integers stand for, by the ``dataset_info`` of a data card; {} where it does not say it for this configuration."""
    named = [entry for entry in described if entry.get("config_name") == config] if config else described
    found = {}
    for feature in _dicts(named[0].get("features")) if len(named) == 1 else []:
        kind = feature.get("dtype")
        label = kind.get("class_label") if isinstance(kind, dict) else None
        names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, dict) and set(map(str, names)) == {str(number) for number in range(len(names))}:
            names = [name for _, name in sorted(names.items(), key=lambda pair: int(pair[0]))]
        if isinstance(names, list):
            found[str(feature.get("name"))] = tuple(map(str, names))
    return found


def _choose(name: str, sizes: dict[str, int], configs: list[dict], config: str | None, split: str) -> dict[str, int]:
    """The files of a split. Raises InputError naming the files there are."""
    if not sizes:
        raise InputError(f"{name} has no Parquet, CSV, TSV or JSON lines files; download it by hand and upload a table here")
    chosen = _declared(sizes, configs, config, split) or _by_name(name, sizes, config, split)
    if not chosen:
        what = f"no {split} split" + (f" of {config}" if config else "")
        raise InputError(f"{name} has {what}; its files are {_some(sorted(sizes))}")
    suffix = next(ending for ending in _SUFFIXES if any(path.lower().endswith(ending) for path in chosen))
    return {path: sizes[path] for path in sorted(chosen) if path.lower().endswith(suffix)}


def _declared(sizes: dict[str, int], configs: list[dict], config: str | None, split: str) -> list[str]:
    """The files of a split as the data card declares them; empty if it declares none."""
    named = [entry for entry in configs if entry.get("config_name") == config] if config else configs
    if len(named) != 1:
        named = [entry for entry in named if entry.get("default") is True]
    if len(named) != 1 or not isinstance(named[0].get("data_files"), list):
        return []
    folder = str(named[0].get("data_dir") or "").strip("/")
    patterns: list[str] = []
    for entry in named[0]["data_files"]:
        if isinstance(entry, dict) and str(entry.get("split")) in _spellings(split):
            path = entry.get("path")
            patterns += [path] if isinstance(path, str) else [one for one in path or [] if isinstance(one, str)]
    return [path for path in sizes if any(fnmatch.fnmatchcase(path, _under(folder, pattern)) for pattern in patterns)]


def _under(folder: str, pattern: str) -> str:
    return f"{folder}/{pattern}" if folder else pattern.removeprefix("./")


def _spellings(split: str) -> tuple[str, ...]:
    return next((words for words in _SPLITS if split.lower() in words), (split.lower(), split))


def _by_name(name: str, sizes: dict[str, int], config: str | None, split: str) -> list[str]:
    """Files whose path has the configuration and the split among its words."""
    paths = list(sizes)
    if config:
        paths = [path for path in paths if config.lower() in _words(path)]
        if not paths:
            raise InputError(f"{name} has no configuration {config!r}; its files are {_some(sorted(sizes))}")
    spellings = _spellings(split)
    found = [path for path in paths if any(word in spellings for word in _words(path))]
    found = found or [path for path in paths if any(word in spellings for part in _words(path) for word in part.split("_"))]
    groups = sorted({_without(path, spellings) for path in found})
    if len(groups) > 1:
        raise InputError(f"{name} has several sets of files for {split}; name the configuration or the split: {_some(groups)}")
    return found


def _words(path: str) -> list[str]:
    """``mrpc/validation-00000-of-00001.parquet`` -> mrpc, validation, 00000, of, 00001, parquet. A folder also counts whole."""
    *folders, file = path.lower().split("/")
    return [*folders, *re.split(r"[.\-]+", "-".join([*folders, file]))]


def _without(path: str, spellings: tuple[str, ...]) -> str:
    """The configuration in a path: its words without those for the split, the shard and the kind of file."""
    words = [word for word in re.split(r"[/.\-]+", path) if word.lower() not in spellings]
    words = [word for word in words if not re.fullmatch(r"\d+|of|data|default|parquet|csv|tsv|jsonl|ndjson", word.lower())]
    return "-".join(words) or "default"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")


def _fetched(remote: RemoteData, progress: ProgressCallback | None, cache_dir: Path | None, endpoint: str | None) -> list[Path]:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    def is_here(path: str) -> bool:
        return isinstance(try_to_load_from_cache(remote.name, path, cache_dir, remote.commit, "dataset"), str)

    check_cache_limit(remote.name, sum(size for path, size in remote.files.items() if not is_here(path)), cache_dir)
    counter = Counter(remote.name, remote.files, progress)
    paths = []
    with errors_in_words(remote.name, remote.commit, started=True, what="data set"), plain_http():
        for path in remote.files:
            counter.begin(path)
            fetched = hf_hub_download(
                remote.name,
                path,
                repo_type="dataset",
                revision=remote.commit,
                cache_dir=cache_dir,
                endpoint=endpoint,
                tqdm_class=counter.bar_class(),
            )
            counter.finish(path)
            paths.append(Path(fetched))
    return paths
