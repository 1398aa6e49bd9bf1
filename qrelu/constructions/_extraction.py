"""Networks that read bits out of a number, one or several in every layer."""

from typing import Any, NamedTuple

import numpy as np

from ._arguments import check_dtype, check_whole, digits
from ._codes import gapped_code
from ._construction import Certificate, Construction, count
from ._layers import Layers, Rows, stack

# 2^(k + 1) units read k bits; beyond this no network here is meant.
LARGEST_GROUP = 12


# Let c_0 < ... < c_(2^k - 1) be the codes of all k bits. They are at least g = 4^-(k-1) apart, and
# what follows the first k bits of a code is at most g/3. So with C = 2/g
#     step_v = rho(C (Y - c_v) + 1) - rho(C (Y - c_v)) = clip(C (Y - c_v) + 1, 0, 1)
# is 1 if Y begins with at least v, and else, since then Y <= c_v - 2g/3 < c_v - 1/C, it is 0. Hence
#     theta_i = sum_v (bit_i(v) - bit_i(v - 1)) step_v,
#     4^k (Y - sum_v (c_v - c_(v-1)) step_v) = the code of the following bits.
class Group(NamedTuple):
    """How k bits are read; whole numbers all of them."""

    bits: int
    slope: float  # C
    thresholds: np.ndarray  # C c_v, for v = 1, ..., 2^k - 1
    changes: np.ndarray  # (k, 2^k - 1): bit_i(v) - bit_i(v - 1)
    jumps: np.ndarray  # 4^k (c_v - c_(v-1))

    def units(self, y: Rows) -> tuple[Rows, Rows]:
        """The two halves of all steps: thresholds outside, copies of y inside."""
        spread = np.tile(np.eye(y.count), (len(self.thresholds), 1))
        low = y.combine(self.slope * spread) - np.repeat(self.thresholds, y.count)
        return low + 1.0, low

    def read(self, high: Rows, low: Rows, copies: int) -> list[Rows]:
        """The k bits, first bit first, from the units."""
        steps, same = high - low, np.eye(copies)
        return [steps.combine(np.kron(row[None, :], same)) for row in self.changes]

    def rest(self, y: Rows, high: Rows, low: Rows) -> Rows:
        """The code of the following bits."""
        taken = (high - low).combine(np.kron(self.jumps[None, :], np.eye(y.count)))
        return y * 4.0**self.bits - taken


def group(bits: int) -> Group:
    """How `bits` bits are read at once."""
    numbers = np.arange(2**bits)
    words = (numbers[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    codes = gapped_code(words)
    slope = 2.0 * 4.0 ** (bits - 1)
    return Group(
        bits,
        slope,
        slope * codes[1:],
        np.diff(words, axis=0).T.astype(np.float64),
        4.0**bits * np.diff(codes),
    )


def groups(bits: int, per_layer: int) -> list[Group]:
    """Groups of `per_layer` bits, and one of what remains."""
    sizes = [min(per_layer, bits - done) for done in range(0, bits, per_layer)]
    made = {size: group(size) for size in set(sizes)}
    return [made[size] for size in sizes]


def check_code(call: str, bits: int, dtype: Any, allow_rounding: bool | None) -> None:
    """Refuse codes that the type cannot hold; None where the caller has no such argument."""
    most = (digits(np.dtype(dtype)) + 1) // 2
    if bits > most and not allow_rounding:
        advice = [' Use "float64".'] if np.dtype(dtype) == np.float32 else []
        if allow_rounding is not None:
            advice.append(
                " `allow_rounding=True` builds it nevertheless, with codes that are rounded and no "
                "proven error."
            )
        raise ValueError(
            f"`{call}` must have at most {most} bits per code in {np.dtype(dtype)}, since codes of "
            f"m bits take 2m - 1 binary digits; got {bits}.{''.join(advice)}"
        )


def bit_extraction(bits: int, per_layer: int = 1, *, dtype: Any = np.float64) -> Construction:
    r"""The network that reads all bits of a `gapped_code`, `per_layer` of them in every layer.

    It maps $Y = \sum_{j < m} \theta_{j+1} 4^{-j}$ to $(\theta_1, \ldots, \theta_m)$, exactly for
    all $2^m$ codes; between codes its values mean nothing. With $m$ bits in groups of $k$:
    $J = \lceil m/k \rceil$ hidden layers, depth $J + 1$. The hidden layer of the $i$-th group has
    $2(2^k - 1)$ units that read, one for $Y$ (none in the last), and one for every bit read before.
    All parameters are whole numbers, at most $2 \cdot 4^{2k-1}$ in size.

    Evaluation in float64 is exact for $m \le 26$, in float32 for $m \le 11$ with $k = 1$; sums of
    many terms cost digits, so for $k = 4$ a few bits less.

    **Arguments:**

    - `bits`: the number $m$ of bits in a code.
    - `per_layer`: the number $k$ of bits that a layer reads.
    - `dtype`: float32 or float64.

    **Returns:**

    A `Construction` with error 0 on the codes.

    **Raises:**

    - `ValueError`: for fewer than one bit, more than 12 in a layer, or codes that the type cannot
        hold: more than 27 bits in float64, 12 in float32.

    **Reference:** bit extraction with several bits per layer as in [ou2024], recalled; these codes
    and weights are derived, above the code.
    """
    m = check_whole("bit_extraction(bits)", bits, 1)
    k = check_whole("bit_extraction(per_layer)", per_layer, 1, LARGEST_GROUP)
    kind = check_dtype("bit_extraction", dtype)
    check_code(f"bit_extraction(bits={m})", m, kind, None)
    layers = Layers(1)
    y, known = layers.units, []
    plan = groups(m, k)
    for i, g in enumerate(plan):
        high, low = g.units(y)
        parts = [high, low, *([y] if i + 1 < len(plan) else []), *known]
        high, low, *others = layers.relu(*parts)
        if i + 1 < len(plan):
            y, *others = others
            y = g.rest(y, high, low)
        known = [*others, *g.read(high, low, 1)]
    network = layers.network(stack(known), kind)
    certificate = Certificate(
        0.0,
        f"the {m} bits of a gapped code",
        ((0.0,), (4 / 3,)),
        exact=True,
        assumptions=f"the input is the gapped code of {m} bits",
        source="derived; several bits per layer as in [ou2024], recalled",
    )
    return Construction(network, certificate, count(network))


# theta u = rho(u + theta - 1) for theta in {0, 1} and u in [0, 1]. In a cell with base B (in units
# of h) and bits theta_j, at t steps from its left end, the value is
#     B + sum_j (2 theta_j - 1) u_j = B - t + 2 sum_j rho(u_j + theta_j - 1),  u_j = T_(j-1) - T_j,
# with the ramps T_0 = t, T_j = rho(T_(j-1) - 1) = rho(t - j).
def add_values(layers: Layers, t: Rows, code: Rows, base: Rows, plan: list[Group]) -> Rows:
    """Append len(plan) + 1 hidden layers; base - t + 2 sum_j theta_j u_j as functions of the last.

    `t` and `code` are not negative, `base` is at least `t`; each has one row per copy.
    """
    copies = t.count
    total = base - t
    products: list[Rows] = []
    for i, g in enumerate(plan):
        last = i + 1 == len(plan)
        high, low = g.units(code)
        # What comes after the last step is never used: there the ramp is 0.
        ramps = [t - float(step) for step in range(g.bits + (not last))]
        following = [] if last else [code]
        units = layers.relu(total, *products, high, low, *ramps, *following)
        total = _with_products(units[0], units[1 : 1 + len(products)])
        high, low, *units = units[1 + len(products) :]
        ramps = units[: len(ramps)]
        ends = [*ramps[1:], ramps[-1] * 0.0] if last else ramps[1:]
        bits = g.read(high, low, copies)
        products = [
            before - after + bit - 1.0
            for before, after, bit in zip(ramps[: g.bits], ends, bits, strict=True)
        ]
        if not last:
            code, t = g.rest(units[-1], high, low), ramps[-1]
    total, *products = layers.relu(total, *products)
    return _with_products(total, products)


def _with_products(total: Rows, products: list[Rows]) -> Rows:
    for product in products:
        total = total + product * 2.0
    return total


# The median of v_0, v_1, v_2 >= 0: e = rho(v_0 - v_1) gives the smaller one v_0 - e and the larger
# one v_1 + e of the first two; then the smaller one of v_1 + e and v_2; then the larger one.
def add_median(layers: Layers, values: Rows) -> Rows:
    """Append three hidden layers; the median of three values that are not negative."""
    excess, v = layers.relu(values[[0]] - values[[1]], values)
    low, high = v[[0]] - excess, v[[1]] + excess
    above, low, high = layers.relu(high - v[[2]], low, high)
    middle = high - above
    below, middle = layers.relu(low - middle, middle)
    return middle + below
