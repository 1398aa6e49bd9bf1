"""The broken line of few bits within an accuracy of a target."""

import math
from typing import Any

import numpy as np

from ..families._quadrature import Quadrature, quadrature
from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._coder import Writer
from ._lifting import (
    DEEPEST,
    ORDERS,
    Level,
    Lifted,
    candidates_after,
    code_lifted,
    growing,
    halved,
    knots_and_values,
    predicted,
    units,
)
from ._space import Space, best_error, chosen, line_space

# Columns of the least squares problem, and pieces: more take minutes.
_MOST_COLUMNS, _MOST_PIECES = 1200, 2**13
_MOST_LEVELS, _MOST_HALVINGS, _MOST_TERMS = 10, 12, 48
# A column takes about so many bits at least; what has more columns than that is not tried.
_LEAST_BITS = 0.4
# What a bit is worth, in shares of the squared accuracy.
_PRICES = (0.0, 0.03, 0.1, 0.3)
# The best broken line on all knots should take at most this share of the accuracy, since knots that
# are predicted cost no bits.
_SHARE = 0.35
# Steps that are tried, in shares of the accuracy (divided by the root of the length in L^2).
_LOWEST, _HIGHEST = 0.1, 8.0
# Where other norms than L^2 look at a piece.
_SAMPLES = np.linspace(0.0, 1.0, 9)
# How many steps, numbers of terms, and numbers of levels are tried once the accuracy is reached.
_MORE = 2


def shortest_line(
    target: AbstractTarget,
    accuracy: float,
    norm: AbstractNorm,
    *,
    free: bool,
    least: int = 0,
) -> tuple[Lifted, float] | None:
    """The broken line of the fewest bits that is within the accuracy, and its measured error.

    It has at least 2^least pieces. None if the accuracy is not reached.
    """
    search = _Search(target, accuracy, norm)
    _polynomials(search, least)
    if free:
        _free(search)
    _equal(search, least)
    for _, _, lifted in sorted(search.found, key=lambda f: f[:2]):
        knots, values = knots_and_values(lifted, target.domain)
        error = float(norm.between(knots, values, target))
        if error <= accuracy:
            return lifted, error
    return None


class _Search:
    """What is wanted, and what was found: (bits, number, line)."""

    def __init__(self, target: AbstractTarget, accuracy: float, norm: AbstractNorm):
        self.points = quadrature(target)
        self.target, self.accuracy, self.norm = target, accuracy, norm
        length = self.points.upper - self.points.lower
        # An error of `scale` everywhere has the accuracy in the norm, and this one in L^2.
        scale = accuracy if math.isinf(norm.p) else accuracy / length ** (1 / norm.p)
        self.squared = scale**2 * length
        self.steps = _short_steps(scale)
        self.found: list[tuple[float, int, Lifted]] = []
        self.best = math.inf

    @property
    def in_l2(self) -> bool:
        """Whether the norm is that of the least squares."""
        return self.norm.p == 2

    def within(self, space: Space) -> bool:
        """Whether a space can hold a line within the accuracy, and in few enough bits."""
        if _LEAST_BITS * space.right.size > self.best:
            return False
        # Also a sup norm is at least the root of the mean of the square.
        return self.norm.p == 1 or best_error(space) ** 2 < self.squared

    def _judged(self, space: Space, values: np.ndarray, sampled: np.ndarray) -> bool:
        if self.in_l2:
            return space.squared_error(values) <= self.squared
        # On samples; what is found so is measured in the end.
        inner = values[:-1, None] + np.diff(values)[:, None] * _SAMPLES
        size = np.abs(inner - sampled)
        if math.isinf(self.norm.p):
            return float(size.max()) <= self.accuracy
        mean = (size**self.norm.p).mean(axis=1) @ np.diff(space.knots)
        return float(mean) ** (1 / self.norm.p) <= self.accuracy

    def add(self, space: Space, like: Lifted, steps: list[float]) -> bool:
        """Try the steps from coarse to fine; whether one of them is enough."""
        reached = 0
        sampled = np.zeros(0)
        if not self.in_l2:
            x = space.knots[:-1, None] + np.diff(space.knots)[:, None] * _SAMPLES
            sampled = self.points.function(x)
        for step in steps:
            unit = _unit_of_columns(like._replace(step=step), space.right.size)
            enough = False
            for price in _PRICES:
                codes = chosen(space, unit, price * self.squared)
                if not self._judged(space, space.columns @ (codes * unit), sampled):
                    break
                enough = True
                lifted = _filled(like._replace(step=step), codes)
                writer = Writer()
                code_lifted(writer, lifted)
                self.found.append((writer.entropy, len(self.found), lifted))
                self.best = min(self.best, writer.entropy)
            reached += enough
            if reached == _MORE:
                break
        return reached > 0


def _filled(like: Lifted, codes: np.ndarray) -> Lifted:
    counts = [int(split.sum()) for split in like.splits]
    ends = np.cumsum([codes.size - sum(counts), *counts])
    parts = tuple(codes[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True))
    return like._replace(base=codes[: ends[0]], residuals=parts)


def _unit_of_columns(lifted: Lifted, total: int) -> np.ndarray:
    counts = [int(split.sum()) for split in lifted.splits]
    base = 2 * lifted.step * growing(total - sum(counts))
    return np.concatenate([base, np.repeat(units(lifted), counts)])


def _short_steps(scale: float) -> list[float]:
    """The steps 2^e and 1.5 2^e around a scale, from coarse to fine."""
    first, last = (math.floor(math.log2(scale * share)) for share in (_LOWEST, _HIGHEST))
    steps = [m * 2.0**e for e in range(first, last + 1) for m in (1.0, 1.5)]
    return [s for s in reversed(steps) if _LOWEST * scale <= s <= _HIGHEST * scale]


def _empty(order: int, grows: bool, extra: int, splits: list[np.ndarray]) -> Lifted:
    return Lifted(order, 1.0, grows, extra, np.zeros(0, np.int64), tuple(splits), ())


def _polynomials(search: _Search, least: int) -> None:
    """Lines through polynomials."""
    halvings = max(least, _halvings(search.points, math.sqrt(search.squared)))
    tried = 0
    for terms in range(2, _MOST_TERMS + 1):
        space = line_space(search.points, 2, [], halvings, terms)
        if search.within(space):
            tried += search.add(space, _empty(2, False, halvings, []), search.steps)
        if tried == _MORE:
            break


def _equal(search: _Search, least: int) -> None:
    """Lines with equal pieces, for all orders; halving changes nothing for order 2."""
    halvings = max(least, _halvings(search.points, math.sqrt(search.squared)))
    for order in reversed(ORDERS):
        tried = 0
        for levels in range(1, _MOST_LEVELS + 1):
            if tried == _MORE or _LEAST_BITS * 2**levels > search.best:
                break
            splits = [np.ones(2**k, bool) for k in range(levels)]
            extra = max((least if order == 2 else halvings) - levels, 0)
            space = line_space(search.points, order, splits, extra)
            if not search.within(space):
                continue
            for grows in (False, True) if order == 2 else (False,):
                tried += search.add(space, _empty(order, grows, extra, splits), search.steps)


def _halvings(points: Quadrature, accuracy: float) -> int:
    """How often the domain is halved until the best broken line takes its share."""
    for count in range(_MOST_HALVINGS):
        knots = np.linspace(points.lower, points.upper, 2**count + 1)
        found = points.moments(knots[None], points.function(knots)[None])
        # Of a parabola, the best values take a sixth of the interpolant's squared error.
        if math.sqrt(max(float(found.square.sum()), 0.0) / 6) <= _SHARE * accuracy:
            return count
    return _MOST_HALVINGS


def _free(search: _Search) -> None:
    """Lines whose knots are denser where the target needs it, for all orders."""
    for order in ORDERS:
        for grows in (True, False) if order == 2 else (True,):
            reached = 0
            for step in search.steps:
                splits = _grown(search.points, order, step, grows)
                if splits is None or reached == _MORE:
                    break
                if _LEAST_BITS * sum(int(split.sum()) for split in splits) > search.best:
                    break
                space, extra = _enough(search, order, splits)
                if search.within(space):
                    reached += search.add(space, _empty(order, grows, extra, splits), [step])


def _enough(search: _Search, order: int, splits: list[np.ndarray]) -> tuple[Space, int]:
    """The space with as many halvings at the end as help."""
    extra = 0
    space = line_space(search.points, order, splits, extra)
    if order == 2:
        return space, extra
    error, wanted = best_error(space), _SHARE * math.sqrt(search.squared)
    while error > wanted and 2 * space.knots.size < _MOST_PIECES:
        finer = line_space(search.points, order, splits, extra + 1)
        new = best_error(finer)
        # A step less than this is not that of finer knots.
        if new > 0.97 * error:
            break
        space, error, extra = finer, new, extra + 1
    return space, extra


def _grown(points: Quadrature, order: int, step: float, grows: bool) -> list[np.ndarray] | None:
    """Splits where a residual, of an interval or of its halves, exceeds half of its unit."""
    # Places on the finest level; values are those of the target, so that residuals are exact.
    places = np.array([0, 1 << DEEPEST], np.int64)

    def values_at(where: np.ndarray) -> np.ndarray:
        return points.function(_at(where, points))

    values = values_at(places)
    candidates = np.array([0])
    splits: list[np.ndarray] = []
    total = 2
    for level in range(DEEPEST - 8):
        unit = step * 2.0 ** (level // 2 if grows else 0)
        size = _residuals(places, values, candidates, order, values_at)
        # One level ahead: all candidates halved.
        finer, finer_values = halved(
            Level(places, candidates),
            values,
            values_at((places[candidates] + places[candidates + 1]) // 2),
        )
        children = candidates_after(candidates)
        ahead = _residuals(finer, finer_values, children, order, values_at)
        ahead = np.max(ahead.reshape(-1, 2), axis=1) * (2.0**-0.5 if grows and level % 2 else 1.0)
        split = (np.maximum(size, ahead) >= unit / 2) | (level < 2)
        if not split.any():
            break
        total += int(split.sum())
        if total > _MOST_COLUMNS:
            return None
        splits.append(split)
        cells = candidates[split]
        middles = values_at((places[cells] + places[cells + 1]) // 2)
        candidates = candidates_after(cells)
        places, values = halved(Level(places, cells), values, middles)
    return splits


def _at(where: np.ndarray, points: Quadrature) -> np.ndarray:
    """Places below 2^DEEPEST as points of the domain."""
    share = where / float(1 << DEEPEST)
    return points.lower + (points.upper - points.lower) * share


def _residuals(
    places: np.ndarray, values: np.ndarray, cells: np.ndarray, order: int, values_at: Any
) -> np.ndarray:
    middle = (places[cells] + places[cells + 1]) // 2
    return np.abs(values_at(middle) - predicted(places, values, cells, order))
