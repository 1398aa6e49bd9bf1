"""The polygon with the fewest links inside a tube around a function."""

from typing import NamedTuple

import numpy as np

# Changes of the pivot for one link; each makes the line longer, two or three are usual.
_PIVOTS = 200


class Line(NamedTuple):
    """The line through (x, y) with a slope."""

    slope: float
    x: float
    y: float

    def __call__(self, x):
        """Value at x."""
        return self.y + self.slope * (x - self.x)


class _Contact(NamedTuple):
    """A bound that a line touches: from above (side 1: line <= y) or from below (side -1)."""

    side: int
    x: float
    y: float


class _Range(NamedTuple):
    """Samples whose bounds hold for the next link, and the exit of the previous link."""

    upper_from: int
    lower_from: int
    exit: _Contact | None


# Fewest links in a tube (a greedy algorithm, exact for samples).
#
# Every link is taken as far as possible; its end is a WINDOW: the part of the extremal line from
# its last contact p with one side to its exit q through the other side. The next link must start
# on the window. If the exit is through the upper side, it starts there exactly if it is not
# below the line at p and not above it at q; since left of the crossing it is above the extremal
# line, hence above the lower side, all this is said by
#     y >= lower on [p, ...),   y <= upper on [q, ...).
# So each link solves: the farthest sample up to which a line satisfies one-sided bounds.
#
# The search turns a line around a pivot: every bound is a floor or a ceiling for the slope, and
# running maxima and minima give the first sample n where none is left. Let its lower bound be the
# one that is not met. The largest value at n of a line that meets all earlier bounds is a linear
# program in two unknowns, see `_highest`: if it is below the new bound, the link ends, and the
# solution, which touches a lower and then an upper bound, is the extremal line. Otherwise some
# line goes beyond n, and the pivot moves to a point of such a line: n grows with every pivot.
#
# Reference: the greedy polygon is that of [imai1986]; the pivoting search is derived.
def fewest_links(
    x: np.ndarray, upper: np.ndarray, lower: np.ndarray, most: int
) -> tuple[list[Line], list[float]] | None:
    """Lines of the polygon in the tube and the knots between them, or None if it takes more."""
    lines: list[Line] = []
    bounds = _Range(0, 0, None)
    span = 64
    while len(lines) < most:
        line, side, index, last = _farthest(x, upper, lower, bounds, span)
        lines.append(line)
        if index is None:
            return lines, _joints(lines, x[0], x[-1])
        exit = _exit(x, upper if side > 0 else lower, line, side, index)
        window = int(np.searchsorted(x, last))
        start = min(bounds.upper_from, bounds.lower_from)
        bounds = _Range(index, window, exit) if side > 0 else _Range(window, index, exit)
        span = max(16, int(1.5 * (index - start)))
    return None


def _farthest(x, upper, lower, bounds, span):
    """The farthest line, the side and index of the bound that stops it, the last contact's x."""
    pivot = bounds.exit if bounds.exit is not None else _Contact(1, x[0], upper[0])
    for _ in range(_PIVOTS):
        slope, side, index = _first_conflict(x, upper, lower, bounds, pivot, span)
        line = Line(slope, pivot.x, pivot.y)
        if index is None:
            return line, 0, None, pivot.x
        # Mirrored, so that the bound that is not met is a lower one.
        low, high = (lower[index], upper[index]) if side < 0 else (-upper[index], -lower[index])
        value, slope, contact = _highest(x, upper, lower, bounds, side, index)
        if value < low:
            return Line(-side * slope, x[index], -side * value), side, index, contact.x
        if value <= high:
            pivot = _Contact(-side, contact.x, -side * contact.y)
        else:
            pivot = _Contact(-side, x[index], -side * high)
    return line, side, index, pivot.x


# The largest value at x_n of a line below `high` and above `low` at the samples before n.
#
# With d = x_n - x > 0 a line of value v and slope s at x_n satisfies low + s d <= v <= high + s d.
# So v <= g(s) = min(high + s d), which grows with s, and s is limited by g(s) >= l(s) =
# max(low + s d): the largest zero of the concave g - l. Newton's method from the right is exact
# after finitely many steps; each step solves for the pair of bounds that is active.
def _highest(x, upper, lower, bounds, side, index):
    high_x, high_y = x[bounds.upper_from : index], upper[bounds.upper_from : index]
    low_x, low_y = x[bounds.lower_from : index], lower[bounds.lower_from : index]
    if side > 0:
        high_x, high_y, low_x, low_y = low_x, -low_y, high_x, -high_y
    exit = bounds.exit
    if exit is not None:
        if exit.side == -side:
            high_x, high_y = np.append(high_x, exit.x), np.append(high_y, -side * exit.y)
        else:
            low_x, low_y = np.append(low_x, exit.x), np.append(low_y, -side * exit.y)
    unbounded = (np.inf, 0.0, _Contact(0, x[index], np.inf))
    if high_x.size == 0 or low_x.size == 0:
        return unbounded
    high_d, low_d = x[index] - high_x, x[index] - low_x
    i, k = int(np.argmin(high_d)), int(np.argmax(low_d))
    if low_d[k] <= high_d[i]:
        return unbounded
    while True:
        slope = (high_y[i] - low_y[k]) / (low_d[k] - high_d[i])
        before = (i, k)
        i, k = int(np.argmin(high_y + slope * high_d)), int(np.argmax(low_y + slope * low_d))
        if (i, k) == before or low_d[k] <= high_d[i]:
            break
        if high_y[i] - low_y[k] >= slope * (low_d[k] - high_d[i]):
            break
    i = before[0]
    return high_y[i] + slope * high_d[i], slope, _Contact(1, high_x[i], high_y[i])


def _first_conflict(x, upper, lower, bounds, pivot, span):
    """A slope at the pivot, and the side and index of the first bound that no slope meets."""
    first = int(np.searchsorted(x, pivot.x, "right"))
    floor, ceiling = _left_slopes(x, upper, lower, bounds, pivot, first)
    stop = min(x.size, first + span)
    while True:
        part = slice(first, stop)
        run = x[part] - pivot.x
        floors = np.maximum(np.maximum.accumulate((lower[part] - pivot.y) / run), floor)
        ceilings = np.minimum(np.minimum.accumulate((upper[part] - pivot.y) / run), ceiling)
        conflict = floors > ceilings
        k = int(np.argmax(conflict)) if conflict.size else 0
        if conflict.size and conflict[k]:
            break
        if stop == x.size:
            low = floors[-1] if conflict.size else floor
            high = ceilings[-1] if conflict.size else ceiling
            return _between(low, high), 0, None
        stop = min(x.size, first + 2 * (stop - first))
    low, high = (floors[k - 1], ceilings[k - 1]) if k > 0 else (floor, ceiling)
    if floors[k] > low:
        return float(high), -1, first + k
    return float(low), 1, first + k


def _left_slopes(x, upper, lower, bounds, pivot, first):
    """The steepest floor and the lowest ceiling of the slope from bounds left of the pivot."""
    floor, ceiling = -np.inf, np.inf
    exit = bounds.exit
    if exit is not None and exit.x < pivot.x:
        slope = (pivot.y - exit.y) / (pivot.x - exit.x)
        if exit.side > 0:
            floor = slope
        else:
            ceiling = slope
    stop = first - 1 if first > 0 and x[first - 1] >= pivot.x else first
    if bounds.upper_from < stop:
        part = slice(bounds.upper_from, stop)
        floor = max(floor, np.max((pivot.y - upper[part]) / (pivot.x - x[part])))
    if bounds.lower_from < stop:
        part = slice(bounds.lower_from, stop)
        ceiling = min(ceiling, np.min((pivot.y - lower[part]) / (pivot.x - x[part])))
    return floor, ceiling


def _between(low, high):
    if np.isfinite(low) and np.isfinite(high):
        return float((low + high) / 2)
    return float(low if np.isfinite(low) else high if np.isfinite(high) else 0.0)


def _exit(x, bound, line, side, index) -> _Contact:
    """Where the line leaves the tube: between the last sample that it meets and the next."""
    inside = bound[index - 1] - line(x[index - 1])
    outside = bound[index] - line(x[index])
    share = min(max(inside / (inside - outside), 0.0), 1.0) if inside != outside else 0.0
    place = x[index - 1] + share * (x[index] - x[index - 1])
    return _Contact(side, place, line(place))


def _joints(lines, lower, upper):
    """The knots where consecutive lines meet."""
    knots = [lower]
    for line, after in zip(lines, lines[1:], strict=False):
        turn = after.slope - line.slope
        meet = line.x + (line.y - after(line.x)) / turn if turn != 0 else np.nan
        knots.append(meet)
    return [*knots, upper]
