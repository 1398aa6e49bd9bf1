"""Cutting a segment at every kink of two networks."""

from collections.abc import Callable

import numpy as np

from ._pair import Layers


# Between neighboring nodes every unit of the layers before is affine, so the sign of a
# pre-activation changes at most once. Nodes need not be exact: what is proven on the cells holds
# wherever they end, and is tight when they end within rounding of the kinks.
def cut_segment(
    net: Layers,
    other: Layers,
    start: np.ndarray,
    end: np.ndarray,
    budget: int,
    late: Callable[[], bool],
):
    """Cells (K, 2, inputs) that cover a segment parallel to an axis, and whether all was cut.

    There are `budget` cells at most; nothing is cut any more when it is `late`.
    """
    axis = int((end > start).argmax())
    x = np.array([start[axis], end[axis]])

    def points(t: np.ndarray) -> np.ndarray:
        result = np.repeat(start[None], len(t), 0)
        result[:, axis] = t
        return result

    complete = True
    for layer in range(max(len(net.weights), len(other.weights)) - 1):
        if late() or len(x) > budget:
            complete = False
            break
        fresh = [x]
        for network in (net, other):
            if layer < len(network.weights) - 1:
                z = _pre_activations(network, points(x), layer)
                fresh.append(_zeros(z, x))
        more = np.setdiff1d(np.concatenate(fresh), x)
        room = budget + 1 - len(x)
        if len(more) > room:
            # Some of them, from everywhere.
            more, complete = more[np.arange(room) * len(more) // room], False
        x = np.sort(np.concatenate([x, more]))
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
