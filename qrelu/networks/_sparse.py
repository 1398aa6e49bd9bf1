"""A matrix with few entries, as a pytree whose only leaf is their values."""

import operator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.core import Tracer
from jax.experimental.sparse import BCOO
from jaxtyping import Array

from ._pattern import Pattern
from ._sparse_product import sparse_product


class SparseMatrix(eqx.Module):
    r"""A matrix given by the values of some entries; the others are zero and stay zero.

    The values are the only leaf: gradients, optimizers, `quantize` and `jax.tree.map` see one array
    of $n$ numbers. The places are constant: they are compared as a part of the tree structure, and
    a function under `jit` is compiled once per pattern. An entry whose value is zero remains an
    entry (it can be trained); `connectivity` counts values that are not zero.

    `matrix @ h` multiplies a vector or a matrix from the left, differentiably in the values and in
    `h`, in forward and in reverse mode. Rows with at least an eighth of their entries are
    multiplied as dense rows; of the others only the entries are touched, each a row of `h` that is
    gathered and added, and derivatives use the transposed pattern, so nothing is scattered.

    `numpy.asarray(matrix)` is the dense matrix.

    **Attributes:**

    - `values`: the entries, row by row and in each row from left to right; NumPy or JAX. In a stack
        of matrices with one pattern they have leading axes.
    - `rows`, `columns`: their places, NumPy int32.
    - `shape`, `ndim`, `dtype`: as of the dense matrix.
    """

    values: Array | np.ndarray
    pattern: Pattern = eqx.field(static=True)

    # NumPy's own operators would make a dense matrix unasked.
    __array_ufunc__ = None

    def __init__(
        self,
        values: Any,
        rows: Any,
        columns: Any,
        shape: Any,
    ):
        r"""**Arguments:**

        - `values`: n real numbers; NumPy stays NumPy, anything else becomes a JAX array. Leading
            axes make a stack.
        - `rows`, `columns`: the place of each of them, counted from 0, in any order. Values of one
            place are added.
        - `shape`: the numbers of rows and columns.

        **Raises:**

        - `ValueError`: for lengths that differ, places outside the shape, or a shape that is not
            two positive integers.
        - `TypeError`: for values that are not real numbers, places that are not integers, or
            traced places.
        """
        shape = _shape(shape)
        values = _floats(values)
        rows, columns = (
            _places(name, p, n)
            for name, p, n in zip(("rows", "columns"), (rows, columns), shape, strict=True)
        )
        count = values.shape[-1] if values.ndim else -1
        if not rows.size == columns.size == count:
            raise ValueError(
                "`SparseMatrix(values, rows, columns, shape)` must have one row and one column per "
                f"value; got values of shape {values.shape}, {rows.size} rows and {columns.size} "
                "columns."
            )
        place = rows * shape[1] + columns
        if not np.all(place[1:] > place[:-1]):
            order = np.argsort(place, kind="stable")
            fresh = np.diff(place[order], prepend=-1) > 0
            values = _sums(values[..., order], np.flatnonzero(fresh))
            rows, columns = rows[order][fresh], columns[order][fresh]
        self.values, self.pattern = values, Pattern(rows, columns, shape)

    @staticmethod
    def from_dense(matrix: Any) -> "SparseMatrix":
        """The matrix with the entries that are not zero.

        **Arguments:**

        - `matrix`: a NumPy or JAX array (rows, columns), not traced. With leading axes, a stack
            whose entries are those that are not zero in one of the matrices.

        **Returns:**

        The sparse matrix, in NumPy for NumPy and in JAX for JAX.

        **Raises:**

        - `TypeError`: for a traced matrix.
        - `ValueError`: for fewer than two axes.
        """
        if isinstance(matrix, Tracer):
            raise TypeError(
                "`SparseMatrix.from_dense(matrix)` must get a concrete matrix: which entries are "
                "zero is not known under `jit`, `vmap` and `grad`. Call it outside."
            )
        matrix = _floats(matrix)
        if matrix.ndim < 2:
            raise ValueError(
                "`SparseMatrix.from_dense(matrix)` must get a matrix; got the shape "
                f"{matrix.shape}."
            )
        there = (np.asarray(matrix) != 0).any(axis=tuple(range(matrix.ndim - 2)))
        rows, columns = np.nonzero(there)
        return SparseMatrix(matrix[..., rows, columns], rows, columns, matrix.shape[-2:])

    @staticmethod
    def from_scipy(matrix: Any) -> "SparseMatrix":
        """The matrix of `scipy.sparse`, of any format, in NumPy.

        **Arguments:**

        - `matrix`: a sparse array or matrix of SciPy. Stored zeros stay entries.

        **Returns:**

        The sparse matrix.

        **Raises:**

        - `ValueError`: for an array with another number of axes.
        """
        entries: Any = scipy.sparse.coo_array(matrix)
        if len(entries.shape) != 2:
            raise ValueError(
                "`SparseMatrix.from_scipy(matrix)` must get a matrix; got the shape "
                f"{entries.shape}."
            )
        rows, columns = entries.coords
        return SparseMatrix(entries.data, rows, columns, entries.shape)

    @staticmethod
    def from_bcoo(matrix: BCOO) -> "SparseMatrix":
        """The matrix of `jax.experimental.sparse.BCOO`.

        **Arguments:**

        - `matrix`: a matrix without batch and dense axes, and with concrete indices. Padding
            (indices outside) is left out, stored zeros stay entries.

        **Returns:**

        The sparse matrix, in JAX.

        **Raises:**

        - `ValueError`: for batch or dense axes.
        - `TypeError`: for traced indices.
        """
        if matrix.n_batch or matrix.n_dense or len(matrix.shape) != 2:
            raise ValueError(
                "`SparseMatrix.from_bcoo(matrix)` must get a matrix with two sparse axes; got the "
                f"shape {matrix.shape} with {matrix.n_batch} batch and {matrix.n_dense} dense axes."
            )
        if isinstance(matrix.indices, Tracer):
            raise TypeError(_TRACED.format("SparseMatrix.from_bcoo(matrix)"))
        places = np.asarray(matrix.indices)
        inside = np.flatnonzero((places < np.array(matrix.shape)).all(axis=1))
        values = matrix.data if inside.size == len(places) else matrix.data[inside]
        rows, columns = places[inside].T
        return SparseMatrix(values, rows, columns, matrix.shape)

    @property
    def rows(self) -> np.ndarray:
        """The row of every value, ascending."""
        return self.pattern.rows

    @property
    def columns(self) -> np.ndarray:
        """The column of every value, ascending in every row."""
        return self.pattern.columns

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the dense matrix, with the leading axes of a stack."""
        return (*self.values.shape[:-1], *self.pattern.shape)

    @property
    def ndim(self) -> int:
        """The number of axes of the dense matrix."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """The type of the values."""
        return np.dtype(self.values.dtype)

    def to_dense(self) -> Array | np.ndarray:
        """The dense matrix, NumPy for NumPy and JAX for JAX."""
        if isinstance(self.values, np.ndarray):
            dense = np.zeros(self.shape, self.dtype)
            dense[..., self.rows, self.columns] = self.values
            return dense
        values = jnp.asarray(self.values)
        flat = jnp.zeros((*values.shape[:-1], self.shape[-2] * self.shape[-1]), values.dtype)
        flat = flat.at[..., self.pattern.places].set(values, unique_indices=True)
        return flat.reshape(self.shape)

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The matrix as a `scipy.sparse.csr_array`; concrete values of one matrix only.

        Types narrower than float32, which SciPy does not have, become float32.
        """
        starts = self.pattern.starts
        values = np.asarray(self.values)
        values = values.astype(np.float32) if values.dtype.itemsize < 4 else values
        if values.ndim != 1:
            raise ValueError(
                f"`matrix.to_scipy()` is for one matrix; got a stack of shape {self.shape}. "
                "`networks.unstack` takes a network apart."
            )
        return scipy.sparse.csr_array((values, self.columns, starts), shape=self.pattern.shape)

    def __matmul__(self, h: Any) -> Array:
        """The product with a vector (columns,) or a matrix (columns, points), as a JAX array."""
        h = jnp.asarray(h)
        columns = self.shape[-1]
        if self.ndim != 2 or h.ndim not in (1, 2) or h.shape[0] != columns:
            raise ValueError(
                f"`matrix @ h` must be given one matrix and an h of shape ({columns},) or "
                f"({columns}, points); got the shapes {self.shape} and {h.shape}. Use `jax.vmap` "
                "for a stack."
            )
        values = jnp.asarray(self.values)
        if h.ndim == 1:
            return sparse_product(values, h[:, None], self.pattern)[:, 0]
        return sparse_product(values, h, self.pattern)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("`numpy.asarray(matrix, copy=False)`: the dense matrix is a copy.")
        return np.asarray(SparseMatrix.to_dense(_numpy(self)), dtype)


def with_values(matrix: SparseMatrix, values: Any) -> SparseMatrix:
    """Other values at the same places."""
    return with_pattern(values, matrix.pattern)


def with_pattern(values: Any, pattern: Pattern) -> SparseMatrix:
    """Values at the places of a pattern, in its order, unchecked."""
    matrix = object.__new__(SparseMatrix)
    object.__setattr__(matrix, "values", values)
    object.__setattr__(matrix, "pattern", pattern)
    return matrix


def nonzeros(matrix: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values of the entries that are not zero, row by row, in NumPy."""
    if isinstance(matrix, SparseMatrix):
        values = np.asarray(matrix.values)
        there = np.flatnonzero(values)
        return matrix.rows[there], matrix.columns[there], values[there]
    values = np.asarray(matrix)
    rows, columns = np.nonzero(values)
    return rows, columns, values[rows, columns]


def as_sparse(matrix: Any) -> SparseMatrix:
    """A sparse matrix of SciPy or JAX as one of ours."""
    if isinstance(matrix, SparseMatrix):
        return matrix
    return (
        SparseMatrix.from_bcoo(matrix)
        if isinstance(matrix, BCOO)
        else SparseMatrix.from_scipy(matrix)
    )


def _numpy(matrix: SparseMatrix) -> SparseMatrix:
    return with_values(matrix, np.asarray(matrix.values))


_TRACED = (
    "`{}` must get concrete places: the pattern is a constant of compiled programs. Make the "
    "matrix outside of `jit`, `vmap` and `grad`; only its values can be traced."
)


def _shape(shape: Any) -> tuple[int, int]:
    try:
        sizes = tuple(operator.index(n) for n in shape)
    except TypeError:
        sizes = ()
    # int32 holds every row and column.
    if len(sizes) != 2 or min(sizes) < 1 or max(sizes) >= 2**31:
        raise ValueError(
            f"`SparseMatrix(shape=...)` must be two positive integers below 2^31; got {shape}."
        )
    return sizes[0], sizes[1]


def _floats(values: Any) -> Array | np.ndarray:
    """Real numbers: NumPy stays NumPy, integers become floats."""
    if not isinstance(values, np.ndarray | np.generic | jax.Array):
        values = jnp.asarray(values)
    if isinstance(values, np.generic):
        values = np.asarray(values)
    if jnp.issubdtype(values.dtype, jnp.floating):
        return values
    if jnp.issubdtype(values.dtype, jnp.integer):
        return values.astype(float)
    raise TypeError(f"`SparseMatrix(values)` must hold real numbers; got the type {values.dtype}.")


def _places(name: str, places: Any, size: int) -> np.ndarray:
    if isinstance(places, Tracer):
        raise TypeError(_TRACED.format(f"SparseMatrix({name}=...)"))
    array = np.asarray(places)
    if array.size == 0:
        array = array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
        raise TypeError(
            f"`SparseMatrix({name}=...)` must be one axis of integers; got the type {array.dtype} "
            f"and the shape {array.shape}."
        )
    array = array.astype(np.int64)
    if array.size and not (0 <= array.min() and array.max() < size):
        raise ValueError(
            f"`SparseMatrix({name}=...)` must be from 0 to {size - 1}; got {array.min()} to "
            f"{array.max()}. Count from 0, or make the shape larger."
        )
    return array


def _sums(values: Array | np.ndarray, starts: np.ndarray) -> Array | np.ndarray:
    """Sums over the groups of the last axis that begin at `starts`."""
    count = values.shape[-1]
    if starts.size == count:
        return values
    if isinstance(values, np.ndarray):
        return np.add.reduceat(values, starts, axis=-1).astype(values.dtype)
    group = np.zeros(count, np.int32)
    group[starts[1:]] = 1
    group = np.cumsum(group)
    total = jnp.zeros((*values.shape[:-1], starts.size), values.dtype)
    return total.at[..., group].add(values, indices_are_sorted=True)
