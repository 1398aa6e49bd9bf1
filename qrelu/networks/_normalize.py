"""The same function with balanced magnitudes."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._network import ReLUNetwork, check_concrete, check_network
from ._sparse import SparseMatrix, nonzeros, with_values

# Differences of base-2 logarithms that count as balanced: a few rounding errors of the logarithms.
_CONVERGED = 1e-13
_MAX_SWEEPS = 10_000
_FAST_SWEEPS = 300


def normalize(network: ReLUNetwork, *, powers_of_two: bool = False) -> ReLUNetwork:
    r"""The same function with balanced magnitudes.

    Since $\rho(c x) = c\,\rho(x)$ for $c > 0$, the incoming parameters of a hidden neuron can be
    multiplied by $c$ and its outgoing weights divided by $c$. In the result the largest absolute
    incoming parameter (weights and bias) of every hidden neuron equals its largest absolute
    outgoing weight. Neurons without nonzero incoming or outgoing parameters are left as they are.

    Zeros stay zeros, so `connectivity` is unchanged. Computed in NumPy float64, outside of `jit`.

    **Arguments:**

    - `network`: the network.
    - `powers_of_two`: whether to use only powers of two. Then no parameter is rounded, the function
      is the same bit for bit (short of overflow and subnormal numbers), and the two maxima agree
      within a factor of two.

    **Returns:**

    A network with the same types of arrays and the same dtypes.

    **Raises:**

    - `ValueError`: for parameters that are not finite.

    **Reference:** derived, above the code.
    """
    check_network("normalize(network)", network)
    check_concrete("normalize(network)", network)
    if not math.isfinite(network.magnitude):
        raise ValueError("`normalize(network)` must be given finite parameters; got NaN or inf.")
    layers = [
        _Layer(w, np.asarray(b).astype(np.float64))
        for w, b in zip(network.weights, network.biases, strict=True)
    ]
    # With s_l the base-2 logarithms of the scales of layer l, the weight w_ij of layer l becomes
    # 2^(s_l[i] - s_(l-1)[j]) w_ij. Balancing one neuron given its neighbors (Osborne's method in
    # the maximum norm) replaces high > low, the logarithms of its two maxima, by their mean: the
    # largest logarithm around it falls, none around it rises above the new one, so the sorted
    # logarithms of all parameters decrease lexicographically and the sweeps converge. Moving by
    # round((high - low) / 2) when high - low > 1 lowers the larger one too, so whole sweeps on
    # integers end, with maxima within a factor of two.
    largest = np.array([np.max(layer.log, initial=-np.inf) for layer in layers])
    largest[np.isinf(largest)] = 0.0
    shares = np.cumsum(np.mean(largest) - largest)  # equal maxima for all matrices: a good start
    scales = [np.zeros(n) for n in network.widths]
    for before, after, s, share in zip(layers, layers[1:], scales[1:], shares, strict=False):
        s[before.receives & after.sends] = share
    _sweep(layers, scales, whole=False)
    if powers_of_two:
        scales = [np.round(s) for s in scales]
        _sweep(layers, scales, whole=True)
    weights = [
        _scaled(w, s, r) for w, s, r in zip(network.weights, scales[1:], scales[:-1], strict=True)
    ]
    biases = [
        _like(b, np.asarray(b, np.float64) * np.exp2(s))
        for b, s in zip(network.biases, scales[1:], strict=True)
    ]
    return ReLUNetwork(weights, biases)


class _Layer:
    """Logarithms of the nonzero parameters of one layer, by rows and by columns."""

    def __init__(self, matrix: Any, bias: np.ndarray):
        rows, columns = matrix.shape
        self.row, self.column, values = nonzeros(matrix)
        self.log = np.log2(np.abs(values.astype(np.float64)))
        with np.errstate(divide="ignore"):
            self.bias = np.log2(np.abs(bias))
        self.by_row = _Groups(self.row, rows)
        self.by_column = _Groups(self.column, columns)
        self.receives = (np.bincount(self.row, minlength=rows) > 0) | (bias != 0)
        self.sends = np.bincount(self.column, minlength=columns) > 0

    def incoming(self, before: np.ndarray) -> np.ndarray:
        """The largest logarithm per row, without the row's own scale."""
        return np.maximum(self.by_row.largest(self.log - before[self.column]), self.bias)

    def outgoing(self, after: np.ndarray) -> np.ndarray:
        """The largest logarithm per column, without the column's own scale."""
        return self.by_column.largest(self.log + after[self.row])


class _Groups:
    """Maxima over groups of entries, minus infinity where a group is empty."""

    def __init__(self, group: np.ndarray, count: int):
        self.order = np.argsort(group, kind="stable")
        self.present, self.starts = np.unique(group[self.order], return_index=True)
        self.count = count

    def largest(self, entries: np.ndarray) -> np.ndarray:
        result = np.full(self.count, -np.inf)
        if len(self.present):
            result[self.present] = np.maximum.reduceat(entries[self.order], self.starts)
        return result


def _sweep(layers: list[_Layer], scales: list[np.ndarray], whole: bool) -> None:
    """Balance all hidden layers in place, one after the other, until nothing moves."""
    # Along a chain of layers the sweeps are Gauss-Seidel for a discrete Laplacian: over-relaxation
    # by Young's factor, kept below the values that made wide networks oscillate, saves two thirds
    # of them. Plain sweeps, which are sure to converge, take over in time.
    fast = 1.0 if whole else min(1.5, 2 / (1 + np.sin(np.pi / len(layers))))
    for k in range(_MAX_SWEEPS):
        moved = 0.0
        for i in range(1, len(layers)):
            alive = layers[i - 1].receives & layers[i].sends
            high = layers[i].outgoing(scales[i + 1])[alive]
            low = layers[i - 1].incoming(scales[i - 1])[alive]
            step = (high - low) / 2 - scales[i][alive]
            step = np.where(np.abs(step) > 0.5, np.round(step), 0.0) if whole else step
            scales[i][alive] += (fast if k < _FAST_SWEEPS else 1.0) * step
            moved = max(moved, float(np.max(np.abs(step), initial=0.0)))
        if moved <= _CONVERGED:
            return


def _scaled(matrix: Any, s: np.ndarray, r: np.ndarray) -> Any:
    """A matrix with its rows multiplied by 2^s and its columns by 2^-r."""
    if isinstance(matrix, SparseMatrix):
        shift = s[matrix.rows] - r[matrix.columns]
        values = np.asarray(matrix.values).astype(np.float64) * np.exp2(shift)
        return with_values(matrix, _like(matrix.values, values))
    values = np.asarray(matrix).astype(np.float64) * np.exp2(s[:, None] - r[None, :])
    return _like(matrix, values)


def _like(parameter: Any, value: np.ndarray) -> Any:
    """`value` as the same kind of array and the same dtype as `parameter`."""
    value = value.astype(parameter.dtype)
    return value if isinstance(parameter, np.ndarray) else jnp.asarray(value)
