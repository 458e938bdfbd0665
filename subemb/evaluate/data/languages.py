"""Languages of labelled pairs: codes, names, and what the names of files say."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...base.errors import InputError
from .pairs import ALL_LANGUAGES, UNKNOWN_LANGUAGE, Note, PairSet

#: Codes of ISO 639-1 for which labelled pairs are commonly distributed (XNLI, PAWS-X, stsb-multi-mt and similar sets).
_CODES_TEXT = """
af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu ha he hi hr hu hy id ig is it ja ka kk km kn ko ky la lo
lt lv mk ml mn mr ms mt my ne nl no pa pl ps pt ro ru sd si sk sl so sq sr sv sw ta te th tl tr uk ur uz vi wo xh yo zh zu
"""
CODES = frozenset(_CODES_TEXT.split())
#: Other ways in which data sets write a language: its name in English or itself, and codes of ISO 639-2 and 639-3.
_SPELLINGS_TEXT = """
en english eng; de german deutsch deu ger; fr french français francais fra fre; es spanish español espanol spa; it italian italiano
ita; pt portuguese português por; nl dutch nederlands nld dut; ru russian rus; zh chinese zho chi cmn; ja japanese jpn jp jap; ko korean
kor kr; ar arabic ara arb; hi hindi hin; tr turkish tur; pl polish pol; cs czech ces cze; sv swedish swe; da danish dan; no norwegian nor;
fi finnish fin; el greek ell; bg bulgarian bul; ur urdu urd; vi vietnamese vie; th thai tha; sw swahili swa swh; id indonesian ind;
uk ukrainian ukr; ro romanian ron; hu hungarian hun; fa persian farsi fas pes; he hebrew heb; bn bengali ben; ta tamil tam; te telugu tel;
mr marathi mar; ha hausa hau; am amharic amh; rw kinyarwanda kin; ca catalan cat; eu basque eus; hr croatian hrv; sr serbian srp
"""
_SPELLINGS = {word: words.split()[0] for words in _SPELLINGS_TEXT.split(";") for word in words.split()[1:]}
_PARTS = frozenset(("dev", "test", "train", "valid", "validation", "trial", "eval", "devset", "testset", "2k"))
_SETS = re.compile(r"x?nli|stsb?|pawsx?|mnli|multinli|snli|sick|sts\d*")


def language_code(text: str) -> str | None:
    """The code of ISO 639-1 of a language as data sets write it, or None.

    >>> [language_code(text) for text in ("En", "eng", "German", "zh-CN", "pt_BR", "left", "")]
    ['en', 'en', 'de', 'zh', 'pt', None, None]
    """
    word = re.split(r"[-_]", str(text).strip().lower())[0]
    return word if word in CODES else _SPELLINGS.get(word)


def language_of_name(name: str) -> str | None:
    """The language code in the name of a distributed file, or None.

    Only where the name also has a split or a data set in it, since many codes are also ordinary words.

    >>> [language_of_name(name) for name in ("xnli.dev.de.tsv", "stsb-zh-dev.csv", "dev_2k.tsv", "is-it-my.csv", "SICK_trial.txt")]
    ['de', 'zh', None, None, None]
    """
    words = re.split(r"[^a-z0-9]+", name.lower().rsplit("/", 1)[-1])[:-1]  # the last is the file's ending
    codes = [word for word in words if word in CODES]
    known = any(word in _PARTS or _SETS.fullmatch(word) for word in words)
    return codes[0] if known and len(codes) == 1 else None


def in_languages(pairs: PairSet, wanted: Sequence[str] = (), preferred: Sequence[str] = ()) -> PairSet:
    """The pairs in the languages wanted; a set of several languages of which none is wanted is read in one, and a note says so.

    wanted: codes or names of languages, or ALL_LANGUAGES; (): English if the set has it, else the first of ``preferred`` that it has, else
    its most frequent one. Raises InputError for a language that the set does not have, if it gives languages at all.
    """
    counts = Counter(pairs.languages)
    if ALL_LANGUAGES in wanted or not counts or (len(counts) == 1 and not wanted):
        return pairs
    if wanted:
        chosen = [code for code in counts if any(_is_same(code, word) for word in wanted)]
        if absent := [word for word in wanted if not any(_is_same(code, word) for code in counts)]:
            raise InputError(
                f"{pairs.name} has no pairs in {', '.join(absent)}; its languages are {', '.join(counts)}, or {ALL_LANGUAGES}"
            )
        return pairs.select([code in chosen for code in pairs.languages])
    order = [code for word in ("en", *preferred) for code in counts if _is_same(code, word)]
    known = [code for code, _ in counts.most_common() if code != UNKNOWN_LANGUAGE]
    one = (order or known)[0]
    found = pairs.select([code == one for code in pairs.languages])
    others = [code for code in counts if code != one]
    note = Note(
        "language",
        f"Only the {len(found):,} pairs in {one} are used, of {len(pairs):,} in {len(counts)} languages (also {', '.join(others)})",
    )
    return replace(found, notes=(*found.notes, note))


def _is_same(code: str, word: str) -> bool:
    """Whether two spellings mean the same language."""
    return code.lower() == word.lower() or (language_code(code) is not None and language_code(code) == language_code(word))
