"""Closed forms for a target that is itself piecewise linear, such as data."""

from typing import Any

import numpy as np

from ._difference import EPS
from ._quadrature import Integrals
from ._units import exponent


def interpolates(target: Any) -> bool:
    """Whether the target is the linear interpolant of its `knots` and `values`."""
    return getattr(target, "knots", None) is not None and hasattr(target, "values")


def merged(
    t: np.ndarray, p: np.ndarray, target: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Merged knots (m,), the difference there, its rounding noise, and the piece of each cell.

    Both arrays are sorted, so K searches in m knots merge them.
    """
    knots = np.asarray(target.knots, dtype=np.float64)
    data = np.asarray(target.values, dtype=np.float64)
    if not np.isfinite(data).all():
        k = int(np.flatnonzero(~np.isfinite(data))[0])
        raise ValueError(
            f"`distance(..., target)` needs finite values; got {data[k]} at "
            f"x = {float(knots[k])!r}. Drop that row."
        )
    inside = slice(int(np.searchsorted(knots, t[0])), int(np.searchsorted(knots, t[-1], "right")))
    x, f = knots[inside], data[inside]
    where = np.searchsorted(x, t)
    counts = np.diff(where, append=len(x))
    counts[-2] += counts[-1]
    per_piece = np.maximum(np.abs(p[:-1]), np.abs(p[1:]))
    gap = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
    per_gap = np.maximum(np.abs(data[gap]), np.abs(data[gap + 1]))
    x_all = np.insert(x, where, t)
    with np.errstate(over="ignore", invalid="ignore"):
        d_all = np.insert(np.interp(x, t, p) - f, where, p - np.interp(t, knots, data))
    if not np.isfinite(d_all).all():
        raise ValueError(
            "`distance(approximant, target)` must get functions whose difference is finite; got "
            f"{d_all[~np.isfinite(d_all)][0]} at x = {float(x_all[~np.isfinite(d_all)][0])!r}. "
            "Divide both by a power of two."
        )
    # One function has a knot here, the other is interpolated: rounding in the slope, the product
    # and the sum, each of the size of the larger of its two values, and one in the difference.
    size = np.insert(np.repeat(per_piece, counts[:-1]), where, per_gap)
    noise = 4 * EPS * size + EPS * np.abs(d_all)
    owner = np.repeat(np.arange(len(t) - 1), counts[:-1] + 1)
    return x_all, d_all, noise, owner


# On a cell of length h with end values a and b of the linear difference:
#     p = 2: the integral of (a + (b - a) t)^2 over [0, 1] is (a^2 + ab + b^2)/3;
#     p = 1: (|a| + |b|)/2 for equal signs; otherwise two triangles that meet at the root,
#            t = |a|/(|a| + |b|), of area |a| t/2 + |b| (1 - t)/2 = (a^2 + b^2)/(2 (|a| + |b|)).
# a^2 + ab + b^2 = (a + b)^2/2 + (a^2 + b^2)/2 has no cancellation.
def integrals(t: np.ndarray, p: np.ndarray, target: Any, power: int) -> Integrals:
    """Integral of |difference|^p over every piece of the approximant, exact up to rounding."""
    x, d, noise, owner = merged(t, p, target)
    e = exponent(max(np.abs(d).max(), noise.max()))
    d, noise = np.ldexp(d, -e), np.ldexp(noise, -e)
    h, a, b = np.diff(x), d[:-1], d[1:]
    eta = np.maximum(noise[:-1], noise[1:])
    if power == 2:
        cells = h * ((a + b) ** 2 + a**2 + b**2) / 6
    else:
        size = np.abs(a) + np.abs(b)
        crossed = np.where(size > 0, (a**2 + b**2) / np.where(size > 0, size, 1.0), 0.0)
        cells = h * np.where(a * b >= 0, size, crossed) / 2
    count = len(t) - 1
    values = np.bincount(owner, cells, minlength=count)
    spread = np.bincount(owner, h * eta**power, minlength=count)
    return Integrals(values, 8 * EPS * values, spread, e)


def suprema(
    t: np.ndarray, p: np.ndarray, target: Any, grouped: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest |difference| (on every piece when `grouped`), where, and with rounding added.

    A linear function is largest at an end of its piece, so the merged knots are enough.
    """
    x, d, noise, owner = merged(t, p, target)
    size = np.abs(d)
    if not grouped:
        k = int(np.argmax(size))
        return size[k : k + 1], x[k : k + 1], (size + noise).max(keepdims=True)
    # Points of piece k: the lower ends of its cells and the upper end of the last.
    first = np.searchsorted(owner, np.arange(len(t) - 1))
    after = np.append(first[1:], len(owner))
    places = np.maximum.reduceat(size, first)
    values = np.maximum(places, size[after])
    ceilings = np.maximum(np.maximum.reduceat(size + noise, first), (size + noise)[after])
    hit = np.flatnonzero(size[:-1] == values[owner])
    locations = x[after]
    locations[owner[hit[::-1]]] = x[hit[::-1]]
    return values, locations, ceilings
