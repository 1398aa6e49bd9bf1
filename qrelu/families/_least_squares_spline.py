"""Best L^2 splines of any order on given knots, at linear cost."""

import numpy as np

from ._nodes import composite_rule
from ._quadrature import Quadrature


def least_squares_spline(quadrature: Quadrature, ends: np.ndarray, order: int) -> np.ndarray:
    """The coefficients of the best L^2 spline of `order` with simple knots at `ends`.

    Weighted least squares on the nodes of a Gauss rule that is exact for products of B-splines.
    """
    nodes, weights = (part.ravel() for part in composite_rule(quadrature, ends))
    return projected(nodes, weights, quadrature.function(nodes), full_knots(ends, order))


def full_knots(ends: np.ndarray, order: int) -> np.ndarray:
    """The ends of the pieces, those of the domain `order` times."""
    return np.concatenate([np.full(order, ends[0]), ends[1:-1], np.full(order, ends[-1])])


# The normal equations of B-splines are banded. However uneven the knots, their matrix has a
# condition bounded in terms of the order once its diagonal is scaled to one (de Boor), and
# Cholesky's factorization does not notice such a scaling; solving once more for the residual, which
# is taken from the values themselves, gives back what squaring the condition costs. SciPy's QR
# factorization takes time quadratic in the number of knots; it is for knots so near to each other
# that rounding leaves nothing of a B-spline.
def projected(
    nodes: np.ndarray, weights: np.ndarray, values: np.ndarray, knots: np.ndarray
) -> np.ndarray:
    """The coefficients of the spline on `knots` that is nearest to the weighted values."""
    from scipy.interpolate import BSpline, make_lsq_spline
    from scipy.linalg import cho_solve_banded, cholesky_banded

    order = int(np.searchsorted(knots, knots[0], side="right"))
    basis = BSpline.design_matrix(nodes, knots, order - 1)
    weighted = basis.multiply(weights[:, None]).T.tocsr()
    gram = weighted @ basis
    bands = np.zeros((order, gram.shape[0]))
    for k in range(min(bands.shape)):
        bands[k, : bands.shape[1] - k] = gram.diagonal(k)
    try:
        factor = cholesky_banded(bands, lower=True)
    except np.linalg.LinAlgError:
        root = np.sqrt(weights)
        return make_lsq_spline(nodes, values, knots, order - 1, w=root, method="qr").c
    coefficients = cho_solve_banded((factor, True), weighted @ values)
    residual = values - basis @ coefficients
    return coefficients + cho_solve_banded((factor, True), weighted @ residual)
