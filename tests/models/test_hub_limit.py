"""How much of the disk visitors may fill with downloads."""

import pytest

from subemb.base.errors import ModelError
from subemb.models.hub import check_cache_limit


@pytest.fixture
def cache(tmp_path):
    """A cache that holds 1,000,000 bytes."""
    blobs = tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x").write_bytes(bytes(1_000_000))
    return tmp_path


def test_a_download_that_fits_goes_on(cache):
    check_cache_limit("c/d", 10_000_000, cache)
    check_cache_limit("c/d", 10_000_000, cache / "not there yet")


@pytest.mark.parametrize(("limit", "fits"), [("0.002", True), ("0.0015", False), ("not a number", True)])
def test_the_limit_is_the_servers(cache, monkeypatch, limit, fits):
    monkeypatch.setenv("SUBEMB_HUB_GB", limit)
    if fits:
        check_cache_limit("c/d", 900_000, cache)
        return
    with pytest.raises(ModelError, match=r"holds 1\.0 MB of at most 1\.5 MB; whoever runs the server") as caught:
        check_cache_limit("c/d", 900_000, cache)
    assert caught.value.reason == "disk_full"
    check_cache_limit("c/d", 0, cache)  # it is there already
