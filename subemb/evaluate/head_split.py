"""Setting labelled pairs aside so that no sentence that is tested on was seen in training."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import InputError
from .data.pairs import PairSet


@dataclass(frozen=True)
class Split:
    """Which of all pairs, numbered through the sets, train, choose between epochs, and are reported on: (n,) indices each."""

    train: np.ndarray
    choose: np.ndarray
    report: np.ndarray


def same_sentence(text: str) -> str:
    """What two spellings of one sentence share: its words in lower case.

    >>> same_sentence("A man is asleep .") == same_sentence("a man is asleep")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def sentence_groups(first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """(n,) group numbers of n pairs: pairs that share a sentence, directly or through others, are in one group.

    >>> sentence_groups(["a", "b", "c"], ["x", "x", "y"]).tolist()
    [0, 0, 1]
    """
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    keys = [(same_sentence(one), same_sentence(other)) for one, other in zip(first, second, strict=True)]
    for one, other in keys:
        parent[root(other)] = root(one)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(one), len(numbers)) for one, _ in keys], dtype=np.int64)


def split_pairs(sets: Sequence[PairSet], share: float, seed: int) -> Split:
    """Set ``share`` of every set aside, half of it to choose and half to report; whole groups of pairs that share sentences.

    Groups over all sets are drawn at random for the set that most of their pairs are from. One that is larger than what is
    still to be set aside stays in training. Raises InputError if too little can be set aside.
    """
    source = np.repeat(np.arange(len(sets)), [len(pairs) for pairs in sets])
    groups = sentence_groups(
        [text for pairs in sets for text in pairs.first], [text for pairs in sets for text in pairs.second]
    )
    total = int(groups.max()) + 1 if len(groups) else 0
    # (groups, sets) pairs; the set of a group is where most of them are.
    counts = np.bincount(groups * len(sets) + source, minlength=total * len(sets)).reshape(total, len(sets))
    home, size = counts.argmax(1), counts.sum(1)
    part = np.zeros(total, np.int8)  # 0 train, 1 choose, 2 report
    generator = np.random.default_rng(seed)
    for place, pairs in enumerate(sets):
        wanted = {2: len(pairs) * share / 2, 1: len(pairs) * share / 2}
        for group in generator.permutation(np.flatnonzero(home == place)):
            for number, left in wanted.items():
                if size[group] <= left:
                    part[group] = number
                    wanted[number] -= size[group]
                    break
    found = Split(*(np.flatnonzero(part[groups] == number) for number in range(3)))
    if min(map(len, (found.train, found.choose, found.report))) == 0:
        raise InputError(
            f"{share:.0%} of {len(source):,} pairs that share sentences in {total:,} groups leave a part empty; give more pairs, or "
            "another validation share"
        )
    return found
