"""Knots removed where they hurt least and inserted where the residual is largest."""

import numpy as np

from ._least_squares import Fitted
from ._newton import newton
from ._quadrature import Quadrature

# Candidates of one round: the cheapest removals times the most promising insertions.
_REMOVALS = 4
_INSERTIONS = 4
_ROUNDS = 12


def improve_by_moves(quadrature: Quadrature, fitted: Fitted) -> Fitted:
    """A spline (1, N + 1) at least as good, after moving single knots across the interval.

    Newton's method keeps the number of knots on each side of a difficult place; a move changes it.
    """
    for _ in range(_ROUNDS if fitted.knots.shape[1] > 3 else 0):
        knots = _candidates(fitted)
        trial = newton(quadrature, knots, steps=12, accuracy=1e-4)
        best = int(np.argmin(trial.square))
        if not trial.square[best] < fitted.square[0] * (1 - 1e-6):
            break
        fitted = newton(quadrature, trial.knots[[best]])
    return fitted


def _candidates(fitted: Fitted) -> np.ndarray:
    knots, values, square = fitted.knots[0], fitted.values[0], fitted.moments.square[0]
    length = np.diff(knots)
    slope = np.diff(values) / length
    # Without knot j the chord of its neighbors is off by the jump of slope times the height of
    # the triangle: squared error (jump)^2 (h_l h_r)^2 / (3 (h_l + h_r)), up to a common factor.
    together = length[:-1] + length[1:]
    loss = np.diff(slope) ** 2 * (length[:-1] * length[1:]) ** 2 / together
    removals = 1 + np.argsort(loss, kind="stable")[:_REMOVALS]
    insertions = np.argsort(-square, kind="stable")[:_INSERTIONS]
    rows = []
    for insertion in insertions:
        middle = (knots[insertion] + knots[insertion + 1]) / 2
        for removal in removals:
            rows.append(np.sort(np.append(np.delete(knots, removal), middle)))
    return np.stack(rows)
