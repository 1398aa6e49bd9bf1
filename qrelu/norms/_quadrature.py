"""Adaptive Gauss-Kronrod quadrature of |difference|^p on many cells at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._bound import declared_curvature
from ._difference import EPS, Cells, Cuts, Difference
from ._first_cells import in_parts
from ._kronrod import COUNT, LEFT, RIGHT, WEIGHTS, error, hidden
from ._roots import cuts
from ._units import exponent

# 4,096 cells of 15 nodes: half a megabyte per array, which stays in the cache.
BLOCK = 4096
# What refinement may cost on top of `points`: four cuts of every piece.
_PER_PIECE = 4 * COUNT
# What the search for hidden bumps may cost: one cut of every piece and a little more.
_BUMPS = 2**12
# Where no curvature is known the nodes must be close to each other from the beginning. Neighbors
# are at most 0.104 of a cell apart, so on cells of 1/128 of the domain at most 1/1231 of it.
_WATCH = 128


class Integrals(NamedTuple):
    """Per piece: the integral of |difference|^p, its quadrature error, and squared noise.

    `noise` is the integral over the piece of eta^p, eta a bound on the rounding error of the
    difference: by the triangle inequality the norm itself is known to within (sum noise)^(1/p).
    The difference is measured in units of 2^exponent.
    """

    values: np.ndarray
    errors: np.ndarray
    noise: np.ndarray
    exponent: int = 0


class _Rule(NamedTuple):
    values: np.ndarray
    errors: np.ndarray
    noise: np.ndarray
    floor: np.ndarray
    hidden: np.ndarray
    peak: np.ndarray
    at: np.ndarray
    index: np.ndarray


# The rounding error eta of the difference at x, when both functions are evaluated with errors of a
# few units in the last place. The approximant: EPS max(|p(u)|, |p(v)|), twice (product and sum).
# The target: 2 EPS |f| for the result and EPS |x f'(x)| for the argument that it rounds on the way
# (exp(3x) rounds 3x); |f| <= |p| + |d| and |f'| <= |s| + |d'|, with |d'| about spread/h. The node
# itself is rounded too, which moves d by EPS |x| |d'|: inside the last term.
def _noise(difference: Difference, cells: Cells, d: np.ndarray) -> np.ndarray:
    size, steepness = difference.sizes[cells.owner], difference.steepness[cells.owner]
    top, bottom = d.max(axis=0), d.min(axis=0)
    h = cells.upper - cells.lower
    far = np.maximum(np.abs(cells.lower), np.abs(cells.upper))
    peak = np.maximum(top, -bottom)
    noise = EPS * (4 * size + 2 * peak + 2 * far * (steepness + (top - bottom) / h))
    return noise + difference.least


def _rule(
    difference: Difference,
    cells: Cells,
    power: int,
    search: np.ndarray,
    curvature: Callable[[Cells], np.ndarray] | None,
) -> _Rule:
    u, v = cells.lower, cells.upper
    h = v - u
    slope = difference.slopes[cells.owner]
    # The samples, and a first and a last row for the ends.
    x = np.empty((COUNT + 2, len(u)))
    d = np.empty((COUNT + 2, len(u)))
    half = len(LEFT) + 1
    x[0], x[-1] = u, v
    np.add(u, LEFT * h, out=x[1:half])
    np.subtract(v, RIGHT * h, out=x[half:-1])
    d[:half] = cells.left + slope * (x[:half] - u)
    d[half:] = cells.right - slope * (v - x[half:])
    d -= difference.of_target(x)
    inner = d[1:-1]
    eta = _noise(difference, cells, inner)
    size = np.abs(d)
    # A singular end may be infinite, or belong to the other side of a jump.
    size[[0, -1]] = np.where(np.isin(x[[0, -1]], difference.singular), np.nan, size[[0, -1]])
    bad = ~np.isfinite(size)
    bad[[0, -1]] = np.isinf(size[[0, -1]])
    if bad.any():
        raise difference.not_finite(x[bad], d[bad])
    peak = np.fmax.reduce(size)
    magnitude = size * size if power == 2 else size
    values = h * (WEIGHTS @ magnitude[1:-1])
    ends = magnitude[[0, -1]]
    errors = error(magnitude[1:-1], ends, h)
    bumps = np.zeros(len(u)) if curvature is None else hidden(inner, h, curvature(cells), power)
    if power == 2:
        noise = h * eta**2
        floor = 2 * np.sqrt(values) * np.sqrt(noise) + noise + 4 * EPS * values
        none = np.empty(0), np.empty(0, dtype=int)
        return _Rule(values, errors, noise, floor, bumps, peak, *none)
    noise = h * eta
    floor = noise + 4 * EPS * values
    columns = np.flatnonzero(search)
    if len(columns) < len(u):
        cells, x, d, eta = cells.take(columns), x[:, columns], d[:, columns], eta[columns]
    at, index = cuts(difference, cells, x, d, 4 * eta)
    return _Rule(values, errors, noise, floor, bumps, peak, at, columns[index])


def _measure(
    difference: Difference,
    cells: Cells,
    power: int,
    search: np.ndarray,
    curvature: Callable[[Cells], np.ndarray] | None,
) -> _Rule:
    parts = []
    for start in range(0, cells.count, BLOCK):
        block = slice(start, start + BLOCK)
        part = _rule(difference, cells.take(block), power, search[block], curvature)
        parts.append(part._replace(index=part.index + start))
    if len(parts) == 1:
        return parts[0]
    return _Rule(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def integrate(difference: Difference, power: int, accuracy: float, points: int) -> Integrals:
    r"""Integral of |difference|^p over every piece of the approximant, p = 1 or 2.

    While the error estimates above the floor of the arithmetic add up to more than
    `power * accuracy` times the integral (the norm to a relative `accuracy`), the cells with the
    largest are cut: in two, graded toward singular points, and for p = 1 where the difference
    changes its sign. After the first pass over the merged pieces about `points` values of the
    target are asked for at most, and 60 more for every piece. Where the target has no finite bound
    on its curvature, the first pass looks at parts of the domain that are short enough to show
    every feature wider than 1/1000 of it. Where squares would leave the range of float64 all is
    measured again in units of the largest value.
    """
    curvature = declared_curvature(difference)
    cells = difference.cells()
    cells = in_parts(difference, cells, _unknown(difference, cells, curvature), _WATCH)
    # The parts between sign changes are taken to have one sign; halves of them are searched again.
    search = np.ones(cells.count, dtype=bool)
    budget = points + _PER_PIECE * difference.count
    allowance = _BUMPS + 2 * COUNT * difference.count
    values, errors, noise = sums = np.zeros((3, difference.count))
    total, accepted, spent = 0.0, 0.0, 0
    peak = float(difference.sizes.max())
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            rule = _measure(difference, cells, power, search, curvature)
        peak = max(peak, float(rule.peak.max()))
        if exponent(peak) > 0:
            return integrate(difference.in_units(exponent(peak)), power, accuracy, points)
        gaps = np.maximum(rule.errors - rule.floor, 0.0)
        # A cell with a sign change inside is not smooth: the rules may agree by accident.
        kinked = np.unique(rule.index)
        gaps[kinked] = np.maximum(gaps[kinked], 0.05 * rule.values[kinked])
        goal = power * accuracy * (total + rule.values.sum())
        refine = _worst(gaps, goal - accepted, (budget - spent) // COUNT)
        if curvature is not None:
            # A bound that is loose everywhere asks for this everywhere: hence the allowance.
            sizes = np.where(rule.hidden > rule.floor, rule.hidden, 0.0)
            bumps = _worst(sizes, goal, allowance // COUNT)
            allowance -= 2 * COUNT * len(bumps)
            curvature = None if allowance < 2 * COUNT else curvature
            refine = np.union1d(refine, bumps)
        # A cell of a few adjacent floats cannot be cut: it keeps its value and its error.
        far = np.maximum(np.abs(cells.lower[refine]), np.abs(cells.upper[refine]))
        refine = refine[cells.upper[refine] - cells.lower[refine] > 4 * np.spacing(far)]
        keep = np.ones(cells.count, dtype=bool)
        keep[refine] = False
        columns = (rule.values, np.maximum(rule.errors, gaps), rule.noise)
        for row, column in zip(sums, columns, strict=True):
            row += np.bincount(cells.owner[keep], column[keep], minlength=difference.count)
        if not len(refine):
            if exponent(peak) < 0:
                return integrate(difference.in_units(exponent(peak)), power, accuracy, points)
            return Integrals(values, errors, noise, difference.exponent)
        total += rule.values[keep].sum()
        accepted += gaps[keep].sum()
        signed = np.isin(rule.index, refine)
        at, index = rule.at[signed], rule.index[signed]
        inside = Cuts.of(cells, at, index)
        parts = difference.split(cells, inside)
        # A change of sign that rounding has moved to an end of its cell cuts nothing.
        halves = difference.cut(cells, np.setdiff1d(refine, inside.cells))
        cells = Cells.join(parts, halves)
        search = np.arange(cells.count) >= parts.count
        spent += COUNT * cells.count


def _unknown(
    difference: Difference, cells: Cells, curvature: Callable[[Cells], np.ndarray] | None
) -> np.ndarray:
    """The cells where no bound says what may be between two samples.

    Next to a singular point a bound is infinite with nothing to hide: there it is asked for what
    begins a part of the cell away.
    """
    if curvature is None:
        return np.ones(cells.count, dtype=bool)
    away = (cells.upper - cells.lower) / _WATCH
    lower = cells.lower + np.where(np.isin(cells.lower, difference.singular), away, 0.0)
    upper = cells.upper - np.where(np.isin(cells.upper, difference.singular), away, 0.0)
    return ~np.isfinite(curvature(cells._replace(lower=lower, upper=upper)))


def _worst(gaps: np.ndarray, budget: float, limit: int) -> np.ndarray:
    """The cells with the largest gaps; what the others add up to is at most half the budget."""
    if gaps.sum() <= budget:
        return np.empty(0, dtype=int)
    order = np.argsort(gaps, kind="stable")
    kept = int(np.searchsorted(np.cumsum(gaps[order]), 0.5 * budget, side="right"))
    return np.sort(order[max(kept, len(order) - limit // 2) :])
