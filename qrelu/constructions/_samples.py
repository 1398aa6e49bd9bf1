"""The values of a function of one input at given points, checked."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ._arguments import check_function, check_numbers


def values_at(call: str, function: Callable[[Any], Any], points: np.ndarray) -> np.ndarray:
    """Values of the function at points of shape (P,): P finite numbers in float64."""
    check_function(call, function)
    with jax.enable_x64(True):  # so that functions written with jax.numpy keep float64
        values = check_numbers(f"{call}(function, ...)", function(points), "return numbers")
    if values.shape != points.shape:
        raise ValueError(
            f"`{call}(function, ...)` must map an array of points to an array of values of the "
            f"same shape; got {values.shape} for {points.shape}. `numpy.vectorize` helps."
        )
    if not np.isfinite(values).all():
        where = points[np.argmin(np.isfinite(values))]
        raise ValueError(
            f"`{call}(function, ...)` must return finite numbers; got NaN or infinity at "
            f"{where:.6g}."
        )
    return values
