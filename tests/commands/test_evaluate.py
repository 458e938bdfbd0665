"""``subemb evaluate``: its numbers are those of the library, its text shows them, and bad input is one line and code 2."""

import argparse
import json
import shutil
import signal
from pathlib import Path

import pytest
from checkpoints import make_bert
from entailment_models import made_pairs, make_classifier, train_quick_head

import subemb
from subemb.base.plain import to_plain
from subemb.base.progress import Progress
from subemb.cli import main, parser
from subemb.codec.loading import load as load_result
from subemb.commands.evaluate_inputs import columns_of
from subemb.commands.text import ProgressLine, scores_table
from subemb.evaluate.data.pairs import LABELS
from subemb.evaluate.data.read import read_pairs
from subemb.tasks.sides import sides_of

ROOT = Path(__file__).resolve().parents[2]
MILD = ["-f", "4", "-q", "3"]
PAIRS = [
    ("the cat sits on the mat", "a cat sits on the mat", 4.8),
    ("the dog runs", "a bird sings", 0.6),
    ("the big house", "the small house", 2.5),
    ("a river under the tree", "a green river", 3.1),
    ("the old table", "the new table", 2.2),
    ("two birds sing", "the birds are singing", 4.0),
    ("1 2 2024", "7 7 7", 0.2),
    ("the dog under the table", "the cat on the table", 1.4),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture(scope="module")
def model(folder) -> str:
    """An encoder that also has a masked-word head."""
    return str(make_bert(folder / "bert", masked_lm=True, initializer_range=0.5))


@pytest.fixture(scope="module")
def headless(folder) -> str:
    return str(make_bert(folder / "headless", initializer_range=0.5))


@pytest.fixture(scope="module")
def classifier(folder) -> str:
    return str(make_classifier(folder / "classifier"))


@pytest.fixture(scope="module")
def saved(folder, model) -> str:
    assert main(["compress", model, *MILD, "-o", str(folder / "out"), "--quiet"]) == 0
    return str(folder / "out")


@pytest.fixture(scope="module")
def sts(folder) -> Path:
    return write_pairs(folder / "mine.csv", PAIRS)


@pytest.fixture(scope="module")
def nli(folder) -> Path:
    return write_nli(folder / "nli.tsv")


@pytest.fixture(scope="module")
def text(folder) -> Path:
    path = folder / "text.txt"
    path.write_text("".join(f"{first}.\n" for first, _, _ in PAIRS), encoding="utf-8")
    return path


def write_pairs(path: Path, pairs) -> Path:
    lines = ["sentence1,sentence2,score", *(f"{first},{second},{score}" for first, second, score in pairs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_nli(path: Path) -> Path:
    pairs = made_pairs()
    rows = zip(pairs.first, pairs.second, pairs.gold.tolist(), strict=True)
    lines = ["premise\thypothesis\tlabel", *(f"{one}\t{other}\t{LABELS[label]}" for one, other, label in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def no_constant(name: str):
    raise AssertionError(f"{name} is no JSON")


def run_json(capsys, *arguments) -> dict:
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out, parse_constant=no_constant)


def run_text(capsys, *arguments) -> str:
    assert main(["evaluate", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no terminal, no progress bar
    return out


def sides(model: str, saved: str):
    return sides_of(subemb.load(model), load_result(saved))


# similarity


def test_similarity_of_a_saved_folder_is_that_of_the_library(model, saved, sts, capsys):
    from subemb.evaluate.similarity.pairs import evaluate_pairs

    report = run_json(capsys, "similarity", saved, "--data", sts, "--resamples", 200, "--seed", 3, "--moved", 2)
    found = evaluate_pairs(sides(model, saved), read_pairs(sts), 200, 3)
    (data,) = report["sets"]
    assert data["scores"] == {side: scores.to_dict() for side, scores in found.scores.items()}
    assert data["scores"]["compressed"]["differences"]["pearson"]["difference"] != 0
    assert report["sides"] == ["original", "compressed"]
    places = found.moved("compressed", 2).tolist()
    assert [pair["first"] for pair in data["moved_most"]["compressed"]] == [PAIRS[place][0] for place in places]
    assert [pair["cosines"]["compressed"] for pair in data["moved_most"]["compressed"]] == [
        float(found.cosines["compressed"][place]) for place in places
    ]
    assert report["compression"]["total_bytes"] == load_result(saved).size().total_bytes
    assert report["model"]["name"] == model


@pytest.mark.slow
def test_compressed_now_is_as_if_saved_and_read_again(model, saved, sts, capsys):
    options = ["--data", sts, "--resamples", 50]
    assert run_json(capsys, "similarity", model, *MILD, *options) == run_json(capsys, "similarity", saved, *options)


@pytest.mark.slow
def test_a_model_alone_has_scores_and_no_comparison(model, saved, sts, capsys):
    alone = run_json(capsys, "similarity", model, "--data", sts)
    both = run_json(capsys, "similarity", saved, "--data", sts, "--resamples", 10)
    assert (alone["sides"], alone["compression"], alone["sets"][0]["moved_most"]) == (["original"], None, {})
    assert alone["sets"][0]["scores"]["original"] == both["sets"][0]["scores"]["original"]
    out = run_text(capsys, "similarity", model, "--data", sts)
    assert "the original alone" in out
    assert "DIFFERENCE" not in out


@pytest.mark.slow
def test_text_shows_the_numbers_of_the_json(saved, sts, capsys):
    options = ["similarity", saved, "--data", sts, "--resamples", 100, "--moved", 1]
    (data,) = run_json(capsys, *options)["sets"]
    out = run_text(capsys, *options)
    (row,) = (line.split() for line in out.splitlines() if "Spearman" in line)
    scores, interval = data["scores"], data["scores"]["compressed"]["differences"]["spearman"]
    expected = [scores["original"]["values"]["spearman"], scores["compressed"]["values"]["spearman"]]
    expected += [interval["difference"], interval["low"], interval["high"]]
    assert [float(cell) for cell in row if cell[-1].isdigit()] == [
        8,
        *(pytest.approx(100 * value, abs=0.051) for value in expected),
    ]
    assert "95 % INTERVAL" in out
    assert "paired bootstrap over pairs, 100 resamples, seed 0" in out
    (moved,) = data["moved_most"]["compressed"]
    assert f"    {moved['first']}\n    {moved['second']}" in out
    assert f"{moved['cosines']['original']:.3f}" in out
    assert "mine.csv: Comma-separated table, 8 pairs read; no rows skipped" in out


@pytest.mark.slow
def test_skipped_rows_are_counted_with_reason_and_line(saved, tmp_path, capsys):
    path = write_pairs(tmp_path / "damaged.csv", PAIRS)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:3], "a cat,a dog,", *lines[3:], ",a dog,3"]) + "\n", encoding="utf-8")
    (data,) = run_json(capsys, "similarity", saved, "--data", path, "--resamples", 10)["sets"]
    assert (data["pairs"], data["rows_skipped"]) == (8, 2)
    assert sorted(tuple(entry["lines"]) for entry in data["skipped"]) == [(4,), (11,)]
    out = run_text(capsys, "similarity", saved, "--data", path, "--resamples", 10)
    assert "2 rows skipped: " in out
    assert "(line 4)" in out
    assert "(line 11)" in out


@pytest.mark.slow
def test_a_limit_draws_the_same_pairs_as_the_library(model, sts, capsys):
    (data,) = run_json(capsys, "similarity", model, "--data", sts, "--limit", 4, "--seed", 5)["sets"]
    from subemb.evaluate.similarity.pairs import evaluate_pairs

    found = evaluate_pairs({"original": subemb.load(model)}, read_pairs(sts).sample(4, 5))
    assert (data["pairs_read"], data["pairs"]) == (8, 4)
    assert data["scores"]["original"] == found.scores["original"].to_dict()
    assert "8 pairs read, 4 of them used (--limit)" in run_text(capsys, "similarity", model, "--data", sts, "--limit", 4)


@pytest.mark.slow
def test_files_of_several_languages_are_one_set_and_others_are_not(model, saved, sts, tmp_path, capsys):
    german = write_pairs(tmp_path / "stsb-de-dev.csv", PAIRS[:5])
    english = write_pairs(tmp_path / "stsb-en-dev.csv", PAIRS[3:])
    (data,) = run_json(capsys, "similarity", saved, "--data", german, english, "--resamples", 10)["sets"]
    assert data["languages"] == {"de": 5, "en": 5}
    alone = run_json(capsys, "similarity", model, "--data", german)["sets"][0]["scores"]["original"]["values"]
    assert data["by_language"]["de"]["original"]["values"] == pytest.approx(alone)
    assert list(data["by_language"]) == ["de", "en"]
    assert "LANGUAGE" in run_text(capsys, "similarity", saved, "--data", german, english, "--resamples", 10)
    report = run_json(capsys, "similarity", model, "--data", german, sts)
    assert [data["name"] for data in report["sets"]] == ["stsb-de-dev.csv", "mine.csv"]


@pytest.mark.slow
def test_columns_and_paraphrases(model, saved, tmp_path, capsys):
    path = tmp_path / "odd.tsv"
    rows = [f"{first}\tx\t{second}\t{int(score > 2)}\tfine" for first, second, score in PAIRS]
    path.write_text("\n".join(["left\tid\tright side\tsame\tremark", *rows]) + "\n", encoding="utf-8")
    columns = "first=left,second=right side,gold=same"
    report = run_json(
        capsys, "similarity", saved, "--data", path, "--columns", columns, "--task", "paraphrase", "--resamples", 10
    )
    (data,) = report["sets"]
    assert (data["task"], data["metrics"]) == ("paraphrase", ["best_accuracy", "best_f1", "average_precision"])
    assert set(data["scores"]["compressed"]["thresholds"]) == {"best_accuracy", "best_f1"}
    out = run_text(capsys, "similarity", saved, "--data", path, "--columns", columns, "--resamples", 10)
    assert f"compressed {data['scores']['compressed']['thresholds']['best_f1']:.3f}" in out


def test_columns_may_have_commas_and_equal_signs():
    found = columns_of("first=a, b,second=c=d,gold=3, language=lang")
    assert (found.first, found.second, found.gold, found.language) == ("a, b", "c=d", "3", "lang")


def test_word_lists_are_measured_on_the_tables(model, saved, tmp_path, capsys):
    from subemb.evaluate.data.word_lists import read_words
    from subemb.evaluate.similarity.words import evaluate_words

    path = tmp_path / "words.txt"
    path.write_text("cat dog 7\ncat table 1\nhouse tree 3\nriver green 2\nbird 1\nзебра cat 4\n", encoding="utf-8")
    report = run_json(capsys, "similarity", saved, "--words", path, "--resamples", 100)
    found = evaluate_words(sides(model, saved), read_words(path), 100, 0)
    (words,) = report["words"]
    assert report["sets"] == []  # no demonstration beside what was asked for
    assert words["scores"] == {side: scores.to_dict() for side, scores in found.scores.items()}
    assert (words["pairs_read"], words["pairs"], words["unknown_words"]) == (5, 4, ["зебра"])
    out = run_text(capsys, "similarity", saved, "--words", path, "--resamples", 100)
    assert "of them used; " in out  # --limit was not given
    assert "зебра" in out
    assert "too few fields: 1 (line 5)" in out


@pytest.mark.slow
def test_a_pair_shows_both_cosines_and_what_moved_them(model, saved, capsys):
    from subemb.evaluate.similarity.sentences import pair_on_sides

    sentences = ["the cat sits on the mat", "a dog runs"]
    report = run_json(capsys, "similarity", saved, "--pair", *sentences)
    found = pair_on_sides(sides(model, saved), *sentences)
    (pair,) = report["pairs"]
    assert pair["cosines"] == pytest.approx(found.cosines)
    assert pair["changes"]["compressed"] == pytest.approx(found.cosines["compressed"] - found.cosines["original"])
    first, second = pair["attributions"]["compressed"]["sentences"]
    assert [token["token"] for token in first["tokens"]] == ["[CLS]", *sentences[0].split(), "[SEP]"]
    effects = [token["effect"] for token in second["tokens"]]
    assert effects == pytest.approx(found.attributions["compressed"].second.tokens.tolist())
    out = run_text(capsys, "similarity", saved, "--pair", *sentences, "--moved", "2")
    assert f"{found.cosines['original']:.4f}" in out
    largest = max([*first["tokens"], *second["tokens"]], key=lambda token: abs(token["effect"]))
    listed = out.partition("MOST BY\n")[2].splitlines()
    assert listed[0].split()[0] == largest["token"]
    assert listed[2].startswith("By subspace")
    assert "TOKENS" not in run_text(capsys, "similarity", model, "--pair", *sentences)  # one side moves nothing


@pytest.mark.slow
def test_without_data_the_demonstration_is_taken_and_says_so(model, classifier, capsys):
    (data,) = run_json(capsys, "similarity", model, "--limit", 40)["sets"]
    assert (data["is_demonstration"], data["pairs"]) == (True, 40)
    assert data["pairs_read"] >= 120
    for arguments in (["similarity", model], ["entailment", classifier], ["fill-mask", model, "--tokens", "20"]):
        limit = [] if arguments[0] == "fill-mask" else ["--limit", "20"]
        assert "demonstration material that comes with subemb, not a benchmark" in run_text(capsys, *arguments, *limit)


@pytest.mark.slow
def test_undefined_numbers_are_null_and_said(saved, tmp_path, capsys):
    path = write_pairs(tmp_path / "same.csv", [(first, second, 2.5) for first, second, _ in PAIRS])
    (data,) = run_json(capsys, "similarity", saved, "--data", path, "--resamples", 5)["sets"]
    assert data["scores"]["original"]["values"]["spearman"] is None
    assert "undefined" in run_text(capsys, "similarity", saved, "--data", path, "--resamples", 5)


def test_sentences_of_strangers_stay_text(saved, tmp_path, capsys):
    path = write_pairs(tmp_path / "hostile.csv", [*PAIRS, ("\x1b[2Jthe cat", "a dog\u202e", 1.0)])
    out = run_text(capsys, "similarity", saved, "--data", path, "--resamples", 5, "--moved", "9")
    assert "⟨U+001B⟩[2Jthe cat" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_a_table_of_three_sides_compares_each_with_the_first():
    interval = {"difference": -0.1, "low": -0.2, "high": 0.05, "level": 0.95, "resamples": 9, "seed": 0, "undefined": 0}
    values = {"original": 0.5, "compressed": 0.4, "adapted": None}
    none = {**interval, "difference": None, "low": None, "high": None}
    head, row = scores_table(["SET"], [(["x"], values, {"compressed": interval, "adapted": none})]).splitlines()
    assert head.split("  ")[0] == "SET"
    assert "COMPRESSED DIFFERENCE" in head
    assert "ADAPTED DIFFERENCE" in head
    assert row.split() == ["x", "50.0", "40.0", "undefined", "-10.0", "-20.0", "to", "+5.0", "undefined", "undefined"]


# entailment


def test_entailment_is_that_of_the_library(classifier, nli, capsys):
    from subemb.evaluate.entailment.pairs import evaluate_entailment

    options = ["entailment", classifier, *MILD, "--data", nli, "--resamples", 100, "--flipped", 2]
    report = run_json(capsys, *options)
    original = subemb.load(classifier)
    compressed = subemb.compress(original, subspaces=4, codebook_size=3)
    found = evaluate_entailment(sides_of(original, compressed), read_pairs(nli), resamples=100)
    (data,) = report["sets"]
    names = ("accuracy", "confusion", "difference", "mcnemar", "agreement", "kappa")
    expected = {side: {name: getattr(score, name) for name in names} for side, score in found.scores.items()}
    assert data["scores"] == to_plain(expected)
    flips = found.flips("compressed")
    assert data["flipped_count"] == {"compressed": len(flips)}
    assert len(data["flipped"]["compressed"]) == 2
    assert data["flipped"]["compressed"][0]["probabilities_after"] == list(flips[0].probabilities_after)
    out = run_text(capsys, *options)
    score, test = found.scores["compressed"], found.scores["compressed"].mcnemar
    assert f"{found.scores['original'].accuracy * 100:.1f}" in out
    (row,) = (line.split() for line in out.splitlines() if line.startswith("compressed  all"))
    assert row[2:4] == [str(test.only_first_right), str(test.only_second_right)]
    assert row[-2] == f"{score.agreement * 100:.1f}"
    matrix = [
        line.split()[1:] for line in out.splitlines() if line.split()[:1] and line.split()[0] in LABELS and "->" not in line
    ]
    assert [[int(cell) for cell in line] for line in matrix] == [
        [*found.scores["original"].confusion[place], *score.confusion[place]] for place in range(3)
    ]
    assert f"2 of {len(flips)} listed" in out


@pytest.mark.slow
def test_entailment_by_language(classifier, tmp_path, capsys):
    files = [write_nli(tmp_path / f"xnli.dev.{code}.tsv") for code in ("en", "sw")]
    (data,) = run_json(capsys, "entailment", classifier, *MILD, "--data", *files, "--resamples", 20)["sets"]
    assert data["languages"] == {"en": 72, "sw": 72}
    assert data["by_language"]["sw"]["original"]["accuracy"] == data["scores"]["original"]["accuracy"]
    out = run_text(capsys, "entailment", classifier, *MILD, "--data", *files, "--resamples", 20)
    assert {"sw", "en"} <= {word for line in out.splitlines() for word in line.split()}


@pytest.mark.slow
def test_a_pair_is_judged_by_every_side(classifier, capsys):
    from subemb.evaluate.entailment.engines import engine_for

    report = run_json(capsys, "entailment", classifier, *MILD, "--pair", "the cat sits", "a cat sits")
    (pair,) = report["pairs"]
    expected = engine_for(subemb.load(classifier)).probabilities(["the cat sits"], ["a cat sits"])[0]
    assert pair["labels"] == list(LABELS)
    assert pair["probabilities"]["original"] == pytest.approx(expected.tolist())
    assert list(pair["probabilities"]) == ["original", "compressed"]
    assert f"{expected[0] * 100:.1f} %" in run_text(capsys, "entailment", classifier, "--pair", "the cat sits", "a cat sits")


@pytest.mark.slow
def test_a_head_is_named_or_given_as_a_folder(headless, model, nli, tmp_path, capsys):
    from subemb.evaluate.entailment.head_files import save_head

    head = train_quick_head(Path(headless), "for-the-command")
    save_head(head, tmp_path / "head")
    named = run_json(capsys, "entailment", headless, *MILD, "--data", nli, "--head", head.name, "--resamples", 10)
    by_folder = run_json(capsys, "entailment", headless, *MILD, "--data", nli, "--head", tmp_path / "head", "--resamples", 10)
    assert named["sets"][0]["scores"] == by_folder["sets"][0]["scores"]
    assert "for-the-command" in named["engine"]
    assert main(["evaluate", "entailment", model, "--head", head.name]) == 2
    assert "belongs to" in capsys.readouterr().err


# fill-mask


def test_masks_are_filled_as_by_the_library(model, saved, capsys):
    from subemb.evaluate.context.fill import fill

    sentence = "the [MASK] sits on the <mask>"
    report = run_json(capsys, "fill-mask", saved, "--sentence", sentence, "--top", 3)
    found = fill(sides(model, saved), sentence, k=3)
    assert report["texts"] == []
    (filled,) = report["sentences"]
    assert len(filled["masks"]) == 2
    for mask, expected in zip(filled["masks"], found.masks, strict=True):
        assert mask["kl"] == {"original": 0.0, "compressed": pytest.approx(expected.kl[1])}
        assert [one["id"] for one in mask["fillings"]] == [one.token_id for one in expected.fillings]
        assert [one["probabilities"]["compressed"] for one in mask["fillings"]] == pytest.approx(
            [one.probabilities[1] for one in expected.fillings]
        )
    out = run_text(capsys, "fill-mask", saved, "--sentence", sentence, "--top", 3)
    assert f"{found.masks[0].kl[1]:.3f} nats" in out
    assert f"{found.masks[0].top(0)[0].probabilities[0] * 100:.2f} %" in out


@pytest.mark.slow
def test_pseudo_perplexity_is_that_of_the_library(model, saved, text, capsys):
    from subemb.evaluate.context.perplexity import text_perplexity

    report = run_json(capsys, "fill-mask", saved, "--data", text, "--tokens", 30, "--seed", 2)
    found = text_perplexity(sides(model, saved), text.read_text(encoding="utf-8"), most_tokens=30, seed=2)
    (scored,) = report["texts"]
    assert scored["pseudo_perplexity"] == pytest.approx(
        {"original": found.perplexity("original"), "compressed": found.perplexity("compressed")}
    )
    assert scored["differences"]["compressed"] == found.interval("compressed").to_dict()
    assert (scored["tokens"], scored["tokens_masked"]) == (found.tokens, 30)
    out = run_text(capsys, "fill-mask", saved, "--data", text, "--tokens", 30, "--seed", 2)
    assert f"{found.perplexity('compressed'):,.2f}" in out
    assert "30 of them drawn at random" in out


@pytest.mark.slow
def test_a_decoder_says_what_comes_next_and_scores_a_text(folder, text, capsys):
    from checkpoints import make_gpt2

    from subemb.evaluate.context.fill import fill
    from subemb.evaluate.context.perplexity import text_perplexity

    decoder = str(make_gpt2(folder / "decoder", initializer_range=0.3))
    line = (
        "context",
        decoder,
        "-f",
        4,
        "-q",
        8,
        "--next",
        "A small dog",
        "--sentence",
        "A small [MASK] runs",
        "--text",
        text,
        "--top",
        3,
    )
    report = run_json(capsys, *line)
    assert (report["kind"], report["head_note"]) == ("causal", "")
    found = fill({"original": subemb.load(decoder)}, "A small dog", k=3).masks[0].top(0)
    best = [one["id"] for one in report["sentences"][1]["masks"][0]["fillings"] if one["ranks"]["original"] <= 3]
    assert set(best) == {one.token_id for one in found}
    assert (report["sentences"][0]["sentence"], report["sentences"][0]["unread"]) == ("A small", "[MASK] runs")
    expected = text_perplexity({"original": subemb.load(decoder)}, text.read_text(encoding="utf-8"))
    assert report["texts"][0]["perplexity"]["original"] == pytest.approx(expected.perplexity("original"))
    each = run_json(capsys, *line, "--compress", "each")
    assert each["sides"] == ["original", "input only", "output only", "both"]
    assert each["texts"][0]["perplexity"]["both"] == pytest.approx(report["texts"][0]["perplexity"]["compressed"])
    out = run_text(capsys, *line, "--compress", "each")
    assert each["verdict"] in out
    assert "read in windows of 64 tokens that overlap by half" in out


@pytest.mark.slow
def test_either_table_can_be_compressed(saved, capsys):
    found = {
        tables: run_json(capsys, "fill-mask", saved, "--sentence", "the [MASK] sits", "--compress", tables)
        for tables in ("input", "output", "both")
    }
    assert found["input"]["tables"]["compressed"] == {"input": "compressed", "head": "kept as it was"}
    assert found["output"]["tables"]["compressed"]["input"] == "original"
    assert len({report["sentences"][0]["masks"][0]["kl"]["compressed"] for report in found.values()}) == 3


# where a saved result's model lies


@pytest.mark.slow
def test_the_original_is_found_again_where_it_moved(sts, tmp_path, capsys):
    folder, out = make_bert(tmp_path / "moving", initializer_range=0.5), tmp_path / "out"
    assert main(["compress", str(folder), *MILD, "-o", str(out), "--quiet"]) == 0
    before = run_json(capsys, "similarity", out, "--data", sts, "--resamples", 5)
    shutil.move(folder, tmp_path / "elsewhere")
    assert main(["evaluate", "similarity", str(out), "--data", str(sts)]) == 2
    err = capsys.readouterr().err
    assert "cannot be opened" in err
    assert "--model" in err
    moved = run_json(capsys, "similarity", out, "--model", tmp_path / "elsewhere", "--data", sts, "--resamples", 5)
    assert moved["sets"] == before["sets"]
    (tmp_path / "elsewhere" / "tokenizer_config.json").write_text('{"changed": true}', encoding="utf-8")
    weights = tmp_path / "elsewhere" / "model.safetensors"
    shutil.copy(make_bert(tmp_path / "other", initializer_range=0.2) / "model.safetensors", weights)
    assert main(["evaluate", "similarity", str(out), "--model", str(tmp_path / "elsewhere"), "--data", str(sts)]) == 2
    assert "has changed" in capsys.readouterr().err


# what cannot be used

BAD = {
    "no task": ([], "required: TASK"),
    "unknown task": (["sentiment", "MODEL"], "invalid choice: 'sentiment'"),
    "no model": (["similarity"], "MODEL_OR_DIR"),
    "unknown model": (["similarity", "nobody/nothing-here"], "nobody/nothing-here"),
    "missing file": (["similarity", "MODEL", "--data", "not-there.csv"], "not-there.csv is not there"),
    "folder as a file": (["similarity", "MODEL", "--data", "FOLDER"], "is a folder"),
    "no table": (["similarity", "MODEL", "--data", "TEXT"], "not a table"),
    "wrong kind of set": (["similarity", "MODEL", "--data", "NLI"], "graded scores are needed"),
    "scores for entailment": (["entailment", "CLASSIFIER", "--data", "STS"], "labels of entailment are needed"),
    "column that is not there": (
        ["similarity", "MODEL", "--data", "STS", "--columns", "first=a,second=b,gold=c"],
        "no column 'a'",
    ),
    "columns without gold": (["similarity", "MODEL", "--data", "STS", "--columns", "first=a,second=b"], "which column is gold"),
    "columns of a strange name": (["similarity", "MODEL", "--columns", "left=a"], "is not a column"),
    "limit of one": (["similarity", "MODEL", "--data", "STS", "--limit", "1"], "at least 2 pairs"),
    "no resamples": (["entailment", "CLASSIFIER", "--resamples", "0"], "--resamples is 0"),
    "seed below zero": (["similarity", "MODEL", "--data", "STS", "--seed", "-1"], "--seed is -1"),
    "moved below zero": (["similarity", "MODEL", "--moved", "-1"], "--moved is -1"),
    "half a pair": (["similarity", "MODEL", "--pair", "a cat"], "expected 2 arguments"),
    "empty sentence": (["similarity", "MODEL", "--pair", "a cat", " "], "second sentence is empty"),
    "words that are none": (["similarity", "MODEL", "--words", "TEXT"], "word word score"),
    "hub without a split": (["similarity", "MODEL", "--hub", "a/b"], "--split"),
    "split without a hub": (["similarity", "MODEL", "--split", "test"], "--hub ID"),
    "hub without a network": (["similarity", "MODEL", "--hub", "a/b", "--split", "test"], "HF_HUB_OFFLINE"),
    "method of a saved result": (["similarity", "SAVED", "--method", "int8"], "compressed table already"),
    "original of another model": (["similarity", "SAVED", "--model", "CLASSIFIER"], "is not the model"),
    "original of a model": (["similarity", "MODEL", "--model", "MODEL"], "leave --model out"),
    "option that a method has not": (["similarity", "MODEL", "--method", "int8", "-f", "3"], "does not use --subspaces"),
    "more subspaces than axes": (["similarity", "MODEL", "-f", "17"], "from 1 to 16"),
    "counts without a text": (["similarity", "MODEL", "--weights", "counts"], "--text FILE"),
    "no entailment head": (["entailment", "MODEL", "--data", "NLI"], "subemb train-head"),
    "unknown head": (["entailment", "MODEL", "--head", "nowhere"], "'nowhere'"),
    "no masked head": (["fill-mask", "HEADLESS", "--sentence", "a [MASK]"], "models that can: distilbert"),
    "no mask": (["fill-mask", "MODEL", "--sentence", "a cat"], "write [MASK]"),
    "sentence as text": (["fill-mask", "MODEL", "--text", "a [MASK]"], "--sentence"),
    "next word of a masked model": (["context", "MODEL", "--next", "a cat"], "give --sentence with [MASK] in it"),
    "each of no compressed table": (["context", "MODEL", "--sentence", "a [MASK]", "--compress", "each"], "--method"),
    "no fillings": (["fill-mask", "MODEL", "--sentence", "a [MASK]", "--top", "0"], "--top is 0"),
    "no tokens": (["fill-mask", "MODEL", "--tokens", "0"], "--tokens is 0"),
    "empty text": (["fill-mask", "MODEL", "--data", "EMPTY"], "is empty"),
    "text that is not UTF-8": (["fill-mask", "MODEL", "--data", "LATIN"], "not UTF-8"),
    "tables that are none": (["fill-mask", "MODEL", "--compress", "neither"], "invalid choice: 'neither'"),
}


@pytest.mark.slow_after(12)
@pytest.mark.parametrize(("arguments", "expected"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_code_2(
    arguments, expected, model, headless, classifier, saved, sts, nli, text, tmp_path, capsys
):
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    names = {
        "MODEL": model,
        "HEADLESS": headless,
        "CLASSIFIER": classifier,
        "SAVED": saved,
        "STS": str(sts),
        "NLI": str(nli),
        "TEXT": str(text),
        "FOLDER": str(tmp_path),
        "EMPTY": str(tmp_path / "empty.txt"),
        "LATIN": str(tmp_path / "latin.txt"),
    }
    try:
        code = main(["evaluate", *(names.get(argument, argument) for argument in arguments)])
    except SystemExit as left:  # argparse
        code = left.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert expected in err
    assert err.endswith("\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("stage", ["k-means", "compressed"])
def test_ctrl_c_stops_with_130(stage, model, sts, monkeypatch, capsys):
    seen = []
    draw = ProgressLine.__call__

    def interrupted(self, message: Progress):
        seen.append(message.stage)
        if stage in message.stage:
            signal.raise_signal(signal.SIGINT)
        return draw(self, message)

    monkeypatch.setattr(ProgressLine, "__call__", interrupted)
    assert main(["evaluate", "similarity", model, *MILD, "--data", str(sts)]) == 130
    assert capsys.readouterr() == ("", "stopped\n")
    assert stage in seen[-1]


# progress and documentation


@pytest.mark.slow
def test_progress_goes_forward_through_all_stages(model, sts, nli, monkeypatch, capsys):
    fractions = []
    draw = ProgressLine.__call__

    def noted(self, message: Progress):
        fractions.append(message.fraction)
        return draw(self, message)

    monkeypatch.setattr(ProgressLine, "__call__", noted)
    assert main(["evaluate", "similarity", model, *MILD, "--data", str(sts), str(sts), "--resamples", "9"]) == 0
    known = [fraction for fraction in fractions if fraction is not None]
    assert known == sorted(known)
    assert known[-1] == 1.0


def subcommands(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (action,) = (action for action in of._actions if isinstance(action, argparse._SubParsersAction))
    return action.choices


@pytest.mark.parametrize("task", ["similarity", "entailment", "context"])
def test_readme_mentions_every_task_and_option(task, capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Command line\n")[2].partition("\n## ")[0]
    assert f"subemb evaluate {task}" in section
    command = subcommands(subcommands(parser())["evaluate"])[task]
    for action in command._actions:
        for option in action.option_strings:
            assert option in ("-h", "--help") or option in section, f"{option} of subemb evaluate {task} is not in the README"
    with pytest.raises(SystemExit) as left:
        main(["evaluate", task, "--help"])
    assert left.value.code == 0
    assert f"subemb evaluate {task}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_set_in_several_languages_is_read_in_one_unless_said_otherwise(model, tmp_path, capsys):
    rows = "".join(f"{code},word{n} word1,word{n} word2,{n}.5\n" for n in range(4) for code in ("de", "en"))
    path = tmp_path / "two.csv"
    path.write_text(f"language,sentence1,sentence2,score\n{rows}", encoding="utf-8")
    (data,) = run_json(capsys, "similarity", model, "--data", str(path))["sets"]
    assert data["languages"] == {"en": 4}
    note = next(note for note in data["notes"] if note["about"] == "language")
    assert "Only the 4 pairs in en are used, of 8 in 2 languages" in note["text"]
    assert "--languages" in note["otherwise"]
    assert "Columns read: sentence1, sentence2, score, language." in run_text(capsys, "similarity", model, "--data", str(path))
    (data,) = run_json(capsys, "similarity", model, "--data", str(path), "--languages", "all")["sets"]
    assert data["languages"] == {"de": 4, "en": 4}
    (data,) = run_json(capsys, "similarity", model, "--data", str(path), "--languages", "de")["sets"]
    assert data["languages"] == {"de": 4}


@pytest.mark.slow
def test_what_is_inferred_is_said_and_can_be_said_otherwise(model, tmp_path, capsys):
    path = tmp_path / "one.csv"
    path.write_text(
        "sentence1,sentence2,label\nword1 word2,word3,1\nword4,word5 word6,0\nword7,word8 word9,0\n", encoding="utf-8"
    )
    (data,) = run_json(capsys, "similarity", model, "--data", str(path))["sets"]
    assert data["columns"] == {"first": "sentence1", "second": "sentence2", "gold": "label", "language": None}
    said = [note["text"] for note in data["notes"] if note["about"] == "paraphrases"]
    assert said == ["Labels are numbers, read as 1 paraphrase, 0 no paraphrase"]
    labels = ("--labels", "0=paraphrase,1=not_paraphrase")
    (data,) = run_json(capsys, "similarity", model, "--data", str(path), *labels)["sets"]
    assert data["notes"][0]["text"].startswith("Labels are read as you said: 0 paraphrase")
    path.write_text("sentence1,sentence2,label\nword1 word2,word3,1\nword4,word5 word6,1\n", encoding="utf-8")
    shown = run_text(capsys, "similarity", model, "--data", str(path))
    assert "All 2 pairs have the same label, 1" in shown
    assert "undefined" in shown
    assert "100.0" not in shown
