"""The page Export, without a browser."""

import importlib.util
import shutil
from dataclasses import replace

import pytest
from apps import checked, open_app, own_folders, rerun_until, texts
from checkpoints import HOSTILE, SPECIAL, make_bert
from streamlit.testing.v1 import AppTest

from subemb.base.paths import cache_folder
from subemb.base.text import count_text, size_text
from subemb.codec.settings import CompressionSettings
from subemb.evaluate import demo_pairs
from subemb.jobs.manager import manager
from subemb.runs import RUNS, run_and_keep
from subemb.tasks.evaluations import evaluate_similarity_set
from subemb.tasks.exports import COMPACT, KINDS, make_export
from subemb.tasks.sides import Subject
from subemb.ui.pages.export.offers import OFFERS
from subemb.ui.shell import visitor as visitors
from subemb.ui.shell.request import Request

PAGE = "pages/8_Export.py"
SETTINGS = CompressionSettings("product", subspaces=2, codebook_size=6, iterations=2)
EVIL = "<b>x<b> $y$"  # a folder's name; it can hold no slash


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", initializer_range=0.3)
        make_bert(folder / EVIL, [*SPECIAL, *HOSTILE, "cat", "dog"])
        manager().close()  # a worker has the environment that it was started with
        yield folder


def run_of(name: str = "small", **changes) -> tuple[Request, Subject]:
    settings = CompressionSettings(**{**SETTINGS.to_dict(), **changes})
    run = run_and_keep(name, None, settings.to_dict())
    return Request(name, None, settings), Subject(name, None, run.model["identity"], run.key)


def downloads(test: AppTest) -> dict[str, object]:
    """Key and element of every download button."""
    return {element.proto.id.rsplit("-", 1)[-1]: element for element in test.get("download_button")}


def button_keys(test: AppTest) -> set[str]:
    return {button.key for button in test.button if button.key}


def pressed(test: AppTest, key: str) -> AppTest:
    """Press a button, and run the page until no job is left to wait for."""
    test.button(key=key).click().run()
    rerun_until(test, lambda test: not any(name.startswith("cancel_") for name in button_keys(test)))
    assert not test.exception
    return test


def snippets(test: AppTest) -> str:
    return "\n".join(code.value for code in test.code)


def test_four_things_are_offered_and_nothing_starts_by_itself(models):
    request, subject = run_of(seed=1)
    test = checked(open_app(PAGE, request))
    headings = [heading.value for heading in test.header]
    assert headings == [*(offer.title for offer in OFFERS), "HTML report"]
    assert {"export_compact_make", "export_dense_make"} <= button_keys(test)
    assert set(downloads(test)) == {"export_report_download"}
    assert all(make_export.kept(subject, kind) is None for kind in KINDS)
    for expected in ("subemb.load(", "AutoModel.from_pretrained("):
        assert expected in snippets(test)
    assert texts(test).count("a rough estimate") >= 2


def test_an_unknown_run_is_not_computed_by_itself(models):
    test = checked(open_app(PAGE, Request("small", None, CompressionSettings("product", subspaces=4, codebook_size=3))))
    assert "press **Run**" in texts(test)
    assert not downloads(test)
    assert not test.header


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("kind", ["compact", "dense"])
def test_what_is_made_is_offered_with_its_size(models, kind):
    request, subject = run_of(seed={"compact": 2, "dense": 6}[kind])  # nothing else was made of it
    test = pressed(checked(open_app(PAGE, request)), f"export_{kind}_make")
    checked(test)
    made = make_export.kept(subject, kind)
    assert f"export_{kind}_download" in downloads(test)
    assert f"{count_text(made.bytes)} bytes" in texts(test)
    assert f'"{made.folder}"' in snippets(test)
    tables = [element.value for element in test.dataframe if "bytes" in element.value.columns]
    assert dict(made.files) in [dict(zip(table["file"], table["bytes"], strict=True)) for table in tables]
    other = checked(open_app(PAGE, request))
    assert f"export_{kind}_download" in downloads(other), "the next visitor finds it made"


@pytest.mark.slow
def test_codes_are_entropy_coded_where_that_pays(models):
    words = [f"word{number}" for number in range(900)]
    make_bert(models / "words", [*SPECIAL, *words], initializer_range=0.3)
    request, subject = run_of("words", codebook_size=5)  # five codewords take three bits when packed
    run = RUNS.get(subject.run_key)
    assert run.entropy_saves > 0
    test = checked(open_app(PAGE, request))
    assert size_text(run.entropy_saves) in test.toggle(key="entropy").label
    test.toggle(key="entropy").set_value(True).run()
    pressed(test, "export_compact_make")
    name = "subspace_embedding.safetensors"
    packed = (cache_folder("runs") / subject.run_key / name).stat().st_size
    coded = dict(make_export.kept(subject, COMPACT, entropy=True).files)[name]
    assert packed - coded == pytest.approx(run.entropy_saves, abs=8)  # tensors are aligned
    assert f"made it {count_text(run.entropy_saves)} bytes smaller" in texts(checked(test))


@pytest.mark.slow
def test_where_entropy_coding_does_not_pay_it_is_said_and_not_offered(models):
    request, subject = run_of(seed=8)  # too few tokens
    assert RUNS.get(subject.run_key).entropy_saves == 0
    test = checked(open_app(PAGE, request))
    assert "entropy" not in {toggle.key for toggle in test.toggle}
    assert "entropy coding would save next to nothing" in texts(test)


@pytest.mark.slow
def test_what_was_dropped_from_the_cache_can_be_made_again(models):
    request, subject = run_of(seed=3)
    test = pressed(checked(open_app(PAGE, request)), "export_compact_make")
    shutil.rmtree(make_export.kept(subject, COMPACT).path.parent)
    test.run()
    assert "export_compact_download" not in downloads(test)
    pressed(test, "export_compact_make")
    assert "export_compact_download" in downloads(checked(test))


@pytest.mark.slow
def test_a_failure_is_said_and_can_be_tried_again(models):
    request, subject = run_of(seed=4)
    test = checked(open_app(PAGE, request))
    in_the_way = cache_folder("exports") / make_export.key(subject, COMPACT)
    in_the_way.write_text("a file where a folder is to be written")
    pressed(test, "export_compact_make")
    assert len(test.error) == 1
    assert "could not be written" in test.error[0].value
    assert "export_report_download" in downloads(test), "the other cards are still there"
    in_the_way.unlink()
    again = next(button.key for button in test.button if button.label == "Try again")
    assert "export_compact_download" in downloads(checked(pressed(test, again)))


@pytest.mark.slow
def test_a_run_that_cannot_be_read_any_more_is_to_be_run_again(models):
    request, subject = run_of(seed=7)
    test = checked(open_app(PAGE, request))
    tensors = next((cache_folder("runs") / subject.run_key).glob("*.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:-9])
    pressed(test, "export_compact_make")
    assert "Traceback" not in " ".join(box.value for box in test.error)
    # The error of an export that ended while the page was drawn; drawn once more, the page misses the run itself.
    assert all("press Run to compute it again" in box.value for box in test.error)
    rerun_until(test, lambda test: "press **Run**" in texts(test))


def test_without_onnx_the_page_says_how_to_get_it(models, monkeypatch):
    real = importlib.util.find_spec

    def without(name, *more):
        return None if name.split(".")[0] in ("onnx", "onnxruntime") else real(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    test = checked(open_app(PAGE, run_of(seed=1)[0]))
    assert "pip install" in texts(test)
    assert "export_onnx_make" not in button_keys(test)


@pytest.mark.slow
def test_with_onnx_the_table_is_checked_and_offered(models):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    test = pressed(checked(open_app(PAGE, run_of(seed=5)[0])), "export_onnx_make")
    assert "export_onnx_download" in downloads(checked(test))
    assert "Checked with onnxruntime" in texts(test)


@pytest.mark.slow
def test_the_report_has_what_was_evaluated_with_this_run(models):
    request, subject = run_of(seed=6)
    assert "No labelled set was evaluated" in texts(checked(open_app(PAGE, request)))
    pairs = demo_pairs("similarity").sample(15)
    evaluate_similarity_set(subject, pairs)
    shown = texts(checked(open_app(PAGE, request)))
    assert "With the scores of what was evaluated" in shown
    assert "15 pairs" in shown


@pytest.mark.slow
def test_what_was_evaluated_on_a_visitors_file_is_in_their_report_after_a_restart_and_in_nobody_elses(models, browser):
    request, subject = run_of(seed=77)
    pairs = replace(demo_pairs("similarity").sample(16), name="complaints.csv")
    evaluate_similarity_set(subject, pairs)
    visitors.visitor_of(browser("anna")).name_set(pairs.digest, pairs.name)
    visitors._visitors.clear()  # as a restart does
    assert r"complaints\.csv (16 pairs)" in texts(checked(open_app(PAGE, request)))
    browser("ben")
    assert "complaints" not in texts(checked(open_app(PAGE, request)))


@pytest.mark.slow
def test_hostile_names_are_text(models):
    test = checked(open_app(PAGE, run_of(EVIL)[0]))
    pressed(test, "export_compact_make")
    checked(test)
    drawn = texts(test)
    assert "<b>" not in drawn.replace(r"\<b\>", "")
    names = [element.proto.label for element in test.get("download_button")]
    assert names == ["Download"] * len(names)
    assert len(names) == 2


@pytest.mark.slow
@pytest.mark.parametrize("method", ["low_rank", "int8", "arbitrary", "residual"])
def test_every_method_has_its_page(models, method):
    settings = {"residual": {"subspaces": 2, "codebook_size": 4}}.get(method, {"subspaces": 3, "codebook_size": None})
    request, _ = run_of(method=method, **settings)
    test = checked(open_app(PAGE, request))
    assert "export_report_download" in downloads(test)
