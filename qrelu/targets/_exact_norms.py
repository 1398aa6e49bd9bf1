"""The norms of piecewise polynomials of any degree in sup and in L^p, exact up to rounding."""

import numpy as np

from ._piecewise_polynomial import PiecewisePolynomial, derived

# Halvings of [0, 1] down to the last place, and points of the rule on each part. With 64 of them
# L^p norms, p from 1 to 100, agree with those of mpmath up to 1e-11.
_HALVINGS, _POINTS = 53, 64


def sup_norm(function: PiecewisePolynomial) -> float:
    """The largest |f|, at the ends of the parts where f is monotone."""
    rows = _on_unit_intervals(function)
    return float(np.abs(_values(rows, _turns(rows))).max())


# Between neighboring zeros of f and f' the function has one sign and |f|^p is smooth, but for a
# power of the distance to an end. With t = u^3 (10 - 15 u + 6 u^2) it is t^p dt/du ~ u^(3p + 2) in
# u, smooth enough for Gauss points.
def lp_norm(function: PiecewisePolynomial, p: float) -> float:
    """The norm in L^p for a finite p."""
    rows = _on_unit_intervals(function)
    turns = _turns(rows)
    ends = np.sort(np.concatenate([turns, _zeros(rows, turns)], axis=1))
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    u = (nodes + 1) / 2
    weights = weights / 2 * 30 * (u * (1 - u)) ** 2
    lower, widths = ends[:, :-1, None], np.diff(ends)
    points = lower + widths[..., None] * (u**3 * (10 - 15 * u + 6 * u**2))
    size = np.abs(_values(rows, points.reshape(len(rows), -1))).reshape(points.shape)
    if not (top := float(size.max())):
        return 0.0
    integrals = np.sum((size / top) ** p @ weights * widths, axis=1)
    return top * float(np.sum(integrals * np.diff(function.knots))) ** (1 / p)


def _on_unit_intervals(function: PiecewisePolynomial) -> np.ndarray:
    """The coefficients of each piece as a polynomial on [0, 1]."""
    rows = function.coefficients
    return rows * np.diff(function.knots)[:, None] ** np.arange(rows.shape[1])


def _turns(rows: np.ndarray) -> np.ndarray:
    """0, the zeros of the derivative of each polynomial on [0, 1], and 1, in increasing order."""
    ends = np.broadcast_to([0.0, 1.0], (len(rows), 2))
    turns = ends
    for order in range(rows.shape[1] - 2, 0, -1):
        turns = np.sort(np.concatenate([ends, _zeros(derived(rows, order), turns)], axis=1))
    return turns


# Between neighboring zeros of its derivative a polynomial is monotone: it has one zero there if its
# signs at both are different, and none inside if not.
def _zeros(rows: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The zero between neighboring turns, the left one of them where there is none."""
    signs = np.sign(_values(rows, turns))
    piece, place = np.nonzero(signs[:, :-1] * signs[:, 1:] < 0)
    sign, rows = signs[piece, place], rows[piece]
    lower, upper = turns[piece, place], turns[piece, place + 1]
    for _ in range(_HALVINGS):
        middle = (lower + upper) / 2
        before = _values(rows, middle[:, None])[:, 0] * sign > 0
        lower, upper = np.where(before, middle, lower), np.where(before, upper, middle)
    zeros = turns[:, :-1].copy()
    zeros[piece, place] = lower
    return zeros


def _values(rows: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The values of each polynomial at its own points."""
    values = np.zeros_like(t)
    for k in range(rows.shape[1] - 1, -1, -1):
        values = values * t + rows[:, [k]]
    return values
