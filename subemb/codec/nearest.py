"""The inner loop of k-means: the nearest codeword of every token, and the sums of every codeword's members, in one pass over the table.

Distances are products of eight tokens with eight codewords at a time, which a core keeps in its registers from the first axis to the last.
Python and numba have no name for eight numbers, so :func:`nearest_of_eight` writes these instructions by itself; whatever processor there is,
LLVM makes of them what it has.

Axis letters: g subspaces of equal width, V tokens, Q codebook size, d width; lanes: codewords that are compared at once.
"""

import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.extending import intrinsic

from .kernels import LANES, PIECES, bounds, compiled, filled_up, numbers_of
from .threads import in_threads

TOKENS = 8  # at once
#: Four axes are added up in this order, and then to what was there: an order of its own would give other codes to tokens that lie as near
#: to two codewords, and shipped results are those of this one.
AXES = (2, 1, 3, 0)
FURTHEST = 3e38  # the largest half of a distance that is compared

FLOAT, INTEGER = ir.FloatType(), ir.IntType(32)
FLOATS, INTEGERS = ir.VectorType(FLOAT, LANES), ir.VectorType(INTEGER, LANES)


def nearest(
    x: torch.Tensor, codebooks: torch.Tensor, weights: torch.Tensor | None = None, with_sums: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """One step of k-means in g subspaces: (g, V, d), (g, Q, d), weights (V,) -> nearest codes (g, V) int32, squared distances (g, V)
    float32, weighted sums of every codeword's members (g, Q, d) float64 and their weights (g, Q) float64 (None without sums).
    """
    g, vocabulary, width = x.shape
    size = codebooks.shape[1]
    columns, halves = filled_up(codebooks)
    # eight codewords end to end, axis after axis: (g, Q' / 8, d, 8)
    panels = np.ascontiguousarray(columns.reshape(g, width, -1, LANES).transpose(0, 2, 1, 3))
    pieces = max(1, -(-PIECES // g))
    if with_sums:
        pieces = min(pieces, max(1, vocabulary // (4 * size)))
    runs = bounds(vocabulary, pieces)
    codes = torch.empty(g, vocabulary, dtype=torch.int32)
    distances = torch.empty(g, vocabulary, dtype=torch.float32)
    kept = (len(runs), g, size, width) if with_sums else (1, 1, 1, 1)
    sums, totals = np.zeros(kept, np.float32), np.zeros(kept[:3])
    pull = numbers_of(weights)
    vectors, into, apart = x.contiguous().numpy(), codes.numpy(), distances.numpy()

    def work(i: int, piece: int) -> None:
        start, end = runs[piece]
        place = (piece, i) if with_sums else (0, 0)
        nearest_loop(
            vectors[i, start:end], panels[i], halves[i], into[i, start:end], apart[i, start:end],
            weights is not None, pull[start:end] if weights is not None else pull, with_sums, sums[place], totals[place], size,
        )  # fmt: skip

    in_threads(work, [(i, piece) for i in range(g) for piece in range(len(runs))])
    if not with_sums:
        return codes, distances, None, None
    return codes, distances, torch.from_numpy(sums.sum(0, dtype=np.float64)), torch.from_numpy(totals.sum(0))


@intrinsic
def nearest_of_eight(typingctx, x, panels, halves, least, best):
    """naive: gaps = halves - x @ codebook.T; best = gaps.argmin(1); least = gaps.min(1), for eight tokens.

    x (8, d), panels (Q' / 8, d, 8), halves (Q',), least (8,) float32, and best (8,) int32, of which the last two are written.
    """
    given = signature(types.void, x, panels, halves, least, best)

    def instructions(context, builder, given, values):
        x, panels, halves, least, best = (
            context.make_array(kind)(context, builder, value) for kind, value in zip(given.args, values, strict=True)
        )
        word = context.get_value_type(types.intp)

        def number(value: int) -> ir.Constant:
            return ir.Constant(word, value)

        def same(value, kind: ir.VectorType) -> ir.Constant:
            return ir.Constant(kind, [value] * LANES)

        def in_all(value, kind: ir.VectorType):
            one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INTEGER, 0))
            return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), same(0, INTEGERS))

        def eight_at(start, place):
            found = builder.load(builder.bitcast(builder.gep(start, [place]), FLOATS.as_pointer()))
            found.align = 4
            return found

        def call(name: str, result, *arguments):
            kind = ir.FunctionType(result, [argument.type for argument in arguments])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

        def added(products, a, b):
            return call("llvm.fmuladd.v8f32", FLOATS, a, b, products)

        def eights(kind: ir.VectorType):
            return [cgutils.alloca_once(builder, kind) for _ in range(TOKENS)]

        width, step = builder.extract_value(x.shape, 1), builder.extract_value(x.strides, 0)
        rows = [cgutils.pointer_add(builder, x.data, builder.mul(step, number(t))) for t in range(TOKENS)]
        gaps, low, who = eights(FLOATS), eights(FLOATS), eights(INTEGERS)
        for t in range(TOKENS):
            builder.store(same(FURTHEST, FLOATS), low[t])
            builder.store(same(0, INTEGERS), who[t])
        fours = builder.and_(width, number(-4))
        with cgutils.for_range(builder, builder.extract_value(panels.shape, 0)) as loop:
            first = builder.mul(loop.index, number(LANES))
            panel = builder.gep(panels.data, [builder.mul(first, width)])
            half = eight_at(halves.data, first)
            for gap in gaps:
                builder.store(half, gap)
            with cgutils.for_range_slice(builder, number(0), fours, number(4)) as (j, _):
                axes = [builder.add(j, number(k)) for k in range(4)]
                columns = [eight_at(panel, builder.mul(axis, number(LANES))) for axis in axes]
                for row, gap in zip(rows, gaps, strict=True):
                    own = [in_all(builder.load(builder.gep(row, [axis])), FLOATS) for axis in axes]
                    products = builder.fmul(own[AXES[0]], columns[AXES[0]])
                    for k in AXES[1:]:
                        products = added(products, own[k], columns[k])
                    builder.store(builder.fsub(builder.load(gap), products), gap)
            with cgutils.for_range_slice(builder, fours, width, number(1)) as (j, _):
                column = eight_at(panel, builder.mul(j, number(LANES)))
                for row, gap in zip(rows, gaps, strict=True):
                    own = in_all(builder.load(builder.gep(row, [j])), FLOATS)
                    builder.store(added(builder.load(gap), builder.fneg(own), column), gap)
            here = in_all(builder.trunc(first, INTEGER), INTEGERS)
            for t in range(TOKENS):
                gap, before = builder.load(gaps[t]), builder.load(low[t])
                nearer = builder.fcmp_ordered("<", gap, before)
                builder.store(builder.select(nearer, gap, before), low[t])
                builder.store(builder.select(nearer, here, builder.load(who[t])), who[t])
        lanes = ir.Constant(INTEGERS, list(range(LANES)))
        for t in range(TOKENS):
            found = builder.load(low[t])
            smallest = call("llvm.vector.reduce.fmin.v8f32", FLOAT, found)
            equal = builder.fcmp_ordered("==", found, in_all(smallest, FLOATS))
            numbers = builder.select(equal, builder.add(builder.load(who[t]), lanes), same(2**31 - 1, INTEGERS))
            builder.store(smallest, builder.gep(least.data, [number(t)]))
            builder.store(call("llvm.vector.reduce.umin.v8i32", INTEGER, numbers), builder.gep(best.data, [number(t)]))
        return context.get_dummy_value()

    return given, instructions


@compiled
def nearest_loop(x, panels, halves, codes, distances, weighted, weights, with_sums, sums, totals, size):
    """naive: distances = ((x[:, None] - codebook) ** 2).sum(-1); codes = distances.argmin(1); sums[codes] += weights * x.

    |x - c|^2 = |x|^2 + 2 (|c|^2 / 2 - x.c), so the smallest |c|^2 / 2 - x.c is nearest.
    """
    vocabulary, width = x.shape
    least, found = np.empty(TOKENS, np.float32), np.empty(TOKENS, np.int32)
    rest = np.zeros((TOKENS, width), np.float32)
    for first in range(0, vocabulary, TOKENS):
        count = min(TOKENS, vocabulary - first)
        if count == TOKENS:
            nearest_of_eight(x[first : first + TOKENS], panels, halves, least, found)
        else:
            # One by one: whole rows compile for seconds, for what numba would say if their shapes differed.
            for t in range(count):
                for j in range(width):
                    rest[t, j] = x[first + t, j]
            nearest_of_eight(rest, panels, halves, least, found)
        for t in range(count):
            v, best = first + t, found[t]
            if best >= size:  # numbers beyond float32: any codeword is as good
                best = 0
            square = np.float32(0.0)
            for j in range(width):
                square += x[v, j] * x[v, j]
            codes[v] = best
            distances[v] = max(square + np.float32(2.0) * least[t], np.float32(0.0))
            if with_sums:
                pull = weights[v] if weighted else np.float32(1.0)
                totals[best] += pull
                into = sums[best]
                for j in range(width):
                    into[j] += pull * x[v, j]
