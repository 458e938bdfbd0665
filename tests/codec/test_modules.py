"""SubspaceEmbedding, SubspaceLinear and the baselines' layers against dense torch layers."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import any_results, made_result
from torch import nn

from subemb.base.errors import InputError
from subemb.codec.layers import code_dtype
from subemb.codec.methods import METHODS
from subemb.codec.modules import CompressedEmbedding, SubspaceEmbedding, SubspaceLinear, embedding_layer, output_layer

WITH_CODES = [name for name, method in METHODS.items() if method.uses_codebooks]
# One of each way to rebuild a row: joined, joined and turned, added up.
KINDS = ["product", "optimized_product", "residual"]


def dense_embedding(result, padding_idx=None) -> nn.Embedding:
    return nn.Embedding.from_pretrained(result.reconstruct(), freeze=False, padding_idx=padding_idx)


def double_layer(method: str, **more) -> SubspaceEmbedding:
    return SubspaceEmbedding.from_compressed(made_result(method, 9, 5, 2, 4, **more), dtype=torch.float64)


# Forward


@given(any_results(), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=80, deadline=None)
def test_embedding_looks_rows_up_like_a_dense_one(result, numbers):
    ids = torch.tensor(numbers, dtype=torch.long) % result.num_embeddings
    layer = embedding_layer(result)
    assert torch.allclose(layer(ids), dense_embedding(result)(ids), atol=1e-5)
    assert torch.allclose(layer.weight, result.reconstruct(), atol=1e-5)


@pytest.mark.slow
@given(any_results(), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_head_gives_the_logits_of_a_dense_one(result, positions):
    hidden = torch.randn(positions, result.embedding_dim, generator=torch.Generator().manual_seed(0))
    logits = output_layer(embedding_layer(result))(hidden)
    expected = hidden.double() @ result.reconstruct().double().T
    assert logits.shape == (positions, result.num_embeddings)
    assert torch.allclose(
        logits.double(), expected, rtol=1e-5, atol=1e-5 * (1 + float(expected.abs().max() if positions else 0))
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_ids_of_any_shape_and_integer_type(method, dtype):
    result = made_result(method)
    layer, whole = embedding_layer(result), result.reconstruct()
    for ids in (torch.tensor(7), torch.tensor([[[1, 2], [3, 4]]]), torch.empty(2, 0)):
        vectors = layer(ids.to(dtype))
        assert vectors.shape == (*ids.shape, 12)
        assert torch.allclose(vectors, whole[ids.long()], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [50, -1])
def test_ids_outside_the_vocabulary_are_refused_like_by_a_dense_layer(method, bad):
    ids = torch.tensor([[0, bad]])
    with pytest.raises(IndexError):
        nn.Embedding(50, 12)(ids)
    with pytest.raises(IndexError):
        embedding_layer(made_result(method))(ids)


@pytest.mark.parametrize("method", ["product", "int8"])
@pytest.mark.parametrize("ids", [torch.tensor([1.0]), torch.tensor([True])])
def test_ids_that_are_no_integers_are_refused(method, ids):
    with pytest.raises(TypeError, match="must be integers"):
        embedding_layer(made_result(method))(ids)


@pytest.mark.parametrize("method", METHODS)
def test_head_takes_any_leading_axes_and_a_bias(method):
    result = made_result(method)
    bias = torch.randn(50, generator=torch.Generator().manual_seed(1))
    dense = nn.Linear(12, 50)
    dense.weight.data, dense.bias.data = result.reconstruct(), bias
    head = output_layer(embedding_layer(result), bias)
    for shape in ((12,), (3, 12), (2, 3, 12), (2, 0, 12)):
        hidden = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        assert head(hidden).shape == (*shape[:-1], 50)
        assert torch.allclose(head(hidden), dense(hidden), atol=1e-5)
    # losses flatten batch and positions with view
    assert head(torch.zeros(2, 3, 12)).view(-1, 50).shape == (6, 50)


def test_head_in_pieces_of_the_vocabulary_is_the_same(monkeypatch):
    for method in KINDS:
        result = made_result(method)
        hidden = torch.randn(4, 12, generator=torch.Generator().manual_seed(2))
        whole = SubspaceLinear(SubspaceEmbedding.from_compressed(result))(hidden)
        with monkeypatch.context() as patch:
            patch.setattr("subemb.codec.layers.CODES_AT_ONCE", 30)  # 10 tokens at a time
            assert torch.equal(SubspaceLinear(SubspaceEmbedding.from_compressed(result))(hidden), whole)


def test_head_by_hand():
    # Two subspaces of widths 2 and 1; token 1 is (3, 4 | 5) and the hidden state (1, 10 | 100).
    books = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0], [6.0]])]
    head = SubspaceLinear(SubspaceEmbedding(torch.tensor([[0, 0], [1, 0], [0, 1]]), books))
    assert head(torch.tensor([1.0, 10.0, 100.0])).tolist() == [21 + 500, 43 + 500, 21 + 600]


# Gradients


@pytest.mark.parametrize("method", KINDS)
def test_gradients_of_both_layers(method):
    layer = double_layer(method)
    head = SubspaceLinear(layer, torch.randn(9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    ids = torch.tensor([[0, 3, 3], [8, 1, 0]])
    hidden = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    books = tuple(layer.codebooks)

    def embed(*_):
        return layer(ids)

    def logits(hidden, bias, *_):
        return head(hidden)

    assert torch.autograd.gradcheck(embed, books)
    assert torch.autograd.gradcheck(logits, (hidden, head.bias, *books))


@pytest.mark.parametrize("method", KINDS)
def test_codebook_gradient_is_the_dense_gradient_summed_by_code(method):
    result = made_result(method)
    layer, dense = SubspaceEmbedding.from_compressed(result), dense_embedding(result)
    ids = torch.tensor([[0, 7, 7], [49, 3, 0]])
    for table in (layer, dense):
        vectors = table(ids)
        (vectors.square().sum() + (vectors @ table.weight.T).sin().sum()).backward()
    turned = dense.weight.grad if result.rotation is None else dense.weight.grad @ result.rotation
    start = 0
    for i, book in enumerate(layer.codebooks):
        part = turned if result.is_additive else turned[:, start : start + book.shape[1]]
        start += book.shape[1]
        expected = torch.zeros_like(book).index_add_(0, result.codes[:, i].long(), part)
        assert torch.allclose(book.grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", KINDS)
def test_padding_positions_pull_on_nothing(method):
    result = made_result(method)
    layer = SubspaceEmbedding.from_compressed(result, padding_idx=2)
    assert torch.allclose(layer(torch.tensor([2])), result.lookup(torch.tensor([2])))  # the output is not zero
    layer(torch.tensor([2, 2])).square().sum().backward()
    assert all(not book.grad.any() for book in layer.codebooks)
    plain = SubspaceEmbedding.from_compressed(result)
    layer(torch.tensor([2, 5, 2, 9])).square().sum().backward()
    plain(torch.tensor([5, 9])).square().sum().backward()
    for with_padding, without in zip(layer.codebooks, plain.codebooks, strict=True):
        assert torch.allclose(with_padding.grad, without.grad)


def test_padding_idx_counts_from_the_end_and_is_checked():
    result = made_result("product")
    assert SubspaceEmbedding.from_compressed(result, padding_idx=-1).padding_idx == 49
    with pytest.raises(InputError, match="padding_idx is 50"):
        SubspaceEmbedding.from_compressed(result, padding_idx=50)


def test_training_reaches_both_ends_and_leaves_the_result_alone():
    result = made_result("product")
    before = [book.clone() for book in result.codebooks]
    layer = SubspaceEmbedding.from_compressed(result)
    model = nn.Sequential(layer, nn.Linear(12, 12), SubspaceLinear(layer))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    ids = torch.arange(50)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(ids), ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert all(torch.equal(now, then) for now, then in zip(result.codebooks, before, strict=True))
    assert torch.allclose(layer.to_compressed().reconstruct(), layer.weight, atol=1e-6)
    assert len(list(model.parameters())) == 3 + 2  # codebooks once, weight and bias of the layer between


# What a module must be able to do


@pytest.mark.parametrize(
    ("size", "dtype"), [(256, torch.uint8), (257, torch.int16), (32768, torch.int16), (32769, torch.int32)]
)
def test_codes_take_the_smallest_type_that_fits(size, dtype):
    assert code_dtype(size) == dtype
    layer = SubspaceEmbedding(torch.tensor([[0], [size - 1]]), [torch.arange(size * 2.0).view(size, 2)])
    assert layer.codes.dtype == dtype
    assert layer(torch.tensor(1)).tolist() == [2 * size - 2, 2 * size - 1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_types_of_output_and_logits_follow_the_layer(method, dtype):
    result = made_result(method)
    layer = embedding_layer(result).to(dtype)
    head = output_layer(layer)
    loose = 1e-6 if dtype == torch.float64 else 0.1
    assert layer.weight.dtype == dtype
    vectors = layer(torch.arange(50))
    assert vectors.dtype == dtype
    assert torch.allclose(vectors.float(), result.reconstruct(), atol=loose)
    hidden = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    logits = head(hidden.to(dtype))
    assert logits.dtype == dtype
    assert torch.allclose(logits.float(), hidden @ result.reconstruct().T, atol=5 * loose)
    integers = [buffer for buffer in layer.buffers() if not buffer.is_floating_point()]
    parts = result.parts if method == "tiered" else [result]
    held = [tensor for part in parts for tensor in ([part.codes] if hasattr(part, "codes") else part.tensors().values())]
    held += 4 * [result.tier] if method == "tiered" else []  # the tier, the layer and place of the row, and the logit
    assert len(integers) == sum(not tensor.is_floating_point() for tensor in held)


@pytest.mark.parametrize("method", METHODS)
def test_state_dict_and_deepcopy_carry_everything(method):
    layer, other = (embedding_layer(made_result(method, seed=seed)) for seed in (0, 1))
    assert not torch.equal(layer.weight, other.weight)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer.weight, other.weight)
    copied = copy.deepcopy(layer)
    for tensor in (*copied.parameters(), *copied.buffers()):
        if tensor.is_floating_point():
            tensor.data.zero_()
    assert not torch.equal(copied.weight, layer.weight)


@pytest.mark.parametrize("method", METHODS)
def test_layers_move_to_another_device(method):
    layer = output_layer(embedding_layer(made_result(method)), torch.zeros(50)).to("meta")
    assert {tensor.device.type for tensor in (*layer.parameters(), *layer.buffers())} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_layers_work_on_cuda(method):
    result = made_result(method)
    layer = embedding_layer(result).cuda()
    ids = torch.tensor([[0, 7], [49, 3]])
    assert torch.allclose(layer(ids.cuda()).cpu(), result.lookup(ids), atol=1e-5)
    hidden = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(output_layer(layer)(hidden.cuda()).cpu(), hidden @ result.reconstruct().T, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_attributes_of_a_dense_layer(method):
    layer = embedding_layer(made_result(method), padding_idx=3)
    assert (layer.num_embeddings, layer.embedding_dim, layer.padding_idx) == (50, 12, 3)
    assert (layer.weight.shape, layer.weight.dtype, layer.weight.device.type) == ((50, 12), torch.float32, "cpu")
    assert "50, 12, padding_idx=3" in repr(layer)
    head = output_layer(layer)
    assert (head.in_features, head.out_features, head.bias, head.weight.shape) == (12, 50, None, (50, 12))
    with pytest.raises((AttributeError, KeyError, TypeError)):
        layer.weight = nn.Parameter(torch.zeros(50, 12))


def test_repr_tells_subspaces_and_codebook_size():
    assert "subspaces=3, codebook_size=4" in repr(SubspaceEmbedding.from_compressed(made_result("cluster")))
    assert "rotated" in repr(SubspaceEmbedding.from_compressed(made_result("optimized_product")))
    assert "method=int8" in repr(embedding_layer(made_result("int8")))


@pytest.mark.parametrize("method", WITH_CODES)
def test_to_compressed_is_the_inverse_of_from_compressed(method):
    result = made_result(method)
    again = SubspaceEmbedding.from_compressed(result).to_compressed()
    assert again.settings == result.settings
    assert torch.equal(again.codes, result.codes)
    assert again.codes.dtype == result.codes.dtype
    assert torch.equal(again.reconstruct(), result.reconstruct())


@pytest.mark.parametrize("method", KINDS)
def test_saved_layers_are_read_again(method, tmp_path):
    layer = SubspaceEmbedding.from_compressed(made_result(method))
    layer.save_pretrained(tmp_path / "out", model={"name": "m"})
    again = SubspaceEmbedding.from_pretrained(tmp_path / "out", padding_idx=1, dtype=torch.float64)
    assert again.padding_idx == 1
    assert again.weight.dtype == torch.float64
    assert torch.allclose(again.weight.float(), layer.weight, atol=1e-6)


def test_a_layer_built_by_hand_can_be_saved(tmp_path):
    codes = torch.tensor([[0, 1], [1, 0], [1, 1]])
    layer = SubspaceEmbedding(codes, [torch.zeros(2, 3), torch.ones(2, 2)])
    layer.save_pretrained(tmp_path)
    assert torch.equal(SubspaceEmbedding.from_pretrained(tmp_path).weight, layer.weight)


def test_baselines_and_codebooks_are_not_mixed_up():
    with pytest.raises(InputError, match="int8 has no codebooks"):
        SubspaceEmbedding.from_compressed(made_result("int8"))
    with pytest.raises(InputError, match="product has codebooks"):
        CompressedEmbedding(made_result("product"))


@pytest.mark.parametrize(
    ("codes", "books", "more", "message"),
    [
        ([[0], [4]], [(4, 2)], {}, "code 4 in subspace 0 is outside its codebook of 4"),
        ([[0], [-1]], [(4, 2)], {}, "code -1 in subspace 0"),
        ([[0, 0]], [(4, 2)], {}, r"2 code\(s\) a token do not fit 1 codebook"),
        ([0, 1], [(4, 2)], {}, r"\(tokens, subspaces\)"),
        ([[0.5]], [(4, 2)], {}, "integers"),
        ([[0]], [(4,)], {}, "codebook 0 has shape"),
        ([[0, 0]], [(4, 2), (4, 3)], {"additive": True}, "one width"),
        ([[0]], [(4, 2)], {"rotation": torch.eye(3)}, r"rotation of shape \(3, 3\) does not fit 2"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(codes, books, more, message):
    with pytest.raises(InputError, match=message):
        SubspaceEmbedding(torch.tensor(codes), [torch.zeros(shape) for shape in books], **more)


def test_a_bias_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"\(49,\) does not fit 50"):
        SubspaceLinear(SubspaceEmbedding.from_compressed(made_result("product")), torch.zeros(49))
