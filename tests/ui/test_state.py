"""Requests and their form in the URL and on the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from subemb.base.errors import InputError
from subemb.cli import parser
from subemb.codec.methods import METHODS
from subemb.codec.settings import WEIGHTS, CompressionSettings
from subemb.ui.shell.request import Request, command_line, from_query, to_query
from subemb.ui.shell.text import without_folders

settings = st.builds(
    CompressionSettings,
    method=st.sampled_from([name for name, method in METHODS.items() if method.can_be_unique]),
    subspaces=st.integers(1, 400),
    codebook_size=st.none() | st.integers(1, 65536),
    unique=st.none() | st.booleans(),
    weights=st.sampled_from(WEIGHTS),
    iterations=st.integers(1, 1000),
    tolerance=st.floats(0, 0.5),
    seed=st.integers(0, 2**32 - 1),
    text_digest=st.none() | st.text("0123456789abcdef", min_size=16, max_size=16),
)
requests = st.builds(Request, st.text(min_size=1, max_size=30), st.none() | st.text(min_size=1, max_size=10), settings)


@given(requests)
def test_a_link_says_the_same_as_the_request(request):
    assert from_query(to_query(request)) == request


@pytest.mark.parametrize("method", METHODS)
def test_every_method_survives_its_link(method):
    request = Request(settings=CompressionSettings(method))
    assert from_query(to_query(request)) == request


def test_no_parameters_mean_no_request():
    assert from_query({}) is None
    assert from_query({"colour": "norm"}) is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"f": "three"}, "f='three'"),
        ({"q": ""}, "q=''"),
        ({"unique": "yes"}, "unique='yes'"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"f": "0"}, "subspaces is 0"),
        ({"seed": "-1"}, "seed is -1"),
        ({"tolerance": "nan"}, "tolerance is nan"),
    ],
)
def test_a_damaged_link_says_what_is_wrong(query, said):
    with pytest.raises(InputError, match=said):
        from_query({"model": "x", **query})


@given(requests)
def test_the_command_line_is_understood_by_the_command(request):
    """What the page offers to copy must be accepted by ``subemb compress`` and mean the same settings."""
    import shlex

    if request.model.startswith("-") or (request.revision or "").startswith("-"):
        return
    words = shlex.split(command_line(request))
    parsed = parser().parse_args(words[1:])
    assert parsed.model == request.model
    assert parsed.method == request.settings.method
    for name in ("subspaces", "codebook_size"):  # a method that does not read them, such as tiered, is not told them
        expected = getattr(request.settings, name) if name in request.settings.about.reads else None
        assert getattr(parsed, name) == expected
    assert (parsed.seed, parsed.weights) == (request.settings.seed, request.settings.weights)
    assert (parsed.iterations or CompressionSettings().iterations) == request.settings.iterations


def test_a_message_on_a_page_does_not_say_where_the_server_keeps_its_files(monkeypatch, tmp_path):
    monkeypatch.setenv("SUBEMB_MODELS", f"{tmp_path}/models:/srv/more")
    monkeypatch.setenv("SUBEMB_CACHE", "/var/lib/subemb")
    assert without_folders(f"{tmp_path}/models/bert/config.json is damaged") == "bert/config.json is damaged"
    assert without_folders("cannot read '/srv/more/x' (in /srv/more)") == "cannot read 'x' (in more)"
    assert without_folders("/var/lib/subemb cannot be written; free space") == "subemb cannot be written; free space"
    assert without_folders("no token https://x.org/var/lib/subemb/a") == "no token https://x.org/var/lib/subemb/a"
    assert without_folders("/var/lib/subembedding and a/b") == "/var/lib/subembedding and a/b"


def _late() -> None:
    """Changes of fields that are gone: the page went elsewhere while they were on their way."""
    import streamlit as st

    from subemb.ui.shell.sidebar import _choose
    from subemb.ui.widgets.sentence_inputs import cut

    _choose("f", "form_f_cluster")
    cut("masked_text", 10)
    st.markdown(f"left: {sorted(st.session_state)}")


def test_a_change_of_a_field_that_is_gone_changes_nothing():
    app = AppTest.from_function(_late).run()
    assert not app.exception
    assert [text.value for text in app.markdown] == ["left: []"]


def test_parameters_change_in_one_step():
    def script():
        import streamlit as st

        from subemb.ui.shell.text import write_parameters

        if st.button("change"):
            sent = []
            from streamlit.runtime.scriptrunner import get_script_run_ctx

            context = get_script_run_ctx()
            enqueue = context.enqueue
            context.enqueue = lambda message: (sent.append(message.page_info_changed.query_string), enqueue(message))
            write_parameters({"method": "int8", "f": None, "q": "7", "seed": None})
            write_parameters({"method": "int8", "f": None})
            del context.enqueue
            st.session_state["sent"] = sent

    test = AppTest.from_function(script)
    test.query_params.update({"method": "cluster", "f": "3", "kept": "1"})
    test.run().button[0].click().run()
    assert dict(test.query_params) == {"method": "int8", "q": "7", "kept": "1"}
    assert set(test.session_state["sent"]) == {"method=int8&kept=1&q=7"}
