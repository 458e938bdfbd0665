"""The jobs of the page Words in context, called as a worker calls them."""

import pickle
import shutil

import masked_models
import pytest
from apps import own_folders
from checkpoints import make_bert

from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.context.fill import fill
from subemb.evaluate.context.network import ContextSides
from subemb.evaluate.context.perplexity import text_perplexity as score
from subemb.runs import run_and_keep
from subemb.tasks import evaluations as tasks
from subemb.tasks.sides import Subject, open_sides

SETTINGS = [CompressionSettings("product", subspaces=2, codebook_size=4, iterations=2), CompressionSettings("int8")]
SENTENCE = "the dog says [MASK] ."


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        shutil.copytree(masked_models.trained() / "animals", folder / "animals")
        make_bert(folder / "headless")
        found = []
        for name in ("animals", "headless"):
            for settings in SETTINGS:
                run = run_and_keep(name, None, settings.to_dict())
                found.append(Subject(name, None, run.model["identity"], run.key))
        yield found


def test_a_filled_mask_is_the_librarys(subjects):
    filled = tasks.fill_sentence(subjects[0], SENTENCE, input=False)
    assert filled == fill(open_sides(subjects[0]), SENTENCE, input=False)
    assert filled.sides == ("original", "compressed")
    assert filled.masks[0].top(0)[0].token == "woof"
    assert pickle.loads(pickle.dumps(filled)) == filled  # it crosses processes


def test_of_two_runs_both_have_only_the_chosen_uses_compressed(subjects):
    one, other = subjects[0], subjects[1]
    both = Subject(one.name, None, one.identity, one.run_key, other_key=other.run_key)
    filled = tasks.fill_sentence(both, SENTENCE, output=False)
    assert filled.sides == ("run A", "run B")
    for place, subject in enumerate((one, other)):
        alone = tasks.fill_sentence(subject, SENTENCE, output=False)
        wanted = {filling.token_id: filling.probabilities[1] for filling in alone.masks[0].fillings}
        found = {filling.token_id: filling.probabilities[place] for filling in filled.masks[0].fillings}
        shared = wanted.keys() & found.keys()
        assert len(shared) >= 5
        assert all(found[token] == pytest.approx(wanted[token]) for token in shared)
    uses = tasks.compare_table_uses(both, SENTENCE, "the dog says woof .")
    assert uses.sides == ("original", "input only", "output only", "both"), "the uses of A, against the original"


def test_a_head_that_was_trained_anew_is_not_taken_for_another(subjects):
    with pytest.raises(InputError, match="has been trained anew since; load this page again"):
        tasks.fill_sentence(subjects[0], SENTENCE, head="0123")


def test_the_original_alone(subjects):
    subject = subjects[0]
    filled = tasks.fill_sentence(Subject(subject.name, None, subject.identity, None), SENTENCE)
    assert filled.sides == ("original",)


def test_pseudo_perplexity_is_the_librarys_and_is_reported(subjects):
    seen = []
    text = "\n".join(masked_models.sentences()[:6])
    result = tasks.perplexity_of_text(subjects[0], text, most_tokens=20, seed=3, progress=seen.append)
    assert result == score(open_sides(subjects[0]), text, most_tokens=20, seed=3)
    assert pickle.loads(pickle.dumps(result)) == result
    fractions = [message.fraction for message in seen]
    assert fractions == sorted(fractions)
    with pytest.raises(Cancelled):
        tasks.perplexity_of_text(subjects[0], text, progress=lambda message: message.fraction > 0.5)


def test_what_is_kept_is_bounded_and_of_one_model(subjects):
    first = tasks.context_sides(subjects[0], True, True)
    assert tasks.context_sides(subjects[0], True, True) is first
    for subject in subjects[:2]:
        for input, output in ((True, True), (True, False), (False, True)):
            assert isinstance(tasks.context_sides(subject, input, output), ContextSides)
    assert len(tasks.CONTEXT_SIDES.keys()) == tasks.CONTEXT_SIDES.most
    with pytest.raises(ModelError, match="masked-word head"):
        tasks.context_sides(subjects[2], True, True)
    assert not tasks.CONTEXT_SIDES.keys()


def test_a_run_that_is_gone_is_said(subjects):
    subject = subjects[0]
    with pytest.raises(InputError):
        tasks.fill_sentence(Subject(subject.name, None, subject.identity, "0" * 24), SENTENCE)
