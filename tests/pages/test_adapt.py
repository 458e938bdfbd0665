"""The page Adapt without a browser: every state that it can be in."""

from dataclasses import replace

import jobs_functions
import pytest
from apps import checked, frame_with, metrics, open_app, own_folders, rerun_until, table_with, texts
from checkpoints import SPECIAL, WORDS, make_bert, make_sentence_model, make_table

from subemb.adaptation import AdaptationSettings, library, text_of
from subemb.adaptation.texts import read_text_bytes
from subemb.base.errors import Cancelled
from subemb.codec.settings import CompressionSettings
from subemb.jobs.manager import manager
from subemb.runs import run_and_keep
from subemb.tasks import adaptation as tasks
from subemb.tasks.sides import Subject
from subemb.ui.pages.adapt.curves import from_the_start, loss_curve, marks_of, score_curve, verdict_text
from subemb.ui.shell.request import Request

PAGE = "pages/7_Adapt.py"
RUN = CompressionSettings("cluster", subspaces=2, codebook_size=8)
TEXTS = [f"{first} {second}" for first in WORDS[:8] for second in WORDS[8:16]]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_sentence_model(make_bert(folder / "small", [*SPECIAL, *WORDS]))
        import torch

        make_table(folder / "table", torch.randn(40, 8, generator=torch.Generator().manual_seed(0)))
        yield folder


@pytest.fixture
def subject(models) -> Subject:
    run = run_and_keep("small", None, RUN.to_dict())
    return Subject("small", None, run.model["identity"], run.key)


REQUEST = Request("small", None, RUN)


def labels(test) -> set[str]:
    return {button.label for button in test.button}


def finished(test):
    return checked(rerun_until(test, lambda test: "Whole model" in metrics(test)))


def stopped_after(subject, count: int, **settings) -> str:
    key = tasks.begin_adaptation(subject, AdaptationSettings(**settings), text_of(TEXTS))
    left = [count]

    def ask(message) -> bool:
        left[0] -= message.stage == "training"
        return left[0] < 0

    with pytest.raises(Cancelled):
        tasks.run_adaptation(key, ask)
    return key


@pytest.mark.slow
def test_the_form_keeps_what_was_chosen_through_a_training_and_a_visit_elsewhere(subject):
    test = checked(open_app(PAGE, REQUEST))
    test.select_slider(key="adapt_time").set_value("30 seconds").run()
    test.selectbox(key="adapt_scored_3").set_value("Nothing").run()
    test.toggle(key="adapt_reassign").set_value(False).run()
    test.text_area(key="adapt_text").set_value("\n".join(TEXTS)).run()
    test.number_input(key="adapt_steps").set_value(2).run()
    assert test.select_slider(key="adapt_time").disabled  # steps take its place

    def chosen() -> list:
        widgets = (
            (test.select_slider, "time"),
            (test.toggle, "reassign"),
            (test.number_input, "steps"),
            (test.text_area, "text"),
        )
        return [*(find(key=f"adapt_{name}").value for find, name in widgets), test.selectbox(key="adapt_scored_3").value]

    before = chosen()
    assert before[:3] == ["30 seconds", False, 2]
    test.switch_page("pages/8_Export.py").run()
    test.switch_page(PAGE).run()
    assert chosen() == before
    test.button(key="adapt_start").click().run()
    finished(test)
    assert chosen() == before


def test_nothing_starts_by_itself_and_a_pasted_text_is_learned_from(subject):
    test = checked(open_app(PAGE, REQUEST))
    assert tasks.run_adaptation.call("x").job is None
    assert "Start" in labels(test)
    assert not any("Whole model" in label for label in metrics(test))
    test.text_area(key="adapt_text").set_value("\n".join(TEXTS))
    test.number_input(key="adapt_steps").set_value(12)
    test.button(key="adapt_start").click().run()
    finished(test)
    shown = metrics(test)
    assert {f"Spearman x 100, {side}" for side in ("original", "compressed", "adapted")} <= set(shown)
    key = test.query_params["adaptation"]
    known = library.known_adaptation(key[0] if isinstance(key, list) else key)
    assert known.steps == 12
    assert shown["Spearman x 100, adapted"] == f"{known.scores['adapted']:.1f}"
    table = table_with(test, "trained", "adapted")
    assert list(table["steps"]) == [known.steps]
    assert known.steps in [every.steps for every in library.known_adaptations(subject.identity)]  # others' are not shown


@pytest.mark.slow
def test_without_text_the_page_says_what_to_give(subject):
    test = open_app(PAGE, REQUEST)
    assert len(test.text_area(key="adapt_text").value.splitlines()) > 400  # one press does it
    test.text_area(key="adapt_text").set_value(" ").run()
    test.button(key="adapt_start").click().run()
    assert "there is no text yet" in test.error[0].value
    test.text_area(key="adapt_text").set_value("one\ntwo\n").run()
    test.button(key="adapt_start").click().run()
    assert "give at least 8" in test.error[0].value


def test_every_setting_is_explained(subject):
    test = checked(open_app(PAGE, REQUEST))
    main = [*test.main.number_input, *test.main.slider, *test.main.select_slider, *test.main.toggle]
    assert {"Sentences a step", "Time", "Seed", "Codes may change"} <= {part.label for part in main}
    assert [part.label for part in main if not part.help] == []
    assert "Sentence vector: mean" in texts(test)


@pytest.mark.slow
def test_fine_tuning_trains_the_original_alike(subject):
    test = checked(open_app(PAGE, REQUEST))
    objective = test.selectbox(key="adapt_objective")
    assert objective.options == [
        "Distillation",
        "Fine-tuning on similarity",
        "Fine-tuning on entailment",
    ]  # it has no masked-word head
    objective.select("Fine-tuning on similarity").run()
    test.button(key="adapt_start").click().run()
    assert "upload labelled pairs" in test.error[0].value
    next(group for group in test.button_group if group.label == "Labelled pairs to learn from").set_value("Demonstration pairs")
    assert "Takes about 3 minutes, and the time to load and to score the pairs; the original is trained alike." in texts(test)
    test.number_input(key="adapt_steps").set_value(6).run()
    assert "Takes 6 steps; the original is trained alike: about" in texts(test)
    test.button(key="adapt_start").click().run()
    finished(test)
    shown = metrics(test)
    key = test.query_params["adaptation"]
    known = library.known_adaptation(key[0] if isinstance(key, list) else key)
    for side in ("original", "fine-tuned original", "compressed", "adapted"):
        assert shown[f"Spearman x 100, {side}"] == f"{known.scores[side]:.1f}".replace("-", "−")
    assert known.original_history[-1]["step"] == known.steps == 6
    assert known.settings.objective == "similarity"


@pytest.mark.slow
def test_fine_tuning_on_entailment_says_what_is_missing(subject):
    test = checked(open_app(PAGE, REQUEST))
    test.selectbox(key="adapt_objective").select("Fine-tuning on entailment").run()
    next(group for group in test.button_group if group.label == "Labelled pairs to learn from").set_value(
        "Demonstration pairs"
    ).run()
    test.button(key="adapt_start").click().run()
    assert "no NLI classifier" in test.error[0].value


@pytest.mark.slow
def test_a_paused_one_is_found_by_its_link_and_goes_on(subject):
    key = stopped_after(subject, 20, steps=60)
    test = checked(open_app(PAGE, REQUEST, adaptation=key))
    assert "Saved at step 21 of 60" in texts(test)
    assert {"Go on", "Stop here and keep the best"} <= labels(test)
    test.button(key="adapt_resume").click().run()
    finished(test)
    assert library.known_adaptation(key).state == "done"


@pytest.mark.slow
def test_a_paused_one_can_be_ended(subject):
    key = stopped_after(subject, 20, steps=61)
    test = checked(open_app(PAGE, REQUEST, adaptation=key))
    test.button(key="adapt_stop_here").click().run()
    finished(test)
    assert library.known_adaptation(key).state == "stopped"
    assert "stopped early" in texts(test)


@pytest.mark.slow
def test_a_failure_is_said_and_what_was_saved_stays(subject, monkeypatch):
    from subemb.adaptation import objectives
    from subemb.base.errors import InputError

    key = stopped_after(subject, 20, steps=62)
    monkeypatch.setattr(objectives, "RELATION", float("nan"))
    with pytest.raises(InputError):
        tasks.run_adaptation(key)
    monkeypatch.undo()
    test = open_app(PAGE, REQUEST, adaptation=key)
    assert "learning rate" in test.error[0].value
    assert "Saved at step 21 of 62" in texts(test)
    assert "Go on" in labels(test)


@pytest.mark.slow
def test_a_row_that_is_selected_stays_the_same_adaptations(subject):
    """In another tab one of two is deleted and another begun: the table is another one then, in which nothing is selected."""
    first, second = (stopped_after(subject, 1, steps=steps) for steps in (30, 31))

    def listed(test):
        found = frame_with(test, "trained", "state")
        return found.proto.id, len(found.value)

    test = checked(open_app(PAGE, REQUEST))
    before, count = listed(test)
    assert listed(test.run()) == (before, count)
    library.forget_adaptation(first)
    third = stopped_after(subject, 1, steps=32)
    after, same = listed(checked(test.run()))
    assert same == count >= 2
    assert after != before
    for key in (second, third):
        library.forget_adaptation(key)


def test_a_link_to_one_that_is_gone_says_so(subject):
    for key in ("f" * 24, "../../x"):
        test = checked(open_app(PAGE, REQUEST, adaptation=key))
        assert "not kept on this server any more" in texts(test)
        assert "Start" in labels(test)


@pytest.mark.slow
def test_an_adaptation_of_another_run_is_not_shown_with_this_one(subject):
    key = stopped_after(subject, 5, steps=63)
    other = CompressionSettings("product", subspaces=2, codebook_size=8)
    run_and_keep("small", None, other.to_dict())
    test = checked(open_app(PAGE, Request("small", None, other), adaptation=key))
    assert "Go on" not in labels(test)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("small", None, CompressionSettings("int8")), "has no codebooks to train"),
        (Request("table", None, RUN), "comes without a tokenizer"),
    ],
    ids=["int8", "table"],
)
def test_what_cannot_be_adapted_is_said(models, request_, message):
    run_and_keep(request_.model, None, request_.settings.to_dict())
    test = checked(open_app(PAGE, request_))
    assert message in texts(test)
    assert "Start" not in labels(test)


@pytest.mark.slow
def test_tiers_can_be_adapted(models):
    tiers = CompressionSettings("tiered", tiers="4:int8,*:2x4")
    run_and_keep("small", None, tiers.to_dict())
    test = checked(open_app(PAGE, Request("small", None, tiers)))
    assert "Start" in labels(test)
    test.text_area(key="adapt_text").set_value("\n".join(TEXTS))
    test.number_input(key="adapt_steps").set_value(2)
    test.button(key="adapt_start").click().run()
    finished(test)
    assert any("Whole model" in label for label in metrics(test))
    table = table_with(test, "trained", "table, kB")
    row = table[table["table"] == tiers.in_words].iloc[0]
    assert row["table, kB"] > 0
    assert "None" not in row["table"]


@pytest.mark.slow
def test_every_file_is_read_once_however_many_there_are(subject, monkeypatch):
    read = []

    def reading(content, name, columns=()):
        read.append((name, columns))
        return read_text_bytes(content, name, columns)

    monkeypatch.setattr("subemb.ui.pages.adapt.form.read_text_bytes", reading)
    test = checked(open_app(PAGE, REQUEST))
    test.segmented_control(key="adapt_source_3").set_value("Upload").run()
    files = [(f"{number}.txt", "\n".join(TEXTS[number : number + 20]).encode(), "text/plain") for number in range(9)]
    files.append(("few.txt", b"one line", "text/plain"))
    test.file_uploader(key="adapt_files").set_value(files).run()
    names = [(name, ()) for name, *_ in files]
    assert read == names
    assert [caption.value for caption in test.caption if caption.value.endswith(": 20 sentences")] == [
        f"{number}\\.txt: 20 sentences" for number in range(9)
    ]
    assert "has 1 different sentences" in test.error[0].value
    test.number_input(key="adapt_steps").set_value(3).run()
    assert read == names
    assert "has 1 different sentences" in test.error[0].value
    test.text_input(key="adapt_text_columns").set_value("title, body").run()
    assert read[len(names) :] == [(name, ("title", "body")) for name, _ in names]


def test_curves_hold_what_was_measured():
    history = [
        {"step": 0, "seconds": 1.0, "score": 40.0},
        {"step": 5, "seconds": 2.0, "loss": 3.0},
        {"step": 10, "seconds": 4.0, "loss": 2.0, "score": 50.0},
    ]
    figure, table = loss_curve(history)
    assert list(figure.data[0].y) == list(table["loss"]) == [3.0, 2.0]
    figure, table = score_curve({"a": history, "b": history[:1]}, {"original": 90.0})
    assert [list(trace.y) for trace in figure.data] == [[40.0, 50.0], [40.0]]
    assert list(table["run"]) == ["a", "a", "b"]
    assert figure.layout.shapes[0].y0 == 90.0


def known_by(scores: dict[str, float], history=(), best: int = 0, **settings) -> library.Adaptation:
    """An adaptation of which this is known."""
    return library.Adaptation(
        "k",
        {},
        {"method": "product"},
        AdaptationSettings(**settings),
        {},
        scores=scores,
        history=list(history),
        steps=26,
        best_step=best,
    )


SCORED = {"original": 75.42, "compressed": 63.18, "adapted": 66.52}


@pytest.mark.parametrize(
    ("adapted", "says"),
    [
        (66.52, "wins back **3.3 of the 12.2 points**"),
        (63.2, "wins back **none of the 12.2 points**"),
        (62.0, "**1.2 points worse**"),
        (75.4, "wins back **all of the 12.2 points** that compression had lost."),
        (76.0, "wins back **all of the 12.2 points** that compression had lost, and 0.6 more."),
    ],
)
def test_the_verdict_says_what_is_won_of_what_was_lost(adapted, says):
    assert says in verdict_text(known_by({**SCORED, "adapted": adapted}))


def test_where_nothing_was_lost_nothing_is_won_back():
    assert "had lost nothing here; adaptation changes the score by **+3.3 points**" in verdict_text(
        known_by({**SCORED, "original": 63.0})
    )


def test_fine_tuned_the_verdict_compares_with_the_original_that_was_trained_alike():
    found = known_by({**SCORED, "fine-tuned original": 70.0})
    assert verdict_text(found) == "Trained in the same way, the compressed model is **3.5 points worse** than the original."
    assert verdict_text(known_by({})) == ""


def test_what_moved_the_score_is_written_at_its_place_and_adds_up():
    history = [{"step": 0, "seconds": 17.9, "score": 66.16}, {"step": 6, "seconds": 20.1, "score": 66.52, "loss": 0.9}]
    found = known_by(SCORED, history, best=6)
    assert [words for _, _, words in marks_of(found, history)] == ["codes found anew: +3.0", "trained 6 steps: +0.3"]
    points = from_the_start(found, history)
    assert (points[0]["seconds"], points[0]["score"]) == (0.0, 63.18)
    figure, _ = score_curve({"adapted": points}, {}, marks_of(found, history))
    assert list(figure.data[0].y) == [63.18, 66.16, 66.52]
    assert [note.x for note in figure.layout.annotations] == [17.9, 20.1]


def test_where_training_wins_nothing_the_curve_says_so():
    history = [{"step": 0, "seconds": 17.9, "score": 66.16}, {"step": 26, "seconds": 30.0, "score": 66.0}]
    assert [words for _, _, words in marks_of(known_by(SCORED, history), history)][1] == "trained 26 steps: nothing more"
    kept = known_by(SCORED, history, reassign=False)
    assert from_the_start(kept, history) == history, "its first point is the compressed table"


def test_many_losses_have_a_running_mean():
    losses = [2.0, 0.5] * 8
    figure, table = loss_curve([{"step": n, "seconds": float(n), "loss": loss} for n, loss in enumerate(losses)])
    assert list(figure.data[0].y) == list(table["loss"]) == losses
    assert list(figure.data[1].y)[-4:] == [1.25] * 4


# Another visitor


@pytest.fixture
def busy(tmp_path):
    """The lane of adaptations is busy with something else, so that what is started waits."""
    with jobs_functions.busy("adapt", tmp_path):
        yield


def started(steps: int):
    test = checked(open_app(PAGE, REQUEST))
    test.text_area(key="adapt_text").set_value("\n".join(TEXTS))
    test.number_input(key="adapt_steps").set_value(steps)
    return checked(test.button(key="adapt_start").click().run())


def key_in(test) -> str:
    found = test.query_params["adaptation"]
    return found[0] if isinstance(found, list) else found


@pytest.mark.slow
def test_pause_stop_and_delete_are_the_owners(subject, browser, busy):
    token = browser("anna")
    hers = started(201)
    key = key_in(hers)
    assert {"Pause", "Stop and keep the best"} <= labels(hers)
    browser("ben")
    his = checked(open_app(PAGE, REQUEST, adaptation=key))
    assert "Training now" in [header.value for header in his.header], "who has the link may look"
    assert not labels(his) & {"Pause", "Stop and keep the best"}
    assert "Another visitor began this adaptation" in texts(his)
    his.query_params.pop("adaptation")
    assert "adapt_waiting_0" not in {button.key for button in checked(his.run()).button}
    browser("anna")
    assert key_in(checked(open_app(PAGE, REQUEST))) == key, "in a new tab she finds it without a link"
    hers.button(key="adapt_pause").click().run()
    assert "Go on" in labels(checked(hers)), "that he looks does not keep her from pausing"
    assert tasks.run_adaptation.call(key).job.state == "cancelled"
    browser("ben")
    his = checked(open_app(PAGE, REQUEST, adaptation=key))
    assert "Go on" not in labels(his)
    assert "belongs to another visitor" in texts(his)
    assert library.waiting_adaptations(token, subject.run_key) == [key]
    browser("anna")
    hers = checked(open_app(PAGE, REQUEST))
    hers.button(key="adapt_waiting_0").click().run()
    assert "Go on" in labels(checked(hers)), "she finds it again without a link"


@pytest.mark.slow
def test_two_who_start_the_same_share_it_and_a_stop_takes_only_one_away(subject, browser, busy):
    browser("anna")
    hers = started(202)
    browser("ben")
    his = started(202)
    assert key_in(his) == key_in(hers)
    his.button(key="adapt_stop").click().run()
    assert "goes on for them" in texts(checked(his))
    assert "Wait for it too" in labels(his)
    job = tasks.run_adaptation.call(key_in(hers)).job
    assert not job.is_over
    browser("anna")
    hers.button(key="adapt_pause").click().run()
    assert job.state == "cancelled"


def test_what_nobody_watched_says_so_and_waits_to_be_taken_up(subject, browser, busy):
    browser("anna")
    hers = started(203)
    job = tasks.run_adaptation.call(key_in(hers)).job
    job._last_watched -= 61
    manager().sweep()
    assert job.is_abandoned
    checked(hers.run())
    assert "Nobody had watched this for a minute" in texts(hers)
    assert "Go on" in labels(hers)


@pytest.mark.slow
def test_lists_and_names_of_files_are_private(subject, browser):
    anna = browser("anna")
    key = tasks.begin_adaptation(
        subject, AdaptationSettings(steps=7), replace(text_of(TEXTS), name="an uploaded text"), visitor=anna,
        names={"text": "letters of anna.txt"},
    )  # fmt: skip
    tasks.run_adaptation(key)
    hers = checked(open_app(PAGE, REQUEST))
    assert "letters of anna.txt" in list(table_with(hers, "trained", "text")["text"])
    browser("ben")
    his = checked(open_app(PAGE, REQUEST, adaptation=key))
    assert "Whole model" in metrics(his), "who has the link sees the result"
    assert not any("letters of anna.txt" in frame.value.to_string() for frame in his.dataframe)
    assert "letters" not in texts(his)
