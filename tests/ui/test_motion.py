"""The chart of codes being found."""

from subemb.ui.widgets.motion import motion_figure, motion_words

FIRST = {
    "stage": "k-means", "points": [[0, 500], [1000, 0], [-1000, 0]], "shown": None, "books": [[100, 0], [900, 0]], "codes": [0, 1, 0],
    "familiar": [[0, 1], [1, 1]], "tokens": [4, 5, 6], "share": 0.5,
}  # fmt: skip
THEN = {**FIRST, "points": None, "codes": [1, 1, 0], "familiar": [[1, 1], [1, 1]], "books": [[0, 0], [800, 0]]}


def test_a_picture_marks_what_changed_and_ties_each_token_to_its_codeword():
    figure = motion_figure([FIRST, THEN], ["king", "<b>"])
    assert [frame.name for frame in figure.frames] == ["0", "1"]
    assert len(figure.layout.sliders[0].steps) == 2
    threads, tokens, moved, books, codes = figure.frames[1].data
    assert list(threads.x[:2]) == [0.0, 0.800000011920929]
    assert list(moved.x) == [0.0]
    assert list(books.x) == [0.0, 0.800000011920929]
    assert codes.z.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert list(tokens.text) == ["king", "&#60;b&#62;", ""]
    assert motion_words([FIRST, THEN], 1).startswith("k-means: 1 of 3 tokens")


def test_codewords_of_a_large_codebook_are_found_by_their_numbers():
    picture = {**FIRST, "codes": [700, 20, 700], "shown": [20, 700]}
    threads = motion_figure([picture], ["a", "b"], plays=False).data[0]
    assert [round(float(x), 3) for x in threads.x[1::3]] == [0.9, 0.1, 0.9]


def test_a_vocabulary_without_familiar_words_has_the_tokens_all_the_same():
    pictures = [{**FIRST, "familiar": []}, {**THEN, "familiar": []}]
    figure = motion_figure(pictures, [])
    assert len(figure.frames[1].data[1].x) == 3
