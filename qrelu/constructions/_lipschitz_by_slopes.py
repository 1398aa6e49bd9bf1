"""A Lipschitz function with one hidden layer: slopes up and down, one unit per corner."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..networks import ReLUNetwork
from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_either,
    check_positive,
    check_whole,
    name_of,
    power_above,
    round_up,
)
from ._codes import modulate, sample
from ._construction import Certificate, Construction, count

# The signs are found one after the other: more would take minutes.
_MOST_STEPS = 2**20


# g with slopes +-K on steps of h = 2^-s is g(0) + K s_1 x + 2 K sum_i +-rho(x - x_i) over its
# corners x_i. The start is a multiple of 2 K h, at most K h away from f(0); then |g - f| <= K h as
# in `sigma_delta`. With rho(2x - 2 x_i) and a unit that is constant, rho(|g(0)| / K), all that
# needs bits after the point are 2 x_i and g(0) / K, multiples of 2h, in the first map, and the
# slope 1/2.
def lipschitz_by_slopes(
    function: Callable[[np.ndarray], Any],
    accuracy: Number | None = None,
    *,
    steps: int | None = None,
    lipschitz: float | int = 1.0,
    dtype: Any = np.float64,
) -> Construction:
    r"""A network with one hidden layer for any Lipschitz function on $[0, 1]$, with error $1/N$.

    The function that goes up or down with slope 1 on each of $N$ steps, as `sigma_delta` chooses:
    a hidden unit per corner, one for the first slope and one for the start. Depth 2, at most
    $N + 1$ hidden units, weights 2 in the first map and $\pm 1$, $\pm 1/2$ in the second (times the
    Lipschitz constant). Only the first map's biases need more bits, $\log_2 N - 1$ after the point:
    with `trade_depth_for_precision`, error $2^{-(L-1)b-1}$ at depth $L$ with $b$ bits.

    Evaluation is exact in float32 and float64 at multiples of $1/N$ and of $2^{-t}$ for
    $t + 2 \log_2 N$ of at most 24 or 53.

    **Arguments:**

    - `function`: array of points (points,) -> array of values, on $[0, 1]$.
    - `accuracy`: the error to reach, in $(0, 1)$: the least number of steps that does is taken.
    - `steps`: the number $N$ itself, instead; a power of two up to $2^{20}$.
    - `lipschitz`: the constant $K$ with $|f(x) - f(y)| \le K |x - y|$; the error is $K/N$.
    - `dtype`: float32 or float64.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and steps is given, for an accuracy outside of
      $(0, 1)$, steps that are not a power of two or that the type cannot hold, and for a function
      that is not finite or breaks the constant.

    **Reference:** derived, above the code.
    """
    call = "lipschitz_by_slopes"
    kind = check_dtype(call, dtype)
    constant = check_positive(f"{call}(lipschitz=...)", lipschitz)
    check_either(call, accuracy, "steps", steps)
    if steps is None:
        error = Fraction(check_accuracy(call, accuracy))
        n = 1 << max(0, power_above(Fraction(constant) / error))
        if n > _MOST_STEPS:
            raise ValueError(
                f"`{call}(accuracy=...)` must be at least lipschitz / 2^20; got {accuracy}."
            )
    else:
        n = check_whole(f"{call}(steps=...)", steps, 1, _MOST_STEPS)
    if n & (n - 1):
        raise ValueError(
            f"`{call}(steps=...)` must be a power of two, so that corners are exact; got {n}. "
            f"{1 << n.bit_length()} is the next one."
        )
    values = sample(call, function, np.arange(n + 1) / n, constant)[None, :] * (n / constant)
    start = 2 * np.rint(values[:, 0] / 2)
    slopes = 2 * modulate(values, start)[0] - 1
    corners = np.flatnonzero(np.diff(slopes)) + 1
    weights = np.append(np.full(len(corners) + 1, 2.0), 0.0)[:, None]
    level = float(abs(start[0])) / n
    biases = np.concatenate([[0.0], -2.0 * corners / n, [level]])
    turns = slopes[corners].astype(np.float64)
    sign = float(np.sign(start[0]))
    last = constant * np.concatenate([[slopes[0] / 2.0], turns, [sign]])[None, :]
    typed = [np.asarray(p, kind) for p in (biases, last)]
    if not all(map(np.array_equal, typed, (biases, last))):
        raise ValueError(
            f"`{call}(..., dtype=...)` must be able to hold starts and slopes; {kind} rounds them. "
            'Use fewer steps, "float64", or a Lipschitz constant with fewer digits.'
        )
    network = ReLUNetwork([weights.astype(kind), typed[1]], [typed[0], np.zeros(1, kind)])
    certificate = Certificate(
        round_up(Fraction(constant) / n),
        name_of(function),
        ((0.0,), (1.0,)),
        assumptions=f"|f(x) - f(y)| <= {constant:g} |x - y|, and its values are computed without "
        "error",
        source="derived",
    )
    return Construction(network, certificate, count(network))
