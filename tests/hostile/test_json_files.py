"""JSON of any kind in every kind of file that is read back: a value, or one message that names the file; never anything else."""

import contextlib
import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import subemb
from subemb.adaptation import library
from subemb.adaptation.library import ADAPTATIONS
from subemb.analysis.clusters import CLUSTERINGS
from subemb.analysis.layout import LAYOUTS
from subemb.analysis.maps import MAPS
from subemb.base.errors import InputError
from subemb.codec.loading import load
from subemb.evaluate import read_pairs
from subemb.evaluate.entailment.head_files import read_card
from subemb.models.probe import ARCHITECTURES
from subemb.runs import RUNS, Run
from subemb.tasks.comparisons import COMPARISONS
from subemb.tasks.evaluations import ENTAILMENT_SETS, SIMILARITY_SETS, WORD_LISTS
from subemb.tasks.exports import EXPORTS

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MANY = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
DEEP = "[" * 200_000
STORES = [RUNS, SIMILARITY_SETS, WORD_LISTS, ENTAILMENT_SETS, COMPARISONS, EXPORTS, ARCHITECTURES, LAYOUTS, MAPS, CLUSTERINGS]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBEMB_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "table"
    table = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    subemb.compress(table, "product", subspaces=2, codebook_size=4, iterations=1).save_pretrained(folder)
    return folder


def copied(folder):
    other = folder.parent / "copy"
    shutil.rmtree(other, ignore_errors=True)
    return shutil.copytree(folder, other)


@MANY
@given(value=ANY)
def test_the_description_of_a_saved_table(value, saved):
    folder = copied(saved)
    (folder / "config.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"config\.json"):
        load(folder)


@pytest.mark.slow
@MANY
@given(data=st.data())
def test_one_field_of_a_saved_table(data, saved):
    folder = copied(saved)
    described = json.loads((folder / "config.json").read_text())
    inner = described["settings"] if data.draw(st.booleans()) else described
    name = data.draw(st.sampled_from(sorted(inner)))
    inner[name] = data.draw(ANY)
    (folder / "config.json").write_text(json.dumps(described))
    with contextlib.suppress(InputError):  # else it is a field that does not decide about the numbers
        assert load(folder).reconstruct().shape == (40, 6)


def test_the_deepest_description_of_a_saved_table(saved):
    folder = copied(saved)
    (folder / "config.json").write_text(DEEP)
    with pytest.raises(InputError, match=r"config\.json"):
        load(folder)


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)
@settings(MANY, max_examples=25)
@given(value=ANY, is_wrapped=st.booleans())
def test_an_entry_of_the_cache(store, value, is_wrapped):
    key = "0" * 24
    place = store.path(key)
    place.mkdir(parents=True, exist_ok=True)
    (place / store.file).write_text(json.dumps({"format": store.format, "value": value} if is_wrapped else value))
    found = store.get(key)
    assert found is None or value in ([], {})  # which some kinds can be


@pytest.mark.slow
@MANY
@given(value=ANY, file=st.sampled_from([ADAPTATIONS.file, library.FACTS_FILE, library.OWNERS_FILE]))
def test_what_is_known_of_an_adaptation(value, file):
    key = "1" * 24
    place = ADAPTATIONS.path(key)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / file).write_text(json.dumps(value))
    _asks_of_an_adaptation(key)


def test_the_deepest_file_of_an_adaptation():
    key = "2" * 24
    place = ADAPTATIONS.path(key)
    place.mkdir(parents=True)
    for file in (ADAPTATIONS.file, library.FACTS_FILE, library.OWNERS_FILE):
        (place / file).write_text(DEEP)
    _asks_of_an_adaptation(key)


def _asks_of_an_adaptation(key: str) -> None:
    assert library.known_adaptation(key) is None
    assert library.run_key_of(key) is None or isinstance(library.run_key_of(key), str)
    assert isinstance(library.owners_of(key), dict)
    assert isinstance(library.given_names(key, "visitor"), dict)
    assert library.known_adaptations() == []
    assert isinstance(library.waiting_adaptations("visitor", "run"), list)
    with pytest.raises(InputError):
        library.open_adapted(key)


@pytest.mark.slow
@MANY
@given(value=ANY)
def test_the_card_of_a_head(value, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"card\.json"):
        read_card(tmp_path)


def test_the_deepest_card_of_a_head(tmp_path):
    (tmp_path / "card.json").write_text(DEEP)
    with pytest.raises(InputError, match=r"card\.json"):
        read_card(tmp_path)


@pytest.mark.slow
@MANY
@given(value=ANY)
def test_a_run_that_was_printed(value):
    with pytest.raises(InputError):
        Run.from_dict(value)


@pytest.mark.slow
@MANY
@given(rows=st.lists(ANY, max_size=4), is_lines=st.booleans())
def test_labelled_pairs(rows, is_lines):
    content = "\n".join(map(json.dumps, rows)) if is_lines else json.dumps(rows)
    with contextlib.suppress(InputError):
        assert len(read_pairs(content.encode(), "pairs.jsonl" if is_lines else "pairs.json")) >= 2
