"""B-splines on a cell: how far polynomials stay away from them, and how large a class lets them be.

The bump of degree d is the B-spline with d + 2 equidistant knots, on the unit interval. It is at
most 1, since B-splines add up to 1.
"""

import functools
import math

import numpy as np
from scipy.interpolate import BSpline

from ..targets import (
    AbstractFunctionClass,
    BoundedVariation,
    Hoelder,
    Lipschitz,
    PiecewiseSmooth,
    Sobolev,
)

# Values and integrals of polynomials of low degree, in float64.
_INWARD = 1 - 2.0**-36
# Cells for finite differences.
_GRID = 240


@functools.lru_cache(maxsize=16)
def _bump(degree: int) -> BSpline:
    return BSpline.basis_element(np.linspace(0.0, 1.0, degree + 2), extrapolate=False)


def peak(degree: int) -> float:
    """The largest value of the bump, at the middle."""
    return float(_bump(degree)(0.5)) * _INWARD


# L^2: the squared norm less the squared moments against Legendre polynomials, Gauss points on each
# piece being exact for the products.
#
# Sup: an r-th difference annihilates polynomials with r terms and is at most 2^r times the sup
# norm, so any |r-th difference of the bump| / 2^r is a lower bound.
#
# L^1: sign U_r, U_r the Chebyshev polynomial of the second kind, is orthogonal to polynomials with
# r terms and at most 1, so |integral of the bump times it| is a lower bound. The bump is even
# around the middle and U_r is so for even r; for odd r, r + 1 serves, the distance being less.
@functools.lru_cache(maxsize=256)
def distance_from_polynomials(degree: int, terms: int, p: float) -> float:
    r"""A lower bound of the distance in $L^p(0, 1)$, p = 1, 2, infinity, to `terms` powers of x."""
    bump = _bump(degree)
    if p == 2:
        return math.sqrt(max(_squared(bump, degree, terms), 0.0)) * _INWARD
    if math.isinf(p):
        values = np.nan_to_num(bump(np.linspace(0.0, 1.0, _GRID + 1)))
        best = 0.0
        for step in range(1, _GRID // max(terms, 1) + 1):
            difference = np.zeros(_GRID + 1 - terms * step)
            for i in range(terms + 1):
                part = values[i * step : i * step + difference.size]
                difference += (-1) ** i * math.comb(terms, i) * part
            best = max(best, float(np.abs(difference).max()))
        return best / 2**terms * _INWARD
    even = terms + terms % 2
    zeros = (1 - np.cos(np.arange(even + 2) * np.pi / (even + 1))) / 2
    primitive = bump.antiderivative()
    heights = primitive(np.clip(zeros, 0.0, 1.0 - 2.0**-53))
    signs = np.where(np.arange(even + 1) % 2 == 0, 1.0, -1.0)
    return abs(float(signs @ np.diff(heights))) * _INWARD


def _squared(bump: BSpline, degree: int, terms: int) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(degree + terms + 1)
    pieces = degree + 1
    x = ((np.arange(pieces)[:, None] + (nodes + 1) / 2) / pieces).ravel()
    weights = np.tile(weights / 2 / pieces, pieces)
    values = bump(x)
    legendre = np.polynomial.legendre.legvander(2 * x - 1, max(terms - 1, 0))[:, :terms]
    moments = (values * weights) @ legendre
    total = float(np.sum(values**2 * weights))
    return total - float(np.sum((2 * np.arange(terms) + 1) * moments**2))


def degree_for(function_class: AbstractFunctionClass) -> int | None:
    """The degree of bumps that the class holds in multiples, None where no count is at hand."""
    if isinstance(function_class, Lipschitz | BoundedVariation):
        return 1
    if isinstance(function_class, Hoelder | PiecewiseSmooth):
        return math.ceil(function_class.smoothness)
    if isinstance(function_class, Sobolev):
        return int(function_class.smoothness)
    return None


# `used` bumps of height c (times the unit bump) on disjoint cells of length h, any signs; d is the
# degree and w = h/(d + 1) the distance of knots.
#
# Hoelder, s = k + a, d = k + 1: the k-th derivative is piecewise linear with values
# +-c binomial(k, j)/w^k at the knots, neighbors being at most c binomial(k + 1, j)/w^k apart (a
# bump begins and ends with 0). So it changes by at most min(B' t/w, 2 B) c/w^k over a distance t,
# B and B' being the largest binomials, at most (2 B)^(1-a) (B' t/w)^a c/w^k: c as below. For k = 0
# that is h^a/2.
#
# Sobolev, d = m: the m-th derivative is piecewise constant with values +-c binomial(m, j)/w^m, so
# its p-th power has the integral used c^p w^(1 - m p) sum of binomial(m, j)^p. The p-th power of f
# has at most used c^p h.
#
# Bounded variation, d = 1: 2 c for each bump.
def height(function_class: AbstractFunctionClass, cell: float, used: int) -> float:
    """A height such that all sums of `used` bumps on disjoint cells are in the class."""
    r = float(function_class.radius)
    if isinstance(function_class, Lipschitz | Hoelder | PiecewiseSmooth):
        k = math.ceil(function_class.smoothness) - 1
        a = function_class.smoothness - k
        w = cell / (k + 2)
        value, step = math.comb(k, k // 2), math.comb(k + 1, (k + 1) // 2)
        largest = r * w ** (k + a) / ((2 * value) ** (1 - a) * step**a)
        return min(largest, r) * _INWARD
    if isinstance(function_class, Sobolev):
        m, p = int(function_class.smoothness), float(function_class.p)
        w = cell / (m + 1)
        if math.isinf(p):
            return min(r * w**m / math.comb(m, m // 2), r) * _INWARD
        total = sum(math.comb(m, j) ** p for j in range(m + 1))
        largest = r * w**m / (used * w * total) ** (1 / p)
        return min(largest, r / (used * cell) ** (1 / p)) * _INWARD
    assert isinstance(function_class, BoundedVariation)
    return r / (2 * used) * _INWARD
