"""Approximants rounded as coarsely as an accuracy allows."""

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..families import (
    Barycentric,
    BSplines,
    OrthogonalSeries,
    TensorSeries,
    TensorWaveletSum,
    WaveletSum,
    Waves,
)
from ..families._best_values import best_values
from ..families._least_squares_spline import least_squares_spline
from ..families._nodes import chebyshev_mesh
from ..families._piece_values import piece_values
from ..families._quadrature import Quadrature, quadrature
from ..networks import ReLUNetwork, normalize
from ..norms import AbstractNorm
from ..quantizers import Uniform, quantize
from ..targets import AbstractTarget
from ._lifting import growing
from ._rounded_plane import fewest_terms, plausible, rounded_in_plane

# How many steps are tried once the accuracy is reached, and from the coarsest one down.
_MORE, _TRIED = 2, 100
# Share of a step below which a number that would round to one becomes zero: the first rounds to
# nearest, the others save terms.
_DEAD = (0.5, 0.6, 0.7)
# In two variables positions take more, and small terms are worth less.
_MORE_DEAD = (0.85, 1.0)
# Bits of the places of free knots beyond those that number the pieces.
_PLACE_BITS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 30)
_QUOTIENT_BITS = (6, 8, 10, 13, 17, 22, 30, 40)
_SAMPLES = 1001


def rounded(
    function: Any, target: AbstractTarget, accuracy: float, norm: AbstractNorm
) -> Iterator[Any]:
    """Rounded versions within the accuracy, some of the coarsest; none if there is none."""

    def enough(candidate: Any) -> bool:
        return distance(candidate, target, norm) <= accuracy

    lower, upper = (np.asarray(end, np.float64) for end in target.domain)
    measure = float(np.prod(upper - lower))
    # An error of this size everywhere has the accuracy.
    size = accuracy / measure ** (1 / norm.p)
    if isinstance(function, ReLUNetwork):
        yield from _network(function, size, enough)
    elif isinstance(function, BSplines) and function.places is not None:
        yield from _free_spline(function, target, norm.p, size, enough)
    elif isinstance(function, BSplines):
        yield from _coarsest(
            lambda step: _with(function, _nearest(function.coefficients, step)),
            _first_step(function.coefficients),
            size,
            enough,
        )
    elif isinstance(function, Barycentric):
        yield from _quotient(function, quadrature(target), enough)
    else:
        in_plane = isinstance(function, TensorSeries | TensorWaveletSum)
        if isinstance(function, WaveletSum | TensorWaveletSum):
            size *= math.sqrt(measure)
        error = distance(function, target, norm) if in_plane else 0.0
        if error > accuracy:
            return
        if isinstance(function, TensorSeries | TensorWaveletSum) and norm.p == 2:
            yield from fewest_terms(function, accuracy, error, enough)
        for dead in _DEAD + (_MORE_DEAD if in_plane else ()):

            def make(step: float, dead: float = dead) -> Any:
                if isinstance(function, TensorSeries | TensorWaveletSum) and not plausible(
                    function, step, dead, accuracy, error, norm.p
                ):
                    return None
                way: Callable = rounded_in_plane if in_plane else _sum
                return way(function, step, dead)

            yield from _coarsest(
                make,
                _first_step(function.coefficients),
                size,
                lambda candidate: candidate is not None and enough(candidate),
            )


def distance(function: Any, target: AbstractTarget, norm: AbstractNorm) -> float:
    """The distance, infinite for a function with a pole in the interval."""
    if not isinstance(function, ReLUNetwork) and not function.bounded:
        return math.inf
    return float(norm.distance(function, target))


def _first_step(values: np.ndarray) -> float:
    largest = float(np.max(np.abs(values), initial=0.0))
    return 2.0 ** math.ceil(math.log2(largest)) if largest > 0 else 1.0


def _coarsest(
    make: Callable[[float], Any], first: float, accuracy: float, enough: Callable[[Any], bool]
) -> Iterator[Any]:
    """The candidates of the coarsest steps 2^e and 1.5 2^e that are enough."""
    # Far coarser than the accuracy only by luck.
    first = min(first, 2.0 ** math.ceil(math.log2(64 * accuracy)))
    reached = 0
    for number in range(_TRIED):
        candidate = make(first * (1.0, 0.75)[number % 2] * 0.5 ** (number // 2))
        if enough(candidate):
            reached += 1
            yield candidate
        if reached == _MORE:
            return


def _nearest(values: np.ndarray, step: float) -> np.ndarray:
    return np.rint(values / step) * step + 0.0


def _with(function: Any, coefficients: np.ndarray) -> Any:
    return dataclasses.replace(function, coefficients=coefficients)


def _sum(function: OrthogonalSeries | Waves | WaveletSum, step: float, dead: float) -> Any:
    """Rounded with a dead zone; terms that became zero are left out, but one."""
    values = function.coefficients
    units = np.full(values.size, step)
    if isinstance(function, OrthogonalSeries):
        units = step * growing(values.size)
    codes = np.rint(values / units)
    codes[np.abs(values) < dead * units] = 0.0
    kept = np.flatnonzero(codes)
    kept = kept if kept.size else np.zeros(1, np.intp)
    values = codes * units + 0.0
    if isinstance(function, OrthogonalSeries):
        return dataclasses.replace(function, coefficients=values[: kept[-1] + 1])
    fewer = dataclasses.replace(function, coefficients=values[kept], terms=function.terms[kept])
    if isinstance(fewer, Waves) and not np.array_equal(fewer.terms, np.arange(kept.size)):
        return dataclasses.replace(fewer, chosen=True)
    return fewer


def _free_spline(
    function: BSplines,
    target: AbstractTarget,
    p: float,
    accuracy: float,
    enough: Callable[[Any], bool],
) -> Iterator[BSplines]:
    """Knots on grids of some numbers of bits, coefficients anew for them, then rounded."""
    points = quadrature(target)
    places = np.sort(function.places) if function.places is not None else np.zeros(0)
    least = math.ceil(math.log2(places.size + 1))
    reached = 0
    for bits in _PLACE_BITS:
        moved = np.unique(_nearest(places, 2.0 ** -(least + bits)))
        moved = moved[(moved > 0) & (moved < 1)]
        a, b = function.domain
        ends = np.concatenate([[a], a + (b - a) * moved, [b]])
        fitted = BSplines(
            coefficients=_refitted(points, ends, function.order, p),
            places=moved,
            domain=function.domain,
            order=function.order,
        )
        if not enough(fitted):
            continue
        yield from _coarsest(
            lambda step, f=fitted: _with(f, _nearest(f.coefficients, step)),
            _first_step(fitted.coefficients),
            accuracy,
            enough,
        )
        reached += 1
        if reached == _MORE:
            return


def _refitted(points: Quadrature, ends: np.ndarray, order: int, p: float) -> np.ndarray:
    if order == 1:
        return piece_values(points, ends, p)
    if order == 2:
        return np.array(best_values(points, ends, p).values)
    return np.array(least_squares_spline(points, ends, order))


# The weights that make sum_j w_j (f(x) - f_j) / (x - t_j) least on samples, |w| = 1: the last right
# singular vector, as in the AAA algorithm, for places and values as they are after rounding.
def _quotient(
    function: Barycentric, points: Quadrature, enough: Callable[[Any], bool]
) -> Iterator[Barycentric]:
    """Places and values rounded, weights anew for them, then rounded."""
    a, b = function.domain
    samples = (chebyshev_mesh(a, b, _SAMPLES) - a) / (b - a)
    exact = points.function(a + (b - a) * samples)
    scale = _first_step(function.values)
    reached = 0
    for place_bits in _QUOTIENT_BITS:
        places = _nearest(function.places, 2.0**-place_bits)
        if np.unique(places).size < places.size:
            continue
        at = points.function(a + (b - a) * np.clip(places, 0, 1))
        for bits in range(4, 48, 2):
            values = _nearest(at, scale * 2.0**-bits)
            apart = np.min(np.abs(samples[:, None] - places), axis=1) > 1e-12
            x, y = samples[apart, None], exact[apart, None]
            anew = np.linalg.svd((y - values) / (x - places), full_matrices=False)[2][-1]
            # Those for other samples may have a pole where the function's own have none.
            for weights in (anew, function.weights):
                scaled = weights / np.max(np.abs(weights))
                candidate = Barycentric(
                    places=places,
                    values=values,
                    weights=_nearest(scaled, 2.0**-bits),
                    domain=function.domain,
                )
                # A place of weight zero has no value.
                if candidate.weights.all() and enough(candidate):
                    break
            else:
                continue
            reached += 1
            yield candidate
            break
        if reached == 2 * _MORE:
            return


def _network(
    function: ReLUNetwork, accuracy: float, enough: Callable[[Any], bool]
) -> Iterator[ReLUNetwork]:
    """One step for all parameters of the normal form."""
    function = normalize(function)

    def make(step: float) -> ReLUNetwork:
        with warnings.catch_warnings():
            # Few levels are no surprise here, and the error is measured.
            warnings.filterwarnings("ignore", ".* to the single value ", UserWarning)
            warnings.filterwarnings("ignore", ".* is hardly finer than the step ", UserWarning)
            return quantize(function, Uniform(step))

    yield from _coarsest(make, _first_step(np.array(function.magnitude)), accuracy, enough)
