"""Knots that share the work equally: the start of every free-knot fit."""

import numpy as np

from ._quadrature import Quadrature, graded_mesh
from ._spline import parted


def density_power(p: float) -> float:
    r"""The exponent $1 / (2 + 1/p)$ of $|f''|$ in the asymptotically best density of knots."""
    return 1 / (2 + 1 / p)


def equidistributed(quadrature: Quadrature, count: int, p: float) -> np.ndarray:
    r"""Knots (count + 1,) with equal integrals of $|f''|^{1/(2+1/p)}$ between them.

    The second derivative is a second difference on cells four times finer than the pieces,
    halving towards kinks and ends, so only values of the target are used.

    **Reference:** [deboor1973]; the density is asymptotically the best one.
    """
    begin, end = _cells(quadrature, count)
    width = end - begin
    middle = begin + width / 2
    values = quadrature.function(np.stack([begin, middle, end]))
    second = np.abs(values[0] - 2 * values[1] + values[2])
    # A straight line has rounding as its second difference, large over the square of a small cell.
    second = np.where(second > 4 * np.finfo(float).eps * quadrature.scale, second, 0.0)
    curvature = 4 * second / width**2
    density = curvature ** density_power(p)
    return parted(spread(np.append(begin, end[-1]), density * width, count))


def spread(points: np.ndarray, amounts: np.ndarray, count: int) -> np.ndarray:
    """Knots that cut the interval into `count` pieces of equal amount, `amounts` between points."""
    total = np.sum(amounts)
    if not total > 0:
        return np.linspace(points[0], points[-1], count + 1)
    # A thousandth of the amount is spread evenly, so that no knots coincide.
    even = np.diff(points) / (points[-1] - points[0])
    running = np.concatenate([[0.0], np.cumsum(amounts / total + 1e-3 * even)])
    knots = np.interp(np.linspace(0.0, running[-1], count + 1), running, points)
    knots[0], knots[-1] = points[0], points[-1]
    return knots


def _cells(quadrature: Quadrature, count: int):
    lower, upper = quadrature.lower, quadrature.upper
    mesh = graded_mesh(lower, upper, quadrature.kinks, max(4 * count, 128))
    points = np.concatenate([[lower], mesh, [upper]])
    return points[:-1], points[1:]
