"""One more linear piece than neurons, from neurons that look to both sides."""

import itertools

import numpy as np
from scipy.linalg import solveh_banded
from scipy.optimize import minimize

from ..families._fitted import Fitted
from ..families._least_squares import least_squares
from ..families._quadrature import Quadrature
from ..families._spline import apart
from ..networks import ReLUNetwork

# Orientations of so many kinks are searched in full, 2^8 by 2^8 sums; the others follow greedily.
_FREE = 16
# As many orientations are ranked by their price. The search ends after 4 in a row without a gain,
# or 64 / n for few kinks n, of which the price says little.
_RANKED, _VAIN = 96, (4, 64)
_GAIN = 1e-6
# What a step gets that lets two knots meet, in units of the error at the start.
_FAR = 1e10

# A spline of n + 1 pieces with slopes m_0..m_n and jumps d_j = m_j - m_{j-1} at its n kinks is a
# network of n neurons,
#
#     s(x) = c + sum_{j not in S} d_j (x - t_j)_+ + sum_{j in S} d_j (t_j - x)_+ ,
#
# if and only if its slope at the left end is that of the sum: m_0 = - sum_{j in S} d_j. A spline of
# n pieces needs no condition (its outermost knot is the place of the n-th kink), and together these
# are all networks of n neurons. On given knots the condition is linear in the values, a . v = 0,
# and with the best values v_0 and the mass matrix G of the hats the best ones under it are
#
#     v = v_0 - G^-1 a (a . v_0) / (a . G^-1 a),   at the price (a . v_0)^2 / (a . G^-1 a)
#
# in the squared error [derived]. Of the 2^n sets S some make a . v_0 small, unless the slopes keep
# one sign and the jumps too (exp): then n pieces are best.


def with_one_more_piece(
    grid: Quadrature, fitted: Fitted, best: float
) -> tuple[ReLUNetwork | None, float]:
    """A network of n neurons near the spline (1, n + 2) of n + 1 pieces, and its squared error.

    None, and `best`, if none has a smaller squared error than `best`.
    """
    found, vain = None, 0
    if best <= fitted.floor:
        return found, best
    for weights in _orientations(fitted):
        knots, error = _best_knots(grid, fitted.knots[0], weights)
        vain += 1
        if error < best * (1 - _GAIN):
            best, found, vain = error, (knots, weights), 0
        if vain >= max(_VAIN[0], _VAIN[1] // weights.size):
            break
    return None if found is None else _network(grid, *found), best


def _orientations(fitted: Fitted) -> list[np.ndarray]:
    """The sets S, the most promising first, each as the weights w (n + 1,) of `w . slopes = 0`."""
    knots, values = fitted.knots[0], fitted.values[0]
    slopes = np.diff(values) / np.diff(knots)
    jumps = np.diff(slopes)
    # Outward from a pivot: its piece is constant, as the middle one of an even target.
    sides = [np.arange(jumps.size) < pivot for pivot in range(jumps.size + 1)]
    # Kinks of all sizes stay free; the others, the largest first, bring the sum nearer to zero.
    order = np.argsort(-np.abs(jumps), kind="stable")
    places = np.unique(np.linspace(0, jumps.size - 1, min(_FREE, jumps.size)).astype(int))
    free, rest = order[places], np.delete(order, places)
    start, greedy = slopes[0], np.zeros(jumps.size, bool)
    for kink in rest:
        greedy[kink] = abs(start + jumps[kink]) < abs(start)
        start += jumps[kink] * greedy[kink]
    half, other = free[::2], free[1::2]
    first, second = _subsets(half.size), _subsets(other.size)
    sums = start + (first @ jumps[half])[:, None] + (second @ jumps[other])[None, :]
    nearest = np.argsort(np.abs(sums), axis=None, kind="stable")[:_RANKED]
    for row, column in zip(*np.unravel_index(nearest, sums.shape), strict=True):
        side = greedy.copy()
        side[half], side[other] = first[row], second[column]
        sides.append(side)
    sides = np.unique(sides, axis=0)
    weights = [np.append(1.0, side) - np.append(side, 0.0) for side in sides]
    return sorted(weights, key=lambda w: _price(fitted, w))


def _subsets(size: int) -> np.ndarray:
    return np.array(list(itertools.product((False, True), repeat=size))).reshape(2**size, size)


def _condition(knots: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The vector a with `a . values = weights . slopes`."""
    scaled = weights / np.diff(knots)
    return np.append(0.0, scaled) - np.append(scaled, 0.0)


def _direction(knots: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """G^-1 a."""
    length = np.diff(knots)
    band = np.zeros((2, knots.size))
    band[0, 1:] = length / 6
    band[1, :-1] += length / 3
    band[1, 1:] += length / 3
    return solveh_banded(band, condition)


def _price(fitted: Fitted, weights: np.ndarray) -> float:
    condition = _condition(fitted.knots[0], weights)
    gap = condition @ fitted.values[0]
    return gap**2 / (condition @ _direction(fitted.knots[0], condition))


def constrained(grid: Quadrature, knots: np.ndarray, weights: np.ndarray):
    """The best values under the condition, their squared error and its slope in the knots."""
    fitted = least_squares(grid, knots[None])
    condition = _condition(knots, weights)
    direction = _direction(knots, condition)
    multiplier = (condition @ fitted.values[0]) / (condition @ direction)
    moved = -multiplier * direction
    values = fitted.values[0] + moved
    length = np.diff(knots)
    slopes = np.diff(values) / length
    # The residual loses the moved part: its integrals with the hats of a piece.
    left = fitted.left[0] - length * (moved[:-1] / 3 + moved[1:] / 6)
    right = fitted.right[0] - length * (moved[:-1] / 6 + moved[1:] / 3)
    error = fitted.error[0] + multiplier**2 * (condition @ direction)
    # Envelope theorem on int (f - s)^2 + 2 multiplier a . v: a knot that moves right lowers s by
    # its slope times the hat, on either side.
    pull = multiplier * weights * slopes / length
    slope = np.zeros(knots.size)
    slope[1:] += slopes * right - pull
    slope[:-1] += slopes * left + pull
    return values, error, 2 * slope


def _best_knots(grid: Quadrature, knots: np.ndarray, weights: np.ndarray):
    """Knots near `knots` with the least error under the condition, and that error."""
    whole = knots[-1] - knots[0]

    def place(logits):
        gaps = np.exp(logits - np.max(logits))
        gaps *= whole / np.sum(gaps)
        inner = knots[0] + np.cumsum(gaps[:-1])
        return np.concatenate([knots[:1], inner, knots[-1:]]), gaps

    _, unit, _ = constrained(grid, knots, weights)

    def error(logits):
        placed, gaps = place(logits)
        if not np.all(apart(placed)):
            return _FAR, np.zeros(logits.size)
        _, value, slope = constrained(grid, placed, weights)
        # d t_j / d gap_i = 1 for i < j; the softmax: gaps (x - mean of x).
        by_gap = np.append(np.cumsum(slope[-2:0:-1])[::-1], 0.0)
        return value / unit, gaps * (by_gap - by_gap @ gaps / whole) / unit

    logits = np.log(np.diff(knots))
    found = minimize(error, logits, jac=True, method="BFGS", options={"gtol": 1e-7})
    placed, _ = place(found.x)
    return placed, found.fun * unit


def _network(grid: Quadrature, knots: np.ndarray, weights: np.ndarray) -> ReLUNetwork:
    values, _, _ = constrained(grid, knots, weights)
    jumps, inner = np.diff(np.diff(values) / np.diff(knots)), knots[1:-1]
    # w = (1, 0, .., 0) + sum over S of (.., -1, 1, ..): the sums of w from the right are 1 on S.
    sides = np.cumsum(weights[:0:-1])[::-1] > 0.5
    sign = np.where(sides, -1.0, 1.0)
    bias = values[0] - np.sum((jumps * (inner - knots[0]))[sides])
    return ReLUNetwork((sign[:, None], jumps[None, :]), (-sign * inner + 0.0, np.array([bias])))
