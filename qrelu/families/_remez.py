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
) -> tuple[np.ndarray, float]:
    r"""Chebyshev coefficients of the best polynomial on [-1, 1], and how close to the best it is.

    Remez's exchange of all points: the polynomial whose error alternates as $\pm h$ on n + 2
    points is replaced by the one on the extrema of that error, until the largest error is $|h|$,
    which de la Vallee-Poussin's theorem makes a lower bound of the best error. `special` are points
    where the function is not smooth, which may be extrema. The number is the largest error over
    the largest lower bound met: 1 where the exchange converged.

    **Reference:** classical (Remez 1934), in barycentric form.
    """
    even = np.cos(np.pi * np.arange(_SAMPLES * (degree + 2) + 1) / (_SAMPLES * (degree + 2)))
    grid = np.unique(np.concatenate([-even, special]))
    at_grid = function(grid)
    rounding = 16 * np.finfo(float).eps * float(np.max(np.abs(at_grid)))
    reference = -np.cos(np.pi * np.arange(degree + 2) / (degree + 1))
    best, least, proven = np.zeros(degree + 1), np.inf, 0.0
    points = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    signs = (-1.0) ** np.arange(degree + 2)
    for _ in range(_ROUNDS):
        values = function(reference)
        weights = _barycentric_weights(reference)
        level = (weights @ values) / (weights @ signs)
        nodes, heights = reference, values - signs * level

        def error(x, nodes=nodes, heights=heights, weights=weights):
            return function(x) - _interpolate(nodes, heights, weights, x)

        deviation = at_grid - _interpolate(nodes, heights, weights, grid)
        starts, found, sizes = _extrema(error, grid, deviation)
        largest = float(np.max(np.abs(sizes)))
        proven = max(proven, abs(float(level)))
        if largest < least:
            best, least = _coefficients(_interpolate(nodes, heights, weights, points)), largest
        if least - proven <= max(_CLOSE * least, rounding):
            return best, 1.0
        sides = signs * (np.sign(level) or 1.0)
        reference = _exchanged(reference, sides, starts, found, sizes)
    return best, least / proven if proven > 0 else np.inf


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


def _extrema(error, grid, deviation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where every run of one sign starts, and its largest |error|, searched between samples."""
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
    return grid[start], kept, side * size


def _exchanged(reference, sides, starts, found, sizes) -> np.ndarray:
    """Every point moves to the largest error of its run, and the largest of all comes in.

    `sides` are the signs of the error at the points. Since all errors are then at least |h| and
    alternate, the next |h| is larger.
    """
    runs = np.searchsorted(starts, reference, side="right") - 1
    top = int(np.argmax(np.abs(sizes)))
    if (np.diff(runs) % 2 == 1).all():
        reference, sides = found[runs], np.sign(sizes[runs])
        if top in runs:
            return reference
    # A neighbor of the same sign goes; beyond an end of the other sign the other end does.
    k = int(np.searchsorted(reference, found[top]))
    same = [i for i in (k - 1, k) if 0 <= i < len(sides) and sides[i] == np.sign(sizes[top])]
    gone = same[0] if same else (-1 if k == 0 else 0)
    return np.sort(np.append(np.delete(reference, gone), found[top]))
