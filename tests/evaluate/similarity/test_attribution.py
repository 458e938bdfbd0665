"""What moved the cosine of two sentences, against loops that do it the slow way."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from checkpoints import make_albert, make_bert, make_roberta, make_sentence_model, make_t5, make_xlmr
from hypothesis import given
from hypothesis import strategies as st
from made_results import made_result

from subemb.base.errors import Cancelled, InputError, ModelError
from subemb.codec import compress
from subemb.evaluate.similarity.attribution import LARGEST_GAP, SMALLEST_GAP, AxisBlocks, GivenEncoder, attribute
from subemb.evaluate.similarity.effects import RUNS_OF_AXES, AttributionSettings, cosines
from subemb.models.load import load
from subemb.models.reading import Company, Habits
from subemb.tasks.sides import sides_of

FIRST, SECOND = "the cat sits on the old mat", "a small dog runs under the table"
INTEGRATED = AttributionSettings(exact_tokens=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("attribution")
    made = {
        "bert": make_bert(root / "bert", initializer_range=0.3),  # so that attention tells tokens apart
        "sentence": make_sentence_model(make_bert(root / "sentence", initializer_range=0.3), "cls", normalize=True),
        "roberta": make_roberta(root / "roberta"),
        "xlmr": make_sentence_model(make_xlmr(root / "xlmr"), "mean"),
        "albert": make_albert(root / "albert"),
        "t5": make_t5(root / "t5"),
    }
    return made


def sides_for(folder, method="product", **more):
    model = load(str(folder))
    if method in ("product", "optimized_product"):
        more = {"subspaces": 2, "codebook_size": 4, "iterations": 2, **more}
    compressed = compress(model.table, method=method, **more)
    return sides_of(model, compressed), compressed


def naive_vector(folder, is_sentence_model: bool, ids: list[int], rows: dict[int, torch.Tensor]) -> np.ndarray:
    """The sentence vector with the embeddings of some positions replaced: those ids point at rows added to a dense table."""
    from transformers import AutoModel

    network = AutoModel.from_pretrained(folder).eval()
    table = network.get_input_embeddings()
    size = table.num_embeddings
    dense = torch.nn.Embedding(size + len(rows), table.embedding_dim)
    dense.weight.data = torch.cat([table.weight.data, *(row[None] for row in rows.values())])
    network.set_input_embeddings(dense)
    changed = list(ids)
    for number, position in enumerate(rows):
        changed[position] = size + number
    features = {"input_ids": torch.tensor([changed]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    with torch.no_grad():
        if is_sentence_model:
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(str(folder), device="cpu")
            name = next(name for name, child in model[0].named_children() if child is model[0].auto_model)
            setattr(model[0], name, network)
            return model(features)["sentence_embedding"][0].numpy()
        part = network.get_encoder() if network.config.is_encoder_decoder else network
        return part(**features).last_hidden_state.mean(1)[0].numpy()


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", ["bert", "sentence", "roberta", "xlmr", "albert", "t5"])
def test_effects_are_those_of_a_loop_over_changed_tables(folders, name):
    folder = folders[name]
    sides, compressed = sides_for(folder)
    first, second = sides["original"].token_ids([FIRST, SECOND])
    found = attribute(*sides.values(), first, second)
    rebuilt, table = compressed.reconstruct(), sides["original"].table
    as_sentences = name in ("sentence", "xlmr")

    def score(rows_first: dict, rows_second: dict) -> float:
        a = naive_vector(folder, as_sentences, first, rows_first)
        b = naive_vector(folder, as_sentences, second, rows_second)
        return float(torch.nn.functional.cosine_similarity(torch.tensor(a), torch.tensor(b), dim=0))

    before = score({}, {})
    assert found.before == pytest.approx(before, abs=1e-6)
    for position in (0, 2, len(first) - 1):  # a special token, a word, the last
        swapped = score({position: rebuilt[first[position]]}, {})
        assert found.first.tokens[position] == pytest.approx(swapped - before, abs=2e-6), position
    swapped = score({}, {1: rebuilt[second[1]]})
    assert found.second.tokens[1] == pytest.approx(swapped - before, abs=2e-6)
    half = compressed.widths[0]
    partly = torch.cat([table[first[2]][:half], rebuilt[first[2]][half:]])
    assert found.first.blocks[2, 1] == pytest.approx(score({2: partly}, {}) - before, abs=2e-6)
    all_first = {place: rebuilt[token] for place, token in enumerate(first)}
    assert found.first.whole == pytest.approx(score(all_first, {}) - before, abs=2e-6)
    every = {place: torch.cat([rebuilt[token][:half], table[token][half:]]) for place, token in enumerate(second)}
    assert found.second.per_block[0] == pytest.approx(score({}, every) - before, abs=2e-6)
    assert np.abs(found.first.tokens).max() > 1e-4  # something moved at all


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("name", ["bert", "sentence", "roberta", "xlmr", "albert", "t5"])
@pytest.mark.parametrize("settings", [AttributionSettings(), INTEGRATED])
def test_all_tokens_together_give_the_score_of_the_compressed_side(folders, name, settings):
    sides, _ = sides_for(folders[name])
    first, second = sides["original"].token_ids([FIRST, SECOND])
    found = attribute(*sides.values(), first, second, settings)
    for side, score in (("original", found.before), ("compressed", found.after)):
        vectors = sides[side].encode([FIRST, SECOND])
        assert score == pytest.approx(float(cosines(vectors[0], vectors[1])), abs=1e-5)


def test_positions_of_roberta_do_not_depend_on_what_is_swapped(folders):
    """RoBERTa numbers positions by which ids are padding; even a padding token inside the sentence keeps its place."""
    sides, compressed = sides_for(folders["roberta"])
    ids = sides["original"].token_ids(["the <pad> cat"])[0]
    assert 1 in ids
    other = sides["original"].token_ids([SECOND])[0]
    found = attribute(*sides.values(), ids, other)
    # Loop: the whole table is replaced, and all rows but one put back, so that ids stay what they are.
    rebuilt, table = compressed.reconstruct(), sides["original"].table
    place = ids.index(1)
    mixed = table.clone()
    mixed[1] = rebuilt[1]
    model = sides["original"].with_embeddings(torch.nn.Embedding.from_pretrained(mixed))
    vectors = [model.encode_ids([ids])[0], sides["original"].encode_ids([other])[0]]
    assert found.first.tokens[place] == pytest.approx(float(cosines(*vectors)) - found.before, abs=1e-6)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("settings", [AttributionSettings(), INTEGRATED, AttributionSettings(64, 0)])
def test_an_uncompressed_table_has_no_effects(folders, settings):
    model = load(str(folders["bert"]))
    same = model.with_embeddings(torch.nn.Embedding.from_pretrained(model.table.clone()))
    found = attribute(model, same, *model.token_ids([FIRST, SECOND]), settings)
    assert found.change == pytest.approx(0, abs=1e-6)
    for sentence in found.sentences:
        for effects in (sentence.tokens, sentence.blocks, sentence.per_block, sentence.moved):
            assert np.abs(effects).max() <= 1e-6


class MeanOfEmbeddings:
    """A model without layers: a sentence vector is the mean of its embeddings. compressed: None."""

    compressed = None

    def __init__(self, table: torch.nn.Module):
        self.table, self.dim = table, table.weight.shape[1]

    def network(self):
        return SimpleNamespace(get_input_embeddings=lambda: self.table)

    def with_embeddings(self, module):
        return MeanOfEmbeddings(module)

    def habits(self, head=None, lengths=()):
        return Habits(Company.ANY, self.dim)

    def encode_ids_tensor(self, rows):
        return self.table(torch.tensor(rows)).mean(1)


def linear(rows) -> MeanOfEmbeddings:
    return MeanOfEmbeddings(torch.nn.Embedding.from_pretrained(torch.tensor(rows, dtype=torch.float32)))


def test_a_case_worked_by_hand():
    """Tokens (2, 0), (0, 2), (2, 2); compression turns the first into (2, 2) and leaves the others."""
    before, after = linear([[2, 0], [0, 2], [2, 2]]), linear([[2, 2], [0, 2], [2, 2]])
    found = attribute(before, after, [0, 1], [0])  # mean (1, 1) against (2, 0): cosine 1 / sqrt 2
    assert found.before == pytest.approx(2**-0.5, abs=1e-6)
    # First sentence, position 0: mean (1, 2) against (2, 0): 1 / sqrt 5. Position 1 does not change.
    assert found.first.tokens == pytest.approx([5**-0.5 - 2**-0.5, 0], abs=1e-6)
    # Second sentence: (1, 1) against (2, 2): 1.
    assert found.second.tokens == pytest.approx([1 - 2**-0.5], abs=1e-6)
    # Both: (1, 2) against (2, 2): 3 / sqrt 10.
    assert found.after == pytest.approx(3 / 10**0.5, abs=1e-6)
    # Only the second axis is displaced; two axes are two runs of one axis.
    assert found.kind == "run of axes"
    assert found.widths == (1, 1)
    assert found.first.blocks == pytest.approx(np.array([[0, 5**-0.5 - 2**-0.5], [0, 0]]), abs=1e-6)
    assert found.per_block == pytest.approx([0, found.change], abs=1e-6)
    assert found.first.moved == pytest.approx([1, 0])
    assert found.tokens_exact
    assert found.integral is None


def test_integrated_gradients_of_a_case_worked_by_hand():
    """(1, t) against (1, 0) has the cosine 1 / sqrt(1 + t^2), all of whose change is the second axis' of the first token."""
    before, after = linear([[1, 0], [1, 0]]), linear([[1, 2], [1, 0]])
    found = attribute(before, after, [0], [1], INTEGRATED)
    expected = 5**-0.5 - 1
    assert found.change == pytest.approx(expected, abs=1e-6)
    assert found.first.blocks == pytest.approx(np.array([[0, expected]]), abs=1e-5)
    assert found.second.tokens == pytest.approx([0], abs=1e-9)
    assert not found.tokens_exact
    assert found.integral.total == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("name", ["bert", "sentence", "roberta"])
def test_integrated_gradients_add_up_to_the_whole_change(folders, name):
    sides, _ = sides_for(folders[name])
    found = attribute(*sides.values(), *sides["original"].token_ids([FIRST, SECOND]), INTEGRATED)
    total = found.first.tokens.sum() + found.second.tokens.sum()
    assert total == pytest.approx(found.integral.total, abs=1e-9)
    assert total - found.change == pytest.approx(found.integral.gap, abs=1e-6)
    assert abs(found.integral.gap) <= max(SMALLEST_GAP, LARGEST_GAP * abs(found.change))
    assert found.first.blocks.sum(1) == pytest.approx(found.first.tokens)
    assert found.per_block.sum() == pytest.approx(total)
    assert abs(found.change) > 1e-3


def test_integrated_gradients_are_those_of_many_small_steps(folders):
    """A sum over 400 midpoints, each differentiated by itself with plain transformers."""
    from transformers import AutoModel

    sides, compressed = sides_for(folders["bert"])
    rows = sides["original"].token_ids([FIRST, SECOND])
    found = attribute(*sides.values(), *rows, INTEGRATED)
    network = AutoModel.from_pretrained(folders["bert"]).eval()
    starts = [sides["original"].table[ids] for ids in rows]
    moves = [compressed.reconstruct()[ids] - start for ids, start in zip(rows, starts, strict=True)]
    points = (torch.arange(400) + 0.5) / 400
    given = [(start + points[:, None, None] * move).requires_grad_(True) for start, move in zip(starts, moves, strict=True)]
    vectors = [network(inputs_embeds=part).last_hidden_state.mean(1) for part in given]
    torch.nn.functional.cosine_similarity(*vectors).mean().backward()
    for part, move, sentence in zip(given, moves, found.sentences, strict=True):
        assert sentence.tokens == pytest.approx((part.grad.sum(0) * move).sum(1).numpy(), abs=2e-5)


def test_gradients_are_not_left_on_the_weights(folders):
    sides, _ = sides_for(folders["sentence"])
    attribute(*sides.values(), *sides["original"].token_ids([FIRST, SECOND]), INTEGRATED)
    for model in sides.values():
        assert all(parameter.grad is None for parameter in model.network().parameters())


def test_the_model_is_as_it_was(folders):
    sides, _ = sides_for(folders["sentence"])
    before = {name: model.encode([FIRST, SECOND]) for name, model in sides.items()}
    attribute(*sides.values(), *sides["original"].token_ids([FIRST, SECOND]))
    for name, model in sides.items():
        assert np.array_equal(model.encode([FIRST, SECOND]), before[name])


@pytest.mark.slow
def test_limits_decide_what_is_exact(folders):
    sides, _ = sides_for(folders["bert"])
    rows = sides["original"].token_ids([FIRST, SECOND])
    assert [len(ids) for ids in rows] == [9, 9]
    cases = {  # 18 positions x 2 blocks = 36 encodings; 2 sentences x 2 blocks = 4
        (9, 36): (True, True, True),
        (9, 35): (True, True, False),
        (9, 3): (True, False, False),
        (8, 36): (False, False, False),
    }
    exact = attribute(*sides.values(), *rows, AttributionSettings(9, 36))
    for limits, expected in cases.items():
        found = attribute(*sides.values(), *rows, AttributionSettings(*limits))
        assert (found.tokens_exact, found.together_exact, found.blocks_exact) == expected, limits
        assert (found.integral is None) == all(expected)
        if found.tokens_exact:
            assert found.first.tokens == pytest.approx(exact.first.tokens, abs=1e-7)
        if found.together_exact:
            assert found.per_block == pytest.approx(exact.per_block, abs=1e-7)


def test_long_sentences_are_encoded_in_parts(folders):
    """More variants than one batch takes give the same as few."""
    sides, _ = sides_for(folders["bert"])
    long = sides["original"].token_ids(["the cat sits on the mat " * 9])[0]
    found = attribute(*sides.values(), long, long[:5], AttributionSettings(64, 1000))
    assert len(long) * (2 + len(long) * 3) > 2 * 2048
    alone = attribute(*sides.values(), long, long[:5], AttributionSettings(64, 0))
    assert found.first.tokens == pytest.approx(alone.first.tokens, abs=1e-7)


# Blocks


@given(
    st.sampled_from(["product", "optimized_product", "residual", "low_rank", "int8"]),
    st.integers(1, 30),
    st.integers(1, 5),
    st.integers(0, 5),
)
def test_parts_add_up_to_the_displacement(method, dim, subspaces, seed):
    generator = torch.Generator().manual_seed(seed)
    blocks = AxisBlocks.of(made_result(method, 40, dim, min(dim, subspaces), 7), dim)
    assert sum(blocks.widths) == dim
    displacement = torch.randn(6, dim, generator=generator)
    each = torch.eye(len(blocks), dtype=torch.bool)[:, None]
    parts = blocks.keep(blocks.turned(displacement), each)
    assert parts.shape == (len(blocks), 6, dim)
    assert parts.sum(0).numpy() == pytest.approx(displacement.numpy(), abs=1e-5)
    gradient = torch.randn(6, dim, generator=generator)
    sums = blocks.sums(blocks.turned(gradient) * blocks.turned(displacement))
    assert sums.numpy() == pytest.approx((parts * gradient).sum(-1).T.numpy(), abs=1e-4)


def test_blocks_are_the_axes_of_the_subspaces():
    blocks = AxisBlocks.of(made_result("product", 40, 10, 4, 7), 10)
    assert blocks.axes == [(0, 2), (3, 5), (6, 7), (8, 9)]
    kept = blocks.keep(torch.ones(10), torch.tensor([False, True, False, True]))
    assert kept.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]


def test_a_rotated_block_lies_in_the_rotated_axes():
    compressed = made_result("optimized_product", 40, 6, 2, 7)
    blocks = AxisBlocks.of(compressed, 6)
    part = blocks.keep(blocks.turned(torch.ones(6)), torch.tensor([True, False]))
    turned = part @ compressed.rotation
    assert turned[3:].abs().max() < 1e-6
    assert turned[:3].numpy() == pytest.approx((torch.ones(6) @ compressed.rotation)[:3].numpy(), abs=1e-6)


@pytest.mark.parametrize(("method", "dim", "blocks"), [("residual", 20, 8), ("int4", 5, 5), ("low_rank", 24, 8)])
def test_methods_without_subspaces_have_runs_of_axes(method, dim, blocks):
    found = AxisBlocks.of(made_result(method, 40, dim, 2, 7), dim)
    assert (len(found), found.kind) == (blocks, "run of axes")
    assert max(found.widths) - min(found.widths) <= 1
    assert len(AxisBlocks.of(None, 100)) == RUNS_OF_AXES


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(("method", "more"), [("optimized_product", {}), ("residual", {"subspaces": 2}), ("int8", {})])
def test_every_kind_of_method(folders, method, more):
    sides, _ = sides_for(folders["sentence"], method, **more)
    found = attribute(*sides.values(), *sides["original"].token_ids([FIRST, SECOND]))
    assert found.rotated == (method == "optimized_product")
    vectors = sides["compressed"].encode([FIRST, SECOND])
    assert found.after == pytest.approx(float(cosines(vectors[0], vectors[1])), abs=1e-5)


# What cannot be done


def test_a_sentence_without_tokens_is_refused(folders):
    sides, _ = sides_for(folders["bert"])
    with pytest.raises(InputError, match="the second sentence has no tokens"):
        attribute(*sides.values(), [2, 3], [])


def test_settings_check_themselves():
    with pytest.raises(InputError, match="exact_tokens is -1"):
        AttributionSettings(exact_tokens=-1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        AttributionSettings().exact_tokens = 3


def test_a_network_that_reads_tokens_otherwise_is_told(folders):
    model = load(str(folders["bert"]))
    with pytest.raises(ModelError, match="cannot be swapped"):
        GivenEncoder(model)([2, 7, 3], torch.zeros(1, 4, 16))


def test_it_can_be_stopped(folders):
    sides, _ = sides_for(folders["bert"])
    rows = sides["original"].token_ids([FIRST, SECOND])
    for settings in (AttributionSettings(), INTEGRATED):
        seen = []
        attribute(*sides.values(), *rows, settings, progress=seen.append)
        fractions = [message.fraction for message in seen]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0
        with pytest.raises(Cancelled):
            attribute(*sides.values(), *rows, settings, progress=lambda message: message.fraction > 0.2)
