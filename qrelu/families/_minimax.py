"""Splines that are best in the sup norm: free knots by fewest links, given knots by a program."""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from ._equidistribution import equidistributed
from ._quadrature import Quadrature
from ._spline import Spline
from ._tube import fewest_links

# Samples per piece: the sup between samples is at most 2/24^2 = 0.35 % larger.
_SAMPLES = 24
_LEAST_SAMPLES, _MOST_SAMPLES = 512, 2**18
# A sup error beyond this multiple of the tube's half width asks for more samples.
_TRUSTED = 1.02
# The width of the tube is found to this relative accuracy.
_ACCURACY = 1e-3
# Rounds of the exchange of points of the linear program; two or three are usual.
_EXCHANGES = 8


def free_minimax(quadrature: Quadrature, pieces: int) -> Spline:
    """The spline with at most `pieces` pieces and the least sup error, up to half a percent.

    Bisection on the width of a tube around the target; the fewest links in the tube are exact, so
    this is a global optimum, whatever the number of kinks and inflections. A target that does
    more between the samples than a smooth one gets more samples.
    """
    count = max(_SAMPLES * pieces, _LEAST_SAMPLES)
    while True:
        rough, width = _narrowest(quadrature, _samples(quadrature, count), pieces)
        spline, error = leveled(quadrature, rough)
        trusted = width * _TRUSTED + quadrature.floor(1)
        if error <= trusted or quadrature.sampled or count >= _MOST_SAMPLES:
            return spline
        count *= 4


def _narrowest(quadrature, x, pieces) -> tuple[Spline, float]:
    """The polygon in the narrowest tube at the samples, and the half width of that tube."""
    exact = quadrature.function(x)
    highest = (np.max(exact) - np.min(exact)) / 2
    if highest == 0:
        return Spline(x[[0, -1]], exact[[0, -1]]), 0.0

    def polygon(error):
        found = fewest_links(x, exact + error, exact - error, pieces)
        return None if found is None else _clean(*found)

    low, high = 0.0, highest
    # The middle of the range is a polygon with one link.
    best = Spline(x[[0, -1]], np.full(2, np.min(exact) + highest))
    guess = min(_guess(x, exact, pieces), highest / 2)
    # From the first guess outward in growing steps until the optimum is enclosed, then bisection.
    factor = 1.005
    while high > low * (1 + _ACCURACY) and high > 1e-15 * highest:
        found = polygon(guess)
        if found is None:
            low = guess
        else:
            high, best = guess, found
        guess = np.sqrt(low * high)
        if low == 0:
            guess = high / factor
        elif high == highest and low * factor < highest:
            guess = low * factor
        factor = min(factor**3, 8.0)
    return best, high


def minimax_values(quadrature: Quadrature, knots: np.ndarray) -> Spline:
    """The spline on given knots (N + 1,) with the least sup error.

    A sparse linear program over a few points per piece; points where the residual is larger than
    the program knew join it until none is.
    """
    pieces = knots.size - 1
    x = _points(quadrature, knots, max(32, 1024 // pieces))
    exact = quadrature.function(x)
    owner = np.clip(np.searchsorted(knots, x, "right") - 1, 0, pieces - 1)
    local = (x - knots[owner]) / np.diff(knots)[owner]
    rows = np.arange(x.size)
    hats = sparse.csr_matrix(
        (
            np.concatenate([1 - local, local]),
            (np.concatenate([rows, rows]), np.concatenate([owner, owner + 1])),
        ),
        shape=(x.size, pieces + 1),
    )
    values = quadrature.function(knots)
    residual = exact - hats @ values
    scale = np.max(np.abs(residual))
    if scale == 0:
        return Spline(knots, values)
    first = np.searchsorted(owner, np.arange(pieces))
    chosen = np.zeros(x.size, dtype=bool)
    chosen[np.searchsorted(x, knots)] = True
    worst, delta = scale, np.zeros(pieces + 1)
    for _ in range(_EXCHANGES):
        chosen |= _extremes(residual - hats @ delta, owner, first)
        part = np.flatnonzero(chosen)
        solved = _program(hats[part], residual[part] / scale)
        if solved is None:
            break
        trial, proven = solved[:-1] * scale, solved[-1] * scale
        error = np.max(np.abs(residual - hats @ trial))
        if error < worst:
            worst, delta = error, trial
        if error <= proven * (1 + 1e-3):
            break
    return Spline(knots, values + delta)


def leveled(quadrature: Quadrature, spline: Spline) -> tuple[Spline, float]:
    """Values shifted by half of what the residual lacks in symmetry, while the sup error falls.

    Returns the spline and its sup error at many points.
    """
    knots, values = spline
    x = _points(quadrature, knots, max(64, 2048 // (knots.size - 1)))
    exact = quadrature.function(x)
    first = np.searchsorted(x, knots[:-1])
    worst = np.inf
    for _ in range(4):
        residual = exact - np.interp(x, knots, values)
        # A piece ends with the first sample of the next one: both ends count.
        high = np.maximum.reduceat(residual, first)
        low = np.minimum.reduceat(residual, first)
        ends = residual[np.append(first[1:], x.size - 1)]
        high, low = np.maximum(high, ends), np.minimum(low, ends)
        error = max(np.max(high), -np.min(low))
        if not error < worst:
            break
        worst, spline = error, Spline(knots, values)
        middle = (high + low) / 2
        shift = np.concatenate([middle[:1], (middle[1:] + middle[:-1]) / 2, middle[-1:]])
        values = values + shift
    return spline, worst


def _samples(quadrature, count):
    if quadrature.sampled:
        return np.concatenate([[quadrature.lower], quadrature.mesh, [quadrature.upper]])
    dense = equidistributed(quadrature, count, np.inf)
    return np.unique(np.concatenate([dense, quadrature.mesh]))


def _points(quadrature, knots, count):
    share = np.arange(count) / count
    inner = (knots[:-1, None] + np.diff(knots)[:, None] * share).ravel()
    return np.unique(np.concatenate([inner, knots, quadrature.mesh]))


def _guess(x, exact, pieces):
    # (int |f''|^(1/2))^2 / (16 N^2) with second differences on the samples.
    left, right = np.diff(x[:-1]), np.diff(x[1:])
    slopes = np.diff(exact) / np.diff(x)
    curvature = 2 * np.abs(np.diff(slopes)) / (left + right)
    total = np.sum(np.sqrt(curvature) * (left + right) / 2)
    guess = total**2 / (16 * pieces**2)
    return guess if guess > 0 else np.inf


def _clean(lines, knots) -> Spline:
    # Parallel neighbors have no meeting point, and rounding may put one outside its gap.
    kept = [0]
    for index in range(1, len(lines)):
        if knots[kept[-1]] < knots[index] < knots[-1]:
            kept.append(index)
    places = np.array([knots[index] for index in kept] + [knots[-1]])
    values = [lines[index](places[i]) for i, index in enumerate(kept)]
    return Spline(places, np.array([*values, lines[-1](places[-1])]))


def _extremes(residual, owner, first):
    """The largest and the smallest residual of every piece, as a mask."""
    mask = np.zeros(residual.size, dtype=bool)
    mask[residual == np.maximum.reduceat(residual, first)[owner]] = True
    mask[residual == np.minimum.reduceat(residual, first)[owner]] = True
    return mask


def _program(hats, residual):
    """min t subject to |residual - hats delta| <= t, or None where the solver gives up."""
    ones = np.ones((residual.size, 1))
    matrix = sparse.vstack(
        [sparse.hstack([-hats, -ones]), sparse.hstack([hats, -ones])], format="csr"
    )
    cost = np.zeros(hats.shape[1] + 1)
    cost[-1] = 1
    solved = linprog(
        cost,
        A_ub=matrix,
        b_ub=np.concatenate([-residual, residual]),
        bounds=[(None, None)] * hats.shape[1] + [(0, None)],
        method="highs-ds",
    )
    return solved.x if solved.status == 0 else None
