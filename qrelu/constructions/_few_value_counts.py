"""Connectivity and depth of function-independent networks, without building them."""

import math
from fractions import Fraction
from typing import NamedTuple

from ._alphabets import Nonlinear
from ._arguments import Number, check_accuracy, check_whole
from ._few_value_plan import alphabet_for, first_unit, plan, steps


class FewValueSobolevCounts(NamedTuple):
    r"""What `few_value_sobolev` takes for a nonlinear alphabet.

    The width is not among it: that of the last layers of products, which has no short form; the
    `Counts` of a network that is built have it, input and output included.

    **Attributes:**

    - `cells`: $N$, the cells of the grid per coordinate.
    - `levels`: $r$, levels of squaring per product; 0 without products.
    - `digits`: $t$, binary digits of a coefficient.
    - `depth`: the number of affine maps.
    - `connectivity`: the number of weights and biases.
    - `bound`: the certificate.
    """

    cells: int
    levels: int
    digits: int
    depth: int
    connectivity: int
    bound: float


# A gain of k/2 takes k edges, and so k copies of its source; a unit has as many copies as its
# consumers need at most. What follows counts edges times copies of their target.
def few_value_sobolev_counts(
    accuracy: Number, *, dimension: int = 1, order: int = 1, values: int = 2
) -> FewValueSobolevCounts:
    r"""The size of `few_value_sobolev` for a nonlinear alphabet, in closed form.

    With $d$ = `dimension`, $n$ = `order`, $G = (N + 1)^d$ terms per derivative, $t$ digits and
    $n = 1$, $\lambda = 2$: the depth is $2 p + \max(1, 2 (d - 1)) + t + 4$, and there are
    $3 t G + O(G)$ weights, which is $O((1/\varepsilon)^{d/n} \log(1/\varepsilon))$; with products
    the factor is $(6 t + 33 r)$ per derivative and its order the same.

    **Arguments:**

    - `accuracy`: the error that the network may have, in $(0, 1)$.
    - `dimension`: $d$, 1 to 3.
    - `order`: $n$, 1 to 3.
    - `values`: $\lambda$, from 2 to 64, of the nonlinear alphabet.

    **Returns:**

    A `FewValueSobolevCounts`.

    **Raises:**

    - `ValueError`: for arguments out of range.

    **Reference:** derived, in the code.
    """
    eps = Fraction(check_accuracy("few_value_sobolev_counts", accuracy))
    d = check_whole("few_value_sobolev_counts(dimension=...)", dimension, 1, 3)
    n = check_whole("few_value_sobolev_counts(order=...)", order, 1, 3)
    lam = check_whole("few_value_sobolev_counts(values=...)", values, 2, 64)
    p, r, t, bound = plan(d, n, eps, lam, False)
    alphabet = alphabet_for(lam, False, t)
    assert isinstance(alphabet, Nonlinear)
    cells = 2**p
    kept = [k for k in range(n) if first_unit(alphabet, p, k) < t]
    stages = kept[-1]
    total = _inputs_and_tree(d, p) + _hats(d, cells)
    total += _offsets(d, cells, r, stages) + _products(d, cells, r, stages)
    chains, depth = _coefficients(alphabet, d, p, r, t, kept)
    return FewValueSobolevCounts(cells, r, t, depth, total + chains, float(bound))


def _inputs_and_tree(d: int, p: int) -> int:
    # The halves of an input have 4 copies, the input itself 4 if it is split and 2 if not. A cell
    # takes 12 + 8 edges for relu(2 u - 1) and relu(2 u), twice each, and 6 for every copy of both
    # of its children: 4 copies, or 2 in the last level. A unit that is 1 takes 12, once per layer.
    cells = 2**p
    split = 44 * (cells // 2 - 1) + 32 * (cells // 2) if p else 0
    return d * (4 + (16 if p else 8) + split) + 12 * (p + 1)


def _hats(d: int, cells: int) -> int:
    n = cells
    if d == 1:
        return 4 * n + 2
    # u_{1,i} - u_{2,j}, the u carried on, and the unit that is 1.
    first = 8 * n**2 + 8 * n + 4
    # 2 + 2 terms inside of the square, fewer on its boundary.
    ends = 4 * n**2 + 4 * n + 1
    if d == 2:
        return first + 2 * ends
    rest = (n + 1) ** 2 - 1
    differences = 2 * 8 * rest * n
    carried = 12 * n + 4 * (rest + 1) + 4 * rest
    return first + 4 * ends + differences + carried + 2 * (4 * rest * n + 2 * rest + 2 * n + 1)


def _offsets(d: int, cells: int, r: int, stages: int) -> int:
    # u and 1 - u until the last product, 4 edges per layer, 2 into the last one.
    if not stages:
        return 0
    end = max(1, 2 * (d - 1)) + (stages - 1) * (2 * r + 3)
    carried = {1: [0], 2: [1, 1], 3: [1, 1, 3]}[d]
    plus = sum(4 * (end - there) - 2 for there in carried)
    minus = d * (4 if end == 1 else 8 + 4 * (end - 1) - 2)
    return cells * (plus + minus)


def _products(d: int, cells: int, r: int, stages: int) -> int:
    terms, inner, total = (cells + 1) ** d, cells * (cells + 1) ** (d - 1), 0
    for stage in range(1, stages + 1):
        signs = 1 if stage == 1 else 2
        directions = math.comb(stage + d - 1, d - 1)
        pairs = directions * terms
        factors = math.comb(stage + d - 2, d - 1) * terms
        singles = factors + d * (cells + 1)
        # relu(+-(x + y) / 2), |x| / 2 and |y| / 2, twice each; |x + y| / 2 and copies of those.
        total += 4 * directions * (signs * terms + 2 * inner) + 2 * signs * factors + 4 * d * cells
        total += 8 * pairs + 4 * singles
        # 30 for every level of squaring, 4 more in the last; the constants; the differences.
        total += (30 * r + 4) * (pairs + singles) + 3 * r - 1 + 24 * pairs
    return total


def _coefficients(alphabet: Nonlinear, d, p, r, t, kept) -> tuple[int, int]:
    """Chains, accumulators and output; and the depth of the network."""
    start = 2 + 2 * p + max(1, 2 * (d - 1))
    total, ends = 0, set()
    for k in kept:
        first = first_unit(alphabet, p, k)
        needed = set()
        for e in range(first, t):
            ends.add(start + k * (2 * r + 3) + steps(alphabet, e))
            while e:
                needed.add(e)
                e = alphabet.parent(e)[0]
        signs = 1 if k == 0 else 2
        each = signs * (len(needed) + 2 * (t - first))
        total += math.comb(k + d - 1, d - 1) * (2**p + 1) ** d * each
    low, high = min(ends), max(ends)
    if low == high:
        return total + 16, high + 3
    gaps = high - low + 1 - len(ends)
    return total + 4 + 12 * (len(ends) - 2) + 8 * gaps + 24 + 8, high + 3
