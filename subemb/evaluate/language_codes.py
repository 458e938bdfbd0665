"""Language codes in names of files and data sets."""

import re

#: Codes of ISO 639-1 for which labelled pairs are commonly distributed (XNLI, PAWS-X, stsb-multi-mt and their relatives).
_CODES_TEXT = """
af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu ha he hi hr hu hy id ig is it ja ka kk km kn ko ky la lo
lt lv mk ml mn mr ms mt my ne nl no pa pl ps pt ro ru sd si sk sl so sq sr sv sw ta te th tl tr uk ur uz vi wo xh yo zh zu
"""
CODES = frozenset(_CODES_TEXT.split())
_PARTS = frozenset(("dev", "test", "train", "valid", "validation", "trial", "eval", "devset", "testset", "2k"))
_SETS = re.compile(r"x?nli|stsb?|pawsx?|mnli|multinli|snli|sick|sts\d*")


def language_of_name(name: str) -> str | None:
    """The language code in the name of a distributed file, or None.

    Only where the name also tells a part or a data set, since many codes are words.

    >>> [language_of_name(name) for name in ("xnli.dev.de.tsv", "stsb-zh-dev.csv", "dev_2k.tsv", "is-it-my.csv", "SICK_trial.txt")]
    ['de', 'zh', None, None, None]
    """
    words = re.split(r"[^a-z0-9]+", name.lower().rsplit("/", 1)[-1])[:-1]  # the last is the file's ending
    codes = [word for word in words if word in CODES]
    known = any(word in _PARTS or _SETS.fullmatch(word) for word in words)
    return codes[0] if known and len(codes) == 1 else None
