"""Knots removed where they hurt least and inserted where the residual is largest."""

import numpy as np

from ._fitted import Fitted
from ._newton import Fit, newton
from ._quadrature import Quadrature

_ROUNDS = 12
# Shares of all knots that are exchanged at once when there are many.
_SHARES = (0.2, 0.06, 0.02, 0.0)


def move_single_knots(
    fit: Fit, quadrature: Quadrature, fitted: Fitted, choices: int = 4, rounds: int = _ROUNDS
) -> Fitted:
    """A spline (1, N + 1) at least as good, after moving single knots across the interval.

    Newton's method keeps the number of knots on each side of a difficult place; a move changes it.
    The `choices` cheapest removals are combined with as many of the most promising insertions.
    """

    def candidates(fitted):
        removals, insertions = _ranking(fitted)
        pairs = [(r, i) for r in removals[:choices] for i in insertions[:choices]]
        return np.stack([_exchanged(fitted.knots[0], [r], [i]) for r, i in pairs])

    return _improved(fit, quadrature, fitted, candidates, 12, rounds)


def move_many_knots(fit: Fit, quadrature: Quadrature, fitted: Fitted) -> Fitted:
    """A spline (1, N + 1) at least as good, after exchanging a share of the knots at once.

    What counts for rough targets and noisy data, where Newton's method does not help, and for
    many kinks; a smooth target takes one unsuccessful round.
    """

    def candidates(fitted):
        removals, insertions = _ranking(fitted)
        most = min(removals.size, insertions.size)
        counts = sorted({min(max(1, int(s * fitted.knots.shape[1])), most) for s in _SHARES})
        return np.stack([_exchanged(fitted.knots[0], removals[:c], insertions[:c]) for c in counts])

    return _improved(fit, quadrature, fitted, candidates, 4, _ROUNDS)


def _improved(fit, quadrature, fitted, candidates, steps, rounds) -> Fitted:
    for _ in range(rounds):
        if fitted.knots.shape[1] <= 3 or fitted.error[0] <= fitted.floor:
            break
        trial = newton(fit, quadrature, candidates(fitted), steps=steps, accuracy=1e-4)
        if not np.min(trial.error) < fitted.error[0] * (1 - 1e-5):
            break
        fitted = newton(fit, quadrature, trial.knots[[trial.best]])
    return fitted


def _ranking(fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Knots in the order of what their removal costs (no neighbors), pieces by their error."""
    knots, values, error = fitted.knots[0], fitted.values[0], fitted.pieces[0]
    length = np.diff(knots)
    jump = np.abs(np.diff(np.diff(values) / length))
    # Without knot j the chord of its neighbors is off by a triangle of height
    # jump h_l h_r / (h_l + h_r): its integral (p = 1) or squared integral (p = 2), up to a factor.
    together = length[:-1] + length[1:]
    height = jump * length[:-1] * length[1:] / together
    loss = height * together if fitted.signed else height**2 * together
    padded = np.concatenate([[np.inf], loss, [np.inf]])
    least = np.flatnonzero((loss < padded[:-2]) & (loss <= padded[2:]))
    removals = 1 + least[np.argsort(loss[least], kind="stable")]
    return removals, np.argsort(-error, kind="stable")


def _exchanged(knots, removals, insertions):
    insertions = np.asarray(insertions)
    middle = (knots[insertions] + knots[insertions + 1]) / 2
    return np.sort(np.concatenate([np.delete(knots, removals), middle]))
