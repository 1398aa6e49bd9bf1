"""Pieces of a network of any depth, in exact rationals."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from ._blocks import active_mask, depth_first, spans
from ._integers import strip_zeros, to_integers

# Integers per block: they are Python objects of some forty bytes.
BLOCK = 2**16


class _Block(NamedTuple):
    """A stretch of the interval after some layers: unit i is 2^-p (slope x + intercept)."""

    x: np.ndarray  # nodes (K + 1,), fractions
    units: np.ndarray  # indices (n,) of the neurons that are on somewhere here
    slopes: np.ndarray  # (n, K), integers
    intercepts: np.ndarray  # (n, K), integers
    p: int


def exact_pieces(
    weights: list, biases: list[np.ndarray], a: Fraction, b: Fraction
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Breakpoints, values and slopes on [a, b], as fractions.

    **Reference:** derived, above the code.
    """
    # Floats are integers times powers of two, and on every piece each neuron is a sum of products
    # of parameters, times x, plus another such sum: slopes and intercepts stay integers times a
    # common power of two in all layers. Only the breakpoints, quotients of two such integers, are
    # fractions. Signs at a breakpoint n/d come from slope * n + intercept * d.
    layers = [_Layer(w, c) for w, c in zip(weights, biases, strict=True)]
    one, zero = np.ones((1, 1), dtype=object), np.zeros((1, 1), dtype=object)
    start = _Block(np.array([a, b], dtype=object), np.arange(1), one, zero, 0)

    def advance(layer: int, block: _Block) -> Iterator[_Block]:
        return _hidden(layers[layer], layers[layer + 1], block)

    nodes, values, slopes = [], [], []
    for block in depth_first(start, len(weights) - 1, advance):
        _, s, c, p = layers[-1].apply(block, every=True)
        nodes.append(block.x[:-1])
        slopes.append(_fractions(s, 1 << p))
        n, d = _ratio(block.x[:-1])
        values.append(_fractions(s * n + c * d, d << p))
    n, d = _ratio(block.x[-1:])
    values.append(_fractions(s[:, -1:] * n + c[:, -1:] * d, d << p))
    nodes.append(start.x[1:])
    x = np.concatenate(nodes)
    v, s = np.concatenate(values, axis=1), np.concatenate(slopes, axis=1)
    keep = np.concatenate([[True], (s[:, 1:] != s[:, :-1]).any(axis=0)])
    return x[np.append(keep, True)], v[:, np.append(keep, True)].T, s[:, keep].T


class _Layer:
    """An affine map in integers, by the nonzero entries of its columns."""

    def __init__(self, weights: Any, bias: np.ndarray):
        row, column, values = scipy.sparse.find(weights)
        entries, self.p = to_integers(values)
        self.columns: dict[int, list[tuple[int, int]]] = {}
        for i, j, w in zip(row.tolist(), column.tolist(), entries, strict=True):
            self.columns.setdefault(j, []).append((i, w))
        self.bias, self.q = to_integers(bias)
        self.positive = np.flatnonzero(bias > 0).tolist()

    def rows_reached(self, units: np.ndarray) -> int:
        """A bound on the number of rows that some neurons, or a positive bias, reach."""
        edges = sum(len(self.columns.get(j, [])) for j in units.tolist())
        return min(len(self.bias), edges + len(self.positive))

    def apply(self, block: _Block, every: bool = False):
        """Rows, slopes, intercepts and p, without rows that receive nothing and stay off."""
        p = max(self.p + block.p, self.q)
        shift = p - self.p - block.p
        columns = [self.columns.get(j, []) for j in block.units.tolist()]
        rows = set(self.positive).union(i for column in columns for i, _ in column)
        rows = sorted(rows) if not every else list(range(len(self.bias)))
        place = {row: i for i, row in enumerate(rows)}
        s = np.zeros((len(rows), len(block.x) - 1), dtype=object)
        c = s + (self.bias[rows] << (p - self.q))[:, None]
        for k, column in enumerate(columns):
            for row, w in column:
                s[place[row]] += (w << shift) * block.slopes[k]
                c[place[row]] += (w << shift) * block.intercepts[k]
        return np.array(rows, dtype=int), s, c, p


def _hidden(layer: _Layer, following: _Layer, block: _Block) -> Iterator[_Block]:
    rows, s, c, p = layer.apply(block)
    drop = strip_zeros(s, c, limit=p)
    s, c, p = s >> drop, c >> drop, p - drop
    x = block.x
    # Neighboring pieces on which every neuron is given by the same line are one piece.
    line = (s[:, 1:] == s[:, :-1]) & (c[:, 1:] == c[:, :-1])
    same = np.append(False, line.all(axis=0))
    s, c, x = s[:, ~same], c[:, ~same], x[np.append(~same, True)]

    n, d = _ratio(x)
    at_left = s * n[:-1] + c * d[:-1]
    at_end = s[:, -1:] * n[-1:] + c[:, -1:] * d[-1:]
    sign = np.sign(np.concatenate([at_left, at_end], axis=1)).astype(np.int8)
    unit, piece = np.nonzero(sign[:, :-1] * sign[:, 1:] < 0)
    zeros = [Fraction(-c[u, k], s[u, k]) for u, k in zip(unit, piece, strict=True)]
    keys = [float(t) for t in zeros]
    order = sorted(range(len(zeros)), key=lambda i: (piece[i], keys[i], zeros[i]))
    unit, piece = unit[order], piece[order]
    zeros = np.array([zeros[i] for i in order], dtype=object)
    fresh = np.ones(len(zeros), dtype=bool)
    fresh[1:] = (piece[1:] != piece[:-1]) | (zeros[1:] != zeros[:-1])
    per_piece = np.bincount(piece[fresh], minlength=len(x) - 1)
    first = np.concatenate([[0], np.cumsum(per_piece + 1)])  # new index of every old node
    node = first[piece] + np.cumsum(fresh) - np.concatenate([[0], np.cumsum(per_piece)])[piece]
    nodes = np.empty(first[-1] + 1, dtype=object)
    nodes[first] = x
    nodes[node] = zeros
    parent = np.repeat(np.arange(len(x) - 1), per_piece + 1)

    for i, j in spans(len(parent), max(len(rows), following.rows_reached(rows)), BLOCK):
        on = active_mask(sign, parent, i, j, (unit, piece, node), first)
        alive = np.flatnonzero(on.any(axis=1))
        on, old = on[alive], parent[i:j]
        yield _Block(
            nodes[i : j + 1],
            rows[alive],
            np.where(on, s[np.ix_(alive, old)], 0),
            np.where(on, c[np.ix_(alive, old)], 0),
            p,
        )


def _ratio(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, d = zip(*(t.as_integer_ratio() for t in x), strict=True)
    return np.array(n, dtype=object), np.array(d, dtype=object)


def _fractions(n: np.ndarray, d) -> np.ndarray:
    result = np.empty(n.shape, dtype=object)
    d = np.broadcast_to(np.asarray(d, dtype=object), n.shape)
    result.reshape(-1)[:] = [Fraction(u, v) for u, v in zip(n.flat, d.flat, strict=True)]
    return result
