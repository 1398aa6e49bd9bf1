"""Sums of terms in two variables, their coefficients rounded."""

import dataclasses
import math

import numpy as np

from ..families import TensorSeries, TensorWaveletSum
from ._lifting import growing

PlaneSum = TensorSeries | TensorWaveletSum

# Estimates of an error may be too large by these factors: coefficients of series are those of the
# projection up to a quadrature, wavelets lose a part at boundaries.
_SLACK = {TensorSeries: 1.03, TensorWaveletSum: 1.25}


def rounded_in_plane(function: PlaneSum, step: float, dead: float) -> PlaneSum:
    """Rounded with a dead zone; terms that became zero are left out, but one."""
    values, _ = _moved(function, step, dead)
    kept = np.flatnonzero(values)
    kept = kept if kept.size else np.zeros(1, np.intp)
    fewer = dataclasses.replace(function, coefficients=values[kept], terms=function.terms[kept])
    if isinstance(fewer, TensorSeries) and kept.size < values.size:
        return dataclasses.replace(fewer, chosen=True)
    return fewer


# The bases are orthogonal, so that the squares of an error and of what rounding moves add up where
# the coefficients are those of the projection. In the sup norm an error is at least its root mean
# square; for L^1 nothing is known before it is measured.
def plausible(
    function: PlaneSum, step: float, dead: float, accuracy: float, error: float, p: float
) -> bool:
    """Whether a rounded sum may be within the accuracy: false saves the measurement.

    `error` is that of the sum before rounding, in the norm.
    """
    squared, most = _moved(function, step, dead)[1], _SLACK[type(function)] * accuracy
    if p == 2:
        return math.sqrt(error**2 + squared) <= most
    if p == math.inf:
        return math.sqrt(squared / _area(function)) <= most
    return True


def _area(function: PlaneSum) -> float:
    lower, upper = np.asarray(function.domain)
    return float(np.prod(upper - lower))


def _moved(function: PlaneSum, step: float, dead: float) -> tuple[np.ndarray, float]:
    """The rounded coefficients, and the squared L^2 norm of what they moved by."""
    values = function.coefficients
    units, squares = np.full(values.size, step), np.ones(values.size)
    if isinstance(function, TensorSeries):
        squares *= _area(function)
        if function.basis == "legendre":
            i, j = function.terms.T
            growth = growing(int(function.terms.max()) + 1)
            units = step * growth[i] * growth[j]
            squares /= (2 * i + 1) * (2 * j + 1)
    codes = np.rint(values / units)
    codes[np.abs(values) < dead * units] = 0.0
    found = codes * units + 0.0
    return found, float(squares @ (found - values) ** 2)
