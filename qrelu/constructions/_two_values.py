"""Square and product by weights that are 1/2 or -1/2."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ._alphabets import Nonlinear
from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_either,
    check_levels,
    check_whole,
    digits,
    power_above,
)
from ._circuit import Circuit
from ._construction import Certificate, Construction, count
from ._few_values import inputs, products, squares

HALVES = Nonlinear(2, 2)


def two_value_square(
    accuracy: Number | None = None,
    *,
    levels: int | None = None,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The square on $[0, 1]$ by weights $\pm\tfrac12$ only.

    The network is the interpolant $f_r$ of $x^2$ at the multiples of $2^{-r}$, with $r$ = `levels`:
    its error is exactly $2^{-2(r+1)}$, attained at all midpoints, and $f_r(0) = 0$. It has
    $2r + 2$ hidden layers, $33 r + 7$ weights and biases, and at most 6 units per layer (5 for
    $r = 1$).

    Evaluation is exact at the multiples of $2^{-(r+1)}$ for $r \le 10$ in float32 and $r \le 24$
    in float64; more levels are refused.

    **Arguments:**

    - `accuracy`: the error to reach, in $(0, 1)$: the least number of levels that does is taken.
    - `levels`: the number $r \ge 1$ itself, instead.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build more levels than the type can evaluate exactly.

    **Returns:**

    A `Construction` with an exact certificate.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and levels is given, for values out of range, and
      for more levels than the type holds.

    **Reference:** [ding2019], Proposition 1 as recalled, not compared with the text; the layers and
    the constants are derived, above `squares` in this namespace.
    """
    r, kind = _levels("two_value_square", accuracy, levels, 1, dtype, allow_rounding)
    circuit = Circuit(1)
    half, _ = inputs(circuit, signed=False)
    result = squares(circuit, circuit.relu((2, half)), r)
    network = circuit.network(HALVES, [(1, result)], kind)
    certificate = Certificate(
        float(Fraction(1, 4 ** (r + 1))),
        "x^2",
        ((0.0,), (1.0,)),
        exact=True,
        source="[ding2019], Proposition 1 as recalled; layers derived",
    )
    return Construction(network, certificate, count(network))


def two_value_product(
    accuracy: Number | None = None,
    *,
    levels: int | None = None,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The product on $[-1, 1]^2$ by weights $\pm\tfrac12$ only.

    $x, y \mapsto 2 (f_r(|x + y|/2) - f_r(|x|/2) - f_r(|y|/2))$ is the interpolant of $xy$ on the
    triangles between the lines $x, y, x + y \in 2^{1-r}\mathbb{Z}$: its error is exactly
    $2^{-2r}$, it is zero where a factor is, and never above 1 in absolute value. So $k$ factors by
    $k - 1$ products have an error of at most $(k - 1) 2^{-2r}$. There are $2r + 4$ hidden layers,
    $93 r + 135$ weights and biases, and at most 16 units per layer (15 for $r = 1$).

    Evaluation is exact at the multiples of $2^{-r}$ for $r \le 10$ in float32 and $r \le 24$ in
    float64; more levels are refused.

    **Arguments:**

    - `accuracy`: the error to reach, in $(0, 1)$: the least number of levels that does is taken.
    - `levels`: the number $r \ge 1$ itself, instead.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build more levels than the type can evaluate exactly.

    **Returns:**

    A `Construction` with an exact certificate.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and levels is given, for values out of range, and
      for more levels than the type holds.

    **Reference:** [ding2019], Proposition 2 as recalled, which bounds the error by
    $6 \cdot 2^{-2(r+1)}$; the exact error and the layers are derived, above `products` in this
    namespace.
    """
    r, kind = _levels("two_value_product", accuracy, levels, 0, dtype, allow_rounding)
    circuit = Circuit(2)
    plus, minus = inputs(circuit, signed=True)
    assert minus is not None
    one = np.zeros(1, np.int64)
    x, y = (plus[:1], minus[:1]), (plus[1:], minus[1:])
    p, q = products(circuit, x, y, (one, one), r, half=1)
    network = circuit.network(HALVES, [(1, p), (-1, q)], kind)
    certificate = Certificate(
        float(Fraction(1, 4**r)),
        "x y",
        ((-1.0, -1.0), (1.0, 1.0)),
        exact=True,
        source="[ding2019], Proposition 2 as recalled, with the exact error; layers derived",
    )
    return Construction(network, certificate, count(network))


def _levels(call, accuracy, levels, plus, dtype, allow_rounding) -> tuple[int, np.dtype]:
    """The levels r, given or with 4^-(r + plus) <= accuracy."""
    kind = check_dtype(call, dtype)
    check_either(call, accuracy, "levels", levels)
    if levels is None:
        most = Fraction(check_accuracy(call, accuracy))
        r = max(1, math.ceil(power_above(1 / most) / 2) - plus)
    else:
        r = check_whole(f"{call}(levels=...)", levels, 1)
    # Values are multiples of 2^-(2 r + 2) up to 2, partial sums included: 2 r + 4 digits.
    check_levels(f"{call}(...)", r, (digits(kind) - 4) // 2, kind, allow_rounding)
    return r, kind
