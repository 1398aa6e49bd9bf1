"""Checks of an interval and of the points in it."""

import math
from collections.abc import Sequence


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
