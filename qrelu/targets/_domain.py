"""Checks of an interval and of the points in it."""

import math
from collections.abc import Sequence

# A power of the length up to the third stays in the range of float64.
_SHORTEST = 1e-90
# A length of a million floats.
_RELATIVE = 2.0**-32


def interval(domain: Sequence[float | int], where: str) -> tuple[float, float]:
    """The domain as two floats, lower < upper, both finite."""
    try:
        lower, upper = (float(end) for end in domain)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{where}` must be two numbers (lower, upper); got {domain!r}. "
            "Write it like (0.0, 1.0)."
        ) from None
    if not (math.isfinite(lower) and math.isfinite(upper)):
        raise ValueError(
            f"`{where}` must be finite; got ({lower:g}, {upper:g}). Cut it off at finite numbers."
        )
    if lower >= upper:
        cure = "Swap the ends." if lower > upper else "Give an interval of positive length."
        raise ValueError(f"`{where}` must have lower < upper; got ({lower:g}, {upper:g}). {cure}")
    if not (_SHORTEST < upper - lower < 1 / _SHORTEST):
        raise ValueError(
            f"`{where}` must have a length between {_SHORTEST:g} and {1 / _SHORTEST:g}; got "
            f"({lower:g}, {upper:g}). Choose other units for x."
        )
    if upper - lower < _RELATIVE * max(abs(lower), abs(upper)):
        raise ValueError(
            f"`{where}` must be wide enough to hold points between its ends; got "
            f"({lower!r}, {upper!r}). Shift x, so that the domain begins at 0."
        )
    return lower, upper


def interior_points(
    points: Sequence[float | int], domain: tuple[float, float], where: str
) -> tuple[float, ...]:
    """The points as increasing floats strictly inside the domain, each once."""
    try:
        inside = sorted({float(point) for point in points})
    except (TypeError, ValueError):
        raise TypeError(
            f"`{where}` must be a sequence of numbers; got {points!r}. Write it like (0.5,)."
        ) from None
    lower, upper = domain
    for point in inside:
        if not lower < point < upper:
            raise ValueError(
                f"`{where}` must lie strictly inside ({lower:g}, {upper:g}); got {point:g}. "
                "Leave out the ends of the domain and what is beyond."
            )
    return tuple(inside)
