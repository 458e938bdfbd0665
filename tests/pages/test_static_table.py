"""The pages with a model that is a token table and nothing else."""

import pytest
from apps import PAGES, checked, open_app, own_folders, texts
from static_models import make_model2vec

from subemb.codec.settings import CompressionSettings
from subemb.runs import run_and_keep
from subemb.ui.shell.request import Request

SETTINGS = CompressionSettings("cluster", subspaces=3, codebook_size=4)


@pytest.fixture(scope="module")
def request_of_static(tmp_path_factory):
    """A finished run of a static table in a folder."""
    with own_folders(tmp_path_factory) as models:
        make_model2vec(models / "static", normalize=True)
        run_and_keep("static", None, SETTINGS.to_dict())
        yield Request("static", None, SETTINGS)


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(request_of_static, page):
    test = checked(open_app(page, request_of_static))
    if "Words_in_context" in page:
        assert "so it cannot fill a gap" in texts(test)
    if "Export" in page:
        assert "in the form of model2vec" in texts(test)
