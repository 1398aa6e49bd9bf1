"""Cutting a segment at every kink of two networks."""

import numpy as np

from ._pair import Layers


# Between neighboring nodes every unit of the layers before is affine, so the sign of a
# pre-activation changes at most once. Nodes need not be exact: what is proven on the cells holds
# wherever they end, and is tight when they end within rounding of the kinks.
def cut_segment(net: Layers, other: Layers, start: np.ndarray, end: np.ndarray, budget: int):
    """Cells (K, 2, inputs) that cover a segment parallel to an axis, and whether all was cut."""
    axis = int((end > start).argmax())
    x = np.array([start[axis], end[axis]])

    def points(t: np.ndarray) -> np.ndarray:
        result = np.repeat(start[None], len(t), 0)
        result[:, axis] = t
        return result

    complete = True
    hidden = max(len(net.weights), len(other.weights)) - 1
    for layer in range(hidden):
        fresh = [x]
        for network in (net, other):
            if layer < len(network.weights) - 1:
                z = _pre_activations(network, points(x), layer)
                fresh.append(_zeros(z, x))
        x = np.unique(np.concatenate(fresh))
        if len(x) - 1 > budget:
            complete = layer == hidden - 1
            break
    nodes = points(x)
    return np.stack([nodes[:-1], nodes[1:]], 1), complete


def _pre_activations(network: Layers, points: np.ndarray, layer: int) -> np.ndarray:
    first = Layers(network.weights[: layer + 1], network.biases[: layer + 1], network.arithmetic)
    return first(points).T


def _zeros(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Where the rows of z change sign between the nodes x."""
    rows, k = np.nonzero(z[:, :-1] * z[:, 1:] < 0)
    left, right = z[rows, k], z[rows, k + 1]
    t = left / (left - right)
    zeros = np.where(
        t <= 0.5,
        x[k] + t * (x[k + 1] - x[k]),
        x[k + 1] - right / (right - left) * (x[k + 1] - x[k]),
    )
    zeros = np.clip(zeros, x[k], x[k + 1])
    return zeros[np.isfinite(zeros)]
