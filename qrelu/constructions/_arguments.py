"""Checks of what the constructions are asked for, and bounds that are rounded upwards."""

import math
import operator
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

Number: TypeAlias = float | int | np.number


def check_accuracy(call: str, accuracy: Any) -> float:
    """A number in (0, 1)."""
    value = check_number(f"{call}(accuracy=...)", accuracy)
    if not 0 < value < 1:
        raise ValueError(
            f"`{call}(accuracy=...)` must lie strictly between 0 and 1; got {accuracy}. It is the "
            "error that the network may have; scale the function if larger errors make sense."
        )
    return value


def check_either(call: str, accuracy: Any, name: str, size: Any) -> None:
    """Exactly one of an accuracy and a size."""
    if (accuracy is None) == (size is None):
        raise ValueError(
            f"`{call}(accuracy, {name}=...)` must be given one of the two; got "
            f"{'neither' if size is None else 'both'}."
        )


def check_function(call: str, function: Any, name: str = "function") -> None:
    """Something that can be called."""
    if not callable(function):
        raise TypeError(f"`{call}({name})` must be a function of arrays; got {function!r}.")


def check_power_of_two(call: str, value: Any, why: str) -> int:
    """A power of two of at least 1."""
    number = check_number(call, value)
    if not (math.isfinite(number) and number >= 1 and math.frexp(number)[0] == 0.5):
        raise ValueError(f"`{call}` must be a power of two of at least 1; got {value}. {why}")
    return int(number)


def name_of(function: Any) -> str:
    """What a certificate calls a function: its name, unless it is a lambda or has none."""
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() else "the given function"


def check_numbers(call: str, values: Any, what: str = "be real numbers") -> np.ndarray:
    """An array of real numbers in float64."""
    array = np.asarray(values)
    try:
        if array.dtype.kind in "cSU":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"`{call}` must {what}; got the type {array.dtype}.") from None


def check_positive(call: str, value: Any) -> float:
    """A positive finite number."""
    number = check_number(call, value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"`{call}` must be positive and finite; got {value}.")
    return number


def check_whole(call: str, value: Any, lowest: int, most: int | None = None) -> int:
    """A Python integer of a range."""
    span = f"of at least {lowest}" if most is None else f"from {lowest} to {most}"
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"`{call}` must be a whole number {span}; got {value!r}.") from None
    if number < lowest or (most is not None and number > most):
        raise ValueError(f"`{call}` must be a whole number {span}; got {number}.")
    return number


def check_dtype(call: str, dtype: Any) -> np.dtype:
    """float32 or float64."""
    try:
        kind = np.dtype(dtype) if dtype is not None else None  # NumPy takes None for float64
    except TypeError:
        kind = None
    if kind is None or kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"`{call}(dtype=...)` must be float32 or float64; got {kind or dtype}.")
    return kind


def digits(dtype: np.dtype) -> int:
    """The binary digits of a float: 24 or 53."""
    return int(np.finfo(dtype).nmant) + 1


def check_levels(call: str, levels: int, most: int, dtype: np.dtype, allow_rounding: bool) -> None:
    """Refuse levels whose values need more digits than the type has."""
    if levels > most and not allow_rounding:
        wider = ' Use "float64".' if dtype == np.float32 else ""
        raise ValueError(
            f"`{call}` must need at most {most} levels of squaring in {dtype}; got {levels}. The "
            "values at the points of the finest level have more digits than the type: evaluated "
            f"in it, the network is further from its target than the certificate says.{wider} "
            "`allow_rounding=True` builds it nevertheless, for exact evaluation."
        )


def levels_for(error: Fraction) -> int:
    """The least m >= 1 with 4^-(m + 1) <= error."""
    m = 1
    while Fraction(1, 4 ** (m + 1)) > error:
        m += 1
    return m


def power_above(value: Fraction) -> int:
    """The least p with value <= 2^p, for a positive value."""
    p = value.numerator.bit_length() - value.denominator.bit_length() - 1
    while Fraction(2) ** p < value:
        p += 1
    return p


def round_up(value: Fraction) -> float:
    """The least float64 that is not below a fraction."""
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)


def check_number(call: str, value: Any) -> float:
    try:
        if isinstance(value, bool | np.bool_ | str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"`{call}` must be a number; got {value!r}.") from None
