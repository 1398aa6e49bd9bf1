"""The first layer of one input: knots, and which of the many ways to write one on a grid."""

import numpy as np

from ._grids import Grid

# Scales that are tried for every unit. The best of n random fractions misses the knot n times less
# than one does, so 1,024 are worth ten bits; more is seldom left to gain, and less is left to lose.
_SCALES = 1024
_BLOCK = 2**18  # numbers at a time


# Since relu(c x) = c relu(x), a unit with the knot t may have any weight w and the bias -w t: on a
# grid many pairs (w, b), with knots b / w much closer to t than the step. The next layer takes
# the factor up. For c the column of the next layer, rounding costs, in the squared L2 error and
# where neighboring knots are at the distance g:
#
# - A knot at the distance d: a jump c w d at the knot, of which the slope that follows it takes up
#   three quarters. A jump of size 1 on an interval of length g leaves min_a int (1 - a x / g)^2 =
#   g / 4. So c^2 w^2 d^2 g / 4.
# - The step s of the next layer where the weight is w r: an error of s / sqrt(12) in its entry
#   that later entries do not absorb on an interval of length g, so w^2 r^2 s^2 / 12 g^3 / 3.
#
# The sum is least for d^2 c^2 + (r s g / 3)^2. It wants small weights, which make the entries of
# the next layer large; these may not exceed the largest that are there, nor may the weights and
# biases of the first layer, so that the magnitude of no array grows.
def knots(
    weight: np.ndarray,
    bias: np.ndarray,
    outer: np.ndarray,
    length: float,
    weight_grid: Grid,
    bias_grid: Grid,
    outer_grid: Grid,
    fractions: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (n, 1) and biases (n,) on the grids, and the factor (n,) for the next layer.

    `outer` (m, n) is the next layer, `length` that of the interval of the points. Without
    `fractions` every weight is rounded to nearest, and its bias follows the knot.
    """
    slopes = weight[:, 0]
    bends = slopes != 0
    safe = np.where(bends, slopes, 1.0)
    places = np.where(bends, -bias / safe, 0.0)
    gaps = _gaps(places, bends, length)
    lowest, highest = _scales(slopes, bias, outer)

    tried = np.linspace(0.0, 1.0, 16)[:, None, None]  # enough for a mean
    scaled = outer / (lowest + tried * (highest - lowest))
    # The mean distance of numbers to a grid is a quarter of its step, whatever grid it is.
    steps = 4 * np.mean(np.abs(outer_grid.whole(scaled) - scaled), axis=0)
    step = np.sqrt(np.sum(steps**2, axis=0))
    size = np.sqrt(np.sum(outer**2, axis=0))

    kept = weight_grid.whole(weight)[:, 0]
    moved = bias_grid.whole(np.where(kept != 0, -kept * places, bias))
    least = np.full_like(slopes, np.inf)
    # The weight as it is comes first: others are taken only where they are better.
    shares = np.concatenate([[np.nan], np.linspace(0.0, 1.0, _SCALES if fractions else 0)])
    block = max(1, _BLOCK // slopes.size)
    for start in range(0, shares.size, block):
        share = shares[start : start + block, None]
        scale = np.where(np.isnan(share), 1.0, lowest + share * (highest - lowest))
        codes = weight_grid.whole((scale * slopes)[:, :, None])[:, :, 0]
        ratio = codes / safe
        allowed = bends & (ratio >= lowest) & (ratio <= highest) & (ratio > 0)
        allowed |= np.isnan(share) & bends & (codes != 0)
        offsets = bias_grid.whole(-codes * places)
        away = np.abs(offsets / np.where(codes != 0, codes, 1.0) + places)
        cost = np.where(allowed, (size * away) ** 2 + (ratio * step * gaps / 3) ** 2, np.inf)
        best = np.argmin(cost, axis=0)
        here = (best, np.arange(slopes.size))
        better = cost[here] < least
        least = np.where(better, cost[here], least)
        kept, moved = np.where(better, codes[here], kept), np.where(better, offsets[here], moved)
    factor = np.where(bends & (kept * slopes > 0), safe / np.where(kept != 0, kept, 1.0), 1.0)
    return kept[:, None], moved, factor


def _gaps(places: np.ndarray, bends: np.ndarray, length: float) -> np.ndarray:
    """Mean distance of the neighbors of every knot, at most the length of the interval."""
    gaps = np.full_like(places, length)
    order = np.argsort(places[bends], kind="stable")
    if order.size > 1:
        sorted_gaps = np.gradient(places[bends][order])
        gaps[np.flatnonzero(bends)[order]] = np.minimum(sorted_gaps, length)
    return gaps


def _scales(slopes, bias, outer) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest factor of every unit's weight that no magnitude grows with."""
    sizes = np.max(np.abs(outer), axis=0)
    # A unit that the next layer does not use may stay as it is.
    lowest = np.where(sizes > 0, sizes / max(np.max(sizes), np.finfo(float).tiny), 1.0)
    highest = np.full_like(slopes, np.inf)
    for numbers in (np.abs(slopes), np.abs(bias)):
        ratio = np.full_like(slopes, np.inf)
        np.divide(np.max(numbers), numbers, out=ratio, where=numbers > 0)
        highest = np.minimum(highest, ratio)
    return lowest, np.where(np.isfinite(highest), highest, 1.0)
