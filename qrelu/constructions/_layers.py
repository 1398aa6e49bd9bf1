"""Networks written layer by layer, as affine functions of the layer before."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from ..networks import ReLUNetwork, sparsify

# Matrices up to this many entries are kept dense on the way to `sparsify`: half a megabyte.
_SMALL = 1 << 16


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
        """Times a number, or a number per row."""
        if np.ndim(factor):
            scale = scipy.sparse.diags_array(np.asarray(factor, np.float64))
            return Rows(scipy.sparse.csr_array(scale @ self.matrix), self.offset * factor)
        return Rows(self.matrix * float(factor), self.offset * factor)

    def __getitem__(self, rows: Any) -> "Rows":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Rows(self.matrix[rows], self.offset[rows])

    def combine(self, coefficients: Any) -> "Rows":
        """coefficients @ rows."""
        c = scipy.sparse.csr_array(coefficients)
        return Rows(scipy.sparse.csr_array(c @ self.matrix), c @ self.offset)

    @property
    def count(self) -> int:
        """How many functions these are."""
        return self.matrix.shape[0]


def stack(parts: list[Rows]) -> Rows:
    """All rows, one below the other."""
    matrix = scipy.sparse.csr_array(scipy.sparse.vstack([p.matrix for p in parts]))
    return Rows(matrix, np.concatenate([p.offset for p in parts]))


class Layers:
    """A network that grows: every `relu` makes the given rows the units of a new layer."""

    def __init__(self, inputs: int):
        self.maps: list[Rows] = []
        self.units = Rows(scipy.sparse.csr_array(scipy.sparse.eye_array(inputs)), np.zeros(inputs))

    def relu(self, *parts: Rows) -> list[Rows]:
        """Append a hidden layer of all these rows; the same parts, as functions of its units."""
        rows = stack(list(parts))
        self.maps.append(rows)
        identity = scipy.sparse.csr_array(scipy.sparse.eye_array(rows.count))
        ends = np.cumsum([0, *(p.count for p in parts)])
        return [
            Rows(identity[a:b], np.zeros(b - a)) for a, b in zip(ends[:-1], ends[1:], strict=True)
        ]

    def network(self, output: Rows, dtype: Any) -> ReLUNetwork:
        """The network with these outputs."""
        maps = [*self.maps, output]
        for m in maps:
            m.matrix.eliminate_zeros()
        weights = [m.matrix.astype(dtype) for m in maps]
        weights = [w.toarray() if w.shape[0] * w.shape[1] <= _SMALL else w for w in weights]
        return sparsify(ReLUNetwork(weights, [m.offset.astype(dtype) for m in maps]))
