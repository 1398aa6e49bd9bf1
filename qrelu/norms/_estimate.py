"""A stand-in for the curvature bound of a target that declares none."""

from collections.abc import Callable

import numpy as np

from ._difference import EPS, Cells, Difference

# Six equidistant samples on a cell give four second differences q. For a smooth function |f''|
# stays below the largest of them plus their variation; a quarter more and twice the variation is
# the safety. For a function that is rough at the scale of the cell (|f(x + h) - f(x)| about h^a,
# 0 < a < 1) the q are about (h/5)^(a - 2), and B h^2/8 is then about 16 times the variation of f
# over h/5, above its variation over h.
_PARTS = 5
_SAFETY = 1.25
_VARIATION = 2.0


def estimated_curvature(difference: Difference) -> Callable[[Cells], np.ndarray]:
    """An estimate of |f''| on cells from second differences of the target; not a bound.

    A bump that is narrower than the samples are dense is not seen: declare a curvature bound to
    rule it out.
    """

    def curvature(cells: Cells) -> np.ndarray:
        h = (cells.upper - cells.lower) / _PARTS
        at = cells.lower + np.arange(_PARTS + 1.0)[:, None] * h
        at[-1] = cells.upper
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
