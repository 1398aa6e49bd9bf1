"""The floating-point types that grids live in, and what each of them can hold."""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Format(NamedTuple):
    """A floating-point type: its precision in bits and the steps a grid may have in it."""

    name: str
    precision: int
    tiny: float
    smallest_step: float
    largest_step: float
    working: type[np.floating]
    integer: type[np.signedinteger]


@functools.cache
def float_format(dtype: np.dtype) -> Format:
    """The constants of a real floating-point type of at most 64 bits."""
    info = jnp.finfo(dtype)
    precision = info.nmant + 1
    double = precision == 53
    # Below `smallest_step` the last bit of the step is subnormal, which devices flush to zero;
    # above its mirror image the reciprocal of the step would be.
    smallest = float(info.tiny) * (2.0 ** (precision - 1) if precision >= 24 else 1.0)
    return Format(
        name=np.dtype(dtype).name,
        precision=precision,
        tiny=float(info.tiny),
        smallest_step=smallest,
        largest_step=1 / smallest,
        working=np.float64 if double else np.float32,
        integer=np.int64 if double else np.int32,
    )


def capacity(fmt: Format) -> int:
    """Codes below this size are exact in the type, and neighbouring grid values are distinct."""
    return 2 ** (fmt.precision - 1)
