"""Arguments that must be numbers, in words of the caller."""

import math
import operator
from typing import Any

import numpy as np


def as_number(place: str, value: Any) -> float:
    """A real number as a float, NaN and infinity included."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)) or np.ndim(value) != 0:
            raise TypeError
        return float(value)
    except OverflowError:
        raise ValueError(
            f"`{place}` must be in the range of float64; got a number beyond it."
        ) from None
    except (TypeError, ValueError):
        raise TypeError(f"`{place}` must be a number; got {value!r}.") from None


def as_positive(place: str, value: Any, *, infinite: bool = False) -> float:
    """A positive number, finite unless `infinite` is allowed."""
    number = as_number(place, value)
    if not (number > 0 and (infinite or math.isfinite(number))):
        finite = "" if infinite else " and finite"
        raise ValueError(f"`{place}` must be positive{finite}; got {value}.")
    return number


def as_exponent(place: str, value: Any) -> Any:
    """A number from 1 to infinity."""
    if not as_number(place, value) >= 1:
        raise ValueError(f"`{place}` must be at least 1 (`math.inf` included); got {value}.")
    return value


def as_whole(place: str, value: Any, least: int, most: int = 2**31) -> int:
    """A whole number in a range."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"`{place}` must be an integer; got {value!r}.") from None
    if number < least:
        kinds = {0: "a non-negative integer", 1: "a positive integer"}
        kind = kinds.get(least, f"an integer of at least {least}")
        raise ValueError(f"`{place}` must be {kind}; got {number}.")
    if number > most:
        raise ValueError(f"`{place}` must be at most {most}; got a larger number.")
    return number


def is_one_of(value: Any, words: Any) -> bool:
    """Whether it is one of some words, of any type that it may be."""
    return isinstance(value, str) and value in words


def as_numbers(place: str, value: Any) -> np.ndarray:
    """Numbers of any shape in float64."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "iuf":
        # Types that NumPy does not know by itself, such as bfloat16, say their kind as "V".
        if array.dtype.kind != "V" or array.dtype.names is not None:
            raise TypeError(f"`{place}` must be a number or an array of numbers; got {value!r}.")
    return array.astype(np.float64)
