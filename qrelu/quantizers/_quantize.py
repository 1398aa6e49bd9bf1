"""Quantizing every parameter of a pytree."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._abstract import AbstractQuantizer
from ._calibration import AbstractCalibration


def quantize(tree: PyTree, q: AbstractQuantizer | AbstractCalibration, key: Any = None) -> PyTree:
    r"""The pytree with every parameter rounded to the grid of `q`.

    The forward value is exactly the grid value, bit for bit, eager, under `jax.jit`, `jax.vmap`
    and in NumPy; the gradient is the identity (straight-through), on saturated values too, in
    forward and in reverse mode.

    **Arguments:**

    - `tree`: any pytree. Arrays of real floating-point type are quantized; everything else
        (integers, complex numbers, Python numbers, functions) is left as it is.
    - `q`: the quantizer; an array-valued step must broadcast to every parameter.
    - `key`: not used by deterministic rounding.

    **Returns:**

    The same structure; NumPy arrays stay NumPy arrays of their type, JAX arrays JAX arrays.

    **Raises:**

    - `TypeError`: if `q` is not a quantizer.
    - `ValueError`: if the type of a parameter cannot hold the grid.
    """
    if isinstance(q, AbstractCalibration):
        leaves, structure = jax.tree.flatten(tree)
        grids = iter(q.grids([leaf for leaf in leaves if _is_parameter(leaf)]))
        leaves = [next(grids)(leaf, key) if _is_parameter(leaf) else leaf for leaf in leaves]
        return jax.tree.unflatten(structure, leaves)
    if not isinstance(q, AbstractQuantizer):
        raise TypeError(
            f"`quantize(tree, q)` must get a quantizer; got {type(q).__name__}. Use, for example, "
            "`quantizers.Uniform(step)`."
        )
    return jax.tree.map(lambda leaf: q(leaf, key) if _is_parameter(leaf) else leaf, tree)


def _is_parameter(leaf: Any) -> bool:
    is_array = isinstance(leaf, (jax.Array, np.ndarray, np.generic))
    return is_array and jnp.issubdtype(leaf.dtype, np.floating)
