"""The parameters of a model: in the library that trains them, plain, and with their grids."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..quantizers import AbstractCalibration, Wrapped, quantize


def in_jax(leaf: Any) -> Any:
    """Floating-point arrays of NumPy as those of JAX; everything else as it is."""
    floats = isinstance(leaf, np.ndarray) and jnp.issubdtype(leaf.dtype, jnp.floating)
    return jnp.asarray(leaf) if floats else leaf


def all_in_jax(leaf: Any) -> Any:
    """Arrays of NumPy as those of JAX, of which every member of an ensemble takes its own part."""
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf


def count_members(call: str, model: Any, rates: Any = None) -> int:
    """The length of the axis with which all arrays of an ensemble, and its rates, begin."""
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves((model, rates)) if eqx.is_array(leaf)}
    if len(sizes) != 1 or sizes == {()}:
        as_many = ", and as many learning rates" if rates is not None else ""
        raise ValueError(
            f"`{call}(models, ...)` must get arrays with a common leading axis of members{as_many};"
            f" got the axes {sorted(sizes)}. `networks.stack` makes such models."
        )
    return sizes.pop()[0]


def parameters_of(model: Any) -> Any:
    """The floating-point arrays, None elsewhere."""
    return eqx.filter(model, eqx.is_inexact_array)


def grids_of(model: Any, quantizer: Any) -> list[Any]:
    """A grid for each floating-point array of the model, with errors and warnings of `quantize`."""
    quantize(model, quantizer)
    # `equinox.is_inexact_array` does not know the bfloat16 of NumPy.
    numbers = (jax.Array, np.ndarray, np.generic)
    leaves: list[Any] = [p for p in jax.tree.leaves(model) if isinstance(p, numbers)]
    leaves = [p for p in leaves if jnp.issubdtype(p.dtype, jnp.inexact)]
    if isinstance(quantizer, AbstractCalibration):
        return quantizer.grids(leaves)
    return [quantizer] * len(leaves)


def check_mask(call: str, mask: Any, parameters: Any) -> None:
    """An error unless the mask has an entry for each parameter, or one for a whole array."""
    if mask is None:
        return
    fits = jax.tree.structure(mask) == jax.tree.structure(parameters) and all(
        np.shape(m) in ((), p.shape)
        for m, p in zip(jax.tree.leaves(mask), jax.tree.leaves(parameters), strict=True)
    )
    if not fits:
        raise ValueError(
            f"`{call}(mask=...)` must have an entry for each parameter of the model, in the same "
            "structure. `networks.mask` makes such masks; for other models, "
            "`jax.tree.map(lambda p: p != 0, equinox.filter(model, equinox.is_inexact_array))`."
        )


def refuse_wrapped(call: str, model: Any) -> None:
    """An error for parameters that have a grid already."""
    if any(isinstance(leaf, Wrapped) for leaf in jax.tree.leaves(model, is_leaf=_is_wrapped)):
        raise ValueError(
            f"`{call}(model, ...)` must get plain parameters; got some from `wrap`. Call "
            "`unwrap(model)` first."
        )


def _is_wrapped(leaf: Any) -> bool:
    return isinstance(leaf, Wrapped)
