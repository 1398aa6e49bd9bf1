"""Memory as a function of the number of weight values, and the best number."""

import math
from typing import Any, Literal, NamedTuple

from ._alphabets import nonlinear
from ._arguments import Number, check_accuracy, check_whole

MemoryForm = Literal["bound", "branch", "trie"]
# The optimum of the bound is about ln L, of the counts not far: no accuracy of a float comes near.
_MOST_VALUES = 64


class BestValues(NamedTuple):
    r"""The number of weight values with the least memory.

    **Attributes:**

    - `values`: $\lambda$.
    - `bits`: $\log_2 \lambda$, the bits of a weight.
    - `memory`: the memory at $\lambda$, as `few_value_memory` returns it.
    """

    values: int
    bits: float
    memory: float


def few_value_memory(
    accuracy: Number,
    *,
    values: int = 2,
    form: MemoryForm = "bound",
    dimension: int = 1,
    order: int = 1,
) -> float:
    r"""Bits for a network with $\lambda$ values and a given error.

    The bits of all weights, $\log_2 \lambda$ each; the $\lambda$ values themselves and the places
    of the edges are not counted. With $L = \log_2(1/\varepsilon)$ and the factor
    $(1/\varepsilon)^{d/n}$ for the number of coefficients:

    - `"bound"`: $\lambda \log_2 \lambda\, L^{1/(\lambda - 1) + 1} (1/\varepsilon)^{d/n}$, the order
        of the paper's bound with the constant 1. A comparison of several $\lambda$, not a bound.
    - `"branch"`, `"trie"`: $\log_2 \lambda$ times the weights of one coefficient of
        $\lceil L \rceil$ binary digits, that is of `weight` in this form, times
        $(1/\varepsilon)^{d/n}$.

    **Arguments:**

    - `accuracy`: $\varepsilon$, in $(0, 1)$.
    - `values`: $\lambda$, from 2 to 64.
    - `form`: `"bound"`, `"branch"` or `"trie"`.
    - `dimension`, `order`: $d$ and $n$.

    **Returns:**

    The bits.

    **Raises:**

    - `ValueError`: for arguments out of range.

    **Reference:** [ding2019], Theorem 1 as recalled, not compared with the text, for `"bound"`; the
    counts are derived, as of `weight`.
    """
    return _memory("few_value_memory", accuracy, values, form, dimension, order)


def _memory(
    call: str, accuracy: Any, values: Any, form: Any, dimension: Any = 1, order: Any = 1
) -> float:
    lam = check_whole(f"{call}(values=...)", values, 2, _MOST_VALUES)
    eps = check_accuracy(call, accuracy)
    d = check_whole(f"{call}(dimension=...)", dimension, 1)
    n = check_whole(f"{call}(order=...)", order, 1)
    digits = -math.log2(eps)
    if form == "bound":
        cost = lam * digits ** (1 / (lam - 1) + 1)
    elif form in ("branch", "trie"):
        cost = weight_connectivity(math.ceil(digits), lam, form)
    else:
        raise ValueError(f'`{call}(form=...)` must be "bound", "branch" or "trie"; got {form!r}.')
    if math.log2(cost * math.log2(lam)) + digits * d / n >= 1024:
        raise ValueError(
            f"`{call}(accuracy=...)` must need fewer bits than float64 can count; got {accuracy}."
        )
    return cost * math.log2(lam) * eps ** (-d / n)


def best_values(accuracy: Number, *, form: MemoryForm = "bound") -> BestValues:
    r"""The number of weight values for which the memory is least.

    The bound is stationary where $(\lambda - 1)^2 (1 + 1/\ln\lambda)/\lambda = \ln L$,
    $L = \log_2(1/\varepsilon)$: from 2 at $L = 4$ to 6 at $L = 1000$, that is 1 to 2.6 bits. The
    counts of real networks are not smooth in $\lambda$, and their optimum is another one: 2 or 3 in
    the form `"trie"`, whose connectivity is linear in $L$ for every $\lambda$.

    **Arguments:**

    - `accuracy`: $\varepsilon$, in $(0, 1)$.
    - `form`: as of `few_value_memory`.

    **Returns:**

    A `BestValues`, for $d = n = 1$: the optimum does not depend on $d$ and $n$.

    **Raises:**

    - `ValueError`: for arguments out of range.

    **Reference:** derived, from [ding2019], Theorem 1 as recalled.
    """
    check_accuracy("best_values", accuracy)
    costs = {lam: _memory("best_values", accuracy, lam, form) for lam in range(2, _MOST_VALUES + 1)}
    best = min(costs, key=costs.__getitem__)
    return BestValues(best, math.log2(best), costs[best])


# Two layers bring the positive and the negative part of x: 4 halves each, then 4 edges per copy.
# Branch: an identity has 2 copies of 2 edges, the last one before a single edge 1 copy of 2.
# Trie: t - 1 edges of a chain and 2 t edges to the accumulators per sign; the accumulators of all
# D + 1 layers take 4, 12 each and 24, and the output 8.
def weight_connectivity(digits: int, values: int, form: str) -> int:
    """The weights of `weight` for a nonlinear alphabet."""
    alphabet = nonlinear(values, digits)
    depths = [0]
    for e in range(1, digits):
        depths.append(depths[alphabet.parent(e)[0]] + 1)
    deepest = max(depths)
    if form == "trie":
        sums = 4 + 12 * (deepest - 1) + 24 + 8 if deepest else 16
        return 16 + 2 * (digits - 1) + 4 * digits + sums
    padded = [deepest - depth for depth in depths]
    copies = 2 if any(padded) else 1
    branches = sum(max(0, 4 * n - 2) + depth + 1 for n, depth in zip(padded, depths, strict=True))
    return 8 + 8 * copies + 2 * branches
