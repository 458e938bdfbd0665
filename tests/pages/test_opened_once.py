"""A page reads each model folder once, however often it asks for the model, and a rerun reads none; it sends no file unasked."""

import pytest
from apps import PAGES, checked, open_app, own_folders
from checkpoints import SPECIAL, WORDS, make_bert

from subemb.codec.settings import CompressionSettings
from subemb.models import opening
from subemb.runs import run_and_keep
from subemb.ui.shell.models import list_again
from subemb.ui.shell.request import Request

QUICK = CompressionSettings("product", subspaces=2, codebook_size=8, iterations=1)


@pytest.fixture(scope="module")
def request_of_small(tmp_path_factory):
    """A finished run of a model in a folder; the picker lists the bundled model beside it."""
    with own_folders(tmp_path_factory) as models:
        make_bert(models / "small", [*SPECIAL, *WORDS])
        run_and_keep("small", None, QUICK.to_dict())
        yield Request("small", None, QUICK)


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_reads_each_folder_once_and_a_rerun_none(request_of_small, page, monkeypatch):
    list_again()
    opening.forget_checkpoints()
    read = []
    really = opening.read_checkpoint
    monkeypatch.setattr(opening, "read_checkpoint", lambda folder: read.append(folder.name) or really(folder))
    test = checked(open_app(page, request_of_small))
    assert sorted(read) == ["model", "small"]
    for button in test.get("download_button"):  # nor is a file made and sent before somebody asks for it
        assert (button.proto.url, bool(button.proto.deferred_file_id)) == ("", True), button.proto.label
    checked(test.run())
    assert sorted(read) == ["model", "small"]
