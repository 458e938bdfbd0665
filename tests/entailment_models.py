"""Models that can judge pairs of sentences, made in a second: a classifier with labels in any order, and an encoder with a head."""

from pathlib import Path

import torch
from checkpoints import TOKENS, bert_sizes, make_bert, save, word_piece

from subemb.evaluate.data.pairs import LABELS, PairSet

#: Not the order of LABELS.
PERMUTED = ("NEUTRAL", "Contradiction", "entailment")
NAMES = ["cat", "dog", "bird", "house", "river", "tree", "table", "mat"]
VERBS = ["sits", "runs", "sings"]


def make_classifier(folder: Path, labels: tuple[str, ...] = PERMUTED) -> Path:
    """A BERT classifier of pairs; its answers differ from pair to pair."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=len(TOKENS),
        hidden_size=16,
        pad_token_id=0,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        **bert_sizes(16),
    )
    return save(folder, BertForSequenceClassification, config, word_piece(TOKENS))


def make_encoder(folder: Path) -> Path:
    """A BERT encoder without a head."""
    return make_bert(folder, initializer_range=0.5)


def made_pairs(languages: tuple[str, ...] = (), name: str = "made.tsv") -> PairSet:
    """72 pairs: one sentence and another with the same words (entailment), other ones (neutral) or a "2024" (contradiction)."""
    first, second, gold = [], [], []
    for number, noun in enumerate(NAMES):
        for verb in VERBS:
            other = NAMES[(number + 3) % len(NAMES)]
            first += [f"the {noun} {verb} on the {other}"] * 3
            second += [f"a {noun} {verb}", f"a {other} is old", f"2024 {noun} {verb}"]
            gold += [0, 1, 2]
    codes = [languages[place % len(languages)] for place in range(len(gold))] if languages else ()
    return PairSet(name, "entailment", "made here", first, second, gold, LABELS, codes)


def training_pairs(count: int = 120) -> PairSet:
    """Pairs that share no sentence, so that some can be set aside."""
    first = [f"the {NAMES[number % 8]} {VERBS[number % 3]} {number}" for number in range(count)]
    second = [f"{('a', 'old', '2024')[number % 3]} {NAMES[number % 8]} {number}" for number in range(count)]
    return PairSet("training.tsv", "entailment", "made here", first, second, [number % 3 for number in range(count)], LABELS)


def train_quick_head(folder: Path, name: str = "quick", seed: int = 0):
    """Train an entailment head for an encoder in a folder, and keep it where pages look for heads."""
    import subemb
    from subemb.evaluate.entailment.head_files import save_head
    from subemb.evaluate.entailment.head_settings import HeadSettings
    from subemb.evaluate.entailment.head_training import train_head

    with torch.random.fork_rng(devices=[]):
        settings = HeadSettings(members=1, projected=8, hidden=16, epochs=4, batch_size=16, seed=seed)
        head, _ = train_head(
            subemb.load(str(folder)),
            [training_pairs()],
            settings,
            name=name,
            facts={"command": "subemb train-head MODEL --data FILE"},
        )
    save_head(head)
    return head
