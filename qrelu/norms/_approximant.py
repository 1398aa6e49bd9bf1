"""From what the user has (a network, its pieces, two arrays) to checked breakpoints and values."""

from typing import Any

import numpy as np

from ..networks import ReLUNetwork, pieces
from ._gap import Gap


def as_pieces(approximant: Any, target: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Breakpoints (K + 1,), values and the target that they are measured against.

    Values are (K + 1,), or (2, K) where pieces may disagree at their ends. A formula that is not
    linear between breakpoints becomes zeros and the target `Gap`.
    """
    a, b = domain(target)
    if hasattr(approximant, "linear_pieces"):
        return _of_formula(approximant, target)
    if isinstance(approximant, ReLUNetwork):
        widths = approximant.widths
        if widths[0] != 1 or widths[-1] != 1:
            raise ValueError(
                "`distance(approximant, target)` must get a network with one input and one output; "
                f"got {widths[0]} and {widths[-1]}. Measure each output by itself."
            )
        approximant = pieces(approximant, a, b)
    if not (hasattr(approximant, "breakpoints") and hasattr(approximant, "values")):
        raise TypeError(
            "`distance(approximant, target)` must get a `ReLUNetwork` or its `Pieces`; got "
            f"{type(approximant).__name__}. For two arrays use `between(...)`."
        )
    return *as_arrays(approximant.breakpoints, approximant.values, target), target


def _of_formula(formula: Any, target: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    a, b = domain(target)
    lower, upper = formula.domain
    _check_covered(lower, upper, a, b)
    # No power of a simple pole has a finite integral, and between samples it would go unseen.
    if not formula.bounded:
        raise ValueError(
            "`distance(approximant, target)` must get an approximant that is finite on the domain; "
            f"this one has a pole in [{lower!r}, {upper!r}]. Round it less, or use another size."
        )
    linear = formula.linear_pieces()
    if linear is None:
        gap = Gap(formula, target)
        points = gap.cells()
        return points, np.zeros_like(points), gap
    t, values = linear
    if not np.isfinite(values).all():
        raise ValueError(
            "`distance(approximant, target)` must get an approximant with finite values; got NaN "
            "or infinity. Look for a division by a vanishing gap in the fit."
        )
    if (t[0], t[-1]) != (a, b):
        t, values = _cut(t, values, a, b)
    return t, values, target


def _cut(t: np.ndarray, values: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """The pieces on [a, b] with values (2, K) at their ends."""
    first = max(int(np.searchsorted(t, a, side="right")) - 1, 0)
    last = min(int(np.searchsorted(t, b, side="left")), len(t) - 1)
    points = np.concatenate([[a], t[first + 1 : last], [b]])
    ends = np.array(values[:, first:last])
    slopes = (ends[1] - ends[0]) / np.diff(t[first : last + 1])
    ends[0, 0] += slopes[0] * (a - t[first])
    ends[1, -1] -= slopes[-1] * (t[last] - b)
    return points, ends


def variables(target: Any) -> int:
    """How many variables the target has: the length of the ends of its domain."""
    try:
        lower, _ = target.domain
    except AttributeError:
        raise TypeError(
            "`distance(..., target)` must get a target with a domain; got "
            f"{type(target).__name__}. Wrap a function in `targets.Function`."
        ) from None
    return int(np.size(lower))


def domain(target: Any) -> tuple[float, float]:
    """The target's domain as two floats."""
    if variables(target) > 1:
        raise ValueError(
            "`between(breakpoints, values, target)` needs a function of one variable; "
            f"`{target.name}` has {variables(target)}. Use `distance(approximant, target)`."
        )
    a, b = target.domain
    return float(a), float(b)


def as_arrays(breakpoints: Any, values: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked float64 arrays, cut to the target's domain."""
    t = np.asarray(breakpoints, dtype=np.float64)
    p = np.asarray(values, dtype=np.float64)
    if p.ndim == 2 and p.shape[1] == 1:
        p = p[:, 0]
    if t.ndim != 1 or t.shape != p.shape or len(t) < 2:
        raise ValueError(
            "`between(breakpoints, values, ...)` must get two arrays of the same length, at least "
            f"2; got shapes {t.shape} and {p.shape}. Several outputs are measured one at a time."
        )
    width = np.diff(t)
    if not (width > 0).all():
        k = int(np.flatnonzero(~(width > 0))[0])
        raise ValueError(
            "`between(breakpoints, ...)` must get increasing breakpoints; got "
            f"{float(t[k])!r} before {float(t[k + 1])!r} at index {k}. Sort them and drop repeated "
            "ones."
        )
    if not np.isfinite(p).all():
        k = int(np.flatnonzero(~np.isfinite(p))[0])
        raise ValueError(
            f"`between(..., values, ...)` must get finite values; got {p[k]} at breakpoint "
            f"{float(t[k])!r}. Look for a division by a vanishing gap in the fit."
        )
    a, b = domain(target)
    _check_covered(float(t[0]), float(t[-1]), a, b)
    if t[0] == a and t[-1] == b:
        return t, p
    return _restricted(t, p, a, b)


def _check_covered(lower: float, upper: float, a: float, b: float) -> None:
    # A few units in the last place: end points that were computed rather than copied.
    slack = 8 * np.spacing(max(abs(a), abs(b)))
    if lower > a + slack or upper < b - slack:
        raise ValueError(
            f"`distance(approximant, target)` must get an approximant on [{a!r}, {b!r}]; got one "
            f"on [{lower!r}, {upper!r}]. Extend it, or give the target the smaller domain."
        )


def _restricted(t: np.ndarray, p: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """The same function on [a, b]: the end pieces are cut (or, within rounding, extended)."""
    slopes = np.diff(p) / np.diff(t)
    first = max(int(np.searchsorted(t, a, side="right")) - 1, 0)
    last = min(int(np.searchsorted(t, b, side="left")), len(t) - 1)
    inner = slice(first + 1, last)
    left = p[first] + slopes[first] * (a - t[first])
    right = p[last] - slopes[last - 1] * (t[last] - b)
    return (
        np.concatenate([[a], t[inner], [b]]),
        np.concatenate([[left], p[inner], [right]]),
    )
