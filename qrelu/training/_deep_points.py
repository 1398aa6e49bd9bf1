"""The points at which a search fits, in the unit cube."""

from typing import NamedTuple

import numpy as np

from ..norms import GaussLegendre, QuasiMonteCarlo
from ..targets import AbstractTarget

# Up to this many variables tensor products, beyond quasi-Monte-Carlo.
TENSOR = 3


class Points(NamedTuple):
    """What is fitted: points of the unit cube (d, n), values, roots of the weights."""

    x: np.ndarray
    y: np.ndarray
    root: np.ndarray


def points_of(target: AbstractTarget, count: int) -> Points:
    """At least `count` points, with the values of the target and weights that add up to one."""
    d = target.dimension
    cube = (np.zeros(d), np.ones(d))
    if d <= TENSOR:
        # Two Gauss nodes in each cell and axis, and a power of two of cells.
        cells = 2 ** max(0, int(np.ceil(np.log2(count) / d - 1 - 1e-9)))
        rule = GaussLegendre(cube, [cells] * d, 2)
    else:
        rule = QuasiMonteCarlo(cube, 2 ** int(np.ceil(np.log2(count))))
    lower, upper = (np.atleast_1d(np.asarray(end, np.float64)) for end in target.domain)
    places = lower + (upper - lower) * rule.nodes
    y = np.asarray(target(places[:, 0] if d == 1 else places), np.float64)
    if not np.isfinite(y).all():
        where = places[~np.isfinite(y)][0].tolist()
        raise ValueError(
            "`fit_deep(target)` must be finite on its domain; at "
            f"{where[0] if d == 1 else where} it is not."
        )
    return Points(rule.nodes.T.copy(), y, np.sqrt(rule.weights))
