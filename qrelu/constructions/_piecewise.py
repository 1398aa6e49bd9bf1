"""Continuous piecewise polynomials."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..networks import ReLUNetwork, compose, linear_combination, sparsify
from ._arguments import (
    Number,
    check_accuracy,
    check_levels,
    check_numbers,
    digits,
    levels_for,
    power_above,
    round_up,
)
from ._construction import Certificate, Construction, count
from ._polynomial import check_coefficients
from ._power_series import series, series_error

# A sum of so many networks is dense up to here.
_FEW = 4


def piecewise_polynomial(
    knots: Sequence[Number] | np.ndarray,
    coefficients: Sequence[Sequence[Number] | np.ndarray] | np.ndarray,
    accuracy: Number,
    *,
    allow_rounding: bool = False,
) -> Construction:
    r"""A continuous piecewise polynomial: a spline of any order.

    On $[t_i, t_{i+1}]$ it is $P_i(x - t_i)$, with $P_i$ given by its coefficients. The network is
    $$P_0(0) + \sum_i \big(P_i(c_i(x)) - P_i(0)\big), \qquad
    c_i(x) = \rho(x - t_i) - \rho(x - t_{i+1}),$$
    with $c_i(x) = x - t_i$ inside the piece and constant outside: no partition of unity and no
    further product is needed. The $P_i$ are networks of `polynomial` side by side, all with $m$
    levels of squaring. Depth $2 + (n - 1)(m + 1)$, width at most 9 times the number of pieces,
    connectivity in proportion to pieces, degree and $m$. Outside of the knots it is constant.

    The magnitude is that of the knots, of $1/h$ for the shortest piece $h$, and of the coefficients
    in the variable that runs over $[0, 1]$. `spline` builds piecewise-linear functions with one
    hidden layer.

    **Arguments:**

    - `knots`: $K + 1 \ge 2$ numbers, finite and increasing.
    - `coefficients`: for each of the $K$ pieces the coefficients of $P_i$, constant first: rows of
        an array, or sequences of different lengths.
    - `accuracy`: the error to reach, in $(0, 1)$. It includes the jumps, which must be rounding
        errors only.
    - `allow_rounding`: as of `polynomial`.

    **Returns:**

    A `Construction` with float64 parameters; sparse for many pieces.

    **Raises:**

    - `ValueError`: for knots that are not finite and increasing, coefficients that do not fit or
      are not finite, jumps above half the accuracy in total, an accuracy outside of $(0, 1)$, and
      more levels than float64 holds.

    **Reference:** derived, above the code.
    """
    # In piece j the network is sum_{i<j} (P_i(h_i) - P_i(0)) + P_j(x - t_j) - P_j(0) + P_0(0) but
    # for the errors of the networks, each at one point: those of pieces further right are 0, since
    # they vanish at 0. The constants telescope up to the jumps P_i(h_i) - P_{i+1}(0). Biases are
    # added up in floating point; the difference to their exact sum is known and taken in.
    call = "piecewise_polynomial"
    error = Fraction(check_accuracy(call, accuracy))
    t = check_numbers(f"{call}(knots)", knots)
    if t.ndim != 1 or t.size < 2 or not (np.isfinite(t).all() and (np.diff(t) > 0).all()):
        raise ValueError(
            f"`{call}(knots)` must be at least two numbers, finite and increasing; got {knots}."
        )
    if not hasattr(coefficients, "__len__") or len(coefficients) != t.size - 1:
        raise ValueError(
            f"`{call}(knots, coefficients)` must have one row of coefficients per piece; got "
            f"{t.size} knots and "
            + (f"{len(coefficients)} rows." if hasattr(coefficients, "__len__") else "no rows.")
        )
    polynomials = [check_coefficients(call, row) for row in coefficients]
    ends = [Fraction(v) for v in t.tolist()]
    widths = [b - a for a, b in zip(ends, ends[1:], strict=False)]
    jumps = _jumps(polynomials, widths)
    if 2 * jumps > error:
        raise ValueError(
            f"`{call}(coefficients)` must be continuous; the jumps at the knots add up to "
            f"{float(jumps):.3g}, more than half of the accuracy."
        )
    powers = [power_above(h) for h in widths]
    inside = [
        [Fraction(0), *(v * Fraction(2) ** (p * k) for k, v in enumerate(row) if k > 0)]
        for row, p in zip(polynomials, powers, strict=True)
    ]
    largest = max((abs(v) for row in inside for v in row), default=Fraction(0))
    unit = Fraction(2) ** (power_above(largest) if largest else 0)
    scaled = [[float(v / unit) for v in row] for row in inside]
    used = [[Fraction(v) * unit for v in row] for row in scaled]
    amplification = sum(
        (
            series_error(row, h / Fraction(2) ** p)
            for row, h, p in zip(used, widths, powers, strict=True)
        ),
        Fraction(0),
    )
    m = levels_for((error - jumps) * Fraction(15, 16) / amplification) if amplification else 1
    check_levels(
        f"{call}(...)", m, (digits(np.dtype(np.float64)) - 1) // 2, t.dtype, allow_rounding
    )
    parts = [
        _piece(row, m, a, b, p)
        for row, a, b, p in zip(scaled, t[:-1].tolist(), t[1:].tolist(), powers, strict=True)
    ]
    network, lost = _sum(parts, float(unit), polynomials[0][0])
    for row, other in zip(inside, used, strict=True):
        lost += sum((abs(v - u) for v, u in zip(row, other, strict=True)), Fraction(0))
    bound = amplification / 4 ** (m + 1) + jumps + lost
    if bound > error:
        raise ValueError(
            f"`{call}(accuracy=...)` must be above what rounding of the parameters costs, "
            f"{float(jumps + lost):.3g}; got {accuracy}."
        )
    degree = max(len(row) for row in polynomials) - 1
    certificate = Certificate(
        round_up(bound),
        f"a continuous piecewise polynomial with {len(parts)} pieces of degree {degree}",
        ((float(t[0]),), (float(t[-1]),)),
    )
    return Construction(network, certificate, count(network))


def _jumps(polynomials: list[list[Fraction]], widths: list[Fraction]) -> Fraction:
    """The sum of |P_i(h_i) - P_{i+1}(0)|."""
    total = Fraction(0)
    for row, h, other in zip(polynomials, widths, polynomials[1:], strict=False):
        total += abs(sum((v * h**k for k, v in enumerate(row)), -other[0]))
    return total


def _piece(row: list[float], m: int, a: float, b: float, p: int) -> ReLUNetwork:
    """A power series in (clip(x, a, b) - a) / 2^p."""
    clip = ReLUNetwork(
        [np.ones((2, 1)), np.array([[2.0**-p, -(2.0**-p)]])], [np.array([-a, -b]), np.zeros(1)]
    )
    return compose(ReLUNetwork(*series(row, m)), clip, merge=True)


def _sum(parts: list[ReLUNetwork], unit: float, constant: Fraction) -> tuple[ReLUNetwork, Fraction]:
    """unit * (sum of the parts) + constant, and the rounding of its last bias."""
    exact = sum((Fraction(float(part.biases[-1][0])) for part in parts), Fraction(0))
    exact = exact * Fraction(unit) + constant
    if len(parts) > _FEW:
        parts = [sparsify(part, max_density=1) for part in parts]
    network = linear_combination(parts, np.full(len(parts), unit))
    bias = np.array([float(exact)])
    network = ReLUNetwork(network.weights, [*network.biases[:-1], bias])
    return network, abs(exact - Fraction(float(bias[0])))
