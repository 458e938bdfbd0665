"""The benchmark of what models still can do, on a small model and made-up pairs."""

import json

import numpy as np
import pytest
from checkpoints import make_bert, make_sentence_model
from scipy.stats import spearmanr

from subemb import attach, load
from subemb.bench import tasks as bench_tasks
from subemb.bench.tasks import CASES, Tasks, run_task_benchmark, tasks_text
from subemb.cli import main
from subemb.codec import compress
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.pairs import LABELS, PairSet

FIRST = ("the cat sits on the mat", "the river runs", "he said hello", "a green tree", "two birds sing", "a big dog runs")
SECOND = ("a cat sits on a mat", "two birds sing", "the dog runs", "the blue house", "the bird sings", "a small dog sits")
SIMILARITY = PairSet("sts", "similarity", "made up", FIRST, SECOND, np.array([5.0, 0.2, 3.0, 1.5, 4.0, 2.5]))
ENTAILMENT = PairSet("nli", "entailment", "made up", FIRST, SECOND, np.array([0, 1, 2, 1, 0, 2]), LABELS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_sentence_model(make_bert(tmp_path_factory.mktemp("model") / "m"))


@pytest.fixture(scope="module")
def head(folder):
    from subemb.evaluate.entailment.head_settings import HeadSettings
    from subemb.evaluate.entailment.head_training import train_head

    many = PairSet(
        "nli",
        "entailment",
        "made up",
        *([f"{part} {n}" for part in FIRST for n in range(5)] for _ in "ab"),
        np.arange(30) % 3,
        LABELS,
    )
    return train_head(load(folder), [many], HeadSettings(epochs=1, members=1, projected=4, hidden=4))[0]


def cosines(vectors):
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors[: len(FIRST)] * vectors[len(FIRST) :]).sum(1)


@pytest.mark.slow
def test_scores_are_those_of_each_side(folder, head):
    cases = (CompressionSettings("arbitrary", subspaces=2), CompressionSettings("product", subspaces=4, codebook_size=8))
    measured = run_task_benchmark(str(folder), Tasks((SIMILARITY,), (ENTAILMENT,), head), seeds=2, cases=cases)
    model = load(folder)
    expected = 100 * spearmanr(SIMILARITY.gold, cosines(model.encode([*FIRST, *SECOND]))).statistic
    assert measured["original"]["sts"] == pytest.approx(expected, abs=1e-4)
    assert [(row["method"], row["subspaces"]) for row in measured["results"]] == [("arbitrary", 2), ("product", 4)]
    compressed = compress(model, "product", 4, 8, seed=1)
    small = attach(model, compressed)
    expected = 100 * spearmanr(SIMILARITY.gold, cosines(small.encode([*FIRST, *SECOND]))).statistic
    row = measured["results"][1]
    assert row["scores"]["sts"][1] == pytest.approx(expected, abs=1e-4)
    assert row["total_bytes"] == compressed.size().total_bytes
    judged = head.judge(small.encode(FIRST), small.encode(SECOND)).argmax(1)
    assert row["scores"]["nli"][1] == pytest.approx(100 * (judged == ENTAILMENT.gold).mean())
    shown = tasks_text(measured)
    assert "sts: Spearman x 100 of 6 pairs; nli: accuracy x 100 of 6 pairs" in shown
    assert "2 seeds, mean and standard deviation" in shown


def test_the_cases_are_those_of_the_papers_table():
    assert [(case.method, case.subspaces, case.codebook_size) for case in CASES] == [
        ("arbitrary", 3, None),
        ("cluster", 3, None),
        ("product", 8, 61),
        ("product", 24, 61),
        ("product", 96, 61),
    ]


@pytest.mark.slow
def test_the_command_reads_files(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench_tasks, "CASES", (CompressionSettings("arbitrary", subspaces=2),))
    monkeypatch.setattr(run_task_benchmark, "__defaults__", (1, bench_tasks.CASES, None))
    path = tmp_path / "pairs.csv"
    rows = zip(FIRST, SECOND, SIMILARITY.gold, strict=True)
    path.write_text("sentence1,sentence2,score\n" + "".join(f"{a},{b},{score}\n" for a, b, score in rows), encoding="utf-8")
    arguments = ["bench", "tasks", "--data", str(path), "--model", str(folder), "--seeds", "1", "--quiet"]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sets"] == [{"name": "pairs.csv", "pairs": 6, "metric": "Spearman"}]
    assert main(arguments) == 0
    assert "arbitrary" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [([], "--data with an STS file"), (["--data", "nowhere.csv"], "nowhere.csv"), (["--head", "nowhere"], "nowhere")],
)
def test_what_cannot_be_measured(folder, more, words, capsys):
    assert main(["bench", "tasks", "--model", str(folder), "--quiet", *more]) == 2
    assert words in capsys.readouterr().err
