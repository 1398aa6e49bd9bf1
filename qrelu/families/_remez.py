"""The best polynomial in the sup norm."""

from collections.abc import Callable

import numpy as np

# Exchanges; from Chebyshev points five to fifteen are needed. After so many in vain rounding, or a
# kink whose place nobody knows, leaves no more to gain.
_ROUNDS, _IN_VAIN = 100, 6
# The largest error exceeds the best possible one by at most this share.
_CLOSE = 1e-12
# Samples between two points of the reference, and steps of the golden section between two samples:
# 1e-10 of the bracket is left, which is as close as a kink that is no sample is met.
_SAMPLES = 8
_STEPS, _GOLDEN = 48, (5**0.5 - 1) / 2
# Samples passed in search of one that is smaller beyond rounding.
_NEAR = 100
# Differences of points at once: they stay in the cache.
_BLOCK = 2**18

_Error = Callable[[np.ndarray], np.ndarray]


def best_polynomial(
    function: Callable[[np.ndarray], np.ndarray], degree: int, special: np.ndarray
) -> tuple[np.ndarray, float]:
    r"""Chebyshev coefficients of the best polynomial on [-1, 1], and how close to the best it is.

    Remez's exchange of all points: the polynomial whose error alternates as $\pm h$ on n + 2
    points is replaced by the one on extrema of that error, until the largest error is $|h|$, which
    de la Vallee-Poussin's theorem makes a lower bound of the best error. `special` are points where
    the function is not smooth, which may be extrema. The number is the largest error over the
    largest lower bound met: 1 where the exchange converged. Where it does not, the best polynomial
    met is returned, at worst the interpolant at Chebyshev points.

    **Reference:** classical (Remez 1934), in the barycentric form of Pachon and Trefethen (2009).
    """
    count = degree + 2
    even = -np.cos(np.pi * np.arange(2 * _SAMPLES * count + 1) / (2 * _SAMPLES * count))
    fixed = np.unique(np.concatenate([even, special]))
    ulps = np.finfo(float).eps * float(np.max(np.abs(function(fixed))))
    rounding = 16 * ulps
    best = interpolating(function, degree + 1)
    points = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    error = _error(function, points[::-1], function(points[::-1]))
    least = float(np.max(np.abs(_extrema(error, fixed, error(fixed), rounding)[1])))
    reference = -np.cos(np.pi * np.arange(count) / (count - 1))
    signs = (-1.0) ** np.arange(count)
    proven, in_vain = 0.0, 0
    for _ in range(_ROUNDS):
        if least - proven <= max(_CLOSE * least, rounding):
            return best, 1.0
        if in_vain == _IN_VAIN:
            break
        values, weights = function(reference), _barycentric_weights(reference)
        level = (weights @ values) / (weights @ signs)
        heights = values - signs * level
        error = _error(function, reference, heights)
        grid = np.unique(np.concatenate([fixed, reference, _between(reference)]))
        deviation = error(grid)
        # There it is known without rounding, which matters where the level is small.
        deviation[np.searchsorted(grid, reference)] = signs * level
        found, sizes = _extrema(error, grid, deviation, rounding)
        largest = float(np.max(np.abs(sizes)))
        if abs(level) > least + rounding:
            # Rounding alone: a lower bound of the best error is below all errors.
            break
        gained = abs(level) > proven * (1 + 1e-9) or largest < least * (1 - 1e-9)
        in_vain = 0 if gained else in_vain + 1
        proven = max(proven, abs(float(level)))
        if largest < least:
            best = _coefficients(_interpolate(reference, heights, weights, points))
            least = largest
        if found.size < count:
            reference = _exchanged(reference, signs * (np.sign(level) or 1.0), found, sizes)
        else:
            reference = _alternating(found, sizes, count)
    # Barycentric sums of n terms are off by some units each.
    least -= (16 + degree) * ulps
    return best, max(least / proven, 1.0) if proven > 0 else np.inf


def _coefficients(at_points: np.ndarray) -> np.ndarray:
    """The Chebyshev coefficients from values at the zeros cos(pi (j + 1/2)/n) of T_n."""
    n = at_points.size
    angles = np.pi * (np.arange(n) + 0.5) / n
    coefficients = np.cos(np.outer(np.arange(n), angles)) @ at_points * 2 / n
    coefficients[0] /= 2
    return coefficients


def interpolating(function: Callable, terms: int) -> np.ndarray:
    """Chebyshev coefficients of the interpolant at the zeros of T_n: near-best in the sup norm."""
    return _coefficients(function(np.cos(np.pi * (np.arange(terms) + 0.5) / terms)))


def canonical(function: Callable, terms: int) -> np.ndarray:
    """Chebyshev coefficients of the interpolant at the zeros of U_n: near-best in L^1.

    The sign of U_n is orthogonal to all polynomials of lower degree, so where the error changes its
    sign exactly there, it is the best one.
    """
    angles = np.pi * np.arange(1, terms + 1) / (terms + 1)
    values = function(np.cos(angles))
    # sum_k b_k sin((k + 1) t) = f(cos t) sin t: discrete orthogonality of the sines.
    sines = np.sin(np.outer(np.arange(1, terms + 1), angles))
    second = sines @ (values * np.sin(angles)) * 2 / (terms + 1)
    # U_k = 2 (T_k + T_{k-2} + ...), the term T_0 once.
    coefficients = np.zeros(terms)
    for parity in (0, 1):
        coefficients[parity::2] = 2 * np.cumsum(second[parity::2][::-1])[::-1]
    coefficients[0] /= 2
    return coefficients


def _barycentric_weights(nodes: np.ndarray) -> np.ndarray:
    # Logarithms: the products leave the range of float64 from a few hundred points on.
    gaps = np.abs(nodes[:, None] - nodes)
    np.fill_diagonal(gaps, 1.0)
    logs = -np.sum(np.log(gaps), axis=1)
    return (-1.0) ** np.arange(nodes.size) * np.exp(logs - logs.max())


def _interpolate(nodes, heights, weights, x) -> np.ndarray:
    values = np.empty(x.size)
    rows = max(1, _BLOCK // nodes.size)
    for start in range(0, x.size, rows):
        part = x[start : start + rows]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            terms = weights / (part[:, None] - nodes)
            values[start : start + rows] = (terms @ heights) / terms.sum(axis=1)
    at_nodes = np.flatnonzero(~np.isfinite(values))
    row, column = np.nonzero(x[at_nodes, None] == nodes)
    values[at_nodes[row]] = heights[column]
    return values


def _error(function: _Error, nodes: np.ndarray, heights: np.ndarray) -> _Error:
    """The function minus the polynomial through points with increasing places."""
    weights = _barycentric_weights(nodes)
    return lambda x: function(x) - _interpolate(nodes, heights, weights, x)


def _between(reference: np.ndarray) -> np.ndarray:
    ends = np.concatenate([[-1.0], reference, [1.0]])
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    return (ends[:-1, None] + np.diff(ends)[:, None] * steps).ravel()


def _extrema(
    error: _Error, grid: np.ndarray, deviation: np.ndarray, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Of every run of one sign the largest error and its place, searched between samples."""
    # What may be rounding has the sign before it.
    signed = np.abs(deviation) > min(rounding, float(np.max(np.abs(deviation))) / 2)
    last = np.maximum.accumulate(np.where(signed, np.arange(grid.size), -1))
    sign = np.sign(deviation)[np.where(last < 0, np.argmax(signed), last)]
    sign[sign == 0] = 1.0
    start = np.concatenate([[0], np.flatnonzero(np.diff(sign)) + 1])
    stop = np.append(start[1:], grid.size)
    size = np.abs(deviation)
    top = np.array([a + int(np.argmax(size[a:b])) for a, b in zip(start, stop, strict=True)])
    lower, upper = (grid[_smaller(sign[top], deviation, top, step, rounding)] for step in (-1, 1))
    kept, size, side = grid[top], size[top], sign[top]
    first, second = upper - _GOLDEN * (upper - lower), lower + _GOLDEN * (upper - lower)
    at_first, at_second = side * error(first), side * error(second)
    for _ in range(_STEPS):
        for place, value in ((first, at_first), (second, at_second)):
            kept, size = np.where(value > size, place, kept), np.maximum(value, size)
        right = at_first < at_second
        lower, upper = np.where(right, first, lower), np.where(right, upper, second)
        share = _GOLDEN * (upper - lower)
        place = np.where(right, lower + share, upper - share)
        value = side * error(place)
        first, second = np.where(right, second, place), np.where(right, place, first)
        at_first, at_second = np.where(right, at_second, value), np.where(right, value, at_first)
    return kept, side * size


def _smaller(side, deviation, top, step: int, rounding: float) -> np.ndarray:
    """The nearest samples on one side of the largest ones that are smaller beyond rounding.

    Of samples close together rounding decides which one is the largest.
    """
    place, last = top.copy(), deviation.size - 1
    limit = side * deviation[top] - rounding
    for _ in range(_NEAR):
        close = (side * deviation[place] >= limit) & (place > 0) & (place < last) | (place == top)
        moved = np.clip(place + step * close, 0, last)
        if (moved == place).all():
            break
        place = moved
    return place


# Let the error be at least t, with alternating signs, in `count` of the extrema. The least one, if
# it is below t, is none of them, and of its two neighbors, which have one sign, at most one is:
# without it and the smaller neighbor there still are `count`. An extremum at an end goes alone.
# With one too many, the `count` are all but the first or all but the last. So whatever |h| was, all
# that are kept are at least that, the largest error is among them, and the next |h| is larger.
def _alternating(places: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """The places of `count` alternating extrema whose least is as large as it can be."""
    size = np.abs(sizes)
    while size.size > count + 1:
        k = int(np.argmin(size))
        gone = [k]
        if 0 < k < size.size - 1:
            gone.append(k - 1 if size[k - 1] < size[k + 1] else k + 1)
        places, size = np.delete(places, gone), np.delete(size, gone)
    if size.size > count:
        return places[1:] if size[0] < size[-1] else places[:-1]
    return places


def _exchanged(reference, sides, found, sizes) -> np.ndarray:
    """The largest error of all comes in.

    Where the level is zero, as that of an even function on points as symmetric, the error may have
    fewer signs than the points. `sides` are its signs at the points.
    """
    top = int(np.argmax(np.abs(sizes)))
    # A neighbor of the same sign goes; beyond an end of the other sign the other end does.
    k = int(np.searchsorted(reference, found[top]))
    same = [i for i in (k - 1, k) if 0 <= i < len(sides) and sides[i] == np.sign(sizes[top])]
    gone = same[0] if same else (-1 if k == 0 else 0)
    return np.sort(np.append(np.delete(reference, gone), found[top]))
