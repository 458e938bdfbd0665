"""A vocabulary that attacks: every page must show it as text, run nothing, load nothing, insert nothing."""

from urllib.parse import quote

import pytest
from browsing import go, nothing_is_computed, settled, wait_for
from checkpoints import HOSTILE, SPECIAL

from subemb.models.vocabulary import Vocabulary

QUERY = "method=product&f=2&q=3&iterations=2"
TABS = {
    "Assignments": ("Sentence", "Codewords", "Usage", "Collisions", "All tokens"),
    "Reconstruction_error": ("Overview", "Kinds and scripts", "By id", "Best and worst", "Equal bytes"),
}
TRIED = ["<img src=x onerror=alert(1)>", "</script>", "**", "$x$", ":smile:", "\n", "![i](http://127.0.0.1:9/x.png)"]
#: What the tokens would have made of the page.
TRACES = """() => ({
    images: [...document.querySelectorAll('img')].filter(e => e.getAttribute('src') === 'x' || e.src.includes(':9/')).length,
    scripts: [...document.querySelectorAll('script')].filter(e => e.textContent.includes('owned')).length,
    links: [...document.querySelectorAll('a')].filter(e => (e.getAttribute('href') || '').startsWith('javascript')).length,
    formulas: document.querySelectorAll('.katex').length,
    handlers: document.querySelectorAll('[onerror], [onload], [onclick]').length,
    title: document.title,
})"""


@pytest.fixture(scope="module")
def happened() -> list[str]:
    return []


@pytest.fixture
def watched(new_page, happened):
    """A page, and what a token made it do: dialogs, and requests to a picture's address."""
    page = new_page(keep="watched")
    if page.url == "about:blank":
        happened.clear()
        page.on("dialog", lambda dialog: (happened.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: happened.append(request.url) if ":9/" in request.url else None)
    return page, happened


def opened(page, server, path: str, model: str = "hostile", anew: bool = False) -> None:
    address = f"{server.url}/{path}&model={model}&{QUERY}"
    page.goto(address) if anew else go(page, address)
    page.get_by_text("This run").first.wait_for()
    at_rest(page)


def at_rest(page) -> None:
    """Wait until all that came has been drawn, and what would act has had time to."""
    nothing_is_computed(page)
    settled(page)


def assert_unharmed(page, events: list[str], where: str) -> None:
    traces = page.evaluate(TRACES)
    assert "subemb" in traces.pop("title"), where
    assert not any(traces.values()), (where, traces)
    assert not events, (where, events)
    assert page.get_by_test_id("stAlertContentError").count() == 0, (
        where,
        page.get_by_test_id("stAlertContentError").all_inner_texts(),
    )


@pytest.mark.parametrize("path", ["?", "Token_map?"])
def test_no_token_acts(server, watched, path):
    page, events = watched
    opened(page, server, path)
    assert_unharmed(page, events, path)


@pytest.mark.parametrize("path", TABS)
def test_no_token_acts_in_any_tab(server, watched, path):
    page, events = watched
    opened(page, server, f"{path}?count=50&sentence={quote(' '.join(TRIED))}")
    for tab in TABS[path]:
        page.get_by_role("tab", name=tab, exact=True).click()
        at_rest(page)
        assert_unharmed(page, events, tab)


@pytest.mark.parametrize("token", TRIED)
def test_a_token_of_a_link_is_named_exactly_and_does_not_act(server, watched, token):
    page, events = watched
    opened(page, server, f"Assignments?view=Token&neighbours=50&token={quote(token)}", anew=token == TRIED[0])
    assert_unharmed(page, events, token)
    if not token.strip():
        return
    heading = page.locator("[data-testid=stMarkdown] p", has_text=" · id ").first
    named = f"{token.replace(' ', '␣')} · id "
    wait_for(page, lambda: heading.inner_text().replace("\u2060", "").startswith(named))
    page.get_by_role("combobox", name="Matches").click()
    page.get_by_role("option").first.wait_for()
    wait_for(page, lambda: token.replace(" ", "␣") in page.get_by_role("option").first.inner_text())
    assert_unharmed(page, events, f"matches of {token}")


def test_nothing_that_is_searched_for_acts(server, watched):
    page, events = watched
    nothing = f"{' '.join(TRIED)}zzz"
    opened(page, server, f"Assignments?view=All+tokens&search={quote(nothing)}")
    assert_unharmed(page, events, "nothing found")
    field = page.get_by_role("textbox", name="Search")
    for token in TRIED:
        field.fill(token)
        field.press("Enter")
        at_rest(page)
        assert_unharmed(page, events, f"search: {token!r}")


def test_every_token_is_drawn_as_itself(server, watched):
    page, events = watched
    opened(page, server, "Assignments?view=Token&neighbours=50", "hostile-few")
    expected = set(Vocabulary.from_tokens([*SPECIAL, *HOSTILE], "wordpiece", special=range(len(SPECIAL))).display)
    drawn = page.locator("tbody .sb-w")
    wait_for(page, lambda: set(drawn.all_text_contents()) >= expected, 60)  # the drawing may come after the rest of the page
    assert set(drawn.all_text_contents()) == expected
    assert_unharmed(page, events, "token")


def test_a_typed_sentence_is_drawn_as_typed(server, watched):
    page, events = watched
    opened(page, server, "Assignments?view=Sentence")
    field = page.get_by_role("textbox", name="Sentence")
    field.fill("word1 <img src=x onerror=alert(1)> $x$ :smile:")
    field.press("Control+Enter")
    page.get_by_text("Drawn:").wait_for()
    wait_for(page, lambda: "word1" in page.locator("tbody .sb-w").all_text_contents())
    assert_unharmed(page, events, "sentence")
