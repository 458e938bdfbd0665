"""subemb reproduce on small models: rows that grow, are never measured twice, and say honestly what cannot be told."""

import json
from dataclasses import replace

import numpy as np
import pytest
from checkpoints import SPECIAL, make_bert
from masked_models import trained
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from subemb import load
from subemb.base.errors import Cancelled, InputError
from subemb.cli import main
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.read import demo_pairs
from subemb.reproduce import judge, reproduce
from subemb.reproduce.claim import FAILS, HOLDS, OPEN
from subemb.reproduce.claims import BY_NUMBER, CLAIMS
from subemb.reproduce.rows import CODEBOOKS, FILES, MASKED, TUNED, Cell, ClaimsTable, Sizes
from subemb.reproduce.run import estimated_seconds, planned
from subemb.reproduce.sets import count_sets, material_for

SMALL = Sizes(pairs=30, steps=2, seconds=1.0, seeds=1, tokens=20)


def _pairs(words, count, seed):
    drawn = np.random.default_rng(seed).integers(len(words), size=(count, 2, 4))
    return [tuple(" ".join(words[n] for n in side) for side in pair) for pair in drawn]


def cut(text):
    """Words and marks, as BERT's tokenizer cuts them."""
    return [word for word, _ in BertPreTokenizer().pre_tokenize_str(BertNormalizer().normalize_str(text))]


def _write_sets(folder, words):
    """Files as distributed: what is scored, what is learned from."""
    folder.mkdir(parents=True)
    for name, seed, count in (("sts-dev.csv", 0, 40), ("sts-train.csv", 1, 60)):
        lines = [f"main-news\tx\t2015\t{i}\t{i % 6}.0\t{a}\t{b}" for i, (a, b) in enumerate(_pairs(words, count, seed))]
        (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "wiki").mkdir()
    (folder / "wiki" / "valid.txt").write_text("\n".join(f"{a} {b}" for a, b in _pairs(words, 60, 2)))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small encoder without a masked-word head, sets of its words, and a cache of its own."""
    folder = tmp_path_factory.mktemp("claims")
    words = [f"word{number}" for number in range(300)]
    make_bert(folder / "models" / "small", [*SPECIAL, *words], dim=12)
    _write_sets(folder / "data", words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_MODELS", str(folder / "models"))
        patch.setenv("SUBEMB_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def table(place):
    """All claims of the small encoder."""
    return reproduce(load("small"), place / "data", sizes=SMALL, folder=place / "out")


@pytest.mark.slow
def test_all_rows_are_measured_and_every_claim_has_a_verdict(table):
    assert not table.failed
    assert len(table.done) == table.planned > 10
    found = judge(table)
    assert [one.claim.number for one in found] == list(range(1, 13))
    assert all(one.verdict in (HOLDS, FAILS, OPEN) and one.sentence.endswith((".", "?")) for one in found)


def test_a_model_of_several_languages_is_fine_tuned_on_english_and_adapted_to_its_vocabulary(place):
    pairs = demo_pairs("similarity").by_language()
    words = {
        word for code in ("en", "de") for side in (pairs[code].first, pairs[code].second) for text in side for word in cut(text)
    }
    make_bert(place / "models" / "both", [*SPECIAL, *sorted(words)], dim=12)
    material = material_for(load("both"), place / "data", SMALL)
    assert set(material.languages) == {"en", "de"}
    assert material.text is None
    assert set(material.labelled) == {"similarity"}
    assert material.words is not None
    assert any("scored in every language" in note for note in material.notes)
    settings = CompressionSettings("cluster", subspaces=3).resolve(600, 12)
    learned = [material.learned(Cell(settings, training=TUNED, task=task)) for task in ("similarity", MASKED, "")]
    assert learned == [material.labelled["similarity"], material.words, None]


def test_a_budget_knows_how_many_sets_there_are_before_they_are_read(place):
    model = load("small")
    for folder in (place / "data", None):
        sets = [one for one in material_for(model, folder, SMALL).sets if not one.of]
        assert count_sets(model, folder) == len(sets) > 0
    few, many = (estimated_seconds(model, SMALL, sets=number) for number in (1, 40))
    assert few < many


def test_the_budget_of_a_search_takes_its_seconds_on_any_computer(place, monkeypatch):
    model, sizes = load("small"), replace(SMALL, seconds=100.0)
    fixed = sum(cell.seconds or 0.0 for cell in planned(model, sizes).cells)
    assert fixed >= 100
    found = {}
    for slowness in (0.5, 1.0, 2.0):
        monkeypatch.setattr("subemb.reproduce.run.slowness", lambda now=slowness: now)
        found[slowness] = estimated_seconds(model, sizes)
    assert found[2.0] - fixed == pytest.approx(2 * (found[1.0] - fixed)) == pytest.approx(4 * (found[0.5] - fixed))


@pytest.mark.slow
def test_what_a_model_cannot_do_is_said(table):
    found = {one.claim.number: one for one in judge(table)}
    assert found[8].verdict == OPEN
    assert "masked-word head" in found[8].sentence
    assert found[5].verdict == OPEN
    assert "multilingual" in found[5].sentence


@pytest.mark.slow
def test_no_row_is_measured_twice(place, table):
    again = reproduce(load("small"), place / "data", sizes=SMALL, folder=place / "out")
    assert again.computed == 0
    elsewhere = reproduce(load("small"), place / "data", sizes=SMALL, folder=place / "elsewhere")
    assert elsewhere.computed == 0
    assert [row.key for row in elsewhere.rows] == [row.key for row in table.rows]


@pytest.mark.slow
def test_the_table_is_read_back_as_it_was(table):
    again = ClaimsTable.read(table.folder)
    assert again.facts == table.facts
    for mine, theirs in zip(again.rows, table.rows, strict=True):
        before, after = theirs.flat(), mine.flat()
        assert {name for name in before if str(before[name]) != str(after[name])} == set()
    assert [one.to_dict() for one in judge(again)] == [one.to_dict() for one in judge(table)]


@pytest.mark.slow
def test_rows_that_are_trained_alike_are_compared_pair_by_pair(table):
    rows = [row for row in table.done if row.training == CODEBOOKS]
    assert rows
    assert any(row.versus for row in rows)
    for row in rows:
        for other in table.done:
            for name, one in row.versus.get(other.key, {}).items():
                assert one.difference == pytest.approx(row.scores[name].score - other.scores[name].score, abs=1e-6)


@pytest.mark.slow
def test_a_claim_that_is_stopped_goes_on_where_it_was(place):
    seen = []

    def stop(message):
        seen.extend([message.values["row"]] if "row" in message.values else [])
        return len(seen) > 1

    sizes = Sizes(pairs=20, steps=2, seconds=1.0, seeds=1, tokens=20)
    with pytest.raises(Cancelled):
        reproduce(load("small"), place / "data", only=[2], sizes=sizes, folder=place / "stopped", progress=stop)
    kept = ClaimsTable.read(place / "stopped")
    assert len(kept.done) >= 2
    done = reproduce(load("small"), place / "data", only=[2], sizes=sizes, folder=place / "stopped")
    assert done.computed == len(done.done) - len(kept.done)


def test_nothing_that_is_scored_is_learned_from(place):
    material = material_for(load("small"), place / "data", SMALL)
    dev = (place / "data" / "sts-dev.csv").read_text().splitlines()
    scored = {sentence for line in dev for sentence in line.split("\t")[5:]}
    assert material.text is not None
    assert not scored & set(material.text.sentences)


@pytest.mark.slow
def test_masked_words_have_rows_of_their_own(place, monkeypatch):
    monkeypatch.setenv("SUBEMB_MODELS", str(trained()))
    _write_sets(place / "more", ["cat", "dog", "cow", "says", "moo", "house"])
    table = reproduce(load("animals"), place / "more", only=[8], sizes=SMALL, folder=place / "masked")
    assert not table.failed
    assert {row.on for row in table.done} == {MASKED}
    values = next(row.values for row in table.done if row.training == "untrained")
    assert {"perplexity, original", "perplexity, input only", "perplexity, output only", "perplexity, both"} <= set(values)
    assert judge(table, [8])[0].parts


def test_a_folder_without_sets_is_named(tmp_path, place):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"sts-dev\.csv"):
        reproduce(load("small"), tmp_path, sizes=SMALL, folder=tmp_path / "out")
    with pytest.raises(InputError, match="no folder"):
        reproduce(load("small"), tmp_path / "nowhere", sizes=SMALL, folder=tmp_path / "out")


@pytest.mark.slow
def test_a_folder_of_another_model_is_refused(place, table, monkeypatch):
    monkeypatch.setenv("SUBEMB_MODELS", str(trained()))
    with pytest.raises(InputError, match="another model"):
        reproduce(load("animals"), None, only=[1], sizes=SMALL, folder=table.folder)


def test_the_command_says_verdicts_first(place, capsys):
    line = ["reproduce", "small", "--data", str(place / "data"), "--only", "1,7", "-o", str(place / "line"), "--quiet"]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert out.startswith("small: ")
    assert "of 2 claims hold" in out.splitlines()[0]
    assert "Learned from" not in out  # of what was not asked for nothing is said
    assert "masked: " not in out
    assert all((place / "line" / name).is_file() for name in FILES)
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["number"] for one in found["claims"]] == [1, 7]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--only", "13"], "claims are 1 to 12"),
        (["--minutes", "0"], "more than 0"),
        (["--seeds", "0"], "1 to 100"),
        (["--only", "a"], "no list of claims"),
    ],
)
def test_what_cannot_be_asked_is_said_before_any_work(place, capsys, more, said):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("subemb.load", lambda *args, **kwargs: pytest.fail("it was loaded"))
        try:
            code = main(["reproduce", "small", *more])
        except SystemExit as ended:
            code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_every_claim_says_what_the_paper_says_and_when_it_holds():
    assert [claim.number for claim in CLAIMS] == list(range(1, 13))
    assert all(claim.paper and claim.rule and claim.title for claim in BY_NUMBER.values())
