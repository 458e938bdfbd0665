"""A vocabulary that attacks: every page must show it as text, run nothing, load nothing, insert nothing."""

import pytest
from browsing import wait_for
from checkpoints import HOSTILE, SPECIAL

from subemb.models.vocabulary import Vocabulary

QUERY = "method=product&f=2&q=3&iterations=2"
PAGES = {
    "Home": "?",
    "Token map": "Token_map?",
    "token": "Assignments?view=Token&neighbours=50&token={token}",
    "sentence": "Assignments?view=Sentence&sentence={all}",
    "codewords": "Assignments?view=Codewords",
    "usage": "Assignments?view=Usage",
    "collisions": "Assignments?view=Collisions",
    "all tokens": "Assignments?view=All+tokens",
    "search": "Assignments?view=All+tokens&search={token}",
    "nothing found": "Assignments?view=All+tokens&search={all}zzz",
    "error": "Reconstruction_error?part=Overview",
    "kinds": "Reconstruction_error?part=Kinds+and+scripts",
    "ids": "Reconstruction_error?part=By+id",
    "extremes": "Reconstruction_error?part=Best+and+worst&count=50",
    "comparison": "Reconstruction_error?part=Equal+bytes",
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


@pytest.fixture
def watched(new_page):
    """A page, and what a token made it do: dialogs, and requests to a picture's address."""
    page, events = new_page(), []
    page.on("dialog", lambda dialog: (events.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: events.append(request.url) if ":9/" in request.url else None)
    return page, events


def opened(page, server, path: str, model: str = "hostile") -> None:
    page.goto(f"{server.url}/{path}&model={model}&{QUERY}")
    page.get_by_text("Your run").first.wait_for()
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSpinner]')")
    page.wait_for_timeout(700)


def assert_unharmed(page, events: list[str], where: str) -> None:
    traces = page.evaluate(TRACES)
    assert "subemb" in traces.pop("title"), where
    assert not any(traces.values()), (where, traces)
    assert not events, (where, events)
    assert page.get_by_test_id("stAlertContentError").count() == 0, (
        where,
        page.get_by_test_id("stAlertContentError").all_inner_texts(),
    )


@pytest.mark.parametrize("name", PAGES)
def test_no_token_acts(server, watched, name):
    from urllib.parse import quote

    page, events = watched
    for token in TRIED if "{token}" in PAGES[name] else TRIED[:1]:
        opened(page, server, PAGES[name].replace("{token}", quote(token)).replace("{all}", quote(" ".join(TRIED))))
        assert_unharmed(page, events, f"{name}: {token!r}")


def test_every_token_is_drawn_as_itself(server, watched):
    page, events = watched
    opened(page, server, "Assignments?view=Token&neighbours=50", "hostile-few")
    expected = set(Vocabulary.from_tokens([*SPECIAL, *HOSTILE], "wordpiece", special=range(len(SPECIAL))).display)
    drawn = page.locator("tbody .sb-w")
    wait_for(page, lambda: set(drawn.all_text_contents()) >= expected, 60)  # the drawing may come after the rest of the page
    assert set(drawn.all_text_contents()) == expected
    assert_unharmed(page, events, "token")


@pytest.mark.parametrize("token", [token for token in TRIED if token.strip()])
def test_the_chosen_token_is_named_exactly(server, watched, token):
    from urllib.parse import quote

    page, events = watched
    opened(page, server, f"Assignments?view=Token&token={quote(token)}")
    heading = page.locator("[data-testid=stMarkdown] p", has_text=" · id ").first
    named = f"{token.replace(' ', '␣')} · id "
    wait_for(page, lambda: heading.inner_text().replace("\u2060", "").startswith(named))
    assert_unharmed(page, events, token)
    page.get_by_role("combobox", name="Matches").click()
    page.get_by_role("option").first.wait_for()
    wait_for(page, lambda: token.replace(" ", "␣") in page.get_by_role("option").first.inner_text())
    assert_unharmed(page, events, f"matches of {token}")


def test_a_typed_sentence_is_drawn_as_typed(server, watched):
    page, events = watched
    opened(page, server, "Assignments?view=Sentence")
    field = page.get_by_role("textbox", name="Sentence")
    field.fill("word1 <img src=x onerror=alert(1)> $x$ :smile:")
    field.press("Control+Enter")
    page.get_by_text("Drawn:").wait_for()
    wait_for(page, lambda: "word1" in page.locator("tbody .sb-w").all_text_contents())
    assert_unharmed(page, events, "sentence")
