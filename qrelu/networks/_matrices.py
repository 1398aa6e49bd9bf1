"""Block matrices in NumPy or in JAX, whichever the parameters are in."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._network import ReLUNetwork
from ._sparse import SparseMatrix

Parameter = Array | np.ndarray


def single(call: str, *networks: ReLUNetwork) -> None:
    """Refuse stacks of networks, whose parameters have a leading axis."""
    if any(net.weights[0].ndim != 2 for net in networks):
        raise ValueError(f"`{call}` must be given single networks; use `jax.vmap` for a stack.")


def library(*parameters: Any) -> Any:
    """`jax.numpy` when one of the parameters is a JAX array, else `numpy`."""
    return jnp if any(isinstance(p, jax.Array) for p in parameters) else np


def as_parameter(value: Any, like: Parameter) -> Parameter:
    """Arrays as they are; scalars and lists in the dtype and the library of `like`."""
    if isinstance(value, jax.Array) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return value
    return library(like, *jax.tree.leaves(value)).asarray(value, dtype=like.dtype)


def product(a: Parameter, b: Parameter) -> Parameter:
    """The matrix product, at the highest precision in JAX."""
    if isinstance(a, SparseMatrix):
        return a @ b
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.asarray(a) @ np.asarray(b)
    a, b = jnp.asarray(a), jnp.asarray(b)
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def minus(a: Parameter) -> Parameter:
    """The negative, where zeros stay positive zeros."""
    return 0 - a


def rows(parts: Sequence[Parameter]) -> Parameter:
    """Matrices below each other, or vectors after each other."""
    return library(*parts).concatenate(parts, axis=0)


def columns(parts: Sequence[Parameter]) -> Parameter:
    """Matrices next to each other."""
    return library(*parts).concatenate(parts, axis=1)


def block_diagonal(parts: Sequence[Parameter]) -> Parameter:
    """Matrices along the diagonal, zeros elsewhere."""
    xp, total = library(*parts), sum(p.shape[1] for p in parts)
    bands, before = [], 0
    for p in parts:
        after = total - before - p.shape[1]
        bands.append(xp.pad(p, ((0, 0), (before, after))))
        before += p.shape[1]
    return rows(bands)


def eye(n: int, like: Parameter) -> Parameter:
    """The unit matrix in the dtype and the library of `like`."""
    return library(like).eye(n, dtype=like.dtype)


def zeros(n: int, like: Parameter) -> Parameter:
    """The zero vector in the dtype and the library of `like`."""
    return library(like).zeros(n, dtype=like.dtype)
