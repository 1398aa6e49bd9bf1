"""Cosine and sine of any frequency."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..networks import compose
from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_levels,
    check_positive,
    digits,
    levels_for,
    round_up,
)
from ._construction import Certificate, Construction, count
from ._power_series import series, series_error
from ._product import doubled
from ._square import typed

_PI_ABOVE = Fraction(355, 113)


def cosine(
    frequency: Number,
    accuracy: Number,
    radius: Number = 1.0,
    *,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The function $\cos(a x)$ on $[-D, D]$, with parameters of at most 1.

    $y = |a x| / \pi \in [0, 2^s]$ is folded $s$ times, about $2^{s-1}, \ldots, 2, 1$, none of which
    changes $\cos(\pi y)$. On $[0, 1]$ that left, $\cos(\pi y) = -\sin(\pi t / 2)$ with $t = 2y - 1$
    is taken from its Taylor series by the network of `polynomial`. Everything before runs over
    $[0, 1]$, so $s + 1$ layers of doubling come between. Width at most 9, depth
    $O(\log(aD) + \log^2(1/\varepsilon))$; the frequency costs 11 weights for a fold and 4 for a
    doubling.

    **Arguments:**

    - `frequency`: the number $a > 0$.
    - `accuracy`: the error to reach, in $(0, 1)$.
    - `radius`: the number $D$.
    - `dtype`: float32 or float64.
    - `allow_rounding`: as of `polynomial`.

    **Returns:**

    A `Construction`. Its bound includes that $a / \pi$ is rounded: $a D$ times twice the unit
    roundoff of the type.

    **Raises:**

    - `ValueError`: for a frequency or a radius that is not positive and finite, an accuracy outside
      of $(0, 1)$, more levels than the type holds, and a frequency times radius whose phase the
      type does not hold to that accuracy.

    **Reference:** [elbraechter2021], Theorem III.8 in substance (folding by sawtooth functions, a
    polynomial on what is left); folds and bounds: derived, above the code.
    """
    return _wave("cosine", 0, frequency, accuracy, radius, dtype, allow_rounding)


def sine(
    frequency: Number,
    accuracy: Number,
    radius: Number = 1.0,
    *,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The function $\sin(a x)$ on $[-D, D]$, with parameters of at most 1.

    It is the cosine, shifted by a quarter of a period: the network of `cosine` with
    $y = |a x / \pi - 1/2|$.

    **Arguments:**

    - `frequency`: the number $a > 0$.
    - `accuracy`: the error to reach, in $(0, 1)$.
    - `radius`: the number $D$.
    - `dtype`: float32 or float64.
    - `allow_rounding`: as of `polynomial`.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: as of `cosine`.

    **Reference:** [elbraechter2021], Corollary III.9 in substance.
    """
    return _wave("sine", 1, frequency, accuracy, radius, dtype, allow_rounding)


# Phase: with the rounded slope w of x -> y, the argument of the cosine is off by at most
# |pi 2^s w - a| D. In float64 pi itself is 2^-54 of itself too small, a / 2^s is exact and the
# quotient is rounded once; float32 rounds once more: at most 2 units u of the type, relative.
#
# Taylor: the terms of sin(pi t / 2) alternate and fall for |t| <= 1, so the error is at most the
# first one left out. Its coefficients are computed in float64 and rounded to the type: 8 units u of
# each is far more than that costs, and their sum is sinh(pi / 2) < 5/2.
def _wave(
    call: str,
    quarters: int,
    frequency: Any,
    accuracy: Any,
    radius: Any,
    dtype: Any,
    allow_rounding: bool,
) -> Construction:
    kind, error = check_dtype(call, dtype), Fraction(check_accuracy(call, accuracy))
    a = check_positive(f"{call}(frequency)", frequency)
    d = check_positive(f"{call}(radius=...)", radius)
    unit = Fraction(1, 2 ** digits(kind))
    # y = |a x / pi - quarters / 2| is at most 2^s, with room for the rounding of its slope, and the
    # slope of y / 2^s is at most 1.
    reach = Fraction(a) * max(Fraction(d), Fraction(1)) / Fraction(3) + Fraction(quarters, 2)
    s = max(0, math.ceil(math.log2(reach)) if reach > 1 else 0)
    s += 1 if reach > 2**s else 0
    slope = float(kind.type(a / 2.0**s / math.pi))
    lost = 2 * unit * Fraction(a) * Fraction(d) + 20 * unit
    if lost >= error:
        raise ValueError(
            f"`{call}(frequency, accuracy, radius, dtype={kind})` must have phases that the type "
            f"holds to the accuracy; rounding costs {float(lost):.3g}."
        )
    degree, left = 1, (_PI_ABOVE / 2) ** 3 / 6
    while left > (error - lost) / 2:
        degree += 2
        left *= (_PI_ABOVE / 2) ** 2 / ((degree + 1) * (degree + 2))
    # -sin(pi t / 2), halved: its first coefficient is above 1.
    terms = [
        (-1) ** ((k + 1) // 2) * (math.pi / 2) ** k / math.factorial(k) / 2 if k % 2 else 0.0
        for k in range(degree + 1)
    ]
    amplification = 2 * series_error([Fraction(v) for v in terms], Fraction(1))
    m = levels_for((error - lost - left) / amplification) if amplification else 1
    check_levels(f"{call}(...)", m, (digits(kind) - 1) // 2, kind, allow_rounding)
    outer = typed(*doubled(*series(terms, m), 1), kind)
    network = compose(outer, typed(*_folds(slope, quarters, s), kind), merge=True)
    bound = (amplification / 4 ** (m + 1) if amplification else 0) + left + lost
    certificate = Certificate(
        round_up(bound),
        f"{'sin' if quarters else 'cos'}({a:g} x)",
        ((-d,), (d,)),
        source="[elbraechter2021], Theorem III.8, with other folds: derived",
    )
    return Construction(network, certificate, count(network))


def _folds(slope: float, quarters: int, s: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases of t = 2 y - 1 for y = 2^s |slope x - quarters / 2^(s+1)|, folded."""
    # z = y / 2^s, then z - 2 relu(z - 2^-j) for j = 1..s, then z doubled s + 1 times.
    shift = -quarters * 2.0 ** (-s - 1)
    weights, biases = [np.array([[slope], [-slope]])], [np.array([shift, -shift])]
    value = np.ones((1, 2))
    for j in range(1, s + 1):
        weights.append(np.repeat(value, 3, axis=0))
        biases.append(np.array([0.0, -(2.0**-j), -(2.0**-j)]))
        value = np.array([[1.0, -1.0, -1.0]])
    for _ in range(s + 1):
        weights.append(np.repeat(value, 2, axis=0))
        biases.append(np.zeros(2))
        value = np.ones((1, 2))
    return [*weights, value], [*biases, np.array([-1.0])]
