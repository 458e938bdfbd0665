"""Addresses that anybody can type: what cannot be used is named with its value, or left out with a note, and the page stands."""

from urllib.parse import parse_qsl

import pytest
from apps import PAGES, bound_parameters, open_app, own_folders, texts
from checkpoints import SPECIAL, make_bert

from subemb.base.errors import InputError
from subemb.codec.settings import CompressionSettings
from subemb.runs import RUNS, run_and_keep
from subemb.ui.shell.request import Request, from_query

LONG = "x" * 5000
RUN = Request("small", None, CompressionSettings("product", subspaces=3, codebook_size=4, iterations=2))

#: Parameters of a run, and words of the message; the value has to be in it as well.
BAD_RUNS = [
    *(({"method": value}, "method") for value in ("magic", "", "CLUSTER", "<b>", "cluster,product", "\0", LONG)),
    *(({"f": value}, "subspaces") for value in ("three", "", "0", "-1", "1.5", "nan", "1e3", "9" * 5000, "0x3", "\n")),
    *(({"q": value}, "codebook") for value in ("many", "0", "-5", "inf", "2.0", "9" * 5000)),
    *(({"seed": value}, "seed") for value in ("-1", "4294967296", "x", "1e9")),
    *(({"weights": value}, "weights") for value in ("heavy", "None", "../..", "[]")),
    *(({"iterations": value}, "iterations") for value in ("0", "1001", "all")),
    *(({"tolerance": value}, "tolerance") for value in ("1", "-0.1", "nan", "inf", "x")),
    *(({"unique": value}, "unique") for value in ("maybe", "2", "yes?")),
    *(({"rank": value}, "rank") for value in ("0", "-3", "full")),
]


@pytest.mark.parametrize(("query", "words"), BAD_RUNS, ids=range(len(BAD_RUNS)))
def test_a_parameter_that_cannot_be_read_is_named_with_its_value(query, words):
    with pytest.raises(InputError) as caught:
        from_query(query)
    message, ((parameter, value),) = str(caught.value), query.items()
    assert words in message or f"says {parameter}=" in message
    assert len(message) < 500
    assert value[:20] in message or repr(value)[1:20] in message


@pytest.mark.parametrize(
    "model", ["", ".", "..", "../..", "a\0b", LONG, "a b", "//", "~root", "C:\\x", "<script>", "org/name/x"]
)
def test_any_name_of_a_model_is_a_request(model):
    assert from_query({"model": model}).model == model[:400]


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, *(f"word{number}" for number in range(60))], dim=12, masked=True)
        run_and_keep(RUN.model, None, RUN.settings.to_dict())
        yield folder


#: Parameters that pages write into their addresses, by page, or part of one: those of its open tab, and of what it shows.
PAGE_PARAMETERS = {
    "Assignments": ("view", "token", "neighbours", "search", "a", "b"),
    "Assignments?view=Sentence": ("sentence", "token"),
    "Assignments?view=Codewords": ("subspace", "code"),
    "Assignments?view=All tokens": ("search", "group", "match", "codes_of"),
    "Token_map": (
        "map",
        "map_colour",
        "map_highlight",
        "map_view",
        "map_selected",
        "map_find",
        "map_inside",
        "map_tokens",
        "map_seed",
        "map_neighbours",
        "map_distance",
    ),
    "Reconstruction_error": ("part", "order", "log", "a", "b"),
    "Reconstruction_error?part=Kinds and scripts": ("group",),
    "Reconstruction_error?part=Best and worst": ("by", "kind", "count"),
    "Reconstruction_error?part=Equal bytes": ("measure",),
    "Similarity": ("similarity", "sentence_a", "sentence_b", "a", "b", "adapted"),
    "Similarity?similarity=Lists": ("list1", "list2"),
    "Similarity?similarity=Labelled set": (
        "similarity_set_source",
        "similarity_set_limit",
        "similarity_set_seed",
        "similarity_set_languages",
        "language_order",
    ),
    "Similarity?similarity=Labelled set&similarity_set_source=Your files": ("similarity_set_file", "similarity_set_digest"),
    "Similarity?similarity=Words": ("words",),
    "Entailment": ("premise", "hypothesis", "engine", "adapted", "entailment_view", "flips_side", "language_order"),
    "Entailment?entailment_set_source=Your files": ("entailment_set_file", "entailment_set_digest", "entailment_set_languages"),
    "Words_in_context": ("masked_view", "masked", "word", "tables", "adapted"),
    "Words_in_context?masked_view=Text": ("scored", "masked_seed", "most_tokens"),
    "Adapt": ("adaptation", "adapted"),
    "How_it_works": ("step", "source", "sentence", "present", "a"),
    "Trade-off": ("quality", "size", "within", "adapted", "b"),
    "Runs": ("find", "lost", "adapted", "b"),
    "Claims": ("present", "adapted", "b"),
    "Export": ("entropy", "adapted", "b"),
}
VALUES = ["nonsense", "-1", "<script>alert(1)</script>", "../../etc/passwd", "9" * 400, LONG, "\0", "nan"]


def page_of(name: str) -> str:
    return next((page for page in PAGES if name != "app.py" and name.partition("?")[0] in page), "app.py")


def test_the_parameters_of_every_page_are_tried():
    assert {page_of(name) for name in PAGE_PARAMETERS} == set(PAGES) - {"app.py", "pages/99_Masked_words.py"}


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("name", ["app.py", *PAGE_PARAMETERS])
@pytest.mark.parametrize("shift", [0, 3])
def test_a_page_stands_whatever_its_own_parameters_say(name, shift):
    own, given = PAGE_PARAMETERS.get(name, ("view", "adapted", "unknown")), dict(parse_qsl(name.partition("?")[2]))
    query = given | {parameter: VALUES[(place + shift) % len(VALUES)] for place, parameter in enumerate(own)}
    test = open_app(page_of(name), RUN, **query)
    assert not test.exception
    shown = texts(test) + " ".join(box.value for box in test.error)
    assert "Something went wrong" not in shown
    assert "Traceback" not in shown
    assert "/etc/passwd</" not in shown
    assert test.title or test.header or test.markdown
    if name != "app.py":
        there = {one for key in PAGE_PARAMETERS if page_of(key) == page_of(name) for one in PAGE_PARAMETERS[key]}
        assert bound_parameters(test) <= there | set(given), "a parameter that is tried nowhere: name it in PAGE_PARAMETERS"


@pytest.mark.parametrize("value", ["inf", "-1e999"])
def test_a_number_that_is_not_finite_is_told_and_the_field_has_its_default(value):
    test = open_app(page_of("Assignments"), RUN, view="Codewords", code=value)
    assert "Something went wrong" not in texts(test)
    assert any(f"The link says code={value}, which" in box.value.replace("\\", "") for box in [*test.info, *test.warning])
    assert test.number_input(key="code").value == 0
    assert test.number_input(key="code").set_value(2).run().number_input(key="code").value == 2


@pytest.mark.slow
def test_a_damaged_result_behind_a_link_is_said_on_the_page(models):
    other = Request("small", None, CompressionSettings("product", subspaces=2, codebook_size=4, iterations=2))
    key = run_and_keep(other.model, None, other.settings.to_dict()).key
    (RUNS.path(key) / RUNS.file).write_text("[")
    test = open_app("app.py", other)
    assert not test.exception
    assert [toast.value for toast in test.toast] == ["Something kept on this server (runs) was damaged. It is computed again."]
    assert not open_app("app.py", RUN).toast
