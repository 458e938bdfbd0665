"""``subemb sweep``, ``subemb runs`` and ``subemb compare`` on a small checkpoint."""

import json

import numpy as np
import pytest
from checkpoints import SPECIAL, make_bert

from subemb.cli import main
from subemb.codec.settings import CompressionSettings
from subemb.runs import RUNS, run_and_keep
from subemb.sweep.run import ROWS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small model, labelled pairs, two kept runs, a saved result; its own cache."""
    folder = tmp_path_factory.mktemp("place")
    make_bert(folder / "models" / "small", [*SPECIAL, *(f"word{number}" for number in range(300))], dim=12)
    words = np.random.default_rng(0).integers(300, size=(40, 2, 4))
    lines = ["sentence1\tsentence2\tscore"]
    lines += ["\t".join([*(" ".join(f"word{n}" for n in side) for side in pair), f"{i % 6}.5"]) for i, pair in enumerate(words)]
    (folder / "pairs.tsv").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(folder / "models"))
        patch.setenv("SUBEMB_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        for subspaces in (2, 6):
            run_and_keep("small", None, CompressionSettings("product", subspaces=subspaces, codebook_size=16).to_dict())
        assert main(["compress", "small", "--method", "int8", "-o", "saved", "--quiet"]) == 0
        assert main(["sweep", *SWEEP, "--quiet"]) == 0
        yield folder


SWEEP = [
    "small",
    "--methods",
    "product,int8",
    "-f",
    "3,4",
    "-q",
    "16",
    "--data",
    "pairs.tsv",
    "--within",
    "90",
    "-o",
    "table",
    "--processes",
    "1",
]


def said(capsys, *line):
    code = main(list(line))
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.slow
def test_a_sweep_says_its_verdict_first(place, capsys):
    code, out, _ = said(capsys, *["sweep", *SWEEP], "--all")
    assert code == 0
    assert out.startswith("The smallest setting within 90 points of small: Product quantization, f = 3, Q = 16")
    assert "95 % interval" in out
    assert "0 settings computed" in out
    assert "3 known before" in out
    assert "original" in out.partition("pairs.tsv: ")[2].splitlines()[0]


def test_a_sweep_that_measures_nothing_is_an_error(place, capsys):
    line = ["sweep", "small", "--methods", "product", "-f", "13", "-q", "16", "--no-scores", "-o", "nothing", "--quiet"]
    for _ in range(2):  # also where it is known before
        code, out, err = said(capsys, *line)
        assert code == 2
        assert "none of 1 setting could be measured" in err
        assert out.startswith("No setting of small could be measured.")
        assert "0 settings computed" in out
        assert "0 known before, 1 failed." in out
        assert "nothing had to be computed" not in out


def test_a_sweep_as_json(place, capsys):
    code, out, _ = said(capsys, *["sweep", *SWEEP], "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["rows"]) == 3
    assert found["within"]["keys"][0] in {row["key"] for row in found["rows"]}
    assert any(row["pareto"] for row in found["rows"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sweep small --within -1", "--within is -1"),
        ("sweep small --no-scores --within 2", "--no-scores leaves nothing"),
        ("sweep small --grid nowhere.json", "nowhere.json is not there"),
        ("sweep small --grid nowhere.json -f 3", "leave --subspaces out"),
        ("sweep small --methods magic", "unknown method 'magic'"),
        ("sweep small -f three", "no list of whole numbers"),
        ("sweep small --settings 0", "--settings is 0"),
        ("sweep small -f 3 --settings 9", "leave it out"),
        ("sweep small --seeds 0", "--seeds is 0"),
        ("sweep small -f 3 -o pairs.tsv", "is a file"),
        ("sweep small -f 3 -o models", "holds something else"),
        ("sweep nothing-like-this -f 3", "nothing-like-this"),
        ("sweep small -f 3 --data pairs.tsv --processes 0", "0 processes"),
        ("runs zzz", "begins with 'zzz'"),
        ("runs --yes", "--delete"),
        ("runs --delete", "add --yes"),
        ("compare nothing saved", "is no kept run"),
        ("compare saved table", "is no kept run"),
    ],
)
def test_what_cannot_be_used_is_one_line(place, capsys, line, words):
    try:
        code, _, err = said(capsys, *line.split())
    except SystemExit as stop:
        code, err = stop.code, capsys.readouterr().err
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_runs_are_listed_and_filtered(place, capsys):
    code, out, _ = said(capsys, "runs")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert "f = 6" in said(capsys, "runs", "--model", "SMALL", "--method", "product")[1]
    assert said(capsys, "runs", "--method", "int8")[1].startswith("No kept run is like that")
    key = next(iter(RUNS))
    assert [one["key"] for one in json.loads(said(capsys, "runs", key[:6], "--json")[1])["runs"]] == [key]


@pytest.mark.slow
def test_runs_are_deleted_when_that_is_sure(place, capsys):
    made = run_and_keep("small", None, CompressionSettings("low_rank", rank=2).to_dict()).key
    code, out, _ = said(capsys, "runs", made[:10], "--delete", "--yes")
    assert code == 0
    assert "1 run deleted." in out
    assert RUNS.stamp(made) is None
    assert len(list(RUNS)) == 2


def test_two_are_put_side_by_side(place, capsys):
    first, second = list(RUNS)
    code, out, _ = said(capsys, "compare", first[:10], second[:10])
    assert code == 0
    assert out.startswith("B takes ")
    assert all(word in out for word in ("relative error", "neighbours kept", "distinct tuples", f"run {first[:8]}"))
    assert "\nA: Product quantization, f = " in out
    assert "\nof ranks 1 to " in out
    assert max(map(len, out.splitlines())) <= 110


def test_a_folder_and_a_row_of_a_sweep_with_scores(place, capsys):
    row = next(ROWS.get(key) for key in ROWS if ROWS.get(key).settings.subspaces == 4)
    code, out, _ = said(capsys, "compare", "saved", row.key[:12], "--data", "pairs.tsv", "--json", "--quiet")
    assert code == 0
    found = json.loads(out)
    assert found["sides"][1]["quality"]["kept_by_frequency"] == row.kept_by_frequency != {}
    scores = found["sets"][0]["scores"]
    assert list(scores) == ["A", "B", "original"]
    # what the sweep said of the same setting
    assert 100 * scores["B"]["values"]["spearman"] == pytest.approx(row.score)
    assert set(scores["B"]["differences"]["spearman"]) >= {"difference", "low", "high"}
    assert said(capsys, "compare", "saved", row.key[:12], "--data", "pairs.tsv", "--quiet")[1].startswith("B takes ")


def test_a_beginning_of_several_keys_is_refused(place, capsys, monkeypatch):
    first, second = list(RUNS)
    monkeypatch.setattr("subemb.commands.compare.kept_keys", lambda begin: [first, second])
    code, _, err = said(capsys, "compare", "ab", "saved")
    assert code == 2
    assert "several keys" in err
    assert first[:12] in err
