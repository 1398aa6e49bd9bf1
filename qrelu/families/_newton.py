"""Newton's method on the knots of best L^2 splines, many splines at once."""

import numpy as np
from scipy.linalg import LinAlgError, solve_banded

from ._least_squares import Fitted, least_squares
from ._quadrature import Quadrature

# A knot crosses at most half of its gap in one step, so the knots stay sorted.
_GAP = 0.5
# A direction is given up after five reductions to a quarter.
_REDUCTIONS = 5


def newton(
    quadrature: Quadrature, knots: np.ndarray, *, steps: int = 30, accuracy: float = 1e-9
) -> Fitted:
    """Splines at a stationary point of the L^2 error near `knots` (S, N + 1), or the best seen.

    Stops where the squared error falls by less than a share `accuracy` in a step.
    """
    best = least_squares(quadrature, knots)
    if knots.shape[1] < 3:
        return best
    share = np.ones(knots.shape[0])
    active = best.square > 0
    for _ in range(steps):
        rows = np.flatnonzero(active)
        if rows.size == 0:
            break
        here = _rows(best, rows)
        move = direction(here)
        gap = np.diff(here.knots, axis=1)
        shrink = np.max(-np.diff(move, axis=1) / gap, axis=1)
        length = share[rows] * np.minimum(1.0, _GAP / np.maximum(shrink, _GAP))
        trial = least_squares(quadrature, here.knots + length[:, None] * move)
        better = trial.square < here.square
        gain = 1 - trial.square / here.square
        _store(best, rows[better], _rows(trial, np.flatnonzero(better)))
        share[rows] = np.where(better, np.minimum(1.0, 4 * share[rows]), share[rows] / 4)
        done = np.where(better, (gain < accuracy) & (length == 1), share[rows] < 0.25**_REDUCTIONS)
        active[rows[done]] = False
    return best


def direction(fitted: Fitted) -> np.ndarray:
    r"""The Newton step of the knots, zero at both ends, shape (S, N + 1).

    Derivation. E(t, v) = int (f - s)^2 is stationary in values and knots where
    int_left r phi_j = int_right r phi_j = 0 at every knot (wherever the slope jumps), that is,
    where s is on EVERY piece the best line of that piece alone. So the values can be eliminated:
    with A(t_0, t_1), B(t_0, t_1) the end values of the best line on a piece, the knots solve

        g_j = B(t_{j-1}, t_j) - A(t_j, t_{j+1}) = 0,        j = 1..N-1,

    a tridiagonal system. With h the length, X_L, X_R the moments of the residual of any line
    (a, b): A = a + (4 X_L - 2 X_R) / h, B = b + (4 X_R - 2 X_L) / h. Differentiating
    X_L = X_R = 0 with m = (B - A) / h, r_0 = f(t_0) - A, r_1 = f(t_1) - B:

        dA = m dt_0 - (4 r_0 dt_0 + 2 r_1 dt_1) / h,
        dB = m dt_1 + (2 r_0 dt_0 + 4 r_1 dt_1) / h.

    Only point values of f enter. Where f'' is constant the system is the discrete Laplacian
    f'' h (1, -2, 1) / 6. [derived; the stationarity conditions are classical]
    """
    knots, values, exact, moments, _ = fitted
    length = np.diff(knots, axis=1)
    begin = values[:, :-1] + (4 * moments.left - 2 * moments.right) / length
    end = values[:, 1:] + (4 * moments.right - 2 * moments.left) / length
    slope = (end - begin) / length
    at_begin = (exact[:, :-1] - begin) / length
    at_end = (exact[:, 1:] - end) / length

    gap = end[:, :-1] - begin[:, 1:]
    band = np.zeros((3, *gap.shape))
    band[0, :, 1:] = 2 * at_end[:, 1:-1]
    band[1] = slope[:, :-1] + 4 * at_end[:, :-1] - slope[:, 1:] + 4 * at_begin[:, 1:]
    band[2, :, :-1] = 2 * at_begin[:, 1:-1]
    # A knot between two straight pieces is undetermined: it stays.
    size = np.max(np.abs(band), axis=(0, 2), keepdims=True)[0]
    free = np.abs(band[1]) <= 1e-14 * size
    band[1] = np.where(free, np.where(size > 0, size, 1.0), band[1])
    move = np.zeros(knots.shape)
    try:
        solved = solve_banded((1, 1), band.reshape(3, -1), -gap.ravel()).reshape(gap.shape)
    except LinAlgError:
        return move
    move[:, 1:-1] = np.where(np.isfinite(solved), solved, 0.0)
    return move


def _rows(fitted: Fitted, rows: np.ndarray) -> Fitted:
    return Fitted(
        fitted.knots[rows],
        fitted.values[rows],
        fitted.exact[rows],
        type(fitted.moments)(*(part[rows] for part in fitted.moments)),
        fitted.square[rows],
    )


def _store(fitted: Fitted, rows: np.ndarray, other: Fitted) -> None:
    fitted.knots[rows] = other.knots
    fitted.values[rows] = other.values
    fitted.exact[rows] = other.exact
    for part, new in zip(fitted.moments, other.moments, strict=True):
        part[rows] = new
    fitted.square[rows] = other.square
