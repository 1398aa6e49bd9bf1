"""Random starts of deep networks: many are drawn, and those whose last layer does most are kept."""

import numpy as np
import scipy.linalg

from ._deep_layers import Layers, hidden, random_layers, renew
from ._deep_points import Points

# How many are drawn for one that is kept.
_DRAWN = 16
# The ridge of the last layer relative to its columns: dead neurons get the weight 0.
_RIDGE = 1e-9


def best_starts(
    widths: tuple[int, ...], points: Points, count: int, rng: np.random.Generator
) -> list[Layers]:
    """`count` starts, the best first, half of them random layers and half random foldings.

    The last layer of every draw is the best one for the others; the draws with the least error of
    each kind are kept. Only networks with one input and two hidden layers or more can fold.
    """
    folding = len(widths) > 3 and widths[0] == 1
    kinds = [random_layers, folding_layers] if folding else [random_layers]
    found = []
    for kind in kinds:
        share = -(-count // len(kinds))
        drawn = [
            with_best_last_layer(kind(widths, points.x, rng), points) for _ in range(_DRAWN * share)
        ]
        found += sorted(drawn, key=lambda pair: pair[0])[:share]
    return [layers for _, layers in sorted(found, key=lambda pair: pair[0])[:count]]


def with_best_last_layer(layers: Layers, points: Points) -> tuple[float, Layers]:
    """The squared error with the best last layer, and the layers with that one."""
    h = hidden(layers, len(layers) - 1, points.x)
    columns = np.concatenate([h, np.ones((1, h.shape[1]))]) * points.root
    size = np.sqrt(np.sum(columns**2, axis=1))
    columns = columns / np.where(size > 0, size, 1.0)[:, None]
    matrix = columns @ columns.T + _RIDGE * np.eye(len(columns))
    right = points.y * points.root
    c = scipy.linalg.solve(matrix, columns @ right, assume_a="pos")
    error = float(np.sum((right - c @ columns) ** 2))
    c = np.where(size > 0, c / np.where(size > 0, size, 1.0), 0.0)
    return error, [*layers[:-1], (c[None, :-1].copy(), c[-1:].copy())]


def folding_layers(widths: tuple[int, ...], x: np.ndarray, rng: np.random.Generator) -> Layers:
    r"""A network that folds the interval evenly onto itself and bends the result at random points.

    All hidden layers but the last one compute a zigzag: p pieces of one length h in which a value
    rises from 0 to 1 and falls back, $(u_0 - 2 u_1 + 2 u_2 - \ldots) / h$ with
    $u_j = \rho(u - t_0 - j h)$; the next layer zigzags in that value, so that the pieces of the
    layers multiply. The first zigzag may begin half a piece of all together before the interval (a
    sine turns a quarter period after its zero), or anywhere up to one of its own pieces before it.
    The last hidden layer has its kinks at random places. Neurons that are left over are random.
    """
    inner = len(widths) - 3
    folds = [int(rng.integers(1, n + 1)) for n in widths[1 : 1 + inner]]
    pairs = zip(widths[:-1], widths[1:], strict=True)
    layers = [(np.zeros((b, a)), np.zeros(b)) for a, b in pairs]
    row, shift = np.ones(1), 0.0  # the value that is folded: row . (what the layer gets) + shift
    for k, p in enumerate(folds):
        length, start = 1 / p, 0.0
        if k == 0:
            length = 1 / max(p - int(rng.integers(2)), 1)
            composed = length / np.prod(folds[1:]) if inner > 1 else length
            start = -float(rng.choice([0.0, composed / 2, length * rng.uniform()]))
        w, b = layers[k]
        w[:p, : row.size] = row
        b[:p] = shift - start - length * np.arange(p)
        row = np.where(np.arange(p) % 2 == 0, 2.0, -2.0) / length
        row[0], shift = 1 / length, 0.0
    w, b = layers[inner]
    sign = rng.choice([-1.0, 1.0], size=len(b))
    w[:, : row.size] = sign[:, None] * row
    b[:] = sign * (shift - rng.uniform(size=len(b)))
    even = np.ones(x.shape[-1])
    for k, p in enumerate(folds):
        renew(layers, k, range(p, widths[k + 1]), x, even, rng)
    return layers
