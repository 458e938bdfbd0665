"""Readers of labelled pairs: every format as distributed, damaged files, and what comes back of what was written."""

import csv
import io
import json
import zipfile
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import shared_path

from subemb.base.errors import Cancelled, InputError
from subemb.evaluate.data import tables
from subemb.evaluate.data.pairs import LABELS, TWO_WAY_LABELS, Columns, Note
from subemb.evaluate.data.read import demo_pairs, preview, read_pairs
from subemb.evaluate.data.tables import MOST_BYTES
from subemb.evaluate.data.word_lists import read_words


def tsv(*rows: str, end: str = "\n") -> bytes:
    """Rows whose fields are written with | in place of tabs."""
    return end.join([row.replace("|", "\t") for row in rows] + [""]).encode()


def skipped(pairs) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {entry.reason: (entry.count, entry.lines) for entry in pairs.skipped}


# Formats as distributed. Content: (bytes, name, format, task, first sentences, second sentences, gold)

STS = tsv(
    "main-captions|MSRvid|2012test|0000|5.000|A man dances.|A man is dancing.",
    'main-news|headlines|2015|0001|0.400|He said "no|Two, birds; sing',
    "main-forums|deft|2014|0002|2.200|One more.|And more.|licence|more",
)
STS_B = tsv(
    "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score",
    '0|main-captions|MSRvid|2012test|0000|none|none|A "man|A man.|5.000',
    "1|main-captions|MSRvid|2012test|0002|none|none|A child.|A dog.|0.750",
)
SICK = tsv(
    "pair_ID|sentence_A|sentence_B|relatedness_score|entailment_judgment",
    "4|The boys play|No boy plays|3.6|CONTRADICTION",
    "24|A person rides|A person is riding|4.9|ENTAILMENT",
    "105|Four children|Four girls|3.8|NEUTRAL",
)
SICK_FULL = tsv(
    "pair_ID|sentence_A|sentence_B|entailment_label|relatedness_score|entailment_AB|SemEval_set",
    "1|A group|No group|NEUTRAL|4.5|A_neutral_B|TRAIN",
    "2|A man|A person|ENTAILMENT|3.2|A_entails_B|TRAIN",
)
MRPC = tsv(
    "Quality|#1 ID|#2 ID|#1 String|#2 String",
    '1|702876|702977|Amrozi called "the witness|He called him',
    "0|2108705|2108831|Yucaipa owned it|They sold it",
)
QQP = tsv(
    "id|qid1|qid2|question1|question2|is_duplicate",
    "133273|213221|213222|How is air made?|Who makes air?|1",
    '402555|536040|536041|Is "a" a word?|Is it?|0',
)
QQP_QUOTED = b'"id","qid1","qid2","question1","question2","is_duplicate"\n"0","1","2","What, is it?","Is ""it"" so?","0"\n"1","3","4","Why?\nNow?","How?","1"\n'
RTE = tsv("index|sentence1|sentence2|label", "0|Dana died.|Dana lives.|not_entailment", "1|Yet, it is.|It is.|entailment")
QNLI = tsv("index|question|sentence|label", "0|When?|In 1900.|entailment", "1|Who?|Nobody knows.|not_entailment")
WNLI = tsv(
    "index|sentence1|sentence2|label", "0|The drain is clogged with hair.|The hair is.|0", "1|I stuck a pin.|It was a pin.|1"
)
PAWS = tsv("id|sentence1|sentence2|label", "1|From A to B.|From B to A.|0", "2|It was so.|So it was.|1")
SNLI = tsv(
    "gold_label|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2|captionID|pairID|label1|label2",
    "neutral|( a )|( b )|(X a)|(X b)|Two women.|Two sisters.|1.jpg|1.jpg#1|neutral|neutral",
    "-|( a )|( b )|(X a)|(X b)|Unclear.|Unsure.|1.jpg|1.jpg#2|neutral|entailment",
    "entailment|( a )|( b )|(X a)|(X b)|Two women.|Two people.|1.jpg|1.jpg#3|entailment|",
)
MNLI = tsv(
    "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2|label1|gold_label",
    "0|63735|63735n|slate|( a )|( b )|(X)|(X)|The new rights|Everyone|neutral|neutral",
    "1|91383|91383c|government|( a )|( b )|(X)|(X)|This site|The site|contradiction|contradiction",
)
XNLI = tsv(
    "language|gold_label|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2|promptID|pairID|genre|label1|match",
    "ar|neutral|||||وقال|اتصل|1|1|facetoface|neutral|True",
    "de|contradiction|||||und er|Er sagte|1|2|facetoface|contradiction|True",
    "de|entailment|||||ja|doch|1|3|facetoface|entailment|True",
)
THREE = tsv("premise|hypothesis|label", "A cat.|An animal.|entailment", "A cat.|A dog.|contradiction", "A cat.|My cat.|neutral")
CAD = tsv("sentence1|sentence2|gold_label", 'A "boy.|A child.|entailment', "A boy.|A girl.|contradiction")
ESNLI = (
    b"pairID,gold_label,Sentence1,Sentence2,Explanation_1,WorkerId\n"
    b'1,neutral,"A person, on a horse.",A person.,"the person is ""not"" training",A1\n2,entailment,Children.,They.,x,A2\n'
)
MULTI_MT = b'"Ja, gut","So ""sagt"" er",4.0\r\nEin Mann,Eine Frau,0.25\r\nA,B,2\r\n'
SNLI_JSONL = b"".join(
    json.dumps(row).encode() + b"\n"
    for row in (
        {"annotator_labels": ["neutral"], "gold_label": "neutral", "sentence1": "A.", "sentence2": "B.", "captionID": "1"},
        {"annotator_labels": [], "gold_label": "-", "sentence1": "C.", "sentence2": "D.", "captionID": "2"},
        {"annotator_labels": ["x"], "gold_label": "contradiction", "sentence1": "E.", "sentence2": "F.", "captionID": "3"},
    )
)
DEMO = b'language,sentence1,sentence2,score,topic,difficulty\nen,"A, b",C,4.5,food,hard\nsw,D,E,0,food,plain\n'

CASES = [
    ("STS benchmark", "similarity", "sts-dev.csv", STS, 3, [5.0, 0.4, 2.2]),
    ("GLUE STS-B", "similarity", "dev.tsv", STS_B, 2, [5.0, 0.75]),
    ("SICK", "similarity", "SICK_trial.txt", SICK, 3, [3.6, 4.9, 3.8]),
    ("SICK", "entailment", "SICK_trial.txt", SICK, 3, [2, 0, 1]),
    ("SICK", "entailment", "SICK.txt", SICK_FULL, 2, [1, 0]),
    ("MRPC", "paraphrase", "dev.tsv", MRPC, 2, [1, 0]),
    ("MRPC", "paraphrase", "msr_paraphrase_train.txt", b"\xef\xbb\xbf" + MRPC.replace(b"\n", b"\r\n"), 2, [1, 0]),
    ("QQP", "paraphrase", "dev.tsv", QQP, 2, [1, 0]),
    ("QQP", "paraphrase", "train.csv", QQP_QUOTED, 2, [0, 1]),
    ("RTE", "entailment", "dev.tsv", RTE, 2, [1, 0]),
    ("QNLI", "entailment", "dev.tsv", QNLI, 2, [0, 1]),
    ("WNLI", "entailment", "dev.tsv", WNLI, 2, [1, 0]),
    ("PAWS", "paraphrase", "dev_2k.tsv", PAWS, 2, [0, 1]),
    ("SNLI", "entailment", "snli_1.0_dev.txt", SNLI, 2, [1, 0]),
    ("MultiNLI", "entailment", "dev_matched.tsv", MNLI, 2, [1, 2]),
    ("XNLI", "entailment", "xnli.dev.tsv", XNLI, 3, [1, 2, 0]),
    ("XNLI", "entailment", "xnli.dev.th.tsv", THREE, 3, [0, 2, 1]),
    ("SNLI", "entailment", "snli.dev.tsv", THREE, 3, [0, 2, 1]),
    ("SNLI columns", "entailment", "all_combined.dev.tsv", CAD, 2, [0, 2]),
    ("e-SNLI", "entailment", "esnli_dev.csv", ESNLI, 2, [1, 0]),
    ("stsb-multi-mt", "similarity", "stsb-de-dev.csv", MULTI_MT, 3, [4.0, 0.25, 2.0]),
    ("SNLI", "entailment", "snli_1.0_dev.jsonl", SNLI_JSONL, 2, [1, 2]),
    ("Comma-separated table", "similarity", "demo_similarity.csv", DEMO, 2, [4.5, 0.0]),
]


@pytest.mark.parametrize(
    ("format", "task", "name", "content", "count", "gold"), CASES, ids=[f"{case[0]} {case[2]} {case[1]}" for case in CASES]
)
def test_formats_are_recognised_by_their_content(format, task, name, content, count, gold):
    for pairs in (read_pairs(content, name, task), read_pairs(content, "upload", task)):
        assert (pairs.task, len(pairs), pairs.gold.tolist()) == (task, count, gold)
    pairs = read_pairs(content, name, task)
    assert pairs.format == format
    assert pairs.labels == (() if task != "entailment" else TWO_WAY_LABELS if format in ("RTE", "QNLI", "WNLI") else LABELS)
    shown = preview(content, name, task)
    assert (shown.format, shown.task) == (format, task)
    assert read_pairs(content, name, task, shown.columns).first == pairs.first


@pytest.mark.parametrize(
    ("format", "task", "name", "content", "count", "gold"), CASES, ids=[f"{case[0]} {case[2]} {case[1]}" for case in CASES]
)
def test_line_ends_and_byte_order_marks_change_nothing(format, task, name, content, count, gold):
    if content == QQP_QUOTED:
        return  # its line end is inside a sentence
    text = content.decode("utf-8-sig").replace("\r\n", "\n")
    plain = read_pairs(text.encode(), name, task)
    for other in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), text.rstrip("\n"), text + "\n\n"):
        assert read_pairs(other.encode(), name, task).digest == plain.digest
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert read_pairs(text.encode(encoding), name, task).digest == plain.digest


def test_sentences_are_taken_as_they_are():
    pairs = read_pairs(STS, "sts-dev.csv")
    assert pairs.first[1:] == ('He said "no', "One more.")
    assert pairs.second[1] == "Two, birds; sing"
    assert read_pairs(MULTI_MT, "x").second[0] == 'So "sagt" er'
    assert read_pairs(QQP_QUOTED, "x").first == ("What, is it?", "Why?\nNow?")
    assert read_pairs(ESNLI, "x").first[0] == "A person, on a horse."


def test_the_second_premise_without_a_gold_label_is_counted():
    for content, line in ((SNLI, 3), (SNLI_JSONL, 2)):
        assert skipped(read_pairs(content, "x")) == {"no gold label": (1, (line,))}


@pytest.mark.parametrize(
    ("name", "codes"),
    [("xnli.dev.th.tsv", ("th",) * 3), ("snli.dev.tsv", ()), ("th.tsv", ()), ("my-it-is.dev.tsv", ())],
)
def test_the_name_may_tell_the_language(name, codes):
    assert read_pairs(THREE, name).languages == codes
    assert read_pairs(THREE, name, language="sw").languages == ("sw",) * 3


def test_a_language_column_counts_more_than_the_name():
    assert read_pairs(XNLI, "xnli.dev.en.tsv").languages == ("ar", "de", "de")
    assert read_pairs(DEMO, "demo-en-dev.csv").languages == ("en", "sw")


# Real files


@pytest.mark.parametrize(
    ("path", "task", "format", "count"),
    [
        ("stsb/sts-dev.csv", None, "STS benchmark", 1500),
        ("stsb_multi_mt/stsb-zh-dev.csv", None, "stsb-multi-mt", 1500),
        ("sick/SICK_trial.txt", "similarity", "SICK", 500),
        ("sick/SICK_trial.txt", "entailment", "SICK", 500),
        ("xnli/xnli.dev.ar.tsv", None, "XNLI", 2490),
        ("snli/snli.dev.tsv", None, "SNLI", 9842),
        ("cad_snli/all_combined.dev.tsv", None, "SNLI columns", 1000),
    ],
)
def test_real_files_are_read_whole(path, task, format, count):
    pairs = read_pairs(shared_path(f"data/{path}"), task=task)
    assert (pairs.format, len(pairs), pairs.skipped) == (format, count, ())
    if pairs.task == "similarity":
        assert pairs.scale == ((1.0, 5.0) if format == "SICK" else (0.0, 5.0))
    else:
        assert set(pairs.gold.tolist()) == {0, 1, 2}
        assert np.bincount(pairs.gold).min() > count / 7


def test_real_files_keep_their_quotation_marks():
    path = shared_path("data/stsb/sts-dev.csv")
    pairs = read_pairs(path)
    fields = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert pairs.first == tuple(row[5] for row in fields)
    assert pairs.second == tuple(row[6] for row in fields)


# Plain tables


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_columns_are_guessed_from_names_or_values(delimiter):
    named = [("id", "text_a", "text_b", "score"), ("1", "A man.", "A woman.", "2.5"), ("2", "x y", "z", "0")]
    unnamed = [("A man walks.", "A woman walks.", "2.5", "x"), ("Another one.", "And another.", "1.5", "y")]
    odd = [
        ("notes", "left", "right", "how close"),
        ("n", "A man walks.", "A woman walks.", "2.5"),
        ("m", "One more one.", "Another.", "4"),
    ]
    gaps = [
        ("who", "left", "right", "grade"),
        ("x", "One man walks.", "A man.", ""),
        ("y", "C is it.", "D it is.", "4"),
        ("z", "E.", "F.", "1"),
    ]
    for rows, columns in (
        (gaps, Columns("left", "right", "grade")),
        (named, Columns("text_a", "text_b", "score")),
        (unnamed, Columns("1", "2", "3")),
        (odd, Columns("left", "right", "how close")),
    ):
        content = "\n".join(delimiter.join(row) for row in rows).encode()
        shown = preview(content, "x.csv")
        assert shown.columns == columns
        assert len(read_pairs(content, "x.csv")) == 2


def test_a_mapping_can_be_corrected():
    content = tsv("left|right|draft|final", "A.|B.|1|5", "C.|D.|2|4")
    assert read_pairs(content, "x").columns == Columns("left", "right", "final")
    assert read_pairs(content, "x", columns=Columns("left", "right", "draft")).gold.tolist() == [1.0, 2.0]
    pairs = read_pairs(content, "x", columns=Columns("right", "left", "final"))
    assert (pairs.first, pairs.gold.tolist()) == (("B.", "D."), [5.0, 4.0])
    assert "columns chosen" in pairs.format
    assert read_pairs(STS, "x", columns=Columns("7", "6", "5")).first[0] == "A man is dancing."


def test_a_missing_column_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"no column 'scor'; its columns are left, right, score"):
        read_pairs(tsv("left|right|score", "A|B|1", "C|D|2"), "x", columns=Columns("left", "right", "scor"))
    with pytest.raises(InputError, match="1 to 7, as the file has no header"):
        read_pairs(STS, "x", columns=Columns("sentence1", "7", "5"))
    with pytest.raises(InputError, match="three different columns"):
        read_pairs(STS, "x", columns=Columns("6", "6", "5"))
    with pytest.raises(
        InputError, match=r"could not be found. Its columns are index, sentence1, sentence2.*test files of GLUE"
    ):
        read_pairs(tsv("index|sentence1|sentence2", "0|A|B", "1|C|D"), "test.tsv")
    with pytest.raises(InputError, match="could not be found"):
        read_pairs(tsv("index|#1 ID|#2 ID|#1 String|#2 String", "0|1089874|1089925|PCCW|PCCW's", "1|30|20|A|B"), "test.tsv")


def test_a_set_for_another_task_is_refused_with_the_reason():
    with pytest.raises(InputError, match="recognised as SNLI, a set for entailment, not for similarity"):
        read_pairs(THREE, "snli.tsv", "similarity")
    for content, task in (
        (STS, "entailment"),
        (PAWS, "entailment"),
        (MRPC, "entailment"),
        (RTE, "paraphrase"),
        (XNLI, "similarity"),
    ):
        with pytest.raises(InputError, match=f"not for {task}; give a set with"):
            read_pairs(content, "x", task)
    with pytest.raises(
        InputError, match=r"graded scores are needed, but its column 'label' holds labels of entailment such as 'entailment'"
    ):
        read_pairs(THREE, "x.tsv", "similarity")
    with pytest.raises(InputError, match=r"labels of entailment are needed, but its column '3' holds numbers such as '4.5'"):
        read_pairs(tsv("A b c.|D e f.|4.5", "G.|H.|3.5"), "x.tsv", "entailment")
    with pytest.raises(InputError, match="0 and 1 are needed"):
        read_pairs(STS, "sts.csv", "paraphrase")
    with pytest.raises(InputError, match="no task 'magic'"):
        read_pairs(STS, "sts.csv", "magic")


def test_zeros_and_ones_are_a_paraphrase_set_where_similarity_is_wanted():
    assert read_pairs(PAWS, "x", "similarity").task == "paraphrase"
    graded = tsv("s1|s2|score", "A|B|0", "C|D|1", "E|F|0.5")
    assert read_pairs(graded, "x", "similarity").task == "similarity"


def test_numbers_of_a_plain_table_are_what_they_are_wanted_for():
    content = tsv("sentence1|sentence2|label", "A|B|0", "C|D|2", "E|F|1")
    assert read_pairs(content, "x").task == "entailment"
    assert read_pairs(content, "x", "similarity").gold.tolist() == [0.0, 2.0, 1.0]
    content = tsv("sentence1|sentence2|label", "A|B|0", "C|D|1")
    assert [read_pairs(content, "x", task).task for task in (None, "similarity", "entailment")] == [
        "paraphrase",
        "paraphrase",
        "entailment",
    ]


def test_tables_of_too_many_columns_are_refused():
    wide = {str(n): n for n in range(1001)}
    for content in (
        "|".join(["x"] * 1001).replace("|", "\t").encode(),
        json.dumps(wide).encode(),
        written(pa.Table.from_pylist([wide])),
    ):
        with pytest.raises(InputError, match="has 1,001 columns, but at most 1,000 are read"):
            read_pairs(content, "x")


def test_every_kind_of_text_in_parquet_is_read():
    texts = pa.array(["A", "B", None])
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        table = pa.table(
            {"sentence1": texts.cast(kind), "sentence2": ["C", "D", "E"], "score": pa.array([1, 2.5, 3], pa.float32())}
        )
        pairs = read_pairs(written(table), "x")
        assert (pairs.first, pairs.gold.tolist()) == (("A", "B"), [1.0, 2.5]), kind


def test_long_cells_are_cut_in_the_preview_only():
    content = tsv("sentence1|sentence2|score", f"{'x' * 5000}|B|1.5", "C|D|2")
    assert len(preview(content, "x").rows[0][0]) == 301
    assert len(read_pairs(content, "x").first[0]) == 5000


def test_numbers_as_labels_are_understood_and_said():
    content = tsv("premise|hypothesis|label", "A.|B.|0", "C.|D.|2", "E.|F.|1", "G.|H.|-1")
    pairs = read_pairs(content, "x")
    assert (pairs.task, pairs.labels, pairs.gold.tolist()) == ("entailment", LABELS, [0, 2, 1])
    assert skipped(pairs) == {"no gold label": (1, (5,))}
    assert pairs.notes == (Note("labels", "Labels are numbers, read as 0 entailment, 1 neutral, 2 contradiction"),)
    assert "--labels" in pairs.notes[0].otherwise()
    assert read_pairs(WNLI, "x").notes == (Note("labels", "Labels are numbers, read as 0 not_entailment, 1 entailment"),)


def test_the_labels_of_parquet_are_read_in_the_order_that_the_file_states():
    names = ["not_entailment", "entailment"]
    features = {"label": {"names": names, "_type": "ClassLabel"}, "sentence1": {"dtype": "string", "_type": "Value"}}
    table = pa.table({"sentence1": ["A", "B", "C"], "sentence2": ["D", "E", "F"], "label": [1, 0, -1], "idx": [0, 1, 2]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pairs = read_pairs(written(table), "x.parquet")
    assert (pairs.task, pairs.labels, pairs.gold.tolist()) == ("entailment", TWO_WAY_LABELS, [0, 1])
    assert "0 not_entailment, 1 entailment" in pairs.notes[0].text
    assert skipped(pairs) == {"no gold label": (1, (3,))}


# Damaged files


def test_rows_that_cannot_be_used_are_counted_by_reason():
    rows = [
        "sentence1|sentence2|score",
        "A|B|1",
        "C|D|",
        "E|F|x",
        "|G|2",
        "H|  |3",
        "I|J",
        "K|L|nan",
        "M|N|inf",
        "O|P|2.5|more",
    ]
    rows += [f"{'x' * 20_001}|Q|1", f"{'x' * 20_000}|R|4,5", "", "S|T|5"]
    pairs = read_pairs(tsv(*rows), "x")
    assert pairs.second == ("B", "R", "T")
    assert pairs.gold.tolist() == [1.0, 4.5, 5.0]
    assert skipped(pairs) == {
        "blank score": (1, (3,)),
        "score is not a number": (1, (4,)),
        "empty sentence": (2, (5, 6)),
        "too few fields": (1, (7,)),
        "score is not finite": (2, (8, 9)),
        "more fields than the header has": (1, (10,)),
        "sentence longer than 20,000 characters": (1, (11,)),
    }
    assert pairs.skipped_count == 9


def test_only_the_first_lines_of_a_reason_are_kept():
    pairs = read_pairs(tsv("s1|s2|score", "A|B|1", "C|D|2", *["E|F|"] * 9), "x")
    assert skipped(pairs) == {"blank score": (9, (4, 5, 6, 7, 8))}


def test_too_few_pairs_say_why():
    with pytest.raises(
        InputError, match=r"1 usable pair in 2 rows; at least 2 are needed. Rows left out: blank score: 1 \(line 3\)"
    ):
        read_pairs(tsv("s1|s2|score", "A|B|1.5", "C|D|"), "x")
    with pytest.raises(InputError, match="0 usable pairs"):
        read_pairs(tsv("premise|hypothesis|label", "A|B|-", "C|D|-"), "x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (THREE.replace(b"My cat", "Mein K\xe4tzchen".encode("latin-1")), r"byte \d+ \(line 4\) is 0xE4; save it as UTF-8"),
        (THREE.decode().encode("utf-16-le"), "byte 2 is zero"),
        (b"\xff\xfea\x00b", "not UTF-16 text"),
        (b"a\tb\x00\tc\n" * 3, "byte 4 is zero"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip: unpack it"),
        (b"PAR1 and then nothing", "damaged Parquet file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "byte 9 is zero"),
        (b'{"sentence1": "A"', "no line with a whole JSON object"),
        (b'[{"sentence1": "A"}]', "one JSON array; write one object a line"),
        (b'{"a": [1], "b": {}}\n{"a": [2]}\n', "could not be found"),
        (b"just some words\nand more of them\n", "not a table with at least three columns"),
        (b"a,b\nc,d\n", "not a table with at least three columns"),
        (
            b"a,b,c\n" + b'"x, z",y,3\n' * 999 + b'"never closed,1,2\n' + b"x,y,3\n" * 30_000,
            "line 1,001: field larger .* never closed",
        ),
    ],
)
def test_what_is_no_table_is_refused_in_words(content, said):
    with pytest.raises(InputError, match=said) as caught:
        read_pairs(content, "upload.csv")
    assert "upload.csv" in str(caught.value)


def test_archives_are_named():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("sts.csv", STS)
    with pytest.raises(InputError, match=r"x\.csv is a ZIP archive"):
        read_pairs(stream.getvalue(), "x.csv")


def test_files_that_cannot_be_opened(tmp_path):
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "absent.csv", "is not there"), (tmp_path / ("x" * 400), "x")):
        with pytest.raises(InputError, match=said):
            read_pairs(path)


def test_200_megabytes_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as stream:
        stream.truncate(200_000_000)
    with pytest.raises(InputError, match=r"large.csv has 200 MB, but at most 100 MB are read"):
        read_pairs(path)
    with pytest.raises(InputError, match="at most 100 MB"):
        read_words(path)
    assert MOST_BYTES == 100_000_000


def test_more_rows_than_are_read_are_counted(monkeypatch):
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    lines = [json.dumps({"sentence1": "A", "sentence2": "B", "score": 1.0 + n}).encode() for n in range(9)]
    for content, line in ((PAWS + b"3\tA\tB\t0\n4\tC\tD\t1\n5\tE\tF\t0\n", 4), (b"\n".join(lines), 4)):
        found = skipped(read_pairs(content, "x"))
        assert found["beyond the first 3 rows"][1][0] == line
    columns = {"sentence1": ["A"] * 9, "sentence2": ["B"] * 9, "score": [1.0 + n for n in range(9)]}
    assert skipped(read_pairs(json.dumps(columns).encode(), "x"))["beyond the first 3 rows"][0] == 6


def test_a_table_named_otherwise_is_read_for_what_it_is():
    table = pa.table({"sentence1": ["A", "B"], "sentence2": ["C", "D"], "score": [1.0, 2.5]})
    assert read_pairs(written(table), "pairs.csv").gold.tolist() == [1.0, 2.5]
    assert len(read_pairs(THREE, "pairs.parquet")) == 3


def test_parquet_columns_that_hold_no_plain_values_are_left_out():
    table = pa.table(
        {"premise": ["A", "B"], "hypothesis": ["C", None], "label": pa.array([0, 2], pa.int8()), "vector": [[1.0], [2.0]]}
    )
    shown = preview(written(table), "x.parquet")
    assert (shown.header, shown.left_out) == (("premise", "hypothesis", "label"), ("vector",))
    with pytest.raises(InputError, match="empty sentence: 1"):
        read_pairs(written(table), "x.parquet")


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(monkeypatch):
    from subemb.evaluate.data import tables as parquet

    monkeypatch.setattr(parquet, "MOST_UNPACKED_BYTES", 1000)
    table = pa.table({"sentence1": [f"{n} {'x' * 99}" for n in range(50)], "sentence2": ["B"] * 50, "score": [1.0] * 50})
    with pytest.raises(InputError, match=r"unpacks to .* at most 1.00 kB"):
        read_pairs(written(table), "x.parquet")


def test_broken_lines_of_json_are_counted():
    content = b'{"s1": "A", "s2": "B", "score": 1}\nnot json\n[1]\n{"s1": "C", "s2": "D", "score": "2.5"}\n{"s1": "\\ud800", "s2": "x", "score": 3}\n'
    deep = b"[" * 100_000 + b"\n"
    pairs = read_pairs(content + deep, "x")
    assert pairs.gold.tolist() == [1.0, 2.5]
    assert skipped(pairs) == {"not a JSON object": (3, (2, 3, 6)), "half a character (a lone surrogate)": (1, (5,))}


def test_rows_inside_a_quotation_mark_that_is_never_closed_are_counted():
    content = b"s1,s2,score\n" + b'"x, z",y,3.5\n' * 9 + b'"never closed,1,2\n' + b"x,y,3\n" * 3
    pairs = read_pairs(content, "x")
    assert (len(pairs), pairs.first[0]) == (9, "x, z")
    assert skipped(pairs) == {"inside quotation marks that are not closed": (4, (11,))}


def test_reading_can_be_stopped():
    with pytest.raises(Cancelled):
        read_pairs(STS, "x", progress=lambda message: True)


@pytest.mark.slow
def test_ten_thousand_pairs_are_read_whole():
    content = "sentence1,sentence2,score\n" + "".join(f'"A, {n}",B {n},{n % 6}\n' for n in range(10_000))
    pairs = read_pairs(content.encode(), "x.csv")
    assert len(pairs) == 10_000
    assert (pairs.first[-1], pairs.gold[-1]) == ("A, 9999", 9999 % 6)


# What is written comes back


def written(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def separated(rows, delimiter: str, quoting: int) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
    writer.writerow(["sentence1", "sentence2", "score"])
    writer.writerows(rows)
    return stream.getvalue().encode()


any_sentence = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
tricky = st.text(st.sampled_from("\"'\t,;\n\r a\u2028\x85\x0bé|\\#{["), min_size=1, max_size=12)
sentence = (any_sentence | tricky).filter(lambda text: text.strip())
scores = st.floats(-1e6, 1e6)
labelled = st.lists(st.tuples(sentence, sentence, scores), min_size=2, max_size=6)


@given(labelled, st.sampled_from("\t,;"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_any_sentences_survive_a_separated_file(rows, delimiter, quoting):
    pairs = read_pairs(separated(rows, delimiter, quoting), "x", "similarity", Columns("sentence1", "sentence2", "score"))
    assert [*zip(pairs.first, pairs.second, pairs.gold.tolist(), strict=True)] == [
        (a, b, 0 if pairs.task == "paraphrase" and score == 0 else score) for a, b, score in rows
    ]


@given(labelled)
def test_any_sentences_survive_json_lines_and_parquet(rows):
    objects = [dict(zip(("sentence1", "sentence2", "score"), row, strict=True)) for row in rows]
    for content in (
        "\n".join(json.dumps(entry, ensure_ascii=False) for entry in objects).encode(),
        "\r\n".join(json.dumps(entry) for entry in objects).encode(),
        written(pa.Table.from_pylist(objects)),
    ):
        pairs = read_pairs(content, "x")
        assert [*zip(pairs.first, pairs.second, pairs.gold.tolist(), strict=True)] == rows


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_anything_but_pairs_or_words(content):
    for read in (read_pairs, read_words, preview):
        with suppress(InputError):
            read(content, "x")


# The demonstration sets


@pytest.mark.parametrize(("task", "english"), [("similarity", 120), ("entailment", 150)])
def test_the_demonstration_sets_have_enough_of_every_language(task, english):
    pairs = demo_pairs(task)
    assert pairs.task == task
    assert pairs.skipped == ()
    counts = {code: len(part) for code, part in pairs.by_language().items()}
    assert counts.pop("en") >= english
    assert len(counts) >= 5
    assert min(counts.values()) >= 30
    assert len({*zip(pairs.first, pairs.second, strict=True)}) == len(pairs), "no pair twice"
    assert all(text == text.strip() for text in (*pairs.first, *pairs.second))


def test_the_demonstration_scores_spread_over_the_whole_range():
    for part in demo_pairs("similarity").by_language().values():
        assert 0 <= part.scale[0] <= 0.5
        assert 4.5 <= part.scale[1] <= 5
        assert np.histogram(part.gold, bins=5, range=(0, 5))[0].min() >= 3


def test_the_demonstration_labels_are_balanced():
    for part in demo_pairs("entailment").by_language().values():
        assert np.bincount(part.gold, minlength=3).min() > len(part) / 4


def test_there_is_no_other_demonstration_set():
    with pytest.raises(InputError, match="no demonstration set for 'paraphrase'; there are similarity, entailment"):
        demo_pairs("paraphrase")


# Word lists


@pytest.mark.parametrize(
    ("content", "format", "expected"),
    [
        (b"love\tsex\t6.77\r\ntiger\ttiger\t10.00\r\n", "Word list", [("love", "sex", 6.77), ("tiger", "tiger", 10.0)]),
        (b"old new 1.58\nsmart intelligent 9.2\n", "Word list", [("old", "new", 1.58), ("smart", "intelligent", 9.2)]),
        (
            b"Word 1,Word 2,Human (mean)\nlove,sex,6.77\nStock,Market,8.08\n",
            "WordSim-353",
            [("love", "sex", 6.77), ("Stock", "Market", 8.08)],
        ),
        (
            b"word1\tword2\tPOS\tSimLex999\tconc(w1)\nold\tnew\tA\t1.58\t2.72\nfast\trapid\tA\t8.75\t3.32\n",
            "SimLex-999",
            [("old", "new", 1.58), ("fast", "rapid", 8.75)],
        ),
    ],
)
def test_word_lists(content, format, expected):
    words = read_words(content, "list.txt")
    assert words.format == format
    assert [*zip(words.first, words.second, words.gold.tolist(), strict=True)] == expected


def test_lines_of_word_lists_that_cannot_be_used_are_counted():
    words = read_words(b"a b 1\nc d\ne f x\n\ng h 2\ni j inf\n", "w")
    assert words.first == ("a", "g")
    assert {entry.reason: entry.lines for entry in words.skipped} == {
        "too few fields": (2,),
        "score is not a number": (3,),
        "score is not finite": (6,),
    }
    with pytest.raises(InputError, match=r"w has 1 usable word pair; at least 2 .* too few fields: 1 \(line 2\)"):
        read_words(b"a b 1\nc d\n", "w")


@pytest.mark.parametrize(("name", "count"), [("EN-WS-353-ALL.txt", 353), ("EN-SIMLEX-999.txt", 999)])
def test_real_word_lists(name, count):
    words = read_words(shared_path(f"data/wordsim/{name}"))
    assert (len(words), words.skipped) == (count, ())
    assert 0 <= words.gold.min() < words.gold.max() <= 10
