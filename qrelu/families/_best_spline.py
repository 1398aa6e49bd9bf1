"""The best spline with a given number of pieces."""

import numpy as np

from ._equidistribution import equidistributed
from ._knot_moves import improve_by_moves
from ._minimax import free_minimax
from ._newton import newton
from ._quadrature import Quadrature
from ._segmentation import segmentations
from ._spline import Spline

# Up to here a global start is affordable, and local optima differ noticeably.
_SMALL = 64


def best_spline(quadrature: Quadrature, pieces: int, p: float) -> Spline:
    """A spline with `pieces` pieces that is near-best in L^p."""
    if p == np.inf:
        return free_minimax(quadrature, pieces)
    starts = [
        equidistributed(quadrature, pieces, p)[None],
        np.linspace(quadrature.lower, quadrature.upper, pieces + 1)[None],
    ]
    if 1 < pieces <= _SMALL:
        starts.append(segmentations(quadrature, pieces, p))
    fitted = newton(quadrature, np.concatenate(starts))
    best = int(np.argmin(fitted.square))
    chosen = newton(quadrature, fitted.knots[[best]])
    if 1 < pieces <= _SMALL:
        chosen = improve_by_moves(quadrature, chosen)
    return Spline(chosen.knots[0], chosen.values[0])
