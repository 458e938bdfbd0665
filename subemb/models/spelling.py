"""How tokenizers spell tokens: what the raw spelling says, where words begin, and what a tokenizer tells of its tokens.

>>> decode_token("##ing", "wordpiece"), decode_token("Ġthe", "byte_bpe"), decode_token("▁the", "sentencepiece")
(('ing', False), (' the', True), (' the', True))
"""

import codecs
import json
import re
from typing import Any, NamedTuple

from ..base.errors import InputError

#: How a tokenizer marks where words begin or go on, and how it writes bytes.
SCHEMES = ("wordpiece", "byte_bpe", "sentencepiece", "suffix", "words")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


# Which scheme a tokenizer uses


def _part_types(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A decoder or pre-tokenizer, with the members of a Sequence one by one."""
    if not part:
        return []
    if part.get("type") == "Sequence":
        members = part.get("decoders") or part.get("pretokenizers") or part.get("normalizers") or []
        return [one for member in members for one in _part_types(member)]
    return [part]


def scheme_of(definition: dict[str, Any]) -> str:
    """The scheme of a parsed ``tokenizer.json``: its decoder says it, else its pre-tokenizer, model and tokens do."""
    parts = _part_types(definition.get("decoder")) + _part_types(definition.get("pre_tokenizer"))
    types = {part.get("type") for part in parts}
    model = definition.get("model", {})
    if "WordPiece" in types or model.get("type") == "WordPiece":
        return "wordpiece"
    if "ByteLevel" in types:
        return "byte_bpe"
    replaced = any(part.get("type") == "Replace" and "▁" in json.dumps(part, ensure_ascii=False) for part in parts)
    if "Metaspace" in types or replaced or model.get("type") == "Unigram":
        return "sentencepiece"
    if "BPEDecoder" in types or model.get("end_of_word_suffix"):
        return "suffix"
    return "words" if model.get("type") == "WordLevel" else guess_scheme(model.get("vocab", {}))


def guess_scheme(tokens) -> str:
    """The scheme, guessed from the marks on the tokens; for tokenizers that do not tell.

    >>> guess_scheme(["a", "##b"]), guess_scheme(["Ġa", "b"]), guess_scheme(["▁a", "b"]), guess_scheme(["a"])
    ('wordpiece', 'byte_bpe', 'sentencepiece', 'words')
    """
    marks = {"wordpiece": 0, "byte_bpe": 0, "sentencepiece": 0, "suffix": 0}
    for token in tokens:
        marks["wordpiece"] += token.startswith("##")
        marks["byte_bpe"] += token.startswith("Ġ")
        marks["sentencepiece"] += token.startswith("▁")
        marks["suffix"] += token.endswith("</w>")
    best = max(marks, key=marks.__getitem__)
    return best if marks[best] else "words"


def checked_scheme(scheme: str) -> str:
    """The scheme, or InputError naming those there are."""
    if scheme not in SCHEMES:
        raise InputError(f"unknown token scheme {scheme!r}; choose one of {', '.join(SCHEMES)}")
    return scheme


# From a spelling to what a person reads


def byte_alphabet() -> dict[int, int]:
    """GPT-2's spelling of bytes: code point -> byte. Printable Latin-1 stands for itself, the rest follows from U+0100.

    >>> byte_alphabet()[ord("Ġ")], byte_alphabet()[ord("a")]
    (32, 97)
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in set(plain)]
    return {**{byte: byte for byte in plain}, **{256 + i: byte for i, byte in enumerate(moved)}}


def _lone_bytes(error: UnicodeDecodeError) -> tuple[str, int]:
    broken = error.object[error.start : error.end]
    return "".join(f"⟨0x{byte:02X}⟩" for byte in broken), error.end


codecs.register_error("subemb.lone_bytes", _lone_bytes)
_BYTES = byte_alphabet()


def decode_bytes(data: bytes) -> str:
    """UTF-8, with every byte that is only a part of a character written out.

    >>> decode_bytes(b"a\\xe2")
    'a⟨0xE2⟩'
    """
    return data.decode("utf-8", "subemb.lone_bytes")


def decode_token(raw: str, scheme: str) -> tuple[str, bool]:
    """(what a person reads, whether the token begins a word) of one ordinary token.

    >>> decode_token("##ing", "wordpiece"), decode_token("Ġthe", "byte_bpe"), decode_token("▁the", "sentencepiece")
    (('ing', False), (' the', True), (' the', True))
    """
    if scheme == "wordpiece":
        return (raw[2:], False) if raw.startswith("##") and len(raw) > 2 else (raw, True)
    if scheme == "byte_bpe":
        try:
            text = decode_bytes(raw.translate(_BYTES).encode("latin-1"))
        except UnicodeEncodeError:  # not in the alphabet: a token added by hand
            return raw, True
        return text, text[:1].isspace()
    if scheme == "sentencepiece":
        match = _BYTE_TOKEN.fullmatch(raw)
        if match:
            return decode_bytes(bytes.fromhex(match[1])), False
        return raw.replace("▁", " "), raw.startswith("▁")
    if scheme == "suffix":
        # The mark is at the end of words, so where a word begins is not known; whole words are those with the mark.
        return (raw[:-4], True) if raw.endswith("</w>") and len(raw) > 4 else (raw, False)
    return raw, True


# What a tokenizer tells


class TokenizerFacts(NamedTuple):
    """What a tokenizer says of itself."""

    ids: dict[str, int]  # of every token
    scheme: str  # one of SCHEMES
    special: frozenset[int]  # ids of control tokens
    literal: frozenset[int]  # ids whose spelling is not encoded: added tokens
    scores: dict[int, float] | None  # of ids: natural log probability, or minus the merge rank
    score_kind: str | None  # "log probability", "merge rank" or None


def read_tokenizer(tokenizer) -> TokenizerFacts:
    """Facts of a transformers tokenizer; those without a ``backend_tokenizer`` tell less, and their scheme is guessed."""
    ids = dict(tokenizer.get_vocab())
    special = frozenset(tokenizer.all_special_ids)
    added = {int(i): token for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items()}
    special |= {i for i, token in added.items() if token.special}
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return TokenizerFacts(ids, guess_scheme(ids), special, frozenset(added), None, None)
    definition = json.loads(backend.to_str())
    scores, kind = _scores(definition.get("model", {}), ids)
    return TokenizerFacts(ids, scheme_of(definition), special, frozenset(added), scores, kind)


def _scores(model: dict[str, Any], ids: dict[str, int]) -> tuple[dict[int, float] | None, str | None]:
    """id -> score (higher is more frequent): unigram log probabilities as they are, for BPE minus the rank of the merge."""
    if model.get("type") == "Unigram":
        return {ids[token]: score for token, score in model["vocab"] if token in ids}, "log probability"
    if model.get("type") == "BPE" and model.get("merges"):
        # A merge is ["Ġ", "t"]; older files write "Ġ t". A token made twice keeps its first, best rank.
        pairs = (merge if isinstance(merge, list) else merge.split(" ", 1) for merge in model["merges"])
        scores: dict[int, float] = {}
        for rank, (left, right) in enumerate(pairs):
            if left + right in ids:
                scores.setdefault(ids[left + right], -float(rank))
        return scores, "merge rank"
    return None, None
