"""A network rounded layer by layer, each layer making up for what was rounded before it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from ..networks import ReLUNetwork, SparseMatrix, from_mlp, to_mlp
from ..quantizers import AbstractCalibration, AbstractQuantizer, Wrapped
from ._descent import checked_sweeps, descended
from ._grids import Grid, check_rule, grids, is_table
from ._knots import knots
from ._like import like
from ._nearest_plane import best_rounded
from ._problem import check_size, finite, from_features
from ._runs import gathered


def feedback(
    net: Any,
    q: AbstractQuantizer | AbstractCalibration | Sequence[Any],
    points: Any,
    *,
    values: Any = None,
    point_weights: Any = None,
    bias_quantizer: AbstractQuantizer | AbstractCalibration | None = None,
    sweeps: int = 0,
) -> Any:
    r"""The network with every parameter on the grid of `q`, rounded with feedback.

    The layers are rounded from the first to the last. With one input, a unit of the first layer
    keeps its knot: of the many pairs of grid values with $-b/w$ near it one is chosen that also
    leaves the next layer a fine step, since $\rho(cx) = c\rho(x)$ lets that layer take up the
    factor; if that does not pay in the end, its weight is the nearest. Every other layer is fitted
    on what the rounded layers before it give: its rows are rounded entry by entry, bias included,
    and the entries still free are solved again by least squares for the unrounded pre-activations
    (for `values` in the last layer). The order of the entries is chosen. In NumPy float64; not
    traceable.

    For one hidden layer at equidistributed knots about one bit more per doubling of the pieces
    keeps the error; rounding to nearest needs up to two.

    **Arguments:**

    - `net`: a `ReLUNetwork` with NumPy or JAX parameters, or an `equinox.nn.MLP` that
        `networks.from_mlp` takes.
    - `q`: a deterministic quantizer of any grid, or a calibration such as `AbsMax(4, "channel")`,
        which chooses the grids from the unrounded parameters as `quantize(net, q)` does (layers
        under `scan=True` one by one); or for every layer a pair of quantizers, for the matrix and
        for the bias, as `Allocation.grids` holds them. Bounded grids saturate.
    - `points`: where the rounded network should agree, of shape $(\ldots, N_0)$; for an MLP with
        scalar input any shape. Take several per piece. Directions that the points do not determine
        (fewer points than features, units that are off, equal knots) are held near the unrounded
        parameters by a ridge of $10^{-7}$ times the size of each feature.
    - `values`: what the network should have at the points, of shape $(\ldots, N_L)$, for example
        the target that it was fitted to; without it, the unrounded network's values. For an MLP
        with scalar output in the shape of the points.
    - `point_weights`: quadrature weights, not negative, one per point; equal ones without it.
    - `bias_quantizer`: another, usually finer, grid for the biases of the last layer.
    - `sweeps`: rounds of coordinate descent after each layer.

    **Returns:**

    The rounded network, of the class of `net`; leaves have the types they had. Entries outside the
    pattern of a sparse matrix and biases that an MLP does not have stay away. On the points it is
    never further from the values, in the mean square, than with every entry rounded for itself,
    which is what is returned where that is better in the end.

    **Raises:**

    - `ValueError`: for points, values, weights or parameters that are NaN or infinite or do not
        fit the network, no points, a step that does not fit a parameter, several steps for a sparse
        matrix, sparse matrices of more than $5 \cdot 10^7$ entries with zeros, stochastic
        rounding, or a network from `wrap`.
    - `TypeError`: for an argument that is not a network, or neither a quantizer nor a calibration.

    **Reference:** [babai1986] for one layer, [frantar2023] layer by layer; for the first layer
    derived, above the code of the knots.
    """
    check_rule("feedback(net, q, points)", q)
    if bias_quantizer is not None:
        check_rule("feedback(bias_quantizer=...)", bias_quantizer)
    sweeps = checked_sweeps("feedback", sweeps)
    network, biased = _network(net)
    mlp = net if isinstance(net, eqx.nn.MLP) else None
    layers = _layers(network, biased, q, bias_quantizer)
    inputs = _points(points, network.widths[0], mlp is not None and mlp.in_size == "scalar")
    roots = _roots(point_weights, inputs.shape[0])
    wanted = _values(
        values, inputs.shape[0], network.widths[-1], mlp is not None and mlp.out_size == "scalar"
    )
    if inputs.shape[1] == 1:
        order = np.argsort(inputs[:, 0], kind="stable")
        inputs, roots = inputs[order], roots[order]
        wanted = wanted if wanted is None else wanted[order]
    ways = [_rounded(layers, inputs, roots, wanted, sweeps, False)]
    if inputs.shape[1] == 1 and len(layers) > 1 and layers[0].free is None:
        ways.append(_rounded(layers, inputs, roots, wanted, sweeps, True))
    ways.append(_to_nearest(layers, inputs, roots, wanted))
    # The cost that chooses the knots' pairs looks at the next layer only, and every layer at its
    # own pre-activations only: where later layers lose that, rounding to nearest may be better.
    rounded = min(ways, key=lambda way: way.error).parameters
    result = ReLUNetwork(
        [_in_place(w, new) for w, (new, _) in zip(network.weights, rounded, strict=True)],
        [like(b, new) for b, (_, new) in zip(network.biases, rounded, strict=True)],
    )
    return result if mlp is None else _as_mlp(mlp, result)


class _Layer(NamedTuple):
    weight: np.ndarray
    bias: np.ndarray
    free: np.ndarray | None  # entries (rows, columns + 1) that may differ from zero; None for all
    weight_grid: Grid
    bias_grid: Grid


class _Way(NamedTuple):
    parameters: list[tuple[np.ndarray, np.ndarray]]
    error: float


def _rounded(layers: list[_Layer], inputs, roots, wanted, sweeps: int, fractions: bool) -> _Way:
    """Matrices and biases on the grids, layer by layer; points of one input are sorted."""
    line = inputs[:, 0] if inputs.shape[1] == 1 else None
    changes = np.zeros(len(inputs) - 1, bool)
    exact = rounded = inputs
    layers, result, error = list(layers), [], 0.0
    for number, layer in enumerate(layers):
        outputs = exact @ layer.weight.T + layer.bias
        is_last = number == len(layers) - 1
        target = wanted if is_last and wanted is not None else outputs
        if number == 0 and not is_last and line is not None and layer.free is None:
            following = layers[1]
            weight, bias, factor = knots(
                layer.weight,
                layer.bias,
                following.weight,
                float(np.ptp(line)),
                layer.weight_grid,
                layer.bias_grid,
                following.weight_grid,
                fractions,
            )
            layers[1] = following._replace(weight=following.weight * factor)
            # The unrounded network is the same: its next layer gets the factors' inverses.
            exact = np.maximum(outputs, 0.0) / factor
        else:
            rows = roots[:, None] * np.concatenate(
                [rounded, np.ones((len(rounded), 1)), target], axis=1
            )
            if line is not None:
                starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
                rows = gathered(line, roots, starts, rows)
            weight, bias = _fitted(layer, rows, sweeps)
            exact = np.maximum(outputs, 0.0)
        result.append((weight, bias))
        before = rounded @ weight.T + bias
        if line is not None:
            changes |= np.any((before[1:] > 0) != (before[:-1] > 0), axis=1)
        rounded = np.maximum(before, 0.0)
        error = float(np.sum((roots[:, None] * (before - target)) ** 2))
    return _Way(result, error)


def _to_nearest(layers: list[_Layer], inputs, roots, wanted) -> _Way:
    """Every entry rounded for itself."""
    exact, rounded, result = inputs, inputs, []
    for number, layer in enumerate(layers):
        weight, bias = layer.weight_grid.whole(layer.weight), layer.bias_grid.whole(layer.bias)
        if layer.free is not None:
            weight = np.where(layer.free[:, :-1], weight, 0.0)
            bias = np.where(layer.free[:, -1], bias, 0.0)
        result.append((weight, bias))
        exact, rounded = exact @ layer.weight.T + layer.bias, rounded @ weight.T + bias
        if number < len(layers) - 1:
            exact, rounded = np.maximum(exact, 0.0), np.maximum(rounded, 0.0)
    target = exact if wanted is None else wanted
    return _Way(result, float(np.sum((roots[:, None] * (rounded - target)) ** 2)))


def _fitted(layer: _Layer, rows: np.ndarray, sweeps: int) -> tuple[np.ndarray, np.ndarray]:
    """The layer on its grids; the rows hold features, ones and targets, times their roots."""
    count = layer.weight.shape[1] + 1
    features, targets = rows[:, :count], rows[:, count:]
    entries = np.concatenate([layer.weight.T, layer.bias[None, :]])
    snaps = [*layer.weight_grid.columns(), *layer.bias_grid.columns()]
    rounded = np.zeros_like(entries)
    for kept, units in _patterns(layer.free, entries.shape):
        problem = from_features(
            features[:, kept],
            targets[:, units],
            entries[np.ix_(kept, units)],
            [snaps[i] for i in kept],
        )
        start = best_rounded(problem, entries[np.ix_(kept, units)])
        rounded[np.ix_(kept, units)] = descended(problem, start, sweeps)
    return rounded[:-1].T, rounded[-1]


def _patterns(free: np.ndarray | None, shape: tuple[int, ...]):
    """Entries that are free together, and the units for which they are."""
    if free is None:
        return [(np.arange(shape[0]), np.arange(shape[1]))]
    patterns, which = np.unique(free, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return [
        (np.flatnonzero(pattern), np.flatnonzero(which == k))
        for k, pattern in enumerate(patterns)
        if pattern.any()
    ]


def _network(net: Any) -> tuple[ReLUNetwork, list[bool]]:
    """The network, and which of its layers have a bias."""
    if any(isinstance(p, Wrapped) for p in jax.tree.leaves(net, is_leaf=_is_wrapped)):
        raise ValueError(
            "`feedback(net, ...)` must get a network with plain parameters; got one from `wrap`. "
            "Round the network before it is wrapped, or `unwrap(net)`."
        )
    if isinstance(net, eqx.nn.MLP):
        inner, last = net.use_bias, net.use_final_bias
        network = from_mlp(net)
        biased = [inner] * (network.depth - 1) + [last]
    elif isinstance(net, ReLUNetwork):
        network, biased = net, [True] * net.depth
    else:
        raise TypeError(
            "`feedback(net, ...)` must get a `ReLUNetwork` or an `equinox.nn.MLP`; got "
            f"{type(net).__name__}. `ReLUNetwork(weights, biases)` takes the parameters of other "
            "models."
        )
    if network.weights[0].ndim != 2:
        raise ValueError("`feedback(net, ...)` is for one network; unstack them first.")
    check_size("feedback(net)", network, "Use `quantize(net, q)`, which keeps them sparse.")
    return network, biased


def _is_wrapped(node: Any) -> bool:
    return isinstance(node, Wrapped)


def _layers(network: ReLUNetwork, biased: list[bool], q: Any, bias_quantizer: Any) -> list[_Layer]:
    """Parameters in float64, what of them is free, and their grids."""
    weights = [finite(f"feedback(net.weights[{i}])", w) for i, w in enumerate(network.weights)]
    biases = [finite(f"feedback(net.biases[{i}])", b) for i, b in enumerate(network.biases)]
    arrays = [w.values if isinstance(w, SparseMatrix) else w for w in network.weights]
    if isinstance(q, list | tuple) and len(q) != network.depth:
        raise ValueError(
            f"`feedback(net, q, points)` must get a pair of grids for each of the {network.depth} "
            f"layers; got {len(q)}."
        )
    every = grids(q, [*arrays, *network.biases])
    weight_grids, bias_grids = every[: network.depth], every[network.depth :]
    if bias_quantizer is not None:
        bias_grids[-1] = grids(bias_quantizer, [network.biases[-1]])[0]
    layers = []
    for i, (w, weight, bias) in enumerate(zip(network.weights, weights, biases, strict=True)):
        free = None
        if isinstance(w, SparseMatrix) or not biased[i]:
            free = np.ones((weight.shape[0], weight.shape[1] + 1), bool)
            free[:, -1] = biased[i]
            if isinstance(w, SparseMatrix):
                free[:, :-1] = False
                free[w.rows, w.columns] = True
        grid = weight_grids[i]._replace(shape=weight.shape)
        several = any(np.size(p) > 1 for p in jax.tree.leaves(grid.quantizer))
        if isinstance(w, SparseMatrix) and several and not is_table(grid.quantizer):
            raise ValueError(
                f"`feedback(net, q, points)` must get one step for the sparse `net.weights[{i}]`; "
                "got several. Use a scalar step, a calibration, or the dense matrix."
            )
        layers.append(_Layer(weight, bias, free, grid, bias_grids[i]))
    return layers


def _in_place(weight: Any, rounded: np.ndarray) -> Any:
    """The rounded matrix, sparse where the weight is."""
    if isinstance(weight, SparseMatrix):
        values = like(weight.values, rounded[weight.rows, weight.columns])
        return eqx.tree_at(lambda m: m.values, weight, values)
    return like(weight, rounded)


def _as_mlp(mlp: eqx.nn.MLP, network: ReLUNetwork) -> eqx.nn.MLP:
    """The MLP with the parameters of the network."""
    there = to_mlp(
        network,
        in_size="scalar" if mlp.in_size == "scalar" else None,
        out_size="scalar" if mlp.out_size == "scalar" else None,
        use_bias=mlp.use_bias,
        use_final_bias=mlp.use_final_bias,
        scan=mlp.scan,
    )
    leaves, structure = jax.tree.flatten(mlp.layers)
    arrays = iter(jax.tree.leaves(eqx.filter(there.layers, eqx.is_array)))
    leaves = [next(arrays) if eqx.is_array(leaf) else leaf for leaf in leaves]
    return eqx.tree_at(lambda m: m.layers, mlp, jax.tree.unflatten(structure, leaves))


def _points(points: Any, inputs: int, scalar: bool) -> np.ndarray:
    array = finite("feedback(points)", points)
    array = array[..., None] if scalar else array
    if array.ndim == 0 or array.shape[-1] != inputs or array.size == 0:
        raise ValueError(
            f"`feedback(points)` must have the shape (..., {inputs}) and at least one point; got "
            f"{array.shape}." + (" Use `points[..., None]`." if inputs == 1 else "")
        )
    return array.reshape(-1, inputs)


def _values(values: Any, count: int, outputs: int, scalar: bool) -> np.ndarray | None:
    if values is None:
        return None
    array = finite("feedback(values=...)", values)
    array = array[..., None] if scalar else array
    if array.ndim == 0 or array.shape[-1] != outputs or array.size != count * outputs:
        raise ValueError(
            f"`feedback(values=...)` must have the shape (..., {outputs}), one row for each of the "
            f"{count} points; got {array.shape}."
            + (" Use `values[..., None]`." if outputs == 1 else "")
        )
    return array.reshape(count, outputs)


def _roots(point_weights: Any, count: int) -> np.ndarray:
    """Square roots of the weights of the points, (P,)."""
    if point_weights is None:
        return np.ones(count)
    array = finite("feedback(point_weights=...)", point_weights)
    if array.size != count or np.any(array < 0) or not np.any(array > 0):
        raise ValueError(
            f"`feedback(point_weights=...)` must hold {count} non-negative numbers, one per point "
            f"and not all zero; got {array.size}, the smallest {np.min(array, initial=0.0)}."
        )
    return np.sqrt(array.reshape(-1))
