"""Which columns of a labelled file are read, what its labels mean, and what is said about it; where names do not decide, it is asked."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subemb.base.errors import InputError
from subemb.evaluate.data.languages import in_languages
from subemb.evaluate.data.names import named_gold, named_pairs
from subemb.evaluate.data.pairs import LABELS, Columns, Note, PairSet, Reading, combine
from subemb.evaluate.data.read import preview, read_pairs
from subemb.evaluate.data.values import score_reader
from subemb.evaluate.data.word_lists import read_words

PAIRS = [
    ("A baker lifts loaves out of the oven.", "Somebody is baking bread.", "entailment"),
    ("A boy runs across the field.", "The boy is late for school.", "neutral"),
    ("The hall is empty tonight.", "The second row is full.", "contradiction"),
    ("Two dogs play in the snow.", "Animals are outside today.", "entailment"),
]
SCORED = [
    ("A kite rises over the beach.", "A kite is flying there.", 4.8),
    ("The clerk closes the shop.", "The clerk opens the shop.", 2.4),
    ("An owl watches a mouse.", "A train leaves the station.", 0.2),
    ("He pours tea into cups.", "Tea is being poured by him.", 4.4),
]
WHY = "The annotator wrote a long explanation here, longer than either of the two sentences of the pair."
DE = "Ein deutscher Satz steht hier."
NUMBERS = {label: number for number, label in enumerate(LABELS)}


def table(header, rows, delimiter=",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([*([header] if header else []), *rows])
    return out.getvalue().encode()


def lines(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def columns_of(content: bytes, task: str | None = None, **more) -> tuple[str, str, str]:
    found = read_pairs(content, "x", task, **more).columns
    return found.first, found.second, found.gold


def labels_of(pairs: PairSet) -> list[str]:
    return [pairs.labels[number] for number in pairs.gold]


def about(pairs, subject: str) -> list[str]:
    return [note.text for note in pairs.notes if note.about == subject]


# Names decide


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        (("context", "statement", "reason", "gold_label"), "abwl", ("context", "statement", "gold_label")),
        (("context", "statement", "reason", "adversary_pred", "gold_label"), "abwnl", ("context", "statement", "gold_label")),
        (("uid", "context", "hypothesis", "label", "model_label", "reason"), "iablnw", ("context", "hypothesis", "label")),
        (("text_a", "text_b", "rationale", "label"), "abwl", ("text_a", "text_b", "label")),
        (("premise", "hypothesis", "premise_de", "hypothesis_de", "label"), "abddl", ("premise", "hypothesis", "label")),
        (("premise_mt", "hypothesis_mt", "premise", "hypothesis", "label"), "ddabl", ("premise", "hypothesis", "label")),
        (
            ("sentence1", "sentence2", "pred_label", "model_output", "label", "confidence"),
            "abnncp",
            ("sentence1", "sentence2", "label"),
        ),
        (("Prämisse", "Begründung", "Hypothese", "Etikett"), "awbl", ("Prämisse", "Hypothese", "Etikett")),
        (("premisa", "explicación", "hipótesis", "etiqueta"), "awbl", ("premisa", "hipótesis", "etiqueta")),
        (("前提", "説明", "仮説", "ラベル"), "awbl", ("前提", "仮説", "ラベル")),
        (("", "sentence1", "sentence2", ""), "iabl", ("sentence1", "sentence2", "column 4")),
        (("claim", "evidence", "label"), "bal", ("evidence", "claim", "label")),
        (("Sentence 1 ", " SENTENCE 2", "Gold Label"), "abl", ("Sentence 1", "SENTENCE 2", "Gold Label")),
        (("explanation_1", "explanation_2", "premise", "hypothesis", "label"), "wwabl", ("premise", "hypothesis", "label")),
    ],
)
def test_columns_are_chosen_by_what_their_names_say(header, row, expected):
    rows = [
        [{"a": a, "b": b, "l": c, "c": c, "w": WHY, "d": DE, "n": "neutral", "p": 0.9, "i": f"u{i}"}[cell] for cell in row]
        for i, (a, b, c) in enumerate(PAIRS)
    ]
    pairs = read_pairs(table(header, rows), "x.csv", "entailment")
    assert (pairs.columns.first, pairs.columns.second, pairs.columns.gold) == expected
    assert [*zip(pairs.first, pairs.second, labels_of(pairs), strict=True)] == PAIRS
    again = read_pairs(table(header, rows), "x", "entailment", pairs.columns)
    assert [*zip(again.first, again.second, labels_of(again), strict=True)] == PAIRS


@pytest.mark.parametrize(
    ("header", "extra", "gold"),
    [
        (("score", "normalized_score", "score_std"), (0.5, 0.1), "score"),
        (("score_mean", "score_std"), (0.1,), "score_mean"),
        (("human_score", "model_score"), (0.7,), "human_score"),
        (("gold_score", "score"), (0.7,), "gold_score"),
        (("similarity_score", "annotator1", "annotator2"), (1.5, 2.5), "similarity_score"),
    ],
)
def test_of_several_score_columns_the_name_decides(header, extra, gold):
    content = table(("sentence1", "sentence2", *header), [(a, b, s, *extra) for a, b, s in SCORED])
    pairs = read_pairs(content, "x", "similarity")
    assert (pairs.columns.gold, pairs.gold.tolist()) == (gold, [s for *_, s in SCORED])
    assert any("read from" in text and header[1] in text for text in about(pairs, "columns"))


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (("question", "answer", "context", "score"), "abws", "question, answer, context"),
        (("anchor", "positive", "negative", "score"), "abws", "anchor, positive, negative"),
        (("source", "target", "hypothesis_mt", "score"), "abws", "3 columns hold text"),
        (("sentence1", "sentence2", "sentence3", "score"), "abws", "numbered alike"),
        (("sentence1", "sentence2", "question1", "question2", "score"), "abwds", "'sentence1' and 'sentence2'; 'question1'"),
        (
            ("sentence1", "sentence2", "score_1", "score_2", "score_3"),
            "absss",
            "[Ss]everal columns may be the score",
        ),
        (("sentence1", "sentence2", "annotator1", "annotator2"), "abss", "[Nn]o column holds a score"),
        (None, "abws", "3 columns hold text"),
    ],
)
def test_where_names_do_not_decide_columns_are_asked_for(header, row, said):
    rows = [[{"a": a, "b": b, "s": s + place, "w": WHY, "d": DE}[cell] for place, cell in enumerate(row)] for a, b, s in SCORED]
    content = table(header, rows, "\t")
    with pytest.raises(InputError, match=said) as caught:
        read_pairs(content, "x.tsv", "similarity")
    assert "--columns first=NAME,second=NAME,gold=NAME" in str(caught.value)
    shown = preview(content, "x.tsv", "similarity")
    assert shown.columns is None
    assert shown.unclear
    chosen = Columns("sentence1", "sentence2", header[-1]) if header and "sentence1" in header else None
    if chosen:
        assert len(read_pairs(content, "x.tsv", "similarity", chosen)) == len(SCORED)


@given(
    st.permutations(["premise", "hypothesis", "premise_fr", "hypothesis_fr", "explanation_1", "explanation_2", "uid", "genre"])
)
def test_the_order_of_columns_does_not_matter(header):
    best = named_pairs(header)[0]
    assert (best.first, best.second) == ("premise", "hypothesis")


@given(st.permutations(["gold_label", "label", "label1", "label2", "pred_label", "annotator_labels", "label_text"]))
def test_the_gold_label_comes_first(header):
    assert [gold.column for gold in named_gold(header, "label")][:2] == ["gold_label", "label"]


# Two languages


BILINGUAL = ("sentence_A_En", "sentence_B_En", "score_En", "sentence_A_Ja", "sentence_B_Ja", "score_Ja", "original_caption")


def test_sentences_and_score_are_of_one_language():
    content = table(BILINGUAL, [(a, b, s, DE, DE, s / 5, WHY) for a, b, s in SCORED], "\t")
    english, japanese = (read_pairs(content, "x.tsv", reading=Reading(languages=codes)) for codes in ((), ("ja",)))
    assert english.columns == Columns("sentence_A_En", "sentence_B_En", "score_En")
    assert (set(english.languages), english.gold.tolist()) == ({"en"}, [s for *_, s in SCORED])
    assert "the file also has ja" in about(english, "language of columns")[0]
    assert japanese.columns == Columns("sentence_A_Ja", "sentence_B_Ja", "score_Ja")
    assert japanese.gold.tolist() == [s / 5 for *_, s in SCORED]


def test_columns_that_are_chosen_have_their_own_language():
    content = table(BILINGUAL, [(a, b, s, DE, DE, s / 5, WHY) for a, b, s in SCORED], "\t")
    chosen = read_pairs(content, "x.tsv", columns=Columns("sentence_A_Ja", "sentence_B_Ja", "score_Ja"))
    assert set(chosen.languages) == {"ja"}
    assert not about(chosen, "language of columns")


def test_few_whole_scores_are_scores_where_they_are_called_so():
    content = table(("premise", "hypothesis", "score"), [(a, b, 1 + n % 3) for n, (a, b, _) in enumerate(SCORED)])
    assert read_pairs(content, "x").gold.tolist() == [1, 2, 3, 1]


def test_texts_in_several_languages_as_hugging_face_nests_them():
    rows = [
        {"premise": {"de": DE, "en": a}, "hypothesis": {"language": ["en", "de"], "translation": [b, DE]}, "label": NUMBERS[c]}
        for a, b, c in PAIRS
    ]
    pairs = read_pairs(lines(rows), "x.jsonl")
    assert [*zip(pairs.first, pairs.second, labels_of(pairs), strict=True)] == PAIRS


def rows_in(*codes: str) -> PairSet:
    rows = [(code, f"A {code} {n}.", f"B {n}.", n + 0.5) for n in range(3) for code in codes]
    return read_pairs(table(("language", "sentence1", "sentence2", "score"), rows), "x.csv")


def test_a_set_in_several_languages_is_read_in_one_which_is_said():
    whole = rows_in("de", "English", "sw")
    one = in_languages(whole)
    assert set(one.languages) == {"English"}
    assert one.notes[-1].about == "language"
    assert "Only the 3 pairs in English are used, of 9 in 3 languages (also de, sw)" in one.notes[-1].text
    assert "--languages" in one.notes[-1].otherwise()
    assert in_languages(whole, ("all",)) == whole
    assert set(in_languages(whole, ("de", "sw")).languages) == {"de", "sw"}
    assert set(in_languages(rows_in("de", "sw"), preferred=("sw",)).languages) == {"sw"}
    with pytest.raises(InputError, match="no pairs in th; its languages are de, English, sw, or all"):
        in_languages(whole, ("th",))


def test_a_set_in_one_language_stays_as_it_is():
    whole = rows_in("de")
    assert in_languages(whole) is whole


# Files that are not what they seem


def test_a_benchmark_has_more_marks_than_its_width():
    tags = [(51, "Harbour", a, b, round(s), "the/O/DT falls/O/VB", "of/O/IN tea/O/NN") for a, b, s in SCORED]
    with pytest.raises(InputError, match="4 columns hold text"):
        read_pairs(table(None, tags, "\t"), "x.tsv")
    benchmark = [("main-news", "own", "2015test", n, s, a, b) for n, (a, b, s) in enumerate(SCORED)]
    pairs = read_pairs(table(None, benchmark, "\t"), "x.tsv")
    assert (pairs.format, pairs.gold.tolist()) == ("STS benchmark", [s for *_, s in SCORED])


def test_a_benchmark_has_sentences_in_its_last_fields():
    rows = [("news", "x", "2012", a, s, b, ("sport", "music")[n % 2]) for n, (a, b, s) in enumerate(SCORED * 5)]
    pairs = read_pairs(table(None, rows, "\t"), "x.tsv")
    assert pairs.columns == Columns("4", "6", "5")
    assert "'4' and '6', the only two columns that hold sentences" in about(pairs, "columns")[0]


@pytest.mark.parametrize("name", ["distance", "dissimilarity", "model_score"])
def test_numbers_of_another_name_are_named_and_no_scores(name):
    with pytest.raises(InputError, match=f"as far as names say: {name} would be taken for one only if you say so"):
        read_pairs(table(("sentence1", "sentence2", name), SCORED), "x")


def test_numbers_that_tell_rows_apart_are_no_scores():
    rows = [(1000 + n, 70 + 3 * n, 2020, a, b, s) for n, (a, b, s) in enumerate(SCORED)]
    assert read_pairs(table(None, rows, "\t"), "x.tsv").columns == Columns("4", "5", "6")
    with pytest.raises(InputError, match=r"[Nn]o column holds a score"):
        read_pairs(table(None, [row[:5] for row in rows], "\t"), "x.tsv")


def test_a_header_with_blank_cells_is_a_header():
    header = ("context", "statement", "reason", "gold_label", "uid", "", "", "notes")
    pairs = read_pairs(table(header, [(a, b, WHY, c[0], n, "", "", "") for n, (a, b, c) in enumerate(PAIRS)]), "x.csv")
    assert labels_of(pairs) == [c for *_, c in PAIRS]


def test_what_the_first_line_is_can_be_said():
    content = table(("one thing", "another", "how close"), SCORED, "\t")
    assert "read as the names of the columns" in about(read_pairs(content, "x"), "header")[0]
    assert not about(read_pairs(content, "x", reading=Reading(header=True)), "header")
    pairs = read_pairs(content, "x", reading=Reading(header=False))
    assert (pairs.columns, len(pairs), pairs.skipped[0].reason) == (Columns("1", "2", "3"), 4, "score is not a number")


def test_another_separator_can_be_said():
    content = table(("sentence1", "sentence2", "score"), SCORED, "|")
    with pytest.raises(InputError, match="--separator"):
        read_pairs(content, "x")
    assert read_pairs(content, "x", reading=Reading(separator="pipe")).gold.tolist() == [s for *_, s in SCORED]
    with pytest.raises(InputError, match="no separator 'dash'; separators are tab, comma"):
        Reading(separator="dash")


@pytest.mark.parametrize("second", ["label", " LABEL"])
def test_two_columns_of_one_name_are_asked_for_unless_they_agree(second):
    header = ("sentence1", "sentence2", "label", second)
    with pytest.raises(
        InputError,
        match=r"2 columns called 'label' that hold different values|[Ss]everal columns may be the label: label, LABEL",
    ):
        read_pairs(table(header, [(a, b, c, "neutral") for a, b, c in PAIRS]), "x")
    assert labels_of(read_pairs(table(header, [(a, b, c, c) for a, b, c in PAIRS]), "x")) == [c for *_, c in PAIRS]


def test_an_object_with_one_key_twice_is_counted():
    content = b'{"sentence1": "A b", "sentence2": "C", "score": 1, "score": 5}\n'
    pairs = read_pairs(content + lines([{"sentence1": a, "sentence2": b, "score": s} for a, b, s in SCORED]), "x")
    assert (len(pairs), pairs.skipped[0].reason) == (4, "the key 'score' has two values")


# What labels mean


@pytest.mark.parametrize(
    ("order", "is_usual"), [((0, 1, 2), True), ((2, 1, 0), False), ((1, 2, 0), False), ((1, 2, 3), False)], ids=str
)
@pytest.mark.parametrize("column", ["label_text", "verdict"])
def test_words_beside_numbers_say_what_they_mean(order, is_usual, column):
    numbers = dict(zip(LABELS, order, strict=True))
    pairs = read_pairs(lines([{"text1": a, "text2": b, "label": numbers[c], column: c} for a, b, c in PAIRS]), "x")
    assert labels_of(pairs) == [c for *_, c in PAIRS]
    said = about(pairs, "labels")[0]
    assert f"the column {column!r} says what they stand for" in said
    assert ("not the usual order" in said) != is_usual


def test_words_beside_numbers_say_what_is_a_paraphrase():
    rows = [
        {"text1": a, "text2": b, "label": n % 2, "label_text": ("same", "paraphrase", "not paraphrase")[1 + n % 2]}
        for n, (a, b, _) in enumerate(PAIRS)
    ]
    assert read_pairs(lines(rows), "x", "similarity").gold.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("column", "yes"), [("entailment", 1), ("is_entailed", "true"), ("not_entailment", 0), ("Entails?", "yes")]
)
def test_a_column_called_after_a_label_means_it(column, yes):
    no = {1: 0, 0: 1, "true": "false", "yes": "no"}[yes]
    content = table(("premise", "hypothesis", column), [(a, b, yes if c == "entailment" else no) for a, b, c in PAIRS])
    for chosen in (None, Columns("premise", "hypothesis", column)):
        pairs = read_pairs(content, "x", "entailment", chosen)
        assert labels_of(pairs) == ["entailment", "not_entailment", "not_entailment", "entailment"]
        assert "is read as its name says" in about(pairs, "labels")[0]


def test_a_column_of_one_label_that_is_not_entailment_is_refused():
    content = table(("premise", "hypothesis", "contradiction"), [(a, b, int(c == "contradiction")) for a, b, c in PAIRS])
    with pytest.raises(
        InputError, match="only says which pairs are labelled contradiction, not which of the others are entailment"
    ):
        read_pairs(content, "x", "entailment")


def test_minus_one_may_be_a_label():
    numbers = {"entailment": 1, "neutral": 0, "contradiction": -1}
    rows = [{"premise": a, "hypothesis": b, "label": numbers[c], "label_text": c} for a, b, c in PAIRS]
    assert labels_of(read_pairs(lines(rows), "x")) == [c for *_, c in PAIRS]
    without = lines([{key: value for key, value in row.items() if key != "label_text"} for row in rows])
    with pytest.raises(InputError, match="whether -1 is a label or means that there is none"):
        read_pairs(without, "x", "entailment")
    said = Reading(labels=tuple((str(number), label) for label, number in numbers.items()))
    assert labels_of(read_pairs(without, "x", "entailment", reading=said)) == [c for *_, c in PAIRS]
    some = table(("premise", "hypothesis", "label"), [(a, b, NUMBERS[c]) for a, b, c in PAIRS * 4] + [("a b", "c d", -1)])
    assert [(part.reason, part.count) for part in read_pairs(some, "x", "entailment").skipped] == [("no gold label", 1)]


def test_what_a_model_guessed_names_no_labels():
    reverse = {"entailment": "contradiction", "contradiction": "entailment", "neutral": "neutral"}
    rows = [{"premise": a, "hypothesis": b, "label": NUMBERS[c], "pred_text": reverse[c]} for a, b, c in PAIRS]
    assert labels_of(read_pairs(lines(rows), "x")) == [c for *_, c in PAIRS]


def test_words_that_contradict_each_other_are_asked_about():
    rows = [{"text1": a, "text2": b, "label": 0, "label_text": c} for a, b, c in PAIRS]
    with pytest.raises(InputError, match="'label' and 'label_text' do not agree: 0 stands beside"):
        read_pairs(lines(rows), "x", "entailment")


@pytest.mark.parametrize("numbers", [(1, 2, 3), (1, 2, 2)])
def test_numbers_without_a_usual_order_are_asked_about(numbers):
    meant = dict(zip(LABELS, numbers, strict=True))
    content = table(("premise", "hypothesis", "label"), [(a, b, meant[c]) for a, b, c in PAIRS])
    with pytest.raises(InputError, match="nothing says what they mean; say it with --labels"):
        read_pairs(content, "x", "entailment")
    with pytest.raises(InputError, match="graded scores are needed"):
        read_pairs(content, "x", "similarity")
    said = Reading(labels=(("1", "entailment"), ("2", "neutral"), ("3", "contradiction")))
    assert labels_of(read_pairs(content, "x", "entailment", reading=said))[:2] == ["entailment", "neutral"]


def test_labels_in_other_languages_are_understood_or_asked_about():
    german = {"entailment": "Implikation", "neutral": "Neutral", "contradiction": "Widerspruch"}
    content = table(("premise", "hypothesis", "label"), [(a, b, german[c]) for a, b, c in PAIRS])
    assert labels_of(read_pairs(content, "x")) == [c for *_, c in PAIRS]
    strange = {"entailment": "ja", "neutral": "neutral", "contradiction": "ei"}
    content = table(("premise", "hypothesis", "label"), [(a, b, strange[c]) for a, b, c in PAIRS])
    with pytest.raises(InputError, match="are not understood: 'ja' in 2 rows, 'ei' in 1 row; say what they mean with --labels"):
        read_pairs(content, "x", "entailment")
    said = Reading(labels=(("ja", "entailment"), ("ei", "contradiction")))
    assert labels_of(read_pairs(content, "x", "entailment", reading=said)) == [c for *_, c in PAIRS]
    with pytest.raises(InputError, match="'green' is not a label"):
        read_pairs(content, "x", "entailment", reading=Reading(labels=(("ja", "green"),)))
    content = table(("premise", "hypothesis", "label"), [(a, b, 7 if c == "entailment" else 0) for a, b, c in PAIRS])
    with pytest.raises(InputError, match="are not understood: '7' in 2 rows;"):
        read_pairs(content, "x", "entailment", reading=Reading(labels=(("0", "neutral"),)))


# Quotation marks

sentence = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('"\\,;x '), min_size=1, max_size=20)


@given(st.lists(st.tuples(sentence, sentence), min_size=2, max_size=5), st.sampled_from("\t,;"))
def test_quotation_marks_behind_backslashes_come_back(rows, delimiter):
    rows = [(f'{a}"x', f'say "{b}", he said.') for a, b in rows]  # so that the file has what it is about
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL)
    writer.writerows([("sentence1", "sentence2", "score"), *((a, b, n + 0.5) for n, (a, b) in enumerate(rows))])
    pairs = read_pairs(out.getvalue().encode(), "x", "similarity")
    assert [*zip(pairs.first, pairs.second, strict=True)] == [(a, b) for a, b in rows if a.strip() and b.strip()]
    assert about(pairs, "text")


def test_backslashes_before_other_characters_stay():
    content = b'sentence1,sentence2,score\n"He wrote \\"a\\nb\\".","C:\\dir, he said",1.5\n"x y","z",2\n'
    pairs = read_pairs(content, "x")
    assert (pairs.first[0], pairs.second[0]) == ('He wrote "a\\nb".', "C:\\dir, he said")


def test_a_table_that_a_database_exported():
    content = b"sentence1\tsentence2\tscore\nA\\tb\tC\\\\d\t1\nE\t\\N\t2\nF\tG\t\\N\nH\tI\t3\n"
    pairs = read_pairs(content, "x")
    assert (pairs.first, pairs.second) == (("A\tb", "H"), ("C\\d", "I"))
    assert {entry.reason for entry in pairs.skipped} == {"empty sentence", "blank score"}


def test_excels_line_about_the_separator():
    content = b'sep=;\r\nsentence1;sentence2;score\r\n"A, b";C;1,5\r\nD;E;\r\nF;G;2\r\n'
    pairs = read_pairs(content, "x")
    assert (pairs.first, pairs.gold.tolist(), pairs.skipped[0].lines) == (("A, b", "F"), [1.5, 2.0], (4,))


# Scores


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["4,8", "2,25", "3"], [4.8, 2.25, 3]),
        (["95%", "20 %"], [95, 20]),
        (["1,250.5", "980", "2,000"], [1250.5, 980, 2000]),
        (["1.250,5", "980"], [1250.5, 980]),
        (["1 250", "980"], [1250, 980]),
        (["5,000", "3,667", "0,125"], [5, 3.667, 0.125]),
        (["1,250", "980.5"], [1250, 980.5]),
        (["\N{MINUS SIGN}1.5", "2"], [-1.5, 2]),
    ],
)
def test_numbers_as_people_write_them(written, expected):
    read, _ = score_reader(written)
    assert [read(text) for text in written] == expected


def test_signs_of_per_cent_on_some_scores_only():
    read, notes = score_reader(["95%", "20%", "0.5"])
    assert (read("95%"), read("0.5")) == (95, "score without a sign of per cent, unlike the others")
    assert notes


@given(st.lists(st.floats(-1e4, 1e4).map(lambda number: round(number, 3)), min_size=1, max_size=9), st.booleans())
def test_scores_written_with_groups_or_plainly_come_back(numbers, grouped):
    written = [f"{number:,.3f}" if grouped else repr(number) for number in numbers]
    read, _ = score_reader(written)
    assert [read(text) for text in written] == numbers


# Values inside values


def parquet(**columns) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


FIRST, SECOND, SCORES = ([row[place] for row in SCORED] for place in range(3))


@pytest.mark.parametrize(
    ("written", "gold", "said"),
    [
        (["3,8", "3.800", "2.600", "0.400"], [3.8, 3.8, 2.6, 0.4], "decimal points: 0.400 is read as 0.4"),
        (["3,8", "2.5", "1", "0,25"], [3.8, 2.5, 1, 0.25], "decimal points: 2.5 is read as 2.5"),
        (["3,8", "1.234", "812", "99,5"], [3.8, 1234, 812, 99.5], "groups of thousands: 1.234 is read as 1234"),
        (["3,8", "1.234", "1.234,5", "99,5"], [3.8, 1234, 1234.5, 99.5], "groups of thousands: 1.234,5 is read as 1234.5"),
    ],
)
def test_commas_and_points_in_one_column(written, gold, said):
    rows = [f"sentence {place}\tanother {place}\t{score}" for place, score in enumerate(written)]
    pairs = read_pairs("\n".join(["sentence1\tsentence2\tscore", *rows]).encode(), "x.tsv")
    assert pairs.gold.tolist() == gold
    assert any(said in note for note in about(pairs, "scores"))


def test_decimals_structs_and_lists_are_read():
    from decimal import Decimal

    decimals = pa.array([Decimal(str(s)) for s in SCORES], pa.decimal128(5, 2))
    for content, columns in (
        (parquet(sentence1=FIRST, sentence2=SECOND, score=decimals), ("sentence1", "sentence2", "score")),
        (
            parquet(sentence1=FIRST, sentence2=SECOND, labels=[{"score": s} for s in SCORES]),
            ("sentence1", "sentence2", "labels.score"),
        ),
        (
            parquet(texts=[list(pair) for pair in zip(FIRST, SECOND, strict=True)], score=SCORES),
            ("texts[0]", "texts[1]", "score"),
        ),
        (lines([{"pair": {"text1": a, "text2": b}, "score": s} for a, b, s in SCORED]), ("pair.text1", "pair.text2", "score")),
    ):
        assert columns_of(content) == columns
        pairs = read_pairs(content, "x")
        assert [*zip(pairs.first, pairs.second, pairs.gold.tolist(), strict=True)] == SCORED


def test_what_is_left_out_of_a_file_is_named_with_its_type():
    more = {"vector": [[1.0, 2.0]] * 4, "day": pa.array([1, 2, 3, 4], pa.timestamp("s"))}
    said = about(read_pairs(parquet(sentence1=FIRST, sentence2=SECOND, score=SCORES, **more), "x"), "left out")[0]
    assert "vector (list" in said
    assert "day (timestamp" in said
    with pytest.raises(InputError, match="left out, as they hold neither text nor numbers: score"):
        read_pairs(parquet(sentence1=FIRST, sentence2=SECOND, score=more["day"]), "x")


def test_keys_that_come_late_are_found():
    rows = [{"sentence1": a, "sentence2": b} for a, b, _ in SCORED] * 300
    pairs = read_pairs(lines([*rows, *({"sentence1": a, "sentence2": b, "score": s} for a, b, s in SCORED)]), "x")
    assert (len(pairs), pairs.skipped[0].count) == (4, 1200)


# Notes


def test_notes_of_several_files_say_which_file_they_are_about():
    content = table(("premise", "hypothesis", "label"), [(a, b, NUMBERS[c]) for a, b, c in PAIRS])
    words = table(("premise", "hypothesis", "label"), PAIRS)
    numbers = about(read_pairs(content, "numbers.csv"), "labels")
    assert about(combine([read_pairs(content, "numbers.csv"), read_pairs(content, "numbers.csv")]), "labels") == numbers
    assert about(combine([read_pairs(content, "numbers.csv"), read_pairs(words, "words.csv")]), "labels") == [
        f"numbers.csv: {numbers[0]}"
    ]


def test_a_note_says_how_to_say_otherwise():
    note = Note("labels", "Labels are numbers")
    assert note.sentence() == "Labels are numbers. To say otherwise: --labels 0=entailment,1=neutral,2=contradiction."
    assert "--labels" not in note.sentence(on_page=True)
    assert Note("measures", "All is one").sentence() == "All is one."


# Word lists


@pytest.mark.parametrize(
    "marks",
    [
        ("-n", "-v", "-j"),
        ("_N", "_V", "_A"),
        ("#n", "#v", "#a"),
        (".n.01", ".v.02", ".a.01"),
        ("/NN", "/VB", "/JJ"),
        ("(n)", "(v)", "(j)"),
    ],
)
def test_parts_of_speech_do_not_belong_to_words(marks):
    a, b, c = marks
    content = f"moon{a} night{a} 41\nboat{a} sail{b} 38\ncold{c} x-ray{a} 17\n".encode()
    words = read_words(content, "men.txt")
    assert (words.first, words.second) == (("moon", "boat", "cold"), ("night", "sail", "x-ray"))
    assert words.notes[-1].about == "part of speech"
    assert read_words(content, "men.txt", as_written=True).first[0] == f"moon{a}"


def test_a_hyphen_inside_a_word_stays():
    words = read_words(b"word1,word2,score\nmoon,night,41\nx-ray,picture,30\nvitamin-a,pill,2\n", "w")
    assert words.first == ("moon", "x-ray", "vitamin-a")
    assert words.notes == ()


def test_parts_of_speech_in_fields_of_their_own_are_no_words():
    words = read_words(b"moon,n,night,n,3.5\nsail,v,boat,n,4\nx-ray,n,bone,n,1\n", "w")
    assert (words.first, words.second) == (("moon", "sail", "x-ray"), ("night", "boat", "bone"))
    assert "fields 1 and 3, the score from field 5" in words.notes[0].text
    numbered = read_words(b"1 moon night 3.5\n2 sail boat 4\n", "w")
    assert (numbered.first, numbered.gold.tolist()) == (("moon", "sail"), [3.5, 4])


def test_marks_on_one_side_only_are_said():
    words = read_words(b"moon-n,night,3.5\nsail-v,boat,4\nx-ray-n,bone,1\n", "w")
    assert words.first[0] == "moon-n"
    assert "All first words end in what may be their part of speech" in words.notes[0].text


def test_lists_in_other_layouts():
    simverb = b"take\tremove\tV\t6.81\tSYNONYMS\nwalk\ttrail\tV\t4.81\tCOHYPONYMS\n"
    assert read_words(simverb, "w").gold.tolist() == [6.81, 4.81]
    german = b"Wort1;Wort2;Wert\nMond;Nacht;4,5\nBoot;See;3,5\n"
    words = read_words(german, "w")
    assert (words.first, words.gold.tolist(), words.skipped) == (("Mond", "Boot"), [4.5, 3.5], ())
    for second in (b"similarity", b"score"):
        with pytest.raises(InputError, match=f"several columns may be the score: score, {second.decode()}"):
            read_words(b"word1,word2,score," + second + b"\na,b,1,2\nc,d,3,4\n", "w")
