"""The Lipschitz constant on boxes of parameters, in the mean, and the radius of a box of inputs."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, ArrayLike

from ._checks import as_exponent, as_numbers
from ._lipschitz import Radius, checked_class, recursion
from ._outward import Number, root_product, up, upper_sum


# A matrix with entries of size at most m has norm at most m alpha_l, attained by m 1 1^T; a bias
# has norm at most m N_l^(1/p), attained by m 1. So the box lies in the class with these radii, and
# contains its extremal pair.
def box_lipschitz(
    widths: Sequence[int],
    magnitude: Radius,
    input_radius: ArrayLike,
    p: Number = math.inf,
    *,
    nonzeros: Sequence[tuple[int, int, int]] | None = None,
) -> float | Array:
    r"""The exact Lipschitz constant of parameters to function on a box of parameters.

    As `parameter_lipschitz`, for all networks whose weights and biases in layer $l$ have absolute
    values of at most $m_l$: the recursion with $r_l = m_l \alpha_l$ and
    $\beta_l = m_l N_l^{1/p}$.

    **Arguments:**

    - `widths`: the widths $(N_0, \ldots, N_L)$.
    - `magnitude`: the bounds $m_l$ on the absolute parameters, one number or one per layer.
    - `input_radius`: the bound $D$ on $\|x\|_p$.
    - `p`: exponent of the vector norm, from 1 to infinity.
    - `nonzeros`: a sparse support, as in `parameter_lipschitz`; the constant is then an upper bound
        only.

    **Returns:**

    The constant, rounded upwards: a Python float, or a JAX array if a bound or the radius is one.

    **Raises:**

    - `ValueError`: for widths below 1, negative or infinite bounds, or `p` below 1.

    **Reference:** derived, above the code.
    """
    c = checked_class("box_lipschitz", widths, magnitude, input_radius, p, None, nonzeros)
    radii, bias_radii = [], []
    for m, (row, column, biases) in zip(c.radii, c.nonzeros, strict=True):
        radii.append(up(m * root_product(column, row, p)))
        bias_radii.append(up(m * root_product(biases, 1 if biases else 0, p)))
    return recursion(radii, bias_radii, c.nonzeros, c.input_radius, p)


# The constant is affine in the radius, K(D) = A + B D, so the L^s norm of the difference is at most
# that of A + B |x|_p.
# In one dimension, and for p = inf with the density n t^(n-1) of |x|_inf = R t, an integer s gives
#     E (A + B R t)^s = sum_k binom(s, k) A^(s-k) (B R)^k n / (n + k),
# attained on [0, R] in one dimension, where the extremal pair is the same for all x. Otherwise
# Minkowski's inequality gives A + B (E |x|_p^s)^(1/s), and with t = max(s, p) power means give
#     (E |x|_p^s)^(1/s) <= n^(1/p - 1/t) (E |x|_t^t)^(1/t) = R n^(1/p) (t + 1)^(-1/t),
# for p = inf exactly R (n / (n + s))^(1/s).
def mean_lipschitz(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: ArrayLike,
    exponent: Number,
    p: Number = math.inf,
    *,
    bias_bound: Radius = None,
    nonzeros: Sequence[tuple[int, int, int]] | None = None,
) -> float | Array:
    r"""A Lipschitz constant of parameters to function in the norm of $L^s$ instead of sup.

    With $x$ uniform on the cube $[0, R]^{N_0}$ or $[-R, R]^{N_0}$, for all networks of the class of
    `parameter_lipschitz`,
    $$\left( \mathbb{E} \|R_\theta(x) - R_{\theta'}(x)\|_p^s \right)^{1/s}
    \le K_s \max_i |\theta_i - \theta'_i|.$$
    For one input on $[0, R]$ and a whole $s$ no smaller constant does. On a cube of another volume
    $|\Omega|$ the norm of $L^s(\Omega)$ has the factor $|\Omega|^{1/s}$.

    **Arguments:**

    - `widths`, `norm_bound`, `bias_bound`, `nonzeros`: the class, as in `parameter_lipschitz`.
    - `input_radius`: half the side of the cube $[-R, R]^{N_0}$: the largest absolute coordinate.
    - `exponent`: the exponent $s$ of the mean, from 1 to infinity.
    - `p`: exponent of the vector norm.

    **Returns:**

    $K_s$, rounded upwards: a Python float, or a JAX array if a bound or the radius is one.

    **Raises:**

    - `ValueError`: for a class that `parameter_lipschitz` refuses, or an exponent below 1.

    **Reference:** derived, above the code.
    """
    c = checked_class("mean_lipschitz", widths, norm_bound, input_radius, p, bias_bound, nonzeros)
    as_exponent("mean_lipschitz(exponent=...)", exponent)
    inputs = c.widths[0]

    def constant(size: Any) -> Any:
        return recursion(c.radii, c.bias_radii, c.nonzeros, size, p)

    if math.isinf(exponent):
        return constant(up(c.input_radius * root_product(inputs, 1, p)))
    # In one dimension |x|_p is |x| for every p.
    flat = inputs == 1 or math.isinf(p)
    if not (flat and exponent == int(exponent) and exponent <= 64):
        return constant(up(c.input_radius * _moment(inputs, float(exponent), p, flat)))
    still = constant(0.0)
    # The slope from a recursion without biases, whose error starts with the inputs' share alone.
    moving = recursion(
        c.radii, [0.0] * len(c.radii), [(m, n, 0) for m, n, _ in c.nonzeros], c.input_radius, p
    )
    largest = up(still + moving)
    if not isinstance(largest, jax.Array) and not 0 < largest < math.inf:
        return largest
    # Scaled by the largest value, so that no power overflows.
    a, b = up(still / largest), up(moving / largest)
    total: Any = 0.0
    for k in range(int(exponent) + 1):
        term: Any = up(up(float(math.comb(int(exponent), k))) * up(inputs / (inputs + k)))
        for factor in [a] * (int(exponent) - k) + [b] * k:
            term = up(term * factor)
        total = up(total + term)
    # A power is accurate to a few units in the last place in float64 and to a few dozen elsewhere.
    root = total ** (1 / exponent)
    unit = float(jax.numpy.finfo(root.dtype).eps) if isinstance(root, jax.Array) else 2.0**-52
    return up(largest * up(root * (1 + 64 * unit)))


def _moment(inputs: int, s: float, p: Number, flat: bool) -> float:
    if flat:
        value = (inputs / (inputs + s)) ** (1 / s)
    elif math.isinf(max(s, p)):
        value = 1.0
    else:
        t = max(s, float(p))
        value = inputs ** (1 / p) * (t + 1) ** (-1 / t)
    return value * (1 + 2.0**-45)


def input_radius(
    lower: ArrayLike | Sequence, upper: ArrayLike | Sequence, p: Number = math.inf
) -> float:
    r"""The largest norm $\|x\|_p$ of a point in a box.

    **Arguments:**

    - `lower`, `upper`: the ends of the box, of shape $(N_0,)$, or numbers for one input.
    - `p`: exponent of the vector norm.

    **Returns:**

    The radius, rounded upwards.

    **Raises:**

    - `ValueError`: for a box that is empty, infinite, or whose ends differ in shape.

    **Reference:** derived: every absolute coordinate is largest at an end.
    """
    low = np.atleast_1d(as_numbers("input_radius(lower=...)", lower))
    high = np.atleast_1d(as_numbers("input_radius(upper=...)", upper))
    if low.ndim != 1 or low.shape != high.shape or low.size == 0:
        raise ValueError(
            "`input_radius(lower, upper)` must have two ends of one shape (inputs,), not empty; "
            f"got {low.shape} and {high.shape}."
        )
    if not (np.isfinite(low) & np.isfinite(high) & (low <= high)).all():
        raise ValueError(
            f"`input_radius(lower, upper)` must be finite with lower <= upper; got {lower} and "
            f"{upper}."
        )
    as_exponent("input_radius(p=...)", p)
    sizes = np.maximum(abs(low), abs(high))
    largest = float(sizes.max())
    if math.isinf(p) or largest == 0:
        return largest
    if p == 1:
        return float(upper_sum(sizes, 0))
    # Scaled by the largest; both powers are accurate to one unit and p times a relative error of
    # the quotient of half a unit enters the first.
    total = float(upper_sum((sizes / largest) ** float(p) * (1 + (p + 4) * 2.0**-52), 0))
    return up(largest * total ** (1 / p) * (1 + 2.0**-46))
