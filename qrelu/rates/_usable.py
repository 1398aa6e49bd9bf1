"""Which errors may enter a fit: input checks, zeros, floors, saturation and rises."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class Usable(NamedTuple):
    """How many leading sizes count, and the level and sentences about those that do not.

    `zero` says whether some of them are left out because the error is exactly zero from there on.
    """

    count: int
    floor: float
    remarks: tuple[str, ...]
    zero: bool


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


def usable(m, e, *, floor, floor_of: str, uncertainties, magnitude: float | None, dtype) -> Usable:
    """Leave out, from the large sizes down, what says nothing about the rate.

    In this order: exact zeros, the floor of the arithmetic, a known floor, errors within a factor
    4 of their measurement uncertainty.
    """
    keep, level, remarks = len(m), np.nan, []
    zero = np.flatnonzero(np.any(e == 0, axis=0))
    reproduced = len(zero) > 0 and not e[:, zero[0] :].any()
    if len(zero):
        keep = int(zero[0])
        remarks.append(
            f"the error is exactly zero from M = {show(m[keep])} on: the function is reproduced"
            if reproduced
            else f"some errors from M = {show(m[keep])} on are exactly zero and others are not: "
            "only the sizes before count"
        )
    typical = np.exp(np.mean(np.log(np.where(e > 0, e, 1.0)), axis=0))
    # Rounding leaves a few units in the last place of the values of f; 64 of them bound the norms
    # of that rounding in practice.
    scale = typical.max() if magnitude is None else magnitude
    arithmetic = np.full(m.shape, 64 * float(np.finfo(dtype).eps) * scale)
    name = f"the error is at the floor of {np.dtype(dtype).name} arithmetic"
    bars = [(arithmetic, 1.0, name)]
    if magnitude is None and keep > 2:
        # Without a magnitude the largest error stands in for it and may be far too small. Errors
        # that stop falling below 64 units in the last place of 1 are taken for rounding as well.
        unit = 64 * float(np.finfo(dtype).eps) * max(1.0, scale)
        y = np.log(typical[:keep])
        if y.min() < np.log(unit) and saturation(m[:keep], y, 0.0) is not None:
            bars.append((np.full(m.shape, np.exp(y.min())), 4.0, name))
    if floor is not None:
        # A floor that adds in the square is 3 % of what is left at four times it, 13 % at twice.
        bars.append((floor, 4.0, f"the error is at {floor_of}"))
    if uncertainties is not None:
        bars.append((uncertainties, 4.0, "the error is within its measurement uncertainty"))
    for bar, factor, sentence in bars:
        low = np.flatnonzero(typical[:keep] <= factor * bar[:keep])
        if len(low):
            keep = int(low[0])
            level = float(bar[keep])
            remarks.append(f"{sentence} from M = {show(m[keep])} on")
    return Usable(keep, level, tuple(remarks), reproduced)


def per_size(value, name: str, m) -> np.ndarray | None:
    """An optional scalar or array (sizes,) of non-negative numbers, spread over the sizes."""
    if value is None:
        return None
    call = f"`fit_rate({name}=...)`"
    try:
        spread = np.broadcast_to(np.asarray(value, dtype=np.float64), m.shape)
    except (TypeError, ValueError):
        raise ValueError(
            f"{call} must be a number or hold one number per size ({len(m)}); got {value!r:.60}. "
            "Pass a scalar, or an array as long as the sizes."
        ) from None
    if not np.all(spread >= 0) or not np.all(np.isfinite(spread)):
        raise ValueError(
            f"{call} must be non-negative and finite; got {value!r:.60}. "
            "Leave it out where it is unknown."
        )
    return spread


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


def saturation(m, y, noise: float, share: float = 0.2, slow: float = 0.3):
    """Where the errors stop falling: (index, "rise" | "flat") or None.

    Rise: the last errors lie above the smallest one by 10 % and three times the noise. Flat: over
    the last quarter of the sizes (factor 4, three points at least) the slope is below `share` of
    the steepest slope over such a window before, and below `slow`: slower decay that goes on at a
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
    if steepest > 0 and end < slow and end < share * steepest:
        level = np.median(y[-3:])
        start = 1 + int(np.flatnonzero(y > level + max(np.log(1.25), 3 * noise)).max(initial=-1))
        return min(start, n - 2), "flat"
    return None
