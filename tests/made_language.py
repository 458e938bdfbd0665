"""A language of a few words in which it is known what follows from what, and a tiny encoder for it."""

import random
from pathlib import Path

from checkpoints import SPECIAL, make_bert, make_sentence_model

import subemb
from subemb.evaluate.data.pairs import LABELS, PairSet

ANIMALS = ("cat", "dog", "bird", "fox")
VERBS = ("sits", "runs", "sings", "sleeps")
PLACES = tuple(f"place{number}" for number in range(60))
NOT = "not"


def make_encoder(folder: Path, dim: int = 32):
    """A sentence encoder with random weights, so that sentences are told apart by the words in them."""
    tokens = [*SPECIAL, "the", "a", NOT, *ANIMALS, *VERBS, *PLACES]
    return subemb.load(str(make_sentence_model(make_bert(folder, tokens, dim))))


def made_pairs(count: int = 600, seed: int = 0, name: str = "made.tsv") -> PairSet:
    """Premise "the fox sits place3 place9"; what follows: fewer words; what contradicts: "not"; neutral: another animal."""
    chance = random.Random(seed)
    first, second, gold = [], [], []
    for place in range(count):
        animal, verb, where = chance.choice(ANIMALS), chance.choice(VERBS), " ".join(chance.sample(PLACES, 3))
        label = place % 3
        other = animal if label != 1 else chance.choice([one for one in ANIMALS if one != animal])
        first.append(f"the {animal} {verb} {where}")
        second.append(f"a {other} {NOT + ' ' if label == 2 else ''}{verb} {where}")
        gold.append(label)
    return PairSet(name, "entailment", "made here", first, second, gold, LABELS)


def write_tsv(path: Path, pairs: PairSet) -> Path:
    rows = zip(pairs.first, pairs.second, pairs.gold.tolist(), strict=True)
    lines = ["premise\thypothesis\tlabel", *(f"{one}\t{other}\t{LABELS[label]}" for one, other, label in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
