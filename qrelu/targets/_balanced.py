r"""Exact free-knot limits in the sup norm of convex functions that scale.

A convex f has its best free-knot spline where the gaps to the chords are equal, with half of that
gap as the error. If the gap scales, $g(\lambda u, \lambda v) = \lambda^q g(u, v)$, then the knots
for [0, 1] are those of one infinite sequence $t_0 = 0, t_1 = 1, t_2, \dots$ with equal gaps, all
divided by $t_N$; so the error is $g(0, 1) t_N^{-q} / 2$ for every N.
"""

import math
import threading
from collections.abc import Callable


def balanced_error(gap: Callable[[float, float], float], q: float) -> Callable[[int], float]:
    """N -> the best error, from g(u, v) and its exponent; the knots found so far are kept."""
    knots = [0.0, 1.0]
    level = gap(0.0, 1.0)

    lock = threading.Lock()

    def extend() -> None:
        from scipy import optimize  # takes half a second to import and is needed only here

        u = knots[-1]
        # The second derivative falls, so a cell is longer than the one before it; it is less than
        # four times as long.
        shortest = u - knots[-2]
        longer = optimize.root_scalar(
            lambda factor: gap(u, u + factor * shortest) - level,
            bracket=(1.0, 4.0),
            xtol=1e-15,
            rtol=1e-14,
        )
        knots.append(u + longer.root * shortest)

    def error(count: int) -> float:
        with lock:
            while len(knots) <= count:
                extend()
        return level * knots[count] ** -q / 2

    return error


def gap_of_power(u: float, v: float) -> float:
    """The largest gap of x^(3/2) to its chord over [u, v].

    With s, d the half sum and half difference of the roots of u and v, the chord has slope
    (3s^2 + d^2)/(2s); inserting the point where f has that slope leaves what stands below.
    """
    s = (math.sqrt(u) + math.sqrt(v)) / 2
    d = (v - u) / (4 * s)
    return 3 * s * d**2 / 2 - d**4 / (3 * s) + d**6 / (54 * s**3)


def gap_of_entropy(u: float, v: float) -> float:
    """The largest gap of x log x to its chord over [u, v]: u (e^p - 1 - p), where the chord over
    [1, v/u] has slope 1 + p; v/e for u = 0."""
    if u == 0:
        return v / math.e
    h = (v - u) / u
    if h < 1e-3:  # series of ((1 + h) log(1 + h) - h)/h
        p = h / 2 - h**2 / 6 + h**3 / 12 - h**4 / 20
    else:
        p = ((1 + h) * math.log1p(h) - h) / h
    rest = p**2 / 2 + p**3 / 6 + p**4 / 24 + p**5 / 120 if p < 1e-3 else math.expm1(p) - p
    return u * rest
