"""Steps that guarantee an error, and the bits that they cost."""

import fractions
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np
import scipy.sparse

from ..networks import ReLUNetwork, SparseMatrix
from ._checks import as_number, as_positive, is_one_of
from ._lipschitz import recursion
from ._outward import Number, down, up, upper_sum

Rounding = Literal["nearest", "floor", "toward_zero"]


def check_rounding(call: str, rounding: str) -> None:
    """Refuse what is no rounding, and rounding at random, for which nothing is proven here."""
    if not is_one_of(rounding, get_args(Rounding)):
        raise ValueError(
            f'`{call}(rounding=...)` must be "nearest", "floor" or "toward_zero"; got {rounding!r}.'
        )


def rate_step(
    network: ReLUNetwork,
    gamma: Number,
    input_radius: Number,
    *,
    scale: Number = 1.0,
    rounding: Rounding = "toward_zero",
    constant: Literal["norms", "entries"] = "norms",
) -> float:
    r"""A step whose rounding moves the network's function by at most `scale` $M^{-\gamma}$.

    $M$ is the connectivity of the network. With `Uniform(step, rounding)`, for every input with
    $|x_j| \le$ `input_radius` every output moves by at most `scale` $M^{-\gamma}$ (in exact
    evaluation of both networks). Hence a sequence of networks with errors $O(M^{-\gamma})$ keeps
    that rate when each is rounded with its own step.

    **Arguments:**

    - `network`: the network to round; its own layers' norms and zeros decide.
    - `gamma`: the rate to keep, positive.
    - `input_radius`: largest absolute coordinate of an input.
    - `scale`: the unit of the outputs, positive: with the range of the function that is
        approximated, the added error is in proportion to it.
    - `rounding`: "toward_zero" (no norm grows, the largest error is one step), "floor", or
        "nearest" (the largest error is half a step).
    - `constant`: "norms" uses the norms of the layers, in $\ell^1$ or in $\ell^\infty$, whichever
        allows the larger step; "entries" follows every unit by itself, with a step at least
        as large.

    **Returns:**

    The step, rounded downwards, with an allowance for the rounding of the grid's values.

    **Raises:**

    - `ValueError`: for `gamma`, a radius or a scale that is not positive and finite, for
        parameters that are not finite, or if their type is too narrow for such a step.

    **Reference:** quantized sequences that keep their rate are due to [gonon2023]; this step, with
    the constant of `parameter_lipschitz` for the network at hand, is derived, proof below.
    """
    for name, value in (("gamma", gamma), ("input_radius", input_radius), ("scale", scale)):
        as_positive(f"rate_step({name}=...)", value)
    if not isinstance(network, ReLUNetwork):
        raise TypeError(
            f"`rate_step(network=...)` must be a ReLUNetwork; got {type(network).__name__}. "
            "`networks.from_mlp` makes one."
        )
    if network.weights[0].ndim != 2:
        raise ValueError(
            "`rate_step(network=...)` must be one network; got a stack. `networks.unstack` first."
        )
    if not math.isfinite(network.magnitude):
        raise ValueError(
            "`rate_step(network, ...)` must get finite parameters; the network holds NaN or "
            "infinity. Repair it first."
        )
    check_rounding("rate_step", rounding)
    if is_one_of(constant, ("norms",)):
        constants = [norm_constant(network, input_radius, p) for p in (1.0, math.inf)]
    elif is_one_of(constant, ("entries",)):
        constants = [entry_constant(network, input_radius)]
    else:
        raise ValueError(
            f'`rate_step(constant=...)` must be "norms" or "entries"; got {constant!r}.'
        )
    accuracy = down(down(max(network.connectivity, 1) ** -gamma))
    accuracy = down(accuracy * float(scale)) if scale != 1 else accuracy
    grows = rounding != "toward_zero"
    # Where few parameters matter the constant says little; no step needs to exceed the parameters.
    most = 2 * network.magnitude if network.magnitude > 0 else 1.0
    error = max(_largest_error(k, accuracy, grows, most) for k in constants)
    # A grid value is one rounded product, so a parameter may move a few units in its last place
    # further than the step (half the step for nearest) says.
    epsilon = max(float(jnp.finfo(_dtype(p)).eps) for p in (*network.weights, *network.biases))
    error = down(down(error * (1 - 4 * epsilon)) - up(4 * epsilon * network.magnitude))
    if error <= 0:
        raise ValueError(
            f"`rate_step(gamma={gamma})` must get a network whose parameters resolve the step; the "
            f"largest is {network.magnitude:.3g} and would need more digits than its type has. Use "
            "float64 parameters, `networks.normalize`, or a smaller `gamma`."
        )
    return 2 * error if rounding == "nearest" else error


# Let theta' be the rounded network and d the largest |theta_i - theta'_i|. Rounding keeps zeros, so
# the support of theta contains that of theta'. With K(g) the constant in which the weights of
# theta' may have norms larger by alpha_l g (theta alone bounds the activations in it),
#     |R_theta - R_theta'| <= d K(d),
# so any d with d K(d) <= accuracy is enough. Rounding toward zero lowers every |theta_i|, hence the
# l^1 and l^inf norms (not the l^2 norm), and d K(0) <= accuracy is enough. For the other roundings
# the classical condition d <= min(accuracy/(e K(0)), min_l r_l/(alpha_l (L - 1))) implies
# d K(d) <= accuracy, because (1 + 1/(L - 1))^(L - 1) <= e; the largest d is found by bisection.
def _largest_error(
    constant: Callable[[float], float], accuracy: float, grows: bool, most: float
) -> float:
    k = constant(0.0)
    if not math.isfinite(k):  # an overflow: no step is proven
        return 0.0
    largest = min(most, down(accuracy / k)) if k > 0 else most
    if not grows:
        return largest

    def enough(error: float) -> bool:
        return up(error * constant(error)) <= accuracy

    below = largest
    while not enough(below):
        below /= 2
    above = min(largest, 2 * below)
    for _ in range(20):
        middle = (below + above) / 2
        below, above = (middle, above) if enough(middle) else (below, middle)
    return below


def norm_constant(
    network: ReLUNetwork, input_radius: Number, p: Number
) -> Callable[[float], float]:
    """The constant of the class that the network's own norms and zeros define."""
    radii, bias_radii, nonzeros = [], [], []
    for weight, bias in _layers(network):
        support = weight != 0
        axis = 0 if p == 1 else 1
        radii.append(float(upper_sum(abs(weight), axis).max()))
        bias_norm = upper_sum(abs(bias), 0) if p == 1 else abs(bias).max()
        bias_radii.append(float(bias_norm))
        biases = np.count_nonzero(bias)
        nonzeros.append((int(support.sum(1).max()), int(support.sum(0).max()), int(biases)))
    inputs = network.widths[0] if p == 1 else 1
    size = up(inputs * float(input_radius))
    return lambda growth: recursion(radii, bias_radii, nonzeros, size, p, growth)


# The same proof for every unit by itself: with |.| and <= entry by entry, S_l and t_l the supports
# of W_l and b_l as zeros and ones, and d the largest change of a parameter,
#     |y_l - y'_l| <= (|W_l| + g S_l) |y_{l-1} - y'_{l-1}| + d (S_l |y_{l-1}| + t_l),
#     |y_l| <= |W_l| |y_{l-1}| + |b_l|,
# with g = 0 for rounding toward zero and g = d otherwise.
def entry_constant(network: ReLUNetwork, input_radius: Number) -> Callable[[float], float]:
    """The constant of this network's support and absolute values, unit by unit."""
    layers = [
        (abs(weight), (weight != 0).astype(np.float64), abs(bias), (bias != 0).astype(np.float64))
        for weight, bias in _layers(network)
    ]

    def constant(growth: float) -> float:
        size = np.full(network.widths[0], float(input_radius))
        error = np.zeros(network.widths[0])
        for weight, support, bias, bias_support in layers:
            # An overflow gives infinity or NaN, which no accuracy admits.
            grown = weight + growth * support if growth else weight
            # Sums of at most 2 n + 1 products of non-negative numbers, each rounded twice.
            inflation = 1 + (2 * weight.shape[1] + 8) * 2.0**-52
            with np.errstate(over="ignore", invalid="ignore"):
                error = (grown @ error + support @ size + bias_support) * inflation + 2.0**-1000
                size = (weight @ size + bias) * inflation + 2.0**-1000
        return float(error.max())

    return constant


def _layers(network: ReLUNetwork) -> list[tuple[Any, np.ndarray]]:
    """Weights, dense or sparse as they are, and biases in float64."""
    weights = [w.to_scipy() if isinstance(w, SparseMatrix) else w for w in network.weights]
    pairs = zip(weights, network.biases, strict=True)
    return [(_in_float64(w), np.asarray(b, np.float64)) for w, b in pairs]


def _in_float64(matrix: Any) -> Any:
    sparse = scipy.sparse.issparse(matrix)
    return matrix.astype(np.float64) if sparse else np.asarray(matrix, np.float64)


def _dtype(parameter: Any) -> np.dtype:
    return np.dtype(parameter.dtype)


def bits_per_weight(magnitude: Number, step: Number, rounding: Rounding = "nearest") -> int:
    r"""The bits that number the grid values which parameters up to `magnitude` can take.

    $\lceil \log_2 \mathrm{levels} \rceil$ with $2 \lfloor r/\eta + 1/2 \rfloor + 1$ levels for
    nearest, $2 \lfloor r/\eta \rfloor + 1$ toward zero and
    $\lfloor r/\eta \rfloor + \lceil r/\eta \rceil + 1$ for floor, at least one bit. The codes fit
    into that many bits of two's complement, so `quantizers.pack` takes them.

    **Arguments:**

    - `magnitude`: largest absolute parameter $r$, not negative.
    - `step`: grid spacing $\eta$, positive.
    - `rounding`: "nearest", "floor" or "toward_zero".

    **Returns:**

    Bits for one parameter, computed in exact arithmetic for float64 parameters.

    **Raises:**

    - `ValueError`: for a negative or infinite magnitude, or a step that is not positive.

    **Reference:** derived: the count of multiples of the step that can be reached.
    """
    if not 0 <= as_number("bits_per_weight(magnitude=...)", magnitude) < math.inf:
        raise ValueError(
            f"`bits_per_weight(magnitude=...)` must be non-negative and finite; got {magnitude}."
        )
    check_rounding("bits_per_weight", rounding)
    as_positive("bits_per_weight(step=...)", step)
    ratio = fractions.Fraction(float(magnitude)) / fractions.Fraction(float(step))
    # A grid value is a rounded product and may be reached one code before the rational ratio says
    # so. That costs no bit: a code that needs one more is a power of two, whose product is exact.
    if rounding == "nearest":
        levels = 2 * math.floor(ratio + fractions.Fraction(1, 2)) + 1
    elif rounding == "toward_zero":
        levels = 2 * math.floor(ratio) + 1
    else:
        levels = math.floor(ratio) + math.ceil(ratio) + 1
    return max(1, (levels - 1).bit_length())
