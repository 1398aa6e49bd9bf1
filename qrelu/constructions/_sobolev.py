"""Functions of several variables by local Taylor polynomials."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import scipy.sparse

from ..networks import (
    ReLUNetwork,
    affine_after,
    affine_before,
    compose,
    densify,
    identity,
    parallel,
    sparsify,
)
from ._arguments import (
    Number,
    check_accuracy,
    check_levels,
    check_positive,
    check_whole,
    digits,
    levels_for,
    name_of,
    power_above,
    round_up,
)
from ._construction import Certificate, Construction, count
from ._derivatives import Index, grid_derivatives, grid_points
from ._partition import MOST_NODES, NARROW, hats
from ._product import product_chain


def sobolev_taylor(
    function: Callable,
    accuracy: Number,
    *,
    dimension: int = 1,
    order: int = 1,
    derivative: Callable | None = None,
    scale: Number = 1.0,
    cells: int | None = None,
    allow_rounding: bool = False,
) -> Construction:
    r"""A function on $[0, 1]^d$ with derivatives up to the order $n$ that are at most $F$.

    With the hats $\varphi_m$ of `partition_of_unity` and the Taylor polynomials $p_m$ of $f$ of
    degree $n - 1$ around the nodes,
    $$f \approx \sum_m \varphi_m p_m, \qquad
    \Big\| f - \sum_m \varphi_m p_m \Big\|_\infty \le \frac{F d^n}{n!\,N^n}.$$
    The monomials of $x - (1/2, \ldots, 1/2)$ are made once for all nodes; every node then takes one
    product $\varphi_m \cdot p_m$ of $r$ levels (none for $n = 1$). With $Q \ge |p_m|$ and $S$ the
    largest sum of the absolute coefficients of degree 2 and more, that adds at most
    $4^{-(r+1)} ((d + 1) Q + 2S)$ to the error. Connectivity $O(N^d r)$, that is
    $O(\varepsilon^{-d/n} \log(1/\varepsilon))$, depth $O(\log(1/\varepsilon))$.

    **Arguments:**

    - `function`: $f$, from points of shape $(P, d)$ to $P$ values, accurate to $2^{-50} F$.
    - `accuracy`: the error to reach, in $(0, 1)$.
    - `dimension`: the number $d$, from 1 to 6.
    - `order`: the number $n$, from 1 to 8. For 1 a Lipschitz function will do.
    - `derivative`: for orders above 1, called as `derivative(index, points)` with a multi-index, a
        tuple of $d$ orders with sum below $n$; returns the values of that derivative of $f$. Left
        out, JAX differentiates `function` in float64.
    - `scale`: the bound $F$ of all derivatives up to the order $n$.
    - `cells`: the number $N$ per axis. By default the least one that leaves half of the accuracy to
        the products (all of it to Taylor for $n = 1$).
    - `allow_rounding`: whether to allow more than the 26 levels that float64 holds.

    **Returns:**

    A `Construction` with float64 parameters, sparse where it is wide.

    **Raises:**

    - `ValueError`: for numbers out of range, values of another shape or not finite, values and
      slopes at the nodes above `scale`, too few `cells` for the accuracy, and more than $2^{22}$
      nodes.

    **Reference:** [yarotsky2017], Theorem 1, with hats of the Kuhn triangulation in the place of
    products of trapezoids (which saves a factor $2^d$ and $d - 1$ products per term), and one
    product per node; derived, above the code.
    """
    # The hats are not negative and add up to 1, and the hat of a node is 0 unless x is within
    # 1/N of it in every coordinate. The remainder there is at most sum_{|v|=n} F (1/N)^n / v! =
    # F d^n / (n! N^n). Nodes are rounded by 2^-53, which the radius includes.
    #
    # At most d + 1 products have a factor that is not 0, the others are exactly 0. A product of
    # numbers in [-1, 1] is off by at most e = 4^-(r+1), a monomial of degree k, made by products
    # with factors of at most 1/2, by e (1 + 1/2 + ...) < 2e.
    call = "sobolev_taylor"
    error = Fraction(check_accuracy(call, accuracy))
    d = check_whole(f"{call}(dimension=...)", dimension, 1, 6)
    n = check_whole(f"{call}(order=...)", order, 1, 8)
    norm = Fraction(check_positive(f"{call}(scale=...)", scale))
    cells = (
        _cells(d, n, norm, error) if cells is None else check_whole(f"{call}(cells=...)", cells, 1)
    )
    if (cells + 1) ** d > MOST_NODES:
        raise ValueError(
            f"`{call}(..., dimension={d}, order={n})` must have at most 2^22 nodes; got "
            f"{cells + 1} per axis. Use a larger accuracy or a higher order."
        )
    taylor = _remainder(d, n, norm, cells)
    indices = _indices(d, n)
    nodes = grid_points(d, cells)
    found = grid_derivatives(call, function, derivative, indices, cells, float(norm))
    values = np.stack([found[index] for index in indices], axis=1)
    # Relative roundings of C-fold sums of terms of at most F e^d in total, and of the values.
    terms = len(indices) + 8 * (n + d)
    lost = Fraction(terms, 2**50) * norm * Fraction(math.exp(d) * 1.01)
    left = error - taylor - lost
    if left <= 0:
        raise ValueError(
            f"`{call}(cells={cells})` must be enough for the accuracy; Taylor polynomials alone "
            f"have the error {float(taylor):.3g}."
        )
    if n == 1:
        network, bound = affine_after(hats(d, cells), values[:, 0][None]), taylor + lost
    else:
        coefficients = _recentered(values, indices, nodes - 0.5)
        halves = 0.5 ** np.array([sum(v) for v in indices])
        largest = float(np.max(np.abs(coefficients) @ halves))
        height = Fraction(2) ** power_above(Fraction(max(largest, 2.0**-900)) * 2)
        high = np.array([sum(v) >= 2 for v in indices])
        powers = Fraction(float(np.abs(coefficients[:, high]).sum(1).max(initial=0.0)) * 1.01)
        amplification = (d + 1) * height + 2 * powers
        r = levels_for(left / amplification)
        check_levels(f"{call}(...)", r, (digits(nodes.dtype) - 1) // 2, nodes.dtype, allow_rounding)
        network = _network(d, cells, indices, coefficients / float(height), r, float(height))
        bound = taylor + lost + amplification / 4 ** (r + 1)
    network = sparsify(densify(network) if network.width <= NARROW else network)
    certificate = Certificate(
        round_up(bound),
        name_of(function),
        ((0.0,) * d, (1.0,) * d),
        assumptions=f"all derivatives up to order {n} are at most {float(norm):g}",
        source="[yarotsky2017], Theorem 1, with other hats and one product per node: derived",
    )
    return Construction(network, certificate, count(network))


def _remainder(d: int, n: int, norm: Fraction, cells: int) -> Fraction:
    return norm * (d * (Fraction(1, cells) + Fraction(1, 2**53))) ** n / math.factorial(n)


def _cells(d: int, n: int, norm: Fraction, error: Fraction) -> int:
    """The least number whose remainder is at most half the error, for n = 1 nearly all of it."""
    goal = error * (Fraction(1, 2) if n > 1 else 1 - Fraction(1, 2**20))
    if norm / goal > 2**60 * (2 * MOST_NODES) ** n:  # beyond all that is allowed
        return MOST_NODES
    cells = max(1, math.floor(d * (float(norm / goal) / math.factorial(n)) ** (1 / n)) - 1)
    while _remainder(d, n, norm, cells) > goal:
        cells += 1
    return cells


def _indices(d: int, n: int) -> list[Index]:
    """Multi-indices with sum below n, by degree; those of degree 1 in the order of the axes."""
    every = itertools.product(range(n), repeat=d)
    return sorted((v for v in every if sum(v) < n), key=lambda v: (sum(v), [-k for k in v]))


def _recentered(values: np.ndarray, indices: list[Index], at: np.ndarray) -> np.ndarray:
    """Coefficients in powers of t of sum_v values_v (t - at)^v / v!."""
    place = {v: i for i, v in enumerate(indices)}
    result = np.zeros_like(values)
    for j, upper in enumerate(indices):
        part = values[:, j] / math.prod(math.factorial(k) for k in upper)
        for lower in itertools.product(*(range(k + 1) for k in upper)):
            rest = np.subtract(upper, lower)
            factor = math.prod(math.comb(a, b) for a, b in zip(upper, lower, strict=True))
            result[:, place[lower]] += factor * part * np.prod((0 - at) ** rest, axis=1)
    return result


def _network(
    d: int, cells: int, indices: list[Index], coefficients: np.ndarray, r: int, scale: float
) -> ReLUNetwork:
    """scale * sum_m hat_m(x) * (coefficients_m in powers of x - 1/2), by products of r levels."""
    count, powers = len(coefficients), len(indices) - 1
    # All parts take t = x - 1/2. Hats and powers side by side, then their products.
    axes = scipy.sparse.hstack([scipy.sparse.eye(d), scipy.sparse.csr_array((d, powers - d))])
    inner = _hats_of_centered(d, cells)
    wide = affine_before(inner, axes) if powers > d else inner
    carried = sparsify(identity(powers, wide.depth), max_density=1)
    both = compose(parallel(wide, carried, shared=True), _monomials(d, indices, r), merge=True)
    factors = scipy.sparse.block_diag([scipy.sparse.eye(count), coefficients[:, 1:]])
    offsets = np.concatenate([np.zeros(count), coefficients[:, 0]])
    # Product i takes the entries i and count + i.
    order = np.arange(2 * count).reshape(2, count).T.ravel()
    pairs = affine_after(both, scipy.sparse.csr_array(factors)[order], offsets[order])
    products = compose(_replicated(r, count), pairs, merge=True)
    return affine_after(products, scipy.sparse.csr_array(np.full((1, count), scale)))


def _hats_of_centered(d: int, cells: int) -> ReLUNetwork:
    return affine_before(hats(d, cells), scipy.sparse.eye(d), np.full(d, 0.5))


def _monomials(d: int, indices: list[Index], r: int) -> ReLUNetwork:
    """All t^v but the constant, t = x - 1/2, in the order of the indices."""
    network = ReLUNetwork([scipy.sparse.eye(d)], [np.full(d, -0.5)])
    place = {v: i - 1 for i, v in enumerate(indices)}
    for degree in range(2, sum(indices[-1]) + 1):
        known = [v for v in indices if 0 < sum(v) < degree]
        new = [v for v in indices if sum(v) == degree]
        columns = []
        for v in new:
            axis = next(k for k in range(d) if v[k])
            lower = tuple(c - (k == axis) for k, c in enumerate(v))
            columns += [axis, place[lower]]
        shape = (2 * len(new), len(known))
        rows = np.arange(len(columns))
        choice = scipy.sparse.csr_array((np.ones(len(columns)), (rows, columns)), shape=shape)
        products = affine_before(_replicated(r, len(new)), choice)
        carried = sparsify(identity(len(known), products.depth), max_density=1)
        network = compose(parallel(carried, products, shared=True), network, merge=True)
    return network


def _replicated(r: int, copies: int) -> ReLUNetwork:
    """Products of pairs of neighboring inputs."""
    weights, biases = product_chain(r)
    eye = scipy.sparse.eye(copies)
    return ReLUNetwork(
        [scipy.sparse.kron(eye, w) for w in weights], [np.tile(b, copies) for b in biases]
    )
