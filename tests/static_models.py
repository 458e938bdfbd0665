"""Small static tables: models without a network."""

import json

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = [
    "[PAD]",
    "[UNK]",
    "a",
    "man",
    "is",
    "playing",
    "guitar",
    "two",
    "dogs",
    "run",
    "in",
    "the",
    "snow",
    "house",
    "woman",
    "onion",
]
V, D = len(WORDS), 12
ROWS = torch.randn(V, D, generator=torch.Generator().manual_seed(0))
MODEL2VEC = {"model_type": "model2vec", "architectures": ["StaticModel"]}


def word_level():
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


def make_words(folder, count: int, dim: int):
    """A static table of the words word0, word1 and so on: a process opens it in two seconds, where a network takes eight."""
    words = {"[PAD]": 0, "[UNK]": 1, **{f"word{number}": number + 2 for number in range(count)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    rows = torch.randn(len(words), dim, generator=torch.Generator().manual_seed(0))
    return make_model2vec(folder, {"embeddings": rows}, tokenizer)


def make_model2vec(folder, tensors=None, tokenizer=None, **config):
    folder.mkdir(parents=True)
    save_file({"embeddings": ROWS.clone()} if tensors is None else tensors, folder / "model.safetensors")
    (tokenizer or word_level()).save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({**MODEL2VEC, **config}))
    return folder
