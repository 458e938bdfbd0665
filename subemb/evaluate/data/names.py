"""What the names of columns say: which two hold the sentences of a pair, which one the score or label, and which neither.

Names are compared by their words: ``sentence_A_En``, ``Sentence A (en)`` and ``sentenceAEn`` are all sentence, a, en. Two columns
belong together if their names differ in one word, and that word is one of :data:`_OPPOSITES`: 1 and 2, a and b, premise and hypothesis.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .languages import language_code


def plain_name(name: str) -> str:
    """A column's name for comparison: ``"Sentence A"`` -> ``"sentence_a"``."""
    return re.sub(r"[\s\-]+", "_", str(name).strip().lower())


def words_of(name: str) -> tuple[str, ...]:
    """The words and numbers of a name, in lower case.

    >>> words_of("sentence_A_En"), words_of("goldLabel"), words_of("texts[0]"), words_of("#1 String"), words_of("is-duplicate?")
    (('sentence', 'a', 'en'), ('gold', 'label'), ('texts', '0'), ('1', 'string'), ('is', 'duplicate'))
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", str(name))
    return tuple(re.findall(r"[^\W\d_]+|\d+", parted.lower()))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Sentences

_PREMISES = (
    *("premise", "premises", "prem", "context", "evidence", "passage", "text"),
    *("prämisse", "premisa", "prémisse", "premessa", "premissa", "посылка", "前提"),
)
_HYPOTHESES = (
    *("hypothesis", "hypotheses", "hypo", "hyp", "statement", "claim"),
    *("hypothese", "hipótesis", "hypothèse", "ipotesi", "hipótese", "гипотеза", "假设", "仮説"),
)
#: Words that tell the two columns of a pair apart; the pairs of the first tuple are beyond doubt.
_SURE = (("premise", "hypothesis"), ("1", "2"), ("a", "b"), ("0", "1"), ("first", "second"), ("left", "right"), ("one", "two"))
_LIKELY = (
    *((a, b) for a in _PREMISES for b in _HYPOTHESES if (a, b) not in _SURE),
    ("pre", "hyp"),
    ("question", "sentence"),
)
_OPPOSITES = {pair: place for place, pairs in enumerate((_SURE, _LIKELY)) for pair in pairs}
#: Words that number more than two: where several of one row are used, there are not two sentences but more.
_SERIES = (tuple("0123456789"), tuple("abcdefg"), ("first", "second", "third", "fourth"), ("one", "two", "three", "four"))
#: What sentences are called; a name of other words is taken only if its columns hold sentences.
_STEMS = _set(
    "sentence sentences sent text texts txt question questions string strings str s t q phrase phrases utterance segment snippet "
    "input inputs example examples pair pairs set data translation content "
    "satz sätze frase frases oración oraciones phrases zin frage предложение 句子 文"
)
#: Words of names whose columns are no sentences of a pair, whatever they hold.
_NO_SENTENCE = _set(
    "id ids uid guid idx index no nr number parse parses tree tokens token tokenized tok pos tag tags lemma lemmas lemmatized ner "
    "explanation explanations rationale rationales reason reasons reasoning why justification comment comments note notes remark "
    "remarks feedback caption captions prediction predictions predicted pred preds model output response generated generation "
    "adversary adverary system answer answers label labels gold score scores rating similarity relatedness length len count "
    "annotator annotators annotation annotations worker rater judge user author genre domain topic category type kind subset "
    "dataset split source origin url link file filename path date time year language lang locale locales keyword keywords key "
    "hash version embedding embeddings vector logits logit probability confidence marked highlighted highlight html title "
    "begründung erklärung kommentar anmerkung explicación razón comentario explication justification commentaire raison spiegazione "
    "explicação объяснение комментарий 解释 理由 説明"
)
#: Words of names of columns that were derived from another: the ones without come first.
_DERIVED = _set(
    "original orig raw translated translation mt machine back backtranslated paraphrased clean cleaned processed normalized "
    "preprocessed corrected lower lowercase lowercased"
)


@dataclass(frozen=True)
class NamedPair:
    """Two columns that belong together by their names."""

    first: str
    second: str
    language: str | None  # the code that both names have
    is_sure: bool  # whether the names leave no doubt; else their columns must hold sentences
    siblings: tuple[str, ...]  # further columns of the same series: sentence3, text_c
    rank: tuple[int, int]  # the lowest is best


def named_pairs(header: Sequence[str]) -> list[NamedPair]:
    """All pairs of columns that belong together by their names, the best rank first."""
    groups: dict[tuple, dict[str, str]] = {}
    for column in header:
        words = words_of(column)
        for place, word in enumerate(words):
            groups.setdefault((place, words[:place], words[place + 1 :]), {}).setdefault(word, column)
    found = []
    for (_, before, after), columns in groups.items():
        rest = (*before, *after)
        if len(columns) < 2 or _NO_SENTENCE.intersection(rest):
            continue
        for (a, b), place in _OPPOSITES.items():
            if a in columns and b in columns:
                series = next((row for row in _SERIES if a in row), ())
                siblings = tuple(columns[word] for word in series if word in columns and word not in (a, b))
                found.append(_named_pair(columns[a], columns[b], rest, place, siblings))
    return sorted(found, key=lambda pair: (pair.rank, pair.language is not None))


def _named_pair(first: str, second: str, rest: Sequence[str], place: int, siblings: tuple[str, ...]) -> NamedPair:
    language, others = _language_in(rest)
    derived = sum(word in _DERIVED for word in others)
    known = all(word in _STEMS for word in others if word not in _DERIVED)
    return NamedPair(first, second, language, known and place == 0, siblings, (place if known else 2, derived))


def _language_in(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The code of a language at either end of a name's words, and the other words. ``id`` always is an identifier."""
    for place in (len(words) - 1, 0):
        if words and words[place] not in ("id", "s", "t", "is", "no", "a", "to") and (code := language_code(words[place])):
            return code, [*words[:place], *words[place + 1 :]]
    return None, list(words)


def language_of_columns(first: str, second: str) -> str | None:
    """The code of the language that the names of both columns have, or None.

    >>> language_of_columns("premise_de", "hypothesis_de"), language_of_columns("premise_de", "hypothesis_fr")
    ('de', None)
    """
    codes = {_language_in(words_of(column))[0] for column in (first, second)}
    return codes.pop() if len(codes) == 1 else None


#: Of those, what may be called so and still be one of the two sentences, where nothing else is.
_PERHAPS = _set("answer answers source origin title response output generated generation author user system subset text model")


def may_be_sentences(column: str) -> bool:
    """Whether a column's name does not speak against sentences of a pair.

    >>> [may_be_sentences(name) for name in ("left", "answer", "reason", "sentence1_parse", "pair_ID")]
    [True, True, False, False, False]
    """
    return not (_NO_SENTENCE - _PERHAPS).intersection(words_of(column))


def two_roles(columns: Sequence[str]) -> tuple[str, str] | None:
    """Of two columns, (premise, hypothesis) if their names say so in the other order; else the order given.

    >>> two_roles(["the claim", "evidence found"]), two_roles(["x", "y"])
    (('evidence found', 'the claim'), ('x', 'y'))
    """
    first, second = columns
    hypothesis_first = _HYPOTHESES_OR_QUERY.intersection(words_of(first)) and set(_PREMISES).intersection(words_of(second))
    return (second, first) if hypothesis_first else (first, second)


_HYPOTHESES_OR_QUERY = frozenset((*_HYPOTHESES, "query"))

# Scores and labels

_SCORES = _set(
    "score scores similarity similarities relatedness rating ratings sim grade grades sts "
    "ähnlichkeit bewertung similarité similitud similaridade similarità somiglianza puntuación punteggio pontuação оценка сходство 相似度 類似度"
)
_LABELS = _set(
    "label labels judgment judgement relation duplicate paraphrase equivalent quality class entailment verdict nli "
    "etikett etiqueta étiquette etichetta rótulo метка 标签 ラベル"
)
_EITHER = _set("target y")
_GOLD = _set("gold golden true truth final majority consensus human reference")
_MEANS = _set("mean avg average averaged median")
_FILLERS = _set("is the of value values num numeric")
#: Words of names whose columns are neither score nor label: guesses of models, single opinions, spreads, marks of rows.
_NO_GOLD = _set(
    "pred preds prediction predictions predicted predict model adversary adverary system output outputs guess logit logits prob probs "
    "probability probabilities confidence conf certainty std stdev sd sem stderr var variance deviation spread min max range count "
    "counts votes annotator annotators annotation annotations worker workers rater raters judge user users time duration seconds "
    "length len chars words tokens id ids uid guid idx index row line no nr number rank order position pos fold split year month "
    "date timestamp version entropy agreement kappa baseline cosine cos bleu bert bertscore bleurt chrf overlap distance draft old "
    "previous correct loss weight weights seed page offset start end difficulty hard easy gpt llm chatgpt "
    "dissimilarity dissimilarities unrelatedness difference distances abstand distanz distancia distanza"
)


@dataclass(frozen=True)
class NamedGold:
    """A column that holds scores or labels by its name."""

    column: str
    language: str | None
    rank: int  # the lowest is best


def named_gold(columns: Iterable[str], wanted: str) -> list[NamedGold]:
    """Columns of scores (wanted: ``score``) or labels (``label``) by their names, the best rank first.

    ``gold_label`` comes before ``label``, that before ``mean_label`` and ``label_text``; ``model_label`` is none.
    """
    bases = _SCORES if wanted == "score" else _LABELS
    found = []
    for column in columns:
        language, words = _language_in(words_of(column))
        if language and not (bases | _GOLD).intersection(words):  # "is_duplicate": a word that is also a code
            language, words = None, list(words_of(column))
        if not words or _NO_GOLD.intersection(words):
            continue
        has_base, is_gold = bool(bases.intersection(words)), bool(_GOLD.intersection(words))
        extra = [word for word in words if word not in (bases | _GOLD | _MEANS | _FILLERS)]
        if has_base and not extra:
            rank = 0 if is_gold else 2 if _MEANS.intersection(words) else 1
        elif has_base:
            rank = 3 + is_gold * -1 + any(word in _DERIVED or word.isdigit() for word in extra)
        elif is_gold and not extra:
            rank = 0
        elif set(words) <= _EITHER:
            rank = 5
        else:
            continue
        found.append(NamedGold(column, language, rank))
    return sorted(found, key=lambda gold: gold.rank)


def may_be_gold(column: str) -> bool:
    """Whether a column's name does not speak against scores and labels.

    >>> [may_be_gold(name) for name in ("how close", "model_label", "score_std", "pair_ID")]
    [True, False, False, False]
    """
    return not _NO_GOLD.intersection(words_of(column))


_IDENTIFIERS = _set("id ids uid guid idx index row line no nr number")


def is_identifier(column: str) -> bool:
    """Whether a column's name says that it only tells rows apart."""
    return bool(_IDENTIFIERS.intersection(words_of(column)))


#: Names of columns with a language code in each row.
LANGUAGES = (
    *("language", "lang", "locale", "language_code", "lang_code", "lang_id", "locales"),
    *("sprache", "langue", "idioma", "lingua", "taal", "язык", "语言", "言語"),
)


def is_known_name(name: str) -> bool:
    """Whether a cell is a name that columns of pairs commonly have, so that its line is a header.

    >>> [is_known_name(cell) for cell in ("Sentence 1", "gold_label", "pairID", "A man plays.", "yes", "")]
    [True, True, True, False, False, False]
    """
    if len(name) > LONGEST_NAME or len(words_of(name)) > MOST_WORDS or ENDS_SENTENCE.search(name):
        return False
    words = set(words_of(name)) - _FILLERS
    if plain_name(name) in LANGUAGES or name.strip().lower() in ("a", "b", "s1", "s2", "y"):
        return True
    return (
        bool(words)
        and bool(words & _TELLING)
        and all(word in _COMMON or word.isdigit() or len(word) == 1 or language_code(word) for word in words)
    )


#: What no name of a column has: more characters or words, and the end of a sentence.
LONGEST_NAME, MOST_WORDS, ENDS_SENTENCE = 40, 5, re.compile(r"[.?!。？！]\s*$")
#: Words that stand in headers, and hardly ever alone as a cell.
_TELLING = _set(
    "premise hypothesis sentence sent text question string phrase context statement claim evidence label labels score scores "
    "similarity relatedness rating judgment judgement gold duplicate paraphrase quality reason explanation genre pair uid idx index "
    "id language split annotator parse first second"
)
_COMMON = _TELLING | _STEMS | _SCORES | _LABELS | _GOLD | _MEANS | _FILLERS | _NO_SENTENCE | _DERIVED | _set("prompt captionid")
