"""The best constants on given pieces."""

import numpy as np

from ._nodes import composite_rule
from ._quadrature import Quadrature


def piece_values(quadrature: Quadrature, ends: np.ndarray, p: float) -> np.ndarray:
    """The mean, the median or the middle of the range of the target on every piece.

    The median and the range are those of the nodes of a Gauss rule and, for the range, of the ends
    of its cells: for a target that is monotone in each cell the range is exact.
    """
    nodes, weights = composite_rule(quadrature, ends)
    values = quadrature.function(nodes)
    owner = np.searchsorted(ends, nodes[:, 0], side="right") - 1
    first = np.searchsorted(owner, np.arange(ends.size - 1))
    if p == 2:
        return np.add.reduceat((values * weights).sum(axis=1), first) / np.diff(ends)
    if p == np.inf:
        low, high = piece_ranges(quadrature, ends)
        return (low + high) / 2
    piece = np.repeat(owner, values.shape[1])
    order = np.lexsort((values.ravel(), piece))
    mass = np.cumsum(weights.ravel()[order])
    half = np.diff(ends) / 2 + (ends[:-1] - ends[0])
    return values.ravel()[order][np.searchsorted(mass, half)]


def piece_ranges(quadrature: Quadrature, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value of the target on every piece, as in `piece_values`."""
    nodes, _ = composite_rule(quadrature, ends)
    values = quadrature.function(nodes)
    first = np.searchsorted(nodes[:, 0], ends[:-1])
    # The ends of cells, two units inside, belong to the cell at a jump too.
    cuts = np.unique(np.concatenate([quadrature.mesh, ends]))
    cuts = cuts[(cuts >= ends[0]) & (cuts <= ends[-1])]
    at_cuts = quadrature.function(cuts)
    high = np.maximum(values.max(axis=1), np.maximum(at_cuts[:-1], at_cuts[1:]))
    low = np.minimum(values.min(axis=1), np.minimum(at_cuts[:-1], at_cuts[1:]))
    return np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)
