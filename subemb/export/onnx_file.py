"""The compact table as ONNX: gather codewords by the tokens' codes, and concatenate; checked with onnxruntime against torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import __version__
from ..base.arguments import checked
from ..base.errors import InputError
from ..codec.compressed import Compressed, SubspaceCompressed
from ..codec.grids import to_stored
from ..codec.methods.integers import Int8Compressed
from ..codec.methods.tiered import TieredCompressed
from ..codec.methods.trim import TrimmedCompressed

OPSET, IR_VERSION = 17, 9  # read by onnxruntime from 1.15 on
#: What brings the two packages, whether subemb was installed from a wheel or runs from a checkout.
INSTALL = "pip install onnx onnxruntime"
CHECKED = 4096  # tokens compared; all of a smaller vocabulary


@dataclass(frozen=True)
class OnnxCheck:
    """What the comparison of onnxruntime with torch found."""

    tokens: int  # compared
    largest_difference: float  # of any number of their vectors
    bytes: int  # of the file
    opset: int = OPSET


@checked
def onnx_table(compressed: Compressed, path: Path) -> OnnxCheck:
    """Write a table as ONNX: ``ids`` (batch, length) int64 -> ``embeddings`` (batch, length, D) float32.

    For methods with codebooks, or with rows to look up. The file is run with onnxruntime before it gets its name.
    Raises InputError for a baseline, if onnx or onnxruntime are not installed, if the result differs, or the disk is full.
    """
    if not isinstance(compressed, tuple(_FORMS)):
        raise InputError(
            f"{compressed.settings.method} has no codebooks to gather from; export a table of cluster, product, tiered, trim or another "
            "method with codebooks, or the dense checkpoint: --dense DIR"
        )
    try:
        import onnx
        import onnxruntime  # noqa: F401 - used by the check
    except ImportError as error:
        raise InputError(f"{error.name} is not installed; run: {INSTALL}") from error
    path = Path(path)
    content = _model(compressed).SerializeToString()
    onnx.checker.check_model(onnx.load_from_string(content))
    check = _checked(compressed, content)
    staging = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.write_bytes(content)
        staging.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror}); free some space, or give a file that can be written"
        ) from error
    finally:
        if path.parent.is_dir():
            staging.unlink(missing_ok=True)
    return check


def _model(compressed: "SubspaceCompressed | TieredCompressed | TrimmedCompressed"):
    """The graph. Codes are stored in their smallest type and widened after the gather."""
    from onnx import TensorProto, helper

    nodes, constants = [], []
    rows = next(rows for kind, rows in _FORMS.items() if isinstance(compressed, kind))
    rows(compressed, "ids", "embeddings", nodes, constants)
    graph = helper.make_graph(
        nodes,
        "subspace_embedding",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", "length", compressed.embedding_dim])],
        constants,
        doc_string=f"{compressed.settings.in_words}: {compressed.num_embeddings} tokens",
    )
    return helper.make_model(
        graph,
        producer_name="subemb",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def _tiers(compressed: "TieredCompressed", ids: str, output: str, nodes: list, constants: list) -> None:
    """Every tier looks all ids up, those of other tiers as its first row, and what is its own is taken."""
    from onnx import TensorProto, helper, numpy_helper

    tier, place = (each.numpy() for each in compressed.read)
    constants += [numpy_helper.from_array(tier, "tier"), numpy_helper.from_array(place.astype(np.int32), "place")]
    constants += [numpy_helper.from_array(np.array(0, np.int64), "first"), numpy_helper.from_array(np.array([-1]), "last_axis")]
    nodes += [
        helper.make_node("Gather", ["tier", ids], ["tier_of_ids"], axis=0),
        helper.make_node("Gather", ["place", ids], ["place_small"], axis=0),
        helper.make_node("Cast", ["place_small"], ["place_of_ids"], to=TensorProto.INT64),
    ]
    found = None
    for number, part in enumerate(compressed.parts):
        name = f"tier_{number}"
        constants.append(numpy_helper.from_array(np.array(number, np.uint8), f"{name}_number"))
        nodes += [
            helper.make_node("Equal", ["tier_of_ids", f"{name}_number"], [f"{name}_here"]),
            helper.make_node("Where", [f"{name}_here", "place_of_ids", "first"], [f"{name}_ids"]),
        ]
        rows = _rows if isinstance(part, SubspaceCompressed) else _int8_rows
        rows(part, f"{name}_ids", f"{name}_rows", nodes, constants, f"{name}_")
        last = number == len(compressed.parts) - 1
        if found is None:
            found = f"{name}_rows"
            nodes += [helper.make_node("Identity", [found], [output])] if last else []
        else:
            chosen = output if last else f"{name}_chosen"
            nodes += [
                helper.make_node("Unsqueeze", [f"{name}_here", "last_axis"], [f"{name}_mask"]),
                helper.make_node("Where", [f"{name}_mask", f"{name}_rows", found], [chosen]),
            ]
            found = chosen


def _int8_rows(part: Int8Compressed, ids: str, output: str, nodes: list, constants: list, prefix: str) -> None:
    """Rows of rounded numbers, each with its scale."""
    from onnx import TensorProto, helper, numpy_helper

    constants.append(numpy_helper.from_array(part.values.numpy(), f"{prefix}values"))
    constants.append(numpy_helper.from_array(part.row_scale.numpy()[:, None], f"{prefix}row_scale"))
    nodes += [
        helper.make_node("Gather", [f"{prefix}values", ids], [f"{prefix}whole"], axis=0),
        helper.make_node("Cast", [f"{prefix}whole"], [f"{prefix}floats"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{prefix}row_scale", ids], [f"{prefix}scale"], axis=0),
        helper.make_node("Mul", [f"{prefix}floats", f"{prefix}scale"], [output]),
    ]


def _rows(compressed: "SubspaceCompressed", ids: str, output: str, nodes: list, constants: list, prefix: str = "") -> None:
    """Rows of codes and codebooks: ids (batch, length) to output (batch, length, D), as more nodes and constants."""
    from onnx import TensorProto, helper, numpy_helper

    codes = compressed.codes.numpy()
    codes = codes.astype(np.uint8 if codes.max(initial=0) < 256 else np.int32)
    constants.append(numpy_helper.from_array(codes, f"{prefix}codes"))
    nodes += [
        helper.make_node("Gather", [f"{prefix}codes", ids], [f"{prefix}tuple_small"], axis=0),
        helper.make_node("Cast", [f"{prefix}tuple_small"], [f"{prefix}tuple"], to=TensorProto.INT64),
    ]
    parts = []
    for i, book in enumerate(compressed.codebooks):
        more_nodes, more_constants = _codebook(book.float(), compressed.codebook_bits, f"{prefix}codebook_{i}")
        nodes += more_nodes
        constants += [*more_constants, numpy_helper.from_array(np.array(i, dtype=np.int64), f"{prefix}subspace_{i}")]
        nodes.append(helper.make_node("Gather", [f"{prefix}tuple", f"{prefix}subspace_{i}"], [f"{prefix}code_{i}"], axis=2))
        nodes.append(helper.make_node("Gather", [f"{prefix}codebook_{i}", f"{prefix}code_{i}"], [f"{prefix}part_{i}"], axis=0))
        parts.append(f"{prefix}part_{i}")
    last = output if compressed.rotation is None else f"{prefix}joined"
    if compressed.is_additive:
        nodes.append(helper.make_node("Sum", parts, [last]))
    else:
        nodes.append(helper.make_node("Concat", parts, [last], axis=-1))
    if compressed.rotation is not None:
        constants.append(numpy_helper.from_array(compressed.rotation.T.contiguous().float().numpy(), f"{prefix}rotation"))
        nodes.append(helper.make_node("MatMul", [last, f"{prefix}rotation"], [output]))


def _kept_rows(compressed: "TrimmedCompressed", ids: str, output: str, nodes: list, constants: list) -> None:
    """Which row a token has, and then the row."""
    from onnx import helper, numpy_helper

    constants.append(numpy_helper.from_array(compressed.row_of.numpy().astype(np.int32), "row_of"))
    constants.append(numpy_helper.from_array(compressed.vectors.float().numpy(), "rows"))
    nodes.append(helper.make_node("Gather", ["row_of", ids], ["row_of_ids"], axis=0))
    nodes.append(helper.make_node("Gather", ["rows", "row_of_ids"], [output], axis=0))


_FORMS = {TieredCompressed: _tiers, SubspaceCompressed: _rows, TrimmedCompressed: _kept_rows}


def _codebook(book, bits: int, name: str):
    """Nodes and constants that make a codebook (Q, d) float32 of the numbers that it is stored in."""
    from onnx import TensorProto, helper, numpy_helper

    if bits == 32:
        return [], [numpy_helper.from_array(book.numpy(), name)]
    numbers, scale = to_stored(book, bits)
    constants = [
        numpy_helper.from_array(numbers.numpy(), f"{name}_stored"),
        numpy_helper.from_array(scale.float().numpy(), f"{name}_scale"),
    ]
    nodes = [
        helper.make_node("Cast", [f"{name}_stored"], [f"{name}_whole"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name]),
    ]
    return nodes, constants


def _checked(compressed: "SubspaceCompressed", content: bytes) -> OnnxCheck:
    """Run the file and compare with torch. Raises InputError for a difference beyond rounding."""
    import onnxruntime
    import torch

    count = compressed.num_embeddings
    ids = np.unique(np.linspace(0, count - 1, min(CHECKED, count)).astype(np.int64))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"ids": ids[None]})
    wanted = compressed.lookup(torch.from_numpy(ids)).numpy()
    difference = float(np.abs(found[0] - wanted).max(initial=0.0))
    if not difference <= 1e-5 * max(1.0, float(np.abs(wanted).max(initial=0.0))):
        raise InputError(f"the ONNX table differs from torch by {difference:g}; please report this, with the versions of both")
    return OnnxCheck(len(ids), difference, len(content))
