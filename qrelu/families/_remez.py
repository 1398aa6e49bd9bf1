"""The best polynomial in the sup norm."""

from collections.abc import Callable

import numpy as np

# Exchanges; from Chebyshev points five to fifteen are needed.
_ROUNDS = 60
# The largest error exceeds the best possible one by at most this share.
_CLOSE = 1e-12
# Samples between two points of the reference, and steps of the search between two samples: each
# keeps 2/3 of the bracket, of which 3^-1 per two steps is left.
_SAMPLES = 16
_STEPS = 40


def best_polynomial(
    function: Callable[[np.ndarray], np.ndarray], degree: int, special: np.ndarray
) -> np.ndarray | None:
    r"""Chebyshev coefficients of the best polynomial on [-1, 1], or None where none is found.

    Remez's exchange of all points: the polynomial whose error alternates as $\pm h$ on n + 2
    points is replaced by the one on the extrema of that error, until the largest error is $|h|$,
    which de la Vallee-Poussin's theorem makes a lower bound of the best error. `special` are points
    where the function is not smooth, which may be extrema.

    **Reference:** classical (Remez 1934), in barycentric form.
    """
    reference = -np.cos(np.pi * np.arange(degree + 2) / (degree + 1))
    even = np.cos(np.pi * np.arange(_SAMPLES * (degree + 2) + 1) / (_SAMPLES * (degree + 2)))
    grid = np.unique(np.concatenate([-even, special]))
    at_grid = function(grid)
    best, least, scale = None, np.inf, float(np.max(np.abs(at_grid)))
    for _ in range(_ROUNDS):
        values = function(reference)
        weights = _barycentric_weights(reference)
        signs = (-1.0) ** np.arange(degree + 2)
        level = (weights @ values) / (weights @ signs)
        nodes, heights = reference, values - signs * level

        def error(x, nodes=nodes, heights=heights, weights=weights):
            return function(x) - _interpolate(nodes, heights, weights, x)

        deviation = at_grid - _interpolate(nodes, heights, weights, grid)
        found, sizes = _extrema(error, grid, deviation)
        largest = float(np.max(np.abs(sizes)))
        if largest < least:
            least = largest
            points = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
            at_points = _interpolate(nodes, heights, weights, points)
            best = _coefficients(at_points)
        rounding = 16 * np.finfo(float).eps * scale
        if largest - abs(level) <= max(_CLOSE * largest, rounding) or found.size < degree + 2:
            break
        reference = _alternating(found, sizes, degree + 2)
    return best


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
    gaps = nodes[:, None] - nodes
    np.fill_diagonal(gaps, 1.0)
    logs = -np.sum(np.log(np.abs(gaps)), axis=1)
    return np.prod(np.sign(gaps), axis=1) * np.exp(logs - logs.max())


def _interpolate(nodes, heights, weights, x) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = weights / (x[:, None] - nodes)
        values = (parts @ heights) / parts.sum(axis=1)
    row, column = np.nonzero(x[:, None] == nodes)
    values[row] = heights[column]
    return values


def _extrema(error, grid, deviation) -> tuple[np.ndarray, np.ndarray]:
    """The largest |error| of every run of one sign, searched between neighboring samples."""
    sign = np.sign(deviation)
    sign[sign == 0] = 1.0
    start = np.concatenate([[0], np.flatnonzero(np.diff(sign)) + 1])
    stop = np.append(start[1:], grid.size)
    size = np.abs(deviation)
    top = np.array([a + int(np.argmax(size[a:b])) for a, b in zip(start, stop, strict=True)])
    lower, upper = grid[np.maximum(top - 1, 0)], grid[np.minimum(top + 1, grid.size - 1)]
    kept, size, side = grid[top], size[top], sign[top]
    for _ in range(_STEPS):
        first, second = lower + (upper - lower) / 3, upper - (upper - lower) / 3
        at_first, at_second = side * error(first), side * error(second)
        for place, value in ((first, at_first), (second, at_second)):
            kept, size = np.where(value > size, place, kept), np.maximum(value, size)
        right = at_first < at_second
        lower, upper = np.where(right, first, lower), np.where(right, upper, second)
    return kept, side * size


def _alternating(places: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """`count` of the alternating extrema: the smaller end goes until they are few enough."""
    first, last = 0, places.size
    while last - first > count:
        if abs(sizes[first]) < abs(sizes[last - 1]):
            first += 1
        else:
            last -= 1
    return places[first:last]
