"""The core of a rate: a log-log least-squares slope that JAX can transform."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped


def slope(
    sizes: Shaped[Array | np.ndarray, " sizes"],
    errors: Float[Array | np.ndarray, " sizes"],
    weights: Shaped[Array | np.ndarray, " sizes"] | None = None,
) -> Float[Array, ""]:
    r"""The least-squares slope of log error against log size, positive where the error falls.

    $$\text{slope} = -\frac{\sum_i w_i (x_i - \bar x)\, y_i}{\sum_i w_i (x_i - \bar x)^2},
    \qquad x_i = \log M_i,\; y_i = \log e_i,\; \bar x = \frac{\sum w_i x_i}{\sum w_i}.$$

    Works under `jit`, `vmap` and `grad`. It is a slope and not yet a rate: `fit_rate` checks for
    curvature, logarithms, floors and rises.

    **Arguments:**

    - `sizes`: positive sizes; converted to the dtype of `errors`.
    - `errors`: positive errors.
    - `weights`: non-negative weights, or a mask. Entries of weight zero never matter, even where
      the error is zero or NaN.

    **Returns:**

    A scalar of the dtype of `errors`.

    **Reference:** derived: the normal equations of a line.
    """
    sizes, errors = jnp.asarray(sizes), jnp.asarray(errors)
    if weights is None:
        weights = jnp.ones_like(errors)
    w = jnp.asarray(weights).astype(errors.dtype)
    # The inner `where` keeps log and its derivative away from entries that do not count.
    x = jnp.log(jnp.where(w > 0, sizes.astype(errors.dtype), 1))
    y = jnp.log(jnp.where(w > 0, errors, 1))
    x = x - jnp.sum(w * x) / jnp.sum(w)
    return -jnp.sum(w * x * y) / jnp.sum(w * x * x)
