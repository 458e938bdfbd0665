"""``subemb adapt`` and ``subemb bench adapt``: the same as the library, and clear words for what cannot be used."""

import json

import numpy as np
import pytest
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model

import subemb
from subemb.adaptation.result import Adaptation
from subemb.bench.adapt import Case, adapt_text, bands_of, read_sets, run_adapt_benchmark
from subemb.cli import main
from subemb.codec.settings import CompressionSettings

NAMES = [word for word in WORDS if word.isalpha()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("adapt")


@pytest.fixture(scope="module")
def model(folder) -> str:
    return str(make_sentence_model(make_bert(folder / "small", [*SPECIAL, *WORDS])))


@pytest.fixture(scope="module")
def saved(folder, model) -> str:
    assert main(["compress", model, "-f", "2", "-q", "8", "-o", str(folder / "out"), "--quiet"]) == 0
    return str(folder / "out")


@pytest.fixture(scope="module")
def text(folder):
    generator = np.random.default_rng(0)
    path = folder / "text.txt"
    path.write_text("\n".join(" ".join(generator.choice(NAMES, 6)) for _ in range(120)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pairs(folder):
    generator = np.random.default_rng(1)
    path = folder / "pairs.csv"
    rows = [f"{' '.join(generator.choice(NAMES, 5))},{' '.join(generator.choice(NAMES, 5))},{n % 6}" for n in range(30)]
    path.write_text("\n".join(["sentence1,sentence2,score", *rows]), encoding="utf-8")
    return path


@pytest.mark.slow
def test_it_saves_what_the_library_gives(model, saved, text, pairs, folder, capsys):
    out = folder / "adapted"
    line = ["adapt", saved, "--train-text", str(text), "--scored", str(pairs), "--steps", "30", "-o", str(out), "--json"]
    assert main(line) == 0
    report = json.loads(capsys.readouterr().out)
    original = subemb.load(model)
    alone = subemb.adapt(
        original,
        subemb.codec.load(saved),
        text.read_text().splitlines(),
        steps=30,
        scored=subemb.evaluate.read_pairs(pairs),
    )
    loaded = subemb.load(out)
    assert loaded.identity == alone.identity
    assert np.abs(loaded.encode(["the cat sits"]) - alone.encode(["the cat sits"])).max() < 1e-6
    assert report["scores"] == pytest.approx(alone.facts["scores"])
    assert report["steps"] == 30
    assert report["pooling"] == original.pooling
    assert report["scored"]["pairs"] == 30


def test_a_model_is_compressed_first_and_no_text_is_needed(model, folder, capsys):
    out = folder / "without"
    line = [
        "adapt",
        model,
        "-f",
        "2",
        "-q",
        "8",
        "--no-text",
        "--sample",
        "50",
        "--steps",
        "5",
        "--train",
        "norms",
        "-o",
        str(out),
    ]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "50 token sequences drawn from the vocabulary" in said
    assert f"sentence vector: {subemb.load(model).pooling}" in said
    loaded = subemb.load(out)
    assert f"({loaded.changed_parameters:,} numbers)" in said
    assert loaded.changed_parameters > 0


@pytest.mark.slow
def test_ctrl_c_and_the_same_line_again(model, saved, text, folder, monkeypatch, capsys):
    from subemb.adaptation import trainer

    line = ["adapt", saved, "--train-text", str(text), "--steps", "40", "--resume", str(folder / "state"), "--quiet", "-o"]
    step = trainer.Trainer._one_step

    def interrupted(self):
        if self.step == 20:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(trainer, "FIRST_CHECKPOINT", 0.0)
    monkeypatch.setattr(trainer.Trainer, "_one_step", interrupted)
    assert main([*line, str(folder / "a")]) == 130
    monkeypatch.undo()
    assert (folder / "state" / "state.safetensors").is_file()
    assert main([*line, str(folder / "a")]) == 0
    whole = [entry for entry in line if entry not in ("--resume", str(folder / "state"))]
    assert main([*whole, str(folder / "b")]) == 0
    assert subemb.load(folder / "a").identity == subemb.load(folder / "b").identity


@pytest.mark.slow
def test_fine_tuning_from_labelled_pairs(saved, pairs, folder, capsys):
    line = ["adapt", saved, "--objective", "similarity", "--labelled", str(pairs), "--steps", "5", "-o", str(folder / "tuned")]
    assert main([*line, "--quiet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["scores"]) == ["original", "fine-tuned original", "compressed", "adapted"]
    assert (report["text"]["pairs"], report["scored"]["pairs"]) == (27, 3)
    assert main([*line, "--quiet", "--force"]) == 0
    assert subemb.load(folder / "tuned").facts["settings"]["objective"] == "similarity"
    assert main([*line, "--force"]) == 0
    said = capsys.readouterr().out
    assert "Fine-tuning on similarity" in said
    assert "27 labelled pairs" in said
    assert "fine-tuned original" in said


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-text", "--objective", "similarity", "--steps", "2"], "learns from labelled pairs; give a file"),
        (["--no-text", "--objective", "masked", "--steps", "2"], "has no masked-word head"),
        (["--no-text", "--seconds", "1", "--steps", "2"], "exclude each other"),
        (["--no-text", "--steps", "0"], "steps is 0"),
        (["--no-text", "--train", "last", "--last-layers", "7", "--steps", "2"], "last_layers is 7"),
        (["--train-text", "/nowhere/at all.txt", "--steps", "2"], "at all.txt"),
        ([], "one of the arguments --train-text --labelled --no-text is required"),
    ],
)
def test_what_cannot_be_used_is_said(saved, folder, options, message, capsys):
    try:
        code = main(["adapt", saved, *options, "-o", str(folder / "never"), "--quiet"])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (folder / "never").exists()


def test_a_model_that_is_not_compressed_is_refused(model, folder, capsys):
    assert main(["adapt", model, "--no-text", "--steps", "2", "-o", str(folder / "never"), "--quiet"]) == 2
    assert "not compressed; say how to compress it" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_that_is_adapted_already_is_refused(saved, folder, capsys):
    done = folder / "done"
    assert main(["adapt", saved, "--no-text", "--sample", "50", "--steps", "2", "-o", str(done), "--quiet"]) == 0
    assert main(["adapt", str(done), "--no-text", "--steps", "2", "-o", str(folder / "never"), "--quiet"]) == 2
    assert "is adapted already; give what `subemb compress -o DIR` wrote" in capsys.readouterr().err
    assert not (folder / "never").exists()


@pytest.mark.slow
def test_the_benchmark_measures_every_seed(model, text, pairs):
    from subemb.adaptation import AdaptationSettings, read_text

    cases = (
        Case(CompressionSettings("cluster", subspaces=2, codebook_size=8)),
        Case(CompressionSettings("arbitrary", subspaces=2), train="everything"),
    )
    source = read_text(text.read_bytes(), text.name)
    sets = read_sets([pairs, pairs], limit=20)
    measured = run_adapt_benchmark(model, sets, source, AdaptationSettings(steps=10), seeds=2, cases=cases)
    assert [len(result["runs"]) for result in measured["results"]] == [2, 2]
    first, second = measured["results"]
    assert all(run["steps"] == 10 and run["cpu_seconds"] > 0 for run in first["runs"] + second["runs"])
    assert first["runs"][0]["size"]["changed_bytes"] == 0 < second["runs"][0]["size"]["changed_bytes"]
    original = subemb.load(model)
    table = subemb.compress(original, "arbitrary", 2, seed=1)
    from subemb.adaptation.scoring import score_of
    from subemb.evaluate import read_pairs

    assert second["runs"][1]["before"] == pytest.approx(
        2 * [score_of(subemb.attach(original, table), read_pairs(pairs).sample(20, 0))]
    )
    assert measured["original"] == pytest.approx(2 * [score_of(original, read_pairs(pairs).sample(20, 0))])
    assert [len(run["kept_after"]) for run in first["runs"]] == [len(measured["bands"])] * 2
    assert second["runs"][0]["size"]["model_bytes"] < second["runs"][0]["size"]["original_model_bytes"]
    shown = adapt_text(json.loads(json.dumps(measured)))
    assert "everything" in shown
    assert "+-" in shown
    assert shown.count(f"{measured['original'][0]:.1f}") >= 4, "for each setting and set"
    assert "NEIGHBOURS KEPT" in shown


def test_bands_are_by_frequency_and_hold_no_token_twice():
    weights = np.random.default_rng(0).random(6000)
    bands = bands_of(weights, seed=1)
    assert list(bands) == ["1 to 1,000", "1,001 to 5,000", "5,001 to 6,000"]
    assert [len(ids) for ids in bands.values()] == [250] * 3
    assert weights[bands["1 to 1,000"]].min() > weights[bands["1,001 to 5,000"]].max()
    assert len(np.unique(np.concatenate(list(bands.values())))) == 750


def test_word_lists_are_scored_by_the_table(model, folder):
    path = folder / "words.txt"
    path.write_text("\n".join(f"{NAMES[n]} {NAMES[n + 1]} {n}" for n in range(6)), encoding="utf-8")
    sets = read_sets([], [path])
    assert sets.facts()[0]["pairs"] == 6
    (found,) = sets.scores(subemb.load(model))
    assert -100 <= found <= 100


def test_the_benchmark_needs_pairs(capsys):
    assert main(["bench", "adapt", "--quiet"]) == 2
    assert "give --data sts-dev.csv" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("train", ["codebooks", "everything"])
def test_what_it_saved_is_evaluated_as_adapted(model, saved, text, pairs, folder, train, capsys):
    out = str(folder / f"evaluated-{train}")
    assert main(["adapt", saved, "--train-text", str(text), "--steps", "20", "--train", train, "-o", out, "--quiet"]) == 0
    assert main(["evaluate", "similarity", out, "--data", str(pairs), "--resamples", "50", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    from subemb.adaptation.scoring import score_of
    from subemb.evaluate import read_pairs

    expected = score_of(subemb.load(out), read_pairs(pairs)) / 100
    assert report["sides"] == ["original", "adapted"]
    assert report["compression"]["changed_bytes"] == 4 * subemb.load(out).changed_parameters
    found = report["sets"][0]["scores"]["adapted"]["values"]["spearman"]
    assert found == pytest.approx(expected, abs=1e-6)
    assert main(["evaluate", "similarity", out, "--pair", "the cat sits", "a dog runs"]) == 0
    assert "adapted" in capsys.readouterr().out


@pytest.mark.slow
def test_tables_and_folders_are_learned_from_and_what_was_read_is_said(saved, folder, capsys):
    generator = np.random.default_rng(5)
    lines = [" ".join(generator.choice(NAMES, 6)) for _ in range(30)]
    (folder / "many").mkdir()
    (folder / "many" / "lines.txt").write_text("\n".join(lines[:15]), encoding="utf-8")
    rows = "\n".join(f"{n},{line},{n / 2}" for n, line in enumerate(lines[15:]))
    (folder / "table.csv").write_text(f"id,body,price\n{rows}\n", encoding="utf-8")
    line = [
        "adapt",
        saved,
        "--train-text",
        str(folder / "many"),
        str(folder / "table.csv"),
        "--steps",
        "2",
        "--batch-size",
        "8",
    ]
    assert main([*line, "-o", str(folder / "mixed"), "--quiet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["text"]["sources"] == [15, 15]
    learned = Adaptation.from_dict(subemb.load(folder / "mixed").facts).learned_from
    assert learned == "30 sentences without labels, equally much from each of 2 sources"
    assert any(note["name"] == "table.csv" and "--text-columns" in note["otherwise"] for note in report["notes"])
    assert main([*line, "--text-columns", "title", "-o", str(folder / "never"), "--quiet"]) == 2
    assert "table.csv has no column 'title'; its columns are" in capsys.readouterr().err
