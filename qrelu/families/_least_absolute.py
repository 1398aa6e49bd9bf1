"""Values of splines on given knots that are best in L^1, many splines at once."""

import numpy as np
from scipy.linalg import LinAlgError, solveh_banded

from ._fitted import Fitted
from ._least_squares import least_squares
from ._quadrature import Quadrature

# Newton steps on the values; the first few converge, the rest is for residuals with many zeros.
_STEPS = 12
# Four intervals per cell look for zeros of the residual; a smooth piece has two of them.
_INTERVALS = 4
# Share of a mass matrix in the Hessian: pieces without zeros have none of their own.
_SHARE = 1e-2
_NODES, _WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(3))
_NODES = _NODES + 0.5


def least_absolute(
    quadrature: Quadrature, knots: np.ndarray, values: np.ndarray | None = None
) -> Fitted:
    r"""The best L^1 splines on given knots, by Newton's method from `values` or the best in L^2.

    The error is convex in the values. Its gradient is $-\int \mathrm{sign}(r) \phi_j$, known in
    closed form from the zeros z of r; its Hessian is $\sum_z 2 \phi_i(z) \phi_j(z) / |r'(z)|$,
    tridiagonal.
    """
    start = least_squares(quadrature, knots)
    begin = start.values if values is None else values
    best = _measured(quadrature, knots, begin, start.exact)
    share = np.ones(knots.shape[0])
    for _ in range(_STEPS):
        step = _step(best)
        trial = _measured(quadrature, knots, best.values + share[:, None] * step, best.exact)
        better = trial.error < best.error
        gain = 1 - trial.error / np.where(best.error > 0, best.error, 1.0)
        best.store(better, trial.rows(better))
        share = np.where(better, np.minimum(1.0, 2 * share), share / 4)
        if not np.any(np.where(better, gain > 1e-6, share > 0.1)):
            break
    return best


def _step(fitted: Fitted) -> np.ndarray:
    shape = fitted.knots.shape
    gradient = np.zeros(shape)
    gradient[:, :-1] += fitted.left
    gradient[:, 1:] += fitted.right
    band = np.zeros((2, *shape))
    band[1, :, :-1] += fitted.stiffness[0]
    band[1, :, 1:] += fitted.stiffness[2]
    band[0, :, 1:] = fitted.stiffness[1]
    try:
        return solveh_banded(band.reshape(2, -1), gradient.ravel()).reshape(shape)
    except (LinAlgError, ValueError):
        # Not positive definite to rounding, or not finite: no step.
        return np.zeros(shape)


def _measured(quadrature, knots, values, exact) -> Fitted:
    shape = (knots.shape[0], knots.shape[1] - 1)
    begin = knots[:, :-1].ravel()
    length = np.diff(knots, axis=1).ravel()
    start, rise = values[:, :-1].ravel(), np.diff(values, axis=1).ravel()

    def residual(x, owner):
        # `owner` has the shape of `x` or lacks its last axes.
        pick = owner.reshape(owner.shape + (1,) * (x.ndim - owner.ndim))
        return quadrature.function(x) - (
            start[pick] + rise[pick] * (x - begin[pick]) / length[pick]
        )

    left, width, owner, _ = quadrature.cells(begin, knots[:, 1:].ravel())
    intervals = 1 if quadrature.sampled else _INTERVALS
    points = left[:, None] + width[:, None] * np.linspace(0.0, 1.0, intervals + 1)
    sampled = residual(points, owner)
    cell, place = np.nonzero(sampled[:, :-1] * sampled[:, 1:] < 0)
    low, high = points[cell, place], points[cell, place + 1]
    at_low, at_high = sampled[cell, place], sampled[cell, place + 1]
    slope = (at_high - at_low) / (high - low)
    zero = low - at_low / slope
    if not quadrature.sampled:
        # One more secant, from the end that lies on the other side.
        at_zero = residual(zero, owner[cell])
        other = np.where(at_zero * at_low < 0, low, high)
        at_other = np.where(at_zero * at_low < 0, at_low, at_high)
        turn = at_other - at_zero
        move = at_zero * (other - zero) / np.where(turn == 0, 1.0, turn)
        zero = np.clip(zero - move, low, high)

    # Intervals without a zero inside: the sign of the integral is the sign of r.
    edges = np.concatenate([points[:, :-1].ravel(), zero])
    owners = np.concatenate([np.repeat(owner, intervals), owner[cell]])
    order = np.lexsort((edges, owners))
    edges, owners = edges[order], owners[order]
    first = np.searchsorted(owners, np.arange(begin.size))
    ends = np.append(edges[1:], knots[0, -1])
    ends[np.append(first[1:], edges.size) - 1] = knots[:, 1:].ravel()
    width = ends - edges
    inside = residual(edges[:, None] + width[:, None] * _NODES, owners)
    integral = (inside @ _WEIGHTS) * width
    sign = np.sign(integral)
    middle = (edges + width / 2 - begin[owners]) / length[owners]
    total = np.add.reduceat(sign * width, first)
    right = np.add.reduceat(sign * width * middle, first)
    pieces = np.add.reduceat(np.abs(integral), first)

    hat = (zero - begin[owner[cell]]) / length[owner[cell]]
    weight = 2 / np.abs(slope)
    count = begin.size
    sums = [
        np.bincount(owner[cell], weight * product, count)
        for product in ((1 - hat) ** 2, hat * (1 - hat), hat**2)
    ]
    # The weight 1 / |r| of iteratively reweighted least squares, with the mean |r| of the piece.
    floor = np.max(pieces) * 1e-12 + np.finfo(float).tiny
    mass = _SHARE * length**2 / np.maximum(pieces, floor)
    stiffness = np.stack([sums[0] + mass / 3, sums[1] + mass / 6, sums[2] + mass / 3])
    return Fitted(
        knots.copy(),
        values.copy(),
        exact,
        (total - right).reshape(shape),
        right.reshape(shape),
        stiffness.reshape(3, *shape),
        pieces.reshape(shape),
        np.sum(pieces.reshape(shape), axis=1),
        quadrature.floor(1),
        True,
    )
