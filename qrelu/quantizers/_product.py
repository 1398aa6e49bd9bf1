"""The product of a quantized matrix and a vector, fast where `jax.vmap` makes a batch of it."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array


# `equinox.nn.Linear` writes W x, which `jax.vmap` over points turns into W X^T, points last: the
# entries of one point lie far apart, and a training step takes up to a seventh longer than with
# X W^T. So a product that is differentiated is written x W^T, which is the same number up to the
# order of the sum. One that is not keeps the order, and the bits, of the plain model.
def matmul(w: Any, x: Any) -> Any:
    """The product `w @ x`."""
    if not (_is_floats(w, 2) and _is_floats(x, 1)):
        return w @ x
    # The derivative may be taken outside the `with jax.default_matmul_precision(...)` of the
    # product, so the precision is read off where the product is written.
    precision = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009
    return _matrix_vector(precision, w, x)


def _is_floats(a: Any, ndim: int) -> bool:
    return isinstance(a, jax.Array) and a.ndim == ndim and jnp.issubdtype(a.dtype, jnp.inexact)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _matrix_vector(precision: Any, w: Array, x: Array) -> Array:
    return _batch_first(jnp.matmul(w, x, precision=precision))


# Inside a loop or a compiled function JAX takes the value from the rule and the place of a batch in
# it from the plain function, so that both must put it there in the same way: W X^T has points last,
# X W^T first. A reshape puts it first wherever it was.
def _batch_first(value: Array) -> Array:
    return jax.lax.squeeze(jax.lax.reshape(value, (1, *value.shape)), (0,))


def _derivative(precision, primals, tangents):
    (w, x), (w_tangent, x_tangent) = primals, tangents
    transposed = functools.partial(jnp.matmul, precision=precision)
    value = _batch_first(transposed(x, w.T))
    parts = []
    if not isinstance(w_tangent, SymbolicZero):
        parts.append(transposed(x, w_tangent.T))
    if not isinstance(x_tangent, SymbolicZero):
        parts.append(transposed(x_tangent, w.T))
    return value, functools.reduce(operator.add, parts)


_matrix_vector.defjvp(_derivative, symbolic_zeros=True)
