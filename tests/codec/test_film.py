"""Pictures of a compression: they change nothing, and show what was found."""

import json

import pytest
import torch

from subemb.codec import compress
from subemb.codec.film import MOST_CODEWORDS, MOST_PICTURES, MOST_TOKENS, filming, thinned

TABLE = torch.randn(900, 12, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", ["product", "cluster", "optimized_product", "residual"])
def test_a_film_changes_no_code_and_shows_the_last_ones(method):
    asked = {"method": method, "subspaces": 3, "codebook_size": 16, "iterations": 4, "seed": 5}
    plain = compress(TABLE, **asked)
    with filming(len(TABLE), [7, 3]) as film:
        filmed = compress(TABLE, **asked)
    assert torch.equal(plain.codes, filmed.codes)
    assert all(torch.equal(a, b) for a, b in zip(plain.codebooks, filmed.codebooks, strict=True))
    assert film.tokens[:2] == [7, 3]
    assert len(film.pictures) >= 3
    assert film.kept() == json.loads(json.dumps(film.kept()))
    if method != "residual":  # whose last picture is of the last stage
        last = film.kept()[-1]
        assert last["codes"] == filmed.codes[film.tokens, 0].tolist()
        assert last["familiar"] == filmed.codes[[7, 3]].tolist()


def test_distinct_tuples_being_made_are_in_the_film():
    with filming(len(TABLE)) as film:
        compress(TABLE, method="cluster", subspaces=3, codebook_size=10, iterations=3)
    stages = [picture["stage"] for picture in film.pictures]
    assert stages.index("room made") < stages.index("exchanging tuples")


def test_what_is_kept_is_bounded():
    with filming(len(TABLE)) as film:
        compress(TABLE, method="product", subspaces=12, codebook_size=MOST_CODEWORDS + 100, iterations=3)
    assert len(film.tokens) == MOST_TOKENS
    for picture in film.pictures:
        assert len(picture["books"]) == len(picture["shown"]) <= MOST_TOKENS
        assert set(picture["codes"]) == set(picture["shown"])


def test_thinning_keeps_ends_and_where_the_tokens_lie():
    pictures = [{"at": at, "points": [[at, 0]] if at % 30 == 0 else None} for at in range(100)]
    kept = thinned(pictures)
    assert len(kept) == MOST_PICTURES
    assert (kept[0]["at"], kept[-1]["at"]) == (0, 99)
    place = None
    for picture in kept:
        place = picture["points"] or place
        assert place == [[picture["at"] // 30 * 30, 0]]


def test_other_tables_and_methods_leave_it_without_pictures():
    with filming(len(TABLE)) as film:
        compress(TABLE[:300], method="product", subspaces=2, codebook_size=8)
        compress(TABLE, method="low_rank", rank=2)
    assert film.pictures == []


def test_what_a_budget_tries_out_is_not_filmed():
    """The sample that its curves are measured on can be the whole of a small table, cut in other ways."""
    table = torch.randn(205, 12, generator=torch.Generator().manual_seed(0))
    with filming(len(table)) as film:
        found = compress(table, budget="2 kB", iterations=3)
    plain = compress(table, budget="2 kB", iterations=3)
    assert torch.equal(found.reconstruct(), plain.reconstruct())
    assert len({len(picture["tokens"]) for picture in film.pictures if "tokens" in picture}) <= 1
