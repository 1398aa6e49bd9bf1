"""Values of a spline on given knots that are best in L^2, many splines at once."""

import numpy as np
from scipy.linalg import solve_banded

from ._fitted import Fitted
from ._quadrature import Quadrature


def least_squares(quadrature: Quadrature, knots: np.ndarray) -> Fitted:
    r"""The best L^2 splines on given knots.

    The correction $\delta$ of the interpolant $I f$ solves the tridiagonal normal equations
    $\int (f - I f - \delta)\,\phi_j = 0$ in the hat basis; solving for the correction instead of
    the values keeps the full relative accuracy of the residual. All splines of the batch are one
    banded system with zeros between them.
    """
    exact = quadrature.function(knots)
    left, right, square = quadrature.moments(knots, exact)
    length = np.diff(knots, axis=1)
    band = np.zeros((3, *knots.shape))
    band[1, :, :-1] += length / 3
    band[1, :, 1:] += length / 3
    band[0, :, 1:] = length / 6
    band[2, :, :-1] = length / 6
    load = np.zeros(knots.shape)
    load[:, :-1] += left
    load[:, 1:] += right
    delta = solve_banded((1, 1), band.reshape(3, -1), load.ravel()).reshape(knots.shape)
    begin, end = delta[:, :-1], delta[:, 1:]
    # int (r - delta)^2 = int r^2 - 2 int r delta + int delta^2, piece by piece.
    pieces = square - 2 * (left * begin + right * end)
    pieces += length * (begin**2 + begin * end + end**2) / 3
    return Fitted(
        knots,
        exact + delta,
        exact,
        left - length * (begin / 3 + end / 6),
        right - length * (begin / 6 + end / 3),
        np.stack([length / 3, length / 6, length / 3]),
        pieces,
        np.sum(pieces, axis=1),
        quadrature.floor(2),
        False,
    )
