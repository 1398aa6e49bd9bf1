"""Which errors may enter a fit: input checks, zeros, floors, saturation and rises."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class Usable(NamedTuple):
    """The leading sizes that count, and sentences about those that do not."""

    count: int
    floor: float
    remarks: tuple[str, ...]


def show(value: Any) -> str:
    """A size as people write it."""
    return f"{value:.0f}" if float(value).is_integer() and value < 1e15 else f"{value:.6g}"


def check_sizes(sizes) -> Float[np.ndarray, " sizes"]:
    """Sizes as float64, positive and strictly increasing."""
    call = "`fit_rate(sizes, ...)`"
    try:
        m = np.asarray(sizes, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{call} must be an array of numbers; got {sizes!r:.80}. "
            "Pass the sizes M as integers or floats."
        ) from None
    if m.ndim != 1:
        raise ValueError(f"{call} must have one axis; got shape {m.shape}. Pass a flat sequence.")
    if len(m) < 2:
        raise ValueError(
            f"{call} must hold at least 2 sizes; got {len(m)}. "
            "A rate needs errors at several sizes (4 or more)."
        )
    if not np.all(np.isfinite(m)) or np.any(m <= 0):
        bad = m[~(np.isfinite(m) & (m > 0))][0]
        raise ValueError(
            f"{call} must be positive and finite; got {bad:g}. Remove that size and its error."
        )
    wrong = np.flatnonzero(np.diff(m) <= 0)
    if len(wrong):
        i = wrong[0]
        what = "twice" if m[i] == m[i + 1] else f"before {show(m[i + 1])}"
        raise ValueError(
            f"{call} must be strictly increasing; got {show(m[i])} {what}. Sort sizes and errors "
            "together and average errors of equal size (or pass them as replicates)."
        )
    return m


def check_errors(errors, count: int) -> Float[np.ndarray, "replicates sizes"]:
    """Errors as float64 of shape (replicates, sizes), finite and non-negative."""
    call = "`fit_rate(..., errors)`"
    try:
        e = np.asarray(errors, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{call} must be an array of numbers of shape (sizes,) or (replicates, sizes); "
            f"got {errors!r:.80}. Pass one error per size, with rows of equal length."
        ) from None
    if e.ndim not in (1, 2) or e.shape[-1] != count or e.size == 0:
        cure = (
            "Transpose the errors."
            if e.ndim == 2 and e.shape[0] == count
            else ("Pass one error per size.")
        )
        raise ValueError(
            f"{call} must have shape ({count},) or (replicates, {count}); got {e.shape}. {cure}"
        )
    if not np.all(np.isfinite(e)):
        raise ValueError(
            f"{call} must be finite; got {e[~np.isfinite(e)][0]:g}. Remove that size, "
            "or the replicate that failed."
        )
    if np.any(e < 0):
        raise ValueError(
            f"{call} must not be negative; got {e[e < 0][0]:g}. Pass norms of the difference."
        )
    return np.atleast_2d(e)


def slope_of(x, y) -> float:
    """Minus the least-squares slope of y against x."""
    x = x - x.mean()
    return float(-(x @ y) / (x @ x))


def noise_level(x, y) -> float:
    """Noise of a sequence from its second divided differences, by their median: robust to bends."""
    if len(y) < 5:
        return 0.0
    h = np.diff(x)
    left, right = h[1:] / (h[1:] + h[:-1]), h[:-1] / (h[1:] + h[:-1])
    second = left * y[:-2] - y[1:-1] + right * y[2:]
    scale = np.sqrt(left**2 + 1 + right**2)
    return float(np.median(np.abs(second / scale)) / 0.6745)


def saturation(m, y, noise: float):
    """Where the errors stop falling: (index, "rise" | "flat") or None.

    Rise: the last errors lie above the smallest one by 10 % and three times the noise. Flat: over
    the last quarter of the sizes (factor 4, three points at least) the slope is below a fifth of
    the steepest slope over such a window before, and below 0.3: slower decay that goes on at a
    constant slope is a small rate and no floor.
    """
    n = len(m)
    x = np.log(m)
    low = int(np.argmin(y))
    tolerance = max(np.log(1.1), 3 * noise)
    if low < n - 1 and y[-1] - y[low] > tolerance:
        return low, "rise"
    windows = []
    for i in range(n - 2):
        j = max(i + 3, int(np.searchsorted(m, 4 * m[i] * (1 - 1e-9), side="right")))
        if j <= n:
            windows.append((i, j))
    last = max(3, n - int(np.searchsorted(m, m[-1] / 4 * (1 - 1e-9))))
    if last >= n or not windows:
        return None
    end = slope_of(x[-last:], y[-last:])
    steepest = max(slope_of(x[i:j], y[i:j]) for i, j in windows)
    if steepest > 0 and end < 0.3 and end < 0.2 * steepest:
        level = np.median(y[-3:])
        start = int(np.flatnonzero(y > level + max(np.log(1.25), 3 * noise))[-1]) + 1
        return min(start, n - 2), "flat"
    return None
