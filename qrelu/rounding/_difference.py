"""The difference of two networks of the same widths as an exact sum over their parameters."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Numbers of one block's largest array, 8 MB: it stays near the cache whatever the number of points.
_BLOCK = 2**20


# Let h_l, z_l and H_l, Z_l be activations and pre-activations of the two networks, bars means of
# the two. Exactly, for products and for the ReLU,
#
#     Z_l - z_l = (W'_l - W_l) hbar_{l-1} + (b'_l - b_l) + Wbar_l (H_{l-1} - h_{l-1}),
#     H_l - h_l = S_l (Z_l - z_l),   S_l = diag of secant slopes, in [0, 1].
#
# Put one into the other from l = L down to l = 1, where the inputs agree:
#
#     R'(x) - R(x) = sum_l A_l(x) [(W'_l - W_l) hbar_{l-1}(x) + (b'_l - b_l)],
#     A_L = 1,   A_{l-1} = A_l Wbar_l S_{l-1}.
#
# It is linear in the change of every single parameter, complete (no remainder), does not depend on
# an order of the layers, and changes its sign when the networks change places. As the change goes
# to 0 the summands become the first-order terms (W' - W) dR/dW, (b' - b) dR/db.
class Decomposition(NamedTuple):
    """Sums over the points with weights that add to 1; index 2 l is a matrix, 2 l + 1 its bias."""

    difference: np.ndarray  # (P, outputs)
    contributions: np.ndarray  # (2 L, P, outputs), they add to the difference
    products: list[np.ndarray]  # of every parameter's contribution with the difference
    squares: list[np.ndarray]  # of every parameter's contribution with itself


class Parameters(NamedTuple):
    """Matrices and biases in float64."""

    weights: Sequence[np.ndarray]
    biases: Sequence[np.ndarray]


def decompose(old: Parameters, new: Parameters, points, mass) -> Decomposition:
    """Points (P, N_0), weights of the points (P,) that add to 1."""
    count, outputs = points.shape[0], old.weights[-1].shape[0]
    leaves = [p for pair in zip(old.weights, old.biases, strict=True) for p in pair]
    result = Decomposition(
        np.empty((count, outputs)),
        np.empty((len(leaves), count, outputs)),
        [np.zeros(p.shape) for p in leaves],
        [np.zeros(p.shape) for p in leaves],
    )
    widest = max(max(w.shape) for w in old.weights)
    rows = max(1, _BLOCK // (widest * outputs))
    for start in range(0, count, rows):
        here = slice(start, start + rows)
        _add_block(result, old, new, points[here], mass[here], here)
    return result


def _add_block(result: Decomposition, old: Parameters, new: Parameters, points, mass, here):
    z, h = propagate(old, points)
    z_new, h_new = propagate(new, points)
    difference = result.difference[here] = z_new[-1] - z[-1]
    outputs = difference.shape[1]
    # A_l for every point and every output, (points, outputs, N_l).
    back = np.broadcast_to(np.eye(outputs), (len(points), outputs, outputs))
    for layer in range(len(z) - 1, -1, -1):
        change = new.weights[layer] - old.weights[layer]
        change_bias = new.biases[layer] - old.biases[layer]
        mean = (h[layer] + h_new[layer]) / 2
        result.contributions[2 * layer, here] = np.einsum("poi,pi->po", back, mean @ change.T)
        result.contributions[2 * layer + 1, here] = back @ change_bias
        toward = mass[:, None] * np.einsum("poi,po->pi", back, difference)
        size = mass[:, None] * np.sum(back**2, axis=1)
        result.products[2 * layer][...] += change * (toward.T @ mean)
        result.products[2 * layer + 1][...] += change_bias * toward.sum(axis=0)
        result.squares[2 * layer][...] += change**2 * (size.T @ mean**2)
        result.squares[2 * layer + 1][...] += change_bias**2 * size.sum(axis=0)
        if layer > 0:
            slopes = secant_slopes(z[layer - 1], z_new[layer - 1])
            back = (back @ ((old.weights[layer] + new.weights[layer]) / 2)) * slopes[:, None, :]


def propagate(parameters: Parameters, points) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The pre-activations z_1, ..., z_L and what the layers get, h_0 = x, ..., h_{L-1}."""
    z, h = [], [points]
    for weight, bias in zip(*parameters, strict=True):
        z.append(h[-1] @ weight.T + bias)
        h.append(np.maximum(z[-1], 0.0))
    return z, h[:-1]


def secant_slopes(z, other):
    """(relu(other) - relu(z)) / (other - z), without cancellation; where they agree 0 or 1."""
    low, high = np.minimum(z, other), np.maximum(z, other)
    across = (low < 0) & (high > 0)
    # high - low is at least high, so the quotient cannot exceed 1.
    part = np.divide(high, high - low, out=np.zeros_like(high), where=across)
    return np.where(across, part, (low >= 0).astype(float))


def ablations(old: Parameters, new: Parameters, points, mass) -> tuple[np.ndarray, np.ndarray]:
    """Errors with only one parameter array rounded, and with all but that one, (2 L,) each."""
    names = 2 * len(old.weights)
    alone, without = np.zeros(names), np.zeros(names)
    rows = max(1, _BLOCK // max(max(w.shape) for w in old.weights))
    for start in range(0, len(points), rows):
        x, m = points[start : start + rows], mass[start : start + rows]
        z, h = propagate(old, x)
        z_new, h_new = propagate(new, x)
        for i in range(names):
            for total, base, outer, inputs in (
                (alone, old, new, h),
                (without, new, old, h_new),
            ):
                y = _exchanged(base, outer, i, inputs[i // 2])
                total[i] += m @ np.sum((y - z[-1]) ** 2, axis=1)
    return np.sqrt(alone), np.sqrt(without)


def _exchanged(base: Parameters, other: Parameters, i: int, h):
    """The values of `base` with its array number i taken from `other`, from its layer on."""
    for layer in range(i // 2, len(base.weights)):
        weight = (other if i == 2 * layer else base).weights[layer]
        bias = (other if i == 2 * layer + 1 else base).biases[layer]
        h = h if layer == i // 2 else np.maximum(h, 0.0)
        h = h @ weight.T + bias
    return h
