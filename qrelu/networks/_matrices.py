"""Block matrices, dense or sparse, in NumPy or in JAX, whichever the parameters are in."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental.sparse import BCOO
from jaxtyping import Array

from ._network import check_network, multiplies_itself
from ._pattern import Pattern
from ._sparse import SparseMatrix, as_sparse, with_pattern, with_values

Vector = Array | np.ndarray
Parameter = Array | np.ndarray | SparseMatrix


def single(call: str, *networks: Any) -> None:
    """Refuse what is no network, and stacks, whose parameters have a leading axis."""
    for net in networks:
        check_network(call, net)
    if any(net.weights[0].ndim != 2 for net in networks):
        raise ValueError(f"`{call}` must be given single networks; use `jax.vmap` for a stack.")


def library(*parameters: Any) -> Any:
    """`jax.numpy` when one of the parameters is in JAX, else `numpy`."""
    entries = (p.values if isinstance(p, SparseMatrix) else p for p in parameters)
    return jnp if any(isinstance(p, jax.Array) for p in entries) else np


def as_parameter(call: str, value: Any, like: Any) -> Any:
    """Arrays as they are; scalars and lists in the dtype and the library of `like`."""
    if isinstance(value, SparseMatrix | BCOO) or scipy.sparse.issparse(value):
        return as_sparse(value)
    if isinstance(value, jax.Array) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return value
    entries = jax.tree.leaves(value)
    if any(isinstance(v, str) or np.iscomplexobj(v) for v in entries):
        raise TypeError(f"`{call}` must hold real numbers; got {value!r}.")
    return library(like, *entries).asarray(value, dtype=like.dtype)


def product(a: Any, b: Any) -> Any:
    """The matrix product, at the highest precision in JAX; sparse where both are."""
    if isinstance(a, SparseMatrix) and isinstance(b, SparseMatrix):
        return _sparse_times_sparse(a, b)
    if isinstance(b, SparseMatrix):
        return transpose(product(transpose(b), transpose(a)))
    if isinstance(a, SparseMatrix):
        if isinstance(a.values, np.ndarray) and isinstance(b, np.ndarray):
            return (a.to_scipy() @ b).astype(np.result_type(a.dtype, b.dtype))
        return a @ b
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.asarray(a) @ np.asarray(b)
    if multiplies_itself(a) or multiplies_itself(b):
        with jax.default_matmul_precision("highest"):
            return a @ b
    a, b = jnp.asarray(a), jnp.asarray(b)
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def transpose(a: Any) -> Any:
    """The transposed matrix."""
    if not isinstance(a, SparseMatrix):
        return a.T
    pattern, order = a.pattern.transposed
    return with_pattern(a.values[order], pattern)


def minus(a: Any) -> Any:
    """The negative, where zeros stay positive zeros."""
    return _on_entries(lambda values: 0 - values, a)


def times(number: Any, a: Any) -> Any:
    """A multiple."""
    return _on_entries(lambda values: number * values, a)


def plus(a: Any, b: Any) -> Any:
    """The sum; sparse where both are."""
    if isinstance(a, SparseMatrix) and isinstance(b, SparseMatrix):
        return _assembled([(a, 0, 0), (b, 0, 0)], (a.pattern.shape[0], a.pattern.shape[1]))
    a, b = (p.to_dense() if isinstance(p, SparseMatrix) else p for p in (a, b))
    return a + b


def rows(parts: Sequence[Any]) -> Any:
    """Matrices below each other, or vectors after each other; sparse where one of them is."""
    if any(isinstance(p, SparseMatrix) for p in parts):
        above = np.cumsum([0, *(p.shape[0] for p in parts)]).tolist()
        blocks = [(p, i, 0) for p, i in zip(parts, above, strict=False)]
        return _assembled(blocks, (above[-1], parts[0].shape[1]))
    return library(*parts).concatenate(parts, axis=0)


def columns(parts: Sequence[Any]) -> Any:
    """Matrices next to each other; sparse where one of them is."""
    if any(isinstance(p, SparseMatrix) for p in parts):
        before = np.cumsum([0, *(p.shape[1] for p in parts)]).tolist()
        blocks = [(p, 0, j) for p, j in zip(parts, before, strict=False)]
        return _assembled(blocks, (parts[0].shape[0], before[-1]))
    return library(*parts).concatenate(parts, axis=1)


def block_diagonal(parts: Sequence[Any]) -> Any:
    """Matrices along the diagonal, zeros elsewhere; sparse where one of them is."""
    if any(isinstance(p, SparseMatrix) for p in parts):
        above = np.cumsum([0, *(p.shape[0] for p in parts)]).tolist()
        before = np.cumsum([0, *(p.shape[1] for p in parts)]).tolist()
        blocks = [(p, i, j) for p, i, j in zip(parts, above, before, strict=False)]
        return _assembled(blocks, (above[-1], before[-1]))
    xp, total = library(*parts), sum(p.shape[1] for p in parts)
    bands, before = [], 0
    for p in parts:
        after = total - before - p.shape[1]
        bands.append(xp.pad(p, ((0, 0), (before, after))))
        before += p.shape[1]
    return rows(bands)


def enlarged(a: Any, shape: tuple[int, int]) -> Any:
    """The matrix with zeros, for a sparse one nothing, below and to the right of it."""
    if isinstance(a, SparseMatrix):
        return with_pattern(a.values, Pattern(a.rows, a.columns, shape))
    m, n = a.shape
    return library(a).pad(a, ((0, shape[0] - m), (0, shape[1] - n)))


def eye(n: int, like: Any) -> Any:
    """The unit matrix in the dtype, the library and the form of `like`."""
    xp, dtype = library(like), like.dtype
    if isinstance(like, SparseMatrix):
        return SparseMatrix(xp.ones(n, dtype=dtype), np.arange(n), np.arange(n), (n, n))
    return xp.eye(n, dtype=dtype)


def zeros(n: int, like: Any) -> Vector:
    """The zero vector in the dtype and the library of `like`."""
    return library(like).zeros(n, dtype=like.dtype)


def _on_entries(function: Callable, a: Any) -> Any:
    return with_values(a, function(a.values)) if isinstance(a, SparseMatrix) else function(a)


def _assembled(blocks: Sequence[tuple[Any, int, int]], shape: tuple[int, int]) -> SparseMatrix:
    """Matrices at their first row and column, added where they meet.

    Of a dense matrix all entries are taken, zeros too: they may be trained, or not be known yet.
    """
    values, rows, columns = [], [], []
    for matrix, row, column in blocks:
        if isinstance(matrix, SparseMatrix):
            values.append(matrix.values)
            i, j = matrix.rows, matrix.columns
        else:
            values.append(matrix.reshape(-1))
            i, j = (k.ravel() for k in np.indices(matrix.shape))
        rows.append(i.astype(np.int64) + row)
        columns.append(j.astype(np.int64) + column)
    numbers = library(*values).concatenate(values)
    return SparseMatrix(numbers, np.concatenate(rows), np.concatenate(columns), shape)


def _sparse_times_sparse(a: SparseMatrix, b: SparseMatrix) -> SparseMatrix:
    # Entry (i, k) of a meets the entries (k, j) of b: row k of b, from its start to the next one's.
    starts = b.pattern.starts
    degrees = np.diff(starts)[a.columns]
    left = np.repeat(np.arange(a.pattern.count), degrees)
    within = np.arange(left.size) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    right = starts[a.columns[left]] + within
    values = a.values[left] * b.values[right]
    shape = (a.pattern.shape[0], b.pattern.shape[1])
    return SparseMatrix(values, a.rows[left], b.columns[right], shape)
