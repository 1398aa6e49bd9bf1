"""Checks of what a grid is made from, and numbers of bits that are arrays."""

import operator
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._lattice import ROUNDINGS

LARGEST_BITS = 53  # the precision of float64: larger codes would not be exact in any type


def check_rounding(call: str, rounding: Any) -> None:
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"`{call}(rounding=...)` must be one of {', '.join(map(repr, ROUNDINGS))}; "
            f"got {rounding!r}."
        )


def whole(call: str, value: Any, lowest: int, what: str) -> int:
    """A Python integer of at least `lowest`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"`{call}` must be {what}; got {value!r}.") from None
    if number < lowest:
        raise ValueError(f"`{call}` must be {what}; got {number}.")
    return number


def is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, np.ndarray))


def check_bits(call: str, bits: Any, most: int = LARGEST_BITS) -> Any:
    """A Python integer, or an array of whole numbers, checked where it is concrete."""
    if not is_array(bits):
        number = whole(f"{call}(bits=...)", bits, 1, "a whole number of at least 1")
        if number > most:
            raise ValueError(
                f"`{call}(bits=...)` must be at most {most}, the bits that float64 holds "
                f"exactly; got {number}. Use fewer bits."
            )
        return number
    integers = jnp.issubdtype(bits.dtype, np.integer)
    if not (integers or jnp.issubdtype(bits.dtype, np.floating)):
        raise TypeError(f"`{call}(bits=...)` must hold whole numbers; got {bits.dtype}.")
    if not isinstance(bits, Tracer):
        numbers = np.asarray(bits).astype(np.float64)
        if not ((numbers >= 1) & (numbers <= most)).all():
            raise ValueError(f"`{call}(bits=...)` must be from 1 to {most}; got {bits}.")
    return bits


def lookup(table: np.ndarray, bits: Any, xp: ModuleType) -> Any:
    """`table[bits - 1]`, NaN beyond its ends; bits that are not whole go to the nearest."""
    # A table, because no other way to powers of two is exact on every device.
    index = xp.rint(bits).astype(np.int32) - 1
    inside = (index >= 0) & (index < table.size)
    values = xp.asarray(table)[xp.clip(index, 0, table.size - 1)]
    return xp.where(inside, values, values.dtype.type(np.nan))


def positive(call: str, value: Any, role: str) -> Any:
    """Python and NumPy scalars as floats, arrays as they are, checked where they are concrete."""
    if isinstance(value, jax.Array):
        if not jnp.issubdtype(value.dtype, np.floating):
            raise TypeError(f"`{call}` must be floating-point; got {value.dtype}.")
        if isinstance(value, Tracer):
            return value
        numbers = np.asarray(value).astype(np.float64)
    else:
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.number, np.ndarray)
        ):
            raise TypeError(f"`{call}` must be a number or an array; got {type(value).__name__}.")
        numbers = np.asarray(value)
        if not np.issubdtype(numbers.dtype, np.floating):
            numbers = numbers.astype(np.float64)
        value = numbers if numbers.ndim else float(numbers)
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        raise ValueError(f"`{call}` must be positive and finite; got {value}. {role}")
    return value


def divide(magnitude: Any, by: Any) -> Any:
    """The quotient in the type of the magnitude, the same under jit."""
    if isinstance(magnitude, jax.Array):
        by = jnp.asarray(by, magnitude.dtype)
        # Under jit a constant divisor becomes a rounded reciprocal, and the step another one.
        by = jnp.where(jnp.isnan(magnitude), magnitude, by)
    elif isinstance(magnitude, np.ndarray):
        by = np.asarray(by, magnitude.dtype)
    return magnitude / by
