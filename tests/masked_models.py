"""Masked language models that tests train in seconds on a made language, so that right answers exist before compression.

In that language every animal says one sound and lives in one place; whoever has read it knows that the cat says meow.
"""

from pathlib import Path

import torch
from checkpoints import SPECIAL, save, word_piece
from shared import made_once

#: animal, what it says, where it lives
FACTS = [
    ("cat", "meow", "house"),
    ("dog", "woof", "garden"),
    ("cow", "moo", "barn"),
    ("duck", "quack", "pond"),
    ("sheep", "baa", "meadow"),
    ("horse", "neigh", "stable"),
    ("pig", "oink", "sty"),
    ("frog", "croak", "swamp"),
    ("owl", "hoot", "forest"),
    ("lion", "roar", "savanna"),
    ("bee", "buzz", "hive"),
    ("crow", "caw", "tower"),
    ("mouse", "squeak", "cellar"),
    ("snake", "hiss", "desert"),
    ("wolf", "howl", "mountain"),
    ("hen", "cluck", "coop"),
]
OTHERS = ["the", "a", "says", "in", "lives", "and", ".", ",", "##s", "##ing"]


def tokens() -> list[str]:
    """The vocabulary: special tokens, words, and a few that are never seen in training."""
    return [*SPECIAL, *OTHERS, *(word for fact in FACTS for word in fact)]


def sentences() -> list[str]:
    """Every sentence of the language."""
    return [
        sentence
        for animal, sound, place in FACTS
        for sentence in (
            f"the {animal} says {sound} in the {place} .",
            f"a {animal} lives in the {place} .",
            f"the {animal} says {sound} .",
        )
    ]


def questions() -> list[tuple[str, str]]:
    """Sentences with a mask, each with the one right answer."""
    return [(f"the {animal} says [MASK] .", sound) for animal, sound, _ in FACTS] + [
        (f"a {animal} lives in the [MASK] .", place) for animal, _, place in FACTS
    ]


def trained() -> Path:
    """A folder with one trained model, ``animals``; made once in a session, and not to be changed."""
    return made_once("masked", lambda folder: _on_one_thread(folder / "animals"))


def _on_one_thread(folder: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices so small lose by more
    try:
        train(folder)
    finally:
        torch.set_num_threads(threads)


def train(folder: Path, dim: int = 32, steps: int = 150) -> Path:
    """A BERT with one layer and a tied masked-word head that knows the language; some 3 s on one core, seeded."""
    from transformers import BertConfig, BertForMaskedLM

    tokenizer = word_piece(tokens())
    config = BertConfig(
        vocab_size=len(tokens()),
        hidden_size=dim,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,  # so narrow a network hardly learns from the usual 0.02
        pad_token_id=0,
    )
    save(folder, BertForMaskedLM, config, tokenizer)
    network = BertForMaskedLM.from_pretrained(folder).train()
    rows = tokenizer(sentences(), padding=True, return_tensors="pt")
    facts = torch.tensor(tokenizer.convert_tokens_to_ids([word for fact in FACTS for word in fact]))
    # One word of every sentence is masked, mostly one of the fact: there is little to learn about the others.
    chances = torch.where(torch.isin(rows["input_ids"], facts), 1.0, 0.15) * (rows["input_ids"] >= len(SPECIAL))
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(steps):
        drawn = torch.randint(0, len(chances), (48,), generator=generator)
        ids, mask = rows["input_ids"][drawn], rows["attention_mask"][drawn]
        one = torch.multinomial(chances[drawn], 1, generator=generator)
        hidden = torch.zeros_like(ids, dtype=torch.bool).scatter(1, one, True)
        labels = ids.masked_fill(~hidden, -100)
        masked = ids.masked_fill(hidden, tokenizer.mask_token_id)
        network(input_ids=masked, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    network.eval().save_pretrained(folder)
    return folder


def with_masked_head(folder: Path, make, class_name: str) -> Path:
    """A tiny checkpoint of one of checkpoints.py's makers, saved again with an untrained masked-word head."""
    import transformers

    make(folder)
    save(folder, getattr(transformers, class_name), transformers.AutoConfig.from_pretrained(folder))
    return folder
