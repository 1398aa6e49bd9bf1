"""Function-independent networks of few weight values for smooth functions."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..networks import ReLUNetwork
from ._alphabets import Alphabet
from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_power_of_two,
    check_whole,
    digits,
    name_of,
    round_up,
)
from ._circuit import Circuit, Wires
from ._construction import Certificate, Construction, count
from ._courant import hats, leaves, one
from ._derivatives import Index, grid_derivatives
from ._few_value_plan import SobolevPlan, alphabet_for, first_unit, plan
from ._few_values import parts, products, weigh
from ._weight import MOST_BITS, check_alphabet, most_values, rounded_values

# Terms of the expansion, (N + 1)^d times the number of derivatives; each takes hundreds of weights.
_MOST_TERMS = 500_000


def two_value_sobolev(
    function: Callable,
    accuracy: Number,
    *,
    dimension: int = 1,
    order: int = 1,
    derivative: Callable | None = None,
    scale: Number = 1,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A smooth function on $[0, 1]^d$ by a fixed network of weights $\pm\tfrac12$.

    `few_value_sobolev` for the two values $\{-\tfrac12, +\tfrac12\}$; everything is said there.

    **Arguments:**

    - As of `few_value_sobolev`.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: as `few_value_sobolev`.

    **Reference:** [ding2019], Theorem 1 for two values as recalled, not compared with the text;
    construction and bound derived, as of `few_value_sobolev`.
    """
    call = "two_value_sobolev"
    return _sobolev(
        call,
        function,
        accuracy,
        dimension,
        order,
        2,
        False,
        derivative,
        scale,
        dtype,
        allow_rounding,
    )


def few_value_sobolev(
    function: Callable,
    accuracy: Number,
    *,
    dimension: int = 1,
    order: int = 1,
    values: int = 2,
    linear: bool = False,
    derivative: Callable | None = None,
    scale: Number = 1,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A smooth function on $[0, 1]^d$ by a fixed network of $\lambda$ weight values.

    For all functions of $F_{d,n}$, the unit ball of $W^{n,\infty}([0,1]^d)$ (all partial
    derivatives up to order $n$ are at most 1 in absolute value), the network has the same units and
    edges: only signs, or digits, of edges depend on the function. It is

    $$\sum_m \varphi_m(x) \sum_{|\nu| < n} w_{m,\nu}\, (N x - m)^\nu, \qquad
      w_{m,\nu} \approx \frac{D^\nu f(m/N)}{\nu!\, N^{|\nu|}},$$

    with $N = 2^p$ cells per coordinate, the piecewise-linear hats $\varphi_m$ of the Kuhn
    triangulation (made without products and without error), $|\nu|$ approximate products per term,
    and coefficients as in `weight`. The certificate is

    $$\frac{1}{n!}\Big(\frac{d}{N}\Big)^n + \sum_{|\nu| < n} \Big( e + (d + 1)\, |\nu|\, 4^{-r}
      \big(N^{-|\nu|} + e\big)\Big) \le \text{accuracy},$$

    where $e$ is the error of a coefficient and $r$ the levels of squaring.
    `few_value_sobolev_counts` gives depth and connectivity without building anything.

    The alphabets are those of `weight`: nonlinear $\{-\tfrac12\} \cup \{2^{-T^j}\}$, or linear
    $\{-1, 1/\lambda, \ldots, (\lambda - 1)/\lambda\}$. Linear alphabets of odd $\lambda$ do not
    contain the halves that products use: they are for order 1.

    Evaluation is exact at the points and midpoints of the grid if the type has as many binary
    digits as the network needs there: 24 in float32 suffice for order 1 and accuracies above
    about $10^{-4}$, 53 in float64 for all that fits into memory. Where they do not suffice the
    type is refused.

    **Arguments:**

    - `function`: $f$, from points of shape $(n, d)$ to $n$ values.
    - `accuracy`: the error that the network may have, in $(0, 1)$.
    - `dimension`: $d$, 1 to 3.
    - `order`: $n$, 1 to 3; $f$ needs only be in $W^{n,\infty}$, so 1 means Lipschitz.
    - `values`: $\lambda$, from 2 to 64 (65536 for the linear alphabet).
    - `linear`: whether the alphabet is the linear one.
    - `derivative`: for order 2 and 3, a function of $\nu$ (a tuple of $d$ integers) and points,
        that returns $D^\nu f$ there. Left out, JAX differentiates `function` in float64.
    - `scale`: a power of two $s$; the function is in $s F_{d,n}$, and the network multiplies by $s$
        at the end.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build what the type does not hold.

    **Returns:**

    A `Construction`. Its certificate takes the values that were returned for $f$ and its
    derivatives at the grid as exact.

    **Raises:**

    - `ValueError`: for arguments out of range, a function whose values at the grid show that it is
      not in the class, values that are not finite, sizes beyond memory or beyond the type.

    **Reference:** [ding2019], Theorem 1 (nonlinear) and Theorem 2 (linear) as recalled, not
    compared with the text, for the form of the result; construction and bound derived, in the
    modules of hats and of plans. Local Taylor polynomials as in [yarotsky2017], Theorem 1.
    """
    call = "few_value_sobolev"
    return _sobolev(
        call,
        function,
        accuracy,
        dimension,
        order,
        values,
        linear,
        derivative,
        scale,
        dtype,
        allow_rounding,
    )


def _sobolev(
    call: str,
    function: Callable,
    accuracy: Any,
    dimension: Any,
    order: Any,
    values: Any,
    linear: bool,
    derivative: Callable | None,
    scale: Any,
    dtype: Any,
    allow_rounding: bool,
) -> Construction:
    s = check_power_of_two(f"{call}(scale=...)", scale, "The network doubles its output so often.")
    eps = Fraction(check_accuracy(call, accuracy)) / s
    d = check_whole(f"{call}(dimension=...)", dimension, 1, 3)
    n = check_whole(f"{call}(order=...)", order, 1, 3)
    lam = check_whole(f"{call}(values=...)", values, 2, most_values(linear))
    kind = check_dtype(call, dtype)
    if linear and lam % 2 and n > 1:
        raise ValueError(
            f"`{call}(values=..., linear=True)` must be even for order 2 and 3, since products "
            f"need the value 1/2; got {lam}. Take {lam + 1}."
        )
    sizes = plan(d, n, eps, lam, linear)
    alphabet = alphabet_for(lam, linear, sizes.units)
    check_alphabet(call, alphabet, allow_rounding)
    _check_size(call, d, n, sizes, alphabet, kind, allow_rounding)
    coefficients = _coefficients(call, function, derivative, d, n, sizes.refinements, float(s))
    network = _build(alphabet, d, n, sizes, coefficients, s, kind)
    notes = [
        f"the partial derivatives up to order {n} are at most {s}",
        "those that were given at the grid are exact",
        rounded_values(alphabet),
    ]
    certificate = Certificate(
        round_up(sizes.bound * s),
        name_of(function),
        ((0.0,) * d, (1.0,) * d),
        assumptions="; ".join(note for note in notes if note),
        source=f"derived, after Theorem {2 if linear else 1} of [ding2019] as recalled",
    )
    return Construction(network, certificate, count(network))


def _build(
    alphabet: Alphabet,
    d: int,
    n: int,
    sizes: SobolevPlan,
    coefficients: dict[Index, np.ndarray],
    scale: int,
    kind: np.dtype,
) -> ReLUNetwork:
    circuit = Circuit(d)
    xs, _ = parts(circuit, alphabet, signed=False)
    coordinates = [leaves(circuit, alphabet, xs[k : k + 1], sizes.refinements) for k in range(d)]
    phi = hats(circuit, alphabet, coordinates)
    cells = len(coordinates[0])
    grid = np.indices((cells + 1,) * d).reshape(d, -1)
    everywhere = np.arange(grid.shape[1])
    terms: list[tuple[Wires, Wires | None, Index]] = [(phi, None, (0,) * d)]
    if n > 1:
        z = _offsets(circuit, alphabet, coordinates)
        # One product for every direction that is not before the last one.
        factors, powers = (phi, None), [((0,) * d, 0)]
        for _ in range(n - 1):
            choices = [(f, nu, k) for f, (nu, least) in enumerate(powers) for k in range(least, d)]
            i = np.concatenate([everywhere + f * everywhere.size for f, _, _ in choices])
            j = np.concatenate([grid[k] + k * (cells + 1) for _, _, k in choices])
            factors = up, down = products(circuit, factors, z, (i, j), sizes.levels)
            powers = [
                (tuple(v + (axis == k) for axis, v in enumerate(nu)), k) for _, nu, k in choices
            ]
            for place, (nu, _) in enumerate(powers):
                part = slice(place * everywhere.size, (place + 1) * everywhere.size)
                terms.append((up[part], down[part], nu))
    weighed = [
        (plus, minus, coefficients[nu], first_unit(alphabet, sizes.refinements, sum(nu)))
        for plus, minus, nu in terms
    ]
    total = weigh(circuit, alphabet, weighed, sizes.units)
    for _ in range(scale.bit_length() - 1):
        total = circuit.relu((2, total))
    output = [(alphabet.outlet, total[:1]), (-alphabet.outlet, total[1:])]
    return circuit.network(alphabet, output, kind)


# Where u_{m-1} < 1 is u_m = 0, and N x - m = u_m - (1 - u_{m-1}) on the support of the hat of m.
def _offsets(circuit: Circuit, alphabet: Alphabet, coordinates: list[Wires]) -> tuple[Wires, Wires]:
    """Positive and negative parts of clip(N x_k - m, -1, 1), for all k and m = 0, ..., N."""
    layer = coordinates[0].layer
    ones, nothing = one(circuit, alphabet, layer), circuit.zero(layer).index
    plus = np.concatenate([np.concatenate([u.index, nothing]) for u in coordinates])
    minus = []
    for u in coordinates:
        minus += [circuit.zero(layer + 1).index, circuit.relu((1, ones), (-1, u)).index]
    return (
        circuit.carry(Wires(layer, plus), layer + 1),
        Wires(layer + 1, np.concatenate(minus)),
    )


def _coefficients(
    call: str,
    function: Callable,
    derivative: Callable | None,
    d: int,
    n: int,
    p: int,
    scale: float,
) -> dict[Index, np.ndarray]:
    """D^nu f(m/N) / (nu! N^|nu| scale) for all |nu| < n."""
    indices = [nu for nu in itertools.product(range(n), repeat=d) if sum(nu) < n]
    found = grid_derivatives(call, function, derivative, indices, 2**p, scale)
    return {
        nu: np.clip(v / scale, -1, 1)
        / math.prod(math.factorial(k) for k in nu)
        / float(2**p) ** sum(nu)
        for nu, v in found.items()
    }


# Digits after the point, at points of the grid and half-way: 1; a product takes j of them to
# max(j + r + 2, 2 r + 1), a chain of t halvings to j + t; 4 for sums and the accumulators.
def _check_size(
    call: str,
    d: int,
    n: int,
    sizes: SobolevPlan,
    alphabet: Alphabet,
    kind: np.dtype,
    allow_rounding: bool,
) -> None:
    terms = (2**sizes.refinements + 1) ** d * math.comb(n - 1 + d, d)
    if terms > _MOST_TERMS:
        raise ValueError(
            f"`{call}(accuracy=...)` must leave at most {_MOST_TERMS:,} terms; got {terms:,} for "
            f"{2**sizes.refinements} cells in each of {d} coordinates. Ask for a larger accuracy."
        )
    j = 1
    for _ in range(n - 1):
        j = max(j + sizes.levels + 2, 2 * sizes.levels + 1)
    needed = j + math.ceil(sizes.units * math.log2(alphabet.radix)) + 4
    if sizes.units > MOST_BITS or (needed > digits(kind) and not allow_rounding):
        raise ValueError(
            f"`{call}(accuracy=...)` must need at most {digits(kind)} binary digits in {kind}; got "
            f"{needed}. Use float64, a larger accuracy, or `allow_rounding=True` for exact "
            "evaluation elsewhere."
        )
