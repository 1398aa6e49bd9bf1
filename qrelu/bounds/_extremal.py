"""Lower bounds of the Lipschitz constant, and the pair of networks that attains it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..networks import ReLUNetwork
from ._lipschitz import Radius, checked_class, maximum, recursion
from ._outward import Number, down, root_product


class ExtremalPair(NamedTuple):
    r"""Two networks that differ by `shift` in every parameter, and the point to compare them at.

    **Attributes:**

    - `first`, `second`: the networks, of float64 in NumPy; both belong to the class.
    - `point`: $x$ with $\|x\|_p \le D$, of shape $(N_0,)$.
    - `shift`: the largest difference of two parameters.
    - `constant`: the constant of the class, which
        $\|R_{first}(x) - R_{second}(x)\|_p /$ `shift` attains as the shift goes to zero.
    """

    first: ReLUNetwork
    second: ReLUNetwork
    point: Float[np.ndarray, " inputs"]
    shift: float
    constant: float


# Entries of W_l and b_l are below r_l/alpha_l and beta_l N_l^(-1/p), so that the norms are at most
# r_l and beta_l. The second network has them lowered by d: norms do not grow, all activations are
# positive at x = D N_0^(-1/p) 1, and to first order in d every inequality of the upper bound is an
# equality (see `_lipschitz`). The second order is relative to alpha_l d / r_l, 2^-26 here; rounding
# errors of an evaluation in float64 are relative to 2^-53 / 2^-26 as well.
def extremal_pair(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: Number,
    p: Number = math.inf,
    *,
    bias_bound: Radius = None,
) -> ExtremalPair:
    r"""The networks and the point at which `parameter_lipschitz` is attained.

    The ratio of the outputs' distance to the parameters' distance lies within about
    $10^{-7} L$ of the constant, relatively: the constant cannot be improved.

    **Arguments:**

    - `widths`, `norm_bound`, `input_radius`, `p`: as in `parameter_lipschitz`, plain numbers; the
        norm bounds must be positive.
    - `bias_bound`: as there; 0 for layers without biases, whose share is then missing in
        `constant`.

    **Returns:**

    An `ExtremalPair`.

    **Raises:**

    - `ValueError`: for a class that `parameter_lipschitz` refuses, norm bounds of zero, or bounds
        of such different sizes that one shift is lost in the digits of float64.

    **Reference:** derived, above the code.
    """
    call = "extremal_pair"
    c = checked_class(call, widths, norm_bound, input_radius, p, bias_bound, None)
    if min(c.radii) == 0:
        raise ValueError(
            f"`{call}(norm_bound=...)` must be positive in every layer; got {norm_bound}. A layer "
            "of zeros makes the constant smaller than that of the class."
        )
    entries = [
        down(r / root_product(row_sums, columns, p))
        for r, (columns, row_sums, _) in zip(c.radii, c.nonzeros, strict=True)
    ]
    offsets = [
        max(0.0, down(beta / root_product(n, 1, p)))
        for beta, n in zip(c.bias_radii, c.widths[1:], strict=True)
    ]
    smallest = min(v for v in (*entries, *offsets) if v > 0)
    shift = math.ldexp(1.0, math.frexp(smallest)[1] - 27)

    def network(move: float) -> ReLUNetwork:
        weights = [
            np.full((n, m), w - move)
            for w, m, n in zip(entries, c.widths, c.widths[1:], strict=False)
        ]
        biases = [
            np.full(n, b - move if b > 0 else 0.0)
            for b, n in zip(offsets, c.widths[1:], strict=True)
        ]
        return ReLUNetwork(weights, biases)

    if any(v > 0 and v - (v - shift) != shift for v in (*entries, *offsets)):
        raise ValueError(
            f"`{call}` must have bounds of similar sizes, so that one shift is seen in every "
            f"parameter; got parameters from {smallest:.3g} to {max(*entries, *offsets):.3g}."
        )
    nonzeros = [
        (m, n, n if b > 0 else 0) for m, n, b in zip(c.widths, c.widths[1:], offsets, strict=False)
    ]
    point = max(0.0, down(c.input_radius / root_product(c.widths[0], 1, p)))
    constant = recursion(c.radii, c.bias_radii, nonzeros, c.input_radius, p)
    return ExtremalPair(
        network(0.0), network(shift), np.full(c.widths[0], point), shift, float(constant)
    )


# W_l = r_l e_1 e_1^T, no biases, x = D e_1, and r_l - d in the other network: the ratio tends to
# D sum_l prod_{k != l} r_k as d -> 0. The matrices have norm r_l for every p.
def chain_lipschitz(norm_bound: Sequence[ArrayLike] | Array, input_radius: ArrayLike):
    r"""A lower bound of the Lipschitz constant for all widths: a chain of single neurons.

    $D \sum_l \prod_{k \ne l} r_k$, for equal bounds $D L r^{L-1}$, never above
    `parameter_lipschitz` for any widths, `p` and biases with these norm bounds. It shows which part
    of the constant comes from the depth alone.

    **Arguments:**

    - `norm_bound`: the bounds $r_1, \ldots, r_L$, one per layer.
    - `input_radius`: the bound $D$ on the norm of an input.

    **Returns:**

    The bound, rounded downwards: a Python float, or a JAX array if an argument is one (then it
    works under `jit`, `vmap` and `grad`).

    **Raises:**

    - `ValueError`: for negative or infinite bounds.

    **Reference:** the form is that of [gonon2023], with unspecified constants; derived, above the
    code.
    """
    several = isinstance(norm_bound, Sequence) or getattr(norm_bound, "ndim", 0) == 1
    if isinstance(norm_bound, str) or not several:
        raise TypeError(
            f"`chain_lipschitz(norm_bound=...)` must be one number per layer; got {norm_bound!r}."
        )
    if len(norm_bound) == 0:
        raise ValueError(
            "`chain_lipschitz(norm_bound=...)` must have at least one layer; got none."
        )
    c = checked_class(
        "chain_lipschitz", (1,) * (len(norm_bound) + 1), norm_bound, input_radius, 1, None, None
    )
    total, product = 0.0, c.input_radius
    for r in c.radii:
        total = maximum(down(down(r * total) + product), 0.0)
        product = maximum(down(r * product), 0.0)
    return total
