"""Values of a sparse sum of wavelets where it varies: fine cells under deep terms only.

A place p of level q is the part p / 2^q of the period. Sets of places are unions of half-open
intervals, sorted and disjoint, as two arrays of their ends.
"""

import functools
from typing import NamedTuple

import numpy as np

from ._wavelet_filters import at_integers, filters, shift, synthesis

# A wavelet is resolved by at least 2^6 cells for each place of its level.
RESOLUTION = 6


class _Ranges(NamedTuple):
    start: np.ndarray
    stop: np.ndarray

    @staticmethod
    def union(start: np.ndarray, stop: np.ndarray) -> "_Ranges":
        """Overlapping and adjacent ones are merged; empty ones are left out."""
        full = stop > start
        order = np.argsort(start[full], kind="stable")
        start, stop = start[full][order], stop[full][order]
        if start.size == 0:
            return _Ranges(start, stop)
        reach = np.maximum.accumulate(stop)
        new = np.concatenate([[True], start[1:] > reach[:-1]])
        last = np.append(np.flatnonzero(new)[1:] - 1, start.size - 1)
        return _Ranges(start[new], reach[last])

    def all(self) -> np.ndarray:
        """Every place, increasing."""
        count = self.stop - self.start
        offset = np.repeat(self.start - (np.cumsum(count) - count), count)
        return np.arange(count.sum()) + offset


def step_values(
    coefficients: np.ndarray, terms: np.ndarray, length: float
) -> tuple[np.ndarray, np.ndarray]:
    """A sum of Haar wavelets on [0, 1]: the ends of its pieces and its values, cell by cell."""
    level = np.frexp(terms.astype(np.float64))[1] - 1  # 0 -> -1: the constant
    deepest = int(level.max(initial=0)) + 1
    waves = terms > 0
    place = terms[waves] - (1 << level[waves].astype(np.int64))
    width = np.int64(1) << (deepest - level[waves]).astype(np.int64)
    ends = (place * width)[:, None] + (width // 2)[:, None] * np.arange(3)
    places = np.unique(np.concatenate([ends.ravel(), [0, 1 << deepest]]))
    values = np.zeros(places.size - 1)
    for q in np.unique(level):
        here = np.flatnonzero(level == q)
        # The half of the level's cell, and the wavelet over it.
        half = places[:-1] >> (deepest - int(q) - 1)
        over = (1 << int(q)) + (half >> 1) if q >= 0 else np.zeros_like(half)
        at = np.minimum(np.searchsorted(terms[here], over), here.size - 1)
        sign = np.where(half & 1, -1.0, 1.0) if q >= 0 else 1.0
        height = coefficients[here][at] * np.sqrt(2.0 ** max(int(q), 0) / length)
        values += np.where(terms[here][at] == over, sign * height, 0.0)
    new = np.concatenate([[True], np.diff(values) != 0])
    kept = np.append(places[:-1][new], places[-1])
    return kept / 2.0**deepest, values[new]


def polygon(
    coefficients: np.ndarray,
    terms: np.ndarray,
    wavelet: str,
    even_level: int,
    deepest: int,
    halved: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Places as parts of the period, increasing, and the exact values of the sum there.

    All places of level `even_level`, and finer ones, down to the level `deepest`, under the
    wavelets that ask for them; with `halved` on the first half of the period. The sum is in a basis
    that is orthonormal on [0, 1].
    """
    level = np.frexp(np.maximum(terms, 1).astype(np.float64))[1] - 1
    cells = _refined(terms, level, wavelet, even_level, deepest, halved)
    dense = np.zeros(1 << even_level)
    shallow = level < even_level
    dense[terms[shallow]] = coefficients[shallow]
    scaling = synthesis(dense, wavelet)
    at_even = np.zeros(scaling.size)
    for m, value in enumerate(at_integers(wavelet)):
        at_even += value * np.roll(scaling, m - shift(wavelet))
    count = (1 << even_level) >> int(halved)
    places = [np.arange(count + 1) << (deepest - even_level)]
    values = [at_even[np.arange(count + 1) % scaling.size] * 2.0 ** (even_level / 2)]
    needed = _needed(cells, wavelet)
    numbers = np.zeros(0, np.int64)
    phi = np.array(at_integers(wavelet))
    for step, (here, ranges) in enumerate(zip(cells, needed, strict=True)):
        q = even_level + step
        wanted = ranges.all()

        def coarser(index, numbers=numbers, scaling=scaling, step=step):
            if step == 0:
                return scaling[np.mod(index, scaling.size)]
            return scaling[np.minimum(np.searchsorted(numbers, index), numbers.size - 1)]

        detail = functools.partial(_detail, coefficients, terms, q)
        scaling, numbers = _finer(wanted, coarser, detail, wavelet), wanted
        # Both ends of the halves: at the places of coarser levels finer wavelets count too.
        ends = _Ranges(2 * here.start, 2 * here.stop + 1).all()
        around = ends[:, None] + (shift(wavelet) - np.arange(phi.size))
        places.append(ends << (deepest - q - 1))
        values.append(scaling[np.searchsorted(numbers, around)] @ phi * 2.0 ** ((q + 1) / 2))
    # The last value of a place is that of the finest level.
    place, first = np.unique(np.concatenate(places[::-1]), return_index=True)
    return place / 2.0**deepest, np.concatenate(values[::-1])[first]


def _refined(
    terms: np.ndarray,
    level: np.ndarray,
    wavelet: str,
    even_level: int,
    deepest: int,
    halved: bool,
) -> list[_Ranges]:
    """At every level from `even_level` on, the cells of the domain that are cut."""
    s = shift(wavelet)
    last = np.minimum(level + RESOLUTION, deepest)
    found = []
    for q in range(even_level, int(last.max(initial=0))):
        use = last > q
        own, number = level[use], terms[use] - (np.int64(1) << level[use].astype(np.int64))
        start, stop = number - s, number + s + 1
        up, down = np.maximum(q - own, 0), np.maximum(own - q, 0)
        start, stop = (start << up) >> down, ((stop << up) + (1 << down) - 1) >> down
        period = 1 << q
        around = np.array([[-period], [0], [period]])
        top = period >> int(halved)
        start = np.clip(start + around, 0, top).ravel()
        stop = np.clip(stop + around, 0, top).ravel()
        found.append(_Ranges.union(start, stop))
    return found


def _needed(cells: list[_Ranges], wavelet: str) -> list[_Ranges]:
    """The scaling functions one level below each of `cells` that values there and below ask for."""
    s = shift(wavelet)
    result: list[_Ranges] = []
    for here in reversed(cells):
        # The value at place p is a sum over the scaling functions p - s - 1 to p + s.
        start, stop = 2 * here.start - s - 1, 2 * here.stop + s + 1
        if result:
            below = result[-1]
            start = np.concatenate([start, (below.start - s) // 2])
            stop = np.concatenate([stop, (below.stop - 1 + s) // 2 + 1])
        result.append(_Ranges.union(start, stop))
    return result[::-1]


# phi_(q+1, k) has the coefficient sum_i h_(k + s - 2i) c_i: with m = k + s - 2i of the parity of
# k + s, for every second filter coefficient.
def _finer(wanted: np.ndarray, coarser, detail, wavelet: str) -> np.ndarray:
    h, g = filters(wavelet)
    at = wanted + shift(wavelet)
    odd = at & 1
    total = np.zeros(wanted.size)
    for m in range(0, h.size, 2):
        index = (at - odd - m) // 2
        total += h[m + odd] * coarser(index) + g[m + odd] * detail(index)
    return total


def _detail(coefficients: np.ndarray, terms: np.ndarray, q: int, index: np.ndarray) -> np.ndarray:
    """The coefficients of the wavelets `index` of level q."""
    number = (1 << q) + np.mod(index, 1 << q)
    at = np.minimum(np.searchsorted(terms, number), terms.size - 1)
    return np.where(terms[at] == number, coefficients[at], 0.0)
