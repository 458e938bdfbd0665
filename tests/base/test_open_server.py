"""SUBEMB_PUBLIC: what an open server refuses, and what it keeps to itself."""

import re

import pytest

from subemb.base import open_server
from subemb.base.errors import InputError
from subemb.jobs.worker import describe


@pytest.fixture
def public(monkeypatch) -> None:
    monkeypatch.setenv("SUBEMB_PUBLIC", "1")


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_the_variable_is_read_as_people_write_it(monkeypatch, value, expected):
    monkeypatch.setenv("SUBEMB_PUBLIC", value)
    assert open_server.is_public() is expected


def test_limits_are_smaller(public, monkeypatch):
    small, text = open_server.upload_limits(), open_server.longest_text(5_000_000)
    monkeypatch.delenv("SUBEMB_PUBLIC")
    assert all(less < more for less, more in zip(small, open_server.upload_limits(), strict=True))
    assert text < 5_000_000 == open_server.longest_text(5_000_000)


def test_nothing_comes_from_the_hub(public):
    from subemb.evaluate.data.hub import read_hub_pairs
    from subemb.models.load import download_job, load_listed

    for ask in (load_listed, download_job, lambda name: read_hub_pairs(name, "test")):
        with pytest.raises(InputError, match="open to the public and downloads nothing"):
            ask("some/model")


def test_a_defect_of_a_job_is_a_number_whose_details_are_in_the_log(public):
    failure = describe(RuntimeError("secret in /home/somebody/file"))
    number = re.search(r"the number ([0-9a-f]{8})", failure.text)[1]
    assert "secret" not in failure.text
    assert "/home" not in failure.text
    assert failure.details.startswith(number)
    assert "secret in /home/somebody/file" in failure.details


def test_what_a_visitor_can_put_right_is_said_as_ever(public):
    assert describe(InputError("raise Q to 32")).text == "raise Q to 32"
