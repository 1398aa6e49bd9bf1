"""k-means in one dimension, exactly."""

from collections.abc import Callable

import numpy as np

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]


def best_values(points: np.ndarray, counts: np.ndarray, most: int, zero: bool) -> np.ndarray:
    """At most `most` values with the least squared error of `points`, sorted and different.

    With `zero`, one of the values is zero.
    """
    needed = points.size + (zero and not (points == 0).any())
    if needed <= most:
        return np.unique(np.append(points, 0.0)) if zero else points
    if zero and most == 1:
        return np.zeros(1)
    # The costs are differences of sums; centered and scaled numbers lose the fewest digits.
    size = np.max(np.abs(points))
    x = points / size
    center = np.average(x, weights=counts)
    total = _sums(counts)
    first, second = _sums(counts * (x - center)), _sums(counts * (x - center) ** 2)
    about_zero = _sums(counts * x**2)

    def cost(i, j):
        moment = first[j] - first[i]
        return second[j] - second[i] - moment * moment / (total[j] - total[i])

    bounds = _with_zero(most, cost, about_zero) if zero else _plain(most, cost, points.size)
    values = []
    for start, stop, at_zero in bounds:
        if at_zero:
            values.append(0.0)
        elif start < stop:
            part = x[start:stop]
            middle = part[part.size // 2]
            mean = np.sum(counts[start:stop] * (part - middle)) / np.sum(counts[start:stop])
            values.append(float((middle + mean) * size))
    return np.unique(values)


def _sums(terms: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(terms)])


# D_k(j) is the least cost of the first j points with at most k values:
# D_k(j) = min over i < j of D_{k-1}(i) + cost(i, j), D_k(0) = 0. The cost of an interval satisfies
# cost(a, c) + cost(b, d) <= cost(a, d) + cost(b, c) for a <= b <= c <= d (moving an interval's end
# outward costs more the wider the interval is), so the least minimizer does not decrease with j:
# the minimizers at every second j bracket those in between.
def _plain(most: int, cost: Cost, count: int) -> list[tuple[int, int, bool]]:
    everything = np.arange(1, count + 1)
    best = np.concatenate([[0.0], cost(np.zeros(count, int), everything)])
    starts = []
    for _ in range(most - 1):
        best, start = _extend(best, cost)
        starts.append(start)
    bounds, stop = [], count
    for start in (*starts[::-1], np.zeros(count + 1, np.int32)):
        bounds.append((int(start[stop]), stop, False))
        stop = int(start[stop])
    return bounds


def _extend(best: np.ndarray, cost: Cost) -> tuple[np.ndarray, np.ndarray]:
    """One more value: the least costs for every number of points, and the last intervals' starts.

    Each round solves all j that are odd multiples of its stride at once, by one flat list of the
    candidates of all of them.
    """
    count = best.size - 1
    result, start = np.zeros(count + 1), np.zeros(count + 1, np.int32)
    stride = 1 << count.bit_length()
    while stride > 1:
        half = stride // 2
        j = np.arange(half, count + 1, stride)
        lowest = start[j - half]
        after = j + half
        highest = np.where(after <= count, start[np.minimum(after, count)], j - 1)
        highest = np.minimum(highest, j - 1)
        lengths = highest - lowest + 1
        ends = np.cumsum(lengths)
        begins = ends - lengths
        owner = np.repeat(np.arange(j.size), lengths)
        i = np.arange(ends[-1]) + (lowest - begins)[owner]
        costs = best[i] + cost(i, j[owner])
        least = np.minimum.reduceat(costs, begins)
        found = np.flatnonzero(costs == least[owner])[::-1]
        result[j] = least
        start[j[owner[found]]] = i[found]  # the first minimizer is written last
        stride = half
    return result, start


# E_k(j) is the same with zero among the k values. The last interval has a free value, or it
# has zero and may be empty: E_k(j) = min(min over i of E_{k-1}(i) + cost(i, j),
# min over i <= j of D_{k-1}(i) + Z(j) - Z(i)) with the sums Z of squares. The second minimum is
# a running one. Intervals of zero in this order suffice: the nearest of sorted values is monotone.
def _with_zero(most: int, cost: Cost, about_zero: np.ndarray) -> list[tuple[int, int, bool]]:
    count = about_zero.size - 1
    everything = np.arange(1, count + 1)
    free = np.concatenate([[0.0], cost(np.zeros(count, int), everything)])
    held = about_zero.copy()
    steps = []
    starts = [np.zeros(count + 1, np.int32)]
    for k in range(2, most + 1):
        gain = free - about_zero
        running = np.minimum.accumulate(gain)
        at_zero = np.maximum.accumulate(
            np.where(gain == running, np.arange(count + 1, dtype=np.int32), 0)
        )
        with_zero = running + about_zero
        longer, start = _extend(held, cost)
        here = with_zero <= longer
        steps.append((here, np.where(here, at_zero, start)))
        held = np.where(here, with_zero, longer)
        if k < most:
            free, start = _extend(free, cost)
            starts.append(start)
    bounds, stop, left = [], count, most
    while left > 1 and not steps[left - 2][0][stop]:
        start = int(steps[left - 2][1][stop])
        bounds.append((start, stop, False))
        stop, left = start, left - 1
    start = int(steps[left - 2][1][stop]) if left > 1 else 0
    bounds.append((start, stop, True))
    for row in starts[: left - 1][::-1]:
        stop, start = start, int(row[start])
        bounds.append((start, stop, False))
    return bounds
