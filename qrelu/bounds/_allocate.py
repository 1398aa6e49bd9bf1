"""The fewest bits whose certificate meets an accuracy."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..networks import ReLUNetwork, SparseMatrix
from ..quantizers import Uniform
from ._curve import BitsCurve, apriori_errors, bits_curve
from ._enclose import enclose
from ._enclosure import Enclosure
from ._outward import Number
from ._pair import Layers, as_box, as_layers, as_network

# The symmetric grid of one bit has no zero, so that it changes the network's structure.
FEWEST = 2
_SAMPLES = 4096


class Allocation(NamedTuple):
    r"""Bits for the parameters of a network, with the rounded network and its certificate.

    **Attributes:**

    - `network`: the network with every parameter on its grid.
    - `certificate`: the `Enclosure` of the largest change; `certificate.upper` is at most the
        accuracy that was asked for.
    - `bits`: per layer one number, or per layer one for each channel, of shape $(N_l,)$.
    - `total`: bits of all parameters together, zeros included, without the steps of the grids.
    - `uniform`: the fewest bits per parameter that are certified if all parameters have the same.
    - `apriori`: the bits per parameter for which theory alone guarantees the accuracy, from the
        norms of this network's layers; None if no bits of its type do.
    - `curve`: certified, sampled and a-priori error against the bits per parameter, if asked for.
    """

    network: ReLUNetwork
    certificate: Enclosure
    bits: tuple[Int[np.ndarray, " channels"], ...]
    total: int
    uniform: int
    apriori: int | None
    curve: BitsCurve | None


def allocate_bits(
    network: Any,
    accuracy: Number,
    box: Any,
    *,
    per: Literal["network", "layer", "channel"] = "network",
    evaluation: Any = None,
    budget: int = 100_000,
    seconds: Number = 10.0,
    curve: bool = True,
) -> Allocation:
    r"""The fewest bits for which a network provably changes by at most `accuracy` on a box.

    Each matrix and each bias (per channel: each row of a matrix) has the symmetric grid of its own
    largest parameter and of the bits of its layer or channel, `Uniform.from_bits`, rounding to
    nearest. One number for all parameters is the smallest one that is certified by `enclose`. For
    layers and channels the bits are lowered one by one, those of many parameters first, while the
    certificate holds; the sum is then no larger than with one number, and locally smallest.

    **Arguments:**

    - `network`: a `ReLUNetwork` or `equinox.nn.MLP`.
    - `accuracy`: the largest change of an output that is allowed, positive.
    - `box`: the ends (lower, upper) of the inputs' box, numbers or arrays of shape $(N_0,)$.
    - `per`: what has bits of its own: "network", "layer" or "channel" (a neuron).
    - `evaluation`, `budget`, `seconds`: as in `enclose`, for each certificate.
    - `curve`: whether to certify every number of bits for the curve.

    **Returns:**

    An `Allocation`.

    **Raises:**

    - `ValueError`: for an accuracy that is not positive and finite, or one that no bits of the
        parameters' type reach; the message says which is the best.

    **Reference:** derived: every step is certified by `enclose`.
    """
    call = "allocate_bits(network, accuracy, box)"
    net = as_network(call, network)
    layers = as_layers(call, net, "exact")
    lower, upper = as_box("allocate_bits", box, layers.inputs)
    if not (math.isfinite(accuracy) and accuracy > 0):
        raise ValueError(
            f"`allocate_bits(accuracy=...)` must be positive and finite; got {accuracy}. No "
            "rounding leaves every network as it is."
        )
    if per not in ("network", "layer", "channel"):
        raise ValueError(
            f'`allocate_bits(per=...)` must be "network", "layer" or "channel"; got {per!r}.'
        )
    dense = _dense(net)
    most = min(int(np.finfo(p.dtype).nmant) + 1 for p in (*dense.weights, *dense.biases))
    points = _points(lower, upper)

    def certify(other: ReLUNetwork) -> Enclosure:
        return enclose(
            dense,
            other,
            (lower, upper),
            gap=0.05,
            budget=budget,
            seconds=float(seconds),
            evaluation=evaluation,
        )

    def same(b: int) -> list[np.ndarray]:
        return [np.full(n, b) for n in dense.widths[1:]]

    search = _Search(dense, layers, points, float(accuracy), certify, False)
    uniform = _uniform(search, most)
    found, bits = search, same(uniform)
    if per == "layer":
        bits = _by_layer(search, uniform, most)
    elif per == "channel":
        found = _Search(dense, layers, points, float(accuracy), certify, True)
        bits = _by_layer(found, _uniform(found, most), most)
        channels = [(k, i) for k, b in enumerate(bits) for i in range(len(b))]
        bits = _lowered(found, bits, channels)
    radius = float(np.maximum(np.abs(lower), np.abs(upper)).max())
    numbers = range(FEWEST, most + 1)
    errors = apriori_errors(dense, radius, numbers)
    enough = next((b for b, e in zip(numbers, errors, strict=True) if e <= accuracy), None)
    shown = range(FEWEST, min(most, max(uniform + 2, enough or 0)) + 1)
    drawn = None
    if curve:
        drawn = bits_curve(
            shown,
            lambda b: search.certificate(same(b)).upper,
            lambda b: search.sampled(same(b)),
            errors[: len(shown)],
        )
    return Allocation(
        found.rounded(bits),
        found.certificate(bits),
        tuple(bits),
        found.total(bits),
        uniform,
        enough,
        drawn,
    )


class _Search:
    """Remembers which bits were sampled and certified."""

    def __init__(
        self,
        network: ReLUNetwork,
        layers: Layers,
        points: Float[np.ndarray, "points inputs"],
        accuracy: float,
        certify: Callable[[ReLUNetwork], Enclosure],
        channels: bool,
    ):
        self.network = network
        self.points = points
        self.values = layers(points)
        self.accuracy = accuracy
        self.certify = certify
        self.channels = channels
        self.certificates: dict[Any, Enclosure] = {}
        # The parameters that a channel's bits are spent on: its row and its bias.
        self.counts = [w.shape[1] + 1 for w in network.weights]

    def total(self, bits: Sequence[np.ndarray]) -> int:
        return sum(int(b.sum()) * n for b, n in zip(bits, self.counts, strict=True))

    def rounded(self, bits: Sequence[np.ndarray]) -> ReLUNetwork:
        return rounded(self.network, bits, self.channels)

    def sampled(self, bits: Sequence[np.ndarray]) -> float:
        other = as_layers("allocate_bits", self.rounded(bits), "exact")
        return float(np.abs(other(self.points) - self.values).max())

    def certificate(self, bits: Sequence[np.ndarray]) -> Enclosure:
        key = _key(bits)
        if key not in self.certificates:
            self.certificates[key] = self.certify(self.rounded(bits))
        return self.certificates[key]

    def holds(self, bits: Sequence[np.ndarray]) -> bool:
        # Points cannot prove, but they can refute, and cost little.
        return self.sampled(bits) <= self.accuracy and self.certificate(bits).upper <= self.accuracy


def _uniform(search: _Search, most: int) -> int:
    for b in range(FEWEST, most + 1):
        bits = [np.full(n, b) for n in search.network.widths[1:]]
        if search.holds(bits):
            return b
    bits = [np.full(n, most) for n in search.network.widths[1:]]
    best = search.certificate(bits).upper
    raise ValueError(
        f"`allocate_bits(accuracy={search.accuracy:.6g})` is out of reach: the best certified "
        f"error, with the {most} bits of the parameters' type, is {best:.6g}. Ask for that much, "
        'pass `evaluation="exact"` to leave out rounding errors of evaluations, or use float64.'
    )


def _by_layer(search: _Search, uniform: int, most: int) -> list[np.ndarray]:
    """Lowered layer by layer from equal bits, and from up to two more, the least total."""
    groups = [(k, slice(None)) for k in range(len(search.counts))]
    found = []
    for b in range(uniform, min(uniform + 2, most) + 1):
        bits = [np.full(n, b) for n in search.network.widths[1:]]
        if search.holds(bits):  # more bits may do worse by chance
            found.append(_lowered(search, bits, groups))
    return min(found, key=search.total)


def _lowered(
    search: _Search, bits: list[np.ndarray], groups: list[tuple[int, Any]]
) -> list[np.ndarray]:
    """Each group as far down as the certificate holds, by bisection, until none can be lowered."""
    order = sorted(groups, key=lambda g: -search.counts[g[0]] * np.size(bits[g[0]][g[1]]))
    changed = True
    while changed:
        changed = False
        for layer, part in order:
            above, below = int(np.max(bits[layer][part])), FEWEST - 1
            # The first trial is one bit less: most groups stay where they are.
            trial = above - 1
            while above - below > 1:
                fewer = [b.copy() for b in bits]
                fewer[layer][part] = trial
                if search.holds(fewer):
                    bits, above, changed = fewer, trial, True
                else:
                    below = trial
                trial = (above + below) // 2
    return bits


def rounded(network: ReLUNetwork, bits: Sequence[np.ndarray], channels: bool) -> ReLUNetwork:
    """The network on the grids of these bits, one number per row of each layer.

    With `channels` each row of a matrix has the grid of its own largest entry.
    """
    weights, biases = [], []
    for w, c, b in zip(network.weights, network.biases, bits, strict=True):
        w, c = np.array(w), np.array(c)
        largest = float(np.abs(c).max())
        if channels:
            for row, n in enumerate(b.tolist()):
                w[row] = _on_grid(w[row], n, float(np.abs(w[row]).max()))
        else:
            w = _on_grid(w, int(b[0]), float(np.abs(w).max()))
        for n in np.unique(b).tolist():
            c[b == n] = _on_grid(c[b == n], n, largest)
        weights.append(w)
        biases.append(c)
    return ReLUNetwork(weights, biases)


def _on_grid(values: np.ndarray, bits: int, magnitude: float) -> np.ndarray:
    if magnitude == 0:
        return values
    return np.asarray(Uniform.from_bits(bits, magnitude)(values))


def _dense(network: ReLUNetwork) -> ReLUNetwork:
    weights = [w.to_dense() if isinstance(w, SparseMatrix) else w for w in network.weights]
    return ReLUNetwork([np.asarray(w) for w in weights], [np.asarray(b) for b in network.biases])


def _points(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    inside = rng.uniform(size=(_SAMPLES, len(lower)))
    corners = rng.integers(0, 2, (64, len(lower)))
    return lower + (upper - lower) * np.concatenate([inside, corners])


def _key(bits: Sequence[np.ndarray]) -> tuple:
    return tuple(tuple(b.tolist()) for b in bits)
