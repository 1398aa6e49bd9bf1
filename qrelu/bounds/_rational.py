"""The difference of two networks at one point, exactly."""

import math
import sys
from fractions import Fraction

import numpy as np

from ._pair import Layers


# Floats are integers times powers of two. Sums and products of such numbers are such numbers, so a
# network is evaluated in Python integers, with one power of two per layer.
def exact_values(layers: Layers, x: np.ndarray) -> list[Fraction]:
    """The outputs at one point, as fractions."""
    h, p = _integers(x)
    for i, (w, b) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        if i > 0:
            h = np.array([max(v, 0) for v in h], dtype=object)
        entries, q = _integers(w)
        bias, s = _integers(b)
        power = max(p + q, s)
        h = (entries.dot(h) << (power - p - q)) + (bias << (power - s))
        p = power
    return [Fraction(v, 1 << p) for v in h]


def _integers(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Integers m and the power p with array = m / 2^p."""
    mantissa, exponent = np.frexp(array)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    exponent = np.where(whole == 0, 0, exponent - 53)
    p = max(0, -int(exponent.min(initial=0)))
    shift = (exponent + p).astype(object)
    return np.where(whole == 0, 0, whole.astype(object) << shift), p


def round_down(value: Fraction) -> float:
    """The largest float64 that is not above a fraction."""
    try:
        near = float(value)
    except OverflowError:  # beyond the largest float
        return sys.float_info.max if value > 0 else -math.inf
    return near if Fraction(near) <= value else math.nextafter(near, -math.inf)


def round_up(value: Fraction) -> float:
    """The smallest float64 that is not below a fraction."""
    return -round_down(-value)
