"""Values and partial derivatives of a smooth function at a regular grid, checked for its class."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._arguments import check_function, check_numbers

Index = tuple[int, ...]
# Derivatives may exceed the scale by so much, relative, before the class is said to be left: they
# and their differences are rounded.
_SLACK = 1e-9


def grid_points(dimension: int, cells: int) -> np.ndarray:
    """The (cells + 1)^d points of the grid, the last coordinate running fastest."""
    return np.indices((cells + 1,) * dimension).reshape(dimension, -1).T / cells


def grid_derivatives(
    call: str,
    function: Callable[[Any], Any],
    derivative: Callable[[Index, Any], Any] | None,
    indices: Sequence[Index],
    cells: int,
    scale: float,
) -> dict[Index, np.ndarray]:
    """The partial derivatives at all points of the grid, by multi-index.

    All of them, and the slopes between neighboring points, must be at most the scale.
    """
    check_function(call, function)
    if derivative is not None:
        check_function(call, derivative, "derivative=...")
    d = len(indices[0])
    points = grid_points(d, cells)
    derivative = derivative or _differentiated(call, function)
    found = {}
    for index in indices:
        with jax.enable_x64(True):
            raw = derivative(index, points) if sum(index) else function(points)
            values = check_numbers(f"{call}(function, ...)", raw, "return numbers")
        what = f"its derivative {index}" if sum(index) else "the function"
        if values.shape not in ((len(points),), (len(points), 1)):
            raise ValueError(
                f"`{call}(function, ...)` must map points of the shape {points.shape} to "
                f"{len(points)} values, and so must its derivatives; got the shape {values.shape} "
                f"from {what}."
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"`{call}(function, ...)` must be finite at the grid, and so must its derivatives; "
                f"got NaN or infinity from {what}."
            )
        found[index] = values.reshape(-1)
    _check_class(call, found, cells, scale)
    return found


def _check_class(call: str, found: dict[Index, np.ndarray], cells: int, scale: float) -> None:
    worst, where = 0.0, ""
    for index, values in found.items():
        name = f"derivative {index}" if sum(index) else "the function"
        sizes = [(float(np.abs(values).max()), f"the value of {name}")]
        grid = values.reshape((cells + 1,) * len(index))
        for axis in range(grid.ndim):
            slope = float(np.abs(np.diff(grid, axis=axis)).max()) * cells
            sizes.append((slope, f"the slope of {name} along axis {axis}"))
        worst, where = max([(worst, where), *sizes])
    if worst > scale * (1 + max(_SLACK, cells * 2.0**-48)):
        order = 1 + max(sum(index) for index in found)
        raise ValueError(
            f"`{call}(function, scale={scale:g})` must have values and partial derivatives up to "
            f"order {order} of at most the scale; {where} reaches {worst:.6g} at the grid. Take "
            f"`scale={2 ** math.ceil(math.log2(worst))}`."
        )


def _differentiated(call: str, function: Callable[[Any], Any]) -> Callable[[Index, Any], Any]:
    """Derivatives of a function that JAX can trace."""

    def derivative(index: Index, points: np.ndarray) -> Any:
        def at(x):
            return jnp.reshape(function(x[None, :]), ())

        of = at
        for axis, times in enumerate(index):
            for _ in range(times):
                of = _partial(of, axis)
        try:
            return jax.jit(jax.vmap(of))(jnp.asarray(points))
        except TypeError as error:
            raise ValueError(
                f"`{call}(function, ...)` must be a function that JAX can differentiate, or "
                "`derivative` must be given, for order 2 and more; got "
                f"{type(error).__name__}: {str(error).splitlines()[0]}"
            ) from error

    return derivative


def _partial(of: Callable, axis: int) -> Callable:
    return lambda x: jax.jvp(of, (x,), (jnp.zeros_like(x).at[axis].set(1),))[1]
