"""Networks written layer by layer, as affine functions of the layer before."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from ..networks import ReLUNetwork, sparsify

# Layers up to this many units are put together with dense matrices, which is faster (measured).
_NARROW = 512


class Rows(NamedTuple):
    """Affine functions of the units of one layer: matrix @ units + offset."""

    matrix: Any
    offset: np.ndarray

    def __add__(self, other: Any) -> "Rows":
        if isinstance(other, Rows):
            return Rows(self.matrix + other.matrix, self.offset + other.offset)
        return Rows(self.matrix, self.offset + other)

    def __sub__(self, other: Any) -> "Rows":
        return self + (other * -1.0 if isinstance(other, Rows) else -other)

    def __mul__(self, factor: Any) -> "Rows":
        return Rows(self.matrix * float(factor), self.offset * factor)

    def __getitem__(self, rows: Any) -> "Rows":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Rows(self.matrix[rows], self.offset[rows])

    def combine(self, coefficients: np.ndarray) -> "Rows":
        """coefficients @ rows."""
        narrow = isinstance(self.matrix, np.ndarray)
        c = coefficients if narrow else scipy.sparse.csr_array(coefficients)
        return Rows(c @ self.matrix, c @ self.offset)

    @property
    def count(self) -> int:
        """How many functions these are."""
        return self.matrix.shape[0]


def stack(parts: list[Rows]) -> Rows:
    """All rows, one below the other."""
    matrices = [p.matrix for p in parts]
    narrow = isinstance(matrices[0], np.ndarray)
    together = np.concatenate if narrow else lambda m: scipy.sparse.vstack(m, format="csr")
    return Rows(together(matrices), np.concatenate([p.offset for p in parts]))


def _identity(size: int) -> Any:
    return np.eye(size) if size <= _NARROW else scipy.sparse.eye_array(size, format="csr")


class Layers:
    """A network that grows: every `relu` makes the given rows the units of a new layer."""

    def __init__(self, inputs: int):
        self.maps: list[Rows] = []
        self.units = Rows(_identity(inputs), np.zeros(inputs))

    def relu(self, *parts: Rows) -> list[Rows]:
        """Append a hidden layer of all these rows; the same parts, as functions of its units."""
        rows = stack(list(parts))
        self.maps.append(rows)
        units = Rows(_identity(rows.count), np.zeros(rows.count))
        ends = np.cumsum([0, *(p.count for p in parts)]).tolist()
        return [units[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def network(self, output: Rows, dtype: Any) -> ReLUNetwork:
        """The network with these outputs."""
        maps = [*self.maps, output]
        weights = [m.matrix.astype(dtype) for m in maps]
        for w in weights:
            if scipy.sparse.issparse(w):
                w.eliminate_zeros()
        return sparsify(ReLUNetwork(weights, [m.offset.astype(dtype) for m in maps]))
