"""Knots of the best DISCONTINUOUS spline on a grid, by dynamic programming: a global start."""

import numpy as np

from ._equidistribution import equidistributed
from ._quadrature import Quadrature


def segmentations(quadrature: Quadrature, pieces: int) -> np.ndarray:
    r"""Knots (1, N + 1) on a grid that minimize the L^2 error of lines without continuity.

    A stationary continuous spline is on every piece the best line of that piece alone, so the
    discontinuous optimum, which dynamic programming finds globally, lies near the best continuous
    one: it sees the whole interval where a local method only sees neighbors.

    **Reference:** the dynamic program for segmented least squares is classical [bellman1961].
    """
    grid = _grid(quadrature, pieces)
    cost = _segment_costs(quadrature, grid)
    # reach[b]: the least squared error on [grid[0], grid[b]] with the pieces so far.
    reach = cost[0].copy()
    choices = np.empty((pieces, grid.size), dtype=np.intp)
    for piece in range(1, pieces):
        total = reach[:, None] + cost
        choices[piece] = np.argmin(total, axis=0)
        reach = total[choices[piece], np.arange(grid.size)]
    place = grid.size - 1
    picked = [place]
    for piece in range(pieces - 1, 0, -1):
        place = choices[piece, place]
        picked.append(place)
    picked.append(0)
    return grid[np.array(picked[::-1])][None]


def _grid(quadrature, pieces):
    # Half of the grid follows the density of knots, half is even; kinks belong to it.
    count = int(np.clip(8 * pieces, 96, 384))
    dense = equidistributed(quadrature, count // 2, 2.0)
    even = np.linspace(quadrature.lower, quadrature.upper, count // 2 + 1)
    grid = np.unique(np.concatenate([dense, even, quadrature.kinks]))
    # Points closer than rounding would give empty segments.
    gap = 1e-9 * (quadrature.upper - quadrature.lower)
    keep = np.append(np.diff(grid) > gap, True)
    keep[0] = True
    return grid[keep]


def _segment_costs(quadrature, grid):
    # Squared error of the best line on [grid[a], grid[b]], all a < b, from running moments of
    # f minus its mean line (that keeps the cancellation small). With centered x on the segment:
    #   cost = F2 - F0^2 / h - 12 G^2 / h^3,   G = int (x - middle) f.
    lower, upper = quadrature.lower, quadrature.upper
    ends = quadrature.function(np.array([lower, upper]))
    knots = grid[None]
    line = ends[0] + (ends[1] - ends[0]) * (knots - lower) / (upper - lower)
    left, right, square = (part[0] for part in quadrature.moments(knots, line))
    zeroth = np.concatenate([[0.0], np.cumsum(left + right)])
    first = np.concatenate([[0.0], np.cumsum(left * grid[:-1] + right * grid[1:])])
    second = np.concatenate([[0.0], np.cumsum(square)])
    length = grid[None, :] - grid[:, None]
    middle = (grid[None, :] + grid[:, None]) / 2
    mass = zeroth[None, :] - zeroth[:, None]
    moment = first[None, :] - first[:, None] - middle * mass
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = second[None, :] - second[:, None] - mass**2 / length - 12 * moment**2 / length**3
    return np.where(length > 0, np.maximum(cost, 0.0), np.inf)
