"""Polynomials and monomials on an interval around 0."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_levels,
    check_numbers,
    check_positive,
    check_whole,
    digits,
    levels_for,
    power_above,
    round_up,
)
from ._construction import Certificate, Construction, count
from ._power_series import series, series_error
from ._product import doubled
from ._square import typed

# Higher powers have thousands of layers.
MOST_DEGREE = 1000
_SOURCE = "[elbraechter2021], Proposition III.5, with powers of x / 2^p; error: derived"


def polynomial(
    coefficients: Sequence[Number] | np.ndarray,
    accuracy: Number,
    radius: Number = 1.0,
    *,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A polynomial $a_0 + a_1 x + \cdots + a_n x^n$ on $[-D, D]$, with parameters of at most 1.

    With $2^p \ge \max(1, D)$ and $t = x / 2^p$, the powers $t^k$ are made one after the other by
    the networks of `square` and `product` on $[-1, 1]$, with one number $m$ of levels for all. A
    layer holds $t$, the chain that makes the next power, and the sum so far: width at most 9. The
    sum has the coefficients $a_k 2^{pk} / 2^q$, all at most 1; at last $q$ layers double it. With
    $r = D / 2^p$ the error is at most
    $$4^{-(m+1)} \sum_{k=2}^n |a_k|\, 2^{pk} (1 + r + \cdots + r^{k-2}).$$
    Depth $1 + (n - 1)(m + 1) + q$, and $1 + q$ for $n \le 1$, where the network is exact.

    In float32 (float64) there are at most 11 (26) levels, beyond which the squares' values at the
    points of their finest level are rounded. How far an evaluation in floating point is from the
    exact one is in proportion to the sum of all $|a_k| D^k$.

    **Arguments:**

    - `coefficients`: $a_0, \ldots, a_n$, constant first, at most 1001 of them; zeros at the
        end are dropped.
    - `accuracy`: the error to reach, in $(0, 1)$.
    - `radius`: the number $D$.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build networks with more levels.

    **Returns:**

    A `Construction` for the polynomial with exactly these coefficients: in float32 the bound
    includes their rounding.

    **Raises:**

    - `ValueError`: for no coefficients or some that are not finite, an accuracy outside of
      $(0, 1)$, a radius that is not positive and finite, more levels than the type holds, and
      coefficients that the type does not hold to that accuracy.

    **Reference:** [elbraechter2021], Proposition III.5; normalization and error: derived, in
    `_power_series`.
    """
    return _polynomial("polynomial", coefficients, accuracy, radius, dtype, allow_rounding)


def monomial(
    degree: int,
    accuracy: Number,
    radius: Number = 1.0,
    *,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The power $x^n$ on $[-D, D]$, with parameters of at most 1.

    The network is that of `polynomial`, without a sum: width at most 7.

    **Arguments:**

    - `degree`: the number $n$, from 0 to 1000.
    - `accuracy`: the error to reach, in $(0, 1)$.
    - `radius`: the number $D$.
    - `dtype`: float32 or float64.
    - `allow_rounding`: as of `polynomial`.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: as of `polynomial`.

    **Reference:** [elbraechter2021], Proposition III.5.
    """
    n = check_whole("monomial(degree)", degree, 0, MOST_DEGREE)
    return _polynomial("monomial", [0.0] * n + [1.0], accuracy, radius, dtype, allow_rounding)


def check_coefficients(call: str, coefficients: Any) -> list[Fraction]:
    """The exact values, without zeros at the end."""
    numbers = check_numbers(f"{call}(coefficients)", coefficients)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError(
            f"`{call}(coefficients)` must be one or more finite numbers, constant first; got "
            f"{coefficients}."
        )
    if numbers.size > MOST_DEGREE + 1:
        raise ValueError(
            f"`{call}(coefficients)` must be at most {MOST_DEGREE + 1} numbers; got {numbers.size}."
        )
    last = int(np.max(np.nonzero(numbers)[0], initial=0))
    return [Fraction(v) for v in numbers[: last + 1].tolist()]


def _polynomial(
    call: str, coefficients: Any, accuracy: Any, radius: Any, dtype: Any, allow_rounding: bool
) -> Construction:
    kind, error = check_dtype(call, dtype), Fraction(check_accuracy(call, accuracy))
    reach = Fraction(check_positive(f"{call}(radius=...)", radius))
    a = check_coefficients(call, coefficients)
    p = max(0, power_above(reach))
    c = [v * 2 ** (p * k) for k, v in enumerate(a)]
    largest = max(abs(v) for v in c)
    q = max(0, power_above(largest)) if largest else 0
    scaled = [float(kind.type(float(v / 2**q))) for v in c]
    tau = reach / 2**p
    used = [Fraction(u) * 2**q for u in scaled]
    differences = (abs(v - u) for v, u in zip(c, used, strict=True))
    lost = sum((v * tau**k for k, v in enumerate(differences)), Fraction(0))
    if lost >= error:
        raise ValueError(
            f"`{call}(dtype={kind})` must hold the coefficients to the accuracy; rounding them "
            f"costs {float(lost):.3g}. Use float64 or a larger accuracy."
        )
    amplification = series_error(used, tau)
    m = levels_for((error - lost) / amplification) if amplification else 1
    check_levels(f"{call}(...)", m, (digits(kind) - 1) // 2, kind, allow_rounding)
    weights, biases = doubled(*series(scaled, m), q)
    network = typed([weights[0] * 2.0**-p, *weights[1:]], biases, kind)
    bound = amplification / 4 ** (m + 1) + lost
    certificate = Certificate(
        round_up(bound),
        f"x^{len(a) - 1}" if call == "monomial" else f"a polynomial of degree {len(a) - 1}",
        ((-float(radius),), (float(radius),)),
        exact=bound == 0,
        source=_SOURCE,
    )
    return Construction(network, certificate, count(network))
