"""The network that shares what cells have in common, by weights that are 1/2 or -1/2."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_power_of_two,
    check_whole,
    digits,
    name_of,
    power_above,
)
from ._circuit import Circuit, Wires
from ._codes import sample
from ._construction import Certificate, Construction, count
from ._courant import leaves, one
from ._few_values import inputs
from ._patterns import Patterns, path_of, patterns_of
from ._two_values import HALVES

# More steps would take gigabytes.
_MOST_STEPS = 2**20
# Steps in a cell: with more of them there are hardly two cells with the same pattern.
_MOST_IN_CELL = 32


def two_value_cached_lipschitz(
    function: Callable,
    accuracy: Number | None = None,
    *,
    cells: int | None = None,
    steps: int | None = None,
    lipschitz: Number = 1,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A Lipschitz function on $[0, 1]$ by weights $\pm\tfrac12$ that cells with a pattern share.

    The function of `cached_lipschitz`: a path that goes up or down by $K/(Tm)$ in each of $m$ steps
    of $T$ cells, of which the part inside of a cell is made once for all cells with the same
    pattern of ups and downs. Here every number is made of halves: the cells by a tree of depth
    $\log_2 T + 1$, the steps by doubling, the $\log_2 m$ to $2 \log_2 m$ binary digits of rises and
    heights by sums that are halved one after the other.

    Which units and edges there are depends on the function. With $p = \log_2 T$, $q = \log_2 m$,
    $B$ different patterns, $H$ inner points at which they leave the straight line, and $S$ nonzero
    binary digits of all rises and heights, connectivity and depth (for $K = 1$) are

    $$M \le 76\,T + 16 (q + 1)\, B + 26\, H + 2 S + 2 m^2 + 10 m + 70 (q + 1)^2 + 25\,p + 60,
      \qquad L \le 3 (p + q) + 12.$$

    $B \le \min(2^{m+1}, T)$ and $H \le (m - 1) B$. So with $m$ near
    $\tfrac12 \log_2(1/\varepsilon)$ there are
    $O(\log\log(1/\varepsilon) / (\varepsilon \log (1/\varepsilon)))$ weights of one bit each.
    `one_bit_lipschitz` takes $23/\varepsilon$, with a topology that does not depend on the
    function; that is more from about $\varepsilon = 2^{-10}$ on (measured, for random zigzags),
    twice as many at $2^{-16}$.

    Evaluation is exact at the multiples of $1/(2Tm)$ where $2 \log_2 T + 3 \log_2 m + 4$ is at most
    24 in float32 and 53 in float64; more is refused.

    **Arguments:**

    - `function`: $f$, from an array of points to their values, with
        $|f(x) - f(y)| \le K |x - y|$.
    - `accuracy`: the error to reach, in $(0, 1)$. Cells and steps are those with the least bound
        for the weights; with one of them given, the other is the least that reaches it.
    - `cells`, `steps`: the numbers $T$ and $m$, powers of two, $m \le 32$; both, instead of the
        accuracy.
    - `lipschitz`: the constant $K$, a power of two; the error is at most $K/(Tm)$.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build more than the type can evaluate exactly.

    **Returns:**

    A `Construction`. Its certificate takes the values of $f$ at the multiples of $1/(Tm)$ as exact.

    **Raises:**

    - `ValueError`: unless an accuracy or both cells and steps are given, for arguments out of
      range, values that are not finite, a slope above $K$, $|f(0)| > K$, and sizes beyond the type.

    **Reference:** derived, above the code, from the network of [yarotsky2017], Theorem 2. It has
    fewer weights than the function-dependent network of [ding2019], Theorem 3 as recalled (not
    compared with the text), for two values; it is not that theorem's network.
    """
    call = "two_value_cached_lipschitz"
    kind = check_dtype(call, dtype)
    k = check_power_of_two(
        f"{call}(lipschitz=...)", lipschitz, "The network doubles its output so often."
    )
    t, m = _sizes(call, accuracy, k, cells, steps)
    needed = 2 * (t.bit_length() - 1) + 3 * (m.bit_length() - 1) + 4
    if needed > digits(kind) and not allow_rounding:
        raise ValueError(
            f"`{call}(...)` must need at most {digits(kind)} binary digits in {kind}; got {needed} "
            f"for {t} cells of {m} steps. Use float64, a larger accuracy, or `allow_rounding=True` "
            "for exact evaluation elsewhere."
        )
    values = sample(call, function, np.arange(t * m + 1) / (t * m), float(k))
    if abs(values[0]) > k:
        raise ValueError(
            f"`{call}(function, lipschitz={k})` must have |f(0)| of at most that; got f(0) = "
            f"{values[0]:.6g}. Subtract a constant, or take a larger `lipschitz`."
        )
    network = _network(patterns_of(path_of(values * (t * m / k)), t, m), k, kind)
    certificate = Certificate(
        float(Fraction(k, t * m)),
        name_of(function),
        ((0.0,), (1.0,)),
        assumptions=f"the Lipschitz constant is at most {k}, and the values given are exact",
        source="derived, from the network of [yarotsky2017], Theorem 2",
    )
    return Construction(network, certificate, count(network))


def _sizes(
    call: str, accuracy: Any, k: int, cells: int | None, steps: int | None
) -> tuple[int, int]:
    t, m = (
        None if size is None else check_whole(f"{call}({name}=...)", size, 1, most)
        for name, size, most in (("cells", cells, _MOST_STEPS), ("steps", steps, _MOST_IN_CELL))
    )
    for name, size in (("cells", t), ("steps", m)):
        if size is not None and size & (size - 1):
            raise ValueError(
                f"`{call}({name}=...)` must be a power of two; got {size}. "
                f"{1 << size.bit_length()} is the next one."
            )
    if accuracy is None:
        if t is None or m is None:
            raise ValueError(
                f"`{call}(accuracy, cells=..., steps=...)` must be given an accuracy or both sizes."
            )
    else:
        least = 1 << max(0, power_above(k / Fraction(check_accuracy(call, accuracy))))
        if t is None and m is None:
            options = [(max(1, least >> q), 1 << q) for q in range(_MOST_IN_CELL.bit_length())]
            t, m = min(options, key=lambda size: _estimate(*size))
        t = t or max(1, least // (m or 1))
        m = m or max(1, least // t)
        if t * m < least:
            raise ValueError(
                f"`{call}(cells={t}, steps={m})` must have a product of at least {least} for the "
                "accuracy."
            )
    if t * m > _MOST_STEPS or m > _MOST_IN_CELL:
        raise ValueError(
            f"`{call}(...)` must need at most 2^20 steps, 32 of them in a cell; got {t} cells of "
            f"{m} steps. Ask for a larger accuracy."
        )
    return t, m


def _estimate(t: int, m: int) -> int:
    """About the weights, if as many patterns occur as can."""
    q = m.bit_length() - 1
    patterns = min(t, 2 ** (m + 1)) if m > 1 else 0
    return (76 + 2 * q) * t + (16 * (q + 1) + 28 * (m - 1)) * patterns


# The functions of `cached_lipschitz`, with its proof: for cells of parity c and one pattern
# U = sum (u_i - u_{i+1}), for both parities the gate G, and
#     T m^2 f~ / K = m (k_0 + 1) + sum_i m rise_i u_i + sum height_r relu(1 - |m U - r| - m G).
# With v_j = clip(2 T x - j, 0, 1) the u_i are (v_{2i} + v_{2i+1}) / 2 and min(u_i, 1 - u_i) is
# (v_{2i} - v_{2i+1}) / 2, so that single halves make U, G and, for every binary digit j and sign of
# the rises, the sum A_j of the u_i with that digit. Their units are halved, so that one copy of
# each is enough, and then doubled, U and G up to m U and m G. The bumps, halved, are added up for
# every digit and sign of the heights: B_j. With D_j the sum of A_{j-q-1} / 2, B_{j-2} / 4 and the
# digit j - q of k_0 + 1, positive and negative ones apart, all not negative,
#     sum_j 2^j D_j = 2^(J+1) ((... (D_0 / 2 + D_1) / 2 + ...) / 2 + D_J) / 2.
#
# Weights, edges times copies of their target: 20 for x; 44 for every inner node of the tree and 26
# for each of the T last ones; 4 per cell for U and 2 for G; 16 (q + 1) per pattern, and per gate,
# to halve U, double it q + 1 times and carry it; 16 for relu(m U - r), 10 for a bump; 2 for a digit
# of a rise and 1 for one of a height. The rest are the constants 1, ..., m - 1, 2 m^2 + 10 m at
# most, and the sums by digits: up to 6 q + 2 of them, carried through up to 3 q + 8 layers.
def _network(parts: Patterns, scale: int, kind: np.dtype):
    t, m = len(parts.rises), parts.heights.shape[1] + 1
    p, q, s = (size.bit_length() - 1 for size in (t, m, scale))
    circuit = Circuit(1)
    half, _ = inputs(circuit, signed=False)
    v = leaves(circuit, HALVES, circuit.relu((2, half)), p + 1)

    terms = _digit_sums(circuit, parts.rises, v[::2], q + 1, v[1::2])
    if parts.heights.any():
        bumps, heights = _bumps(circuit, parts, v, m)
        terms += _digit_sums(circuit, heights, bumps, 2)
    terms += [(sign, j + q, None) for _, sign, j in zip(*_digits_of([parts.start]), strict=True)]

    top = max([p + 2 * q - s, *(j for _, j, _ in terms)])
    layer = max([v.layer, *(wires.layer for _, _, wires in terms if wires is not None)])
    total: Wires | None = None
    for j in range(min(j for _, j, _ in terms), top + 1):
        edges = [(np.arange(2), 0.5, total)] if total is not None else []
        for sign, digit, wires in terms:
            if digit == j:
                wires = one(circuit, HALVES, layer) if wires is None else wires
                edges.append((np.array([sign]), 0.5, circuit.carry(wires, layer)))
        total = circuit.gather(2, edges)
        layer = total.layer
    assert total is not None  # k_0 + 1 or a rise is not 0
    for _ in range(top - (p + 2 * q - s)):
        total = circuit.relu((2, total))
    return circuit.network(HALVES, [(2, total[:1]), (-2, total[1:])], kind)


def _digits_of(numbers: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, signs (0 or 1) and exponents of all binary digits of whole numbers."""
    sizes = np.abs(np.asarray(numbers, np.int64))
    exponents = np.arange(int(sizes.max(initial=0)).bit_length())
    place, digit = np.nonzero(sizes[:, None] >> exponents & 1)
    return place, (np.asarray(numbers)[place] < 0).astype(np.int64), digit


def _digit_sums(
    circuit: Circuit, numbers: np.ndarray, first: Wires, shift: int, *others: Wires
) -> list[tuple[int, int, Wires | None]]:
    """A quarter of the sum of the wires that have a digit, by signs and exponents plus shift."""
    place, sign, digit = _digits_of(numbers)
    if not place.size:
        return []
    kinds, unit = np.unique(np.stack([sign, digit]), axis=1, return_inverse=True)
    sums = circuit.gather(
        kinds.shape[1], [(unit.reshape(-1), 0.5, wires[place]) for wires in (first, *others)]
    )
    halved = circuit.relu((0.5, sums))
    return [(int(c), int(j) + shift, halved[i]) for i, (c, j) in enumerate(kinds.T)]


def _bumps(circuit: Circuit, parts: Patterns, v: Wires, m: int) -> tuple[Wires, np.ndarray]:
    """relu(1 - |m U - r| - m G) for all patterns and r with a height, and the heights."""
    cell = np.flatnonzero(parts.member >= 0)
    inner = cell[cell + 1 < len(parts.member)]
    opposite = 1 - np.arange(len(parts.member)) % 2  # whose gate a cell closes
    edges = [(parts.member[cell], 0.5, v[2 * cell + side]) for side in (0, 1)]
    edges += [(parts.member[inner], -0.5, v[2 * inner + side]) for side in (2, 3)]
    gate = len(parts.heights) + opposite
    edges += [(gate, 0.5, v[::2]), (gate, -0.5, v[1::2])]
    units = circuit.relu((0.5, circuit.gather(len(parts.heights) + 2, edges)))
    for _ in range(m.bit_length()):
        units = circuit.relu((2, units))
    which, r = np.nonzero(parts.heights)
    u, g = units[which], units[len(parts.heights) + parts.parity[which]]
    ones = one(circuit, HALVES, units.layer - 1)
    numbers = circuit.gather(m - 1, [(np.arange(m - 1), np.arange(1.0, m), ones)])
    above = circuit.relu((1, u), (-1, numbers[r]))
    less = (-1.0 * (r > 0), numbers[np.maximum(r - 1, 0)])
    bumps = circuit.relu((1, u), (-2, above), (-1, g), less)
    return bumps, parts.heights[which, r]
