"""Networks on a grid made better code by code: every move is tried on the true loss."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork
from ._problem import Problem
from ._residuals import residuals

# Factors c of a unit's parameters; the next layer takes 1/c up, for relu(c x) = c relu(x). Both are
# rounded anew, so the unit's kink and slope change a little: moves that no single code makes.
_FACTORS = (0.5, 2 / 3, 0.75, 0.875, 1.125, 4 / 3, 1.5, 2.0)
# So many moves that help alone are tried together, in the order of their gains.
_TOGETHER = 12
# From two codes to this share of them change at random when a search begins anew: small kicks find
# what is near, large ones what is not.
_KICKED = 0.5
# A smaller share of the loss is no gain, for sums of 1,024 squares are not known better.
_GAIN = 1e-9


class Moves(NamedTuple):
    """Rows of places in the flat vector and of their new values; short rows repeat a place."""

    places: np.ndarray
    values: np.ndarray


class Grids(NamedTuple):
    """The grids of a network's matrices and biases, in the order of its leaves."""

    grids: list[Any]

    def rounded(self, network: ReLUNetwork) -> ReLUNetwork:
        """Every parameter at its nearest grid value, in float64 by the type of the leaves."""
        leaves, structure = jax.tree.flatten(network)
        new = [np.asarray(g(p)) for g, p in zip(self.grids, leaves, strict=True)]
        return jax.tree.unflatten(structure, new)

    def singles(self, leaves: list[np.ndarray]) -> Moves:
        """Every parameter one code down, and one code up; at an end it stays."""
        both: list[Any] = [[], []]
        for grid, leaf in zip(self.grids, leaves, strict=True):
            codes = np.asarray(grid.encode(leaf)).astype(np.int64)
            lowest, highest = self._ends(grid, leaf)
            for row, way in zip(both, (-1, 1), strict=True):
                there = np.clip(codes + way, lowest, highest)
                row.append(np.asarray(grid.decode(there, leaf.dtype)).ravel())
        values = np.concatenate([np.concatenate(row) for row in both])
        places = np.tile(np.arange(len(values) // 2), 2)
        return Moves(places[:, None], values.astype(np.float64)[:, None])

    def kicked(self, network: ReLUNetwork, rng: np.random.Generator) -> ReLUNetwork:
        """The network with a few codes, drawn at random, one up or down."""
        leaves, structure = jax.tree.flatten(network)
        flat, ways = _flat(leaves), self.singles(leaves).values.reshape(2, -1)
        most = max(2.0, _KICKED * flat.size)
        count = min(flat.size, round(2 * (most / 2) ** rng.random()))
        places = rng.choice(flat.size, count, replace=False)
        flat[places] = ways[rng.integers(2, size=len(places)), places]
        return jax.tree.unflatten(structure, _split(flat, leaves))

    @staticmethod
    def _ends(grid: Any, leaf: np.ndarray) -> tuple[Any, Any]:
        """The first and the last code; the bounds of int64 where the grid has no end."""
        ends = []
        for end, none in zip(grid.range, (-(2**62), 2**62), strict=True):
            end = np.asarray(end)
            if np.isinf(end).any():
                ends.append(none)
            else:
                there = np.broadcast_to(end, leaf.shape).astype(leaf.dtype)
                ends.append(np.asarray(grid.encode(there)).astype(np.int64))
        return ends[0], ends[1]

    def rescalings(self, network: ReLUNetwork) -> list[Moves]:
        """Every hidden unit times some factors, the next layer divided by them, for each layer."""
        leaves = jax.tree.leaves(network)
        depth = len(network.weights)
        offsets = np.cumsum([0, *(leaf.size for leaf in leaves)])
        where = [
            np.arange(a, b).reshape(leaf.shape)
            for a, b, leaf in zip(offsets[:-1], offsets[1:], leaves, strict=True)
        ]
        moves = []
        for layer in range(depth - 1):
            parts = (layer, depth + layer, layer + 1)  # matrix, bias, next matrix
            units = leaves[layer].shape[0]
            turned = [where[layer], where[depth + layer][:, None], where[layer + 1].T]
            places = np.concatenate(turned, axis=1)
            values = []
            for c in _FACTORS:
                scaled = [
                    np.asarray(self.grids[i](leaves[i] * leaves[i].dtype.type(factor)))
                    for i, factor in zip(parts, (c, c, 1 / c), strict=True)
                ]
                rows = [scaled[0], scaled[1][:, None], scaled[2].T]
                values.append(np.concatenate(rows, axis=1).astype(np.float64))
            repeated = np.tile(places, (len(_FACTORS), 1))
            moves.append(Moves(repeated.reshape(len(_FACTORS) * units, -1), np.concatenate(values)))
        return moves


@eqx.filter_jit
def _losses(structure: Any, flat: Any, moves: Moves, problem: Problem) -> Any:
    """The loss after each move, one after the other."""

    def one(move: Any) -> Any:
        place, value = move
        network = _unflattened(structure, flat.at[place].set(value))
        return jnp.sum(jnp.square(residuals(network, problem)))

    return jax.lax.map(one, (moves.places, moves.values))


def loss_of(network: ReLUNetwork, problem: Problem) -> float:
    """The loss of one network, in float64."""
    flat = _flat(jax.tree.leaves(network))
    stay = Moves(np.zeros((1, 1), np.int64), flat[:1, None])
    return float(_losses(_Structure(network), flat, stay, problem)[0])


def descended(
    network: ReLUNetwork, grids: Grids, problem: Problem, sweeps: int
) -> tuple[ReLUNetwork, float]:
    """A network on the grids from which no single move leads down, and its loss.

    In every sweep all moves are tried from the same network. Those that help are then made
    together, as many of the best ones as help together. It ends early where none helps.
    """
    leaves, structure = jax.tree.flatten(network)
    least = loss_of(network, problem)
    form = _Structure(network)
    for _ in range(sweeps):
        now = jax.tree.unflatten(structure, leaves)
        flat = _flat(leaves)
        tried = [grids.singles(leaves), *grids.rescalings(now)]
        losses = [np.asarray(_losses(form, flat, moves, problem)) for moves in tried]
        found = [
            (loss, moves.places[i], moves.values[i])
            for moves, row in zip(tried, losses, strict=True)
            for i, loss in enumerate(row)
            if loss < least * (1 - _GAIN)
        ]
        if not found:
            break
        found.sort(key=lambda move: move[0])
        together = _together(flat, found[:_TOGETHER])
        losses = np.asarray(_losses(form, flat, together, problem))
        best = int(np.argmin(losses))
        least = float(losses[best])
        flat[together.places[best]] = together.values[best]
        leaves = _split(flat, leaves)
    return jax.tree.unflatten(structure, leaves), least


def _together(flat: np.ndarray, found: list[Any]) -> Moves:
    """The first move, the first two, ...: whole vectors, so that all have one shape."""
    rows, now = [], flat.copy()
    for i in range(_TOGETHER):
        if i < len(found):
            now[found[i][1]] = found[i][2]
        rows.append(now.copy())
    places = np.tile(np.arange(flat.size), (_TOGETHER, 1))
    return Moves(places, np.stack(rows))


class _Structure(eqx.Module):
    """The form of a network without its numbers."""

    tree: Any = eqx.field(static=True)
    shapes: tuple = eqx.field(static=True)

    def __init__(self, network: ReLUNetwork):
        leaves, self.tree = jax.tree.flatten(network)
        self.shapes = tuple(leaf.shape for leaf in leaves)


def _unflattened(structure: _Structure, flat: Any) -> ReLUNetwork:
    sizes = np.cumsum([int(np.prod(shape)) for shape in structure.shapes])
    parts = jnp.split(flat, sizes[:-1])
    leaves = [part.reshape(shape) for part, shape in zip(parts, structure.shapes, strict=True)]
    return jax.tree.unflatten(structure.tree, leaves)


def _flat(leaves: list[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])


def _split(flat: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    sizes = np.cumsum([leaf.size for leaf in like])
    parts = np.split(flat, sizes[:-1])
    return [p.reshape(leaf.shape).astype(leaf.dtype) for p, leaf in zip(parts, like, strict=True)]
