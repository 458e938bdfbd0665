"""Labelled sets of the hub, against a small server on this machine that answers as the hub does for data sets."""

import hashlib
import io
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.evaluate.data.hub import CONVERTED, look_up_data, read_hub_pairs
from subemb.evaluate.data.pairs import LABELS, TWO_WAY_LABELS, Columns

COMMITS = {"main": "a" * 40, "v1": "b" * 40, CONVERTED: "c" * 40}


def parquet(labels=(0, 1), names=None, first="A") -> bytes:
    """Two columns of sentences and labels, with their names as Hugging Face ``datasets`` writes them."""
    rows = len(labels)
    table = pa.table({"sentence1": [f"{first}{n}" for n in range(rows)], "sentence2": ["B"] * rows, "label": list(labels)})
    if names:
        features = {"label": {"_type": "ClassLabel", "names": list(names)}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


NLI = b"premise\thypothesis\tlabel\nA.\tB.\tneutral\nC.\tD.\tentailment\n"


class Hub(ThreadingHTTPServer):
    """sets: id -> revision -> path -> content. cards: id -> what its README says. claimed: path -> bytes told instead."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.sets: dict[str, dict[str, dict[str, bytes]]] = {}
        self.cards: dict[str, dict] = {}
        self.claimed: dict[str, int] = {}
        self.status: int | None = None
        self.sent: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if self.server.status:
            return self.answer(self.server.status, b"", {"X-Error-Code": "GatedRepo"})
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self.describe(found[1], found[2] or "main")
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            revision = next((name for name, commit in COMMITS.items() if commit == found[2]), "")
            content = self.server.sets.get(found[1], {}).get(revision, {}).get(found[3])
            if content is not None:
                if self.command == "GET":
                    self.server.sent.append(found[3])
                etag = hashlib.sha256(content).hexdigest()
                return self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": found[2]})
        return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})

    def describe(self, name: str, revision: str) -> None:
        revisions = self.server.sets.get(name)
        if revisions is None:
            return self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        if revision not in revisions:
            return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        siblings = [
            {"rfilename": path, "size": self.server.claimed.get(path, len(content)), "blobId": "0" * 40}
            for path, content in revisions[revision].items()
        ]
        body = {"id": name, "sha": COMMITS[revision], "siblings": siblings, "cardData": self.server.cards.get(name, {})}
        return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch):
    """A hub with sets as they are laid out in practice, and this process allowed to ask it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with Hub() as running:
        running.sets["team/snli"] = {
            "main": {
                "README.md": b"#",
                "plain_text/train-00000-of-00001.parquet": parquet((0, 1, 2)),
                "plain_text/validation-00000-of-00001.parquet": parquet((0, 2, 1, -1), LABELS),
                "plain_text/test-00000-of-00001.parquet": parquet((1, 2)),
                "script.py": b"import os",
            }
        }
        running.sets["team/glue"] = {
            "main": {
                "mrpc/validation-00000-of-00001.parquet": parquet((1, 0), ("not_equivalent", "equivalent")),
                "rte/validation-00000-of-00001.parquet": parquet((1, 0), TWO_WAY_LABELS),
                "mnli/validation_matched-00000-of-00001.parquet": parquet((0, 1, 2), LABELS),
                "mnli/validation_mismatched-00000-of-00001.parquet": parquet((0, 2), LABELS),
            }
        }
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def read(hub, tmp_path):
    """read_hub_pairs against that hub, with a cache of its own."""

    def reading(name, split="validation", *arguments, **named):
        return read_hub_pairs(name, split, *arguments, cache_dir=tmp_path, endpoint=hub.url, **named)

    return reading


def test_a_split_is_fetched_and_nothing_else(read, hub):
    pairs = read("team/snli")
    assert hub.sent == ["plain_text/validation-00000-of-00001.parquet"]
    assert (pairs.task, pairs.labels, pairs.gold.tolist()) == ("entailment", LABELS, [0, 2, 1])
    assert (pairs.skipped[0].reason, pairs.skipped[0].count) == ("no gold label", 1)
    assert pairs.name == "team/snli, validation"
    read("team/snli")
    assert len(hub.sent) == 1, "what is in the cache is not fetched again"


@pytest.mark.parametrize("split", ["dev", "val", "valid", "validation"])
def test_the_spellings_of_a_split_mean_the_same(read, split):
    assert len(read("team/snli", split)) == 3


@pytest.mark.parametrize(
    ("config", "split", "task", "labels", "gold"),
    [
        ("mrpc", "validation", "paraphrase", (), [1, 0]),
        ("rte", "validation", "entailment", TWO_WAY_LABELS, [1, 0]),
        ("mnli", "validation_matched", "entailment", LABELS, [0, 1, 2]),
        ("mnli", "validation_mismatched", "entailment", LABELS, [0, 2]),
    ],
)
def test_configurations_are_told_apart(read, config, split, task, labels, gold):
    pairs = read("team/glue", split, config)
    assert (pairs.task, pairs.labels, pairs.gold.tolist()) == (task, labels, gold)
    assert pairs.name == f"team/glue {config}, {split}"


def test_without_a_configuration_those_there_are_named(read):
    with pytest.raises(
        InputError,
        match=r"team/glue has several sets of files for validation; name the configuration or the split: .*mrpc, rte",
    ):
        read("team/glue")
    with pytest.raises(
        InputError, match=r"team/glue has no configuration 'cola'; its files are .*mrpc/validation-00000-of-00001"
    ):
        read("team/glue", "validation", "cola")
    with pytest.raises(
        InputError, match=r"several sets of files for validation; .* mnli-validation_matched, mnli-validation_mismatched"
    ):
        read("team/glue", "validation", "mnli")
    with pytest.raises(InputError, match="team/snli has no dev2 split; its files are plain_text/test"):
        read("team/snli", "dev2")
    with pytest.raises(InputError, match="no split is named"):
        read("team/snli", " ")


def test_shards_are_read_in_their_order(read, hub):
    hub.sets["team/shards"] = {
        "main": {f"data/train-0000{n}-of-00002.parquet": parquet((0, 1, 2), LABELS, first=f"{n}.") for n in (1, 0)}
    }
    assert read("team/shards", "train").first == ("0.0", "0.1", "0.2", "1.0", "1.1", "1.2")


def test_a_data_card_says_which_files_a_split_has(read, hub):
    hub.sets["team/card"] = {"main": {"all/one.tsv": NLI, "all/two.tsv": NLI.replace(b"A.", b"Z."), "dev.tsv": NLI}}
    files = [{"split": "validation", "path": "all/two*"}, {"split": "test", "path": ["all/one.tsv"]}]
    hub.cards["team/card"] = {"configs": [{"config_name": "default", "data_files": files}]}
    assert read("team/card").first == ("Z.", "C.")
    assert read("team/card", "test").first == ("A.", "C.")


@pytest.mark.parametrize(
    "damage", [{"configs": "x"}, {"configs": [1, {}]}, {"configs": [{"data_files": [3, {"split": "test"}]}]}]
)
def test_a_damaged_data_card_is_passed_over(read, hub, damage):
    hub.cards["team/snli"] = damage
    assert len(read("team/snli")) == 3


NUMBERED = {
    "csv": b"premise,hypothesis,label\nA.,B.,2\nC.,D.,0\nE.,F.,1\n",
    "jsonl": b"\n".join(
        b'{"premise": "%c", "hypothesis": "B", "label": %d}' % pair for pair in zip(b"ACE", (2, 0, 1), strict=True)
    ),
}


def card_with(names, **more) -> dict:
    features = [{"name": "premise", "dtype": "string"}, {"name": "label", "dtype": {"class_label": {"names": names}}}]
    return {"dataset_info": {"features": features, **more}}


@pytest.mark.parametrize("ending", NUMBERED)
@pytest.mark.parametrize(
    "names", [{"0": "neutral", "1": "contradiction", "2": "entailment"}, ["neutral", "contradiction", "entailment"]]
)
def test_a_data_card_says_what_numbers_stand_for(read, hub, ending, names):
    hub.sets["team/numbered"] = {"main": {f"nli_dev.{ending}": NUMBERED[ending]}}
    hub.cards["team/numbered"] = card_with(names)
    pairs = read("team/numbered")
    assert [LABELS[number] for number in pairs.gold] == ["entailment", "neutral", "contradiction"]
    assert "2 entailment" in " ".join(note.text for note in pairs.notes)


def test_a_data_card_of_several_configurations_speaks_of_the_one_that_is_read(hub, tmp_path):
    hub.sets["team/numbered"] = {"main": {"hard/nli_dev.csv": NUMBERED["csv"], "easy/nli_dev.csv": NUMBERED["csv"]}}
    one = card_with(["neutral", "contradiction", "entailment"], config_name="hard")["dataset_info"]
    other = card_with(["contradiction", "entailment", "neutral"], config_name="easy")["dataset_info"]
    hub.cards["team/numbered"] = {"dataset_info": [one, other, 5]}
    found = look_up_data("team/numbered", "validation", "hard", cache_dir=tmp_path, endpoint=hub.url)
    assert found.classes == {"label": ("neutral", "contradiction", "entailment")}


@pytest.mark.parametrize(
    "info", [5, [], [None], {"features": 3}, {"features": [{"dtype": {"class_label": 3}}]}, card_with({"5": "x"})]
)
def test_a_damaged_description_of_features_is_passed_over(read, hub, info):
    hub.cards["team/snli"] = {"dataset_info": info}
    assert len(read("team/snli")) == 3


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_text_files_are_read_too(read, hub, ending):
    row = {"premise": "A", "hypothesis": "B", "label": "neutral"}
    content = {
        "csv": NLI.replace(b"\t", b","),
        "tsv": NLI,
        "jsonl": "\n".join(json.dumps(row | {"premise": text}) for text in "XY").encode(),
    }[ending]
    hub.sets["team/text"] = {"main": {f"nli_dev.{ending}": content, "notes.txt": b"x"}}
    assert len(read("team/text")) == 2


def test_the_hubs_own_conversion_is_used_where_the_files_cannot_be_read(read, hub):
    hub.sets["team/zipped"] = {
        "main": {"data.zip": b"PK"},
        CONVERTED: {"default/validation/0000.parquet": parquet((0, 1, 2), LABELS)},
    }
    assert len(read("team/zipped")) == 3
    with pytest.raises(InputError, match="has no Parquet, CSV, TSV or JSON lines files"):
        read("team/zipped", revision="main")
    del hub.sets["team/zipped"][CONVERTED]
    with pytest.raises(InputError, match="has no Parquet, CSV, TSV or JSON lines files"):
        read("team/zipped")


def test_a_revision_is_read(read, hub):
    hub.sets["team/snli"]["v1"] = {"dev.tsv": NLI}
    assert read("team/snli", revision="v1").first == ("A.", "C.")
    with pytest.raises(ModelError, match="team/snli has no revision 'v9'"):
        read("team/snli", revision="v9")


def test_a_configuration_may_be_a_language(read, hub):
    hub.sets["team/xnli"] = {
        "main": {f"{code}/validation-00000-of-00001.parquet": parquet((0, 1, 2), LABELS) for code in ("de", "sw")}
    }
    assert read("team/xnli", "validation", "sw").languages == ("sw",) * 3


def test_columns_can_be_named(read):
    pairs = read("team/snli", columns=Columns("sentence2", "sentence1", "label"))
    assert pairs.first == ("B",) * 3
    with pytest.raises(InputError, match="no column 'text'; its columns are sentence1, sentence2, label"):
        read("team/snli", columns=Columns("text", "sentence1", "label"))


# What can go wrong


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "a b", "https://huggingface.co/datasets/a/b", None])
def test_what_is_no_name(name, tmp_path):
    with pytest.raises(ModelError, match="is not a data set's name") as caught:
        read_hub_pairs(name, "test", cache_dir=tmp_path)
    assert caught.value.reason == "invalid_name"


def test_a_set_that_is_not_there(read):
    with pytest.raises(ModelError, match="no public data set team/absent; check the spelling") as caught:
        read("team/absent")
    assert caught.value.reason == "unknown"


def test_a_gated_set(read, hub):
    hub.status = 403
    with pytest.raises(ModelError, match=r"accept its terms at https://huggingface.co/datasets/team/snli") as caught:
        read("team/snli")
    assert caught.value.reason == "gated"


def test_without_network(read, monkeypatch, tmp_path):
    from huggingface_hub import constants

    with pytest.raises(ModelError, match="the hub cannot be reached") as caught:
        read_hub_pairs("team/snli", "dev", cache_dir=tmp_path, endpoint="http://127.0.0.1:9")
    assert caught.value.reason == "offline"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids asking the hub for team/snli; unset it") as caught:
        read("team/snli")
    assert caught.value.reason == "offline"


def test_a_split_that_is_too_large_is_refused_before_it_is_fetched(read, hub):
    hub.claimed["plain_text/train-00000-of-00001.parquet"] = 200_000_000
    with pytest.raises(InputError, match="the train split of team/snli has 200 MB, but at most 100 MB are fetched"):
        read("team/snli", "train")
    assert hub.sent == []
    assert len(read("team/snli")) == 3


def test_progress_and_stopping(read, hub):
    seen = []
    read("team/snli", progress=seen.append)
    fractions = [message.fraction for message in seen if message.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any(message.values.get("total_bytes") for message in seen)
    with pytest.raises(Cancelled):
        read("team/snli", "test", progress=lambda message: "bytes" in message.values)
    assert "plain_text/test-00000-of-00001.parquet" not in hub.sent


def test_what_will_be_fetched_is_known_before(hub, tmp_path):
    remote = look_up_data("team/snli", "dev", cache_dir=tmp_path, endpoint=hub.url)
    assert remote.total_bytes == len(hub.sets["team/snli"]["main"]["plain_text/validation-00000-of-00001.parquet"])
    assert remote.commit == COMMITS["main"]
    assert hub.sent == []
