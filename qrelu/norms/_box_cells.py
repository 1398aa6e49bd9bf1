"""Integrals over a box by cells that are cut where two rules disagree."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np

# Gauss nodes in each cell and axis: a difference with kinks gains nothing from more.
_NODES = 3
# The even cells of the beginning take this share of the points.
_FIRST = 4
# The share of a cell between a side and the nodes of the parts next to it.
_MARGIN = 0.0564
# A jump parallel to a side makes the error of G so much larger than |G - C|.
_PARALLEL = 4 / 3
# To the power d + 1, so much smaller is |G - C| than what may hide where nothing is seen.
_CLEAR = 16
# Corners are asked so little inside that a function may be infinite at the corners of the box.
_INSIDE = 2.0**-20


# A cell is measured by its own Gauss nodes (C) and by those of its 2^d parts (G). Where halving a
# cell does not make its error larger, |G - C| bounds the error of C, and G is better still; the sum
# of all |G - C| is then a bound for the sum of the G. No cancellation between cells is trusted:
# where a jump crosses a cell the sign of its error is as good as random. If it runs parallel to a
# side, all its cells err in the same way: at a quarter of a cell G by 0.361 - 0.25 = 1/9 of it
# where |G - C| is 0.361 - 0.278 = 1/12, hence a factor of 4/3. The parts of a cell that is cut have
# their own C already.
#
# Between the outermost nodes and the sides there is a margin of 0.056 of the cell, and what lies
# in there neither rule sees. So each cell is also asked at its corners, where the polynomial of
# degree 5 in each variable through the nodes of the parts says what to expect. Where a jump by J
# hides at one side, the value differs by J from the expected one at the 2^(d-1) corners there; the
# jump hides at most 0.056 J of the volume. A kink hides less. Of a smooth function the expectation
# is wrong by the sixth order, as C is. A jump that is seen throws the polynomial off by up to 13^d
# (the sum of its weights) and |G - C| is not small; then the value at the nearest node is expected
# if that is closer, for a second jump.
def integral_on_box(
    difference: Callable[[np.ndarray], np.ndarray],
    lower: np.ndarray,
    upper: np.ndarray,
    p: int,
    points: int,
) -> tuple[float, float, float]:
    """The integral of |difference|^p, its uncertainty, and the largest difference.

    About `points` values are asked for: on even cells first, then in the parts of the cells that
    contribute most to the uncertainty.
    """
    d = len(lower)
    sides = max(1, int((points / _FIRST) ** (1 / d) / (2 * _NODES)))
    width = (upper - lower) / sides
    grid = np.stack(np.meshgrid(*[np.arange(sides)] * d, indexing="ij"), axis=-1).reshape(-1, d)
    corner = lower + width * grid
    volume = float(np.prod(width))
    coarse, largest = _measured(difference, corner, width, volume, p)[1:]
    parts, hidden, most = _of_parts(difference, corner, width, volume, p)
    level = np.zeros(len(corner), np.int64)
    per_cell = 2**d * (_NODES**d + 1)
    largest, spent = max(largest, most), len(corner) * (per_cell + _NODES**d)
    each = 2**d * per_cell  # a cut cell has 2^d parts, which have their own parts and corners
    while True:
        seen = np.abs(parts.sum(axis=1) - coarse)
        gaps = _PARALLEL * seen + np.where(_CLEAR ** (d + 1) * seen < hidden[:, 0], *hidden.T)
        total = float(gaps.sum())
        order = np.argsort(-gaps, kind="stable")
        # The fewest cells that make up half of the uncertainty.
        count = int(np.searchsorted(np.cumsum(gaps[order]), total / 2)) + 1
        count = min(count, (points - spent) // each)
        # Below that halving loses digits of the corners. An infinite sum is not refined at all.
        if count < 1 or not total > 1e-15 * float(coarse.sum()) or level.max() > 40:
            return float(parts.sum()), total, largest
        cut, kept = order[:count], order[count:]
        shrunk = width * 0.5 ** (level[cut, None] + 1)
        steps = np.array(list(itertools.product((0, 1), repeat=d)))
        new = (corner[cut, None] + shrunk[:, None] * steps).reshape(-1, d)
        below = np.repeat(level[cut] + 1, 2**d)
        scale = 0.5 ** below[:, None]
        found, unseen, most = _of_parts(
            difference, new, width * scale, volume * scale[:, 0] ** d, p
        )
        largest, spent = max(largest, most), spent + count * each
        coarse = np.concatenate([coarse[kept], parts[cut].ravel()])
        hidden = np.concatenate([hidden[kept], unseen])
        parts = np.concatenate([parts[kept], found])
        corner = np.concatenate([corner[kept], new])
        level = np.concatenate([level[kept], below])


def _measured(difference, corner, width, volume, p) -> tuple[np.ndarray, np.ndarray, float]:
    """|difference|^p at the nodes of each cell, its integral there, and the largest value."""
    d = corner.shape[1]
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    nodes = np.array(list(itertools.product((node + 1) / 2, repeat=d)))
    weights = np.array([math.prod(w) for w in itertools.product(weight / 2, repeat=d)])
    values = _at(difference, corner, width, nodes)
    powers = values**p
    return powers, powers @ weights * volume, float(values.max(initial=0.0))


def _at(difference, corner, width, places) -> np.ndarray:
    """|difference| at some places of each cell, in its own coordinates from 0 to 1."""
    d = corner.shape[1]
    at = corner[:, None] + np.broadcast_to(width, corner.shape)[:, None] * places
    return np.abs(difference(at.reshape(-1, d))).reshape(len(corner), -1)


def _of_parts(difference, corner, width, volume, p) -> tuple[np.ndarray, np.ndarray, float]:
    """Integrals over the 2^d parts of each cell, what may hide at its sides, the largest value.

    The parts are in the order of `itertools.product`. What may hide: by the polynomial, and by the
    nearest nodes where they are closer.
    """
    d = corner.shape[1]
    steps = np.array(list(itertools.product((0, 1), repeat=d)))
    half = np.broadcast_to(width, corner.shape) / 2
    parts = (corner[:, None] + half[:, None] * steps).reshape(-1, d)
    volumes = np.repeat(np.broadcast_to(volume, len(corner)), 2**d) / 2**d
    powers, found, largest = _measured(difference, parts, np.repeat(half, 2**d, axis=0), volumes, p)
    powers = powers.reshape(len(corner), -1)
    at_corners = _at(difference, corner, width, np.abs(steps - _INSIDE))
    expected, nearest = powers @ _expectation(d), powers[:, _nearest(d)]
    off, closer = abs(at_corners**p - expected), abs(at_corners**p - nearest)
    off = np.stack([off.sum(axis=1), np.minimum(off, closer).sum(axis=1)], axis=1)
    hidden = _MARGIN / 2 ** (d - 1) * np.reshape(volume, (-1, 1)) * off
    return found.reshape(-1, 2**d), hidden, max(largest, float(at_corners.max(initial=0.0)))


@functools.cache
def _nearest(d: int) -> list[int]:
    """The node of all parts that is nearest to each corner."""
    parts, nodes = 2**d, _NODES**d
    first = [
        sum((_NODES - 1) * c * _NODES**k for k, c in enumerate(reversed(corner)))
        for corner in itertools.product((0, 1), repeat=d)
    ]
    return [part * nodes + node for part, node in zip(range(parts), first, strict=True)]


@functools.cache
def _expectation(d: int) -> np.ndarray:
    """Weights of the nodes of all parts in the value at each corner, of shape (nodes, corners)."""
    node = (np.polynomial.legendre.leggauss(_NODES)[0] + 1) / 4
    along = np.concatenate([node, node + 0.5])
    ends = np.vander([_INSIDE, 1 - _INSIDE], 2 * _NODES) @ np.linalg.inv(np.vander(along))
    ends = ends.reshape(2, 2, _NODES)
    rows = []
    for corner in itertools.product((0, 1), repeat=d):
        weights = functools.reduce(np.multiply.outer, [ends[c] for c in corner])
        # From (part, node) of each axis to all parts, then all nodes.
        order = [*range(0, 2 * d, 2), *range(1, 2 * d, 2)]
        rows.append(weights.transpose(order).ravel())
    return np.stack(rows, axis=1)
