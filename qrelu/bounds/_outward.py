"""Upward rounding: what this namespace returns holds in floating point too."""

import math
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

Number: TypeAlias = float | int | np.number

# Half a unit in the last place of float64, in which the bounds themselves are computed.
UNIT = 2.0**-53
TINY = float(np.finfo(np.float64).tiny)


def gamma(n: int, unit: float) -> float:
    """n u / (1 - n u), rounded upwards; infinity where it means nothing."""
    product = n * unit
    return math.inf if product >= 1 else product / (1 - product) * (1 + 8 * UNIT)


# The result of one rounded operation on non-negative numbers lies at most half a unit in the last
# place below the true one, so the next float is an upper bound. In JAX arrays the same is had with
# a relative inflation that covers two roundings (the one it repairs and its own), plus the smallest
# normal number for devices that flush subnormal results to zero. Both stay differentiable.
def up(value: Any) -> Any:
    """An upper bound of what the last operation, rounded to nearest, should have given."""
    if isinstance(value, jax.Array):
        info = jnp.finfo(value.dtype)
        return value * (1 + 4 * float(info.eps)) + float(info.tiny)
    return math.nextafter(float(value), math.inf)


def down(value: Any) -> Any:
    """A lower bound of what the last operation, rounded to nearest, should have given."""
    if isinstance(value, jax.Array):
        info = jnp.finfo(value.dtype)
        return value * (1 - 4 * float(info.eps)) - float(info.tiny)
    return math.nextafter(float(value), -math.inf)


def root_product(rows: int, columns: int, p: Number, *, below: bool = False) -> float:
    r"""An upper (or lower) bound of $rows^{1/p} \cdot columns^{1 - 1/p}$.

    Exact for $p \in \{1, \infty\}$ and for equal numbers.
    """
    if p == 1 or rows == columns:
        return float(rows)
    if math.isinf(p):
        return float(columns)
    # `pow` is accurate to one unit in the last place; its exponent carries half a unit, which
    # moves the power by less than log(2^63)/2 < 22 units.
    power = math.pow(rows, 1 / p) * math.pow(columns, 1 - 1 / p)
    return power * (1 - 2.0**-46) if below else power * (1 + 2.0**-46)


def upper_sum(values: Any, axis: int) -> Any:
    """Upper bounds of sums of non-negative float64 numbers along an axis, dense or of SciPy."""
    # n terms are added with a relative error of at most (n - 1) units, in any order.
    return values.sum(axis) * (1 + (values.shape[axis] + 4) * 2.0**-52) + 2.0**-1000
