"""Adaptive Gauss-Kronrod quadrature of |difference|^p on many cells at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._bound import declared_curvature
from ._difference import EPS, Cells, Cuts, Difference
from ._roots import cuts

# Gauss 7, Kronrod 15 on [-1, 1], from QUADPACK (Piessens et al. 1983), routine qk15.
_NODES = np.array(
    [
        0.991455371120812639206854697526329,
        0.949107912342758524526189684047851,
        0.864864423359769072789712788640926,
        0.741531185599394439863864773280788,
        0.586087235467691130294144691693,
        0.405845151377397166906606412076961,
        0.207784955007898467600689403773245,
        0.0,
    ]
)
_KRONROD = np.array(
    [
        0.022935322010529224963732008058970,
        0.063092092629978553290700663189204,
        0.104790010322250183839876322541518,
        0.140653259715525918745189590510238,
        0.169004726639267902826583426598550,
        0.190350578064785409913256402421014,
        0.204432940075298892414161999234649,
        0.209482141084727828012999174891714,
    ]
)
_GAUSS = np.array(
    [
        0.129484966168869693270611432679082,
        0.279705391489276667901467771423780,
        0.381830050505118944950369775488975,
        0.417959183673469387755102040816327,
    ]
)
# On [0, 1]: distances from the left end of the first eight nodes; the rest by symmetry.
LEFT = (1 - _NODES)[:, None] / 2
RIGHT = LEFT[-2::-1]
WEIGHTS = np.concatenate([_KRONROD, _KRONROD[-2::-1]]) / 2
GAUSS = np.concatenate([_GAUSS, _GAUSS[-2::-1]]) / 2
COUNT = len(WEIGHTS)
# Second divided differences of the samples, times 2: averages of h^2 d'' over three nodes.
_NODE = np.concatenate([LEFT[:, 0], 1 - RIGHT[:, 0]])
_SECOND = np.zeros((COUNT - 2, COUNT))
for _k in range(COUNT - 2):
    _u, _m, _v = _NODE[_k : _k + 3]
    _SECOND[_k, _k : _k + 3] = (
        2 / ((_m - _u) * (_v - _u)),
        -2 / ((_m - _u) * (_v - _m)),
        2 / ((_v - _m) * (_v - _u)),
    )
# The largest gap between nodes: a d with |d''| <= B leaves its interpolant by B gap^2/8 there.
_HIDDEN = float(np.diff(_NODE).max()) ** 2 / 8
# 4,096 cells of 15 nodes: half a megabyte per array, which stays in the cache.
BLOCK = 4096
# What refinement may cost on top of `points`: four cuts of every piece.
_PER_PIECE = 4 * COUNT
# What the search for hidden bumps may cost: one cut of every piece and a little more.
_BUMPS = 2**12


class Integrals(NamedTuple):
    """Per piece: the integral of |difference|^p, its quadrature error, and squared noise.

    `noise` is the integral over the piece of eta^p, eta a bound on the rounding error of the
    difference: by the triangle inequality the norm itself is known to within (sum noise)^(1/p).
    """

    values: np.ndarray
    errors: np.ndarray
    noise: np.ndarray


class _Rule(NamedTuple):
    values: np.ndarray
    errors: np.ndarray
    noise: np.ndarray
    floor: np.ndarray
    hidden: np.ndarray
    at: np.ndarray
    index: np.ndarray


# The rounding error eta of the difference at x, when both functions are evaluated with errors of a
# few units in the last place. The approximant: EPS max(|p(u)|, |p(v)|), twice (product and sum).
# The target: 2 EPS |f| for the result and EPS |x f'(x)| for the argument that it rounds on the way
# (exp(3x) rounds 3x); |f| <= |p| + |d| and |f'| <= |s| + |d'|, with |d'| about spread/h. The node
# itself is rounded too, which moves d by EPS |x| |d'|: inside the last term.
def _noise(cells: Cells, slope: np.ndarray, h: np.ndarray, d: np.ndarray) -> np.ndarray:
    top, bottom = d.max(axis=0), d.min(axis=0)
    size = np.maximum(np.abs(cells.left), np.abs(cells.right))
    far = np.maximum(np.abs(cells.lower), np.abs(cells.upper))
    peak = np.maximum(top, -bottom)
    return EPS * (4 * size + 2 * peak + 2 * far * (np.abs(slope) + (top - bottom) / h))


# Two rules that agree may both have missed a bump between their nodes. A declared curvature bound B
# says when that is possible: it is several times what the samples show. What could then hide is
# B gap^2/8 on top of the largest sample. A bound that is loose everywhere says this of every cell;
# such refinement therefore has an allowance of its own.
def _hidden(d: np.ndarray, h: np.ndarray, bound: np.ndarray, power: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        scaled = bound * h**2
    seen = np.abs(_SECOND @ d).max(axis=0)
    peak = np.abs(d).max(axis=0)
    possible = np.isfinite(scaled) & (scaled > 4 * seen)
    bump = _HIDDEN * np.where(possible, scaled, 0.0)
    return h * (bump if power == 1 else bump * (2 * peak + bump))


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
    x = np.empty((COUNT, len(u)))
    d = np.empty((COUNT, len(u)))
    half = len(LEFT)
    np.add(u, LEFT * h, out=x[:half])
    np.subtract(v, RIGHT * h, out=x[half:])
    d[:half] = cells.left + slope * (x[:half] - u)
    d[half:] = cells.right - slope * (v - x[half:])
    d -= difference.of_target(x)
    eta = _noise(cells, slope, h, d)
    magnitude = d * d if power == 2 else np.abs(d)
    values = h * (WEIGHTS @ magnitude)
    if not np.isfinite(values).all():
        raise difference.not_finite(x, d)
    errors = np.abs(values - h * (GAUSS @ magnitude[1::2]))
    hidden = np.zeros(len(u)) if curvature is None else _hidden(d, h, curvature(cells), power)
    if power == 2:
        noise = h * eta**2
        floor = 2 * np.sqrt(values * noise) + noise + 4 * EPS * values
        return _Rule(values, errors, noise, floor, hidden, np.empty(0), np.empty(0, dtype=int))
    noise = h * eta
    floor = noise + 4 * EPS * values
    columns = np.flatnonzero(search)
    if len(columns) < len(u):
        cells, x, d, eta = cells.take(columns), x[:, columns], d[:, columns], eta[columns]
    at, index = cuts(difference, cells, x, d, 4 * eta)
    return _Rule(values, errors, noise, floor, hidden, at, columns[index])


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

    The gap of the two rules estimates the error of each cell. While the gaps above the floor of the
    arithmetic add up to more than `power * accuracy` times the integral (the norm to a relative
    `accuracy`), the cells with the largest are cut: in two, graded toward singular points, and for
    p = 1 where the difference changes its sign. About `points` values of the target are asked
    for at most, and 60 more for every piece, after the first pass over the merged pieces.
    """
    cells = difference.cells()
    # The parts between sign changes are taken to have one sign; halves of them are searched again.
    search = np.ones(cells.count, dtype=bool)
    points += _PER_PIECE * difference.count
    curvature = declared_curvature(difference)
    allowance = _BUMPS + 2 * COUNT * difference.count
    sums = np.zeros((3, difference.count))
    total, accepted, spent = 0.0, 0.0, 0
    while True:
        rule = _measure(difference, cells, power, search, curvature)
        gaps = np.maximum(rule.errors - rule.floor, 0.0)
        # A cell with a sign change inside is not smooth: the rules may agree by accident.
        kinked = np.unique(rule.index)
        gaps[kinked] = np.maximum(gaps[kinked], 0.05 * rule.values[kinked])
        goal = power * accuracy * (total + rule.values.sum())
        refine = _worst(gaps, goal - accepted, (points - spent) // COUNT)
        if curvature is not None:
            hidden = np.where(rule.hidden > rule.floor, rule.hidden, 0.0)
            bumps = _worst(hidden, goal, allowance // COUNT)
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
            return Integrals(*sums)
        total += rule.values[keep].sum()
        accepted += gaps[keep].sum()
        signed = np.isin(rule.index, refine)
        at, index = rule.at[signed], rule.index[signed]
        parts = difference.split(cells, Cuts.of(cells, at, index))
        halves = difference.cut(cells, np.setdiff1d(refine, index))
        cells = Cells.join(parts, halves)
        search = np.arange(cells.count) >= parts.count
        spent += COUNT * cells.count


def _worst(gaps: np.ndarray, budget: float, limit: int) -> np.ndarray:
    """The cells with the largest gaps; what the others add up to is at most half the budget."""
    if gaps.sum() <= budget:
        return np.empty(0, dtype=int)
    order = np.argsort(gaps, kind="stable")
    kept = int(np.searchsorted(np.cumsum(gaps[order]), 0.5 * budget, side="right"))
    return np.sort(order[max(kept, len(order) - limit // 2) :])
