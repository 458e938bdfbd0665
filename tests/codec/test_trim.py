"""Rows that some tokens keep and the others borrow: as a method, and as the last tier of others."""

import numpy as np
import pytest
import torch
from checkpoints import SPECIAL, make_bert
from hypothesis import given, settings
from hypothesis import strategies as st

from subemb.analysis.inspection import Inspector
from subemb.base.errors import InputError
from subemb.codec import attach, compress, load
from subemb.codec.estimates import predicted_size
from subemb.codec.layers import SubspaceEmbedding
from subemb.codec.methods.trim import kept_of
from subemb.codec.modules import embedding_layer, output_layer
from subemb.codec.settings import CompressionSettings, settings_text
from subemb.codec.weights import model_weights
from subemb.export.onnx_file import onnx_table
from subemb.models.load import load as load_model
from subemb.runs import resolved, run
from subemb.sweep.measure import shared_of, weights_name

V, D = 200, 8
#: In the way in which trim stores them: by itself, and as the last tier of others.
BOTH = ({"method": "trim", "keep": "30"}, {"tiers": "30:exact,*:nearest"})


@pytest.fixture(scope="module")
def table():
    return torch.randn(V, D, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def weights():
    """The order of weights is not that of the ids."""
    return np.random.default_rng(0).permutation(V) + 1.0


@pytest.mark.parametrize("asked", [{"method": "trim", "keep": "2"}, {"tiers": "2:exact,*:nearest"}], ids=["trim", "tiers"])
def test_by_hand(asked):
    """Tokens 1 and 4 weigh most; the others have the row at the smallest angle, however long it is."""
    table = torch.tensor([[0.1, 0.0], [0.0, 2.0], [1.0, 1.5], [-9.0, -1.0], [3.0, 0.0]])
    result = compress(table, weights=[1, 5, 1, 2, 4], **asked)
    assert result.stand_ins.tolist() == [4, 1, 1, 1, 4]
    assert torch.equal(result.reconstruct(), table[[4, 1, 1, 1, 4]])
    # 2 rows x 2 floats; which 2 of 5 tokens: 1 byte; 1 bit for each of the 3 others: 1 byte
    assert result.size().total_bytes == 2 * 2 * 4 + 1 + 1


@pytest.mark.parametrize("asked", BOTH, ids=["trim", "tiers"])
def test_each_token_has_the_kept_row_most_like_its_own(asked, table, weights):
    result = compress(table, weights=weights, **asked)
    kept = np.sort(np.argsort(-weights)[:30])
    unit = table.numpy() / np.linalg.norm(table.numpy(), axis=1, keepdims=True)
    wanted = kept[(unit @ unit[kept].T).argmax(1)]
    assert result.stand_ins.tolist() == wanted.tolist()
    assert torch.equal(result.reconstruct(), table[torch.from_numpy(wanted)])


@pytest.mark.parametrize(
    "asked", [*BOTH, {"method": "trim", "keep": "200"}, {"method": "trim", "keep": "1"}, {"tiers": "9:int8,40:4x8,*:nearest"}]
)
def test_sizes_files_layers_and_onnx_say_the_same(asked, table, weights, tmp_path):
    result = compress(table, weights=weights, iterations=3, **asked)
    size = result.size()
    assert predicted_size(result.settings, V, D) == size
    result.save_pretrained(tmp_path)
    assert size.total_bytes <= sum(path.stat().st_size for path in tmp_path.iterdir()) <= size.total_bytes + 2000
    again = load(tmp_path)
    assert torch.equal(again.reconstruct(), result.reconstruct())
    assert torch.equal(again.stand_ins, result.stand_ins)
    layer, hidden = embedding_layer(result), torch.randn(3, 2, D)
    assert torch.equal(layer(torch.arange(V)), result.reconstruct())
    assert torch.equal(layer.to_compressed().reconstruct(), result.reconstruct())
    torch.testing.assert_close(output_layer(layer)(hidden), hidden @ result.reconstruct().T)
    torch.testing.assert_close(layer.project(hidden[0]), hidden[0] @ result.reconstruct().T)
    pytest.importorskip("onnxruntime")
    assert onnx_table(result, tmp_path / "table.onnx").largest_difference <= 1e-5


def test_codebooks_of_tiers_also_learn_from_the_tokens_that_borrow_their_rows(table, weights):
    result = compress(table, weights=weights, tiers="60:4x8,*:nearest", iterations=3)
    layer = embedding_layer(result)
    assert [type(part) for part in layer.coded] == [SubspaceEmbedding]
    borrows = int(torch.nonzero(result.stand_ins != torch.arange(V))[0])
    layer(torch.tensor([borrows])).sum().backward()
    code = int(layer.coded[0].codes[int(layer.place[borrows]), 0])
    assert layer.coded[0].codebooks[0].grad[code].tolist() == [1.0, 1.0]
    (coded,) = result.coded
    assert torch.equal(result.with_coded([coded.part]).reconstruct(), result.reconstruct())


def test_tokens_with_one_row_are_counted_as_collisions(table, weights):
    result = compress(table, weights=weights, tiers="30:exact,*:nearest")
    lenders, counts = torch.unique(result.stand_ins, return_counts=True)
    assert result.distinct_tuples == 30
    assert result.colliding_tokens == int(counts[counts > 1].sum())
    assert len(lenders) <= 30
    assert result.history[-1]["error"] == pytest.approx(result.info["error"], rel=1e-5)


def test_damaged_rows_are_refused(table, weights, tmp_path):
    result = compress(table, weights=weights, method="trim", keep="30")
    result.row_of[0 if int(result.kept[0]) else 1] = 30
    with pytest.raises(InputError, match="0 to 29"):
        result.save_pretrained(tmp_path)


# How many are kept


def test_what_can_be_asked_for():
    assert [kept_of(text, 1000) for text in ("8", "25%", "0.01 %", "100%", " Used ")] == [8, 250, 1, 1000, None]
    for wrong, message in (("0", "at least one"), ("1001", "1,000 tokens"), ("some", "number of tokens"), ("101%", "at least")):
        with pytest.raises(InputError, match=message):
            kept_of(wrong, 1000)
    with pytest.raises(InputError, match="needs a text"):
        CompressionSettings("trim", keep="used")
    with pytest.raises(InputError, match="product has no keep"):
        CompressionSettings("product", keep="8")
    with pytest.raises(InputError, match="only the last"):
        CompressionSettings("tiered", tiers="5:nearest,*:2x4")
    with pytest.raises(InputError, match="only the last"):
        CompressionSettings("tiered", tiers="*:nearest")
    with pytest.raises(InputError, match="distinct"):
        CompressionSettings("tiered", tiers="5:exact,*:nearest", unique=True).resolve(V, D)
    assert CompressionSettings("trim").resolve(1000, D).keep == "250"
    assert CompressionSettings("trim", weights="counts").resolve(1000, D).keep == "used"
    assert settings_text(CompressionSettings("trim", keep="8000")) == "Trim, 8,000 tokens kept, vocabulary weights"


def test_a_setting_that_came_later_leaves_the_keys_of_kept_runs_as_they_are():
    assert "keep" not in CompressionSettings("product").to_dict()
    assert CompressionSettings.from_dict(CompressionSettings("trim", keep="8").to_dict()).keep == "8"


@given(st.integers(2, 3000), st.integers(8, 40), st.floats(0.0005, 1.5))
@settings(max_examples=40)
def test_the_nearest_size_to_a_target(vocabulary, dim, share):
    target = max(1, int(share * vocabulary * dim * 4))
    found = CompressionSettings("trim").about.at_bytes(CompressionSettings("trim"), target, vocabulary, dim)
    if found is None:
        assert target < predicted_size(CompressionSettings("trim", keep="8%"), vocabulary, dim).total_bytes
        return
    away = abs(predicted_size(found, vocabulary, dim).total_bytes - target)
    for other in (int(found.keep) - 1, int(found.keep) + 1):
        if 1 <= other <= vocabulary:
            size = predicted_size(CompressionSettings("trim", keep=str(other)), vocabulary, dim).total_bytes
            assert away <= abs(size - target)


# With a model and a text


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trim") / "small"
    make_bert(folder, [*SPECIAL, *(f"word{number}" for number in range(100))], dim=12)
    return load_model(folder)


TEXT = "word1 word2 word2\nword50"


def test_a_text_of_what_is_kept_is_encoded_to_the_last_bit(small):
    summary, compressed = run(small, CompressionSettings("trim", weights="counts"), TEXT)
    used = {i for row in small.token_ids(TEXT.splitlines()) for i in row}
    kept = set(compressed.kept.tolist())
    assert used <= kept
    assert kept - used <= set(np.flatnonzero(small.vocabulary.kinds == "special").tolist())  # whether the text has them or not
    assert len(kept) == int(compressed.settings.keep)
    lines = [*TEXT.splitlines(), "word50 word1"]
    assert np.array_equal(attach(small, compressed).encode(lines), small.encode(lines))
    assert summary.keep == "used"
    assert summary.asked == resolved(CompressionSettings("trim", weights="counts"), small, TEXT)
    assert summary.settings.keep == compressed.settings.keep


def test_the_inspector_says_whose_row_a_token_has(small, tmp_path):
    _, compressed = run(small, CompressionSettings("trim", weights="counts"), TEXT)
    compressed.save_pretrained(tmp_path, model={"name": str(small.folder), "identity": small.identity})
    inspector = Inspector(tmp_path)
    (dropped,), (kept,) = inspector.ids("word3"), inspector.ids("word50")
    assert inspector.token(dropped)["row_of"]["id"] == int(compressed.stand_ins[dropped])
    assert inspector.token(kept)["row_of"] is None


def test_special_tokens_come_first_and_what_a_text_lacks_weighs_nothing(small):
    found = model_weights(small, "counts", text=TEXT, keeps_rows=True)
    special = np.flatnonzero(small.vocabulary.kinds == "special")
    assert (found[special] == found.max()).all()
    (absent,) = small.vocabulary.search("word3", mode="exact")
    assert found[absent] == 0
    assert found.mean() == pytest.approx(1)


def test_rows_of_a_sweep_keep_what_a_run_keeps(small):
    asked = resolved(CompressionSettings("trim", weights="sqrt_counts"), small, TEXT)
    shared = shared_of(small, [asked], text=TEXT)
    wanted = model_weights(small, "sqrt_counts", text=TEXT, keeps_rows=True)
    assert shared.weights[weights_name(asked)].tolist() == wanted.tolist()
