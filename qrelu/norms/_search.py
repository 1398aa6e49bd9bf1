"""The largest absolute difference, by branch and bound: nothing between the samples can hide."""

from typing import NamedTuple

import numpy as np

from ._bound import Bounds, bounds, declared_curvature
from ._difference import EPS, Cells, Cuts, Difference
from ._estimate import estimated_curvature
from ._first_cells import in_parts
from ._units import LEAST, exponent, scaled

DECLARED = "declared curvature"
MODULUS = "declared curvature and modulus of continuity"
ESTIMATED = "estimated curvature"

# Halvings toward a singular end in one round. 2^-320 of the domain counts as nothing: x^-2 and h^2
# stay inside the range of float64.
_GRADES = 64
_NOTHING = 2.0**-320
# Ends and singular points from which the last search begins: those with the largest values.
_WALLS = 32
# Parts of a domain on which no curvature is declared. Second differences take five samples a part.
_WATCH = 256


class Found(NamedTuple):
    """Per group: the largest |difference| found, where, and what no point exceeds."""

    values: np.ndarray
    locations: np.ndarray
    ceilings: np.ndarray
    assumption: str


class _Best:
    """The largest values so far, per piece or of all."""

    def __init__(self, groups: int, grouped: bool):
        self.grouped = grouped
        self.values = np.full(groups, -np.inf)
        self.locations = np.full(groups, np.nan)
        self.widths = np.full(groups, np.inf)
        self.ceilings = np.zeros(groups)

    def group(self, owner: np.ndarray) -> np.ndarray:
        return owner if self.grouped else np.zeros_like(owner)

    def offer(self, x: np.ndarray, d: np.ndarray, owner: np.ndarray, width: np.ndarray) -> None:
        """New samples; `width` is the length of the cells in which they were taken."""
        size = np.abs(d)
        if not self.grouped:
            chosen, group = np.argmax(size, keepdims=True), np.zeros(1, dtype=int)
        else:
            order = np.lexsort((size, owner))
            chosen = order[np.append(owner[order][1:] != owner[order][:-1], True)]
            group = owner[chosen]
        better = size[chosen] > self.values[group]
        chosen, group = chosen[better], group[better]
        self.values[group], self.locations[group] = size[chosen], x[chosen]
        self.widths[group] = width[chosen]

    def close(self, upper: np.ndarray, owner: np.ndarray) -> None:
        np.maximum.at(self.ceilings, self.group(owner), upper)


def search(difference: Difference, accuracy: float, points: int, grouped: bool) -> Found:
    r"""The supremum of |difference| on the domain, or on every piece when `grouped`.

    Cells whose bound does not exceed (1 + accuracy) times the best value are closed, the others are
    cut and sampled at the cuts, until none is left or `points` values and 64 more for every piece
    have been spent.
    """
    budget = points + 64 * difference.count
    declared = declared_curvature(difference)
    curvature = declared or estimated_curvature(difference)
    assumption = DECLARED if declared else ESTIMATED
    cells = difference.cells()
    if declared is None:
        # Second differences need a first resolution: 256 parts of the domain, eight of each piece.
        everywhere = np.ones(cells.count, dtype=bool)
        cells = in_parts(difference, cells, everywhere, _WATCH, least=8)
    a, b = _at_ends(difference, cells)
    best = _Best(difference.count if grouped else 1, grouped)
    best.offer(cells.lower, a, cells.owner, cells.upper - cells.lower)
    best.offer(cells.upper, b, cells.owner, cells.upper - cells.lower)
    spent, unbounded = 0, 0

    def scale() -> int:
        return exponent(max(float(best.values.max()), float(difference.sizes.max())))

    while scale() <= 0:
        bound = bounds(difference, cells, a, b, curvature)
        upper, last = _at_resolution(difference, cells, a, b, bound.upper)
        if np.any(bound.unbounded & ~last & np.isfinite(upper)) and assumption == DECLARED:
            assumption = MODULUS
        # An unbounded second derivative in isolated points: as many such cells after a cut as
        # before. Nearly twice as many: the function is rough everywhere.
        before, unbounded = unbounded, int(np.isinf(upper).sum())
        if curvature is declared and unbounded > max(8, 1.5 * before) and before:
            curvature, assumption = estimated_curvature(difference), ESTIMATED
            continue
        ends = np.maximum(np.abs(a), np.abs(b))
        goal = best.values[best.group(cells.owner)] * (1 + accuracy)
        done = last | (upper <= goal) | (upper - ends <= bound.noise)
        if (~done).sum() > budget - spent:
            active = np.flatnonzero(~done)
            order = np.argsort(upper[active], kind="stable")
            left = active[order[: len(active) - max(budget - spent, 0)]]
            done[left] = True
            # A declared bound that is still above twice the value says nothing: estimate there.
            left = left[upper[left] > 2 * goal[left]]
            if curvature is declared and len(left):
                assumption = ESTIMATED
                upper[left] = bounds(
                    difference, cells.take(left), a[left], b[left], estimated_curvature(difference)
                ).upper
        best.close((upper + bound.noise)[done], cells.owner[done])
        active = np.flatnonzero(~done)
        if not len(active):
            break
        cuts = _cuts(difference, cells, active, bound)
        d = difference.at(cuts.at, cells.owner[cuts.index])
        if not np.isfinite(d).all():
            raise difference.not_finite(cuts.at, d)
        width = (cells.upper - cells.lower)[cuts.index]
        best.offer(cuts.at, d, cells.owner[cuts.index], width)
        spent += len(d)
        cells, a, b = (
            difference.split(cells, cuts),
            cuts.starts(d, a[cuts.cells]),
            cuts.ends(d, b[cuts.cells]),
        )
    if e := scale():
        found = search(difference.in_units(e), accuracy, points, grouped)
        ceilings = scaled(found.ceilings, e) + LEAST
        return found._replace(values=scaled(found.values, e), ceilings=ceilings)
    _climb(difference, best, assumption == ESTIMATED)
    return Found(best.values, best.locations, best.ceilings, assumption)


def _at_ends(difference: Difference, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """The difference at both ends; neighbors share theirs."""
    x, where = np.unique(np.concatenate([cells.lower, cells.upper]), return_inverse=True)
    f = difference.of_target(x)
    if not np.isfinite(f).all():
        raise difference.not_finite(x, f)
    f = f[where]
    with np.errstate(over="ignore"):
        a, b = cells.left - f[: cells.count], cells.right - f[cells.count :]
    if not np.isfinite([a, b]).all():
        raise difference.not_finite(np.array([cells.lower, cells.upper]), np.array([a, b]))
    return a, b


def _at_resolution(
    difference: Difference, cells: Cells, a: np.ndarray, b: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds where a cell cannot be cut any more, and which cells these are.

    Between neighbors among the floats even an unbounded second derivative is taken to move the
    difference no further than it moves from the one to the other.
    """
    last = cells.upper - cells.lower <= _resolution(difference, cells.lower, cells.upper)
    neighbors = np.maximum(np.abs(a), np.abs(b)) + np.abs(b - a)
    return np.where(last & np.isinf(upper), neighbors, upper), last


def _resolution(difference: Difference, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The length of a few floats."""
    span = difference.breakpoints[-1] - difference.breakpoints[0]
    far = np.maximum(np.abs(lower), np.abs(upper))
    return np.maximum(4 * np.spacing(far), _NOTHING * span)


def _cuts(difference: Difference, cells: Cells, active: np.ndarray, bound: Bounds) -> Cuts:
    """Cuts at the vertices of the bounds; graded toward a singular end of an unbounded cell."""
    u, v = cells.lower[active], cells.upper[active]
    at_u, at_v = np.isin(u, difference.singular), np.isin(v, difference.singular)
    graded = bound.unbounded[active] & (at_u != at_v)
    at = np.clip(u + bound.split[active] * (v - u), np.nextafter(u, v), np.nextafter(v, u))
    end = np.where(at_u, u, v)[graded, None]
    toward = np.where(at_u, v - u, u - v)[graded, None]
    levels = end + toward * 2.0 ** -np.arange(1.0, _GRADES + 1)
    return Cuts.of(
        cells,
        np.concatenate([at[~graded], levels.ravel()]),
        np.concatenate([active[~graded], np.repeat(active[graded], _GRADES)]),
    )


# Of |d| nothing is assumed here but that it rises to its maximum and falls after it: a kink or a
# cusp is found as well as a parabola. Of ten points across a bracket the two beside the largest
# value are the next bracket, 2/9 as long, until the ten values agree up to rounding or lie a few
# floats apart; what they still differ by is added to the ceiling. The first brackets are the cells
# in which the search took its best samples. An estimate of the curvature sees no kink that is close
# to an end or a singular point, so brackets begin there too.
def _climb(difference: Difference, best: _Best, estimated: bool) -> None:
    owner, lower, upper = _brackets(difference, best, estimated)
    noise, width = 4 * EPS * difference.sizes[owner] + difference.least, upper - lower
    t = np.linspace(0.0, 1.0, 10)[:, None]
    while len(owner):
        x = lower + t * (upper - lower)
        x[-1] = upper
        d = difference.at(x, owner)
        if not np.isfinite(d).all():
            raise difference.not_finite(x, d)
        size, column = np.abs(d), np.arange(len(owner))
        k = np.argmax(size, axis=0)
        best.offer(x[k, column], d[k, column], owner, width)
        top = size[k, column]
        spread = top - size.min(axis=0)
        done = spread <= noise + 8 * EPS * top
        done |= upper - lower <= _resolution(difference, lower, upper)
        best.close((top + spread)[done], owner[done])
        lower, upper = x[np.maximum(k - 1, 0), column], x[np.minimum(k + 1, 9), column]
        owner, lower, upper, noise, width = (a[~done] for a in (owner, lower, upper, noise, width))


def _brackets(
    difference: Difference, best: _Best, estimated: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces and intervals in them around the best samples, on both sides where two cells meet."""
    cells = difference.cells()
    walls = difference.walls if estimated else np.empty(0)
    at = np.concatenate([best.locations, walls])
    left, right = (np.searchsorted(cells.lower, at, side=side) - 1 for side in ("left", "right"))
    left, right = np.maximum(left, 0), np.minimum(right, cells.count - 1)
    index = np.concatenate([np.arange(len(at)), np.flatnonzero(left != right)])
    cell = np.concatenate([left, right[left != right]])
    owner, wall, at = cells.owner[cell], index >= len(best.values), at[index]
    u, v = cells.lower[cell], cells.upper[cell]
    # The first samples are an eighth of a cell apart at most, and a kink that they do not see is
    # closer to the wall than a part of that.
    width = np.where(wall, (v - u) / 64, np.append(best.widths, walls)[index])
    use = wall | (owner == index) if best.grouped else np.ones(len(at), dtype=bool)
    if not best.grouped and wall.sum() > _WALLS:
        size = np.where(wall, np.abs(difference.at(at, owner)), np.inf)
        use = size >= np.sort(size)[-_WALLS]
    lower, upper = np.maximum(at - width, u), np.minimum(at + width, v)
    return owner[use], lower[use], upper[use]
