"""The benchmark of token weights, on a small model and made-up pairs."""

import numpy as np
import pytest
from checkpoints import make_bert, make_sentence_model
from scipy.stats import spearmanr

from subemb.base.errors import InputError
from subemb.bench import weights as bench_weights
from subemb.bench.weights import run_weights_benchmark, score, weights_text
from subemb.cli import main
from subemb.evaluate.data.read import read_pairs
from subemb.models.load import load

LINES = [
    ("5.000", "the cat sits on the mat", "a cat sits on a mat"),
    ("0.200", "the river runs", "two birds sing"),
    ("3.000", 'he said "hello', "the dog runs"),
    ("1.500", "a green tree", "the blue house"),
]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "sts.csv"
    rows = ["\t".join(("main-news", "MSRvid", "2012test", str(i), *line)) for i, line in enumerate(LINES)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("bad", [b"one\ttwo\n", b"a\tb\tc\td\tscore\tx\ty\n", b"\xff\xfe\x00", b""])
def test_other_files_are_refused(tmp_path, bad, capsys):
    path = tmp_path / "bad.csv"
    path.write_bytes(bad)
    with pytest.raises(InputError, match=r"bad\.csv"):
        run_weights_benchmark("all-MiniLM-L6-v2", path)
    assert main(["bench", "weights", "--data", str(path), "--quiet"]) == 2
    assert "bad.csv" in capsys.readouterr().err


def test_score_is_scipys_correlation(tmp_path, data):
    model = load(str(make_sentence_model(make_bert(tmp_path / "model"))))
    pairs = read_pairs(data)
    vectors = [model.encode(side) for side in (pairs.first, pairs.second)]
    cosines = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*vectors, strict=True)]
    assert score(model, pairs) == pytest.approx(100 * spearmanr(cosines, pairs.gold).statistic)


def test_every_case_and_kind_is_measured(tmp_path, data, monkeypatch):
    monkeypatch.setattr(bench_weights, "CASES", (("cluster", 2, None), ("product", 4, 8)))
    folder = make_sentence_model(make_bert(tmp_path / "model"))
    text = tmp_path / "text.txt"
    text.write_text("the cat sits on the mat", encoding="utf-8")
    measured = run_weights_benchmark(str(folder), data, text, seeds=2)
    assert [(row["method"], row["weights"]) for row in measured["results"]] == [
        (method, kind) for method in ("cluster", "product") for kind in ("none", "vocabulary", "sqrt_counts")
    ]
    assert all(len(row["scores"]) == 2 for row in measured["results"])
    assert measured == run_weights_benchmark(str(folder), data, text, seeds=2), "equal seeds give equal scores"
    shown = weights_text(measured)
    assert "4 pairs of sts.csv" in shown
    assert f"original table: {measured['original']:.2f}" in shown


def test_without_data_the_command_says_what_to_give(capsys):
    assert main(["bench", "weights"]) == 2
    assert "--data" in capsys.readouterr().err
