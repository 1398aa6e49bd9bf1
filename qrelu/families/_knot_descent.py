"""Knots of least-squares splines moved downhill."""

import math

import numpy as np

from ._least_squares_spline import full_knots, projected
from ._nodes import composite_rule
from ._piece_values import piece_values
from ._quadrature import Quadrature
from ._spline import apart

# Steps, and the relative gain in a step that ends them.
_STEPS, _GAIN = 200, 1e-6
# So many knots are few, and the logarithms of their gaps are then moved by so much.
_FEW, _SPREADS = 17, (0.7, 1.5)


def descended(quadrature: Quadrature, ends: np.ndarray, order: int) -> np.ndarray:
    """Knots at a local minimum of the L^2 error of the best spline of an order other than 2.

    The best that is found from `ends`, and with few pieces also from others, drawn around them with
    a fixed seed: the best knots for a symmetric function need not be symmetric.
    """
    lower, length = ends[0], ends[-1] - ends[0]
    starts, draw = [ends], np.random.default_rng(0)
    for spread in _SPREADS if 2 < ends.size <= _FEW else ():
        gaps = np.diff(ends) * np.exp(spread * draw.normal(size=ends.size - 1))
        inner = lower + length * np.cumsum(gaps / gaps.sum())[:-1]
        starts.append(np.concatenate([ends[:1], inner, ends[-1:]]))
    found = [ends] + [_descended(quadrature, start, order) for start in starts]
    return min(found, key=lambda knots: _error(quadrature, knots, order))


def _error(quadrature: Quadrature, ends: np.ndarray, order: int) -> float:
    return error_and_slopes(quadrature, ends, order)[0] if apart(ends).all() else np.inf


def _descended(quadrature: Quadrature, begin: np.ndarray, order: int) -> np.ndarray:
    """By SciPy's L-BFGS-B on the logarithm of the error, in the logarithms of the gaps."""
    from scipy.optimize import minimize

    lower, length = begin[0], begin[-1] - begin[0]
    # At four units in the last place of the target there is nothing more to gain.
    floor = max(quadrature.floor(2), np.finfo(float).tiny)

    def shares(logits: np.ndarray) -> np.ndarray:
        parts = np.exp(logits - logits.max())
        return parts / parts.sum()

    def knots(logits: np.ndarray) -> np.ndarray:
        inner = lower + length * np.cumsum(shares(logits))[:-1]
        return np.concatenate([begin[:1], inner, begin[-1:]])

    def objective(logits: np.ndarray) -> tuple[float, np.ndarray]:
        ends = knots(logits)
        if not apart(ends).all():
            return np.inf, np.zeros_like(logits)
        square, slopes = error_and_slopes(quadrature, ends, order)
        # A gap moves all knots behind it.
        behind = np.append(np.cumsum(slopes[::-1])[::-1], 0.0) * length / (square + floor)
        parts = shares(logits)
        return math.log(square + floor), parts * (behind - parts @ behind)

    logits = np.log(np.diff(begin) / length)
    options = {"maxiter": _STEPS, "ftol": _GAIN}
    return knots(minimize(objective, logits, jac=True, method="L-BFGS-B", options=options).x)


# The best spline s = p + sum_j a_j (x - t_j)_+^k, k = r - 1, leaves a residual e that is orthogonal
# to all splines on the knots, so that only what moves with the knot counts (envelope theorem): the
# derivative of the integral of e^2 with respect to t_j is 2 <e, k a_j (x - t_j)_+^(k-1)>.
#
# Truncated powers reach far, which would cancel. Let B be the B-spline of order r on t_j twice and
# r - 1 of the knots around: u_r - u_0 times the divided difference of u -> (u - x)_+^k. The double
# knot enters it with the derivative, k (t_j - x)_+^(k-1) / prod (t_j - u_i) over the others, all
# else are splines on the simple knots. With (t - x)_+^(k-1) = (-1)^k (x - t)_+^(k-1) + a polynomial
# the derivative is 2 (-1)^k a_j <e, B> prod (t_j - u_i) / (u_r - u_0).
def error_and_slopes(
    quadrature: Quadrature, ends: np.ndarray, order: int
) -> tuple[float, np.ndarray]:
    """The squared L^2 error of the best spline, and its derivatives by the inner knots."""
    from scipy.interpolate import BSpline

    if order == 1:
        return _of_constants(quadrature, ends)
    nodes, weights = composite_rule(quadrature, ends)
    values, knots, degree = quadrature.function(nodes), full_knots(ends, order), order - 1
    best = projected(nodes.ravel(), weights.ravel(), values.ravel(), knots)
    spline = BSpline(knots, best, degree)
    error = values - spline(nodes)
    square = float(np.sum(weights * error**2))
    # a_j: the derivative of degree k is constant on every piece.
    top = spline.derivative(degree)((ends[:-1] + ends[1:]) / 2) / math.factorial(degree)
    # The knots u around each inner one, which is there twice.
    count = ends.size - 2
    before = degree // 2
    around = np.arange(count)[:, None] + np.arange(order + 1) + order - before
    around -= np.arange(order + 1) > before
    u = knots[around]
    apart = np.delete(ends[1:-1, None] - u, [before, before + 1], axis=1)
    # B at the nodes of each piece under it: B of knot j lies on `degree` pieces.
    piece = np.searchsorted(ends, nodes[:, 0]) - 1
    products = np.zeros(count)
    for shift in range(degree):
        knot = piece + shift + before - degree
        inside = (knot >= 0) & (knot < count)
        b = _bspline(u[knot[inside]], nodes[inside])
        part = np.sum((weights * error)[inside] * b, axis=1)
        products += np.bincount(knot[inside], part, minlength=count)
    sign = -1.0 if degree % 2 else 1.0
    lengths = u[:, -1] - u[:, 0]
    return square, 2 * sign * np.diff(top) * products * np.prod(apart, axis=1) / lengths


def _of_constants(quadrature: Quadrature, ends: np.ndarray) -> tuple[float, np.ndarray]:
    """A knot that moves gives its neighborhood the value of the other piece."""
    nodes, weights = composite_rule(quadrature, ends)
    means = piece_values(quadrature, ends, 2.0)
    error = quadrature.function(nodes) - means[np.searchsorted(ends, nodes[:, :1]) - 1]
    there = quadrature.function(ends[1:-1])
    slopes = (there - means[:-1]) ** 2 - (there - means[1:]) ** 2
    return float(np.sum(weights * error**2)), slopes


def _bspline(knots: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The B-splines on `knots` (splines, order + 1) at `x` (splines, points), by the recurrence."""
    t = knots[:, None, :]
    x = x[..., None]
    b = ((t[..., :-1] <= x) & (x < t[..., 1:])).astype(np.float64)
    for k in range(1, knots.shape[1] - 1):
        width = t[..., k:] - t[..., :-k]
        width = np.where(width > 0, width, 1.0)
        up = (x - t[..., : -k - 1]) / width[..., :-1] * b[..., :-1]
        down = (t[..., k + 1 :] - x) / width[..., 1:] * b[..., 1:]
        b = up + down
    return b[..., 0]
