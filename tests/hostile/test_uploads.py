"""Files that a visitor may give: what cannot be read is said by name, with what is wrong; nothing that is opened runs or fills the memory."""

import gzip
import io
import pickle
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from subemb.base.errors import InputError
from subemb.evaluate import read_pairs, read_words


def parquet(**columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


class Bomb:
    """A pickle that would say so if it were loaded."""

    def __reduce__(self):
        return print, ("loaded",)


HEADER = b"sentence1\tsentence2\tscore\n"
ROW = b"a b\tc d\t1.5\n"
PAIR_FILES = {
    "empty.csv": b"",
    "blank.tsv": b"\n\n \n\t\n",
    "zeros.csv": b"\0" * 4000,
    "header only.tsv": HEADER,
    "one pair.tsv": HEADER + ROW,
    "no score.tsv": HEADER + b"a\tb\t\nc\td\t\n",
    "words for scores.tsv": HEADER + b"a\tb\tmuch\nc\td\tlittle\n",
    "nan.tsv": HEADER + b"a\tb\tnan\nc\td\tinf\n",
    "one column.csv": b"sentence\nhello\nworld\n",
    "twice the name.tsv": b"sentence1\tsentence1\tscore\na\tb\t1\nc\td\t2\n",
    "unclear.tsv": b"x\ty\tz\na\tb\tc\nd\te\tf\n",
    "picture.csv": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
    "program.tsv": b"\x7fELF" + bytes(range(256)) * 8,
    "pdf.csv": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "page.csv": b"<!DOCTYPE html><html><body><p>Not found</p></body></html>\n",
    "pointer.tsv": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
    "pickle.csv": pickle.dumps(Bomb()),
    "pickle.parquet": pickle.dumps(Bomb()),
    "archive.csv": zipped("pairs.csv", HEADER + ROW * 3),
    "table.xlsx.csv": zipped("xl/worksheets/sheet1.xml", b"<worksheet/>"),
    "packed.csv": gzip.compress(HEADER + ROW * 3),
    "bomb.csv": gzip.compress(b"a" * 50_000_000),
    "broken.parquet": b"PAR1" + b"\0" * 100 + b"PAR1",
    "cut off.parquet": parquet(sentence1=["a"] * 9, sentence2=["b"] * 9, score=[1.0] * 9)[:-60],
    "numbers.parquet": parquet(a=[1, 2, 3], b=[4, 5, 6]),
    "nothing.parquet": parquet(sentence1=[], sentence2=[], score=[]),
    "brackets.json": b"[" * 200_000,
    "cut off.json": b'[{"sentence1": "a", "sentence2":',
    "number.json": b"5",
    "null.jsonl": b"null\nnull\n",
    "lists.jsonl": b"[1]\n[2]\n",
    "deep.jsonl": b'{"a":' * 300 + b"1" + b"}" * 300,
    "objects for text.jsonl": b'{"sentence1": {"a": 1}, "sentence2": [], "score": 1}\n' * 3,
    "half a character.jsonl": b'{"sentence1": "\\ud800", "sentence2": "b", "score": 1}\n' * 3,
    "utf-16.csv": "sentence1,sentence2\na,b\n".encode("utf-16"),
    "latin.csv": "sätze,önly,ärger\n".encode("latin-1") * 3,
    "one line.csv": b"x" * 300_000,
    "quotes.csv": b'"' * 5001,
    "commas.csv": b"," * 100_000 + b"\n",
}


@pytest.mark.parametrize("name", PAIR_FILES)
@pytest.mark.parametrize("task", ["similarity", "entailment"])
def test_a_file_that_holds_no_labelled_pairs_is_named(name, task, capsys):
    with pytest.raises(InputError) as caught:
        read_pairs(PAIR_FILES[name], name, task)
    message = str(caught.value)
    assert name in message
    assert len(message) < 1500
    assert "loaded" not in capsys.readouterr().out
    for foreign in ("Traceback", "ArrowInvalid", "UnicodeDecodeError", "JSONDecodeError", "/subemb/"):
        assert foreign not in message


WORD_FILES = {
    "empty.txt": b"",
    "blank.csv": b"\n \n",
    "one word.txt": b"king\n",
    "no score.tsv": b"king\tqueen\nman\twoman\n",
    "scores alone.csv": b"1\n2\n3\n",
    "words.csv": b"king,queen,royal\nman,woman,human\n",
    "zeros.csv": b"\0" * 500,
    "picture.txt": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "nan.tsv": b"king\tqueen\tnan\nman\twoman\tinf\n",
    "pickle.txt": pickle.dumps(Bomb()),
}


@pytest.mark.parametrize("name", WORD_FILES)
def test_a_file_that_holds_no_list_of_words_is_named(name, capsys):
    with pytest.raises(InputError) as caught:
        read_words(WORD_FILES[name], name)
    assert name in str(caught.value)
    assert "loaded" not in capsys.readouterr().out
