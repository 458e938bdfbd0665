"""Texts to learn from: files, tables and folders, and sources of which none drowns another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subemb.adaptation.mixing import LEAST, Mixture
from subemb.adaptation.texts import Text, TooFew, one_text, read_text_bytes, read_texts, text_of
from subemb.base.errors import InputError
from subemb.evaluate.data.pairs import PairSet

LINES = [f"Sentence number {number} of this text." for number in range(12)]
TABLE = "id,title,body\n" + "".join(f"{n},Title {n},The body number {n} is long.\n" for n in range(10))


def test_a_table_is_read_by_the_columns_that_hold_sentences():
    text = read_text_bytes(TABLE.encode(), "news.csv")
    assert text.sentences[0] == "The body number 0 is long."
    assert len(text) == 10
    said = [note.sentence() for name, note in text.notes if name == "news.csv"]
    assert any("the column body, and no labels" in sentence and "--text-columns NAME,NAME" in sentence for sentence in said)


def test_columns_that_are_named_are_read_and_nothing_is_guessed():
    text = read_text_bytes(TABLE.encode(), "news.csv", ("title", "body"))
    assert text.sentences[:2] == ("Title 0", "The body number 0 is long.")
    assert not any(note.about == "text columns" for _, note in text.notes)
    with pytest.raises(InputError, match=r"news.csv has no column 'text'; its columns are .*body"):
        read_text_bytes(TABLE.encode(), "news.csv", ("text",))


def test_a_table_without_sentences_says_how_to_choose():
    content = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(20))
    with pytest.raises(InputError, match=r"no column holds sentences.*--text-columns"):
        read_text_bytes(content, "numbers.csv")


def test_tables_of_one_or_two_columns_are_read_too():
    one = b"text\n" + b"".join(b'"Well, number %d sat down."\n' % n for n in range(9))
    assert read_text_bytes(one, "one.csv", ("text",)).sentences[0] == "Well, number 0 sat down."
    two = b"id\ttext\n" + b"".join(b"%d\tHere, number %d sat down.\n" % (n, n) for n in range(9))
    assert read_text_bytes(two, "two.tsv", ("text",)).sentences[8] == "Here, number 8 sat down."
    bare = b"text\n" + b"".join(b"Well, number %d sat down.\n" % n for n in range(9))
    with pytest.raises(InputError, match="9 of 9 rows have more fields than the header; put sentences"):
        read_text_bytes(bare, "bare.csv", ("text",))


def test_a_labelled_set_is_read_without_its_labels_whatever_it_is_called():
    rows = "".join(f"A cat number {n} sat.\tA dog number {n} ran.\t{n % 6}\n" for n in range(9))
    content = f"sentence1\tsentence2\tscore\n{rows}".encode()
    for name in ("pairs.tsv", "pairs.txt"):
        text = read_text_bytes(content, name)
        assert text.sentences[:2] == ("A cat number 0 sat.", "A dog number 0 ran.")
        assert len(text) == 18


def test_lines_are_read_as_they_are_where_columns_are_named_for_other_files():
    text = read_text_bytes("\n".join(LINES).encode(), "lines.txt", ("body",))
    assert list(text.sentences) == LINES
    assert text.notes == ()


def test_files_and_folders_are_sources(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES), encoding="utf-8")
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "news.csv").write_text(TABLE, encoding="utf-8")
    (folder / "more.txt").write_text("\n".join(f"Another {n} of them." for n in range(30)), encoding="utf-8")
    (folder / "SOURCE.txt").write_text("Where it comes from.", encoding="utf-8")
    (folder / "LICENSE.md").write_text("\n".join(LINES), encoding="utf-8")
    text = read_texts([tmp_path / "lines.txt", folder])
    assert text.sizes == (12, 40)
    assert text.name == "lines.txt, many"
    assert any(name == "SOURCE.txt" and "too few" in note.sentence() for name, note in text.notes)
    assert read_texts([folder]).sizes == (40,)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty has no file of 8 sentences"):
        read_texts([tmp_path / "empty"])


def test_what_occurs_twice_belongs_to_the_first_source():
    text = one_text([text_of(LINES, "a"), text_of([*LINES[:10], *(f"Other {n}." for n in range(8))], "b"), text_of(LINES, "c")])
    assert text.sizes == (12, 8)
    assert text.skipped == 10 + 12
    assert text.digest != Text("x", text.sentences).digest, "how it is mixed matters"


def test_sources_shrink_by_what_is_scored():
    pairs = PairSet("p", "similarity", "made", tuple(LINES[:3]), tuple(LINES[:3]), np.arange(3.0))
    other = text_of([f"Other {n}." for n in range(9)], "b")
    assert one_text([text_of(LINES), other]).without(pairs).sizes == (9, 9)
    with pytest.raises(TooFew, match="give at least 8"):
        text_of(LINES).without(PairSet("p", "similarity", "made", tuple(LINES[:6]), tuple(LINES[:6]), np.arange(6.0)))


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_pass_reads_all_sources_evenly_and_passes_go_through_all_rows(sizes, seed):
    mixture = Mixture(tuple(sizes))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    passes = [mixture.order(number, [seed, number]) for number in range(3)]
    for order in passes:
        assert len(order) == mixture.rows
        assert np.bincount(owner[order], minlength=len(sizes)).tolist() == [mixture.each] * len(sizes)
    counts = np.bincount(np.concatenate(passes), minlength=sum(sizes))
    for source in range(len(sizes)):
        assert np.ptp(counts[owner == source]) <= 1, "each row as often as the others of its source"
    assert np.array_equal(mixture.order(1, [seed, 1]), passes[1])


def test_a_long_source_does_not_drown_a_short_one():
    mixture = Mixture((5000, 148_000))
    assert mixture.each == 5000
    sample = mixture.sample(60_000, 0)
    assert (sample < 5000).sum() == (sample >= 5000).sum() == 30_000
    assert len(set(sample[sample < 5000])) == 5000
    assert Mixture((10, 148_000)).each == LEAST
    assert Mixture((7,)).sample(3, 0).tolist() == list(range(7)), "of one source all rows"
