"""Choosing labelled pairs on a page: demonstration set, files, hub; what the URL says about it."""

import io
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared import shared_path
from streamlit.testing.v1 import AppTest

from subemb.evaluate.data.hub import read_hub_pairs
from subemb.evaluate.data.read import demo_pairs, read_pairs
from subemb.ui.widgets.pairs_source import default_languages

SCORED = b"sentence1\tsentence2\tscore\n" + b"".join(f"A {n}\tB {n}\t{n / 10}\n".encode() for n in range(2500))
ODD = b"who,left,right,draft,final\nx,A.,B.,1,5\ny,C.,D.,3,4\nz,E.,F.,2,1\n"


def script(task):
    from types import SimpleNamespace

    import streamlit as st

    from subemb.ui.shell.text import errors_shown
    from subemb.ui.shell.visit import this_visit
    from subemb.ui.widgets.pairs_source import choose_pairs, linked_digest

    model = SimpleNamespace(has_tokenizer=False)
    pairs = choose_pairs(SimpleNamespace(visit=this_visit(), errors=errors_shown, model=model, run=model), task, "set")
    st.session_state["chosen"], st.session_state["linked"] = pairs, linked_digest("set")


def page(task="similarity", **query) -> AppTest:
    """The page of a visitor who comes by a link with these parameters."""
    app = AppTest.from_function(script, args=(task,), default_timeout=60)
    for name, value in query.items():
        app.query_params[f"set_{name}"] = value
    return app.run()


def chosen(app):
    return app.session_state["chosen"]


def give(app, *files):
    app.file_uploader(key="set_upload").set_value([(name, content, "") for name, content in files]).run()
    assert not app.exception
    return app


def texts(app) -> str:
    shown = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return re.sub(r"\\|\u2060", "", "\n".join(element.value for element in shown))


def query(app, name):
    value = app.query_params.get(f"set_{name}")
    return value[0] if isinstance(value, list) else value


@pytest.mark.parametrize("task", ["similarity", "entailment"])
def test_the_demonstration_set_is_offered_first(task):
    app = page(task)
    assert not app.exception
    assert not app.error
    whole = demo_pairs(task)
    assert chosen(app) == whole.select([code == "en" for code in whole.languages])
    assert "not a benchmark" in texts(app)
    assert f"Only the {len(chosen(app))} pairs in en are used, of {len(whole)} in 6 languages" in texts(app)


@pytest.mark.parametrize(("own", "read"), [(("en",), ()), (("de",), ("de",)), (("en", "de"), ("en", "de"))])
def test_a_set_is_read_in_the_languages_that_the_tokenizer_writes_in_whole_pieces(own, read):
    pairs = demo_pairs("similarity")
    texts_of = {text for code, part in pairs.by_language().items() if code in own for text in (*part.first, *part.second)}

    class Model:
        has_tokenizer, identity, tokenizer = True, f"model for {own}", None

        def token_ids(self, texts, whole):
            return [list(range(len(text) // (5 if text in texts_of else 1))) for text in texts]

    assert default_languages(Model(), pairs) == read


def test_languages_can_be_chosen():
    app = page()
    app.multiselect(key="set_languages").set_value(["all"]).run()
    assert chosen(app) == demo_pairs("similarity")
    assert f"All {len(demo_pairs('similarity'))} pairs are used" in texts(app)
    app.multiselect(key="set_languages").set_value(["de"]).run()
    assert set(chosen(app).languages) == {"de"}
    assert f"{len(chosen(app))} of {len(demo_pairs('similarity'))} pairs, the languages chosen" in texts(app)


def test_an_upload_is_read_and_described():
    app = give(page(source="Your files"), ("pairs.tsv", SCORED))
    assert "pairs.tsv · Tab-separated table · similarity, graded scores · 2,500 pairs" in texts(app).replace("**", "")
    assert "2,000 of 2,500 pairs, seed 0" in texts(app)
    assert chosen(app) == read_pairs(SCORED, "pairs.tsv").sample(2000, 0)
    app.selectbox(key="set_limit").set_value(0).run()
    assert len(chosen(app)) == 2500
    app.selectbox(key="set_limit").set_value(500).run()
    app.number_input(key="set_seed").set_value(7).run()
    assert chosen(app) == read_pairs(SCORED, "pairs.tsv").sample(500, 7)
    assert not app.exception


def test_the_real_file_is_recognised():
    path = shared_path("data/stsb/sts-dev.csv")
    app = give(page(source="Your files"), (path.name, path.read_bytes()))
    assert "STS benchmark · similarity, graded scores · 1,500 pairs" in texts(app)
    assert chosen(app) == read_pairs(path)


@pytest.mark.slow
def test_rows_left_out_are_shown():
    app = give(page(source="Your files"), ("x.tsv", SCORED + b"A\tB\t\nC\t\t1\n"))
    assert "2 rows left out. blank score: 1 (line 2,502); empty sentence: 1 (line 2,503)" in texts(app)


def test_columns_can_be_corrected():
    app = give(page(source="Your files"), ("odd.csv", ODD))
    assert chosen(app).gold.tolist() == [5.0, 4.0, 1.0]
    assert "The score or label is read from 'final'" in texts(app)
    next(box for box in app.selectbox if box.label == "Score or label").set_value("draft").run()
    assert chosen(app).gold.tolist() == [1.0, 3.0, 2.0]
    next(box for box in app.selectbox if box.label == "Second sentence").set_value("who").run()
    assert chosen(app).second == ("x", "y", "z")
    next(box for box in app.selectbox if box.label == "Language").set_value("right").run()
    app.multiselect(key="set_languages").set_value(["all"]).run()
    assert chosen(app).languages == ("B.", "D.", "F.")
    assert not app.exception


def test_columns_that_cannot_be_guessed_are_asked_for():
    content = b"left,right,remark\nA b c.,D e f.,good\nG h.,I j.,bad\n"
    app = give(page(source="Your files"), ("x.csv", content))
    assert chosen(app) is None
    assert "could not be found. Its columns are 1 to 3 (no header)" in texts(app)
    assert any("say which ones to read" in expander.label for expander in app.expander)


def test_several_files_are_taken_together():
    content = b"premise\thypothesis\tlabel\nA.\tB.\tneutral\nC.\tD.\tentailment\n"
    app = give(
        page("entailment", source="Your files"),
        *[(f"xnli.dev.{code}.tsv", content.replace(b"A.", code.encode())) for code in ("de", "sw")],
    )
    assert chosen(app).languages == ("de", "de", "sw", "sw")
    assert chosen(app).labels == ("entailment", "neutral", "contradiction")
    assert "languages de, sw" in texts(app)


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_used():
    app = give(page(source="Your files"), ("good.tsv", SCORED), ("bad.tsv", b"\xff\x00\x01"))
    assert "bad.tsv is not a text file" in texts(app)
    assert "1 of 2 files are used" in texts(app)
    assert chosen(app).name == "good.tsv"


@pytest.mark.slow
def test_sets_of_two_kinds_are_refused():
    binary = b"sentence1\tsentence2\tscore\nA\tB\t1\nC\tD\t0\n"
    app = give(page(source="Your files"), ("good.tsv", SCORED), ("other.tsv", binary))
    assert "cannot be put together" in texts(app)
    assert chosen(app) is None
    app = give(page("entailment", source="Your files"), ("scored.tsv", SCORED))
    assert "labels of entailment are needed" in texts(app)


def test_a_name_from_a_stranger_stays_text():
    name = "**bold** :smile: $x$ <b>.tsv"
    app = give(page(source="Your files"), (name, SCORED))
    shown = next(element.value for element in app.markdown if "tsv" in element.value)
    assert "**bold**" not in shown
    assert "\\*\\*bold\\*\\*" in shown
    assert query(app, "file") == name


def test_parquet_is_taken():
    stream = io.BytesIO()
    pq.write_table(pa.table({"sentence1": ["A", "B"], "sentence2": ["C", "D"], "score": [1.0, 2.5]}), stream)
    assert len(chosen(give(page(source="Your files"), ("x.parquet", stream.getvalue())))) == 2


# Links


@pytest.mark.slow
def test_the_url_names_the_file_and_its_digest():
    app = give(page(source="Your files", limit="200"), ("pairs.tsv", SCORED))
    pairs = chosen(app)
    assert len(pairs) == 200
    assert (query(app, "file"), query(app, "digest")) == ("pairs.tsv", pairs.digest)
    app.segmented_control(key="set_source").set_value("Demonstration set").run()
    assert (query(app, "file"), query(app, "digest")) == (None, None)
    app.segmented_control(key="set_source").set_value("Your files").run()
    assert "Given before: pairs.tsv" in texts(app), "what was uploaded is kept while other sources are looked at"
    assert chosen(app) == pairs
    app.button(key="set_remove").click().run()
    assert chosen(app) is None


@pytest.mark.slow
def test_a_link_to_a_file_asks_for_it():
    digest = read_pairs(SCORED, "pairs.tsv").sample(200, 3).digest
    link = {"source": "Your files", "file": "pairs.tsv", "digest": digest, "limit": "200", "seed": "3"}
    app = page(**link)
    assert chosen(app) is None
    assert "This link is about **pairs.tsv**, a file that is not part of the link" in texts(app)
    assert app.session_state["linked"] == ("pairs.tsv", digest)
    give(app, ("renamed.tsv", SCORED))
    assert chosen(app).digest == digest
    assert "not those of the link" not in texts(app)
    other = give(page(**link), ("other.tsv", SCORED + b"X\tY\t1\n"))
    assert "not those of the link that you followed, which is about pairs.tsv" in texts(other)
    assert query(other, "digest") == chosen(other).digest


def test_a_link_may_name_languages():
    rows = "".join(f"{code},A {n}.,B {n}.,{n}.5\n" for n in range(5) for code in ("de", "sw", "th"))
    content = f"language,sentence1,sentence2,score\n{rows}".encode()
    app = give(page(source="Your files", languages="sw"), ("x.csv", content))
    assert set(chosen(app).languages) == {"sw"}
    assert "5 of 15 pairs, the languages chosen" in texts(app)


@pytest.mark.parametrize("damage", [{"digest": "xyz"}, {"digest": ""}, {"file": ""}, {"digest": "A" * 16}])
def test_damaged_links_are_about_no_file(damage):
    app = page(**({"source": "Your files", "file": "x", "digest": "0" * 16} | damage))
    assert not app.exception
    assert app.session_state["linked"] is None
    assert "Up to 20 MB each" in texts(app)


# Hub


def test_without_network_the_page_says_so():
    app = page(source="Hugging Face hub", id="stanfordnlp/snli")
    assert chosen(app) is None
    app.button(key="set_fetch").click().run()
    assert read_hub_pairs.call("stanfordnlp/snli", "validation", None, None, "similarity", None).job.wait(60)
    app.run()
    assert "HF_HUB_OFFLINE forbids asking the hub for stanfordnlp/snli" in texts(app)
    assert any(button.label == "Try again" for button in app.button)


def test_what_is_no_id_is_refused_before_anything_is_asked():
    app = page(source="Hugging Face hub", id="../etc/passwd")
    app.button(key="set_fetch").click().run()
    assert "'../etc/passwd' is not a data set's name" in texts(app)
    assert "Give" not in texts(page(source="Hugging Face hub"))
