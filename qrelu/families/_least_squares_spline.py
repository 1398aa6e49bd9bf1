"""Best L^2 splines of any order on given knots, and knots that balance the error."""

import math

import numpy as np
from numpy.polynomial import chebyshev

from ._nodes import composite_rule
from ._quadrature import Quadrature

# A share of the density that is spread evenly, so that no part of the domain is left without knots.
_EVEN = 1e-3
# Coefficients below this many units in the last place are rounding.
_ROUNDING = 64.0
# Cells for each piece.
_PARTS = 8


def least_squares_spline(quadrature: Quadrature, ends: np.ndarray, order: int) -> np.ndarray:
    """The coefficients of the best L^2 spline of `order` with simple knots at `ends`.

    Weighted least squares on the nodes of a Gauss rule that is exact for products of B-splines, by
    SciPy's QR factorization.
    """
    from scipy.interpolate import make_lsq_spline

    nodes, weights = composite_rule(quadrature, ends)
    knots = np.concatenate([np.full(order, ends[0]), ends[1:-1], np.full(order, ends[-1])])
    x, values = nodes.ravel(), quadrature.function(nodes.ravel())
    spline = make_lsq_spline(x, values, knots, order - 1, w=np.sqrt(weights.ravel()), method="qr")
    return np.asarray(spline.c)


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
