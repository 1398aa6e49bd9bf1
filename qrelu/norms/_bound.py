"""How large the difference can be between two samples."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._difference import EPS, Cells, Difference


class Bounds(NamedTuple):
    """On each cell: an upper bound of |difference|, where to cut next (as a part of the length),
    the rounding error of its values, and whether the curvature is unbounded there."""

    upper: np.ndarray
    split: np.ndarray
    noise: np.ndarray
    unbounded: np.ndarray


# On a cell [u, v] of length h let a = d(u), b = d(v) and |d''| = |f''| <= B. The function d minus
# its linear interpolant vanishes at both ends, and x -> B (x - u)(v - x)/2 has the same zeros and
# second derivative -B, so it lies above the former and its negative (maximum principle). With
# x = u + t h and c = B h^2/2,
#     +-d(x) <= +-(a + (b - a) t) + c t (1 - t),
# a parabola with its vertex at t = 1/2 +- (b - a)/(2c). If that lies inside, |b - a| < c, the
# larger of the two signs, the one of a + b, gives
#     |d| <= |a + b|/2 + c/4 + (b - a)^2/(4c),              (for a = b: |a| + B h^2/8)
# and otherwise |d| <= max(|a|, |b|): the maximum is at an end. The cell is cut at the vertex. Where
# d'' = -B exactly the vertex is the maximum and both parts are done; where d'' = -r B, a part with
# its end at the maximum exceeds it by B h^2 (1 - r)^2/8 only, and 1 - r = O(h) for a local bound B.
#
# A modulus of continuity w, |f(x) - f(y)| <= w(|x - y|), bounds the same deviation where B is
# infinite: f - interpolant is (1 - t)(f(x) - f(u)) + t (f(x) - f(v)), for t <= 1/2 at most
# (1 - t) w(h/2) + t w(h) <= (w(h/2) + w(h))/2.
def bounds(
    difference: Difference, cells: Cells, a: np.ndarray, b: np.ndarray, curvature: Callable
) -> Bounds:
    """Bounds on cells with end values `a` and `b` from `curvature(cells)`."""
    h = cells.upper - cells.lower
    ends = np.maximum(np.abs(a), np.abs(b))
    far = np.maximum(np.abs(cells.lower), np.abs(cells.upper))
    size = difference.sizes[cells.owner]
    slope = difference.steepness[cells.owner]
    # As in the quadrature: values of both functions, and the argument rounded on the way.
    noise = EPS * (4 * size + 2 * ends + 2 * far * (slope + np.abs(b - a) / h)) + difference.least
    with np.errstate(over="ignore", invalid="ignore"):
        c = 0.5 * curvature(cells) * h**2 * (1 + 8 * EPS)
    c = np.where(np.isnan(c), np.inf, c)
    unbounded = np.isinf(c)
    inside = (np.abs(b - a) < c) & ~unbounded
    safe = np.where(inside, c, 1.0)
    upper = np.where(inside, 0.5 * np.abs(a + b) + 0.25 * (safe + (b - a) * ((b - a) / safe)), ends)
    upper = np.where(unbounded, np.inf, np.maximum(upper, ends))
    lean = np.where(a + b >= 0, b - a, a - b)
    # Never less than 1/32 of the cell: a loose bound may point at the same end again and again.
    split = np.clip(np.where(inside, 0.5 + 0.5 * lean / safe, 0.5), 1 / 32, 31 / 32)
    rise = _modulus(difference, h)
    if rise is not None:
        other = ends + rise
        split = np.where(other < upper, 0.5, split)
        upper = np.minimum(upper, other)
    return Bounds(upper, split, noise, unbounded)


def _modulus(difference: Difference, h: np.ndarray) -> np.ndarray | None:
    modulus = getattr(difference.target, "modulus", None)
    if modulus is None:
        return None
    near, whole = modulus(0.5 * h), modulus(h)
    if near is None or whole is None:
        return None
    rise = 0.5 * (np.asarray(near) + np.asarray(whole)) * (1 + 8 * EPS)
    return np.ldexp(rise, -difference.exponent)


def declared_curvature(difference: Difference) -> Callable[[Cells], np.ndarray] | None:
    """The target's own bound on |f''| as a function of cells, or None if it has none."""
    curvature = getattr(difference.target, "curvature", None)
    ends = difference.breakpoints[[0, -1]]
    if curvature is None or curvature(ends[:1], ends[1:]) is None:
        return None

    def on_cells(cells: Cells) -> np.ndarray:
        with np.errstate(all="ignore"):
            bound = np.asarray(curvature(cells.lower, cells.upper), dtype=np.float64)
            bound = np.ldexp(bound, -difference.exponent)
        return np.abs(np.broadcast_to(bound, cells.lower.shape))

    return on_cells
