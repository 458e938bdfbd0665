"""Three columns: an adaptation of the run shown stands beside original and compressed on every page that compares them."""

import json
import shutil

import numpy as np
import pytest
import torch
from apps import checked, html_of, metrics, open_app, own_folders, rerun_until, texts
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model
from masked_models import sentences, trained

import subemb
from subemb.adaptation import AdaptationSettings, library, text_of
from subemb.codec.settings import CompressionSettings
from subemb.models.load import load_listed
from subemb.runs import compressed_of, run_and_keep
from subemb.tasks import adaptation as tasks
from subemb.tasks.layouts import group
from subemb.tasks.sides import Subject
from subemb.ui.shell.request import Request, other_query

RUN = CompressionSettings("cluster", subspaces=2, codebook_size=8)
OTHER = CompressionSettings("product", subspaces=2, codebook_size=8)
TEXTS = [f"{first} {second}" for first in WORDS[:8] for second in WORDS[8:16]]
SIMILARITY, ENTAILMENT, MASKED, ADAPT, EXPORT = (
    f"pages/{name}.py" for name in ("4_Similarity", "5_Entailment", "6_Words_in_context", "7_Adapt", "8_Export")
)
REQUEST = Request("small", None, RUN)


def adapted(name: str, sentences, **settings) -> str:
    run = run_and_keep(name, None, RUN.to_dict())
    subject = Subject(name, None, run.model["identity"], run.key)
    return tasks.run_adaptation(tasks.begin_adaptation(subject, AdaptationSettings(**settings), text_of(sentences)))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Of an adaptation of ``small``; ``animals``, with a masked-word head, lies beside it."""
    with own_folders(tmp_path_factory) as folder:
        make_sentence_model(make_bert(folder / "small", [*SPECIAL, *WORDS]))
        shutil.copytree(trained() / "animals", folder / "animals")
        yield adapted("small", TEXTS, steps=40, codebook_rate=5e-2)


def sides(key: str) -> dict:
    model = load_listed("small")
    compressed = compressed_of(library.run_key_of(key))
    return {"original": model, "compressed": subemb.attach(model, compressed), "adapted": library.open_adapted(key)}


def wait(test, done):
    return checked(rerun_until(test, done))


def cosine(side, first: str, second: str) -> float:
    a, b = side.encode([first, second])
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_pair_has_the_cosine_of_each_side(key):
    query = {"adapted": key, "first": "the cat", "second": "dog is"}
    test = open_app(SIMILARITY, REQUEST, **query)
    wait(test, lambda test: "Cosine, adapted" in metrics(test))
    shown = metrics(test)
    for name, side in sides(key).items():
        assert shown[f"Cosine, {name}"] == f"{cosine(side, 'the cat', 'dog is'):.3f}"
    assert shown["Cosine, adapted"] != shown["Cosine, compressed"]
    assert test.query_params["adapted"] in (key, [key])


@pytest.mark.slow
def test_lists_have_a_heat_map_for_each_side(key):
    test = open_app(SIMILARITY, REQUEST, adapted=key, similarity="Lists")
    next(button for button in test.button if button.label == "Compare the lists").click().run()
    wait(test, lambda test: "adapted side" in texts(test))
    titles = [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in test.get("plotly_chart")]
    assert {"Cosines, original", "Cosines, compressed", "Cosines, adapted"} <= set(titles)
    assert {"Difference: compressed minus original", "Difference: adapted minus original"} <= set(titles)


@pytest.mark.slow
def test_a_labelled_set_has_a_card_for_each_side(key):
    test = open_app(SIMILARITY, REQUEST, adapted=key, similarity="Labelled set")
    run = [button for button in test.button if button.key == "similarity_set_run"]
    if run:
        run[0].click().run()
    wait(test, lambda test: "Spearman, adapted" in metrics(test))
    from subemb.adaptation.scoring import score_of
    from subemb.evaluate.data.languages import in_languages
    from subemb.evaluate.data.read import demo_pairs

    shown, english = metrics(test), in_languages(demo_pairs("similarity"))
    for name, side in sides(key).items():
        assert shown[f"Spearman, {name}"] == f"{score_of(side, english):.1f}"


@pytest.mark.slow
def test_a_masked_word_has_the_fillings_of_each_side(key):
    own = adapted("animals", sentences(), steps=40, codebook_rate=5e-2)
    test = open_app(MASKED, Request("animals", None, RUN), adapted=own, masked="the cat says [MASK] .")
    wait(test, lambda test: "adapted" in html_of(test).lower())
    drawn = html_of(test)
    side = library.open_adapted(own)
    ids = side.tokenizer("the cat says [MASK] .", return_tensors="pt")
    with torch.no_grad():
        logits = side.network("masked")(**ids).logits[ids["input_ids"] == side.tokenizer.mask_token_id][0]
    best = side.tokenizer.convert_ids_to_tokens(int(logits.argmax()))
    assert best in drawn.lower().rpartition("adapted")[2]


@pytest.mark.slow
def test_the_choice_is_in_the_list_and_can_be_taken_back(key):
    test = checked(open_app(SIMILARITY, REQUEST))
    box = next(box for box in test.selectbox if box.label == "Adapted side")
    assert box.value == "none"
    assert "adapted" not in test.query_params
    box.select(key).run()
    assert test.query_params["adapted"] in (key, [key])
    box = next(box for box in test.selectbox if box.label == "Adapted side")
    assert box.value == key
    box.select("none").run()
    checked(test)
    assert "adapted" not in test.query_params
    # Links of Adapt and of the other pages are understood by each other.
    test = checked(open_app(SIMILARITY, REQUEST, adaptation=key))
    assert test.query_params["adapted"] in (key, [key])
    assert "adaptation" not in test.query_params
    assert next(box for box in test.selectbox if box.label == "Adapted side").value == key
    assert "Three columns" in texts(checked(open_app(ADAPT, REQUEST, adapted=key)))


@pytest.mark.slow
def test_an_unknown_one_is_said_and_one_of_another_run_is_left_out(key):
    test = checked(open_app(SIMILARITY, REQUEST, adapted="f" * 24))
    assert "is no longer on this server" in texts(test)
    run_and_keep("small", None, OTHER.to_dict())
    test = checked(open_app(SIMILARITY, Request("small", None, OTHER), adapted=key))
    assert "no longer on this server" not in texts(test)
    assert not [box for box in test.selectbox if box.label == "Adapted side"]
    assert "adapted" not in test.query_params


@pytest.mark.slow
def test_the_page_adapt_leads_to_the_other_pages_and_they_take_it_away(key):
    test = checked(open_app(ADAPT, REQUEST, adaptation=key))
    links = {
        link.proto.label: link.proto.query_string for link in test.get("page_link") if "adapted" in link.proto.query_string
    }
    assert {"Similarity", "Entailment", "Words in context", "Export"} <= set(links)
    assert all(f"adapted={key}" in query for query in links.values())
    test = checked(open_app(EXPORT, REQUEST, adapted=key))
    assert "as adapted" in texts(test)
    assert "page **Adapt**" in texts(checked(open_app(EXPORT, REQUEST)))


@pytest.mark.slow
@pytest.mark.parametrize("role", [{"a": "adapted"}, {"b": "adapted"}, {"a": "adapted", "b": other_query(OTHER)}])
def test_an_adaptation_is_either_of_two_tables_on_the_pages_that_show_tables(key, role, monkeypatch):
    monkeypatch.setattr("subemb.ui.pages.token_map.page.warm_umap.warm", lambda: None)
    model = load_listed("small")
    run_and_keep("small", None, OTHER.to_dict())
    tables = {
        "adapted": library.open_adapted(key).embedding.weight.detach(),
        "run": compressed_of(library.run_key_of(key)).reconstruct(),
    }
    first = tables["adapted" if "a" in role else "run"]
    error = subemb.analysis.reconstruction_error(model.table, first).relative
    test = checked(open_app("pages/3_Reconstruction_error.py", REQUEST, adapted=key, **role))
    metric = next(metric for metric in test.metric if metric.label == "Relative error")
    assert metric.value == f"{error:.3f}"
    if "b" not in role:
        assert not metric.delta
    elif role["b"] == "adapted":
        assert metric.delta == f"adapted {subemb.analysis.reconstruction_error(model.table, tables['adapted']).relative:.3f}"
    else:
        assert metric.delta.startswith("run B ")
    test = checked(open_app("pages/2_Assignments.py", REQUEST, adapted=key, token="#9", **role))
    assert "Adapted: " in texts(test)
    assert "the 10 nearest tokens" in html_of(test)
    for run in (RUN, OTHER):
        run = run_and_keep("small", None, run.to_dict())
        for adapted_key in (None, key):
            group(Subject("small", None, run.model["identity"], run.key, adapted_key))
    test = checked(open_app("pages/1_Token_map.py", REQUEST, adapted=key, map="PCA", **role))
    assert all(test.query_params[name] in (value, [value]) for name, value in role.items())
