"""The best spline with a given number of pieces."""

import numpy as np

from ._coarse import coarsened
from ._equidistribution import equidistributed
from ._fitted import Fitted
from ._jumps import with_jumps
from ._knot_moves import move_many_knots, move_single_knots
from ._least_absolute import least_absolute
from ._least_squares import least_squares
from ._minimax import free_minimax
from ._newton import newton
from ._quadrature import Quadrature
from ._segmentation import segmentations
from ._spline import Spline

# Up to here a global start is affordable, and local optima differ noticeably.
_SMALL = 64


def best_spline(quadrature: Quadrature, pieces: int, p: float) -> Spline:
    """A spline with at most `pieces` pieces that is near-best in L^p, p = 1, 2 or infinity."""
    unit = quadrature.unit
    knots, values = with_jumps(_continuous, quadrature.in_units(), pieces, p)
    return Spline(knots, unit * values)


def _continuous(quadrature: Quadrature, pieces: int, p: float) -> Spline:
    if quadrature.sampled and quadrature.mesh.size < pieces:
        knots = np.concatenate([[quadrature.lower], quadrature.mesh, [quadrature.upper]])
        return Spline(knots, quadrature.function(knots))
    if p == np.inf:
        return free_minimax(quadrature, pieces)
    coarse = coarsened(quadrature, pieces)
    if coarse is None:
        best = _search(quadrature, pieces, p)
    else:
        # Uniform knots beside those found on the coarse spline: never worse than `UniformKnot`.
        even = np.linspace(quadrature.lower, quadrature.upper, pieces + 1)
        knots = [_search(coarse, pieces, p).knots, even[None]]
        fit = least_squares if p == 2 else least_absolute
        best = fit(quadrature, np.concatenate(knots))
    return Spline(best.knots[best.best], best.values[best.best])


def _search(quadrature: Quadrature, pieces: int, p: float) -> Fitted:
    best = _least_squares_spline(quadrature, pieces)
    if p == 2:
        return best
    # The best L^2 knots carry the global search; Newton's method in L^1 does the rest.
    even = np.linspace(quadrature.lower, quadrature.upper, pieces + 1)
    starts = [best.knots, equidistributed(quadrature, pieces, 1.0)[None], even[None]]
    best = newton(least_absolute, quadrature, np.concatenate(starts))
    best = best.rows(np.array([best.best]))
    if pieces <= _SMALL // 2:
        best = move_single_knots(least_absolute, quadrature, best, choices=2, rounds=3)
    return best


def _least_squares_spline(quadrature: Quadrature, pieces: int) -> Fitted:
    starts = [
        equidistributed(quadrature, pieces, 2.0)[None],
        np.linspace(quadrature.lower, quadrature.upper, pieces + 1)[None],
    ]
    if 0 < quadrature.kinks.size < pieces:
        starts.append(_snapped(starts[0][0], quadrature.kinks)[None])
    if 1 < pieces <= _SMALL:
        starts.append(segmentations(quadrature, pieces))
    fitted = newton(least_squares, quadrature, np.concatenate(starts))
    best = fitted.rows(np.array([fitted.best]))
    move = move_single_knots if pieces <= _SMALL else move_many_knots
    return move(least_squares, quadrature, best)


def _snapped(knots: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    """The knots, each kink replacing the inner knot that is nearest among those still free."""
    knots = knots.copy()
    free = np.ones(knots.size, dtype=bool)
    free[[0, -1]] = False
    for kink in kinks:
        place = int(np.argmin(np.where(free, np.abs(knots - kink), np.inf)))
        knots[place], free[place] = kink, False
    return np.sort(knots)
