"""The lesson's own table: numbers worked out by hand, and pictures that show them and nothing else."""

import base64
import inspect
import io
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from subemb.codec.sizes import Size
from subemb.evaluate.similarity.moved import MovedSentence
from subemb.ui.pages.lesson import pictures
from subemb.ui.pages.lesson.plane import adaptation_drawing, k_means_drawing
from subemb.ui.pages.lesson.real import arrows_html, cells_image, sentence_picture, sentence_text, stored_picture, stored_text
from subemb.ui.pages.lesson.steps import STEPS
from subemb.ui.pages.lesson.toy import ROUNDS, toy

#: What each piece says of a word: what it is, how large, where one meets it. By hand.
KINDS = {"animal": "cat dog cow bee rat", "food": "apple bread soup pizza", "vehicle": "bike bus tractor"}
SIZES = {"small": "cat dog bee rat apple bread", "middle": "soup pizza bike", "large": "cow bus tractor"}
PLACES = {"home": "cat dog bread soup", "field": "cow bee apple tractor", "street": "rat pizza bike bus"}


def groups(codes) -> set[frozenset[str]]:
    """The words that have the same code."""
    return {frozenset(word for word, code in zip(toy().words, codes, strict=True) if code == one) for one in set(codes)}


@pytest.mark.parametrize(("subspace", "by_hand"), [(0, KINDS), (1, SIZES), (2, PLACES)])
def test_every_piece_is_grouped_as_a_person_would(subspace, by_hand):
    assert groups(toy().grouped[0][:, subspace].tolist()) == {frozenset(words.split()) for words in by_hand.values()}


def test_codewords_are_the_means_that_one_gets_by_hand():
    whole = [sorted(map(tuple, book.tolist())) for book in toy().grouped[1]]
    assert whole == [[(-3, 2), (0, -4), (3, 3)], [(-2, -1), (1, -1), (3, 4)], [(-3, 1), (1, -3), (2, 3)]]


def test_cat_and_dog_collide_and_dog_goes_to_the_middle_ones():
    assert toy().collision == ("cat", "dog")
    assert toy().moved == ("dog",)
    sizes = {name: set(words.split()) for name, words in SIZES.items()}
    moved = {"small": sizes["small"] - {"dog"}, "middle": sizes["middle"] | {"dog"}, "large": sizes["large"]}
    assert groups(toy().unique[0][:, 1].tolist()) == set(map(frozenset, moved.values()))
    # Five of the six small ones: (-12 + 1, -6 + 1) / 5. Three middle ones and dog: (3 - 1, -3 - 1) / 4.
    assert sorted(tuple(np.round(row, 9)) for row in toy().unique[1][1]) == [(-2.2, -1), (0.5, -1), (3, 4)]
    assert len(set(map(tuple, toy().unique[0].tolist()))) == len(toy().words)


def test_errors_are_those_that_one_gets_by_hand():
    # dog is (3, 4, -1, -1, 1, 3), rebuilt (3, 3, 0.5, -1, 2, 3): 1 + 1.5 * 1.5 + 1
    rebuilt = toy().rebuilt(toy().unique)[toy().followed]
    assert rebuilt.tolist() == [3, 3, 0.5, -1, 2, 3]
    assert ((toy().table[toy().followed] - rebuilt) ** 2).sum() == 4.25
    assert toy().error(toy().grouped) == 46
    # dog leaves the small ones, 1 away from their middle: they lose 6/5 * 1. It joins three, 2 away: they gain 3/4 * 4.
    assert toy().error(toy().unique) == pytest.approx(46 - 1.2 + 3)


def test_bytes_are_those_that_one_gets_by_hand():
    assert toy().counted == (12 * 6 * 4, 3 * 6 * 4, 12 * 3 * 2 / 8)


def test_k_means_is_shown_from_its_start_to_where_nothing_moves():
    moments = toy().moments
    assert (moments[0].codes == -1).all()
    assert moments[0].codebook.tolist() == [[4, 2], [2, 4], [2, 2]]  # bee, rat, cow
    assert (moments[-1].codes == toy().grouped[0][:, 0]).all()
    assert np.array_equal(moments[-1].codebook, toy().grouped[1][0])
    for before, after in pairwise(moments[1:]):  # either words or codewords move
        assert (before.codes == after.codes).all() or np.array_equal(before.codebook, after.codebook)


def test_adapting_brings_sentences_back_and_single_words_further_away():
    states = [toy().adapted(rounds) for rounds in ROUNDS]
    sentences = [toy().sentence_error(state) for state in states]
    assert sentences == sorted(sentences, reverse=True)
    assert sentences[0] > 10 * sentences[-1]
    assert toy().error(states[-1]) > toy().error(states[0])


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.title)
def test_a_step_brings_out_lines_that_are_there(step):
    source = "\n".join(inspect.getsource(function) for function in step.functions)
    assert all(part in source for part in step.lines)
    html = pictures.code_picture(source, step.lines)
    assert "le-on" in html
    assert "&lt;" not in source


def test_pictures_show_the_numbers_of_the_table():
    for picture in (pictures.table_picture, pictures.cut_picture):
        rows = re.findall(r"<tr class=.*?</tr>", picture(toy()))
        assert len(rows) == len(toy().words)
        for row, values in zip(rows, toy().table, strict=True):
            assert [int(text.replace("−", "-")) for text in re.findall(r"%\">(−?\d+)<", row)] == values.tolist()
    assert pictures.bytes_picture(toy()).count("<i style") == 288 + 72 + 9
    assert "= 4.25" in pictures.rebuilt_picture(toy())
    assert "<b>46</b> → <b>47.8</b>" in pictures.collision_picture(toy())
    assert pictures.codes_picture(toy()).count("le-b") > 3 * 12


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (Size(1000, 100, 1000, code_bits=8000), "**20 %** of what is stored: 1.2 times"),  # 4,000 of floats, 1,000 of codes
        (Size(1000, 100, 1000, code_bits=24000, codebook_bytes=1000), "**75 %** of what is stored. Codebooks in 8 bits a number instead of 32 make up"),
        (Size(1000, 100, 1000, code_bits=8000, codebook_bytes=1000), "8 bits a number instead of 32 more than make up for them."),
        (Size(1000, 100, 1000, code_bits=800), "so little that both numbers nearly agree"),
        (Size(1000, 100, 1000), "stores none"),
        (Size(1000, 100, 0, 1000), "no codebooks"),
    ],
)  # fmt: skip
def test_the_papers_number_is_said_to_flatter_only_where_it_does(size, said):
    assert said in stored_text(size)


def test_both_measures_have_equal_decimals():
    picture = stored_picture(Size(30522, 384, 58360, code_bits=176_000 * 8, codebook_bytes=58_700), "MiniLM")
    assert "<b>99.502 %</b>" in picture
    assert "<b>99.499 %</b>" in picture


def test_drawings_of_the_plane_hold_every_point():
    for drawing in (k_means_drawing(toy()), adaptation_drawing(toy())):
        points = [point for frame in drawing["frames"] for point in frame["dots"] + frame["books"]] + drawing.get("rings", [])
        assert (np.array(points) >= drawing["low"]).all()
        assert (np.array(points) <= drawing["high"]).all()
        assert all(len(frame["dots"]) == len(drawing["names"]) for frame in drawing["frames"])


def test_texts_are_escaped_and_coloured():
    assert pictures.said("<i>[V|V = 2]</i> **b**") == '&lt;i&gt;<span class="le-V">V = 2</span>&lt;/i&gt; <b>b</b>'
    assert "<script>" not in arrows_html({"original": 1.0, "<script>": 0.5})


def test_arrows_have_their_true_angles():
    assert "90°" in arrows_html({"original": 1.0, "compressed": 0.0})
    assert "rotate(-30.0deg)" in arrows_html({"original": 1.0, "compressed": 0.5})
    assert "180°" in arrows_html({"original": 1.0, "compressed": -1.0000001})


def test_the_sentence_names_which_of_two_equal_tokens_turns_it_most_and_says_degrees():
    tokens = ["drinks", "wine", "drinks"]
    turns = np.cos(np.radians([21.0, 5, 14]))
    found = MovedSentence(SimpleNamespace(tokens=tokens), {"original": 1.0, "compressed": 0.5}, turns, "mean")
    assert "the first **drinks** does most, **21°**" in sentence_text(found, ("original", "compressed"))
    picture = sentence_picture(found, ("original", "compressed"))
    assert [int(turn) for turn in re.findall(r">(\d+)°</td>", picture)] == [21, 5, 14]
    still = MovedSentence(SimpleNamespace(tokens=tokens), {"original": 1.0, "compressed": 1.0}, np.ones(3), "mean")
    assert "None of its tokens moves it" in sentence_text(still, ("original", "compressed"))


def test_cells_of_a_wide_piece_stand_in_equal_lines():
    def size(count: int) -> tuple[int, int]:
        data = re.search(r"base64,([^\"]+)", cells_image([np.ones(count)] * 3, 1.0))[1]
        return Image.open(io.BytesIO(base64.b64decode(data))).size

    assert size(96) == (48 * 8, (3 * 2 + 2) * 8)  # two lines of 48 each, and a gap of a cell between the three
    assert size(48) == (48 * 8, 3 * 8 + 2 * 4)


def test_cells_are_as_many_as_there_are_numbers():
    assert cells_image([np.linspace(-1, 1, 70)] * 3, 1.0).startswith('<img alt="" src="data:image/png')
    assert cells_image([np.zeros(3)] * 3, 0.5)
