"""Pieces of a network of any depth, in float64."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse

from ._blocks import active_mask, depth_first, spans

# Numbers per block: two megabytes, so that a handful of arrays stay in a processor's cache.
BLOCK = 2**18
# A sum is zero below this many rounding units of the sum of its absolute terms, and points
# closer than this many rounding units of the piece's ends are one.
SNAP = 8 * np.finfo(np.float64).eps
# Sums of absolute terms stay below this, so that no difference of two of them overflows.
LARGEST = 1e307

BEYOND_FLOAT64 = (
    "`pieces(network, a, b)` met numbers beyond the range of float64; use `exact=True`."
)


class _Block(NamedTuple):
    """A stretch of the interval after some layers."""

    x: np.ndarray  # nodes (K + 1,)
    units: np.ndarray  # indices (n,) of the neurons that are on somewhere here
    values: np.ndarray  # (n, K + 1), at the nodes
    slopes: np.ndarray  # (n, K), between them


def float_pieces(
    matrices: list, biases: list[np.ndarray], a: float, b: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Breakpoints, values and slopes on [a, b], for dense matrices or sparse ones of columns.

    **Reference:** derived, above the code.
    """
    ends = np.array([a, b])
    start = _Block(ends, np.arange(1), ends[None, :], np.ones((1, 1)))

    def advance(layer: int, block: _Block) -> Iterator[_Block]:
        ahead = _rows_reached(matrices[layer + 1], biases[layer + 1])
        return _hidden(matrices[layer], biases[layer], block, layer == 0, ahead)

    nodes, values, slopes, scales = [], [], [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for block in depth_first(start, len(matrices) - 1, advance):
            _, z, d, scale = _affine(matrices[-1], biases[-1], block, output=True)
            nodes.append(block.x[:-1])
            values.append(z[:, :-1])
            slopes.append(d)
            scales.append(scale)
    values.append(z[:, -1:])
    x = np.append(np.concatenate(nodes), b)
    v, s, scale = (np.concatenate(part, axis=1) for part in (values, slopes, scales))
    bend = np.abs(np.diff(s)) > SNAP * np.maximum(scale[:, 1:], scale[:, :-1])
    keep = np.append(True, bend.any(axis=0))
    return x[np.append(keep, True)], v[:, np.append(keep, True)].T, s[:, keep].T


def _rows_reached(matrix, bias: np.ndarray) -> Callable[[np.ndarray], int]:
    """A bound on the number of rows that some neurons, or a positive bias, reach."""
    if not scipy.sparse.issparse(matrix):
        return lambda units: len(bias)
    edges, positive = np.diff(matrix.indptr), int(np.count_nonzero(bias > 0))
    return lambda units: min(len(bias), int(edges[units].sum()) + positive)


def _affine(matrix, bias: np.ndarray, block: _Block, output: bool = False):
    """Rows, values, slopes and the sums of the absolute terms of the slopes, after an affine map.

    Except for the output: neurons that receive nothing here and have no positive bias stay off,
    so their rows are left out, and sums that cancel to rounding errors are zero.
    """
    part = matrix[:, block.units]
    rows = np.arange(len(bias))
    if scipy.sparse.issparse(part):
        part = part.tocsr()
        if not output:
            rows = np.flatnonzero((np.diff(part.indptr) > 0) | (bias > 0))
            part = part[rows]
    c = bias[rows][:, None]
    sizes = abs(part)
    z, d = part @ block.values + c, part @ block.slopes
    z_scale = sizes @ np.abs(block.values) + np.abs(c)
    d_scale = sizes @ np.abs(block.slopes)
    if not max(np.max(z_scale, initial=0), np.max(d_scale, initial=0)) < LARGEST:
        raise ValueError(BEYOND_FLOAT64)
    if not output:
        z[np.abs(z) <= SNAP * z_scale] = 0.0
        d[np.abs(d) <= SNAP * d_scale] = 0.0
    return rows, z, d, d_scale


def _hidden(
    matrix, bias: np.ndarray, block: _Block, first_layer: bool, ahead: Callable[[np.ndarray], int]
) -> Iterator[_Block]:
    # Pre-activations are affine on every piece, so a neuron switches inside a piece exactly where
    # its values at the two ends have opposite signs, at the zero of the secant. Sums that cancel
    # to rounding errors have been set to zero: otherwise neurons that vanish at a common node, or
    # on a whole piece, would switch at random places next to it. Slopes are propagated beside the
    # values, because a quotient of differences on a short piece has no correct digits.
    x = block.x
    rows, z, d, _ = _affine(matrix, bias, block)
    sign = np.sign(z).astype(np.int8)
    unit, piece = np.nonzero(sign[:, :-1] * sign[:, 1:] < 0)
    left, right = z[unit, piece], z[unit, piece + 1]
    width = x[piece + 1] - x[piece]
    zeros = np.where(
        np.abs(left) <= np.abs(right),
        x[piece] + width * (left / (left - right)),
        x[piece + 1] + width * (right / (left - right)),
    )
    if first_layer:  # on the whole interval, where the kink is known to the last digit
        zeros = -bias[rows][unit] / d[unit, 0]

    # Merge: a zero belongs to the end of its piece, or to the zero before it, when it is within
    # rounding of it.
    order = np.lexsort((zeros, piece))
    unit, piece, zeros = unit[order], piece[order], zeros[order]
    close = SNAP * np.maximum(np.abs(x[piece]), np.abs(x[piece + 1]))
    at_left, at_right = zeros - x[piece] <= close, x[piece + 1] - zeros <= close
    inner = ~(at_left | at_right)
    fresh = inner.copy()
    fresh[1:] &= ~(inner[:-1] & (piece[1:] == piece[:-1]) & (zeros[1:] - zeros[:-1] <= close[1:]))
    per_piece = np.bincount(piece[fresh], minlength=len(x) - 1)
    first = np.concatenate([[0], np.cumsum(per_piece + 1)])  # new index of every old node
    node = first[piece] + np.cumsum(fresh) - np.concatenate([[0], np.cumsum(per_piece)])[piece]
    node = np.where(at_left, first[piece], np.where(at_right, first[piece + 1], node))
    nodes = np.empty(first[-1] + 1)
    nodes[first] = x
    nodes[node[fresh]] = zeros[fresh]
    parent = np.repeat(np.arange(len(x) - 1), per_piece + 1)

    for i, j in spans(len(parent), max(len(rows), ahead(rows)), BLOCK):
        on = active_mask(sign, parent, i, j, (unit, piece, node), first)
        alive = np.asarray(on.any(axis=1))
        if not alive.any():
            yield _Block(nodes[i : j + 1], rows[:0], np.zeros((0, j + 1 - i)), np.zeros((0, j - i)))
            continue
        on = on[alive]
        here = nodes[i : j + 1]
        old = np.append(parent[i:j], parent[j - 1])  # a piece that each node belongs to
        from_left = here - x[old] <= x[old + 1] - here
        base = np.where(from_left, old, old + 1)
        zz, dd = z[alive], d[alive]
        values = zz[:, base] + dd[:, old] * (here - x[base])
        hit = np.flatnonzero((node >= i) & (node <= j) & alive[unit])
        values[(np.cumsum(alive) - 1)[unit[hit]], node[hit] - i] = 0.0
        touched = np.zeros(values.shape, dtype=bool)
        touched[:, :-1] |= on
        touched[:, 1:] |= on
        values = np.where(touched, np.maximum(values, 0.0), 0.0)
        yield _Block(here, rows[alive], values, np.where(on, dd[:, parent[i:j]], 0.0))
