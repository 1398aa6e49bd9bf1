"""A network written with any gains, then with the weights of an alphabet only."""

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..networks import ReLUNetwork, SparseMatrix
from ._alphabets import Alphabet

# A matrix with a larger share of nonzero entries than this is kept dense, as in
# `networks.sparsify`; benchmarks/sparse_networks_evaluate_in_seconds.py measures it.
_DENSE = 1 / 16


Gain: TypeAlias = float | int | np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Wires:
    """Some units of one layer."""

    layer: int
    index: np.ndarray

    def __getitem__(self, which) -> "Wires":
        return Wires(self.layer, np.atleast_1d(self.index[which]))

    def __len__(self) -> int:
        return len(self.index)


class Circuit:
    r"""Layers of units $\rho(\sum_i c_i v_i)$ with real gains $c_i$, and their expansion.

    A unit stands for one nonnegative number. In the network that number is held by several
    identical units, its copies: a gain that is the sum of $k$ weights of the alphabet takes $k$
    edges from $k$ different copies. How many copies a unit needs is known only when all its
    consumers are, so units are written first and expanded afterwards, from the output back; what
    does not reach the output is left out.

    Wires that are asked for in a later layer are carried there by identities, once.
    """

    def __init__(self, inputs: int):
        self.sizes = [inputs]
        # Per layer: rows, columns, gains of its edges; rows and values of its biases.
        self._edges: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[]]
        self._biases: list[list[tuple[np.ndarray, np.ndarray]]] = [[]]
        self._carried: list[np.ndarray] = [np.zeros(0, np.int64)]
        self.ones: dict[int, Wires] = {}
        self._constants: dict[tuple[int, float], Wires] = {}

    @property
    def inputs(self) -> Wires:
        """The inputs of the network, which may be negative."""
        return Wires(0, np.arange(self.sizes[0]))

    def constant(self, layer: int, value: float) -> Wires:
        """A unit of the given layer that is a bias and nothing else."""
        if (layer, value) not in self._constants:
            (row,) = rows = self._rows(layer, 1)
            self._biases[layer].append((rows, np.array([value])))
            self._constants[layer, value] = Wires(layer, np.array([row]))
        return self._constants[layer, value]

    def zero(self, layer: int) -> Wires:
        """A unit without edges; what comes from it is left out."""
        return Wires(layer, self._rows(layer, 1))

    def relu(self, *terms: tuple[Gain, Wires]) -> Wires:
        """Units with one gain and one wire from each term; gain 0 is no edge."""
        count = max(max(len(w), np.size(c)) for c, w in terms)
        return self.gather(count, [(np.arange(count), c, w) for c, w in terms])

    def gather(self, count: int, edges: Sequence[tuple[np.ndarray | int, Gain, Wires]]) -> Wires:
        """Units 0, ..., count - 1, with edges (unit, gain, wire)."""
        layer = 1 + max(w.layer for _, _, w in edges)
        units = self._rows(layer, count)
        for rows, gains, wires in edges:
            columns = self.carry(wires, layer - 1).index
            rows, gains, columns = np.broadcast_arrays(rows, np.asarray(gains, float), columns)
            there = gains != 0
            self._edges[layer].append((units[rows[there]], columns[there], gains[there]))
        return Wires(layer, units)

    def carry(self, wires: Wires, layer: int) -> Wires:
        """The same values in a later layer."""
        while wires.layer < layer:
            wires = self._copy(wires)
        return wires

    def network(
        self,
        alphabet: Alphabet,
        output: Sequence[tuple[float | int, Wires]],
        dtype: np.dtype | type = np.float64,
    ) -> ReLUNetwork:
        """The network of the sum of gains times wires, one output."""
        last = max(w.layer for _, w in output)
        gains = np.array([c for c, _ in output], float)
        columns = np.array([int(self.carry(w, last).index[0]) for _, w in output])
        layers = [self._merged(k) for k in range(1, last + 1)]
        layers.append((np.zeros_like(columns), columns, gains))
        self._drop_zeros(layers)
        copies = [np.zeros(n, np.int64) for n in self.sizes[: last + 1]] + [np.ones(1, np.int64)]
        recipes: dict[float, np.ndarray] = {}
        for k in range(last, -1, -1):
            rows, columns, gains = (part[copies[k + 1][layers[k][0]] > 0] for part in layers[k])
            layers[k] = rows, columns, gains
            values, kind = np.unique(gains, return_inverse=True)
            for value in values:
                recipes.setdefault(float(value), alphabet.recipe(float(value)))
            lengths = np.array([recipes[float(v)].size for v in values])
            np.maximum.at(copies[k], columns, lengths[kind])
        assert copies[0].max() <= 1, "an input has no copies"
        copies[0][:] = 1
        starts = [np.concatenate([[0], np.cumsum(n)]) for n in copies]
        weights, biases = [], []
        for k, (rows, columns, gains) in enumerate(layers):
            shape = (int(starts[k + 1][-1]), int(starts[k][-1]))
            parts = [
                _expand(rows[sel], columns[sel], recipes[float(v)], copies[k + 1], starts, k)
                for v in np.unique(gains)
                for sel in [np.flatnonzero(gains == v)]
            ]
            places, values = (
                (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
                if parts
                else (np.zeros((0, 2), np.int64), np.zeros(0))
            )
            order = np.lexsort((places[:, 1], places[:, 0]))
            places, values = places[order], values[order].astype(dtype)
            matrix = SparseMatrix(values, places[:, 0], places[:, 1], shape)
            dense = values.size > _DENSE * shape[0] * shape[1]
            weights.append(matrix.to_dense() if dense else matrix)
            bias = np.zeros(shape[0], dtype)
            for units, numbers in self._biases[k + 1] if k < last else []:
                for unit, number in zip(units, numbers, strict=True):
                    bias[starts[k + 1][unit] : starts[k + 1][unit + 1]] = number
            biases.append(bias)
        return ReLUNetwork(weights, biases)

    def _drop_zeros(self, layers: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        """Leave out edges from units that have neither edges nor a bias, whatever the values."""
        alive = np.ones(self.sizes[0], bool)
        for k, (rows, columns, gains) in enumerate(layers):
            there = alive[columns]
            layers[k] = rows[there], columns[there], gains[there]
            if k + 1 < len(layers):
                alive = np.zeros(self.sizes[k + 1], bool)
                alive[layers[k][0]] = True
                for units, _ in self._biases[k + 1]:
                    alive[units] = True

    def _rows(self, layer: int, count: int) -> np.ndarray:
        while len(self.sizes) <= layer:
            self.sizes.append(0)
            self._edges.append([])
            self._biases.append([])
            self._carried.append(np.zeros(0, np.int64))
        start = self.sizes[layer]
        self.sizes[layer] += count
        return np.arange(start, start + count)

    def _copy(self, wires: Wires) -> Wires:
        known = self._carried[wires.layer]
        size = self.sizes[wires.layer]
        if known.size < size:
            known = np.concatenate([known, np.full(size - known.size, -1)])
            self._carried[wires.layer] = known
        fresh = np.unique(wires.index[known[wires.index] < 0])
        if fresh.size:
            rows = self._rows(wires.layer + 1, fresh.size)
            self._edges[wires.layer + 1].append((rows, fresh, np.ones(fresh.size)))
            known[fresh] = rows
        return Wires(wires.layer + 1, known[wires.index])

    def _merged(self, layer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The edges into a layer, those between the same two units added."""
        if not self._edges[layer]:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        rows, columns, gains = (
            np.concatenate(part) for part in zip(*self._edges[layer], strict=True)
        )
        place = rows * self.sizes[layer - 1] + columns
        order = np.argsort(place, kind="stable")
        first = np.flatnonzero(np.diff(place[order], prepend=-1))
        gains = np.add.reduceat(gains[order], first) if first.size else gains
        rows, columns = rows[order][first], columns[order][first]
        there = gains != 0
        return rows[there], columns[there], gains[there]


def _expand(rows, columns, recipe, copies, starts, k) -> tuple[np.ndarray, np.ndarray]:
    """Edges of one gain: weight j of the recipe from copy j of the source to all of the target."""
    times = copies[rows]
    targets = np.repeat(starts[k + 1][rows], times) + _counts_up(times)
    sources = np.repeat(starts[k][columns], times)
    places = np.stack(
        [
            np.tile(targets, recipe.size),
            (sources[None, :] + np.arange(recipe.size)[:, None]).ravel(),
        ],
        axis=1,
    )
    return places, np.repeat(recipe, targets.size)


def _counts_up(times: np.ndarray) -> np.ndarray:
    """0, ..., times[0] - 1, 0, ..., times[1] - 1, and so on."""
    ends = np.cumsum(times)
    return np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - times, times)
