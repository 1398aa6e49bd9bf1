"""Many samples replaced by a spline with fewer knots, for the search of knots only."""

import numpy as np

from ._least_squares import least_squares
from ._quadrature import Quadrature

# Cells of the coarse spline: this many, or this many per piece of the spline that is sought.
_CELLS = 2048
_CELLS_PER_PIECE = 8


def coarsened(quadrature: Quadrature, pieces: int) -> Quadrature | None:
    r"""The best L^2 spline of the samples on a fine grid, or None if the samples are few.

    For splines s with knots on the grid, $\|f - s\|_2^2 = \|f - Pf\|_2^2 + \|Pf - s\|_2^2$ with P
    the orthogonal projection onto the splines on the grid: the best s is the same for f and Pf.
    Half of the grid is even, half follows the samples.
    """
    cells = max(_CELLS, _CELLS_PER_PIECE * pieces)
    if not quadrature.sampled or quadrature.mesh.size <= 2 * cells:
        return None
    even = np.linspace(quadrature.lower, quadrature.upper, cells // 2 + 1)
    picked = np.linspace(0, quadrature.mesh.size - 1, cells // 2).astype(np.intp)
    grid = np.unique(np.concatenate([even, quadrature.mesh[picked]]))
    grid = grid[np.append(np.diff(grid) > 1e-3 * (even[1] - even[0]), True)]
    grid[0] = quadrature.lower
    values = least_squares(quadrature, grid[None]).values[0]
    return quadrature._replace(
        function=lambda x: np.interp(x, grid, values),
        mesh=grid[1:-1],
        scale=float(np.max(np.abs(values))),
    )
