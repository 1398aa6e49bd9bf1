"""Integrals of a target against smooth functions: one rule that resolves both."""

import numpy as np

from ._quadrature import Quadrature

# Gauss points of a cell: exact to degree 23, so that a wave with one oscillation in a cell is
# integrated to 1e-15.
ORDER = 12


def composite_rule(quadrature: Quadrature, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (cells, ORDER) and weights of a Gauss rule on cells cut at `points` and by the target.

    The target's cells halve towards its kinks and the ends of the domain.
    """
    lower, upper = quadrature.lower, quadrature.upper
    inner = np.concatenate([quadrature.mesh, points[(points > lower) & (points < upper)]])
    ends = np.concatenate([[lower], np.unique(inner), [upper]])
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)
    width = np.diff(ends)
    return (
        ends[:-1, None] + width[:, None] * ((nodes + 1) / 2),
        width[:, None] * (weights / 2),
    )


def chebyshev_mesh(lower: float, upper: float, cells: int) -> np.ndarray:
    """The ends of `cells` cells that shrink towards both ends as polynomials oscillate there."""
    return lower + (upper - lower) * (0.5 - 0.5 * np.cos(np.pi * np.arange(cells + 1) / cells))
