"""The Hugging Face cache and downloads, against a small server on this machine that answers as the hub does."""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from checkpoints import make_bert, make_sentence_model, shard
from safetensors.torch import save_file
from static_models import ROWS, D, word_level

from subemb.base.errors import Cancelled, ModelError
from subemb.models import hub
from subemb.models.catalogue import available_models
from subemb.models.hub import errors_in_words
from subemb.models.load import load, load_listed

COMMIT = "a" * 40
OLDER = "b" * 40


@dataclass
class Repository:
    """A model on the server. status: answered in place of its files. cut_after: bytes of a weights file that are sent
    before the connection breaks; ``cuts`` times. claimed: sizes told instead of the real ones."""

    folder: Path
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT, "v1.0": OLDER})
    status: tuple[int, str] | None = None
    cut_after: int | None = None
    cuts: int = 10**9
    claimed: dict[str, int] = field(default_factory=dict)

    def files(self) -> dict[str, Path]:
        return {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}


class Hub(ThreadingHTTPServer):
    """The two requests of the hub that matter: what a model consists of, and one of its files."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def sent(self) -> set[str]:
        """Paths of files whose content was asked for."""
        return {
            path.split("/resolve/")[1].split("/", 1)[1]
            for method, path in self.requests
            if method == "GET" and "/resolve/" in path
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self.describe(*found.groups())
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.send(*found.groups())
        else:
            self.refuse(404, "")

    def repository(self, name: str, revision: str | None) -> tuple[Repository, str] | None:
        repository = self.server.repositories.get(name)
        if repository is None:
            return self.refuse(401, "RepoNotFound")
        commits = {**repository.revisions, **{commit: commit for commit in repository.revisions.values()}}
        if (revision or "main") not in commits:
            return self.refuse(404, "RevisionNotFound")
        return repository, commits[revision or "main"]

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def describe(self, name: str, revision: str | None) -> None:
        if (known := self.repository(name, revision)) is None:
            return
        repository, commit = known
        siblings = [
            {"rfilename": path, "size": repository.claimed.get(path, file.stat().st_size), "blobId": "0" * 40}
            for path, file in repository.files().items()
        ]
        body = json.dumps({"id": name, "modelId": name, "sha": commit, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send(self, name: str, revision: str, path: str) -> None:
        if (known := self.repository(name, revision)) is None:
            return
        repository, commit = known
        if repository.status is not None:
            return self.refuse(*repository.status)
        if path not in repository.files():
            return self.refuse(404, "EntryNotFound")
        content = repository.files()[path].read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return None
        if repository.cut_after is not None and path.endswith(".safetensors") and repository.cuts > 0:
            repository.cuts -= 1
            self.wfile.write(content[start : max(start, repository.cut_after)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        self.wfile.write(content[start:])
        return None


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A sentence model with all that people put beside one."""
    folder = make_sentence_model(make_bert(tmp_path_factory.mktemp("remote") / "bert", dim=64))
    for name in (
        "pytorch_model.bin",
        "onnx/model.onnx",
        "README.md",
        "modeling_own.py",
        "model.fp16.safetensors",
        "tf_model.h5",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"not wanted" * 100)
    return folder


@pytest.fixture
def server(checkpoint, monkeypatch) -> Iterator[Hub]:
    """A hub with one sound model, and this process allowed to ask it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with Hub() as running:
        running.repositories["team/small"] = Repository(checkpoint)
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def no_pauses(monkeypatch) -> None:
    """huggingface_hub waits for a second before it tries again, five times."""
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None}))


def refused(server, cache, reason, name="team/small", revision=None, **arguments) -> str:
    with pytest.raises(ModelError) as caught:
        hub.download(name, revision, cache_dir=cache, endpoint=server.url, **arguments)
    assert caught.value.reason == reason, str(caught.value)
    return str(caught.value)


# Names


@pytest.mark.parametrize("name", ["bert-base-uncased", "team/small", " team/a.b_c-1 \n"])
def test_valid_ids(name):
    assert hub.validate_id(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b/c",
        "../x",
        "a/../b",
        "/etc",
        "a b",
        "a\nb",
        "https://huggingface.co/a/b",
        "-a/b",
        "é/x",
        "a" * 200,
        None,
        3,
    ],
)
def test_invalid_ids(name):
    with pytest.raises(ModelError, match="is not a model's name") as caught:
        hub.validate_id(name)
    assert caught.value.reason == "invalid_name"


@pytest.mark.parametrize("revision", ["../main", "a//b", "-x", "a b", "x" * 300, "a\nb", "refs/../../x"])
def test_invalid_revisions(revision, tmp_path):
    for use in (hub.validate_revision, lambda text: hub.cached_snapshot("a/b", text, tmp_path)):
        with pytest.raises(ModelError, match="is not a revision"):
            use(revision)


def test_no_revision_is_main():
    assert [hub.validate_revision(text) for text in (None, "", "  ", "v1", "refs/pr/3")] == [
        "main",
        "main",
        "main",
        "v1",
        "refs/pr/3",
    ]


# Downloads that work


def test_a_download_fetches_what_is_needed_and_nothing_else(server, tmp_path, checkpoint):
    folder = hub.download("team/small", cache_dir=tmp_path, endpoint=server.url)
    assert folder.name == COMMIT
    fetched = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert fetched == server.sent()
    assert fetched == {
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert all((folder / name).read_bytes() == (checkpoint / name).read_bytes() for name in fetched)


def test_progress_counts_bytes_up_to_the_total(server, tmp_path):
    seen = []
    folder = hub.download("team/small", progress=seen.append, cache_dir=tmp_path, endpoint=server.url)
    counted = [message for message in seen if message.values]
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert {message.values["total_bytes"] for message in counted} == {total}
    amounts = [message.values["bytes"] for message in counted]
    assert amounts == sorted(amounts)
    assert (amounts[0], amounts[-1]) == (0, total)
    assert any("model.safetensors" in message.stage and "MB of" in message.stage for message in counted)
    assert seen[-1].fraction == 1.0


def test_what_a_download_would_cost_is_known_before(server, tmp_path):
    remote = hub.look_up("team/small", cache_dir=tmp_path, endpoint=server.url)
    assert remote.commit == COMMIT
    assert server.sent() == set()
    folder = hub.download("team/small", cache_dir=tmp_path, endpoint=server.url)
    assert remote.missing_bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert hub.look_up("team/small", cache_dir=tmp_path, endpoint=server.url).missing_bytes == 0


def test_files_that_are_here_are_not_fetched_again(server, tmp_path):
    first = hub.download("team/small", cache_dir=tmp_path, endpoint=server.url)
    server.requests.clear()
    assert hub.download("team/small", cache_dir=tmp_path, endpoint=server.url) == first
    assert server.sent() == set()


def test_a_revision_is_resolved_and_recorded(server, tmp_path):
    folder = hub.download("team/small", "v1.0", cache_dir=tmp_path, endpoint=server.url)
    assert folder.name == OLDER
    assert hub.cached_snapshot("team/small", "v1.0", tmp_path) == folder
    assert hub.cached_snapshot("team/small", OLDER, tmp_path) == folder
    assert hub.cached_snapshot("team/small", "main", tmp_path) is None
    assert hub.download("team/small", OLDER, cache_dir=tmp_path, endpoint=server.url) == folder


def test_shards_are_fetched_with_their_index(server, tmp_path):
    source = shard(make_bert(tmp_path / "sharded"))
    server.repositories["team/sharded"] = Repository(source)
    folder = hub.download("team/sharded", cache_dir=tmp_path / "cache", endpoint=server.url)
    shards = {path.name for path in source.glob("*.safetensors")}
    assert len(shards) > 1
    assert shards < server.sent()
    assert hub.cached_snapshot("team/sharded", None, tmp_path / "cache") == folder


def test_a_connection_that_breaks_once_is_taken_up_again(server, tmp_path, checkpoint, no_pauses):
    server.repositories["team/small"].cut_after, server.repositories["team/small"].cuts = 5000, 1
    seen = []
    folder = hub.download("team/small", progress=seen.append, cache_dir=tmp_path, endpoint=server.url)
    assert (folder / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()
    assert seen[-2].values["bytes"] == seen[-2].values["total_bytes"]


# Downloads that fail


def test_not_found(server, tmp_path):
    assert "no public model team/absent; check the spelling" in refused(server, tmp_path, "unknown", "team/absent")


def test_an_unknown_revision(server, tmp_path):
    assert "team/small has no revision 'v9'" in refused(server, tmp_path, "unknown", revision="v9")


@pytest.mark.parametrize("status", [401, 403])
def test_gated(server, tmp_path, status):
    server.repositories["team/small"].status = (status, "GatedRepo")
    message = refused(server, tmp_path, "gated")
    assert "accept its terms at https://huggingface.co/team/small" in message
    assert "hf auth login" in message


def test_connection_refused(tmp_path, monkeypatch, server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ModelError, match="the hub cannot be reached") as caught:
            hub.download("team/small", cache_dir=tmp_path, endpoint=address)
    assert caught.value.reason == "offline"


def test_offline_by_environment(server, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids downloads" in refused(server, tmp_path, "offline")


def test_an_answer_that_nobody_expects(server, tmp_path):
    server.repositories["team/small"].status = (410, "")
    assert "broke off" in refused(server, tmp_path, "interrupted")


@pytest.mark.slow
def test_cut_off_midway(server, tmp_path, no_pauses):
    server.repositories["team/small"].cut_after = 5000
    message = refused(server, tmp_path, "interrupted")
    assert "the download of team/small broke off" in message
    assert "try again" in message
    assert hub.cached_snapshot("team/small", None, tmp_path) is None
    assert hub.cached_models(tmp_path) == []
    # Trying again fetches only what is missing.
    server.repositories["team/small"].cut_after = None
    server.requests.clear()
    hub.download("team/small", cache_dir=tmp_path, endpoint=server.url)
    assert server.sent() == {
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_stopping_midway(server, tmp_path):
    seen = []

    def stop_in_the_weights(message):
        seen.append(message)
        return "model.safetensors" in message.stage and message.values["bytes"] > 0

    with pytest.raises(Cancelled):
        hub.download("team/small", progress=stop_in_the_weights, cache_dir=tmp_path, endpoint=server.url)
    assert seen[-1].fraction < 1
    assert hub.cached_snapshot("team/small", None, tmp_path) is None
    assert not list(tmp_path.rglob("*.incomplete"))


def test_no_safetensors(server, tmp_path, checkpoint):
    folder = shutil.copytree(checkpoint, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    server.repositories["team/pickled"] = Repository(folder)
    message = refused(server, tmp_path, "no_safetensors", "team/pickled")
    assert "has its weights in pytorch_model.bin only" in message
    assert server.sent() == set()


def test_a_repository_without_a_config(server, tmp_path, checkpoint):
    (tmp_path / "bare").mkdir()
    shutil.copy(checkpoint / "model.safetensors", tmp_path / "bare")
    server.repositories["team/bare"] = Repository(tmp_path / "bare")
    assert "has no config.json" in refused(server, tmp_path, "unsupported", "team/bare")


def test_a_model_larger_than_the_disk_is_refused_before_the_download(server, tmp_path):
    server.repositories["team/small"].claimed = {"model.safetensors": 10**18}
    message = refused(server, tmp_path, "disk_full")
    assert "needs 1000000000.0 GB, but the disk of" in message
    assert server.sent() == set()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_a_disk_that_becomes_full():
    with (
        pytest.raises(ModelError, match="the disk became full while team/small") as caught,
        errors_in_words("team/small", "main", started=True),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert caught.value.reason == "disk_full"
    assert caught.value.__cause__.errno == errno.ENOSPC


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    assert "set HF_HOME" in refused(server, tmp_path / "cache", "broken")


# The cache


def test_cached_models_are_listed_if_complete(server, tmp_path):
    assert hub.cached_models(tmp_path / "absent") == []
    folder = hub.download("team/small", cache_dir=tmp_path, endpoint=server.url)
    (tmp_path / "models--team--empty" / "snapshots" / COMMIT).mkdir(parents=True)
    (tmp_path / "datasets--team--data").mkdir()
    (tmp_path / "models--team--odd" / "refs").mkdir(parents=True)
    (tmp_path / "models--team--odd" / "refs" / "main").write_text("../../elsewhere")
    assert hub.cached_models(tmp_path) == [hub.CachedModel("team/small", COMMIT, folder)]


def test_a_model_cached_by_tag_only_is_found_without_a_revision(server, tmp_path):
    folder = hub.download("team/small", "v1.0", cache_dir=tmp_path, endpoint=server.url)
    assert hub.cached_snapshot("team/small", None, tmp_path) == folder


def test_cached_models_are_opened_without_asking_the_hub(server, tmp_path, monkeypatch):
    from huggingface_hub import constants

    hub.download("team/small", cache_dir=tmp_path, endpoint=server.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    server.requests.clear()
    model = load_listed("team/small")
    assert (model.name, model.source, model.revision) == ("team/small", "hub", COMMIT)
    assert model.identity == f"team/small@{COMMIT}"
    assert model.encode(["the cat"]).shape == (1, 64)
    assert load_listed("team/small", model.revision).identity == model.identity
    assert [(entry.name, entry.source, entry.revision, entry.dim) for entry in available_models()][1:] == [
        ("team/small", "hub", COMMIT, 64)
    ]
    assert server.requests == []


def test_a_static_table_has_no_config_and_its_weights_in_a_folder(server, tmp_path):
    folder = tmp_path / "static"
    table = folder / "0_StaticEmbedding"
    table.mkdir(parents=True)
    save_file({"embedding.weight": ROWS}, table / "model.safetensors")
    word_level().save(str(table / "tokenizer.json"))
    (folder / "modules.json").write_text(
        json.dumps([{"path": table.name, "type": "sentence_transformers.models.StaticEmbedding"}])
    )
    server.repositories["team/static"] = Repository(folder)
    found = hub.download("team/static", cache_dir=tmp_path / "cache", endpoint=server.url)
    assert hub.cached_snapshot("team/static", cache_dir=tmp_path / "cache") == found
    assert [model.name for model in hub.cached_models(tmp_path / "cache")] == ["team/static"]
    assert load(found).encode(["a man"]).shape == (1, D)


@pytest.mark.slow
def test_load_downloads_a_model_that_is_not_here(server, tmp_path):
    """The whole way, in a process of its own, since huggingface_hub reads its settings when imported."""
    code = """
import json, subemb
from subemb.models.load import download_job
seen = []
model = subemb.load("team/small", progress=seen.append)
assert seen[-1].fraction == 1.0
job = download_job("team/small", "v1.0")
print(json.dumps([model.name, model.source, model.revision, list(model.table.shape), job]))
"""
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    name, source, revision, shape, job = json.loads(done.stdout)
    assert (name, source, revision, shape[1]) == ("team/small", "hub", COMMIT, 64)
    assert job == {"name": "team/small", "revision": OLDER}
