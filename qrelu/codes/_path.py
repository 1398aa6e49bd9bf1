"""Lipschitz functions in as few bits as any code can take."""

from typing import Any

import numpy as np

from ..bounds import lipschitz_bits
from ..families import BSplines
from ..targets import AbstractTarget
from ._code import REAL, Code

PATH = 32
# What rounding of f may add to a difference of its values.
_SLACK = 2.0**-40
_MOST = 2**24


# With h = 1/n: g = 0 on [0, h], and on each further cell g has the slope +1 or -1, whichever turns
# towards f at the right end. Let d = f - g at the left end, |d| <= h, and let f move by t with
# |t| <= h. If d + t >= 0, g rises, and d + t - h lies in [-h, h]; likewise if it falls. In between
# f - g is monotone. On [0, h], |f| <= h since f(0) = 0.
def lipschitz_path(function: Any, accuracy: Any) -> Code:
    r"""A 1-Lipschitz function on $[0, 1]$, $f(0) = 0$, in $\lceil 1/\varepsilon \rceil - 1$ bits.

    With $n = \lceil 1/\varepsilon \rceil$ and $h = 1/n$ the code is the sign of the slope on each
    of the cells 2, ..., n; on the first one the path is zero. Its error is at most $1/n$ in the sup
    norm, and no code of fewer bits reaches that for the whole class (`bounds.lipschitz_bits`):
    (bits + 1) x error is at most 1. The signs are plain bits; the rest of a file is its header.

    **Arguments:**

    - `function`: $f$, from $n$ points to $n$ values; it is asked for its values at $i/n$ only.
    - `accuracy`: $\varepsilon$ in $(0, 1]$; a float stands for its exact value, so that a third is
        `Fraction(1, 3)`.

    **Returns:**

    A `Code`; `decode` gives the path as a spline of order 2 with n equal pieces.

    **Raises:**

    - `TypeError`: for what is no function, and an accuracy that is no number.
    - `ValueError`: for an accuracy out of range, a target on another interval, values that are not
      finite, $f(0) \ne 0$, or a slope above 1 between two of the points.

    **Reference:** classical (Kolmogorov and Tikhomirov); derived, above the code.
    """
    if not callable(function):
        raise TypeError(
            f"`lipschitz_path(function, accuracy)` must get a function; got {function!r}."
        )
    if isinstance(function, AbstractTarget) and tuple(np.ravel(function.domain)) != (0.0, 1.0):
        raise ValueError(
            "`lipschitz_path(function, ...)` must get a function on [0, 1]; `"
            f"{function.name}` lives on {function.domain}. Scale it: (f(a + (b - a) x) - f(a)) / "
            "(b - a) has the same Lipschitz constant."
        )
    if isinstance(accuracy, bool) or not isinstance(accuracy, REAL):
        raise TypeError(
            f"`lipschitz_path(accuracy=...)` must be a number in (0, 1]; got {accuracy!r}."
        )
    if not (0 < accuracy <= 1):
        raise ValueError(
            f"`lipschitz_path(accuracy=...)` must lie in (0, 1]; got {accuracy}. A path of one bit "
            "has the accuracy 1/2."
        )
    count = lipschitz_bits(accuracy) + 1
    if count > _MOST:
        raise ValueError(f"`lipschitz_path(accuracy=...)` must be at least 2^-24; got {accuracy}.")
    points = np.arange(count + 1) / count
    try:
        values = np.asarray(function(points), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`lipschitz_path(function, ...)` must take an array of points and return numbers; it "
            f"raised {type(error).__name__}: {error}. Write it with `numpy` instead of `math`, or "
            "wrap it in `numpy.vectorize`."
        ) from error
    if values.shape != points.shape:
        raise ValueError(
            f"`lipschitz_path(function, ...)` must return numbers of the shape {points.shape}, "
            f"like its points; got the shape {values.shape}."
        )
    if not np.isfinite(values).all():
        place = points[~np.isfinite(values)][0]
        raise ValueError(
            f"`lipschitz_path(function, ...)` must return finite numbers; f({place:.6g}) is "
            f"{values[~np.isfinite(values)][0]}."
        )
    levels = count * values
    if abs(levels[0]) > _SLACK * count:
        raise ValueError(
            f"`lipschitz_path(function, ...)` must have f(0) = 0; got {values[0]:.6g}. Subtract "
            "it, and send it separately."
        )
    slope = float(np.max(np.abs(np.diff(levels))))
    if slope > 1 + _SLACK * count:
        raise ValueError(
            f"`lipschitz_path(function, ...)` must have a Lipschitz constant of at most 1; got a "
            f"slope of {slope:.6g}. Divide the function by it."
        )
    level, signs = 0, []
    for wanted in levels[2:].tolist():
        signs.append(wanted >= level)
        level += 1 if signs[-1] else -1
    return Code(PATH, (0.0, 1.0), np.packbits(np.array(signs, bool)).tobytes(), count - 1)


def path(payload: bytes, bits: int) -> BSplines:
    """The path of a code."""
    signs = np.unpackbits(np.frombuffer(payload, np.uint8), count=bits).astype(np.int64)
    levels = np.concatenate([[0, 0], np.cumsum(2 * signs - 1)])
    return BSplines(coefficients=levels / (bits + 1), places=None, domain=(0.0, 1.0), order=2)
