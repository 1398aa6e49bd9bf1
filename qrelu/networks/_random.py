"""Random networks."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

from ._network import ReLUNetwork


def he_normal(widths: Sequence[int], *, key: Key[Array, ""] | UInt32[Array, "2"]) -> ReLUNetwork:
    r"""A random network with independent weights $W_l \sim \mathcal N(0, 2 / N_{l-1})$ and no bias.

    With this variance the mean square of the pre-activations is the same in every layer.

    **Arguments:**

    - `widths`: the numbers of units $(N_0, \ldots, N_L)$, input and output included.
    - `key`: a JAX random key.

    **Returns:**

    A network with JAX parameters of the default float type.

    **Raises:**

    - `ValueError`: for fewer than two widths, or widths that are not positive integers.

    **Reference:** [he2015], equation (10).
    """
    sizes = tuple(widths)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes)
    if len(sizes) < 2 or not whole or min(sizes) < 1:
        raise ValueError(
            "`he_normal(widths)` must be at least two positive integers, from the number of inputs "
            f"to the number of outputs; got {sizes}."
        )
    sizes = tuple(int(n) for n in sizes)
    keys = jax.random.split(key, len(sizes) - 1)
    weights = [
        jax.random.normal(k, (rows, columns)) * (2.0 / columns) ** 0.5
        for k, columns, rows in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]
    return ReLUNetwork(weights, [jnp.zeros(rows) for rows in sizes[1:]])
