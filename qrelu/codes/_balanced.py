"""Networks on a grid with balanced magnitudes to bits and back, without loss."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..networks import ReLUNetwork, SparseMatrix
from ._arrays import code_integers, code_step, grid_of
from ._coder import Coder, Flag, natural, whole
from ._integers import Integers
from ._networks import DEEPEST, entries_of, tree_maps, tree_places

# More parameters than these take seconds.
_MOST = 2**16


class _Shape(NamedTuple):
    """Where the parameters of a layer stand: rows and columns of its entries, places of biases."""

    size: tuple[int, int]
    rows: np.ndarray
    columns: np.ndarray
    biases: np.ndarray
    sparse: bool


def fits(given: ReLUNetwork, steps: Sequence[float]) -> bool:
    """Whether `balanced` can write a network: float64, few parameters, on one grid."""
    maps = tree_maps(given)
    parts = [part for pair in zip(given.weights, given.biases, strict=True) for part in pair]
    dense = not any(isinstance(part, SparseMatrix) for part in parts)
    if not (dense or maps) or any(part.dtype != np.float64 for part in parts):
        return False
    if sum(entries_of(part).size for part in parts) > _MOST:
        return False
    if maps:
        shapes = _of_tree(given.depth, maps)
        others = [np.delete(b, s.biases) for b, s in zip(given.biases, shapes, strict=True)]
        if np.concatenate(others).any():
            return False
    return grid_of(_all(given), steps) is not None


def _all(given: ReLUNetwork) -> np.ndarray:
    pairs = zip(given.weights, given.biases, strict=True)
    return np.concatenate([np.ravel(entries_of(part)) for pair in pairs for part in pair])


# In a network as `normalize` makes it the largest parameter that enters a hidden neuron is as large
# as the largest weight that leaves it, and after rounding they have the same number on the grid: so
# each weight of the next layer is told the size that the greatest one of its column should have.
def balanced(
    coder: Coder, given: ReLUNetwork | None, domain: Any = None, steps: Sequence[float] = ()
) -> ReLUNetwork:
    """The depth, the shape, the step; the first layer; then each layer by the one before.

    Of more than two layers two bits tell whether it is a tree, as in `network`. Of each weight a
    bit, which is learnt, tells whether it has the size that its column should reach, apart by
    whether an entry of the column had it before and whether it is the last one of its column. Then
    comes the sign, as that of the weight before or the other one, or else the number.
    """
    depth = 1 + natural(coder, given.depth - 1 if given else 0)
    if depth > DEEPEST:
        raise ValueError(f"it has {depth} layers")
    maps = whole(coder, tree_maps(given), 2) if depth > 2 else 0
    if maps:
        shapes = _of_tree(depth, maps)
        if sum(shape.rows.size + shape.biases.size for shape in shapes) > _MOST:
            raise ValueError(f"it has a tree of depth {depth}")
    else:
        widths = [1 + natural(coder, given.widths[k] - 1 if given else 0) for k in range(depth + 1)]
        if sum((n + 1) * m for n, m in zip(widths[:-1], widths[1:], strict=True)) > _MOST:
            raise ValueError(f"it has layers of the widths {widths}")
        shapes = [_full(m, n) for n, m in zip(widths[:-1], widths[1:], strict=True)]
    grid = grid_of(_all(given), steps) if given else None
    step = code_step(coder, grid[0] if grid else 1.0)

    def numbers(part: Any) -> np.ndarray:
        return np.rint(np.ravel(entries_of(part)) / step).astype(np.int64)

    sizes, model = None, _Weights(coder)
    weights, biases = [], []
    for k, shape in enumerate(shapes):
        here = numbers(given.weights[k]) if given else np.zeros(0, np.int64)
        if sizes is None:
            here = code_integers(coder, here, shape.rows.size, step)
        else:
            here = model.layer(here, shape, sizes)
        bias = numbers(given.biases[k])[shape.biases] if given else np.zeros(0, np.int64)
        bias = code_integers(coder, bias, shape.biases.size, step)
        sizes = np.zeros(shape.size[0], np.int64)
        np.maximum.at(sizes, shape.rows, np.abs(here))
        np.maximum.at(sizes, shape.biases, np.abs(bias))
        weights.append(_matrix(here * step, shape))
        biases.append(np.zeros(shape.size[0]))
        biases[-1][shape.biases] = bias * step
    return ReLUNetwork(weights, biases)


def _full(rows: int, columns: int) -> _Shape:
    row, column = np.divmod(np.arange(rows * columns), columns)
    return _Shape((rows, columns), row, column, np.arange(rows), False)


def _of_tree(depth: int, maps: int) -> list[_Shape]:
    like, found = tree_places(depth, maps), []
    for weight, bias in zip(like.weights, like.biases, strict=True):
        rows, columns = weight.shape
        if isinstance(weight, SparseMatrix):
            row, column = np.asarray(weight.rows), np.asarray(weight.columns)
            shape = _Shape((rows, columns), row, column, np.flatnonzero(bias), True)
        else:
            shape = _full(rows, columns)._replace(biases=np.flatnonzero(bias))
        found.append(shape)
    return found


def _matrix(values: np.ndarray, shape: _Shape) -> Any:
    if shape.sparse:
        return SparseMatrix(values, shape.rows, shape.columns, shape.size)
    return values.reshape(shape.size)


class _Weights:
    """The weights of layers after the first one; what is learnt serves all of them."""

    def __init__(self, coder: Coder):
        self._coder = coder
        # By whether the column had its size before, and whether this is its last entry.
        self._same = [[Flag(1.0, 1.0), Flag(0.5, 1.5)], [Flag(1.5, 0.5), Flag(1.5, 0.5)]]
        self._turn, self._negative = Flag(0.8, 0.4), 0
        self._other = Integers()

    def layer(self, given: np.ndarray, shape: _Shape, sizes: np.ndarray) -> np.ndarray:
        """Write or read the numbers of one layer."""
        found = np.zeros(shape.rows.size, np.int64)
        left = np.bincount(shape.columns, minlength=shape.size[1])
        reached = np.zeros(shape.size[1], np.int64)
        for k, column in enumerate(shape.columns.tolist()):
            left[column] -= 1
            value = int(given[k]) if len(given) else 0
            found[k] = self._one(
                value, int(sizes[column]), self._same[reached[column]][int(left[column] == 0)]
            )
            reached[column] |= abs(int(found[k])) == sizes[column]
        return found

    def _one(self, value: int, size: int, same: Flag) -> int:
        if size and same.code(self._coder, int(abs(value) == size)):
            self._negative ^= self._turn.code(self._coder, self._negative ^ int(value < 0))
            return -size if self._negative else size
        self._other.expect(math.log2(size) if size else 0.0)
        return self._other.code(self._coder, value)
