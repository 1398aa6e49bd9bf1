"""Step functions of few pieces whose breakpoints are globally best on a grid, then finer."""

from collections.abc import Callable

import numpy as np

from ._balanced_knots import balanced_ends
from ._nodes import composite_rule
from ._quadrature import Quadrature

# Up to so many pieces; with more the density of the best breakpoints is known well enough.
MOST_PIECES = 64
# Points of the grid for each piece, at least and at most so many, and so many jumps beside them.
_PER_PIECE, _LEAST, _MOST = 8, 96, 512
MOST_JUMPS = 512
# Values that a piece may take in L^1, while breakpoints are chosen.
_LEVELS = 512
# Grid points nearer than this share of the domain are one.
_GAP = 1e-9
# Finer grids: places of each breakpoint as shares of the gaps beside it, in so many rounds.
_PLACES, _ROUNDS, _FINER = np.array([-0.4, -0.2, 0.0, 0.2, 0.4]), 12, 0.6

# The costs between rows of points and later ones: shapes (rows, m) and (rows, n) give (rows, m, n).
Costs = Callable[[np.ndarray, np.ndarray], np.ndarray]


def best_steps(points: Quadrature, places: np.ndarray, count: int, p: float) -> np.ndarray:
    """Ends of `count` pieces, in L^1 or L^2, for a target that jumps at `places`.

    Dynamic programming [bellman1961] finds the best ends on a grid that has the jumps in it; then
    each breakpoint gets a few places around it, dynamic programming chooses among them, and they
    come closer from round to round.
    """
    grid = _grid(points, places, count, p)
    count = min(count, grid.size - 1)
    cost = _costs(points, grid, p)(grid[None], grid[None])[0]
    ends = grid[_shortest(cost, count)]
    spread = _PLACES
    for _ in range(_ROUNDS if count > 1 else 0):
        ends = _finer(points, ends, spread, p)
        spread = spread * _FINER
    return ends


def _grid(points: Quadrature, places: np.ndarray, count: int, p: float) -> np.ndarray:
    """Half by the density of breakpoints, half even, and the jumps, which win against neighbors."""
    size = int(np.clip(_PER_PIECE * count, _LEAST, _MOST)) // 2
    even = np.linspace(points.lower, points.upper, size + 1)
    grid = np.union1d(balanced_ends(points, size, 1, p), even)
    away = np.abs(grid[:, None] - places).min(axis=1, initial=np.inf)
    gap = _GAP * (points.upper - points.lower)
    grid = np.union1d(grid[away > gap], places)
    inner = grid[1:-1]
    inner = inner[(inner - points.lower > gap) & (points.upper - inner > gap)]
    grid = np.concatenate([[points.lower], inner, [points.upper]])
    return grid[np.append(True, np.diff(grid) > 0)]


def _costs(points: Quadrature, at: np.ndarray, p: float) -> Costs:
    """The p-th power of the error of the best constant between any two of the points `at`."""
    at = np.unique(at)
    nodes, weights = composite_rule(points, at)
    values = points.function(nodes)
    first = np.searchsorted(nodes[:, 0], at[:-1])
    # Integrals up to each point: of 1, f and f^2, less the mean of f against cancellation; or of
    # the distances from each level.
    if p == 2:
        values = values - np.sum(weights * values) / np.sum(weights)
        integrands = [np.ones_like(values), values, values**2]
    else:
        levels = np.unique(np.quantile(values, np.linspace(0, 1, _LEVELS)))
        integrands = (np.abs(values - level) for level in levels)
    cells = [np.sum(weights * integrand, axis=1) for integrand in integrands]
    sums = [np.append(0.0, np.cumsum(np.add.reduceat(cell, first))) for cell in cells]

    def between(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        i, j = np.searchsorted(at, begin)[:, :, None], np.searchsorted(at, end)[:, None]
        if p == 2:
            length, mean, square = (total[j] - total[i] for total in sums)
            with np.errstate(divide="ignore", invalid="ignore"):
                cost = np.maximum(square - mean**2 / length, 0.0)
        else:
            cost = np.full(np.broadcast_shapes(i.shape, j.shape), np.inf)
            for total in sums:
                np.minimum(cost, total[j] - total[i], out=cost)
        return np.where(j > i, cost, np.inf)

    return between


def _shortest(cost: np.ndarray, count: int) -> np.ndarray:
    """The path of `count` steps from the first to the last point with the least cost."""
    reach, choices = cost[0], []
    for _ in range(count - 1):
        total = reach[:, None] + cost
        choices.append(np.argmin(total, axis=0))
        reach = np.min(total, axis=0)
    path = [cost.shape[1] - 1]
    for chosen in reversed(choices):
        path.append(int(chosen[path[-1]]))
    return np.array([0, *reversed(path)])


def _finer(points: Quadrature, ends: np.ndarray, spread: np.ndarray, p: float) -> np.ndarray:
    """The best choice of a place for each breakpoint, among some beside it and where it is."""
    before, after = np.diff(ends)[:-1, None], np.diff(ends)[1:, None]
    trial = ends[1:-1, None] + np.where(spread < 0, before, after) * spread
    trial = np.concatenate([np.full((1, spread.size), ends[0]), trial])
    trial = np.concatenate([trial, np.full((1, spread.size), ends[-1])])
    cost = _costs(points, trial.ravel(), p)(trial[:-1], trial[1:])
    reach, choices = cost[0][0], []
    for step in cost[1:]:
        total = reach[:, None] + step
        choices.append(np.argmin(total, axis=0))
        reach = np.min(total, axis=0)
    path = [0]
    for chosen in reversed(choices):
        path.append(int(chosen[path[-1]]))
    return trial[np.arange(ends.size), np.array([0, *reversed(path)])]
