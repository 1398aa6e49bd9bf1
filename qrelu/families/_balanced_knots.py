"""Knots that balance the error of a spline: by the target's derivatives, then by the error."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.polynomial import chebyshev

from ._quadrature import Quadrature
from ._spline import parted

# A share of the density that is spread evenly, so that no part of the domain is left without knots.
_EVEN = 1e-3
# Coefficients below this many units in the last place are rounding.
_ROUNDING = 64.0
# Cells for each piece.
_PARTS = 8
# Sweeps end when one gains less than this share of the error, or after so many.
_GAIN, _SWEEPS = 0.01, 40
# After so many sweeps without gain.
_PATIENCE = 3
# The error of a piece counts at least this share of the mean, so that none is forgotten.
_LEAST = 1e-3


def balanced_ends(quadrature: Quadrature, pieces: int, order: int, p: float) -> np.ndarray:
    r"""Ends of pieces with equal integrals of $|f^{(r)}|^{1/(r + 1/p)}$, r the order.

    The error of the best polynomial of order r on a short piece of length h is
    $C |f^{(r)}| h^{r + 1/p}$ in $L^p$: equal on all pieces for this density, which is optimal.

    The derivative is that of the polynomial of degree r through Chebyshev points of each cell of
    the target's mesh, whose cells halve towards singular points.
    """
    mesh = np.concatenate([[quadrature.lower], quadrature.mesh, [quadrature.upper]])
    mass = np.nan_to_num(_mass(quadrature, mesh, order, p))
    if mass.sum() > 0:
        # Cells that hold more than a part of a piece are cut, so that the density is known there;
        # where the derivative of a part is rounding, it is that of the cell.
        parts = np.ceil(_PARTS * pieces * mass / mass.sum()).astype(np.intp).clip(1)
        owner = np.repeat(np.arange(parts.size), parts)
        place = np.arange(owner.size) - (np.cumsum(parts) - parts)[owner]
        begin = mesh[:-1][owner] + np.diff(mesh)[owner] * (place / parts[owner])
        mesh = np.append(begin, mesh[-1])
        fine = _mass(quadrature, mesh, order, p)
        mass = np.where(np.isnan(fine), mass[owner] / parts[owner], fine)
    if mass.sum() == 0:
        return np.linspace(mesh[0], mesh[-1], pieces + 1)
    mass = (1 - _EVEN) * mass / mass.sum() + _EVEN * np.diff(mesh) / (mesh[-1] - mesh[0])
    sums = np.concatenate([[0.0], np.cumsum(mass)])
    ends = np.interp(np.linspace(0.0, sums[-1], pieces + 1), sums, mesh)
    ends[0], ends[-1] = mesh[0], mesh[-1]
    return ends


# The density says where knots belong when there are many; few pieces do not see the derivative, and
# where it drowns in rounding nothing is known of it. The errors of the pieces of a spline are there
# in both cases. A piece with error e would, cut into k parts, have parts with k^-(r + 1/p) e: it
# holds e^(1/(r + 1/p)) shares of what all pieces should have alike. As a spline on a piece depends
# on the knots around it, the shares are averaged with those of the neighbors (de Boor, 1973, does
# the same with the derivative of the spline).
def equalized(
    starts: Sequence[np.ndarray],
    errors: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    order: int,
    p: float,
) -> np.ndarray:
    """Of some knots, and of those on the way to equal errors of the pieces, the best.

    **Arguments:**

    - `starts`: knots from which to begin, each (knots,), the ends of the domain included.
    - `errors`: gives for such knots the ends of the pieces, (pieces + 1,), which may be more than
        the knots, and the L^p error of each piece.
    - `order`, `p`: the order of the spline and the norm.
    """
    best, least = starts[0], np.inf
    for knots in starts:
        reached, idle = np.inf, 0
        for _ in range(_SWEEPS):
            ends, parts = errors(knots)
            total = float(np.linalg.norm(parts, p))
            if total < least:
                best, least = knots, total
            idle = 0 if total < (1 - _GAIN) * reached else idle + 1
            reached = min(reached, total)
            if idle == _PATIENCE or not total > 0:
                break
            shares = (parts + _LEAST * total * parts.size ** (-1 / p)) ** (1 / (order + 1 / p))
            around = np.pad(shares, 1, mode="edge")
            sums = np.cumsum(np.append(0.0, (around[:-2] + 2 * shares + around[2:]) / 4))
            inner = np.interp(np.linspace(0.0, sums[-1], knots.size)[1:-1], sums, ends)
            knots = parted(np.concatenate([knots[:1], inner, knots[-1:]]))
    return best


def _mass(quadrature: Quadrature, mesh: np.ndarray, order: int, p: float) -> np.ndarray:
    """The integral of the density over every cell of the mesh, NaN where it is rounding."""
    width = np.diff(mesh)
    nodes = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1))
    values = quadrature.function(mesh[:-1, None] + width[:, None] * ((nodes + 1) / 2))
    # The leading coefficient of T_r is 2^(r-1): r! 2^(r-1) (2/h)^r times the coefficient.
    top = np.abs(chebyshev.chebfit(nodes, values.T, order)[order])
    size = np.max(np.abs(values), axis=1)
    top = np.where(top > _ROUNDING * np.finfo(float).eps * size, top, np.nan)
    factor = math.factorial(order) * 2.0 ** (order - 1)
    sigma = 1 / (order + 1 / p)
    # |f^(r)|^sigma h, powers taken apart so that a tiny h stays in the range of float64.
    return (factor * top) ** sigma * width ** (1 - order * sigma) * 2.0 ** (order * sigma)
