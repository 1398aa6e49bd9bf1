"""Parameters of deep networks as vectors, and how they are changed between fits, in NumPy."""

from collections.abc import Sequence

import numpy as np

from ..networks import ReLUNetwork

Layers = list[tuple[np.ndarray, np.ndarray]]


def count_of(widths: tuple[int, ...]) -> int:
    """How many parameters there are."""
    return sum(a * b + b for a, b in zip(widths[:-1], widths[1:], strict=True))


def split(vector: np.ndarray, widths: tuple[int, ...]) -> Layers:
    """The matrices and biases that a vector holds, as copies."""
    layers, i = [], 0
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        middle, end = i + a * b, i + a * b + b
        layers.append((vector[i:middle].reshape(b, a).copy(), vector[middle:end].copy()))
        i = end
    return layers


def join(layers: Layers) -> np.ndarray:
    """The inverse of `split`."""
    return np.concatenate([np.concatenate([w.ravel(), b]) for w, b in layers])


def hidden(layers: Layers, k: int, x: np.ndarray) -> np.ndarray:
    """What layer k gets as its input at points (d, n), or (n,) for d = 1; shape (N_k, n)."""
    h = np.atleast_2d(x)
    for w, b in layers[:k]:
        h = np.maximum(w @ h + b[:, None], 0.0)
    return h


def values(layers: Layers, x: np.ndarray) -> np.ndarray:
    """The function at the points, shape (n,)."""
    w, b = layers[-1]
    return (w @ hidden(layers, len(layers) - 1, x) + b[:, None])[0]


def balanced(layers: Layers) -> Layers:
    """The same function, what enters a neuron as large as what leaves it."""
    layers = list(layers)
    for k in range(len(layers) - 1):
        (w, b), (after, c) = layers[k], layers[k + 1]
        into = np.sqrt(np.sum(w**2, axis=1) + b**2)
        out = np.sqrt(np.sum(after**2, axis=0))
        usable = (into > 1e-12) & (out > 1e-12)
        s = np.sqrt(np.where(usable, out, 1.0) / np.where(usable, into, 1.0))
        layers[k], layers[k + 1] = (w * s[:, None], b * s), (after / s, c)
    return layers


def renew(
    layers: Layers,
    k: int,
    neurons: Sequence[int],
    x: np.ndarray,
    density: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Neurons of layer k get random weights and kinks at points drawn with this density.

    They start with small outgoing weights, so that the function changes little.
    """
    w, b = layers[k]
    after, _ = layers[k + 1]
    h, which = hidden(layers, k, x), np.asarray(neurons, np.intp)
    spread = h.std(axis=1)
    spread = np.maximum(spread, 1e-3 * spread.max() + 1e-12)
    w[which] = rng.normal(size=(which.size, len(h))) / spread / np.sqrt(len(h))
    kinks = h[:, rng.choice(h.shape[1], size=which.size, p=density / density.sum())]
    b[which] = -np.sum(w[which] * kinks.T, axis=1)
    small = 0.1 * np.mean(np.abs(after))
    after[:, which] = small * rng.normal(size=(len(after), which.size))


def random_layers(widths: tuple[int, ...], x: np.ndarray, rng: np.random.Generator) -> Layers:
    """Random weights, with the kink of every neuron at a random point."""
    pairs = zip(widths[:-1], widths[1:], strict=True)
    layers = [(np.zeros((b, a)), np.zeros(b)) for a, b in pairs]
    even = np.ones(x.shape[-1])
    for k, width in enumerate(widths[1:-1]):
        renew(layers, k, range(width), x, even, rng)
    w, _ = layers[-1]
    w[:] = rng.normal(size=w.shape)
    return layers


def embedded(
    layers: Layers, widths: tuple[int, ...], x: np.ndarray, rng: np.random.Generator
) -> Layers:
    """Nearly the same function with more neurons, the added ones as `renew` draws them."""
    pairs = zip(widths[:-1], widths[1:], strict=True)
    wide = [(np.zeros((b, a)), np.zeros(b)) for a, b in pairs]
    for (w, b), (v, c) in zip(wide, layers, strict=True):
        w[: v.shape[0], : v.shape[1]], b[: c.size] = v, c
    even = np.ones(x.shape[-1])
    for k, (_, c) in enumerate(layers[:-1]):
        renew(wide, k, range(c.size, widths[k + 1]), x, even, rng)
    return wide


def to_network(
    layers: Layers, box: tuple[np.ndarray, np.ndarray], mean: float, unit: float
) -> ReLUNetwork:
    """The network on the box, from layers for the unit cube and values (f - mean) / unit."""
    (w, b), (v, c) = layers[0], layers[-1]
    lower, upper = box
    w = w / (upper - lower)
    layers = [(w, b - w @ lower), *layers[1:-1]]
    layers.append((unit * v, unit * c + mean))
    return ReLUNetwork([w for w, _ in layers], [b for _, b in layers])


def from_network(
    network: ReLUNetwork, box: tuple[np.ndarray, np.ndarray], mean: float, unit: float
) -> Layers:
    """The inverse of `to_network`."""
    pairs = zip(network.weights, network.biases, strict=True)
    layers = [(np.asarray(w, np.float64), np.asarray(b, np.float64)) for w, b in pairs]
    (w, b), (v, c) = layers[0], layers[-1]
    lower, upper = box
    layers = [(w * (upper - lower), b + w @ lower), *layers[1:-1]]
    return [*layers, (v / unit, (c - mean) / unit)]
