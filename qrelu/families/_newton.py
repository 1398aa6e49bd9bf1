"""Newton's method on the knots of best splines, many splines at once."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError, solve_banded

from ._fitted import Fitted
from ._quadrature import Quadrature
from ._spline import apart, parted

Fit = Callable[[Quadrature, np.ndarray], Fitted]

# A knot crosses at most half of its gap in one step, so the knots stay sorted.
_GAP = 0.5
# A step in L^1 costs twenty times as much as one in L^2, where the last digits are free.
_ABSOLUTE_STEPS, _SQUARE_STEPS = 10, 30
_ABSOLUTE_ACCURACY = 1e-4
_SQUARE_ACCURACY = 1e-9
# A direction is given up after five reductions to a quarter.
_REDUCTIONS = 5


def newton(
    fit: Fit,
    quadrature: Quadrature,
    knots: np.ndarray,
    steps: int | None = None,
    accuracy: float | None = None,
) -> Fitted:
    """Splines at a stationary point of the error near `knots` (S, N + 1), or the best seen.

    `fit` gives the best values for knots (`least_squares`, `least_absolute`). Stops where the
    error falls by less than a share `accuracy` in a step.
    """
    crowded = np.flatnonzero(~np.all(apart(knots), axis=1))
    if crowded.size:
        knots = knots.copy()
        knots[crowded] = [parted(row) for row in knots[crowded]]
    best = fit(quadrature, knots)
    if steps is None:
        steps = _ABSOLUTE_STEPS if best.signed else _SQUARE_STEPS
    if accuracy is None:
        accuracy = _ABSOLUTE_ACCURACY if best.signed else _SQUARE_ACCURACY
    if knots.shape[1] < 3:
        return best
    share = np.ones(knots.shape[0])
    active = best.error > best.floor
    for _ in range(steps):
        rows = np.flatnonzero(active)
        if rows.size == 0:
            break
        here = best.rows(rows)
        move = direction(here, _lines(fit, quadrature, here))
        shrink = np.max(-np.diff(move, axis=1) / np.diff(here.knots, axis=1), axis=1)
        length = share[rows] * np.minimum(1.0, _GAP / np.maximum(shrink, _GAP))
        moved = here.knots + length[:, None] * move
        distinct = np.all(apart(moved), axis=1)
        trial = fit(quadrature, np.where(distinct[:, None], moved, here.knots))
        better = trial.error < here.error
        gain = 1 - trial.error / here.error
        best.store(rows[better], trial.rows(better))
        share[rows] = np.where(better, np.minimum(1.0, 4 * share[rows]), share[rows] / 4)
        done = np.where(better, (gain < accuracy) & (length == 1), share[rows] < 0.25**_REDUCTIONS)
        active[rows[done | (trial.error <= best.floor)]] = False
    return best


def _lines(fit: Fit, quadrature: Quadrature, fitted: Fitted) -> tuple[np.ndarray, ...]:
    """The best lines of all pieces alone: end values (S, N) and the stiffness (3, S, N)."""
    if fitted.signed:
        # Every piece is a spline of one piece.
        pairs = np.stack([fitted.knots[:, :-1].ravel(), fitted.knots[:, 1:].ravel()], axis=1)
        lines = fit(quadrature, pairs)
        begin, end = (part.reshape(fitted.left.shape) for part in lines.values.T)
        return begin, end, lines.stiffness.reshape(fitted.stiffness.shape)
    # Quadratic: one step (a, b) + K^-1 X with the mass matrix K is exact.
    first, mixed, last = inverse(fitted.stiffness)
    begin = fitted.values[:, :-1] + last * fitted.left - mixed * fitted.right
    end = fitted.values[:, 1:] + first * fitted.right - mixed * fitted.left
    return begin, end, fitted.stiffness


def inverse(stiffness: np.ndarray) -> np.ndarray:
    """The entries 00, 01, 11 over the determinant: those of the inverse are 11, -01, 00."""
    return stiffness / (stiffness[0] * stiffness[2] - stiffness[1] ** 2)


def direction(fitted: Fitted, lines: tuple[np.ndarray, ...]) -> np.ndarray:
    r"""The Newton step of the knots, zero at both ends, shape (S, N + 1).

    `lines` are the best lines of all pieces alone.

    Derivation. E(t, v) = int |f - s|^p is stationary in values and knots where, with
    psi = |r|^(p-1) sign(r), int_left psi phi_j = int_right psi phi_j = 0 at every knot (wherever
    the slope jumps): s is on EVERY piece the best line of that piece alone. So the values can be
    eliminated: with A(t_0, t_1), B(t_0, t_1) the end values of the best line on a piece, the knots
    solve

        g_j = B(t_{j-1}, t_j) - A(t_j, t_{j+1}) = 0,        j = 1..N-1,

    a tridiagonal system. Let X = (X_L, X_R) be the moments of psi with the hats of a piece for a
    line with end values (a, b), and K the 2 x 2 matrix -dX/d(a, b) (mass matrix for p = 2,
    sum over the zeros of r of 2 phi phi^T / |r'| for p = 1). Differentiating X = 0 with
    m = (B - A) / h, e_0 = psi(f(t_0) - A), e_1 = psi(f(t_1) - B):

        (dA - m dt_0, dB - m dt_1) = K^-1 (-e_0 dt_0, e_1 dt_1).

    Only point values of f enter. Where f'' is constant the system for p = 2 is the discrete
    Laplacian f'' h (1, -2, 1) / 6. [derived; the stationarity conditions are classical]
    """
    knots, exact = fitted.knots, fitted.exact
    begin, end, stiffness = lines
    first, mixed, last = inverse(stiffness)
    slope = (end - begin) / np.diff(knots, axis=1)
    at_begin, at_end = exact[:, :-1] - begin, exact[:, 1:] - end
    if fitted.signed:
        at_begin, at_end = np.sign(at_begin), np.sign(at_end)

    gap = end[:, :-1] - begin[:, 1:]
    band = np.zeros((3, *gap.shape))
    band[0, :, 1:] = (mixed * at_end)[:, 1:-1]
    band[1] = slope[:, :-1] - slope[:, 1:] + (first * at_end)[:, :-1] + (last * at_begin)[:, 1:]
    band[2, :, :-1] = (mixed * at_begin)[:, 1:-1]
    # A knot between two straight pieces is undetermined: it stays.
    size = np.max(np.abs(band), axis=(0, 2))[:, None]
    free = np.abs(band[1]) <= 1e-14 * size
    band[1] = np.where(free, np.where(size > 0, size, 1.0), band[1])
    move = np.zeros(knots.shape)
    try:
        solved = solve_banded((1, 1), band.reshape(3, -1), -gap.ravel()).reshape(gap.shape)
    except (LinAlgError, ValueError):
        # Exactly singular, or not finite: no direction.
        return move
    move[:, 1:-1] = np.where(np.isfinite(solved), solved, 0.0)
    return move
