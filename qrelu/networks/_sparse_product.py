"""The product of a sparse matrix with a dense one: two primitives, each other's derivatives."""

# With W given by its values v on a pattern, W h is linear in v and in h. Its transpose in h is the
# same product for the transposed pattern; its transpose in v takes g to the numbers g_r . h_c at
# the places (r, c) of the pattern, products of rows of two matrices. Those are again linear in g
# and in h, with transposes of the same two kinds. So all derivatives, forward and reverse and of
# any order, are gathers in the order that suits them; nothing is scattered.

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

from ._pattern import Part, Pattern

# Slices that are added up in one fused loop.
_UNROLLED = 8


def sparse_product(values: Array, h: Array, pattern: Pattern) -> Array:
    """`W @ h` for h of shape (columns, points), in the common type of both."""
    dtype = jnp.result_type(values, h)
    return product_p.bind(values.astype(dtype), h.astype(dtype), pattern=pattern)


def _product(values: Array, h: Array, *, pattern: Pattern) -> Array:
    layout, (count, points) = pattern.layout, (pattern.shape[0], h.shape[1])
    padded = jnp.concatenate([values, jnp.zeros(1, values.dtype)])
    found = [(part.rows, _slices(padded, h, part)) for part in layout.parts]
    if layout.dense_rows.size:
        found.append((layout.dense_rows, _dense(values, h, pattern)))
    total = jnp.zeros((count, points), h.dtype)
    for rows, result in found:
        total = total + _spread(result, rows, count, pattern)
    return total


def _slices(padded: Array, h: Array, part: Part) -> Array:
    """The rows of a part, summed slice by slice."""

    def add(total: Array | None, entries: Any, columns: Any) -> Array:
        for k in range(entries.shape[0]):
            term = _gather(padded, entries[k])[:, None] * _gather(h, columns[k])
            total = term if total is None else total + term
        assert total is not None
        return total

    slices = part.entries.shape[0]
    if slices <= 2 * _UNROLLED:
        return add(None, part.entries, part.columns)
    head = slices % _UNROLLED or _UNROLLED
    rest = tuple(a[head:].reshape(-1, _UNROLLED, a.shape[1]) for a in (part.entries, part.columns))
    first = add(None, part.entries[:head], part.columns[:head])
    return lax.scan(lambda total, chunk: (add(total, *chunk), None), first, rest)[0]


def _dense(values: Array, h: Array, pattern: Pattern) -> Array:
    rows, entries = pattern.layout.dense_rows, pattern.layout.dense_entries
    place = np.zeros(pattern.shape[0], np.int32)
    place[rows] = np.arange(rows.size)
    at = (place[pattern.rows[entries]], pattern.columns[entries])
    full = rows.size * pattern.shape[1]
    if entries.size == full:
        matrix = _gather(values, entries).reshape(rows.size, pattern.shape[1])
    else:
        number = np.full((rows.size, pattern.shape[1]), values.shape[0], np.int32)
        number[at] = entries
        padded = jnp.concatenate([values, jnp.zeros(1, values.dtype)])
        matrix = _gather(padded, number.ravel()).reshape(number.shape)
    return jnp.matmul(matrix, h, precision=lax.Precision.HIGHEST)


def _spread(result: Array, rows: np.ndarray, count: int, pattern: Pattern) -> Array:
    """Results for some rows as rows of the whole matrix; zero elsewhere."""
    if rows.size == count:
        empty = np.diff(pattern.starts) == 0
        return jnp.where(empty[:, None], 0, result) if empty.any() else result
    place, there = np.zeros(count, np.int32), np.zeros(count, bool)
    place[rows], there[rows] = np.arange(rows.size), True
    return jnp.where(there[:, None], _gather(result, place), 0)


def _gather(array: Array, index: Any) -> Array:
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


def _places(g: Array, h: Array, *, pattern: Pattern) -> Array:
    return jnp.sum(_gather(g, pattern.rows) * _gather(h, pattern.columns), axis=1)


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


def _transposed(values: Array, g: Array, pattern: Pattern) -> Array:
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
