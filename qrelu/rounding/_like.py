"""Results in the type and library of the argument."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def type_of(array: Any) -> np.dtype:
    """The floating-point type that the parameters have; float64 for whole numbers."""
    dtype = np.asarray(array).dtype
    return dtype if jnp.issubdtype(dtype, np.floating) else np.dtype(np.float64)


def like(array: Any, values: np.ndarray) -> Any:
    """Float64 `values` in the type of `array`, NumPy for NumPy and JAX for JAX."""
    values = values.astype(type_of(array))
    return jnp.asarray(values) if isinstance(array, jax.Array) else np.ascontiguousarray(values)
