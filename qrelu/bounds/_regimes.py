"""Lower bounds of the minimax error of quantized networks, and which of them is active."""

import math
from typing import Literal, NamedTuple

from ._checks import as_whole, is_one_of
from ._outward import down

# Beyond it the count of signs, layer by layer, takes minutes.
_LARGEST = 10**6
Index = Literal["largest power", "integer bits"]


class Regime(NamedTuple):
    r"""Lower bounds of the worst error of a class of quantized networks.

    **Attributes:**

    - `lower`: the largest of the three bounds below.
    - `name`: "under" (precision is the limit), "proper" (memory is) or "over" (the number of
        parameters is, through the VC dimension), by the largest bound.
    - `precision`, `memory`, `vc`: the three bounds.
    - `parameters`: the number of parameters $P$ of the full architecture.
    - `bits_per_weight`: bits that number the values of one weight.
    - `memory_bits`: $\lfloor \log_2 \rfloor$ of the number of networks, rounded upwards.
    - `vc_dimension`: an upper bound of the VC dimension of the signs of the networks.
    """

    lower: float
    name: Literal["under", "proper", "over"]
    precision: float
    memory: float
    vc: float
    parameters: int
    bits_per_weight: int
    memory_bits: int
    vc_dimension: int


class Switches(NamedTuple):
    """The fewest fraction bits at which a later regime begins.

    **Attributes:**

    - `proper`: from here on the memory bound is at least the precision bound.
    - `over`: from here on the VC bound is at least the two others.
    """

    proper: int
    over: int


# Q_a^b: signs, powers 2^-b .. 2^a: 2^(a+b+2) - 1 values; with a integer bits one power less.
# A network of depth <= L and width <= W is one of the full architecture (1, W, ..., W, 1) of depth
# L: missing neurons are zeros, missing layers are identities before the last map, whose inputs are
# not negative (hidden activations, or x itself).
#   Precision. At x = 0 layer l has values in 2^-lb Z, so f = 2^-(Lb+1) is at least that far away.
#   Memory. K = floor(log2 of the number of networks) + 1. The 2^K zigzags from 0 with slopes +-1
#     on K equal intervals are pairwise 2/K apart; with an error below 1/K two would share one.
#   VC. On the V + 1 points i/V the values +-1/(2V) belong to functions with slopes of at most 1; an
#     error below 1/(2V) would realize all signs there, V + 1 points shattered.
def regime(
    width: int,
    depth: int,
    fraction_bits: int,
    integer_bits: int = 1,
    *,
    index: Index = "largest power",
) -> Regime:
    r"""Lower bounds of $\sup_f \inf_R \|f - R\|_\infty$ over quantized networks $R$.

    $f$ runs over the functions on $[0, 1]$ with $|f| \le 1$ and $|f(x) - f(y)| \le |x - y|$, $R$
    over all networks with one input, one output, widths of at most $W$, depth of at most $L$, and
    weights in $Q_a^b$, the multiples of $2^{-b}$ below $2^{a+1}$ in size. No construction, training
    or rounding goes below: not for all such $f$ (for a single $f$ there is no such bound).

    **Arguments:**

    - `width`: the largest width $W$.
    - `depth`: the largest depth $L$.
    - `fraction_bits`: $b$, the bits after the point.
    - `integer_bits`: the index $a$.
    - `index`: what the index $a$ counts: "largest power" (powers $2^{-b}, \ldots, 2^a$, as in
        `quantizers.paper_grid`) or "integer bits" (powers up to $2^{a-1}$).

    **Returns:**

    A `Regime`: the three bounds, rounded downwards, and which is the largest.

    **Raises:**

    - `ValueError`: for a width or depth below 1, negative bits, a set that lacks the weight 1, or
        an unknown `index`.

    **Reference:** the three regimes are those of [ou2024], recalled, whose constants are not
    explicit; the bounds with these constants are derived, above the code. The VC dimension follows
    from the counting of signs in [bartlett2019], recalled.
    """
    width, depth = _check("regime", width, depth)
    powers = _powers("regime", fraction_bits, integer_bits, index)
    parameters = _parameters(width, depth)
    bits = powers + 1
    # log2(2^n - 1) = n + log1p(-2^-n)/log(2); rounding is covered by one part in 2^50.
    exact = bits + math.log1p(-(2.0**-bits)) / math.log(2)
    memory_bits = min(math.floor(parameters * exact * (1 + 2.0**-50)), parameters * bits - 1)
    dimension = vc_dimension(width, depth)
    precision = math.ldexp(1.0, -(depth * fraction_bits + 1))  # exact, or 0 below float64
    memory = down(1 / (memory_bits + 1))
    vc = down(1 / (2 * dimension))
    lower = max(precision, memory, vc)
    name = "over" if vc == lower else "proper" if memory == lower else "under"
    return Regime(lower, name, precision, memory, vc, parameters, bits, memory_bits, dimension)


def regime_switches(
    width: int, depth: int, integer_bits: int = 1, *, index: Index = "largest power"
) -> Switches:
    r"""The numbers of fraction bits at which the regimes of `regime` change.

    The precision bound falls exponentially in $b$, the memory bound like $1/b$, the VC bound not at
    all; so each passes the next once. They grow like $\log(W)/L$ and $L \log W$; the second is
    inflated by the constants of the VC bound.

    **Arguments:**

    - `width`, `depth`, `integer_bits`, `index`: as in `regime`.

    **Returns:**

    The first $b$ of the proper and of the over regime.

    **Raises:**

    - `ValueError`: as `regime`.

    **Reference:** derived, above the code of `regime`; the orders of growth are those of [ou2024],
    recalled.
    """
    width, depth = _check("regime_switches", width, depth)
    _powers("regime_switches", 1, integer_bits, index)

    def first(reached) -> int:
        high = 1
        while not reached(regime(width, depth, high, integer_bits, index=index)):
            high *= 2
        low = 0
        while high > low:
            middle = (low + high) // 2
            if reached(regime(width, depth, middle, integer_bits, index=index)):
                high = middle
            else:
                low = middle + 1
        return high

    return Switches(
        first(lambda r: r.memory >= r.precision),
        first(lambda r: r.vc >= max(r.memory, r.precision)),
    )


# For m points the signs of all networks number at most prod_i 2 (2 e m k_i i / W_i)^(W_i), where
# layer i has k_i units and degree i in the W_i parameters of the layers up to it (Warren; needs
# m k_i >= W_i, which m >= W_L ensures). If V points are shattered and V >= W_L, then
#     V <= sum_i 1 + W_i log2(2 e V k_i i / W_i).
# The right side is concave in V, so beyond its last crossing it stays below.
def vc_dimension(width: int, depth: int) -> int:
    r"""An upper bound of the VC dimension of $\{x : R(x) > 0\}$ over ReLU networks $R$.

    For all networks with one input, one output, widths of at most $W$, depth of at most $L$ and any
    real weights: of the order of $P L \log P$ for $P$ parameters.

    **Arguments:**

    - `width`: the largest width $W$.
    - `depth`: the largest depth $L$.

    **Returns:**

    The bound, rounded upwards.

    **Raises:**

    - `ValueError`: for a width or depth below 1.

    **Reference:** counting of signs as in [bartlett2019], recalled; the
    numerical solution is derived, above the code.
    """
    width, depth = _check("vc_dimension", width, depth)
    total = _parameters(width, depth)
    layers = [
        (_parameters_up_to(width, depth, i), width if i < depth else 1, i)
        for i in range(1, depth + 1)
    ]

    def allowed(v: int) -> bool:
        terms = [1 + n * math.log2(2 * math.e * v * k * i / n) for n, k, i in layers]
        return v <= math.fsum(terms) * (1 + 1e-12)

    low, high = total, 2 * total
    while allowed(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return low


def _parameters_up_to(width: int, depth: int, layer: int) -> int:
    if depth == 1:
        return 2
    inner = 2 * width + (min(layer, depth - 1) - 1) * width * (width + 1)
    return inner + (width + 1 if layer == depth else 0)


def _parameters(width: int, depth: int) -> int:
    return _parameters_up_to(width, depth, depth)


def _check(call: str, width: int, depth: int) -> tuple[int, int]:
    return (
        as_whole(f"{call}(width=...)", width, 1, _LARGEST),
        as_whole(f"{call}(depth=...)", depth, 1, _LARGEST),
    )


def _powers(call: str, fraction_bits: int, integer_bits: int, index: Index) -> int:
    if not is_one_of(index, ("largest power", "integer bits")):
        raise ValueError(
            f'`{call}(index=...)` must be "largest power" or "integer bits"; got {index!r}.'
        )
    a = as_whole(f"{call}(integer_bits=...)", integer_bits, 0)
    b = as_whole(f"{call}(fraction_bits=...)", fraction_bits, 0)
    least = 0 if index == "largest power" else 1
    if a < least:
        raise ValueError(
            f"`{call}(integer_bits=...)` must be at least {least}, so that the weight 1 is in the "
            f"set; got {integer_bits}."
        )
    return a + b + (1 if index == "largest power" else 0)
