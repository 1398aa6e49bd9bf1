"""What an error is held against: closed forms, asymptotic limits, best known values."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._rates import UNIFORM

# Error of the best linear function for x^2/2 on a cell of length 1; the limit for N pieces follows
# by scaling. [deboor1973], [burchard1975], [barrow1978], recalled; the numbers are derived: the
# error (t^2 - t)/2 + c has least norm with c = 1/16 (p = inf), 1/12 (p = 2), 3/32 (p = 1).
CONSTANTS = {math.inf: 1 / 16, 2.0: 1 / math.sqrt(720), 1.0: 1 / 32}


class Limit(NamedTuple):
    """The number that an error is held against.

    - `value`: the error, NaN where the label is "none".
    - `label`: "exact" (the best possible error, closed form), "asymptotic" (the best possible error
      for large sizes; not a lower bound at small ones), "best known" (the smallest error found so
      far) or "none".
    - `source`: where it comes from.
    - `counts`: what the size in it counts.
    """

    value: float
    label: str
    source: str
    counts: str


def no_limit(reason: str) -> Limit:
    """The record that says that no limit is known, and why."""
    return Limit(math.nan, "none", reason, "pieces")


def free_knot_limit(integral: Callable[[float], float], p: float, count: int) -> Limit:
    r"""$C_p N^{-2} (\int |f''|^\sigma)^{1/\sigma}$ with $\sigma = 1/(2 + 1/p)$, best splines.

    `integral(s)` is $\int |f''|^s$.
    """
    if p not in CONSTANTS:
        return no_limit(f"the constant for p = {p} is not built in")
    power = 2 + 1 / p
    value = CONSTANTS[p] * integral(1 / power) ** power / count**2
    if not math.isfinite(value):
        return no_limit("the integral of the limit does not converge")
    return Limit(value, "asymptotic", "best free-knot spline, [deboor1973], recalled", "pieces")


def uniform_limit(
    integral: Callable[[float], float], largest: float, width: float, p: float, count: int
) -> Limit:
    r"""$C_p h^2 \|f''\|_p$ for uniform knots of spacing $h$, where f'' lies in $L^p$.

    The interpolant shifted by $c_p h^2 f''$ at the knots has, on every cell and up to $o(h^2)$, the
    error of the best linear function there, so continuity costs nothing in the limit.
    """
    if p not in CONSTANTS:
        return no_limit(f"the constant for p = {p} is not built in")
    size = largest if p == math.inf else integral(p) ** (1 / p)
    if not math.isfinite(size):
        return no_limit(
            f"the second derivative is not in L^{p:g}; uniform knots have no known limit"
        )
    value = CONSTANTS[p] * (width / count) ** 2 * size
    return Limit(value, "asymptotic", "best spline on uniform knots, classical", "pieces")


def power_integral(
    second: Callable[[np.ndarray], np.ndarray], cuts: tuple[float, ...], s: float
) -> float:
    r"""$\int |f''|^s$ over the interval cut at `cuts`, by the double exponential rule.

    Between two cuts |f''| is smooth and may vanish like a power at the cuts, which the rule
    resolves; the step is halved until the value settles.
    """
    lower, upper = np.asarray(cuts[:-1])[:, None], np.asarray(cuts[1:])[:, None]
    previous = math.inf
    value = math.inf
    for level in range(3, 12):
        t = np.arange(-4 * 2**level, 4 * 2**level + 1) / 2**level
        fraction = 1 / (1 + np.exp(-math.pi * np.sinh(t)))
        rest = 1 / (1 + np.exp(math.pi * np.sinh(t)))
        weight = math.pi * np.cosh(t) * fraction * rest / 2**level
        x = np.where(t < 0, lower + (upper - lower) * fraction, upper - (upper - lower) * rest)
        value = float(np.sum(np.abs(second(x)) ** s * weight * (upper - lower)))
        if abs(value - previous) <= 1e-13 * value:
            return value
        previous = value
    return value


def spline_limit(
    kind: str,
    p: float,
    count: int,
    *,
    integral: Callable[[float], float],
    largest: float,
    width: float,
    kinked: bool,
) -> Limit:
    """The asymptotic limit of a twice differentiable or piecewise smooth function."""
    if kind == "free-knot":
        return free_knot_limit(integral, p, count)
    if kind in UNIFORM:
        if kinked:
            return no_limit("uniform knots miss the interior singular points")
        return uniform_limit(integral, largest, width, p, count)
    return no_limit(f"no limit is known for the family {kind!r}")
