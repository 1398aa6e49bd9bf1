"""A stand-in for the curvature bound of a target that declares none."""

from collections.abc import Callable

import numpy as np

from ._difference import EPS, Cells, Difference

# Seven equidistant samples, s = h/4 apart, from one before the cell to one after it give five
# second differences q. For a smooth function |f''| stays below the largest of them plus their
# variation; a quarter more and twice the variation is the safety. A kink, where the slope changes
# by J, stands in two of the q, which add up to J/s wherever it is in the cell: B is at least
# 3.25 J/(2 s), and B h^2/2 = 3.25 J h exceeds what the kink can add, J h/4. (Without the samples
# outside, a kink next to an end would stand in one small q only.) For a function that is rough at
# the scale of the cell (|f(x + h) - f(x)| about h^a, 0 < a < 1) the q are about s^(a - 2), and
# B h^2/8 is then about 10 times the variation of f over s, above its variation over h.
_PARTS = 4
_SAFETY = 1.25
_VARIATION = 2.0


def estimated_curvature(difference: Difference) -> Callable[[Cells], np.ndarray]:
    """An estimate of |f''| on cells from second differences of the target; not a bound.

    A bump that is narrower than the samples are dense is not seen: declare a curvature bound to
    rule it out. No sample is taken beyond an end or a singular point, so a kink that is far closer
    to one than the next sample is not seen either.
    """

    walls = difference.walls

    def curvature(cells: Cells) -> np.ndarray:
        outside = (cells.upper - cells.lower) / _PARTS
        before = walls[np.searchsorted(walls, cells.lower, side="right") - 1]
        after = walls[np.searchsorted(walls, cells.upper)]
        lower = np.maximum(cells.lower - outside, before)
        upper = np.minimum(cells.upper + outside, after)
        h = (upper - lower) / (_PARTS + 2)
        at = lower + np.arange(_PARTS + 3.0)[:, None] * h
        at[-1] = upper
        f = difference.of_target(at)
        if not np.isfinite(f).all():
            raise difference.not_finite(at, f)
        # Four roundings of f and the one of x, through f', stay in a second difference.
        noise = EPS * (8 * np.abs(f).max(axis=0) + 4 * np.abs(at).max(axis=0) * _rise(f) / h)
        second = np.diff(f, n=2, axis=0)
        second = np.sign(second) * np.maximum(np.abs(second) - noise, 0.0)
        top, bottom = second.max(axis=0), second.min(axis=0)
        return (_SAFETY * np.maximum(top, -bottom) + _VARIATION * (top - bottom)) / h**2

    return curvature


def _rise(f: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(f, axis=0)).max(axis=0)
