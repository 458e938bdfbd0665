"""The tabs "A pair" and "Lists" of the page Similarity, without a browser."""

import re

import pytest
from apps import checked, html_of, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import HOSTILE, SPECIAL, WORDS, make_bert, make_table
from streamlit.testing.v1 import AppTest

from subemb.codec.settings import CompressionSettings
from subemb.models.load import load_listed
from subemb.runs import run_and_keep
from subemb.ui.shell.request import Request

PAGE = "pages/4_Similarity.py"
RUNS = {
    "product": CompressionSettings("product", subspaces=2, codebook_size=4, iterations=2),
    "int8": CompressionSettings("int8"),
}
FIRST, SECOND = "the cat sits on the mat", "a small dog runs"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *WORDS, *HOSTILE, *'<>&"'], initializer_range=0.3)
        make_table(folder / "bare", load_listed("all-MiniLM-L6-v2").table[:45, :8].clone())
        make_table(folder / "words", load_listed("all-MiniLM-L6-v2").table[:45, :8].clone(), [*SPECIAL, *WORDS])
        for name in ("small", "bare", "words"):
            run_and_keep(name, None, RUNS["product"].to_dict())
        run_and_keep("small", None, RUNS["int8"].to_dict())
        yield folder


@pytest.fixture
def open_page(models):
    def opened(model: str = "small", run: str = "product", **query: str) -> AppTest:
        test = open_app(PAGE, Request(model, None, RUNS[run]), timeout=90, **query)
        return settled(test)

    return opened


def settled(test: AppTest) -> AppTest:
    """Until no job is under way: a page under test is not polled."""
    return checked(rerun_until(test, lambda test: not any(button.label == "Cancel" for button in test.main.button)))


def query(test: AppTest, name: str) -> str | None:
    value = test.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def press(test: AppTest, label: str) -> AppTest:
    next(button for button in test.main.button if button.label == label).click().run()
    return settled(test)


# A pair


def test_an_example_pair_is_compared_at_once(open_page):
    test = open_page()
    labels = [metric.label for metric in test.metric]
    assert labels == ["Cosine, original", "Cosine, compressed"]
    before, after = (float(metric.value.replace("−", "-")) for metric in test.metric)
    assert float(test.metric[1].delta.replace("−", "-")) == pytest.approx(after - before, abs=2e-3)
    assert test.metric[0].delta == "the reference"
    assert html_of(test).count('class="te-bar"') == 2
    assert "Exact: for each token" in texts(test)
    assert query(test, "first") is None  # an example is not written to the link


def test_the_link_names_the_pair_and_its_tokens_are_shown(open_page):
    test = open_page(first=FIRST, second=SECOND)
    table = table_with(test, "effect")
    assert table["token"].tolist() == ["[CLS]", *FIRST.split(), "[SEP]", "[CLS]", *SECOND.split(), "[SEP]"]
    assert table["sentence"].tolist() == [1] * 8 + [2] * 6
    assert {"subspace 0", "subspace 1", "id", "kind"} <= set(table.columns)
    assert (table["effect"].abs() > 1e-5).any()
    html = html_of(test)
    assert html.count("<li ") == 14
    assert "[CLS]" in html
    blocks = table_with(test, "in the first sentence alone")
    assert blocks["last axis"].tolist() == [7, 15]
    assert "mean of the last hidden states" in texts(test)
    assert query(test, "first") == FIRST


def test_the_parts_of_the_change_are_told_and_add_up(open_page):
    test = open_page(first=FIRST, second=SECOND)
    before, after, change = (
        float(text.replace("−", "-")) for text in (test.metric[0].value, test.metric[1].value, test.metric[1].delta)
    )
    assert before + change == pytest.approx(after, abs=1e-9)
    said = texts(test)
    assert (
        f"{'raises' if change > 0 else 'lowers'} the cosine by **{abs(change):.{len(test.metric[0].value.split('.')[1])}f}**"
        in said
    )
    assert re.search(r"moves? (away from|towards) the", said)
    assert re.search(r"it most: |No single token decides", said)
    assert "One subspace at a time they add up to" in said


@pytest.mark.slow
def test_typing_another_pair(open_page):
    test = open_page(first=FIRST, second=SECOND)
    test.text_area(key="pair_first").set_value("the river is green")
    press(test, "Compare")
    assert query(test, "first") == "the river is green"
    assert "river" in html_of(test)
    table = table_with(test, "effect")
    assert table["token"].tolist()[:6] == ["[CLS]", "the", "river", "[UNK]", "green", "[SEP]"]


def test_an_example_can_be_loaded(open_page):
    test = open_page(first=FIRST, second=SECOND)
    box = test.selectbox(key="pair_example")
    assert len(box.options) >= 100
    box.set_value(3).run()
    settled(test)
    first, second = (test.text_area(key=key).value for key in ("pair_first", "pair_second"))
    assert first[:20] in box.options[3]
    assert query(test, "first") == first
    assert query(test, "second") == second


def test_a_method_without_subspaces_shows_runs_of_axes(open_page):
    test = open_page(run="int8", first=FIRST, second=SECOND)
    assert "equal runs of axes are shown" in texts(test)
    assert len(table_with(test, "run of axes")) == 8


@pytest.mark.slow
def test_a_cut_off_sentence_is_told(open_page):
    test = open_page(first="a " * 120, second=SECOND)
    assert "The model reads the first 64 tokens of this sentence, special tokens included; it would have 122." in texts(test)


@pytest.mark.slow
def test_a_long_sentence_waits_for_the_button(open_page):
    test = open_page(first="the cat " * 100, second=SECOND)
    assert "press **Compare** to start" in texts(test)
    assert not test.metric
    press(test, "Compare")
    assert len(test.metric) == 2


@pytest.mark.slow
def test_a_pasted_book_is_cut_and_says_so(open_page):
    test = open_page(second=SECOND)
    test.text_area(key="pair_first").set_value("the cat " * 1_250_000)  # 10 MB
    press(test, "Compare")
    assert "The first sentence has 10,000,000 characters; the first 2,000 are kept." in texts(test)
    assert len(test.text_area(key="pair_first").value) == 2000
    assert len(test.metric) == 2


@pytest.mark.slow
def test_a_text_too_long_for_the_link_is_not_in_it(open_page):
    test = open_page()
    test.text_area(key="pair_first").set_value("стол " * 300)  # 9 kB of percent signs
    press(test, "Compare")
    assert query(test, "first") is None
    assert "does not carry the text" in texts(test)


def test_an_empty_sentence_says_what_to_do(open_page):
    test = open_page(first="  ", second=SECOND)
    assert "Write a first sentence" in texts(test)


def test_hostile_tokens_are_escaped(open_page):
    test = open_page(
        first="<b>x</b> <img src=x onerror=alert(1)> $x$ :smile:", second="<script>document.title='owned'</script>"
    )
    html = html_of(test)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;" in html


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(("model", "words"), [("bare", "comes without a tokenizer"), ("words", "cannot encode sentences")])
@pytest.mark.parametrize("tab", ["A pair", "Lists"])
def test_a_bare_table_says_what_to_do(open_page, model, words, tab):
    test = open_page(model=model, similarity=tab, first=FIRST, second=SECOND)
    if tab == "Lists" and model == "words":
        press(test, "Compare the lists")
    assert words in texts(test)
    assert "all-MiniLM-L6-v2" in texts(test)
    assert not test.metric


# Lists


@pytest.mark.slow
def test_lists_wait_for_the_button(open_page):
    test = open_page(similarity="Lists")
    assert not test.get("plotly_chart")
    assert len(test.text_area(key="lists_first").value.splitlines()) == 8
    press(test, "Compare the lists")
    assert len(test.get("plotly_chart")) == 3
    nearest = table_with(test, "nearest changed")
    assert len(nearest) == 8
    assert "of 8** sentences have another nearest sentence" in texts(test)


@pytest.mark.slow
def test_a_list_against_itself(open_page):
    test = open_page(similarity="Lists", list1="the cat\n\na dog\nthe river", list2=" ")
    press(test, "Compare the lists")
    nearest = table_with(test, "nearest changed")
    assert nearest["sentence"].tolist() == ["1 · the cat", "2 · a dog", "3 · the river"]
    assert (nearest["sentence"] != nearest["nearest, original"]).all()
    differences = table_with(test, "change", "first", "second")
    assert len(differences) == 3  # each pair once
    assert differences["change"].abs().is_monotonic_decreasing
    ranks = [element.value for element in test.dataframe if "rank moved" in element.value.columns]
    assert ranks or "Every sentence ranks the others as before." in texts(test)


@pytest.mark.slow
def test_more_sentences_than_the_limit_are_cut_and_counted(open_page):
    test = open_page(similarity="Lists", list1="the cat", list2="a dog")
    test.text_area(key="lists_first").set_value("\n".join(f"the cat {number}" for number in range(250)))
    press(test, "Compare the lists")
    assert "The first list has 250 sentences; the first 200 are compared." in texts(test)
    assert len(table_with(test, "nearest changed")) == 200


def test_a_single_sentence_against_itself_is_refused(open_page):
    test = open_page(similarity="Lists", list1="the cat", list2=" ")
    next(button for button in test.main.button if button.label == "Compare the lists").click().run()
    assert "needs at least 2 sentences" in test.error[0].value.replace("\\", "")


def test_a_sentence_too_long_for_a_list_is_named(open_page):
    test = open_page(similarity="Lists", list2="a dog")
    test.text_area(key="lists_first").set_value("the cat\n" + "x" * 2500)
    next(button for button in test.main.button if button.label == "Compare the lists").click().run()
    assert "sentence 2, has 2,500 characters" in test.error[0].value.replace("\\", "")
