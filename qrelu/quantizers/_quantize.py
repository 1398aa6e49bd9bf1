"""Quantizing every parameter of a pytree."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ._abstract import AbstractQuantizer
from ._calibration import AbstractCalibration
from ._random import key_of


def quantize(tree: PyTree, q: AbstractQuantizer | AbstractCalibration, key: Any = None) -> PyTree:
    r"""The pytree with every parameter rounded to the grid of `q`.

    The forward value is exactly the grid value, bit for bit, eager, under `jax.jit`, `jax.vmap`
    and in NumPy; the gradient is the identity (straight-through), on saturated values too, in
    forward and in reverse mode.

    **Arguments:**

    - `tree`: any pytree. Arrays of real floating-point type are quantized; everything else
        (integers, complex numbers, Python numbers, functions) is left as it is.
    - `q`: a quantizer, whose step must broadcast to every parameter if it is an array; or a
        calibration such as `AbsMax(bits, "channel")`, which chooses a grid for each array.
    - `key`: one random key, for stochastic rounding. Every array gets a key of its own, made from
        `key` and the path of the array in the tree: it does not change when other arrays are
        added, removed or not quantized.

    **Returns:**

    The same structure; NumPy arrays stay NumPy arrays of their type, JAX arrays JAX arrays.
    A warning names each array whose different parameters all land on a single grid value, unless
    it is traced.

    **Raises:**

    - `TypeError`: if `q` is neither a quantizer nor a calibration.
    - `ValueError`: if the type of a parameter cannot hold the grid, for stochastic rounding
        without a key, and for a calibration with parameters that are NaN or infinite.
    """
    if not isinstance(q, (AbstractQuantizer, AbstractCalibration)):
        raise TypeError(
            f"`quantize(tree, q)` must get a quantizer or a calibration; got {type(q).__name__}. "
            "Use, for example, `quantizers.Uniform(step)`."
        )
    found, structure = jax.tree_util.tree_flatten_with_path(tree)
    leaves = [leaf for _, leaf in found]
    chosen = [i for i, leaf in enumerate(leaves) if is_parameter(leaf)]
    if isinstance(q, AbstractCalibration):
        for i in chosen:
            _check_finite(*found[i])
        grids = q.grids([leaves[i] for i in chosen])
    else:
        grids = [q] * len(chosen)
    for i, grid in zip(chosen, grids, strict=True):
        path, leaf = found[i]
        name = jax.tree_util.keystr(path)
        random = getattr(grid, "rounding", None) == "stochastic"
        leaves[i] = grid(leaf, key_of(key, name) if random else None)
        warn_of_single_level("quantize(tree, q)", f"tree{name}", leaf, leaves[i])
    return jax.tree.unflatten(structure, leaves)


def is_parameter(leaf: Any) -> bool:
    """Whether a leaf is an array of real floating-point numbers."""
    is_array = isinstance(leaf, (jax.Array, np.ndarray, np.generic))
    return is_array and jnp.issubdtype(leaf.dtype, np.floating)


def warn_of_single_level(call: str, name: str, before: Any, after: Any) -> None:
    """Warn where parameters that differed are all the same grid value, if they are concrete."""
    if isinstance(before, Tracer) or isinstance(after, Tracer) or before.size < 2:
        return
    values, latent = np.asarray(after).reshape(-1), np.asarray(before).reshape(-1)
    # Most arrays differ among their first entries.
    if values[0] != values[-1] or (values != values[0]).any() or (latent == latent[0]).all():
        return
    warnings.warn(
        f"`{call}` rounds all {latent.size} entries of `{name}` to the single value {values[0]}. "
        "Use a smaller step, more bits, or a step for each array or channel.",
        stacklevel=3,
    )


def _check_finite(path: tuple, leaf: Any) -> None:
    if not isinstance(leaf, Tracer) and not np.isfinite(np.asarray(leaf)).all():
        raise ValueError(
            "`quantize(tree, q)` must get finite parameters where the grid is chosen from them; "
            f"got NaN or infinity in `tree{jax.tree_util.keystr(path)}`."
        )
