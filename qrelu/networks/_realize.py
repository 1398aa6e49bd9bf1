"""The function that a network represents, on any batch of points."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ._network import ReLUNetwork


def realize(network: ReLUNetwork, xs: ArrayLike) -> Float[Array, "..."]:
    r"""The values of a network on a batch of points.

    Compiled once per architecture, shape and dtype, never per parameter value. Works under `jit`,
    `vmap` and `grad`, in the points and in the parameters. Matrix products ask for the highest
    precision, so that accelerators compute in full float32 (float64 where JAX has it enabled).

    **Arguments:**

    - `network`: the network, with NumPy or JAX parameters.
    - `xs`: points of shape $(\ldots, N_0)$, any leading shape.

    **Returns:**

    A JAX array of shape $(\ldots, N_L)$, in the common dtype of the parameters and the points.

    **Raises:**

    - `ValueError`: when the last axis of `xs` does not have length $N_0$.
    """
    xs = jnp.asarray(xs)
    inputs = network.widths[0]
    if xs.ndim == 0 or xs.shape[-1] != inputs:
        raise ValueError(
            f"`realize(network, xs)` takes points of shape (..., {inputs}); got the shape "
            f"{xs.shape}." + (" Use `xs[..., None]`." if inputs == 1 else "")
        )
    return _realize(network, xs)


@jax.jit
def _realize(network: ReLUNetwork, xs: Array) -> Array:
    flat = jax.vmap(network)(xs.reshape(-1, xs.shape[-1]))
    return flat.reshape(*xs.shape[:-1], flat.shape[-1])
