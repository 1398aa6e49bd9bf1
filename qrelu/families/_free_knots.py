"""Free knots of splines of order 1, 3 and more; those of order 2 are `FreeKnot`'s."""

from typing import NamedTuple

import numpy as np

from ._balanced_knots import balanced_ends, equalized
from ._best_steps import MOST_JUMPS, MOST_PIECES, best_steps
from ._jumps import Jumps, jumps
from ._knot_descent import descended
from ._least_squares_spline import full_knots, projected
from ._level_steps import MOST_PIECES as MOST_LEVELS
from ._level_steps import level_steps
from ._nodes import composite_rule
from ._piece_values import piece_ranges, piece_values
from ._quadrature import Quadrature
from ._spline import apart, parted

# Knots nearer to a place where several meet make way, as a share of the domain.
_NEAR = 1e-9
# The share of the domain over which slopes on both sides of a breakpoint are taken.
_ASIDE = 2.0**-16


class _Meetings(NamedTuple):
    """Places where several knots meet."""

    places: np.ndarray
    times: np.ndarray

    def joined(self, ends: np.ndarray) -> np.ndarray:
        """The ends of the pieces together with these, all in order."""
        places = self.places
        if places.size == 0:
            return ends
        together = np.sort(np.concatenate([ends, places]))
        if not apart(together).all():
            near = np.min(np.abs(ends[:, None] - places), axis=1)
            near[[0, -1]] = np.inf
            together = np.sort(np.concatenate([ends[near > _NEAR * (ends[-1] - ends[0])], places]))
        return np.sort(np.concatenate([together, np.repeat(places, self.times - 1)]))


def free_ends(
    points: Quadrature, count: int, order: int, p: float
) -> tuple[Quadrature, np.ndarray]:
    """Ends of at most `count` pieces that balance the error, some of them several times.

    A jump's place is there `order` times, so that the spline jumps; that of another breakpoint
    order - 1 times, so that it bends, or not at all, whichever is better. With the target's
    quadrature, cut at the jumps.
    """
    found = None if points.sampled else _inside(points, jumps(points))
    chosen = 0 if found is None else min(found.places.size, (count - 1) // order)
    rest, places = points, np.zeros(0)
    if found is not None and chosen:
        largest = found.largest(chosen)
        rest, places = largest.removed_from(points), largest.places
        points = points._replace(mesh=np.union1d(points.mesh, places))
    most = (count - 1 - order * chosen) // (order - 1) if order > 1 else 0
    bends = _bends(rest, places, most)
    candidates = [
        _free_ends(points, rest, _meetings(places, at, order), count, order, p)
        for at in ([np.zeros(0), bends] if bends.size else [bends])
    ]
    if order == 1 and p < np.inf and 1 < count <= MOST_PIECES:
        # Which of the jumps a few pieces should meet is not a question of their sizes alone.
        every = np.zeros(0) if found is None else found.largest(MOST_JUMPS).places
        steps = best_steps(points, every, count, p)
        candidates.append(_downhill(points, steps, _met(steps, every), 1) if p == 2 else steps)
    if order == 1 and p == np.inf and count <= MOST_LEVELS:
        candidates.append(level_steps(points, count))
    return points, min(
        candidates, key=lambda ends: float(np.linalg.norm(_errors(points, ends, order, p)[1], p))
    )


def _inside(points: Quadrature, found: Jumps) -> Jumps:
    """Without those at the ends, where a target has another value in one point only."""
    gap = _NEAR * (points.upper - points.lower)
    away = (found.places > points.lower + gap) & (found.places < points.upper - gap)
    return Jumps(found.places[away], found.sizes[away])


def _met(ends: np.ndarray, jumps: np.ndarray) -> _Meetings:
    """The jumps at which there is an end."""
    places = np.intersect1d(ends[1:-1], jumps)
    return _Meetings(places, np.ones(places.size, np.intp))


def _meetings(jumps: np.ndarray, bends: np.ndarray, order: int) -> _Meetings:
    places = np.concatenate([jumps, bends])
    times = np.repeat([order, order - 1], [jumps.size, bends.size])
    sorting = np.argsort(places)
    return _Meetings(places[sorting], times[sorting])


def _bends(rest: Quadrature, jumps: np.ndarray, most: int) -> np.ndarray:
    """The breakpoints of the target, without jumps, where it bends most."""
    away = np.abs(rest.kinks[:, None] - jumps).min(axis=1, initial=np.inf)
    kinks = rest.kinks[away > _NEAR * (rest.upper - rest.lower)]
    if rest.sampled or most < 1 or kinks.size == 0:
        return np.zeros(0)
    aside = _ASIDE * (rest.upper - rest.lower)
    at = np.clip(kinks + aside * np.array([[-1.0], [0.0], [1.0]]), rest.lower, rest.upper)
    left, middle, right = rest.function(at)
    bend = np.abs(right - 2 * middle + left)
    return np.sort(kinks[np.argsort(-bend, kind="stable")[:most]])


def _free_ends(
    points: Quadrature, rest: Quadrature, meetings: _Meetings, count: int, order: int, p: float
) -> np.ndarray:
    simple = count - int(meetings.times.sum())

    def errors(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _errors(points, meetings.joined(knots), order, p)

    even = np.linspace(points.lower, points.upper, simple + 1)
    starts = [parted(balanced_ends(rest, simple, order, p)), even]
    ends = meetings.joined(equalized(starts, errors, order, p))
    return _downhill(points, ends, meetings, order) if p == 2 else ends


# Between two jumps the spline is one by itself; between two bends nearly so, and the knots that are
# best for the parts are taken if they are better for the whole.
def _downhill(points: Quadrature, ends: np.ndarray, meetings: _Meetings, order: int) -> np.ndarray:
    """Knots with a smaller L^2 error, those that meet where they are."""
    single = np.unique(ends)
    cuts = np.concatenate([ends[:1], meetings.places, ends[-1:]])
    found = [np.repeat(meetings.places, meetings.times), cuts[[0, -1]]]
    for lower, upper in zip(cuts[:-1], cuts[1:], strict=True):
        inside = points.mesh[(points.mesh > lower) & (points.mesh < upper)]
        part = points._replace(lower=lower, upper=upper, mesh=inside)
        found.append(descended(part, single[(single >= lower) & (single <= upper)], order)[1:-1])
    new = np.sort(np.concatenate(found))
    total = [np.linalg.norm(_errors(points, knots, order, 2.0)[1]) for knots in (ends, new)]
    return new if total[1] < total[0] else ends


def _errors(
    points: Quadrature, ends: np.ndarray, order: int, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the pieces and the L^p error of the spline on each: constants are best in L^p,
    others in L^2."""
    from scipy.interpolate import BSpline

    if order == 1 and p == np.inf:
        low, high = piece_ranges(points, ends)
        return ends, (high - low) / 2
    nodes, weights = composite_rule(points, ends)
    values, knots = points.function(nodes), full_knots(ends, order)
    if order == 1:
        best = piece_values(points, ends, p)
    else:
        best = projected(nodes.ravel(), weights.ravel(), values.ravel(), knots)
    error = np.abs(values - BSpline(knots, best, order - 1)(nodes))
    ends = np.unique(ends)
    # A cell lies within one piece; its first node tells which.
    first = np.searchsorted(nodes[:, 0], ends[:-1])
    if p == np.inf:
        return ends, np.maximum.reduceat(error.max(axis=1), first)
    size = float(error.max()) or 1.0
    parts = np.add.reduceat(np.sum(weights * (error / size) ** p, axis=1), first)
    return ends, size * parts ** (1 / p)
