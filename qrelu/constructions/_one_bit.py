"""A Lipschitz function by a fixed network of weights +-1/2, one sign per cell."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_either,
    check_power_of_two,
    check_whole,
    digits,
    name_of,
    power_above,
)
from ._circuit import Circuit, Wires
from ._construction import Certificate, Construction, count
from ._samples import values_at
from ._two_values import HALVES

# More cells would take gigabytes: 23 weights each.
_MOST_REFINEMENTS = 20
# What float64 may add to N f(i/N): rounding of f, for N up to 2^20.
_SLACK = 2.0**-28


def one_bit_lipschitz(
    function: Callable,
    accuracy: Number | None = None,
    *,
    steps: int | None = None,
    lipschitz: Number = 1,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A Lipschitz function on $[0, 1]$ by $O(1/\varepsilon)$ weights of one bit each.

    With $N = 2^p$ steps of length $h = 1/N$, the network is a path of slopes $s_i = \pm 1$,
    $\tilde f(x) = h (k_0 + 1) + \sum_i s_i \min(\max(x - ih, 0), h)$, where $k_i$ is the largest
    integer of the parity of $i$ that is at most $N f(ih)$: its error is at most $h$. All functions
    have the same units and edges, all weights are $\pm\tfrac12$, and only $N + p + 1$ signs depend
    on the function (each on two edges): as many bits as the $\varepsilon$-entropy of the class,
    $\lceil 1/\varepsilon \rceil - 1$, up to the lower order.

    For $p \ge 2$ there are $23 N + 34 p + 60$ weights and biases, the depth is $2 p + 6$, and at
    most $2 N + 8$ units are in a layer, input and output included. A Lipschitz constant $K$ adds
    $32 \log_2 K$ weights and $\log_2 K$ layers.

    Evaluation is exact at the multiples of $h / 2$ for $p \le 16$ in float32, and for all sizes in
    float64.

    **Arguments:**

    - `function`: $f$, from $n$ points to $n$ values, with $|f(x) - f(y)| \le K |x - y|$ and
        $|f(0)| \le K$.
    - `accuracy`: the error to reach, in $(0, 1)$: the least number of steps that does is taken.
    - `steps`: the number $N$ itself, instead; a power of two from 2 to $2^{20}$.
    - `lipschitz`: the constant $K$, a power of two; the error is at most $K h$.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build more than the type can evaluate exactly.

    **Returns:**

    A `Construction`. Its certificate takes the values of $f$ at the multiples of $h$ as exact.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and steps is given, for arguments out of range,
      values that are not finite, a slope above $K$ between two multiples of $h$ (between them it
      cannot be seen), or $|f(0)| > K$.

    **Reference:** derived, above the code. It meets the order of Theorem 3 of [ding2019] as
    recalled, with a structure that does not depend on the function; it is not that theorem's
    network.
    """
    call = "one_bit_lipschitz"
    kind = check_dtype(call, dtype)
    s = check_power_of_two(
        f"{call}(lipschitz=...)", lipschitz, "The network doubles its output so often."
    )
    check_either(call, accuracy, "steps", steps)
    if steps is None:
        p = max(1, power_above(Fraction(s) / Fraction(check_accuracy(call, accuracy))))
        if p > _MOST_REFINEMENTS:
            raise ValueError(
                f"`{call}(accuracy=...)` must be at least lipschitz / 2^{_MOST_REFINEMENTS}; got "
                f"{accuracy}. Smaller ones take gigabytes."
            )
    else:
        n = check_whole(f"{call}(steps=...)", steps, 2, 2**_MOST_REFINEMENTS)
        if n & (n - 1):
            raise ValueError(
                f"`{call}(steps=...)` must be a power of two; got {n}. {1 << n.bit_length()} is "
                "the next one."
            )
        p = n.bit_length() - 1
    if p + 8 > digits(kind) and not allow_rounding:
        raise ValueError(
            f"`{call}(...)` must have at most 2^{digits(kind) - 8} steps in {kind}; got 2^{p}. Use "
            "float64, or `allow_rounding=True` for exact evaluation elsewhere."
        )
    base, signs = _path(call, function, p, s)
    network = _network(p, base, signs, s, kind)
    certificate = Certificate(
        s / 2**p,
        name_of(function),
        ((0.0,), (1.0,)),
        assumptions=f"the Lipschitz constant is at most {s:g}, and the values given are exact",
    )
    return Construction(network, certificate, count(network))


# |N f((i+1)/N) - N f(i/N)| <= 1, so from 0 <= N f(i/N) - k_i < 2 follows that k_{i+1}, the largest
# integer of the other parity that is at most N f((i+1)/N), is k_i + 1 or k_i - 1. At the points i h
# the path h (k_i + 1) is at most h from f; between them f minus the path is monotone, since f has
# slopes of at most 1 and the path of exactly +1 or -1. Hence |f - path| <= h everywhere.
def _path(call: str, function: Callable, p: int, scale: int) -> tuple[int, np.ndarray]:
    """k_0 + 1 and the slopes."""
    cells = 2**p
    points = np.arange(cells + 1) / cells
    values = values_at(call, function, points)
    levels = cells * (values / scale)
    slope = float(np.abs(np.diff(levels)).max())
    if slope > 1 + _SLACK:
        raise ValueError(
            f"`{call}(function, lipschitz={scale:g})` must have slopes of at most that; got "
            f"{slope * scale:.6g} between two multiples of 1/{cells}. Take "
            f"`lipschitz={2 ** math.ceil(math.log2(slope * scale))}`."
        )
    if abs(levels[0]) > cells:
        raise ValueError(
            f"`{call}(function, lipschitz={scale:g})` must have |f(0)| of at most that; got f(0) = "
            f"{values[0]:.6g}. Subtract a constant, or take a larger `lipschitz`."
        )
    k = start = 2 * math.floor(levels[0] / 2)
    signs = []
    for level in levels[1:].tolist():
        signs.append(1 if k + 1 <= level + _SLACK else -1)
        k += signs[-1]
    return start + 1, np.array(signs)


# With v = clip(x - a, 0, w) for a cell of width w, the halves are clip(x - a - w/2, 0, w/2) =
# relu(v - w/2) and v - relu(v - w/2). All is done for 4 s v, so that the output can take halves of
# two sums with one copy each: 2 s f = sum of s_i / 2 times 4 s v_i, plus the offset. The constants
# 4 s 2^-l are there for the cells anyway; the odd number k_0 + 1, |k_0 + 1| < 2^(p+1), is
# sum_{j=0}^p s'_j 2^(p-j) with signs, so h (k_0 + 1) = sum_j s'_j 2^-j.
def _network(p: int, base: int, signs: np.ndarray, scale: int, kind: np.dtype):
    circuit = Circuit(1)
    v = circuit.relu((0.5, circuit.inputs))
    doublings = scale.bit_length() + 2
    for _ in range(doublings):
        v = circuit.relu((2, v))
    # 4 s / 2 in the layer of 4 s x, and 4 s one layer later.
    c = circuit.constant(v.layer - scale.bit_length() - 1, 0.5)
    for _ in range(scale.bit_length() + 1):
        c = circuit.relu((2, c))
    most = 2 ** (p + 1) - 1
    bits = ((base + most) // 2) >> np.arange(p, -1, -1) & 1
    digits_of = (2 * bits - 1) / 2
    offset: Wires | None = None
    parts = [(digits_of[0], circuit.relu((2, c)))]
    for level in range(1, p + 1):
        parts.append((digits_of[level], c))
        upper = circuit.relu((1, v), (-1, c))
        whole = circuit.relu((1, v))
        lower = circuit.relu((1, whole), (-1, upper))
        upper = circuit.relu((1, upper))
        v = Wires(lower.layer, np.stack([lower.index, upper.index], axis=1).ravel())
        c = circuit.relu((1, circuit.relu((0.5, c))))
    for gain, wires in sorted(parts, key=lambda part: part[1].layer):
        sums = circuit.gather(2, [(np.arange(2), np.array([gain, -gain]), wires)])
        terms = [(1.0, sums)]
        if offset is not None:
            terms.append((1.0, offset))
        offset = circuit.relu(*terms)
    assert offset is not None
    rows = np.repeat(np.arange(2), signs.size)
    both = np.concatenate([signs, -signs]) / 2
    gathered = circuit.gather(
        2,
        [
            (rows, both, Wires(v.layer, np.tile(v.index, 2))),
            (np.arange(2), 1.0, offset),
            (np.arange(2), -1.0, offset[::-1]),
        ],
    )
    return circuit.network(HALVES, [(0.5, gathered[:1]), (-0.5, gathered[1:])], kind)
