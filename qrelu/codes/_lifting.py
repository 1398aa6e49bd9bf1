"""Broken lines in few numbers: values by how they differ from what coarser ones predict."""

from typing import NamedTuple

import numpy as np

from ._arrays import code_step
from ._coder import Coder, Count, Flag, whole
from ._integers import Levels, falling

# The numbers of neighbors that predict a middle.
ORDERS = (2, 4, 6, 8)
# Places of knots are whole numbers below 2^50: differences are exact.
DEEPEST = 50
# No file has more pieces, or terms in its polynomial: `shortest` writes 2^13 and 48 at most, and a
# damaged number would fill the memory.
_MOST_PIECES, _MOST_TERMS = 2**16, 2**8


class Lifted(NamedTuple):
    r"""A broken line: a polynomial at its knots, and residuals on a tree of halved intervals.

    **Attributes:**

    - `order`: how many neighbors predict the value in the middle of an interval.
    - `step`: the unit of the residuals.
    - `grows`: whether the unit doubles at every second level.
    - `extra`: how often all intervals are halved at the end, with residuals of zero.
    - `base`: whole numbers $n_k$ of a polynomial, the sum of $2^{1 + \lfloor \log_2 (2k+1) / 2
        \rfloor} n_k P_k$ steps with Legendre's polynomials of the domain.
    - `splits`: for each level, which of the intervals that the level before made are halved; the
        first level has one interval.
    - `residuals`: for each level, one whole number for each interval that is halved.
    """

    order: int
    step: float
    grows: bool
    extra: int
    base: np.ndarray
    splits: tuple[np.ndarray, ...]
    residuals: tuple[np.ndarray, ...]

    @property
    def full(self) -> bool:
        """Whether all intervals of each level are halved."""
        return all(split.all() for split in self.splits)


class Level(NamedTuple):
    """The knots of one level and what is halved in it."""

    places: np.ndarray  # whole numbers, increasing
    cells: np.ndarray  # the left ends of the intervals to halve, numbers of knots


# A middle is predicted by the polynomial through the `order` knots nearest to it (by number, half
# of them on each side where there are as many). Products and sums are taken in this order, one by
# one, and differences of whole numbers below 2^53 are exact: every machine gets the same numbers.
def predicted(places: np.ndarray, values: np.ndarray, cells: np.ndarray, order: int) -> np.ndarray:
    """The values in the middles of the intervals, for values of shape (knots, ...)."""
    count = min(order, places.size)
    first = np.clip(cells + 1 - count // 2, 0, places.size - count)
    index = first[:, None] + np.arange(count)
    x = places[index].astype(np.float64)
    middle = ((places[cells] + places[cells + 1]) // 2).astype(np.float64)
    trailing = (slice(None),) + (None,) * (values.ndim - 1)
    result = np.zeros((cells.size, *values.shape[1:]))
    for i in range(count):
        weight = np.ones(cells.size)
        for j in range(count):
            if j != i:
                weight = weight * ((middle - x[:, j]) / (x[:, i] - x[:, j]))
        result = result + weight[trailing] * values[index[:, i]]
    return result


def halved(level: Level, values: np.ndarray, middles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and values with those in the middles inserted."""
    places, cells = level
    new = (places[cells] + places[cells + 1]) // 2
    at = cells + 1
    return np.insert(places, at, new), np.insert(values, at, middles, axis=0)


def units(lifted: Lifted) -> list[float]:
    """The unit of each level."""
    growth = [level // 2 if lifted.grows else 0 for level in range(1, len(lifted.splits) + 1)]
    return [lifted.step * 2.0**power for power in growth]


# (k + 1) P_{k+1} = (2 k + 1) t P_k - k P_{k-1}, in this order on every machine.
def legendre(places: np.ndarray, count: int) -> np.ndarray:
    """The first Legendre polynomials at places of [0, last], shape (places, count)."""
    t = (places - (places[-1] - places)) / places[-1].astype(np.float64)
    table = np.ones((places.size, count))
    if count > 1:
        table[:, 1] = t
    for k in range(1, count - 1):
        table[:, k + 1] = ((2 * k + 1) * t * table[:, k] - k * table[:, k - 1]) / (k + 1)
    return table


def growing(count: int) -> np.ndarray:
    """The powers of two next below sqrt(2 k + 1), as the norm of P_k falls."""
    k = np.arange(count)
    return 2.0 ** ((np.frexp(2.0 * k + 1)[1] - 1) // 2)


def start(lifted: Lifted) -> np.ndarray:
    """The places of the two ends."""
    return np.array([0, 1 << (len(lifted.splits) + lifted.extra)], np.int64)


def candidates_after(cells: np.ndarray) -> np.ndarray:
    """The intervals that halving `cells` made, as numbers of knots after it: left ones, right ones.

    The k-th of the halved intervals has moved by k.
    """
    left = cells + np.arange(cells.size)
    return np.stack([left, left + 1], axis=1).ravel()


def knots_and_values(lifted: Lifted, domain: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The knots and values of the broken line, float64, the same on every machine."""
    places, values = start(lifted), np.zeros(2)
    unit = units(lifted)
    candidates = np.array([0])
    for number, (split, residuals) in enumerate(zip(lifted.splits, lifted.residuals, strict=True)):
        cells = candidates[split]
        middles = predicted(places, values, cells, lifted.order)
        middles = middles + unit[number] * residuals
        candidates = candidates_after(cells)
        places, values = halved(Level(places, cells), values, middles)
    for _ in range(lifted.extra):
        cells = np.arange(places.size - 1)
        middles = predicted(places, values, cells, lifted.order)
        places, values = halved(Level(places, cells), values, middles)
    table = legendre(places, lifted.base.size)
    weights = 2 * lifted.step * growing(lifted.base.size) * lifted.base
    for k in range(lifted.base.size):
        values = values + weights[k] * table[:, k]
    return at_places(places, domain), values


def at_places(places: np.ndarray, domain: tuple[float, float]) -> np.ndarray:
    """Whole numbers to points of the domain."""
    a, b = domain
    knots = a + (b - a) * (places / places[-1])
    knots[-1] = b
    return knots


def code_lifted(coder: Coder, given: Lifted | None) -> Lifted:
    """All of it: settings, the base, then level by level what is halved and the residuals."""
    step = code_step(coder, given.step if given else 1.0, 0.95)
    extra = Count(((0.4, 1.2),)).code(coder, given.extra if given else 0)
    _check_size(1, 0, extra)
    count = 2 + Count(((0.6, 1.0),)).code(coder, given.base.size - 2 if given else 0)
    if count > _MOST_TERMS:
        raise ValueError(f"it has a polynomial of {count} terms")
    base = falling(coder, given.base if given else np.zeros(0), count, 2 * step)
    full = coder.bit(int(given.full) if given else 0, 0.8)
    levels, grows = 0, False
    if full:
        levels = Count().code(coder, len(given.splits) if given else 0)
        _check_size(1, 0, levels + extra)
    order = 2
    if levels or not full:
        grows = bool(coder.bit(int(given.grows) if given else 0, 0.4))
        order = ORDERS[whole(coder, ORDERS.index(given.order) if given else 0, 2)]
    splitting, numbers = _Splitting(coder), Levels(int(abs(base[-1])).bit_length())
    splits, residuals = [], []
    above, pieces = np.array([1]), 1
    while len(splits) < levels if full else above.size > 0:
        number = len(splits)
        if full:
            split = np.ones(above.size, bool)
        else:
            wanted = given.splits[number] if given and number < len(given.splits) else None
            split = splitting.level(above, wanted)
            if not split.any():
                break
        found = numbers.code(coder, given.residuals[number] if given else None, int(split.sum()))
        splits.append(split)
        residuals.append(found)
        above = np.repeat(np.minimum(np.abs(found), 1), 2)
        pieces += found.size
        _check_size(pieces, len(splits), extra)
    return Lifted(order, step, grows, extra, base, tuple(splits), tuple(residuals))


def _check_size(pieces: int, levels: int, extra: int) -> None:
    """An error for more pieces, all of them halved `extra` times, or levels than a file has."""
    if levels + extra > DEEPEST or pieces << extra > _MOST_PIECES:
        raise ValueError(f"it has more than {_MOST_PIECES} pieces or {DEEPEST} levels")


class _Splitting:
    """Which intervals are halved: learnt apart by the residual above and the interval before."""

    def __init__(self, coder: Coder):
        self._coder = coder
        self._flags = [[Flag(1.0, 0.5), Flag(0.6, 0.6)], [Flag(0.6, 0.6), Flag(0.3, 1.0)]]

    def level(self, above: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """Of one level; `above` says whether the residual that made an interval was not zero."""
        found, before = np.zeros(above.size, bool), 0
        for k in range(above.size):
            flag = self._flags[above[k]][before]
            before = flag.code(self._coder, int(wanted[k]) if wanted is not None else 0)
            found[k] = before
        return found
