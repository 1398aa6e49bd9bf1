"""Which layers and weights cause the error of a rounded network."""

from typing import Any

import equinox as eqx
import numpy as np

from ..networks import ReLUNetwork, from_mlp
from ..quantizers import unwrap
from ._difference import Parameters, ablations, decompose
from ._explanation import Explanation
from ._problem import check_size, finite


def explain(net: Any, qnet: Any, points: Any, *, point_weights: Any = None) -> Explanation:
    r"""Where the difference of a network and its rounded version comes from.

    The difference of the outputs is written as a sum over all parameters, exactly at every point:
    a parameter contributes its change, times the mean of what it is multiplied with before and
    after, times the mean of what the later layers make of it. To first order this is the change
    times the derivative; but nothing is left over, and no order of the layers has to be chosen. A
    parameter's share of the error is the part of its contribution in the direction of the
    difference. Whatever the parameters' type, it is computed in NumPy float64, so float32
    arithmetic adds no error of its own. Works for any two networks of the same widths; not
    traceable.

    ```python
    explanation = qr.explain(net, qr.quantize(net, q), points)
    print(explanation)
    explanation.worst(20)
    explanation.figure()
    ```

    **Arguments:**

    - `net`: the network before, a `ReLUNetwork` or an `equinox.nn.MLP` that `networks.from_mlp`
        takes.
    - `qnet`: the network after, of the same widths; one from `quantizers.wrap` is taken as
        `unwrap` gives it.
    - `points`: where the two are compared, of shape $(\ldots, N_0)$; for an MLP with scalar input
        any shape.
    - `point_weights`: how much each point counts, not negative; the same for all without it.

    **Returns:**

    An `Explanation`: `print` it; `table()` has a row per parameter array, `worst()` the single
    parameters, `figure()` the picture. Memory is 16 L numbers per point and output, besides blocks
    of bounded size.

    **Raises:**

    - `ValueError`: for different widths, no points, parameters, points or weights that are NaN,
        infinite or do not fit, or sparse matrices of more than $5 \cdot 10^7$ entries with zeros.
    - `TypeError`: for something else than a network.

    **Reference:** derived, the proof stands above the code of the decomposition; the secant slopes
    are the rescale rule of [shrikumar2017].
    """
    old, names = _parameters("net", net)
    new, _ = _parameters("qnet", qnet)
    widths = [(p.weights[0].shape[1], *(w.shape[0] for w in p.weights)) for p in (old, new)]
    if widths[0] != widths[1]:
        raise ValueError(
            "`explain(net, qnet, points)` must get two networks of the same widths; got "
            f"{widths[0]} and {widths[1]}. `qnet` is the rounded version of `net`."
        )
    scalar = isinstance(net, eqx.nn.MLP) and net.in_size == "scalar"
    points = _points(points, widths[0][0], scalar)
    mass = _mass(point_weights, len(points))
    with np.errstate(over="ignore", invalid="ignore"):
        parts = decompose(old, new, points, mass)
        alone, without = ablations(old, new, points, mass)
    if not all(np.isfinite(p).all() for p in (*parts.squares, parts.contributions, alone, without)):
        raise ValueError(
            "`explain(net, qnet, points)` must get networks and points whose values, and their "
            "squares, fit into float64; they overflow. Scale them down."
        )
    square = float(mass @ np.sum(parts.difference**2, axis=1))
    scale = 1 / square if square > 0 else 0.0
    return Explanation(
        names=names,
        points=points,
        difference=parts.difference,
        contributions=parts.contributions,
        error=float(np.sqrt(square)),
        largest=float(np.sqrt(np.max(np.sum(parts.difference**2, axis=1)))),
        shares=tuple(scale * p for p in parts.products),
        effects=tuple(np.sqrt(p) for p in parts.squares),
        alone=alone,
        without=without,
        old=_alternating(old),
        new=_alternating(new),
    )


def _alternating(parameters: Parameters) -> tuple[np.ndarray, ...]:
    return tuple(p for pair in zip(*parameters, strict=True) for p in pair)


def _parameters(name: str, net: Any) -> tuple[Parameters, tuple[str, ...]]:
    """Matrices and biases in float64, and what their owner calls them."""
    net = unwrap(net)
    if isinstance(net, eqx.nn.MLP):
        network, names = from_mlp(net), _mlp_names(net)
    elif isinstance(net, ReLUNetwork):
        network = net
        names = [f"{kind}[{i}]" for i in range(net.depth) for kind in ("weights", "biases")]
    else:
        raise TypeError(
            f"`explain({name})` must be a `ReLUNetwork` or an `equinox.nn.MLP`; got "
            f"{type(net).__name__}. `ReLUNetwork(weights, biases)` takes the parameters of other "
            "models."
        )
    if network.weights[0].ndim != 2:
        raise ValueError(f"`explain({name})` must be one network; got a stack, `unstack` it first.")
    check_size(
        f"explain({name})",
        network,
        "`networks.realize` gives the values of both networks, and so the error as a whole.",
    )
    leaves = [p for pair in zip(network.weights, network.biases, strict=True) for p in pair]
    numbers = [finite(f"explain({name}.{n})", p) for n, p in zip(names, leaves, strict=True)]
    return Parameters(numbers[::2], numbers[1::2]), tuple(names)


def _mlp_names(mlp: eqx.nn.MLP) -> list[str]:
    places = [f"layers[{i}].{{}}" for i in range(len(mlp.layers))]
    biased = [layer.bias is not None for layer in mlp.layers]
    if mlp.scan and mlp.depth > 0:
        inner = mlp.depth - 1
        places[1:2] = [f"layers[1].{{}}[{k}]" for k in range(inner)]
        biased[1:2] = biased[1:2] * inner
    bias = [
        place.format("bias") + ("" if b else " (none)")
        for place, b in zip(places, biased, strict=True)
    ]
    return [
        name
        for pair in zip([p.format("weight") for p in places], bias, strict=True)
        for name in pair
    ]


def _points(points: Any, inputs: int, scalar: bool) -> np.ndarray:
    array = finite("explain(points)", points)
    array = array[..., None] if scalar else array
    if array.ndim == 0 or array.shape[-1] != inputs or array.size == 0:
        raise ValueError(
            f"`explain(points)` must have the shape (..., {inputs}) and at least one point; got "
            f"{array.shape}." + (" Use `points[..., None]`." if inputs == 1 else "")
        )
    return array.reshape(-1, inputs)


def _mass(point_weights: Any, count: int) -> np.ndarray:
    """Weights of the points that add to 1."""
    if point_weights is None:
        return np.full(count, 1 / count)
    array = finite("explain(point_weights=...)", point_weights)
    if array.size != count or np.any(array < 0) or not np.any(array > 0):
        raise ValueError(
            f"`explain(point_weights=...)` must hold {count} non-negative numbers, one per point "
            f"and not all zero; got {array.size}, the smallest {np.min(array, initial=0.0)}."
        )
    return array.reshape(-1) / np.sum(array)
