"""Broken lines with given splits as a space, and the whole numbers of few bits in it."""

import math
from typing import NamedTuple

import numpy as np

from ..families._quadrature import Quadrature
from ._lifting import Level, at_places, candidates_after, halved, legendre, predicted

_JITTER = 1e-13


class Space(NamedTuple):
    """All broken lines with given splits, as linear combinations of columns."""

    knots: np.ndarray
    columns: np.ndarray  # (knots, m): the values that a residual of one makes
    upper: np.ndarray  # the least squares problem as a triangle, columns from fine to coarse
    right: np.ndarray
    target: np.ndarray  # values at the knots
    moments: np.ndarray  # of the target minus its interpolant, against the hats
    square: float  # and its squared norm

    def squared_error(self, values: np.ndarray) -> float:
        """The squared L^2 error of the broken line with the given values."""
        e = values - self.target
        return self.square - 2 * float(e @ self.moments) + float(e @ _hats(self.knots, e))


def _hats(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The Gram matrix of hat functions times values of shape (knots, ...)."""
    h = np.diff(knots).reshape(-1, *(1,) * (values.ndim - 1))
    left, right = values[:-1], values[1:]
    result = np.zeros_like(values)
    result[:-1] += h * (2 * left + right) / 6
    result[1:] += h * (left + 2 * right) / 6
    return result


def line_space(
    points: Quadrature, order: int, splits: list[np.ndarray], extra: int, terms: int = 2
) -> Space:
    count = sum(int(split.sum()) for split in splits)
    places = np.array([0, 1 << (len(splits) + extra)], np.int64)
    values = np.zeros((2, count))
    candidates, column = np.array([0]), 0
    for split in splits:
        cells = candidates[split]
        middles = predicted(places, values, cells, order)
        middles[np.arange(cells.size), column + np.arange(cells.size)] += 1.0
        column += cells.size
        candidates = candidates_after(cells)
        places, values = halved(Level(places, cells), values, middles)
    for _ in range(extra):
        cells = np.arange(places.size - 1)
        places, values = halved(
            Level(places, cells), values, predicted(places, values, cells, order)
        )
    values = np.concatenate([legendre(places, terms), values], axis=1)
    knots = at_places(places, (points.lower, points.upper))
    target = points.function(knots)
    found = points.moments(knots[None], target[None])
    moments = np.zeros(knots.size)
    moments[:-1] += found.left[0]
    moments[1:] += found.right[0]
    times = _hats(knots, values)
    upper, right = _triangle(values.T @ times, values.T @ moments + times.T @ target)
    return Space(knots, values, upper, right, target, moments, float(found.square.sum()))


# |columns y - f|^2 = |U y' - t|^2 + const with y' = y reversed, so that the finest column is the
# first: U U^T is the reversed Gram matrix. Units D of the columns turn U into U D and leave t.
def _triangle(gram: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import solve_triangular

    scale = np.sqrt(np.diag(gram))[::-1]
    scaled = gram[::-1, ::-1] / scale[:, None] / scale
    # Columns that are nearly dependent: what is added is far below any accuracy.
    lower = np.linalg.cholesky(scaled + _JITTER * np.eye(scale.size))
    solved = solve_triangular(lower, right[::-1] / scale, lower=True)
    return lower.T * scale, solved


# Nearest plane: coarse residuals are chosen first, each knowing that the finer ones, still free,
# will make up for it as far as they can. |U y - t|^2 is a sum over k of (U_kk (y_k - z_k))^2, where
# z_k depends on the y chosen before; a bit is weighed against it at its price.
def chosen(space: Space, unit: np.ndarray, price: float) -> np.ndarray:
    """Whole numbers, one for each column, that are near to the best in their units."""
    upper, right = space.upper * unit[::-1], space.right
    count = right.size
    y = np.zeros(count)
    for k in range(count - 1, -1, -1):
        wanted = (right[k] - upper[k, k + 1 :] @ y[k + 1 :]) / upper[k, k]
        best = float(round(wanted))
        if price and best and abs(wanted) < 16:
            weight = upper[k, k] ** 2
            toward = best - math.copysign(1.0, best)
            options = [best, toward, 0.0]
            costs = [
                weight * (option - wanted) ** 2 + price * _rough_bits(option) for option in options
            ]
            best = options[int(np.argmin(costs))]
        y[k] = best
    return y[::-1].astype(np.int64)


def _rough_bits(number: float) -> float:
    return 0.0 if number == 0 else 2.0 + 1.5 * math.log2(abs(number))


def best_error(space: Space) -> float:
    """The L^2 error of the best line of a space, without rounding."""
    from scipy.linalg import solve_triangular

    y = solve_triangular(space.upper, space.right)[::-1]
    return math.sqrt(max(space.squared_error(space.columns @ y), 0.0))
