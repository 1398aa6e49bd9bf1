"""The best values of a spline on given knots."""

import numpy as np

from ._least_absolute import least_absolute
from ._least_squares import least_squares
from ._minimax import minimax_values
from ._quadrature import Quadrature
from ._reweighted import reweighted
from ._spline import Spline


def best_values(quadrature: Quadrature, knots: np.ndarray, p: float) -> Spline:
    """The spline on `knots` (N + 1,) that is best, or near-best, in L^p."""
    unit = quadrature.unit
    spline = _best_values(quadrature.in_units(), knots, p)
    return Spline(spline.knots, unit * spline.values)


def _best_values(quadrature: Quadrature, knots: np.ndarray, p: float) -> Spline:
    if p == np.inf:
        return minimax_values(quadrature, knots)
    fitted = least_squares(quadrature, knots[None])
    if p == 1:
        first = least_absolute(quadrature, knots[None])
        near = reweighted(quadrature, knots, first.values[0])
        second = least_absolute(quadrature, knots[None], near[None])
        fitted = min(first, second, key=lambda fit: float(fit.error[0]))
    return Spline(fitted.knots[0], fitted.values[0])
