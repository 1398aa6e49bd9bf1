"""Functions whose n-th derivatives are at most n!, from their values."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from ._arguments import Number, check_accuracy, check_positive, name_of, round_up
from ._construction import Certificate, Construction
from ._piecewise import piecewise_polynomial
from ._samples import values_at

# Functions in float64 are taken to be this close to their values, next to at most 1.
_NOISE = Fraction(1, 2**50)
# Pieces are interpolated in fractions: more of them would take minutes.
_LARGEST = 2000


def smooth(
    function: Callable,
    accuracy: Number,
    radius: Number = 1.0,
    *,
    allow_rounding: bool = False,
) -> Construction:
    r"""A function on $[-D, D]$ whose derivatives fulfil $|f^{(n)}| \le n!$ for all $n \ge 0$.

    $[-D, D]$ is cut into $\lceil 4D \rceil$ pieces of equal length $h \le 1/2$. On each of them $f$
    is interpolated at $n + 1$ Chebyshev points, both ends among them, with error at most
    $4 (h/4)^{n+1}$ (twice that is certified, since the points are rounded); the network is that of
    `piecewise_polynomial`. The degree $n$ and the levels of squaring both grow like
    $\log(1/\varepsilon)$: depth $O(\log^2(1/\varepsilon))$, width and connectivity $O(D)$ times
    that, so the error falls like $e^{-c \sqrt{M/D}}$.

    **Arguments:**

    - `function`: $f$, from an array of points to an array of values, accurate to $2^{-50}$. It is
        called with points of $[-D, D]$ only. A function whose derivatives are larger must be scaled
        in its values or its argument.
    - `accuracy`: the error to reach, in $(0, 1)$.
    - `radius`: the number $D$.
    - `allow_rounding`: as of `polynomial`.

    **Returns:**

    A `Construction`; its certificate assumes the bounds of the derivatives up to $n + 1$.

    **Raises:**

    - `ValueError`: for values that are not finite, values or divided differences that show that $f$
      is not in the class, and accuracies that float64 cannot reach.

    **Reference:** [elbraechter2021], Lemma III.7 in substance (the same class and rate, with one
    network of fixed width and depth in proportion to $D$); pieces side by side: derived, above the
    code.
    """
    # The divided difference f[x_0, ..., x_k] is f^(k)(y) / k! for some y, so it is at most 1.
    #
    # f - P = f[x_0, ..., x_n, x] w(x) with w the product of the x - x_j. For x = c + (h/2) cos s
    # and x_j = c + (h/2) cos(j pi / n), w = (h/2)^(n+1) 2^(1-n) sin(s) sin(n s) up to the sign, so
    # |w| <= 4 (h/4)^(n+1).
    #
    # Errors of the values enter with the Lebesgue constant, at most 2/pi log n + 1 < 4 for n < 100.
    error = Fraction(check_accuracy("smooth", accuracy))
    d = check_positive("smooth(radius=...)", radius)
    if d > _LARGEST:
        raise ValueError(f"`smooth(radius=...)` must be at most {_LARGEST}; got {radius}.")
    if error <= 4 * _NOISE:
        raise ValueError(
            f"`smooth(accuracy=...)` must be above {float(4 * _NOISE):.3g}, which the rounding of "
            f"values costs; got {accuracy}."
        )
    knots = np.linspace(-d, d, math.ceil(4 * d) + 1)
    ends = [Fraction(t) for t in knots.tolist()]
    h = max(b - a for a, b in zip(ends, ends[1:], strict=False))
    degree = 1
    while 8 * (h / 4) ** (degree + 1) > error / 4:
        degree += 1
    points = _chebyshev(knots, degree)
    values = values_at("smooth", function, points.ravel())
    values = values.reshape(points.shape)
    rows, rounded = [], Fraction(0)
    for nodes, heights in zip(points, values, strict=True):
        exact = _interpolant(
            [Fraction(x) for x in nodes.tolist()], [Fraction(v) for v in heights.tolist()]
        )
        row = [float(v) for v in exact]
        differences = (abs(v - Fraction(u)) for v, u in zip(exact, row, strict=True))
        lost = sum((v * h**k for k, v in enumerate(differences)), Fraction(0))
        rounded, rows = max(rounded, lost), [*rows, row]
    known = 8 * (h / 4) ** (degree + 1) + rounded + 4 * _NOISE
    if known >= error:
        raise ValueError(
            f"`smooth(accuracy=...)` must be above {float(known):.3g}, which the rounding of "
            f"values and coefficients costs; got {accuracy}."
        )
    built = piecewise_polynomial(knots, rows, float(error - known), allow_rounding=allow_rounding)
    certificate = Certificate(
        round_up(Fraction(built.certificate.bound) + known),
        name_of(function),
        ((-d,), (d,)),
        assumptions=f"|f^(n)| <= n! for n = 0..{degree + 1}, and values accurate to 2^-50",
        source="[elbraechter2021], Lemma III.7, with pieces side by side: derived",
    )
    return Construction(built.network, certificate, built.counts)


def _chebyshev(knots: np.ndarray, degree: int) -> np.ndarray:
    """Chebyshev points of every piece (pieces, degree + 1), ascending, with its ends."""
    inside = (1 - np.cos(np.pi * np.arange(degree + 1) / degree)) / 2
    left, right = knots[:-1, None], knots[1:, None]
    points = left + (right - left) * inside[None]
    points[:, :1], points[:, -1:] = left, right
    return points


def _interpolant(nodes: list[Fraction], values: list[Fraction]) -> list[Fraction]:
    """The coefficients in x - nodes[0] of the polynomial through points, exactly."""
    table, n = list(values), len(nodes)
    noise = [_NOISE] * n
    for k in range(n):
        for j in range(n - 1, k - 1, -1) if k else ():
            gap = nodes[j] - nodes[j - k]
            table[j] = (table[j] - table[j - 1]) / gap
            noise[j] = (noise[j] + noise[j - 1]) / gap
        worst = max(abs(v) - e for v, e in zip(table[k:], noise[k:], strict=True))
        if worst > 1:
            raise ValueError(_BROKEN.format(k, float(nodes[0]), float(nodes[-1]), float(worst)))
    powers = [Fraction(0)] * n
    for node, c in zip(reversed(nodes), reversed(table), strict=True):
        shift = node - nodes[0]
        powers = [(powers[j - 1] if j else c) - shift * powers[j] for j in range(n)]
    return powers


_BROKEN = (
    "`smooth(function)` must fulfil |f^(n)| <= n! for all n; the divided difference of order {} "
    "between {:g} and {:g}, which is f^(n)/n! at some point there, is {:.3g}. Scale the function "
    "or its argument."
)
