"""The product of a sparse matrix with a dense one: two primitives, each other's derivatives."""

# With W given by its values v on a pattern, W h is linear in v and in h. Its transpose in h is the
# same product for the transposed pattern; its transpose in v takes g to the numbers g_r . h_c at
# the places (r, c) of the pattern, products of rows of two matrices. Those are again linear in g
# and in h, with transposes of the same two kinds. So all derivatives, forward and reverse and of
# any order, are gathers in the order that suits them, never a scatter of all entries.

import functools
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

from ._pattern import Pattern

# Slices that are added up in one fused loop; the time to compile it grows with them.
_UNROLLED = 4
# Numbers that are gathered at once for the products of rows: they stay in a processor's cache.
_GATHERED = 2**16


def sparse_product(values: Any, h: Any, pattern: Pattern) -> Array:
    """`W @ h` for h of shape (columns, points), in the common type of both."""
    dtype = jnp.result_type(values, h)
    return product_p.bind(values.astype(dtype), h.astype(dtype), pattern=pattern)


def _product(values: Any, h: Any, *, pattern: Pattern) -> Array:
    layout, count = pattern.layout, pattern.shape[0]
    padded = jnp.concatenate([values, jnp.zeros(1, values.dtype)])
    entries = [part.entries.ravel() for part in layout.parts]
    ends = np.cumsum([e.size for e in entries])[:-1]
    found = jnp.split(_gather(padded, np.concatenate(entries)), ends) if entries else []
    total = jnp.zeros((count, h.shape[1]), h.dtype)
    for part, numbers in zip(layout.parts, found, strict=True):
        rows = _slices(numbers.reshape(part.entries.shape), h, part.columns)
        if part.rows.size == count:
            empty = np.diff(pattern.starts) == 0
            total = jnp.where(empty[:, None], 0, rows) if empty.any() else rows
        else:
            total = _add_rows(total, part.rows, rows)
    if layout.dense_rows.size:
        rows = jnp.matmul(_dense(padded, pattern), h, precision=lax.Precision.HIGHEST)
        whole = layout.dense_rows.size == count
        total = rows if whole else _add_rows(total, layout.dense_rows, rows)
    return total


def _slices(numbers: Array, h: Array, columns: np.ndarray) -> Array:
    """Sums over the slices of a part."""

    def add(total: Array | None, numbers: Any, columns: Any) -> Array:
        for k in range(numbers.shape[0]):
            term = numbers[k][:, None] * _gather(h, columns[k])
            total = term if total is None else total + term
        assert total is not None
        return total

    slices = numbers.shape[0]
    if slices <= 2 * _UNROLLED:
        return add(None, numbers, columns)
    head = slices % _UNROLLED or _UNROLLED
    rest = tuple(a[head:].reshape(-1, _UNROLLED, a.shape[1]) for a in (numbers, columns))
    first = add(None, numbers[:head], columns[:head])
    return lax.scan(lambda total, chunk: (add(total, *chunk), None), first, rest)[0]


def _dense(padded: Array, pattern: Pattern) -> Array:
    """The dense rows as a matrix."""
    rows, entries = pattern.layout.dense_rows, pattern.layout.dense_entries
    number = np.full((rows.size, pattern.shape[1]), padded.shape[0] - 1, np.int32)
    number[np.searchsorted(rows, pattern.rows[entries]), pattern.columns[entries]] = entries
    return _gather(padded, number.ravel()).reshape(number.shape)


def _add_rows(total: Array, index: np.ndarray, rows: Array) -> Array:
    return total.at[index].add(
        rows, unique_indices=True, indices_are_sorted=True, mode="promise_in_bounds"
    )


def _gather(array: Any, index: Any) -> Array:
    """Rows of an array, by indices that are known to be inside."""
    rest = array.shape[1:]
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(1, array.ndim)), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    return lax.gather(
        array,
        jnp.asarray(index)[:, None],
        numbers,
        slice_sizes=(1, *rest),
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )


def _places(g: Any, h: Any, *, pattern: Pattern) -> Array:
    def some(places: Any) -> Array:
        rows, columns = places
        terms = _gather(g, rows) * _gather(h, columns)
        return jnp.matmul(terms, ones, precision=lax.Precision.HIGHEST)

    # A product with ones takes half the time of a sum on a processor. The gathered rows are arrays
    # of their own: a few at a time.
    ones = jnp.ones(g.shape[1], g.dtype)
    size = max(1, _GATHERED // max(1, g.shape[1]))
    if pattern.count <= size:
        return some((pattern.rows, pattern.columns))
    missing = -pattern.count % size
    chunks = tuple(
        np.pad(places, (0, missing), mode="edge").reshape(-1, size)
        for places in (pattern.rows, pattern.columns)
    )
    return lax.map(some, chunks).reshape(-1)[: pattern.count]


def _make(name: str, function: Any, shape: Any) -> Primitive:
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(function, static_argnames="pattern"))
    primitive.def_abstract_eval(
        lambda a, b, *, pattern: jax.core.ShapedArray(shape(a, b, pattern), a.dtype)
    )
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    batching.primitive_batchers[primitive] = functools.partial(_batched, primitive)
    return primitive


def _batched(primitive: Primitive, arguments: Any, axes: Any, *, pattern: Pattern) -> Any:
    """A batch as one product: more points, or the matrices along the diagonal of a larger one."""
    (a, b), (i, j) = arguments, axes
    if primitive is product_p and i is None:
        size = b.shape[j]
        points = jnp.moveaxis(b, j, -1)
        flat = product_p.bind(a, points.reshape(points.shape[0], -1), pattern=pattern)
        return flat.reshape(flat.shape[0], -1, size), 2
    size = a.shape[i] if i is not None else b.shape[j]
    a, b = (batching.bdim_at_front(x, k, size) for x, k in ((a, i), (b, j)))
    many = pattern.repeated(size)
    flat = primitive.bind(a.reshape(-1, *a.shape[2:]), b.reshape(-1, *b.shape[2:]), pattern=many)
    return flat.reshape(size, -1, *flat.shape[1:]), 0


product_p = _make("sparse_product", _product, lambda v, h, p: (p.shape[0], h.shape[1]))
places_p = _make("sparse_places", _places, lambda g, h, p: (p.count,))


def _transposed(values: Any, g: Any, pattern: Pattern) -> Array:
    """The product with the transposed matrix."""
    other, order = pattern.transposed
    return product_p.bind(_gather(values, order), g, pattern=other)


ad.defbilinear(
    product_p,
    lambda g, values, h, *, pattern: places_p.bind(g, h, pattern=pattern),
    lambda g, values, h, *, pattern: _transposed(values, g, pattern),
)
ad.defbilinear(
    places_p,
    lambda t, g, h, *, pattern: product_p.bind(t, h, pattern=pattern),
    lambda t, g, h, *, pattern: _transposed(t, g, pattern),
)
