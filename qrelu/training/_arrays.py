"""The arrays of a model, in the library that trains them."""

from typing import Any

import jax.numpy as jnp
import numpy as np


def in_jax(leaf: Any) -> Any:
    """Floating-point arrays of NumPy as those of JAX; everything else as it is."""
    floats = isinstance(leaf, np.ndarray) and np.issubdtype(leaf.dtype, np.floating)
    return jnp.asarray(leaf) if floats else leaf
