"""Lipschitz functions by a network that shares what cells have in common."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.sparse

from ..networks import ReLUNetwork, densify
from ._arguments import (
    Number,
    check_accuracy,
    check_positive,
    check_whole,
    name_of,
    round_up,
)
from ._construction import Certificate, Construction, count
from ._partition import NARROW
from ._patterns import path_of, patterns_of
from ._samples import values_at

# Values of the function are taken to be this close to the true ones, relative to the largest.
_NOISE = Fraction(1, 2**48)
_MOST_STEPS = 2**22


def cached_lipschitz(
    function: Callable,
    accuracy: Number | None = None,
    *,
    cells: int | None = None,
    steps: int | None = None,
    lipschitz: Number = 1.0,
) -> Construction:
    r"""A Lipschitz function on $[0, 1]$ with fewer weights than steps: depth 5, adapted to it.

    $f$ is followed by a path that goes up or down by $h = 1 / (Tm)$ in each of $Tm$ steps, with
    error at most $h$. Its values at the ends of the $T$ cells are interpolated by hinges. What
    remains in a cell depends only on its pattern of $m$ ups and downs, so one subnetwork serves all
    cells with the same pattern. At most $12 T + (7m - 6) \min(2^{m+1}, T) + 10$ weights are used;
    with $m$ near $\frac12 \log_2 (1/\varepsilon)$ that is $O(1/(\varepsilon\log(1/\varepsilon)))$.
    Which weights there are depends on $f$; a path that is straight in every cell needs one hidden
    layer only. With another Lipschitz constant $K$ the path moves by $K h$.

    Sums over $T$ hinges of up to $T$ cancel: evaluation in floating point is off by up to about
    $T^2$ units of the type, relative to $1/(Tm)$. In float64 that is nothing; float32 serves for
    some hundred cells.

    With powers of two for $T$, $m$ and $K$ it is exactly the function of
    `two_value_cached_lipschitz`, all of whose weights are $\pm\tfrac12$.

    **Arguments:**

    - `function`: $f$, from an array of points to their values, accurate to $2^{-48}$ of the largest
        one.
    - `accuracy`: the error to reach, in $(0, 1)$. Cells and steps are those with the least bound
        for the weights; with one of them given, the other is the least that reaches it.
    - `cells`, `steps`: the numbers $T$ and $m$; both, instead of the accuracy.
    - `lipschitz`: the constant $K$.

    **Returns:**

    A `Construction` with float64 parameters, sparse where it is wide, and error at most $K / (Tm)$
    but for rounding.

    **Raises:**

    - `ValueError`: unless an accuracy or both cells and steps are given, for an accuracy outside
      of $(0, 1)$, more than $2^{22}$ steps, cells and steps
      too few for the accuracy, values that are not finite, and a function that is found to have a
      larger Lipschitz constant.

    **Reference:** [yarotsky2017], Theorem 2, in substance: coarse cells and a cache of patterns.
    The gate that keeps cells apart, and all constants: derived, above the code.
    """
    call = "cached_lipschitz"
    constant = check_positive(f"{call}(lipschitz=...)", lipschitz)
    t, m = _sizes(call, accuracy, Fraction(constant), cells, steps)
    if t * m > _MOST_STEPS:
        raise ValueError(
            f"`{call}(...)` must need at most 2^22 steps; got {t * m}. Use a larger accuracy."
        )
    values = values_at(call, function, np.arange(t * m + 1) / (t * m))
    height = max(float(np.max(np.abs(values))), constant)
    noise = float(_NOISE) * height
    steepest = float(np.max(np.abs(np.diff(values)))) * t * m
    if steepest > constant * (1 + 2.0**-40) + 2 * noise * t * m:
        raise ValueError(
            f"`{call}(lipschitz={constant:g})` must be a Lipschitz constant of the function; its "
            f"slope is {steepest:.6g} somewhere. Pass a larger constant."
        )
    bound = Fraction(constant) / (t * m) + 4 * _NOISE * Fraction(height)
    path = path_of(values * (t * m / constant))
    network = _network(path, t, m, constant / (t * m))
    certificate = Certificate(
        round_up(bound),
        name_of(function),
        ((0.0,), (1.0,)),
        assumptions=f"the Lipschitz constant is at most {constant:g}",
        source="[yarotsky2017], Theorem 2, with another gate: derived",
    )
    network = densify(network) if network.width <= NARROW else network
    return Construction(network, certificate, count(network))


def _sizes(
    call: str, accuracy: Any, constant: Fraction, cells: int | None, steps: int | None
) -> tuple[int, int]:
    """Cells and steps per cell with K / (cells * steps) below the error, with room for rounding."""
    t, m = (
        None if size is None else check_whole(f"{call}({name}=...)", size, 1)
        for name, size in (("cells", cells), ("steps", steps))
    )
    if accuracy is None:
        if t is None or m is None:
            raise ValueError(
                f"`{call}(accuracy, cells=..., steps=...)` must be given an accuracy or both sizes."
            )
        return t, m
    goal = Fraction(check_accuracy(call, accuracy)) / constant * (1 - Fraction(1, 2**20))
    if t is None and m is None:
        options = [(max(1, math.ceil(1 / (m * goal))), m) for m in range(1, 25)]
        return min(options, key=lambda s: 12 * s[0] + (7 * s[1] - 6) * min(2 ** (s[1] + 1), s[0]))
    t = t or max(1, math.ceil(1 / ((m or 1) * goal)))
    m = m or max(1, math.ceil(1 / (t * goal)))
    if t * m * goal < 1:
        raise ValueError(
            f"`{call}(cells={t}, steps={m})` must have a product of at least {math.ceil(1 / goal)} "
            "for the accuracy."
        )
    return t, m


# u_i = clip(Tx - i, 0, 1) runs over cell i. Cells of one parity c and one pattern share
# U = sum_i (u_i - u_{i+1}), which rises from 0 to 1 on each of them, falls on the next cell and is
# 0 elsewhere. The gate of c, G = sum of min(u_j, 1 - u_j) over the cells j of the other parity, is
# 0 on cells of parity c. With the residual R(r/m) of the pattern at its inner points, the
# subnetwork adds sum_r R(r/m) relu(1 - |mU - r| - mG).
# On a cell of the pattern G = 0, and that is the interpolation of R. On the next cell, U = 1 - u
# and G = min(u, 1 - u), and 1 - |mU - r| <= min(mU, m - mU) = mG for 1 <= r <= m - 1, so that it
# is 0. On other cells U = 0, and 1 - r <= 0. As |mU - r| = 2 relu(mU - r) - (mU - r), the layers:
#   1. relu(Tx - i), relu(Tx - i - 1/2): u_i = H_i - H_{i+1}; min(u_i, 1 - u_i) = H_i - 2 H_{i+1/2}
#      + H_{i+1};
#   2. U of every pattern and parity; both gates; the interpolation of the path in a pair;
#   3. relu(mU - r); the rest carried along;
#   4. relu(1 - r + mU - 2 relu(mU - r) - mG);  5. the sum.
def _network(path: np.ndarray, t: int, m: int, step: float) -> ReLUNetwork:
    """The network whose value at i / (tm) is step * (path_i + 1)."""
    first, rises, member, parity, heights = patterns_of(path, t, m)
    which, r = np.nonzero(heights)
    patterns, bumps, start = len(heights), len(which), float(first)
    if bumps == 0:  # straight in every cell
        turns = step * np.diff(rises, prepend=0)[None]
        hinges = np.full((t, 1), float(t)), 0.0 - np.arange(t)
        return ReLUNetwork([hinges[0], turns], [hinges[1], np.array([step * start])])
    # Hinges H_0, ..., H_{t-1}, then those at half cells; the ones from the end of [0, 1] on are 0.
    # As units they stand in the order of their places, so that sums cancel before they grow.
    starts = np.concatenate([np.arange(t), np.arange(t) + 0.5])
    order = np.argsort(starts)
    wide = [scipy.sparse.csr_array(scipy.sparse.eye(t, t + 2, k=k)) for k in (0, 1, 2)]
    at, after, later = (matrix[:, :t] for matrix in wide)
    odd = np.arange(t) % 2 == 1
    opposite = scipy.sparse.csr_array(np.stack([odd, ~odd]).astype(np.float64))
    served = np.flatnonzero(member >= 0)
    shape = (patterns, t)
    members = _entries(member[served], served, np.ones(served.size), shape)
    turns = scipy.sparse.csr_array(np.diff(rises, prepend=0)[None].astype(np.float64))
    half = scipy.sparse.block_array(
        [
            [members @ (at - 2 * after + later), None],
            [opposite @ (at + after), -2 * opposite],
            [turns, None],
            [-turns, None],
        ]
    )
    carried = scipy.sparse.eye(patterns + 4)
    rows = np.arange(bumps)
    up = _entries(rows, which, np.full(bumps, float(m)), (bumps, patterns + 4))
    gates = _entries(rows, patterns + parity[which], np.full(bumps, -float(m)), up.shape)
    pair = _entries(np.arange(2), patterns + 2 + np.arange(2), np.ones(2), (2, patterns + 4))
    weights = [
        np.full((2 * t, 1), float(t)),
        scipy.sparse.csr_array(half)[:, order],
        scipy.sparse.vstack([up, carried]),
        scipy.sparse.block_array([[-2 * scipy.sparse.eye(bumps), up + gates], [None, pair]]),
        np.concatenate([step / m * heights[which, r], [step, -step]])[None],
    ]
    biases = [
        0 - starts[order],
        np.concatenate([np.zeros(patterns + 2), [start, -start]]),
        np.concatenate([-(r + 1.0), np.zeros(patterns + 4)]),
        np.concatenate([0.0 - r, np.zeros(2)]),
        np.zeros(1),
    ]
    return ReLUNetwork(weights, biases)


def _entries(rows: Any, columns: Any, values: Any, shape: tuple[int, int]) -> Any:
    return scipy.sparse.csr_array((values, (rows, columns)), shape=shape)
