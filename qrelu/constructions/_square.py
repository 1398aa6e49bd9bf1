"""The sawtooth, and the square that is made of it."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..networks import ReLUNetwork
from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_either,
    check_levels,
    check_number,
    check_whole,
    digits,
)
from ._construction import Certificate, Construction, count

UNIT = ((0.0,), (1.0,))


def sawtooth(levels: int, *, dtype: Any = np.float64) -> Construction:
    r"""The sawtooth with $2^{s-1}$ teeth on $[0, 1]$, without error.

    $g(x) = 2\rho(x) - 4\rho(x - 1/2) + 2\rho(x - 1)$ is 1 at $1/2$ and 0 outside of $[0, 1]$. With
    $s$ = `levels` the network is $g_s = g \circ \cdots \circ g$, which is 0 at $k 2^{1-s}$ and 1
    half-way between, and 0 outside of $[0, 1]$. Width 3, depth $s + 1$, connectivity $11 s - 3$,
    magnitude 4.

    Evaluation is exact at every float32 (float64) of $[0, 1]$ in that type.

    **Arguments:**

    - `levels`: the number $s \ge 1$; at most the 24 or 53 binary digits of the type, since finer
        teeth fall between its numbers.
    - `dtype`: float32 or float64.

    **Returns:**

    A `Construction` with bound 0.

    **Raises:**

    - `ValueError`: for `levels` out of range, or another type.

    **Reference:** [yarotsky2017], proof of Proposition 2.
    """
    kind = check_dtype("sawtooth", dtype)
    s = check_whole("sawtooth(levels)", levels, 1, digits(kind))
    g = np.array([[2.0, -4.0, 2.0]])
    first, shift = np.ones((3, 1)), np.array([0.0, -0.5, -1.0])
    weights = [first, *[first @ g] * (s - 1), g]
    network = typed(weights, [*[shift] * s, np.zeros(1)], kind)
    certificate = Certificate(
        0.0,
        f"the sawtooth with {2 ** (s - 1)} teeth of height 1",
        UNIT,
        exact=True,
        source="[yarotsky2017], proof of Proposition 2",
    )
    return Construction(network, certificate, count(network))


def square(
    accuracy: Number | None = None,
    *,
    levels: int | None = None,
    norm: str | Number = "sup",
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The square $x \mapsto x^2$ on $[0, 1]$, with parameters of at most 1.

    With $m$ = `levels` the network is the function $f_m$ that interpolates $x^2$ linearly between
    the points $k 2^{-m}$. Width 3, depth $m + 1$, connectivity $M = 8m - 1$. Its error is known
    exactly:
    $\|f_m - x^2\|_\infty = 4^{-(m+1)}$ and $\|f_m - x^2\|_{L^p} = 4^{-m} B(p + 1, p + 1)^{1/p}$,
    so that it falls like $2^{-M/4}$.

    At the points $k 2^{-m}$ evaluation is exact in float32 up to 12 levels and in float64 up to 26.

    **Arguments:**

    - `accuracy`: the error to reach, in $(0, 1)$: the least number of levels that does is taken.
    - `levels`: the number $m \ge 1$ itself, instead.
    - `norm`: "sup", "L1", "L2", or any $p \ge 1$, of the accuracy and of the certificate.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build networks that the type cannot evaluate exactly at those
        points.

    **Returns:**

    A `Construction` whose error equals its bound.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and levels is given, for values out of range, and
      for more levels than the type holds.

    **Reference:** [elbraechter2021], Proposition III.2, with the 1 in the last matrix where a
    transcription has a 2. The errors: derived, above the code.
    """
    # Between two points at distance h = 2^-m, f_m - x^2 = y (h - y) with y in [0, h]. Its largest
    # value is h^2 / 4 = 4^-(m+1). The integral of its p-th power over one of the 2^m cells is
    # h^(2p+1) B(p+1, p+1), over all of them h^(2p) B(p+1, p+1).
    kind = check_dtype("square", dtype)
    check_either("square", accuracy, "levels", levels)
    name, p = _norm(norm)
    if levels is None:
        error = check_accuracy("square", accuracy)
        m = 1
        while _error(m, p) > error:
            m += 1
    else:
        m = check_whole("square(levels=...)", levels, 1)
    check_levels("square(...)", m, digits(kind) // 2, kind, allow_rounding)
    network = typed(*square_chain(m), kind)
    certificate = Certificate(
        _error(m, p),
        "x^2",
        UNIT,
        norm=name,
        exact=True,
        source="[elbraechter2021], Proposition III.2; error in closed form: derived",
    )
    return Construction(network, certificate, count(network))


def square_chain(m: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases of f_m."""
    # The units of layer l hold h = g_{l-1} / 4^(l-1), relu(h - 2^(1-2l)) and f_{l-1}; with
    # g_l / 4^l = h / 2 - relu(h - 2^(1-2l)) the next layer has f_l = f_{l-1} - g_l / 4^l.
    step = np.array([[0.5, -1.0, 0.0], [0.5, -1.0, 0.0], [-0.5, 1.0, 1.0]])
    weights = [np.ones((3, 1)), *[step] * (m - 1), step[2:]]
    biases = [np.array([0.0, -(2.0 ** (1 - 2 * k)), 0.0]) for k in range(1, m + 1)]
    return weights, [*biases, np.zeros(1)]


def typed(weights: list[np.ndarray], biases: list[np.ndarray], kind: np.dtype) -> ReLUNetwork:
    """A network in a float type."""
    return ReLUNetwork([w.astype(kind) for w in weights], [b.astype(kind) for b in biases])


def _norm(norm: str | Number) -> tuple[str, float]:
    known = {"sup": math.inf, "L1": 1.0, "L2": 2.0}
    p = known.get(norm, math.nan) if isinstance(norm, str) else check_number("square(norm)", norm)
    if not p >= 1:
        raise ValueError(
            f'`square(norm=...)` must be "sup", "L1", "L2" or a number p >= 1; got {norm!r}.'
        )
    return ("sup" if math.isinf(p) else f"L{p:g}"), p


def _error(m: int, p: float) -> float:
    if math.isinf(p):
        return 0.25 ** (m + 1)
    if p == int(p) and p < 500:  # larger factorials: by logarithms
        q = int(p)
        beta = float(Fraction(math.factorial(q) ** 2, math.factorial(2 * q + 1)))
        root = beta if q == 1 else beta ** (1 / p)
    else:
        root = math.exp((2 * math.lgamma(p + 1) - math.lgamma(2 * p + 2)) / p)
    # Upwards by far more than these few roundings.
    return 0.25**m * root * (1 + 2.0**-44)
