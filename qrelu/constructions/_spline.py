"""Piecewise-linear interpolation as a network with one hidden layer."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..networks import ReLUNetwork
from ._arguments import Number, check_dtype, check_number, check_numbers, round_up
from ._construction import Certificate, Construction, count


def spline(
    knots: Sequence[Number] | np.ndarray,
    values: Sequence[Number] | np.ndarray | Callable,
    *,
    curvature: Number | None = None,
    dtype: Any = np.float64,
) -> Construction:
    r"""The continuous piecewise-linear function with given values at given knots.

    $v_0 + s_0\,\rho(x - t_0) + \sum_{i=1}^{K-1} (s_i - s_{i-1})\,\rho(x - t_i)$ with the slopes
    $s_i$ between the $K + 1$ knots: one hidden layer of width $K$, connectivity at most $3K + 1$.

    The coefficients are rounded from left to right, each with regard to what the exact sum of
    those before it has become, so that rounding errors do not add up. What remains is computed in
    rational numbers: the certificate of the piecewise-linear function is its exact error, often 0.

    For a function $f$ with $|f''| \le$ `curvature`, $h^2/8 \cdot$ `curvature` is added, with the
    largest distance $h$ of neighboring knots.

    Evaluation in floating point adds up $K$ terms that cancel, with errors in proportion to $K$
    slopes times the spacing of the type: float32 serves for some hundred smoothly varying values,
    float64 for some hundred thousand.

    **Arguments:**

    - `knots`: at least two, finite and increasing.
    - `values`: one per knot, or a function that maps an array of knots to them.
    - `curvature`: a bound of $|f''|$ between the knots. Without it the target is the
        piecewise-linear function itself.
    - `dtype`: float32 or float64; knots and values are rounded to it first, and the certificate
        speaks of the rounded ones. With `curvature` the knots must be numbers of the type, and the
        rounding of the values is included.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: for knots that are not finite and increasing in the type, values that do not fit
      or are not finite, slopes that overflow, or a curvature that is negative or not finite.

    **Reference:** [deboor1973] for the interpolation error; rounding: derived, above the code.
    """
    kind = check_dtype("spline", dtype)
    asked = check_numbers("spline(knots)", knots)
    if asked.ndim != 1 or asked.size < 2:
        raise ValueError(
            f"`spline(knots)` must be at least two numbers; got the shape {asked.shape}."
        )
    at = asked.astype(kind)
    if not (np.isfinite(at).all() and (np.diff(at) > 0).all()):
        raise ValueError(
            f"`spline(knots)` must be finite and increasing in {kind}; got {knots}. Sort them and "
            "drop the ones that repeat."
        )
    bend = None if curvature is None else check_number("spline(curvature=...)", curvature)
    if bend is not None and not (np.isfinite(bend) and bend >= 0):
        raise ValueError(
            f"`spline(curvature=...)` must be finite and not negative; got {curvature}."
        )
    if bend is not None and (at != asked).any():
        raise ValueError(f"`spline(knots)` must be numbers of {kind} where `curvature` is given.")
    wanted = check_numbers("spline(values)", values(asked) if callable(values) else values)
    if wanted.shape != asked.shape or not np.isfinite(wanted).all():
        raise ValueError(
            "`spline(knots, values)` must have one finite value per knot; got "
            f"{asked.size} knots and values of the shape {wanted.shape}"
            + ("." if wanted.shape != asked.shape else ", some of them not finite.")
        )
    target = wanted.astype(kind)
    with np.errstate(over="ignore"):
        coefficients, error = _coefficients(at, target)
    if not np.isfinite(coefficients).all():
        raise ValueError(f"`spline(knots, values)` must have slopes that {kind} can hold.")
    used = np.flatnonzero(coefficients)
    used = used if used.size else np.array([0])
    network = ReLUNetwork(
        [np.ones((used.size, 1), kind), coefficients[used][None]],
        [0 - at[:-1][used], target[:1]],
    )
    name, source = "the piecewise-linear function with the given values", "derived"
    exact, assumptions = True, ""
    if bend is not None:
        width = max(Fraction(b) - Fraction(a) for a, b in _pairs(at))
        both = zip(target.tolist(), wanted.tolist(), strict=True)
        rounded = max(abs(Fraction(u) - Fraction(v)) for u, v in both)
        error += width**2 / 8 * Fraction(bend) + rounded
        name, exact = "the function with the given values", False
        source = "[deboor1973], with the rounding of the coefficients"
        assumptions = f"|f''| <= {bend:g} between the knots"
    ends = ((float(at[0]),), (float(at[-1]),))
    certificate = Certificate(
        round_up(error), name, ends, exact=exact, assumptions=assumptions, source=source
    )
    return Construction(network, certificate, count(network))


# The network and the interpolant are affine between the knots, so their distance is largest at a
# knot. With the exact value and slope of the sum so far at t_i, the next coefficient is the rounded
# difference to the slope that would meet v_{i+1}: the error at t_{i+1} is its rounding times the
# distance of the knots, whatever came before.
def _coefficients(knots: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, Fraction]:
    """Coefficients of the hinges at all knots but the last, and the exact error."""
    coefficients = np.zeros(len(knots) - 1, knots.dtype)
    level, slope, error = Fraction(float(values[0])), Fraction(0), Fraction(0)
    for i, ((a, b), v) in enumerate(zip(_pairs(knots), values[1:].tolist(), strict=True)):
        width = Fraction(b) - Fraction(a)
        wanted = (Fraction(v) - level) / width - slope
        try:
            coefficients[i] = float(wanted)
        except OverflowError:
            coefficients[i] = np.inf
        if not np.isfinite(coefficients[i]):
            break
        slope += Fraction(float(coefficients[i]))
        level += slope * width
        error = max(error, abs(level - Fraction(v)))
    return coefficients, error


def _pairs(knots: np.ndarray):
    """Neighboring knots as Python floats."""
    ends = knots.tolist()
    return zip(ends, ends[1:], strict=False)
