"""The page Words in context, without a browser."""

import re
import shutil
from types import SimpleNamespace

import masked_models
import pytest
from apps import metrics, open_app, own_folders
from checkpoints import HOSTILE, SPECIAL, make_bert, make_gpt2, make_t5
from streamlit.testing.v1 import AppTest

from subemb.base.text import escape_html
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.context.fill import HUB_MODELS, FilledMask, Filling
from subemb.evaluate.context.perplexity import digest_of
from subemb.export.report import html_report
from subemb.models.catalogue import BUNDLED_NAME
from subemb.runs import run_and_keep
from subemb.ui.pages.context.sentence import bars_html, change_of
from subemb.ui.shell.request import Request, to_query
from subemb.ui.shell.sidebar import ANOTHER

PAGE = "pages/6_Words_in_context.py"
PRODUCT = CompressionSettings("product", subspaces=2, codebook_size=6, iterations=3)
SENTENCE = "the dog says [MASK] in the garden ."


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        shutil.copytree(masked_models.trained() / "animals", folder / "animals")
        make_bert(folder / "headless")
        make_bert(folder / "hostile", [*SPECIAL, *HOSTILE, "cat", "dog"], masked_lm=True)
        make_bert(folder / "untied", masked_lm=True, tie_word_embeddings=False)
        make_gpt2(folder / "decoder", initializer_range=0.3)
        make_t5(folder / "t5")
        for name in ("animals", "headless", "hostile", "untied", "decoder", "t5"):
            run_and_keep(name, None, PRODUCT.to_dict())
        yield folder


@pytest.fixture
def open_page(models):
    def opened(name: str = "animals", at: str = PAGE, **query: str) -> AppTest:
        test = AppTest.from_file("../../app.py", default_timeout=90)
        test.switch_page(at)
        test.query_params.update(to_query(Request(name, None, PRODUCT)) | query)
        return run(test)

    return opened


def run(test: AppTest) -> AppTest:
    """Run the script until no job is left to wait for."""
    test.run()
    for _ in range(60):
        assert not test.exception
        if not any(button.key and button.key.startswith("cancel_") for button in test.button):
            break
        test.run()
    assert not test.error, [box.value for box in test.error]
    return test


def texts(test: AppTest) -> str:
    return " ".join(str(element.value) for element in [*test.markdown, *test.caption, *test.info, *test.warning])


def bars(test: AppTest) -> list[str]:
    """The HTML of the drawn fillings."""
    return [element.proto.body for element in test.get("html") if "best fillings" in element.proto.body]


def fillings(test: AppTest):
    return next(element.value for element in test.dataframe if "original, rank" in element.value.columns)


# Models without a head


@pytest.mark.slow
def test_a_model_without_head_is_told_and_others_are_offered(open_page):
    test = open_page("headless")
    shown = texts(test)
    assert "has no head that says words, so it cannot fill a gap" in shown
    assert any(link.proto.label.endswith("on Similarity") for link in test.get("page_link"))
    assert "animals" in shown
    assert "hostile" in shown
    assert all(model.name in shown.replace("\\", "") for model in HUB_MODELS)
    assert not test.tabs


@pytest.mark.slow
def test_an_old_address_leads_here_with_all_it_carries(open_page):
    test = open_page(at="pages/99_Masked_words.py", masked="the dog says woof .", word="3", tables="output")
    assert test.title[0].value == "Words in context"
    assert bars(test) == bars(open_page(masked="the dog says woof .", word="3", tables="output"))


def test_a_model_here_is_chosen_with_a_button(open_page):
    test = open_page("headless")
    button = next(button for button in test.button if button.help == "Choose: animals")
    button.click().run()
    assert not test.exception
    assert test.selectbox(key="form_model").value == "animals"
    assert "is chosen in the sidebar" in texts(test)


def test_a_hub_id_is_written_into_the_download_form_and_not_fetched(open_page):
    from subemb.models.load import download_job

    test = open_page("headless")
    test.button(key="masked_download_1").click().run()
    assert not test.exception
    assert test.selectbox(key="form_model").value == ANOTHER
    assert test.text_input(key="form_hub_id").value == HUB_MODELS[1].name
    assert download_job.call(HUB_MODELS[1].name, None).job is None


def test_the_bundled_model_has_a_head_that_was_trained_here():
    import subemb

    model = subemb.load(BUNDLED_NAME)
    assert model.has_head("masked")
    assert "not of all-MiniLM-L6-v2's authors" in model.head_note("masked")


def test_an_encoder_of_t5_leads_to_what_can_be_seen_of_it(open_page):
    test = open_page("t5")
    assert "has no head that says words, so it cannot fill a gap: what compression does to its sentence vectors" in texts(test)
    (link,) = [link for link in test.get("page_link") if link.proto.label.endswith("on Similarity")]
    assert "model=t5" in link.proto.query_string


# A sentence


@pytest.mark.slow
def test_a_mask_is_filled_side_by_side(open_page):
    test = open_page(masked=SENTENCE)
    before, after = bars(test)
    assert "original: 10 best fillings" in before
    assert "compressed: 10 best fillings" in after
    table = fillings(test)
    assert table.loc[table["original, rank"] == 1, "token"].item() == "woof"
    assert (table["original, rank"] <= 10).sum() == (table["compressed, rank"] <= 10).sum() == 10
    assert float(metrics(test)["KL divergence"].split()[0]) > 0.1
    assert re.search(r"(Compressed still puts|Original puts) “\*\*woof\*\*”", texts(test))


@pytest.mark.slow
def test_a_word_is_clicked_and_unclicked(open_page):
    test = open_page(masked="the dog says woof in the garden .")
    assert "Click a word above to mask it" in texts(test)
    test.pills(key="masked_word").select(3)
    run(test)
    assert "the dog says **\\[MASK\\]** in the garden" in texts(test)
    assert "Rank of the word that stood there, “**woof**”" in texts(test)
    assert test.query_params["word"] == "3"
    again = open_page(masked="the dog says woof in the garden .", word="3")
    assert bars(again) == bars(test)
    test.pills(key="masked_word").unselect(3)
    run(test)
    assert not bars(test)
    assert "word" not in test.query_params


@pytest.mark.slow
def test_a_new_sentence_forgets_the_word(open_page):
    test = open_page(masked="the dog says woof .", word="3")
    test.text_input(key="masked_text").set_value("the cat says [MASK] .")
    run(test)
    assert test.pills(key="masked_word").value is None
    assert test.query_params["masked"] == "the cat says [MASK] ."
    assert len(bars(test)) == 2


@pytest.mark.slow
def test_input_output_and_both(open_page):
    seen = set()
    test = open_page(masked=SENTENCE)
    for choice in ("input and output", "input", "output"):
        test.segmented_control(key="tables").set_value(choice)
        run(test)
        seen.add(metrics(test)["KL divergence"])
    assert len(seen) == 3
    assert bars(open_page(masked=SENTENCE, tables="output")) == bars(test)


def test_several_masks_in_another_spelling(open_page):
    test = open_page(masked="the <mask> says [MASK] .")
    assert len(bars(test)) == 4
    assert "There are 2 masks. Each is filled on its own" in texts(test)
    assert "was read as this model's own mask" in texts(test)


@pytest.mark.slow
def test_a_head_with_a_table_of_its_own(open_page):
    test = open_page("untied", masked="the cat [MASK] .")
    assert "has a table of its own, so only the input is compressed" in texts(test)
    assert not [control for control in test.segmented_control if control.key == "tables"]
    assert len(bars(test)) == 2


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"masked": " "}, "Type a sentence"),
        ({"masked": "the cat"}, "Click a word above"),
        ({"masked": "the cat", "word": "99"}, "Click a word above"),
        ({"masked": "the cat", "word": "²"}, "Click a word above"),
        ({"masked": "cat " * 600}, "2,400 characters were given; the first 2,000 are kept"),
    ],
)
def test_links_that_say_too_little_or_too_much(open_page, query, message):
    assert message in texts(open_page(**query))


def test_what_the_model_cannot_read_is_an_error_in_words(open_page, models):
    test = open_app(PAGE, Request("animals", None, PRODUCT), timeout=90, **({"masked": "[MASK] " + "cat " * 40}))
    for _ in range(60):
        if test.error:
            break
        test.run()
    assert not test.exception
    assert "43 tokens\\, and this model reads 32" in test.error[0].value


@pytest.mark.slow
def test_hostile_tokens_and_sentences_are_shown_as_text(open_page):
    test = open_page("hostile", masked="<script>alert(1)</script> $x$ [MASK] **b** :smile:")
    drawn = "".join(bars(test))
    assert all(markup not in drawn for markup in ("<script", "<img", "<b>", "</script"))
    assert "<script>" not in texts(test)
    tokens = fillings(test)["token"]
    assert set(tokens) & set(HOSTILE)  # some of them are among the best of an untrained model
    assert all(escape_html(token) in drawn for token in tokens)


# A decoder


@pytest.mark.slow
def test_a_decoder_says_what_comes_next_and_is_asked_for_a_clicked_word(open_page):
    test = open_page("decoder", masked="A small dog runs under the [MASK] tree.")
    assert "Read: A small dog runs under the **▁▁▁** :gray[\\[MASK\\] tree\\. (not read)]" in texts(test)
    assert len(fillings(test)) >= 10
    assert len(bars(test)) == 2
    assert test.pills(key="masked_word").label == "Click a word to ask for it"
    test.pills(key="masked_word").select(3)
    run(test)
    assert "Read: A small dog **▁▁▁**" in texts(test)
    assert "Rank of the word that stood there, “**runs**”" in texts(test) or "tokens of “**runs**”" in texts(test)
    assert test.query_params["word"] == "3"
    assert bars(open_page("decoder", masked="A small dog runs under the [MASK] tree.", word="3")) == bars(test)


@pytest.mark.slow
def test_a_decoder_scores_a_text_by_its_perplexity(open_page):
    test = open_page("decoder", masked_view="Text", scored="The cat sits on the mat. A dog runs.", tables="output")
    assert "2 sentences, 19 tokens; every one is guessed from what stands before it on each side" in texts(test)
    test.button(key="score_button").click()
    run(test)
    assert {"Perplexity, original", "Perplexity, compressed"} <= set(metrics(test))
    assert "were guessed from what stands before each in the text, in windows of 64 tokens" in texts(test)


# Input or output


def text_of(text: str):
    """What a result says of the text that it is about."""
    return SimpleNamespace(digest=digest_of(text))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "uses"), [("animals", 4), ("decoder", 4), ("untied", 2)])
def test_one_button_shows_which_use_of_the_table_hurts(open_page, name, uses):
    query = {"masked": "the dog says [MASK] .", "scored": "the cat says meow. the dog says woof."}
    test = open_page(name, masked_view="Input or output", **query)
    assert not test.get("plotly_chart")
    test.button(key="uses_button").click()
    run(test)
    table = next(element.value for element in test.dataframe if "compressed" in element.value.columns)
    assert list(table["compressed"]) == ["original", "input only", "output only", "both"][:uses]
    assert table["KL divergence, nats"][0] == 0
    assert re.search(
        r"(is where it hurts|hurt alike|hardly hurts|Only the input is compressed)", test.markdown[1].value + texts(test)
    )
    assert test.get("plotly_chart")
    if name == "animals":
        from subemb.tasks.evaluations import known_as, words_of
        from subemb.tasks.sides import Subject

        run_of = run_and_keep(name, None, PRODUCT.to_dict())
        subject = Subject(name, None, run_of.model["identity"], run_of.key)
        (words,) = words_of(subject, "", {known_as(query["masked"], text_of(query["scored"])): "mine"}.get)
        report = html_report(run_of, words=[words])
        assert "Words in context" in report
        assert "Input or output: mine" in report
        assert not words_of(subject, "another head", lambda _: "mine")
        assert not words_of(subject, "", lambda _: None)


# Text


@pytest.mark.slow
def test_a_text_is_scored_on_the_button(open_page):
    text = "\n".join(masked_models.sentences()[:6])
    test = open_page(masked_view="Text", scored=text)
    assert "6 sentences, 40 tokens; every one is masked once on each side" in texts(test)
    assert not test.metric
    test.button(key="score_button").click()
    run(test)
    shown = metrics(test)
    assert float(shown["Pseudo-perplexity, original"]) < float(shown["Pseudo-perplexity, compressed"].replace(",", ""))
    assert "paired bootstrap over sentences, 2,000 resamples, seed 0" in texts(test)
    table = next(element.value for element in test.dataframe if "difference compressed" in element.value.columns)
    assert len(table) == 6
    assert table["difference compressed"].is_monotonic_increasing


@pytest.mark.slow
def test_a_long_text_is_sampled_and_said(open_page):
    test = open_page(masked_view="Text", scored="the cat. the dog. the owl.", most_tokens="4", masked_seed="7")
    assert "3 sentences, 9 tokens; 4 of them, drawn at random, are masked" in texts(test)
    test.button(key="score_button").click()
    run(test)
    assert "4 of 9 tokens, drawn at random (seed 7), of 3 sentences" in texts(test)
    assert "it takes at least 5 sentences" in texts(test)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(("text", "is_warned"), [("zz yy. xx the cat.", True), ("the cat says meow. the owl.", False)])
def test_a_text_that_the_tokenizer_does_not_know_is_warned_about(open_page, text, is_warned):
    test = open_page(masked_view="Text", scored=text)
    test.button(key="score_button").click()
    run(test)
    assert "Pseudo-perplexity, original" in metrics(test)
    assert any("unknown to this model’s tokenizer" in element.value for element in test.warning) == is_warned


def test_an_example_text_is_taken(open_page):
    test = open_page(masked_view="Text")
    test.selectbox(key="scored_example_0").set_value("German").run()
    assert test.text_area(key="scored_text").value.startswith("Der Markt")
    test.text_area(key="scored_text").set_value("").run()
    assert "Paste a text" in texts(test)


@pytest.mark.slow
def test_a_message_that_left_the_browser_before_an_example_was_taken_does_not_take_it_again(open_page):
    test = open_page(masked_view="Text", scored="the cat says meow.")
    test.selectbox(key="scored_example_0").set_value("German")
    late = test._tree.get_widget_states()
    test.run()
    test._run(late)
    assert test.text_area(key="scored_text").value == "the cat says meow."  # what that message says of the text
    test.selectbox(key="scored_example_1").set_value("German").run()  # the same one again
    assert test.text_area(key="scored_text").value.startswith("Der Markt")


# Parts


def filling(first: int, second: int) -> Filling:
    return Filling(first, f"t{first}", (0.5, 0.25), (first, second))


def test_changes_are_said_in_words():
    mask = FilledMask(1, (), 10, (0.0, 1.0), (1.0, 1.0))
    names = ("original", "compressed")
    assert change_of(filling(1, 1), mask, 1, names) == ("= same", "same")
    assert change_of(filling(5, 2), mask, 1, names) == ("▲ up from 5", "up")
    assert change_of(filling(2, 5), mask, 1, names) == ("▼ down from 2", "down")
    assert change_of(filling(1200, 5), mask, 1, names) == ("+ new, was 1,200", "new")
    assert change_of(filling(5, 1200), mask, 0, names) == ("− lost, now 1,200", "lost")
    assert change_of(filling(5, 6), mask, 0, names) == ("", "same")
    three = Filling(0, "t", (0.5, 0.2, 0.1), (1, 11, 12))
    assert change_of(three, mask, 0, (*names, "adapted"))[0] == "− lost, now 11 compressed, 12 adapted"


def test_words_that_compression_makes_alike_are_not_told_as_lost():
    """Three words are equally probable after compression; that two are listed is the luck of their ids."""
    first, second, third = (
        Filling(number, f"t{number}", (probability, 0.2), ranks, (ranks[0], 1))
        for number, probability, ranks in ((1, 0.3, (2, 1)), (2, 0.2, (3, 2)), (3, 0.4, (1, 3)))
    )
    mask = FilledMask(1, (third, first, second), 2, (0.0, 1.0), (1.0, 1.0))
    assert mask.kept(1) == 2
    assert change_of(third, mask, 0, ("original", "compressed")) == ("", "same")
    assert change_of(third, mask, 1, ("original", "compressed")) == ("= same", "same")
    assert change_of(first, mask, 1, ("original", "compressed")) == ("▲ up from 2", "up")


def test_bars_share_one_scale():
    mask = FilledMask(1, (filling(1, 1),), 10, (0.0, 1.0), (1.0, 1.0))
    names = ("original", "compressed")
    assert "--mw-w:1.0000" in bars_html(mask, 0, names, 0.5)
    assert "--mw-w:0.5000" in bars_html(mask, 1, names, 0.5)
