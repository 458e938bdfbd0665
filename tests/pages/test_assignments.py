"""The page Assignments, without a browser."""

import re

import pytest
from apps import html_of, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import SPECIAL, make_bert
from streamlit.testing.v1 import AppTest

from subemb import runs
from subemb.codec.settings import CompressionSettings
from subemb.models.load import load_listed
from subemb.runs import run_and_keep
from subemb.ui.shell.request import Request, to_query

PAGE = "pages/2_Assignments.py"
WORDS = ["king", "queen", "kings", *(f"word{number}" for number in range(300))]
RUNS = {
    "cluster": CompressionSettings("cluster", iterations=3),
    "product": CompressionSettings("product", subspaces=2, codebook_size=4, iterations=3),
    "wide": CompressionSettings("product", subspaces=12, codebook_size=4, iterations=2),
    "residual": CompressionSettings("residual", subspaces=2, codebook_size=8, iterations=2),
    "int8": CompressionSettings("int8"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *WORDS], dim=12)
        for settings in RUNS.values():
            run_and_keep("small", None, settings.to_dict())
        yield folder


@pytest.fixture
def open_page(models):
    def opened(run: str = "cluster", **query: str) -> AppTest:
        test = open_app(PAGE, Request("small", None, RUNS[run]), **query)
        assert not test.exception
        assert not test.error, [box.value for box in test.error]
        return test

    return opened


def test_a_token_with_its_neighbours_and_sharers(open_page):
    test = open_page(token="queen")
    html = html_of(test)
    assert "the chosen token" in html
    assert "Original table: the 10 nearest tokens" in html
    assert "After compression: the 10 nearest tokens" in html
    sharers = table_with(test, "nearest")
    assert sharers["subspace"].tolist() == [0, 1, 2]
    assert (sharers["tokens"] >= 0).all()
    assert "id 6 · whole word" in texts(test)  # after five special tokens and "king"


def test_neighbours_that_collide_are_not_told_as_lost(open_page):
    """16 tuples for 308 tokens: most of what is near after compression is equally near, and ids must not decide."""
    run = runs.RUNS.get(run_and_keep("small", None, RUNS["product"].to_dict()).key)
    model, rebuilt = load_listed("small"), runs.reconstruction_of(run.key)
    for chosen in range(5, model.num_tokens):
        before, after = ((rows @ rows[chosen]) / (rows.norm(dim=1) * rows[chosen].norm()) for rows in (model.table, rebuilt))
        before[chosen] = after[chosen] = -2
        tenth = after.topk(10).values[-1] - 1e-6
        if int((after >= tenth).sum()) > 10:
            break
    test = open_page("product", token=f"#{chosen}")
    kept = int((after[before.topk(10).indices] >= tenth).sum())
    assert f"**{kept} of 10** neighbours are kept (on average " in texts(test)
    assert re.search(r"neighbours are kept \(on average \d+\.\d, of (all|[\d,]+) tokens", texts(test))
    assert "each counts as near" in texts(test)
    table = table_with(test, "list", "kept")
    assert table[table["list"] == "Original table"]["kept"].sum() == kept


def test_the_first_token_is_a_common_word(open_page):
    assert "**king**" in texts(open_page())


def test_a_row_number_names_a_token(open_page):
    assert "id 7 ·" in texts(open_page(token="#7"))


def test_a_word_that_is_no_token_points_to_the_sentence(open_page):
    assert "No token of this model contains" in texts(open_page(token="zebra**"))


def test_typing_another_token(open_page):
    test = open_page(token="king")
    assert test.selectbox(key="match").options[:2] == ["king  ·  #5", "kings  ·  #7"]
    test.text_input(key="token").set_value("word12").run()
    assert "**word12**" in texts(test)
    assert not test.exception


def test_many_subspaces_are_drawn_under_each_other(open_page):
    html = html_of(open_page("wide", token="queen"))
    assert "sb-wrap" in html
    assert html.count('scope="col">11<') == 2  # the last subspace, in both drawings


def test_a_sentence_token_by_token(open_page):
    test = open_page(view="Sentence", sentence="king queen zebra king")
    assert "Drawn: **6 tokens**" in texts(test)
    table = table_with(test, "position")
    assert table["token"].tolist() == ["[CLS]", "king", "queen", "[UNK]", "king", "[SEP]"]
    codes = table[["subspace 0", "subspace 1", "subspace 2"]].to_numpy()
    assert (codes[1] == codes[4]).all()  # the same token, the same codes


def test_a_long_sentence_is_cut_and_says_so(open_page):
    test = open_page(view="Sentence")
    test.text_area(key="sentence_text").set_value("king " * 100_000).run()
    assert len(test.text_area(key="sentence_text").value) == 2000
    assert "500,000 characters were given; the first 2,000 are kept." in texts(test)
    assert "the first 128 of 402 tokens" in texts(test)
    assert len(test.query_params["sentence"]) <= 2000 or len(test.query_params["sentence"][0]) <= 2000
    assert not test.exception


def test_an_empty_sentence_says_what_to_do(open_page):
    test = open_page(view="Sentence")
    test.text_area(key="sentence_text").set_value("   ").run()
    assert "Type a sentence" in texts(test)


def test_a_codeword_with_all_its_tokens(open_page):
    test = open_page("product", view="Codewords", subspace="1", code="2")
    members = table_with(test, "distance")
    assert members["distance"].is_monotonic_increasing
    assert f"**{len(members)}** of 308 tokens" in texts(test)


def test_a_link_to_a_code_beyond_this_run_still_opens(open_page):
    test = open_page("product", view="Codewords", subspace="77", code="400")
    assert test.number_input(key="subspace").value <= 1
    assert test.number_input(key="code").value <= 3


def test_usage_of_every_subspace(open_page):
    test = open_page("product", view="Usage")
    table = table_with(test, "entropy, bits")
    assert len(table) == 2
    assert (table["entropy, bits"] <= 2).all()
    counts = table_with(test, "rank")
    assert counts["tokens"].sum() == 308


def test_collisions_are_listed_with_their_distance(open_page):
    test = open_page("product", view="Collisions")
    table = table_with(test, "mean distance")
    assert (table["size"] >= 2).all()
    assert table["size"].is_monotonic_decreasing
    assert (table["mean distance"] <= table["largest distance"] + 1e-6).all()
    assert "share their whole tuple" in texts(test)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("query", "said"),
    [({"neighbours": "999"}, "neighbours=999"), ({"view": "Nonsense"}, "view=Nonsense"), ({"neighbours": "15"}, None)],
)
def test_what_a_link_asks_of_a_widget_that_cannot_have_it_is_named(open_page, query, said):
    test = open_page(**query)
    named = [box.value.replace("\\", "") for box in test.warning]
    assert [said in text for text in named] == ([True] if said else [])
    if "neighbours" in query and said:
        test.run()
        assert test.warning  # until it is changed
        test.slider(key="neighbours").set_value(20).run()
        assert not test.warning


def test_no_collisions_is_said(open_page):
    assert "all 308 tokens have a tuple of their own" in texts(open_page(view="Collisions"))


def test_the_whole_table_and_its_search(open_page):
    test = open_page(view="All tokens")
    assert len(table_with(test, "spelling")) == 308
    test.text_input(key="search").set_value("king").run()
    assert table_with(test, "spelling")["token"].tolist() == ["king", "kings"]
    test.text_input(key="search").set_value("zebra").run()
    assert "No token contains" in texts(test)


def test_residual_speaks_of_stages(open_page):
    assert "token \\ stage" in html_of(open_page("residual"))


def test_methods_without_codes_say_what_to_do(open_page):
    test = open_page("int8")
    assert "keeps no codes" in texts(test)
    assert "**Cluster (unique)**" in texts(test)
    assert not test.main.get("html")


def test_a_link_that_was_not_computed_says_what_to_do(models):
    test = AppTest.from_file("../../app.py", default_timeout=60)
    test.switch_page(PAGE)
    test.query_params.update(to_query(Request("small", None, CompressionSettings("product", subspaces=5, codebook_size=3))))
    test.run()
    assert not test.exception
    assert "has not been computed on this server yet" in texts(test)
    test.button(key="empty_run").click().run()
    rerun_until(test, lambda test: "has not been computed" not in texts(test) and "Computing your run" not in texts(test))
    assert not test.exception
    assert test.main.get("html")  # the page's own result
