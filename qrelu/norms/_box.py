"""Distances of functions of several variables, on a box."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..networks import ReLUNetwork, SparseMatrix
from ._box_cells import integral_on_box
from ._difference import EPS
from ._measured import Measured
from ._rules import QuasiMonteCarlo
from ._units import LEAST, exponent, from_units, scaled

# Up to this many variables integrals are taken by tensor products, beyond by quasi-Monte-Carlo.
TENSOR = 3
# Independent scramblings, and the quantile of Student's t for 99 % with 7 degrees of freedom.
_SCRAMBLINGS, _QUANTILE = 8, 3.499
# The supremum: points from which the search begins, steps of it, and random directions of a step.
_STARTS, _SEARCH, _DIRECTIONS = 64, 40, 16
# Points that are evaluated at once.
_BLOCK = 2**14

Values = Callable[[np.ndarray], np.ndarray]


def distance_on_box(approximant: Any, target: Any, p: float, points: int) -> Measured:
    r"""The $L^p$ distance on the target's box, for p = 1, 2 or infinite.

    `approximant` is a network with d inputs and one output, or any function that maps points of
    shape (n, d) to n values. `points` is how many points are spent.
    """
    lower, upper = (np.asarray(end, np.float64) for end in target.domain)
    difference = _difference(approximant, target, len(lower))
    if p == math.inf:
        return _supremum(difference, lower, upper, points)
    cells = len(lower) <= TENSOR
    measure = integral_on_box if cells else _by_scramblings
    assumption = "cells of two sizes" if cells else "independent scramblings"
    e, more = 0, 0
    while True:
        e += more
        in_units = functools.partial(_in_units, difference, e)
        with np.errstate(over="ignore", invalid="ignore"):
            integral, error, scale = measure(in_units, lower, upper, int(p), points)
        if not (more := exponent(scale)):
            break
    root = 1 / p
    value = integral**root
    gap = max(value - max(integral - error, 0.0) ** root, (integral + error) ** root - value)
    # A few roundings of both functions, which the integral of their difference inherits.
    noise = 8 * EPS * scale * float(np.prod(upper - lower)) ** root
    call = f"L{p:.0f}().distance"
    value = float(from_units(call, value, e))
    uncertainty = float(scaled(gap + noise, e)) + (LEAST if e else 0.0)
    return Measured(value, uncertainty, assumption=assumption)


def _in_units(difference: Values, e: int, points: np.ndarray) -> np.ndarray:
    return np.ldexp(difference(points), -e)


def _difference(approximant: Any, target: Any, d: int) -> Values:
    values = values_of(approximant, d)

    def difference(points: np.ndarray) -> np.ndarray:
        exact = np.asarray(target(points), np.float64)
        if exact.shape != (len(points),):
            raise ValueError(
                "`distance(..., target)` must get a target with one value per point; got the shape "
                f"{exact.shape} for points of shape {points.shape}."
            )
        found = values(points)
        for word, part in (("a target", exact), ("an approximant", found)):
            if not np.isfinite(part).all():
                place = points[~np.isfinite(part)][0].tolist()
                raise ValueError(
                    f"`distance(approximant, target)` must get {word} that is finite on the box; "
                    f"at {place} it is not. Shrink the box, or look for a division by zero."
                )
        with np.errstate(over="ignore"):
            gap = found - exact
        if not np.isfinite(gap).all():
            raise ValueError(
                "`distance(approximant, target)` must get functions whose difference is finite; at "
                f"{points[~np.isfinite(gap)][0].tolist()} it is not. Divide both by a power of two."
            )
        return gap

    return difference


def values_of(approximant: Any, d: int) -> Values:
    """An approximant as a function of points (n, d), in NumPy float64."""
    if isinstance(approximant, ReLUNetwork):
        widths = approximant.widths
        if widths[0] != d or widths[-1] != 1:
            raise ValueError(
                f"`distance(approximant, target)` must get a network with {d} inputs and one "
                f"output; got {widths[0]} and {widths[-1]}. Measure each output by itself."
            )
        weights: list[Any] = [
            w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w, np.float64)
            for w in approximant.weights
        ]
        biases = [np.asarray(b, np.float64) for b in approximant.biases]
        return functools.partial(_realized, weights, biases)
    if not callable(approximant):
        raise TypeError(
            "`distance(approximant, target)` must get a `ReLUNetwork` or a function of points "
            f"(n, {d}); got {type(approximant).__name__}."
        )

    def values(points: np.ndarray) -> np.ndarray:
        found = np.asarray(approximant(points), np.float64)
        if found.shape not in ((len(points),), (len(points), 1)):
            raise ValueError(
                "`distance(approximant, ...)` must get a function with one value per point; got "
                f"the shape {found.shape} for points of shape {points.shape}."
            )
        return found.reshape(len(points))

    return values


def _realized(weights: list[Any], biases: list[np.ndarray], points: np.ndarray) -> np.ndarray:
    parts = []
    for i in range(0, len(points), _BLOCK):
        h = points[i : i + _BLOCK].T
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            h = w @ (np.maximum(h, 0.0) if k else h) + b[:, None]
        parts.append(h[0])
    return np.concatenate(parts)


def _by_scramblings(
    difference: Values, lower: np.ndarray, upper: np.ndarray, p: int, points: int
) -> tuple[float, float, float]:
    """The integral of |difference|^p, a 99 % interval for it, and the largest difference."""
    count = 2 ** max(4, (points // _SCRAMBLINGS).bit_length() - 1)
    means, largest = [], 0.0
    for seed in range(_SCRAMBLINGS):
        rule = _scrambled(tuple(lower), tuple(upper), count, seed)
        values = np.abs(difference(rule.nodes))
        largest = max(largest, float(values.max()))
        means.append(float(values**p @ rule.weights))
    error = _QUANTILE * float(np.std(means, ddof=1)) / math.sqrt(_SCRAMBLINGS)
    return float(np.mean(means)), error, largest


@functools.lru_cache(maxsize=16)
def _scrambled(lower: tuple, upper: tuple, count: int, seed: int) -> QuasiMonteCarlo:
    return QuasiMonteCarlo((np.array(lower), np.array(upper)), count, seed=seed)


def _supremum(difference: Values, lower: np.ndarray, upper: np.ndarray, points: int) -> Measured:
    r"""The largest |difference| that a search from many points finds.

    Two searches from different points; what they disagree by is the uncertainty. The value itself
    is reached, so the truth is never below it, and nothing bounds it from above.
    """
    found = [_climbed(difference, lower, upper, points // 2, seed) for seed in range(2)]
    (value, place), (other, _) = sorted(found, key=lambda pair: -pair[0])
    return Measured(value, value - other + 4 * EPS * value, tuple(place), "found by search")


def _climbed(
    difference: Values, lower: np.ndarray, upper: np.ndarray, points: int, seed: int
) -> tuple[float, list[float]]:
    d, rng = len(lower), np.random.default_rng(seed)
    count = 2 ** max(6, points.bit_length() - 2)
    nodes = _scrambled(tuple(lower), tuple(upper), count, seed).nodes
    # Suprema are often at the edge, where random points are not: half of them are moved there.
    moved = nodes[: count // 2].copy()
    axis, side = rng.integers(d, size=len(moved)), rng.integers(2, size=len(moved))
    moved[np.arange(len(moved)), axis] = np.where(side, upper[axis], lower[axis])
    nodes = np.concatenate([nodes, moved, _corners(lower, upper)])
    values = np.abs(difference(nodes))
    best = np.argsort(-values, kind="stable")[:_STARTS]
    at, height = nodes[best], values[best]
    width = (upper - lower) * count ** (-1 / d)
    size = np.ones(len(at))
    for _ in range(_SEARCH):
        directions = np.concatenate([np.eye(d), -np.eye(d), rng.normal(size=(_DIRECTIONS, d))])
        trial = at[:, None] + size[:, None, None] * width * directions
        trial = np.clip(trial, lower, upper)
        tried = np.abs(difference(trial.reshape(-1, d))).reshape(trial.shape[:2])
        k = np.argmax(tried, axis=1)
        rows = np.arange(len(at))
        better = tried[rows, k] > height
        at = np.where(better[:, None], trial[rows, k], at)
        height = np.maximum(height, tried[rows, k])
        size = np.where(better, size, size / 2)
    best = int(np.argmax(height))
    return float(height[best]), at[best].tolist()


def _corners(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """All corners of the box, up to a thousand of them."""
    d = min(len(lower), 10)
    bits = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
    ends = np.tile(lower, (2**d, 1))
    ends[:, :d] = np.where(bits == 1, upper[:d], lower[:d])
    return ends
