"""Steps that are enough, and steps that are too large, for every network of a class."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, DTypeLike

from ._checks import is_one_of
from ._lipschitz import (
    ParameterClass,
    Radius,
    checked_class,
    coarse_lipschitz,
    maximum,
    minimum,
    per_layer,
    recursion,
)
from ._outward import Number, down, root_product, up
from ._steps import Rounding, bits_per_weight, check_rounding

# Newton's steps in the logarithm converge to all digits of float64 in at most six for depths up to
# 200 (measured); fixed-point steps gain log2 of the step's relative size each.
ROUNDS = 8


def sufficient_step(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: ArrayLike,
    accuracy: ArrayLike,
    p: Number = math.inf,
    *,
    rounding: Rounding = "nearest",
    bias_bound: Radius = None,
    nonzeros: Sequence[tuple[int, int, int]] | None = None,
    constant: Literal["exact", "coarse"] = "exact",
    dtype: DTypeLike | None = np.float64,
) -> float | Array:
    r"""A step whose rounding moves every network of the class by at most `accuracy`.

    For all networks $\theta$ of these widths with $\|W_l\|_p \le r_l$, $\|b_l\|_p \le \beta_l$, all
    $\|x\|_p \le D$, and $Q$ the rounding to multiples of the step,
    $\|R_\theta(x) - R_{Q(\theta)}(x)\|_p \le \varepsilon$. With $K(g)$ the constant of
    `parameter_lipschitz` in which the norms of $Q(\theta)$ may exceed $r_l$ by $\alpha_l g$, the
    largest change $\delta$ of a parameter solves $\delta K(\delta) = \varepsilon$, and is
    $\varepsilon / K(0)$ where rounding lets no norm grow: "toward_zero" with $p = 1$ or $\infty$.
    The step is $\delta$, or $2 \delta$ for "nearest".

    **Arguments:**

    - `widths`, `norm_bound`, `input_radius`, `p`, `bias_bound`, `nonzeros`: the class, as in
        `parameter_lipschitz`.
    - `accuracy`: the error $\varepsilon$ that is allowed, positive.
    - `rounding`: "nearest", "floor" or "toward_zero".
    - `constant`: "exact", or "coarse" for the closed form
        $\varepsilon / ((D + 1) W L^2 r^{L-1})$, divided by $e$ and at most $r / (W (L-1))$ where
        norms can grow; it ignores `bias_bound` and `nonzeros` and takes the largest norm bound.
    - `dtype`: type of the parameters; the rounding of the grid's values to it is allowed for. None
        for parameters and grids in real arithmetic.

    **Returns:**

    The step, rounded downwards: a Python float, or a JAX array if a bound, the radius or the
    accuracy is one (then it works under `jit`, `vmap` and `grad`, and 0 says that no step of the
    type is proven). Infinite if no network of the class has a nonzero parameter.

    **Raises:**

    - `ValueError`: for a class that `parameter_lipschitz` refuses, an accuracy that is not positive
        and finite, or one that the digits of `dtype` cannot reach.

    **Reference:** derived, proof below; [gonon2023] prove sufficient steps of the coarse form.
    """
    call = "sufficient_step"
    check_rounding(call, rounding)
    epsilon = _epsilon(call, dtype)
    c = checked_class(call, widths, norm_bound, input_radius, p, bias_bound, nonzeros)
    accuracy = _check_accuracy(call, accuracy)
    grows = rounding != "toward_zero" or p not in (1, math.inf)
    if is_one_of(constant, ("exact",)):
        error = _largest_change(c, accuracy, p, grows)
    elif is_one_of(constant, ("coarse",)):
        error = _coarse_change(c, accuracy, p, grows)
    else:
        raise ValueError(
            f'`sufficient_step(constant=...)` must be "exact" or "coarse"; got {constant!r}.'
        )
    # A grid value is one rounded product, so a parameter may move a few units in its last place
    # further than the step (half the step for nearest) says.
    if dtype is not None:
        error = down(down(error * (1 - 4 * epsilon)) - up(4 * epsilon * c.magnitude))
    if isinstance(error, jax.Array):
        error = jnp.maximum(error, 0.0)
    elif not error > 0:
        name = jnp.dtype(dtype or float).name
        gain = recursion(c.radii, c.bias_radii, c.nonzeros, c.input_radius, p)
        raise ValueError(
            f"`sufficient_step(accuracy={accuracy:.6g})` is finer than {name} parameters up to "
            f"{c.magnitude:.3g} can resolve, in a class that multiplies a change by {gain:.3g}. "
            "Ask for less, or use fewer layers or smaller norms."
        )
    return 2 * error if rounding == "nearest" else error


# A change of at most d in every parameter moves the function by at most d K(d), since the norms of
# the rounded network are at most r_l + alpha_l d. Take any u > 0 and d = min(u, accuracy/K(u)):
#     d K(d) <= d K(u) <= accuracy,
# so u need not be rigorous. u = root of log u + log K(u) = log accuracy, which is convex and
# increasing in log u (d K(d) is a polynomial with coefficients >= 0): Newton's steps from the right
# end accuracy/K(0) decrease to it. They carry the derivative of the root with them.
def _largest_change(c: ParameterClass, accuracy: Any, p: Number, grows: bool) -> Any:
    def lipschitz(growth: Any) -> Any:
        return recursion(c.radii, c.bias_radii, c.nonzeros, c.input_radius, p, growth)

    still = lipschitz(0.0)
    if not isinstance(still, jax.Array) and still == 0:
        return accuracy * math.inf
    change = down(accuracy / still)
    if not grows:
        return change
    log, exp = _functions(change)

    def newton(change: Any) -> Any:
        k = lipschitz(change)
        if not isinstance(k, jax.Array) and not (change > 0 and math.isfinite(k)):
            return change
        slope = 1 + change * _slope(c, p, change) / k
        return change * exp(-(log(change) + log(k) - log(accuracy)) / slope)

    change = _repeat(newton, change)
    return minimum(change, down(accuracy / lipschitz(change)))


def _slope(c: ParameterClass, p: Number, growth: Any) -> Any:
    """The derivative of the recursion with respect to the growth; not rounded outwards."""
    error: Any = 0.0
    slope: Any = 0.0
    size = c.input_radius
    for r, beta, (row, column, biases) in zip(c.radii, c.bias_radii, c.nonzeros, strict=True):
        alpha = root_product(column, row, p)
        slope = alpha * error + (r + alpha * growth) * slope
        error = (r + alpha * growth) * error + alpha * size
        error = error + root_product(biases, 1 if biases else 0, p)
        size = r * size + beta
    return slope


# With r >= 1 the largest norm bound, alpha_l <= W and d <= r / (W (L - 1)), the grown norms are at
# most r (1 + 1/(L - 1)), so that K(d) <= e C with C the coarse constant, and d = accuracy/(e C) is
# enough. The condition on d is no consequence: it fails for accuracies beyond e (D + 1) L r^L.
def _coarse_change(c: ParameterClass, accuracy: Any, p: Number, grows: bool) -> Any:
    radius = maximum(c.magnitude, 1.0)
    bound = coarse_lipschitz(c.widths, radius, c.input_radius, p)
    if not grows:
        return down(accuracy / bound)
    change = down(down(accuracy / bound) / math.nextafter(math.e, 3.0))
    depth = len(c.radii)
    return minimum(change, down(radius / (max(c.widths) * (depth - 1)))) if depth > 1 else change


def necessary_step(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: ArrayLike,
    accuracy: ArrayLike,
    p: Number = math.inf,
    *,
    rounding: Rounding = "nearest",
    bias_bound: Radius = None,
) -> float | Array:
    r"""A step beyond which rounding moves some network of the class by more than `accuracy`.

    For every larger step there are a network $\theta$ of these widths with
    $\|W_l\|_p \le r_l$, $\|b_l\|_p \le \beta_l$ and a point $\|x\|_p \le D$ at which rounding
    $\theta$ to multiples of the step changes the output by more than $\varepsilon$. As
    $\varepsilon \to 0$ it is $\varepsilon / K$ ($2 \varepsilon / K$ for "nearest") with $K$ of
    `parameter_lipschitz`, the same as `sufficient_step`.

    **Arguments:**

    - `widths`, `norm_bound`, `input_radius`, `p`, `bias_bound`: the class, as in
        `parameter_lipschitz`.
    - `accuracy`: the error $\varepsilon$ that is allowed, positive.
    - `rounding`: "nearest", "floor" or "toward_zero".

    **Returns:**

    The step, rounded upwards: a Python float, or a JAX array if a bound, the radius or the accuracy
    is one (then it works under `jit`, `vmap` and `grad`). Infinite where the accuracy is so large
    that no step is known to fail.

    **Raises:**

    - `ValueError`: for a class that `parameter_lipschitz` refuses, or an accuracy that is not
        positive and finite.

    **Reference:** derived, proof below; [gonon2023] prove necessary steps of the same exponential
    form in the depth.
    """
    call = "necessary_step"
    check_rounding(call, rounding)
    c = checked_class(call, widths, norm_bound, input_radius, p, bias_bound, None)
    accuracy = _check_accuracy(call, accuracy)
    share = 0.5 if rounding == "nearest" else 1.0

    def smaller(step: Any) -> Any:
        moved = _all_layers(c, step, p, share)
        if isinstance(moved, jax.Array):
            safe = jnp.where(moved > 0, moved, 1.0)
            return jnp.where(moved > 0, jnp.minimum(step, up(accuracy / safe)), step)
        return min(step, up(accuracy / moved)) if moved > 0 else step

    return _repeat(smaller, _one_layer(c, accuracy, p, share))


# One layer. Let c = 1 for floor and toward zero, c = 1/2 for nearest. All entries of W_l just below
# min(c eta, r_l/alpha_l) round to zero. The layers before are (r_k/alpha_k) 1 1^T with biases
# beta_k N_k^(-1/p) 1 and x = D N_0^(-1/p) 1, so the activation there has norm s_{l-1} in the first
# network; b_l and all later biases are zero, so the second network is zero from layer l on, and
#     difference = min(c alpha_l eta, r_l) s_{l-1} prod_{k>l} r_k.
# Likewise a bias b_l alone, with W_l = 0: min(c N_l^(1/p) eta, beta_l) prod_{k>l} r_k. All of these
# increase with eta, so every step beyond the one at which one of them reaches the accuracy fails.
def _one_layer(c: ParameterClass, accuracy: Any, p: Number, share: float) -> Any:
    step: Any = math.inf
    after: list[Any] = [1.0]
    for r in reversed(c.radii[1:]):
        after.insert(0, down(after[0] * r))
    size = c.input_radius
    for r, beta, later, (row, column, biases) in zip(
        c.radii, c.bias_radii, after, c.nonzeros, strict=True
    ):
        terms = [
            (r, root_product(column, row, p, below=True), down(size * later)),
            (beta, root_product(biases, 1, p, below=True), later),
        ]
        for most, alpha, gain in terms:
            reached = down(most * gain) > accuracy
            cost = down(share * alpha * gain)
            if isinstance(reached, jax.Array):
                safe = jnp.where(reached & (cost > 0), cost, 1.0)
                candidate = jnp.where(reached & (cost > 0), up(accuracy / safe), jnp.inf)
            else:
                candidate = up(accuracy / cost) if reached and cost > 0 else math.inf
            step = minimum(step, candidate)
        size = down(down(r * size) + beta)
    return step


# All layers. There are multiples k eta (k eta - eta/2 for nearest) within eta below any r >= c eta,
# so entries t_l just below them can be had with alpha_l t_l in (r_l - alpha_l eta, r_l], and
# rounding lowers them by c eta; likewise the biases. With y and y' the norms of the activations,
#     y_l - y'_l = t_l (y - y')_{l-1} + c alpha_l eta y'_{l-1} + c N_l^(1/p) eta,
#     y'_l = (t_l - c alpha_l eta) y'_{l-1} + (u_l - c N_l^(1/p) eta),
# all terms not negative (where r_l < c alpha_l eta the weights are zero, where
# beta_l < c N_l^(1/p) eta the biases). Hence the difference is at least c eta E(eta) with E below,
# which decreases in eta, and E(0) = K. If every step beyond s fails, then every step eta in
# (accuracy/(c E(s)), s] fails too, since c eta E(eta) >= c eta E(s) > accuracy.
def _all_layers(c: ParameterClass, step: Any, p: Number, share: float) -> Any:
    """c E(eta), rounded downwards."""
    error: Any = 0.0
    size = c.input_radius
    for r, beta, (row, column, biases) in zip(c.radii, c.bias_radii, c.nonzeros, strict=True):
        most, least = root_product(column, row, p), root_product(column, row, p, below=True)
        ones, fewer = root_product(biases, 1, p), root_product(biases, 1, p, below=True)
        kept = _positive(down(r - up(most * step)))
        error = down(kept * error)
        error = down(error + _where(up(share * most * step) <= r, down(least * size)))
        error = down(error + _where(up(share * ones * step) <= beta, fewer))
        rest = _positive(down(r - up(up((1 + share) * most) * step)))
        bias = _positive(down(beta - up(up((1 + share) * ones) * step)))
        size = _positive(down(down(rest * size) + bias))
    return down(share * _positive(error))


def _repeat(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, jax.Array):  # one copy of the function in the compiled program
        return jax.lax.fori_loop(0, ROUNDS, lambda _, x: function(x), value)
    for _ in range(ROUNDS):
        value = function(value)
    return value


def _where(condition: Any, value: Any) -> Any:
    if isinstance(condition, jax.Array):
        return jnp.where(condition, value, 0.0)
    return value if condition else 0.0


def _positive(value: Any) -> Any:
    return maximum(value, 0.0)


def _functions(value: Any) -> tuple[Any, Any]:
    return (jnp.log, jnp.exp) if isinstance(value, jax.Array) else (math.log, math.exp)


def _check_accuracy(call: str, accuracy: Any) -> Any:
    number = per_layer(f"{call}(accuracy=...)", accuracy, 1)[0]
    if not isinstance(number, Tracer) and not bool(number > 0):
        raise ValueError(
            f"`{call}(accuracy=...)` must be positive; got {accuracy}. No finite number of bits "
            "gives an error of zero for all networks of a class."
        )
    return number


def sufficient_bits(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: Number,
    accuracy: Number,
    p: Number = math.inf,
    *,
    rounding: Rounding = "nearest",
    bias_bound: Radius = None,
    nonzeros: Sequence[tuple[int, int, int]] | None = None,
    dtype: DTypeLike | None = np.float64,
) -> int:
    r"""Bits per parameter that are enough for `accuracy`, for every network of the class.

    `bits_per_weight` of the largest parameter $\max_l(r_l, \beta_l)$ and of `sufficient_step`: of
    the form $\log_2(1/\varepsilon) + L \log_2 r + \log_2(W L) + O(1)$ for equal bounds $r > 1$.

    **Arguments:**

    - all as in `sufficient_step`, plain numbers.

    **Returns:**

    Bits for one parameter.

    **Raises:**

    - `ValueError`: as `sufficient_step`.

    **Reference:** derived from `sufficient_step`; the form is that of [gonon2023].
    """
    call = "sufficient_bits"
    c = _plain_class(call, widths, norm_bound, input_radius, accuracy, p, rounding, bias_bound)
    _epsilon(call, dtype)
    step = sufficient_step(
        widths,
        norm_bound,
        input_radius,
        accuracy,
        p,
        rounding=rounding,
        bias_bound=bias_bound,
        nonzeros=nonzeros,
        dtype=dtype,
    )
    return 1 if step == math.inf else bits_per_weight(c.magnitude, float(step), rounding)


def necessary_bits(
    widths: Sequence[int],
    norm_bound: Radius,
    input_radius: Number,
    accuracy: Number,
    p: Number = math.inf,
    *,
    rounding: Rounding = "nearest",
    bias_bound: Radius = None,
) -> int:
    r"""Bits per parameter below which a uniform grid fails for some network of the class.

    `bits_per_weight` of the largest parameter and of `necessary_step`: a grid of multiples of one
    step that holds all parameters up to $\max_l(r_l, \beta_l)$ in fewer bits has a larger step.

    **Arguments:**

    - all as in `necessary_step`, plain numbers.

    **Returns:**

    Bits for one parameter; 1 where no step is known to fail.

    **Raises:**

    - `ValueError`: as `necessary_step`.

    **Reference:** derived from `necessary_step`; the form is that of [gonon2023].
    """
    call = "necessary_bits"
    c = _plain_class(call, widths, norm_bound, input_radius, accuracy, p, rounding, bias_bound)
    step = necessary_step(
        widths,
        norm_bound,
        input_radius,
        accuracy,
        p,
        rounding=rounding,
        bias_bound=bias_bound,
    )
    return 1 if step == math.inf else bits_per_weight(c.magnitude, float(step), rounding)


def _epsilon(call: str, dtype: Any) -> float:
    """The spacing of a type's numbers at 1, or zero for real arithmetic."""
    if dtype is None:
        return 0.0
    try:
        return float(jnp.finfo(dtype).eps)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{call}(dtype=...)` must be a floating type, or None for real arithmetic; got "
            f"{dtype!r}."
        ) from None


def _plain_class(
    call: str,
    widths: Any,
    norm_bound: Any,
    input_radius: Any,
    accuracy: Any,
    p: Any,
    rounding: Any,
    bias_bound: Any,
) -> ParameterClass:
    """The class of a call that wants plain numbers, its mistakes in the call's own name."""
    check_rounding(call, rounding)
    _check_accuracy(call, accuracy)
    return checked_class(call, widths, norm_bound, input_radius, p, bias_bound, None)
