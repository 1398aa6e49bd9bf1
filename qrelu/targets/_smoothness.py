"""Where a function given only by its values is smooth, and its second derivative there."""

import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from ._limits import power_integral

_DEGREE = 16
_TAIL = 1e-11  # coefficients below this, relative to the largest value, are taken for rounding
_DEEPEST = 44  # halvings; beyond, two points of a cell in (0, 1) are no longer told apart safely
_DEEP = 12  # halvings after which a resolved cell is a sign of a singular point beside it
_MOST_CELLS = 2048  # at one level; more means a function that is rough everywhere

_ODD = 0.37139  # where a second look begins to halve: no place that a person would choose
_NEAR, _WIDER = 2.0**-43, 1024  # a difference over a gap that stays over a wider one is a jump

_ANGLES = (np.arange(_DEGREE + 1) + 0.5) * math.pi / (_DEGREE + 1)
_NODES = np.cos(_ANGLES)
# Discrete orthogonality of the Chebyshev polynomials at their zeros.
_TO_COEFFICIENTS = np.cos(np.outer(np.arange(_DEGREE + 1), _ANGLES)) * 2 / (_DEGREE + 1)
_TO_COEFFICIENTS[0] /= 2


class Smoothness(NamedTuple):
    r"""The second derivative on cells that resolve it, as Chebyshev series.

    - `lower`, `upper`, `level`: the cells that resolve it and how often each was halved.
    - `second`: the coefficients of f'' on each cell, one row per cell.
    - `rough`: the cells where it is not resolved, as pairs of floats.
    - `complete`: whether the search ended; False for a function that is rough everywhere.
    """

    lower: np.ndarray
    upper: np.ndarray
    level: np.ndarray
    second: np.ndarray
    rough: tuple[tuple[float, float], ...]
    complete: bool


def smoothness(evaluate: Callable[[np.ndarray], np.ndarray], cuts: tuple[float, ...]) -> Smoothness:
    """Halve the cells between `cuts` until a polynomial resolves the function on each.

    A cell is resolved when the last three Chebyshev coefficients are rounding. Coefficients at the
    level of rounding are set to 0 before the series is differentiated, so that a linear function
    has second derivative 0.
    """
    lower, upper = np.asarray(cuts[:-1], float), np.asarray(cuts[1:], float)
    found, scale, rough = [], 0.0, ()
    for level in range(_DEEPEST + 1):
        middle, half = (lower + upper) / 2, (upper - lower) / 2
        values = evaluate(middle[:, None] + half[:, None] * _NODES)
        scale = max(scale, float(np.abs(values).max(initial=0.0)))
        coefficients = values @ _TO_COEFFICIENTS.T
        smooth = np.abs(coefficients[:, -3:]).max(axis=1) <= _TAIL * scale
        kept = np.where(np.abs(coefficients[smooth]) > _TAIL * scale, coefficients[smooth], 0.0)
        second = chebyshev.chebder(kept, 2, axis=1) / half[smooth, None] ** 2
        found.append((lower[smooth], upper[smooth], np.full(smooth.sum(), level), second))
        lower, upper, middle = lower[~smooth], upper[~smooth], middle[~smooth]
        if not lower.size:
            break
        if 2 * lower.size > _MOST_CELLS or level == _DEEPEST:
            rough = tuple(zip(lower.tolist(), upper.tolist(), strict=True))
            break
        lower, upper = np.concatenate([lower, middle]), np.concatenate([middle, upper])
    complete = not rough or 2 * len(rough) <= _MOST_CELLS
    cells = [np.concatenate(part) for part in zip(*found, strict=True)]
    return Smoothness(cells[0], cells[1], cells[2], cells[3], rough, complete)


def estimated_integral(shape: Smoothness, s: float) -> float | None:
    r"""$\int |f''|^s$ from the resolved cells, or None where the rest may matter.

    Towards a singular point the cells halve, and what they contribute falls like a geometric
    series; the cells beyond the last add its tail. The estimate is given up if that tail is more
    than a hundredth of the whole.
    """
    if not shape.complete or not shape.lower.size:
        return None
    cells = zip(shape.lower, shape.upper, shape.second, strict=True)
    parts = np.array([_cell_integral(lower, upper, second, s) for lower, upper, second in cells])
    deepest = int(shape.level.max())
    if deepest < _DEEP and not shape.rough:
        return float(parts.sum())
    # The deepest level is cut off on one side and may hold a kink that passed for a steep curve;
    # the series takes its place.
    by_level = np.bincount(shape.level, parts, minlength=deepest + 1)
    total = by_level[:deepest].sum()
    last, before = by_level[deepest - 4 : deepest].sum(), by_level[deepest - 12 : deepest - 8].sum()
    if last == 0:
        return float(total)
    if last >= before:
        return None
    ratio = (last / before) ** (1 / 8)
    tail = by_level[deepest - 1] * ratio / (1 - ratio)
    return float(total + tail) if tail <= 0.01 * total else None


@lru_cache(maxsize=1)
def _fine() -> np.ndarray:
    return np.linspace(-1, 1, 129)


def _cell_integral(lower: float, upper: float, second: np.ndarray, s: float) -> float:
    """The integral of |f''|^s over one cell, cut where f'' changes sign."""
    values = chebyshev.chebval(_fine(), second)
    if not values.any():
        return 0.0
    change = np.flatnonzero(values[:-1] * values[1:] < 0)
    left, right = _fine()[change], _fine()[change + 1]
    for _ in range(45):
        middle = (left + right) / 2
        same = chebyshev.chebval(middle, second) * values[change] > 0
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    cuts = (-1.0, *((left + right) / 2).tolist(), 1.0)
    area = power_integral(lambda t: chebyshev.chebval(t, second), cuts, s)
    return area * (upper - lower) / 2


def largest_curvature(shape: Smoothness) -> float:
    """The largest |f''| on the resolved cells, infinite where it looks unbounded."""
    if shape.rough or not shape.lower.size or shape.level.max() >= _DEEP:
        return math.inf
    return float(np.abs(chebyshev.chebval(_fine(), shape.second.T)).max())


class Estimates:
    """What a function's values tell about its second derivative, worked out when first asked."""

    def __init__(self, evaluate: Callable[[np.ndarray], np.ndarray], cuts: tuple[float, ...]):
        self._evaluate, self._cuts = evaluate, cuts
        self._integrals: dict[float, float | None] = {}

    @cached_property
    def shape(self) -> Smoothness:
        return smoothness(self._evaluate, self._cuts)

    @cached_property
    def bounded(self) -> bool:
        """Whether the second derivative looks bounded between the cuts.

        A kink in the middle of the domain, or at another point that halving meets, goes unseen:
        so a second look halves from other points.
        """
        if not math.isfinite(largest_curvature(self.shape)):
            return False
        pairs = zip(self._cuts, self._cuts[1:], strict=False)
        cuts = sorted({*self._cuts, *(a + _ODD * (b - a) for a, b in pairs)})
        return math.isfinite(largest_curvature(smoothness(self._evaluate, tuple(cuts))))

    @cached_property
    def jumps(self) -> bool:
        """Whether the function jumps at the edge of a cell or inside one that is not resolved.

        At a point where f is Hoelder continuous with an exponent a, its difference over a gap is
        the part 1024^-a of that over a gap 1024 times as wide: below one half for a > 0.1.
        """
        lower, upper = self._cuts[0], self._cuts[-1]
        edges = self.shape.lower[self.shape.lower > lower]
        places = [*self._cuts[1:-1], *edges, *(sum(cell) / 2 for cell in self.shape.rough)]
        if not places or not self.shape.complete:
            return False
        centers = np.asarray(places)[:, None]
        gaps = (upper - lower) * _NEAR * np.array([1, _WIDER])
        values = self._evaluate(np.clip(np.stack([centers - gaps, centers + gaps]), lower, upper))
        near, far = np.abs(values[1] - values[0]).T
        scale = np.abs(self._evaluate(np.linspace(lower, upper, 65))).max()
        return bool(np.any((near > far / 2) & (near > 1e-9 * scale)))

    def integral(self, s: float) -> float:
        """The integral of |f''|^s, NaN where it is not established."""
        if s not in self._integrals:
            self._integrals[s] = estimated_integral(self.shape, s)
        value = self._integrals[s]
        return math.nan if value is None else value
