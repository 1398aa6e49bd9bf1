"""Units of a power of two, which changes no digit, for functions whose squares leave float64."""

from typing import Any

import numpy as np

# Between 2^-200 and 2^200 fourth powers (variances of squares) stay inside the range of float64,
# those of rounding errors too.
_FAR = 200
# The smallest positive float: what a result below the normal range is rounded to a multiple of.
LEAST = float(np.finfo(np.float64).smallest_subnormal)


def exponent(scale: float) -> int:
    """The e of the unit 2^e that numbers up to `scale` ask for; 0 where 1 will do."""
    e = int(np.frexp(scale)[1])
    return e if abs(e) > _FAR else 0


def scaled(values: Any, e: int) -> Any:
    """`values` times 2^e, infinite where that exceeds every float."""
    with np.errstate(over="ignore"):
        return np.ldexp(values, e)


def from_units(call: str, values: Any, e: int) -> Any:
    """`values` times 2^e; an error where that exceeds every float."""
    found = scaled(values, e)
    if not np.isfinite(found).all():
        raise ValueError(
            f"`{call}(...)` must stay below 1.8e308, the largest float64; got more. Divide both "
            "functions by a power of two."
        )
    return found
