"""Integrals over a box by cells that are cut where two rules disagree."""

import itertools
import math
from collections.abc import Callable

import numpy as np

# Gauss nodes in each cell and axis: a difference with kinks gains nothing from more.
_NODES = 3
# The even cells of the beginning take this share of the points.
_FIRST = 4


# A cell is measured by its own Gauss nodes (C) and by those of its 2^d parts (G). Where halving a
# cell does not make its error larger, |G - C| bounds the error of C, and G is better still; the sum
# of all |G - C| is then a bound for the sum of the G. No cancellation between cells is trusted:
# where a jump crosses a cell the sign of its error is as good as random. The parts of a cell that
# is cut have their own C already.
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
    coarse, largest = _measured(difference, corner, width, volume, p)
    parts, most = _of_parts(difference, corner, width, volume, p)
    level = np.zeros(len(corner), np.int64)
    largest, spent = max(largest, most), len(corner) * (2**d + 1) * _NODES**d
    each = 4**d * _NODES**d  # a cut cell has 2^d parts with 2^d parts each
    while True:
        gaps = np.abs(parts.sum(axis=1) - coarse)
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
        found, most = _of_parts(difference, new, width * scale, volume * scale[:, 0] ** d, p)
        largest, spent = max(largest, most), spent + count * each
        coarse = np.concatenate([coarse[kept], parts[cut].ravel()])
        parts = np.concatenate([parts[kept], found])
        corner = np.concatenate([corner[kept], new])
        level = np.concatenate([level[kept], below])


def _measured(difference, corner, width, volume, p) -> tuple[np.ndarray, float]:
    """The integral over each cell, and the largest value."""
    d = corner.shape[1]
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    nodes = np.array(list(itertools.product((node + 1) / 2, repeat=d)))
    weights = np.array([math.prod(w) for w in itertools.product(weight / 2, repeat=d)])
    width = np.broadcast_to(width, corner.shape)
    at = corner[:, None] + width[:, None] * nodes
    values = np.abs(difference(at.reshape(-1, d))).reshape(len(corner), -1)
    return values**p @ weights * volume, float(values.max(initial=0.0))


def _of_parts(difference, corner, width, volume, p) -> tuple[np.ndarray, float]:
    """The integrals over the 2^d parts of each cell, in the order of `itertools.product`."""
    d = corner.shape[1]
    steps = np.array(list(itertools.product((0, 1), repeat=d)))
    half = np.broadcast_to(width, corner.shape) / 2
    parts = (corner[:, None] + half[:, None] * steps).reshape(-1, d)
    volumes = np.repeat(np.broadcast_to(volume, len(corner)), 2**d) / 2**d
    found, largest = _measured(difference, parts, np.repeat(half, 2**d, axis=0), volumes, p)
    return found.reshape(-1, 2**d), largest
