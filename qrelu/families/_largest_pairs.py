"""The largest Fourier coefficients of functions of two variables."""

import math
from typing import NamedTuple

import numpy as np

from ..targets import AbstractTarget
from ._plane import Box, on_grid
from ._tensor_series import tabulated

# Gauss nodes of a cell; cells of an axis, at least: two for each half wave.
_NODES, _CELLS = 4, 256
# Values at once.
_BLOCK = 2**20
# The sides of the square of frequencies that is searched first, and the longest one of all: a file
# names pairs among 2^22.
_FIRST, _LARGEST_FIRST, _LONGEST = 64, 128, 1023
# The second search: a square of twice the side and along both axes, up to a frequency of twice the
# number of terms or four times the first side, strips so wide. Among M pairs of a hyperbolic cross
# the frequencies go up to M, but only beside low ones. Coarse cells do for low ones.
_STRIP, _STRIP_CELLS = 16, 128
# A coefficient below this share of the largest value is none, where those beyond are only bounded:
# what is left of a function is known to the root of a unit in the last place.
_NEGLIGIBLE = 2.0**-20


class Projected(NamedTuple):
    """Integrals over the unit square of a function times all products, and what else was seen."""

    found: np.ndarray  # the integrals, (first, second)
    scale: float  # the largest value
    size: float  # the L^2 norm
    variation: float  # the larger of both mean variations along an axis, as a periodic function


def projected(
    target: AbstractTarget,
    box: Box,
    counts: tuple[int, int],
    basis: str,
    least: tuple[int, int] = (_CELLS, _CELLS),
) -> Projected:
    """The first `counts` functions of a basis in each variable, with at least so many cells."""
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    node, weight = (node + 1) / 2, weight / 2
    cells = [max(least, 2 * count) for least, count in zip(least, counts, strict=True)]
    places = [((np.arange(n)[:, None] + node) / n).ravel() for n in cells]
    weights = [np.tile(weight / n, n) for n in cells]
    (a, c), (b, d) = box
    x, y = a + (b - a) * places[0], c + (d - c) * places[1]

    def integrals(values, axis):
        if basis == "waves":
            return _waves(values, counts[axis], node, weight)
        table = tabulated(places[axis], np.arange(counts[axis]), basis)
        return (values * weights[axis]) @ table

    partly = np.empty((x.size, counts[1]))
    scale, size, across = 0.0, 0.0, 0.0
    along, first, last = np.zeros(y.size), np.zeros((0, y.size)), np.zeros((0, y.size))
    rows = max(1, _BLOCK // y.size)
    for start in range(0, x.size, rows):
        values = on_grid(target, x[start : start + rows], y)
        partly[start : start + rows] = integrals(values, 1)
        most = float(np.max(np.abs(values)))
        share = weights[0][start : start + rows]
        # No square leaves the range of float64.
        squares = share @ ((values / (most or 1.0)) ** 2 @ weights[1])
        scale, size = max(scale, most), math.hypot(size, most * math.sqrt(squares))
        across += float(share @ np.abs(np.diff(values, append=values[:, :1])).sum(axis=1))
        along += np.abs(np.diff(values, axis=0, prepend=last)).sum(axis=0)
        first, last = values[:1] if start == 0 else first, values[-1:]
    along += np.abs(first - last)[0]
    found = integrals(partly.T, 0).T
    return Projected(found, scale, size, max(float(along @ weights[1]), across))


def _waves(values: np.ndarray, count: int, node: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """An odd number of integrals along rows: a transform for each node, as in one variable."""
    cells, k = values.shape[1] // node.size, np.arange(count // 2 + 1)
    turns = np.exp(-2j * np.pi * k[:, None] * node / cells) * weight / cells
    parts = np.ascontiguousarray(values.reshape(len(values), cells, node.size).transpose(2, 0, 1))
    total = np.zeros((len(values), k.size), dtype=np.complex128)
    for part, turn in zip(parts, turns.T, strict=True):
        total += np.fft.rfft(part)[:, : k.size] * turn
    result = np.empty((len(values), count))
    result[:, 0] = total[:, 0].real
    result[:, 1::2] = -math.sqrt(2) * total[:, 1:].imag
    result[:, 2::2] = math.sqrt(2) * total[:, 1:].real
    return result


def largest_pairs(
    target: AbstractTarget, box: Box, size: int
) -> tuple[np.ndarray, np.ndarray, float, str]:
    """The pairs with the largest coefficients, these, the function's largest value, and a note.

    No pair that was not searched has a larger one if what is left of the function, or its
    variation, is too small; else strips are searched beside a larger square; then a note says so.
    """
    side = min(max(2 * math.isqrt(size), _FIRST), _LARGEST_FIRST)
    seen = projected(target, box, (2 * side + 1, 2 * side + 1), "waves")
    terms = _largest(seen.found, size)
    if _proven(seen, seen.found, terms, size, side):
        return terms, seen.found[tuple(terms.T)], seen.scale, ""
    far = min(max(2 * size, 4 * side), _LONGEST)
    side *= 2
    count, low, high = 2 * side + 1, 2 * _STRIP + 1, 2 * far + 1
    found = np.zeros((high, high))
    cells = _STRIP_CELLS
    found[:, :low] = projected(target, box, (high, low), "waves", (cells, cells)).found
    found[:low] = projected(target, box, (low, high), "waves", (cells, cells)).found
    seen = projected(target, box, (count, count), "waves")
    found[:count, :count] = seen.found
    terms = _largest(found, size)
    note = ""
    if not _proven(seen, found, terms, size, side):
        note = (
            f"largest terms up to the frequencies ({side}, {side}), ({far}, {_STRIP}) and "
            f"({_STRIP}, {far}) only"
        )
    return terms, found[tuple(terms.T)], seen.scale, note


def _largest(found: np.ndarray, size: int) -> np.ndarray:
    sizes = np.abs(found).ravel()
    if size < sizes.size:
        # Among equals the first ones, whatever the partition does.
        least = np.partition(sizes, sizes.size - size)[sizes.size - size]
        above, equal = np.flatnonzero(sizes > least), np.flatnonzero(sizes == least)
        order = np.sort(np.append(above, equal[: size - above.size]))
    else:
        order = np.arange(sizes.size)
    return np.stack(np.unravel_index(order, found.shape), axis=1)


def _proven(seen: Projected, found: np.ndarray, terms: np.ndarray, size: int, side: int) -> bool:
    """Whether a pair that was not searched cannot have a larger coefficient."""
    least = _NEGLIGIBLE * seen.scale
    if len(terms) == size:
        least = max(least, float(np.min(np.abs(found[tuple(terms.T)]))))
    # By Parseval; and by parts in the variable of the frequency k > `side`: a product of waves is
    # at most 2, so twice the mean variation over 2 pi k.
    unit = seen.scale or 1.0
    left = unit * math.sqrt(max((seen.size / unit) ** 2 - float(np.sum((found / unit) ** 2)), 0.0))
    return min(left, seen.variation / (math.pi * (side + 1))) <= least * (1 + 1e-9)
