"""How far a network's function moves when its parameters move: Lipschitz constants."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from ._checks import as_exponent, as_numbers, as_whole
from ._outward import Number, root_product, up

Radius: TypeAlias = Any  # a number or array, for all layers or one per layer


def parameter_lipschitz(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: ArrayLike,
    p: Number = math.inf,
    *,
    bias_bound: Radius = None,
    nonzeros: Sequence[tuple[int, int, int]] | None = None,
) -> float | Array:
    r"""The exact Lipschitz constant of parameters to function, as an upper bound in floats.

    For all networks $\theta, \theta'$ of these widths with $\|W_l\|_p \le r_l$ and
    $\|b_l\|_p \le \beta_l$ (operator norm $\ell^p \to \ell^p$), and all $\|x\|_p \le D$,
    $$\|R_\theta(x) - R_{\theta'}(x)\|_p \le K \cdot \max_i |\theta_i - \theta'_i|,$$
    and no smaller $K$ does, where $r_l > 0$ and nothing is known about zeros. The recursion is
    $K = e_L$ with $s_0 = D$, $e_0 = 0$, $\alpha_l = N_l^{1/p} N_{l-1}^{1-1/p}$,
    $$e_l = r_l e_{l-1} + \alpha_l s_{l-1} + N_l^{1/p}, \qquad s_l = r_l s_{l-1} + \beta_l.$$

    **Arguments:**

    - `widths`: the widths $(N_0, \ldots, N_L)$.
    - `norm_bound`: the bounds $r_l$ on the weights' norms, one number or one per layer; they must
        hold for both networks.
    - `input_radius`: the bound $D$ on $\|x\|_p$.
    - `p`: exponent of the vector norm, from 1 to infinity (the papers' $q$).
    - `bias_bound`: the bounds $\beta_l$ on the biases' norms, one number or one per layer; without
        it they are $r_l$.
    - `nonzeros`: per layer, the largest number of nonzero weights in a row, in a column, and the
        number of nonzero biases, of a support that contains both networks'. The constant is then
        $\alpha_l = row^{1-1/p} column^{1/p}$ with $biases^{1/p}$ for the biases, smaller for sparse
        networks, and an upper bound only.

    **Returns:**

    $K$, rounded upwards, so that it holds in floating point: a Python float, or a JAX array if
    a bound or the radius is one (then it works under `jit`, `vmap` and `grad`).

    **Raises:**

    - `ValueError`: for widths below 1, negative or infinite bounds, or `p` below 1.

    **Reference:** derived, proof below; [gonon2023] bound the same constant.
    """
    c = checked_class(
        "parameter_lipschitz", widths, norm_bound, input_radius, p, bias_bound, nonzeros
    )
    return recursion(c.radii, c.bias_radii, c.nonzeros, c.input_radius, p)


# Upper bound. Let y_l, y'_l be the activations of both networks. relu is 1-Lipschitz in every
# coordinate and relu(0) = 0, so it changes neither inequality below:
#     y_l - y'_l = W'_l (y_{l-1} - y'_{l-1}) + (W_l - W'_l) y_{l-1} + (b_l - b'_l),
# hence e_l <= r_l e_{l-1} + ||W_l - W'_l||_p s_{l-1} + ||b_l - b'_l||_p and s_l <= r_l s_{l-1} +
# beta_l. A matrix with entries of size at most 1 has l^1 norm at most its largest number of
# nonzeros in a column and l^inf norm at most that in a row; Riesz-Thorin interpolates to
# row^(1-1/p) column^(1/p), which is alpha_l for full matrices.
#
# Attained, in the limit of small d, by W_l = (r_l/alpha_l) 1 1^T, b_l = beta_l N_l^(-1/p) 1, every
# entry lowered by d in the other network, and x = D N_0^(-1/p) 1: all inequalities are equalities.
#
# `growth` is added, times alpha_l, to the norm of the second network's weights: a network rounded
# by at most `growth` has norms of at most r_l + alpha_l growth.
def recursion(
    radii: Sequence[Any],
    bias_radii: Sequence[Any],
    nonzeros: Sequence[tuple[int, int, int]],
    input_radius: Any,
    p: Number,
    growth: Any = 0.0,
) -> Any:
    """The constant of the class, every operation rounded upwards."""
    error: Any = 0.0
    size = input_radius
    steady = isinstance(growth, float) and growth == 0
    for r, beta, (row, column, biases) in zip(radii, bias_radii, nonzeros, strict=True):
        alpha = root_product(column, row, p)
        grown = r if steady else up(r + up(alpha * growth))
        moved = up(up(alpha * size) + root_product(biases, 1 if biases else 0, p))
        error = up(up(grown * error) + moved)
        size = up(up(r * size) + beta)
    # Infinity times zero, after an overflow, is no number; infinity still is a bound.
    if isinstance(error, float) and math.isnan(error):
        return math.inf
    return error


# (D + 1) W L^2 r^(L-1) bounds the recursion for r >= 1: with alpha_l <= W, N_l^(1/p) <= W,
# s_{l-1} <= r^(l-1) (D + l - 1) and r^(L-l) <= r^(L-1),
#     K <= sum_l r^(L-l) W (s_{l-1} + 1) <= W r^(L-1) sum_l (D + l) <= (D + 1) W L^2 r^(L-1).
def coarse_lipschitz(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: ArrayLike,
    p: Number = math.inf,
) -> float | Array:
    r"""The closed form $(D + 1)\, W L^2 r^{L-1}$ that is never below `parameter_lipschitz`.

    $W$ is the largest of all widths, $L$ the depth, $r = \max(1, r_1, \ldots, r_L)$. It shows how
    the constant grows; `parameter_lipschitz` is the number to compute with.

    **Arguments:**

    - `widths`: the widths $(N_0, \ldots, N_L)$.
    - `norm_bound`: bounds on the norms of weights and biases, one number or one per layer.
    - `input_radius`: the bound $D$ on $\|x\|_p$.
    - `p`: exponent of the vector norm; the formula is the same for all.

    **Returns:**

    The constant, rounded upwards: a Python float, or a JAX array if a bound or the radius is one.

    **Raises:**

    - `ValueError`: for widths below 1, negative or infinite bounds, or `p` below 1.

    **Reference:** $W L^2 r^{L-1}$ as in [gonon2023], Theorem III.1, recalled; with the factor
    $D + 1$ it is derived, proof above.
    """
    call = "coarse_lipschitz"
    widths = _check_widths(call, widths)
    depth = len(widths) - 1
    _check_exponent(call, p)
    radius: Any = 1.0
    for r in per_layer(f"{call}(norm_bound=...)", norm_bound, depth):
        radius = maximum(radius, r)
    constant = up(up(_check_radius(call, input_radius) + 1.0) * float(max(widths) * depth**2))
    for _ in range(depth - 1):
        constant = up(constant * radius)
    return constant


class ParameterClass(NamedTuple):
    """Networks with bounded norms, checked: one number or triple per layer."""

    widths: tuple[int, ...]
    radii: list[Any]
    bias_radii: list[Any]
    nonzeros: Sequence[tuple[int, int, int]]
    input_radius: Any

    @property
    def magnitude(self) -> Any:
        """No parameter is larger than this: an entry is at most the norm of its matrix."""
        largest: Any = 0.0
        for r in (*self.radii, *self.bias_radii):
            largest = maximum(largest, r)
        return largest


def checked_class(
    call: str,
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: ArrayLike,
    p: Number,
    bias_bound: Radius,
    nonzeros: Sequence[tuple[int, int, int]] | None,
) -> ParameterClass:
    """The class that the arguments of a call describe."""
    widths = _check_widths(call, widths)
    depth = len(widths) - 1
    _check_exponent(call, p)
    radii = per_layer(f"{call}(norm_bound=...)", norm_bound, depth)
    bias_radii = radii
    if bias_bound is not None:
        bias_radii = per_layer(f"{call}(bias_bound=...)", bias_bound, depth)
    size = _check_radius(call, input_radius)
    if nonzeros is None:
        nonzeros = [(m, n, n) for m, n in zip(widths, widths[1:], strict=False)]
    else:
        nonzeros = _check_nonzeros(f"{call}(nonzeros=...)", nonzeros, depth)
    return ParameterClass(widths, radii, bias_radii, nonzeros, size)


def _check_nonzeros(place: str, nonzeros: Any, depth: int) -> list[tuple[int, int, int]]:
    if not isinstance(nonzeros, Sequence) or isinstance(nonzeros, str):
        raise TypeError(f"`{place}` must be a sequence of triples; got {nonzeros!r}.")
    if len(nonzeros) != depth:
        raise ValueError(f"`{place}` must have one triple per layer, {depth}; got {len(nonzeros)}.")
    found = []
    for triple in nonzeros:
        if not isinstance(triple, Sequence | np.ndarray) or len(triple) != 3:
            raise ValueError(
                f"`{place}` must hold triples (nonzeros in a row, in a column, among the biases) "
                f"of integers that are not negative; got {triple!r}."
            )
        row, column, biases = (as_whole(place, n, 0) for n in triple)
        found.append((row, column, biases))
    return found


def maximum(a: Any, b: Any) -> Any:
    """The larger number, of Python or of JAX."""
    if isinstance(a, jax.Array) or isinstance(b, jax.Array):
        return jax.numpy.maximum(a, b)
    return max(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller number, of Python or of JAX."""
    if isinstance(a, jax.Array) or isinstance(b, jax.Array):
        return jax.numpy.minimum(a, b)
    return min(a, b)


def _check_widths(call: str, widths: Sequence[int]) -> tuple[int, ...]:
    place = f"{call}(widths=...)"
    try:
        if isinstance(widths, str):
            raise TypeError
        entries = tuple(widths)
    except TypeError:
        raise TypeError(f"`{place}` must be a sequence of integers; got {widths!r}.") from None
    if len(entries) < 2:
        raise ValueError(
            f"`{place}` must be at least two positive integers, input and output included; got "
            f"{entries}."
        )
    return tuple(as_whole(place, n, 1) for n in entries)


def _check_exponent(call: str, p: Number) -> None:
    as_exponent(f"{call}(p=...)", p)


def _check_radius(call: str, radius: Any) -> Any:
    return per_layer(f"{call}(input_radius=...)", radius, 1)[0]


def per_layer(call: str, bound: Any, depth: int) -> list[Any]:
    """One non-negative number per layer; traced ones are not checked."""
    if isinstance(bound, Sequence) and any(isinstance(r, jax.Array) for r in bound):
        shape = (len(bound),)
        numbers = [per_layer(call, r, 1)[0] for r in bound]
    else:
        numbers = bound if isinstance(bound, jax.Array) else as_numbers(call, bound)
        shape = numbers.shape
        if not isinstance(numbers, Tracer):
            concrete = np.asarray(numbers)
            if not (np.isfinite(concrete) & (concrete >= 0)).all():
                raise ValueError(f"`{call}` must be non-negative and finite; got {bound}.")
    if shape not in ((), (depth,)):
        raise ValueError(
            f"`{call}` must be one number or one per layer, {depth}; got the shape {shape}."
        )
    every: list[Any] = [numbers] * depth if shape == () else list(numbers)
    return [r if isinstance(r, jax.Array) else float(r) for r in every]
