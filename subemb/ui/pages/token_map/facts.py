"""What is known of every token of a run, for colours and tables; and of a map as a whole. No Streamlit here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from ....analysis.error import reconstruction_error
from ....analysis.layout import Layout
from ....analysis.parts import parts_of, places_of
from ....analysis.rows import Rows, pieces
from ....codec.compressed import Compressed
from ....models.vocabulary import Vocabulary
from ....runs import NEIGHBOURS

_TIE = 1e-6  # distances closer than this share of them are equal
CODE_COLUMNS = 8  # with more subspaces the table has all codes in one column


@dataclass(frozen=True)
class TokenFacts:
    """Facts of all V tokens of one run; shared, not to be changed."""

    error: np.ndarray  # (V,) relative squared error; its mean is the error of the table
    cosine: np.ndarray  # (V,) of a vector and its reconstruction
    norm: np.ndarray  # (V,) length of the vector
    new_norm: np.ndarray  # (V,) length of its reconstruction
    codes: np.ndarray | None  # (V, f) ints; None for methods without codes
    tier: np.ndarray | None = None  # (V,) ints from 1; None for methods without tiers
    tiers: Sequence[str] = ()  # how each tier is kept, in words


def token_facts(table: torch.Tensor, compressed: Compressed) -> TokenFacts:
    """Measure every token; takes under a second for 30,000 x 384."""
    errors = reconstruction_error(table, compressed)
    parts = parts_of(compressed)
    has_tiers = parts[0].form is not None
    rows, norm, new_norm = (
        Rows(compressed, tuple(table.shape)),
        np.empty(len(table), np.float32),
        np.empty(len(table), np.float32),
    )
    for start, end in pieces(*table.shape):
        norm[start:end] = table[start:end].norm(dim=1).numpy()
        new_norm[start:end] = rows.take(start, end).norm(dim=1).numpy()
    return TokenFacts(
        error=errors.per_token,
        cosine=errors.cosine,
        norm=norm,
        new_norm=new_norm,
        codes=None if has_tiers else parts[0].codes,
        tier=places_of(parts)[0] + np.int16(1) if has_tiers else None,
        tiers=[part.form.words for part in parts] if has_tiers else (),
    )


def token_table(
    ids: Sequence[int] | np.ndarray, facts: TokenFacts, vocabulary: Vocabulary, layout: Layout | None = None
) -> pd.DataFrame:
    """One row a token: id, token, kind, codes, errors, norms and, for tokens in ``layout``, where they are on both maps."""
    ids = np.asarray(ids, dtype=np.int64)
    columns: dict = {
        "id": ids,
        "token": [vocabulary.display[i] for i in ids.tolist()],
        "kind": vocabulary.kinds[ids],
    }
    if facts.tier is not None:
        columns["tier"] = facts.tier[ids]
    if facts.codes is not None:
        codes = facts.codes[ids]
        if codes.shape[1] <= CODE_COLUMNS:
            columns |= {f"code {i}": codes[:, i] for i in range(codes.shape[1])}
        else:
            columns["codes"] = [" ".join(map(str, row)) for row in codes.tolist()]
    columns |= {
        "error": facts.error[ids],
        "cosine": facts.cosine[ids],
        "norm before": facts.norm[ids],
        "norm after": facts.new_norm[ids],
    }
    if layout is not None and len(layout.ids):
        place = np.searchsorted(layout.ids, ids).clip(max=len(layout.ids) - 1)
        there = layout.ids[place] == ids
        for side, points in (("before", layout.original), ("after", layout.reconstructed)):
            for axis, name in enumerate("xy"):
                columns[f"{name} {side}"] = np.where(there, points[place, axis], np.nan)
    return pd.DataFrame(columns)


# The map as a whole


def kept_on_the_plane(layout: Layout, k: int = NEIGHBOURS, sample: int = 2000, seed: int = 0) -> float | None:
    """Share of the k nearest tokens on the original map that are among the k nearest on the reconstructed one.

    Mean over ``sample`` of the layout's tokens, drawn with ``seed``. Tokens at equal distances share places as in
    :func:`subemb.analysis.neighbours_kept`, which answers the same for the full space: all that are as near as the k-th were near, and
    afterwards those at the k-th distance share the places left over in equal parts. None for fewer than 3 tokens.
    """
    from scipy.spatial import cKDTree

    count = len(layout.ids)
    k = min(k, count - 2)
    if k < 1:
        return None
    asked = np.arange(count)
    if count > sample:
        asked = np.sort(np.random.default_rng(seed).choice(count, sample, replace=False))
    before, after = np.float64(layout.original), np.float64(layout.reconstructed)
    old, new = cKDTree(before), cKDTree(after)
    # The nearest of k + 1 is the token itself, or another one at its place.
    reach, last = (tree.query(points[asked], k=[k + 1])[0][:, 0] for tree, points in ((old, before), (new, after)))
    above = np.where(last > 0, new.query_ball_point(after[asked], last * (1 - _TIE), return_length=True) - 1, 0)
    tied = new.query_ball_point(after[asked], last * (1 + _TIE), return_length=True) - 1 - above
    share = (k - above) / tied  # of a place, for each token at the k-th distance
    total = 0.0
    for place, token in enumerate(asked.tolist()):
        near = np.array(old.query_ball_point(before[token], reach[place] * (1 + _TIE)))
        away = np.linalg.norm(after[near[near != token]] - after[token], axis=1)
        nearer = (away < last[place] * (1 - _TIE)).sum()
        total += nearer + share[place] * ((away <= last[place] * (1 + _TIE)).sum() - nearer)
    return float(total / (k * len(asked)))
