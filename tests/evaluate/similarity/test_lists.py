"""Lists of sentences: cosines, nearest sentences and ranks."""

import numpy as np
import pytest
from checkpoints import make_bert, make_sentence_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import rankdata

from subemb.base.errors import InputError
from subemb.codec import compress
from subemb.evaluate.similarity.sentences import MOST_SENTENCES, ListComparison, compare, ranks_of
from subemb.models.load import load
from subemb.tasks.sides import sides_of

TEXTS = ["the cat sits on the mat", "a small dog runs", "the river is green", "one old house", "birds sings ."]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists") / "sentence"
    model = load(str(make_sentence_model(make_bert(folder, initializer_range=0.3), "mean")))
    return sides_of(model, compress(model.table, method="product", subspaces=2, codebook_size=4, iterations=2))


class Fixed:
    """A model whose sentence vectors are given."""

    def __init__(self, vectors: dict[str, list[float]]):
        self.vectors = vectors

    def encode(self, sentences, progress=None):
        return np.array([self.vectors[text] for text in sentences], dtype=np.float32)


def test_a_case_worked_by_hand():
    """a, b, c at 0, 30 and 90 degrees; afterwards b is at 80."""
    at = lambda degrees: [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]  # noqa: E731
    before, after = Fixed({"a": at(0), "b": at(30), "c": at(90)}), Fixed({"a": at(0), "b": at(80), "c": at(90)})
    found = compare({"original": before, "compressed": after}, ["a", "b", "c"])
    assert found.matrices["original"] == pytest.approx(
        np.array([[1, 0.75**0.5, 0], [0.75**0.5, 1, 0.5], [0, 0.5, 1]]), abs=1e-6
    )
    assert found.difference("compressed")[0, 1] == pytest.approx(np.cos(np.radians(80)) - 0.75**0.5, abs=1e-6)
    assert found.nearest("original").tolist() == [1, 0, 1]
    assert found.nearest("compressed").tolist() == [1, 2, 1]
    assert found.changed("compressed").tolist() == [False, True, False]
    assert found.ranks["original"].tolist() == [[0, 1, 2], [1, 0, 2], [2, 1, 0]]
    assert found.rank_changes("compressed").tolist() == [[0, 0, 0], [1, 0, -1], [0, 0, 0]]
    assert found.columns == ("a", "b", "c")


def test_cosines_are_those_of_sentence_transformers(sides):
    from sentence_transformers import SentenceTransformer, util

    found = compare(sides, TEXTS[:3], TEXTS[2:])
    peer = SentenceTransformer(str(sides["original"].folder), device="cpu")
    expected = util.cos_sim(peer.encode(TEXTS[:3]), peer.encode(TEXTS[2:])).numpy()
    assert found.matrices["original"] == pytest.approx(expected, abs=1e-5)
    assert found.sides == ["original", "compressed"]
    assert np.array_equal(found.difference("original"), np.zeros((3, 3)))
    assert np.abs(found.difference("compressed")).max() > 1e-3
    assert not found.matrices["original"].flags.writeable


def test_nearest_sentences_are_those_of_a_loop(sides):
    for second in (None, TEXTS[1:4]):
        found = compare(sides, TEXTS, second)
        for side in sides:
            matrix = found.matrices[side]
            for row in range(len(TEXTS)):
                others = [column for column in range(matrix.shape[1]) if second is not None or column != row]
                order = sorted(others, key=lambda column: -matrix[row, column])
                assert found.nearest(side)[row] == order[0]
                if not np.isclose(np.diff(np.sort(matrix[row])), 0, atol=1e-5).any():
                    assert [found.ranks[side][row, column] for column in order] == list(range(1, len(order) + 1))


def test_an_uncompressed_table_changes_nothing(sides):
    import torch

    model = sides["original"]
    same = model.with_embeddings(torch.nn.Embedding.from_pretrained(model.table.clone()))
    found = compare({"original": model, "same": same}, TEXTS)
    assert np.abs(found.difference("same")).max() <= 1e-5
    assert not found.changed("same").any()
    assert not found.rank_changes("same").any()


def test_equal_sentences_are_equal_wherever_they_stand(sides):
    found = compare(sides, [TEXTS[0], TEXTS[1], TEXTS[0]], [TEXTS[0], TEXTS[3], TEXTS[0]])
    for side in sides:
        matrix = found.matrices[side]
        assert np.array_equal(matrix[0], matrix[2])
        assert np.array_equal(matrix[:, 0], matrix[:, 2])
        assert found.ranks[side][0].tolist() == [1, 3, 1]
    assert not found.changed("compressed")[0]  # a tie is not a change


def test_a_list_of_one_against_another():
    model = Fixed({"a": [1, 0], "b": [0, 1]})
    found = compare({"original": model}, ["a"], ["b"])
    assert found.nearest("original").tolist() == [0]
    assert found.matrices["original"].tolist() == [[0.0]]


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(-3, 3)))
def test_ranks_are_those_of_scipy(matrix):
    matrix = matrix / 3  # differences are far larger than TIE, or nothing
    assert np.array_equal(ranks_of(matrix), rankdata(-matrix, method="min", axis=1).astype(int))


@given(arrays.arrays(np.float64, st.integers(2, 6).map(lambda n: (n, n)), elements=st.floats(-1, 1)))
def test_a_sentence_has_no_rank_for_itself(matrix):
    ranks = ranks_of(matrix, against_itself=True)
    assert (np.diag(ranks) == 0).all()
    for row, values in enumerate(matrix):
        others = np.delete(values, row)
        assert (np.delete(ranks[row], row) >= 1).all()

        assert (np.delete(ranks[row], row) <= 1 + (others[None] > others[:, None]).sum(1)).all()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([], None, "the list is empty"),
        (["a"], None, "at least 2 sentences"),
        (["a"], [], "the second list is empty"),
        (["a", "  "], ["b"], "the first list, sentence 2, is empty"),
        (["a"], ["b" * 2001], "the second list, sentence 1, has 2,001 characters; at most 2,000"),
        (["a"] * (MOST_SENTENCES + 1), ["b"], "the first list has 201 sentences; at most 200"),
    ],
)
def test_lists_that_cannot_be_used(first, second, message):
    with pytest.raises(InputError, match=message):
        compare({"original": Fixed({"a": [1, 0], "b": [0, 1]})}, first, second)


def test_results_cross_processes():
    import pickle

    found = compare({"original": Fixed({"a": [1, 0], "b": [0, 1]})}, ["a", "b"])
    again = pickle.loads(pickle.dumps(found))
    assert isinstance(again, ListComparison)
    assert np.array_equal(again.ranks["original"], found.ranks["original"])
