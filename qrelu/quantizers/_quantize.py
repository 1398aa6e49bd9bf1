"""Quantizing every parameter of a pytree."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from .._misc import warn
from ._abstract import AbstractQuantizer
from ._activation import QuantizedReLU
from ._calibration import AbstractCalibration
from ._formats import capacity, float_format
from ._leaf import Wrapped
from ._random import check_key, key_of

# Nodes whose numbers are no parameters of the function: grids and states.
UNTOUCHED = (AbstractQuantizer, AbstractCalibration, QuantizedReLU, eqx.nn.StateIndex)


def quantize(tree: PyTree, q: AbstractQuantizer | AbstractCalibration, key: Any = None) -> PyTree:
    r"""The pytree with every parameter rounded to the grid of `q`.

    The forward value is exactly the grid value, bit for bit, eager, under `jax.jit`, `jax.vmap`
    and in NumPy; the gradient is the identity (straight-through), on saturated values too, in
    forward and in reverse mode.

    **Arguments:**

    - `tree`: any pytree. Arrays of real floating-point type are quantized; everything else
        (integers, complex numbers, Python numbers, functions) is left as it is, and so are
        the ranges of a `QuantizedReLU`, grids, and the states of Equinox layers.
    - `q`: a quantizer, whose step must broadcast to every parameter if it is an array; or a
        calibration such as `AbsMax(bits, "channel")`, which chooses a grid for each array.
    - `key`: one random key, for stochastic rounding. Every array gets a key of its own, made from
        `key` and the path of the array in the tree: it does not change when other arrays are
        added, removed or not quantized.

    **Returns:**

    The same structure; NumPy arrays stay NumPy arrays of their type, JAX arrays JAX arrays.
    A warning names each array whose different parameters all land on a single grid value, and
    each with parameters that an unbounded grid leaves as they are because their type is hardly
    finer than the step there, unless it is traced.

    **Raises:**

    - `TypeError`: if `q` is neither a quantizer nor a calibration, and for arrays of other
        libraries.
    - `ValueError`: if the type of a parameter cannot hold the grid, for stochastic rounding
        without a key, for a calibration with parameters that are NaN or infinite, and for
        parameters from `wrap`.
    """
    if not isinstance(q, (AbstractQuantizer, AbstractCalibration)):
        raise TypeError(
            f"`quantize(tree, q)` must get a quantizer or a calibration; got {named(q)}. "
            "Use, for example, `quantizers.AbsMax(4)` or `quantizers.Uniform(step)`."
        )
    found, structure = jax.tree_util.tree_flatten_with_path(
        tree, is_leaf=lambda node: isinstance(node, (Wrapped, *UNTOUCHED))
    )
    for path, leaf in found:
        _check_kind(path, leaf)
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
        if random:
            check_key("quantize(tree, q, key)", key)
        leaves[i] = grid(leaf, key_of(key, name) if random else None)
        _warn_of_no_rounding(name, leaf, grid)
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
    warn(
        f"`{call}` rounds all {latent.size} entries of `{name}` to the single value {values[0]}. "
        "Use a smaller step, more bits, or a step for each array or channel.",
    )


def named(value: Any) -> str:
    """What was given in the place of a quantizer."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _check_kind(path: tuple, leaf: Any) -> None:
    name = f"`tree{jax.tree_util.keystr(path)}`"
    if isinstance(leaf, Wrapped):
        raise ValueError(
            f"`quantize(tree, q)` must get plain parameters; got {name} from `wrap`, which has a "
            "grid already. Call `unwrap(tree)` first."
        )
    if hasattr(leaf, "__array__") and not isinstance(leaf, (jax.Array, np.ndarray, np.generic)):
        raise TypeError(
            f"`quantize(tree, q)` must get arrays of NumPy or JAX; got {type(leaf).__module__}."
            f"{type(leaf).__name__} in {name}. Convert it with `numpy.asarray`."
        )


def _warn_of_no_rounding(name: str, before: Any, grid: AbstractQuantizer) -> None:
    """Warn where an unbounded grid is finer than the numbers, if they are concrete."""
    step: Any = grid.step
    if step is None or any(isinstance(v, Tracer) for v in (before, step, grid.range[1])):
        return
    if before.size == 0 or np.ndim(grid.range[1]) > 0 or grid.range[1] != np.inf:
        return
    numbers = np.asarray(before)
    top = capacity(float_format(numbers.dtype))
    sizes = abs(numbers.astype(np.float64))
    kept = np.isfinite(sizes) & (sizes >= top * np.asarray(step, np.float64))
    if kept.any():
        warn(
            f"`quantize(tree, q)` leaves {kept.sum()} of {kept.size} entries of `tree{name}` as "
            f"they are, because {numbers.dtype} is hardly finer than the step at their size. Use a "
            "larger step or a wider type.",
        )


def _check_finite(path: tuple, leaf: Any) -> None:
    if not isinstance(leaf, Tracer) and not np.isfinite(np.asarray(leaf)).all():
        raise ValueError(
            "`quantize(tree, q)` must get finite parameters where the grid is chosen from them; "
            f"got NaN or infinity in `tree{jax.tree_util.keystr(path)}`."
        )
