"""A network rounded layer by layer, each layer making up for what was rounded before it."""

from typing import Any

import numpy as np

from ..networks import ReLUNetwork
from ..quantizers import AbstractQuantizer
from ._descent import checked_sweeps, descended
from ._like import like, type_of
from ._nearest_plane import best_rounded
from ._problem import check_quantizer, finite, from_features, snap


def feedback(
    net: ReLUNetwork,
    q: AbstractQuantizer,
    points: Any,
    *,
    values: Any = None,
    point_weights: Any = None,
    bias_quantizer: AbstractQuantizer | None = None,
    sweeps: int = 0,
) -> ReLUNetwork:
    r"""The network with every parameter on the grid of `q`, rounded with feedback.

    The layers are rounded from the first to the last. With one input the first hidden layer is
    rounded to nearest so that its knots $-b_i/w_i$ stay in place: $w_i$ first, then the bias that
    belongs to the old knot and the new weight. Every other layer is fitted on what the rounded
    layers before it give: its rows are rounded entry by entry, bias included, and the entries
    still free are solved again by least squares for the unrounded pre-activations (for `values` in
    the last layer). The order of the entries is chosen. In NumPy float64; not traceable.

    For one hidden layer at equidistributed knots about one bit more per doubling of the pieces
    keeps the error; rounding to nearest needs up to two.

    **Arguments:**

    - `net`: the network, with NumPy or JAX parameters.
    - `q`: a deterministic quantizer with one step; bounded grids saturate.
    - `points`: where the rounded network should agree, of shape $(\ldots, N_0)$. Take several per
        piece. Directions that the points do not determine (fewer points than features, units that
        are off, equal knots) are held near the unrounded parameters by a ridge of $10^{-7}$ times
        the size of each feature.
    - `values`: what the network should have at the points, of shape $(\ldots, N_L)$, for example
        the target that it was fitted to; without it, the unrounded network's values.
    - `point_weights`: quadrature weights, not negative, one per point; equal ones without it.
    - `bias_quantizer`: another, usually finer, grid for the biases of the last layer.
    - `sweeps`: rounds of coordinate descent after each layer.

    **Returns:**

    The rounded network; leaves have the types they had. Each layer after the first is at least as
    close to its pre-activations, on the points, as with all its entries rounded to nearest.

    **Raises:**

    - `ValueError`: for points, values, weights or parameters that are NaN or infinite or do not
        fit the network, no points, a step that is an array, or stochastic rounding.
    - `TypeError`: for an argument that is not a network or not a quantizer.

    **Reference:** [babai1986] for one layer, [frantar2023] layer by layer.
    """
    if not isinstance(net, ReLUNetwork):
        raise TypeError(f"`feedback(net, ...)` must get a ReLUNetwork; got {type(net).__name__}.")
    _check_grid("feedback(net, q, points)", q)
    if bias_quantizer is not None:
        _check_grid("feedback(bias_quantizer=...)", bias_quantizer)
    sweeps = checked_sweeps("feedback", sweeps)
    weights, biases = _parameters(net)
    inputs = _points(points, net.widths[0])
    roots = _roots(point_weights, inputs.shape[0])
    last = net.depth - 1
    wanted = _values(values, inputs.shape[0], net.widths[-1])

    exact = rounded = inputs
    new_weights, new_biases = [], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        outputs = exact @ weight.T + bias
        target = wanted if layer == last and wanted is not None else outputs
        bias_grid = bias_quantizer if layer == last and bias_quantizer is not None else q
        weight_snap = snap(q, type_of(net.weights[layer]))
        bias_snap = snap(bias_grid, type_of(net.biases[layer]))
        if layer == 0 and layer < last and inputs.shape[1] == 1:
            weight, bias = _knots(weight, bias, weight_snap, bias_snap)
        else:
            features = np.concatenate([rounded, np.ones((rounded.shape[0], 1))], axis=1)
            entries = np.concatenate([weight.T, bias[None, :]])
            snaps = [weight_snap] * weight.shape[1] + [bias_snap]
            problem = from_features(roots * features, roots * target, entries, snaps)
            entries = descended(problem, best_rounded(problem, entries), sweeps)
            weight, bias = entries[:-1].T, entries[-1]
        new_weights.append(like(net.weights[layer], weight))
        new_biases.append(like(net.biases[layer], bias))
        exact = np.maximum(outputs, 0.0)
        rounded = np.maximum(rounded @ weight.T + bias, 0.0)
    return ReLUNetwork(new_weights, new_biases)


def _knots(weight, bias, weight_snap, bias_snap):
    """Weights (n, 1) to nearest, biases such that the knots move least."""
    slopes = weight[:, 0]
    kept = weight_snap(slopes)
    moved = np.divide(kept * bias, slopes, out=bias.copy(), where=(kept != 0) & (slopes != 0))
    return kept[:, None], bias_snap(moved)


def _check_grid(call: str, q: Any) -> None:
    check_quantizer(call, q)
    if np.size(q.step) != 1:
        raise ValueError(
            f"`{call}` must get a quantizer with one step; got steps of shape {np.shape(q.step)}. "
            "Use `nearest_plane` for a matrix with one step per row."
        )


def _parameters(net: ReLUNetwork):
    if net.weights[0].ndim != 2:
        raise ValueError("`feedback(net, ...)` is for one network; unstack them first.")
    named = zip(net.weights, net.biases, strict=True)
    pairs = [
        (finite(f"feedback(net.weights[{i}])", w), finite(f"feedback(net.biases[{i}])", b))
        for i, (w, b) in enumerate(named)
    ]
    return [w for w, _ in pairs], [b for _, b in pairs]


def _points(points: Any, inputs: int) -> np.ndarray:
    array = finite("feedback(points)", points)
    if array.ndim == 0 or array.shape[-1] != inputs or array.size == 0:
        raise ValueError(
            f"`feedback(points)` must have the shape (..., {inputs}) and at least one point; got "
            f"{array.shape}." + (" Use `points[..., None]`." if inputs == 1 else "")
        )
    return array.reshape(-1, inputs)


def _values(values: Any, count: int, outputs: int) -> np.ndarray | None:
    if values is None:
        return None
    array = finite("feedback(values=...)", values)
    if array.ndim == 0 or array.shape[-1] != outputs or array.size != count * outputs:
        raise ValueError(
            f"`feedback(values=...)` must have the shape (..., {outputs}), one row for each of the "
            f"{count} points; got {array.shape}."
            + (" Use `values[..., None]`." if outputs == 1 else "")
        )
    return array.reshape(count, outputs)


def _roots(point_weights: Any, count: int) -> np.ndarray:
    """Square roots of the weights of the points, (P, 1)."""
    if point_weights is None:
        return np.ones((count, 1))
    array = finite("feedback(point_weights=...)", point_weights)
    if array.size != count or np.any(array < 0) or not np.any(array > 0):
        raise ValueError(
            f"`feedback(point_weights=...)` must hold {count} non-negative numbers, one per point "
            f"and not all zero; got {array.size}, the smallest {np.min(array, initial=0.0)}."
        )
    return np.sqrt(array.reshape(-1, 1))
