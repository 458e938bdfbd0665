"""The page How it works, without a browser."""

import re

import pytest
from apps import checked, html_of, open_app, own_folders, rerun_until, texts
from checkpoints import SPECIAL, WORDS, make_bert, make_table
from streamlit.testing.v1 import AppTest

from subemb.codec.settings import CompressionSettings
from subemb.models.load import load_listed
from subemb.runs import run_and_keep
from subemb.ui.pages.lesson.pictures import words_of
from subemb.ui.pages.lesson.steps import STEPS
from subemb.ui.shell.request import Request

PAGE = "pages/0_How_it_works.py"
RUNS = {
    "cluster": CompressionSettings("cluster", iterations=3),
    "int8": CompressionSettings("int8"),
    "residual": CompressionSettings("residual", subspaces=2, codebook_size=8, iterations=2),
    "rotated": CompressionSettings("optimized_product", subspaces=5, codebook_size=4, iterations=2),
    "tiers": CompressionSettings("tiered", tiers="20:exact,20:4x4,*:2x4", iterations=2),
    "low_rank": CompressionSettings("low_rank"),
    "arbitrary": CompressionSettings("arbitrary"),
}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *WORDS], dim=12, initializer_range=0.3)
        make_table(folder / "bare", load_listed("all-MiniLM-L6-v2").table[:40, :8].clone())
        for settings in RUNS.values():
            run_and_keep("small", None, settings.to_dict())
        run_and_keep("bare", None, RUNS["cluster"].to_dict())
        yield folder


def opened(run: str = "cluster", model: str = "small", **query: str) -> AppTest:
    return checked(open_app(PAGE, Request(model, None, RUNS[run]), **query))


def words_on(test: AppTest) -> list[str]:
    """The words that a step says."""
    said = re.findall(r'<div class="le-said">(.*?)</div>', html_of(test))
    assert len(said) == 1, said
    return words_of(re.sub("<.*?>", "", said[0]))


def drawn(test: AppTest) -> AppTest:
    """Once what a step computes is there."""
    return rerun_until(test, lambda test: "le-said" in html_of(test))


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("run", ["cluster", "int8"])
def test_from_the_first_step_to_the_last_in_few_words_each(run):
    test = opened(run)
    for number, step in enumerate(STEPS, 1):
        drawn(test)
        assert [header.value for header in test.header] == [step.title]
        assert test.session_state["step"] == number
        assert 10 <= len(words_on(test)) <= 60, step.title
        assert number == len(STEPS) or "data-lead" in html_of(test), "it leads on to a page"
        if number < len(STEPS):
            checked(test.button(key="step_after").click().run())
    assert test.button(key="step_after").disabled
    checked(test.button(key="step_before").click().run())
    assert test.query_params["step"] == "9"


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("cluster", "cut into"),
        ("int8", "keeps no codes"),
        ("low_rank", "keeps no codes"),
        ("residual", "are added up"),
        ("rotated", "turned first"),
        ("tiers", "cosine"),
        ("arbitrary", "cut into"),
    ],
)
def test_a_token_with_its_real_numbers(run, said):
    test = opened(run, step="8", token="cat")
    assert said in " ".join(words_on(test))
    assert len(words_on(test)) <= 60
    assert re.search(r"\bcat\b", " ".join(words_on(test)))
    row = load_listed("small").table[WORDS.index("cat") + len(SPECIAL)]
    if run != "rotated":
        assert f"{float(row[0]):.3f}".replace("-", "−") in html_of(test) or f"{float(row[0]):.2f}".replace("-", "−") in html_of(
            test
        )


def test_a_word_that_is_no_token_is_said():
    assert "No token of this model contains zebra" in texts(opened(step="8", token="zebra"))


def test_a_sentence_moves_and_its_tokens_are_named():
    test = drawn(opened(step="9", sentence="the cat sits"))
    assert re.search(r"\d+°", html_of(test))
    assert all(f"<bdi>{token}</bdi>" in html_of(test) for token in ("the", "cat", "sits"))


def test_without_a_network_a_token_stands_in_for_the_sentence():
    test = opened(model="bare", step="9")
    assert "cannot encode sentences" in " ".join(words_on(test))
    assert len(words_on(test)) <= 60


def test_the_first_question_is_checked():
    test = opened(step="4")
    checked(test.pills(key="collide").set_value(["cat", "bus"]).run())
    assert "they differ in piece 0 and 1 and 2" in texts(test)
    checked(test.pills(key="collide").set_value(["dog", "cat"]).run())
    assert "both are" in test.success[0].value


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(("answer", "said"), [(81, "Yes"), (72, "codebooks alone"), (108, "2 bits"), (288, "original table")])
def test_the_second_question_is_checked(answer, said):
    test = opened(step="6")
    checked(test.pills(key="bytes").set_value(answer).run())
    assert said in texts(test)
    assert bool(test.success) == (answer == 81)


def test_the_code_of_a_step_is_shown():
    html = html_of(opened(step="5", source="true"))
    assert "linear_sum_assignment(prices)" in html
    assert html.count("le-on") > 2


def test_a_step_that_is_not_there_is_named():
    test = opened(step="77")
    assert "step=77" in " ".join(box.value.replace("\\", "") for box in test.warning)
