"""Tiers and a budget on the pages: chosen in the sidebar, shown, and to be changed."""

import pytest
from apps import open_app, own_folders, table_with, texts
from checkpoints import SPECIAL, make_bert
from streamlit.testing.v1 import AppTest

from subemb.analysis.parts import parts_of
from subemb.codec.methods.tiers import in_words, parsed
from subemb.codec.settings import CompressionSettings
from subemb.export.charts import error_chart
from subemb.runs import compressed_of, run_and_keep
from subemb.ui.pages.token_map.packing import unpack
from subemb.ui.shell.request import Request, from_query, to_query


def test_a_link_carries_budget_and_tiers():
    for more in ({"budget": "100 kB"}, {"tiers": "20:4x8,*:2x8", "unique": True}, {"budget": "0.5%", "codebook_bits": 16}):
        request = Request(settings=CompressionSettings("tiered", **more))
        assert from_query(to_query(request)) == request


# The pages of a run in tiers

TIERED = CompressionSettings("tiered", tiers="5:int8,40:6x8,*:2x4", iterations=3)
PARTS = "5 tokens as whole rows in 8 bits; 40 tokens with f = 6, Q = 8; all others with f = 2, Q = 4"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    with own_folders(tmp_path_factory) as folder:
        make_bert(folder / "small", [*SPECIAL, "king", "queen", *(f"word{number}" for number in range(300))], dim=12)
        run_and_keep("small", None, TIERED.to_dict())
        yield folder


@pytest.fixture
def open_page(models):
    def opened(path: str, settings: CompressionSettings = TIERED, **query: str) -> AppTest:
        test = open_app(path, Request("small", None, settings), **query)
        assert not test.exception
        assert not test.error, [box.value for box in test.error]
        return test

    return opened


@pytest.fixture(scope="module")
def parts(models):
    run = run_and_keep("small", None, TIERED.to_dict())
    return parts_of(compressed_of(run.key))


ASSIGNMENTS = "pages/2_Assignments.py"


@pytest.mark.slow
def test_a_token_has_the_blocks_of_its_tier(open_page, parts):
    for part, row in ((parts[1], 3), (parts[2], 40)):
        token = int(part.ids[row])
        test = open_page(ASSIGNMENTS, token=f"#{token}")
        assert f"tier {part.number} of 3 ({part.form.words})" in texts(test)
        assert len(table_with(test, "nearest")) == part.subspaces
        near = table_with(test, "list", "tier")
        tier = {int(i): each.number for each in parts for i in each.ids}
        assert near["tier"].tolist() == [tier[i] for i in near["id"]]
        assert [len(codes.split()) for codes in near["codes"]] == [(0, 6, 2)[number - 1] for number in near["tier"]]
        assert (near["shared"][near["tier"] != part.number] == 0).all()


@pytest.mark.slow
def test_a_token_whose_row_is_kept_shares_nothing(open_page, parts):
    test = open_page(ASSIGNMENTS, token=f"#{parts[0].ids[0]}")
    assert "its whole row is kept, so it shares nothing" in texts(test)
    assert not any("nearest" in element.value.columns for element in test.dataframe)  # nobody shares its codes: it has none


@pytest.mark.slow
def test_tiers_that_all_keep_rows_have_no_codes_to_show(open_page):
    kept = CompressionSettings("tiered", tiers="5:exact,*:int8")
    run_and_keep("small", None, kept.to_dict())
    said = " ".join(box.value for box in open_page(ASSIGNMENTS, kept).info).replace("\\", "")
    assert "keeps no codes here: 5 tokens as whole rows, exactly; all others as whole rows in 8 bits. So no" in said


@pytest.mark.slow
def test_codewords_and_usage_of_each_tier(open_page, parts):
    test = open_page(ASSIGNMENTS, view="Codewords", tier="3", subspace="1", code="2")
    ids = table_with(test, "distance")["id"]
    part = parts[2]
    assert sorted(ids) == part.ids[part.codes[:, 1] == 2].tolist()
    assert f"of {len(part.ids)} tokens of tier 3" in texts(test)
    test = open_page(ASSIGNMENTS, view="Usage")  # the first tier that has codes
    assert len(table_with(test, "entropy, bits")) == 6
    assert table_with(test, "rank")["tokens"].sum() == 40
    test = open_page(ASSIGNMENTS, view="Usage", tier="1")
    assert "keeps the row of every token" in " ".join(box.value for box in test.info)


def test_collisions_tell_the_tier(open_page):
    table = table_with(open_page(ASSIGNMENTS, view="Collisions"), "mean distance")
    assert set(table["tier"]) == {3}  # 16 tuples for hundreds of tokens
    assert (table["tuple"].str.split().str.len() == 2).all()


def test_all_tokens_with_their_tier(open_page, parts):
    table = table_with(open_page(ASSIGNMENTS, view="All tokens"), "spelling")
    assert table["tier"].value_counts().to_dict() == {part.number: len(part.ids) for part in parts}
    part = parts[1]
    assert table["codes"][part.ids[7]] == " ".join(map(str, part.codes[7]))


def test_a_sentence_counts_blocks_by_tier(open_page):
    test = open_page(ASSIGNMENTS, view="Sentence", sentence="king word1 word250 king")
    table = table_with(test, "position")
    blocks = {
        (tier, place, code)
        for tier, codes in zip(table["tier"], table["codes"], strict=True)
        for place, code in enumerate(codes.split())
    }
    each = table.drop_duplicates("id")["codes"].str.split().str.len().sum()
    said = f"have {each} blocks, of which {len(blocks)} are different." if each > len(blocks) else "share no block."
    assert f"Its {table['id'].nunique()} different tokens {said}" in texts(test)


@pytest.mark.slow
def test_home_draws_the_steps_of_all_tiers_and_spells_them_out(open_page):
    test = open_page("app.py")
    test.session_state["details"] = True
    test.run()
    curve = table_with(test, "stage")
    assert curve["stage"].str[: len("tier 2 of 3")].unique().tolist() == ["tier 2 of 3", "tier 3 of 3"]
    assert PARTS in table_with(test, "run")["run"][0]


def test_the_map_is_coloured_by_tier(open_page, parts):
    test = open_page("pages/1_Token_map.py", map_colour="Tier")
    packed = [unpack(part.proto.bytes) for part in test.get("bidi_component") if part.proto.bytes]
    (found,) = [(header["legend"], arrays) for header, arrays in packed if header["name"].endswith("/Tier")]
    legend, arrays = found
    assert legend["labels"] == [f"{part.number}: {part.form.words}" for part in parts]
    assert legend["numbers"] == [f"{len(part.ids):,}" for part in parts]
    for part in parts:
        assert (arrays["value"][part.ids] == part.number - 1).all()


@pytest.mark.slow
def test_the_error_by_tier(open_page, parts):
    test = open_page("pages/3_Reconstruction_error.py", part="Kinds and scripts", group="tier")
    table = table_with(test, "group", "mean")
    assert table["group"].tolist() == [f"tier {part.number}: {part.form.words}" for part in parts]
    assert table["tokens"].tolist() == [len(part.ids) for part in parts]
    assert table["mean"].is_monotonic_increasing  # more bits, less error


@pytest.mark.slow
def test_the_sidebar_shows_what_a_budget_chooses(open_page):
    test = open_page("app.py")
    assert test.text_input(key="form_budget").placeholder == "such as 100 kB"
    assert test.text_input(key="form_budget").help
    test.text_input(key="form_tiers").set_value("").run()
    test.text_input(key="form_budget").set_value("2 kB").run()
    assert test.text_input(key="form_tiers").placeholder == "chosen for the budget when it runs"
    assert "Will store about **2.0" in texts(test)
    run = run_and_keep("small", None, CompressionSettings("tiered", budget="2 kB", iterations=3).to_dict())
    test.run()
    assert run.budget == "2 kB"
    assert test.text_input(key="form_tiers").placeholder == f"automatic: {run.settings.tiers}"
    assert in_words(parsed(run.settings.tiers)) in " ".join(caption.help or "" for caption in test.caption)
    assert test.selectbox(key="form_sensitive_tiered").options[1] == "yes"
    assert not test.exception
    assert not test.error


def test_the_curve_names_each_tier_once():
    history = [{"stage": f"tier {tier} of 2: {stage}", "error": 0.5} for tier in (1, 2) for stage in ("sample", "k-means")]
    assert [mark["text"] for mark in error_chart(history).layout["annotations"]] == ["tier 1 of 2", "tier 2 of 2"]
