"""Functions of two variables as the families of the plane see them."""

from collections.abc import Callable

import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget, Function
from ._family import check_types
from ._jumps import jumps
from ._quadrature import quadrature

# Rows and columns on which jumps are sought, in the sup norm only.
_LINES = 8
# Values at once.
_BLOCK = 2**17

_NETWORKS = 'Use a network of `training`, such as `training.Trained(solver="greedy")`.'

Box = tuple[tuple[float, ...], tuple[float, ...]]


def plane(call: str, target: AbstractTarget, norm: AbstractNorm, one: str) -> Box:
    """The ends of the box of a function of two variables; errors for every other.

    `one` is the family that serves one variable. In the sup norm a target that jumps is refused.
    """
    check_types(call, target, norm, several=True)
    if target.dimension != 2:
        cure = f"Use `{one}`." if target.dimension == 1 else _NETWORKS
        raise ValueError(
            f"`{call}` needs a function of two variables; `{target.name}` has "
            f"{target.dimension}. {cure}"
        )
    lower, upper = (tuple(np.asarray(end, np.float64).tolist()) for end in target.domain)
    if norm.p == np.inf:
        _refuse_jumps(call, target, (lower, upper))
    return lower, upper


def _refuse_jumps(call: str, target: AbstractTarget, box: Box) -> None:
    lower, upper = box
    for axis in (0, 1):
        other = 1 - axis
        # Lines that are special for no function.
        share = (np.arange(_LINES) + 0.5 * np.sqrt(2) / 2) / _LINES
        for fixed in lower[other] + (upper[other] - lower[other]) * share:

            def along(x, axis=axis, fixed=fixed):
                points = np.full((*np.shape(x), 2), fixed)
                points[..., axis] = x
                return np.asarray(target(points))

            line = quadrature(Function(along, (lower[axis], upper[axis]), name=target.name))
            found = jumps(line)
            if found.places.size:
                largest = found.largest(1)
                place = [fixed, fixed]
                place[axis] = float(largest.places[0])
                size = abs(float(largest.sizes[0]))
                raise ValueError(
                    f"`{call}` must get a continuous target in the sup norm; `{target.name}` "
                    f"jumps by {size:.4g} near x = ({place[0]:.6g}, {place[1]:.6g}), and no "
                    f"error falls below {size / 2:.4g}. Use `L1()` or `L2()`."
                )


def on_grid(target: AbstractTarget, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The values of the target on a grid, (x, y)."""
    values = np.empty((x.size, y.size))
    rows = max(1, _BLOCK // y.size)
    for start in range(0, x.size, rows):
        part = x[start : start + rows]
        points = np.stack(np.meshgrid(part, y, indexing="ij"), axis=-1)
        values[start : start + rows] = np.asarray(target(points), np.float64)
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            "`fit(target)` must get a target that is finite on its box; "
            f"{target.name}({[float(x[i]), float(y[j])]}) is {values[i, j]}. Shrink the box, or "
            "define the value there with `numpy.where`."
        )
    return values


def in_blocks(values: Callable[[np.ndarray], np.ndarray], x: np.ndarray, name: str) -> np.ndarray:
    """A function of points (n, 2) at points (..., 2), some at a time."""
    x = np.asarray(x, np.float64)
    if not x.shape or x.shape[-1] != 2:
        raise ValueError(f"`{name}(x)` must get points of shape (..., 2); got {x.shape}.")
    flat = x.reshape(-1, 2)
    parts = [values(flat[i : i + _BLOCK // 8]) for i in range(0, len(flat), _BLOCK // 8)]
    return np.concatenate(parts).reshape(x.shape[:-1]) if parts else np.zeros(x.shape[:-1])
