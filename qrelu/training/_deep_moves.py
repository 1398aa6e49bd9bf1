"""How basin hopping leaves a local optimum."""

import numpy as np

from ._deep_layers import Layers, balanced, hidden, renew, values

# Relative noise between these sizes, uniform in the logarithm.
_LEAST, _MOST = 0.01, 0.5
# How often each move is made. Measured on sin(2 pi x) with three hidden layers of width 4: of all
# moves of a kind, 15, 10, 4 and 1 in a hundred end below the parent.
_KINDS = ("cross", "layer", "noise", "weak", "residual")
_SHARES = (0.25, 0.25, 0.2, 0.15, 0.15)


def moved(
    parent: Layers, other: Layers, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> Layers:
    """A neighbor of `parent`: a start for the next local fit.

    - "cross": the first layers of the parent and the last ones of another member of the pool;
    - "layer": multiplicative noise in one layer, "noise": in all of them;
    - "weak": new weights for a neuron that does little;
    - "residual": new weights for any neuron, with a kink where the error is large.
    """
    layers = balanced(parent)
    kind = rng.choice(_KINDS, p=_SHARES)
    size = np.exp(rng.uniform(np.log(_LEAST), np.log(_MOST)))
    if kind == "cross":
        k = int(rng.integers(1, len(layers)))
        return [*layers[:k], *balanced(other)[k:]]
    if kind == "layer":
        k = int(rng.integers(len(layers)))
        layers[k] = _noisy(layers[k], size, rng)
    elif kind == "noise":
        layers = [_noisy(layer, size, rng) for layer in layers]
    elif kind == "weak":
        places = _by_contribution(layers, x)
        k, j = places[min(int(rng.exponential(2.0)), len(places) - 1)]
        renew(layers, k, [j], x, _density(layers, x, y), rng)
    else:
        k = int(rng.integers(len(layers) - 1))
        density = _density(layers, x, y)
        renew(layers, k, [int(rng.integers(layers[k][1].size))], x, density, rng)
    return layers


def _noisy(layer: tuple[np.ndarray, np.ndarray], size: float, rng: np.random.Generator):
    w, b = layer
    return w * (1 + size * rng.normal(size=w.shape)), b * (1 + size * rng.normal(size=b.shape))


def _by_contribution(layers: Layers, x: np.ndarray) -> list[tuple[int, int]]:
    """All neurons, those first that change the next layer least."""
    found = []
    for k in range(len(layers) - 1):
        size = hidden(layers, k + 1, x).std(axis=1) * np.sum(np.abs(layers[k + 1][0]), axis=0)
        found += [(float(s), k, j) for j, s in enumerate(size)]
    return [(k, j) for _, k, j in sorted(found)]


def _density(layers: Layers, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (values(layers, x) - y) ** 2 + 1e-12
