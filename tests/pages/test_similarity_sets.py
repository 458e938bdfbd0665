"""The tabs Labelled set and Words of the page Similarity, without a browser."""

import re

import numpy as np
import pandas as pd
import pytest
from apps import checked, open_app, own_folders, table_with
from checkpoints import SPECIAL, make_bert
from streamlit.testing.v1 import AppTest

from subemb.base.text import number_text
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.data.read import read_pairs
from subemb.evaluate.data.word_lists import read_words
from subemb.jobs.task import Call
from subemb.runs import run_and_keep
from subemb.tasks.evaluations import evaluate_similarity_set, evaluate_word_list
from subemb.tasks.sides import Subject
from subemb.ui.shell.request import Request

PAGE = "pages/4_Similarity.py"
NAMES = [f"word{number}" for number in range(80)]
SETTINGS = CompressionSettings("product", subspaces=4, codebook_size=4, weights="none", iterations=3)
HOSTILE = "<b>word1</b> **word2** $x$"


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *NAMES], dim=16)
        run = run_and_keep("small", None, SETTINGS.to_dict())
        yield Subject("small", None, run.model["identity"], run.key)


@pytest.fixture
def open_tab(subject):
    def opened(tab: str, **query: str) -> AppTest:
        return checked(open_app(PAGE, Request("small", None, SETTINGS), **({"similarity": tab} | query)))

    return opened


def sts_file(pairs: int = 30, seed: int = 0, languages: bool = False) -> bytes:
    """STS benchmark lines: tab-separated, the score in the fifth field; or a CSV with languages."""
    generator = np.random.default_rng(seed)
    lines = ["language,sentence1,sentence2,score"] if languages else []
    for number in range(pairs):
        first, second = (" ".join(generator.choice(NAMES, 4)) for _ in range(2))
        score = round(float(generator.random() * 5), 2)
        first = HOSTILE if number == 3 else first
        if languages:
            lines.append(f"{('en', 'sw')[number % 2]},{first},{second},{score}")
        else:
            lines.append(f"main-news\tmade\t2026\t{number:04d}\t{score}\t{first}\t{second}")
    lines.append("en,only one field" if languages else "main-news\tmade\t2026\t9999\t\tno score\there")
    return "\n".join(lines).encode()


def uploaded(test: AppTest, content: bytes, name: str = "sts-made.csv") -> AppTest:
    test.file_uploader(key="similarity_set_upload").set_value((name, content, "text/csv"))
    return checked(test.run())


def settled(test: AppTest, call: Call) -> AppTest:
    """Wait for the job of a result, then draw the page again."""
    job = call.job
    assert job is not None, "the button has not begun the work"
    assert job.wait(120)
    return test.run()


def texts(test: AppTest) -> str:
    shown = [*test.markdown, *test.caption, *test.info, *test.warning, *test.header]
    return " ".join(str(element.value) for element in shown).replace("\\", "")  # as a reader sees it, not as markdown


def metrics(test: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in test.metric}


def test_upload_evaluate_read(open_tab, subject):
    test = uploaded(open_tab("Labelled set", similarity_set_source="Your files"), sts_file())
    assert "1 row left out" in texts(test)
    assert re.search(r"30 pairs, 60 distinct sentences, encoded .* about [\d.]+ s", texts(test))
    assert not test.metric, "nothing is computed before the button is pressed"
    call = evaluate_similarity_set.call(subject, read_pairs(sts_file(), "sts-made.csv"))
    test = checked(settled(checked(test.button(key="similarity_set_run").click().run()), call))
    report = call.kept()
    for name, metric in (("Spearman", "spearman"), ("Pearson", "pearson")):
        before, after = (report.scores[side].values[metric] * 100 for side in ("original", "compressed"))
        interval = report.scores["compressed"].differences[metric]
        before, after = (f"{value:.1f}".replace("-", "−") for value in (before, after))
        assert metrics(test)[f"{name}, original"][0] == before
        assert metrics(test)[f"{name}, compressed"][0] == after
        low, high = (f"{'−' if end < 0 else '+'}{abs(end * 100):.1f}" for end in (interval.low, interval.high))
        row = table_with(test, "score x 100").set_index("score x 100").loc[name]
        assert (row["original"], row["compressed"]) == (before, after)
        change = round(float(after.replace("−", "-")) - float(before.replace("−", "-")), 1)
        assert row["difference"] == f"{number_text(change, signed=True)} points (95 % interval {low} to {high})"
        assert metrics(test)[f"{name}, compressed"][1] == number_text(change, signed=True)
    assert "mean of the last hidden states" in texts(test), "how sentences are pooled is said"
    assert metrics(test)["Spearman, original"][1] == "", "the reference has no difference"
    *_, moved = (element.value for element in test.dataframe if "moved" in element.value.columns)
    assert {"sentence 1", "gold", "cosine original", "cosine compressed"} <= set(moved.columns)
    assert HOSTILE in moved["sentence 1"].tolist(), "a cell shows text as it is"
    assert moved["moved"].abs().is_monotonic_decreasing
    assert len(moved) == 30
    assert "rank 1 the most similar" in texts(test)

    columns = ["sentence1", "sentence2", "score"]
    pairs = read_pairs(sts_file(), "sts-made.csv")
    table = pd.DataFrame(dict(zip(columns, (pairs.first, pairs.second, pairs.gold), strict=True))).to_csv(index=False)
    again = uploaded(open_tab("Labelled set", similarity_set_source="Your files"), table.encode(), "mine.csv")
    assert "mine.csv: 30 pairs" in texts(again), "the same pairs in another file: nothing is computed anew"
    assert "Comma-separated table" in texts(again)
    assert "STS benchmark" not in texts(again), "what is said of the file is of the one that was given last"


def test_a_link_shows_another_visitor_the_kept_result(open_tab, subject):
    pairs = read_pairs(sts_file(seed=1), "sts-made.csv")
    evaluate_similarity_set(subject, pairs)
    link = {
        "similarity_set_source": "Your files",
        "similarity_set_file": "sts-made.csv",
        "similarity_set_digest": pairs.digest,
    }
    test = open_tab("Labelled set", **link)
    assert "Spearman, compressed" in metrics(test)
    assert "sts-made.csv: 30 pairs" in texts(test)
    assert test.query_params["similarity_set_digest"] in (pairs.digest, [pairs.digest])
    missing = open_tab("Labelled set", **(link | {"similarity_set_digest": "0" * 16}))
    assert not missing.metric
    assert "give the file to compute them" in texts(missing)


@pytest.mark.slow
def test_paraphrases_and_languages(open_tab, subject):
    generator = np.random.default_rng(3)
    rows = [f"{' '.join(generator.choice(NAMES, 3))}\t{' '.join(generator.choice(NAMES, 3))}\t{n % 2}" for n in range(20)]
    content = "\n".join(["sentence1\tsentence2\tlabel", *rows]).encode()
    evaluate_similarity_set(subject, read_pairs(content, "pawsx.tsv"))
    test = uploaded(open_tab("Labelled set", similarity_set_source="Your files"), content, "pawsx.tsv")
    assert {"Accuracy, original", "F1, compressed", "Average precision, compressed"} <= set(metrics(test))
    assert "best threshold of each side" in texts(test)
    assert "Paraphrase from cosine" in texts(test)

    content = sts_file(languages=True)
    evaluate_similarity_set(subject, read_pairs(content, "two.csv"))
    opened = open_tab("Labelled set", similarity_set_source="Your files", similarity_set_languages="all")
    test = uploaded(opened, content, "two.csv")
    languages = table_with(test, "language", "side", "pairs", "Spearman", "difference")
    assert languages["language"].tolist() == ["English (en)"] * 2 + ["Swahili (sw)"] * 2


@pytest.mark.slow
def test_constant_gold_is_undefined_and_no_crash(open_tab, subject):
    content = "\n".join(f"main\tf\t2015\t{n}\t3.0\tword{n} word1\tword{n} word2" for n in range(6)).encode()
    evaluate_similarity_set(subject, read_pairs(content, "flat.csv"))
    test = uploaded(open_tab("Labelled set", similarity_set_source="Your files"), content, "flat.csv")
    assert metrics(test)["Spearman, original"][0] == "undefined"
    assert "a correlation needs at least two different gold values" in texts(test)


@pytest.mark.slow
def test_words_typed_and_linked(open_tab, subject):
    typed = "word1 word2 3\nword3 word4 7.5\nword5 WORD6 1\nword7 unseen 4\nbroken line without score\nword8 word9 6\nword10 word11 2"
    digest = read_words(typed.encode(), "typed words").digest
    test = open_tab("Words")
    assert test.text_area(key="word_similarity_text").value.startswith("car automobile "), "there is something to try it with"
    assert not test.metric  # this model has none of these words
    test.text_area(key="word_similarity_text").set_value(typed)
    test.button(key="word_similarity_run").click()
    test = checked(settled(checked(test.run()), evaluate_word_list.call(subject, digest)))
    assert "typed words: 5 word pairs" in texts(test)
    assert re.search(r"1[01] are one token", texts(test))
    assert "1 word unknown" in texts(test)
    assert {"Spearman, original table", "Spearman, compressed table"} == set(metrics(test))
    table = table_with(test, "word 1", "word 2", "pieces 1", "moved")
    assert "WORD6" in table["word 2"].tolist()
    again = open_tab("Words", words=digest)
    assert metrics(again) == metrics(test)
    gone = open_tab("Words", words="0" * 16)
    assert "not kept on this server" in texts(gone)


@pytest.mark.slow
def test_bad_word_lists_are_told(open_tab, subject):
    for given, said in (
        ("", "there is no list yet"),
        ("one two", "at least 2 lines"),
        ("ζ ξ 1\nψ ω 2", "knows both words of 0"),
    ):
        test = open_tab("Words")
        test.text_area(key="word_similarity_text").set_value(given)
        test.button(key="word_similarity_run").click()
        test.run()
        if "knows" in said:
            settled(test, evaluate_word_list.call(subject, read_words(given.encode(), "typed words")))
        assert not test.exception
        assert said in " ".join(box.value.replace("\\", "") for box in test.error)


@pytest.mark.slow
def test_words_of_an_upload(open_tab, subject):
    content = b"Word 1,Word 2,Human (mean)\nword1,word2,3\nword3,word4,7\nword5,word6,1\n"
    evaluate_word_list(subject, read_words(content, "combined.csv"))
    test = open_tab("Words")
    test.file_uploader(key="word_similarity_file").set_value(("combined.csv", content, "text/csv"))
    test.button(key="word_similarity_run").click()
    checked(test.run())
    assert "combined.csv: 3 word pairs" in texts(test)
