r"""Wavelet coefficients of a target: all of them to some level, and below it those at its jumps.

The coefficients at a jump fall by $2^{-1/2}$ from level to level only, where those of the smooth
parts fall by $2^{-n-1/2}$. So the deep levels are visited where the target is singular: at its
declared breakpoints, at the jumps that bisection finds, at the ends of the interval. Each such
point is in the supports of a few wavelets of every level: a cone of terms.
"""

import math
from typing import NamedTuple

import numpy as np

from ._jumps import jumps
from ._piece_values import piece_values
from ._quadrature import Quadrature
from ._wavelet_filters import analysis, filters, integration_rule, shift

# The cells of the deepest level are this much of the interval, or this many units in the last place
# of its larger end, whichever is more.
_DEEPEST, _UNITS = 48, 64
# Beside the wavelets over a singular point, places on either side: a cusp x^a at a distance of m
# places leaves an error of m^(a - 8) in the rule of eight places.
_BESIDE = 4


class Terms(NamedTuple):
    """Numbers of terms, increasing, and their coefficients."""

    numbers: np.ndarray
    coefficients: np.ndarray


def deepest_level(lower: float, upper: float) -> int:
    """The last level of cells that floats tell apart."""
    units = (upper - lower) / (_UNITS * np.spacing(max(abs(lower), abs(upper))))
    return min(max(int(math.log2(units)), 0), _DEEPEST)


def singular_points(points: Quadrature) -> np.ndarray:
    """Where the target may be singular inside, as parts of the interval."""
    if points.sampled:
        return np.zeros(0)
    places = np.union1d(points.kinks, jumps(points).places)
    return (places - points.lower) / (points.upper - points.lower)


def haar_terms(points: Quadrature, levels: int) -> Terms:
    """The Haar coefficients to `levels`, and those at singular points below it."""
    a, b = points.lower, points.upper
    inner = singular_points(points)
    ends = np.array([0.0, 1.0]) if not points.sampled else np.zeros(0)
    singular = np.concatenate([ends, inner])
    deepest = max(deepest_level(a, b), levels)
    # The cells of every level that hold a singular point, both of them at an end of two.
    cells = {}
    for level in range(levels, deepest if singular.size else levels):
        place = singular * 2.0**level
        near = np.floor(place[:, None] + 2.0**-20 * np.array([-1.0, 1.0])).astype(np.int64)
        cells[level] = np.unique(np.clip(near, 0, 2**level - 1))
    # All cells that are not cut, by their places at the deepest level.
    cuts = [np.arange(2**levels + 1) << (deepest - levels)]
    cuts += [(2 * at + 1) << (deepest - level - 1) for level, at in cells.items()]
    places = np.unique(np.concatenate(cuts))
    x = a + (b - a) * (places / 2.0**deepest)
    x[0], x[-1] = a, b
    jumped = points._replace(mesh=np.union1d(points.mesh, a + (b - a) * inner))
    integrals = piece_values(jumped, x, 2.0) * np.diff(x)
    # From fine to coarse: the two halves of a cell are next to each other.
    numbers, found = [], []
    starts = places[:-1]
    for level, at in sorted(cells.items(), reverse=True):
        left = np.searchsorted(starts, at << (deepest - level))
        difference = integrals[left] - integrals[left + 1]
        numbers.append((1 << level) + at)
        found.append(difference * math.sqrt(2.0**level / (b - a)))
        integrals[left] += integrals[left + 1]
        integrals = np.delete(integrals, left + 1)
        starts = np.delete(starts, left + 1)
    coarse = analysis(integrals * math.sqrt(2.0**levels / (b - a)), "haar")
    numbers.append(np.arange(coarse.size))
    found.append(coarse)
    return Terms(np.concatenate(numbers[::-1]), np.concatenate(found[::-1]))


class _Period(NamedTuple):
    """A target continued to a period, with the rule for its scaling coefficients."""

    points: Quadrature
    wavelet: str
    reflected: bool

    def values(self, places: np.ndarray, level: int) -> np.ndarray:
        """The target at places of a level."""
        a, b = self.points.lower, self.points.upper
        places = np.mod(places, 1 << level)
        if self.reflected:
            places = np.minimum(places, (1 << level) - places)
        x = a + (b - a) * (places / 2.0 ** (level - self.reflected))
        return self.points.function(np.clip(x, a, b).ravel()).reshape(x.shape)

    def scaling(self, numbers: np.ndarray, level: int) -> np.ndarray:
        """Coefficients of the scaling functions of a level, each by a rule of values."""
        start, weights = integration_rule(self.wavelet)
        first = numbers + (start - shift(self.wavelet))
        places, where = np.unique(
            (first[:, None] + np.arange(weights.size)).ravel(), return_inverse=True
        )
        values = self.values(places, level)[where.reshape(-1, weights.size)]
        return values @ weights * math.sqrt(self.cell(level))

    def all_scaling(self, level: int) -> np.ndarray:
        """Those of a whole level: a circular convolution."""
        start, weights = integration_rule(self.wavelet)
        values = self.values(np.arange(1 << level), level)
        total = np.zeros_like(values)
        for i, weight in enumerate(weights):
            total += weight * np.roll(values, shift(self.wavelet) - start - i)
        return total * math.sqrt(self.cell(level))

    def cell(self, level: int) -> float:
        """The length of a cell."""
        return (self.points.upper - self.points.lower) * 2.0 ** (self.reflected - level)


def daubechies_terms(points: Quadrature, levels: int, wavelet: str, reflected: bool) -> Terms:
    """The coefficients to `levels`, and those at singular points below it, of a continuation.

    A scaling coefficient comes from the values of the target at the places of its own level, or,
    where a singular point is near, from those of the level below it.
    """
    period = _Period(points, wavelet, reflected)
    coarse_level = levels + reflected
    deepest = max(deepest_level(points.lower, points.upper), levels) + reflected
    inner = singular_points(points)
    singular = np.concatenate([inner, [0.0, 1.0]])
    if reflected:
        singular = np.concatenate([inner / 2, 1 - inner / 2, [0.0, 0.5]])
    h, g = filters(wavelet)
    s = shift(wavelet)
    around = np.arange(-s - 2 - _BESIDE, s + 2 + _BESIDE)
    stencil = np.arange(h.size) - s
    numbers, found = [], []
    known, values = np.zeros(0, np.int64), np.zeros(0)
    for level in range(deepest - 1, coarse_level - 1, -1):
        at = np.floor(singular * 2.0**level).astype(np.int64)
        at = np.unique(np.mod(at[:, None] + around, 1 << level))
        needed = np.mod(2 * at[:, None] + stencil, 2 << level)
        finer, where = np.unique(needed, return_inverse=True)
        below = np.empty(finer.size)
        exact = np.isin(finer, known)
        below[exact] = values[np.searchsorted(known, finer[exact])]
        below[~exact] = period.scaling(finer[~exact], level + 1)
        below = below[where.reshape(needed.shape)]
        numbers.append((1 << level) + at)
        found.append(below @ g)
        known, values = at, below @ h
    scaling = period.all_scaling(coarse_level)
    scaling[known] = values
    coarse = analysis(scaling, wavelet)
    numbers.append(np.arange(coarse.size))
    found.append(coarse)
    return Terms(np.concatenate(numbers[::-1]), np.concatenate(found[::-1]))
