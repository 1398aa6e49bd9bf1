"""The best spline with a given number of pieces."""

import numpy as np

from ._equidistribution import equidistributed
from ._newton import newton
from ._quadrature import Quadrature
from ._spline import Spline


def best_spline(quadrature: Quadrature, pieces: int, p: float) -> Spline:
    """A spline with `pieces` pieces that is near-best in L^p."""
    starts = np.stack(
        [
            equidistributed(quadrature, pieces, p),
            np.linspace(quadrature.lower, quadrature.upper, pieces + 1),
        ]
    )
    fitted = newton(quadrature, starts)
    best = int(np.argmin(fitted.square))
    return Spline(fitted.knots[best], fitted.values[best])
