"""What the colours of the token map mean: one byte a token, and the key that says what it stands for. No Streamlit here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....analysis.clusters import Clusters
from ....base.text import percent_text
from ....models.vocabulary import KINDS, Vocabulary
from ...shell.text import shortened
from ...widgets.charts import NEUTRAL, PALETTE
from ...widgets.colours import oklch
from .facts import TokenFacts

#: What points can be coloured by; codes have one entry a subspace, see :func:`code_name`.
CLUSTER, KIND, TIER, ERROR, NORM, ID = "Clusters", "Token kind", "Tier", "Error", "Norm", "Token id"
KIND_COLOURS = dict(zip(KINDS, (PALETTE[7], PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[3], NEUTRAL, PALETTE[5]), strict=True))
#: From low to high; every colour stands out by about 3:1 from a white and from a near-black background.
GRADIENT = ("#3D5BD9", "#7B4FC9", "#B1459F", "#D2476C", "#D5622F", "#B98500")
STEPS, MISSING = 254, 255  # of a value on a scale; the byte of a token that has none
MOST_GROUPS = 255  # what one byte can tell apart, one of them kept for MISSING
_CODE_LIGHTNESS = (0.63, 0.53)
_NAMES_OF_A_CLUSTER, _LONGEST_NAME = 2, 16


@dataclass(frozen=True)
class Colouring:
    """One byte for each of the V tokens, and its meaning: groups with a colour each, or steps of a scale."""

    name: str  # as chosen
    title: str  # what the colour shows
    value: np.ndarray  # (V,) uint8
    value_after: np.ndarray | None = None  # (V,) uint8 on the reconstructed map, where it is another there
    after: np.ndarray | None = None  # (V,) uint8, the group that each token belongs to after compression; told, not coloured
    colours: Sequence[str] = ()  # of the groups
    labels: Sequence[str] = ()  # their names
    numbers: Sequence[str] = ()  # what stands beside each name; an empty one is left out of the key
    places: Sequence[str] = ()  # names to be written on the map
    stops: Sequence[str] = ()  # colours of the scale, from low to high
    low: float | None = None  # the value of the first step
    high: float | None = None  # of the last
    note: str = ""
    tips: Sequence[str] = field(default_factory=tuple)  # more about each group

    @property
    def legend(self) -> dict[str, Any]:
        """The key, as the browser reads it."""
        names = ("name", "title", "colours", "labels", "numbers", "places", "stops", "low", "high", "note", "tips")
        values = {name: getattr(self, name) for name in names}
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value or value == 0
        }

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The bytes, by the names that the browser knows."""
        found = {"value": self.value, "value_after": self.value_after, "after": self.after}
        return {name: array for name, array in found.items() if array is not None}


def code_name(subspace: int, unit: str) -> str:
    """The entry of a subspace's codes.

    >>> code_name(2, "subspace")
    'Code of subspace 2'
    """
    return f"Code of {unit} {subspace}"


def choices(facts: TokenFacts, unit: str) -> list[str]:
    """What the tokens of a run can be coloured by."""
    codes = [] if facts.codes is None else [code_name(i, unit) for i in range(facts.codes.shape[1])]
    return [CLUSTER, KIND, *([TIER] if facts.tier is not None else []), ERROR, NORM, ID, *codes]


def by_cluster(of_tables: Sequence[Clusters], vocabulary: Vocabulary) -> Colouring:
    """Both maps have the colours of the original clusters, so that one sees which of them fall apart.

    of_tables: of the one compressed table or the two; the clusters of the original are the same.
    """
    clusters = of_tables[-1]
    names = [cluster_name(clusters, number, vocabulary) for number in range(len(clusters))]
    kept = zip(*(np.nan_to_num(each.kept) for each in of_tables), strict=True)
    stay = [" and ".join(percent_text(float(share)) for share in shares) for shares in kept]
    return Colouring(
        CLUSTER,
        "Clusters",
        clusters.before,
        after=clusters.after,
        colours=tuple(wheel(len(clusters))),
        labels=tuple(names),
        numbers=tuple(f"{share} stay" for share in stay),
        places=tuple(name.split(",")[0] for name in names),
        tips=tuple(f"{size:,} tokens of the original; {share} of them are still nearest to the centre of this cluster" for size, share in zip(clusters.sizes.tolist(), stay, strict=True)),
    )  # fmt: skip


def cluster_name(clusters: Clusters, number: int, vocabulary: Vocabulary, names: int = _NAMES_OF_A_CLUSTER) -> str:
    """The most typical tokens of a cluster, each text once."""
    texts = [vocabulary.display[i].strip("␣") or vocabulary.display[i] for i in clusters.typical[number].tolist() if i >= 0]
    return ", ".join(shortened(text, _LONGEST_NAME) for text in list(dict.fromkeys(texts))[:names]) or f"cluster {number}"


def by_kind(kinds: np.ndarray) -> Colouring:
    """(V,) names of kinds."""
    value = np.zeros(len(kinds), dtype=np.uint8)
    for number, kind in enumerate(KINDS):
        value[kinds == kind] = number
    numbers = np.bincount(value, minlength=len(KINDS)).tolist()
    counted = tuple(f"{number:,}" if number else "" for number in numbers)
    return Colouring(KIND, "Token kind", value, colours=tuple(KIND_COLOURS.values()), labels=KINDS, numbers=counted)


def by_tier(tiers: np.ndarray, words: Sequence[str]) -> Colouring:
    """One colour a tier. tiers: (V,) ints from 1. words: how each tier is kept."""
    value = (tiers - 1).astype(np.uint8)
    labels = tuple(f"{number + 1}: {text}" for number, text in enumerate(words))
    numbers = tuple(f"{number:,}" for number in np.bincount(value, minlength=len(words)).tolist())
    colours = tuple(PALETTE[number % len(PALETTE)] for number in range(len(words)))
    return Colouring(TIER, "Tier, 1 has the heaviest", value, colours=colours, labels=labels, numbers=numbers)


def by_value(
    name: str, title: str, original: np.ndarray, reconstructed: np.ndarray | None = None, clip: float = 0.01
) -> Colouring:
    """One scale for both maps, from the ``clip`` quantile to the 1 - ``clip`` quantile of all values on either."""
    both = original if reconstructed is None else np.concatenate([original, reconstructed])
    both = both[np.isfinite(both)]
    low, high = np.quantile(both, [clip, 1 - clip]) if len(both) else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    return Colouring(
        name,
        title,
        in_steps(original, low, high),
        None if reconstructed is None else in_steps(reconstructed, low, high),
        stops=GRADIENT,
        low=float(low),
        high=float(high),
        note="the outer 1 % at each end share the end colours" if clip else "",
    )


def in_steps(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(n,) numbers -> (n,) uint8: 0 for ``low`` and below, STEPS for ``high`` and above, MISSING for what is no number.

    >>> in_steps(np.array([0.0, 0.5, 1.0, 7.0, np.nan]), 0.0, 1.0).tolist()
    [0, 127, 254, 254, 255]
    """
    share = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)
    return np.where(np.isfinite(values), np.rint(np.nan_to_num(share) * STEPS), MISSING).astype(np.uint8)


def by_code(subspace: int, codes: np.ndarray, codebook: np.ndarray, unit: str = "subspace") -> Colouring:
    """Colour by the code in one subspace; like colours are like sub-vectors. codes: (V,) ints. codebook: (Q, d)."""
    name, size, ranks = code_name(subspace, unit), len(codebook), hue_ranks(codebook)
    note = f"{size:,} codes; like colours are like sub-vectors"
    if size > MOST_GROUPS:
        value = np.rint(ranks[codes] / (size - 1) * STEPS).astype(np.uint8)
        return Colouring(name, name, value, stops=tuple(oklch(0.58, 0.14, i / 24) for i in range(25)), note=note)
    # Codes stand in the order of the wheel, so that the key shows like ones beside each other.
    order, colours = np.argsort(ranks), tuple(wheel(size))
    counts = np.bincount(ranks[codes], minlength=size).tolist()
    return Colouring(
        name,
        name,
        ranks[codes].astype(np.uint8),
        colours=colours,
        labels=tuple(str(code) for code in order.tolist()),
        numbers=tuple(f"{count:,}" for count in counts),
        note=note,
    )


def hue_ranks(codebook: np.ndarray) -> np.ndarray:
    """(Q, d) sub-vectors -> (Q,) places 0..Q-1 around a colour wheel: sub-vectors that point the same way are neighbours.

    The place is the order of the angle on the codebook's first two principal axes.
    """
    centred = codebook - codebook.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].T
    if plane.shape[1] < 2:
        order = np.argsort(plane[:, 0] if plane.size else np.zeros(len(codebook)), kind="stable")
    else:
        order = np.argsort(np.arctan2(plane[:, 1], plane[:, 0]), kind="stable")
    ranks = np.empty(len(codebook), dtype=np.int64)
    ranks[order] = np.arange(len(codebook))
    return ranks


def wheel(count: int) -> list[str]:
    """Colours around the wheel, neighbours also told apart by lightness."""
    return [oklch(_CODE_LIGHTNESS[i % len(_CODE_LIGHTNESS)], 0.14, i / max(1, count)) for i in range(count)]
