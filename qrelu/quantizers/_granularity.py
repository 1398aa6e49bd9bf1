"""Which parameters share a step: a tensor, a channel, a group, or the whole network."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._arguments import whole
from ._formats import float_format

Granularity = Literal["tensor", "channel", "group", "network"]
GRANULARITIES = ("tensor", "channel", "group", "network")


def check_granularity(call: str, granularity: Any, axis: Any, group_size: Any) -> None:
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"`{call}(granularity=...)` must be one of {', '.join(map(repr, GRANULARITIES))}; "
            f"got {granularity!r}."
        )
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise TypeError(f"`{call}(axis=...)` must be an integer; got {axis!r}.")
    if granularity == "group":
        whole(f"{call}(group_size=...)", group_size, 1, 'a whole number of at least 1 for "group"')
    elif group_size is not None:
        raise ValueError(
            f'`{call}(group_size=...)` must be left out unless `granularity="group"`; got '
            f"{group_size} with {granularity!r}."
        )


def _as_numbers(call: str, x: Any) -> Any:
    """A traced array as it is, any other as a finite NumPy array, in the working type."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, np.floating):
        raise TypeError(
            f"`{call}` must get arrays of floating-point numbers; got {dtype or type(x).__name__}."
        )
    working = float_format(np.dtype(dtype)).working
    if isinstance(x, Tracer):
        return x.astype(working)
    numbers = np.asarray(x).astype(working)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"`{call}` must get finite parameters; got NaN or infinity. Look where they come from: "
            "no grid suits them."
        )
    return numbers


def extremes(
    call: str,
    arrays: Sequence[Any],
    statistics: Sequence[Callable],
    granularity: Granularity,
    axis: int,
    group_size: int | None,
) -> list[list[Any]]:
    """For each array its statistics, in shapes that broadcast to it; NumPy unless traced.

    A statistic takes the arguments of `np.max`, has `initial=0`, and does not mind zeros.
    """
    results = []
    for x in arrays:
        numbers = _as_numbers(call, x)
        axes = _axes(numbers.ndim, granularity, axis)
        grouped = granularity == "group" and numbers.ndim > 1
        found = [
            _of_groups(statistic, numbers, group_size)
            if grouped
            else statistic(_module(numbers), numbers, axes)
            for statistic in statistics
        ]
        results.append(found)
    if granularity == "network" and results:
        # The statistics are maxima.
        whole_tree = [_largest(column) for column in zip(*results, strict=True)]
        return [whole_tree] * len(results)
    return results


def _module(numbers: Any) -> Any:
    return jnp if isinstance(numbers, Tracer) else np


def _axes(ndim: int, granularity: Granularity, axis: int) -> tuple[int, ...] | None:
    """The axes that share a step; None for all of them."""
    if granularity != "channel" or ndim < 2 or not -ndim <= axis < ndim:
        return None
    # An axis counted from the end describes one layer, and the axes in front of it number layers
    # or networks, each with its own steps.
    kept = range(axis % ndim + 1) if axis < 0 else (axis,)
    return tuple(a for a in range(ndim) if a not in kept)


def _of_groups(statistic: Callable, numbers: Any, size: Any) -> Any:
    xp = _module(numbers)
    length = numbers.shape[-1]
    count = -(-length // size)
    padding = [(0, 0)] * (numbers.ndim - 1) + [(0, count * size - length)]
    groups = xp.pad(numbers, padding).reshape(*numbers.shape[:-1], count, size)
    found = statistic(xp, groups, (numbers.ndim,))[..., 0]
    return xp.repeat(found, size, axis=-1)[..., :length]


def _largest(values: Sequence[Any]) -> Any:
    xp = jnp if any(isinstance(v, Tracer) for v in values) else np
    dtype = xp.result_type(*values)
    return xp.asarray(xp.max(xp.stack([xp.asarray(v, dtype) for v in values])))
