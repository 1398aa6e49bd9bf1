"""Sums of terms in two variables, their coefficients rounded."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..families import TensorSeries, TensorWaveletSum
from ._lifting import growing

PlaneSum = TensorSeries | TensorWaveletSum

# Estimates of an error may be too large by these factors: coefficients of series are those of the
# projection up to a quadrature, wavelets lose a part at boundaries.
_SLACK = {TensorSeries: 1.03, TensorWaveletSum: 1.25}
# How many steps are tried from the coarsest one down, and how many that are enough.
_STEPS, _REACHED = 100, 2


def rounded_in_plane(function: PlaneSum, step: float, dead: float) -> PlaneSum:
    """Rounded with a dead zone; terms that became zero are left out, but one."""
    values, _ = _moved(function, step, dead)
    return _first(function, np.arange(values.size), values)


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


# Of the terms by size the fewest that are within the accuracy: the error falls with more of them,
# but for what rounding moves, so that halving finds a number near the least.
def fewest_terms(
    function: PlaneSum, accuracy: float, error: float, enough: Callable[[Any], bool]
) -> Iterator[PlaneSum]:
    """For each of some steps the sum of few terms that is within the accuracy in L^2."""
    values = function.coefficients
    order = np.argsort(-np.abs(values) * np.sqrt(_squares(function)), kind="stable")
    largest = float(np.max(np.abs(values / _units(function, 1.0)), initial=accuracy))
    first, reached = 2.0 ** math.ceil(math.log2(largest)), 0
    for number in range(_STEPS):
        step = first * (1.0, 0.75)[number % 2] * 0.5 ** (number // 2)
        if not plausible(function, step, 0.5, accuracy, error, 2.0):
            continue
        rounded = _moved(function, step, 0.5)[0]
        best = _first(function, order, rounded)
        if not enough(best):
            continue
        low, high = 0, values.size
        while high - low > 1 + values.size // 50:
            middle = (low + high) // 2
            candidate = _first(function, order[:middle], rounded)
            if enough(candidate):
                high, best = middle, candidate
            else:
                low = middle
        yield best
        reached += 1
        if reached == _REACHED:
            return


def _first(function: PlaneSum, places: np.ndarray, values: np.ndarray) -> PlaneSum:
    """The terms at some places with other coefficients; those of zero are left out, but one."""
    found = np.zeros(values.size)
    found[places] = values[places]
    kept = np.flatnonzero(found)
    kept = kept if kept.size else np.zeros(1, np.intp)
    fewer = dataclasses.replace(function, coefficients=found[kept], terms=function.terms[kept])
    if isinstance(fewer, TensorSeries) and kept.size < found.size:
        return dataclasses.replace(fewer, chosen=True)
    return fewer


def _area(function: PlaneSum) -> float:
    lower, upper = np.asarray(function.domain)
    return float(np.prod(upper - lower))


def _units(function: PlaneSum, step: float) -> np.ndarray:
    """The grid spacing of each coefficient."""
    units = np.full(function.coefficients.size, step)
    if isinstance(function, TensorSeries) and function.basis == "legendre":
        i, j = function.terms.T
        growth = growing(int(function.terms.max()) + 1)
        units = step * growth[i] * growth[j]
    return units


def _squares(function: PlaneSum) -> np.ndarray:
    """The squared L^2 norms of the terms."""
    squares = np.ones(function.coefficients.size)
    if isinstance(function, TensorSeries):
        squares *= _area(function)
        if function.basis == "legendre":
            i, j = function.terms.T
            squares /= (2 * i + 1) * (2 * j + 1)
    return squares


def _moved(function: PlaneSum, step: float, dead: float) -> tuple[np.ndarray, float]:
    """The rounded coefficients, and the squared L^2 norm of what they moved by."""
    values, units = function.coefficients, _units(function, step)
    codes = np.rint(values / units)
    codes[np.abs(values) < dead * units] = 0.0
    found = codes * units + 0.0
    return found, float(_squares(function) @ (found - values) ** 2)
