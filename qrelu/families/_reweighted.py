"""Values of a spline that are near-best in L^1, where the residual may vanish on whole pieces."""

import numpy as np
from scipy.linalg import LinAlgError, solveh_banded

from ._nodes import composite_rule
from ._quadrature import Quadrature

# Steps, and the factor by which the smoothing falls in each.
_STEPS, _FALL = 60, 0.7
# Cells of a piece, so that changes of sign within it are seen; a mesh of so many is fine by itself.
_PARTS, _MANY = 4, 512


# Newton's method on the error stops where the residual vanishes on a piece: the error has a kink
# there. The integral of (r^2 + e^2)^(1/2) has none. It lies below that of
# (r^2 + s^2)/(2 s) with s = (r0^2 + e^2)^(1/2), up to a constant, and touches it at r = r0, so that
# least squares with weights 1/s make it smaller; e falls from step to step.
def reweighted(quadrature: Quadrature, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (N + 1,) on `knots`, from those given, by iteratively reweighted least squares."""
    pieces = knots.size - 1
    parts = _PARTS if pieces < _MANY else 1
    fine = (knots[:-1, None] + np.diff(knots)[:, None] * (np.arange(parts) / parts)).ravel()
    nodes, weights = (a.ravel() for a in composite_rule(quadrature, np.append(fine, knots[-1])))
    target = quadrature.function(nodes)
    left = np.clip(np.searchsorted(knots, nodes, "right") - 1, 0, pieces - 1)
    right = left + 1
    on_right = (nodes - knots[left]) / np.diff(knots)[left]
    on_left = 1 - on_right

    def summed(place: np.ndarray, products: np.ndarray) -> np.ndarray:
        return np.bincount(place, products, pieces + 1)

    residual = target - on_left * values[left] - on_right * values[right]
    smoothing = float(weights @ np.abs(residual)) / (knots[-1] - knots[0])
    for _ in range(_STEPS if smoothing > 0 else 0):
        w = weights / np.hypot(residual, smoothing)
        bands = np.zeros((2, pieces + 1))
        bands[1] = summed(left, w * on_left**2) + summed(right, w * on_right**2)
        bands[0, 1:] = summed(left, w * on_left * on_right)[:-1]
        sums = summed(left, w * on_left * target) + summed(right, w * on_right * target)
        try:
            new = solveh_banded(bands, sums)
        except (LinAlgError, ValueError):  # weights too far apart for float64
            break
        values, smoothing = new, _FALL * smoothing
        residual = target - on_left * values[left] - on_right * values[right]
    return values
